"""The tables: every column's name, dtype, meaning and source, in order. A new column is a line here.

A source is the dotted path of an attribute of the record that becomes the row (closes, frames, messages, violations:
records.Close, Frame, Message, Violation; reconnects: reconnects.Reconnect; ledger: Count). Of connections it is one of
diagnosis.facts.FIELDS, or for what the diagnosis adds a field of Finding. Numbers and times are MISSING or NO_TIME and
booleans negative where there is no value; anything else is None.
"""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.columns import (
    BOOLEAN,
    BYTES,
    CATEGORY,
    DURATION,
    INTEGER,
    TEXT,
    TIME,
    UNSIGNED,
    Column,
    Table,
    words,
    words_of,
)
from analyzer.diagnosis.facts import OPENINGS, OUTCOMES
from analyzer.diagnosis.vocabulary import AGENTS, BASES, CAUSES, CLOCK_NAMES, VERDICTS
from analyzer.rules.catalog import RULES, SEVERITIES
from analyzer.values import (
    FRAME_TYPES,
    SIDES,
    address_of,
    close_catalog,
    close_code,
    close_legal,
    close_name,
    close_reason,
    close_reason_bytes,
    ledger_meaning,
)

CODE = ("code", "size")


def _rhythm(side: str) -> tuple[Column, Column]:
    """How a side's Pings followed each other."""
    period, jitter = f"{side}_ping_period", f"{side}_ping_jitter"
    meaning = f"median time between the {side}'s latest Pings; missing with fewer than three"
    deviation = f"median deviation from {period}"
    return Column(period, DURATION, meaning, period), Column(jitter, DURATION, deviation, jitter)


def _heartbeats(side: str) -> tuple[Column, Column]:
    """How a side's application showed that it was there."""
    count, period = f"{side}_heartbeats", f"{side}_heartbeat_period"
    meaning = (
        f"heartbeats of the {side}'s application before the end began; missing where the handshake points to no "
        "service of which a catalog knows them"
    )
    rhythm = f"median time between the {side}'s latest heartbeats; missing with fewer than three"
    return Column(count, INTEGER, meaning, count), Column(period, DURATION, rhythm, period)


CONNECTIONS = (
    Column("connection", INTEGER, "number of the connection: 0, 1, 2 ... in order of recognition", "number"),
    Column("client_ip", TEXT, "address of the client, IPv6 as in RFC 5952", "client_host", address_of),
    Column("client_port", INTEGER, "TCP port of the client", "client_port"),
    Column("server_ip", TEXT, "address of the server, IPv6 as in RFC 5952", "server_host", address_of),
    Column("server_port", INTEGER, "TCP port of the server", "server_port"),
    Column(
        "transport",
        CATEGORY,
        "what carries it; tls was decrypted, of tls-no-keys only lengths and times are known",
        "transport",
        values=words("tcp", "tls", "tls-no-keys"),
    ),
    Column("http", CATEGORY, "HTTP version of the handshake", "http", values=words("1.1", "2")),
    Column("http_stream", INTEGER, "HTTP/2 stream id", "http_stream"),
    Column(
        "opening",
        CATEGORY,
        "how it began: with its handshake, midstream (the capture begins later), refused, unanswered, encrypted",
        "opening",
        values=words_of(OPENINGS),
    ),
    Column("host", TEXT, "Host of the upgrade request", "host"),
    Column("path", TEXT, "path of the upgrade request, with its query", "path"),
    Column("origin", TEXT, "Origin of the upgrade request", "origin"),
    Column("user_agent", TEXT, "User-Agent of the upgrade request", "user_agent"),
    Column("subprotocol", TEXT, "subprotocol that the server agreed to", "subprotocol"),
    Column("extensions", TEXT, "extensions that the server agreed to", "extensions"),
    Column("http_status", INTEGER, "status of the answer to the upgrade request", "status"),
    Column("start", TIME, "the SYN, else the first packet; over HTTP/2 the CONNECT", "start"),
    Column("opened", TIME, "the answer that opened it", "opened"),
    Column(
        "end",
        TIME,
        "the later of the two FINs, or the RST; over HTTP/2 what ended the stream; while open the last packet",
        "end",
    ),
    Column("duration", DURATION, "end - start", "duration"),
    Column("client_frames", INTEGER, "frames of all kinds that the client sent", "client_frames"),
    Column("server_frames", INTEGER, "frames of all kinds that the server sent", "server_frames"),
    Column("client_messages", INTEGER, "complete data messages that the client sent", "client_messages"),
    Column("server_messages", INTEGER, "complete data messages that the server sent", "server_messages"),
    Column("client_bytes", INTEGER, "bytes of the client's complete data messages, inflated", "client_bytes"),
    Column("server_bytes", INTEGER, "bytes of the server's complete data messages, inflated", "server_bytes"),
    Column("client_wire_bytes", INTEGER, "bytes of the client's frame payloads as sent", "client_wire_bytes"),
    Column("server_wire_bytes", INTEGER, "bytes of the server's frame payloads as sent", "server_wire_bytes"),
    Column("client_exact", BOOLEAN, "none of the client's frames is missing from the capture", "client_exact"),
    Column("server_exact", BOOLEAN, "none of the server's frames is missing from the capture", "server_exact"),
    Column(
        "largest_client_message",
        INTEGER,
        "bytes of the client's largest message, inflated; the declared length of one that was cut off",
        "largest_client_message",
    ),
    Column(
        "largest_server_message",
        INTEGER,
        "bytes of the server's largest message, inflated; the declared length of one that was cut off",
        "largest_server_message",
    ),
    Column("client_pings", INTEGER, "Pings that the client sent", "client_pings"),
    Column("server_pings", INTEGER, "Pings that the server sent", "server_pings"),
    Column(
        "unanswered_pings",
        INTEGER,
        "Pings of both sides without a Pong (RFC 6455 5.5.3), but not those after the other side's Close or too close "
        "to the end to be answered",
        "unanswered_pings",
    ),
    Column(
        "ping_rtt_median",
        DURATION,
        "median time from a Ping to its Pong, both sides'",
        "ping_rtt_median",
    ),
    Column("ping_rtt_max", DURATION, "longest time from a Ping to its Pong", "round_trip"),
    Column(
        "idle_before_end",
        DURATION,
        "silence before the first event of the end (Close, close_notify or alert, END_STREAM, RST_STREAM, FIN, RST), "
        "since the last frame of either side, or since opened",
        "idle",
    ),
    Column("client_idle", DURATION, "the same since the client's last frame", "client_idle"),
    Column("server_idle", DURATION, "the same since the server's last frame", "server_idle"),
    Column("client_code", INTEGER, "observed: code of the client's first Close", "sent_client_code"),
    Column("client_reason", TEXT, "observed: reason of the client's first Close", "client_reason"),
    Column("server_code", INTEGER, "observed: code of the server's first Close", "sent_server_code"),
    Column("server_reason", TEXT, "observed: reason of the server's first Close", "server_reason"),
    Column("client_close", TIME, "observed: time of the client's first Close", "client_close"),
    Column("server_close", TIME, "observed: time of the server's first Close", "server_close"),
    Column(
        "close_initiator",
        CATEGORY,
        "side whose Close came first; both if neither sender had seen the other's",
        "initiator",
        values={1: "client", 2: "server", 3: "both"},
    ),
    Column("close_latency", DURATION, "from the first Close to the answering Close", "close_latency"),
    Column(
        "client_saw",
        INTEGER,
        "concluded: the code that the client's application is told (RFC 6455 7.1.5), 1005, 1006 and 1015 included",
        "client_saw",
    ),
    Column(
        "server_saw",
        INTEGER,
        "concluded: the code that the server's application is told (RFC 6455 7.1.5), 1005 and 1006 included",
        "server_saw",
    ),
    Column(
        "transport_end",
        CATEGORY,
        "how the transport ended: the first of FIN, RST, END_STREAM, RST_STREAM, GOAWAY; missing while open",
        "end_how",
        values={1: "fin", 2: "rst", 3: "stream-end", 4: "stream-reset", 5: "goaway"},
    ),
    Column(
        "transport_end_by",
        CATEGORY,
        "side that ended the transport",
        "end_by",
        values={1: "client", 2: "server"},
    ),
    Column(
        "outcome",
        CATEGORY,
        "concluded: refused (the answer was not 101, over HTTP/2 not 2xx), no-answer, clean (both Closes, transport "
        "ended), unanswered-close (one Close, transport ended), dropped (transport ended without a Close), closing (a "
        "Close, transport not ended), open, unknown (bytes missing from the capture could change it)",
        "outcome",
        values=words_of(OUTCOMES),
    ),
    Column("clean", BOOLEAN, "True for clean, False for unanswered-close and dropped", "clean"),
    Column("cause", CATEGORY, "diagnosis: why it ended (docs/causes.md)", "cause", values=words(*CAUSES)),
    Column(
        "cause_basis",
        CATEGORY,
        "the packets themselves show the cause (observed), or it is the likeliest explanation (inferred)",
        "basis",
        values=words(*BASES),
    ),
    Column("evidence", TEXT, "what the cause rests on: packets and figures, in one line", "evidence"),
    Column("retransmissions", INTEGER, "TCP segments sent again, both directions", "retransmissions"),
    Column("lost_bytes", INTEGER, "bytes acknowledged but never captured, both directions", "lost_bytes"),
    Column("resyncs", INTEGER, "times that frames were found again after missing bytes, both directions", "resyncs"),
    Column("complete", BOOLEAN, "seen from the SYN to the end with no byte missing", "complete"),
    Column(
        "client_basis",
        CATEGORY,
        "how the client was told from the server",
        "client_basis",
        values=words("request", "syn", "masks", "port"),
    ),
    Column(
        "forwarded_for",
        TEXT,
        "client behind a proxy: X-Forwarded-For, Forwarded or the PROXY protocol's source",
        "forwarded_for",
        group="client",
    ),
    Column("offered_subprotocols", TEXT, "subprotocols that the client offered", "offered_subprotocols"),
    Column("offered_extensions", TEXT, "extensions that the client offered", "offered_extensions"),
    Column("first_packet", INTEGER, "number of its first packet, within first_file", "first_packet"),
    Column("last_packet", INTEGER, "number of its last packet, within last_file", "last_packet"),
    Column("first_file", CATEGORY, "file of its first packet, when there are several", "first_file"),
    Column("last_file", CATEGORY, "file of its last packet, when there are several", "last_file"),
    Column("sni", TEXT, "observed: host name that the client asked for in TLS (RFC 6066 3)", "sni"),
    Column("alpn", TEXT, "observed: protocol that the server chose in TLS (RFC 7301)", "alpn"),
    Column("tls_version", TEXT, "observed: version of TLS", "tls_version"),
    Column(
        "stream_error",
        TEXT,
        "observed: the first RST_STREAM of its HTTP/2 stream, or the GOAWAY that ended it: its sender and the name of "
        "its error code (RFC 9113 7)",
        "stream_error",
    ),
    Column(
        "tls_alert",
        TEXT,
        "observed: the first TLS alert that is not close_notify: its sender and its name (RFC 8446 6)",
        "tls_alert",
    ),
    Column(
        "close_notify",
        CATEGORY,
        "observed: who ended TLS with close_notify (RFC 8446 6.1)",
        "close_notify",
        values=words("client", "server", "both"),
    ),
    Column(
        "violations",
        INTEGER,
        "how often a rule was broken in it (docs/rules.md; R1, which is broken between connections, not counted); "
        "missing when nothing could be judged",
        "violations",
    ),
    Column(
        "resync_confidence",
        CATEGORY,
        "how sure the least sure resync is: high (at least three frames in a row show it), low (fewer, which end where "
        "the stream does); missing without one",
        "resync_confidence",
        values=words("high", "low"),
    ),
    Column(
        "inferred_initiator",
        CATEGORY,
        "inferred from TLS record lengths, where nothing is decrypted: whose Close seems to have come first",
        "inferred_initiator",
        values=words("client", "server"),
    ),
    Column(
        "inferred_reason_length",
        INTEGER,
        "inferred likewise: bytes of the reason in that Close",
        "inferred_reason_length",
    ),
    Column(
        "inferred_ping_period",
        DURATION,
        "inferred likewise: time between Pings, where pairs of records come in a rhythm",
        "inferred_ping_period",
    ),
    Column("cause_by", CATEGORY, "diagnosis: who made the end happen", "agent", values=words(*AGENTS)),
    Column("cause_timer", DURATION, "diagnosis: the time that ran out, or that was waited", "nanoseconds"),
    Column("cause_clock", CATEGORY, "diagnosis: what that time runs from", "clock", values=words(*CLOCK_NAMES)),
    Column("cause_device", TEXT, "diagnosis: devices that have this timer by default", "device"),
    Column(
        "same_as",
        INTEGER,
        "the first row of the same WebSocket, seen at another place: its TCP connection at another point of capture, "
        "or another leg of it at a proxy; missing in that first row, so rows without it are one WebSocket each",
        "same_as",
    ),
    *_rhythm("client"),
    *_rhythm("server"),
    *_heartbeats("client"),
    *_heartbeats("server"),
    Column(
        "unanswered_heartbeats",
        INTEGER,
        "heartbeats of both sides that ask for an answer and had got none when the end began, but not those too close "
        "to it",
        "unanswered_heartbeats",
    ),
)
CONCLUDED = {
    "connections": frozenset(
        ("cause", "cause_basis", "evidence", "cause_by", "cause_timer", "cause_clock", "cause_device", "same_as")
    ),
    "closes": frozenset(("verdict", "evidence")),
}
"""Columns of each table that come from the diagnosis of all connections, when the last one is there."""


def _place(what: str, sender: str) -> tuple[Column, ...]:
    """The columns that closes, frames and messages begin with. sender: path of the records.Side."""
    return (
        Column("connection", INTEGER, "number of the connection", f"{sender}.connection.number"),
        Column("time", TIME, f"of the packet that completed {what}", "time"),
        Column("packet", INTEGER, f"number, within its file, of the packet that completed {what}", "packet"),
        Column("file", CATEGORY, "file of that packet, when there are several", "file"),
        Column("sender", CATEGORY, "side that sent it", f"{sender}.is_client", values=SIDES),
    )


CLOSES = (
    *_place("the frame", "sender"),
    Column("code", INTEGER, "the code on the wire; missing in an empty or one-byte Close", CODE, close_code),
    Column("name", TEXT, "the code's registered name", CODE, close_name),
    Column("reason", TEXT, "the reason; bytes that are not UTF-8 as \\xNN", (*CODE, "cut", "reason"), close_reason),
    Column("reason_bytes", BYTES, "the reason's exact bytes", (*CODE, "reason"), close_reason_bytes),
    Column(
        "legal",
        BOOLEAN,
        "may this code be on the wire, from this side (RFC 6455 7.4)",
        (*CODE, "sender.is_client"),
        close_legal,
    ),
    Column(
        "catalog",
        TEXT,
        "application catalog that the handshake or the first messages point to",
        (
            "sender.connection.subprotocol",
            "sender.connection.host",
            "sender.connection.path",
            "sender.connection.client.first",
            "sender.connection.server.first",
        ),
        close_catalog,
        group="handshake",
    ),
    Column(
        "verdict",
        CATEGORY,
        "concluded: is the code true? The packets show what it says (supported), or something else (contradicted), or "
        "neither (unverifiable): docs/close-codes.md",
        "verdict",
        values=words(*VERDICTS),
    ),
    Column("evidence", TEXT, "what the verdict rests on: packets and figures", "evidence", group="verdict"),
)

FRAMES = (
    *_place("the frame", "sender"),
    Column("fin", BOOLEAN, "final fragment of its message", "fin"),
    Column("rsv", INTEGER, "the three reserved bits as a number, RSV1 = 4", "rsv"),
    Column("opcode", INTEGER, "0-15 (RFC 6455 5.2)", "opcode"),
    Column("type", CATEGORY, "the opcode's name", "opcode", values=FRAME_TYPES),
    Column("masked", BOOLEAN, "the payload is masked", "masked"),
    Column("length", UNSIGNED, "declared payload bytes", "length"),
    Column("captured", INTEGER, "payload bytes present in the capture", "captured"),
    Column(
        "stream_offset",
        INTEGER,
        "bytes of this direction before the frame, since the handshake or the first byte seen",
        "stream_offset",
    ),
    Column("message", INTEGER, "number of its message within its sender's; missing for a control frame", "message"),
)

MESSAGES = (
    *_place("its first frame", "sender"),
    Column("end", TIME, "of the packet that completed the last frame; missing if that never came", "end"),
    Column(
        "type", CATEGORY, "text or binary; missing where the beginning is", "opcode", values={1: "text", 2: "binary"}
    ),
    Column("frames", INTEGER, "frames that it came in", "frames"),
    Column("wire_bytes", INTEGER, "payload bytes as sent", "wire_bytes"),
    Column("bytes", INTEGER, "application bytes, inflated; missing where not known", "bytes"),
    Column("compressed", BOOLEAN, "compressed by permessage-deflate (RFC 7692)", "compressed"),
    Column("valid", BOOLEAN, "whole and readable: text is UTF-8, inflating went well", "valid"),
    Column("message", INTEGER, "number within its sender's messages of the connection, from 0; as in frames", "number"),
)


@dataclass(frozen=True)
class Count:
    """One row of the ledger."""

    unit: str
    kind: str
    count: int


LEDGER = (
    Column("unit", CATEGORY, "what is counted", "unit", values=words("packet", "byte")),
    Column("kind", TEXT, "what became of it", "kind"),
    Column("count", INTEGER, "how many", "count"),
    Column("meaning", TEXT, "the kind in words", ("unit", "kind"), ledger_meaning),
)

VIOLATIONS = (
    Column("connection", INTEGER, "number of the connection", "sender.connection.number"),
    Column("time", TIME, "of the packet that showed it", "time"),
    Column("packet", INTEGER, "number, within its file, of that packet; missing where a silence showed it", "packet"),
    Column("file", CATEGORY, "file of that packet, when there are several", "file"),
    Column("sender", CATEGORY, "side that broke the rule", "sender.is_client", values=SIDES),
    Column("rule", CATEGORY, "the rule: docs/rules.md", "rule", values=words(*RULES)),
    Column("section", TEXT, "where it stands, in RFC 6455 if no other is named", "section"),
    Column("severity", CATEGORY, "how strictly it is meant", "severity", values=words(*SEVERITIES)),
    Column("expected", TEXT, "what the rule asks for", "expected"),
    Column("found", TEXT, "what was there instead, as it was sent", "found"),
)

RECONNECTS = (
    Column("connection", INTEGER, "number of the connection that ended", "connection"),
    Column("next_connection", INTEGER, "number of the client's next one to the same service", "next_connection"),
    Column("delay", DURATION, "from the end of the one to the start of the next", "delay"),
    Column("same_server", BOOLEAN, "the next one went to the same address and port", "same_server"),
    Column(
        "ambiguous",
        BOOLEAN,
        "several ended connections fit (clients behind one address that look alike): paired in order of time",
        "ambiguous",
    ),
    Column("code", INTEGER, "what the client was told at the end", "code"),
    Column(
        "advice",
        CATEGORY,
        "what that code, or the service's catalog, asks of a client",
        "advice",
        values=words("unsaid", "no", "yes", "at once", "back off", "random delay", "random 5-30 s", "other server"),
    ),
    Column(
        "followed",
        BOOLEAN,
        "whether the client did so; missing where that can't be said, for ambiguous pairs unless it holds for each",
        "followed",
    ),
)

TABLES = {
    table.name: table
    for table in (
        Table("connections", "one row per WebSocket connection", CONNECTIONS, streams=False, index="connection"),
        Table("closes", "one row per Close frame", CLOSES, streams=False),
        Table("frames", "one row per frame", FRAMES),
        Table("messages", "one row per data message", MESSAGES),
        Table("violations", "one row per broken rule", VIOLATIONS, streams=False),
        Table("reconnects", "one row per connection that ended and the client's next one", RECONNECTS, streams=False),
        Table("ledger", "one row per kind of packet or byte: what became of it", LEDGER, streams=False),
    )
}
