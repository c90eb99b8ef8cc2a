"""Recognises a WebSocket whose handshake is not in the capture by its frames alone (RFC 6455 5.2).

Both directions of a flow that began before the capture, or lost its first bytes, are searched for chains of frames.
One side masks and the other does not (5.1): that tells the client. A flow of which one direction alone was captured
needs a stronger chain; one that is said to be a WebSocket, by its port, needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer import limits
from analyzer.chains import Chains
from analyzer.records import END_RST, Connection, Flow, Half, Moment, Packet, Reader, Side, Source
from analyzer.upgrade.heads import ANSWER, REQUEST, UNDECIDED, look

if TYPE_CHECKING:
    from analyzer.upgrade.http1 import Openings

BOTH_BITS, EACH_BITS = 36, 12  # what the chains of both directions show together, and each of them at least
ALONE_BITS, ALONE_FRAMES = 60, 5  # what the chain of a direction shows whose peer was not captured
ALONE_TEXT_BITS = 8  # of which by text, unless there are frames of several kinds: repeated bytes look like one kind
MEASURED_BITS = 120  # how far a chain that was found is followed
BOUND = limits.MIDSTREAM_BYTES
EVERYTHING = 1 << 62
LOOK = 256  # bytes that tell a head of HTTP/1.1
TLS_TYPES, TLS_MAJOR, TLS_MINOR = range(20, 25), 3, range(5)


def is_http(text: bytes) -> bool:
    """Do the bytes begin a head of HTTP/1.1, beyond doubt? Text of a message may look like a method."""
    kind = look(text)
    return kind == ANSWER or (kind == REQUEST and asks_surely(text))


def asks_surely(text: bytes) -> bool:
    """The same of what looks like a request."""
    return text.startswith(b"GET /") or b" HTTP/1." in text


def may_become_http(text: bytes) -> bool:
    """Are the bytes too few to tell?"""
    kind = look(text)
    return kind == UNDECIDED or (kind == REQUEST and len(text) < LOOK and b"\n" not in text)


def is_tls_record(text: bytes) -> bool:
    """Do the bytes begin a TLS record (RFC 8446 5.1)?"""
    return len(text) > 2 and text[0] in TLS_TYPES and text[1] == TLS_MAJOR and text[2] in TLS_MINOR


def may_begin_frame(text: bytes, masked: bool) -> bool:
    """Do the bytes begin a legal frame of a side that masks, or does not?"""
    if len(text) < 2:
        return True
    control = text[0] & 8
    return (
        not text[0] & 0x30
        and text[0] & 15 in (0, 1, 2, 8, 9, 10)
        and not (control and text[0] & 0xC0 != 0x80)
        and bool(text[1] & 0x80) == masked
    )


NOTHING = Chains(-1, True)  # of a direction of which no byte came


class Watcher(Reader):
    """One direction of a flow that may be a WebSocket.

    other_bytes: bytes that turned out to be no frames', once HTTP is read; seen: bytes looked at; gone: those of them
    that are no longer kept. place: where its frames begin, -1 while that is not known; weight, frames, masks, text,
    opcodes: of the chain there; certain: it is enough by itself. head: where a head of HTTP/1.1 may begin, -1 if none
    may. exhausted: so many bytes were seen that no more are wanted; hopeless: of either direction, so only a head of
    HTTP/1.1 is waited for.
    """

    __slots__ = (
        *("certain", "chains", "ended", "exhausted", "frames", "gone", "half", "head", "hopeless", "masks"),
        *("midstream", "opcodes", "other", "other_bytes", "packet", "place", "seen", "source", "text", "weight"),
    )

    def __init__(self, midstream: Midstream, packet: Packet, source: Source, half: Half) -> None:
        self.midstream, self.packet, self.source, self.half = midstream, packet, source, half
        self.chains = NOTHING
        self.other: Watcher = self  # until both are there
        self.other_bytes = self.seen = self.gone = self.weight = self.frames = self.masks = self.text = self.opcodes = 0
        self.place = self.head = -1
        self.certain = self.exhausted = self.hopeless = False
        self.ended: int | None = None
        source.reader = self

    def data(self, start: int, stop: int) -> None:
        chains, packet = self.chains, self.packet
        if chains is NOTHING:
            chains = self.chains = Chains(-1, True)
        if self.hopeless and self.head < 0:
            self.gone += chains.forget()
        at = len(chains.content)
        self.gone += chains.add(packet.data, start, stop, self.source.offset, Moment(packet, self.half))
        self.seen += stop - start
        if self.head < 0 and 65 <= packet.data[start] <= 90:
            self.head = at
        if self.head >= 0:
            text = bytes(chains.content[self.head : self.head + LOOK])
            if is_http(text):
                self.midstream.meet_http(self)
                return
            self.head = self.head if may_become_http(text) else -1
        if not self.hopeless:
            self.weigh(False)
            self.midstream.decide()
        self.tell_cost()

    def tell_cost(self) -> None:
        """Have what is kept count for the room of all."""
        self.midstream.openings.room.weigh(self, self.chains.cost(), Watcher.give_way)

    def forget(self) -> None:
        """Nothing that was kept is wanted any more."""
        self.gone += self.chains.forget()
        self.chains = NOTHING
        self.tell_cost()

    def give_way(self) -> None:
        """Too much is kept in all: what comes from here on is looked at."""
        self.forget()
        self.place = self.head = -1
        self.weight = self.frames = 0
        self.certain = False

    def gap(self, size: int, cut: bool) -> None:
        self.head = -1
        if not self.hopeless and self.chains is not NOTHING:
            self.gone += self.chains.missing(size, self.source.offset, cut)
            self.tell_cost()

    def end(self, how: int) -> None:
        self.ended = how
        if not self.hopeless:
            self.weigh(True)
            if how == END_RST and self.other.ended is None:  # the other direction may not be told that it is over
                self.other.weigh(True)
            self.midstream.decide()

    def weigh(self, ended: bool) -> None:
        """Take the measure of the chain that was found, or of one that begins with the first byte and still holds."""
        chains = self.chains
        if self.certain:
            chains.walk(self.place, ended)
        elif chains.look(ended):
            self.certain = True
            self.place = chains.begins
            chains.enough = MEASURED_BITS
            chains.walk(self.place, ended)
        else:
            self.place = 0 if chains.walk(0, ended) else -1
        if self.place >= 0:
            self.weight, self.frames, self.masks = chains.weight, chains.frames, chains.masks
            self.text, self.opcodes = chains.text, chains.opcodes
        else:
            self.weight = self.frames = 0

    def stands_alone(self) -> bool:
        """Is its chain enough where the other direction was not captured?"""
        several = self.opcodes & (self.opcodes - 1)
        varied = several or self.text >= ALONE_TEXT_BITS
        return bool(self.weight >= ALONE_BITS and self.frames >= ALONE_FRAMES and varied)


class Midstream:
    """A flow whose handshake is not in the capture, until it is known what it is."""

    __slots__ = ("flow", "high", "low", "openings")

    def __init__(self, openings: Openings, flow: Flow, low: Source, high: Source) -> None:
        self.openings, self.flow = openings, flow
        self.low = Watcher(self, openings.packet, low, flow.low)
        self.high = Watcher(self, openings.packet, high, flow.high)
        self.low.other, self.high.other = self.high, self.low

    def part(self) -> None:
        """Part from everything that leads back here: in a ring they would wait for the garbage collector."""
        for watcher in (self.low, self.high):
            watcher.forget()
            watcher.midstream = watcher.source = watcher.half = watcher.other = None  # type: ignore[assignment]

    def decide(self) -> None:
        """Is it a WebSocket, or can it be none?"""
        low, high = self.low, self.high
        if low.frames and high.frames and low.masks != high.masks:
            if min(low.weight, high.weight) >= EACH_BITS and low.weight + high.weight >= BOTH_BITS:
                self.accept(low if low.masks else high)
                return
        for watcher in (low, high):
            if watcher.other.half.captured_bytes == 0 and watcher.stands_alone():
                self.accept(watcher if watcher.masks else watcher.other)
                return
            if watcher.seen > (2 * BOUND if watcher.certain else BOUND) and not watcher.exhausted:
                self.lose_hope(watcher)

    def lose_hope(self, watcher: Watcher) -> None:
        """So much of a direction was seen that it is no WebSocket. The other one may yet ask for one."""
        watcher.exhausted = self.low.hopeless = self.high.hopeless = True
        watcher.source.skip = EVERYTHING
        watcher.forget()
        if self.low.exhausted and self.high.exhausted:
            self.give_up()

    def give_up(self) -> None:
        """It is no WebSocket, and none comes."""
        self.openings.count("other")
        for watcher in (self.low, self.high):
            watcher.forget()
            watcher.source.reader = None
            watcher.source.skip = EVERYTHING
        self.flow.opening = None

    def meet_http(self, watcher: Watcher) -> None:
        """A head of HTTP/1.1 begins in a direction: a handshake may come, in readers of its own."""
        low, high = self.low, self.high
        watcher.chains.begins = watcher.head
        rest = watcher.chains.rest()
        watcher.seen -= sum(len(piece[0]) for piece in rest)
        low.source.skip = high.source.skip = 0
        opening: Any = self.openings.read_http(self.flow, low.source, high.source)
        for each, direction in ((low, opening.low), (high, opening.high)):
            direction.other_bytes += each.seen
            if low.seen or high.seen:
                direction.gap(0, False)
        low.forget()
        high.forget()
        for piece in rest:
            watcher.chains.replay(piece, self.openings.packet, watcher.source, watcher.half)
        self.tell_ends()

    def tell_ends(self) -> None:
        """Directions may have ended before it was known what reads them."""
        for watcher in (self.low, self.high):
            if watcher.ended is not None and watcher.source.reader is not None:
                watcher.source.reader.end(watcher.ended)

    def accept(self, client: Watcher) -> None:
        """It is a WebSocket: both directions are frames, from where their chains begin."""
        connection = self.connect(client, "masks")
        pieces: list[tuple[tuple[int, int], Watcher, tuple[Any, ...]]] = []
        for watcher in (self.low, self.high):
            side = connection.client if watcher is client else connection.server
            self._place(watcher, side)
            order = (0, 0)
            for piece in watcher.chains.rest():
                order = order if piece[2] is None else (piece[2].file, piece[2].number)
                pieces.append((order, watcher, piece))
        pieces.sort(key=lambda entry: entry[0])
        for _, watcher, piece in pieces:
            watcher.chains.replay(piece, self.openings.packet, watcher.source, watcher.half)
        for watcher in (self.low, self.high):
            watcher.forget()
        self.tell_ends()

    def _place(self, watcher: Watcher, side: Side) -> None:
        """Have the frame reader of a direction begin where its chain does, or search for one."""
        chains, reader, source = watcher.chains, watcher.source.reader, watcher.source
        assert reader is not None
        offset = source.offset
        source.offset = chains.first_offset(offset)
        reader.data(0, 0)  # offsets count from the first byte seen
        source.offset = offset
        if watcher.place < 0:
            reader.gap(0, False)
        chains.begins = max(0, watcher.place)
        side.unread_bytes += chains.before() + watcher.gone

    def connect(self, client: Watcher, basis: str) -> Connection:
        """The row, and frame readers in place."""
        flow = self.flow
        connection = Connection()
        connection.flow = flow
        connection.client_basis = basis
        connection.opening = "midstream"
        connection.recognised = self.openings.packet.time
        for side, watcher in ((connection.client, client), (connection.server, client.other)):
            side.source, side.half = watcher.source, watcher.half
            side.deflate = side.context_lost = True  # nobody knows what was agreed: RSV1 says what is compressed
            side.exact = False
        if flow.connections is None:
            flow.connections = []
        flow.connections.append(connection)
        self.openings.recognised(connection)
        self.openings.accept(connection)
        return connection

    def force(self, client: Watcher) -> None:
        """It is said to be a WebSocket: the first bytes of each direction are believed to begin a frame if they may."""
        self.connect(client, "port")
        for watcher in (self.low, self.high):
            FirstLook(self.openings.packet, watcher.source, watcher is client)


class FirstLook(Reader):
    """Stands before a frame reader until the first bytes tell whether they may begin a frame."""

    def __init__(self, packet: Packet, source: Source, masked: bool) -> None:
        self.packet, self.source, self.masked = packet, source, masked
        assert source.reader is not None
        self.after: Reader = source.reader
        source.reader = self

    def data(self, start: int, stop: int) -> None:
        self.source.reader = self.after
        if not may_begin_frame(bytes(self.packet.data[start : start + 2][: stop - start]), self.masked):
            self.after.gap(0, False)
        self.after.data(start, stop)

    def gap(self, size: int, cut: bool) -> None:
        self.source.reader = self.after
        self.after.gap(size, cut)

    def end(self, how: int) -> None:
        self.after.end(how)
