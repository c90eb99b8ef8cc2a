"""The records that the stages share: what one stage fills and the next one reads.

They hold facts and no rules. Fields are C fields in the compiled build (records.pxd). Times are integer
nanoseconds since 1970 UTC, NO_TIME where there is none; other missing numbers are MISSING.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cython

NO_TIME = -(1 << 63)  # the bit pattern that numpy and pandas take for NaT
MISSING = -(1 << 63)
WRAP, HALF_WRAP = 1 << 32, 1 << 31  # of sequence numbers (RFC 9293 3.4)
END_CAPTURE, END_FIN, END_RST, END_STREAM, END_STREAM_RESET, END_GOAWAY = range(6)


class Packet:
    """The packet in hand. One object a run, overwritten by the capture stage for every packet.

    data: the buffer; start, stop: the captured bytes of this packet in it; wire_length: bytes it had on the wire;
    number: from 1 within its file; file: index of the file; point: index of the capture point;
    link_type: of its interface (LINKTYPE_ registry of tcpdump.org), without FCS bits.
    A stage that hands on bytes of another buffer (reassembled, decrypted) sets `data` for that call and sets it back.
    """

    def __init__(self) -> None:
        self.data: cython.const[cython.uchar][::1] = b""
        self.start: cython.Py_ssize_t = 0
        self.stop: cython.Py_ssize_t = 0
        self.wire_length: cython.longlong = 0
        self.time: cython.longlong = NO_TIME
        self.number: cython.longlong = 0
        self.file: cython.int = 0
        self.point: cython.int = 0
        self.link_type: cython.int = 0


class Segment:
    """The TCP segment in hand (RFC 9293 3.1), filled by the packet stage. One object a run.

    version: 4 or 6. Addresses are 128-bit numbers in two halves (IPv4: high 0, low the 32 bits).
    flags: the low eight flag bits (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32). start, stop: captured payload in
    Packet.data; length: payload bytes on the wire, more than stop - start where the snapshot length cut it.
    continues: it is the rest of one whose beginning, in the first fragment of its datagram, was handed on before.
    """

    def __init__(self) -> None:
        self.version: cython.int = 0
        self.source_high: cython.ulonglong = 0
        self.source_low: cython.ulonglong = 0
        self.destination_high: cython.ulonglong = 0
        self.destination_low: cython.ulonglong = 0
        self.source_port: cython.int = 0
        self.destination_port: cython.int = 0
        self.sequence: cython.uint = 0
        self.acknowledgment: cython.uint = 0
        self.window: cython.int = 0
        self.flags: cython.int = 0
        self.time_to_live: cython.int = 0
        self.start: cython.Py_ssize_t = 0
        self.stop: cython.Py_ssize_t = 0
        self.length: cython.longlong = 0
        self.continues: cython.bint = False


class PacketReader:
    """Who takes the packets that the capture stage reads."""

    def packet(self) -> None:
        """Take the packet in hand (the shared Packet)."""


class SegmentReader:
    """Who takes the TCP segments that the packet stage decodes."""

    def segment(self) -> None:
        """Take the segment in hand (the shared Segment and Packet)."""


class Reader:
    """Who takes one direction's bytes in order, whatever carried them (TCP, TLS, HTTP/2)."""

    def data(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """Take the bytes Packet.data[start:stop]; they follow what came before."""

    def gap(self, size: cython.longlong, cut: cython.bint) -> None:
        """`size` bytes (MISSING: nobody knows how many, or whether any) that the capture never had; cut: the snapshot
        length cut them, else they were lost."""

    def end(self, how: cython.int) -> None:
        """No more bytes come: END_FIN, END_RST, ..., or END_CAPTURE when the capture or the flow's record ended."""


class Source:
    """One direction of ordered bytes, seen from its reader.

    reader: who takes the bytes now; a reader may put another in its place.
    skip: bytes that the reader wants passed over unread; the source counts them down.
    offset: during Reader.data, the stream offset of the byte at `start` (bytes before it, gaps included).
    finished: its FIN or END_STREAM is in order; was_reset: its sender has sent an RST or RST_STREAM.
    """

    def __init__(self) -> None:
        self.reader: Reader | None = None
        self.skip: cython.longlong = 0
        self.offset: cython.longlong = 0
        self.finished: cython.bint = False
        self.was_reset: cython.bint = False

    def transport_offset(self, offset: cython.longlong) -> cython.longlong:
        """The TCP stream offset of the byte that carried this source's byte at `offset`."""
        return offset


class Half(Source):
    """One direction of a TCP connection: what its sender sent.

    known: `next` is set; syn: its SYN was seen (with `initial`); acknowledges: it has sent an ACK (the furthest in
    `acknowledgment`; the last that was behind that, and its packet: behind, behind_packet, behind_file); reset_time:
    when it sent an RST, if times are known. silent: it sent segments without payload
    that stood elsewhere than the next byte (the last one: silent_sequence).
    next: the sequence number expected; origin: that of stream offset 0; fin_offset: stream offset of its FIN, MISSING
    if none was seen.
    captured_bytes: payload bytes in the capture, of which duplicate_bytes had come before (conflicting_bytes of them
    with another value, where both copies were at hand); skipped_bytes: passed over at the reader's wish;
    after_end_bytes: beyond its own FIN, read by nobody.
    lost_bytes: never captured; cut_bytes: cut off by the snapshot length.
    time_to_live: of its first packet that was no RST, reset_time_to_live: of its first RST, -1 where there is none; two
    that differ tell of an RST that somebody between the hosts sent in its name.
    held: the assembler of what stands beyond a hole, None if nothing does; hole_packet, hole_time: when the peer
    acknowledged past it.
    last_time: of its last packet. reset_packet: number of its first RST, 0 if there is none;
    reset_silent: what the peer had sent when it came, not acknowledged by it. shut_since, shut_packet: since when it
    has advertised a window of zero, NO_TIME while its window is open.
    again_count: how often in a row the bytes at again_sequence were sent again (again_first, again_time: first and
    last time; again_packet: the last). probes: keep-alive or window probes in a row (probe_first, probe_time,
    probe_packet likewise) since the peer's packet number probes_after.
    """

    def __init__(self, flow: Flow) -> None:
        self.reader: Reader | None = None
        self.skip: cython.longlong = 0
        self.offset: cython.longlong = 0
        self.flow: Flow = flow
        self.peer: Half = None  # type: ignore[assignment]  # set by the flow
        self.known: cython.bint = False
        self.acknowledges: cython.bint = False
        self.syn: cython.bint = False
        self.finished: cython.bint = False
        self.was_reset: cython.bint = False
        self.initial: cython.uint = 0
        self.next: cython.uint = 0
        self.origin: cython.uint = 0
        self.acknowledgment: cython.uint = 0
        self.behind: cython.uint = 0
        self.behind_packet: cython.longlong = 0
        self.behind_file: cython.int = 0
        self.packets: cython.longlong = 0
        self.captured_bytes: cython.longlong = 0
        self.duplicate_bytes: cython.longlong = 0
        self.conflicting_bytes: cython.longlong = 0
        self.lost_bytes: cython.longlong = 0
        self.cut_bytes: cython.longlong = 0
        self.skipped_bytes: cython.longlong = 0
        self.after_end_bytes: cython.longlong = 0
        self.retransmissions: cython.longlong = 0
        self.fin_time: cython.longlong = NO_TIME
        self.reset_time: cython.longlong = NO_TIME
        self.silent: cython.bint = False
        self.silent_sequence: cython.uint = 0
        self.fin_offset: cython.longlong = MISSING
        self.time_to_live: cython.int = -1
        self.reset_time_to_live: cython.int = -1
        self.held: Any = None
        self.hole_packet: cython.longlong = 0
        self.hole_time: cython.longlong = NO_TIME
        self.last_time: cython.longlong = NO_TIME
        self.reset_packet: cython.longlong = 0
        self.reset_silent: cython.longlong = 0
        self.shut_since: cython.longlong = NO_TIME
        self.shut_packet: cython.longlong = 0
        self.again_sequence: cython.uint = 0
        self.again_count: cython.longlong = 0
        self.again_first: cython.longlong = NO_TIME
        self.again_time: cython.longlong = NO_TIME
        self.again_packet: cython.longlong = 0
        self.probes: cython.longlong = 0
        self.probe_first: cython.longlong = NO_TIME
        self.probe_time: cython.longlong = NO_TIME
        self.probe_packet: cython.longlong = 0
        self.probes_after: cython.longlong = -1

    def acknowledged_in(self, packet: Packet) -> cython.uint:
        """What it had acknowledged when it sent a packet that has just come: a late one says less than those before."""
        late: cython.bint = self.behind_packet == packet.number and self.behind_file == packet.file
        return self.behind if late else self.acknowledgment

    def place_of(self, sequence: cython.uint) -> cython.longlong:
        """The stream offset that a sequence number stands for, near what has come (RFC 9293 3.4)."""
        beyond: cython.longlong = sequence
        beyond = (beyond - self.origin - self.offset) % WRAP
        if beyond >= HALF_WRAP:
            beyond -= WRAP
        return self.offset + beyond


class Moment:
    """What was so when a packet came, for its bytes that are read later: time, packet and file; what its sender had
    acknowledged (late: the packet itself said less, `behind`); whether the peer's FIN or RST had come."""

    def __init__(self, packet: Packet, half: Half) -> None:
        self.time: cython.longlong = packet.time
        self.number: cython.longlong = packet.number
        self.file: cython.int = packet.file
        self.acknowledges: cython.bint = half.acknowledges
        self.acknowledgment: cython.uint = half.acknowledgment
        self.behind: cython.uint = half.behind
        self.late: cython.bint = half.behind_packet == packet.number and half.behind_file == packet.file
        self.peer_finished: cython.bint = half.peer.finished
        self.peer_reset: cython.bint = half.peer.was_reset

    def before(self, other: Moment) -> cython.bint:
        """Did it come earlier in the capture?"""
        return self.number < other.number if self.file == other.file else self.file < other.file

    def recall(self, packet: Packet, half: Half, with_packet: cython.bint) -> None:
        """Make it so again; with_packet: the packet's part too."""
        if with_packet:
            packet.time = self.time
            packet.number = self.number
            packet.file = self.file
        half.acknowledges = self.acknowledges
        half.acknowledgment = self.acknowledgment
        half.behind = self.behind
        half.behind_packet = packet.number if self.late else 0
        half.behind_file = packet.file
        half.peer.finished = self.peer_finished
        half.peer.was_reset = self.peer_reset


class Flow:
    """One TCP connection. Of its two ends the one with the smaller (address, port) is `low`.

    opener: the half whose SYN (without ACK) opened it, None if not captured.
    start, last_time: of its first and last packet;
    watched_until: capture time when its record ended. end_how: END_FIN or END_RST by what came first in stream order,
    else END_CAPTURE; end_by: whose; end_time: the later of the two FINs, or the RST, NO_TIME while open.
    complete: seen from the SYN to the end, no byte missing; begun: its first bytes were looked at; ended: both FINs or
    an RST; index: its place in the streams stage; holes: how many of its directions hold something back.
    opening: the upgrade stage's state; connections: the WebSocket connections recognised on it and not yet concluded,
    in order. layer_bytes: its captured bytes by ledger kind, those that the layers over TCP and the connections already
    concluded account for. tls: what TLS on it shows, if any.
    silence: the last pause of a second or more without any packet; silence_end: when it ended; survived: the longest
    pause before.
    """

    def __init__(self) -> None:
        self.version: cython.int = 0
        self.point: cython.int = 0
        self.low_port: cython.int = 0
        self.high_port: cython.int = 0
        self.low_high: cython.ulonglong = 0
        self.low_low: cython.ulonglong = 0
        self.high_high: cython.ulonglong = 0
        self.high_low: cython.ulonglong = 0
        self.low: Half = Half(self)
        self.high: Half = Half(self)
        self.low.peer = self.high
        self.high.peer = self.low
        self.opener: Half | None = None
        self.packets: cython.longlong = 0
        self.start: cython.longlong = NO_TIME
        self.last_time: cython.longlong = NO_TIME
        self.watched_until: cython.longlong = NO_TIME
        self.first_packet: cython.longlong = 0
        self.last_packet: cython.longlong = 0
        self.first_file: cython.int = 0
        self.last_file: cython.int = 0
        self.end_how: cython.int = END_CAPTURE
        self.end_by: Half | None = None
        self.end_time: cython.longlong = NO_TIME
        self.complete: cython.bint = False
        self.begun: cython.bint = False
        self.ended: cython.bint = False
        self.holes: cython.int = 0
        self.index: cython.Py_ssize_t = -1
        self.opening: Any = None
        self.connections: list[Connection] | None = None
        self.silence: cython.longlong = 0
        self.silence_end: cython.longlong = NO_TIME
        self.survived: cython.longlong = 0
        self.layer_bytes: dict[str, int] | None = None
        self.tls: Tls | None = None

    def missing_bytes(self) -> cython.longlong:
        """Bytes of either side that are not in the capture."""
        return self.low.lost_bytes + self.low.cut_bytes + self.high.lost_bytes + self.high.cut_bytes


class Tls:
    """What TLS shows of a flow (RFC 8446): observations, and what is inferred where it says so.

    sni: the host name asked for; alpn: the protocol that the server chose; version: "1.2", "1.3", ...; decrypted: plain
    bytes came of it. alerts: (sent by the client, description, time, packet) as they came. failed: the row of a
    connection whose handshake failed, None if it did not. awaits: the TLS layer of a flow that is over and still waits
    for its secrets; flow.connections then only says that there may be some. inferred_...: what record lengths let one
    guess where nothing is decrypted: whose Close came first ("client", "server"), bytes of its reason, nanoseconds
    between Pings.
    """

    def __init__(self) -> None:
        self.sni: str | None = None
        self.alpn: str | None = None
        self.version: str | None = None
        self.decrypted: cython.bint = False
        self.alerts: list[tuple[bool, int, int, int]] = []
        self.failed: Connection | None = None
        self.awaits: Any = None
        self.inferred_initiator: str | None = None
        self.inferred_reason_length: cython.longlong = MISSING
        self.inferred_ping_period: cython.longlong = MISSING


class Close:
    """One Close frame (RFC 6455 5.5.1).

    code: 0 when the body was empty, MISSING when its bytes were not captured or the body was one byte long;
    reason: the bytes after the code, as sent; size: the declared body length; cut: part of the body was not captured.
    begin, end: TCP stream offsets of its first byte and of the byte after its last one.
    acknowledged: stream offset up to which the sender's segments had by then acknowledged the peer's bytes, MISSING
    if none did. heard: see heard.Heard; None where the code says nothing of the other side.
    """

    def __init__(self, sender: Side) -> None:
        self.sender: Side = sender
        self.code: cython.longlong = 0
        self.reason: bytes = b""
        self.time: cython.longlong = NO_TIME
        self.packet: cython.longlong = 0
        self.begin: cython.longlong = 0
        self.end: cython.longlong = 0
        self.size: cython.longlong = 0
        self.file: cython.int = 0
        self.cut: cython.bint = False
        self.acknowledged: cython.longlong = MISSING
        self.after_peer_fin: cython.bint = False
        self.after_peer_reset: cython.bint = False
        self.heard: Any = None


class Violation:
    """One broken rule. sender: who broke it; rule: id in the list of rules; severity: must, should, note.

    found: text as it was sent, cut at a limit. time, packet, file: of the packet that showed it; packet may be MISSING.
    """

    def __init__(self, sender: Side, rule: str, severity: str, expected: str, found: str) -> None:
        self.sender = sender
        self.rule = rule
        self.severity = severity
        self.expected = expected
        self.found = found
        self.section = ""
        self.time = NO_TIME
        self.packet = MISSING
        self.file = 0


class Judge:
    """Who holds frames against the rules. The stages call it only where something is unusual."""

    def frame(self, frame: Frame, in_message: bool, framing_known: bool) -> None:
        """An unusual frame header; in_message: a message was under way; framing_known: that is certain."""

    def key(self, side: Side, found: str) -> bool:
        """The side's first masking key that is not fresh, in words. False: these may be no frames, ask no more."""
        return True

    def message(self, message: Message, inflated: bool) -> None:
        """A message whose text is not UTF-8, or that could not be inflated."""

    def distance(self, message: Message) -> None:
        """The side's first message that refers back beyond the agreed window."""

    def close(self, close: Close, number: int) -> None:
        """A Close other than the usual; number: 1 for the side's first."""


class Side:
    """What one side of a WebSocket connection sent.

    bytes: application bytes of complete data messages, inflated; wire_bytes: frame payloads as sent; largest: of the
    messages, inflated, the declared length for one that was cut off, MISSING without a message.
    binaries: complete binary messages. first: the beginning of its first message in clear, None without one.
    closes: its first Close frames, None without one; closes_seen: how many there were.
    last_frame: time of the last frame. outstanding_pings: (time, payload, packet, file) not yet answered by the peer;
    round_trips: nanoseconds, one per answered Ping, of many one in round_trips_apart; longest_round_trip: of all.
    answered: time, packet and file of the latest answered Ping, and of its Pong, and the TCP stream offset after that.
    ping_times: when its latest Pings were sent.
    message, frame: the records of its latest message and frame, whole or not. breaches: the first rules that it must
    not break and did, before the connection's end began, and the latest one.
    exact: nothing of this side's frames is missing; broken: after a gap, frames are not found again (yet).
    may_hide_close: among bytes that are missing there may be a Close, and no later data frame (RFC 6455 5.5.1) denies
    it; uncertain: bytes are missing between the last frame read and what is read next.
    resyncs: how often frames were found again after a gap; weak_resyncs: by the end of the stream alone.
    frame_bytes: headers and payloads read; unread_bytes: after a gap, not read as frames.
    deflate: permessage-deflate was agreed; takeover: this side keeps its context (RFC 7692 7.1.1); context_lost: what
    its messages refer back to is not all in the capture. judge: who looks at what is unusual, None if nobody asks.
    """

    def __init__(self, connection: Connection, is_client: cython.bint) -> None:
        self.connection: Connection = connection
        self.peer: Side = None  # type: ignore[assignment]  # set by the connection
        self.is_client: cython.bint = is_client
        self.source: Source = None  # type: ignore[assignment]  # set, like half, by the stage that recognises it
        self.half: Half = None  # type: ignore[assignment]
        self.frames: cython.longlong = 0
        self.messages: cython.longlong = 0
        self.bytes: cython.longlong = 0
        self.wire_bytes: cython.longlong = 0
        self.largest: cython.longlong = MISSING
        self.last_frame: cython.longlong = NO_TIME
        self.pings: cython.longlong = 0
        self.unanswered_pings: cython.longlong = 0
        self.frame_bytes: cython.longlong = 0
        self.unread_bytes: cython.longlong = 0
        self.over_limit_bytes: cython.longlong = 0
        self.exact: cython.bint = True
        self.broken: cython.bint = False
        self.may_hide_close: cython.bint = False
        self.uncertain: cython.bint = False
        self.resyncs: cython.longlong = 0
        self.weak_resyncs: cython.longlong = 0
        self.closes: list[Close] | None = None
        self.closes_seen: cython.longlong = 0
        self.outstanding_pings: list[tuple[int, bytes, int, int]] | None = None
        self.round_trips: list[int] | None = None
        self.round_trips_seen: cython.longlong = 0
        self.round_trips_apart: cython.longlong = 1
        self.longest_round_trip: cython.longlong = 0
        self.answered: tuple[int, int, int, int, int, int, int] | None = None
        self.ping_times: list[int] | None = None
        self.binaries: cython.longlong = 0
        self.first: bytes | None = None
        self.message: Message | None = None
        self.frame: Frame | None = None
        self.breaches: list[Violation] | None = None
        self.deflate: cython.bint = False
        self.takeover: cython.bint = True
        self.context_lost: cython.bint = False
        self.window_bits: cython.int = 15
        self.judge: Judge | None = None

    def has_bytes_to_come(self) -> cython.bint:
        """Bytes after its last frame are missing, or stand behind a hole."""
        return self.uncertain or (self.half is not None and self.half.held is not None)


class Connection:
    """One WebSocket connection: the facts of one row.

    number: its row; recognised: the packet time at which it became certain. opening: handshake, midstream, refused,
    unanswered, encrypted. host ... offered_extensions: None where the handshake did not tell.
    asked: what judges the answer to its request, until it came; violations: MISSING while nothing was judged.
    ending: time of the first event of its end (Close, FIN, RST, ...), with each side's last frame (..._uncertain: bytes
    are missing after it) and the client's last message before it, and each side's oldest Ping then unanswered.
    key, accept, upgrade: of the handshake. pulse: follows its application's heartbeats, None where none are known.
    end_how, end_by, end_time, ended: how its own stream ended, whatever becomes of the flow (HTTP/2); else the flow's.
    stream_ends: what HTTP/2 says of that: (END_STREAM ..., by the client?, error code or MISSING, time, packet, file).
    """

    def __init__(self) -> None:
        self.number: cython.longlong = MISSING
        self.flow: Flow = None  # type: ignore[assignment]  # set by the stage that recognises it
        self.client: Side = Side(self, True)
        self.server: Side = Side(self, False)
        self.client.peer = self.server
        self.server.peer = self.client
        self.client_basis: str = "request"
        self.opening: str = "unanswered"
        self.http: str | None = None
        self.host: str | None = None
        self.path: str | None = None
        self.origin: str | None = None
        self.user_agent: str | None = None
        self.subprotocol: str | None = None
        self.extensions: str | None = None
        self.forwarded_for: str | None = None
        self.offered_subprotocols: str | None = None
        self.offered_extensions: str | None = None
        self.http_stream: cython.longlong = MISSING
        self.http_status: cython.longlong = MISSING
        self.asked: Any = None
        self.violations: cython.longlong = MISSING
        self.opened: cython.longlong = NO_TIME
        self.recognised: cython.longlong = NO_TIME
        self.handshake_bytes_client: cython.longlong = 0
        self.handshake_bytes_server: cython.longlong = 0
        self.ending: cython.longlong = NO_TIME
        self.ending_last_client: cython.longlong = NO_TIME
        self.ending_last_server: cython.longlong = NO_TIME
        self.ending_last_message: cython.longlong = NO_TIME
        self.ending_uncertain_client: cython.bint = False
        self.ending_uncertain_server: cython.bint = False
        self.ending_ping_client: cython.longlong = NO_TIME
        self.ending_ping_server: cython.longlong = NO_TIME
        self.pulse: Any = None
        self.key: str | None = None
        self.accept: str | None = None
        self.upgrade: str | None = None
        self.end_how: cython.int = END_CAPTURE
        self.end_by: Side | None = None
        self.end_time: cython.longlong = NO_TIME
        self.ended: cython.bint = False
        self.stream_ends: tuple[tuple[int, bool, int, int, int, int], ...] = ()

    def begin_ending(self, time: cython.longlong) -> None:
        """Something that ends it has come; the first such event counts."""
        if self.ending != NO_TIME:
            return
        self.ending = time
        self.ending_last_client = self.client.last_frame
        self.ending_last_server = self.server.last_frame
        message: Message | None = self.client.message
        self.ending_last_message = NO_TIME if message is None else message.end
        self.ending_uncertain_client = self.client.has_bytes_to_come()
        self.ending_uncertain_server = self.server.has_bytes_to_come()
        self.ending_ping_client = _oldest(self.client.outstanding_pings)
        self.ending_ping_server = _oldest(self.server.outstanding_pings)


def _oldest(pings: list[tuple[int, bytes, int, int]] | None) -> int:
    return pings[0][0] if pings else NO_TIME


class Frame:
    """The WebSocket frame that has just become complete (RFC 6455 5.2). One object a run, overwritten.

    rsv: the three bits as a number 0-7; masking_key: as a big-endian number; begin, finish: TCP stream offsets of its
    first byte and of the byte after its last; captured: payload bytes present of `length`;
    stream_offset: bytes of that direction since the handshake before the frame's first; message: number of its message
    within its sender's messages of that connection, from 0, MISSING for a control frame.
    time, packet, file: of the packet that completed it.
    """

    def __init__(self) -> None:
        self.sender: Side | None = None
        self.fin: cython.bint = False
        self.masked: cython.bint = False
        self.rsv: cython.int = 0
        self.opcode: cython.int = 0
        self.header_size: cython.int = 0
        self.masking_key: cython.uint = 0
        self.begin: cython.longlong = 0
        self.finish: cython.longlong = 0
        self.length: cython.ulonglong = 0
        self.captured: cython.longlong = 0
        self.stream_offset: cython.longlong = 0
        self.message: cython.longlong = MISSING
        self.time: cython.longlong = NO_TIME
        self.packet: cython.longlong = 0
        self.file: cython.int = 0


class FramePayloadReader:
    """Who takes the frames of one direction as the frame stage reads them; their header stands in its Frame."""

    def whole(
        self,
        first: cython.int,
        masked: cython.bint,
        key: cython.uint,
        start: cython.Py_ssize_t,
        stop: cython.Py_ssize_t,
    ) -> cython.bint:
        """A frame that is all there, its payload Packet.data[start:stop] in the shortest header; its Frame is not
        filled. True: taken. False: nothing was done, and it comes again through the other calls.

        first: the header's first byte; key: the masking key, 0 without one.
        """
        return False

    def begin(self) -> None:
        """A frame's header is complete."""

    def payload(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """The next bytes of its payload, still masked: Packet.data[start:stop]."""

    def missing(self, size: cython.longlong) -> None:
        """The next `size` bytes of its payload are not in the capture."""

    def complete(self) -> None:
        """The frame is complete."""

    def give_up(self) -> None:
        """No further frame of this direction can be read: what is under way stays incomplete."""


class Message:
    """A data message (RFC 6455 5.4): its fragments joined, inflated. Complete or given up when it is observed.

    number: see Frame.message; time, packet, file: of the packet that completed its first frame; end: time of the one
    that completed the last, NO_TIME if it never came. opcode: 1 text, 2 binary, 0 when its beginning is missing.
    wire_bytes: payloads as sent; bytes: inflated, MISSING where that is not known. valid: 1 when whole and readable
    (text is UTF-8, inflating went well), 0 when it is not, -1 where missing bytes leave it open. fault: what is wrong
    with its content, in words, None if nothing is known to be.
    payload: unmasked and inflated, when payloads were asked for and all is there, else None.
    """

    def __init__(self) -> None:
        self.sender: Side = None  # type: ignore[assignment]  # set by the message stage
        self.number: cython.longlong = 0
        self.time: cython.longlong = NO_TIME
        self.packet: cython.longlong = 0
        self.end: cython.longlong = NO_TIME
        self.frames: cython.longlong = 0
        self.wire_bytes: cython.longlong = 0
        self.bytes: cython.longlong = MISSING
        self.file: cython.int = 0
        self.opcode: cython.int = 0
        self.valid: cython.int = -1
        self.compressed: cython.bint = False
        self.fault: str | None = None
        self.payload: bytes | None = None


class Observer:
    """Who is told what was seen, as it is seen: the tables, or a second look at one connection."""

    def frame(self, frame: Frame) -> None:
        """A frame is complete. The record is overwritten by the next one."""

    def message(self, message: Message) -> None:
        """A message is complete, or given up. The record is overwritten by the next one."""

    def close(self, close: Close) -> None:
        """A Close frame is complete. The record stays."""

    def violation(self, violation: Violation) -> None:
        """A rule was broken. The record stays."""

    def connection(self, connection: Connection) -> None:
        """A connection is over, or the capture is: nothing more comes of it."""
