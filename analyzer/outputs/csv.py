"""CSV (RFC 4180, lines end in LF): exact times and durations, text that no spreadsheet runs."""

from typing import TextIO

import pandas as pd

from analyzer.outputs.cells import Style, pieces, rendered
from analyzer.outputs.escaping import spreadsheet

STYLE = Style(text=spreadsheet)


class CsvWriter:
    """Writes tables of equal columns one after the other under one header."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = False

    def write(self, frame: pd.DataFrame) -> None:
        """Append the rows; the first table, empty or not, brings the header."""
        if not self._begun:
            self._begun = True
            self._stream.write(",".join(spreadsheet(str(name)) for name in frame.columns) + "\n")
        for piece in pieces(frame):
            columns = [rendered(piece[name], STYLE) for name in piece.columns]
            self._stream.write("\n".join(map(",".join, zip(*columns, strict=True))) + "\n")

    def close(self) -> None:
        """Nothing follows the last row."""
