"""Puts the segments of each direction of a TCP connection in order (RFC 9293 3.10.7.4): repeats, holes, FIN and RST.

Bytes go on to the direction's reader as they are in order. The first copy of a byte wins; a hole waits until it is
filled or counts as lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer import limits
from analyzer.assembler import Assembler
from analyzer.records import (
    END_CAPTURE,
    END_FIN,
    END_RST,
    MISSING,
    NO_TIME,
    Flow,
    Half,
    Moment,
    Packet,
    Reader,
    Segment,
    SegmentReader,
)
from analyzer.room import Room

if TYPE_CHECKING:
    import cython

FIN, SYN, RST, ACK = 1, 2, 4, 16
HALF_WRAP = 1 << 31
LOW_32 = (1 << 32) - 1
OUTSIDE = 1 << 24  # sequence numbers this far from an ended connection's are another's: more than windows in use


def difference(one: cython.longlong, other: cython.longlong) -> cython.longlong:
    """one - other in sequence space, from -2^31 to 2^31 - 1 (RFC 9293 3.4)."""
    return ((one - other + HALF_WRAP) & LOW_32) - HALF_WRAP


def advance(sequence: cython.longlong, by: cython.longlong) -> cython.uint:
    """sequence + by, modulo 2^32."""
    return (sequence + by) & LOW_32


class Reassembly(SegmentReader):
    """Takes the segment in hand of a direction whose flow is known.

    Who knows the flows fills in open, unread and end.
    """

    def __init__(self, packet: Packet, segment: Segment, room: Room) -> None:
        self.packet = packet
        self.in_hand = segment
        self.lost_after_packets = limits.LOST_AFTER_PACKETS
        self.lost_after_time = limits.LOST_AFTER_SECONDS * 1_000_000_000
        self.held_limit = limits.HELD_SEGMENTS_BYTES
        self.room = room

    def open(self, half: Half, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.bint:
        """Have the first bytes of a flow looked at; say whether there is now a reader for them."""
        return False

    def unread(self, flow: Flow) -> None:
        """A direction has no reader any more."""

    def end(self, flow: Flow, time: cython.longlong) -> None:
        """Both FINs or an RST: the connection is over, late packets aside."""

    def synchronise(self, half: Half, initial: cython.uint) -> None:
        """Set a half by its SYN."""
        half.syn = True
        half.initial = initial
        start_at(half, advance(initial, 1))

    def acknowledge(self, half: Half) -> None:
        """Take the acknowledgment of the segment in hand. One of what can't have been sent is a forgery or damage."""
        number: cython.uint = self.in_hand.acknowledgment
        if half.peer.known and difference(number, half.peer.next) > OUTSIDE:
            return
        if not half.acknowledges:
            half.acknowledges = True
            half.acknowledgment = number
            if not half.peer.known:  # what it has not acknowledged yet comes next
                start_at(half.peer, number)
        elif difference(number, half.acknowledgment) > 0:
            half.acknowledgment = number
        else:
            half.behind, half.behind_packet, half.behind_file = number, self.packet.number, self.packet.file

    def payload(self, half: Half) -> None:
        """The payload of the segment in hand: in order, from before (again), or beyond a hole."""
        segment: Segment = self.in_hand
        start: cython.Py_ssize_t = segment.start
        stop: cython.Py_ssize_t = segment.stop
        length: cython.longlong = segment.length
        ahead: cython.longlong
        sequence: cython.uint = segment.sequence
        if segment.flags & SYN:
            sequence = advance(sequence, 1)
        if not half.known or (half.captured_bytes == 0 and not half.syn and difference(sequence, half.next) < 0):
            start_at(half, sequence)
        half.captured_bytes += stop - start
        ahead = difference(sequence, half.next)
        if ahead > 0:
            self._hold(half, ahead, length)
            return
        if ahead < 0:
            if length > 1 or ahead < -1:  # one byte below the next is a keep-alive probe (RFC 9293 3.8.4)
                if not segment.continues:
                    half.retransmissions += 1
                    self._again(half)
            else:
                self.probe(half)
            if -ahead >= length:
                half.duplicate_bytes += stop - start
                return
            length += ahead
            ahead = min(-ahead, stop - start)
            half.duplicate_bytes += ahead
            start += ahead
        if half.held is not None and length > half.held.first() - half.offset:
            self._hold_rest(half, start, stop, length)
            return
        self._take(half, start, stop, length)
        if half.held is not None:
            self._release(half, False)

    def _hold_rest(
        self, half: Half, start: cython.Py_ssize_t, stop: cython.Py_ssize_t, length: cython.longlong
    ) -> None:
        """Take bytes that are next in order up to what is held; the first copy of what is held stays."""
        room = half.held.first() - half.offset
        middle = min(start + room, stop)
        duplicate, conflicting = half.held.add(
            half.offset + room, length - room, bytes(self.packet.data[middle:stop]), Moment(self.packet, half)
        )
        half.duplicate_bytes += duplicate
        half.conflicting_bytes += conflicting
        half.retransmissions += duplicate > 0 and not self.in_hand.continues
        self._take(half, start, middle, room)
        self._release(half, False)

    def _take(self, half: Half, start: cython.Py_ssize_t, stop: cython.Py_ssize_t, length: cython.longlong) -> None:
        """Hand on bytes that are next in order: captured from start to stop, `length` on the wire."""
        half.next = advance(half.next, length)
        if stop > start:
            self._hand(half, start, stop)
        if length > stop - start:
            half.cut_bytes += length - (stop - start)
            self._hand_gap(half, length - (stop - start), True)

    def _hand(self, half: Half, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        take: cython.longlong = stop - start
        if half.finished:
            half.after_end_bytes += take
            half.offset += take
            return
        if half.skip:
            if half.skip < take:
                take = half.skip
            half.skip -= take
            half.skipped_bytes += take
            half.offset += take
            start += take
            if start == stop:
                return
        if half.reader is None and not self._begin(half, start, stop):
            half.skipped_bytes += stop - start
            half.offset += stop - start
            return
        reader: Reader = half.reader  # type: ignore[assignment]  # begun just above
        reader.data(start, stop)
        half.offset += stop - start
        if half.reader is None:
            self.unread(half.flow)

    def _begin(self, half: Half, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.bint:
        """See open. A peer that finished before there were readers ends its own now."""
        if not self.open(half, start, stop):
            return False
        reader: Reader | None = half.peer.reader
        if reader is not None and half.peer.finished:
            reader.end(END_FIN)
        return half.reader is not None

    def _hand_gap(self, half: Half, size: cython.longlong, cut: cython.bint) -> None:
        passed: cython.longlong = min(half.skip, size)
        half.skip -= passed
        half.offset += passed
        if size > passed:
            reader: Reader | None = half.reader
            if reader is not None:
                reader.gap(size - passed, cut)
            half.offset += size - passed

    def _hold(self, half: Half, ahead: cython.longlong, length: cython.longlong) -> None:
        """Keep the payload in hand, which stands beyond a hole."""
        segment = self.in_hand
        data = bytes(self.packet.data[segment.start : segment.stop])
        if half.held is None:
            half.held = Assembler()
            half.flow.holes += 1
            half.hole_packet = 0
        duplicate, conflicting = half.held.add(half.offset + ahead, length, data, Moment(self.packet, half))
        half.duplicate_bytes += duplicate
        half.conflicting_bytes += conflicting
        half.retransmissions += duplicate > 0 and not self.in_hand.continues
        self._weigh_held(half)
        if half.held.cost() > self.held_limit:
            self._lose(half)

    def _weigh_held(self, half: Half) -> None:
        """Account for what is held of a half, after it changed."""
        self.room.weigh(half, half.held.cost() if half.held else 0, self.give_way)

    def drop_held(self, half: Half) -> None:
        """Forget what is held of a half: nobody reads it."""
        if half.held is not None:
            half.held = None
            half.flow.holes -= 1
            self._weigh_held(half)

    def give_way(self, half: Half) -> None:
        """Give up a hole, of whichever flow: too much is kept in all."""
        self._lose(half)
        self.check_fin(half.flow, half)

    def _release(self, half: Half, lost: cython.bint) -> None:
        """Hand on what was held and is in order now; lost: because the hole was given up, so at its own time."""
        while half.held and half.held.first() <= half.offset:
            self._release_piece(half, lost)
        self._fill_hole(half)

    def _release_piece(self, half: Half, lost: cython.bint) -> None:
        """Hand on the first of what was held, which is in order now."""
        held: Assembler = half.held
        moment: Moment = held.tag()
        offset, length, data = held.pop()
        before = half.offset - offset
        if before >= length:
            half.duplicate_bytes += len(data)
            return
        again = min(before, len(data))
        half.duplicate_bytes += again
        current, now = self.packet.data, Moment(self.packet, half)
        self.packet.data = data
        moment.recall(self.packet, half, lost)
        try:
            self._take(half, again, len(data), length - before)
        finally:
            self.packet.data = current
            now.recall(self.packet, half, True)

    def _fill_hole(self, half: Half) -> None:
        """What stood behind a hole was handed on; another one may be there."""
        half.hole_packet = 0
        if not half.held:
            half.held = None
            half.flow.holes -= 1
        self._weigh_held(half)

    def _lose(self, half: Half) -> None:
        """Give the hole up: its bytes never come."""
        self._pass_hole(half)
        self._release(half, True)

    def _pass_hole(self, half: Half) -> None:
        """Go on behind a hole, whose bytes never come."""
        size = half.held.first() - half.offset
        half.lost_bytes += size
        half.next = advance(half.next, size)
        now = Moment(self.packet, half)
        half.held.tag().recall(self.packet, half, True)
        self._hand_gap(half, size, False)
        now.recall(self.packet, half, True)

    def watch_hole(self, flow: Flow, half: Half) -> None:
        """A hole that the peer acknowledged is lost after some more packets or some time (limits)."""
        peer = half.peer
        end = advance(half.next, half.held.first() - half.offset)
        if not peer.acknowledges or difference(peer.acknowledgment, end) < 0:
            return
        if half.hole_packet == 0:
            half.hole_packet, half.hole_time = flow.packets, self.packet.time
            return
        late = self.packet.time != NO_TIME and half.hole_time != NO_TIME
        if flow.packets - half.hole_packet > self.lost_after_packets or (
            late and self.packet.time - half.hole_time > self.lost_after_time
        ):
            self._lose(half)
            self.check_fin(flow, half)

    def control(self, flow: Flow, half: Half) -> cython.bint:
        """SYN, FIN and RST of the segment in hand, with its payload."""
        segment: Segment = self.in_hand
        flags: cython.int = segment.flags
        if flags & SYN:
            if not half.known:
                self.synchronise(half, segment.sequence)
            elif not half.syn and difference(advance(segment.sequence, 1 + half.offset), half.next) == 0:
                half.syn, half.initial = True, segment.sequence
            if flags & ACK == 0 and flow.opener is None:
                flow.opener = half
        if flags & FIN and half.fin_offset == MISSING:
            self.take_fin(half, advance(segment.sequence, segment.length + (flags & SYN > 0)), self.packet.time)
        if segment.length > 0 and flags & RST == 0:  # the data of an RST is a message to people (RFC 9293 3.10.7)
            self.payload(half)
        if half.fin_offset >= 0:
            self.check_fin(flow, half)
        if flags & RST:
            self._reset_by(flow, half)
        return True

    def take_fin(self, half: Half, sequence: cython.uint, time: cython.longlong) -> None:
        """Its FIN has this sequence number."""
        if not half.known:
            start_at(half, sequence)
        half.fin_time = time
        half.fin_offset = half.offset + difference(sequence, half.next)

    def shut(self, half: Half) -> None:
        """The segment in hand advertises no window: its sender reads no further (RFC 9293 3.8.6)."""
        if half.shut_packet == 0 and self.in_hand.flags & (SYN | RST) == 0:
            half.shut_packet = self.packet.number
            half.shut_since = self.packet.time

    def _again(self, half: Half) -> None:
        """The segment in hand was sent before: how often in a row, and since when."""
        if half.again_count == 0 or half.again_sequence != self.in_hand.sequence:
            half.again_sequence = self.in_hand.sequence
            half.again_count = 0
            half.again_first = self.packet.time
        half.again_count += 1
        half.again_time = self.packet.time
        half.again_packet = self.packet.number

    def probe(self, half: Half) -> None:
        """Perhaps a probe: the number below the next, nothing new (RFC 9293 3.8.4, 3.8.6.1)."""
        if not half.known or difference(self.in_hand.sequence, half.next) != -1:
            return
        if half.probes_after != half.peer.packets:
            half.probes_after = half.peer.packets
            half.probes = 0
            half.probe_first = self.packet.time
        half.probes += 1
        half.probe_time = self.packet.time
        half.probe_packet = self.packet.number

    def check_fin(self, flow: Flow, half: Half) -> None:
        """Tell the reader when everything before the FIN has come."""
        if half.fin_offset == MISSING or half.offset < half.fin_offset or half.finished:
            return
        half.finished = True
        if flow.end_how == END_CAPTURE:
            flow.end_how, flow.end_by = END_FIN, half
        reader: Reader | None = half.reader
        if reader is not None:
            reader.end(END_FIN)
        if half.peer.finished:
            self.end(flow, max(half.fin_time, half.peer.fin_time))
            flow.low.reader = flow.high.reader = None  # nothing is read after both FINs, and the flow stays a while

    def _reset_by(self, flow: Flow, half: Half) -> None:
        if not half.was_reset:
            half.was_reset = True
            half.reset_time = self.packet.time
            half.reset_time_to_live = self.in_hand.time_to_live
            half.reset_packet = self.packet.number
            if half.acknowledges and half.peer.known:
                half.reset_silent = difference(half.peer.next, half.acknowledgment)
            half.silent, half.silent_sequence = True, self.in_hand.sequence
        if flow.end_how == END_CAPTURE:
            flow.end_how, flow.end_by = END_RST, half
        reader: Reader | None = half.reader
        if reader is not None and not half.finished:
            reader.end(END_RST)
        self.end(flow, self.packet.time)

    def settle(self, flow: Flow) -> None:
        """What is still missing never comes. What stands behind holes is read in the order in which it came, as one
        direction may tell what the other one is; then the ends, that of the side whose FIN came first before."""
        low: Half = flow.low
        high: Half = flow.high
        half: Half
        while low.held or high.held:
            half = low if not high.held or (low.held and low.held.tag().before(high.held.tag())) else high
            if half.held.first() > half.offset:
                self._pass_hole(half)
            self._release_piece(half, True)
            self._fill_hole(half)
        if high.fin_time != NO_TIME and high.fin_time < low.fin_time:
            low, high = high, low
        for half in (low, high):
            self._lose_tail(half)
            self.check_fin(flow, half)

    def _lose_tail(self, half: Half) -> None:
        """Bytes after the last captured one are lost: those that the peer acknowledged, or that stand before the FIN,
        or before a segment without payload."""
        peer: Half = half.peer
        size: cython.longlong
        beyond: cython.longlong
        if half.fin_offset != MISSING:
            size = half.fin_offset - half.offset
        elif half.known:
            size = difference(peer.acknowledgment, half.next) if peer.acknowledges else 0
            beyond = difference(half.silent_sequence, half.next) if half.silent else 0
            if size < beyond <= OUTSIDE:
                size = beyond
            size = 0 if size == 1 else size  # a FIN that was not captured has a number of its own
        else:
            return
        if size > 0:
            half.lost_bytes += size
            half.next = advance(half.next, size)
            self._hand_gap(half, size, False)

    def begins_anew(self, flow: Flow, half: Half) -> cython.bint:
        """Whether the segment in hand belongs to a new connection of the same four-tuple."""
        segment = self.in_hand
        if segment.flags & SYN and not segment.flags & ACK:
            if half.syn:
                return half.initial != segment.sequence
            if not half.known:
                return flow.ended
            return difference(advance(segment.sequence, 1 + half.offset), half.next) != 0
        if not flow.ended or segment.length == 0 or not half.known:
            return False
        away: cython.longlong = difference(segment.sequence, half.next)
        return away > OUTSIDE or away < -OUTSIDE


def start_at(half: Half, sequence: cython.uint) -> None:
    """Its stream begins with this sequence number."""
    if half.fin_offset != MISSING:  # that came first
        half.fin_offset += difference(half.next, sequence)
    half.known = True
    half.next = half.origin = sequence
