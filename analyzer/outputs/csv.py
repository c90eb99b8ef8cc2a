"""CSV (RFC 4180, lines end in LF): exact times and durations, text that no spreadsheet runs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from analyzer.outputs.cells import Style, moment, pieces, rendered, seconds
from analyzer.outputs.escaping import spreadsheet
from analyzer.schema import BOOLEAN, BYTES, DURATION, NUMBERS, TIME, UNSIGNED, Column

if TYPE_CHECKING:
    import pandas as pd

STYLE = Style(text=spreadsheet)
MISSING = -(1 << 63)  # records.MISSING and NO_TIME


class CsvWriter:
    """Writes tables of equal columns one after the other under one header."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = False

    def write(self, frame: pd.DataFrame) -> None:
        """Append the rows; the first table, empty or not, brings the header."""
        self.begin(map(str, frame.columns))
        for piece in pieces(frame):
            self.write_cells([rendered(piece[name], STYLE) for name in piece.columns])

    def begin(self, names: Iterable[str]) -> None:
        """Write the header, unless it is there."""
        if not self._begun:
            self._begun = True
            self._stream.write(",".join(map(spreadsheet, names)) + "\n")

    def write_cells(self, columns: Sequence[Sequence[str]]) -> None:
        """Append at least one row, given as text by column."""
        self._stream.write("\n".join(map(",".join, zip(*columns, strict=True))) + "\n")

    def close(self) -> None:
        """Nothing follows the last row."""


def text_of(column: Column) -> Callable[[Any], str]:
    """What writes the values of a column as a table keeps them; the same text as from a DataFrame."""
    dtype = column.dtype
    if dtype == BOOLEAN and column.is_plain_number:
        return lambda value: "" if value < 0 else "true" if value else "false"
    if dtype == BOOLEAN:
        return _or_empty(lambda value: "true" if value else "false")
    if dtype == UNSIGNED:
        return lambda value: str(value % (1 << 64))
    if dtype in NUMBERS:
        return _or_empty({TIME: moment, DURATION: seconds}.get(dtype, str))
    return _or_empty(_bytes if dtype == BYTES else spreadsheet)


def _or_empty(write: Callable[[Any], str]) -> Callable[[Any], str]:
    """The same, and nothing for a missing value."""
    return lambda value: "" if value is None or value == MISSING else write(value)


def _bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
