"""Which services have WebSockets, and the failed TLS handshakes that are rows only if theirs has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer import limits
from analyzer.records import Connection, Flow, Half

if TYPE_CHECKING:
    from collections.abc import Iterator

Service = tuple[int, int, int, int] | str


class Services:
    """The services on which a WebSocket was recognised: by address and port, and by the name asked for in TLS.

    ports: servers' ports that are said to be a WebSocket's. left_out: how many failed handshakes were too many to keep.
    others: failed handshakes of services without WebSockets.
    """

    def __init__(self, ports: frozenset[int]) -> None:
        self._ports = ports
        self._known: set[Service] = set()
        self._waiting: list[Flow] = []
        self.left_out = self.others = 0

    def add(self, connection: Connection) -> None:
        """A WebSocket was recognised."""
        self._known.update(_names(connection))

    def knows(self, failed: Connection) -> bool:
        """Is the service of a failed handshake one of those?"""
        port = failed.flow.high_port if failed.server.half is failed.flow.high else failed.flow.low_port
        return port in self._ports or not self._known.isdisjoint(_names(failed))

    def keep(self, flow: Flow) -> bool:
        """Keep the flow of a failed handshake until all is read; False if there are too many."""
        if len(self._waiting) >= limits.TLS_FAILURES:
            self.left_out += 1
            return False
        self._waiting.append(flow)
        return True

    def kept(self) -> Iterator[Flow]:
        """The flows that were kept, in the order in which they ended."""
        waiting, self._waiting = self._waiting, []
        return iter(waiting)


def _names(connection: Connection) -> list[Service]:
    flow: Flow = connection.flow
    half: Half = connection.server.half
    names: list[Service] = []
    if half is flow.high:
        names.append((flow.version, flow.high_high, flow.high_low, flow.high_port))
    else:
        names.append((flow.version, flow.low_high, flow.low_low, flow.low_port))
    if flow.tls is not None and flow.tls.sni:
        names.append(flow.tls.sni.lower())
    return names
