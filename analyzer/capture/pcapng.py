"""Walks over the blocks of a pcapng file (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from analyzer import limits
from analyzer.capture.pcap import Walker

if TYPE_CHECKING:
    from collections.abc import Callable

    import cython

    from analyzer.records import Packet, PacketReader

NO_TIME = -(1 << 63)
MAGIC = b"\x0a\x0d\x0d\x0a"
BYTE_ORDER = 0x1A2B3C4D

SECTION = 0x0A0D0D0A
INTERFACE = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
ENHANCED_PACKET = 6
DECRYPTION_SECRETS = 10
READ_BLOCKS = frozenset((SECTION, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET, DECRYPTION_SECRETS))

OPTION_END, OPTION_RESOLUTION, OPTION_OFFSET = 0, 9, 14


class Interface:
    """What an Interface Description Block (4.2) says of its packets.

    snapshot: most bytes captured of a packet, 0 for all. scale: nanoseconds per unit of time where that is a whole
    number and no offset is added, else 0; most: the upper half of a time that is certain to fit into nanoseconds.
    resolution: the if_tsresol byte; offset: if_tsoffset in seconds.
    """

    def __init__(self, link_type: int, snapshot: int, resolution: int, offset: int, point: int) -> None:
        self.link_type: cython.int = link_type
        self.point: cython.int = point
        self.snapshot: cython.longlong = snapshot
        self.scale: cython.longlong = 10 ** (9 - resolution) if resolution <= 9 and not offset else 0
        self.most: cython.longlong = ((1 << 62) - 1) // max(1, self.scale) >> 32
        self.resolution: int = resolution
        self.offset: int = offset

    def time(self, upper: cython.longlong, lower: cython.longlong) -> cython.longlong:
        """Nanoseconds since 1970 of a time in this interface's units; NO_TIME outside the years 1823 to 2116.

        Differences of two such times fit 64 bits.
        """
        if self.scale > 0 and upper < self.most:
            return (upper << 32 | lower) * self.scale
        return self.exact_time(upper, lower)

    def exact_time(self, upper: int, lower: int) -> int:
        """The same for every resolution and offset."""
        ticks = (int(upper) << 32) + int(lower)
        if self.resolution & 0x80:
            nanoseconds = ticks * 10**9 >> (self.resolution & 0x7F)
        else:
            nanoseconds = ticks * 10**9 // 10**self.resolution
        nanoseconds += self.offset * 10**9
        return nanoseconds if -(1 << 62) < nanoseconds < 1 << 62 else NO_TIME


class PcapngWalker(Walker):
    """The walker of pcapng files: several sections of either byte order, several interfaces in each.

    interfaces: of the present section; interfaces_seen: in all sections so far. secrets: (type, bytes) of the
    Decryption Secrets Blocks (4.7). kind: type of the block in hand; index, interface: of the last packet;
    captured, wire, time, body: of the packet in hand.
    """

    def __init__(
        self,
        packet: Packet,
        reader: PacketReader,
        point_of: Callable[[int], int],
        secrets: list[tuple[int, bytes]],
    ) -> None:
        Walker.__init__(self, packet, reader, point_of)
        self.secrets: list[tuple[int, bytes]] = secrets
        self.secrets_bytes: cython.longlong = 0
        self.interfaces: list[Interface] = []
        self.interfaces_seen: cython.longlong = 0
        self.interface: Interface = Interface(0, 0, 6, 0, 0)
        self.index: cython.longlong = -1
        self.kind: cython.longlong = 0
        self.captured: cython.longlong = 0
        self.wire: cython.longlong = 0
        self.time: cython.longlong = NO_TIME
        self.body: cython.Py_ssize_t = 0

    def walk(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t, limit: cython.longlong) -> cython.Py_ssize_t:
        """See Walker.walk."""
        packet: Packet = self.packet
        reader: PacketReader = self.reader
        at: cython.Py_ssize_t = start
        length: cython.Py_ssize_t
        kind: cython.longlong
        time: cython.longlong
        packet.data = self.data
        packet.file = self.file
        self.held = False
        while True:
            length = self.block(at, stop)
            if length == 0:
                return at
            if stop - at < length:
                self.skip = length - (stop - at)
                self.needed = 1
                return stop
            kind = self.kind
            if kind != ENHANCED_PACKET and kind != SIMPLE_PACKET and kind != OBSOLETE_PACKET:
                self.describe(kind, at, at + length)
                at += length
                continue
            if not self.fields(kind, at, at + length):
                self.number += 1
                self.unreadable += 1
                at += length
                continue
            time = self.time
            if time != NO_TIME and (time < self.since or time > self.until):
                self.outside += 1
                self.number += 1
                at += length
                continue
            if time > limit:
                self.held = True
                self.next_time = time
                return at
            at += length
            self.number += 1
            packet.start = self.body
            packet.stop = self.body + self.captured
            packet.wire_length = self.wire
            packet.time = time
            packet.number = self.number
            packet.point = self.interface.point
            packet.link_type = self.interface.link_type
            reader.packet()

    def word(self, at: cython.Py_ssize_t) -> cython.uint:
        """The 32-bit number at `at`. Every walker has its own, as only then is it inlined."""
        first: cython.uint = self.data[at]
        second: cython.uint = self.data[at + 1]
        third: cython.uint = self.data[at + 2]
        fourth: cython.uint = self.data[at + 3]
        if self.big:
            return first << 24 | second << 16 | third << 8 | fourth
        return fourth << 24 | third << 16 | second << 8 | first

    def block(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.longlong:
        """The padded length of the block at `at`; 0 where more bytes are needed or the file is broken.

        Blocks that are not read may reach beyond `stop`; all others are whole.
        """
        self.needed = 12
        if stop - at < 12:
            return 0
        kind: cython.longlong = self.word(at)
        self.kind = kind
        if kind == SECTION and not self.section(at):
            return 0
        claimed: cython.longlong = self.word(at + 4)
        length: cython.longlong = (claimed + 3) & ~3  # some writers do not count the padding
        if claimed < 12:
            self.broken = f"a block claims {claimed} bytes"
            return 0
        if stop - at < length:
            if kind not in READ_BLOCKS:
                return length
            self.needed = length
            if length > limits.RECORD_BYTES:
                self.broken = f"a block of type {kind} claims {claimed} bytes"
            return 0
        if self.word(at + length - 4) != claimed:
            self.broken = f"a block of {claimed} bytes does not end in its length"
            return 0
        return length

    def section(self, at: cython.Py_ssize_t) -> cython.bint:
        """Take the byte order of the Section Header Block (4.1) at `at`."""
        magic: bytes = bytes(self.data[at + 8 : at + 12])
        if magic == BYTE_ORDER.to_bytes(4, "little"):
            self.big = False
        elif magic == BYTE_ORDER.to_bytes(4, "big"):
            self.big = True
        else:
            self.broken = "a section without a byte-order magic"
            return False
        return True

    def fields(self, kind: cython.int, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.bint:
        """Read the fields of the packet block in [at, stop); False where they contradict each other."""
        room: cython.longlong = stop - at - 32
        if kind == SIMPLE_PACKET:
            return self.simple_fields(at, stop)
        if room < 0:
            self.remark("a packet block is too short for its fields", at)
            return False
        index: cython.longlong = self.word(at + 8)
        if kind == OBSOLETE_PACKET:
            index = index >> 16 if self.big else index & 0xFFFF
        if index != self.index and not self.select(index, at):
            return False
        self.captured = self.word(at + 20)
        self.wire = self.word(at + 24)
        self.body = at + 28
        if self.captured > room:
            self.remark("a packet is longer than its block", at)
            return False
        if self.wire < self.captured:
            self.wire = self.captured
        self.time = self.interface.time(self.word(at + 12), self.word(at + 16))
        if self.time == NO_TIME:
            self.remark("a time that nanoseconds since 1970 cannot hold", at)
        return True

    def select(self, index: int, at: int) -> bool:
        """Make the section's interface `index` the one of the packet in hand; False where there is none."""
        if index >= len(self.interfaces):
            self.remark("a packet of an interface that was not described", at)
            return False
        self.index = index
        self.interface = self.interfaces[index]
        return True

    def simple_fields(self, at: int, stop: int) -> bool:
        """The same for a Simple Packet Block (4.4): of the first interface, without a time."""
        if stop - at < 16:
            self.remark("a packet block is too short for its fields", at)
            return False
        if not self.select(0, at):
            return False
        self.time = NO_TIME
        self.wire = self.word(at + 8)
        self.body = at + 12
        self.captured = min(self.wire, self.interface.snapshot or self.wire, stop - at - 16)
        return True

    def describe(self, kind: cython.longlong, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """Take a block that holds no packet."""
        if kind == SECTION:
            self.interfaces = []
            self.index = -1
            self.started = True
        elif kind == INTERFACE:
            self.describe_interface(at, stop)
        elif kind == DECRYPTION_SECRETS:
            self.keep_secrets(at, stop)

    def describe_interface(self, at: int, stop: int) -> None:
        """Take an Interface Description Block (4.2)."""
        if len(self.interfaces) >= limits.INTERFACES:
            self.remark("more interfaces than are kept", at)
            return
        order: Literal["big", "little"] = "big" if self.big else "little"
        block = bytes(self.data[at + 8 : stop - 4])
        if len(block) < 8:
            self.remark("an interface description is too short", at)
            block = block.ljust(8, b"\0")
        resolution, offset = 6, 0
        place = 8
        while place + 4 <= len(block):
            code = int.from_bytes(block[place : place + 2], order)
            size = int.from_bytes(block[place + 2 : place + 4], order)
            value = block[place + 4 : place + 4 + size]
            if code == OPTION_END:
                break
            if code == OPTION_RESOLUTION and len(value) == 1:
                resolution = value[0]
            elif code == OPTION_OFFSET and len(value) == 8:
                offset = int.from_bytes(value, order, signed=True)
            place += 4 + (size + 3 & ~3)
        link_type = int.from_bytes(block[:2], order)
        snapshot = int.from_bytes(block[4:8], order)
        point = self.point_of(self.interfaces_seen)
        self.interfaces_seen += 1
        self.interfaces.append(Interface(link_type, snapshot, resolution, offset, point))

    def keep_secrets(self, at: int, stop: int) -> None:
        """Take a Decryption Secrets Block (4.7)."""
        size = self.word(at + 12) if stop - at >= 20 else stop
        if size > stop - at - 20:
            self.remark("a secrets block is shorter than its secrets", at)
        elif self.secrets_bytes + size > limits.SECRETS_BYTES:
            self.remark("more decryption secrets than are kept", at)
        else:
            self.secrets_bytes += size
            self.secrets.append((self.word(at + 8), bytes(self.data[at + 16 : at + 16 + size])))

    def remark(self, what: str, at: cython.Py_ssize_t) -> None:
        """Note damage that does not end the reading."""
        times, first = self.remarks.get(what, (0, at))
        self.remarks[what] = (times + 1, first)
