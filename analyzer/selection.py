"""Which rows and columns of a table are wanted; applied to the table whole or piece by piece."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analyzer.columns import Column
from analyzer.outputs.cells import flat
from analyzer.problems import WhereError
from analyzer.schema import TABLES
from analyzer.where import Condition, near


def _without_values(column: Column) -> pd.Series[Any]:
    dtype: Any = pd.CategoricalDtype(column.categories) if column.categories else column.dtype
    values: pd.Series[Any] = pd.Series([], dtype=dtype)
    return values


class Selection:
    """Columns (names joined by commas), a condition, a number of rows; None where all are wanted.

    WhereError at once for what the table's schema cannot give, so that nobody waits for a capture to learn of a slip.
    """

    def __init__(self, table: str, columns: str | None, where: str | None, limit: int | None) -> None:
        self._columns = columns
        self._condition = None if where is None else Condition(where)
        self._left = limit
        self._narrowed(pd.DataFrame({column.name: _without_values(column) for column in TABLES[table].columns}))

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What is wanted of the next piece of the table."""
        frame = self._narrowed(flat(frame))
        if self._left is not None:
            frame = frame.iloc[: self._left]
            self._left -= len(frame)
        return frame

    def _narrowed(self, frame: pd.DataFrame) -> pd.DataFrame:
        if self._condition is not None:
            frame = frame[self._condition.rows(frame)]
        if self._columns is None:
            return frame
        known = [str(name) for name in frame.columns]
        names = []
        at = 0
        for part in self._columns.split(","):
            name = part.strip()
            if name not in known:
                message = f"no column {name}; {near(name, known)}" if name else "a column's name is missing"
                raise WhereError(message, self._columns, at, "--columns")
            if name in names:
                raise WhereError(f"{name} is named twice", self._columns, at, "--columns")
            names.append(name)
            at += len(part) + 1
        return frame[names]
