"""The packets of one connection, copied into a pcapng file of their own (draft-ietf-opsawg-pcapng).

A second pass over the inputs: the capture stage feeds a Tap, the Tap the packet stage, the packet stage the Extractor.
The Extractor says whether a segment belongs to the connection; the Tap, which alone sees the packet as it was
captured, then writes it.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from ipaddress import ip_address
from typing import BinaryIO

from analyzer.limits import FRAGMENTS_BYTES
from analyzer.records import NO_TIME, Packet, PacketReader, Segment, SegmentReader

_SECTION, _INTERFACE, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 3, 6
_BYTE_ORDER = 0x1A2B3C4D
_TO_THE_END = -1
_OPTION_END, _OPTION_APPLICATION, _OPTION_RESOLUTION = 0, 4, 9
_NANOSECONDS = 9  # if_tsresol: a negative power of ten
_IPV6_FRAGMENT = 44


class PcapngWriter:
    """Writes one section, little-endian, with an interface for each link type and times to the nanosecond."""

    def __init__(self, stream: BinaryIO, application: str = "wsclose") -> None:
        self._stream = stream
        self._interfaces: dict[int, int] = {}
        options = _option(_OPTION_APPLICATION, application.encode()) + _option(_OPTION_END, b"")
        self._block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, _TO_THE_END) + options)

    def packet(self, link_type: int, time: int, data: bytes, wire_length: int) -> None:
        """Append a packet. One without a time becomes a Simple Packet Block where the format allows that."""
        interface = self._interface(link_type)
        wire_length = max(wire_length, len(data))
        if time == NO_TIME and interface == 0 and wire_length == len(data):
            self._block(_SIMPLE, struct.pack("<I", wire_length) + _padded(data))
            return
        moment = max(time, 0)
        head = struct.pack("<IIIII", interface, moment >> 32, moment & 0xFFFFFFFF, len(data), wire_length)
        self._block(_ENHANCED, head + _padded(data))

    def _interface(self, link_type: int) -> int:
        if link_type not in self._interfaces:
            self._interfaces[link_type] = len(self._interfaces)
            options = _option(_OPTION_RESOLUTION, bytes([_NANOSECONDS])) + _option(_OPTION_END, b"")
            self._block(_INTERFACE, struct.pack("<HHI", link_type, 0, 0) + options)
        return self._interfaces[link_type]

    def _block(self, kind: int, body: bytes) -> None:
        size = len(body) + 12
        self._stream.write(struct.pack("<II", kind, size) + body + struct.pack("<I", size))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


@dataclass(frozen=True)
class Bounds:
    """Where a connection is: its two ends, its first and its last packet as (index of the file, number)."""

    client_ip: str
    client_port: int
    server_ip: str
    server_port: int
    first: tuple[int, int]
    last: tuple[int, int]

    def address_pairs(self) -> tuple[bytes, bytes]:
        """Source and destination side by side as an IP header has them: client to server, server to client."""
        client, server = ip_address(self.client_ip).packed, ip_address(self.server_ip).packed
        return client + server, server + client

    def directions(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(version, source, port, destination, port) as the segments have them, client to server and back."""
        client, server = ip_address(self.client_ip), ip_address(self.server_ip)
        version = client.version
        there = (version, *_halves(int(client)), self.client_port, *_halves(int(server)), self.server_port)
        back = (version, *_halves(int(server)), self.server_port, *_halves(int(client)), self.client_port)
        return there, back


def _halves(address: int) -> tuple[int, int]:
    return address >> 64, address & (1 << 64) - 1


class Extractor(SegmentReader):
    """Tells which segments belong to the connection: its ends, between its first and last packet, at one point.

    Files are read in the same order in every pass, so the first and the last packet bound it even where files
    overlap in time and the same four-tuple is used again. taken: the packet in hand gave a segment; matched: and it
    belongs; packets: how many were written.
    """

    def __init__(self, packet: Packet, segment: Segment, bounds: Bounds, writer: PcapngWriter) -> None:
        self.taken = self.matched = False
        self.packets = 0
        self.bounds = bounds
        self._packet = packet
        self._segment = segment
        self._writer = writer
        self._directions = bounds.directions()
        self._begun = self._over = False
        self._point = 0

    def tap(self, packets: PacketReader) -> Tap:
        """What the capture stage must feed instead of the packet stage."""
        return Tap(self._packet, packets, self)

    def segment(self) -> None:
        """Take the segment in hand."""
        self.taken = True
        if self._over:
            return
        segment = self._segment
        direction = (
            segment.version,
            segment.source_high,
            segment.source_low,
            segment.source_port,
            segment.destination_high,
            segment.destination_low,
            segment.destination_port,
        )
        if direction not in self._directions:
            return
        here = (self._packet.file, self._packet.number)
        if not self._begun and here == self.bounds.first:
            self._begun = True
            self._point = self._packet.point
        if self._begun and self._packet.point == self._point:
            self.matched = True
            self._over = here == self.bounds.last

    def write(self, record: Record) -> None:
        """One packet of the connection, as captured."""
        self._writer.packet(record.link_type, record.time, record.data, record.wire_length)
        self.packets += 1


@dataclass(frozen=True)
class Record:
    """A packet as it was captured, kept."""

    link_type: int
    time: int
    data: bytes
    wire_length: int


class Tap(PacketReader):
    """Stands before the packet stage and writes the packets whose segment the Extractor recognised.

    The earlier fragments of such a packet's datagram gave no segment; they are written right before it.
    """

    def __init__(self, packet: Packet, packets: PacketReader, extractor: Extractor) -> None:
        self._packet = packet
        self._packets = packets
        self._extractor = extractor
        self._addresses = extractor.bounds.address_pairs()
        self._fragments: deque[tuple[bytes, Record]] = deque()
        self._held = 0

    def packet(self) -> None:
        """Pass the packet in hand on, and write it if it belongs."""
        packet = self._packet
        extractor = self._extractor
        extractor.taken = extractor.matched = False
        self._packets.packet()
        if extractor.taken and not extractor.matched:
            return
        data = bytes(packet.data[packet.start : packet.stop])
        record = Record(packet.link_type, packet.time, data, packet.wire_length)
        datagram = self._datagram(data)
        if not extractor.matched:
            if datagram is not None:
                self._hold(datagram, record)
            return
        if datagram is not None:
            self._write_fragments(datagram)
        extractor.write(record)

    def _write_fragments(self, datagram: bytes) -> None:
        for name, fragment in self._fragments:
            if name == datagram:
                self._extractor.write(fragment)
                self._held -= len(fragment.data)
        self._fragments = deque(pair for pair in self._fragments if pair[0] != datagram)

    def _hold(self, datagram: bytes, record: Record) -> None:
        self._fragments.append((datagram, record))
        self._held += len(record.data)
        while self._held > FRAGMENTS_BYTES:
            self._held -= len(self._fragments.popleft()[1].data)

    def _datagram(self, data: bytes) -> bytes | None:
        """Which datagram between the two hosts this packet is a fragment of; None if it is a whole one, or another's.

        RFC 791 3.1 (the addresses stand 12 bytes into the header), RFC 8200 4.5 (8 bytes; a fragment header follows).
        """
        for addresses in self._addresses:
            at = data.find(addresses)
            if len(addresses) == 8:
                if at >= 12 and (data[at - 6] & 0x3F or data[at - 5]):
                    return addresses + data[at - 8 : at - 6]
            elif at >= 8 and data[at - 2] == _IPV6_FRAGMENT:
                return addresses + data[at + 36 : at + 40]
        return None
