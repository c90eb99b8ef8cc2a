"""One direction of an HTTP/2 connection cut into frames (RFC 9113 4), whatever pieces it comes in.

Payloads that matter are handed on: DATA of WebSocket streams as it comes, header blocks and what ends streams when
they are whole. Everything else is stepped over by its declared length. What frames mean is the exchange's business.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import TYPE_CHECKING, Any

from analyzer import limits
from analyzer.records import MISSING, Flow, Half, Moment, Packet, Reader, Source
from analyzer.room import Room
from analyzer.upgrade.http2_streams import StreamSource

if TYPE_CHECKING:
    import cython

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 3.4
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 16  # RFC 9218 7.1
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32
HEADER = Struct(">BHBBI")
HEADER_SIZE = 9
LOW_31 = (1 << 31) - 1
LOW_32, HALF_WRAP = (1 << 32) - 1, 1 << 31  # of sequence numbers (RFC 9293 3.4)

COLLECTED = frozenset((HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, GOAWAY, CONTINUATION))

# ledger kinds
FRAMING, SKIPPED, AFTER_END, BESIDE = "HTTP/2 framing", "skipped", "after the end", "before the upgrade"

# what a direction reads next: START is the connection preface or, from a server, a frame; SEARCH a chain of frames
START, FRAMES, SEARCH = 0, 1, 2

# what the RFC lets a frame be, by its type: flags, sizes, and whether it is of a stream (None: either)
FLAGS = {
    DATA: END_STREAM | PADDED,
    HEADERS: END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY,
    SETTINGS: ACK,
    PUSH_PROMISE: END_HEADERS | PADDED,
    PING: ACK,
    CONTINUATION: END_HEADERS,
}
SIZES = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
OF_THE_CONNECTION = frozenset((SETTINGS, PING, GOAWAY, PRIORITY_UPDATE))
LARGEST = 1 << 14  # SETTINGS_MAX_FRAME_SIZE where nothing else is agreed (RFC 9113 6.5.2)
FULL_DATA = b"\0\x40\0\0\0"  # how DATA of that size begins, which is more than a record of TLS holds
CANDIDATE = re.compile(rb"(?=\x00[\x00-\x40].[\x00-\x09\x10][\x00-\x2d][\x00-\x7f]...)", re.DOTALL)
KEPT_ENTRY = 300  # what keeping one piece and its moment costs beside its bytes
CHAIN = 3  # frames in a row that make a chain certain; fewer do if they fill a piece exactly


def plausible(text: bytes, at: int) -> int:
    """The size of the frame whose whole header stands at `at`, 0 if the RFC allows no such frame there."""
    high, low, kind, flags, stream = HEADER.unpack_from(text, at)
    size: int = high << 16 | low
    if stream > LOW_31 or size > LARGEST or (kind > CONTINUATION and kind != PRIORITY_UPDATE):
        return 0
    if flags & ~FLAGS.get(kind, 0) or SIZES.get(kind, size) != size:
        return 0
    if kind != WINDOW_UPDATE and (stream == 0) != (kind in OF_THE_CONNECTION):
        return 0
    if kind == SETTINGS and (size % 6 or (flags and size)):
        return 0
    if (kind == HEADERS and not size) or (kind == GOAWAY and size < 8) or (kind == DATA and stream % 2 == 0):
        return 0
    return HEADER_SIZE + size


def chain_at(text: bytes, at: int) -> bool:
    """Does a chain of frames certainly begin here?"""
    frames = 0
    first = at
    while at + HEADER_SIZE <= len(text):
        size = plausible(text, at)
        if not size:
            return False
        frames += 1
        if frames == CHAIN:
            return True
        at += size
    return at == len(text) and (frames > 1 or (frames == 1 and first == 0))


def find_chain(text: bytes) -> int:
    """Where a chain of frames begins, -1 if nowhere for certain."""
    for candidate in CANDIDATE.finditer(text):
        if chain_at(text, candidate.start()):
            return candidate.start()
    return -1


def speaks_http2(flow: Flow, text: bytes) -> bool:
    """Are the first bytes of a flow, which are no preface, HTTP/2 frames? A server's SETTINGS (RFC 9113 3.4), or any
    frames where the capture begins later than the flow."""
    if flow.low.syn or flow.high.syn:
        return len(text) >= HEADER_SIZE and text[3] == SETTINGS and chain_at(text, 0)
    return find_chain(text) >= 0 or (text.startswith(FULL_DATA) and len(text) >= HEADER_SIZE and plausible(text, 0) > 0)


class Exchange:
    """Who takes the frames of both directions of a flow."""

    def __init__(self, flow: Flow, room: Room) -> None:
        self.flow = flow
        self.room = room

    def account(self, kind: str, size: int) -> None:
        """Put captured bytes into a cell of the ledger."""
        cells = self.flow.layer_bytes
        if cells is None:
            cells = self.flow.layer_bytes = {}
        cells[kind] = cells.get(kind, 0) + size

    def time_passes(self) -> None:
        """Bytes come."""

    def source_of(self, walk: FrameWalk, stream: int) -> StreamSource | None:
        """Who takes the DATA of a stream; None if it is no WebSocket."""
        return None

    def frame(self, walk: FrameWalk, kind: int, flags: int, stream: int, payload: bytes | None) -> None:
        """A frame of a kind that is collected is complete; payload: None where bytes of it are missing."""

    def waits(self, walk: FrameWalk, stream: int) -> None:
        """DATA came of a stream whose answer was not seen."""

    def end_stream(self, walk: FrameWalk, stream: int) -> None:
        """The sender ended its side of a stream (RFC 9113 5.1)."""

    def lost(self, walk: FrameWalk, cut: bool) -> None:
        """Whole frames of this direction may be missing."""

    def end(self, walk: FrameWalk, how: int) -> None:
        """No more bytes of this direction come; how: see Reader.end."""


class FrameWalk(Reader):
    """One direction of an HTTP/2 connection.

    exact: its first byte is known to begin a frame or the preface.
    header: what has come of one that is not whole. kind ... remaining: the frame under way and its payload bytes still
    to come, `padding` of them behind the data; padded: the byte that tells the padding comes next; target: who takes
    its data; payload: collected of it, None if nobody wants it, broken: and some of it is missing.
    elsewhere: bytes of the piece in hand that are no framing. kept: (bytes, offset, moment) in which a chain of frames
    is searched, or that a server sent in answer to bytes of the client that stand later in the capture, up to offset
    `awaited`. is_client: it asks. decoder, block, block_frame: for the exchange, of this direction's header blocks.
    other_bytes: of the bytes it was handed those that are accounted for nowhere else: none.
    """

    other_bytes = 0

    def __init__(self, exchange: Exchange, packet: Packet, source: Source, half: Half, exact: bool) -> None:
        self.exchange = exchange
        self.peer = self  # until both are there
        self.packet = packet
        self.source = source
        self.half = half
        self.exact = exact
        self.phase = START
        self.header = b""
        self.in_frame = False
        self.kind = self.flags = self.stream = self.remaining = self.padding = 0
        self.padded = self.broken = self.replaying = self.is_client = False
        self.target: StreamSource | None = None
        self.payload: bytearray | None = None
        self.elsewhere = 0
        self.kept: list[tuple[bytes, int, Moment]] = []
        self.kept_size = 0
        self.awaited = 0
        self.decoder: Any = None
        self.block: bytearray | None = None
        self.block_frame = (0, 0, 0)
        source.reader = self

    def data(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """See Reader."""
        self.exchange.time_passes()
        for walk in (self.peer, self):
            if walk.kept and walk.half.peer.offset >= walk.awaited:
                walk.go_on()
        text = bytes(self.packet.data[start:stop])
        if self.phase != SEARCH and (self.is_early() or self.kept):
            self.keep(text, self.source.offset)
            if self.kept_size > limits.RESYNC_BYTES:
                self.go_on()
        else:
            self.read(text, start)

    def is_early(self) -> bool:
        """Does the packet in hand answer bytes of the client that stand later in the capture (RFC 9293 3.4)?"""
        half, client = self.half, self.half.peer
        if self.is_client or client.finished or not half.acknowledges or not client.captured_bytes:
            return False
        missing: int = (half.acknowledgment - client.next) & LOW_32
        self.awaited = client.offset + missing
        return 0 < missing < HALF_WRAP

    def go_on(self) -> None:
        """Read what was kept because it came early."""
        if self.phase != SEARCH:
            self.replay(0)

    def keep(self, text: bytes, offset: int) -> None:
        """Keep bytes with their moment."""
        self.kept.append((text, offset, Moment(self.packet, self.half)))
        self.kept_size += len(text)
        self.exchange.room.weigh(self, self.kept_size + KEPT_ENTRY * len(self.kept), FrameWalk.give_way)

    def give_way(self) -> None:
        """Too much is kept in all."""
        self.go_on()
        self.drop_kept()

    def read(self, text: bytes, start: int) -> None:
        """Read what comes next; text[0] is Packet.data[start]."""
        at = self.preface(text) if self.phase == START else 0
        if at == len(text):
            return
        if self.phase == SEARCH:
            self.search(text[at:], self.source.offset + at)
        else:
            self.walk(text, at, start)

    def preface(self, text: bytes) -> int:
        """Step over the connection preface of a client (RFC 9113 3.4); where frames begin then."""
        begun = self.header + text[: len(PREFACE) - len(self.header)]
        taken = len(begun) - len(self.header)
        if not PREFACE.startswith(begun):
            self.phase = FRAMES if self.exact and not self.header else SEARCH
            self.header = b""
            return 0
        self.exchange.account(FRAMING, taken)
        self.header = begun
        if begun == PREFACE:
            self.phase = FRAMES
            self.is_client = True
            self.header = b""
        return taken

    def walk(self, text: bytes, at: int, start: int) -> None:
        """Read frames from text[at:]; text[0] is Packet.data[start]."""
        size = len(text)
        framing = size - at
        offset = self.source.offset
        self.elsewhere = 0
        while at < size:
            if not self.in_frame:
                if self.header or size - at < HEADER_SIZE:
                    taken = text[at : at + HEADER_SIZE - len(self.header)]
                    self.header += taken
                    at += len(taken)
                    if len(self.header) < HEADER_SIZE:
                        break
                    self.enter(*HEADER.unpack(self.header))
                    self.header = b""
                else:
                    fields = HEADER.unpack_from(text, at)
                    at += HEADER_SIZE
                    end = at + (fields[0] << 16 | fields[1])
                    if fields[2] == DATA and not fields[3] and end <= size:  # most frames: no flags, here as a whole
                        target = self.exchange.source_of(self, fields[4] & LOW_31)
                        if target is not None and target.flows() and end > at:
                            self.elsewhere += end - at
                            target.take(start + at, start + end, offset + at)
                            at = end
                            continue
                    self.enter(*fields)
            if self.remaining and at < size:
                at = self.pass_payload(text, at, start)
            if not self.remaining:
                self.leave()
        if framing > self.elsewhere:
            self.exchange.account(FRAMING, framing - self.elsewhere)

    def enter(self, high: int, low: int, kind: int, flags: int, stream: int) -> None:
        """A frame begins; the fields of its header (RFC 9113 4.1)."""
        self.kind = kind
        self.flags = flags
        self.stream = stream & LOW_31
        self.remaining = high << 16 | low
        self.in_frame = True
        if self.kind == DATA:
            self.target = self.exchange.source_of(self, self.stream)
            self.padded = self.flags & PADDED > 0 and self.remaining > 0
            self.padding = 0
        elif self.kind in COLLECTED:
            self.payload = bytearray()
            self.broken = False

    def pass_payload(self, text: bytes, at: int, start: int) -> int:
        """Take what `text` has of the payload under way; where that ends."""
        take = min(self.remaining, len(text) - at)
        if self.target is not None:
            self.pass_data(self.target, text, at, take, start)
        elif self.payload is not None:
            if len(self.payload) + take > limits.HEADER_BLOCK:
                self.broken = True
            else:
                self.payload += text[at : at + take]
        elif self.kind == DATA:
            self.elsewhere += take
            self.exchange.account(BESIDE, take)
            if take < self.remaining and not self.replaying:
                self.source.skip = self.remaining - take
                self.remaining = take
        self.remaining -= take
        return at + take

    def pass_data(self, target: StreamSource, text: bytes, at: int, take: int, start: int) -> None:
        """Hand on what is no padding of DATA (RFC 9113 6.1)."""
        left = self.remaining
        if self.padded:
            self.padded = False
            left -= 1
            self.padding = min(text[at], left)
            at += 1
            take -= 1
        size = min(left - self.padding, take)
        if size > 0:
            self.elsewhere += size
            if target.finished or target.was_reset:
                self.exchange.account(AFTER_END, size)
            else:
                target.take(start + at, start + at + size, self.source.offset + at)

    def leave(self) -> None:
        """The frame under way is complete."""
        self.in_frame = False
        target, self.target = self.target, None
        payload, self.payload = self.payload, None
        if self.kind == DATA:
            if target is not None and target.waits:
                self.exchange.waits(self, self.stream)
            if self.flags & END_STREAM and target is not None:
                self.exchange.end_stream(self, self.stream)
        elif payload is not None:
            self.exchange.frame(self, self.kind, self.flags, self.stream, None if self.broken else bytes(payload))

    def gap(self, size: cython.longlong, cut: cython.bint) -> None:
        """See Reader. Missing bytes of one frame are carried over by its length; where whole frames may be missing, a
        chain of frames is searched."""
        self.go_on()
        if self.phase == FRAMES and self.in_frame and 0 <= size <= self.remaining:
            self.miss(size, cut)
            if not self.remaining:
                self.leave()
            return
        self.drop_kept()
        self.phase = SEARCH
        self.in_frame = False
        self.header = b""
        self.remaining = 0
        self.target = self.payload = None
        self.exchange.lost(self, cut)

    def miss(self, size: int, cut: bool) -> None:
        """Bytes of the payload under way are missing."""
        if self.target is not None:
            if self.padded:  # nobody knows where the data ends
                self.target.miss(MISSING, cut)
                self.padding = self.remaining
                self.padded = False
            elif missing := min(size, self.remaining - self.padding):
                self.target.miss(missing, cut)
        self.broken = True
        self.remaining -= size
        self.padding = min(self.padding, self.remaining)

    def search(self, text: bytes, offset: int) -> None:
        """Look for a chain of frames in what came since the last gap."""
        self.keep(text, offset)
        found = find_chain(text if len(self.kept) == 1 else b"".join(entry[0] for entry in self.kept))
        if found >= 0:
            self.phase = FRAMES
            self.replay(found)
        elif self.kept_size > limits.RESYNC_BYTES:
            self.drop_kept()

    def drop_kept(self) -> None:
        """What was kept can't be read."""
        if self.kept_size:
            self.exchange.account(SKIPPED, self.kept_size)
        self.kept.clear()
        self.kept_size = 0
        self.exchange.room.weigh(self, 0, FrameWalk.give_way)

    def replay(self, found: int) -> None:
        """Have what was kept read, from byte `found` of it on, as that of its own packets."""
        kept, self.kept, self.kept_size = self.kept, [], 0
        self.exchange.room.weigh(self, 0, FrameWalk.give_way)
        packet, source = self.packet, self.source
        data, offset, now = packet.data, source.offset, Moment(packet, self.half)
        if found:
            self.exchange.account(SKIPPED, found)
        self.replaying = True
        try:
            for text, start, moment in kept:
                begin = min(found, len(text))
                found -= begin
                moment.recall(packet, self.half, True)
                packet.data = text = text[begin:]
                source.offset = start + begin
                if text:
                    self.read(text, 0)
        finally:
            self.replaying = False
            packet.data = data
            source.offset = offset
            now.recall(packet, self.half, True)

    def end(self, how: cython.int) -> None:
        """See Reader."""
        self.peer.go_on()
        self.go_on()
        self.drop_kept()
        self.exchange.end(self, how)
