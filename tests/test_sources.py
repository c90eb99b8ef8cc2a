"""What can be named as input, and what opening it gives."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import sys
from decimal import Decimal

import pytest

from analyzer.capture.compression import decompress
from analyzer.capture.reading import Captures
from analyzer.problems import CannotRead
from analyzer.records import Packet, PacketReader
from analyzer.sources import Opened, resolve

SECOND = 1_700_000_000


def pcap(count=3, start=SECOND, size=9):
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for i in range(count):
        out += struct.pack("<IIII", start + i, 0, size, size) + bytes([i % 251]) * size
    return out


def zstd(data):
    zstandard = pytest.importorskip("zstandard")
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def lz4(data):
    return pytest.importorskip("lz4.frame").compress(data)


COMPRESSIONS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd, "lz4": lz4}


def content(item):
    """All bytes that an input gives."""
    out = bytearray()
    buffer = bytearray(1000)
    with item.open() as stream:
        while size := stream.readinto(buffer):
            out += buffer[:size]
    return bytes(out)


class Rows(PacketReader):
    def __init__(self, packet):
        self.shared = packet
        self.rows = []
        self.wires = []

    def packet(self):
        packet = self.shared
        data = bytes(packet.data[packet.start : packet.stop])
        self.rows.append((packet.link_type, packet.time, data))
        self.wires.append(packet.wire_length)


def read(*inputs):
    packet = Packet()
    rows = Rows(packet)
    captures = Captures(resolve(inputs), packet, rows)
    captures.run()
    return captures, rows


class Pipe(io.RawIOBase):
    """Gives one byte at a time and cannot go back."""

    def __init__(self, data):
        self.stream = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.stream.readinto(memoryview(buffer)[:1])


class TestPaths:
    def test_a_path_is_named_as_given_and_read_again(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a.pcap").write_bytes(pcap())
        for given in ("a.pcap", "./a.pcap", tmp_path / "a.pcap"):
            (item,) = resolve([given])
            assert item.name == str(given)
            assert item.rereadable
            assert item.size == len(pcap())
            assert content(item) == content(item) == pcap()

    def test_a_missing_file_fails_when_opened_in_one_line(self, tmp_path):
        (item,) = resolve([tmp_path / "none.pcap"])
        with pytest.raises(CannotRead) as caught:
            item.open()
        assert str(caught.value) == f"{tmp_path}/none.pcap: No such file or directory"

    def test_a_folder_gives_its_captures_by_content_sorted(self, tmp_path):
        (tmp_path / "sub").mkdir()
        (tmp_path / "b").write_bytes(pcap())
        (tmp_path / "a.txt").write_bytes(gzip.compress(pcap()))
        (tmp_path / "sub" / "c.log").write_bytes(b"\x0a\x0d\x0d\x0a" + bytes(30))
        (tmp_path / "notes.pcap").write_bytes(b"no capture")
        (tmp_path / "empty.pcap").write_bytes(b"")
        (tmp_path / "archive.gz").write_bytes(gzip.compress(b"no capture"))
        (tmp_path / "broken.gz").write_bytes(gzip.compress(b"")[:5])
        names = [os.path.relpath(item.name, tmp_path) for item in resolve([tmp_path])]
        assert names == ["a.txt", "b", "sub/c.log"]

    def test_a_folder_without_captures_and_a_glob_without_files_say_so(self, tmp_path):
        for given, reason in ((tmp_path, "no capture file in this folder"), (tmp_path / "*.pcap", "no file matches")):
            (item,) = resolve([given])
            with pytest.raises(CannotRead) as caught:
                item.open()
            assert (caught.value.name, caught.value.reason) == (str(given), reason)

    def test_a_glob_gives_its_files_sorted(self, tmp_path):
        for name in ("b.pcap", "a.pcap", "c.txt"):
            (tmp_path / name).write_bytes(pcap())
        assert [item.name for item in resolve([tmp_path / "*.pcap"])] == [f"{tmp_path}/a.pcap", f"{tmp_path}/b.pcap"]

    def test_a_file_may_have_a_name_like_a_glob(self, tmp_path):
        (tmp_path / "a[1].pcap").write_bytes(pcap())
        (item,) = resolve([tmp_path / "a[1].pcap"])
        assert content(item) == pcap()

    def test_a_list_of_paths_is_taken_apart(self, tmp_path):
        assert [item.name for item in resolve([["a", "b"], "c"])] == ["a", "b", "c"]

    def test_a_fifo_is_read_once(self, tmp_path):
        path = tmp_path / "fifo"
        os.mkfifo(path)
        (item,) = resolve([path])
        assert not item.rereadable
        assert item.size is None


class TestUrls:
    def test_a_url_is_opened_by_its_file_system(self):
        fsspec = pytest.importorskip("fsspec")
        memory = fsspec.filesystem("memory")
        memory.pipe("/captures/b.pcap", pcap())
        memory.pipe("/captures/a.pcap.gz", gzip.compress(pcap()))
        (item,) = resolve(["memory://captures/b.pcap"])
        assert (item.name, item.rereadable, item.size) == ("memory://captures/b.pcap", True, len(pcap()))
        assert content(item) == content(item) == pcap()
        assert [item.name for item in resolve(["memory://captures/*"])] == [
            "memory:///captures/a.pcap.gz",
            "memory:///captures/b.pcap",
        ]

    @pytest.mark.parametrize("url", ["memory://captures/none", "memory://none/*", "nosuch://x/y"])
    def test_what_a_url_does_not_give_is_one_line(self, url):
        (item,) = resolve([url])
        with pytest.raises(CannotRead) as caught:
            item.open()
        assert caught.value.name == url
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("url", "remedy"),
        [
            ("http://h/a", ": pip install fsspec[http]"),
            ("https://h/*", ": pip install fsspec[http]"),
            ("filecache::s3://b/a.pcap", ": pip install fsspec[s3]"),
            ("webdav://h/a", ""),  # no extra of fsspec brings its library
        ],
    )
    def test_a_missing_package_of_a_url_is_named_with_what_brings_it(self, url, remedy, monkeypatch):
        def url_to_fs(name):
            raise ImportError("Install this")

        monkeypatch.setattr("fsspec.core.url_to_fs", url_to_fs)
        with pytest.raises(CannotRead) as caught:
            resolve([url])[0].open()
        assert caught.value.reason == f"Install this{remedy}"


class TestFileObjects:
    def test_a_seekable_file_is_read_again_from_where_it_stood_and_left_open(self):
        stream = io.BytesIO(b"before" + pcap())
        stream.seek(6)
        (item,) = resolve([stream])
        assert item.rereadable
        assert content(item) == content(item) == pcap()
        assert not stream.closed

    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_two_readings_at_once_do_not_disturb_each_other(self, pack):
        stream = io.BytesIO(b"before" + pack(pcap()))
        stream.seek(6)
        (item,) = resolve([stream])
        first, second = item.open(), item.open()
        halves = [first.read(100), second.read()]
        assert halves[0] + first.read() == halves[1] == pcap()

    def test_a_pipe_is_read_once(self):
        (item,) = resolve([Pipe(gzip.compress(pcap()))])
        assert content(item) == pcap()
        with pytest.raises(CannotRead, match="only once"):
            item.open()

    def test_standard_input_is_a_dash(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Pipe(pcap()))))
        (item,) = resolve(["-"])
        assert item.name == "-"
        assert content(item) == pcap()

    def test_no_standard_input_says_so(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", None)
        with pytest.raises(CannotRead, match="-: there is no standard input"):
            resolve(["-"])[0].open()

    def test_a_text_file_is_refused(self):
        with pytest.raises(CannotRead, match="'rb'"):
            resolve([io.StringIO("x")])[0].open()

    def test_an_object_with_only_read_is_enough(self):
        class Reads:
            def __init__(self, data):
                self.read = io.BytesIO(data).read

        assert content(resolve([Reads(pcap())])[0]) == pcap()

    def test_an_error_while_reading_is_damage_after_all_that_came_before(self):
        class Fails(Pipe):
            def readinto(self, buffer):
                if self.stream.tell() == len(pcap(2)):
                    raise OSError(5, "Input/output error")
                return super().readinto(buffer)

        captures, rows = read(Fails(pcap(3)))
        assert len(rows.rows) == 2
        assert captures.problems[0].what == "Input/output error; reading ends"
        assert captures.problems[0].where == len(pcap(2))

    @pytest.mark.parametrize("wrong", [b"bytes", 5, None])
    def test_other_things_are_a_type_error(self, wrong):
        with pytest.raises(TypeError):
            resolve([wrong])


class TestCompression:
    @pytest.mark.parametrize("kind", COMPRESSIONS)
    def test_compressed_captures_are_told_by_content(self, kind, tmp_path):
        data = pcap(5000)
        packed = COMPRESSIONS[kind](data)
        (tmp_path / "a.pcap").write_bytes(packed)
        (item,) = resolve([tmp_path / "a.pcap"])
        assert content(item) == data
        assert content(resolve([Pipe(packed)])[0]) == data
        with item.open() as stream:
            while stream.readinto(bytearray(100_000)):
                pass
            assert stream.consumed == len(packed) == item.size

    @pytest.mark.parametrize("kind", COMPRESSIONS)
    def test_streams_one_after_another_are_all_read(self, kind):
        first, second = pcap()[:50], pcap()[50:]
        packed = COMPRESSIONS[kind](first) + COMPRESSIONS[kind](second)
        assert content(resolve([io.BytesIO(packed)])[0]) == pcap()

    @pytest.mark.parametrize("kind", COMPRESSIONS)
    def test_cut_off_data_gives_what_was_there_and_a_problem(self, kind):
        data = bytearray(pcap(9000, size=300))
        for at in range(40, len(data), 316):
            data[at : at + 300] = os.urandom(300)  # which does not compress
        packed = COMPRESSIONS[kind](bytes(data))
        captures, rows = read(io.BytesIO(packed[: len(packed) * 3 // 4]))
        assert 2800 < len(rows.rows) <= 6750
        assert captures.problems[0].what == f"the {kind} data is cut off; reading ends"
        assert captures.problems[0].where == len(packed) * 3 // 4

    @pytest.mark.parametrize("kind", COMPRESSIONS)
    def test_damaged_data_is_a_problem_or_cannot_be_read(self, kind):
        packed = bytearray(COMPRESSIONS[kind](pcap(20000)))
        middle = len(packed) // 2
        packed[middle : middle + 8] = b"\xff\x00\xff\x55\xaa\x13\x37\x99"
        try:
            captures, rows = read(io.BytesIO(bytes(packed)))
        except CannotRead as error:
            assert kind in error.reason
        else:
            assert captures.problems
            assert len(rows.rows) <= 20000

    @pytest.mark.parametrize(("kind", "module"), [("zstd", "zstandard"), ("lz4", "lz4.frame")])
    def test_a_missing_package_is_named(self, kind, module, monkeypatch):
        monkeypatch.setitem(sys.modules, module, None)
        magic = {"zstd": b"\x28\xb5\x2f\xfd", "lz4": b"\x04\x22\x4d\x18"}[kind]
        with pytest.raises(CannotRead, match=r"pip install wsclose\[compression\]"):
            resolve([io.BytesIO(magic + bytes(20))])[0].open()

    def test_gzip_needs_no_package(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "isal", None)
        assert content(resolve([io.BytesIO(gzip.compress(pcap()))])[0]) == pcap()

    def test_a_small_bomb_is_read_in_small_pieces(self):
        packed = io.BytesIO(gzip.compress(bytes(50 << 20)))
        stream = decompress("gzip", Opened("bomb", packed, False))
        assert 0 < stream.readinto(bytearray(1 << 20)) <= 1 << 20
        stream.close()


class TestPacketsInMemory:
    def test_pairs_are_ethernet_with_their_times_to_the_nanosecond(self):
        pairs = [(SECOND, b"int"), (1700000000.123456, bytearray(b"float")), (Decimal("1700000000.123456789"), b"dec")]
        _, rows = read(pairs)
        start = SECOND * 10**9
        assert rows.rows == [(1, start, b"int"), (1, start + 123456000, b"float"), (1, start + 123456789, b"dec")]

    def test_a_list_is_read_again_and_an_iterator_is_not(self):
        pairs = [(1, b"x")]
        assert resolve([pairs])[0].rereadable
        assert not resolve([iter(pairs)])[0].rereadable

    def test_dpkt_readers_give_their_link_type(self):
        dpkt = pytest.importorskip("dpkt")
        data = bytearray(pcap())
        data[20] = 101
        _, rows = read(dpkt.pcap.Reader(io.BytesIO(bytes(data))))
        assert [(link, time) for link, time, _ in rows.rows] == [(101, (SECOND + i) * 10**9) for i in range(3)]

    def test_an_error_of_the_iterator_is_damage_after_all_that_came_before(self):
        def failing():
            yield 1, b"a"
            yield 2, b"b"
            raise ValueError("out of\ncheese")

        captures, rows = read(failing())
        assert [row[2] for row in rows.rows] == [b"a", b"b"]
        assert captures.problems[0].what == "after packet 2: out of cheese; reading ends"

    @pytest.mark.parametrize("pair", [(-1, b"x"), (float("nan"), b"x"), (None, b"x"), (1, "text"), (1,), 7])
    def test_what_is_no_packet_is_damage(self, pair):
        captures, rows = read([(1, b"a"), pair, (2, b"b")])
        assert [row[2] for row in rows.rows] == [b"a"]
        assert captures.problems[0].what.startswith("after packet 1: ")

    def test_no_packets_at_all_is_an_empty_capture(self):
        captures, rows = read([])
        assert rows.rows == [] and captures.problems == []

    def test_many_packets_are_made_as_they_are_read(self):
        made = 0

        def packets():
            nonlocal made
            for made in range(100_000):
                yield made, bytes(100)

        stream = resolve([packets()])[0].open()
        stream.readinto(bytearray(1000))
        assert made < 5000

    def test_scapy_packets_keep_their_own_link_types(self):
        pytest.importorskip("scapy")
        from scapy.layers.inet import IP, TCP
        from scapy.layers.inet6 import IPv6
        from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Ether, Loopback
        from scapy.plist import PacketList

        kinds = [(Ether, 1), (IP, 101), (IPv6, 101), (CookedLinux, 113), (CookedLinuxV2, 276), (Loopback, 0)]
        packets = PacketList([kind() / TCP() if kind in (IP, IPv6) else kind() / IP() / TCP() for kind, _ in kinds])
        for i, packet in enumerate(packets):
            packet.time = Decimal(SECOND) + Decimal(i) / 10**9
        packets[0].wirelen = 1500
        _, rows = read(packets)
        assert [row[0] for row in rows.rows] == [link for _, link in kinds]
        assert [row[1] for row in rows.rows] == [SECOND * 10**9 + i for i in range(6)]
        assert [row[2] for row in rows.rows] == [bytes(packet) for packet in packets]
        assert rows.wires[0] == 1500
