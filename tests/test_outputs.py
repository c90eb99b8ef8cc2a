"""Renderings: exact for programs, harmless and readable for people."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_result
import pandas as pd
import pytest
from fake_result import CLEAN, CLOSES, DROPPED, NOTHING_SENT, OPEN, REFUSED, UNANSWERED, FakeResult, table

from analyzer.outputs import cells, escaping, progress, words, writing
from analyzer.outputs.csv import CsvWriter
from analyzer.outputs.json import JsonWriter

fake_result.stand_in()

from analyzer.outputs import codes, ending, summary, text_table, timeline  # noqa: E402

HOSTILE = [
    "\x1b]0;title\x07",
    "a\nb\r\tc",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2028",
    "=1+1",
    "\x7f",
    'say "hi", you',
    "日本",
]


def as_csv(*frames: pd.DataFrame) -> str:
    stream = io.StringIO()
    writer = CsvWriter(stream)
    for frame in frames:
        writer.write(frame)
    writer.close()
    return stream.getvalue()


def as_json(*frames: pd.DataFrame, lines: bool = False) -> str:
    stream = io.StringIO()
    writer = JsonWriter(stream, lines)
    for frame in frames:
        writer.write(frame)
    writer.close()
    return stream.getvalue()


def column(name: str, values: list[Any], dtype: Any) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(values, dtype=dtype)})


class TestEscaping:
    @pytest.mark.parametrize("text", [*HOSTILE, "\ud800"])
    def test_nothing_that_acts_on_a_terminal_is_left(self, text: str) -> None:
        for shown in (escaping.visible(text), escaping.spreadsheet(text), escaping.json_string(text)):
            assert shown.isprintable(), shown

    @pytest.mark.parametrize("text", [*HOSTILE, "\ud800", "\\x1b", ""])
    def test_json_keeps_the_exact_text(self, text: str) -> None:
        assert json.loads(escaping.json_string(text)) == text

    def test_controls_are_named_by_their_number(self) -> None:
        assert escaping.visible("a\x1b[1m\x9b\n\u202e") == "a\\x1b[1m\\x9b\\x0a\\u202e"

    @pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
    def test_a_text_that_a_spreadsheet_would_run_is_prefixed(self, first: str) -> None:
        assert escaping.spreadsheet(first + "cmd").startswith("'")

    @pytest.mark.parametrize("text", ["-", "a=b", "/x", "::1", ""])
    def test_other_texts_are_not(self, text: str) -> None:
        assert "'" not in escaping.spreadsheet(text)


class TestCsv:
    def test_every_type_is_exact(self) -> None:
        rows = as_csv(cells.flat(table("connections", [CLEAN]))).splitlines()
        row = dict(zip(rows[0].split(","), next(csv.reader(rows[1:])), strict=True))
        assert rows[0].startswith("connection,client_ip,")
        assert row["start"] == "2026-03-01T12:00:00.000000001Z"
        assert row["duration"] == "5.123456788"
        assert row["client_code"] == "1000"
        assert row["clean"] == "true"
        assert row["outcome"] == "clean"

    def test_missing_is_an_empty_cell_and_an_empty_text_is_quoted(self) -> None:
        assert as_csv(column("reason", [None, ""], fake_result.TEXT)) == 'reason\n\n""\n'
        frame = table("closes", [{"connection": 5}])
        assert as_csv(frame).splitlines()[1] == "5,,,,,,,,"

    def test_hostile_text_stays_one_cell_of_one_line(self) -> None:
        lines = as_csv(column("reason", HOSTILE, fake_result.TEXT)).split("\n")
        assert len(lines) == len(HOSTILE) + 2
        assert lines[2] == "a\\x0ab\\x0d\\x09c"
        assert lines[6] == "'=1+1"
        assert lines[8] == '"say ""hi"", you"'
        assert lines[9] == "日本"

    def test_negative_numbers_are_no_formulas(self) -> None:
        assert as_csv(column("n", [-5], "Int64")) == "n\n-5\n"
        assert as_csv(column("d", [pd.Timedelta(-1, "ns")], "timedelta64[ns]")) == "d\n-0.000000001\n"
        assert as_csv(column("d", [pd.Timedelta(-1_500_000_000, "ns")], "timedelta64[ns]")) == "d\n-1.500000000\n"

    def test_large_lengths_are_exact(self) -> None:
        assert as_csv(column("length", [2**64 - 1, None], "UInt64")) == "length\n18446744073709551615\n\n"

    def test_pieces_stand_under_one_header_and_an_empty_table_has_it(self) -> None:
        frame = column("n", [1], "Int64")
        assert as_csv(frame, frame, frame.iloc[:0]) == "n\n1\n1\n"
        assert as_csv(frame.iloc[:0]) == "n\n"

    def test_more_rows_than_are_rendered_at_once_are_all_there(self) -> None:
        number = cells.ROWS_AT_ONCE * 2 + 1
        assert as_csv(column("n", list(range(number)), "Int64")).split("\n")[1:-1] == [str(n) for n in range(number)]


class TestJson:
    def test_types_and_order_are_as_documented(self) -> None:
        (row,) = json.loads(as_json(cells.flat(table("connections", [CLEAN]))), parse_float=str)
        assert next(iter(row)) == "connection"
        assert row["start"] == "2026-03-01T12:00:00.000000001Z"
        assert row["duration"] == "5.123456788"
        assert row["client_port"] == 40000
        assert row["clean"] is True
        (row,) = json.loads(as_json(cells.flat(table("connections", [OPEN]))))
        assert row["client_code"] is None
        assert row["clean"] is None
        assert row["client_close"] is None
        assert row["transport_end"] is None

    def test_bytes_are_base64_and_text_is_exact(self) -> None:
        rows = json.loads(as_json(table("closes", CLOSES)))
        assert rows[1]["reason"] == CLOSES[1]["reason"]
        assert rows[1]["reason_bytes"] == "PTErMQobXTA7eAc="
        assert rows[2]["reason_bytes"] is None

    def test_pieces_are_one_list_or_one_object_a_line(self) -> None:
        frame = column("n", [1, 2], "Int64")
        assert json.loads(as_json(frame, frame.iloc[:0], frame)) == [{"n": 1}, {"n": 2}] * 2
        assert as_json(frame, frame, lines=True) == '{"n": 1}\n{"n": 2}\n' * 2

    def test_no_row_is_an_empty_list_or_nothing(self) -> None:
        frame = column("n", [], "Int64")
        assert as_json(frame) == "[]\n"
        assert as_json() == "[]\n"
        assert as_json(frame, lines=True) == ""


class TestFiles:
    FRAME = cells.flat(table("connections", fake_result.CONNECTIONS))

    def write(self, path: Path, *frames: pd.DataFrame) -> None:
        asked = writing.format_of(str(path))
        assert asked is not None
        file = writing.TableFile(str(path), *asked)
        for frame in frames:
            file.write(frame)
        file.commit()

    @pytest.mark.parametrize(
        ("name", "asked"),
        [
            ("a.csv", ("csv", "")),
            ("A.CSV.GZ", ("csv", "gz")),
            ("a.json.zst", ("json", "zst")),
            ("a.jsonl", ("jsonl", "")),
            ("a.parquet", ("parquet", "")),
            ("a.arrow", ("arrow", "")),
            ("a.parquet.gz", None),
            ("a.txt", None),
            ("csv", None),
        ],
    )
    def test_the_suffix_decides(self, name: str, asked: tuple[str, str] | None) -> None:
        assert writing.format_of(name) == asked

    def test_compressed_text_is_the_same_text(self, tmp_path: Path) -> None:
        import zstandard

        expected = as_csv(self.FRAME).encode()
        for name in ("a.csv", "a.csv.gz", "a.csv.zst"):
            self.write(tmp_path / name, self.FRAME)
        assert (tmp_path / "a.csv").read_bytes() == expected
        assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == expected
        with zstandard.open(tmp_path / "a.csv.zst") as stream:
            assert stream.read() == expected

    @pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
    def test_parquet_and_arrow_keep_types_and_exact_text(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        self.write(path, self.FRAME.iloc[:2], self.FRAME.iloc[2:])
        back = pd.read_parquet(path) if name.endswith("parquet") else _read_arrow(path)
        assert back["path"].tolist() == self.FRAME["path"].tolist()
        assert back["start"].tolist() == self.FRAME["start"].tolist()
        assert back["duration"].tolist() == self.FRAME["duration"].tolist()
        assert str(back["client_code"].dtype) == "Int64"
        assert str(back["clean"].dtype) == "boolean"
        assert str(back["outcome"].dtype) == "category"
        assert back["client_code"].isna().tolist() == self.FRAME["client_code"].isna().tolist()

    @pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
    def test_pieces_may_differ_in_their_files_and_begin_without_values(self, tmp_path: Path, name: str) -> None:
        def piece(file: str, raw: bytes | None) -> pd.DataFrame:
            return pd.DataFrame({"file": pd.Series([file], dtype="category"), "raw": pd.Series([raw], dtype=object)})

        path = tmp_path / name
        self.write(path, piece("a", None), piece("b", b"\x00"))
        back = pd.read_parquet(path) if name.endswith("parquet") else _read_arrow(path)
        assert back["file"].tolist() == ["a", "b"]
        assert back["raw"].tolist() == [None, b"\x00"]

    def test_a_file_appears_whole_or_not_at_all(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_text("before")
        file = writing.TableFile(str(path), "csv", "")
        file.write(self.FRAME)
        assert path.read_text() == "before"
        file.discard()
        assert path.read_text() == "before"
        self.write(path, self.FRAME)
        assert path.read_text() == as_csv(self.FRAME)
        assert os.listdir(tmp_path) == ["a.csv"]

    def test_what_was_written_before_an_interrupt_is_kept_beside_it(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json.gz"
        file = writing.TableFile(str(path), "json", "gz")
        file.write(self.FRAME.iloc[:2])
        kept = file.keep_partial()
        assert os.path.basename(kept) == "a.partial.json.gz"
        assert len(json.loads(gzip.decompress(Path(kept).read_bytes()))) == 2
        assert os.listdir(tmp_path) == ["a.partial.json.gz"]

    def test_an_interrupt_before_any_row_leaves_nothing(self, tmp_path: Path) -> None:
        assert writing.TableFile(str(tmp_path / "a.parquet"), "parquet", "").keep_partial() == ""
        assert os.listdir(tmp_path) == []

    def test_a_file_gets_the_rights_that_any_new_file_gets(self, tmp_path: Path) -> None:
        self.write(tmp_path / "a.csv", self.FRAME)
        (tmp_path / "other").touch()
        assert (tmp_path / "a.csv").stat().st_mode == (tmp_path / "other").stat().st_mode

    def test_a_link_is_followed_and_a_device_written_directly(self, tmp_path: Path) -> None:
        (tmp_path / "real.csv").touch()
        (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
        self.write(tmp_path / "link.csv", self.FRAME)
        assert (tmp_path / "link.csv").is_symlink()
        assert (tmp_path / "real.csv").read_text() == as_csv(self.FRAME)
        file = writing.TableFile("/dev/null", "csv", "")
        file.write(self.FRAME)
        file.commit()

    @pytest.mark.parametrize(("name", "extra"), [("a.parquet", "arrow"), ("a.csv.zst", "compression")])
    def test_a_missing_library_is_named_with_what_installs_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, extra: str
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
        monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
        asked = writing.format_of(name)
        assert asked is not None
        with pytest.raises(writing.MissingExtra, match=rf"pip install wsclose\[{extra}\]"):
            writing.TableFile(str(tmp_path / name), *asked)
        assert os.listdir(tmp_path) == []

    def test_an_interrupt_waits_for_the_row_in_hand_but_a_second_one_does_not(self) -> None:
        done = []
        with pytest.raises(KeyboardInterrupt), writing.whole_rows():
            signal.raise_signal(signal.SIGINT)
            done.append("row")
        assert done == ["row"]
        with pytest.raises(KeyboardInterrupt), writing.whole_rows():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("never")
        assert done == ["row"]

    def test_other_threads_may_write(self) -> None:
        done: list[str] = []

        def work() -> None:
            with writing.whole_rows():
                done.append("row")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert done == ["row"]


def _read_arrow(path: Path) -> pd.DataFrame:
    import pyarrow

    with pyarrow.ipc.open_file(path) as reader:
        frame: pd.DataFrame = reader.read_all().to_pandas()
    return frame


class TestTable:
    def test_in_a_pipe_every_cell_is_whole_and_aligned(self) -> None:
        frame = cells.flat(table("connections", [CLEAN | {"path": "/" + "x" * 500 + "\x1b[2J"}, OPEN]))
        stream = io.StringIO()
        text_table.write_plain(frame, stream)
        header, first, second = stream.getvalue().splitlines()
        assert "/" + "x" * 500 + "\\x1b[2J" in first
        assert header.index("host") == first.index("example.org") == second.index("example.org")
        assert "2026-03-01T12:00:00.000000001Z" in first

    def test_wide_characters_take_two_cells(self) -> None:
        frame = pd.DataFrame(
            {"a": pd.Series(["日本", "x"], dtype=fake_result.TEXT), "b": pd.Series([1, 2], dtype="Int64")}
        )
        stream = io.StringIO()
        text_table.write_plain(frame, stream)
        assert stream.getvalue() == "a     b\n日本  1\nx     2\n"

    @pytest.mark.parametrize("width", [40, 80, 160])
    def test_on_a_terminal_lines_fit_and_the_rest_is_said(self, width: int) -> None:
        frame = cells.flat(table("connections", fake_result.CONNECTIONS))
        stream = io.StringIO()
        note = text_table.write_terminal(frame, stream, "connections", chosen=False, limited=False, width=width)
        assert all(len(line) <= width for line in stream.getvalue().splitlines())
        assert f"of {len(frame.columns)} columns" in note
        assert "\x1b[31m" not in stream.getvalue()

    def test_a_narrow_terminal_shows_the_cause_whole_with_whose_it_was_and_its_timer(self) -> None:
        frame = cells.flat(table("connections", [UNANSWERED | {"client_code": 1000}]))
        frame["cause"], frame["cause_by"], frame["cause_timer"] = "keepalive timeout", "middlebox", pd.Timedelta("20s")
        stream = io.StringIO()
        text_table.write_terminal(frame, stream, "connections", chosen=False, limited=False, width=80)
        *head, row = stream.getvalue().splitlines()
        assert row.split("  ")[-3:] == ["keepalive timeout", "middlebox", "20.0 s"]
        assert " ".join(head).split() == "client_ cause_ connection outcome code cause cause_by timer".split()

    def test_columns_without_a_value_leave_their_room_to_others_unless_chosen(self) -> None:
        def shows(rows: list[dict[str, Any]], chosen: bool) -> bool:
            stream = io.StringIO()
            frame = cells.flat(table("connections", rows))[["outcome", "client_code"]]
            text_table.write_terminal(frame, stream, "connections", chosen, limited=False, width=80)
            return "client_" in stream.getvalue()

        assert shows([CLEAN], chosen=False)
        assert not shows([DROPPED], chosen=False)
        assert shows([DROPPED], chosen=True)
        assert shows([], chosen=False)

    def test_chosen_columns_are_all_shown_and_nothing_is_cut(self) -> None:
        frame = column("reason", ["x" * 100], fake_result.TEXT)
        stream = io.StringIO()
        assert text_table.write_terminal(frame, stream, "connections", chosen=True, limited=False, width=30) == ""
        assert "".join(stream.getvalue().split()) == "reason" + "x" * 100

    def test_very_many_rows_are_shown_in_part_unless_asked_for(self) -> None:
        frame = column("n", list(range(text_table.TERMINAL_ROWS + 5)), "Int64")
        stream = io.StringIO()
        note = text_table.write_terminal(frame, stream, "connections", chosen=False, limited=False, width=80)
        assert note.startswith("shown: 1000 of 1005 rows")
        assert len(stream.getvalue().splitlines()) == text_table.TERMINAL_ROWS + 1

    def test_markup_in_a_capture_is_only_text(self) -> None:
        stream = io.StringIO()
        frame = column("reason", ["[bold]x[/bold] :smile: [link=http://x]"], fake_result.TEXT)
        text_table.write_terminal(frame, stream, "connections", chosen=True, limited=True, width=80)
        assert "[bold]x[/bold] :smile: [link=http://x]" in stream.getvalue()


class TestProgress:
    def test_only_long_work_gets_a_bar(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = iter((0.0, progress.PATIENCE / 2, progress.PATIENCE, 0.0))
        monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
        stream, shown = io.StringIO(), []
        monkeypatch.setattr(progress.ProgressBar, "_open", lambda bar: shown.append(setattr(bar, "_bar", Bar())))
        bar = progress.ProgressBar(stream)
        bar(1, 9)
        assert not shown
        bar(2, 9)
        bar(3, 9)
        assert len(shown) == 1
        bar.close()


class Bar:
    """Stands in for rich's bar."""

    def update(self, *_: Any, **__: Any) -> None:
        """The bar moves."""

    stop = update


class TestWords:
    @pytest.mark.parametrize(
        ("nanoseconds", "text"),
        [
            (0, "0 ns"),
            (999, "999 ns"),
            (3_200, "3.20 \u00b5s"),
            (12_300_000, "12.3 ms"),
            (1_500_000_000, "1.50 s"),
            (59_900_000_000, "59.9 s"),
            (60_000_000_000, "1 min"),
            (200_000_000_000, "3 min 20 s"),
            (7_500_000_000_000, "2 h 5 min"),
            (100 * 3600 * 10**9, "4 d 4 h"),
            (-1_500_000_000, "-1.50 s"),
        ],
    )
    def test_durations_are_short(self, nanoseconds: int, text: str) -> None:
        assert words.duration(nanoseconds) == text

    def test_addresses_have_brackets_where_ports_follow(self) -> None:
        assert words.endpoint("::1", 80) == "[::1]:80"
        assert words.endpoint("10.0.0.1", pd.NA) == "10.0.0.1"

    def test_lines_are_plain_in_a_pipe(self) -> None:
        stream = io.StringIO()
        words.show([[("a ", "bold red"), ("b  ", "")], []], stream)
        assert stream.getvalue() == "a b\n\n"


def text_of(lines: Any) -> str:
    return "\n".join("".join(text for text, _ in line) for line in lines)


class TestSummary:
    def test_counts_endings_codes_and_shows_what_needs_a_look(self) -> None:
        text = text_of(summary.lines(FakeResult(), ["a.pcap"]))
        assert text.startswith("5 WebSocket connections in a.pcap\n")
        assert "1000 Normal Closure                           1          -" in text
        assert "no code (its receiver is told 1005)           -          1" in text
        assert "1 client and 2 servers received no Close, which libraries report as 1006" in text
        assert "#1  10.0.0.1:40001 -> 10.0.0.9:80  /\\x1b[31mfeed" in text
        assert "RST by server, packets 21 to 60" in text
        assert "HTTP status 403" in text
        assert "1200 bytes were sent but never captured, in 1 connection" in text
        assert "wsclose show a.pcap 2" in text

    def test_what_the_capture_lacks_is_told(self) -> None:
        rows = [
            CLEAN | {"opening": "midstream"},
            CLEAN | {"client_frames": 0, "client_exact": False},
            CLEAN | {"transport": "tls-no-keys", "client_frames": None, "server_frames": None},
            CLEAN | {"transport": "tls"},
        ]
        ledger = [{"unit": "byte", "kind": "cut by snaplen", "count": 7, "meaning": ""}]
        kinds = {"tls": 3, "http": 2}
        result = FakeResult(table("connections", rows), ledger=table("ledger", ledger), flow_kinds=kinds)
        text = text_of(summary.lines(result, ["a.pcap"]))
        assert "packets are cut short: 7 bytes are missing" in text
        assert "1 connection began before the capture" in text
        assert "of 1 connection only the server's frames were captured" in text
        assert "2 other TLS connections show no sign of a WebSocket" in text
        assert "1 connection inside TLS could not be decrypted: no key log (--keylog) with their keys was given" in text
        assert "What the capture lacks" not in text_of(summary.lines(FakeResult(table("connections", [CLEAN])), ["a"]))

    def test_more_than_a_few_of_a_kind_are_counted_with_the_command_that_lists_them(self) -> None:
        result = FakeResult(connections=table("connections", [DROPPED] * 10))
        text = text_of(summary.lines(result, ["it's.pcap"], " --keylog keys.log"))
        assert "wsclose extract 'it'\"'\"'s.pcap' 0 --keylog keys.log -o" in text
        assert text.count("  #") == summary.EXAMPLES
        assert "and 7 more: wsclose connections 'it'\"'\"'s.pcap' --keylog keys.log --where 'outcome ==" in text

    def test_packets_are_told_with_their_file_where_there_are_several(self) -> None:
        rows = [DROPPED, DROPPED | {"last_file": "b.pcap"}]
        result = FakeResult(connections=table("connections", rows, ("a.pcap", "b.pcap")))
        text = text_of(summary.lines(result, ["a.pcap", "b.pcap"]))
        assert "packets a.pcap#21 to 60" in text
        assert "packets a.pcap#21 to b.pcap#60" in text

    def test_damage_is_told(self) -> None:
        problems = [SimpleNamespace(file="a.pcap", what="ends inside \x1b a packet", where=77)] * 20
        text = text_of(summary.lines(FakeResult(problems=problems), ["a.pcap"]))
        assert "a.pcap: ends inside \\x1b a packet (byte 77)" in text
        assert "and 12 more" in text

    def test_crossing_closes_count_for_both_sides(self) -> None:
        row = CLEAN | {"close_initiator": "both", "server_code": 1001}
        text = text_of(summary.lines(FakeResult(connections=table("connections", [row])), ["a"]))
        assert "1000 Normal Closure                           1          -" in text
        assert "1001 Going Away                               -          1" in text

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"flow_kinds": {"tls": 3}}, "3 TCP connections: TLS"),
            ({"flow_kinds": {"http": 1, "ssh": 2}}, "2 TCP connections: SSH"),
            ({"flow_kinds": {}}, "120 packets, none with TCP payload"),
            ({"ledger": table("ledger", [])}, "It holds no packets.\n"),
            (
                {"ledger": table("ledger", [{"unit": "packet", "kind": "outside time range", "count": 9}])},
                "None of its 9 packets is of the time asked for.",
            ),
            (
                {"ledger": table("ledger", [{"unit": "byte", "kind": "cut by snaplen", "count": 9}]), "flow_kinds": {}},
                "cut short: 9 bytes are missing",
            ),
        ],
    )
    def test_no_websocket_comes_with_the_likely_reason(self, changes: dict[str, Any], reason: str) -> None:
        text = text_of(summary.lines(fake_result.nothing_found(**changes), ["a.pcap"]))
        assert text.startswith("No WebSocket in a.pcap.")
        assert reason in text + "\n"


class TestEnding:
    def told(self, row: dict[str, Any], number: int = 0) -> str:
        closes = table("closes", CLOSES)
        sentences = ending.sentences(table("connections", [row]).loc[0], closes[closes["connection"] == number])
        return "\n".join(sentences)

    def test_a_clean_end_names_both_closes_and_what_each_side_was_told(self) -> None:
        text = self.told(CLEAN)
        assert 'The client closed first: Close 1000 Normal Closure "bye" (packet 17).' in text
        assert "The server answered after 1.00 ms: Close 1000 Normal Closure" in text
        assert "The server was the first to end the TCP connection (FIN)." in text
        assert "The server's application was told 1000 Normal Closure: the code of the client's Close." in text
        assert text.endswith("Outcome: clean (both sides sent Close, the transport ended).")

    def test_an_empty_close_explains_1005_and_a_missing_answer_1006(self) -> None:
        text = self.told(UNANSWERED, 2)
        assert "The server closed first: an empty Close (packet 80)." in text
        assert "The client never answered it." in text
        assert "told 1005 No Status Rcvd: the server's Close carried no code. 1005 itself is never sent." in text
        assert "told 1006 Abnormal Closure: the transport ended with no Close from the client." in text

    def test_a_dropped_connection_has_no_close(self) -> None:
        text = self.told(DROPPED, 1)
        assert "Neither side sent a Close frame." in text
        assert "The server reset the TCP connection (RST)." in text

    def test_a_close_that_never_arrived_is_told_from_one_never_sent(self) -> None:
        row = UNANSWERED | {"client_saw": 1006}
        assert "the server's Close never reached it" in self.told(row, 2)

    def test_a_refusal_tells_its_status_and_only_the_client(self) -> None:
        text = self.told(REFUSED, 3)
        assert "refused the upgrade with HTTP status 403" in text
        assert "the connection never opened" in text
        assert "server's application" not in text

    def test_an_open_connection_has_told_nobody_anything(self) -> None:
        text = self.told(OPEN, 4)
        assert "still open" in text
        assert text.count("had been told nothing yet") == 2

    def test_missing_bytes_leave_it_unknown(self) -> None:
        row = CLEAN | NOTHING_SENT | {"outcome": "unknown", "client_saw": None, "server_saw": None}
        text = self.told(row, 1)
        assert "bytes are missing that could hold one" in text
        assert "can't be known" in text

    def test_crossing_closes_are_both_told(self) -> None:
        assert "Both sides closed at once" in self.told(CLEAN | {"close_initiator": "both"})

    def test_hostile_reasons_are_escaped(self) -> None:
        assert '"\\x1b[2J"' in self.told(CLEAN | {"client_reason": "\x1b[2J"})

    @pytest.mark.parametrize("opening", ["handshake", "midstream", "refused", "unanswered", "encrypted", None])
    @pytest.mark.parametrize("outcome", [*words.OUTCOMES, None])
    def test_any_row_can_be_told_even_with_everything_missing(self, outcome: str | None, opening: str | None) -> None:
        missing = table("connections", [{"outcome": outcome, "opening": opening}]).loc[0]
        connection = SimpleNamespace(
            row=missing,
            closes=table("closes", []),
            elsewhere=table("connections", []),
            violations=table("violations", []),
            timeline=FakeResult().connection(0).timeline,
        )
        assert "Outcome: " in text_of(timeline.lines(connection, 0, None))


class TestTimeline:
    def test_why_it_ended_comes_first_and_broken_rules_last(self) -> None:
        broken = {"connection": 0, "packet": 7, "sender": "server", "rule": "H6", "severity": "must"}
        broken |= {"expected": "no subprotocol", "found": "\x1b[2J"}
        result = FakeResult(violations=table("violations", [broken] * 9))
        result.connections["cause"], result.connections["cause_basis"] = "idle timer", "observed"
        result.connections["cause_by"], result.connections["evidence"] = "proxy", "ended after 60 s"
        text = text_of(timeline.lines(result.connection(0), 0, None))
        titles = ("Why it ended", "seconds", "How it ended", "Broken rules")
        assert sorted(titles, key=text.index) == list(titles)
        assert "idle timer (observed), by the proxy: " in text
        assert "  ended after 60 s.\n" in text
        assert "  H6 (must), by the server, packet 7: \\x1b[2J instead of no subprotocol." in text
        assert "And 1 more" in text

    def test_events_have_exact_offsets_and_safe_text(self) -> None:
        text = text_of(timeline.lines(FakeResult().connection(0), 0, None))
        assert "Connection 0  10.0.0.1:40000 -> 10.0.0.9:80\n  example.org/chat?room=1\n" in text
        assert "    +4.999999999        17  client  Close  1000 Normal Closure \\x1b[2Jbye" in text

    def test_a_long_one_shows_its_beginning_and_its_end(self) -> None:
        one = FakeResult().connection(0)
        table_of_many = pd.concat([one.timeline()] * 50, ignore_index=True)
        table_of_many["packet"] = pd.Series(range(1000, 1100), dtype="Int64")
        connection = SimpleNamespace(**vars(one), timeline=lambda: table_of_many)
        text = text_of(timeline.lines(connection, 0, 10))
        assert re.findall(r"  (1\d\d\d)  ", text) == "1000 1001 1002 1003 1004 1095 1096 1097 1098 1099".split()
        assert "90 more events (--limit N)" in text


class TestCodes:
    def test_one_code_tells_meaning_and_place(self) -> None:
        text = text_of(codes.one(1006))
        assert text.startswith("1006 Abnormal Closure\n")
        assert "never allowed" in text

    def test_every_catalog_that_knows_a_code_tells_its_meaning(self) -> None:
        from analyzer.catalogs import catalogs

        text = text_of(codes.one(4001))
        knowing = [catalog for catalog in catalogs() if catalog.code(4001)]
        assert knowing
        for catalog in knowing:
            assert catalog.name in text

    def test_the_registry_lists_every_code(self) -> None:
        from analyzer.closecodes import registry

        text = text_of(codes.everything())
        assert all(str(int(code)) in text for code in registry())
