"""How people read values: durations, addresses, codes, counts, outcomes; and lines whose colour can be dropped."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from analyzer.outputs.escaping import visible

Line = list[tuple[str, str]]
"""A line of text in pieces (text, style); the styles are rich's, and gone in a pipe."""

HANGING = 2
"""Columns by which what does not fit a line of a terminal is set in below its beginning."""
NARROW = 30

OUTCOMES = {
    "clean": "both sides sent Close, the transport ended",
    "unanswered-close": "one side sent Close, the other did not",
    "dropped": "the transport ended without any Close",
    "refused": "the server refused the upgrade",
    "no-answer": "the upgrade request got no answer",
    "closing": "a Close was the last that was captured",
    "open": "still open when the capture ended",
    "unknown": "bytes that would tell were not captured, or are encrypted",
}
TRANSPORT_ENDS = {
    "fin": "FIN",
    "rst": "RST",
    "stream-end": "END_STREAM",
    "stream-reset": "RST_STREAM",
    "goaway": "GOAWAY",
}
COLOURS = {
    "clean": "green",
    "unanswered-close": "yellow",
    "dropped": "red",
    "refused": "red",
    "no-answer": "red",
    "closing": "cyan",
    "open": "cyan",
    "unknown": "magenta",
}


def is_missing(value: Any) -> bool:
    """Whether a single value of a table is missing."""
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def duration(nanoseconds: int) -> str:
    """A duration in at most two units: 250 ns, 3.20 ms, 12.5 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    size = abs(nanoseconds)
    sign = "-" if nanoseconds < 0 else ""
    if size < 1_000:
        return f"{sign}{size} ns"
    for limit, unit in ((10**6, "\u00b5s"), (10**9, "ms"), (60 * 10**9, "s")):
        if size < limit:
            value = size / (limit // (60 if unit == "s" else 1000))
            return f"{sign}{value:.{2 if value < 10 else 1}f} {unit}"
    seconds = size // 10**9
    for above, big, small in ((86_400, "d", "h"), (3_600, "h", "min"), (60, "min", "s")):
        if seconds >= above:
            rest = seconds % above // {"h": 3_600, "min": 60, "s": 1}[small]
            return f"{sign}{seconds // above} {big}" + (f" {rest} {small}" if rest else "")
    raise AssertionError("a minute or more has a unit")


def elapsed(value: Any) -> str:
    """A timedelta for people, an empty text if it is missing."""
    import pandas as pd

    return "" if is_missing(value) else duration(int(pd.Timedelta(value).as_unit("ns").value))


def moment(value: Any) -> str:
    """A time for people, in UTC to the millisecond."""
    if is_missing(value):
        return "a time that was not captured"
    return f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03d}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """1 connection, 2 connections."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def endpoint(address: Any, port: Any) -> str:
    """10.0.0.1:80, [::1]:80."""
    host = "?" if is_missing(address) else str(address)
    host = f"[{host}]" if ":" in host else host
    return host if is_missing(port) else f"{host}:{port}"


def packet(row: Any) -> str:
    """Where a person finds the packet of a row of a table: packet 17, or file#17 where there are several files."""
    file = getattr(row, "file", None)
    return f"packet {row.packet}" if is_missing(file) else f"{visible(str(file))}#{row.packet}"


def code(number: Any) -> str:
    """A close code with its name: 1001 Going Away; with its range if it has none: 4001 (private). Missing: no code."""
    if is_missing(number):
        return "no code"
    from analyzer.closecodes import CloseCode

    facts = CloseCode(int(number))
    return f"{int(number)} ({facts.range})" if facts.name == "Other" else f"{int(number)} {facts.name}"


def files(inputs: Iterable[object]) -> str:
    """The inputs as they are named in a sentence: the first few by name."""
    names = ["standard input" if name == "-" else visible(str(name)) for name in inputs]
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more files"


def show(lines: Iterable[Line], stream: TextIO | None = None) -> None:
    """Print the lines: in colour and wrapped at words, set in, on a terminal; plain and uncut elsewhere."""
    stream = stream or sys.stdout
    if not stream.isatty():
        for line in lines:
            stream.write("".join(text for text, _ in line).rstrip() + "\n")
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    for line in lines:
        text = Text.assemble(*line)
        inset = len(text.plain) - len(text.plain.lstrip())
        first, *rest = text[inset:].wrap(console, max(console.width - inset - HANGING, NARROW)) or [Text()]
        console.print(Text(" " * inset) + first, soft_wrap=True)
        for piece in rest:
            console.print(Text(" " * (inset + HANGING)) + piece, soft_wrap=True)
