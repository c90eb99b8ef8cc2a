"""One direction of HTTP/1.1 cut into heads (RFC 9112), whatever pieces it comes in, the rest kept where it
must wait. What the heads mean is the exchange's business."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer import limits
from analyzer.records import Connection, Half, Moment, Packet, Reader, Side, Source
from analyzer.room import Room
from analyzer.upgrade import headers, prefaces
from analyzer.upgrade.heads import (
    ANSWER,
    HTTP_2,
    KIND_NAMES,
    OTHER,
    PREFACE_OF,
    REQUEST,
    TLS,
    UNDECIDED,
    head_end,
    look,
)
from analyzer.upgrade.keeping import HELD_LIMIT, Keeper

if TYPE_CHECKING:
    import cython

# what a direction reads next: START allows what may stand before HTTP; SEARCH waits for a head to begin with a chunk
START, NEXT, HEAD, PREFACE, CHUNK, TRAILER, HELD, SEARCH = 0, 1, 2, 3, 4, 5, 6, 7

HEAD_LIMIT = limits.HEADER_BLOCK
SMALL_HEAD = 2048  # bytes of a head under way that every open connection may take
CHUNK_LINE_LIMIT = 4096  # a chunk size with its extensions, or a trailer field
EVERYTHING = 1 << 62
NO_LENGTH, IN_CHUNKS = headers.UNTIL_CLOSE, headers.CHUNKED


class Exchange:
    """Who takes the heads of both directions.

    client, server: the directions by role, None until a head tells. proxied: the source of a PROXY header.
    depth: of calls from below that are under way. uncertain: bytes are missing; answers_missing: bytes of the server;
    answer_lost: an upgrade's answer among them.
    """

    def __init__(self) -> None:
        self.client: Any = None
        self.server: Any = None
        self.proxied: str | None = None
        self.depth: cython.int = 0
        self.uncertain: cython.bint = False
        self.answers_missing: cython.bint = False
        self.answer_lost: cython.bint = False

    def expects(self, direction: Direction, kind: cython.int) -> cython.bint:
        """May a message of this kind begin here?"""
        return False

    def meet(self, direction: Direction, kind: cython.int) -> None:
        """A message begins."""

    def hand_over(self, kind: cython.int, exact: cython.bint) -> cython.bint:
        """The bytes from here on are another layer's. exact: so it was agreed. True: that layer reads them now."""
        return False

    def handed_over(self) -> None:
        """Another reader has the bytes of a direction now. Called when nothing else is under way."""

    def count(self, kind: str) -> None:
        """The bytes turned out to be of a kind."""

    def give_up(self) -> None:
        """Nothing more is wanted of either direction."""

    def row(self) -> Connection:
        """The connection whose frames the directions carry, or wait for."""
        return Connection()

    def request(self, head: bytes) -> cython.longlong:
        """A request head is whole. The length of its body, or IN_CHUNKS."""
        return 0

    def answer(self, head: bytes) -> cython.longlong:
        """An answer's head is whole. The length of its body, NO_LENGTH or IN_CHUNKS."""
        return 0

    def lost_request(self, begun: bytes) -> None:
        """A request head broke off at a gap."""

    def lost_answer(self, begun: bytes) -> None:
        """An answer's head broke off at a gap, or is missing from its first byte."""

    def presume(self) -> None:
        """The client sends frames though no answer was captured."""


class Direction(Keeper):
    """One direction of an exchange, cut anywhere.

    pending: what has come of a head, preface or line that is not whole; wanted: the bytes a preface has at least.
    body: bytes of a body to pass over, before the source is told. held: what came while another answer is awaited.
    lost_track: bytes were missing, and no head was found since. late: frames were agreed, yet the upgrade
    request may still come; after: who takes the frames then.
    """

    def __init__(self, exchange: Exchange, packet: Packet, source: Source, half: Half, room: Room) -> None:
        Keeper.__init__(self, packet, source, half, room)
        self.exchange = exchange
        self.peer: Any = None
        self.after: Reader | None = None
        self.body: cython.longlong = 0
        self.wanted: cython.Py_ssize_t = 0
        self.phase: cython.int = START
        self.preface: cython.int = 0
        self.late: cython.bint = False
        self.lost_track: cython.bint = False
        source.reader = self

    def data(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """See Reader."""
        exchange: Exchange = self.exchange
        exchange.depth += 1
        self.read(start, stop)
        self.leave_call(exchange)

    def read(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """Read the bytes, step by step: each takes at least one byte, or changes what is read next."""
        at: cython.Py_ssize_t = start
        while at < stop and self.source.reader is self:
            if self.phase == HELD:
                self.hold(at, stop, self.source.offset + at - start)
                return
            at = self.step(at, stop)
            if self.body > 0 and self.source.reader is self:
                at = self.pass_body(at, stop)
        if at < stop:
            self.deliver(at, stop, self.source.offset + at - start)

    def gap(self, size: cython.longlong, cut: cython.bint) -> None:
        """See Reader."""
        exchange: Exchange = self.exchange
        exchange.depth += 1
        self.miss(size, cut)
        self.leave_call(exchange)

    def miss(self, size: cython.longlong, cut: cython.bint) -> None:
        """What is under way is given up; reading goes on where a chunk begins like a head."""
        if self.phase == HELD:
            self.hold_gap(size, cut)
            return
        if self.late:
            self.resume_unrequested()
            self.replay_gap(size, cut, self.source.offset)
            return
        begun: bytes = bytes(self.pending)
        phase: cython.int = self.phase
        self.pending.clear()
        self.phase = SEARCH
        self.lost_track = True
        self.exchange.uncertain = True
        if self is self.exchange.server:
            self.exchange.answers_missing = True
            self.exchange.lost_answer(begun)
        elif phase == HEAD:
            self.exchange.lost_request(begun)
        else:
            self.other_bytes += len(begun)
        if self.source.reader is not self:
            self.replay_gap(size, cut, self.source.offset)
        elif self is self.exchange.server and self.exchange.answer_lost:
            self.hold_gap(size, cut)

    def end(self, how: cython.int) -> None:
        """See Reader."""
        exchange: Exchange = self.exchange
        exchange.depth += 1
        self.finish(how)
        self.leave_call(exchange)

    def leave_call(self, exchange: Exchange) -> None:
        """A call from below is over; with the last one nothing else is under way."""
        exchange.depth -= 1
        if exchange.depth == 0 and self.source.reader is not self:
            exchange.handed_over()

    def finish(self, how: cython.int) -> None:
        """No more bytes come."""
        self.ended = how
        if self.late:
            self.resume_unrequested()
        if self.peer.ended >= 0:
            self.settle()
            self.peer.settle()

    def part(self) -> None:
        """Nothing more is asked of it: let the others go."""
        self.weigh(0)
        self.exchange = self.peer = None  # type: ignore[assignment]

    def at_start(self) -> cython.bint:
        """May a preface come next?"""
        return self.phase == START

    def searches(self) -> cython.bint:
        """Is it lost between heads?"""
        return self.phase == SEARCH

    def wait(self) -> None:
        """Keep what comes until go_on, start_over or release."""
        self.phase = HELD

    def go_on(self) -> None:
        """What was kept, and what comes, are heads."""
        self.phase = NEXT
        self.release()

    def start_over(self) -> None:
        """What was kept, and what comes, are the bytes of a tunnel."""
        self.phase = START
        self.release()

    def let_go(self) -> None:
        """Nothing that comes is wanted."""
        self.settle()
        self.source.reader = None
        self.source.skip = EVERYTHING

    def begin_anywhere(self) -> None:
        """The frame reader in place is not at the beginning of a frame: it must find one."""
        reader: Reader | None = self.source.reader
        if reader is not None and reader is not self:
            reader.gap(0, False)

    def expect_late_request(self) -> None:
        """Frames may come, yet before them requests that stand later in the capture than their answer."""
        self.late = True
        self.after = self.source.reader
        self.source.reader = self

    def step(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Read on from `at`; where it got to."""
        if self.phase == HEAD:
            return self.head(at, stop)
        if self.phase == PREFACE:
            return self.collect(at, stop)
        if self.phase == CHUNK or self.phase == TRAILER:
            return self.line(at, stop)
        return self.message(at, stop)

    def message(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """A head or preface begins here: which? Empty lines before a head are passed over (RFC 9112 2.2)."""
        data: cython.const[cython.uchar][::1] = self.packet.data
        old: cython.Py_ssize_t = len(self.pending)
        while self.phase == NEXT and not old and at < stop and (data[at] == 13 or data[at] == 10):
            at += 1
            self.other_bytes += 1
        if at == stop:
            return stop
        limit: cython.Py_ssize_t = min(stop, at + HEAD_LIMIT + 1)
        chunk: bytes = bytes(data[at:limit])
        if old:
            chunk = bytes(self.pending) + chunk
        kind: cython.int = look(chunk)
        if kind == UNDECIDED:
            self.pending[:] = chunk
            return stop
        if not self.exchange.expects(self, kind):
            return self.unexpected(kind, at, stop)
        self.exchange.meet(self, kind)
        if kind != REQUEST and kind != ANSWER:
            self.phase = PREFACE
            self.preface = PREFACE_OF[kind]
            self.wanted = old + 1
            return at
        return self.take_from(chunk, 0, limit, at - old)

    def head(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """A head goes on here."""
        data: cython.const[cython.uchar][::1] = self.packet.data
        old: cython.Py_ssize_t = len(self.pending)
        limit: cython.Py_ssize_t = min(stop, at + HEAD_LIMIT + 1 - old)
        self.pending += bytes(data[at:limit])
        return self.take_from(bytes(self.pending), max(0, old - 2), limit, at - old)

    def take_from(
        self, begun: bytes, searched: cython.Py_ssize_t, limit: cython.Py_ssize_t, origin: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Take the head that `begun` starts with, or keep that; origin: where its first byte would be in the chunk."""
        end: cython.Py_ssize_t = head_end(begun, searched)
        size: cython.Py_ssize_t = len(begun)
        if end > HEAD_LIMIT or (end < 0 and size > HEAD_LIMIT):
            self.pending.clear()
            self.other_bytes += size
            self.exchange.count("header block too long")
            self.exchange.give_up()
            return limit
        if end < 0:
            self.phase = HEAD
            self.pending[:] = begun
            if size > SMALL_HEAD:
                self.weigh(size)
            return limit
        head: bytes = begun[:end]
        self.lost_track = False
        self.pending.clear()
        self.weigh(0)
        self.phase = NEXT
        self.take_head(head)
        return origin + end

    def take_head(self, head: bytes) -> None:
        """A head is whole; its body decides where the next one begins."""
        length: cython.longlong
        if self is self.exchange.client:
            length = self.exchange.request(head)
        else:
            length = self.exchange.answer(head)
        if length == NO_LENGTH:
            self.exchange.give_up()  # a body until the connection closes
        elif length == IN_CHUNKS:
            if self.phase == NEXT:
                self.phase = CHUNK
        else:
            self.body = length

    def unexpected(self, kind: cython.int, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """What begins here is not what HTTP would send: frames, another protocol, or the rest of something lost."""
        exchange: Exchange = self.exchange
        if self.late:
            self.resume()
            return at
        if kind == HTTP_2 or (kind == OTHER and self.peer.pending.startswith(b"PRI ")):
            if exchange.hand_over(HTTP_2, False):
                return at
        if kind == TLS and self.at_start() and exchange.hand_over(TLS, True):
            return at
        self.other_bytes += len(self.pending)
        self.pending.clear()
        if not exchange.uncertain:
            exchange.count(KIND_NAMES[kind if kind >= TLS else OTHER])
            exchange.give_up()
            return at
        self.phase = SEARCH
        if self is exchange.server and exchange.answer_lost:
            self.hold(at, stop, self.source.offset)
        else:
            self.other_bytes += stop - at
        return stop

    def collect(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """A preface goes on here."""
        data: cython.const[cython.uchar][::1] = self.packet.data
        limit: cython.Py_ssize_t = min(stop, at + self.wanted - len(self.pending))
        self.pending += bytes(data[at:limit])
        begun: bytes = bytes(self.pending)
        if len(begun) < self.wanted:
            return limit
        self.wanted = prefaces.size_of(self.preface, begun)
        if self.wanted == prefaces.MALFORMED:
            self.exchange.count("other")
            self.exchange.give_up()
        elif len(begun) == self.wanted:
            self.pending.clear()
            self.other_bytes += len(begun)
            self.take_preface(begun)
        return limit

    def take_preface(self, message: bytes) -> None:
        """A preface is whole."""
        kind: cython.int = self.preface
        self.wanted = 1
        if prefaces.refuses_tunnel(kind, message):
            self.exchange.give_up()
        elif kind == prefaces.PROXY_1 or kind == prefaces.PROXY_2:
            self.exchange.proxied = prefaces.proxied_source(kind, message) or self.exchange.proxied
            self.phase = START
        elif prefaces.opens_tunnel(kind, message):
            self.phase = START
        elif kind == prefaces.SOCKS_GREETING:
            self.preface = prefaces.SOCKS_CLIENT
            self.peer.phase = PREFACE
            self.peer.preface = prefaces.SOCKS_CHOICE
            self.peer.wanted = 1
        elif kind == prefaces.SOCKS_CHOICE:
            self.preface = prefaces.SOCKS_SERVER

    def line(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """A line of the chunked coding (RFC 9112 7.1) goes on here."""
        data: cython.const[cython.uchar][::1] = self.packet.data
        end: cython.Py_ssize_t = at
        while end < stop and data[end] != 10:
            end += 1
        end = min(stop, end + 1)
        self.pending += bytes(data[at:end])
        if self.pending.endswith(b"\n"):
            line: bytes = bytes(self.pending)
            self.pending.clear()
            self.other_bytes += len(line)
            self.take_line(line.strip())
        elif len(self.pending) > CHUNK_LINE_LIMIT:
            self.exchange.give_up()
        return end

    def take_line(self, line: bytes) -> None:
        """A chunk's size, the empty line after its data, or a line of the trailer section."""
        if self.phase == TRAILER:
            if not line:
                self.phase = NEXT
        elif line:
            self.body = headers.chunk_size(line)
            if self.body < 0:
                self.exchange.give_up()
            elif self.body == 0:
                self.phase = TRAILER

    def pass_body(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Step over the body's bytes in this chunk; the source passes over the rest."""
        here: cython.longlong = min(self.body, stop - at)
        self.other_bytes += here
        self.source.skip = self.body - here
        self.body = 0
        return at + here

    def hold(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, offset: cython.longlong) -> None:
        """Keep bytes; those of the client may be frames, after an answer that was lost."""
        self.keep(at, stop, offset)
        if self.exchange.answer_lost and self is self.exchange.client and self.holds_frames():
            self.exchange.presume()

    def left_out(self, size: cython.longlong) -> None:
        """See Keeper."""
        connection: Connection = self.exchange.row()
        side: Side = connection.client if self is self.exchange.client else connection.server
        side.over_limit_bytes += size

    def gave_way(self) -> None:
        """A head that is still not whole is given up."""
        if self.phase == HELD:
            self.held_cost = HELD_LIMIT
        elif self.phase == HEAD:
            self.exchange.give_up()

    def resume_unrequested(self) -> None:
        """The late request does not come, or not as a whole."""
        if self.phase == HEAD:
            begun: bytes = bytes(self.pending)
            self.pending.clear()
            self.exchange.lost_request(begun)
        if self.late:
            self.resume()

    def resume(self) -> None:
        """No request comes (any more): frames go on here."""
        packet: Packet = self.packet
        begun: bytes = bytes(self.pending)
        self.pending.clear()
        self.late = False
        self.source.reader = self.after
        self.after = None
        if begun:
            self.replay(begun, Moment(packet, self.half), self.source.offset - len(begun))
        self.release()

    def leave(self) -> None:
        """Another reader has taken this one's place: it gets what was pending."""
        packet: Packet = self.packet
        begun: bytes = bytes(self.pending)
        self.pending.clear()
        self.settle()
        if begun:
            self.replay(begun, Moment(packet, self.half), self.source.offset - len(begun))
