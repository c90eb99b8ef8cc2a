"""Packets that other tools hold in memory, as the bytes of a pcapng file with times in nanoseconds."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from analyzer.problems import CannotRead

LINK_TYPES = {"Ether": 1, "Dot3": 1, "IP": 101, "IPv6": 101, "CookedLinux": 113, "CookedLinuxV2": 276, "Loopback": 0}
ETHERNET = 1
SECTION_HEADER = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
NANOSECOND_RESOLUTION = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)
PIECE_BYTES = 256 << 10


class PacketStream(io.RawIOBase):
    """A pcapng file made, as it is read, of a scapy packet list or of (seconds, bytes) pairs."""

    def __init__(self, name: str, items: Iterable[Any]) -> None:
        super().__init__()
        self._pieces = _pieces(name, items)
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the beginning of the buffer; how many bytes, 0 at the end."""
        if not self._ready:
            self._ready = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


def _pieces(name: str, items: Iterable[Any]) -> Iterator[bytes]:
    """The file in pieces; an error of the iterable comes out as CannotRead after all packets before it."""
    piece = bytearray(SECTION_HEADER)
    interfaces: dict[int, int] = {}
    failure: CannotRead | None = None
    packets = _packets(name, items)
    while True:
        try:
            link_type, time, data, wire_length = next(packets)
        except StopIteration:
            break
        except CannotRead as error:
            failure = error
            break
        if link_type not in interfaces:
            interfaces[link_type] = len(interfaces)
            piece += struct.pack("<IIHHI", 1, 32, link_type, 0, 0) + NANOSECOND_RESOLUTION + struct.pack("<I", 32)
        length = 32 + (len(data) + 3 & ~3)
        fields = (6, length, interfaces[link_type], time >> 32, time & 0xFFFFFFFF, len(data), wire_length)
        piece += struct.pack("<7I", *fields) + data + bytes(-len(data) % 4) + struct.pack("<I", length)
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)
    if failure:
        raise failure


def _packets(name: str, items: Iterable[Any]) -> Iterator[tuple[int, int, bytes, int]]:
    """(link type, nanoseconds, captured bytes, bytes on the wire) of every packet."""
    number = 0
    try:
        datalink = getattr(items, "datalink", None)
        pair_link_type = int(datalink()) & 0xFFFF if callable(datalink) else ETHERNET
        for item in items:
            if hasattr(item, "time") and hasattr(item, "layers"):
                data = bytes(item)
                wire_length = max(int(getattr(item, "wirelen", None) or 0), len(data))
                yield _link_type(item), _nanoseconds(item.time), data, wire_length
            else:
                time, data = item
                data = bytes(memoryview(data))
                yield pair_link_type, _nanoseconds(time), data, len(data)
            number += 1
    except Exception as error:  # the iterable is someone else's
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CannotRead(name, f"after packet {number}: {reason}") from error


def _link_type(packet: Any) -> int:
    """The link type whose frames begin with this scapy packet's first layer."""
    for kind in type(packet).__mro__:
        if kind.__name__ in LINK_TYPES:
            return LINK_TYPES[kind.__name__]
    known = getattr(sys.modules.get("scapy.config"), "conf", None)
    number = known.l2types.layer2num.get(type(packet)) if known else None
    if number is None:
        raise ValueError(f"no link type is known for a packet that begins with {type(packet).__name__}")
    return int(number)


def _nanoseconds(seconds: Any) -> int:
    """A float stands for the shortest decimal number that reads as it, which is what its maker meant."""
    exact = seconds if isinstance(seconds, (int, Decimal)) else Decimal(repr(float(seconds)))
    time = int(exact * 10**9)
    if not 0 <= time < 1 << 63:
        raise ValueError(f"{seconds} is not a time since 1970")
    return time
