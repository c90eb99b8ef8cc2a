"""Walks over the records of a pcap file (draft-ietf-opsawg-pcap), and what every walker has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer import limits

if TYPE_CHECKING:
    from collections.abc import Callable

    import cython

    from analyzer.records import Packet, PacketReader

NO_TIME = -(1 << 63)
NO_LIMIT = (1 << 63) - 1
NANOSECONDS = 1_000_000_000

FILE_HEADER = 24
MICROSECOND_MAGIC, NANOSECOND_MAGIC, MODIFIED_MAGIC = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34
FRAME_CHECK_PRESENT = 0x04000000
MAGIC_NUMBERS = (MICROSECOND_MAGIC, NANOSECOND_MAGIC, MODIFIED_MAGIC)
MAGICS = frozenset(
    [number.to_bytes(4, "little") for number in MAGIC_NUMBERS] + [number.to_bytes(4, "big") for number in MAGIC_NUMBERS]
)
VERSIONS = (b"\2\0\4\0", b"\0\2\0\4")


class Walker:
    """Walks over the records of one file as they come into a buffer, and hands their packets on.

    data: the buffer; start, stop: its bytes that the walker has still to go over, kept for the driver.
    file: index for Packet.file; point_of: gives the capture point of the file's nth interface.
    since, until: packets with a time outside are passed over, counted in `outside`; number: packets met so far;
    unreadable: packets whose record contradicts itself. started: the file's header has been read.

    Why walk() came to an end: held: the next packet is later than the limit, at next_time; broken: the text says
    how the file contradicts itself, nothing after it can be read; else `needed` bytes must be there from the
    position that walk() gave. skip: bytes that follow the buffer and are of no interest.
    remarks: damage that did not end the reading, as {text: (times, position of the first)}; positions are in the
    buffer, and the driver takes them after every walk.
    """

    def __init__(self, packet: Packet, reader: PacketReader, point_of: Callable[[int], int]) -> None:
        self.data: cython.const[cython.uchar][::1] = b""
        self.start: cython.Py_ssize_t = 0
        self.stop: cython.Py_ssize_t = 0
        self.packet: Packet = packet
        self.reader: PacketReader = reader
        self.point_of: Callable[[int], int] = point_of
        self.file: cython.int = 0
        self.since: cython.longlong = NO_TIME
        self.until: cython.longlong = NO_LIMIT
        self.number: cython.longlong = 0
        self.outside: cython.longlong = 0
        self.unreadable: cython.longlong = 0
        self.started: cython.bint = False
        self.big: cython.bint = False
        self.held: cython.bint = False
        self.next_time: cython.longlong = NO_TIME
        self.needed: cython.longlong = 0
        self.skip: cython.longlong = 0
        self.broken: str | None = None
        self.remarks: dict[str, tuple[int, int]] = {}

    def walk(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t, limit: cython.longlong) -> cython.Py_ssize_t:
        """Hand on the packets of the whole records in data[start:stop]; the position of the first one not taken.

        A packet later than `limit` is held back. A packet without a time never is.
        """
        return start


def alternate(walkers: list, limit: cython.longlong) -> cython.Py_ssize_t:  # type: ignore[type-arg]  # Cython takes the plain list
    """Hand on the packets of several files in the order of their times; of equal ones the earlier file's first.

    All walkers are held. Which one no longer is, so that more bytes may be needed; -1 when all next times are
    later than `limit`.
    """
    index: cython.Py_ssize_t
    first: cython.Py_ssize_t
    earliest: cython.longlong
    bound: cython.longlong
    walker: Walker
    while True:
        first = -1
        earliest = limit
        for index in range(len(walkers)):
            walker = walkers[index]
            if walker.next_time < earliest or (first < 0 and walker.next_time == limit):
                earliest = walker.next_time
                first = index
        if first < 0:
            return -1
        bound = limit
        for index in range(len(walkers)):
            walker = walkers[index]
            if index < first and walker.next_time <= bound:
                bound = walker.next_time - 1  # at the same time, the earlier file goes first
            elif index > first and walker.next_time < bound:
                bound = walker.next_time
        walker = walkers[first]
        walker.start = walker.walk(walker.start, walker.stop, bound)
        if not walker.held:
            return first


class PcapWalker(Walker):
    """The walker of pcap files in both byte orders, with microseconds or nanoseconds, and of the modified format.

    header: bytes of a record's header; scale: nanoseconds per unit of the fraction; most: captured bytes of a record
    that are believed; frame_check: bytes of the frame check sequence at the end of every packet.
    """

    def __init__(self, packet: Packet, reader: PacketReader, point_of: Callable[[int], int]) -> None:
        Walker.__init__(self, packet, reader, point_of)
        self.link_type: cython.int = 0
        self.point: cython.int = 0
        self.header: cython.longlong = 16
        self.scale: cython.longlong = 1000
        self.most: cython.longlong = 0
        self.frame_check: cython.longlong = 0

    def file_header(self, at: cython.Py_ssize_t) -> None:
        """Read the file's header, whose magic number is known to be one of MAGICS."""
        self.big = self.data[at] == MICROSECOND_MAGIC >> 24
        magic: cython.longlong = self.word(at)
        snapshot: cython.longlong = self.word(at + 16)
        network: cython.longlong = self.word(at + 20)
        self.header = 24 if magic == MODIFIED_MAGIC else 16
        self.scale = 1 if magic == NANOSECOND_MAGIC else 1000
        self.most = max(limits.PACKET_BYTES, min(snapshot, limits.RECORD_BYTES))
        self.link_type = network & 0xFFFF
        if network & FRAME_CHECK_PRESENT:
            self.frame_check = 2 * (network >> 28)  # the upper four bits count 16-bit words
        else:
            self.frame_check = 0
        self.point = self.point_of(0)
        self.started = True

    def joined(self, at: int) -> bool:
        """Whether another file's header stands where a record should: `cat a.pcap b.pcap`.

        As a record it would be an empty packet of the year 2055.
        """
        head = bytes(self.data[at : at + 16])
        if head[:4] not in MAGICS or head[4:8] not in VERSIONS or any(head[8:16]):
            return False
        self.remarks.setdefault("another pcap file begins in the middle of this one and is read too", (1, at))
        return True

    def walk(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t, limit: cython.longlong) -> cython.Py_ssize_t:
        """See Walker.walk."""
        packet: Packet = self.packet
        reader: PacketReader = self.reader
        at: cython.Py_ssize_t = start
        self.held = False
        if not self.started:
            self.needed = FILE_HEADER
            if stop - at < FILE_HEADER:
                return at
            self.file_header(at)
            at += FILE_HEADER
        header: cython.Py_ssize_t = self.header
        scale: cython.longlong = self.scale
        captured: cython.Py_ssize_t
        wire: cython.longlong
        time: cython.longlong
        packet.data = self.data
        packet.file = self.file
        self.needed = header
        while stop - at >= header:
            captured = self.word(at + 8)
            if captured == 0 and self.joined(at):
                if stop - at < FILE_HEADER:
                    self.needed = FILE_HEADER
                    return at
                self.file_header(at)
                header = self.header
                scale = self.scale
                at += FILE_HEADER
                continue
            if captured > self.most:
                self.broken = f"a record claims {captured} captured bytes"
                return at
            if stop - at - header < captured:
                self.needed = header + captured
                return at
            time = self.word(at) * NANOSECONDS + self.word(at + 4) * scale
            if time < self.since or time > self.until:
                self.outside += 1
                self.number += 1
                at += header + captured
                continue
            if time > limit:
                self.held = True
                self.next_time = time
                return at
            wire = self.word(at + 12)
            at += header
            packet.start = at
            at += captured
            packet.stop = at
            if wire < captured:
                wire = captured
            if self.frame_check > 0:
                wire = without_frame_check(packet, wire, self.frame_check)
            self.number += 1
            packet.wire_length = wire
            packet.time = time
            packet.number = self.number
            packet.point = self.point
            packet.link_type = self.link_type
            reader.packet()
        return at

    def word(self, at: cython.Py_ssize_t) -> cython.uint:
        """The 32-bit number at `at`. Every walker has its own, as only then is it inlined."""
        first: cython.uint = self.data[at]
        second: cython.uint = self.data[at + 1]
        third: cython.uint = self.data[at + 2]
        fourth: cython.uint = self.data[at + 3]
        if self.big:
            return first << 24 | second << 16 | third << 8 | fourth
        return fourth << 24 | third << 16 | second << 8 | first


def without_frame_check(packet: Packet, wire: int, size: int) -> int:
    """Take the frame check sequence, as far as it was captured, off the packet; its length on the wire without it."""
    if wire < size:
        return wire
    packet.stop = min(packet.stop, packet.start + wire - size)
    return wire - size
