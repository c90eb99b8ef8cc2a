"""Follows the heartbeats of applications: small messages by which a side shows that it is there, or asks the other one.

What a beat looks like, and what answers it, is data of the catalogs. Followed are only connections whose catalog knows
heartbeats, and for their first messages those that may turn out to be of such a service.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer import limits
from analyzer.periods import period_of
from analyzer.records import NO_TIME, Connection, Side

if TYPE_CHECKING:
    from analyzer.catalogs import Catalog, Heartbeat

SERVICES = ("discord", "okx", "twitch", "graphql", "stomp", "centrifuge")
PATHS = ("id=", "EIO=", "vsn=", "protocol=", "encoding=", "/connection/", "/ws/v5/")
"""Parts of hosts and subprotocols, and of paths, one of which every service with heartbeats has: to load the catalogs
takes as long as to read 100 000 packets, and most captures need none. One that only its first messages tell, at another
path, is not followed."""

Place = tuple[int, int, int]


@dataclass(slots=True)
class Beats:
    """Heartbeats that one side sent before the end began. owed: they ask for an answer; waiting: time, packet and file
    of the oldest without one, at most limits.PING_TIMES; answered: see Side.answered; longest: time from one to its
    answer (ns); late: of an answer that came after the end had begun, None without one; last: the latest; times: of the
    latest."""

    owed: bool = False
    count: int = 0
    unanswered: int = 0
    waiting: list[Place] = field(default_factory=list)
    answered: tuple[int, int, int, int, int, int, int] | None = None
    longest: int = 0
    late: Place | None = None
    last: Place | None = None
    times: list[int] = field(default_factory=list)

    def beat(self, place: Place, owed: bool) -> None:
        """It sent one."""
        self.owed = self.owed or owed
        self.count += 1
        self.last = place
        if len(self.times) == limits.PING_TIMES:
            del self.times[0]
        self.times.append(place[0])
        if owed:
            self.unanswered += 1
            if len(self.waiting) < limits.PING_TIMES:
                self.waiting.append(place)

    def answer(self, place: Place, end: int, ending: bool) -> None:
        """The other side answered: all that it had got by then."""
        if not self.waiting:
            return
        if ending:
            self.late = self.late or place
            return
        sent = self.waiting[-1]
        if NO_TIME not in (place[0], sent[0]):
            self.longest = max(self.longest, place[0] - self.waiting[0][0])
        self.answered = (*sent, *place, end)
        self.waiting.clear()
        self.unanswered = 0

    @property
    def period(self) -> int:
        """The median time between its latest ones (nanoseconds), NO_TIME with fewer than three."""
        return period_of(self.times)[0]

    def missed(self, until: int) -> int:
        """How many sent up to that time have no answer."""
        return self.unanswered - sum(time > until for time in self.times[-self.unanswered :]) if self.unanswered else 0


class Pulse:
    """The heartbeats of one connection. known: its service is known by now, and has heartbeats."""

    __slots__ = ("_ways", "client", "connection", "known", "server")

    def __init__(self, connection: Connection, ways: tuple[Heartbeat, ...] | None) -> None:
        self.connection = connection
        self.client, self.server = Beats(), Beats()
        self._ways = ways
        self.known = bool(ways)

    def message(self, side: Side, number: int, begin: bytes, place: Place, end: int) -> bool:
        """A whole small message, or the side's first one. begin: how it begins; place: time, packet and file; end: TCP
        stream offset after it. False: nothing of this connection is looked for any more."""
        if self._ways is None:
            self._ways = self._decide(number)
            self.known = bool(self._ways)
        if not self._ways:
            return False
        own, other = (self.client, self.server) if side.is_client else (self.server, self.client)
        ending = self.connection.ending != NO_TIME
        for way in self._ways:
            if way.beat.match(begin) and way.sent_by != ("server" if side.is_client else "client"):
                if not ending:
                    own.beat(place, way.answer is not None)
                return True
            if way.answer is not None and way.answer.match(begin):
                other.answer(place, end, ending)
                return True
        return True

    def _decide(self, number: int) -> tuple[Heartbeat, ...] | None:
        """The heartbeats of the service that the first messages show; None while these may still come."""
        client, server = self.connection.client.first, self.connection.server.first
        catalog = _catalog(self.connection, client, server)
        if catalog is not None:
            return catalog.heartbeats
        return () if number > 0 or None not in (client, server) else None


def follow(connection: Connection) -> Pulse | None:
    """Who follows the heartbeats of a connection that has opened; None where it has none."""
    path = connection.path or ""
    if not _may_beat(connection.subprotocol, connection.host):
        for part in PATHS:  # any() takes three times as long
            if part in path:
                break
        else:
            return None
    catalog = _catalog(connection, None, None)
    if catalog is None:
        return Pulse(connection, None)
    return Pulse(connection, catalog.heartbeats) if catalog.heartbeats else None


@functools.lru_cache(1024)
def _may_beat(subprotocol: str | None, host: str | None) -> bool:
    names = f"{subprotocol} {host}".lower()
    return any(part in names for part in SERVICES)


def _catalog(connection: Connection, client: bytes | None, server: bytes | None) -> Catalog | None:
    from analyzer.catalogs import catalog_for

    return catalog_for(connection.subprotocol, connection.host, connection.path, client, server)
