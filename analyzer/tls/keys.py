"""Keys from secrets: HKDF (RFC 5869, RFC 8446 7) and the PRF of TLS 1.0 to 1.2 (RFC 5246 5, RFC 2246 5)."""

from __future__ import annotations

import hmac

from analyzer.tls.suites import Suite


def expand_label(hash_name: str, secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446 7.1)."""
    name = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0"
    done = block = b""
    for counter in range(1, 255):
        block = hmac.digest(secret, block + info + bytes([counter]), hash_name)
        done += block
        if len(done) >= size:
            break
    return done[:size]


def next_secret(hash_name: str, secret: bytes) -> bytes:
    """The traffic secret after a KeyUpdate (RFC 8446 7.2)."""
    return expand_label(hash_name, secret, b"traffic upd", len(secret))


def key_block(version: int, suite: Suite, master: bytes, seed: bytes, size: int) -> bytes:
    """The key material of TLS 1.0 to 1.2 (RFC 5246 6.3). seed: server random, then client random."""
    seed = b"key expansion" + seed
    if version >= 0x0303:
        return _expand(suite.hash, master, seed, size)
    half = (len(master) + 1) // 2
    with_md5, with_sha1 = _expand("md5", master[:half], seed, size), _expand("sha1", master[-half:], seed, size)
    return bytes(one ^ other for one, other in zip(with_md5, with_sha1, strict=True))


def _expand(hash_name: str, secret: bytes, seed: bytes, size: int) -> bytes:
    """P_hash (RFC 5246 5)."""
    done, step = b"", seed
    while len(done) < size:
        step = hmac.digest(secret, step, hash_name)
        done += hmac.digest(secret, step + seed, hash_name)
    return done[:size]
