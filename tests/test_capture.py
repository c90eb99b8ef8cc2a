"""The capture stage, on files made byte by byte."""

from __future__ import annotations

import io
import os
import random
import struct

import pytest

from analyzer import limits
from analyzer.capture.reading import Captures
from analyzer.problems import CannotRead
from analyzer.records import NO_TIME, Packet, PacketReader
from analyzer.sources import Input, resolve

MICRO, NANO, MODIFIED = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34
SECOND = 1_700_000_000


def pcap(packets, *, magic=MICRO, order="<", link=1, snap=262144):
    """A pcap file of (seconds, fraction, data[, wire length])."""
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)
    for seconds, fraction, data, *wire in packets:
        out += struct.pack(order + "IIII", seconds, fraction, len(data), *(wire or [len(data)]))
        out += bytes(8 if magic == MODIFIED else 0) + data
    return out


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link=1, *, snap=0, order="<", options=()):
    body = struct.pack(order + "HHI", link, 0, snap)
    for code, value in options:
        body += struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)
    return block(1, body, order)


def enhanced(index, ticks, data, order="<", wire=None):
    wire = len(data) if wire is None else wire
    fields = struct.pack(order + "IIIII", index, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire)
    return block(6, fields + data + bytes(-len(data) % 4), order)


class Rows(PacketReader):
    """Notes every packet as (file, number, time, data)."""

    def __init__(self, packet):
        self.shared = packet
        self.rows = []
        self.points = []
        self.links = []
        self.wires = []

    def packet(self):
        packet = self.shared
        self.rows.append((packet.file, packet.number, packet.time, bytes(packet.data[packet.start : packet.stop])))
        self.points.append(packet.point)
        self.links.append(packet.link_type)
        self.wires.append(packet.wire_length)


class Slow(io.RawIOBase):
    """A pipe that gives `size` bytes at a time."""

    def __init__(self, data, size):
        self.data, self.size, self.at = data, size, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        piece = self.data[self.at : self.at + min(self.size, len(buffer))]
        buffer[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)


def read(*inputs, **options):
    """Read byte strings (as files), paths, or what else is an input."""
    packet = Packet()
    rows = Rows(packet)
    files = [io.BytesIO(item) if isinstance(item, bytes) else item for item in inputs]
    captures = Captures(resolve(files), packet, rows, **options)
    captures.run()
    return captures, rows


def payloads(rows):
    return [row[3] for row in rows.rows]


class TestPcap:
    @pytest.mark.parametrize("order", "<>")
    @pytest.mark.parametrize(("magic", "unit"), [(MICRO, 1000), (NANO, 1), (MODIFIED, 1000)])
    def test_every_variant_gives_the_same_packets(self, order, magic, unit):
        _, rows = read(pcap([(SECOND, 5, b"one"), (SECOND, 7, b"two", 99)], magic=magic, order=order, link=101))
        start = SECOND * 10**9
        assert rows.rows == [(0, 1, start + 5 * unit, b"one"), (0, 2, start + 7 * unit, b"two")]
        assert rows.links == [101, 101]
        assert rows.wires == [3, 99]

    def test_the_largest_time_is_taken_as_it_is(self):
        _, rows = read(pcap([(0xFFFFFFFF, 5_000_000, b"x")]))
        assert rows.rows[0][2] == 0xFFFFFFFF * 10**9 + 5_000_000_000

    def test_a_frame_check_sequence_is_taken_off(self):
        packets = [(1, 0, b"bodyFCS!"), (1, 0, b"bod", 8), (1, 0, b"bodyF", 8), (1, 0, b"xy")]
        _, rows = read(pcap(packets, link=0x24000001))
        assert payloads(rows) == [b"body", b"bod", b"body", b"xy"]
        assert rows.wires == [4, 4, 4, 2]
        assert rows.links == [1] * 4

    def test_a_length_that_lies_ends_the_file_with_its_place(self):
        good = pcap([(1, 0, b"abc")])
        captures, rows = read(good + struct.pack("<IIII", 2, 0, 0x7FFFFFFF, 3) + b"abc")
        assert payloads(rows) == [b"abc"]
        (problem,) = captures.problems
        assert problem.where == len(good)
        assert "2147483647" in problem.what

    def test_a_packet_longer_than_its_wire_length_counts_as_long_as_it_is(self):
        _, rows = read(pcap([(1, 0, b"abcdef", 2)]))
        assert rows.wires == [6]

    def test_a_file_joined_to_another_is_read_on(self):
        first = pcap([(1, 0, b"a")], link=1)
        second = pcap([(2, 9, b"b")], magic=NANO, order=">", link=101)
        for size in (1, 1000):
            captures, rows = read(Slow(first + second, size))
            assert rows.rows == [(0, 1, 10**9, b"a"), (0, 2, 2 * 10**9 + 9, b"b")]
            assert rows.links == [1, 101]
            assert [problem.where for problem in captures.problems] == [len(first)]

    def test_an_empty_packet_is_a_packet(self):
        _, rows = read(pcap([(1, 0, b"", 60), (2, 0, b"x")]))
        assert payloads(rows) == [b"", b"x"]

    def test_a_record_larger_than_the_buffer_is_read(self, monkeypatch):
        monkeypatch.setattr(limits, "READ_BUFFER", 64)
        large = bytes(range(256)) * 40
        _, rows = read(pcap([(1, 0, b"a"), (2, 0, large), (3, 0, b"b")]))
        assert payloads(rows) == [b"a", large, b"b"]


class TestPcapng:
    @pytest.mark.parametrize("order", "<>")
    def test_resolution_offset_and_link_type_are_each_interfaces_own(self, order):
        def tick(value):
            return enhanced(0, value, b"x", order)

        cases = [
            ((), 1_000_001, 1_000_001_000),
            (((9, b"\x09"),), 1_000_001, 1_000_001),
            (((9, b"\x03"),), 7, 7_000_000),
            (((9, b"\x0c"),), 7_999, 7),
            (((9, b"\x8a"),), 1025, 1_000_976_562),
            (((14, struct.pack(order + "q", -3)),), 5_000_000, 2_000_000_000),
            (((9, b"\x09"), (14, struct.pack(order + "q", 1))), 5, 1_000_000_005),
            (((2, b"eth0"), (0, b""), (9, b"\x03")), 5, 5000),
        ]
        for options, ticks, expected in cases:
            data = section(order) + interface(101, order=order, options=options) + tick(ticks)
            _, rows = read(data)
            assert [row[2] for row in rows.rows] == [expected], options
            assert rows.links == [101]

    def test_a_time_that_does_not_fit_is_missing_and_told(self):
        data = section() + interface(options=[(9, b"\x00")]) + enhanced(0, 1 << 63, b"x") + enhanced(0, 5, b"y")
        captures, rows = read(data)
        assert [row[2] for row in rows.rows] == [NO_TIME, 5 * 10**9]
        assert len(captures.problems) == 1

    def test_sections_have_their_own_byte_order_and_interfaces(self):
        data = section("<") + interface(1) + enhanced(0, 1, b"a")
        data += section(">") + interface(101, order=">") + interface(113, order=">") + enhanced(1, 2, b"b", ">")
        _, rows = read(data)
        assert payloads(rows) == [b"a", b"b"]
        assert rows.links == [1, 113]

    @pytest.mark.parametrize("order", "<>")
    def test_simple_and_obsolete_packets_are_read(self, order):
        data = section(order) + interface(1, snap=4, order=order) + interface(101, order=order)
        data += block(3, struct.pack(order + "I", 9) + b"abcd", order)
        data += block(3, struct.pack(order + "I", 2) + b"ab\0\0", order)
        data += block(2, struct.pack(order + "HHIIII", 1, 7, 0, 8, 3, 5) + b"xyz\0", order)
        _, rows = read(data)
        assert rows.rows == [(0, 1, NO_TIME, b"abcd"), (0, 2, NO_TIME, b"ab"), (0, 3, 8000, b"xyz")]
        assert rows.wires == [9, 2, 5]
        assert rows.links == [1, 1, 101]

    def test_secrets_are_kept(self):
        secret = b"CLIENT_RANDOM 00 11\n"
        data = section() + block(10, struct.pack("<II", 0x544C534B, len(secret)) + secret) + interface()
        captures, _ = read(data)
        assert captures.secrets == [(0x544C534B, secret)]

    def test_unknown_blocks_are_passed_over_however_long(self, monkeypatch):
        monkeypatch.setattr(limits, "READ_BUFFER", 64)
        data = section() + block(0xBAD, bytes(5000)) + interface() + block(5, b"") + enhanced(0, 1, b"x")
        for size in (1, 7, 64, 10_000):
            captures, rows = read(Slow(data, size))
            assert payloads(rows) == [b"x"]
            assert captures.problems == []

    def test_damage_within_a_block_costs_one_packet(self):
        too_long = block(6, struct.pack("<IIIII", 0, 0, 1, 400, 400) + b"abcd")
        data = section() + interface() + too_long + enhanced(7, 1, b"b") + block(6, b"1234") + enhanced(0, 1, b"c")
        captures, rows = read(data)
        assert rows.rows == [(0, 4, 1000, b"c")]
        assert captures.counts["unreadable"] == 3
        assert captures.counts["packets"] == 4
        assert len(captures.problems) == 3

    def test_a_block_length_that_lies_ends_the_file_with_its_place(self):
        good = section() + interface() + enhanced(0, 1, b"x")
        for bad in (
            struct.pack("<III", 6, 8, 0),
            struct.pack("<III", 6, 1 << 30, 0),
            block(6, bytes(40))[:-4] + b"\0\0\0\1",
            struct.pack("<III", 0x0A0D0D0A, 28, 5),
        ):
            captures, rows = read(good + bad + enhanced(0, 1, b"y"))
            assert payloads(rows) == [b"x"]
            assert [problem.where for problem in captures.problems] == [len(good)]

    def test_uncounted_padding_is_accepted(self):
        body = struct.pack("<IIIII", 0, 0, 1, 3, 3) + b"abc\0"
        length = struct.pack("<I", len(body) + 11)
        data = section() + interface() + struct.pack("<I", 6) + length + body + length + enhanced(0, 2, b"x")
        assert payloads(read(data)[1]) == [b"abc", b"x"]


def samples():
    several = [(SECOND + i, i, bytes([i]) * (i * 13 % 70)) for i in range(40)]
    ng = section() + interface(snap=8) + interface(101, options=[(9, b"\x09")])
    ng += block(10, struct.pack("<II", 1, 3) + b"key") + block(99, bytes(321))
    ng += b"".join(enhanced(i % 2, SECOND * 10**6 + i, bytes([i]) * i) for i in range(40))
    ng += block(3, struct.pack("<I", 20) + b"12345678")
    return [pcap(several), pcap(several, magic=MODIFIED, order=">"), ng, ng + section(">") + interface(order=">")]


class TestInPieces:
    @pytest.mark.parametrize("data", samples())
    def test_pieces_of_any_size_give_the_same(self, data, monkeypatch):
        whole = read(data)[1]
        for size in (1, 2, 3, 17, 100):
            rows = read(Slow(data, size))[1]
            assert rows.rows == whole.rows
        monkeypatch.setattr(limits, "READ_BUFFER", 16)
        assert read(Slow(data, 5))[1].rows == whole.rows

    @pytest.mark.parametrize("data", samples())
    def test_a_file_cut_anywhere_gives_what_was_whole_and_says_so(self, data):
        whole = read(data)[1].rows
        ends = set()
        for cut in range(len(data)):
            try:
                captures, rows = read(data[:cut])
            except CannotRead as error:
                assert cut < 28, error
                continue
            assert rows.rows == whole[: len(rows.rows)]
            if captures.problems:
                assert captures.counts["truncated bytes"] > 0 or "middle" in captures.problems[0].what
                assert captures.problems[0].where <= cut
            else:
                ends.add(cut)
                assert captures.counts["truncated bytes"] == 0
        assert len(ends) >= len(whole) - 1

    @pytest.mark.parametrize("data", samples())
    def test_junk_never_raises_anything_but_cannot_read(self, data):
        dice = random.Random(7)
        for _ in range(300):
            junk = bytearray(data)
            for _ in range(dice.randrange(1, 6)):
                junk[dice.randrange(len(junk))] = dice.choice((0, 255, dice.randrange(256)))
            try:
                captures, rows = read(bytes(junk))
            except CannotRead:
                continue
            counts = captures.counts
            assert counts["packets"] == len(rows.rows) + counts["unreadable"] + counts["outside time range"]


class TestSeveralFiles:
    def test_files_come_in_the_order_of_their_first_times(self):
        a, b, c = (pcap([(second, 0, name)]) for second, name in ((30, b"a"), (10, b"b"), (20, b"c")))
        _, rows = read(a, b, c)
        assert [(row[0], row[3]) for row in rows.rows] == [(1, b"b"), (2, b"c"), (0, b"a")]

    def test_overlapping_files_are_merged_and_none_is_sorted_within(self):
        a = pcap([(10, 0, b"a1"), (14, 0, b"a2"), (9, 0, b"a3"), (30, 0, b"a4")])
        b = pcap([(12, 0, b"b1"), (14, 0, b"b2"), (20, 0, b"b3"), (40, 0, b"b4")])
        _, rows = read(a, b)
        assert payloads(rows) == [b"a1", b"b1", b"a2", b"a3", b"b2", b"b3", b"a4", b"b4"]
        assert [row[1] for row in rows.rows] == [1, 1, 2, 3, 2, 3, 4, 4]

    def test_merging_equals_sorting_for_files_in_order(self):
        dice = random.Random(3)
        times = [sorted(dice.randrange(1000) for _ in range(60)) for _ in range(7)]
        files = [pcap([(time, 0, bytes([i])) for time in column]) for i, column in enumerate(times)]
        _, rows = read(*(Slow(data, 50) if i % 2 else data for i, data in enumerate(files)))
        expected = sorted((time, min(column), i) for i, column in enumerate(times) for time in column)
        assert [row[2] // 10**9 for row in rows.rows] == [time for time, _, _ in expected]

    def test_files_without_times_keep_their_place(self):
        def untimed(name):
            return section() + interface() + block(3, struct.pack("<I", 1) + name + bytes(3))

        a, c = pcap([(30, 0, b"a")]), pcap([(10, 0, b"c"), (11, 0, b"C")])
        _, rows = read(untimed(b"x"), a, untimed(b"y"), c, untimed(b"z"))
        assert payloads(rows) == [b"x", b"c", b"C", b"y", b"a", b"z"]
        assert [row[0] for row in rows.rows] == [0, 3, 3, 2, 1, 4]

    def test_pipes_lose_nothing_to_the_look_at_their_beginning(self):
        simple = block(3, struct.pack("<I", 1) + b"s" + bytes(3))
        data = section() + interface() + simple + enhanced(0, 5_000_000, b"t") + simple
        _, rows = read(Slow(data, 9), Slow(pcap([(1, 0, b"p"), (9, 0, b"q")]), 5))
        assert sorted(payloads(rows)) == [b"p", b"q", b"s", b"s", b"t"]
        assert payloads(rows)[0] == b"p"

    def test_an_unreadable_file_among_others_is_an_error_and_the_rest_is_read(self):
        captures, rows = read(b"", pcap([(1, 0, b"x")]), b"GIF89a")
        assert payloads(rows) == [b"x"]
        assert [error.reason for error in captures.errors] == [
            "the file is empty",
            "not a pcap or pcapng file: it begins with 47 49 46 38",
        ]

    def test_nothing_readable_raises_the_first_error(self):
        with pytest.raises(CannotRead, match=r"<BytesIO>: the file is empty \(byte 0\)"):
            read(b"", b"GIF89a")
        with pytest.raises(CannotRead, match="ends within its header"):
            read(pcap([])[:20])

    @pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts the open files by /proc")
    def test_hundreds_of_files_are_not_open_at_once(self, tmp_path):
        for i in range(300):
            (tmp_path / f"{i:03}.pcap").write_bytes(pcap([(SECOND + i, 0, b"x")]))
        most = 0

        class Watch(Rows):
            def packet(self):
                nonlocal most
                most = max(most, len(os.listdir("/proc/self/fd")))
                super().packet()

        before = len(os.listdir("/proc/self/fd"))
        packet = Packet()
        rows = Watch(packet)
        Captures(resolve([tmp_path]), packet, rows).run()
        assert [row[0] for row in rows.rows] == list(range(300))
        assert most <= before + 3


class TestTimeRange:
    def test_packets_outside_are_counted_and_keep_their_numbers(self):
        data = pcap([(second, 0, b"%d" % second) for second in (1, 5, 2, 6, 9)])
        captures, rows = read(data, since=2 * 10**9, until=6 * 10**9)
        assert [row[1] for row in rows.rows] == [2, 3, 4]
        assert captures.counts == {"packets": 5, "outside time range": 2, "unreadable": 0, "truncated bytes": 0}

    def test_packets_without_a_time_are_inside(self):
        data = section() + interface() + block(3, struct.pack("<I", 1) + b"s" + bytes(3)) + enhanced(0, 1, b"t")
        captures, rows = read(data, since=10**9)
        assert payloads(rows) == [b"s"]
        assert captures.counts["outside time range"] == 1


class TestProgress:
    def test_progress_ends_at_the_total(self, tmp_path):
        path = tmp_path / "a.pcap"
        path.write_bytes(pcap([(1, 0, bytes(60_000))] * 60))
        told = []
        read(path, progress=lambda done, total: told.append((done, total)))
        size = path.stat().st_size
        assert told[-1] == (size, size)
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        assert 2 <= len(told) <= size // limits.READ_BUFFER + 2

    def test_the_total_of_a_pipe_is_unknown(self):
        told = []
        data = pcap([(1, 0, b"x")])
        read(Slow(data, 10), progress=lambda done, total: told.append((done, total)))
        assert told == [(len(data), None)]


def syn(port=1000, sequence=1, *, time_to_live=64, mac=b"\2" * 12, tags=b"", version=4):
    tcp = struct.pack(">HHIIBBHHH", port, 80, sequence, 0, 0x50, 2, 1000, 0, 0)
    if version == 4:
        network = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, time_to_live, 6, 0, b"\n\0\0\1", b"\n\0\0\2")
        return mac + tags + b"\x08\x00" + network + tcp
    network = struct.pack(">IHBB16s16s", 6 << 28, 20, 6, time_to_live, b"\xfd" + bytes(15), b"\xfe" + bytes(15))
    return mac + tags + b"\x86\xdd" + network + tcp


def later(data):
    return (SECOND + 9, 0, data)


class TestPoints:
    @pytest.mark.parametrize("version", (4, 6))
    def test_overlapping_files_with_the_same_syn_are_different_points(self, version):
        a = pcap([(SECOND, 0, syn(version=version)), later(b"x")])
        b = pcap([(SECOND, 5, syn(version=version, tags=b"\x81\0\0\7")), later(b"y")])
        assert read(a, b)[1].points == [0, 1, 0, 1]
        assert read(a, b, points="merge")[1].points == [0, 0, 0, 0]

    def test_files_without_a_syn_in_common_are_one_point(self):
        a = pcap([(SECOND, 0, syn(1)), later(b"x")])
        b = pcap([(SECOND, 5, syn(2)), later(b"y")])
        assert set(read(a, b)[1].points) == {0}
        assert read(a, b, points="separate")[1].points == [0, 1, 0, 1]

    def test_a_syn_repeated_after_a_rotation_is_one_point(self):
        a = pcap([(SECOND, 0, syn())])
        b = pcap([(SECOND + 3, 0, syn())])
        assert read(a, b)[1].points == [0, 0]

    def test_what_cannot_be_read_twice_is_one_point(self):
        data = pcap([(SECOND, 0, syn()), later(b"x")])
        assert set(read(Slow(data, 100), Slow(data, 100))[1].points) == {0}

    def test_rotated_files_of_two_points_go_together_by_name(self):
        names = ["client_1", "server_1", "server_2", "client_2"]
        inputs = []
        for i, name in enumerate(names):
            start = SECOND + 100 * (i // 2)
            data = pcap([(start, i, syn(i // 2)), (start + 9, 0, name.encode())])
            inputs.append(Input(name, lambda data=data: io.BytesIO(data), rereadable=True))
        packet = Packet()
        rows = Rows(packet)
        Captures(inputs, packet, rows).run()
        found = {data: point for (_, _, _, data), point in zip(rows.rows, rows.points, strict=True)}
        assert [found[name.encode()] for name in names] == [0, 1, 1, 0]

    def two_interfaces(self, first, second):
        data = section() + interface() + interface()
        return data + b"".join(enhanced(i % 2, i, copy) for i, copy in enumerate((*first, *second)))

    def test_interfaces_whose_copies_differ_throughout_are_different_points(self):
        data = self.two_interfaces((syn(1), syn(1, time_to_live=63)), (syn(2), syn(2, time_to_live=63)))
        assert read(data)[1].points == [0, 1, 0, 1]
        data = self.two_interfaces((syn(1), syn(1, mac=b"\3" * 12)), (syn(2), syn(2, mac=b"\3" * 12)))
        assert read(data)[1].points == [0, 1, 0, 1]
        assert set(read(data, points="merge")[1].points) == {0}

    def test_interfaces_whose_copies_are_alike_are_one_point(self):
        data = self.two_interfaces((syn(1), syn(1)), (syn(2), syn(2, time_to_live=63)))
        assert set(read(data)[1].points) == {0}
        assert read(data, points="separate")[1].points == [0, 1, 0, 1]

    def test_junk_instead_of_packets_is_one_point(self):
        dice = random.Random(1)
        junk = [(SECOND, i, dice.randbytes(dice.randrange(80))) for i in range(300)]
        for link in (0, 1, 12, 113, 276, 105):
            assert set(read(pcap([*junk, later(b"x")], link=link), pcap(junk))[1].points) == {0}

    def test_an_unknown_mode_is_refused(self):
        with pytest.raises(ValueError, match="points must be"):
            Captures([], Packet(), PacketReader(), points="both")
