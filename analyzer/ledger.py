"""Counts what became of the payload bytes of finished flows: every captured one is in exactly one cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.records import Connection, Flow, Half, Side

if TYPE_CHECKING:
    import cython


class ByteLedger:
    """The cells of the unit "byte", as values.LEDGER_MEANINGS explains them."""

    def __init__(self) -> None:
        self.duplicate: cython.longlong = 0
        self.before: cython.longlong = 0
        self.handshake: cython.longlong = 0
        self.frames: cython.longlong = 0
        self.skipped: cython.longlong = 0
        self.over: cython.longlong = 0
        self.after: cython.longlong = 0
        self.captured: cython.longlong = 0
        self.conflicting: cython.longlong = 0
        self.lost: cython.longlong = 0
        self.cut: cython.longlong = 0
        self.layers: dict[str, int] = {}

    def add(self, flow: Flow) -> None:
        """Count a flow of which nothing more comes."""
        self.half(flow.low)
        self.half(flow.high)
        if flow.opening is not None:
            self.before += flow.opening.low.other_bytes + flow.opening.high.other_bytes
        if flow.layer_bytes is not None:
            for kind, size in flow.layer_bytes.items():
                self.layers[kind] = self.layers.get(kind, 0) + size
        for connection in flow.connections or ():
            self.connection(connection)

    def half(self, half: Half) -> None:
        """Count what the stream stage knows of one direction."""
        self.captured += half.captured_bytes
        self.duplicate += half.duplicate_bytes
        self.before += half.skipped_bytes
        self.after += half.after_end_bytes
        self.conflicting += half.conflicting_bytes
        self.lost += half.lost_bytes
        self.cut += half.cut_bytes

    def connection(self, connection: Connection) -> None:
        """Count what the stages above know of one connection."""
        client: Side = connection.client
        server: Side = connection.server
        self.handshake += connection.handshake_bytes_client + connection.handshake_bytes_server
        self.frames += client.frame_bytes + server.frame_bytes
        self.skipped += client.unread_bytes + server.unread_bytes
        self.over += client.over_limit_bytes + server.over_limit_bytes

    def counts(self) -> dict[str, int]:
        """Bytes by kind."""
        cells = {
            "duplicate": self.duplicate,
            "handshake": self.handshake,
            "frames": self.frames,
            "skipped": self.skipped,
            "over a limit": self.over,
            "before the upgrade": self.before,
            "after the end": self.after,
        }
        for kind, size in self.layers.items():
            cells[kind] = cells.get(kind, 0) + size
        if rest := self.captured - sum(cells.values()):
            cells["unaccounted"] = rest
        return cells | {"conflicting": self.conflicting, "lost": self.lost, "cut by snaplen": self.cut}


def part(flow: Flow) -> None:
    """Part the records of a flow from each other: in a ring they would wait for the garbage collector."""
    connection: Connection
    for connection in flow.connections or ():
        part_connection(connection)
    part_half(flow.low)
    part_half(flow.high)
    if flow.opening is not None:
        flow.opening.part()
    flow.connections = flow.opening = flow.opener = flow.end_by = None


def part_connection(connection: Connection) -> None:
    """See part; a connection that ended before its flow is parted alone."""
    part_side(connection.client)
    part_side(connection.server)
    connection.flow = None  # type: ignore[assignment]


def part_side(side: Side) -> None:
    """See part."""
    side.source.reader = None
    side.connection = side.peer = side.source = side.half = side.closes = side.judge = None  # type: ignore[assignment]
    side.message = side.frame = side.breaches = None


def part_half(half: Half) -> None:
    """See part."""
    half.reader = half.peer = half.flow = None  # type: ignore[assignment]
