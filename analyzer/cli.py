"""The command `wsclose`: words and options in, tables and sentences out. Heavy libraries are imported when needed."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import analyzer
from analyzer.arguments import TABLES, Request, UsageError, request_of

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.outputs.writing import Rows
    from analyzer.selection import Selection

PROBLEMS_SAID = 5


class Failure(Exception):
    """What was asked failed: exit status 1, one line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status. SystemExit (0 or 2) for --help, --version and unknown options."""
    if sys.stdout is None:
        print("wsclose: there is no standard output", file=sys.stderr)
        return 1
    _use_utf8()
    _be_quick()
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except UsageError as error:
        _say(*str(error).split("\n"))
        return 2
    except Failure as error:
        _say(error)
        return 1
    except BrokenPipeError:
        _abandon_output()
        return 0
    except OSError as error:
        _abandon_output()
        print(f"wsclose: standard output: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("interrupted")
        return 130


def _run(argv: list[str]) -> int:
    request = request_of(argv)
    if request.command == "codes":
        return _codes(request)
    from analyzer import interrupts
    from analyzer.problems import CannotRead, WhereError

    try:
        if request.command == "summary":
            return _summary(request)
        if request.command == "show":
            return _show(request)
        if request.command == "extract":
            return _extract(request)
        return _table(request)
    except CannotRead as error:
        if interrupts.asked():
            raise KeyboardInterrupt from None
        raise Failure(str(error)) from None
    except WhereError as error:
        raise UsageError(error) from None


def _summary(request: Request) -> int:
    from analyzer.outputs import summary, words

    result = _analyzed(request, ("connections", "closes", "reconnects", "ledger"))
    unreadable = {getattr(error, "name", None) for error in result.errors}
    inputs = [name for name in request.inputs if name not in unreadable]
    words.show(summary.lines(result, inputs, request.again))
    return _status(result, request)


def _show(request: Request) -> int:
    from analyzer.outputs import timeline, words

    assert request.number is not None
    result = _analyzed(request, ("connections", "closes", "frames", "messages", "violations"))
    _check_number(result, request.number)
    limit = request.options.limit
    if limit is None and sys.stdout.isatty():
        limit = timeline.ON_TERMINAL
    words.show(timeline.lines(result.connection(request.number), request.number, limit))
    return _status(result, request)


def _check_number(result: Any, number: int) -> None:
    if number not in result.connections.index:
        total = len(result.connections)
        there = f"there are {total}, numbered from 0" if total else "no WebSocket was found"
        raise UsageError(f"there is no connection {number}: {there}")


def _codes(request: Request) -> int:
    from analyzer.outputs import codes, words

    if len(request.inputs) > 1:
        raise UsageError("codes takes one code")
    if not request.inputs:
        words.show(codes.everything())
        return 0
    text = request.inputs[0]
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise UsageError(f"{text!r} is no close code: they are numbers from 0 to 65535")
    words.show(codes.one(int(text)))
    return 0


def _extract(request: Request) -> int:
    path, number = _extract_to(request), request.number
    assert number is not None
    result = _analyzed(request, ("connections",))
    _check_number(result, number)
    try:
        packets = _write_packets(path, request.inputs, result, number)
    except OSError as error:
        raise Failure(_cannot_write(path, error)) from None
    _say(f"{packets} packets of connection {number} written to {path}")
    return _status(result, request)


def _extract_to(request: Request) -> str:
    path: str | None = request.options.output
    if path is None:
        raise UsageError("extract needs -o part.pcapng")
    if not path.lower().endswith(".pcapng"):
        raise UsageError(f"extract writes pcapng: name the output something.pcapng, not {path}")
    if "-" in request.inputs:
        raise UsageError("extract reads its input twice, which standard input does not allow")
    _check_output(path, request.inputs)
    return path


def _write_packets(path: str, inputs: Sequence[str], result: Any, number: int) -> int:
    """The second pass over the inputs; how many packets it wrote."""
    from analyzer import pipeline
    from analyzer.extract import Bounds, Extractor, PcapngWriter
    from analyzer.outputs.writing import NewFile

    row = result.connections.loc[number]
    files: list[str] = result.files
    first, last = (
        (files.index(str(row[f"{end}_file"])) if len(files) > 1 else 0, int(row[f"{end}_packet"]))
        for end in ("first", "last")
    )
    bounds = Bounds(row["client_ip"], int(row["client_port"]), row["server_ip"], int(row["server_port"]), first, last)
    made: list[Extractor] = []
    secrets = result.secrets(number) if row.get("transport") == "tls" else b""
    file = NewFile(path)

    def reader(packet: Any, segment: Any) -> Extractor:
        made.append(Extractor(packet, segment, bounds, PcapngWriter(file.stream, secrets=secrets)))
        return made[-1]

    try:
        pipeline.packets_of(inputs, reader)
        file.commit()
    except BaseException:
        file.discard()
        raise
    return sum(each.packets for each in made)


def _table(request: Request) -> int:
    from analyzer import interrupts
    from analyzer.outputs.writing import MissingExtra

    options = request.options
    chosen = (options.columns, options.where, options.limit) != (None, None, None)
    selection = _selection(request) if chosen else None
    try:
        form, sink = _sink(request)
    except (MissingExtra, OSError) as error:
        raise Failure(_cannot_write(options.output, error)) from None
    if sink is None:
        return _people_table(request, selection or _selection(request))
    try:
        if form == "csv" and not chosen and not _streams(request):
            result = _whole_csv(request, sink)
        else:
            result = _selected_rows(request, selection or _selection(request), sink)
        if interrupts.asked():
            raise KeyboardInterrupt
        sink.commit()
    except KeyboardInterrupt:
        place = sink.keep_partial()
        _say(
            f"interrupted: {place} is partial: {sink.rows} whole rows" if place else "interrupted: nothing was written"
        )
        return 130
    except BaseException as error:
        sink.discard()
        if isinstance(error, OSError) and options.output and not isinstance(error, BrokenPipeError):
            raise Failure(_cannot_write(options.output, error)) from None
        raise
    return _status(result, request)


def _selection(request: Request) -> Selection:
    from analyzer.selection import Selection

    options = request.options
    return Selection(request.command, options.columns, options.where, options.limit)


def _selected_rows(request: Request, selection: Selection, sink: Rows) -> Any:
    """Write the rows wanted; the result of the analysis."""
    result = _analyzed(request, (request.command, "connections"), _feed(request, selection, sink))
    if not _streams(request):
        for rows in result.pieces(request.command):
            sink.write(selection.rows(rows))
    return result


def _whole_csv(request: Request, sink: Rows) -> Any:
    """Write all rows and columns, without pandas; the result of the analysis."""
    result = _analyzed(request, (request.command, "connections"))
    stored = result.stored(request.command)
    if stored is None:  # it is a DataFrame already
        sink.write(_selection(request).rows(getattr(result, request.command)))
    else:
        sink.write_stored(*stored)
    return result


def _people_table(request: Request, selection: Selection) -> int:
    from analyzer.outputs import text_table

    result = _analyzed(request, (request.command, "connections"))
    rows = selection.rows(getattr(result, request.command))
    if sys.stdout.isatty():
        options = request.options
        chosen, limited = options.columns is not None, options.limit is not None
        note = text_table.write_terminal(rows, sys.stdout, request.command, chosen, limited)
        if note:
            _say(note)
    else:
        text_table.write_plain(rows, sys.stdout)
    return _status(result, request)


def _sink(request: Request) -> tuple[str, Rows | None]:
    """The format, and where the rows go: None for a table for people."""
    from analyzer.outputs.writing import StreamRows, TableFile, format_of

    options = request.options
    if options.output is None:
        form = options.format or ("table" if sys.stdout.isatty() else "csv")
        return form, None if form == "table" else StreamRows(sys.stdout, form)
    form, compression = format_of(options.output) or (options.format, "")
    if form is None or form == "table":
        wanted = ".csv, .json, .jsonl (also with .gz or .zst), .parquet or .arrow"
        raise UsageError(f"-o {options.output}: the name must end in {wanted}")
    if options.format is not None and options.format != form:
        raise UsageError(f"-o {options.output} and --format {options.format} contradict each other")
    _check_output(options.output, request.inputs)
    return form, TableFile(options.output, form, compression)


def _check_output(path: str, inputs: Sequence[str]) -> None:
    for name in inputs:
        with contextlib.suppress(OSError):
            if os.path.samefile(path, name):
                raise UsageError(f"-o {path} would overwrite the capture")


def _streams(request: Request) -> bool:
    """The table can outgrow memory: its rows are written while the capture is read."""
    from analyzer.schema import TABLES

    return TABLES[request.command].streams


def _feed(request: Request, selection: Selection, sink: Rows) -> Callable[[str, pd.DataFrame], None] | None:
    """What takes the rows of a streamed table while the capture is read."""
    if not _streams(request):
        return None

    def feed(table: str, rows: pd.DataFrame) -> None:
        if table == request.command:
            sink.write(selection.rows(rows))

    return feed


def _analyzed(request: Request, tables: Sequence[str], chunk: Any = None) -> Any:
    """The result of the analysis, with a progress bar where a person sees it; of what was read until an interrupt."""
    from analyzer import interrupts
    from analyzer.outputs.progress import ProgressBar

    options = request.options
    bar = ProgressBar(sys.stderr) if sys.stderr.isatty() and not options.no_progress else None
    try:
        with interrupts.end_reading():
            return analyzer.analyze(
                *request.inputs,
                tables=tuple(dict.fromkeys(tables)),
                since=options.since,
                until=options.until,
                points=options.points,
                keylog=options.keylog,
                websocket_ports=options.websocket_port or (),
                progress=bar,
                chunk=chunk,
            )
    finally:
        if bar is not None:
            bar.close()


def _status(result: Any, request: Request) -> int:
    """Says what a person must know beside the output; 1 if a file could not be read, 130 if interrupted, else 0."""
    from analyzer import interrupts

    if interrupts.asked():
        _say("interrupted: this tells of what was read until then")
        return 130
    if request.command != "summary" and (result.problems or result.empty):
        _say_problems(result, request)
    for error in result.errors:
        _say(error)
    return 1 if result.errors else 0


def _say_problems(result: Any, request: Request) -> None:
    from analyzer.outputs import summary

    for problem in result.problems[:PROBLEMS_SAID]:
        _say(summary.problem_text(problem))
    if len(result.problems) > PROBLEMS_SAID:
        _say(f"and {len(result.problems) - PROBLEMS_SAID} more problems: wsclose FILE tells them")
    if request.command in TABLES and result.empty:
        for line in summary.absence(result, request.inputs):
            _say("".join(text for text, _ in line).strip())


def _cannot_write(path: str, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{path}: {reason}"


def _say(*lines: object) -> None:
    """One message on standard error; whatever in its lines acts on a terminal is escaped."""
    from analyzer.outputs.escaping import visible

    sys.stdout.flush()
    print("wsclose:", "\n".join(visible(str(line)) for line in lines), file=sys.stderr)


def _be_quick() -> None:
    """A command is over before it pays to look for rings at its end; and it does no linear algebra, for which numpy
    would start threads that wait busily."""
    atexit.register(gc.freeze)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _use_utf8() -> None:
    """Pipes get UTF-8 with plain line ends; a terminal keeps its encoding and gets escapes for what that lacks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if stream.isatty():
            reconfigure(errors="backslashreplace")
        else:
            reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def _abandon_output() -> None:
    """Whoever read our output has left: let nothing more be written, not even at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
