"""Collects rows as they are seen and makes DataFrames of them, as the schema says."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from operator import attrgetter
from struct import Struct
from typing import Any

import numpy as np
import pandas as pd

from analyzer.diagnosis.conclusions import conclude as diagnose
from analyzer.diagnosis.gathering import Gathered
from analyzer.outcome import conclude
from analyzer.reconnects import Attempt, pairs
from analyzer.records import MISSING, NO_TIME, Close, Connection, Frame, Message, Observer
from analyzer.schema import (
    BOOLEAN,
    BYTES,
    DIAGNOSED,
    DURATION,
    TABLES,
    TEXT,
    TIME,
    UNSIGNED,
    Column,
    Count,
    Table,
    address,
)

PIECE = 10_000
"""Rows of a table that streams handed out at a time."""

STRING = pd.StringDtype(na_value=pd.NA)


def _reader(paths: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What reads the attributes at dotted paths, as a tuple, in one call."""
    read = attrgetter(*paths)
    return read if len(paths) > 1 else lambda record: (read(record),)


class _Numbering(dict[Any, int]):
    """Numbers values in order of appearance, from 0."""

    def __missing__(self, value: Any) -> int:
        self[value] = number = len(self)
        return number


class _Group:
    """Columns whose values are kept once for each distinct set of their sources' values: four bytes a row."""

    def __init__(self, columns: Sequence[Column], files: Sequence[str]) -> None:
        self.columns = columns
        self._files = files
        self._paths = list(dict.fromkeys(path for column in columns for path in column.paths))
        self._read = _reader(self._paths)
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self._numbering = _Numbering()
        self._numbers = array("i")

    def steps(self) -> tuple[Callable[[Any], Any], _Numbering, Callable[[int], None]]:
        """How to take a record until the next clear(): read it, number what was read, keep the number."""
        return self._read, self._numbering, self._numbers.append

    def build(self) -> dict[str, Any]:
        """Each column's values."""
        distinct = list(zip(*self._numbering, strict=True)) or [()] * len(self._paths)
        raw = dict(zip(self._paths, distinct, strict=True))
        numbers = np.frombuffer(self._numbers, np.int32)
        return {
            column.name: self._typed(column, *(raw[path] for path in column.paths)).take(numbers)
            for column in self.columns
        }

    def _typed(self, column: Column, *sources: Iterable[Any]) -> Any:
        """The distinct values of one column in its dtype."""
        if column.names_file:
            names = list(dict.fromkeys(self._files))
            return pd.Categorical([self._files[index] for index in sources[0]], categories=names)
        if column.values is not None:
            words = np.array([column.values.get(value) for value in sources[0]], object)
            return pd.Categorical(words, categories=column.categories)
        values = list(sources[0] if column.of is None else map(column.of, *sources))
        if column.dtype == BYTES:
            result = np.empty(len(values), object)
            result[:] = values
            return result
        dtype: Any = STRING if column.dtype == TEXT else column.dtype
        return pd.array(values, dtype=dtype)


class _Numbers:
    """Columns of numbers and times: eight bytes a row and column."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self._read = _reader([path for column in columns for path in column.paths])
        self._pack = Struct("=" + "".join("Q" if column.dtype == UNSIGNED else "q" for column in columns)).pack
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self._packed = bytearray()

    def steps(self) -> tuple[Callable[[Any], tuple[Any, ...]], Callable[..., bytes], Callable[[bytes], None]]:
        """How to take a record until the next clear(): read it, pack what was read, keep the bytes."""
        return self._read, self._pack, self._packed.extend

    def build(self) -> dict[str, Any]:
        """Each column's values."""
        rows = np.frombuffer(self._packed, np.int64).reshape(-1, len(self.columns))
        return {column.name: _typed(column, rows[:, place].copy()) for place, column in enumerate(self.columns)}


def _typed(column: Column, values: Any) -> Any:
    """A column of numbers in its dtype. values: int64, its own copy."""
    if column.dtype == TIME:
        return pd.DatetimeIndex(values.view("M8[ns]")).tz_localize("UTC")
    if column.dtype == DURATION:
        return pd.TimedeltaIndex(values.view("m8[ns]"))
    if column.dtype == BOOLEAN:
        return pd.arrays.BooleanArray(values > 0, values < 0)
    if column.dtype == UNSIGNED:
        return pd.arrays.IntegerArray(values.view(np.uint64), np.zeros(len(values), bool))
    missing = values == MISSING
    values[missing] = 0
    return pd.arrays.IntegerArray(values, missing)


def _attempt(outcome: Any) -> Attempt:
    """What the reconnects need of a connection."""
    connection, flow = outcome.connection, outcome.flow
    return Attempt(
        connection.number,
        connection.forwarded_for or address(flow.version, outcome.client_high, outcome.client_low),
        connection.user_agent,
        connection.host,
        connection.path,
        connection.subprotocol,
        (address(flow.version, outcome.server_high, outcome.server_low), outcome.server_port),
        outcome.start,
        outcome.end if outcome.ended and outcome.end != NO_TIME else None,
        outcome.client_saw if outcome.client_saw >= 0 else None,
        connection.opening in ("refused", "unanswered"),
    )


class _Rows:
    """The rows of one table, or those of its columns that have the names given."""

    def __init__(self, table: Table, files: Sequence[str], names: Set[str]) -> None:
        self.table = table
        self.columns = [column for column in table.columns_for(len(files)) if column.name in names]
        self._order = [column.name for column in table.columns]
        groups: dict[str, list[Column]] = {}
        for column in self.columns:
            if not column.is_plain_number:
                groups.setdefault(column.group, []).append(column)
        self._numbers = _Numbers([column for column in self.columns if column.is_plain_number])
        self._groups = [_Group(columns, files) for columns in groups.values()]
        self._taken = 0
        self._begin()

    def _begin(self) -> None:
        """Be ready for the first row."""
        self.count = 0
        self._read, self._pack, self._keep = self._numbers.steps()
        self._group_steps = [group.steps() for group in self._groups]

    def append(self, record: Any) -> None:
        """Take a record's values; it may be overwritten afterwards."""
        self._keep(self._pack(*self._read(record)))
        for read, numbering, keep in self._group_steps:
            keep(numbering[read(record)])
        self.count += 1

    def values(self) -> dict[str, Any]:
        """Each column's values; the rows are then forgotten."""
        values: dict[str, Any] = {}
        parts: list[_Numbers | _Group] = [self._numbers, *self._groups]
        for part in parts:
            values |= part.build()
            part.clear()
        return values

    def take(self, beside: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The rows as a DataFrame, numbered on from the rows taken before; they are then forgotten.

        beside: values of the table's other columns, in the order in which the rows came.
        """
        values = self.values() | dict(beside or {})
        frame = pd.DataFrame({name: values.pop(name) for name in self._order if name in values}, copy=False)
        if self.table.index is None:
            frame.index = pd.RangeIndex(self._taken, self._taken + self.count)
        else:
            frame.index = pd.Index(frame.pop(self.table.index).to_numpy(np.int64), name=self.table.index)
            frame = frame if frame.index.is_monotonic_increasing else frame.sort_index()
        self._taken += self.count
        self._begin()
        return frame


class Tables(Observer):
    """Makes the tables asked for from what is observed.

    files: names of the input files, by their index. chunk(table, DataFrame) is given frames, messages and closes in
    pieces, the last one (which may be empty) from frames_of; they are then not kept. The pieces of a table have the
    same columns and dtypes, and their index goes on from piece to piece.
    """

    def __init__(
        self,
        tables: Iterable[str],
        files: Sequence[str],
        chunk: Callable[[str, pd.DataFrame], None] | None = None,
    ) -> None:
        asked = frozenset(tables)
        self._chunk = chunk
        self._files = files
        self._rows = {name: _rows(table, files) for name, table in TABLES.items() if name in asked}
        self._connections = self._rows.get("connections")
        self._gathered = Gathered()
        self._attempts: list[Attempt] | None = [] if "reconnects" in asked else None

    def frame(self, frame: Frame) -> None:
        self._append("frames", frame)

    def message(self, message: Message) -> None:
        self._append("messages", message)

    def close(self, close: Close) -> None:
        self._append("closes", close)

    def connection(self, connection: Connection) -> None:
        if self._connections is None and self._attempts is None:
            return
        outcome = conclude(connection)
        if self._connections is not None:
            self._connections.append(outcome)
            self._gathered.take(outcome)
        if self._attempts is not None and outcome.start != NO_TIME:
            self._attempts.append(_attempt(outcome))

    def _append(self, name: str, record: Any) -> None:
        rows = self._rows.get(name)
        if rows is None:
            return
        rows.append(record)
        if self._chunk is not None and rows.count >= PIECE:
            self._chunk(name, rows.take())

    def frames_of(self, ledger: Mapping[tuple[str, str], int]) -> dict[str, pd.DataFrame]:
        """The tables that are kept, by name; ledger: (unit, kind) -> count. To be called once, when all is observed."""
        result = {}
        for name, rows in self._rows.items():
            for pair in pairs(self._attempts or ()) if name == "reconnects" else ():
                rows.append(pair)
            if name == "ledger":
                for (unit, kind), count in ledger.items():
                    rows.append(Count(unit, kind, count))
            if name == "connections":
                result[name] = self._diagnosed(rows)
            elif self._chunk is not None and rows.table.streams:
                self._chunk(name, rows.take())
            else:
                result[name] = rows.take()
        return result

    def _diagnosed(self, rows: _Rows) -> pd.DataFrame:
        """The connections, with their causes."""
        found = _Rows(rows.table, self._files, DIAGNOSED)
        for finding in diagnose(self._gathered, self._files):
            found.append(finding)
        return rows.take(found.values())


def _rows(table: Table, files: Sequence[str]) -> _Rows:
    """The rows of a table, without what the diagnosis adds."""
    names = {column.name for column in table.columns}
    return _Rows(table, files, names - DIAGNOSED if table.name == "connections" else names)
