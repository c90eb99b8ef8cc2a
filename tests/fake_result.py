"""A hand-made analysis with the tables' columns and types, to hold the command line and the outputs against."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd

TEXT = pd.StringDtype(na_value=pd.NA)
TIME = "datetime64[ns, UTC]"
DURATION = "timedelta64[ns]"
SENDER = pd.CategoricalDtype(["client", "server"])
WHO = pd.CategoricalDtype(["client", "server", "both"])
OUTCOME = pd.CategoricalDtype(
    ["refused", "no-answer", "clean", "unanswered-close", "dropped", "closing", "open", "unknown"]
)
OPENING = pd.CategoricalDtype(["handshake", "midstream", "refused", "unanswered", "encrypted"])
TRANSPORT = pd.CategoricalDtype(["tcp", "tls", "tls-no-keys"])
END = pd.CategoricalDtype(["fin", "rst", "stream-end", "stream-reset", "goaway"])
FILE = "category"

COLUMNS: dict[str, dict[str, Any]] = {
    "connections": {
        "connection": "Int64", "client_ip": TEXT, "client_port": "Int64", "server_ip": TEXT, "server_port": "Int64",
        "transport": TRANSPORT, "opening": OPENING, "host": TEXT, "path": TEXT, "origin": TEXT, "user_agent": TEXT,
        "subprotocol": TEXT, "extensions": TEXT, "http_status": "Int64",
        "start": TIME, "opened": TIME, "end": TIME, "duration": DURATION,
        "client_frames": "Int64", "server_frames": "Int64", "client_messages": "Int64", "server_messages": "Int64",
        "client_exact": "boolean", "server_exact": "boolean",
        "client_code": "Int64", "client_reason": TEXT, "server_code": "Int64", "server_reason": TEXT,
        "client_close": TIME, "server_close": TIME, "close_initiator": WHO, "close_latency": DURATION,
        "client_saw": "Int64", "server_saw": "Int64", "transport_end": END, "transport_end_by": SENDER,
        "outcome": OUTCOME, "clean": "boolean", "lost_bytes": "Int64", "complete": "boolean",
        "first_packet": "Int64", "last_packet": "Int64", "first_file": FILE, "last_file": FILE,
        "same_as": "Int64",
    },
    "closes": {
        "connection": "Int64", "time": TIME, "packet": "Int64", "sender": SENDER, "code": "Int64", "name": TEXT,
        "reason": TEXT, "reason_bytes": object, "legal": "boolean",
    },
    "frames": {
        "connection": "Int64", "time": TIME, "packet": "Int64", "sender": SENDER, "fin": "boolean",
        "length": "UInt64", "captured": "Int64",
    },
    "messages": {"connection": "Int64", "time": TIME, "packet": "Int64", "sender": SENDER, "bytes": "Int64"},
    "reconnects": {
        "connection": "Int64", "next_connection": "Int64", "delay": DURATION, "same_server": "boolean",
        "ambiguous": "boolean", "code": "Int64", "advice": TEXT, "followed": "boolean",
    },
    "violations": {
        "connection": "Int64", "packet": "Int64", "sender": SENDER, "rule": TEXT, "severity": TEXT, "expected": TEXT,
        "found": TEXT,
    },
    "ledger": {"unit": pd.CategoricalDtype(["packet", "byte"]), "kind": TEXT, "count": "Int64", "meaning": TEXT},
}  # fmt: skip


def table(name: str, rows: list[dict[str, Any]], files: tuple[str, ...] = ()) -> pd.DataFrame:
    """A table of the given rows in the types of COLUMNS; what a row leaves out is missing.

    files: names of the inputs; the columns that name files are only there when there are several.
    """
    columns = {}
    for column, dtype in COLUMNS[name].items():
        if (name, column) == ("connections", "connection"):
            continue
        if column.endswith("file") and len(files) < 2:
            continue
        values = [row.get(column) for row in rows]
        if dtype == TIME:
            columns[column] = pd.Series(pd.to_datetime(values, utc=True, format="ISO8601"), dtype=TIME)
        elif dtype == DURATION:
            columns[column] = pd.Series([None if value is None else pd.Timedelta(value, "ns") for value in values],
                                        dtype=DURATION)  # fmt: skip
        else:
            columns[column] = pd.Series(values, dtype=dtype)
    frame = pd.DataFrame(columns)
    return frame.rename_axis("connection") if name == "connections" else frame


CLEAN: dict[str, Any] = {
    "client_ip": "10.0.0.1", "client_port": 40000, "server_ip": "10.0.0.9", "server_port": 80,
    "transport": "tcp", "opening": "handshake", "host": "example.org", "path": "/chat?room=1", "http_status": 101,
    "start": "2026-03-01T12:00:00.000000001Z", "opened": "2026-03-01T12:00:00.010000000Z",
    "end": "2026-03-01T12:00:05.123456789Z", "duration": 5_123_456_788,
    "client_frames": 3, "server_frames": 4, "client_messages": 2, "server_messages": 3,
    "client_exact": True, "server_exact": True,
    "client_code": 1000, "client_reason": "bye", "server_code": 1000, "server_reason": "bye",
    "client_close": "2026-03-01T12:00:05Z", "server_close": "2026-03-01T12:00:05.001Z", "close_initiator": "client",
    "close_latency": 1_000_000, "client_saw": 1000, "server_saw": 1000, "transport_end": "fin",
    "transport_end_by": "server", "outcome": "clean", "clean": True, "lost_bytes": 0, "complete": True,
    "first_packet": 1, "last_packet": 20, "first_file": "a.pcap", "last_file": "a.pcap",
}  # fmt: skip
NOTHING_SENT: dict[str, Any] = {
    "client_code": None, "client_reason": None, "server_code": None, "server_reason": None, "client_close": None,
    "server_close": None, "close_initiator": None, "close_latency": None, "client_saw": 1006, "server_saw": 1006,
}  # fmt: skip
DROPPED = CLEAN | NOTHING_SENT | {
    "client_port": 40001, "path": "/\x1b[31mfeed", "transport_end": "rst", "transport_end_by": "server",
    "outcome": "dropped", "clean": False, "lost_bytes": 1200, "complete": False, "first_packet": 21, "last_packet": 60,
}  # fmt: skip
UNANSWERED = CLEAN | {
    "client_port": 40002, "client_code": None, "client_reason": None, "client_close": None, "server_code": None,
    "server_reason": None, "close_initiator": "server", "close_latency": None, "client_saw": 1005, "server_saw": 1006,
    "outcome": "unanswered-close", "clean": False, "first_packet": 61, "last_packet": 90,
}  # fmt: skip
REFUSED = CLEAN | NOTHING_SENT | {
    "client_port": 40003, "opening": "refused", "http_status": 403, "opened": None, "outcome": "refused",
    "clean": None, "server_saw": None, "transport_end_by": "client", "first_packet": 91, "last_packet": 99,
}  # fmt: skip
OPEN = CLEAN | NOTHING_SENT | {
    "client_port": 40004, "client_saw": None, "server_saw": None, "transport_end": None, "transport_end_by": None,
    "outcome": "open", "clean": None, "first_packet": 100, "last_packet": 120,
}  # fmt: skip
CONNECTIONS = [CLEAN, DROPPED, UNANSWERED, REFUSED, OPEN]

CLOSES: list[dict[str, Any]] = [
    {"connection": 0, "time": "2026-03-01T12:00:05Z", "packet": 17, "sender": "client", "code": 1000,
     "name": "Normal Closure", "reason": "bye", "reason_bytes": b"bye", "legal": True},
    {"connection": 0, "time": "2026-03-01T12:00:05.001Z", "packet": 18, "sender": "server", "code": 1000,
     "name": "Normal Closure", "reason": "=1+1\n\x1b]0;x\x07", "reason_bytes": b"=1+1\n\x1b]0;x\x07", "legal": True},
    {"connection": 2, "time": "2026-03-01T12:00:05.001Z", "packet": 80, "sender": "server"},
]  # fmt: skip
FRAMES: list[dict[str, Any]] = [
    {"connection": number % 3, "time": f"2026-03-01T12:00:{number:02d}Z", "packet": number, "sender": "client",
     "fin": True, "length": 2**63 + number, "captured": 5}
    for number in range(1, 11)
]  # fmt: skip
LEDGER: list[dict[str, Any]] = [
    {"unit": "packet", "kind": "tcp", "count": 119, "meaning": "TCP segments"},
    {"unit": "packet", "kind": "udp", "count": 1, "meaning": "UDP datagrams"},
    {"unit": "byte", "kind": "frames", "count": 4096, "meaning": "WebSocket frames"},
]


class OneConnection:
    """What Result.connection gives."""

    def __init__(self, result: FakeResult, number: int) -> None:
        self.row = result.connections.loc[number]
        self.closes = result.closes[result.closes["connection"] == number]
        self.frames = result.frames[result.frames["connection"] == number]
        self.messages = result.messages[result.messages["connection"] == number]
        self.elsewhere = result.connections.iloc[:0]
        self.violations = result.violations[result.violations["connection"] == number]

    def timeline(self) -> pd.DataFrame:
        """A few events."""
        return pd.DataFrame({
            "time": pd.to_datetime(["2026-03-01T12:00:00.000000001Z", "2026-03-01T12:00:05.0Z"], utc=True),
            "offset": pd.Series([pd.Timedelta(0), pd.Timedelta(4_999_999_999, "ns")], dtype=DURATION),
            "packet": pd.Series([1, 17], dtype="Int64"),
            "file": pd.Series(["a.pcap", "a.pcap"], dtype="category"),
            "sender": pd.Series(["client", "client"], dtype=SENDER),
            "event": pd.Series(["request", "Close"], dtype=TEXT),
            "text": pd.Series(["GET /chat", "1000 Normal Closure \x1b[2Jbye"], dtype=TEXT),
        })  # fmt: skip


@dataclass
class FakeResult:
    """The attributes of a Result that the command line reads."""

    connections: pd.DataFrame = field(default_factory=lambda: table("connections", CONNECTIONS))
    closes: pd.DataFrame = field(default_factory=lambda: table("closes", CLOSES))
    frames: pd.DataFrame = field(default_factory=lambda: table("frames", FRAMES))
    messages: pd.DataFrame = field(default_factory=lambda: table("messages", []))
    reconnects: pd.DataFrame = field(default_factory=lambda: table("reconnects", []))
    violations: pd.DataFrame = field(default_factory=lambda: table("violations", []))
    ledger: pd.DataFrame = field(default_factory=lambda: table("ledger", LEDGER))
    problems: list[Any] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    flow_kinds: dict[str, int] = field(default_factory=dict)

    files: list[str] = field(default_factory=lambda: ["a.pcap"])

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """The ledger's counts by unit and kind."""
        return {(row.unit, row.kind): int(row.count) for row in self.ledger.itertuples()}

    @property
    def empty(self) -> bool:
        """Whether no WebSocket was found."""
        return self.connections.empty

    def pieces(self, name: str) -> list[pd.DataFrame]:
        """A table in pieces: here two, the first of one row."""
        whole: pd.DataFrame = getattr(self, name)
        return [whole.iloc[:1], whole.iloc[1:]]

    def stored(self, name: str) -> None:
        """None: the tables are DataFrames."""

    def connection(self, number: int) -> OneConnection:
        """One connection by its number."""
        return OneConnection(self, number)


def nothing_found(**changes: Any) -> FakeResult:
    """A result without any WebSocket."""
    empty: dict[str, Any] = {name: table(name, []) for name in ("connections", "closes", "frames", "messages")}
    return FakeResult(**(empty | changes))


_NAMES = {1000: "Normal Closure", 1001: "Going Away", 1005: "No Status Rcvd", 1006: "Abnormal Closure"}


class _Code(int):
    name = property(lambda self: _NAMES.get(int(self), "Private Use"))
    meaning = property(lambda self: f"what {int(self)} means")
    reference = property(lambda self: "RFC 6455 7.4.1")
    on_wire = property(lambda self: int(self) not in (1005, 1006))
    sent_by = property(lambda self: "either")
    advice = property(lambda self: "yes")
    note = property(lambda self: "")
    range = property(lambda self: "1000-2999")


def _modules() -> dict[str, ModuleType]:
    codes: Any = ModuleType("analyzer.closecodes")
    codes.CloseCode = _Code
    codes.registry = lambda: [_Code(number) for number in _NAMES]
    codes.ADVICE = {"yes": "reconnect"}
    catalogs: Any = ModuleType("analyzer.catalogs")
    entry = SimpleNamespace(code=4001, name="gone", meaning="the service lost it")
    catalogs.catalogs = lambda: [
        SimpleNamespace(name="some service", source="its manual", codes=(entry,), code={4001: entry}.get)
    ]
    schema: Any = ModuleType("analyzer.schema")
    schema.TABLES = {
        name: SimpleNamespace(columns=[
            SimpleNamespace(
                name=column, dtype=dtype, meaning="", categories=list(getattr(dtype, "categories", [])),
            ) for column, dtype in columns.items()
        ])
        for name, columns in COLUMNS.items()
    }  # fmt: skip
    problems: Any = ModuleType("analyzer.problems")
    problems.CannotRead = type("CannotRead", (Exception,), {"__str__": lambda self: ": ".join(self.args)})
    found = [codes, catalogs, schema, problems]
    return {module.__name__: module for module in found}


def stand_in() -> None:
    """Put stand-ins where the package has no such module."""
    for name, module in _modules().items():
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            sys.modules[name] = module
