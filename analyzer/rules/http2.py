"""Rules of a WebSocket over HTTP/2 (RFC 8441). Each check yields (rule, severity, expected, found)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from analyzer.rules.catalog import MUST

Finding = tuple[str, str, str, str]
Fields = Mapping[bytes, bytes]


def request(fields: Fields, allowed: bool | None) -> Iterator[Finding]:
    """X1 and X2 of an extended CONNECT. allowed: the server's SETTINGS had said so, None where that is not known."""
    if allowed is False:
        yield "X1", MUST, "SETTINGS_ENABLE_CONNECT_PROTOCOL = 1 of the server before", "none before it"
    method = fields.get(b":method", b"none")
    if method != b"CONNECT":
        yield "X2", MUST, ":method CONNECT", method.decode("latin-1")
    for name in (b":scheme", b":path"):
        if name not in fields:
            yield "X2", MUST, f"a {name.decode()}", "none"
    yield from head(fields)


def head(fields: Fields) -> Iterator[Finding]:
    """X2 of what no head may have: fields of HTTP/1.1 connections (RFC 9113 8.2.2)."""
    for name in (b"connection", b"upgrade"):
        if name in fields:
            yield "X2", MUST, f"no {name.decode()}", fields[name].decode("latin-1")


def interim(status: int) -> Iterator[Finding]:
    """X2 of an answer below 200."""
    if status == 101:
        yield "X2", MUST, "a status of 2xx", "101"
