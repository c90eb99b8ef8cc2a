"""Application catalogs: what services mean by their own close codes, and how their heartbeats look. One data file
each, *.toml beside this one.

The same number means different things to different services (4001 has eight meanings), so a catalog is chosen by
what the handshake or the first messages show, never by a code.

A catalog file has `name`, `source`, perhaps `note`; `detect`, alternatives of `subprotocol` (glob), `host` (glob),
`path` (regular expression, from the beginning, query included) and `client` or `server` (regular expression, from the
beginning of that side's first message), all that are given must fit; `codes` and `ranges` (first, last) with `name`,
`meaning`, `retry` (a word of closecodes.ADVICE), if it isn't the server `sent_by`, and perhaps `shows`, what is to be
seen on the wire where the code is true (a word of CONDITIONS), for which `seconds` may be needed; `examples`,
handshakes and first messages by which the tests see that it is found. `heartbeats`, of the services that have them:
`sent_by` (client, server, either), `beat` and perhaps `answer` (regular expressions, from the beginning of a message,
which is cut at limits.FIRST_MESSAGE), `source`, and `examples` of both.
"""

from __future__ import annotations

import functools
import re
from fnmatch import translate
from typing import Any, NamedTuple

REGISTRY = "registry.toml"

CONDITIONS = {
    "silence": "nobody sent anything for so many seconds",
    "client silence": "the client sent nothing for so many seconds",
    "age": "the connection was so many seconds old",
    "no message": "the client had sent no message",
    "a message": "the client had sent a message",
    "no pong": "a Ping of the server had no Pong",
    "no heartbeat": "the client's heartbeat stayed away, or its answer to the server's",
}
"""What can be seen on the wire where a code of an application is true."""


class CatalogCode(NamedTuple):
    """What a service means by one code. retry: a key of closecodes.ADVICE; sent_by: one of closecodes.SENDERS; shows:
    a key of CONDITIONS, "" if nothing can be seen; seconds: for those that need them."""

    code: int
    name: str
    meaning: str
    retry: str
    sent_by: str = "server"
    shows: str = ""
    seconds: float = 0


class CatalogRange(NamedTuple):
    """What a service means by every code from first to last that has no entry of its own."""

    first: int
    last: int
    name: str
    meaning: str
    retry: str
    sent_by: str = "server"


class Heartbeat(NamedTuple):
    """A small message by which a side shows that it is there, and what the other side says to it, None if nothing.
    sent_by: client, server or either."""

    sent_by: str
    beat: re.Pattern[bytes]
    answer: re.Pattern[bytes] | None
    source: str


class Detection(NamedTuple):
    """One way to know the service; None where it does not matter."""

    subprotocol: re.Pattern[str] | None
    host: re.Pattern[str] | None
    path: re.Pattern[str] | None
    client: re.Pattern[bytes] | None
    server: re.Pattern[bytes] | None

    def fits_service(self, subprotocol: str, host: str) -> bool:
        """Do the subprotocol and the host match, as far as it names them?"""
        return (self.subprotocol is None or self.subprotocol.match(subprotocol) is not None) and (
            self.host is None or self.host.match(host) is not None
        )

    def fits_rest(self, path: str, client: bytes, server: bytes) -> bool:
        """Does everything else that it names match?"""
        return (
            (self.path is None or self.path.match(path) is not None)
            and (self.client is None or self.client.match(client) is not None)
            and (self.server is None or self.server.match(server) is not None)
        )

    @property
    def strength(self) -> tuple[bool, bool, bool, bool]:
        """Which of several that fit to believe: the agreed subprotocol says most, the path least."""
        spoken = self.client is not None or self.server is not None
        return self.subprotocol is not None, self.host is not None, spoken, self.path is not None


class Catalog(NamedTuple):
    """The close codes and heartbeats of one service. file: the data file's name; source: where its facts come from."""

    file: str
    name: str
    source: str
    note: str
    detect: tuple[Detection, ...]
    codes: tuple[CatalogCode, ...]
    ranges: tuple[CatalogRange, ...]
    heartbeats: tuple[Heartbeat, ...] = ()

    def code(self, code: int) -> CatalogCode | None:
        """What the service means by `code`, None if it says nothing of it. An own entry goes before a range."""
        for entry in self.codes:
            if entry.code == code:
                return entry
        for rule in self.ranges:
            if rule.first <= code <= rule.last:
                return CatalogCode(int(code), rule.name, rule.meaning, rule.retry, rule.sent_by)
        return None


def catalogs() -> list[Catalog]:
    """All catalogs, by file name."""
    return list(_catalogs())


def catalog_for(
    subprotocol: str | None,
    host: str | None,
    path: str | None,
    client: bytes | None = None,
    server: bytes | None = None,
) -> Catalog | None:
    """The catalog of the service that a handshake or the first messages show, None if they show none that is known.

    subprotocol: as the server agreed; host: the Host field, with its port or without; path: with its query; client,
    server: the beginning of that side's first message.
    """
    for rule, catalog in _detections_of(subprotocol or "", host or ""):
        if rule.fits_rest(path or "", client or b"", server or b""):
            return catalog
    return None


def files() -> list[str]:
    """Names of the data files of this package, the registry of close codes included."""
    from importlib.resources import files as resources

    return sorted(entry.name for entry in resources(__name__).iterdir() if entry.name.endswith(".toml"))


def read(file: str) -> dict[str, Any]:
    """The content of one data file."""
    import tomllib
    from importlib.resources import files as resources

    return tomllib.loads(resources(__name__).joinpath(file).read_text("utf-8"))


def _hostname(host: str) -> str:
    """The Host field without its port, in lower case; an IPv6 address stays in its brackets (RFC 3986 3.2.2)."""
    name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return name.lower().rstrip(".")


@functools.cache
def _catalogs() -> tuple[Catalog, ...]:
    return tuple(_catalog(file, read(file)) for file in files() if file != REGISTRY)


@functools.cache
def _detections() -> tuple[tuple[Detection, Catalog], ...]:
    found = [(rule, catalog) for catalog in _catalogs() for rule in catalog.detect]
    return tuple(sorted(found, key=lambda pair: pair[0].strength, reverse=True))


@functools.lru_cache(1024)
def _detections_of(subprotocol: str, host: str) -> tuple[tuple[Detection, Catalog], ...]:
    """Those that a service may fit: a capture has few, of many connections each."""
    hostname = _hostname(host)
    return tuple(pair for pair in _detections() if pair[0].fits_service(subprotocol, hostname))


def _catalog(file: str, data: dict[str, Any]) -> Catalog:
    return Catalog(
        file=file,
        name=data["name"],
        source=data["source"],
        note=data.get("note", ""),
        detect=tuple(_detection(**rule) for rule in data["detect"]),
        codes=tuple(CatalogCode(**entry) for entry in data["codes"]),
        ranges=tuple(CatalogRange(**entry) for entry in data.get("ranges", ())),
        heartbeats=tuple(_heartbeat(entry) for entry in data.get("heartbeats", ())),
    )


def _heartbeat(entry: dict[str, Any]) -> Heartbeat:
    return Heartbeat(
        sent_by=entry["sent_by"],
        beat=re.compile(entry["beat"].encode(), re.DOTALL),
        answer=re.compile(entry["answer"].encode(), re.DOTALL) if "answer" in entry else None,
        source=entry["source"],
    )


def _detection(
    subprotocol: str | None = None,
    host: str | None = None,
    path: str | None = None,
    client: str | None = None,
    server: str | None = None,
) -> Detection:
    return Detection(
        subprotocol=None if subprotocol is None else re.compile(translate(subprotocol)),
        host=None if host is None else re.compile(translate(host)),
        path=None if path is None else re.compile(path),
        client=None if client is None else re.compile(client.encode(), re.DOTALL),
        server=None if server is None else re.compile(server.encode(), re.DOTALL),
    )
