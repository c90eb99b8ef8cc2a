"""ClientHello, ServerHello and EncryptedExtensions (RFC 8446 4.1, 4.3; RFC 5246 7.4.1): the few facts that matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from analyzer import limits

SERVER_NAME, ALPN, ENCRYPT_THEN_MAC, EARLY_DATA, SUPPORTED_VERSIONS = 0, 16, 22, 42, 43
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")  # RFC 8446 4.1.3
VERSIONS = {0x0300: "SSL 3.0", 0x0301: "1.0", 0x0302: "1.1", 0x0303: "1.2", 0x0304: "1.3"}


class Malformed(ValueError):
    """A handshake message contradicts itself, or is not whole."""


@dataclass(frozen=True)
class Hello:
    """version: negotiated (of a ServerHello), else the legacy version; suite: of a ServerHello."""

    random: bytes
    version: int
    suite: int = 0
    extensions: dict[int, bytes] = field(default_factory=dict)

    @property
    def retry(self) -> bool:
        """Whether a ServerHello is a HelloRetryRequest."""
        return self.random == RETRY_RANDOM

    @property
    def server_name(self) -> str | None:
        """The host name of server_name (RFC 6066 3)."""
        names = self.extensions.get(SERVER_NAME, b"")
        if len(names) < 5 or names[2] != 0:
            return None
        name = names[5 : 5 + int.from_bytes(names[3:5], "big")]
        return name.decode("utf-8", "backslashreplace") or None

    @property
    def protocol(self) -> str | None:
        """The first protocol of application_layer_protocol_negotiation (RFC 7301 3.1): of a server, the agreed one."""
        return protocol_of(self.extensions)

    @property
    def protocols(self) -> list[bytes]:
        """The protocols of that extension: of a client those it offers."""
        names, at, found = self.extensions.get(ALPN, b""), 2, []
        while at < len(names):
            found.append(names[at + 1 : at + 1 + names[at]])
            at += 1 + names[at]
        return found


class Messages:
    """Handshake messages put together again, wherever records cut them (RFC 8446 5.1)."""

    def __init__(self) -> None:
        self._begun = bytearray()

    def add(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(type, body) of those that the next bytes complete."""
        self._begun += data
        while len(self._begun) >= 4:
            size = 4 + int.from_bytes(self._begun[1:4], "big")
            if size > limits.TLS_HANDSHAKE_MESSAGE:
                self.clear()
                return
            if len(self._begun) < size:
                return
            message = bytes(self._begun[:size])
            del self._begun[:size]
            yield message[0], message[4:]

    def clear(self) -> None:
        """Bytes are missing: what was begun is lost."""
        self._begun.clear()


def protocol_of(extensions: dict[int, bytes]) -> str | None:
    """See Hello.protocol."""
    names = extensions.get(ALPN, b"")
    if len(names) < 3:
        return None
    return names[3 : 3 + names[2]].decode("utf-8", "backslashreplace") or None


def client_hello(body: bytes) -> Hello:
    """Read a ClientHello; raises Malformed."""
    at = _skip(body, 34, 1)
    at = _skip(body, at, 2)
    at = _skip(body, at, 1)
    return Hello(body[2:34], int.from_bytes(body[:2], "big"), 0, extensions_of(body[at:]))


def server_hello(body: bytes) -> Hello:
    """Read a ServerHello; raises Malformed."""
    at = _skip(body, 34, 1)
    if len(body) < at + 3:
        raise Malformed
    extensions = extensions_of(body[at + 3 :])
    version = int.from_bytes(extensions.get(SUPPORTED_VERSIONS) or body[:2], "big")
    return Hello(body[2:34], version, int.from_bytes(body[at : at + 2], "big"), extensions)


def extensions_of(block: bytes) -> dict[int, bytes]:
    """A block of extensions with its length before it (RFC 8446 4.2), as far as it goes."""
    found: dict[int, bytes] = {}
    stop = min(len(block), 2 + int.from_bytes(block[:2], "big"))
    at = 2
    while at + 4 <= stop:
        size = int.from_bytes(block[at + 2 : at + 4], "big")
        found[int.from_bytes(block[at : at + 2], "big")] = block[at + 4 : at + 4 + size]
        at += 4 + size
    return found


def _skip(body: bytes, at: int, width: int) -> int:
    """Where a vector at `at` ends whose length has `width` bytes."""
    if len(body) < at + width:
        raise Malformed
    return at + width + int.from_bytes(body[at : at + width], "big")
