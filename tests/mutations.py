"""Captures as lists of packets, and what can happen to them on their way into a file."""

from __future__ import annotations

import gzip
import random
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import dpkt

FILE_HEADER = struct.Struct("<IHHiIII")
RECORD = struct.Struct("<IIII")
NANOSECOND_MAGIC = 0xA1B23C4D
ETHERNET = 1
PCAPNG = b"\n\r\r\n"
SECRETS_BLOCK = 10


@dataclass(frozen=True)
class Captured:
    """One packet; wire_length: as it was sent."""

    time: int
    data: bytes
    wire_length: int


def read(path: Path) -> tuple[list[Captured], int]:
    """The packets of a plain or gzipped pcap or pcapng file, and its link type."""
    opened = gzip.open(path) if path.suffix == ".gz" else path.open("rb")
    with opened as file:
        reader = dpkt.pcap.UniversalReader(file)
        packets = [Captured(round(time * 1_000_000) * 1000, bytes(data), len(data)) for time, data in reader]
        return packets, reader.datalink()


def secrets(path: Path) -> bytes:
    """The key log (RFC 9850) in the decryption secrets blocks of a pcapng file written little-endian."""
    content, at, text = path.read_bytes(), 0, b""
    while content.startswith(PCAPNG) and at < len(content):
        kind, length = struct.unpack_from("<II", content, at)
        if kind == SECRETS_BLOCK:
            text += content[at + 16 : at + 16 + struct.unpack_from("<I", content, at + 12)[0]]
        at += length
    return text


def written(packets: list[Captured], link_type: int = ETHERNET) -> bytes:
    """A pcap file."""
    parts = [FILE_HEADER.pack(NANOSECOND_MAGIC, 2, 4, 0, 0, 262144, link_type)]
    for packet in packets:
        seconds, rest = divmod(packet.time, 1_000_000_000)
        parts += (RECORD.pack(seconds & 0xFFFFFFFF, rest, len(packet.data), packet.wire_length), packet.data)
    return b"".join(parts)


def doubled(packets: list[Captured], chance: random.Random, share: float = 1.0) -> list[Captured]:
    """Some packets twice, as from `-i any` or a mirror port."""
    return [copy for packet in packets for copy in [packet] * (2 if chance.random() < share else 1)]


def reordered(packets: list[Captured], chance: random.Random, reach: int = 3) -> list[Captured]:
    """Packets moved by at most `reach` places, with their times."""
    order = sorted(range(len(packets)), key=lambda place: (place + chance.uniform(0, reach), place))
    return [packets[place] for place in order]


def cut(packets: list[Captured], chance: random.Random) -> list[Captured]:
    """A snapshot length, or one of several."""
    lengths = [chance.randrange(14, 200) for _ in range(chance.choice((1, 1, 5)))]
    return [replace(packet, data=packet.data[: chance.choice(lengths)]) for packet in packets]


def fragmented(packets: list[Captured], size: int = 48) -> list[list[Captured]]:
    """Each packet as the fragments that carry its IPv4 datagram (RFC 791 3.2), of `size` bytes; Ethernet only."""
    return [_fragments(packet, number & 0xFFFF, size) for number, packet in enumerate(packets)]


def _fragments(packet: Captured, identification: int, size: int) -> list[Captured]:
    data = packet.data
    total, place = struct.unpack_from("!2xH2xH", data.ljust(34), 14)
    if data[12:14] != b"\x08\x00" or data[14] != 0x45 or place & 0x3FFF or total - 20 <= size:
        return [packet]
    payload, pieces = data[34 : 14 + total], []
    for at in range(0, len(payload), size):
        piece = payload[at : at + size]
        field = at >> 3 | (0x2000 if at + size < len(payload) else 0)
        header = bytearray(data[:34])
        struct.pack_into("!HHH", header, 16, 20 + len(piece), identification, field)
        pieces.append(Captured(packet.time, bytes(header) + piece, 34 + len(piece)))
    return pieces


def flipped(packets: list[Captured], chance: random.Random) -> list[Captured]:
    """Bits turned over, anywhere in a few packets."""
    result = list(packets)
    for _ in range(chance.randint(1, 40)):
        place = chance.randrange(len(result))
        data = bytearray(result[place].data)
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        result[place] = replace(result[place], data=bytes(data))
    return result


def lying(packets: list[Captured], chance: random.Random) -> list[Captured]:
    """Lengths on the wire that differ from the headers', and clocks that jump."""
    result = []
    for packet in packets:
        length = packet.wire_length if chance.random() < 0.9 else chance.randrange(1 << 32)
        time = packet.time if chance.random() < 0.9 else max(0, packet.time + chance.randrange(-(10**15), 10**15))
        result.append(replace(packet, wire_length=length, time=time))
    return result
