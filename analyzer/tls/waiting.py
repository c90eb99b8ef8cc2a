"""What of a TLS connection must wait before it can be read: for the other side's hello, for secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.records import Half, Moment, Packet, Reader, Source

if TYPE_CHECKING:
    from analyzer.tls.connection import Layer

HELLOS, KEYS_AWAITED, GUESSING, READY = range(4)  # states of the layer
HELD_ENTRY = 200  # what keeping one piece costs beside its bytes


class Held(NamedTuple):
    """What came and waits: bytes, a gap or the end.

    order: among what waits in both directions; offset: of the first byte in the carrier; gap, cut, ended: see Reader.
    """

    order: int
    moment: Moment
    chunk: bytes = b""
    offset: int = 0
    gap: int = 0
    cut: bool = False
    ended: int = -1


class Waiting(Reader):
    """One direction, whose bytes may have to wait.

    carrier: gives its bytes; held: what waits, None while nothing does; ended: how it ended, -1 before. framing: bytes
    that came and are not accounted for. Who can read it fills in take, miss, finish, leave and account.
    """

    def __init__(self, layer: Layer, packet: Packet, carrier: Source, half: Half) -> None:
        self.layer = layer
        self.packet = packet
        self.carrier = carrier
        self.half = half
        self.held: list[Held] | None = None
        self.ended = -1
        self.framing = 0
        carrier.reader = self

    def take(self, chunk: bytes, offset: int) -> None:
        """Read bytes that follow what came before; offset: of the first in the carrier."""

    def miss(self, size: int, cut: bool) -> None:
        """`size` bytes of the carrier are missing."""

    def finish(self, how: int) -> None:
        """Nothing more comes."""

    def leave(self, rest: bytes) -> None:
        """Another reads on, or nobody: give it these bytes."""

    def account(self) -> None:
        """Put what came into the ledger."""

    def data(self, start: int, stop: int) -> None:
        """See Reader."""
        chunk = bytes(self.packet.data[start:stop])
        self.framing += len(chunk)
        if self.held is None:
            self.take(chunk, self.carrier.offset)
        else:
            self._hold(len(chunk), chunk=chunk, offset=self.carrier.offset)
            self.layer.secrets.take_new()
        self.account()

    def gap(self, size: int, cut: bool) -> None:
        """See Reader."""
        if self.held is None:
            self.miss(size, cut)
        else:
            self._hold(0, gap=size, cut=cut)
        self.account()

    def end(self, how: int) -> None:
        """See Reader."""
        self.ended = how
        if self.held is None and self.layer.state == KEYS_AWAITED:
            self.held = []
        if self.held is None:
            self.finish(how)
        else:
            self._hold(0, ended=how)
            self.layer.last_call()
            self.account()

    def wait(self, text: bytes, at: int, offset: int) -> int:
        """What begins at text[at] must wait; where that ends."""
        self.held = []
        self._hold(len(text) - at, chunk=text[at:], offset=offset + at)
        return len(text)

    def _hold(self, size: int, **what: Any) -> None:
        assert self.held is not None
        order = self.layer.hold(size + HELD_ENTRY)
        self.held.append(Held(order, Moment(self.packet, self.half), **what))
        self.layer.check_held()

    def release(self) -> list[Held]:
        """What was held; it is to be given to read_held."""
        held, self.held = self.held or [], None
        return held

    def read_held(self, piece: Held) -> None:
        """Read a piece that was held, at its own moment, unless it must wait again."""
        if self.held is not None:
            self.held.append(piece)
            return
        now = Moment(self.packet, self.half)
        piece.moment.recall(self.packet, self.half, True)
        try:
            self._read(piece)
        finally:
            now.recall(self.packet, self.half, True)

    def _read(self, piece: Held) -> None:
        reader = self.carrier.reader
        if piece.chunk:
            if reader is self:
                self.take(piece.chunk, piece.offset)
            else:
                self.leave(piece.chunk)
        elif reader is not None and piece.gap:
            (self.miss if reader is self else reader.gap)(piece.gap, piece.cut)
        elif reader is not None and piece.ended >= 0:
            (self.finish if reader is self else reader.end)(piece.ended)
