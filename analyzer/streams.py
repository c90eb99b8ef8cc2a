"""Puts the TCP segments of every connection in order (RFC 9293) and hands their bytes on as they arrive.

A flow without payload is a few numbers in arrays; one whose first bytes may lead to a WebSocket becomes a records.Flow,
any other is only known as ignored. The first copy of a byte wins; a hole waits until it is filled or counts as lost.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from analyzer import limits
from analyzer.assembler import Assembler
from analyzer.flow_table import FlowTable, grown
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

if TYPE_CHECKING:
    import cython

FIN, SYN, RST, ACK = 1, 2, 4, 16
FREE, LIGHT, LIVE, IGNORED = 0, 1, 2, 3
WRAP, HALF_WRAP = 1 << 32, 1 << 31
LOW_32 = (1 << 32) - 1
PAUSE = 1_000_000_000
OUTSIDE = 1 << 24  # sequence numbers this far from an ended connection's are another's: more than windows in use


def difference(one: cython.uint, other: cython.uint) -> cython.longlong:
    """one - other in sequence space, from -2^31 to 2^31 - 1 (RFC 9293 3.4)."""
    result: cython.longlong = one
    result -= other
    if result >= HALF_WRAP:
        result -= WRAP
    elif result < -HALF_WRAP:
        result += WRAP
    return result


def advance(sequence: cython.uint, by: cython.longlong) -> cython.uint:
    """sequence + by, modulo 2^32."""
    result: cython.longlong = sequence
    result = (result + by) % WRAP
    return result


class Streams(SegmentReader):
    """Takes every TCP segment; hands payloads in order to the readers that `openings` puts in place.

    openings.begin(flow, low, high, start, stop) looks at a flow's first bytes and says whether they may lead to a
    WebSocket; finished(flow) is called once for every flow on which a connection was recognised, when nothing more
    comes of it.
    """

    def __init__(
        self, packet: Packet, segment: Segment, openings: Any, finished: Callable[[Flow], None], seed: int
    ) -> None:
        self.packet = packet
        self.in_hand = segment
        self.openings = openings
        self.finished = finished
        self.table = FlowTable(seed)
        self.live: list[Flow | None] = []
        self.lingering: deque[tuple[int, Flow]] = deque()
        self.states = self.seen = array("B")
        self.low_initial = self.high_initial = self.packets = array("I")
        self.start = self.first_packet = array("q")
        self.first_file = array("i")
        self.lost_after_packets = limits.LOST_AFTER_PACKETS
        self.lost_after_time = limits.LOST_AFTER_SECONDS * 1_000_000_000
        self.linger = limits.LINGER_SECONDS * 1_000_000_000
        self.held_limit = limits.HELD_SEGMENTS_BYTES
        self.held_in_all_limit = limits.HELD_IN_ALL_BYTES
        self.held_in_all = 0
        self.holes: dict[Half, int] = {}  # what is held beyond each, those that have stood longest first
        self.websocket_packets = 0
        self.other_packets = 0
        self._make_room()

    def _make_room(self) -> None:
        size: cython.Py_ssize_t = self.table.capacity
        self.states = grown(self.states, "B", size)
        self.seen = grown(self.seen, "B", size)
        self.low_initial = grown(self.low_initial, "I", size)
        self.high_initial = grown(self.high_initial, "I", size)
        self.packets = grown(self.packets, "I", size)
        self.start = grown(self.start, "q", size)
        self.first_packet = grown(self.first_packet, "q", size)
        self.first_file = grown(self.first_file, "i", size)
        self.live.extend([None] * (size - len(self.live)))

    def segment(self) -> None:
        segment: Segment = self.in_hand
        table: FlowTable = self.table
        rest: cython.ulonglong
        forward: cython.bint
        index: cython.Py_ssize_t
        state: cython.int
        if segment.source_high != segment.destination_high:
            forward = segment.source_high < segment.destination_high
        elif segment.source_low != segment.destination_low:
            forward = segment.source_low < segment.destination_low
        else:
            forward = segment.source_port <= segment.destination_port
        rest = segment.version * 65536 + self.packet.point
        if forward:
            table.low_high = segment.source_high
            table.low_low = segment.source_low
            table.high_high = segment.destination_high
            table.high_low = segment.destination_low
            rest = (rest << 32) | (segment.source_port << 16) | segment.destination_port
        else:
            table.low_high = segment.destination_high
            table.low_low = segment.destination_low
            table.high_high = segment.source_high
            table.high_low = segment.source_low
            rest = (rest << 32) | (segment.destination_port << 16) | segment.source_port
        table.rest = rest
        index = table.find()
        if index < 0:
            if segment.length == 0 and segment.flags & SYN == 0:
                self.other_packets += 1  # the end of something that was ignored, or the middle of a silence
                return
            index = self._new()
        state = self.states[index]
        if state == LIVE:
            self._live(index, forward)
        elif state == LIGHT:
            self._light(index, forward)
        else:
            self._ignored(index, forward)

    def _new(self) -> cython.Py_ssize_t:
        """A number for the key in hand."""
        index: cython.Py_ssize_t = self.table.add()
        if index >= len(self.states):
            self._make_room()
        self._reset(index)
        return index

    def _reset(self, index: cython.Py_ssize_t) -> None:
        """Begin a flow anew at the packet in hand."""
        self.states[index] = LIGHT
        self.seen[index] = 0
        self.packets[index] = 0
        self.start[index] = self.packet.time
        self.first_packet[index] = self.packet.number
        self.first_file[index] = self.packet.file
        self.live[index] = None

    def _forget(self, index: cython.Py_ssize_t) -> None:
        self.states[index] = FREE
        self.live[index] = None
        self.table.remove(index)

    def _light(self, index: cython.Py_ssize_t, forward: cython.bint) -> None:
        """A segment of a flow that has had no payload.

        seen: bits 0 and 1 SYN of low and high, 2 and 3 who opened it, 4 and 5 FIN.
        """
        segment: Segment = self.in_hand
        bit: cython.int = 1 if forward else 2
        if segment.flags & SYN:
            initial: cython.uint = self.low_initial[index] if forward else self.high_initial[index]
            if self.seen[index] & bit and initial != segment.sequence:
                self.other_packets += self.packets[index]
                self._reset(index)
            self.seen[index] |= bit
            if segment.flags & ACK == 0:
                self.seen[index] |= 4 * bit
            if forward:
                self.low_initial[index] = segment.sequence
            else:
                self.high_initial[index] = segment.sequence
        if segment.length > 0:
            self._promote(index)
            self._live(index, forward)
            return
        self.packets[index] += 1
        if segment.flags & FIN:
            self.seen[index] |= 16 * bit
        if segment.flags & RST or self.seen[index] & 48 == 48:
            self.other_packets += self.packets[index]
            self._forget(index)

    def _promote(self, index: cython.Py_ssize_t) -> Flow:
        """Make a record of a flow that has payload."""
        table: FlowTable = self.table
        flow: Flow = Flow()
        seen: cython.int = self.seen[index]
        ports: cython.ulonglong = table.rest & LOW_32
        flow.version = self.in_hand.version
        flow.point = self.packet.point
        flow.low_high, flow.low_low = table.low_high, table.low_low
        flow.high_high, flow.high_low = table.high_high, table.high_low
        flow.low_port, flow.high_port = ports >> 16, ports & 65535
        flow.packets = self.packets[index]
        flow.start, flow.first_packet = self.start[index], self.first_packet[index]
        flow.first_file = self.first_file[index]
        flow.index = index
        if seen & 1:
            _synchronise(flow.low, self.low_initial[index])
        if seen & 2:
            _synchronise(flow.high, self.high_initial[index])
        if seen & 4:
            flow.opener = flow.low
        elif seen & 8:
            flow.opener = flow.high
        self.states[index] = LIVE
        self.live[index] = flow
        return flow

    def _ignored(self, index: cython.Py_ssize_t, forward: cython.bint) -> None:
        """A segment of a flow that is no WebSocket. seen: bit 4 and 5 FIN of low and high."""
        segment: Segment = self.in_hand
        flags: cython.int = segment.flags
        if flags & (SYN | FIN | RST) == 0:
            self.other_packets += 1
            return
        if flags & SYN and flags & ACK == 0:
            initial: cython.uint = self.low_initial[index] if forward else self.high_initial[index]
            if self.seen[index] & (1 if forward else 2) == 0 or initial != segment.sequence:
                self._reset(index)
                self._light(index, forward)
                return
        self.other_packets += 1
        if flags & FIN:
            self.seen[index] |= 16 if forward else 32
        if flags & RST or self.seen[index] & 48 == 48:
            self._forget(index)

    def _ignore(self, flow: Flow) -> None:
        """Nothing can come of this flow: keep only that it is ignored."""
        index: cython.Py_ssize_t = flow.index
        self.other_packets += flow.packets
        self.live[index] = None
        flow.index = -1
        self.states[index] = IGNORED
        self.seen[index] &= 15
        if flow.low.fin_time != NO_TIME:
            self.seen[index] |= 16
        if flow.high.fin_time != NO_TIME:
            self.seen[index] |= 32

    def _live(self, index: cython.Py_ssize_t, forward: cython.bint) -> None:
        segment: Segment = self.in_hand
        packet: Packet = self.packet
        flow: Flow = self.live[index]
        half: Half = flow.low if forward else flow.high
        flags: cython.int = segment.flags
        if (flow.ended or flags & SYN) and self._begins_anew(flow, half):
            self._finish(flow)
            self._reset(index)
            self._light(index, forward)
            return
        flow.packets += 1
        if flow.last_time != NO_TIME and packet.time != NO_TIME and packet.time - flow.last_time > PAUSE:
            self._pause(flow)
        half.last_time = packet.time
        flow.last_time = packet.time
        flow.last_packet = packet.number
        flow.last_file = packet.file
        half.packets += 1
        if half.time_to_live < 0 and flags & RST == 0:
            half.time_to_live = segment.time_to_live
        if flags & ACK and (
            not half.peer.known or difference(segment.acknowledgment, half.peer.next) <= OUTSIDE
        ):  # an acknowledgment of what can't have been sent is a forgery or damage
            if not half.acknowledges:
                half.acknowledges = True
                half.acknowledgment = segment.acknowledgment
                if not half.peer.known:  # what it has not acknowledged yet comes next
                    _start_at(half.peer, segment.acknowledgment)
            elif difference(segment.acknowledgment, half.acknowledgment) > 0:
                half.acknowledgment = segment.acknowledgment
        if flags & (SYN | FIN | RST):
            self._control(flow, half)
        elif segment.length > 0:
            self._payload(half)
            if half.fin_offset >= 0:
                self._check_fin(flow, half)
        elif segment.sequence != half.next:
            self._probe(half)
            half.silent = True
            half.silent_sequence = segment.sequence
        if segment.window == 0:
            self._shut(half)
        elif half.shut_packet and flags & RST == 0:
            half.shut_since = NO_TIME
            half.shut_packet = 0
        if flow.low.held is not None:
            self._watch_hole(flow, flow.low)
        if flow.high.held is not None:
            self._watch_hole(flow, flow.high)

    def _begins_anew(self, flow: Flow, half: Half) -> cython.bint:
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

    def _payload(self, half: Half) -> None:
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
            _start_at(half, sequence)
        half.captured_bytes += stop - start
        ahead = difference(sequence, half.next)
        if ahead > 0:
            self._hold(half, ahead, length)
            return
        if ahead < 0:
            if length > 1 or ahead < -1:  # one byte below the next is a keep-alive probe (RFC 9293 3.8.4)
                half.retransmissions += 1
                self._again(half)
            else:
                self._probe(half)
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
        half.retransmissions += duplicate > 0
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
        if half.reader is None and not self._open(half, start, stop):
            half.skipped_bytes += stop - start
            half.offset += stop - start
            return
        reader: Reader = half.reader  # type: ignore[assignment]  # opened just above
        reader.data(start, stop)
        half.offset += stop - start
        if half.reader is None and half.flow.connections is None and half.flow.index >= 0:
            self._ignore(half.flow)

    def _open(self, half: Half, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.bint:
        """Have the first bytes of a flow looked at; say whether there is now a reader for them."""
        flow = half.flow
        if flow.index < 0 and flow.begun:
            return False
        if not flow.begun:
            flow.begun = True
            if not self.openings.begin(flow, flow.low, flow.high, start, stop) and flow.index >= 0:
                self._ignore(flow)
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
            half.hole_packet = 0
        duplicate, conflicting = half.held.add(half.offset + ahead, length, data, Moment(self.packet, half))
        half.duplicate_bytes += duplicate
        half.conflicting_bytes += conflicting
        half.retransmissions += duplicate > 0
        self._weigh_held(half)
        if half.held.cost() > self.held_limit:
            self._lose(half)
        while self.held_in_all > self.held_in_all_limit:
            self._lose_longest()

    def _weigh_held(self, half: Half) -> None:
        """Account for what is held of a half, after it changed."""
        cost = half.held.cost() if half.held else 0
        self.held_in_all += cost - self.holes.get(half, 0)
        if cost:
            self.holes[half] = cost
        else:
            self.holes.pop(half, None)

    def _lose_longest(self) -> None:
        """Give up the hole that has stood longest, of whichever flow: too much is held in all."""
        half = next(iter(self.holes))
        table = self.table
        kept = table.low_high, table.low_low, table.high_high, table.high_low, table.rest
        table.take_key(half.flow.index)
        self._lose(half)
        self._check_fin(half.flow, half)
        table.low_high, table.low_low, table.high_high, table.high_low, table.rest = kept

    def _release(self, half: Half, lost: cython.bint) -> None:
        """Hand on what was held and is in order now; lost: because the hole was given up, so at its own time."""
        held = half.held
        while held and held.first() <= half.offset:
            moment = held.tag()
            offset, length, data = held.pop()
            before = half.offset - offset
            if before >= length:
                half.duplicate_bytes += len(data)
                continue
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
        half.hole_packet = 0
        if not held:
            half.held = None
        self._weigh_held(half)

    def _lose(self, half: Half) -> None:
        """Give the hole up: its bytes never come."""
        size = half.held.first() - half.offset
        half.lost_bytes += size
        half.next = advance(half.next, size)
        now = Moment(self.packet, half)
        half.held.tag().recall(self.packet, half, True)
        self._hand_gap(half, size, False)
        now.recall(self.packet, half, True)
        self._release(half, True)

    def _watch_hole(self, flow: Flow, half: Half) -> None:
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
            self._check_fin(flow, half)

    def _control(self, flow: Flow, half: Half) -> cython.bint:
        """SYN, FIN and RST of the segment in hand, with its payload."""
        segment: Segment = self.in_hand
        flags: cython.int = segment.flags
        if flags & SYN:
            if not half.known:
                _synchronise(half, segment.sequence)
            elif not half.syn and difference(advance(segment.sequence, 1 + half.offset), half.next) == 0:
                half.syn, half.initial = True, segment.sequence
            if flags & ACK == 0 and flow.opener is None:
                flow.opener = half
        if flags & FIN and half.fin_offset == MISSING:
            if not half.known:
                _start_at(half, segment.sequence)
            half.fin_time = self.packet.time
            half.fin_offset = half.offset + difference(segment.sequence, half.next) + segment.length
            half.fin_offset += 1 if flags & SYN else 0
        if segment.length > 0 and flags & RST == 0:  # the data of an RST is a message to people (RFC 9293 3.10.7)
            self._payload(half)
        if half.fin_offset >= 0:
            self._check_fin(flow, half)
        if flags & RST:
            self._reset_by(flow, half)
        return True

    def _pause(self, flow: Flow) -> None:
        """The packet in hand ends a silence of a second or more."""
        flow.survived = max(flow.survived, flow.silence)
        flow.silence = self.packet.time - flow.last_time
        flow.silence_end = self.packet.time

    def _shut(self, half: Half) -> None:
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

    def _probe(self, half: Half) -> None:
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

    def _check_fin(self, flow: Flow, half: Half) -> None:
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
            self._end(flow, max(half.fin_time, half.peer.fin_time))
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
        self._end(flow, self.packet.time)

    def _end(self, flow: Flow, time: cython.longlong) -> None:
        """Both FINs or an RST: the connection is over, late packets aside."""
        if flow.ended:
            return
        flow.ended = True
        flow.end_time = time
        if flow.index < 0:  # its record is being ended, or it is ignored
            return
        if flow.connections is None:
            index = flow.index
            self._ignore(flow)
            self._forget(index)
            return
        self.lingering.append((self.packet.time, flow))
        while self.lingering and self.packet.time != NO_TIME:
            time, oldest = self.lingering[0]
            if oldest.index >= 0 and self.packet.time - time <= self.linger:
                break
            self.lingering.popleft()
            if oldest.index >= 0:
                self._forget_ended(oldest)

    def _forget_ended(self, flow: Flow) -> None:
        table: FlowTable = self.table
        kept = table.low_high, table.low_low, table.high_high, table.high_low, table.rest
        index: cython.Py_ssize_t = flow.index
        self._finish(flow)
        table.take_key(index)
        self._forget(index)
        table.low_high, table.low_low, table.high_high, table.high_low, table.rest = kept

    def _finish(self, flow: Flow) -> None:
        """Nothing more comes: holes are lost, readers are told, the flow is handed over."""
        flow.index = -1
        flow.watched_until = self.packet.time
        packet: Packet = self.packet
        low: Half = flow.low
        high: Half = flow.high
        in_hand = packet.time, packet.number, packet.file
        packet.time, packet.number, packet.file = flow.last_time, flow.last_packet, flow.last_file
        self._settle(flow, low)
        self._settle(flow, high)
        _cut_short(low)
        _cut_short(high)
        packet.time, packet.number, packet.file = in_hand
        if flow.connections is None:
            self.other_packets += flow.packets
            return
        self.websocket_packets += flow.packets
        flow.complete = flow.ended and _is_whole(low) and _is_whole(high)
        self.finished(flow)

    def _settle(self, flow: Flow, half: Half) -> None:
        """What is still missing of a direction never comes."""
        while half.held:
            self._lose(half)
        self._lose_tail(half)
        self._check_fin(flow, half)

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

    def finish(self) -> None:
        """The capture is over: finish every flow, in the order of their numbers' first packets."""
        for flow in [flow for flow in self.live if flow is not None and flow.index >= 0]:
            self._finish(flow)
        for index in range(self.table.used):
            if self.states[index] == LIGHT:
                self.other_packets += self.packets[index]


def _cut_short(half: Half) -> None:
    """Tell the reader of a direction without a FIN that nothing more comes."""
    reader: Reader | None = half.reader
    if reader is not None and not half.finished:
        reader.end(END_CAPTURE)


def _is_whole(half: Half) -> cython.bint:
    """The direction was captured from its SYN, with no byte missing."""
    return half.syn and half.lost_bytes == 0 and half.cut_bytes == 0


def _synchronise(half: Half, initial: cython.uint) -> None:
    """Set a half by its SYN."""
    half.syn = True
    half.initial = initial
    _start_at(half, advance(initial, 1))


def _start_at(half: Half, sequence: cython.uint) -> None:
    """Its stream begins with this sequence number."""
    half.known = True
    half.next = half.origin = sequence
