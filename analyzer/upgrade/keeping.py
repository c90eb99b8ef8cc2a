"""Keeps the bytes of one direction until it is known what they are, and hands them on in their order, each as of the
packet that brought it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer import limits
from analyzer.records import Half, Moment, Packet, Reader, Source
from analyzer.room import Room

if TYPE_CHECKING:
    import cython

HELD_LIMIT = limits.HELD_BEFORE_ANSWER
HELD_ENTRY = 200  # what keeping one chunk costs beside its bytes


class Keeper(Reader):
    """A reader of a direction that can put its bytes off, for itself or for who reads after it.

    other_bytes: bytes it was handed that are neither a handshake's head nor the frame reader's.
    half: the TCP direction that carries it. pending: what has come of something that is not whole. held: (bytes, their
    moment, offset, gap, cut), what came while it had to wait; over_bytes, over_gap: what no longer went in. ended: how
    its bytes ended, -1 before.
    """

    def __init__(self, packet: Packet, source: Source, half: Half, room: Room) -> None:
        self.packet = packet
        self.source = source
        self.half = half
        self.room = room
        self.pending: bytearray = bytearray()
        self.held: list[tuple[bytes, Moment | None, int, int, bool]] | None = None
        self.other_bytes: cython.longlong = 0
        self.held_cost: cython.longlong = 0
        self.over_bytes: cython.longlong = 0
        self.over_gap: cython.longlong = 0
        self.ended: cython.int = -1
        self.weighed: cython.bint = False

    def left_out(self, size: cython.longlong) -> None:
        """So many bytes were too many to keep for who reads now."""

    def gave_way(self) -> None:
        """What was kept is let go: too much is kept in all."""

    def deliver(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, offset: cython.longlong) -> None:
        """Hand Packet.data[at:stop] to whoever reads now, as the source would."""
        source: Source = self.source
        reader: Reader | None = source.reader
        if reader is None:
            self.other_bytes += stop - at
            return
        passed: cython.longlong = min(source.skip, stop - at)
        if passed:
            source.skip -= passed
            at += passed
            self.other_bytes += passed
        if at < stop:
            before: cython.longlong = source.offset
            source.offset = offset + passed
            reader.data(at, stop)
            source.offset = before

    def keep(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, offset: cython.longlong) -> None:
        """Keep bytes until it is known what they are."""
        packet: Packet = self.packet
        data: cython.const[cython.uchar][::1] = packet.data
        cost: cython.longlong = self.held_cost + stop - at + HELD_ENTRY
        if cost > HELD_LIMIT:
            self.held_cost = HELD_LIMIT
            self.over_bytes += stop - at
            return
        self.held_cost = cost
        if self.held is None:
            self.held = []
        self.held.append((bytes(data[at:stop]), Moment(packet, self.half), offset, 0, False))
        self.weigh(cost)

    def hold_gap(self, size: cython.longlong, cut: cython.bint) -> None:
        """Keep a gap in its place among the bytes held."""
        cost: cython.longlong = self.held_cost + HELD_ENTRY
        if cost > HELD_LIMIT:
            self.held_cost = HELD_LIMIT
            self.over_gap += size
            return
        self.held_cost = cost
        if self.held is None:
            self.held = []
        self.held.append((b"", None, self.source.offset, size, cut))
        self.weigh(cost)

    def weigh(self, cost: cython.longlong) -> None:
        """Have what is kept count for the room of all; most heads come at once and are never weighed."""
        if cost > 0 or self.weighed:
            self.weighed = cost > 0
            self.room.weigh(self, cost, Keeper.give_way)

    def give_way(self) -> None:
        """Too much is kept in all: what was held is left out."""
        self.weighed = False
        for entry in self.held or ():
            self.over_bytes += len(entry[0])
            self.over_gap += entry[3]
        self.held = None
        self.gave_way()

    def holds_frames(self) -> cython.bint:
        """Do the bytes held begin as a client's first frame does (RFC 6455 5.2)? Text never has a mask bit there."""
        begun: bytes = b"".join([entry[0] for entry in (self.held or [])[:2]])
        if len(begun) < 2 or not begun[1] & 0x80 or begun[0] & 0x30:
            return False
        return begun[0] & 0x0F in (1, 2, 8, 9, 10)

    def release(self) -> None:
        """What was held goes to whoever reads now; where bytes were left out there is a gap. So does an end."""
        held: list[tuple[bytes, Moment | None, int, int, bool]] | None = self.held
        over: cython.longlong = self.over_bytes
        over_gap: cython.longlong = self.over_gap
        self.held = None
        self.held_cost = self.over_bytes = self.over_gap = 0
        self.weigh(0)
        for chunk, moment, offset, gap, cut in held or ():
            if moment is None:
                self.replay_gap(gap, cut, offset)
            else:
                self.replay(chunk, moment, offset)
        reader: Reader | None = self.source.reader
        if over and reader is not None and reader is not self:
            self.left_out(over)
        else:
            self.other_bytes += over
        if reader is not self:  # a head that had begun, between lost bytes: not known to be frames
            over_gap += len(self.pending)
            self.other_bytes += len(self.pending)
            self.pending.clear()
        if over + over_gap:
            self.replay_gap(over + over_gap, False, self.source.offset - over - over_gap)
        reader = self.source.reader
        if self.ended >= 0 and reader is not None and reader is not self:
            reader.end(self.ended)

    def replay(self, chunk: bytes, moment: Moment, offset: cython.longlong) -> None:
        """Deliver bytes of an earlier packet as that packet's."""
        packet: Packet = self.packet
        data: cython.const[cython.uchar][::1] = packet.data
        now: Moment = Moment(packet, self.half)
        try:
            moment.recall(packet, self.half, True)
            packet.data = chunk
            self.deliver(0, len(chunk), offset)
        finally:
            packet.data = data
            now.recall(packet, self.half, True)

    def replay_gap(self, size: cython.longlong, cut: cython.bint, offset: cython.longlong) -> None:
        """Tell of a gap at that offset as the source would."""
        source: Source = self.source
        reader: Reader | None = source.reader
        passed: cython.longlong = min(source.skip, size)
        source.skip -= passed
        if passed < size and reader is not None:
            before: cython.longlong = source.offset
            source.offset = offset + passed
            reader.gap(size - passed, cut)
            source.offset = before

    def settle(self) -> None:
        """Nothing more comes of what was kept: it counts as bytes beside the handshake."""
        self.other_bytes += len(self.pending) + self.over_bytes
        self.pending.clear()
        for entry in self.held or ():
            self.other_bytes += len(entry[0])
        self.held = None
        self.over_bytes = self.over_gap = 0
        self.weigh(0)
