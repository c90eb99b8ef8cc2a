"""Tells TCP connections apart and follows each from its first segment to its last (RFC 9293).

A flow without payload is a few numbers in arrays; one whose first bytes may lead to a WebSocket becomes a records.Flow,
any other is only known as ignored.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from analyzer import limits
from analyzer.flow_table import FlowTable, grown
from analyzer.reassembly import Reassembly
from analyzer.records import END_CAPTURE, NO_TIME, Flow, Half, Packet, Reader, Segment
from analyzer.room import Room

if TYPE_CHECKING:
    import cython

FIN, SYN, RST, ACK = 1, 2, 4, 16
FREE, LIGHT, LIVE, IGNORED = 0, 1, 2, 3
TOUCHED = 64
LOW_32 = (1 << 32) - 1
PAUSE = 1_000_000_000


class Streams(Reassembly):
    """Takes every TCP segment; hands payloads in order to the readers that `openings` puts in place.

    openings.begin(flow, low, high, start, stop) looks at a flow's first bytes and says whether they may lead to a
    WebSocket; finished(flow) is called once for every flow on which a connection was recognised, when nothing more
    comes of it.
    """

    def __init__(
        self, packet: Packet, segment: Segment, openings: Any, finished: Callable[[Flow], None], seed: int, room: Room
    ) -> None:
        Reassembly.__init__(self, packet, segment, room)
        self.openings = openings
        self.finished = finished
        self.table = FlowTable(seed)
        self.live: list[Half | None] = []  # low and high of each flow, side by side
        self.lingering: deque[Flow] = deque()
        self.states = self.seen = array("B")
        self.low_initial = self.high_initial = self.packets = self.fin_sequence = array("I")
        self.start = self.first_packet = self.fin_time = array("q")
        self.first_file = array("i")
        self.linger = limits.LINGER_SECONDS * 1_000_000_000
        self.silent_limit = limits.SILENT_FLOWS
        self.silent = self.hand = self.forgotten = 0  # LIGHT and IGNORED flows; the last one looked at; forgotten ones
        self.refused: dict[tuple[int, ...], list[int]] = {}  # by point, version, server (address, port), client
        self.refused_left_out = 0
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
        self.fin_sequence = grown(self.fin_sequence, "I", size)
        self.fin_time = grown(self.fin_time, "q", size)
        self.first_file = grown(self.first_file, "i", size)
        self.live.extend([None] * (2 * size - len(self.live)))

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
        if self.silent >= self.silent_limit:
            self._forget_silent()
        index: cython.Py_ssize_t = self.table.add()
        if index >= len(self.states):
            self._make_room()
        self._reset(index)
        return index

    def _reset(self, index: cython.Py_ssize_t) -> None:
        """Begin a flow anew at the packet in hand."""
        if self.states[index] == FREE or self.states[index] == LIVE:
            self.silent += 1
        self.states[index] = LIGHT
        self.seen[index] = 0
        self.packets[index] = 0
        self.start[index] = self.packet.time
        self.first_packet[index] = self.packet.number
        self.first_file[index] = self.packet.file
        self._remember(index, None, None)

    def _remember(self, index: cython.Py_ssize_t, low: Half | None, high: Half | None) -> None:
        self.live[2 * index] = low
        self.live[2 * index + 1] = high

    def _forget_silent(self) -> None:
        """Forget the first flow, no LIVE one, of which nothing came since the hand passed it last."""
        table: FlowTable = self.table
        while True:
            self.hand = self.hand + 1 if self.hand + 1 < table.used else 0
            if self.states[self.hand] == LIGHT or self.states[self.hand] == IGNORED:
                if self.seen[self.hand] & TOUCHED == 0:
                    break
                self.seen[self.hand] &= TOUCHED - 1
        if self.states[self.hand] == LIGHT:
            self.other_packets += self.packets[self.hand]
        self._forget(self.hand)
        self.forgotten += 1

    def _forget(self, index: cython.Py_ssize_t) -> None:
        if self.states[index] != LIVE:
            self.silent -= 1
        self.states[index] = FREE
        self._remember(index, None, None)
        self.table.remove(index)

    def _light(self, index: cython.Py_ssize_t, forward: cython.bint) -> None:
        """A segment of a flow that has had no payload.

        seen: bits 0 and 1 SYN of low and high, 2 and 3 who opened it, 4 and 5 FIN, 6 TOUCHED.
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
        self.seen[index] |= TOUCHED
        self.packets[index] += 1
        if segment.flags & FIN and self.seen[index] & 16 * bit == 0:
            self.seen[index] |= 16 * bit
            self.fin_sequence[index] = segment.sequence
            self.fin_time[index] = self.packet.time
        if segment.flags & RST and self.seen[index] & 15 == 5 * (3 - bit):
            self._refuse(self.high_initial[index] if forward else self.low_initial[index])
        if segment.flags & RST or self.seen[index] & 48 == 48:
            self.other_packets += self.packets[index]
            self._forget(index)

    def _refuse(self, initial: cython.uint) -> None:
        """The RST in hand comes from where only a SYN has gone, with this sequence number: it may refuse that (RFC 9293
        3.10.7.1)."""
        segment: Segment = self.in_hand
        packet: Packet = self.packet
        if segment.acknowledgment != (initial + 1) & LOW_32 or packet.time == NO_TIME:
            return
        server = segment.source_high, segment.source_low, segment.source_port
        client = segment.destination_high, segment.destination_low
        key = (packet.point, segment.version, *server, *client)
        times = self.refused.get(key)
        if times is None and len(self.refused) < limits.REFUSED:
            times = self.refused[key] = []
        if times is None or len(times) >= limits.REFUSALS:
            self.refused_left_out += 1
        else:
            times.append(packet.time)

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
            self.synchronise(flow.low, self.low_initial[index])
        if seen & 2:
            self.synchronise(flow.high, self.high_initial[index])
        if seen & 4:
            flow.opener = flow.low
        elif seen & 8:
            flow.opener = flow.high
        if seen & 48:  # of one side: both would have ended it
            finished: Half = flow.low if seen & 16 else flow.high
            self.take_fin(finished, self.fin_sequence[index], self.fin_time[index])
            self.check_fin(flow, finished)
        self.states[index] = LIVE
        self.silent -= 1
        self._remember(index, flow.low, flow.high)
        return flow

    def _ignored(self, index: cython.Py_ssize_t, forward: cython.bint) -> None:
        """A segment of a flow that is no WebSocket. seen: bit 4 and 5 FIN of low and high."""
        segment: Segment = self.in_hand
        flags: cython.int = segment.flags
        self.seen[index] |= TOUCHED
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
        self._remember(index, None, None)
        flow.index = -1
        self._drop(flow)
        self.states[index] = IGNORED
        self.silent += 1
        self.seen[index] &= 15
        if flow.low.fin_time != NO_TIME:
            self.seen[index] |= 16
        if flow.high.fin_time != NO_TIME:
            self.seen[index] |= 32

    def _drop(self, flow: Flow) -> None:
        """Let go of everything that is kept of a flow on which no connection was recognised."""
        half: Half
        for half in (flow.low, flow.high):
            half.reader = None
            self.drop_held(half)
        if flow.opening is not None:
            flow.opening.part()
            flow.opening = None

    def _live(self, index: cython.Py_ssize_t, forward: cython.bint) -> None:
        """A segment of a flow that may carry a WebSocket."""
        segment: Segment = self.in_hand
        packet: Packet = self.packet
        half: Half = self.live[2 * index] if forward else self.live[2 * index + 1]
        flow: Flow = half.flow
        flags: cython.int = segment.flags
        if (flow.ended or flags & SYN) and self.begins_anew(flow, half):
            self._finish(flow)
            self._reset(index)
            self._light(index, forward)
            return
        flow.packets += 1
        if flow.last_time != NO_TIME and packet.time != NO_TIME and packet.time - flow.last_time > PAUSE:
            self._pause(flow)
        flow.last_time = packet.time
        flow.last_packet = packet.number
        flow.last_file = packet.file
        half.last_time = packet.time
        half.packets += 1
        if half.time_to_live < 0 and flags & RST == 0:
            half.time_to_live = segment.time_to_live
        if flags & ACK and not (half.acknowledges and segment.acknowledgment == half.acknowledgment):
            self.acknowledge(half)
        if flags & (SYN | FIN | RST):
            self.control(flow, half)
        elif segment.length > 0:
            self._data(flow, half)
        elif segment.sequence != half.next:
            self.probe(half)
            half.silent = True
            half.silent_sequence = segment.sequence
        if segment.window == 0:
            self.shut(half)
        elif half.shut_packet and flags & RST == 0:
            half.shut_since = NO_TIME
            half.shut_packet = 0
        if flow.holes:
            self._watch_holes(flow)
        if self.room.full:
            self.room.make_way()

    def _data(self, flow: Flow, half: Half) -> None:
        """A segment with payload and without SYN, FIN or RST. Most are next in order, whole, and somebody reads them:
        these need nothing of what reassembly knows."""
        segment: Segment = self.in_hand
        reader: Reader | None = half.reader
        start: cython.Py_ssize_t = segment.start
        stop: cython.Py_ssize_t = segment.stop
        length: cython.longlong = stop - start
        if (
            segment.sequence != half.next
            or reader is None
            or length != segment.length
            or not half.known
            or half.held is not None
            or half.skip > 0
            or half.finished
        ):
            self.payload(half)
        else:
            half.captured_bytes += length
            half.next = (half.next + length) & LOW_32
            reader.data(start, stop)
            half.offset += length
            if half.reader is None:
                self.unread(flow)
        if half.fin_offset >= 0:
            self.check_fin(flow, half)

    def _watch_holes(self, flow: Flow) -> None:
        if flow.low.held is not None:
            self.watch_hole(flow, flow.low)
        if flow.high.held is not None:
            self.watch_hole(flow, flow.high)

    def open(self, half: Half, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.bint:
        flow = half.flow
        if flow.index < 0 and flow.begun:
            return False
        if not flow.begun:
            flow.begun = True
            if not self.openings.begin(flow, flow.low, flow.high, start, stop) and flow.index >= 0:
                self._ignore(flow)
        return half.reader is not None

    def unread(self, flow: Flow) -> None:
        if flow.connections is None and flow.index >= 0:
            self._ignore(flow)

    def _pause(self, flow: Flow) -> None:
        """The packet in hand ends a silence of a second or more."""
        flow.survived = max(flow.survived, flow.silence)
        flow.silence = self.packet.time - flow.last_time
        flow.silence_end = self.packet.time

    def end(self, flow: Flow, time: cython.longlong) -> None:
        if flow.ended:
            return
        flow.ended = True
        flow.end_time = time
        if flow.index < 0:  # its record is being ended, or it is ignored
            return
        if flow.connections is None and flow.tls is not None:  # the last moment to see what it was
            _cut_short(flow.low)
            _cut_short(flow.high)
        if flow.connections is None:
            index = flow.index
            self._finish(flow)  # frames may stand behind a hole
            self._forget(index)
            return
        flow.watched_until = self.packet.time  # as long as nothing more comes
        self.lingering.append(flow)
        while self.lingering and self.packet.time != NO_TIME:
            oldest: Flow = self.lingering[0]
            since: cython.longlong = oldest.watched_until
            if oldest.index >= 0 and since != NO_TIME and self.packet.time - since <= self.linger:
                break
            self.lingering.popleft()
            if oldest.index >= 0:
                self._forget_ended(oldest)

    def _forget_ended(self, flow: Flow) -> None:
        index: cython.Py_ssize_t = flow.index
        self._finish(flow)
        self._forget(index)

    def _finish(self, flow: Flow) -> None:
        """Nothing more comes: holes are lost, readers are told, the flow is handed over."""
        flow.index = -1
        flow.watched_until = self.packet.time
        packet: Packet = self.packet
        low: Half = flow.low
        high: Half = flow.high
        in_hand = packet.time, packet.number, packet.file
        packet.time, packet.number, packet.file = flow.last_time, flow.last_packet, flow.last_file
        self.settle(flow)
        _cut_short(low)
        _cut_short(high)
        packet.time, packet.number, packet.file = in_hand
        if flow.connections is None:
            self.other_packets += flow.packets
            self._drop(flow)
            return
        self.websocket_packets += flow.packets
        flow.complete = flow.ended and _is_whole(low) and _is_whole(high)
        self.finished(flow)

    def finish(self) -> None:
        """The capture is over: finish every flow, in the order of their numbers' first packets."""
        flows = [low.flow for low in self.live[::2] if low is not None]
        flows.reverse()
        self.lingering.clear()
        while flows:  # each is let go before more is kept of the next
            flow = flows.pop()
            if flow.index >= 0:
                self._forget_ended(flow)
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
