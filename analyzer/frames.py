"""Reads the WebSocket frames of one direction (RFC 6455 5.2), whatever carries its bytes.

It observes and never enforces: a frame that breaks a rule is read by the length it declares. Payloads go on, still
masked, to whoever joins messages; nothing is allocated per frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.records import (
    END_RST,
    NO_TIME,
    Connection,
    Frame,
    FramePayloadReader,
    Packet,
    Reader,
    Side,
    Source,
)

if TYPE_CHECKING:
    import cython


def header_size(second: cython.int) -> cython.int:
    """Bytes of a frame header, told by its second byte (RFC 6455 5.2)."""
    size: cython.int = 2
    length: cython.int = second & 127
    if length == 126:
        size = 4
    elif length == 127:
        size = 10
    return size + 4 if second & 128 else size


class FrameReader(Reader):
    """One direction of one WebSocket connection, from the first byte after the handshake.

    Bytes arrive in pieces of any size (data) with holes between them (gap). A hole inside a payload is carried over by
    the length already known; any other ends the reading of this direction, which Side.broken says.
    """

    def __init__(self, packet: Packet, source: Source, side: Side, frame: Frame, payloads: FramePayloadReader) -> None:
        self.packet = packet
        self.source = source
        self.side = side
        self.frame_in_hand = frame
        self.payloads = payloads
        self.header: bytearray | None = None  # made when a header comes in pieces
        self.header_held = 0
        self.in_payload = False
        self.remaining = 0
        self.base = -1
        frame.sender = side

    def data(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        at: cython.Py_ssize_t = start
        take: cython.Py_ssize_t
        size: cython.int
        offset: cython.longlong = self.source.offset - start  # of the byte at index 0 of the buffer
        packet: Packet = self.packet
        if self.base < 0:
            self.base = self.source.offset
        if self.side.broken:
            self.side.unread_bytes += stop - start
            return
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
            for index in range(stop - 4, stop):
                key = (key << 8) | packet.data[index]
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

    def gap(self, size: cython.longlong, cut: cython.bint) -> None:
        if self.base < 0:
            self.base = self.source.offset
        self.side.exact = False
        if self.side.broken:
            return
        if self.in_payload and size >= 0 and self.remaining >= size:
            self.payloads.missing(size)
            self.remaining -= size
            if self.remaining == 0:
                self._complete(self.source.offset + size)
        else:
            self._give_up()

    def _give_up(self) -> None:
        self.side.broken = True
        self._account_unfinished()
        self.payloads.give_up()
        self.in_payload = False
        self.header_held = 0

    def _account_unfinished(self) -> None:
        """Bytes of a frame that never became complete: read all the same."""
        self.side.frame_bytes += self.header_held
        if self.in_payload:
            self.side.frame_bytes += self.frame_in_hand.header_size + self.frame_in_hand.captured

    def end(self, how: cython.int) -> None:
        connection: Connection = self.side.connection
        if how != END_RST and not self.side.broken:  # what an RST overtook may still come
            self._account_unfinished()
            self.payloads.give_up()
            self.in_payload = False
            self.header_held = 0
        if how != 0 and connection.ending == NO_TIME:
            connection.mark_ending(self.packet.time)
