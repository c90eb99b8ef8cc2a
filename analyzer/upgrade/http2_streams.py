"""The WebSocket streams of an HTTP/2 connection (RFC 8441): each direction of one is a source of ordered bytes."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING

from analyzer import limits
from analyzer.records import MISSING, Connection, Packet, Source
from analyzer.room import Room

if TYPE_CHECKING:
    import cython

HELD_ENTRY = 200  # what keeping one piece costs beside its bytes
PLACES = 64  # numbers kept to find a byte's place below, two for each piece of DATA: frames asked about are short
BESIDE = "before the upgrade"
ASKED, OPEN, REFUSED = range(3)
FIRST_FRAMES = frozenset((0x81, 0x82, 0x88, 0x89, 0x8A, 0xC1))  # that begin WebSockets (RFC 6455 5.2) and no text


class StreamSource(Source):
    """One direction of a WebSocket stream: the data of its DATA frames (RFC 8441 5), in order.

    carrier: the source of the HTTP/2 connection's bytes; account(kind, size): puts bytes into the ledger.
    offset counts the data of the stream alone. waits: what comes is held until the answer says what it is.
    held: (bytes, time, packet, file, offset in the carrier) of that; over_bytes: what no longer went in;
    closed: (how, time, packet, file) of the end if that came meanwhile.
    """

    def __init__(self, packet: Packet, carrier: Source, account: Callable[[str, int], None], room: Room) -> None:
        super().__init__()
        self.room = room
        self.packet = packet
        self.carrier = carrier
        self.account = account
        self.places = array("q")
        self.waits = True
        self.held: list[tuple[bytes, int, int, int, int]] = []
        self.held_cost = 0
        self.over_bytes = 0
        self.closed: tuple[int, int, int, int] | None = None

    def take(self, start: int, stop: int, offset: int) -> None:
        """Packet.data[start:stop] is data of the stream; offset: of its first byte in the carrier."""
        if self.waits:
            self.hold(start, stop, offset)
            return
        places = self.places
        if len(places) >= PLACES:
            del places[: PLACES // 2]
        places.append(self.offset)
        places.append(offset)
        reader = self.reader
        if self.skip or reader is None:
            unread = stop - start if reader is None else min(self.skip, stop - start)
            self.skip -= min(self.skip, unread)
            self.account(BESIDE, unread)
            self.offset += unread
            start += unread
        if start < stop and reader is not None:
            reader.data(start, stop)
            self.offset += stop - start

    def flows(self) -> bool:
        """Does what comes go on at once?"""
        return not (self.waits or self.finished or self.was_reset)

    def miss(self, size: int, cut: bool) -> None:
        """`size` bytes of the data are missing, MISSING where that is not known."""
        if size == MISSING:
            if self.reader is not None:
                self.reader.gap(MISSING, cut)
            return
        passed = min(self.skip, size)
        self.skip -= passed
        self.offset += passed
        if passed < size:
            if self.reader is not None:
                self.reader.gap(size - passed, cut)
            self.offset += size - passed

    def transport_offset(self, offset: cython.longlong) -> cython.longlong:
        """See Source. Before the pieces whose places are kept it is counted back from the oldest."""
        places = self.places
        if not places:
            return self.carrier.transport_offset(self.carrier.offset)
        index = len(places) - 2
        while index and places[index] > offset:
            index -= 2
        return self.carrier.transport_offset(places[index + 1] + offset - places[index])

    def hold(self, start: int, stop: int, offset: int) -> None:
        """Keep data until the answer comes."""
        packet = self.packet
        self.held_cost += stop - start + HELD_ENTRY
        if self.held_cost > limits.HELD_BEFORE_ANSWER:
            self.over_bytes += stop - start
            return
        text = bytes(packet.data[start:stop])
        self.held.append((text, packet.time, packet.number, packet.file, offset))
        self.room.weigh(self, self.held_cost, StreamSource.give_way)

    def give_way(self) -> None:
        """Too much is kept in all: what was held is left out."""
        self.over_bytes += sum(len(entry[0]) for entry in self.held)
        self.held.clear()
        self.held_cost = limits.HELD_BEFORE_ANSWER

    def release(self) -> int:
        """The stream is open: what was held goes to the reader, as bytes of its own packets. How many did not go in."""
        self.waits = False
        self.room.weigh(self, 0, StreamSource.give_way)
        held, self.held, over = self.held, [], self.over_bytes
        self.over_bytes = 0
        packet = self.packet
        data, *now = packet.data, packet.time, packet.number, packet.file
        try:
            for text, time, number, file, offset in held:
                packet.data, packet.time, packet.number, packet.file = text, time, number, file
                self.take(0, len(text), offset)
            if over:
                self.miss(over, False)
            if self.closed is not None:
                how, packet.time, packet.number, packet.file = self.closed
                self.close(how)
        finally:
            packet.data = data
            packet.time, packet.number, packet.file = now
        return over

    def close(self, how: int) -> None:
        """No more data comes; how: see Reader.end."""
        if self.reader is not None:
            self.reader.end(how)
        elif self.waits and self.closed is None:
            self.closed = how, self.packet.time, self.packet.number, self.packet.file

    def holds_frames(self) -> bool:
        """Does what is held begin as a WebSocket does, and no text?"""
        return bool(self.held) and self.held[0][0][0] in FIRST_FRAMES

    def drop(self) -> None:
        """The stream does not open: what was held, and what comes, is no WebSocket's."""
        self.waits = False
        size = sum(len(entry[0]) for entry in self.held) + self.over_bytes
        self.held.clear()
        self.room.weigh(self, 0, StreamSource.give_way)
        self.over_bytes = 0
        if size:
            self.account(BESIDE, size)


class Stream:
    """One extended CONNECT (RFC 8441 4) and what becomes of it.

    unsaid: its answer, or the status in it, may be missing from the capture.
    """

    def __init__(self, number: int, connection: Connection, client: StreamSource, server: StreamSource) -> None:
        self.number = number
        self.connection = connection
        self.client = client
        self.server = server
        self.state = ASKED
        self.unsaid = False

    def close(self, how: int, by_client: bool) -> None:
        """One side's first word about the end; what comes later does not change how it ended."""
        connection = self.connection
        if not connection.end_how:
            connection.end_how = how
            connection.end_by = connection.client if by_client else connection.server

    def note(self, how: int, by_client: bool, error: int, packet: Packet) -> None:
        """A side's word about the end, with its error code (RFC 9113 7). Of its words of one kind the last is kept."""
        kept = tuple(word for word in self.connection.stream_ends if word[:2] != (how, by_client))
        self.connection.stream_ends = (*kept, (how, by_client, error, packet.time, packet.number, packet.file))

    def over(self, time: int) -> None:
        """Nothing more comes of it."""
        self.connection.ended = True
        self.connection.end_time = time
