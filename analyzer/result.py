"""The result of an analysis: tables as DataFrames, the account of what was read, a closer look at one connection."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analyzer.pipeline import Account, Options, Pipeline, Progress
from analyzer.problems import CannotRead, NotKept, Problem
from analyzer.records import Connection, Message, Observer
from analyzer.sources import Input, read_keylogs, resolve

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.connection import ConnectionView
    from analyzer.diagnosis.facts import Tail
    from analyzer.tables import Rows, Stored

DEFAULT_TABLES = ("connections", "closes", "violations", "reconnects", "ledger")
Chunk = Callable[[str, "pd.DataFrame"], None]


@contextmanager
def _few_collections() -> Iterator[None]:
    """Have the garbage collector look rarely: it would find little, and with many open flows and many rows take as long
    as everything else.

    Freezing what is there already would save less than it costs: that puts off every later collection of the old.
    """
    threshold = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*threshold)


class Payloads(Observer):
    """Keeps the payloads of one connection's messages."""

    def __init__(self, number: int) -> None:
        self.found: dict[tuple[str, int], bytes] = {}
        self._number = number

    def message(self, message: Message) -> None:
        if message.sender.connection.number == self._number and message.payload is not None:
            self.found["client" if message.sender.is_client else "server", message.number] = message.payload


class Secrets(Observer):
    """Keeps the secrets that opened one connection's TLS, as lines of a key log (RFC 9850)."""

    def __init__(self, number: int) -> None:
        self.lines = b""
        self._number = number

    def connection(self, connection: Connection) -> None:
        if connection.number == self._number:
            for random, secrets in getattr(connection.flow.tls, "secrets", ()):
                for label, secret in secrets.items():
                    self.lines += f"{label} {random.hex()} {secret.hex()}\n".encode()


def analyze(
    *inputs: Any,
    tables: str | Iterable[str] = DEFAULT_TABLES,
    since: int | str | datetime | None = None,
    until: int | str | datetime | None = None,
    points: str | None = None,
    keylog: Any = None,
    websocket_ports: int | Iterable[int] = (),
    progress: Progress | None = None,
    chunk: Chunk | None = None,
) -> Result:
    """Read captures and say how every WebSocket in them closed.

    inputs: paths, globs, folders, URLs, open binary files, "-" for standard input, scapy PacketLists, iterables of
    (timestamp in seconds, bytes). Several are one capture in order of time.
    tables: those to build in this pass, of connections, closes, frames, messages, violations, reconnects, ledger; any
    other is built on first access by reading the inputs again. since, until: packets outside are not read; nanoseconds
    since 1970 UTC, ISO 8601 text or datetime, without a zone UTC. points: "merge" takes all files as one point of
    capture, "separate" each as its own; None tells by what they hold. keylog: path, or list of paths, of TLS key
    logs (RFC 9850; what a program writes for SSLKEYLOGFILE); without it that environment variable is heeded; secrets
    in pcapng files are always used. websocket_ports: TCP ports of servers whose
    connections are WebSockets even where no handshake is in the capture (others are recognised by their frames).
    progress(bytes read, bytes in all or None). chunk(table, DataFrame) is given frames and messages in pieces as
    they are seen; they are then not kept.

    Raises CannotRead when no input or a key log can't be read, ValueError for an unknown table, time or port.
    """
    from analyzer.schema import TABLES

    asked = frozenset((tables,) if isinstance(tables, str) else tables)
    if unknown := sorted(asked - set(TABLES)):
        raise ValueError(f"no table called {unknown[0]!r}; there are {', '.join(TABLES)}")
    span = _nanoseconds(since), _nanoseconds(until)
    options = Options(*span, points, progress, read_keylogs(keylog), _ports(websocket_ports))
    result = Result(resolve(inputs), options)
    result._read(asked | {"ledger"}, chunk)
    return result


def _ports(ports: int | Iterable[int]) -> frozenset[int]:
    found = frozenset((ports,) if isinstance(ports, int) else ports)
    if odd := [port for port in found if not isinstance(port, int)]:
        raise ValueError(f"{odd[0]!r} is no TCP port: give whole numbers")
    if wrong := sorted(port for port in found if not 0 < port < 65536):
        raise ValueError(f"{wrong[0]} is no TCP port")
    return found


def _nanoseconds(time: int | str | datetime | None) -> int | None:
    if time is None or isinstance(time, int):
        return time
    import pandas as pd

    stamp = pd.Timestamp(time)
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return int(stamp.as_unit("ns").value)


class Result:
    """Tables of one analysis. A table not asked for is built on first access by reading the inputs again.

    errors: inputs that could not be read; problems: damage met in those that could; flow_kinds: TCP flows with payload
    by what their first bytes look like (tls, http, ...); tails: how TCP ended, client and server, by connection, where
    that tells more than the tables.
    """

    def __init__(self, inputs: Sequence[Input], options: Options) -> None:
        self._inputs, self._options = inputs, options
        self._tables: dict[str, pd.DataFrame] = {}
        self._rows: dict[str, Rows] = {}  # of tables that nobody has looked at yet
        self._account = Account()
        self.tails: dict[int, tuple[Tail, Tail]] = {}

    @property
    def files(self) -> list[str]:
        """Names of the inputs, as given."""
        return [each.name for each in self._inputs]

    @property
    def problems(self) -> list[Problem]:
        return self._account.problems

    @property
    def errors(self) -> list[CannotRead]:
        return self._account.errors

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """The ledger's counts by unit and kind."""
        return self._account.ledger

    @property
    def flow_kinds(self) -> dict[str, int]:
        return self._account.flow_kinds

    @property
    def connections(self) -> pd.DataFrame:
        """One row per WebSocket connection, index `connection`. Columns: docs/columns.md."""
        return self._table("connections")

    @property
    def closes(self) -> pd.DataFrame:
        """One row per Close frame (RFC 6455 5.5.1)."""
        return self._table("closes")

    @property
    def frames(self) -> pd.DataFrame:
        """One row per frame (RFC 6455 5.2)."""
        return self._table("frames")

    @property
    def messages(self) -> pd.DataFrame:
        """One row per data message (RFC 6455 5.4), fragments joined, inflated."""
        return self._table("messages")

    @property
    def violations(self) -> pd.DataFrame:
        """One row per broken rule of RFC 6455 or RFC 7692: docs/rules.md."""
        return self._table("violations")

    @property
    def reconnects(self) -> pd.DataFrame:
        """One row per connection that ended and the client's next one to the same service (RFC 6455 7.2.3)."""
        return self._table("reconnects")

    @property
    def ledger(self) -> pd.DataFrame:
        """One row per kind of packet or byte: what became of it."""
        return self._table("ledger")

    @property
    def empty(self) -> bool:
        """Whether no WebSocket was found."""
        return self._account.connections == 0

    def pieces(self, table: str) -> Iterator[pd.DataFrame]:
        """A table in pieces of some thousand rows, for one that is too large to be built at once."""
        rows = self._rows.get(table)
        return iter((self._table(table),)) if rows is None else rows.pieces()

    def stored(self, table: str) -> tuple[Any, list[Stored]] | None:
        """A table's rows and columns as they are kept (tables.Rows.stored); None once it is a DataFrame."""
        rows = self._rows.get(table)
        return None if rows is None else rows.stored()

    def summary(self) -> pd.DataFrame:
        """Connections counted by outcome, cause, who closed first and with which codes; most frequent first."""
        columns = ["outcome", "cause", "close_initiator", "client_code", "server_code"]
        counts = self.connections.groupby(columns, dropna=False, observed=True).size()
        return counts.rename("connections").sort_values(ascending=False, kind="stable").reset_index()

    def connection(self, number: int) -> ConnectionView:
        """One connection: its row, closes, frames, messages and timeline. KeyError if there is no such row."""
        from analyzer.connection import ConnectionView

        return ConnectionView(self, number)

    def __repr__(self) -> str:
        return f"<wsclose result: {self._account.connections} WebSocket connections in {', '.join(self.files)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary."""
        return str(self.summary().to_html(index=False))

    def _table(self, name: str) -> pd.DataFrame:
        if name in self._rows:
            self._tables[name] = self._rows.pop(name).take()
        if name not in self._tables:
            self._need_again(f"pass tables=({name!r}, ...) to analyze()")
            self._read(frozenset((name,)), None)
            self._tables[name] = self._rows.pop(name).take()
        return self._tables[name]

    def _need_again(self, cure: str) -> None:
        for each in self._inputs:
            if not each.rereadable:
                raise NotKept(f"{each.name} can't be read again; {cure}")

    @_few_collections()
    def payloads(self, number: int) -> dict[tuple[str, int], bytes]:
        """Payloads of one connection's messages, unmasked and inflated: (sender, message) -> bytes.

        Reads the inputs again; a message that is not all there has none. NotKept if an input can't be read again.
        """
        self._need_again("save it to a file first")
        observer = Payloads(number)
        Pipeline(self._inputs, observer, frozenset(("messages",)), self._options, payloads=True).run()
        return observer.found

    @_few_collections()
    def secrets(self, number: int) -> bytes:
        """The TLS secrets that opened one connection, as lines of a key log (RFC 9850); empty where there is no TLS.

        Reads the inputs again; NotKept if an input can't be.
        """
        self._need_again("save it to a file first")
        observer = Secrets(number)
        Pipeline(self._inputs, observer, frozenset(), self._options, payloads=False).run()
        return observer.lines

    @_few_collections()
    def _read(self, tables: frozenset[str], chunk: Chunk | None) -> None:
        from analyzer.tables import Tables

        observer = Tables(tables, self.files, chunk)
        pipeline = Pipeline(self._inputs, observer, tables, self._options, payloads=False)
        self._account = pipeline.run()
        self._rows |= observer.kept(self._account.ledger, self._account.refused)
        self.tails |= observer.tails()
