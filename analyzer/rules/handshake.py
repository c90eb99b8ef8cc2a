"""Rules of the upgrade request and its answer (RFC 6455 4). Each check yields (rule, severity, expected, found)."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache

from analyzer.rules import extensions
from analyzer.rules.catalog import MUST, NOTE

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BASE64 = re.compile(r"[A-Za-z0-9+/]{22}==")  # of 16 bytes (RFC 4648 4)
KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
Finding = tuple[str, str, str, str]


def tokens(value: str | None) -> list[str]:
    """The elements of a comma-separated field value (RFC 9110 5.6.1), without empty ones."""
    return [part for part in (each.strip() for each in (value or "").split(",")) if part]


def accept_of(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a key (RFC 6455 4.2.2)."""
    return binascii.b2a_base64(hashlib.sha1(key.encode() + GUID).digest(), newline=False).decode()


def is_key(key: str) -> bool:
    """Whether it is as a Sec-WebSocket-Key must be."""
    return KEY.fullmatch(key) is not None


def found_in(value: str | None) -> str:
    """A field's value as a violation names it."""
    return "none" if value is None else value


def request_line(line: bytes, host: str | None) -> Iterator[Finding]:
    """H1."""
    words = line.split()
    method, version = (words[0], words[-1]) if len(words) > 1 else (b"", b"")
    if method != b"GET":
        yield "H1", MUST, "GET", method.decode("latin-1")
    if version == b"HTTP/1.0":
        yield "H1", MUST, "HTTP/1.1 or later", version.decode("latin-1")
    if not host:
        yield "H1", MUST, "a Host field", "none"


@lru_cache(256)
def request_fields(
    upgrade: str | None, connection: str | None, version: str | None, subprotocols: str | None
) -> tuple[Finding, ...]:
    """H2, H4, H6 and H10 of a request."""
    found: list[Finding] = []
    if "websocket" not in (token.lower() for token in tokens(upgrade)):
        found.append(("H2", MUST, "Upgrade: websocket", found_in(upgrade)))
    if "upgrade" not in (token.lower() for token in tokens(connection)):
        found.append(("H2", MUST, "Connection: Upgrade", found_in(connection)))
    return (*found, *offer(version, subprotocols))


@lru_cache(256)
def offer(version: str | None, subprotocols: str | None) -> tuple[Finding, ...]:
    """H4, H6 and H10 of a request."""
    found: list[Finding] = []
    if version != "13":
        found.append(("H4", MUST, "Sec-WebSocket-Version: 13", found_in(version)))
    if subprotocols is not None:
        offered = tokens(subprotocols)
        if not offered:
            found.append(("H10", MUST, "a subprotocol in Sec-WebSocket-Protocol", subprotocols))
        elif len(set(offered)) < len(offered):
            found.append(("H6", MUST, "each subprotocol once", subprotocols))
        elif not all(TOKEN.fullmatch(each) for each in offered):
            found.append(("H6", MUST, "subprotocols that are tokens", subprotocols))
    return tuple(found)


def request_key(key: str | None) -> Iterator[Finding]:
    """H3, but for a key that is used again."""
    if key is None:
        yield "H3", MUST, "a Sec-WebSocket-Key", "none"
        return
    if not BASE64.fullmatch(key):
        yield "H3", MUST, "base64 of 16 bytes", key
    elif not KEY.fullmatch(key):
        yield "H3", NOTE, "unused bits of the base64 text 0 (RFC 4648 3.5)", key


@lru_cache(256)
def answer_fields(
    upgrade: str | None,
    connection: str | None,
    subprotocol: str | None,
    offered: str | None,
    agreed: str | None,
    extensions_offered: str | None,
) -> tuple[Finding, ...]:
    """H2, H6, H7, D1 and D3 of a 101."""
    found: list[Finding] = []
    if (upgrade or "").lower() != "websocket":
        found.append(("H2", MUST, "Upgrade: websocket", found_in(upgrade)))
    if "upgrade" not in (token.lower() for token in tokens(connection)):
        found.append(("H2", MUST, "Connection: Upgrade", found_in(connection)))
    return (*found, *choice(subprotocol, offered, agreed, extensions_offered))


@lru_cache(256)
def choice(
    subprotocol: str | None, offered: str | None, agreed: str | None, extensions_offered: str | None
) -> tuple[Finding, ...]:
    """H6, H7, D1 and D3 of an answer that opens the WebSocket."""
    found: list[Finding] = []
    if subprotocol is not None and subprotocol not in tokens(offered):
        expected = f"one of: {offered}" if offered else "no subprotocol, as none was offered"
        found.append(("H6", MUST, expected, subprotocol))
    found += extensions.findings(agreed, extensions_offered)
    return tuple(found)


def refusal(version: str | None, answered: str | None) -> Iterator[Finding]:
    """H4 of an answer that refuses a request; version: asked for; answered: its Sec-WebSocket-Version."""
    if version is not None and version != "13" and answered is None:
        yield "H4", MUST, "Sec-WebSocket-Version in the answer to an unsupported version", "none"
