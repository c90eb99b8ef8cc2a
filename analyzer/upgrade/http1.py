"""The upgrade stage for HTTP/1.1 (RFC 9112, RFC 6455 section 4): finds WebSocket handshakes in ordered bytes.

Both directions of a flow are read head by head until a 101 hands them to the frame readers. Bodies are passed over.
What may stand in front (PROXY headers, SOCKS 5, CONNECT) is opened; what is not HTTP is let go.
Nothing is judged here: an answer 101 opens the connection whatever else it says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from analyzer import limits
from analyzer.records import Connection, Flow, Half, Packet, Source
from analyzer.room import Room
from analyzer.upgrade import headers, midstream
from analyzer.upgrade.directions import Direction, Exchange
from analyzer.upgrade.heads import (
    ACCEPT,
    ANSWER,
    ENCODING,
    EXTENSIONS,
    FORWARDED,
    HOST,
    HTTP_2,
    KEY,
    KIND_NAMES,
    LENGTH,
    ORIGIN,
    OTHER,
    PROTOCOL,
    PROXY_HEADER_1,
    REQUEST,
    SOCKS_5,
    TLS,
    UNDECIDED,
    UPGRADE,
    USER_AGENT,
    X_FORWARDED_FOR,
    FieldLines,
    first_line,
    holds_record,
    look,
    status_of,
)
from analyzer.upgrade.http2_frames import speaks_http2

if TYPE_CHECKING:
    import cython

# what the client's bytes wait for
NOTHING, UPGRADE_ANSWER, TUNNEL_ANSWER = 0, 1, 2

FIRST_LOOK = 256  # a request line longer than this is told from other text by its method alone
NO_LENGTH, IN_CHUNKS = headers.UNTIL_CLOSE, headers.CHUNKED


class Openings:
    """The upgrade stage. kinds: flows (and tunnels in them) by what their first bytes were, for the summary.

    ports: servers' ports where everything that begins as no other protocol is a WebSocket.
    judge: who holds whole heads against the rules, None if nobody asks.
    accept(connection): puts frame readers in place on both sources; recognised(connection): gives it its number.
    layers: by kind, who reads bytes of that kind instead: layer(flow, low, high, exact) puts its readers in place on
    both sources; exact: the next byte of each is known to be its first.
    """

    def __init__(
        self,
        packet: Packet,
        accept: Callable[[Connection], object],
        recognised: Callable[[Connection], object],
        room: Room,
        ports: frozenset[int] = frozenset(),
    ) -> None:
        self.packet = packet
        self.accept = accept
        self.recognised = recognised
        self.room = room
        self.ports = ports
        self.kinds: dict[str, int] = {}
        self.layers: dict[int, Callable[[Flow, Source, Source, bool], Any]] = {}
        self.requests = FieldLines()
        self.answers = FieldLines()
        self.judge: Any = None

    def begin(
        self, flow: Flow, low: Source, high: Source, start: cython.Py_ssize_t, stop: cython.Py_ssize_t
    ) -> cython.bint:
        """Look at the first bytes that a flow carries, of either direction; low, high: the sources of its ordered bytes
        (TCP's halves, or what a layer over them gives). True: their readers are in place and want the bytes; else the
        flow never becomes a WebSocket here and may be forgotten."""
        data: cython.const[cython.uchar][::1] = self.packet.data
        limit: cython.Py_ssize_t = min(stop, start + FIRST_LOOK)
        if start >= stop:
            return False
        text: bytes = bytes(data[start:limit])
        kind: cython.int = look(text)
        if kind == OTHER and HTTP_2 in self.layers and speaks_http2(flow, bytes(data[start:stop])):
            kind = HTTP_2
        if kind == OTHER and TLS in self.layers and not (flow.low.syn or flow.high.syn):
            if holds_record(bytes(data[start:stop])):  # the capture begins within a record
                kind = TLS
        layer: Any = self.layers.get(kind)
        if layer is not None:
            self.count(KIND_NAMES[kind])
            layer(flow, low, high, False)
            return True
        doubtful: cython.bint = kind == OTHER or kind == SOCKS_5 or kind == UNDECIDED
        if doubtful or (kind == REQUEST and not midstream.asks_surely(text)):
            if self.begin_frames(flow, low, high, text):
                return True
        if kind >= TLS:
            self.count(KIND_NAMES[kind])
            return False
        self.read_http(flow, low, high)
        return True

    def begin_frames(self, flow: Flow, low: Source, high: Source, text: bytes) -> cython.bint:
        """Is this a flow whose bytes may be frames though no handshake came? Their readers are then in place."""
        forced: cython.bint = flow.low_port in self.ports or flow.high_port in self.ports
        if forced:
            watched: Any = midstream.Midstream(self, flow, low, high)
            flow.opening = watched
            client_is_low: cython.bint = flow.low_port not in self.ports or flow.opener is flow.low
            watched.force(watched.low if client_is_low else watched.high)
        elif flow.low.syn and flow.high.syn and low.offset == 0 and high.offset == 0:
            return False
        elif midstream.is_tls_record(text):
            return False
        else:
            flow.opening = midstream.Midstream(self, flow, low, high)
        return True

    def read_http(self, flow: Flow, low: Source, high: Source) -> Opening:
        """Put readers of HTTP/1.1 in place."""
        opening: Opening = Opening(self, flow, low, high)
        flow.opening = opening
        return opening

    def count(self, kind: str) -> None:
        """Count one more flow whose bytes were of a kind."""
        self.kinds[kind] = self.kinds.get(kind, 0) + 1


class Opening(Exchange):
    """What a flow says before its WebSocket: requests and answers, matched in order (RFC 9112 9.3.2).

    low, high: its two directions, each with the bytes it was handed beside handshakes and frames (`other_bytes`).
    asked, answered: requests and final answers so far; head_requests: which of the former were HEAD.
    waiting: what the client's bytes wait for; connection: the last one recognised.
    cut_request: a request head that broke off at a gap, its answer to come.
    """

    def __init__(self, openings: Openings, flow: Flow, low: Source, high: Source) -> None:
        super().__init__()
        self.openings = openings
        self.flow = flow
        self.low = Direction(self, openings.packet, low, flow.low, openings.room)
        self.high = Direction(self, openings.packet, high, flow.high, openings.room)
        self.low.peer = self.high
        self.high.peer = self.low
        self.connection: Any = None
        self.head_requests: Any = None
        self.cut_request: bytes | None = None
        self.asked: cython.longlong = 0
        self.answered: cython.longlong = 0
        self.waiting: cython.int = NOTHING
        self.last_status: cython.int = 0

    def count(self, kind: str) -> None:
        """See Openings.count."""
        self.openings.count(kind)

    def row(self) -> Connection:
        """The connection whose frames the directions carry, or wait for."""
        connection: Connection = self.connection
        return connection

    def handed_over(self) -> None:
        """When both directions are frames, nothing more is asked of this: a connection that stays open keeps less."""
        low: Direction = self.low
        high: Direction = self.high
        if low.source.reader is low or high.source.reader is high or self.flow.opening is not self:
            return
        if self.flow.connections is not None:
            self.leave_account()
            self.flow.opening = None
            self.part()

    def leave_account(self) -> None:
        """The bytes beside handshakes and frames are the flow's to account for."""
        flow: Flow = self.flow
        size: cython.longlong = self.low.other_bytes + self.high.other_bytes
        self.low.other_bytes = self.high.other_bytes = 0
        if size:
            if flow.layer_bytes is None:
                flow.layer_bytes = {}
            flow.layer_bytes["before the upgrade"] = flow.layer_bytes.get("before the upgrade", 0) + size

    def part(self) -> None:
        """Let the directions go: in a ring they would wait for the garbage collector."""
        self.low.part()
        self.high.part()
        self.client = self.server = self.low = self.high = None  # type: ignore[assignment]

    def expects(self, direction: Direction, kind: cython.int) -> cython.bint:
        """May a message of this kind begin here?"""
        if self.client is None:
            return kind < TLS
        if direction is self.server:
            return kind == ANSWER
        return kind == REQUEST or (direction.at_start() and PROXY_HEADER_1 <= kind <= SOCKS_5)

    def meet(self, direction: Direction, kind: cython.int) -> None:
        """A message begins: who sends it is known by its kind."""
        if direction.at_start() and (self.client is None or direction is self.client):
            self.count(KIND_NAMES[kind])
        if self.client is None:
            self.client = direction.peer if kind == ANSWER else direction
            self.server = self.client.peer

    def give_up(self) -> None:
        """No (further) WebSocket comes of this flow: its bytes pass unread."""
        for direction in (self.low, self.high):
            direction.let_go()
        if self.flow.connections is None:
            self.flow.opening = None

    def hand_over(self, kind: cython.int, exact: cython.bint) -> cython.bint:
        """See Exchange."""
        layer: Any = self.openings.layers.get(kind)
        flow: Flow = self.flow
        if layer is None:
            return False
        self.count(KIND_NAMES[kind])
        layer(flow, self.low.source, self.high.source, exact).proxied = self.proxied
        self.low.leave()
        self.high.leave()
        self.leave_account()
        return True

    def request(self, head: bytes) -> cython.longlong:
        """A request head is whole. The length of its body, or IN_CHUNKS."""
        line: bytes = first_line(head)
        fields: Any = self.openings.requests.fields(head)
        self.asked += 1
        self.cut_request = None
        if fields[KEY] is not None or headers.names_websocket(fields[UPGRADE]):
            self.ask_upgrade(line, fields, len(head))
            if self.openings.judge is not None:
                self.openings.judge.request(self.connection, line, fields)
        else:
            self.client.other_bytes += len(head)
            if line.startswith(b"HEAD "):
                if self.head_requests is None:
                    self.head_requests = []
                if len(self.head_requests) < limits.HEAD_REQUESTS:
                    self.head_requests.append(self.asked - 1)
            elif line.startswith(b"CONNECT ") and not self.client.late:
                self.waiting = TUNNEL_ANSWER
                self.client.wait()
                return 0
        if fields[LENGTH] is None and fields[ENCODING] is None:
            return 0
        return headers.body_length(fields[LENGTH], fields[ENCODING], 0)

    def ask_upgrade(self, line: bytes, fields: Any, size: cython.Py_ssize_t) -> None:
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
        client.wait()

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
            flow.connections = [connection]
        else:
            flow.connections.append(connection)
        self.connection = connection
        return connection

    def describe(self, line: bytes, fields: Any, size: cython.Py_ssize_t) -> None:
        """Fill in what the request of the last row says. A request line that was cut tells no path."""
        connection: Connection = self.connection
        words: bytes = line.strip()
        start: cython.Py_ssize_t = words.find(b" ")
        stop: cython.Py_ssize_t = words.rfind(b" HTTP/1.")
        if 0 <= start < stop:
            target: str = headers.text_of(words[start + 1 : stop])
            connection.path = target if target.startswith("/") else headers.path_of(target)
        connection.host = fields[HOST]
        connection.key = fields[KEY]
        connection.origin = fields[ORIGIN]
        connection.user_agent = fields[USER_AGENT]
        connection.offered_subprotocols = fields[PROTOCOL]
        connection.offered_extensions = fields[EXTENSIONS]
        connection.forwarded_for = fields[X_FORWARDED_FOR] or fields[FORWARDED] or self.proxied
        connection.handshake_bytes_client = size

    def answer(self, head: bytes) -> cython.longlong:
        """An answer's head is whole. The length of its body, NO_LENGTH or IN_CHUNKS."""
        status: cython.int = status_of(first_line(head))
        fields: Any = self.openings.answers.fields(head)
        size: cython.Py_ssize_t = len(head)
        if status == 101 and self.waiting != TUNNEL_ANSWER:
            if self.waiting == UPGRADE_ANSWER or headers.names_websocket(fields[UPGRADE]):
                self.judge_early()
                self.switch(fields, size, True)
                if self.openings.judge is not None:
                    self.openings.judge.answer(self.connection, fields)
                return 0
        if status < 200:  # interim (RFC 9110 15.2), or another protocol from here on, or not HTTP
            self.server.other_bytes += size
            if status == 101 and headers.names_http2(fields[UPGRADE]) and self.hand_over(HTTP_2, True):
                return 0
            if status < 100 or status == 101:
                self.give_up()
            return 0
        bodiless: cython.bint = status == 204 or status == 304 or self.answers_head()
        bodiless = bodiless or (self.waiting == TUNNEL_ANSWER and status < 300)
        awaited: cython.bint = self.waiting == UPGRADE_ANSWER
        self.final_answer(status, size)
        if awaited and self.waiting == NOTHING and self.openings.judge is not None:
            self.openings.judge.answer(self.connection, fields)
        return 0 if bodiless else headers.body_length(fields[LENGTH], fields[ENCODING], NO_LENGTH)

    def judge_early(self) -> None:
        """Bytes of the client came before the answer that opens its WebSocket, of which it acknowledges nothing."""
        held: Any = self.client.held
        source: Source = self.server.source
        server: Half = self.server.half
        if held and self.waiting == UPGRADE_ANSWER and self.openings.judge is not None:
            moment: Any = held[0][1]
            if moment is None or not moment.acknowledges:
                return
            if server.place_of(moment.acknowledgment) <= source.transport_offset(source.offset):
                self.openings.judge.early(self.connection, held[0][0], moment.number, moment.file)

    def answers_head(self) -> cython.bint:
        """Is the next final answer one to a HEAD request?"""
        heads: Any = self.head_requests
        while heads and heads[0] < self.answered:
            heads.pop(0)
        return bool(heads) and heads[0] == self.answered

    def final_answer(self, status: cython.int, size: cython.Py_ssize_t) -> None:
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
            self.client.go_on()

    def refuse(self, status: cython.int, size: cython.Py_ssize_t) -> None:
        """The upgrade got another final answer; what the client sent since are its next requests."""
        connection: Connection = self.connection
        connection.opening = "refused"
        connection.http_status = status
        connection.handshake_bytes_server = size
        self.waiting = NOTHING
        self.answer_lost = False
        self.server.settle()
        self.client.go_on()

    def switch(self, fields: Any, size: cython.Py_ssize_t, whole: cython.bint) -> None:
        """101: from here on both directions are frames. whole: all of its head is in the capture."""
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
        connection.accept = fields[ACCEPT]
        connection.upgrade = fields[UPGRADE]
        headers.agree(connection, fields[EXTENSIONS])
        if not whole and fields[EXTENSIONS] is None:
            self.suppose_compression(asked)
        self.waiting = NOTHING
        self.server.settle()
        self.openings.accept(connection)
        if client.lost_track or self.cut_request is not None:
            client.begin_anywhere()
        if not asked and self.cut_request is None and not client.searches():
            client.expect_late_request()
        else:
            client.release()

    def unasked(self) -> None:
        """A row for a 101 whose upgrade request was not seen, or not as one."""
        connection: Connection = self.connect("request" if self.asked else "syn")
        cut: bytes | None = self.cut_request
        if cut is not None:
            connection.client_basis = "request"
            lines: bytes = cut[: cut.rfind(b"\n") + 1]
            self.describe(first_line(lines), self.openings.requests.fields(lines), len(cut))
            self.client.other_bytes -= len(cut)
        self.openings.recognised(connection)

    def presume(self) -> None:
        """The answer was not captured, but the client sends frames: it was a 101."""
        if self.waiting != UPGRADE_ANSWER:
            return
        connection: Connection = self.connection
        self.waiting = NOTHING
        connection.opening = "handshake"
        self.suppose_compression(True)
        self.openings.accept(connection)
        self.client.release()
        self.server.release()

    def suppose_compression(self, asked: cython.bint) -> None:
        """What was agreed is not in the capture: unless nothing was offered, RSV1 says what is compressed (RFC 7692 6).

        asked: its request came before it.
        """
        connection: Connection = self.connection
        offered: cython.bint = headers.deflate_of(connection.offered_extensions) is not None
        if offered or not asked or self.client.lost_track:
            connection.client.deflate = connection.server.deflate = True
            connection.client.context_lost = connection.server.context_lost = True

    def open_tunnel(self) -> None:
        """CONNECT was granted (RFC 9110 9.3.6): what follows starts as a new TCP connection would."""
        self.waiting = NOTHING
        self.asked = self.answered = 0
        self.head_requests = None
        self.client.start_over()

    def lost_request(self, begun: bytes) -> None:
        """A request head broke off at a gap after `begun`."""
        lines: bytes = begun[: begun.rfind(b"\n") + 1]
        fields: Any = self.openings.requests.fields(lines)
        self.asked += 1
        if fields[KEY] is not None or headers.names_websocket(fields[UPGRADE]):
            self.ask_upgrade(first_line(lines), fields, len(begun))
            return
        self.client.other_bytes += len(begun)
        self.cut_request = begun

    def lost_answer(self, begun: bytes) -> None:
        """An answer's head broke off at a gap after `begun`, or is missing from its first byte."""
        status: cython.int = status_of(begun) if len(begun) >= 13 else 0
        fields: Any = self.openings.answers.fields(begun[: begun.rfind(b"\n") + 1])
        unsaid: cython.bint = fields[UPGRADE] is None and (self.asked == 0 or self.cut_request is not None)
        if self.waiting == TUNNEL_ANSWER:
            self.server.other_bytes += len(begun)
            self.give_up()
        elif status == 101 and (self.waiting == UPGRADE_ANSWER or unsaid or headers.names_websocket(fields[UPGRADE])):
            self.switch(fields, len(begun), False)
        elif status >= 200:
            self.final_answer(status, len(begun))
        else:
            self.server.other_bytes += len(begun)
            self.answer_lost = self.waiting == UPGRADE_ANSWER
            if self.answer_lost and self.client.holds_frames():
                self.presume()
