"""Connections made by hand: the records as the stages leave them, told as a conversation."""

from __future__ import annotations

from typing import Any

from analyzer.records import END_CAPTURE, END_FIN, END_RST, MISSING, Close, Connection, Flow, Side

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


class Talk:
    """One TCP connection with one WebSocket, in which things happen a second apart.

    Everything sent is acknowledged by the other side before it sends anything, unless `unacknowledged` says not.
    """

    def __init__(self, opening: str = "handshake", client_is_low: bool = False, initial: int = 1000) -> None:
        self.flow, self.connection = Flow(), Connection()
        self.connection.flow = self.flow
        self.connection.number = 0
        self.connection.opening = opening
        self.connection.opened = START + SECOND if opening == "handshake" else self.connection.opened
        client, server = (self.flow.low, self.flow.high) if client_is_low else (self.flow.high, self.flow.low)
        self.client, self.server = self.connection.client, self.connection.server
        for side, half in ((self.client, client), (self.server, server)):
            side.half = side.source = half
            half.known = half.syn = half.acknowledges = True
            half.packets = 1
            half.next = half.acknowledgment = initial
        self.flow.version = 4
        self.flow.low_low, self.flow.low_port = 0x0A000001, 443
        self.flow.high_low, self.flow.high_port = 0x0A000002, 40000
        self.flow.start = START
        self.flow.first_packet = 1
        self.packet = 1
        self.time = START
        self.tick(2)

    def tick(self, seconds: float = 1) -> None:
        """Time passes, and a packet comes."""
        self.time += int(seconds * SECOND)
        self.packet += 1
        self.flow.last_time, self.flow.last_packet = self.time, self.packet
        self.flow.watched_until = self.time

    def send(self, side: Side, size: int, unacknowledged: bool = False) -> None:
        """The side sends `size` bytes; it has read everything that the other side sent before."""
        half = side.half
        half.packets += 1
        if not unacknowledged:
            self.acknowledge(side)
        half.offset += size
        half.next = (half.next + size) % (1 << 32)

    def acknowledge(self, side: Side) -> None:
        """The side acknowledges everything that the other one has sent, its FIN included."""
        theirs = side.peer.half
        fin = 1 if theirs.fin_offset >= 0 else 0
        side.half.acknowledgment = (theirs.next + fin) % (1 << 32)

    def message(self, side: Side) -> None:
        """A small text message."""
        self.tick()
        self.send(side, 7)
        side.frames += 1
        side.messages += 1
        side.last_frame = self.time

    def ping(self, side: Side, payload: bytes = b"") -> None:
        """A Ping that nobody has answered yet."""
        self.tick()
        self.send(side, 2 + len(payload))
        side.pings += 1
        side.outstanding_pings = [*(side.outstanding_pings or []), (self.time, payload, self.packet, 0)]
        side.last_frame = self.time

    def close(self, side: Side, body: bytes = b"\x03\xe8", unacknowledged: bool = False, **fields: Any) -> Close:
        """A Close. unacknowledged: its sender had not seen what the other side sent before."""
        self.tick()
        self._ending()
        close, theirs = Close(side), side.peer
        close.begin = side.half.offset
        self.send(side, 2 + len(body), unacknowledged)
        close.end = side.half.offset
        close.size = len(body)
        close.code = int.from_bytes(body[:2], "big") if len(body) > 1 else -1 if body else 0
        close.reason = body[2:]
        close.time, close.packet = self.time, self.packet
        close.acknowledged = theirs.half.offset if theirs.closes and not unacknowledged else MISSING
        close.after_peer_fin = theirs.half.finished
        close.after_peer_reset = theirs.half.was_reset
        for name, value in fields.items():
            setattr(close, name, value)
        side.closes = [*(side.closes or []), close]
        side.frames += 1
        side.last_frame = self.time
        return close

    def fin(self, side: Side, unacknowledged: bool = False) -> None:
        """A FIN; with the other side's the connection is over, and acknowledged if that one saw everything."""
        self.tick()
        self._ending()
        self.send(side, 0, unacknowledged)
        side.half.fin_offset, side.half.fin_time, side.half.finished = side.half.offset, self.time, True
        if self.flow.end_how == END_CAPTURE:
            self._end_by(side, END_FIN)
        if side.peer.half.finished:
            self._over()
            if not unacknowledged:
                self.acknowledge(side.peer)

    def reset(self, side: Side) -> None:
        """An RST."""
        self.tick()
        self._ending()
        side.half.was_reset, side.half.reset_time = True, self.time
        if self.flow.end_how == END_CAPTURE:
            self._end_by(side, END_RST)
        self._over()

    def lose(self, side: Side) -> None:
        """Bytes of the side are missing, and its frames can't be told from there on."""
        side.half.lost_bytes += 5
        side.broken, side.exact = True, False

    def never_captured(self, side: Side) -> None:
        """None of the side's packets is in the capture."""
        side.half.packets, side.half.syn = 0, False
        side.half.known = side.half.acknowledges = False
        side.exact = False
        side.closes = None

    def _ending(self) -> None:
        connection = self.connection
        if connection.ending < 0:
            connection.ending = self.time
            connection.ending_last_client = self.client.last_frame
            connection.ending_last_server = self.server.last_frame

    def _end_by(self, side: Side, how: int) -> None:
        self.flow.end_how = self.connection.end_how = how
        self.flow.end_by, self.connection.end_by = side.half, side

    def _over(self) -> None:
        if not self.flow.ended:
            self.flow.ended = self.flow.complete = True
            self.flow.end_time = self.connection.end_time = self.time
