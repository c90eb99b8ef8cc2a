"""Reads the address of its client that a proxy names."""

from __future__ import annotations

from ipaddress import ip_address

from analyzer.records import MISSING


def forwarded_source(text: str) -> tuple[int, int, int, int] | None:
    """Version, both halves and port (MISSING if not told) of the last address in X-Forwarded-For, Forwarded (RFC 7239)
    or a PROXY header: the one that the proxy itself saw. None if it is no address."""
    last = text.rpartition(",")[2].strip()
    for part in last.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and name.lower() == "for":
            last = value.strip('"')
    port = ""
    if last.startswith("["):
        last, _, port = last[1:].partition("]")
    elif last.count(":") == 1:
        last, _, port = last.partition(":")
    port = port.lstrip(":")
    try:
        found = ip_address(last)
    except ValueError:
        return None
    high, low = divmod(int(found), 1 << 64)
    known = port.isascii() and port.isdigit() and len(port) <= 5
    return found.version, high, low, int(port) if known else MISSING
