"""Streams of an HTTP/2 connection whose request the capture lacks or does not tell: WebSockets if they carry frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from analyzer.records import MISSING, Connection, Flow, Source
from analyzer.upgrade.http2_streams import BESIDE, StreamSource
from analyzer.upgrade.midstream import Midstream, Watcher

if TYPE_CHECKING:
    from analyzer.upgrade.http1 import Openings


class OlderStream(Midstream):
    """One stream of which nobody knows what it was asked for.

    low, high: its two directions, by the ends of the connection that carries it; adopt(stream, connection): it is a
    WebSocket; fields: what is known of its request; status: of its answer, MISSING where that is not known; first: time
    of its request, or first data.
    """

    low_source: StreamSource
    high_source: StreamSource

    def __init__(
        self,
        openings: Openings,
        flow: Flow,
        number: int,
        carriers: tuple[Source, Source],
        account: Callable[[str, int], None],
        adopt: Callable[[OlderStream, Connection], None],
        fields: dict[bytes, bytes],
    ) -> None:
        self.number = number
        self.account = account
        self.adopt = adopt
        self.fields = fields
        self.status = MISSING
        self.first = openings.packet.time
        packet, room = openings.packet, openings.room
        self.low_source, self.high_source = (StreamSource(packet, each, account, room) for each in carriers)
        self.low_source.waits = self.high_source.waits = False
        super().__init__(openings, flow, self.low_source, self.high_source)

    def source(self, carrier: Source) -> StreamSource:
        """The direction that a source of the connection carries."""
        return self.low_source if self.low_source.carrier is carrier else self.high_source

    def look_again(self) -> None:
        """It ends here: chains that hold to the end are enough."""
        for watcher in (self.low, self.high):
            if not watcher.hopeless:
                watcher.weigh(True)
        if self.low.source is not None and isinstance(self.low.source.reader, Watcher):
            self.decide()

    def connect(self, client: Watcher, basis: str) -> Connection:
        """See Midstream."""
        connection = super().connect(client, basis)
        connection.http = "2"
        connection.http_stream = self.number
        connection.recognised = self.first
        self.adopt(self, connection)
        return connection

    def meet_http(self, watcher: Watcher) -> None:
        """Within a stream there is no handshake of HTTP/1.1."""
        self.give_up()

    def give_up(self) -> None:
        """It is no WebSocket: what comes is passed over."""
        for watcher in (self.low, self.high):
            if isinstance(watcher.source.reader, Watcher):
                self.account(BESIDE, watcher.seen)
            watcher.source.reader = None
            watcher.forget()

    def gap(self, carrier: Source, cut: bool) -> None:
        """Bytes of the connection are missing, and with them some of the stream's, nobody knows how many."""
        self.source(carrier).miss(MISSING, cut)
