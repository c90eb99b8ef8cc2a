"""Collects rows as they are seen and makes DataFrames of them, as the schema says.

numpy and pandas are imported where DataFrames are made: text can be written without them, and loading them takes longer
than reading a million packets.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING, Any

from analyzer.diagnosis.gathering import Gathered
from analyzer.outcome import conclude
from analyzer.reconnects import Attempt, pairs
from analyzer.records import MISSING, NO_TIME, Close, Connection, Frame, Message, Observer, Violation
from analyzer.schema import (
    BOOLEAN,
    BYTES,
    CONCLUDED,
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

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.diagnosis.conclusions import Diagnosis

PIECE = 10_000
"""Rows of a table that streams handed out at a time."""

TextOf = Callable[[Column], Callable[[Any], str]]
"""What gives for a column what writes its values, as the sources or `of` give them."""


def _reader(paths: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What reads the attributes at dotted paths, as a tuple, in one call."""
    if not paths:
        return lambda record: ()
    read = attrgetter(*paths)
    return read if len(paths) > 1 else lambda record: (read(record),)


class _Numbering(dict[Any, int]):
    """Numbers values in order of appearance, from 0."""

    def __missing__(self, value: Any) -> int:
        self[value] = number = len(self)
        return number


class _Memory(dict[Any, str]):
    """Text by value, made once for equal ones."""

    def __init__(self, make: Callable[[Any], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, value: Any) -> str:
        self[value] = text = self._make(value)
        return text


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

    def build(self, chosen: Any) -> dict[str, Any]:
        """Each column's values in the chosen rows (an index of numpy)."""
        import numpy as np

        numbers = np.frombuffer(self._numbers, np.int32)[chosen]
        keys: Sequence[Any] = list(self._numbering)
        if len(keys) > len(numbers):  # make values of those that occur here alone
            used, numbers = np.unique(numbers, return_inverse=True)
            keys = [keys[number] for number in used.tolist()]
        distinct = list(zip(*keys, strict=True)) or [()] * len(self._paths)
        raw = dict(zip(self._paths, distinct, strict=True))
        return {
            column.name: self._typed(column, *(raw[path] for path in column.paths)).take(numbers)
            for column in self.columns
        }

    def cells(self, chosen: Sequence[int], text_of: TextOf) -> dict[str, list[str]]:
        """Each column's text in the chosen rows."""
        numbers = list(map(self._numbers.__getitem__, chosen))
        keys: Sequence[Any] = list(self._numbering)
        result = {}
        for column in self.columns:
            text, value = text_of(column), self._value(column)
            texts = _Memory(lambda number, text=text, value=value: text(value(keys[number])))  # type: ignore[misc]
            result[column.name] = list(map(texts.__getitem__, numbers))
        return result

    def _value(self, column: Column) -> Callable[[tuple[Any, ...]], Any]:
        """What makes the column's value of its sources' values."""
        places = [self._paths.index(path) for path in column.paths]
        place, of, values = places[0], column.of, column.values
        if column.names_file:
            return lambda key: self._files[key[place]]
        if values is not None:
            return lambda key: values.get(key[place])
        if of is None:
            return lambda key: key[place]
        return lambda key: of(*(key[place] for place in places))

    def _typed(self, column: Column, *sources: Iterable[Any]) -> Any:
        """The distinct values of one column in its dtype."""
        import numpy as np
        import pandas as pd

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
        dtype: Any = pd.StringDtype(na_value=pd.NA) if column.dtype == TEXT else column.dtype
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

    def raw(self, column: str) -> list[int]:
        """One column's numbers as they were read."""
        place = [column.name for column in self.columns].index(column)
        return memoryview(self._packed).cast("q")[place :: len(self.columns)].tolist()

    def cells(self, chosen: Sequence[int], text_of: TextOf) -> dict[str, list[str]]:
        """Each column's text in the chosen rows."""
        width = len(self.columns)
        size = 8 * width
        rows = memoryview(b"".join([self._packed[size * row : size * row + size] for row in chosen])).cast("q")
        return {
            column.name: list(map(_Memory(text_of(column)).__getitem__, rows[place::width].tolist()))
            for place, column in enumerate(self.columns)
        }

    def build(self, chosen: Any) -> dict[str, Any]:
        """Each column's values in the chosen rows (an index of numpy)."""
        import numpy as np

        rows = np.frombuffer(self._packed, np.int64).reshape(-1, len(self.columns))[chosen]
        return {column.name: _typed(column, rows[:, place].copy()) for place, column in enumerate(self.columns)}


def _typed(column: Column, values: Any) -> Any:
    """A column of numbers in its dtype. values: int64, its own copy."""
    import numpy as np
    import pandas as pd

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


class Rows:
    """The rows of one table, or those of its columns that have the names given."""

    def __init__(self, table: Table, files: Sequence[str], names: Set[str]) -> None:
        self.table = table
        self.columns = [column for column in table.columns_for(len(files)) if column.name in names]
        groups: dict[str, list[Column]] = {}
        for column in self.columns:
            if not column.is_plain_number:
                groups.setdefault(column.group, []).append(column)
        self._numbers = _Numbers([column for column in self.columns if column.is_plain_number])
        self._groups = [_Group(columns, files) for columns in groups.values()]
        self._parts: list[_Numbers | _Group] = [*([self._numbers] if self._numbers.columns else ()), *self._groups]
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

    def join(self, other: Rows) -> None:
        """Take over the other columns of the same rows, which came in the same order; no more are appended."""
        self._parts += other._parts
        names = {column.name for column in (*self.columns, *other.columns)}
        self.columns = [column for column in self.table.columns if column.name in names]

    def take(self) -> pd.DataFrame:
        """The rows as a DataFrame, numbered on from the rows taken before; they are then forgotten."""
        frame = self._frame(self._order(), self._taken)
        for part in self._parts:
            part.clear()
        self._taken += self.count
        self._begin()
        return frame

    def pieces(self) -> Iterator[pd.DataFrame]:
        """The rows that are kept, PIECE at a time, at least one piece, which may be empty; they stay."""
        order = self._order()
        for start in range(0, max(1, self.count), PIECE):
            yield self._frame(order[start : start + PIECE], start)

    def cells(self, text_of: TextOf) -> Iterator[list[list[str]]]:
        """The rows that are kept, PIECE at a time, as lists of text: one a column; they stay."""
        order = self._order()
        for start in range(0, self.count, PIECE):
            chosen = order[start : start + PIECE]
            texts: dict[str, list[str]] = {}
            for part in self._parts:
                texts |= part.cells(chosen, text_of)
            yield [texts[column.name] for column in self.columns]

    def _order(self) -> Sequence[int]:
        """The numbers of all rows in the order of the table's index."""
        order = range(self.count)
        if self.table.index is None:
            return order
        return sorted(order, key=self._numbers.raw(self.table.index).__getitem__)

    def _frame(self, order: Sequence[int], start: int) -> pd.DataFrame:
        """The rows of those numbers as a DataFrame; start: number of the first where the table has no index column."""
        import numpy as np
        import pandas as pd

        chosen: Any = slice(order.start, order.stop) if isinstance(order, range) else np.array(order, np.intp)
        values: dict[str, Any] = {}
        for part in self._parts:
            values |= part.build(chosen)
        frame = pd.DataFrame({column.name: values.pop(column.name) for column in self.columns}, copy=False)
        if self.table.index is None:
            frame.index = pd.RangeIndex(start, start + len(frame))
        else:
            frame.index = pd.Index(frame.pop(self.table.index).to_numpy(np.int64), name=self.table.index)
        return frame


class Tables(Observer):
    """Makes the tables asked for from what is observed.

    files: names of the input files, by their index. chunk(table, DataFrame) is given frames, messages and violations in
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
        self._gathered = Gathered() if asked & CONCLUDED.keys() else None
        self._attempts: list[Attempt] | None = [] if "reconnects" in asked else None

    def frame(self, frame: Frame) -> None:
        self._append("frames", frame)

    def message(self, message: Message) -> None:
        self._append("messages", message)

    def close(self, close: Close) -> None:
        self._append("closes", close)
        if self._gathered is not None and "closes" in self._rows:
            self._gathered.close(close)

    def violation(self, violation: Violation) -> None:
        self._append("violations", violation)

    def connection(self, connection: Connection) -> None:
        if self._gathered is None and self._attempts is None:
            return
        outcome = conclude(connection)
        if self._connections is not None:
            self._connections.append(outcome)
        if self._gathered is not None:
            self._gathered.take(outcome)
        if self._attempts is not None and outcome.start != NO_TIME:
            self._attempts.append(_attempt(outcome))

    def _append(self, name: str, record: Any) -> None:
        rows = self._rows.get(name)
        if rows is None:
            return
        rows.append(record)
        if self._chunk is not None and rows.table.streams and rows.count >= PIECE:
            self._chunk(name, rows.take())

    def frames_of(self, ledger: Mapping[tuple[str, str], int]) -> dict[str, pd.DataFrame]:
        """The tables that are kept, by name; see kept."""
        return {name: rows.take() for name, rows in self.kept(ledger).items()}

    def kept(self, ledger: Mapping[tuple[str, str], int]) -> dict[str, Rows]:
        """The rows of the tables that are kept, by name; ledger: (unit, kind) -> count. To be called once, when all is
        observed."""
        result = {}
        diagnosis = self._diagnosis()
        for name, rows in self._rows.items():
            for pair in pairs(self._attempts or ()) if name == "reconnects" else ():
                rows.append(pair)
            if name == "ledger":
                for (unit, kind), count in ledger.items():
                    rows.append(Count(unit, kind, count))
            if diagnosis is not None and name in CONCLUDED:
                found = diagnosis.findings() if name == "connections" else diagnosis.verdicts()
                rows.join(self._concluded(rows, found))
            if self._chunk is not None and rows.table.streams:
                self._chunk(name, rows.take())
            else:
                result[name] = rows
        return result

    def _diagnosis(self) -> Diagnosis | None:
        if self._gathered is None:
            return None
        from analyzer.diagnosis.conclusions import Diagnosis

        return Diagnosis(self._gathered, self._files)

    def _concluded(self, rows: Rows, conclusions: Iterable[Any]) -> Rows:
        """The columns of a table that are concluded when all is there."""
        found = Rows(rows.table, self._files, CONCLUDED[rows.table.name])
        for conclusion in conclusions:
            found.append(conclusion)
        return found


def _rows(table: Table, files: Sequence[str]) -> Rows:
    """The rows of a table, without what the diagnosis adds."""
    names = {column.name for column in table.columns}
    return Rows(table, files, names - CONCLUDED.get(table.name, frozenset()))
