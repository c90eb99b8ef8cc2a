"""CSV (RFC 4180, lines end in LF): exact times and durations, text that no spreadsheet runs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from analyzer.columns import BOOLEAN, BYTES, DURATION, INTEGER, TIME, UNSIGNED, Column
from analyzer.outputs.cells import Style, moment, pieces, rendered, seconds
from analyzer.outputs.escaping import spreadsheet
from analyzer.outputs.lines import Field, Lines

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.tables import Stored

STYLE = Style(text=spreadsheet)
ROWS_AT_ONCE = 1000
"""Rows written together: few enough to stay in the processor's cache."""
TEXT, NUMBER = 0, 1  # analyzer.outputs.lines
KINDS = {INTEGER: NUMBER, UNSIGNED: 2, BOOLEAN: 3, TIME: 4, DURATION: 5}


class CsvWriter:
    """Writes tables of equal columns one after the other under one header."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = False

    def write(self, frame: pd.DataFrame) -> None:
        """Append the rows; the first table, empty or not, brings the header."""
        self._begin(map(str, frame.columns))
        for piece in pieces(frame):
            columns = [rendered(piece[name], STYLE) for name in piece.columns]
            self._stream.write("\n".join(map(",".join, zip(*columns, strict=True))) + "\n")

    def pieces(self, rows: Any, columns: Sequence[Stored]) -> Iterator[int]:
        """Append rows as they are kept, some at a time; how many each time. The same text as from a DataFrame."""
        self._begin(stored.column.name for stored in columns)
        fields, lines = [_field(stored) for stored in columns], Lines()
        for start in range(0, len(rows), ROWS_AT_ONCE):
            chosen = rows[start : start + ROWS_AT_ONCE]
            for field, stored in zip(fields, columns, strict=True):
                field.take(stored.numbers(chosen))
            self._stream.write(lines.of(fields, len(chosen)))
            yield len(chosen)

    def _begin(self, names: Iterable[str]) -> None:
        """Write the header, unless it is there."""
        if not self._begun:
            self._begun = True
            self._stream.write(",".join(map(spreadsheet, names)) + "\n")

    def close(self) -> None:
        """Nothing follows the last row."""


def _field(stored: Stored) -> Field:
    """What writes a column."""
    value = stored.value
    if value is None:
        return Field(KINDS[stored.column.dtype])
    write = _text_of(stored.column)

    def make(number: int) -> bytes:
        found = value(number)
        return b"" if found is None else write(found).encode()

    return Field(TEXT, make)


def _text_of(column: Column) -> Callable[[Any], str]:
    """What writes the values of a column that are not kept as numbers."""
    if column.dtype == BOOLEAN:
        return lambda value: "true" if value else "false"
    writers: dict[str, Callable[[Any], str]] = {BYTES: _bytes, INTEGER: str, TIME: moment, DURATION: seconds}
    return writers.get(column.dtype, spreadsheet)


def _bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
