"""Segments in, ordered bytes out (RFC 9293): hand-made segments, a recording reader."""

import random

import pytest

from analyzer.records import END_CAPTURE, END_FIN, END_RST, Connection, Packet, Reader, Segment
from analyzer.room import Room
from analyzer.streams import Streams

FIN, SYN, RST, ACK = 1, 2, 4, 16
SECOND = 1_000_000_000


class Recorder(Reader):
    def __init__(self, packet, half):
        self.packet, self.half, self.got, self.log = packet, half, bytearray(), []
        self.base = half.offset

    def data(self, start, stop):
        handed = sum(entry[1] for entry in self.log if entry[0] != "end")
        assert self.half.offset - self.base == handed, "offset is that of the first byte"
        piece = bytes(self.packet.data[start:stop])
        self.got += piece
        self.log.append(("data", len(piece)))

    def gap(self, size, cut):
        self.got += b"?" * min(size, 100)
        self.log.append(("cut" if cut else "gap", size))

    def end(self, how):
        self.log.append(("end", how))


class Taps:
    """Stands where the upgrade stage does: takes every flow whose first byte is not '!'."""

    def __init__(self, packet):
        self.packet, self.flows, self.readers = packet, [], {}

    def begin(self, flow, low, high, start, stop):
        if bytes(self.packet.data[start : start + 1]) == b"!":
            return False
        flow.connections = [Connection()]
        low.reader, high.reader = Recorder(self.packet, low), Recorder(self.packet, high)
        self.readers |= {low: low.reader, high: high.reader}
        self.flows.append(flow)
        return True


class Wire:
    """Two hosts, 10.0.0.1:40000 (client) and 10.0.0.2:80; sends segments into a Streams."""

    def __init__(self):
        self.packet, self.segment = Packet(), Segment()
        self.taps, self.finished = Taps(self.packet), []
        self.streams = Streams(self.packet, self.segment, self.taps, self.finished.append, 1, Room(1 << 40))
        self.time = 0

    def send(self, who, sequence, data=b"", flags=ACK, ack=0, cut=0, port=40000):
        packet, segment = self.packet, self.segment
        self.time += SECOND // 1000
        packet.number += 1
        packet.time = self.time
        packet.data = data + b"padding"
        client = who == "client"
        segment.version = 4
        segment.source_low, segment.destination_low = (1, 2) if client else (2, 1)
        segment.source_port, segment.destination_port = (port, 80) if client else (80, port)
        segment.sequence, segment.acknowledgment, segment.flags = sequence % 2**32, ack % 2**32, flags
        segment.start, segment.stop, segment.length = 0, len(data) - cut, len(data)
        self.streams.segment()

    def open(self, client=100, server=500):
        self.send("client", client - 1, flags=SYN)
        self.send("server", server - 1, flags=SYN | ACK, ack=client)

    def flow(self, index=0):
        return self.taps.flows[index]

    def reader(self, who, index=0):
        flow = self.flow(index)
        return self.taps.readers[flow.low if who == "client" else flow.high]


@pytest.fixture
def wire():
    return Wire()


def test_in_order_bytes_come_as_they_arrive(wire):
    wire.open()
    wire.send("client", 100, b"GET ")
    wire.send("client", 104, b"/")
    wire.send("server", 500, b"HTTP", ack=105)
    assert bytes(wire.reader("client").got) == b"GET /"
    assert bytes(wire.reader("server").got) == b"HTTP"


@pytest.mark.parametrize("initial", [100, 2**32 - 3, 2**31 - 2, 0])
def test_any_order_with_repeats_and_overlaps_gives_the_same_bytes(initial):
    text = bytes(range(65, 91)) * 4
    for seed in range(100):
        wire, rng = Wire(), random.Random(seed)
        wire.open(client=initial)
        pieces = [(at, min(at + rng.randrange(1, 20), len(text))) for at in range(0, len(text), 7)]
        pieces += [(at, at + 7) for at in range(0, len(text) - 7, 7)] + [(len(text) - 8, len(text))]
        rng.shuffle(pieces)
        for start, stop in pieces:
            wire.send("client", initial + start, text[start:stop])
        wire.streams.finish()
        half = wire.flow().low
        assert bytes(wire.reader("client").got) == text, seed
        assert half.lost_bytes == half.conflicting_bytes == 0
        assert half.captured_bytes == half.duplicate_bytes + len(text)


def test_a_keep_alive_probe_is_neither_data_nor_a_retransmission(wire):
    wire.open()
    wire.send("client", 100, b"abc")
    wire.send("client", 102, b"\0")
    assert bytes(wire.reader("client").got) == b"abc"
    assert wire.flow().low.retransmissions == 0


def test_a_hole_that_was_acknowledged_is_lost_at_the_end_and_one_that_was_not_is_too(wire):
    wire.open()
    wire.send("client", 100, b"abc")
    wire.send("client", 106, b"ghi")
    assert bytes(wire.reader("client").got) == b"abc"
    wire.streams.finish()
    assert wire.reader("client").log == [("data", 3), ("gap", 3), ("data", 3), ("end", END_CAPTURE)]
    assert wire.flow().low.lost_bytes == 3


def test_an_acknowledged_hole_is_lost_after_capture_time(wire):
    wire.open()
    wire.send("client", 100, b"abc")
    wire.send("client", 106, b"ghi")
    wire.send("server", 500, ack=109)
    wire.time += 31 * SECOND
    wire.send("server", 500, ack=109)
    assert bytes(wire.reader("client").got) == b"abc???ghi"


def test_bytes_that_were_acknowledged_and_never_captured_are_a_gap_at_the_end(wire):
    wire.open()
    wire.send("client", 100, b"abc")
    wire.send("server", 500, ack=110)
    wire.streams.finish()
    assert ("gap", 7) in wire.reader("client").log


def test_a_snapshot_length_leaves_a_gap_marked_as_cut(wire):
    wire.open()
    wire.send("client", 100, b"abcdef", cut=4)
    wire.send("client", 106, b"gh")
    assert wire.reader("client").log == [("data", 2), ("cut", 4), ("data", 2)]
    assert wire.flow().low.cut_bytes == 4


def test_the_end_is_told_when_everything_before_the_fin_has_come(wire):
    wire.open()
    wire.send("client", 100, b"abc")
    wire.send("client", 106, b"ghi", flags=FIN | ACK)
    assert ("end", END_FIN) not in wire.reader("client").log
    wire.send("client", 103, b"def")
    assert wire.reader("client").log[-1] == ("end", END_FIN)
    assert wire.flow().end_how == END_FIN and wire.flow().end_by is wire.flow().low
    assert not wire.flow().ended
    wire.send("server", 500, flags=FIN | ACK, ack=110)
    assert wire.flow().ended


def test_a_reset_ends_both_ways(wire):
    wire.open()
    wire.send("client", 100, b"abc")
    wire.send("server", 500, flags=RST)
    assert wire.flow().end_how == END_RST and wire.flow().end_by is wire.flow().high
    assert wire.reader("server").log == [("end", END_RST)]
    assert wire.flow().ended


def test_the_same_four_tuple_again_is_a_new_flow_and_a_repeated_syn_is_not(wire):
    wire.open()
    wire.send("client", 99, flags=SYN)
    wire.send("client", 100, b"abc")
    wire.send("client", 99, flags=SYN)
    assert len(wire.finished) == 0
    wire.open(client=9000, server=7000)
    wire.send("client", 9000, b"xyz")
    assert len(wire.finished) == 1
    assert bytes(wire.reader("client", 1).got) == b"xyz"


def test_data_far_outside_the_window_after_both_fins_is_a_new_flow(wire):
    wire.open()
    wire.send("client", 100, b"abc", flags=FIN | ACK)
    wire.send("server", 500, b"x", flags=FIN | ACK, ack=104)
    wire.send("client", 100, b"abc", flags=FIN | ACK)
    assert len(wire.taps.flows) == 1
    wire.send("client", 100 + (1 << 30), b"new")
    assert len(wire.taps.flows) == 2


def test_a_flow_of_no_interest_costs_no_record_and_its_packets_are_counted(wire):
    wire.open()
    wire.send("client", 100, b"!tls")
    wire.send("server", 500, b"more")
    wire.send("client", 104, flags=RST)
    wire.streams.finish()
    assert wire.streams.other_packets == 5 and wire.streams.websocket_packets == 0
    assert not wire.finished


def test_every_packet_is_counted_once_whatever_comes():
    for seed in range(200):
        wire, rng = Wire(), random.Random(seed)
        for _ in range(300):
            data = rng.choice([b"", b"", b"abc", b"!x"])
            flags = rng.choice([ACK, ACK, ACK, SYN, SYN | ACK, FIN | ACK, RST, 0, 255])
            port = 40000 + rng.randrange(4)
            wire.send(rng.choice(["client", "server"]), rng.randrange(20) + rng.choice([0, 1 << 31]), data, flags,
                      rng.randrange(2**32), rng.randrange(len(data) + 1), port)
            if rng.random() < 0.02:
                wire.time += 100 * SECOND
        wire.streams.finish()
        assert wire.streams.websocket_packets + wire.streams.other_packets == 300, seed
        assert wire.streams.websocket_packets == sum(flow.packets for flow in wire.finished)
        for flow in wire.finished:
            for half in (flow.low, flow.high):
                handed = sum(size for kind, size in wire.taps.readers[half].log if kind == "data")
                assert half.captured_bytes == half.duplicate_bytes + half.after_end_bytes + half.skipped_bytes + handed
