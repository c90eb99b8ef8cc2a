"""The upgrade stage for HTTP/2 (RFC 9113): finds the WebSockets on a connection (RFC 8441), each on its own stream.

The connection's bytes come from any two sources: TCP, or a layer over it. Nothing is judged here: a CONNECT for the
protocol "websocket" is a row, a 2xx answer opens it, and END_STREAM, RST_STREAM and GOAWAY end it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from analyzer import limits
from analyzer.records import (
    END_CAPTURE,
    END_GOAWAY,
    END_STREAM_RESET,
    MISSING,
    NO_TIME,
    Connection,
    Flow,
    Source,
)
from analyzer.records import END_STREAM as END_OF_STREAM
from analyzer.upgrade import headers
from analyzer.upgrade.http2_frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    LOW_31,
    PADDED,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    START,
    WITH_PRIORITY,
    Exchange,
    FrameWalk,
)
from analyzer.upgrade.http2_older import OlderStream
from analyzer.upgrade.http2_streams import ASKED, OPEN, REFUSED, Stream, StreamSource

if TYPE_CHECKING:
    from analyzer.upgrade.http1 import Openings

Fields = dict[bytes, bytes]

UNKNOWN = b"?"  # the name and the value of what the capture does not tell
ENTRY_SIZE = 34  # of such an entry in the dynamic table: 32 bytes beside its text (RFC 7541 4.1)
ENABLE_CONNECT = b"\0\x08\0\0\0\x01"  # SETTINGS_ENABLE_CONNECT_PROTOCOL = 1 (RFC 8441 3)
LOW_32 = (1 << 32) - 1
LINGER = limits.LINGER_SECONDS * 1_000_000_000


def decoder(begun: bool) -> Any:
    """An HPACK decoder (RFC 7541). begun: entries that the capture lacks may stand in its table; fields that refer to
    them get the name or value UNKNOWN, for indexes count from the newest entry (2.3.3)."""
    from hpack import Decoder

    made = Decoder(max_header_list_size=limits.HEADER_LIST)
    made.max_allowed_table_size = limits.HEADER_TABLE
    if begun:
        made.header_table_size = limits.HEADER_TABLE
        for _ in range(limits.HEADER_TABLE // ENTRY_SIZE):
            made.header_table.add(UNKNOWN, UNKNOWN)
    return made


class Http2(Exchange):
    """One HTTP/2 connection.

    concluded(connection): takes a row whose stream has been over for a while. exact: both directions begin with their
    first byte. streams: those of WebSockets, by number; closing: (time, stream) of those that are over, in order;
    ended: the directions of which nothing more comes; allowing: those that allow extended CONNECTs; lossy: those that
    lost bytes. last: the last stream that the server's GOAWAY lets live (RFC 9113 6.8). proxied: the source of a PROXY
    header. older: streams of which the capture does not tell what they were asked for, since they were open before it
    began or their header fields refer to what it lacks; None where it is known by now what they are; first_asked: the
    first stream that was not open before.
    """

    def __init__(
        self,
        openings: Openings,
        concluded: Callable[[Connection], None],
        flow: Flow,
        sources: tuple[Source, Source],
        exact: bool,
    ) -> None:
        super().__init__(flow, openings.room)
        self.openings = openings
        self.packet = openings.packet
        self.concluded = concluded
        self.proxied: str | None = None
        low, high = sources
        self.low = FrameWalk(self, self.packet, low, flow.low, exact or flow.low.syn)
        self.high = FrameWalk(self, self.packet, high, flow.high, exact or flow.high.syn)
        self.low.peer, self.high.peer = self.high, self.low
        self.streams: dict[int, Stream] = {}
        self.closing: deque[tuple[int, Stream]] = deque()
        self.last = LOW_31
        self.ended: set[FrameWalk] = set()
        self.allowing: set[FrameWalk] = set()
        self.lossy: set[FrameWalk] = set()
        self.older: dict[int, OlderStream | None] = {}
        self.begun_later = not (self.low.exact or self.high.exact)
        self.first_asked = LOW_31
        flow.opening = self

    def part(self) -> None:
        """Let the directions go: in a ring they would wait for the garbage collector."""
        for walk in (self.low, self.high):
            walk.drop_kept()
            walk.exchange = walk.peer = None  # type: ignore[assignment]
        for older in self.older.values():
            if older is not None:
                older.low.forget()
                older.high.forget()
        self.streams.clear()
        self.older.clear()
        self.closing.clear()
        self.ended.clear()
        self.allowing.clear()
        self.lossy.clear()

    def source_of(self, walk: FrameWalk, stream: int) -> StreamSource | None:
        """See Exchange."""
        known = self.streams.get(stream)
        if known is None:
            return self.source_of_older(walk, stream) if self.begun_later or self.older else None
        if known.state == REFUSED:
            return None
        return known.client if known.client.carrier is walk.source else known.server

    def source_of_older(self, walk: FrameWalk, number: int) -> StreamSource | None:
        """Who takes the data of a stream of which nobody knows what it is: it may be a WebSocket."""
        if number not in self.older and self.begun_later and number % 2 and number < self.first_asked:
            self.search(number, {})
        stream = self.older.get(number)
        return None if stream is None else stream.source(walk.source)

    def search(self, number: int, fields: Fields) -> None:
        """Look for frames in the data of a stream; fields: what is known of its request."""
        if number not in self.older and len(self.older) < limits.HTTP2_OLDER_STREAMS:
            carriers = self.low.source, self.high.source
            self.older[number] = OlderStream(
                self.openings, self.flow, number, carriers, self.account, self.adopt, fields
            )

    def adopt(self, older: OlderStream, connection: Connection) -> None:
        """A stream that was open before turns out to be a WebSocket."""
        sources = older.low_source, older.high_source
        client, server = sources if connection.client.source is older.low_source else sources[::-1]
        stream = self.streams[older.number] = Stream(older.number, connection, client, server)
        stream.state = OPEN
        describe(connection, older.fields)
        connection.http_status = older.status
        self.settle_older(older.number)

    def leave_older(self, number: int) -> None:
        """A stream of which it is not known what it is ends: the last chance to see that."""
        older = self.older.get(number)
        if older is not None:
            older.look_again()
            if number not in self.streams:
                older.give_up()
            self.settle_older(number)

    def settle_older(self, number: int) -> None:
        """It is known now what a stream is; of one that was open before, that must be remembered."""
        self.older[number] = None
        if number >= self.first_asked:
            del self.older[number]

    def side_of(self, stream: Stream, walk: FrameWalk) -> StreamSource:
        """The direction of a stream that a direction of the connection carries."""
        return stream.client if stream.client.carrier is walk.source else stream.server

    def frame(self, walk: FrameWalk, kind: int, flags: int, stream: int, payload: bytes | None) -> None:
        """See Exchange."""
        if kind == HEADERS or kind == PUSH_PROMISE:
            if walk.block is not None:  # the block before never ended
                walk.decoder = decoder(True)
            walk.block = bytearray()
            walk.block_frame = kind, flags, stream
            self.fragment(walk, flags, None if payload is None else content(kind, flags, payload))
        elif kind == CONTINUATION:
            self.fragment(walk, flags, payload if walk.block_frame[2] == stream else None)
        elif kind == RST_STREAM:
            whole = payload is not None and len(payload) == 4
            self.reset(walk, stream, int.from_bytes(payload or b"", "big") if whole else MISSING)
        elif kind == SETTINGS:
            if payload is not None and ENABLE_CONNECT in (payload[at : at + 6] for at in range(0, len(payload), 6)):
                self.allowing.add(walk)
        elif payload is not None and len(payload) >= 8:
            self.go_away(walk, int.from_bytes(payload[:4], "big") & LOW_31, int.from_bytes(payload[4:8], "big"))

    def fragment(self, walk: FrameWalk, flags: int, text: bytes | None) -> None:
        """A piece of a header block (RFC 9113 4.3); None: it is not there."""
        block = walk.block
        if block is not None and text is not None and len(block) + len(text) <= limits.HEADER_BLOCK:
            block += text
        else:
            block = walk.block = None
        if flags & END_HEADERS:
            walk.block = None
            kind, first_flags, stream = walk.block_frame
            fields = self.decode(walk, block)
            if kind == HEADERS:
                self.head(walk, stream, fields)
                if first_flags & END_STREAM:
                    self.end_stream(walk, stream)

    def decode(self, walk: FrameWalk, block: bytearray | None) -> Fields:
        """The fields of a header block, equal names joined. After a block that is missing or can't be read, what it
        added to the table is not known."""
        fields: Fields = {}
        if walk.decoder is None:
            walk.decoder = decoder(not walk.exact)
        try:
            found = () if block is None else walk.decoder.decode(bytes(block), raw=True)
        except Exception:  # of the library's own kinds, and whatever broken input makes of it
            block, found = None, ()
        if block is None:
            walk.decoder = decoder(True)
        for name, value in found:
            if name in fields:
                value = fields[name] + b", " + value
            fields[name] = value
        return fields

    def head(self, walk: FrameWalk, number: int, fields: Fields) -> None:
        """A header block of a stream: a request, its answer, an interim one, or trailers."""
        stream = self.streams.get(number)
        if stream is None:
            if b":status" not in fields and number % 2:
                self.first_asked = min(self.first_asked, number)
            if asks(fields):
                self.leave_older(number)  # its answer came before it: packets out of order
                if number not in self.streams:
                    self.ask(walk, number, fields)
            elif may_ask(fields) and number % 2:
                self.search(number, fields)
            elif (older := self.older.get(number)) is not None:
                self.answer_older(older, number_of(fields.get(b":status")))
        elif self.side_of(stream, walk) is stream.server and stream.state == ASKED:
            self.answer(stream, fields)

    def ask(self, walk: FrameWalk, number: int, fields: Fields) -> None:
        """An extended CONNECT: a row."""
        walk.is_client = True
        flow, peer = self.flow, self.high if walk is self.low else self.low
        connection = Connection()
        connection.flow = flow
        connection.http = "2"
        connection.http_stream = number
        connection.recognised = self.packet.time
        describe(connection, fields)
        connection.forwarded_for = connection.forwarded_for or self.proxied
        client = StreamSource(self.packet, walk.source, self.account, self.openings.room)
        server = StreamSource(self.packet, peer.source, self.account, self.openings.room)
        connection.client.source, connection.client.half = client, walk.half
        connection.server.source, connection.server.half = server, peer.half
        if flow.connections is None:
            flow.connections = []
        flow.connections.append(connection)
        stream = self.streams[number] = Stream(number, connection, client, server)
        self.openings.recognised(connection)
        if self.openings.judge is not None and is_whole(fields):
            self.openings.judge.connect(connection, fields, self.allows(peer))
        if number > self.last:
            self.refuse_by_goaway(stream)

    def allows(self, server: FrameWalk) -> bool | None:
        """Had the server allowed extended CONNECTs (RFC 8441 3)? None where that is not known: its SETTINGS may be
        missing, or wait for their secrets."""
        if server in self.allowing:
            return True
        half = server.half
        captured = half.syn or half.packets > 0
        missing = half.held is not None or 0 < (half.peer.acknowledgment - half.next) & LOW_32 < 1 << 31
        seen = server.exact and captured and not missing and server not in self.lossy
        return False if seen and (server.phase != START or self.flow.tls is None) else None

    def answer(self, stream: Stream, fields: Fields) -> None:
        """The answer to a CONNECT (RFC 8441 5: 2xx opens it); interim ones say nothing. One whose status is not known
        leaves it to what follows."""
        connection, judge = stream.connection, self.openings.judge
        status = number_of(fields.get(b":status"))
        if status is None or status < 200:
            stream.unsaid = stream.unsaid or status is None
            if status is not None and judge is not None:
                judge.interim(connection, status)
            return
        connection.http_status = status
        if status >= 300:
            connection.opening = "refused"
            stream.state = REFUSED
            stream.client.drop()
            stream.server.drop()
            if judge is not None and is_whole(fields):
                judge.accept(connection, fields)
            return
        connection.subprotocol = text_of(fields.get(b"sec-websocket-protocol"))
        connection.extensions = text_of(fields.get(b"sec-websocket-extensions"))
        headers.agree(connection, connection.extensions)
        connection.opened = self.packet.time
        if judge is not None and stream.client.held:
            sent, _, packet, file, _ = stream.client.held[0]
            judge.early(connection, sent, packet, file)
        self.open(stream)
        if judge is not None and is_whole(fields):
            judge.accept(connection, fields)

    def answer_older(self, older: OlderStream, status: int | None) -> None:
        """The answer on a stream that may be a WebSocket (RFC 8441 5)."""
        if status is not None and status >= 300:
            older.give_up()
            self.settle_older(older.number)
        elif status is not None and status >= 200:
            older.status = status

    def open(self, stream: Stream) -> None:
        """From here on both directions are frames."""
        connection = stream.connection
        connection.opening = "handshake"
        stream.state = OPEN
        self.openings.accept(connection)
        connection.client.over_limit_bytes += stream.client.release()
        connection.server.over_limit_bytes += stream.server.release()

    def waits(self, walk: FrameWalk, number: int) -> None:
        """See Exchange. Where the answer may be missing, frames say that it was 2xx."""
        stream = self.streams[number]
        if stream.unsaid and self.side_of(stream, walk).holds_frames():
            self.open(stream)

    def end_stream(self, walk: FrameWalk, number: int) -> None:
        """See Exchange. Both sides' END_STREAM end the stream as both FINs end TCP (RFC 8441 5)."""
        self.leave_older(number)
        stream = self.streams.get(number)
        if stream is None or stream.connection.ended:
            return
        source = self.side_of(stream, walk)
        if source.finished:
            return
        source.finished = True
        stream.close(END_OF_STREAM, source is stream.client)
        stream.note(END_OF_STREAM, source is stream.client, MISSING, self.packet)
        source.close(END_OF_STREAM)
        if stream.client.finished and stream.server.finished:
            self.over(stream)

    def reset(self, walk: FrameWalk, number: int, error: int) -> None:
        """RST_STREAM (RFC 9113 6.4) ends a stream as an RST ends TCP (RFC 8441 5). error: its code, or MISSING."""
        self.leave_older(number)
        stream = self.streams.get(number)
        if stream is None:
            return
        source = self.side_of(stream, walk)
        if source.was_reset:
            return
        source.was_reset = True
        stream.note(END_STREAM_RESET, source is stream.client, error, self.packet)
        if stream.connection.ended:
            return
        stream.close(END_STREAM_RESET, source is stream.client)
        if not source.finished:
            source.close(END_STREAM_RESET)
        self.over(stream)

    def go_away(self, walk: FrameWalk, last: int, error: int) -> None:
        """The sender of GOAWAY takes no stream above the last one it names (RFC 9113 6.8): those of its peer."""
        for stream in list(self.streams.values()):
            by_client = self.side_of(stream, walk) is stream.client
            if not stream.connection.ended:
                stream.note(END_GOAWAY, by_client, error, self.packet)
            if stream.number > last and not by_client:
                self.refuse_by_goaway(stream)
                self.last = min(self.last, last)

    def refuse_by_goaway(self, stream: Stream) -> None:
        """The server has not taken, and will not take, what came on this stream."""
        if stream.connection.ended:
            return
        stream.close(END_GOAWAY, False)
        for source in (stream.client, stream.server):
            if not source.finished:
                source.close(END_GOAWAY)
            source.finished = True
        self.over(stream)

    def over(self, stream: Stream) -> None:
        """The stream has ended. Its row waits a while for what was under way, acknowledgments above all."""
        stream.over(self.packet.time)
        self.closing.append((self.packet.time, stream))

    def time_passes(self) -> None:
        """See Exchange: rows of streams that ended a while ago are complete."""
        while self.closing and self.packet.time != NO_TIME:
            time, stream = self.closing[0]
            if time == NO_TIME or self.packet.time - time <= LINGER:
                return
            self.closing.popleft()
            for source in (stream.client, stream.server):
                self.finish(source, END_CAPTURE)
                source.drop()
            del self.streams[stream.number]
            self.concluded(stream.connection)

    def finish(self, source: StreamSource, how: int) -> None:
        """Nothing more comes of a direction of a stream, if it has not ended before."""
        if not source.finished and not source.was_reset:
            source.close(how)

    def lost(self, walk: FrameWalk, cut: bool) -> None:
        """See Exchange. Header blocks may be missing, and bytes of every stream."""
        walk.block = None
        walk.decoder = decoder(True)
        self.lossy.add(walk)
        for older in self.older.values():
            if older is not None:
                older.gap(walk.source, cut)
        for stream in self.streams.values():
            source = self.side_of(stream, walk)
            stream.unsaid = stream.unsaid or source is stream.server
            if stream.unsaid and stream.state == ASKED and stream.client.holds_frames():
                self.open(stream)
            if not source.finished and not source.was_reset:
                source.miss(MISSING, cut)

    def end(self, walk: FrameWalk, how: int) -> None:
        """See Exchange. The end of the flow ends what is left of its streams."""
        for number in list(self.older):
            self.leave_older(number)
        for stream in list(self.streams.values()):
            source = self.side_of(stream, walk)
            self.finish(source, how)
        self.ended.add(walk)
        if len(self.ended) == 2:
            for stream in self.streams.values():
                if stream.state == ASKED:
                    stream.client.drop()
                    stream.server.drop()


def content(kind: int, flags: int, payload: bytes) -> bytes | None:
    """The piece of the header block that HEADERS or PUSH_PROMISE carry (RFC 9113 6.2, 6.6); None if none fits."""
    start, stop = 0, len(payload)
    if flags & PADDED:
        start, stop = 1, stop - (payload[0] if payload else 1)
    if kind == PUSH_PROMISE:
        start += 4
    elif flags & WITH_PRIORITY:
        start += 5
    return payload[start:stop] if start <= stop else None


def asks(fields: Fields) -> bool:
    """A CONNECT for a WebSocket (RFC 8441 4). Where the capture does not tell the protocol, its own fields do."""
    protocol = fields.get(b":protocol")
    if protocol is None and UNKNOWN in fields:
        return b"sec-websocket-version" in fields and b":status" not in fields
    return protocol is not None and protocol.lower() == b"websocket"


def may_ask(fields: Fields) -> bool:
    """May this be a CONNECT for a WebSocket of which the capture does not tell enough?"""
    if fields and UNKNOWN not in fields:
        return False
    return b":protocol" not in fields and b":status" not in fields and fields.get(b":method", b"CONNECT") == b"CONNECT"


def is_whole(fields: Fields) -> bool:
    """The capture tells every field."""
    return UNKNOWN not in fields and UNKNOWN not in fields.values()


def describe(connection: Connection, fields: Fields) -> None:
    """Fill in what a CONNECT says."""
    told = {name: text_of(value) for name, value in fields.items()}
    connection.path = told.get(b":path")
    connection.host = told.get(b":authority") or told.get(b"host")
    connection.origin = told.get(b"origin")
    connection.user_agent = told.get(b"user-agent")
    connection.offered_subprotocols = told.get(b"sec-websocket-protocol")
    connection.offered_extensions = told.get(b"sec-websocket-extensions")
    connection.forwarded_for = told.get(b"x-forwarded-for") or told.get(b"forwarded")


def text_of(value: bytes | None) -> str | None:
    """A field value as text; None where there is none."""
    return None if value is None else headers.text_of(value)


def number_of(status: bytes | None) -> int | None:
    """The status as a number (RFC 9110 15), None where it is none."""
    return int(status) if status is not None and len(status) == 3 and status.isdigit() else None
