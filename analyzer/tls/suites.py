"""Cipher suites: which cipher, mode and hash a number stands for (IANA TLS Cipher Suites)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

AEAD_TAGS = {"GCM": 16, "CCM": 16, "CCM_8": 8, "POLY1305": 16}
KEY_SIZES = {"AES_128": 16, "AES_256": 32, "CHACHA20": 32}
MAC_SIZES = {"sha1": 20, "sha256": 32, "sha384": 48}
TLS_1_3 = range(0x1301, 0x1306)


@dataclass(frozen=True)
class Suite:
    """One suite that can be opened.

    mode: GCM, CCM, CCM_8, POLY1305 or CBC; hash: of HKDF (RFC 8446 7.1) or the PRF of TLS 1.2 (RFC 5246 5);
    mac: of the HMAC that CBC has; tag_size: of an AEAD.
    """

    code: int
    mode: str
    key_size: int
    hash: str
    mac: str = ""

    @property
    def tag_size(self) -> int:
        return AEAD_TAGS.get(self.mode, 0)

    @property
    def mac_size(self) -> int:
        return MAC_SIZES.get(self.mac, 0)


@lru_cache(maxsize=512)
def suite_of(code: int) -> Suite | None:
    """The suite with this number; None where it is unknown or its cipher is not supported."""
    from dpkt.ssl_ciphersuites import BY_CODE

    entry = BY_CODE.get(code)
    if entry is None or entry.cipher not in KEY_SIZES:
        return None
    mac = entry.mac.lower()
    prf = "sha384" if mac == "sha384" else "sha256"
    if entry.mode in AEAD_TAGS:
        return Suite(code, entry.mode, KEY_SIZES[entry.cipher], prf)
    mac = "sha1" if mac == "sha" else mac
    if entry.mode != "CBC" or mac not in MAC_SIZES:
        return None
    return Suite(code, "CBC", KEY_SIZES[entry.cipher], prf, mac)


def suites_for(secret: bytes) -> list[Suite]:
    """The suites of TLS 1.3 whose secrets are as long as this one, the usual first."""
    found = (suite_of(code) for code in TLS_1_3)
    size = len(secret)
    return [suite for suite in found if suite is not None and MAC_SIZES[suite.hash] == size]
