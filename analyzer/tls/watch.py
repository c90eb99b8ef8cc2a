"""A TLS connection without keys: its records are stepped over, their lengths looked at, and at its end it is decided
what it was. What is kept of each is small: a capture may hold many, and few are WebSockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from analyzer.records import END_CAPTURE, END_RST, MISSING, Connection, Flow, Packet, Reader, Side, Source
from analyzer.tls.shape import Shape

ALERT, CONTENT_TYPES = 21, range(20, 24)  # RFC 8446 5.1
ALERT_BODY = 2  # of an alert in clear
HEADER = 5
LONGEST = 16384 + 2048  # body of a record (RFC 5246 6.2.3)
EVERYTHING = 1 << 62
HARMLESS = frozenset((0, 90))  # alerts that end no handshake: close_notify, user_canceled (RFC 8446 6.1)
COUNTS = ("frames", "messages", "bytes", "wire_bytes", "pings", "unanswered_pings")

Recognised = Callable[[Connection], object]


class Watched:
    """Both directions. client: the source whose sender said ClientHello; ends: how many have ended."""

    __slots__ = ("client", "ends", "flow", "packet", "recognised", "server", "shape")

    def __init__(self, packet: Packet, flow: Flow, shape: Shape, client: Source, recognised: Recognised) -> None:
        self.packet = packet
        self.flow = flow
        self.shape = shape
        self.client = self.server = client  # the server's source is known once it is watched
        self.recognised = recognised
        self.ends = 0

    def watch(self, carrier: Source) -> Watch:
        """Watch a direction."""
        if carrier is not self.client:
            self.server = carrier
        return Watch(self, carrier)

    def let_go(self) -> None:
        """It is no WebSocket: its bytes pass unread."""
        for carrier in (self.client, self.server):
            carrier.reader = None
            carrier.skip = EVERYTHING

    def over(self, how: int) -> None:
        """A direction has ended."""
        self.ends += 1
        if self.ends == 2 or how in (END_CAPTURE, END_RST):
            unfinished = not self.shape.shaken and not self.shape.request
            sources = self.client, self.server
            decide(self.packet, self.flow, sources, self.shape, unfinished, self.recognised)


class Watch(Reader):
    """One direction: reads record headers, and alerts in clear.

    begun: bytes of a header, or of an alert, that is not whole; to_pass: bytes of the record under way that are left.
    """

    __slots__ = ("begun", "by_client", "to_pass", "watched")

    def __init__(self, watched: Watched, carrier: Source) -> None:
        self.watched = watched
        self.by_client = carrier is watched.client
        self.begun = b""
        self.to_pass = 0
        carrier.reader = self

    def data(self, start: int, stop: int) -> None:
        """See Reader."""
        packet = self.watched.packet
        self.take(bytes(packet.data[start:stop]), packet.time)
        if self.watched.shape.hopeless:
            self.watched.let_go()

    def take(self, text: bytes, time: int) -> None:
        """The next bytes, of a packet with this time."""
        account(self.watched.flow, "undecrypted", len(text))
        at, size, shape = 0, len(text), self.watched.shape
        while at < size and not shape.lost:
            if self.to_pass:
                passed = min(self.to_pass, size - at)
                self.to_pass -= passed
                at += passed
                continue
            wanted = HEADER - len(self.begun) if len(self.begun) < HEADER else HEADER + ALERT_BODY - len(self.begun)
            self.begun += text[at : at + wanted]
            at += wanted
            if len(self.begun) >= HEADER:
                self._record(time)

    def _record(self, time: int) -> None:
        """A header is whole, or an alert."""
        kind, major, length = self.begun[0], self.begun[1], int.from_bytes(self.begun[3:5], "big")
        shape = self.watched.shape
        if kind not in CONTENT_TYPES or major != 3 or length > LONGEST:
            shape.lost = True
            return
        if kind == ALERT and length == ALERT_BODY:
            if len(self.begun) < HEADER + ALERT_BODY:
                return
            facts: Any = self.watched.flow.tls
            facts.alert(self.by_client, self.begun[HEADER + 1], self.watched.packet)
        else:
            self.to_pass = length
        self.begun = b""
        shape.record(self.by_client, kind, length, time)

    def gap(self, size: int, cut: bool) -> None:
        """See Reader. What was cut from a record is carried over by its length; after a loss the order is not sure."""
        if cut and 0 <= size <= self.to_pass:
            self.to_pass -= size
        else:
            self.watched.shape.lost = True

    def end(self, how: int) -> None:
        """See Reader."""
        self.watched.over(how)


def account(flow: Flow, kind: str, size: int) -> None:
    """Put captured bytes into a cell of the ledger."""
    cells = flow.layer_bytes
    if cells is None:
        cells = flow.layer_bytes = {}
    cells[kind] = cells.get(kind, 0) + size


def decide(
    packet: Packet,
    flow: Flow,
    sources: tuple[Source, Source],
    shape: Shape | None,
    unfinished: bool,
    recognised: Recognised,
) -> None:
    """Nothing more comes of a connection that nobody could read: is it a WebSocket, or one that failed?

    sources: the client's, the server's; unfinished: its handshake was not over.
    """
    facts = flow.tls
    if facts is None or flow.connections is not None or facts.failed is not None:
        return
    closing = shape.closing() if shape is not None else None
    if shape is not None and shape.is_websocket(closing):
        facts.inferred_ping_period = shape.ping_period() or MISSING
        if closing is not None:
            facts.inferred_initiator = "client" if closing.by_client else "server"
            facts.inferred_reason_length = closing.reason_length
        connection = row_of(packet, flow, sources)
        connection.opening = "encrypted"
        hide(connection.client)
        hide(connection.server)
        flow.connections = [connection]
        recognised(connection)
    elif failed(flow, unfinished):
        facts.failed = row_of(packet, flow, sources)
        flow.connections = []


def failed(flow: Flow, unfinished: bool) -> bool:
    """Did TLS or the transport end before the handshake was over, with nothing missing of it?"""
    if flow.tls is None or flow.end_how == END_CAPTURE or flow.missing_bytes():
        return False
    return unfinished or any(description not in HARMLESS for _, description, _, _ in flow.tls.alerts)


def row_of(packet: Packet, flow: Flow, sources: tuple[Source, Source]) -> Connection:
    """A row; TLS tells the client by its hello."""
    connection = Connection()
    connection.flow = flow
    connection.recognised = packet.time
    connection.client.source, connection.server.source = sources
    client_is_low = sources[0] is flow.low or sources[1] is flow.high
    connection.client.half, connection.server.half = (flow.low, flow.high) if client_is_low else (flow.high, flow.low)
    return connection


def hide(side: Side) -> None:
    """Nothing is known of a side's frames."""
    side.exact = False
    for name in COUNTS:
        setattr(side, name, MISSING)
