"""Collects rows as they are seen and makes DataFrames of them, as the schema says.

numpy and pandas are imported where DataFrames are made: text can be written without them, and loading them takes longer
than reading a million packets.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.columns import BOOLEAN, BYTES, DURATION, TEXT, TIME, UNSIGNED, Column, Table
from analyzer.diagnosis.addresses import address
from analyzer.diagnosis.facts import FIELDS, WORDS, Tail
from analyzer.diagnosis.gathering import Gathered, Numbering
from analyzer.outcome import conclude
from analyzer.packed import picked
from analyzer.reconnects import ABNORMAL, Attempt, Reconnect, pairs
from analyzer.records import MISSING, NO_TIME, Close, Connection, Frame, Message, Observer, Violation
from analyzer.rules import returning
from analyzer.rules.catalog import RULES
from analyzer.schema import CONCLUDED, TABLES, Count

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.diagnosis.conclusions import Conclusions
    from analyzer.diagnosis.places import Places

PIECE = 10_000
"""Rows of a table that streams handed out at a time."""


class Stored(NamedTuple):
    """One column as it is kept. numbers(rows): its numbers in these rows (an array of int64); value: what makes the
    column's value of one, None where the number is the value."""

    column: Column
    numbers: Callable[[Any], Any]
    value: Callable[[int], Any] | None


def _reader(paths: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What reads the attributes at dotted paths, as a tuple, in one call."""
    if not paths:
        return lambda record: ()
    read = attrgetter(*paths)
    return read if len(paths) > 1 else lambda record: (read(record),)


class _Group:
    """Columns whose values are kept once for each distinct set of their sources' values: eight bytes a row."""

    def __init__(self, columns: Sequence[Column], files: Sequence[str]) -> None:
        self.columns = columns
        self._files = files
        self._paths = list(dict.fromkeys(path for column in columns for path in column.paths))
        self._read = _reader(self._paths)
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self._numbering = Numbering()
        self._numbers = array("q")

    def steps(self) -> tuple[Callable[[Any], Any], Numbering, Callable[[int], None]]:
        """How to take a record until the next clear(): read it, number what was read, keep the number."""
        return self._read, self._numbering, self._numbers.append

    def build(self, rows: Any) -> dict[str, Any]:
        """Each column's values in these rows."""
        import numpy as np

        numbers = np.frombuffer(self._numbers, np.int64)[rows]
        keys: Sequence[Any] = list(self._numbering)
        if len(keys) > len(numbers):  # make values of those that occur here alone
            used, numbers = np.unique(numbers, return_inverse=True)
            keys = [keys[number] for number in used.tolist()]
        distinct = list(zip(*keys, strict=True)) or [()] * len(self._paths)
        raw = dict(zip(self._paths, distinct, strict=True))
        return {
            column.name: _distinct(column, self._files, *(raw[path] for path in column.paths)).take(numbers)
            for column in self.columns
        }

    def stored(self) -> list[Stored]:
        """Its columns; numbers stand for values."""
        keys: Sequence[Any] = list(self._numbering)
        numbers = partial(picked, self._numbers, 0, 1)
        return [Stored(column, numbers, self._value(column, keys)) for column in self.columns]

    def _value(self, column: Column, keys: Sequence[Any]) -> Callable[[int], Any]:
        """What makes the column's value of the number of its sources' values."""
        places = [self._paths.index(path) for path in column.paths]
        place, of, values = places[0], column.of, column.values
        if column.names_file:
            return lambda number: self._files[keys[number][place]]
        if values is not None:
            return lambda number: values.get(keys[number][place])
        if of is None:
            return lambda number: keys[number][place]
        return lambda number: of(*(keys[number][place] for place in places))


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

    def stored(self) -> list[Stored]:
        """Its columns; numbers are values."""
        read = partial(picked, memoryview(self._packed).cast("q"))
        width = len(self.columns)
        return [Stored(column, partial(read, place, width), None) for place, column in enumerate(self.columns)]

    def build(self, rows: Any) -> dict[str, Any]:
        """Each column's values in these rows."""
        import numpy as np

        table = np.frombuffer(self._packed, np.int64).reshape(-1, len(self.columns))[rows]
        return {column.name: _typed(column, table[:, place].copy()) for place, column in enumerate(self.columns)}


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


def _distinct(column: Column, files: Sequence[str], *sources: Iterable[Any]) -> Any:
    """The distinct values of one column in its dtype. sources: what its sources give for each."""
    import numpy as np
    import pandas as pd

    if column.names_file:
        return pd.Categorical([files[index] for index in sources[0]], categories=list(dict.fromkeys(files)))
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


class _Kept:
    """Columns that another stage keeps, as numbers. numbers_of(field, rows): the source's numbers in these rows;
    value_of(field): what makes the source's value of a number, None where it is the number."""

    def __init__(
        self,
        columns: Sequence[Column],
        files: Sequence[str],
        numbers_of: Callable[[str, Any], Any],
        value_of: Callable[[str], Callable[[int], Any] | None],
    ) -> None:
        self.columns = columns
        self._files = files
        self.numbers_of = numbers_of
        self._value_of = value_of

    def clear(self) -> None:
        """Forget all rows."""
        self.numbers_of = _nothing_kept

    def stored(self) -> list[Stored]:
        """Its columns."""
        return [
            Stored(column, partial(self.numbers_of, column.paths[0]), self._value(column)) for column in self.columns
        ]

    def _value(self, column: Column) -> Callable[[int], Any] | None:
        """What makes the column's value of a number; None where it is the number."""
        raw, of, values = self._value_of(column.paths[0]), column.of, column.values
        if column.names_file:
            return self._files.__getitem__
        if values is not None:
            return values.get if raw is None else lambda number: values.get(raw(number))
        if of is None or raw is None:
            return raw
        return lambda number: of(raw(number))

    def build(self, rows: Any) -> dict[str, Any]:
        """Each column's values in these rows."""
        import numpy as np

        result = {}
        for column in self.columns:
            numbers = np.frombuffer(self.numbers_of(column.paths[0], rows), np.int64)
            value = self._value_of(column.paths[0])
            if value is None and column.is_plain_number:
                result[column.name] = _typed(column, numbers.copy())
            else:
                used, numbers = np.unique(numbers, return_inverse=True)
                sources = used.tolist() if value is None else list(map(value, used.tolist()))
                result[column.name] = _distinct(column, self._files, sources).take(numbers)
        return result


def _nothing_kept(field: str, rows: Any) -> Any:
    """What there is of a field once its rows are forgotten."""
    return array("q")


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
        connection.opening == "refused" or (connection.opening == "unanswered" and outcome.client_saw == ABNORMAL),
        outcome.client_saw == ABNORMAL and connection.opening != "refused" and outcome.transport_end_by != "client",
        flow.first_packet,
        flow.first_file,
    )


class Rows:
    """The rows of one table, column by column."""

    def __init__(self, table: Table, files: Sequence[str], parts: Sequence[Any], count: int = 0) -> None:
        self.table = table
        self.columns = table.columns_for(len(files))
        self.count = count
        self._parts = parts
        self._taken = 0

    def take(self) -> pd.DataFrame:
        """The rows as a DataFrame, numbered on from the rows taken before; they are then forgotten."""
        frame = self._frame(self._order(), self._taken)
        for part in self._parts:
            part.clear()
        self._taken += self.count
        self.count = 0
        return frame

    def pieces(self) -> Iterator[pd.DataFrame]:
        """The rows that are kept, PIECE at a time, at least one piece, which may be empty; they stay."""
        order = self._order()
        for start in range(0, max(1, self.count), PIECE):
            yield self._frame(order[start : start + PIECE], start)

    def stored(self) -> tuple[Any, list[Stored]]:
        """The numbers of all rows in the order of the table's index, and its columns as they are kept."""
        found = {stored.column.name: stored for part in self._parts for stored in part.stored()}
        return self._order(), [found[column.name] for column in self.columns]

    def _order(self) -> Any:
        """The numbers of all rows in the order of the table's index (an array of int64)."""
        order = array("q", range(self.count))
        if self.table.index is None or not self.count:
            return order
        numbers = self._parts[0].numbers_of("number", order)
        return order if numbers == order else array("q", sorted(order, key=numbers.__getitem__))

    def _frame(self, order: Any, start: int) -> pd.DataFrame:
        """The rows of those numbers as a DataFrame; start: number of the first where the table has no index column."""
        import numpy as np
        import pandas as pd

        values: dict[str, Any] = {}
        for part in self._parts:
            values |= part.build(order)
        frame = pd.DataFrame({column.name: values.pop(column.name) for column in self.columns}, copy=False)
        if self.table.index is None:
            frame.index = pd.RangeIndex(start, start + len(frame))
        else:
            frame.index = pd.Index(frame.pop(self.table.index).to_numpy(np.int64), name=self.table.index)
        return frame


class Appended(Rows):
    """The rows of a table whose records come one by one; without: columns that are joined to it later."""

    def __init__(self, table: Table, files: Sequence[str], without: Set[str] = frozenset()) -> None:
        groups: dict[str, list[Column]] = {}
        columns = [column for column in table.columns_for(len(files)) if column.name not in without]
        for column in columns:
            if not column.is_plain_number:
                groups.setdefault(column.group, []).append(column)
        self._numbers = _Numbers([column for column in columns if column.is_plain_number])
        self._groups = [_Group(columns, files) for columns in groups.values()]
        super().__init__(table, files, [*([self._numbers] if self._numbers.columns else ()), *self._groups])
        self._begin()

    def _begin(self) -> None:
        """Be ready for the first row."""
        self._read, self._pack, self._keep = self._numbers.steps()
        self._group_steps = [group.steps() for group in self._groups]

    def append(self, record: Any) -> None:
        """Take a record's values; it may be overwritten afterwards."""
        self._keep(self._pack(*self._read(record)))
        for read, numbering, keep in self._group_steps:
            keep(numbering[read(record)])
        self.count += 1

    def join(self, other: Appended) -> None:
        """Take over the other columns of the same rows, which came in the same order; no more are appended."""
        self._parts = [*self._parts, *other._parts]

    def take(self) -> pd.DataFrame:
        frame = super().take()
        self._begin()
        return frame


class Tables(Observer):
    """Makes the tables asked for from what is observed.

    files: names of the input files, by their index. chunk(table, DataFrame) is given frames and messages in pieces, the
    last one (which may be empty) from kept; they are then not kept. The pieces of a table have the same columns and
    dtypes, and their index goes on from piece to piece.
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
        self._rows = {
            name: Appended(table, files, CONCLUDED.get(name, frozenset()))
            for name, table in TABLES.items()
            if name in asked and name != "connections"
        }
        self._asked = asked
        follows = bool(asked & {"reconnects", "violations"})
        self._gathered = Gathered() if asked & CONCLUDED.keys() or follows else None
        self._attempts: list[Attempt] | None = [] if follows else None
        self._followed: list[Reconnect] | None = None
        self._found: Places | None = None

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

    def kept(
        self, ledger: Mapping[tuple[str, str], int], refused: Mapping[tuple[int, ...], Sequence[int]] | None = None
    ) -> dict[str, Rows]:
        """The rows of the tables that are kept, by name; ledger: (unit, kind) -> count; refused: see streams.Streams.
        To be called once, when all is observed."""
        result: dict[str, Rows] = {}
        for name, rows in self._rows.items():
            if name == "reconnects":
                for pair in self._pairs():
                    rows.append(pair)
            if name == "violations":
                self._judge_reconnects()
            if name == "ledger":
                for (unit, kind), count in ledger.items():
                    rows.append(Count(unit, kind, count))
            if self._chunk is not None and rows.table.streams:
                self._chunk(name, rows.take())
            else:
                result[name] = rows
        if self._gathered is not None and self._asked & CONCLUDED.keys():
            self._conclude(self._gathered, result, refused or {})
        return result

    def tails(self) -> dict[int, tuple[Tail, Tail]]:
        """How TCP ended, client and server, by the number of the connection: of those where that tells more."""
        found = {}
        if self._gathered is not None:
            for row, details in self._gathered.details.items():
                client, server = details.client, details.server
                if client is not None and server is not None and (client.tells_more or server.tells_more):
                    found[self._gathered.rows.get(row, 0)] = client, server
        return found

    def _places(self) -> Places:
        """Which connections are one WebSocket seen at several places."""
        if self._found is None:
            from analyzer.diagnosis.conclusions import places_in

            assert self._gathered is not None
            self._found = places_in(self._gathered)
        return self._found

    def _pairs(self) -> list[Reconnect]:
        """Which connection followed which, each taken once, however many places saw it."""
        if self._followed is None:
            repeated = self._places().repeated
            self._followed = list(pairs(each for each in self._attempts or () if each.connection not in repeated))
        return self._followed

    def _judge_reconnects(self) -> None:
        """Rows of what is wrong between connections."""
        attempts = {attempt.connection: attempt for attempt in self._attempts or ()}
        for number, (rule, severity, expected, found) in returning.findings(self._pairs(), attempts):
            connection, attempt = Connection(), attempts[number]
            connection.number = number
            violation = Violation(connection.client, rule, severity, expected, found)
            violation.section = RULES[rule].section
            violation.time, violation.packet, violation.file = attempt.start, attempt.packet, attempt.file
            self._append("violations", violation)

    def _conclude(
        self, gathered: Gathered, result: dict[str, Rows], refused: Mapping[tuple[int, ...], Sequence[int]]
    ) -> None:
        """Add what is concluded when all is there: the connections, and the verdicts on Closes."""
        if not gathered.rows.count:  # loading what concludes takes longer than most of such captures
            if "closes" in self._rows:
                self._rows["closes"].join(_verdicts((), self._files))
            if "connections" in self._asked:
                result["connections"] = Appended(TABLES["connections"], self._files)
            return
        from analyzer.diagnosis.conclusions import Diagnosis

        diagnosis = Diagnosis(gathered, self._files, self._places(), refused)
        if "closes" in self._rows:
            self._rows["closes"].join(_verdicts(diagnosis.verdicts(), self._files))
        if "connections" in self._asked:
            result["connections"] = _connections(gathered, self._files, diagnosis.findings())


def _verdicts(verdicts: Iterable[Any], files: Sequence[str]) -> Appended:
    """The columns of the closes that are concluded."""
    table = TABLES["closes"]
    found = Appended(table, files, frozenset(column.name for column in table.columns) - CONCLUDED["closes"])
    for verdict in verdicts:
        found.append(verdict)
    return found


def _connections(gathered: Gathered, files: Sequence[str], found: Conclusions) -> Rows:
    """The rows of the connections: what was gathered of each, and the diagnosis of all."""
    table = TABLES["connections"]
    columns = table.columns_for(len(files))
    places = {field: place for place, field in enumerate(FIELDS)}
    hosts, reasons, words = list(gathered.hosts), gathered.texts.values, gathered.words.values
    texts: dict[str, list[Any]] = {"client_host": hosts, "server_host": hosts}
    texts |= {"client_reason": reasons, "server_reason": reasons} | dict.fromkeys(WORDS, words)

    def numbers_of(field: str, rows: Any) -> Any:
        return gathered.rows.gather(places[field], rows)

    def value_of(field: str) -> Callable[[int], Any] | None:
        return texts[field].__getitem__ if field in texts else None

    own = [column for column in columns if column.name not in CONCLUDED["connections"]]
    diagnosed = [column for column in columns if column.name in CONCLUDED["connections"]]
    parts = (
        _Kept(own, files, numbers_of, value_of),
        _Kept(diagnosed, files, found.numbers_of, found.value_of),
    )
    return Rows(table, files, parts, gathered.rows.count)
