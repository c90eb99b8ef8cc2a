"""Values of HTTP header fields that the upgrade needs (RFC 9110, RFC 6455 section 9.1, RFC 7692 section 7.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from analyzer.records import Connection

DEFLATE = "permessage-deflate"
WINDOW_BITS = range(8, 16)
UNTIL_CLOSE = -1
CHUNKED = -2


class Deflate(NamedTuple):
    """The agreed permessage-deflate parameters: who keeps the context between messages, and the windows' sizes."""

    client_takeover: bool = True
    server_takeover: bool = True
    client_window_bits: int = 15
    server_window_bits: int = 15


def text_of(value: bytes) -> str:
    """A field value as text: UTF-8, or latin-1 where it is not."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


@lru_cache(64)
def names_websocket(upgrade: str | None) -> bool:
    """An Upgrade field with the token websocket in any case (RFC 6455 4.2.1)."""
    return upgrade is not None and any(token.strip().lower() == "websocket" for token in upgrade.split(","))


@lru_cache(64)
def names_http2(upgrade: str | None) -> bool:
    """An Upgrade field with the token h2c (RFC 7540 3.2)."""
    return upgrade is not None and any(token.strip().lower() == "h2c" for token in upgrade.split(","))


def path_of(target: str) -> str:
    """The request target as sent, the absolute form (RFC 9112 3.2.2) reduced to its path and query."""
    scheme, found, rest = target.partition("://")
    if not found or not scheme.isalnum():
        return target
    starts = [at for at in (rest.find("/"), rest.find("?")) if at >= 0]
    if not starts:
        return "/"
    path = rest[min(starts) :]
    return path if path[0] == "/" else "/" + path


def body_length(length: str | None, encoding: str | None, without: int) -> int:
    """Bytes of the body after a head (RFC 9112 6.3), CHUNKED, or `without` where neither field tells."""
    if encoding is not None:
        return CHUNKED if encoding.rpartition(",")[2].strip().lower() == "chunked" else without
    if length is None:
        return without
    first = length.partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and len(first) < 19 else without


def chunk_size(line: bytes) -> int:
    """The size that begins a chunk (RFC 9112 7.1), -1 where there is none."""
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
        return -1
    return int(digits, 16)


@lru_cache(64)
def deflate_of(extensions: str | None) -> Deflate | None:
    """What a Sec-WebSocket-Extensions of an answer agrees about permessage-deflate; None without it.

    Values that the RFC forbids change nothing here.
    """
    for extension in (extensions or "").split(","):
        name, *parameters = (part.strip() for part in extension.split(";"))
        if name.lower() == DEFLATE:
            return _parameters(parameters)
    return None


def agree(connection: Connection, extensions: str | None) -> None:
    """Set what an answer with this Sec-WebSocket-Extensions agrees about compression."""
    agreed = None if extensions is None else deflate_of(extensions)
    if agreed is not None:
        connection.client.deflate = connection.server.deflate = True
        connection.client.takeover, connection.server.takeover = agreed.client_takeover, agreed.server_takeover
        connection.client.window_bits = agreed.client_window_bits
        connection.server.window_bits = agreed.server_window_bits


def _parameters(parameters: list[str]) -> Deflate:
    given: dict[str, str] = {}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        given.setdefault(name.strip().lower(), value.strip().strip('"'))
    return Deflate(
        client_takeover="client_no_context_takeover" not in given,
        server_takeover="server_no_context_takeover" not in given,
        client_window_bits=_window_bits(given.get("client_max_window_bits")),
        server_window_bits=_window_bits(given.get("server_max_window_bits")),
    )


def _window_bits(value: str | None) -> int:
    if value is None or not (value.isascii() and value.isdigit() and len(value) <= 2):
        return 15
    return int(value) if int(value) in WINDOW_BITS else 15
