"""What may stand before HTTP on a TCP connection: the PROXY protocol (haproxy proxy-protocol.txt, versions 1 and 2)
and SOCKS 5 (RFC 1928, RFC 1929).

`size_of` tells how many bytes a message has, as far as its beginning tells: the message is whole when that many are
there. A reader collects bytes until then and never takes one too many, so what follows is left where it is.
"""

from __future__ import annotations

from ipaddress import ip_address

PROXY_1, PROXY_2, SOCKS_GREETING, SOCKS_CLIENT, SOCKS_CHOICE, SOCKS_SERVER = range(6)
MALFORMED = -1

PROXY_1_LONGEST = 107  # section 2.1, its CRLF included
PROXY_2_HEADER = 16
SOCKS_VERSION = 5
SOCKS_CONNECT = 1
NO_ACCEPTABLE_METHOD = 0xFF
ADDRESS_SIZES = {1: 4, 4: 16}  # RFC 1928 section 5; type 3 is a name with its length before it


def size_of(kind: int, begun: bytes) -> int:
    """The bytes that the message beginning with `begun` has at least, exactly once it has all; or MALFORMED."""
    return SIZES[kind](begun)


def proxied_source(kind: int, header: bytes) -> str | None:
    """The client that a whole PROXY header names as "ip:port"; None for UNKNOWN, LOCAL and other families."""
    try:
        return _source_1(header) if kind == PROXY_1 else _source_2(header)
    except ValueError:
        return None


def opens_tunnel(kind: int, message: bytes) -> bool:
    """A whole SOCKS message after which the direction carries the tunnel's bytes: the request, the reply."""
    return kind in (SOCKS_CLIENT, SOCKS_SERVER) and message[0] == SOCKS_VERSION


def refuses_tunnel(kind: int, message: bytes) -> bool:
    """A whole SOCKS message after which no tunnel for TCP comes."""
    if kind == SOCKS_CLIENT:
        return message[0] == SOCKS_VERSION and message[1] != SOCKS_CONNECT
    if kind == SOCKS_CHOICE:
        return message[1] == NO_ACCEPTABLE_METHOD
    return kind == SOCKS_SERVER and message[1] != 0


def _proxy_1_size(begun: bytes) -> int:
    if begun.endswith(b"\n"):
        return len(begun)
    return len(begun) + 1 if len(begun) < PROXY_1_LONGEST else MALFORMED


def _proxy_2_size(begun: bytes) -> int:
    if len(begun) < PROXY_2_HEADER:
        return PROXY_2_HEADER
    if begun[12] >> 4 != 2:
        return MALFORMED
    return PROXY_2_HEADER + int.from_bytes(begun[14:16], "big")


def _greeting_size(begun: bytes) -> int:
    if begun[:1] not in (b"", b"\x05"):
        return MALFORMED
    return 2 + begun[1] if len(begun) > 1 else 2


def _client_size(begun: bytes) -> int:
    """The request (RFC 1928 section 4), or before it name and password (RFC 1929 section 2)."""
    if begun[:1] != b"\x01":
        return _addressed_size(begun)
    if len(begun) < 2:
        return 2
    name_end = 2 + begun[1]
    return name_end + 1 if len(begun) <= name_end else name_end + 1 + begun[name_end]


def _choice_size(begun: bytes) -> int:
    return 2 if begun[:1] in (b"", b"\x05") else MALFORMED


def _server_size(begun: bytes) -> int:
    """The reply (RFC 1928 section 6), or before it the status of the password (RFC 1929 section 2)."""
    return 2 if begun[:1] == b"\x01" else _addressed_size(begun)


def _addressed_size(begun: bytes) -> int:
    if not begun:
        return 1
    if begun[0] != SOCKS_VERSION:
        return MALFORMED
    if len(begun) < 5:
        return 5
    if begun[3] == 3:
        return 5 + begun[4] + 2
    return 4 + ADDRESS_SIZES[begun[3]] + 2 if begun[3] in ADDRESS_SIZES else MALFORMED


def _source_1(header: bytes) -> str | None:
    words = header.split()
    if len(words) < 5 or words[1] not in (b"TCP4", b"TCP6"):
        return None
    return _endpoint(ip_address(words[2].decode("ascii")).packed, int(words[4]))


def _source_2(header: bytes) -> str | None:
    command, family = header[12] & 15, header[13] >> 4
    size = {1: 4, 2: 16}.get(family, 0)
    if command != 1 or not size or len(header) < PROXY_2_HEADER + 2 * size + 4:
        return None
    port = int.from_bytes(header[PROXY_2_HEADER + 2 * size :][:2], "big")
    return _endpoint(header[PROXY_2_HEADER:][:size], port)


def _endpoint(address: bytes, port: int) -> str:
    text = str(ip_address(address))
    return f"[{text}]:{port}" if len(address) == 16 else f"{text}:{port}"


SIZES = {
    PROXY_1: _proxy_1_size,
    PROXY_2: _proxy_2_size,
    SOCKS_GREETING: _greeting_size,
    SOCKS_CLIENT: _client_size,
    SOCKS_CHOICE: _choice_size,
    SOCKS_SERVER: _server_size,
}
