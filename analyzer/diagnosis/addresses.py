"""Addresses as text, and the address of its client that a proxy names."""

from __future__ import annotations

from analyzer.records import MISSING


def address(version: int, high: int, low: int) -> str:
    """An address as text; IPv6 as RFC 5952 writes it."""
    if version == 4:
        return dotted(low)
    if high == 0 and low >> 32 == 0xFFFF:  # RFC 5952 5: IPv4-mapped addresses end in dotted decimals
        return f"::ffff:{dotted(low & 0xFFFFFFFF)}"
    from ipaddress import IPv6Address

    return str(IPv6Address(high << 64 | low))


def dotted(number: int) -> str:
    """An IPv4 address as text, faster than the standard library makes it: each row may have another."""
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def service_text(version: int, high: int, low: int, port: int) -> str:
    """A server's address and port as text (RFC 3986 3.2.2)."""
    host = address(version, high, low)
    return f"{host}:{port}" if version == 4 else f"[{host}]:{port}"


def forwarded_source(text: str) -> tuple[int, int, int, int] | None:
    """Version, both halves and port (MISSING if not told) of the last address in X-Forwarded-For, Forwarded (RFC 7239)
    or a PROXY header: the one that the proxy itself saw. None if it is no address."""
    from ipaddress import ip_address

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
