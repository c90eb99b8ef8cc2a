"""The upgrade stage for HTTP/1.1 (RFC 9112, RFC 6455 section 4): finds WebSocket handshakes in ordered bytes.

Both directions of a flow are read head by head until a 101 hands them to the frame readers. Bodies are passed over.
What may stand in front (PROXY headers, SOCKS 5, CONNECT) is opened; what is not HTTP is let go.
Nothing is judged here: an answer 101 opens the connection whatever else it says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from analyzer import limits
from analyzer.records import Connection, Flow, Half, Packet, Reader, Source
from analyzer.upgrade import headers, prefaces
from analyzer.upgrade.heads import (
    ANSWER,
    ENCODING,
    EXTENSIONS,
    FORWARDED,
    HOST,
    KEY,
    KIND_NAMES,
    LENGTH,
    ORIGIN,
    PROTOCOL,
    PROXY_HEADER_1,
    PROXY_HEADER_2,
    REQUEST,
    SOCKS_5,
    TLS,
    UNDECIDED,
    UPGRADE,
    USER_AGENT,
    X_FORWARDED_FOR,
    FieldLines,
    head_end,
    look,
    status_of,
)

if TYPE_CHECKING:
    import cython

# what a direction reads next: START allows what may stand before HTTP; SEARCH waits for a head to begin with a chunk
START, NEXT, HEAD, PREFACE, CHUNK, TRAILER, HELD, SEARCH = 0, 1, 2, 3, 4, 5, 6, 7

# what the client's bytes wait for
NOTHING, UPGRADE_ANSWER, TUNNEL_ANSWER = 0, 1, 2

HEAD_LIMIT = limits.HEADER_BLOCK
HELD_LIMIT = limits.HELD_BEFORE_ANSWER
HELD_ENTRY = 200  # what keeping one chunk costs beside its bytes
FIRST_LOOK = 256  # a request line longer than this is told from other text by its method alone
CHUNK_LINE_LIMIT = 4096  # a chunk size with its extensions; trailer fields
EVERYTHING = 1 << 62
NO_LENGTH, IN_CHUNKS = headers.UNTIL_CLOSE, headers.CHUNKED
PREFACE_OF = {
    PROXY_HEADER_1: prefaces.PROXY_1,
    PROXY_HEADER_2: prefaces.PROXY_2,
    SOCKS_5: prefaces.SOCKS_GREETING,
}


class Openings:
    """The upgrade stage. kinds: flows (and tunnels in them) by what their first bytes were, for the summary.

    accept(connection): puts frame readers in place on both sources; recognised(connection): gives it its number.
    """

    def __init__(
        self, packet: Packet, accept: Callable[[Connection], object], recognised: Callable[[Connection], object]
    ) -> None:
        self.packet = packet
        self.accept = accept
        self.recognised = recognised
        self.kinds: dict[str, int] = {}
        self.field_lines = FieldLines()

    def begin(self, flow: Flow, half: Half, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.bint:
        """Look at the first bytes that a flow carries. True: its readers are in place and want them; else it never
        becomes a WebSocket here and may be forgotten."""
        data: cython.const[cython.uchar][::1] = self.packet.data
        limit: cython.Py_ssize_t = min(stop, start + FIRST_LOOK)
        if start >= stop:
            return False
        kind: cython.int = look(bytes(data[start:limit]))
        if kind >= TLS:
            self.count(KIND_NAMES[kind])
            return False
        flow.opening = Opening(self, flow, flow.low, flow.high)
        return True

    def count(self, kind: str) -> cython.void:
        """Count one more flow whose bytes were of a kind."""
        self.kinds[kind] = self.kinds.get(kind, 0) + 1


class Opening:
    """What a flow says before its WebSocket: requests and answers, matched in order (RFC 9112 9.3.2).

    low, high: its two directions. client, server: the same by role, None until a head tells.
    asked, answered: requests and final answers so far; head_requests: which of the former were HEAD.
    uncertain: bytes are missing, so the two counts may differ from the truth; answers_missing: bytes of the server.
    waiting: what the client's bytes wait for; answer_lost: that fell into a gap. connection: the last one recognised.
    cut_request: a request head that broke off at a gap, its answer to come. proxied: the source of a PROXY header.
    """

    def __init__(self, openings: Openings, flow: Flow, low: Source, high: Source) -> None:
        self.openings = openings
        self.flow = flow
        self.low = Direction(self, low, flow.low)
        self.high = Direction(self, high, flow.high)
        self.low.peer = self.high
        self.high.peer = self.low
        self.client: Direction | None = None
        self.server: Direction | None = None
        self.connection: Connection | None = None
        self.head_requests: list[int] | None = None
        self.cut_request: bytes | None = None
        self.proxied: str | None = None
        self.asked: cython.longlong = 0
        self.answered: cython.longlong = 0
        self.waiting: cython.int = NOTHING
        self.last_status: cython.int = 0
        self.uncertain: cython.bint = False
        self.answers_missing: cython.bint = False
        self.answer_lost: cython.bint = False

    def expects(self, direction: Direction, kind: cython.int) -> cython.bint:
        """May a message of this kind begin here?"""
        if self.client is None:
            return kind < TLS
        if direction is self.server:
            return kind == ANSWER
        return kind == REQUEST or (direction.phase == START and PROXY_HEADER_1 <= kind <= SOCKS_5)

    def meet(self, direction: Direction, kind: cython.int) -> cython.void:
        """A message begins: who sends it is known by its kind."""
        if direction.phase == START and (self.client is None or direction is self.client):
            self.openings.count(KIND_NAMES[kind])
        if self.client is None:
            self.client = direction.peer if kind == ANSWER else direction
            self.server = self.client.peer

    def give_up(self) -> cython.void:
        """No (further) WebSocket comes of this flow: its bytes pass unread."""
        for direction in (self.low, self.high):
            direction.settle()
            direction.source.reader = None
            direction.source.skip = EVERYTHING
        if self.flow.connections is None:
            self.flow.opening = None

    def request(self, head: bytes) -> cython.longlong:
        """A request head is whole. The length of its body, or IN_CHUNKS."""
        lines: Any = head.split(b"\n")
        line: bytes = lines[0]
        fields: Any = self.openings.field_lines.fields(lines)
        self.asked += 1
        self.cut_request = None
        if fields[KEY] is not None or headers.names_websocket(fields[UPGRADE]):
            self.ask_upgrade(line, fields, len(head))
        else:
            self.client.other_bytes += len(head)
            if line.startswith(b"HEAD "):
                if self.head_requests is None:
                    self.head_requests = []
                self.head_requests.append(self.asked - 1)
            elif line.startswith(b"CONNECT ") and not self.client.late:
                self.waiting = TUNNEL_ANSWER
                self.client.phase = HELD
                return 0
        if fields[LENGTH] is None and fields[ENCODING] is None:
            return 0
        return headers.body_length(fields[LENGTH], fields[ENCODING], 0)

    def ask_upgrade(self, line: bytes, fields: Any, size: cython.Py_ssize_t) -> cython.void:
        """An upgrade request: a row, unless its answer made one already (its packet stands later in the capture)."""
        client: Direction = self.client
        if client.late:
            self.connection.client_basis = "request"
            self.describe(line, fields, size)
            client.resume()
            return
        connection: Connection = self.connect("request")
        self.describe(line, fields, size)
        self.openings.recognised(connection)
        if self.answers_missing or (self.uncertain and self.answered >= self.asked):
            self.answered = self.asked - 1  # clients let all answers come before they ask for an upgrade
        if self.answered >= self.asked:
            self.refuse(self.last_status, 0)
            return
        self.waiting = UPGRADE_ANSWER
        self.answer_lost = False
        client.phase = HELD

    def connect(self, basis: str) -> Connection:
        """A new row of this flow."""
        flow: Flow = self.flow
        connection: Connection = Connection()
        connection.flow = flow
        connection.http = "1.1"
        connection.client_basis = basis
        connection.forwarded_for = self.proxied
        connection.recognised = self.openings.packet.time
        connection.client.source = self.client.source
        connection.client.half = self.client.half
        connection.server.source = self.server.source
        connection.server.half = self.server.half
        if flow.connections is None:
            flow.connections = []
        flow.connections.append(connection)
        self.connection = connection
        return connection

    def describe(self, line: bytes, fields: Any, size: cython.Py_ssize_t) -> cython.void:
        """Fill in what the request of the last row says. A request line that was cut tells no path."""
        connection: Connection = self.connection
        words: bytes = line.strip()
        start: cython.Py_ssize_t = words.find(b" ")
        stop: cython.Py_ssize_t = words.rfind(b" HTTP/1.")
        if 0 <= start < stop:
            target: str = headers.text_of(words[start + 1 : stop])
            connection.path = target if target.startswith("/") else headers.path_of(target)
        connection.host = fields[HOST]
        connection.origin = fields[ORIGIN]
        connection.user_agent = fields[USER_AGENT]
        connection.offered_subprotocols = fields[PROTOCOL]
        connection.offered_extensions = fields[EXTENSIONS]
        connection.forwarded_for = fields[X_FORWARDED_FOR] or fields[FORWARDED] or self.proxied
        connection.handshake_bytes_client = size

    def answer(self, head: bytes) -> cython.longlong:
        """An answer's head is whole. The length of its body, NO_LENGTH or IN_CHUNKS."""
        lines: Any = head.split(b"\n")
        status: cython.int = status_of(lines[0])
        fields: Any = self.openings.field_lines.fields(lines)
        size: cython.Py_ssize_t = len(head)
        if status == 101 and self.waiting != TUNNEL_ANSWER:
            if self.waiting == UPGRADE_ANSWER or headers.names_websocket(fields[UPGRADE]):
                self.switch(fields, size)
                return 0
        if status < 200:  # interim (RFC 9110 15.2), or another protocol from here on, or not HTTP
            self.server.other_bytes += size
            if status < 100 or status == 101:
                self.give_up()
            return 0
        bodiless: cython.bint = status == 204 or status == 304 or self.answers_head()
        bodiless = bodiless or (self.waiting == TUNNEL_ANSWER and status < 300)
        self.final_answer(status, size)
        return 0 if bodiless else headers.body_length(fields[LENGTH], fields[ENCODING], NO_LENGTH)

    def answers_head(self) -> cython.bint:
        """Is the next final answer one to a HEAD request?"""
        heads: list[int] | None = self.head_requests
        while heads and heads[0] < self.answered:
            heads.pop(0)
        return bool(heads) and heads[0] == self.answered

    def final_answer(self, status: cython.int, size: cython.Py_ssize_t) -> cython.void:
        """Match a final answer with its request: does it refuse the upgrade, open the tunnel?"""
        awaited: cython.bint = self.waiting != NOTHING and (self.answers_missing or self.answered == self.asked - 1)
        self.answered += 1
        self.last_status = status
        self.cut_request = None
        if awaited and self.waiting == UPGRADE_ANSWER:
            self.refuse(status, size)
            return
        self.server.other_bytes += size
        if awaited and status < 300:
            self.open_tunnel()
        elif awaited:
            self.waiting = NOTHING
            self.client.phase = NEXT
            self.client.release()

    def refuse(self, status: cython.int, size: cython.Py_ssize_t) -> cython.void:
        """The upgrade got another final answer; what the client sent since are its next requests."""
        connection: Connection = self.connection
        connection.opening = "refused"
        connection.http_status = status
        connection.handshake_bytes_server = size
        self.waiting = NOTHING
        self.answer_lost = False
        self.client.phase = NEXT
        self.server.settle()
        self.client.release()

    def switch(self, fields: Any, size: cython.Py_ssize_t) -> cython.void:
        """101: from here on both directions are frames."""
        client: Direction = self.client
        asked: cython.bint = self.waiting == UPGRADE_ANSWER
        if not asked:
            self.unasked()
        connection: Connection = self.connection
        connection.http_status = 101
        connection.opening = "handshake"
        connection.opened = self.openings.packet.time
        connection.handshake_bytes_server = size
        connection.subprotocol = fields[PROTOCOL]
        connection.extensions = fields[EXTENSIONS]
        agreed = None if fields[EXTENSIONS] is None else headers.deflate_of(fields[EXTENSIONS])
        if agreed is not None:
            connection.client.deflate = connection.server.deflate = True
            connection.client.takeover, connection.server.takeover = agreed[0], agreed[1]
            connection.client.window_bits, connection.server.window_bits = agreed[2], agreed[3]
        self.waiting = NOTHING
        self.server.settle()
        self.openings.accept(connection)
        if not asked and self.cut_request is None and client.phase != SEARCH:
            client.late = True
            client.after = client.source.reader
            client.source.reader = client
        else:
            client.release()

    def unasked(self) -> cython.void:
        """A row for a 101 whose upgrade request was not seen, or not as one."""
        connection: Connection = self.connect("request" if self.asked else "syn")
        cut: bytes | None = self.cut_request
        if cut is not None:
            connection.client_basis = "request"
            lines: Any = cut[: cut.rfind(b"\n") + 1].split(b"\n")
            self.describe(lines[0], self.openings.field_lines.fields(lines), len(cut))
            self.client.other_bytes -= len(cut)
        self.openings.recognised(connection)

    def presume(self) -> cython.void:
        """The answer was not captured, but the client sends frames: it was a 101."""
        self.waiting = NOTHING
        self.connection.opening = "handshake"
        self.openings.accept(self.connection)
        self.client.release()
        self.server.release()

    def open_tunnel(self) -> cython.void:
        """CONNECT was granted (RFC 9110 9.3.6): what follows starts as a new TCP connection would."""
        self.waiting = NOTHING
        self.asked = self.answered = 0
        self.head_requests = None
        self.client.phase = START
        self.client.release()

    def lost_request(self, begun: bytes) -> cython.void:
        """A request head broke off at a gap after `begun`."""
        lines: Any = begun[: begun.rfind(b"\n") + 1].split(b"\n")
        fields: Any = self.openings.field_lines.fields(lines)
        self.asked += 1
        if fields[KEY] is not None or headers.names_websocket(fields[UPGRADE]):
            self.ask_upgrade(lines[0], fields, len(begun))
            return
        self.client.other_bytes += len(begun)
        self.cut_request = begun

    def lost_answer(self, begun: bytes) -> cython.void:
        """An answer's head broke off at a gap after `begun`, or is missing from its first byte."""
        lines: Any = begun[: begun.rfind(b"\n") + 1].split(b"\n")
        status: cython.int = status_of(begun) if len(begun) >= 13 else 0
        fields: Any = self.openings.field_lines.fields(lines)
        unsaid: cython.bint = fields[UPGRADE] is None and (self.asked == 0 or self.cut_request is not None)
        if self.waiting == TUNNEL_ANSWER:
            self.server.other_bytes += len(begun)
            self.give_up()
        elif status == 101 and (
            self.waiting == UPGRADE_ANSWER or unsaid or headers.names_websocket(fields[UPGRADE])
        ):
            self.switch(fields, len(begun))
        elif status >= 200:
            self.final_answer(status, len(begun))
        else:
            self.server.other_bytes += len(begun)
            self.answer_lost = self.waiting == UPGRADE_ANSWER


class Direction(Reader):
    """One direction of an Opening, cut anywhere.

    other_bytes: bytes it was handed that are neither a handshake's head nor the frame reader's.
    pending: what has come of a head, preface or line that is not whole; wanted: the bytes a preface has at least.
    body: bytes of a body to pass over, before the source is told. held: (bytes, time, packet, file, offset, gap, cut),
    what came while another answer is awaited; over_bytes, over_gap: what no longer went in.
    late: frames were agreed, yet the upgrade request may still come; after: who takes the frames then.
    """

    def __init__(self, opening: Opening, source: Source, half: Half) -> None:
        self.opening = opening
        self.packet = opening.openings.packet
        self.source = source
        self.half = half
        self.peer: Direction | None = None
        self.after: Reader | None = None
        self.pending: bytearray = bytearray()
        self.held: list[tuple[bytes, int, int, int, int, int, bool]] | None = None
        self.other_bytes: cython.longlong = 0
        self.body: cython.longlong = 0
        self.held_cost: cython.longlong = 0
        self.over_bytes: cython.longlong = 0
        self.over_gap: cython.longlong = 0
        self.wanted: cython.Py_ssize_t = 0
        self.phase: cython.int = START
        self.preface: cython.int = 0
        self.ended: cython.int = -1
        self.late: cython.bint = False
        source.reader = self

    def data(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.void:
        """See Reader. A step takes at least one byte, or changes what is read next."""
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

    def gap(self, size: cython.longlong, cut: cython.bint) -> cython.void:
        """See Reader. What is under way is given up; reading goes on where a chunk begins like a head."""
        if self.phase == HELD:
            self.hold_gap(size, cut)
            return
        if self.late:
            self.resume()
            self.replay_gap(size, cut)
            return
        begun: bytes = bytes(self.pending)
        phase: cython.int = self.phase
        self.pending.clear()
        self.phase = SEARCH
        self.opening.uncertain = True
        if self is self.opening.server:
            self.opening.answers_missing = True
            self.opening.lost_answer(begun)
        elif phase == HEAD:
            self.opening.lost_request(begun)
        else:
            self.other_bytes += len(begun)
        if self.source.reader is not self:
            self.replay_gap(size, cut)
        elif self is self.opening.server and self.opening.answer_lost:
            self.hold_gap(size, cut)

    def end(self, how: cython.int) -> cython.void:
        """See Reader."""
        self.ended = how
        opening: Opening = self.opening
        if self.late:
            self.resume()
        elif self.phase == HELD and self is opening.client and self.peer.half.captured_bytes == 0:
            if opening.waiting == UPGRADE_ANSWER and self.holds_frames():
                opening.presume()
        if self.peer.ended >= 0:
            self.settle()
            self.peer.settle()

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
        if not self.opening.expects(self, kind):
            return self.unexpected(kind, at, stop)
        self.opening.meet(self, kind)
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
        return self.take_from(self.pending, max(0, old - 2), limit, at - old)

    def take_from(
        self, begun: Any, searched: cython.Py_ssize_t, limit: cython.Py_ssize_t, origin: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Take the head that `begun` starts with, or keep that; origin: where its first byte would be in the chunk."""
        end: cython.Py_ssize_t = head_end(begun, searched)
        size: cython.Py_ssize_t = len(begun)
        if end > HEAD_LIMIT or (end < 0 and size > HEAD_LIMIT):
            self.pending.clear()
            self.other_bytes += size
            self.opening.openings.count("header block too long")
            self.opening.give_up()
            return limit
        if end < 0:
            self.phase = HEAD
            if begun is not self.pending:
                self.pending[:] = begun
            return limit
        head: bytes = bytes(begun[:end])
        self.pending.clear()
        self.phase = NEXT
        self.take_head(head)
        return origin + end

    def take_head(self, head: bytes) -> cython.void:
        """A head is whole; its body decides where the next one begins."""
        length: cython.longlong
        if self is self.opening.client:
            length = self.opening.request(head)
        else:
            length = self.opening.answer(head)
        if length == NO_LENGTH:
            self.opening.give_up()  # a body until the connection closes
        elif length == IN_CHUNKS:
            if self.phase == NEXT:
                self.phase = CHUNK
        else:
            self.body = length

    def unexpected(
        self, kind: cython.int, at: cython.Py_ssize_t, stop: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """What begins here is not what HTTP would send: frames, another protocol, or the rest of something lost."""
        opening: Opening = self.opening
        if self.late:
            self.resume()
            return at
        self.other_bytes += len(self.pending)
        self.pending.clear()
        if not opening.uncertain:
            opening.openings.count(KIND_NAMES[kind if kind >= TLS else len(KIND_NAMES) - 1])
            opening.give_up()
            return at
        self.phase = SEARCH
        if self is opening.server and opening.answer_lost:
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
            self.opening.openings.count("other")
            self.opening.give_up()
        elif len(begun) == self.wanted:
            self.pending.clear()
            self.other_bytes += len(begun)
            self.take_preface(begun)
        return limit

    def take_preface(self, message: bytes) -> cython.void:
        """A preface is whole."""
        kind: cython.int = self.preface
        self.wanted = 1
        if prefaces.refuses_tunnel(kind, message):
            self.opening.give_up()
        elif kind == prefaces.PROXY_1 or kind == prefaces.PROXY_2:
            self.opening.proxied = prefaces.proxied_source(kind, message) or self.opening.proxied
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
            self.opening.give_up()
        return end

    def take_line(self, line: bytes) -> cython.void:
        """A chunk's size, the empty line after its data, or a line of the trailer section."""
        if self.phase == TRAILER:
            if not line:
                self.phase = NEXT
        elif line:
            digits: bytes = line.partition(b";")[0].strip()
            if not digits.isalnum() or digits.strip(b"0123456789abcdefABCDEF") or len(digits) > 15:
                self.opening.give_up()
                return
            self.body = int(digits, 16)
            if not self.body:
                self.phase = TRAILER

    def pass_body(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Step over the body's bytes in this chunk; the source passes over the rest."""
        here: cython.longlong = min(self.body, stop - at)
        self.other_bytes += here
        self.source.skip = self.body - here
        self.body = 0
        return at + here

    def deliver(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, offset: cython.longlong) -> cython.void:
        """Hand Packet.data[at:stop] to whoever reads now, as the source would."""
        source: Source = self.source
        if source.reader is None:
            self.other_bytes += stop - at
            return
        passed: cython.longlong = min(source.skip, stop - at)
        if passed:
            source.skip -= passed
            at += passed
            if source is self.half:
                self.half.skipped_bytes += passed
        if at < stop:
            before: cython.longlong = source.offset
            source.offset = offset + passed
            source.reader.data(at, stop)
            source.offset = before

    def hold(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, offset: cython.longlong) -> cython.void:
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
        self.held.append((bytes(data[at:stop]), packet.time, packet.number, packet.file, offset, 0, False))
        if self.opening.answer_lost and self is self.opening.client and self.holds_frames():
            self.opening.presume()

    def hold_gap(self, size: cython.longlong, cut: cython.bint) -> cython.void:
        """Keep a gap in its place among the bytes held."""
        cost: cython.longlong = self.held_cost + HELD_ENTRY
        if cost > HELD_LIMIT:
            self.held_cost = HELD_LIMIT
            self.over_gap += size
            return
        self.held_cost = cost
        if self.held is None:
            self.held = []
        self.held.append((b"", 0, 0, 0, 0, size, cut))

    def holds_frames(self) -> cython.bint:
        """Do the bytes held begin as a client's first frame does (RFC 6455 5.2)? Text never has a mask bit there."""
        begun: bytes = b"".join([entry[0] for entry in (self.held or [])[:2]])
        if len(begun) < 2 or not begun[1] & 0x80 or begun[0] & 0x30:
            return False
        return begun[0] & 0x0F in (1, 2, 8, 9, 10)

    def release(self) -> cython.void:
        """What was held goes to whoever reads now; where bytes were left out there is a gap. So does an end."""
        held: list[tuple[bytes, int, int, int, int, int, bool]] | None = self.held
        over: cython.longlong = self.over_bytes
        over_gap: cython.longlong = self.over_gap
        self.held = None
        self.held_cost = self.over_bytes = self.over_gap = 0
        for chunk, time, number, file, offset, gap, cut in held or ():
            if gap:
                self.replay_gap(gap, cut)
            else:
                self.replay(chunk, time, number, file, offset)
        reader: Reader | None = self.source.reader
        if over and reader is not None and reader is not self:
            connection: Connection = self.opening.connection
            side = connection.client if self is self.opening.client else connection.server
            side.over_limit_bytes += over
        else:
            self.other_bytes += over
        if reader is not self:  # a head that had begun, between lost bytes: not known to be frames
            over_gap += len(self.pending)
            self.other_bytes += len(self.pending)
            self.pending.clear()
        if over + over_gap:
            self.replay_gap(over + over_gap, False)
        if self.ended >= 0 and self.source.reader is not None and self.source.reader is not self:
            self.source.reader.end(self.ended)

    def replay(
        self, chunk: bytes, time: cython.longlong, number: cython.longlong, file: cython.int, offset: cython.longlong
    ) -> cython.void:
        """Deliver bytes of an earlier packet as that packet's."""
        packet: Packet = self.packet
        data: cython.const[cython.uchar][::1] = packet.data
        now: cython.longlong = packet.time
        number_now: cython.longlong = packet.number
        file_now: cython.int = packet.file
        try:
            packet.data, packet.time, packet.number, packet.file = chunk, time, number, file
            self.deliver(0, len(chunk), offset)
        finally:
            packet.data, packet.time, packet.number, packet.file = data, now, number_now, file_now

    def replay_gap(self, size: cython.longlong, cut: cython.bint) -> cython.void:
        """Tell of a gap as the source would."""
        source: Source = self.source
        passed: cython.longlong = min(source.skip, size)
        source.skip -= passed
        if passed < size and source.reader is not None:
            source.reader.gap(size - passed, cut)

    def resume(self) -> cython.void:
        """No request comes (any more): frames go on here."""
        packet: Packet = self.packet
        begun: bytes = bytes(self.pending)
        self.pending.clear()
        self.late = False
        self.source.reader = self.after
        self.after = None
        if begun:
            self.replay(begun, packet.time, packet.number, packet.file, self.source.offset - len(begun))
        self.release()

    def settle(self) -> cython.void:
        """Nothing more comes of what was kept: it counts as bytes beside the handshake."""
        self.other_bytes += len(self.pending) + self.over_bytes
        self.pending.clear()
        for entry in self.held or ():
            self.other_bytes += len(entry[0])
        self.held = None
        self.over_bytes = self.over_gap = 0
