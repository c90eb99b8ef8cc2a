"""What a finding is, what is known of all connections together, and the case that each cause looks at."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from analyzer.catalogs import Catalog, catalog_for
from analyzer.closecodes import CloseCode
from analyzer.diagnosis.events import Event
from analyzer.diagnosis.facts import BOTH, CLIENT, DROPPED, NOBODY, SERVER, SIDE_NAMES, Details, Facts, Tail
from analyzer.diagnosis.neighbours import Neighbours, Service
from analyzer.diagnosis.places import Places
from analyzer.diagnosis.stream_ends import ENDS, told
from analyzer.diagnosis.timers import SECOND, Timer
from analyzer.heard import Heard
from analyzer.heartbeats import Beats
from analyzer.records import END_FIN, END_RST, MISSING, NO_TIME

SAME_MOMENT = SECOND
"""Legs of a proxy that end within this time, each by the proxy, end for one reason."""

DOWN = 60 * SECOND
"""For so long after it a service that was stopped may refuse connections."""


class Finding(NamedTuple):
    """A cause with its basis and evidence. agent: who made the end happen, None where that can't be told;
    nanoseconds: of the timer in play, by its clock; device: whose default it is. same_as: the first row of the same
    WebSocket, if it was seen at several places and this is not the first."""

    cause: str
    basis: str
    agent: str | None
    evidence: str
    nanoseconds: int = MISSING
    clock: str | None = None
    device: str | None = None
    same_as: int = MISSING


class Expiry(NamedTuple):
    """What was seen of a device that forgets idle connections to one service: how many it cut, the shortest silence
    that was fatal and the longest that was not (nanoseconds)."""

    cut: int
    fatal: int
    survived: int


@dataclass
class Scene:
    """What is known of all connections together. The lists `timer_of` and `event_of` are by row; refused: when TCP
    connections to a service were refused, sorted."""

    texts: Sequence[str]
    services: Sequence[str]
    files: Sequence[str]
    facts: Callable[[int], Facts]
    details: Mapping[int, Details]
    neighbours: Neighbours
    opened: Mapping[int, int] = field(default_factory=dict)
    expiries: Mapping[int, Expiry] = field(default_factory=dict)
    timers: Sequence[Timer] = ()
    timer_of: Sequence[int] = ()
    events: Sequence[Event] = ()
    event_of: Sequence[int] = ()
    places: Places | None = None
    refused: Mapping[int, list[int]] = field(default_factory=dict)


class Case:
    """One connection as the causes look at it. closer: the side that ended it: whose Close came first, else who ended
    the transport; code, reason: of its Close."""

    def __init__(self, row: int, facts: Facts, scene: Scene) -> None:
        self.row = row
        self.facts = facts
        self.scene = scene
        self.details = scene.details.get(row)
        self.closer = closer_of(facts)
        client = self.closer == CLIENT
        has_close = facts.initiator in (CLIENT, SERVER, BOTH) and facts.outcome != DROPPED
        self.code = (facts.client_code if client else facts.server_code) if has_close else -1
        self.reason = scene.texts[facts.client_reason if client else facts.server_reason] if has_close else ""

    @property
    def agent(self) -> str | None:
        """The closer, in a word."""
        return None if self.closer == NOBODY else SIDE_NAMES[self.closer]

    @property
    def service(self) -> str:
        return self.scene.services[self.facts.service]

    def tail(self, side: int) -> Tail | None:
        """The end of a side's TCP, where it was kept."""
        if self.details is None:
            return None
        return self.details.client if side == CLIENT else self.details.server

    def heard(self, side: int) -> Heard | None:
        """What a side had got from the other one when it sent its first Close, where that was kept."""
        if self.details is None:
            return None
        return self.details.client_heard if side == CLIENT else self.details.server_heard

    def beats(self, side: int) -> Beats | None:
        """The heartbeats of a side's application, where they are known."""
        if self.details is None:
            return None
        return self.details.client_beats if side == CLIENT else self.details.server_beats

    @property
    def event(self) -> Event | None:
        """The event that ended it with others."""
        number = self.scene.event_of[self.row] if self.scene.event_of else -1
        return None if number < 0 else self.scene.events[number]

    def refused(self, begin: int, end: int) -> list[int]:
        """When its service refused TCP connections (RST to SYN) from `begin` until `end`."""
        times = self.scene.refused.get(self.facts.service, ())
        return list(times[bisect_left(times, begin) : bisect_right(times, end)])

    @property
    def others(self) -> Service:
        """The connections of its service, itself included."""
        return self.scene.neighbours.of(self.facts.service)

    @cached_property
    def catalog(self) -> Catalog | None:
        """The catalog of its application."""
        return None if self.details is None else catalog_for(*self.details.place)

    @property
    def named(self) -> str:
        """What its code is called, by the catalog, else by the registry ("Other" without a name)."""
        known = None if self.catalog is None else self.catalog.code(self.code)
        return CloseCode(self.code).name if known is None else known.name

    def packet(self, number: int, file: int | None = None) -> str:
        """Where a person finds it: packet 17, or file#17."""
        if len(self.scene.files) < 2:
            return f"packet {number}"
        return f"{self.scene.files[self.facts.last_file if file is None else file]}#{number}"

    @property
    def close_text(self) -> str:
        """The first Close: who, code, reason, packet."""
        facts = self.facts
        if self.code == -1:
            return self._end_text
        client = self.closer == CLIENT
        packet, file = (facts.client_packet, facts.client_file) if client else (facts.server_packet, facts.server_file)
        code = "an empty Close" if self.code == 0 else f"Close {self.code}" if self.code > 0 else "a Close"
        reason = f' "{self.reason}"' if self.reason else ""
        who = "both sides closed at once, the" if facts.initiator == BOTH else "the"
        return f"{who} {SIDE_NAMES[self.closer]} sent {code}{reason} ({self.packet(packet, file)})"

    @property
    def _end_text(self) -> str:
        facts = self.facts
        last = f"{self.packet(facts.last_packet)} is the last"
        if not facts.end_by:
            return f"no end in the capture, {last}"
        how = f"{ENDS[facts.end_how]} by the {SIDE_NAMES[facts.end_by]}"
        stream = "" if facts.http_stream == MISSING else f" on stream {facts.http_stream}"
        if facts.end_how in (END_FIN, END_RST):
            return f"{how}{stream}, no Close, {last}{self.said_before}"
        return f"{self._stream_words or how}{stream}, no Close"

    @property
    def _stream_words(self) -> str:
        """What HTTP/2 says of the end."""
        return "" if self.details is None else told(self.details.stream_ends, self.packet, seconds)

    @property
    def said_before(self) -> str:
        """What HTTP/2 said before TCP ended, "" if nothing."""
        return f"; before it {self._stream_words}" if self._stream_words else ""

    def leg(self, side: int) -> Case | None:
        """The next leg at a proxy, on the side of the client or of the server."""
        places = self.scene.places
        if places is None or side == NOBODY:
            return None
        row = int((places.front_of if side == CLIENT else places.back_of)[self.row])
        return None if row < 0 else Case(row, self.scene.facts(row), self.scene)

    @property
    def pause(self) -> int:
        """The longest silence of a second or more (nanoseconds) that did not end it, 0 without one."""
        details = self.details
        if details is not None and details.silence_end >= self.facts.ending:
            return details.survived
        return self.facts.survived

    @property
    def between_legs(self) -> bool:
        """A proxy ended both its legs at once: on the front one it is the server, on the back one the client."""
        leg = self.leg(self.closer)
        if leg is None or NO_TIME in (leg.facts.ending, self.facts.ending):
            return False
        return leg.closer == other(self.closer) and abs(leg.facts.ending - self.facts.ending) < SAME_MOMENT


Cause = Callable[[Case], Finding | None]


def closer_of(facts: Facts) -> int:
    """The side that ended it; for Closes that crossed the one whose code says more.

    A Close that came after an RST ended nothing.
    """
    if facts.outcome == DROPPED:
        return facts.end_by
    if facts.initiator == BOTH:
        return CLIENT if facts.server_code in (1000, 0) and facts.client_code not in (1000, 0) else SERVER
    return facts.initiator or facts.end_by


def by_proxy_text(case: Case, leg: Case) -> str:
    """That a proxy ended both legs, and after what."""
    silent = seconds(max(case.facts.idle, 0))
    both = f"both legs at once (the other is connection {leg.facts.number})"
    return f"ended by the proxy on {both}, {silent} after the last frame"


def refused_text(case: Case, after: int) -> str:
    """That the service then refused connections for a while, "" if nothing shows it."""
    times = case.refused(after, after + DOWN)
    if not times:
        return ""
    first, last = (seconds(time - after) for time in (times[0], times[-1]))
    how = f"{first} after" if len(times) == 1 else f"from {first} to {last} after"
    noun = "connection was" if len(times) == 1 else "connections were"
    return f"; {len(times)} {noun} refused (RST to SYN) {how}"


def outage_text(case: Case) -> str:
    """What TCP shows of a break on the way shortly before the end, "" if it shows none."""
    details = case.details
    if details is None:
        return ""
    text = f"; {details.retransmissions} retransmissions" if details.retransmissions > 0 else ""
    text += f"; {details.lost_bytes} bytes were lost" if details.lost_bytes > 0 else ""
    if details.silence > 0 and 0 < case.facts.ending - details.silence_end < SECOND:
        text += f"; no packet came through for {seconds(details.silence)} shortly before"
    return text


def other(side: int) -> int:
    """The other side."""
    return SERVER if side == CLIENT else CLIENT


def seconds(nanoseconds: int) -> str:
    """A duration for evidence: 60.00 s, 3.001 s, 0.6 ms."""
    value = nanoseconds / SECOND
    if value < 0.5:
        return f"{value * 1000:.1f} ms"
    return f"{value:.2f} s" if value >= 10 else f"{value:.3f} s"
