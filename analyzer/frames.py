"""Reads the WebSocket frames of one direction (RFC 6455 5.2), whatever carries its bytes.

It observes and never enforces: a frame that breaks a rule is read by the length it declares. Payloads go on, still
masked, to whoever joins messages; nothing is allocated per frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.chains import Chains
from analyzer.records import (
    END_CAPTURE,
    END_FIN,
    END_RST,
    NO_TIME,
    Frame,
    FramePayloadReader,
    Moment,
    Packet,
    Reader,
    Side,
    Source,
)
from analyzer.room import Room

if TYPE_CHECKING:
    import cython

CLOSE = 8
SMALLEST_CLOSE = (2, 6)  # bytes of an empty Close: of a server, of a client (RFC 6455 5.2)


def header_size(second: cython.int) -> cython.int:
    """Bytes of a frame header, told by its second byte (RFC 6455 5.2)."""
    size: cython.int = 2
    length: cython.int = second & 127
    if length == 126:
        size = 4
    elif length == 127:
        size = 10
    return size + 4 if second & 128 else size


def big_endian(packet: Packet, at: cython.Py_ssize_t) -> cython.uint:
    """The 32-bit number at `at`."""
    first: cython.uint = packet.data[at]
    return first << 24 | packet.data[at + 1] << 16 | packet.data[at + 2] << 8 | packet.data[at + 3]


class FrameReader(Reader):
    """One direction of one WebSocket connection, from the first byte after the handshake.

    Bytes arrive in pieces of any size (data) with holes between them (gap). A hole inside a payload is carried over by
    the length already known; after any other frames are looked for again, and Side.broken says that none are found yet.
    """

    def __init__(
        self, packet: Packet, source: Source, side: Side, frame: Frame, payloads: FramePayloadReader, room: Room
    ) -> None:
        self.packet = packet
        self.source = source
        self.side = side
        self.frame_in_hand = frame
        self.payloads = payloads
        self.room = room
        self.header: bytearray | None = None  # made when a header comes in pieces
        self.header_held = 0
        self.in_payload = False
        self.remaining = 0
        self.base = -1
        self.chains: Chains | None = None
        self.lost: int = 0
        self.close_begun: Moment | None = None  # when the last Close began
        frame.sender = side
        side.frame = frame

    def data(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        at: cython.Py_ssize_t = start
        take: cython.Py_ssize_t
        size: cython.int
        offset: cython.longlong = self.source.offset - start  # of the byte at index 0 of the buffer
        packet: Packet = self.packet
        if self.base < 0:
            self.base = self.source.offset
        if self.side.broken:
            self._search(start, stop)
            return
        if not self.in_payload and self.header_held == 0:
            at = self._whole_frames(at, stop)
        while at < stop:
            if not self.in_payload:
                if self.header_held == 0:
                    self.frame_in_hand.begin = offset + at
                    size = header_size(packet.data[at + 1]) if stop - at >= 2 else 15
                    if stop - at >= size:
                        self._begin(at, size)
                        at += size
                    else:
                        at = self._hold_header(at, stop)
                else:
                    at = self._hold_header(at, stop)
                if not self.in_payload:
                    break
            take = stop - at
            if self.remaining < take:
                take = self.remaining
            if take > 0:
                self.payloads.payload(at, at + take)
                self.frame_in_hand.captured += take
                self.remaining -= take
                at += take
            if self.remaining == 0:
                self._complete(offset + at)

    def _whole_frames(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Read the frames from `at` on that are all there, as long as nothing about them is rare: most frames of most
        captures. Returns where the others begin."""
        packet: Packet = self.packet
        side: Side = self.side
        first: cython.int
        second: cython.int
        length: cython.Py_ssize_t
        size: cython.Py_ssize_t
        key: cython.uint
        while stop - at >= 2:
            first = packet.data[at]
            second = packet.data[at + 1]
            length = second & 127
            size = header_size(second)
            if length == 127 or stop - at < size:
                break
            if length == 126:
                length = 256 * packet.data[at + 2] + packet.data[at + 3]
                if length < 126:
                    break
            if stop - at - size < length:
                break
            at += size
            key = big_endian(packet, at - 4) if second >= 128 else 0
            if not self.payloads.whole(first, second >= 128, key, at, at + length):
                at -= size
                break
            at += length
            side.frames += 1
            side.wire_bytes += length
            side.frame_bytes += size + length
            side.last_frame = packet.time
            side.uncertain = side.may_hide_close = False
        return at

    def _hold_header(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Gather a header that came in pieces; begin its frame when it is whole. Returns where its bytes end."""
        data: cython.const[cython.uchar][::1] = self.packet.data
        if self.header is None:
            self.header = bytearray(14)
        header: bytearray = self.header
        needed: cython.int = header_size(header[1]) if self.header_held >= 2 else 2
        while at < stop and self.header_held < needed:
            header[self.header_held] = data[at]
            self.header_held += 1
            at += 1
            if self.header_held == 2:
                needed = header_size(header[1])
        if self.header_held >= 2 and self.header_held == needed:
            self.packet.data = header
            try:
                self._begin(0, needed)
            finally:
                self.packet.data = data
            self.header_held = 0
        return at

    def _begin(self, at: cython.Py_ssize_t, size: cython.int) -> None:
        packet: Packet = self.packet
        frame: Frame = self.frame_in_hand
        first: cython.int = packet.data[at]
        second: cython.int = packet.data[at + 1]
        length: cython.ulonglong = second & 127
        index: cython.Py_ssize_t
        stop: cython.Py_ssize_t = at + size
        key: cython.uint = 0
        at += 2
        if length == 126:
            length = 256 * packet.data[at] + packet.data[at + 1]
        elif length == 127:
            length = 0
            for index in range(at, at + 8):
                length = (length << 8) | packet.data[index]
        if second & 128:
            key = big_endian(packet, stop - 4)
        frame.fin = first >= 128
        frame.rsv = (first >> 4) & 7
        frame.opcode = first & 15
        frame.masked = second >= 128
        frame.masking_key = key
        frame.header_size = size
        frame.length = length
        frame.captured = 0
        frame.stream_offset = frame.begin - self.base
        self.remaining = length
        self.in_payload = True
        if frame.opcode == CLOSE:
            self.close_begun = Moment(packet, self.side.half)
        self.payloads.begin()

    def _complete(self, offset: cython.longlong) -> None:
        frame: Frame = self.frame_in_hand
        side: Side = self.side
        packet: Packet = self.packet
        self.in_payload = False
        frame.finish = offset
        frame.time = packet.time
        frame.packet = packet.number
        frame.file = packet.file
        side.frames += 1
        side.wire_bytes += frame.length
        side.frame_bytes += frame.header_size + frame.captured
        self.payloads.complete()
        side.last_frame = packet.time
        side.uncertain = False
        if side.may_hide_close and frame.opcode < 8:
            side.may_hide_close = False

    def gap(self, size: cython.longlong, cut: cython.bint) -> None:
        if self.base < 0 and size > 0:
            self.base = self.source.offset
        self.side.exact = False
        if size < 0:
            size = 0  # nobody knows how many
        if self.side.broken:
            self._miss(size, cut)
        elif self.in_payload and 0 < size <= self.remaining:
            self.payloads.missing(size)
            self.remaining -= size
            if self.remaining == 0:
                self._complete_without_end(self.source.offset + size, not cut)
        else:
            self._lose_track(size, cut)

    def _complete_without_end(self, offset: cython.longlong, lost: cython.bint) -> None:
        """The frame's last bytes are missing; lost: not cut off the very packet in hand. A Close of which only the end
        is missing was sent when it began: what its sender knew then decides who closed first."""
        begun: Moment | None = self.close_begun
        if not lost or begun is None or self.frame_in_hand.opcode != CLOSE:
            self._complete(offset)
            return
        now: Moment = Moment(self.packet, self.side.half)
        begun.recall(self.packet, self.side.half, True)
        try:
            self._complete(offset)
        finally:
            now.recall(self.packet, self.side.half, True)

    def _lose_track(self, size: cython.longlong, cut: cython.bint) -> None:
        """A hole of `size` bytes (0: nobody knows how many) goes beyond the frame in hand: what follows may be the
        middle of another one. A frame of which only payload is missing is complete."""
        side: Side = self.side
        passed: cython.longlong = 0
        if self.in_payload:
            passed = self.remaining
            self.payloads.missing(passed)
            self._complete_without_end(self.source.offset + passed, not cut)
        self.lost = size - passed + self.header_held
        side.frame_bytes += self.header_held
        self.header_held = 0
        self.payloads.give_up()
        side.broken = True
        side.uncertain = True
        _distrust_pings(side)
        _distrust_pings(side.peer)
        self.chains = Chains(1 if side.is_client else 0, side.deflate)
        if size == 0 or self.lost >= SMALLEST_CLOSE[side.is_client]:
            side.may_hide_close = True

    def _search(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """Look for frames in bytes after a hole."""
        chains: Chains = self.chains  # type: ignore[assignment]  # there while the side is broken
        moment: Moment = Moment(self.packet, self.side.half)
        self.side.unread_bytes += chains.add(self.packet.data, start, stop, self.source.offset, moment)
        if chains.look(False):
            self._resume()
        else:
            self.room.weigh(self, chains.cost(), FrameReader.give_way)

    def give_way(self) -> None:
        """Too much is kept in all: frames are searched in what comes from here on."""
        if self.chains is not None:
            self.side.unread_bytes += self.chains.forget()
            self.side.may_hide_close = True

    def _miss(self, size: cython.longlong, cut: cython.bint) -> None:
        """Another hole before frames were found again. Where it is too large to be kept, all before it is given up."""
        chains: Chains = self.chains  # type: ignore[assignment]
        self.side.unread_bytes += chains.missing(size, self.source.offset, cut)
        self.room.weigh(self, chains.cost(), FrameReader.give_way)
        self.side.may_hide_close = True

    def _resume(self) -> None:
        """Read on where a chain was found to begin."""
        chains: Chains = self.chains  # type: ignore[assignment]
        side: Side = self.side
        side.broken = False
        if side.frames or self.lost:  # else the capture began within a frame
            side.resyncs += 1
            side.weak_resyncs += not chains.borne_out
        side.unread_bytes += chains.before()
        if self.lost + chains.begins >= SMALLEST_CLOSE[side.is_client]:
            side.may_hide_close = True
        self.chains = None
        self.room.weigh(self, 0, FrameReader.give_way)
        for piece in chains.rest():
            chains.replay(piece, self.packet, self.source, side.half)

    def _account_unfinished(self) -> None:
        """Bytes of a frame that never became complete: read all the same."""
        self.side.frame_bytes += self.header_held
        if self.in_payload:
            self.side.frame_bytes += self.frame_in_hand.header_size + self.frame_in_hand.captured

    def end(self, how: cython.int) -> None:
        if how != END_RST:  # what an RST overtook may still come
            if self.side.broken and self.chains is not None and self.chains.look(True):
                self._resume()
            self._finish()
        if how != END_CAPTURE:
            self.side.connection.begin_ending(self.packet.time)
        if how == END_FIN:  # nothing is read after it
            self._leave()

    def _leave(self) -> None:
        """Let go of what only a reader needs: an ended connection waits for late packets. This may be the last
        reference to self."""
        side: Side = self.side
        peer: Side = side.peer
        self.source.reader = None
        if peer.source.reader is None:  # no Close comes that could be about what the other side was sending
            side.message = side.frame = peer.message = peer.frame = None

    def _finish(self) -> None:
        """No byte comes any more: what is under way stays incomplete."""
        if self.chains is not None:
            self.side.unread_bytes += self.chains.forget()
            self.room.weigh(self, 0, FrameReader.give_way)
        self._account_unfinished()
        self.payloads.give_up()
        self.in_payload = False
        self.header_held = 0


def _distrust_pings(side: Side) -> None:
    """The next Pong may answer a Ping that is missing, or the answer itself may be: no time between them is known."""
    if side.outstanding_pings:
        side.outstanding_pings = [
            (NO_TIME, payload, packet, file) for _, payload, packet, file in side.outstanding_pings
        ]
