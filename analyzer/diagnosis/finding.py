"""The vocabulary of causes, what a finding is, and the case that each cause looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from analyzer.diagnosis.events import Event
from analyzer.diagnosis.facts import BOTH, CLIENT, NOBODY, SERVER, SIDE_NAMES, Details, Facts, Tail
from analyzer.diagnosis.timers import SECOND, Timer
from analyzer.records import MISSING

OBSERVED, INFERRED = "observed", "inferred"
BASES = (OBSERVED, INFERRED)
AGENTS = ("client", "server", "both", "proxy", "middlebox", "network")
CLOCK_NAMES = ("idle", "client idle", "server idle", "lifetime", "ping", "after Close", "stall", "probes", "handshake")
IDLE, CLIENT_IDLE, SERVER_IDLE, LIFETIME, PING, AFTER_CLOSE, STALL, PROBES, HANDSHAKE_CLOCK = CLOCK_NAMES

CAUSES = {
    "bad request": "the upgrade was refused as malformed (HTTP 400 and the like)",
    "wrong version": "the upgrade was refused for its WebSocket version (HTTP 426)",
    "unauthorized": "the upgrade was refused for want of credentials (HTTP 401, 407)",
    "forbidden": "the upgrade was refused by policy, often for its Origin (HTTP 403)",
    "not found": "no such path (HTTP 404, 410)",
    "redirected": "the answer points elsewhere (HTTP 3xx); WebSocket clients do not follow",
    "not a WebSocket": "an ordinary answer (HTTP 2xx): nothing there speaks WebSocket",
    "rate limited": "too many requests (HTTP 429)",
    "server failed": "the server failed while answering the upgrade (HTTP 5xx)",
    "bad gateway": "a proxy could not reach the server behind it (HTTP 502, Close 1014)",
    "unavailable": "a server, or a proxy before it, takes no connections now (HTTP 503)",
    "gateway timeout": "the server behind a proxy did not answer in time (HTTP 504)",
    "refused": "the upgrade was refused with another status",
    "handshake closed": "the server ended the TCP connection instead of answering the upgrade",
    "handshake reset": "the server reset the TCP connection instead of answering the upgrade",
    "handshake timeout": "the upgrade was not answered and the client gave up waiting",
    "handshake rejected": "the client rejected the answer 101 and ended the connection",
    "clean close": "a side closed it as meant to",
    "client navigation": "the client went away: a page left or closed (Close 1001)",
    "going away": "the server went away or let the connection go (Close 1001), alone",
    "server shutdown": "the server closed all its connections at once",
    "server restart": "the server announced a restart (Close 1012)",
    "server crash": "the server's connections all ended at once without a Close: its process ended",
    "overload": "the server was over its load or limit (Close 1013)",
    "protocol error": "a side failed the connection for a breach of the protocol (Close 1002)",
    "unsupported data": "a side got a kind of data that it can't take (Close 1003)",
    "invalid payload": "a side got text or compressed data that is not valid (Close 1007)",
    "policy": "a side closed by its policy (Close 1008)",
    "message too big": "a message was larger than its receiver takes (Close 1009)",
    "missing extension": "the client needed an extension that the server did not agree to (Close 1010)",
    "internal error": "a side failed (Close 1011)",
    "illegal code": "a Close with a code that must not be on the wire",
    "application code": "a Close with a code of the application (3000-4999)",
    "keepalive timeout": "a Ping got no Pong in time; the side that sent it gave up",
    "late pong": "the Pong came, but after the side that had sent the Ping gave up",
    "heartbeat missed": "the application's own heartbeat stayed away",
    "idle timer": "nothing was sent for as long as a timer allows",
    "lifetime timer": "a timer ends every connection at the same age",
    "idle expiry": "a device on the way (NAT, firewall) forgot the idle connection and reset its next packet",
    "close timeout": "a Close was never answered, and its sender gave up",
    "peer vanished": "a side stopped answering anything, even on the level of TCP",
    "zero window": "a side stopped reading: its receive window stayed closed",
    "reset": "a side reset the TCP connection, without a Close",
    "middlebox reset": "a device on the way reset the connection; the TTL is not the other side's",
    "other leg": "a proxy passed on the end of its connection on the other side",
    "dropped": "a side ended the TCP connection without a Close, for no visible reason",
    "capture ended": "it was open when the capture ended",
    "not enough bytes": "what would tell is missing from the capture, or encrypted",
}
"""The closed vocabulary of the column `cause`, and what each word means."""


class Finding(NamedTuple):
    """A cause with its basis and evidence. agent: who made the end happen, None where that can't be told;
    nanoseconds: of the timer in play, by its clock; device: whose default it is."""

    cause: str
    basis: str
    agent: str | None
    evidence: str
    nanoseconds: int = MISSING
    clock: str | None = None
    device: str | None = None


class Expiry(NamedTuple):
    """What was seen of a device that forgets idle connections to one service: how many it cut, the shortest silence
    that was fatal and the longest that was not (nanoseconds)."""

    count: int
    fatal: int
    survived: int


@dataclass
class Scene:
    """What is known of all connections together. The lists `timer_of`, `event_of` and `partner_of` are by row."""

    texts: Sequence[str]
    services: Sequence[str]
    files: Sequence[str]
    facts: Callable[[int], Facts]
    details: Mapping[int, Details]
    catalog_text: Callable[[int, tuple[str | None, str | None, str | None]], str | None]
    opened: Mapping[int, int] = field(default_factory=dict)
    expiries: Mapping[int, Expiry] = field(default_factory=dict)
    timers: Sequence[Timer] = ()
    timer_of: Sequence[int] = ()
    events: Sequence[Event] = ()
    event_of: Sequence[int] = ()
    partner_of: Sequence[int] = ()


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
        has_close = facts.initiator in (CLIENT, SERVER, BOTH)
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
            how = "RST" if facts.end_how == 2 else "FIN"
            who = SIDE_NAMES[facts.end_by] if facts.end_by else "a side"
            return f"{how} by the {who}, no Close ({self.packet(facts.last_packet)} is the last)"
        client = self.closer == CLIENT
        packet, file = (facts.client_packet, facts.client_file) if client else (facts.server_packet, facts.server_file)
        code = "an empty Close" if self.code == 0 else f"Close {self.code}" if self.code > 0 else "a Close"
        reason = f' "{self.reason}"' if self.reason else ""
        who = "both sides closed at once, the" if facts.initiator == BOTH else "the"
        return f"{who} {SIDE_NAMES[self.closer]} sent {code}{reason} ({self.packet(packet, file)})"


Cause = Callable[[Case], Finding | None]


def closer_of(facts: Facts) -> int:
    """The side that ended it; for Closes that crossed the one whose code says more."""
    if facts.initiator == BOTH:
        return CLIENT if facts.server_code in (1000, 0) and facts.client_code not in (1000, 0) else SERVER
    return facts.initiator or facts.end_by


def other(side: int) -> int:
    """The other side."""
    return SERVER if side == CLIENT else CLIENT


def seconds(nanoseconds: int) -> str:
    """A duration for evidence: 60.00 s, 0.250 s."""
    value = nanoseconds / SECOND
    return f"{value:.2f} s" if value >= 10 else f"{value:.3f} s"
