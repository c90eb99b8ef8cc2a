"""Collects rows as they are seen and makes DataFrames of them, as the schema says."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from struct import Struct
from typing import Any

import numpy as np
import pandas as pd

from analyzer.outcome import conclude
from analyzer.records import MISSING, NO_TIME, Close, Connection, Frame, Message, Observer
from analyzer.schema import BOOLEAN, BYTES, CATEGORY, DURATION, TABLES, TEXT, TIME, UNSIGNED, Column, Table

BATCH = 10_000
"""Rows after which text becomes numbers, and after which a table that streams is handed out."""

STRING = pd.StringDtype(na_value=pd.NA)
CODED = (TEXT, CATEGORY)


def _reader(path: str, names: Sequence[str]) -> Callable[[Any], Iterable[Any]]:
    """What reads the attributes `names` of the object at the dotted path, "" for the record itself."""
    get: Callable[[Any], Iterable[Any]] = attrgetter(*names)
    if len(names) == 1:
        [name] = names
        get = lambda record: (getattr(record, name),)  # noqa: E731
    if not path:
        return get
    at = attrgetter(path)
    return lambda record: get(at(record))


class _Sources:
    """Reads the values of columns from a record, grouped by the objects that hold them."""

    def __init__(self, columns: Sequence[Column]) -> None:
        groups: dict[str, list[Column]] = {}
        functions = []
        for column in columns:
            if isinstance(column.source, str):
                groups.setdefault(column.source.rpartition(".")[0], []).append(column)
            else:
                functions.append(column)
        self.columns = [*(column for group in groups.values() for column in group), *functions]
        self._readers = [
            _reader(path, [str(column.source).rpartition(".")[2] for column in group]) for path, group in groups.items()
        ]
        self._functions = [column.source for column in functions if callable(column.source)]

    def values(self, record: Any) -> list[Any]:
        """One value for each of `columns`."""
        values: list[Any] = []
        for read in self._readers:
            values += read(record)
        for function in self._functions:
            values.append(function(record))
        return values


class _Vocabulary(dict[Any, int]):
    """Numbers values in order of appearance from 0; None is -1."""

    def __missing__(self, value: Any) -> int:
        self[value] = number = len(self) - 1
        return number


class _Rows:
    """The rows of one table, packed: eight bytes for a number, four for a text that has been seen."""

    def __init__(self, columns: Sequence[Column], files: Sequence[str]) -> None:
        self.columns = columns
        self.files = list(dict.fromkeys(files))
        self._file_codes = {index: self.files.index(name) for index, name in enumerate(files)}
        self._numbers = _Sources([c for c in columns if c.dtype not in (*CODED, BYTES)])
        self._others = _Sources([c for c in columns if c.dtype in (*CODED, BYTES)])
        self._vocabularies = {c.name: self._vocabulary(c) for c in self._others.columns if c.dtype != BYTES}
        self._pack = Struct("=" + "".join("Q" if c.dtype == UNSIGNED else "q" for c in self._numbers.columns)).pack
        self.taken = 0
        self._clear()

    def _clear(self) -> None:
        self.count = 0
        self._packed = bytearray()
        self._recent: list[list[Any]] = []
        self._codes = {name: array("i") for name in self._vocabularies}
        self._bytes: dict[str, list[Any]] = {c.name: [] for c in self.columns if c.dtype == BYTES}

    def _vocabulary(self, column: Column) -> dict[Any, int]:
        if column.dtype == TEXT:
            return _Vocabulary({None: -1})
        if column.names_file:
            return self._file_codes
        categories = column.categories
        assert column.values is not None
        known = {value: categories.index(text) for value, text in column.values.items()}
        return _Absent(known)

    def append(self, record: Any) -> None:
        """Take a record's values; it may be overwritten afterwards."""
        self._packed += self._pack(*self._numbers.values(record))
        self._recent.append(self._others.values(record))
        self.count += 1
        if len(self._recent) >= BATCH:
            self._settle()

    def _settle(self) -> None:
        """Turn the text of the recent rows into numbers."""
        for column, values in zip(self._others.columns, zip(*self._recent, strict=True), strict=False):
            if column.dtype == BYTES:
                self._bytes[column.name].extend(values)
            else:
                self._codes[column.name].extend(map(self._vocabularies[column.name].__getitem__, values))
        self._recent.clear()

    def take(self) -> pd.DataFrame:
        """The rows so far as a DataFrame, numbered on from the rows taken before; they are then forgotten."""
        self._settle()
        numbers = np.frombuffer(self._packed, np.int64).reshape(self.count, len(self._numbers.columns))
        places = {column.name: place for place, column in enumerate(self._numbers.columns)}
        data: dict[str, Any] = {}
        for column in self.columns:
            if column.name in places:
                data[column.name] = _numbers(column, numbers[:, places[column.name]].copy())
            elif column.dtype == BYTES:
                data[column.name] = pd.Series(self._bytes[column.name], dtype=object)
            else:
                data[column.name] = self._text(column)
        frame = pd.DataFrame(data, copy=False)
        frame.index = pd.RangeIndex(self.taken, self.taken + self.count)
        self.taken += self.count
        self._clear()
        return frame

    def _text(self, column: Column) -> Any:
        codes = np.frombuffer(self._codes[column.name], np.int32)
        if column.dtype == CATEGORY:
            names = self.files if column.names_file else column.categories
            return pd.Categorical.from_codes(codes, categories=names)  # type: ignore[arg-type]
        seen = self._vocabularies[column.name]
        known = pd.array([text for text in seen if text is not None], dtype=STRING)
        return known.take(codes, allow_fill=True)


class _Absent(dict[Any, int]):
    """Numbers of a closed vocabulary; -1 for whatever is not in it."""

    def __missing__(self, value: Any) -> int:
        return -1


def _numbers(column: Column, values: Any) -> Any:
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


def _build(table: Table, rows: _Rows) -> pd.DataFrame:
    """The whole table: sorted by its index where it has one."""
    frame = rows.take()
    if table.index is None:
        return frame
    frame.index = pd.Index(frame.pop(table.index).to_numpy(np.int64), name=table.index)
    return frame if frame.index.is_monotonic_increasing else frame.sort_index()


class Tables(Observer):
    """Makes the tables asked for from what is observed.

    files: names of the input files, by their index. chunk(table, DataFrame) is given frames, messages and closes in
    pieces of some thousand rows, the last from frames_of; those are then not kept. The pieces of a table have the same
    dtypes, and their index goes on from piece to piece.
    """

    def __init__(
        self,
        tables: Iterable[str],
        files: Sequence[str],
        chunk: Callable[[str, pd.DataFrame], None] | None = None,
    ) -> None:
        self._files = files
        self._chunk = chunk
        self._rows = {
            name: _Rows(table.columns_for(len(files)), files) for name, table in TABLES.items() if name in set(tables)
        }
        self._connections = self._rows.get("connections")

    def frame(self, frame: Frame) -> None:
        self._append("frames", frame)

    def message(self, message: Message) -> None:
        self._append("messages", message)

    def close(self, close: Close) -> None:
        self._append("closes", close)

    def connection(self, connection: Connection) -> None:
        if self._connections is not None:
            self._connections.append(conclude(connection))

    def _append(self, name: str, record: Any) -> None:
        rows = self._rows.get(name)
        if rows is None:
            return
        rows.append(record)
        if self._chunk is not None and rows.count >= BATCH:
            self._chunk(name, rows.take())

    def frames_of(self, ledger: Mapping[tuple[str, str], int]) -> dict[str, pd.DataFrame]:
        """The tables that are kept, by name; ledger: (unit, kind) -> count. Call it once, when all has been observed."""
        result = {}
        for name, rows in self._rows.items():
            table = TABLES[name]
            if name == "ledger":
                for (unit, kind), count in ledger.items():
                    rows.append((unit, kind, count))
            if self._chunk is not None and table.streams:
                self._chunk(name, rows.take())
            else:
                result[name] = _build(table, rows)
        return result
