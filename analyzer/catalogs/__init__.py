"""Application catalogs: what services mean by their own close codes. One data file each, *.toml beside this one.

The same number means different things to different services (4001 has eight meanings), so a catalog is chosen by
what the handshake shows, never by a code.

A catalog file has `name`, `source`, perhaps `note`; `detect`, alternatives of `subprotocol` (glob), `host` (glob) and
`path` (regular expression, from the beginning, query included), all that are given must fit; `codes` and `ranges`
(first, last) with `name`, `meaning`, `retry` (a word of closecodes.ADVICE) and, if it isn't the server, `sent_by`;
`examples`, handshakes by which the tests see that it is found.
"""

from __future__ import annotations

import functools
import re
from fnmatch import translate
from typing import Any, NamedTuple

REGISTRY = "registry.toml"


class CatalogCode(NamedTuple):
    """What a service means by one code. retry: a key of closecodes.ADVICE; sent_by: one of closecodes.SENDERS."""

    code: int
    name: str
    meaning: str
    retry: str
    sent_by: str = "server"


class CatalogRange(NamedTuple):
    """What a service means by every code from first to last that has no entry of its own."""

    first: int
    last: int
    name: str
    meaning: str
    retry: str
    sent_by: str = "server"


class Detection(NamedTuple):
    """One way to know the service; None where it does not matter."""

    subprotocol: re.Pattern[str] | None
    host: re.Pattern[str] | None
    path: re.Pattern[str] | None

    def fits(self, subprotocol: str, host: str, path: str) -> bool:
        """Does everything that it names match?"""
        return (
            (self.subprotocol is None or self.subprotocol.match(subprotocol) is not None)
            and (self.host is None or self.host.match(host) is not None)
            and (self.path is None or self.path.match(path) is not None)
        )

    @property
    def strength(self) -> tuple[bool, bool, bool]:
        """Which of several that fit to believe: the agreed subprotocol says most, the path least."""
        return self.subprotocol is not None, self.host is not None, self.path is not None


class Catalog(NamedTuple):
    """The close codes of one service. file: the data file's name; source: where its facts come from."""

    file: str
    name: str
    source: str
    note: str
    detect: tuple[Detection, ...]
    codes: tuple[CatalogCode, ...]
    ranges: tuple[CatalogRange, ...]

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


def catalog_for(subprotocol: str | None, host: str | None, path: str | None) -> Catalog | None:
    """The catalog of the service that a handshake shows, None if it shows none that is known.

    subprotocol: as the server agreed; host: the Host field, with its port or without; path: with its query.
    """
    hostname = _hostname(host or "")
    for rule, catalog in _detections():
        if rule.fits(subprotocol or "", hostname, path or ""):
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


def _catalog(file: str, data: dict[str, Any]) -> Catalog:
    return Catalog(
        file=file,
        name=data["name"],
        source=data["source"],
        note=data.get("note", ""),
        detect=tuple(_detection(**rule) for rule in data["detect"]),
        codes=tuple(CatalogCode(**entry) for entry in data["codes"]),
        ranges=tuple(CatalogRange(**entry) for entry in data.get("ranges", ())),
    )


def _detection(subprotocol: str | None = None, host: str | None = None, path: str | None = None) -> Detection:
    return Detection(
        subprotocol=None if subprotocol is None else re.compile(translate(subprotocol)),
        host=None if host is None else re.compile(translate(host)),
        path=None if path is None else re.compile(path),
    )
