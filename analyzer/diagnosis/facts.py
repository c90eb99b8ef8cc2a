"""What is kept of every finished connection: numbers, for its row and for the diagnosis, and more of those that ended
oddly.

Numbers are MISSING (times NO_TIME) where there is none. Sides are NOBODY, CLIENT, SERVER, BOTH. A code is NO_CLOSE
when that side sent no Close, 0 when its Close carried no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from analyzer.heard import Heard
from analyzer.heartbeats import Beats

NOBODY, CLIENT, SERVER, BOTH = range(4)
NO_CLOSE = -1
SIDES = {None: NOBODY, "client": CLIENT, "server": SERVER, "both": BOTH}
SIDE_NAMES = ("nobody", "client", "server", "both")
HANDSHAKE, MIDSTREAM, REFUSED_OPENING, UNANSWERED, ENCRYPTED = range(5)
OPENINGS = {"handshake": 0, "midstream": 1, "refused": 2, "unanswered": 3, "encrypted": 4}
REFUSED, NO_ANSWER, CLEAN, UNANSWERED_CLOSE, DROPPED, CLOSING, OPEN, UNKNOWN = range(8)
OUTCOMES = {
    "refused": 0,
    "no-answer": 1,
    "clean": 2,
    "unanswered-close": 3,
    "dropped": 4,
    "closing": 5,
    "open": 6,
    "unknown": 7,
}


class Facts(NamedTuple):
    """One connection in numbers. service, server_host, client_host: numbers of addresses; reasons: of texts.

    ending: the first event of the end; client_ping, server_ping: oldest Ping of that side unanswered then. key: a
    number for the Sec-WebSocket-Key, equal on both legs of a proxy. survived: the longest silence that
    another packet ended. point: of capture; initial: the client's initial sequence number; asked: time of the whole
    request; forwarded, forwarded_port: the client that a proxy names, as client_host and client_port; path_hash: a
    number for the path, equal for equal ones. client_message_idle: as client_idle, since its last whole
    message, Pings and Pongs aside; client_beat, server_beat: as client_ping, of its application's heartbeats.
    Everything else as in the table.
    """

    number: int
    service: int
    client_host: int
    server_host: int
    opening: int
    outcome: int
    end_how: int
    end_by: int
    initiator: int
    client_code: int
    server_code: int
    client_reason: int
    server_reason: int
    client_packet: int
    server_packet: int
    client_file: int
    server_file: int
    client_close: int
    server_close: int
    status: int
    start: int
    opened: int
    end: int
    ending: int
    idle: int
    client_idle: int
    server_idle: int
    client_messages: int
    server_messages: int
    client_ping: int
    server_ping: int
    round_trip: int
    first_packet: int
    last_packet: int
    last_file: int
    key: int
    survived: int
    point: int
    client_port: int
    http_stream: int
    initial: int
    asked: int
    forwarded: int
    forwarded_port: int
    path_hash: int
    client_saw: int
    server_saw: int
    largest_client_message: int
    client_message_idle: int
    client_beat: int
    server_beat: int


StreamEnd = tuple[int, bool, int, int, int, int]
Place = tuple[str | None, str | None, str | None, bytes | None, bytes | None]


COLUMNS = (
    *("server_port", "duration", "client_exact", "server_exact", "complete"),
    *("client_frames", "server_frames", "client_bytes", "server_bytes", "client_wire_bytes", "server_wire_bytes"),
    *("largest_server_message", "client_pings", "server_pings", "unanswered_pings"),
    *("ping_rtt_median", "sent_client_code", "sent_server_code", "close_latency", "clean"),
    *("retransmissions", "lost_bytes", "resyncs", "violations", "first_file"),
    *("inferred_reason_length", "inferred_ping_period"),
    *("client_ping_period", "client_ping_jitter", "server_ping_period", "server_ping_jitter"),
    *("client_heartbeats", "server_heartbeats", "unanswered_heartbeats"),
    *("client_heartbeat_period", "server_heartbeat_period"),
)
"""Numbers that the table has beside the Facts, named as its columns; sent_client_code: MISSING without a code."""

WORDS = (
    *("transport", "http", "host", "path", "origin", "user_agent", "subprotocol", "extensions", "client_basis"),
    *("forwarded_for", "offered_subprotocols", "offered_extensions", "sni", "alpn", "tls_version", "tls_alert"),
    *("close_notify", "resync_confidence", "inferred_initiator", "stream_error"),
)
"""Numbers of texts, by the names of the table's columns."""

FIELDS = (*Facts._fields, *COLUMNS, *WORDS)
"""What is kept of a connection, in order."""


@dataclass(slots=True)
class Tail:
    """How one direction's TCP ended: see records.Half. Repeats and probes count only if nothing answered them."""

    packets: int
    time_to_live: int
    last_time: int
    finished: bool
    reset_packet: int
    reset_time_to_live: int
    reset_silent: int
    shut_since: int
    shut_packet: int
    again_count: int
    again_first: int
    again_time: int
    again_packet: int
    probes: int
    probe_first: int
    probe_time: int
    probe_packet: int
    acknowledged: bool

    @property
    def tells_more(self) -> bool:
        """It has packets without payload, or repeated ones, that belong to the story of the connection's end."""
        return bool(self.again_count or self.probes or self.shut_packet or self.reset_packet)


class Secured(NamedTuple):
    """TLS of a connection whose frames nobody saw. failed: its handshake did; alert: "client: unknown_ca", the first
    that was fatal, None if none was seen; the rest is inferred: see records.Tls."""

    failed: bool
    alert: str | None
    initiator: str | None
    reason_length: int
    ping_period: int


@dataclass(slots=True)
class Details:
    """What is kept beside the numbers of a connection that did not end with both Closes, or with a code that says more.

    client, server, key, accept, upgrade: None where both sides closed; whole: nothing of what they sent is missing;
    place: what tells the application (see catalogs.catalog_for); judged: its frames were held against the rules;
    client_heard, server_heard: of that side's first Close; client_beats, server_beats: None where its application's
    heartbeats are not known; stream_ends: see records.Connection.
    """

    client: Tail | None
    server: Tail | None
    silence: int
    silence_end: int
    survived: int
    watched_until: int
    key: str | None
    accept: str | None
    upgrade: str | None
    place: Place
    origin: str | None = None
    offered: str | None = None
    extensions: str | None = None
    judged: bool = False
    client_heard: Heard | None = None
    server_heard: Heard | None = None
    secured: Secured | None = None
    offered_subprotocols: str | None = None
    retransmissions: int = 0
    lost_bytes: int = 0
    whole: bool = False
    stream_ends: tuple[StreamEnd, ...] = ()
    client_beats: Beats | None = None
    server_beats: Beats | None = None
