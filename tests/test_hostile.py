"""Input that somebody made to do harm: nothing crashes, hangs or grows past the limits; reaching one is visible."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import struct
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conversation import BINARY, CLOSE, KEY, PING, PONG, TEXT, frame
from hosts import ACK, ANSWER, REQUEST, SYN, Hosts
from invariants import analyzed
from mutations import FILE_HEADER, NANOSECOND_MAGIC, RECORD, Captured, written

import analyzer
from analyzer import cli, limits

MEBIBYTE = 1 << 20
EVIL = "\x1b[2J\x9b31m=HYPERLINK(\"http://x\")<script>alert(1)</script>\x00\u202e,\"\n'"
BROKEN = b"=cmd\xff\xfe\x1b]0;owned\x07<b>\x00"


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    """Nothing here takes long, whatever it claims to be."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 60


def _count(result: Any, unit: str, kind: str) -> int:
    ledger = result.ledger
    return int(ledger.loc[(ledger["unit"] == unit) & (ledger["kind"] == kind), "count"].sum())


def _peak(content: bytes) -> tuple[Any, int]:
    """The analysis, and the most memory it took beside its input."""
    analyzed(content[:0] or b"\n\r\r\n")  # what is imported and kept once is no growth
    tracemalloc.start()
    try:
        result = analyzed(content)
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class TestFiles:
    def test_random_bytes_are_no_capture_or_an_account_of_one(self) -> None:
        chance = random.Random(1)
        pcap, pcapng = b"\xd4\xc3\xb2\xa1\2\0\4\0", b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a"
        for magic in (b"", pcap, pcapng, b"\x1f\x8b\x08\0"):
            for _ in range(30):
                analyzed(magic + chance.randbytes(chance.randrange(3000)))

    @pytest.mark.parametrize("claimed", [1 << 31, (1 << 32) - 1, limits.RECORD_BYTES + 1])
    def test_a_record_that_claims_gigabytes_ends_the_reading_and_says_so(self, claimed: int) -> None:
        good = Hosts().open().close().packets
        content = written(good) + RECORD.pack(1_700_000_100, 0, claimed, claimed) + bytes(5000)
        result, peak = _peak(content)
        assert len(result.connections) == 1 and result.problems
        assert peak < 40 * MEBIBYTE

    def test_a_record_that_claims_megabytes_that_are_not_there_costs_no_more_than_the_limit(self) -> None:
        header = FILE_HEADER.pack(NANOSECOND_MAGIC, 2, 4, 0, 0, (1 << 32) - 1, 1)
        _, peak = _peak(header + RECORD.pack(0, 0, limits.PACKET_BYTES, 60) + bytes(100))
        assert peak < 40 * MEBIBYTE

    @pytest.mark.parametrize("length", [0, 11, 12, 13, 31, 1 << 31, (1 << 32) - 1, (1 << 32) - 4])
    @pytest.mark.parametrize("kind", [1, 3, 6, 10, 0x0BAD])
    def test_block_lengths_that_lie_end_the_reading_or_pass_the_block(self, kind: int, length: int) -> None:
        section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
        interface = struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
        result = analyzed(section + interface + struct.pack("<II", kind, length) + bytes(400))
        assert result is not None and result.problems

    def test_a_compressed_capture_that_is_mostly_nothing_is_read_through_the_buffer(self) -> None:
        size = 100 * MEBIBYTE
        section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
        bomb = gzip.compress(section + struct.pack("<II", 0x0BAD, size + 12) + bytes(size), 1)
        _, peak = _peak(bomb + gzip.compress(struct.pack("<I", size + 12)))
        assert peak < 20 * MEBIBYTE


class TestConnections:
    def test_connections_to_nowhere_cost_little_each_and_are_forgotten_at_their_end(self) -> None:
        packets = []
        for port in range(1, 4_000):
            packets += Hosts(port).packet("client", 5, flags=SYN).packet("server", 9, flags=SYN | ACK).packets
        result, peak = _peak(written(packets))
        assert result is not None and _count(result, "packet", "other TCP") == len(packets)
        assert peak < 8 * MEBIBYTE

    def test_what_is_held_beyond_holes_is_bounded_for_one_direction(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "HELD_SEGMENTS_BYTES", 1 << 18)
        hosts = Hosts().open()
        for number in range(220):
            hosts.packet("server", hosts.next["server"] + 5000 + 3000 * number, bytes(1400))
        result, peak = _peak(written(hosts.packets))
        assert peak < 4 * MEBIBYTE
        assert result.connections.iloc[0]["lost_bytes"] > 0

    def test_what_is_held_beyond_holes_is_bounded_for_all_directions_together(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "KEPT_IN_ALL_BYTES", 1 << 17)
        packets = []
        for port in range(1, 40):
            hosts = Hosts(port).open()
            for number in range(20):
                hosts.packet("server", hosts.next["server"] + 1400 + 1400 * number, bytes(1400))
            packets += hosts.packets
        result = analyzed(written(packets))
        assert result is not None and len(result.connections) == 39
        assert (result.connections["lost_bytes"] > 0).all()

    def test_tiny_pieces_beyond_a_hole_are_bounded_by_what_they_cost(self) -> None:
        hosts = Hosts().open()
        for number in range(16_000):
            hosts.packet("server", hosts.next["server"] + 10 + 2 * number, b"x")
        result, peak = _peak(written(hosts.packets))
        assert result is not None and peak < 8 * limits.HELD_SEGMENTS_BYTES

    def test_sequence_numbers_from_all_over_do_not_break_the_account(self) -> None:
        chance = random.Random(2)
        hosts = Hosts().open()
        for _ in range(2000):
            sequence = chance.choice((chance.randrange(1 << 32), hosts.next["server"] + chance.randrange(-9, 9)))
            hosts.next["client"] = chance.choice((hosts.next["client"], chance.randrange(1 << 32)))
            who, data = chance.choice(("client", "server")), bytes(chance.randrange(50))
            hosts.packet(who, sequence, data, chance.randrange(64))
        assert hosts.result() is not None

    def test_tunnels_in_tunnels_are_opened_to_the_limit_and_then_counted(self) -> None:
        inner = Hosts().packet("client", 1, b"GET / HTTP/1.1\r\n\r\n").packets[0].data[14:]
        for _ in range(200):
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inner), 1, 0, 64, 4, 0)
            inner = head + bytes((10, 0, 0, 1, 10, 0, 0, 2)) + inner
        content = bytes(12) + b"\x08\0" + inner
        result = analyzed(written([Captured(0, content, len(content))]))
        assert result is not None and _count(result, "packet", "too many tunnels") == 1


class TestStreams:
    @pytest.mark.parametrize("size", [1 << 63, (1 << 64) - 1, (1 << 63) - 1, 1 << 62])
    def test_a_frame_that_declares_more_than_there_can_be_is_never_complete(self, size: int) -> None:
        hosts = Hosts().open().say("server", frame(BINARY, b"only so much", length=size))
        result = hosts.say("client", frame(CLOSE, b"\x03\xe8", key=KEY)).result()
        row = result.connections.iloc[0]
        assert row["server_frames"] == 0 and row["client_code"] == 1000
        assert _count(result, "byte", "frames") == 10 + 12 + 8

    def test_a_decompression_bomb_is_inflated_to_the_limit(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "INFLATED_MESSAGE", MEBIBYTE)
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = (packer.compress(bytes(30 * MEBIBYTE)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        hosts = Hosts()
        extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        hosts.say("client", flags=SYN).say("server", flags=SYN | ACK)
        hosts.say("client", REQUEST[:-2] + extension).say("server", ANSWER[:-2] + extension)
        data = frame(BINARY, bomb, rsv=4)
        for at in range(0, len(data), 1400):
            hosts.say("server", data[at : at + 1400])
        result, peak = _peak(written(hosts.packets))
        assert peak < 16 * MEBIBYTE
        assert result.messages["bytes"].isna().all() and len(result.messages) == 1

    def test_a_compressed_message_of_crumbs_costs_no_more_than_its_bytes(self) -> None:
        hosts = Hosts()
        extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        hosts.say("client", flags=SYN).say("server", flags=SYN | ACK)
        hosts.say("client", REQUEST[:-2] + extension).say("server", ANSWER[:-2] + extension)
        crumbs = frame(BINARY, b"x", fin=False, rsv=4) + frame(0, b"x", fin=False) * 60_000
        for at in range(0, len(crumbs), 30_000):
            hosts.say("server", crumbs[at : at + 30_000])
        tracemalloc.start()
        result = analyzer.analyze(io.BytesIO(written(hosts.packets)), tables=("connections",))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert result.connections.iloc[0]["server_frames"] == 60_001 and peak < 4 * MEBIBYTE

    def test_a_header_block_without_end_is_given_up_at_the_limit_and_counted(self) -> None:
        hosts = Hosts().say("client", REQUEST[:-2])
        for _ in range(100):
            hosts.say("client", b"X-Padding: " + b"y" * 1300 + b"\r\n")
        result = hosts.result()
        assert result.connections.empty and result.flow_kinds["header block too long"] == 1

    def test_what_a_client_sends_before_the_answer_is_bounded_and_counted(self) -> None:
        hosts = Hosts().say("client", REQUEST)
        for _ in range(1200):
            hosts.say("client", frame(BINARY, bytes(1380), key=KEY))
        result = hosts.say("server", ANSWER).result()
        assert _count(result, "byte", "over a limit") > 0

    def test_more_closes_than_are_kept_are_said_to_be(self) -> None:
        hosts = Hosts().open()
        for _ in range(30):
            hosts.say("server", frame(CLOSE, b"\x03\xe8") * 100)
        result = hosts.result()
        assert len(result.closes) == limits.CLOSES_KEPT
        assert any("Close frames" in str(problem) for problem in result.problems)

    def test_as_many_closes_as_are_kept_are_all_there(self) -> None:
        hosts = Hosts().open()
        for _ in range(limits.CLOSES_KEPT // 100):
            hosts.say("server", frame(CLOSE, b"\x03\xe8") * 100)
        result = hosts.result()
        assert len(result.closes) == limits.CLOSES_KEPT
        assert not any("Close frames" in str(problem) for problem in result.problems)

    def test_pings_without_end_cost_a_bounded_memory(self) -> None:
        hosts = Hosts().open()
        for _ in range(100):
            hosts.say("server", frame(PING, b"x") * 100).say("client", frame(PONG, b"x", key=KEY) * 50)
        row = hosts.row()
        assert row["server_pings"] == 10_000


class TestRenderings:
    """Names and reasons with terminal escapes, HTML, formulas, NULs and broken UTF-8."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        hosts = Hosts()
        hosts.say("client", flags=SYN).say("server", flags=SYN | ACK)
        evil = EVIL.replace("\n", "").encode()
        request = REQUEST.replace(b"/odd", b"/=1+1\x1b[31m<img\xff>").replace(b"example.org", evil)
        hosts.say("client", request).say("server", ANSWER)
        hosts.say("server", frame(CLOSE, b"\x03\xe8" + EVIL.encode()))
        hosts.say("client", frame(CLOSE, b"\x03\xe9" + BROKEN, key=KEY))
        hosts.say("client", frame(TEXT, EVIL.encode(), key=KEY))
        path = tmp_path / "evil.pcap"
        path.write_bytes(written(hosts.packets))
        assert analyzed(path.read_bytes()) is not None
        return path

    @pytest.mark.parametrize(
        "words",
        [
            ["FILE"],
            ["show", "FILE", "0"],
            *(
                [table, "FILE", "--format", kind]
                for table in ("connections", "closes")
                for kind in ("table", "csv", "json", "jsonl")
            ),
        ],
    )
    def test_nothing_shown_can_act_on_a_terminal(self, file: Path, words: list[str], capsys: Any) -> None:
        assert cli.main([str(file) if word == "FILE" else word for word in words]) == 0
        shown = capsys.readouterr()
        for text in (shown.out, shown.err):
            assert not [character for character in text if ord(character) < 32 and character not in "\n\t"]
            assert not any(character in text for character in "\x7f\x9b\u202e")

    def test_no_cell_of_a_csv_file_is_a_formula_or_breaks_its_row(self, file: Path, tmp_path: Path) -> None:
        output = tmp_path / "out.csv"
        for table in ("connections", "closes"):
            assert cli.main([table, str(file), "-o", str(output)]) == 0
            rows = list(csv.reader(io.StringIO(output.read_text(encoding="utf-8"), newline="")))
            assert len({len(row) for row in rows}) == 1
            assert not [cell for row in rows for cell in row if len(cell) > 1 and cell[0] in "=+@\t\r"]

    def test_machine_formats_keep_the_exact_text(self, file: Path, tmp_path: Path) -> None:
        broken = BROKEN.decode("utf-8", "backslashreplace")
        for suffix in ("json", "jsonl", "parquet", "arrow"):
            output = tmp_path / f"out.{suffix}"
            assert cli.main(["closes", str(file), "-o", str(output)]) == 0
            if suffix == "json":
                reasons = [row["reason"] for row in json.loads(output.read_text(encoding="utf-8"))]
            elif suffix == "jsonl":
                lines = output.read_text(encoding="utf-8").split("\n")
                reasons = [json.loads(line)["reason"] for line in lines if line]
            elif suffix == "parquet":
                reasons = list(pd.read_parquet(output)["reason"])
            else:
                import pyarrow

                reasons = pyarrow.ipc.open_file(output).read_all()["reason"].to_pylist()
            assert reasons == [EVIL, broken], suffix

    def test_html_of_a_notebook_is_escaped(self, file: Path) -> None:
        result = analyzer.analyze(file)
        pages = [result._repr_html_()]
        view = result.connection(0)
        if hasattr(view, "_repr_html_"):
            pages.append(view._repr_html_())
        for page in pages:
            assert "<script>" not in page and "<img" not in page and "\x1b" not in page
