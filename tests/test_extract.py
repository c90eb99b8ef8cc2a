"""The packets of one connection in a pcapng file: which ones, and byte by byte how."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import pytest

from analyzer.extract import Bounds, Extractor, PcapngWriter
from analyzer.records import NO_TIME, Packet, PacketReader, Segment

CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.9", 80)
TIME = 1_772_366_400_123_456_789


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    """(type, body) of every block; both lengths of each must agree."""
    found = []
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0
        assert struct.unpack_from("<I", data, at + size - 4) == (size,)
        found.append((kind, data[at + 8 : at + size - 4]))
        at += size
    return found


def packets_in(data: bytes) -> list[tuple[int, int, bytes, int]]:
    """(interface, time, data, length on the wire) of every enhanced packet block."""
    found = []
    for kind, body in blocks(data):
        if kind == 6:
            interface, high, low, captured, wire = struct.unpack_from("<IIIII", body)
            found.append((interface, high << 32 | low, body[20 : 20 + captured], wire))
    return found


class TestPcapngWriter:
    def test_a_file_without_packets_is_one_section_header(self) -> None:
        stream = io.BytesIO()
        PcapngWriter(stream)
        ((kind, body),) = blocks(stream.getvalue())
        assert kind == 0x0A0D0D0A
        assert struct.unpack_from("<IHHq", body) == (0x1A2B3C4D, 1, 0, -1)

    def test_packets_keep_bytes_lengths_and_nanoseconds(self) -> None:
        stream = io.BytesIO()
        writer = PcapngWriter(stream)
        writer.packet(1, TIME, b"abcde", 1500)
        writer.packet(101, TIME + 1, b"", 0)
        writer.packet(1, TIME + 2, b"abcd", 4)
        data = stream.getvalue()
        assert packets_in(data) == [(0, TIME, b"abcde", 1500), (1, TIME + 1, b"", 0), (0, TIME + 2, b"abcd", 4)]
        interfaces = [body for kind, body in blocks(data) if kind == 1]
        assert [struct.unpack_from("<H", body)[0] for body in interfaces] == [1, 101]
        assert all(body[8:13] == b"\x09\x00\x01\x00\x09" for body in interfaces)

    def test_a_packet_without_a_time_gets_none(self) -> None:
        stream = io.BytesIO()
        PcapngWriter(stream).packet(1, NO_TIME, b"abcde", 5)
        assert blocks(stream.getvalue())[-1] == (3, b"\x05\0\0\0abcde\0\0\0")

    def test_it_is_read_back_by_another_reader(self) -> None:
        dpkt = pytest.importorskip("dpkt")
        stream = io.BytesIO()
        PcapngWriter(stream).packet(1, TIME, b"x" * 61, 61)
        stream.seek(0)
        ((moment, data),) = list(dpkt.pcapng.Reader(stream))
        assert data == b"x" * 61
        assert abs(moment - TIME / 1e9) < 1e-6


@dataclass
class Given:
    """A packet for the stand-in of the packet stage: a segment between two ends, or none; inner: what it swaps in."""

    file: int
    number: int
    ends: tuple[tuple[str, int], tuple[str, int]] | None
    data: bytes = b"packet"
    point: int = 0


class Stage(PacketReader):
    """Stands in for the packet stage: takes the segment from the packet given, swaps the buffer while it does."""

    def __init__(self, packet: Packet, segment: Segment, reader: Extractor) -> None:
        self.record = packet
        self.fields = segment
        self.reader = reader
        self.given: Given | None = None

    def packet(self) -> None:
        assert self.given is not None
        if self.given.ends is None:
            return
        (source, source_port), (destination, destination_port) = self.given.ends
        segment = self.fields
        segment.version = ip_address(source).version
        segment.source_high, segment.source_low = divmod(int(ip_address(source)), 1 << 64)
        segment.destination_high, segment.destination_low = divmod(int(ip_address(destination)), 1 << 64)
        segment.source_port, segment.destination_port = source_port, destination_port
        kept = self.record.data
        self.record.data = b"other bytes"
        self.reader.segment()
        self.record.data = kept


def extracted(bounds: Bounds, *given: Given) -> list[bytes]:
    packet, segment = Packet(), Segment()
    stream = io.BytesIO()
    extractor = Extractor(packet, segment, bounds, PcapngWriter(stream))
    stage = Stage(packet, segment, extractor)
    tap = extractor.tap(stage)
    for each in given:
        stage.given = each
        packet.data = b"##" + each.data + b"##"
        packet.start, packet.stop = 2, 2 + len(each.data)
        packet.wire_length, packet.time, packet.link_type = len(each.data), TIME + each.number, 1
        packet.number, packet.file, packet.point = each.number, each.file, each.point
        tap.packet()
    found = [data for _, _, data, _ in packets_in(stream.getvalue())]
    assert extractor.packets == len(found)
    return found


def bounds(first: tuple[int, int], last: tuple[int, int]) -> Bounds:
    return Bounds(*CLIENT, *SERVER, first, last)


THERE, BACK = (CLIENT, SERVER), (SERVER, CLIENT)


class TestExtractor:
    def test_takes_both_directions_between_the_first_and_the_last_packet(self) -> None:
        found = extracted(
            bounds((0, 3), (0, 7)),
            Given(0, 1, THERE, b"earlier connection"),
            Given(0, 2, None, b"udp"),
            Given(0, 3, THERE, b"first"),
            Given(0, 4, (CLIENT, ("10.0.0.9", 81)), b"other port"),
            Given(0, 5, (("10.0.0.2", 40000), SERVER), b"other host"),
            Given(0, 6, BACK, b"answer"),
            Given(0, 7, THERE, b"last"),
            Given(0, 8, THERE, b"later connection"),
        )
        assert found == [b"first", b"answer", b"last"]

    def test_goes_on_through_files(self) -> None:
        found = extracted(
            bounds((0, 9), (2, 1)),
            Given(0, 9, THERE, b"a"),
            Given(1, 1, BACK, b"b"),
            Given(2, 1, BACK, b"c"),
            Given(2, 9, BACK, b"d"),
        )
        assert found == [b"a", b"b", b"c"]

    def test_leaves_the_same_connection_seen_at_another_point(self) -> None:
        found = extracted(
            bounds((0, 1), (0, 2)),
            Given(0, 1, THERE, b"a"),
            Given(1, 1, THERE, b"copy", point=1),
            Given(0, 2, BACK, b"b"),
        )
        assert found == [b"a", b"b"]

    def test_addresses_of_another_version_do_not_match(self) -> None:
        six = Bounds("::1", 5, "::2", 6, (0, 1), (0, 9))
        found = extracted(
            six,
            Given(0, 1, (("::1", 5), ("::2", 6)), b"a"),
            Given(0, 2, (("0.0.0.1", 5), ("0.0.0.2", 6)), b"b"),
        )
        assert found == [b"a"]

    def test_one_packet_may_be_all(self) -> None:
        assert extracted(bounds((0, 1), (0, 1)), Given(0, 1, THERE, b"a"), Given(0, 2, THERE, b"b")) == [b"a"]


def fragment4(identification: int, offset: int, more: bool, source: str = CLIENT[0]) -> bytes:
    field = (0x2000 if more else 0) | offset
    addresses = ip_address(source).packed + ip_address(SERVER[0]).packed
    return b"ethernet header " + struct.pack(">BBHHHBBH", 0x45, 0, 0, identification, field, 64, 6, 0) + addresses


def fragment6(identification: int, offset: int) -> bytes:
    addresses = ip_address("fd00::1").packed + ip_address("fd00::2").packed
    return struct.pack(">IHBB", 6 << 28, 0, 44, 64) + addresses + struct.pack(">BBHI", 6, 0, offset, identification)


class TestFragments:
    def test_earlier_fragments_of_a_datagram_come_with_it(self) -> None:
        pieces: list[Any] = [fragment4(7, 0, True), fragment4(7, 100, True), fragment4(7, 200, False)]
        found = extracted(
            bounds((0, 3), (0, 9)),
            Given(0, 1, None, pieces[0]),
            Given(0, 2, None, pieces[1]),
            Given(0, 3, THERE, pieces[2]),
            Given(0, 4, None, fragment4(7, 0, True)),
            Given(0, 5, None, fragment4(9, 0, True)),
            Given(0, 6, None, fragment4(7, 0, True, "10.0.0.2")),
            Given(0, 7, THERE, fragment4(9, 1, False)),
        )
        assert found == [*pieces, fragment4(9, 0, True), fragment4(9, 1, False)]

    def test_ipv6_fragments_too(self) -> None:
        six = Bounds("fd00::1", 5, "fd00::2", 6, (0, 3), (0, 9))
        found = extracted(
            six,
            Given(0, 1, None, fragment6(1, 1)),
            Given(0, 2, None, fragment6(2, 1)),
            Given(0, 3, (("fd00::1", 5), ("fd00::2", 6)), fragment6(2, 8)),
        )
        assert found == [fragment6(2, 1), fragment6(2, 8)]

    def test_what_is_held_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        size = len(fragment4(0, 0, True))
        monkeypatch.setattr("analyzer.extract.FRAGMENTS_BYTES", 2 * size)
        given = [Given(0, number, None, fragment4(7, number, True)) for number in range(1, 6)]
        found = extracted(bounds((0, 6), (0, 6)), *given, Given(0, 6, THERE, fragment4(7, 6, False)))
        assert found == [fragment4(7, number, number < 6) for number in (4, 5, 6)]
