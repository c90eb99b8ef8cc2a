"""Opens one protected record: gives its plain bytes only if they are authentic.

Every opener has `overhead`, the bytes that protection adds to a record at least, and
open(header, body, sequence) -> (content type, bytes, how many of them are the content), or None.
"""

from __future__ import annotations

import hmac
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from analyzer.tls.keys import expand_label, key_block
from analyzer.tls.suites import Suite

Opened = tuple[int, bytes, int]
REFUSED = (InvalidTag, ValueError)


class Opener(Protocol):
    """What opens the records of one direction between two changes of keys."""

    overhead: int

    def open(self, header: bytes, body: bytes, sequence: int) -> Opened | None:
        """The record with this header (5 bytes), body and sequence number."""


def _aead(suite: Suite, key: bytes) -> Any:
    if suite.mode == "POLY1305":
        return ChaCha20Poly1305(key)
    return AESGCM(key) if suite.mode == "GCM" else AESCCM(key, suite.tag_size)


class Tls13:
    """TLS 1.3 (RFC 8446 5.2). secret: the traffic secret that the keys come from."""

    def __init__(self, suite: Suite, secret: bytes) -> None:
        self.suite = suite
        self.secret = secret
        self.overhead = 1 + suite.tag_size
        self._decrypt = _aead(suite, expand_label(suite.hash, secret, b"key", suite.key_size)).decrypt
        self._iv = int.from_bytes(expand_label(suite.hash, secret, b"iv", 12), "big")

    def open(self, header: bytes, body: bytes, sequence: int) -> Opened | None:
        """See Opener. Padding is zeros behind the content type."""
        try:
            inner: bytes = self._decrypt((self._iv ^ sequence).to_bytes(12, "big"), body, header)
        except REFUSED:
            return None
        size = len(inner) - 1
        if size >= 0 and inner[size]:
            return inner[size], inner, size
        size = len(inner.rstrip(b"\0")) - 1
        return (inner[size], inner, size) if size >= 0 else (0, b"", 0)


class Tls12Aead:
    """AEAD suites of TLS 1.2 (RFC 5246 6.2.3.3, RFC 5288, RFC 6655, RFC 7905)."""

    def __init__(self, suite: Suite, key: bytes, salt: bytes) -> None:
        self._decrypt = _aead(suite, key).decrypt
        self._explicit = 0 if suite.mode == "POLY1305" else 8
        self._salt = salt
        self._iv = int.from_bytes(salt, "big")
        self.overhead = self._explicit + suite.tag_size

    def open(self, header: bytes, body: bytes, sequence: int) -> Opened | None:
        """See Opener."""
        size = len(body) - self.overhead
        if size < 0:
            return None
        if self._explicit:
            nonce, sealed = self._salt + body[:8], body[8:]
        else:
            nonce, sealed = (self._iv ^ sequence).to_bytes(12, "big"), body
        associated = sequence.to_bytes(8, "big") + header[:3] + size.to_bytes(2, "big")
        try:
            plain: bytes = self._decrypt(nonce, sealed, associated)
        except REFUSED:
            return None
        return header[0], plain, size


class Cbc:
    """CBC suites of TLS 1.0 to 1.2 (RFC 5246 6.2.3.2), with the MAC inside or outside the encryption (RFC 7366).

    Before TLS 1.1 the last block of a record is the next one's IV (RFC 2246 6.2.3.2), which a MAC outside does not
    cover: a record is then only opened right after the one before.
    """

    def __init__(self, suite: Suite, version: int, key: bytes, mac_key: bytes, iv: bytes, mac_outside: bool) -> None:
        self._algorithm = algorithms.AES(key)
        self._mac, self._mac_key, self._mac_size = suite.mac, mac_key, suite.mac_size
        self._mac_outside = mac_outside
        self._explicit = version >= 0x0302
        self._iv, self._iv_for = iv, 0
        self.overhead = (16 if self._explicit else 0) + suite.mac_size + 1

    def open(self, header: bytes, body: bytes, sequence: int) -> Opened | None:
        """See Opener."""
        sealed = body[: len(body) - self._mac_size] if self._mac_outside else body
        if len(sealed) % 16 or len(sealed) < (32 if self._explicit else 16):
            return None
        if self._mac_outside and not self._is_authentic(header, sealed, sequence, body[len(sealed) :]):
            return None
        iv_is_certain = self._explicit or not self._mac_outside or sequence == self._iv_for
        if not iv_is_certain:
            self._iv, self._iv_for = sealed[-16:], sequence + 1
            return None
        iv, blocks = (sealed[:16], sealed[16:]) if self._explicit else (self._iv, sealed)
        decryptor = Cipher(self._algorithm, modes.CBC(iv)).decryptor()
        plain = decryptor.update(blocks) + decryptor.finalize()
        padding = plain[-1] + 1
        size = len(plain) - padding - (0 if self._mac_outside else self._mac_size)
        if size < 0 or plain[-padding:] != plain[-1:] * padding:
            return None
        if not self._mac_outside and not self._is_authentic(header, plain[:size], sequence, plain[size:-padding]):
            return None
        self._iv, self._iv_for = sealed[-16:], sequence + 1
        return header[0], plain, size

    def _is_authentic(self, header: bytes, content: bytes, sequence: int, mac: bytes) -> bool:
        covered = sequence.to_bytes(8, "big") + header[:3] + len(content).to_bytes(2, "big") + content
        return hmac.compare_digest(hmac.digest(self._mac_key, covered, self._mac), mac)

    def pass_over(self, body: bytes) -> None:
        """A record that could not be opened: before TLS 1.1 the next one needs its last block all the same."""
        if len(body) >= 16 and not self._mac_outside:
            self._iv = body[-16:]


def openers(version: int, suite: Suite, master: bytes, seed: bytes, mac_outside: bool) -> tuple[Opener, Opener]:
    """The client's and the server's opener of TLS 1.0 to 1.2. seed: server random, then client random."""
    mac_size = suite.mac_size
    iv_size = 16 if suite.mode == "CBC" else 12 if suite.mode == "POLY1305" else 4
    key_size = suite.key_size
    block = key_block(version, suite, master, seed, 2 * (mac_size + key_size + iv_size))
    parts = []
    for size in (mac_size, key_size, iv_size):
        parts.append((block[:size], block[size : 2 * size]))
        block = block[2 * size :]
    both: list[Opener] = []
    for mac_key, key, iv in zip(*parts, strict=True):
        if suite.mode == "CBC":
            both.append(Cbc(suite, version, key, mac_key, iv, mac_outside))
        else:
            both.append(Tls12Aead(suite, key, iv))
    return both[0], both[1]
