"""JSON (RFC 8259): a list of objects, or one object a line.

Times are ISO 8601 with nine fractional digits and Z, durations decimal seconds with nine fractional digits,
bytes base64, missing values null; text is exact.
"""

from typing import TextIO

import pandas as pd

from analyzer.outputs.cells import Style, pieces, rendered
from analyzer.outputs.escaping import json_string


def _quoted(word: str) -> str:
    return f'"{word}"'


STYLE = Style(text=json_string, word=_quoted, missing="null")


class JsonWriter:
    """Writes tables one after the other as one list, or as lines."""

    def __init__(self, stream: TextIO, lines: bool) -> None:
        self._stream = stream
        self._lines = lines
        self._separator = "" if lines else "[\n"

    def write(self, frame: pd.DataFrame) -> None:
        """Append the rows."""
        between = "}\n{" if self._lines else "},\n{"
        for piece in pieces(frame):
            columns = [rendered(piece[name], STYLE, f"{json_string(str(name))}: ") for name in piece.columns]
            rows = between.join(map(", ".join, zip(*columns, strict=True)))
            self._stream.write(f"{self._separator}{{{rows}}}")
            self._separator = "\n" if self._lines else ",\n"

    def close(self) -> None:
        """End the list, or the last line."""
        if not self._lines:
            self._stream.write("[]\n" if self._separator == "[\n" else "\n]\n")
        elif self._separator:
            self._stream.write("\n")
