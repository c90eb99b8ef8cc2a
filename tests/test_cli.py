"""The command line: words, options, where output goes, exit statuses, what is said when something is wrong."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_result
import pandas as pd
import pytest
from fake_result import FakeResult, nothing_found

import analyzer

fake_result.stand_in()

from analyzer.cli import main  # noqa: E402

ROOT = Path(__file__).parent.parent


class Analysis:
    """Stands in for analyzer.analyze: notes the call, gives `result` or raises `error`."""

    def __init__(self) -> None:
        self.result = FakeResult()
        self.error: BaseException | None = None
        self.inputs: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}
        self.pieces: list[pd.DataFrame] = []
        self.after_pieces: BaseException | None = None

    def __call__(self, *inputs: Any, **options: Any) -> FakeResult:
        self.inputs, self.options = inputs, options
        if self.error is not None:
            raise self.error
        if options["chunk"] is not None:
            for piece in self.pieces:
                options["chunk"]("frames", piece)
                options["chunk"]("closes", self.result.closes)
            options["chunk"]("frames", self.result.frames.iloc[:0])
            options["chunk"]("messages", self.result.messages)
        if self.after_pieces is not None:
            raise self.after_pieces
        return self.result


@pytest.fixture
def analysis(monkeypatch: pytest.MonkeyPatch) -> Analysis:
    stand_in = Analysis()
    frames = stand_in.result.frames
    stand_in.pieces = [frames.iloc[:4], frames.iloc[4:]]
    monkeypatch.setattr(analyzer, "analyze", stand_in, raising=False)
    return stand_in


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*argv: str) -> tuple[int, str, str]:
        try:
            status = main(argv)
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return command


class TestWords:
    def test_files_alone_give_the_summary(self, analysis: Analysis, run: Run) -> None:
        status, out, err = run("a.pcap", "b.pcap")
        assert (status, err) == (0, "")
        assert out.startswith("5 WebSocket connections in a.pcap, b.pcap\n")
        assert analysis.inputs == ("a.pcap", "b.pcap")

    def test_the_first_word_is_a_command_wherever_the_options_stand(self, analysis: Analysis, run: Run) -> None:
        expected = run("closes", "a.pcap", "--columns", "code", "--limit", "1")
        assert expected == (0, "code\n1000\n", "")
        assert run("--columns", "code", "closes", "--limit", "1", "a.pcap") == expected
        assert run("--columns=code", "--limit=1", "closes", "a.pcap") == expected

    def test_a_file_named_like_a_command_is_reached_by_its_path(self, analysis: Analysis, run: Run) -> None:
        assert run("./closes")[0] == 0
        assert analysis.inputs == ("./closes",)
        run("closes", "closes")
        assert analysis.inputs == ("closes",)

    def test_standard_input_is_a_file_like_any_other(self, analysis: Analysis, run: Run) -> None:
        assert run("closes", "-")[0] == 0
        assert analysis.inputs == ("-",)

    def test_each_table_is_asked_for_by_its_command(self, analysis: Analysis, run: Run) -> None:
        for name in ("connections", "closes", "frames", "messages", "ledger"):
            assert run(name, "a.pcap", "--format", "csv")[0] == 0
            assert analysis.options["tables"][0] == name

    def test_times_and_points_reach_the_analysis(self, analysis: Analysis, run: Run) -> None:
        run(
            "a.pcap",
            "--since",
            "1970-01-01T00:00:01",
            "--until",
            "1970-01-01T01:00:00.000000001+01:00",
            "--points",
            "merge",
        )
        assert (analysis.options["since"], analysis.options["until"]) == (10**9, 1)
        assert analysis.options["points"] == "merge"

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            ([], "name a capture file"),
            (["closes"], "needs a capture file"),
            (["a.pcap", "--where", "clean"], "the summary takes no --where; a table does: wsclose connections FILE"),
            (["a.pcap", "--format", "json"], "a table does: wsclose connections FILE --format"),
            (["a.pcap", "--columns", "outcome"], "a table does: wsclose connections FILE --columns"),
            (["a.pcap", "-o", "x.csv"], "a table does: wsclose connections FILE --output"),
            (["show", "a.pcap", "1", "-o", "x.csv"], "show takes no --output; it goes with: connections, closes"),
            (["codes", "--since", "2026-01-01"], "codes takes no --since; it goes with: every command that reads a"),
            (["show", "a.pcap"], "number of a connection"),
            (["show", "1"], "number of a connection"),
            (["show", "a.pcap", "-1"], ""),
            (["show", "a.pcap", "\u0661"], "number of a connection"),
            (["show", "a.pcap", "77"], "there is no connection 77: there are 5, numbered from 0"),
            (["extract", "a.pcap", "0"], "extract needs -o"),
            (["extract", "a.pcap", "0", "-o", "x.pcap"], "writes pcapng"),
            (["extract", "-", "0", "-o", "x.pcapng"], "standard input"),
            (["codes", "x"], "no close code"),
            (["codes", "65536"], "no close code"),
            (["codes", "1000", "1001"], "one code"),
            (["closes", "a.pcap", "-o", "x.txt"], "must end in .csv"),
            (["closes", "a.pcap", "-o", "x.txt", "--format", "table"], "must end in .csv"),
            (["closes", "a.pcap", "-o", "x.csv", "--format", "json"], "contradict"),
            (["closes", "a.pcap", "--format", "xml"], "invalid choice"),
            (["closes", "a.pcap", "--limit", "-3"], ""),
            (["closes", "a.pcap", "--limit", "some"], "no whole number"),
            (["a.pcap", "--since", "yesterday"], "no time"),
            (["closes", "a.pcap", "--columns", "code,reson"], "no column reson; did you mean reason"),
            (["connections", "a.pcap", "--columns", "xyzzy"], "no column xyzzy; --help after the command lists them"),
            (["closes", "a.pcap", "--columns", "xyzzy"], "no column xyzzy; there are connection, time, packet"),
            (["closes", "a.pcap", "--columns", "code,"], "a column's name is missing"),
            (["closes", "a.pcap", "--where", "code ="], "write == to compare"),
            (["closes", "a.pcap", "--where", "coda == 1"], "did you mean code"),
            (["connections", "a.pcap", "--where", "xyzzy == 1"], "--help after the command lists them. Text stands in"),
            (["closes", "a.pcap", "--wher", "code == 1"], "there is no option --wher; did you mean --where?"),
            (["closes", "a.pcap", "--where", "name == dropped"], "Text stands in quotes: 'dropped'"),
            (["shw", "a.pcap", "0"], "shw is no file; did you mean the command show?"),
            (["watch", "a.pcap"], "watch is neither a file nor a command; --help lists the commands"),
            (["a.pcap", "0"], "0 is no file; one connection is shown by: wsclose show FILE 0"),
            (["show", "a.pcap", "0", "1"], "0 is no file; one connection"),
        ],
    )
    def test_wrong_usage_is_status_2_with_a_reason_and_no_output(
        self, analysis: Analysis, run: Run, argv: list[str], message: str
    ) -> None:
        status, out, err = run(*argv)
        assert (status, out) == (2, "")
        assert message in err
        assert "Traceback" not in err

    def test_an_error_in_a_condition_points_at_its_place_before_anything_is_read(
        self, analysis: Analysis, run: Run
    ) -> None:
        status, _, err = run("closes", "a.pcap", "--where", "code == 1 and coda == 2")
        assert status == 2
        assert err.splitlines()[1:] == ["  code == 1 and coda == 2", "                ^"]
        assert analysis.inputs == ()

    def test_help_and_version(self, run: Run) -> None:
        status, out, _ = run("--help")
        assert status == 0
        assert "wsclose extract FILE... CONNECTION -o part.pcapng" in out
        status, out, _ = run("violations", "--help")
        assert status == 0
        assert "wsclose violations FILE... [options]" in out
        assert "severity, expected, found" in out
        assert "--limit" in run("show", "-h")[1]
        assert "--where" not in run("show", "-h")[1]
        assert run("--version")[:2] == (0, f"wsclose {analyzer.__version__}\n")


class TestTables:
    def test_csv_is_the_default_in_a_pipe(self, analysis: Analysis, run: Run) -> None:
        _, out, _ = run("connections", "a.pcap")
        assert out.startswith("connection,client_ip,")
        assert len(out.splitlines()) == 6

    def test_json_puts_the_connection_first(self, analysis: Analysis, run: Run) -> None:
        rows = json.loads(run("connections", "a.pcap", "--format", "json")[1])
        assert [next(iter(row.items())) for row in rows] == [("connection", number) for number in range(5)]
        lines = run("connections", "a.pcap", "--format", "jsonl")[1].splitlines()
        assert [json.loads(line) for line in lines] == rows

    def test_conditions_columns_and_limit_work_together(self, analysis: Analysis, run: Run) -> None:
        found = run(
            "connections", "a.pcap", "--where", "outcome in ('dropped', 'refused', 'open') and connection > 1",
            "--columns", "outcome, connection", "--limit", "1",
        )  # fmt: skip
        assert found == (0, "outcome,connection\nrefused,3\n", "")

    def test_a_limit_of_zero_gives_the_header(self, analysis: Analysis, run: Run) -> None:
        assert run("closes", "a.pcap", "--limit", "0", "--columns", "code") == (0, "code\n", "")

    def test_a_table_in_a_pipe_is_neither_wrapped_nor_cut(self, analysis: Analysis, run: Run) -> None:
        lines = run("connections", "a.pcap", "--format", "table")[1].splitlines()
        assert len(lines) == 6
        assert lines[0].split() == [name for name in fake_result.COLUMNS["connections"] if not name.endswith("file")]

    def test_frames_are_written_as_they_come(self, analysis: Analysis, run: Run) -> None:
        _, out, _ = run("frames", "a.pcap", "--where", "packet > 3", "--limit", "3", "--columns", "packet")
        assert out == "packet\n4\n5\n6\n"

    def test_a_streamed_table_without_rows_still_has_its_columns(self, analysis: Analysis, run: Run) -> None:
        assert run("messages", "a.pcap")[1] == "connection,time,packet,sender,bytes\n"
        assert run("messages", "a.pcap", "--format", "json")[1] == "[]\n"


class TestFiles:
    @pytest.mark.parametrize("name", ["o.csv", "o.json", "o.jsonl", "o.parquet", "o.arrow", "o.csv.gz", "o.json.zst"])
    def test_the_suffix_decides_and_nothing_else_is_left(
        self, analysis: Analysis, run: Run, tmp_path: Path, name: str
    ) -> None:
        assert run("frames", "a.pcap", "-o", str(tmp_path / name)) == (0, "", "")
        assert os.listdir(tmp_path) == [name]
        if name == "o.parquet":
            assert pd.read_parquet(tmp_path / name)["packet"].tolist() == list(range(1, 11))
        if name == "o.json":
            assert [row["packet"] for row in json.loads((tmp_path / name).read_text())] == list(range(1, 11))

    def test_a_format_serves_where_the_name_says_nothing(self, analysis: Analysis, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "out"
        assert run("closes", "a.pcap", "-o", str(path), "--format", "csv", "--columns", "packet")[0] == 0
        assert path.read_text() == "packet\n17\n18\n80\n"

    def test_the_capture_is_never_overwritten(self, analysis: Analysis, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_text("a capture")
        status, _, err = run("closes", str(path), "-o", f"{tmp_path}/./a.csv")
        assert status == 2
        assert "would overwrite the capture" in err
        assert path.read_text() == "a capture"

    def test_a_place_that_can_not_be_written_is_one_line(self, analysis: Analysis, run: Run, tmp_path: Path) -> None:
        status, out, err = run("closes", "a.pcap", "-o", str(tmp_path / "none" / "o.csv"))
        assert (status, out) == (1, "")
        assert err == f"wsclose: {tmp_path}/none/o.csv: No such file or directory\n"

    def test_a_full_disk_is_one_line(self, analysis: Analysis, run: Run) -> None:
        if not os.path.exists("/dev/full"):
            pytest.fail("this system has no /dev/full to test with")
        status, _, err = run("frames", "a.pcap", "-o", "/dev/full", "--format", "csv")
        assert status == 1
        assert err == "wsclose: /dev/full: No space left on device\n"

    def test_a_missing_extra_says_what_brings_it(
        self, analysis: Analysis, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        status, _, err = run("closes", "a.pcap", "-o", str(tmp_path / "o.parquet"))
        assert status == 1
        assert err.endswith("o.parquet: needs pyarrow: pip install wsclose[arrow]\n")
        assert os.listdir(tmp_path) == []

    def test_a_failure_leaves_what_was_there_before(self, analysis: Analysis, run: Run, tmp_path: Path) -> None:
        from analyzer.problems import CannotRead

        path = tmp_path / "o.csv"
        path.write_text("before")
        analysis.after_pieces = CannotRead("a.pcap", "cannot open")
        assert run("frames", "a.pcap", "-o", str(path))[0] == 1
        assert path.read_text() == "before"
        assert os.listdir(tmp_path) == ["o.csv"]


class TestStatus:
    def test_unreadable_input_is_one_line_and_status_1(self, analysis: Analysis, run: Run) -> None:
        from analyzer.problems import CannotRead

        analysis.error = CannotRead("a.pcap", "this is no capture \x1b[2J")
        for argv in (["a.pcap"], ["closes", "a.pcap"], ["show", "a.pcap", "0"]):
            assert run(*argv) == (1, "", "wsclose: a.pcap: this is no capture \\x1b[2J\n")

    def test_a_misspelt_command_gets_a_hint(self, analysis: Analysis, run: Run) -> None:
        from analyzer.problems import CannotRead

        analysis.error = CannotRead("conections", "no such file")
        assert "did you mean the command connections?" in run("conections", "a.pcap")[2]

    def test_a_name_with_line_feeds_is_one_line_too(self, tmp_path: Path, capsys: Any) -> None:
        assert main([str(tmp_path / "none\nwsclose: done")]) == 1
        assert capsys.readouterr().err.count("\n") == 1

    def test_one_unreadable_file_of_several_is_reported_and_the_rest_is_there(
        self, analysis: Analysis, run: Run
    ) -> None:
        analysis.result.errors = [ValueError("b.pcap: cannot open")]
        status, out, err = run("closes", "a.pcap", "b.pcap", "--columns", "packet")
        assert (status, out, err) == (1, "packet\n17\n18\n80\n", "wsclose: b.pcap: cannot open\n")

    def test_the_summary_names_only_the_files_that_were_read(self, analysis: Analysis, run: Run) -> None:
        error = ValueError("b.pcap: cannot open")
        error.name = "b.pcap"  # type: ignore[attr-defined]
        analysis.result.errors = [error]
        status, out, err = run("a.pcap", "b.pcap")
        assert status == 1
        assert "b.pcap" not in out
        assert err == "wsclose: b.pcap: cannot open\n"

    def test_damage_is_reported_and_status_0(self, analysis: Analysis, run: Run) -> None:
        analysis.result.problems = [SimpleNamespace(file="a.pcap", what="ends inside a packet", where=99)] * 7
        status, _, err = run("closes", "a.pcap")
        assert status == 0
        assert err.count("a.pcap: ends inside a packet (byte 99)") == 5
        assert "and 2 more problems" in err

    def test_no_websocket_is_said_with_the_reason_and_status_0(self, analysis: Analysis, run: Run) -> None:
        analysis.result = nothing_found(flow_kinds={"tls": 2})
        analysis.pieces = []
        status, out, err = run("a.pcap")
        assert status == 0
        assert "No WebSocket in a.pcap." in out
        assert "2 TCP connections: TLS" in out
        status, out, err = run("frames", "a.pcap", "--format", "json")
        assert (status, out) == (0, "[]\n")
        assert "2 TCP connections: TLS" in err

    def test_an_interrupt_is_130_and_what_is_there_is_whole(self, analysis: Analysis, run: Run) -> None:
        analysis.after_pieces = KeyboardInterrupt()
        status, out, err = run("frames", "a.pcap", "--format", "json")
        assert status == 130
        assert len(json.loads(out)) == 10
        assert err == "wsclose: interrupted: the output is partial: 10 whole rows\n"
        status, out, err = run("connections", "a.pcap")
        assert (status, out, err) == (130, "", "wsclose: interrupted: nothing was written\n")
        assert run("a.pcap") == (130, "", "wsclose: interrupted\n")

    def test_an_interrupted_file_is_kept_as_partial(self, analysis: Analysis, run: Run, tmp_path: Path) -> None:
        analysis.after_pieces = KeyboardInterrupt()
        status, _, err = run("frames", "a.pcap", "-o", str(tmp_path / "o.csv"))
        assert status == 130
        assert "o.partial.csv is partial: 10 whole rows" in err
        assert os.listdir(tmp_path) == ["o.partial.csv"]

    def test_show_tells_the_story(self, analysis: Analysis, run: Run) -> None:
        status, out, err = run("show", "a.pcap", "0")
        assert (status, err) == (0, "")
        assert "The client closed first: Close 1000 Normal Closure" in out

    def test_codes_need_no_capture(self, run: Run) -> None:
        assert run("codes", "1006")[1].startswith("1006 Abnormal Closure\n")
        assert run("codes")[1].startswith("Registered close codes")


class TestExtract:
    @pytest.mark.parametrize("files", [("a.pcap",), ("b.pcap", "a.pcap")])
    def test_the_row_tells_the_second_pass_what_to_take(
        self, analysis: Analysis, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]
    ) -> None:
        analysis.result.files = list(files)
        analysis.result.connections = fake_result.table("connections", fake_result.CONNECTIONS, files)
        place = files.index("a.pcap")
        made = []

        def packets_of(inputs: list[str], reader: Callable[[Any, Any], Any]) -> None:
            from analyzer.records import Packet, Segment

            made.append((inputs, reader(Packet(), Segment()).bounds))

        pipeline = SimpleNamespace(packets_of=packets_of)
        monkeypatch.setitem(sys.modules, "analyzer.pipeline", pipeline)
        monkeypatch.setattr(analyzer, "pipeline", pipeline, raising=False)
        path = tmp_path / "part.pcapng"
        status, out, err = run("extract", *files, "1", "-o", str(path))
        assert (status, out, err) == (0, "", f"wsclose: 0 packets of connection 1 written to {path}\n")
        ((inputs, bounds),) = made
        assert inputs == list(files)
        assert (bounds.client_ip, bounds.client_port, bounds.server_port) == ("10.0.0.1", 40001, 80)
        assert (bounds.first, bounds.last) == ((place, 21), (place, 60))
        assert os.listdir(tmp_path) == ["part.pcapng"]


PROGRAM = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import fake_result
fake_result.stand_in()
import analyzer
import pandas as pd
many = pd.concat([fake_result.table("frames", fake_result.FRAMES)] * {times}, ignore_index=True)
def analyze(*inputs, chunk=None, progress=None, **options):
    result = fake_result.FakeResult(frames=many)
    if chunk:
        chunk("frames", many)
    return result
analyzer.analyze = analyze
from analyzer.cli import main
sys.exit(main())
"""


def program(times: int = 1) -> str:
    return PROGRAM.format(root=str(ROOT), tests=str(ROOT / "tests"), times=times)


class TestProcess:
    def test_a_reader_that_leaves_ends_it_quietly(self) -> None:
        call = [sys.executable, "-c", program(20_000), "frames", "a.pcap"]
        with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.readline().startswith(b"connection,")
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(60) == 0

    def test_a_pipe_gets_utf8_whatever_the_locale(self) -> None:
        environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
        done = subprocess.run(
            [sys.executable, "-c", program(), "a.pcap"], capture_output=True, env=environment, timeout=60, check=True
        )
        assert "█" in done.stdout.decode("utf-8")

    @pytest.mark.parametrize("command", ["summary", "connections", "show"])
    def test_an_interrupt_of_a_live_capture_ends_the_reading_and_what_came_is_told(self, command: str) -> None:
        words = {"summary": ["-"], "connections": ["connections", "-"], "show": ["show", "-", "1"]}[command]
        call = [sys.executable, "-c", "import sys; from analyzer.cli import main; sys.exit(main())", *words]
        record = bytes(8) + (60_000).to_bytes(4, "little") * 2 + bytes(60_000)
        with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            process.stdin.write((ROOT / "sample_pcaps" / "server-restart.pcap").read_bytes() + record * 50)
            process.stdin.flush()  # more than a pipe and its two ends hold: the sample has been read
            process.send_signal(signal.SIGINT)
            assert process.stdout is not None and process.stderr is not None
            out, err = process.stdout.read().decode(), process.stderr.read().decode()
        assert process.returncode == 130
        assert out.count("\n") > 10
        assert "interrupted" in err
        assert "Traceback" not in err
        if command == "summary":
            assert out.startswith("18 WebSocket connections in standard input\n")

    @pytest.mark.parametrize("argv", [["a.pcap"], ["connections", "a.pcap"], ["show", "a.pcap", "1"]])
    def test_on_a_terminal_output_fits_it_and_capture_text_is_harmless(self, argv: list[str]) -> None:
        shown = in_terminal([sys.executable, "-c", program(), *argv], columns=140)
        assert "\\x1b[31mfeed" in shown
        assert "\x1b[31mfeed" not in shown

    def test_heavy_libraries_wait_until_they_are_needed(self) -> None:
        heavy = {"pandas", "numpy", "rich", "fsspec", "scapy", "dpkt"}
        code = f"import sys, analyzer.cli; print(*sorted(set(sys.modules) & {heavy}))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
        assert done.stdout == "\n"

    def test_a_capture_without_packets_needs_none_of_them(self, tmp_path: Path) -> None:
        (tmp_path / "empty.pcap").write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
        for table in ("connections", "closes"):
            run = f"from analyzer.cli import main; main(['{table}', 'empty.pcap', '-o', 'rows.csv'])"
            code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {run}; print('numpy' in sys.modules)"
            call = [sys.executable, "-c", code]
            done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=True)
            assert done.stdout == "False\n"
            assert (tmp_path / "rows.csv").read_text().count("\n") == 1


def in_terminal(call: list[str], columns: int) -> str:
    """What a command shows on a terminal of that width."""
    controller, terminal = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "LINES": "50", "TERM": "xterm-256color"}
    with subprocess.Popen(call, stdout=terminal, stderr=terminal, stdin=terminal, env=environment) as process:
        os.close(terminal)
        shown = b""
        while select.select([controller], [], [], 60)[0]:
            try:
                piece = os.read(controller, 65536)
            except OSError:  # the other end is closed (Linux)
                break
            if not piece:
                break
            shown += piece
        assert process.wait(60) == 0, shown.decode()
    os.close(controller)
    return shown.decode()
