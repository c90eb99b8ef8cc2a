"""What is concluded about one connection from the facts in its records: how it ended and what each side was told.

Nothing here is observed. A conclusion that bytes missing from the capture could change is not drawn (MISSING, None,
"unknown"): principle 1 and 4 of the design.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.periods import median, period_of
from analyzer.records import (
    END_CAPTURE,
    MISSING,
    NO_TIME,
    Close,
    Connection,
    Flow,
    Half,
    Side,
    Tls,
)

if TYPE_CHECKING:
    import cython

NO_STATUS = 1005  # a Close without a code was received (RFC 6455 7.1.5)
NO_TLS = 1015  # the TLS handshake failed (RFC 6455 7.4.1)
ABNORMAL = 1006  # the connection ended without a Close received (RFC 6455 7.1.5)
WRAP, HALF_WRAP = 1 << 32, 1 << 31
CLOSE_NOTIFY = 0
ALERTS = {  # TLS Alerts registry (RFC 8446 6, RFC 5246 7.2)
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
    121: "ech_required",
}
PATIENCE = 1_000_000_000  # nanoseconds that a Pong may take where no round trip of the connection says more
PATIENCE_MOST = 10**17  # clocks that jump must not make more of it
TRANSPORT_ENDS = (None, "fin", "rst", "stream-end", "stream-reset", "goaway")  # by END_CAPTURE, END_FIN, ...


class Outcome:
    """The conclusions about one connection; its facts stand in `connection`, `flow`, `client` and `server`.

    ended: the transport is over: both FINs, an RST, the stream's end. tls_failed: its TLS handshake failed.
    client_first_close, server_first_close: None if none was captured. clean: 1, 0, or -1 where neither is meant. Every
    other field is the column of its name.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.flow = connection.flow
        self.client = connection.client
        self.server = connection.server
        self.client_first_close = _first_close(connection.client)
        self.server_first_close = _first_close(connection.server)
        self.ended = _ended(connection, self.flow)
        self.client_exact = self.server_exact = self.complete = False
        self.client_high = self.client_low = self.server_high = self.server_low = 0
        self.client_port = self.server_port = 0
        self.clean = -1
        self.transport: str | None = None
        self.sni: str | None = None
        self.alpn: str | None = None
        self.tls_version: str | None = None
        self.tls_alert: str | None = None
        self.close_notify: str | None = None
        self.tls_failed = False
        self.inferred_initiator: str | None = None
        self.inferred_reason_length = self.inferred_ping_period = MISSING
        self.start = self.end = self.client_close = self.server_close = NO_TIME
        self.duration = self.close_latency = self.idle_before_end = self.client_idle = self.server_idle = MISSING
        self.client_code = self.server_code = self.client_saw = self.server_saw = MISSING
        self.unanswered_pings = self.ping_rtt_median = self.ping_rtt_max = MISSING
        self.client_ping_period = self.server_ping_period = NO_TIME
        self.client_ping_jitter = self.server_ping_jitter = NO_TIME
        self.client_heartbeats = self.server_heartbeats = self.unanswered_heartbeats = MISSING
        self.client_heartbeat_period = self.server_heartbeat_period = self.client_beat = self.server_beat = NO_TIME
        self.retransmissions = self.lost_bytes = MISSING
        self.resyncs = 0
        self.resync_confidence: str | None = None
        self.client_reason: str | None = None
        self.server_reason: str | None = None
        self.close_initiator: str | None = None
        self.transport_end: str | None = None
        self.transport_end_by: str | None = None
        self.outcome: str | None = None


def conclude(connection: Connection) -> Outcome:
    """Everything that can be concluded about a connection of which nothing more comes."""
    outcome: Outcome = Outcome(connection)
    client: Close | None = outcome.client_first_close
    server: Close | None = outcome.server_first_close
    _place(outcome)
    _secured(outcome)
    outcome.start = outcome.flow.start if connection.http_stream == MISSING else connection.recognised
    outcome.end = _end(outcome)
    outcome.duration = _difference(outcome.end, outcome.start)
    outcome.client_exact = _exact(connection, outcome.client)
    outcome.server_exact = _exact(connection, outcome.server)
    outcome.complete = connection.opening != "midstream" and (outcome.flow.complete or _whole(connection))
    outcome.client_code = _code(client)
    outcome.server_code = _code(server)
    outcome.client_reason = _reason(client)
    outcome.server_reason = _reason(server)
    outcome.client_close = NO_TIME if client is None else client.time
    outcome.server_close = NO_TIME if server is None else server.time
    outcome.close_initiator = _initiator(outcome)
    outcome.close_latency = _latency(outcome)
    outcome.client_saw = _saw(outcome, outcome.client)
    outcome.server_saw = _saw(outcome, outcome.server)
    outcome.transport_end = outcome.transport_end_by = None
    if outcome.ended:
        outcome.transport_end = TRANSPORT_ENDS[connection.end_how]
        if connection.end_by is not None:
            outcome.transport_end_by = "client" if connection.end_by is outcome.client else "server"
    outcome.outcome = _word(outcome)
    outcome.clean = _clean(outcome.outcome)
    outcome.client_idle = _idle(connection, outcome.client)
    outcome.server_idle = _idle(connection, outcome.server)
    outcome.idle_before_end = _idle_before_end(connection)
    _pings(outcome)
    if connection.pulse is not None and connection.pulse.known:
        _heartbeats(outcome, connection.pulse)
    _repairs(outcome)
    return outcome


def _secured(outcome: Outcome) -> None:
    """What TLS shows (RFC 8446 6): who said close_notify, and the first alert of another kind."""
    tls: Tls | None = outcome.flow.tls
    by_client: cython.bint
    outcome.transport = "tcp"
    if tls is None:
        return
    outcome.tls_failed = tls.failed is outcome.connection
    outcome.transport = "tls" if tls.decrypted or outcome.tls_failed else "tls-no-keys"
    outcome.inferred_initiator = tls.inferred_initiator
    outcome.inferred_reason_length, outcome.inferred_ping_period = tls.inferred_reason_length, tls.inferred_ping_period
    outcome.sni, outcome.alpn, outcome.tls_version = tls.sni, tls.alpn, tls.version
    for by_client, description, _, _ in tls.alerts:
        sender: str = "client" if by_client else "server"
        if description != CLOSE_NOTIFY:
            if outcome.tls_alert is None:
                outcome.tls_alert = f"{sender}: {ALERTS.get(description, description)}"
        elif outcome.close_notify is None:
            outcome.close_notify = sender
        elif outcome.close_notify != sender:
            outcome.close_notify = "both"


def _place(outcome: Outcome) -> None:
    """Which end of the TCP connection is the client."""
    flow: Flow = outcome.flow
    if outcome.client.half is flow.high:
        outcome.client_high, outcome.client_low, outcome.client_port = flow.high_high, flow.high_low, flow.high_port
        outcome.server_high, outcome.server_low, outcome.server_port = flow.low_high, flow.low_low, flow.low_port
    else:
        outcome.client_high, outcome.client_low, outcome.client_port = flow.low_high, flow.low_low, flow.low_port
        outcome.server_high, outcome.server_low, outcome.server_port = flow.high_high, flow.high_low, flow.high_port


def _not_captured(side: Side) -> cython.bint:
    """None of this direction's packets is in the capture."""
    return side.half is None or (side.half.packets == 0 and not side.half.syn)


def _may_hide_close(side: Side) -> cython.bint:
    """A Close of this side may be among bytes that the capture lacks."""
    return side.broken or side.may_hide_close or _not_captured(side)


def _may_hide_answer(connection: Connection) -> cython.bint:
    """The answer to the upgrade request may be among bytes that the capture lacks."""
    half: Half = connection.server.half
    return _not_captured(connection.server) or half.lost_bytes > 0 or half.cut_bytes > 0


def _whole(connection: Connection) -> cython.bint:
    """Its own stream was seen to the end, and its TCP connection from the SYN to there with no byte missing."""
    low: Half = connection.flow.low
    high: Half = connection.flow.high
    lost: cython.longlong = low.lost_bytes + low.cut_bytes + high.lost_bytes + high.cut_bytes
    return connection.ended and low.syn and high.syn and lost == 0


def _may_hide_end(outcome: Outcome) -> cython.bint:
    """The end of a transport that looks open may be missing from the capture."""
    client: Side = outcome.client
    server: Side = outcome.server
    if outcome.connection.http_stream != MISSING and not (client.exact and server.exact):
        return True
    if _not_captured(client) or _not_captured(server):
        return True
    return _fin_not_captured(client.half) or _fin_not_captured(server.half)


def _fin_not_captured(half: Half) -> cython.bint:
    """The peer acknowledged the number of a FIN (RFC 9293 3.4) that the capture lacks."""
    return half.fin_offset == MISSING and half.known and _acknowledged(half.peer, half) == half.offset + 1


def _first_close(side: Side) -> Close | None:
    """The Close that counts (RFC 6455 7.1.5: the first)."""
    return side.closes[0] if side.closes else None


def _carries_code(close: Close) -> cython.bint:
    """The code is in the capture (RFC 6455 5.5.1: a body of two bytes or more begins with one)."""
    return close.size != 0 and close.size != 1 and close.code >= 0


def _code(close: Close | None) -> cython.longlong:
    """The code as sent; MISSING without a Close, without a code (RFC 6455 5.5.1), or where its bytes are missing."""
    if close is None or not _carries_code(close):
        return MISSING
    return close.code


def _reason(close: Close | None) -> str | None:
    """The reason, "" after a code alone; None as for the code, and where part of it is missing."""
    if close is None or close.cut or not _carries_code(close):
        return None
    return close.reason.decode("utf-8", "backslashreplace")


def _acknowledged(receiver: Half | None, sender: Half) -> cython.longlong:
    """The stream offset up to which the receiver has acknowledged (RFC 9293 3.4), MISSING if it never did."""
    distance: cython.longlong
    if receiver is None or not receiver.acknowledges or not sender.known:
        return MISSING
    distance = receiver.acknowledgment
    distance -= sender.next
    if distance >= HALF_WRAP:
        distance -= WRAP
    elif distance < -HALF_WRAP:
        distance += WRAP
    return sender.offset + distance


def _was_received(close: Close, answer: Close | None, receiver: Side) -> cython.bint:
    """The Close reached the receiver: acknowledged, answered, or nothing of the receiver is there to deny it."""
    if _not_captured(receiver):
        return True
    if answer is not None and _acknowledges(answer, close):
        return True
    return _acknowledged(receiver.half, close.sender.half) >= close.end


def _acknowledges(later: Close, earlier: Close) -> cython.bint:
    """The sender of the later Close had by then acknowledged the start of the earlier one."""
    return later.acknowledged > earlier.begin


def _saw(outcome: Outcome, receiver: Side) -> cython.longlong:
    """The code that the receiver's application is told (RFC 6455 7.1.5), MISSING where the capture can't tell.

    A Close that nothing acknowledged is known to be undelivered only if the receiver answered with an RST; after an
    RST of its sender, or when the capture lacks the last ACK, it may have been read.
    """
    connection: Connection = outcome.connection
    sender: Side = receiver.peer
    close: Close | None = outcome.server_first_close if receiver.is_client else outcome.client_first_close
    answer: Close | None = outcome.client_first_close if receiver.is_client else outcome.server_first_close
    if connection.opening == "encrypted":
        return MISSING
    if outcome.tls_failed:
        return NO_TLS if receiver.is_client else MISSING
    if connection.opening == "refused":
        return ABNORMAL if receiver.is_client else MISSING
    if connection.opening == "unanswered":
        told = receiver.is_client and outcome.ended and not _may_hide_answer(connection)
        return ABNORMAL if told else MISSING
    if close is None:
        return ABNORMAL if outcome.ended and not _may_hide_close(sender) else MISSING
    if close.after_peer_reset:
        return ABNORMAL
    if close.after_peer_fin:
        return MISSING
    if _was_received(close, answer, receiver):
        return _saw_code(close)
    if receiver.half.acknowledges and receiver.half.was_reset:
        return ABNORMAL
    return MISSING


def _saw_code(close: Close) -> cython.longlong:
    """What a received Close tells (RFC 6455 7.1.5): its code, even an illegal one; 1005 without one."""
    if close.size == 0 or close.size == 1:
        return NO_STATUS
    return close.code if close.code >= 0 else MISSING


def _is_earlier(one: Close, other: Close) -> cython.bint:
    """Within a file its order rules, between files time does."""
    if one.file == other.file:
        return one.packet < other.packet
    if one.time != NO_TIME and other.time != NO_TIME and one.time != other.time:
        return one.time < other.time
    return one.file < other.file


def _initiator(outcome: Outcome) -> str | None:
    """Whose Close came first (RFC 6455 7.1.2, 7.1.3); "both" if they crossed on their way."""
    client: Close | None = outcome.client_first_close
    server: Close | None = outcome.server_first_close
    if client is not None and server is not None:
        after_client = _acknowledges(server, client)
        after_server = _acknowledges(client, server)
        if after_client and after_server:  # as only the order of their packets can tell
            return "client" if _is_earlier(client, server) else "server"
        return "client" if after_client else "server" if after_server else "both"
    if client is not None and not _may_hide_close(outcome.server):
        return "client"
    if server is not None and not _may_hide_close(outcome.client):
        return "server"
    return None


def _latency(outcome: Outcome) -> cython.longlong:
    """From the first Close to the answering one (RFC 6455 5.5.1); crossing Closes answer nothing."""
    if outcome.close_initiator == "client":
        return _difference(outcome.server_close, outcome.client_close)
    if outcome.close_initiator == "server":
        return _difference(outcome.client_close, outcome.server_close)
    return NO_TIME


def _ended(connection: Connection, flow: Flow) -> cython.bint:
    """The transport is over (RFC 6455 7.1.4): both directions finished, or a reset."""
    return connection.ended or (connection.end_how != END_CAPTURE and flow.ended)


def _end(outcome: Outcome) -> cython.longlong:
    """The time of the transport's end, while it is open that of the last packet."""
    if outcome.ended and outcome.connection.end_time != NO_TIME:
        return outcome.connection.end_time
    return outcome.flow.last_time


def _difference(later: cython.longlong, earlier: cython.longlong) -> cython.longlong:
    return NO_TIME if later == NO_TIME or earlier == NO_TIME else later - earlier


def _idle(connection: Connection, side: Side) -> cython.longlong:
    """Silence of one side before the first event of the ending, since its last frame or the opening."""
    last: cython.longlong = connection.ending_last_client if side.is_client else connection.ending_last_server
    if _ending_uncertain(connection):
        return NO_TIME
    return _difference(connection.ending, connection.opened if last == NO_TIME else last)


def _ending_uncertain(connection: Connection) -> cython.bint:
    """Missing bytes may hold the first event of the ending, or the last frame before it."""
    if connection.ending_uncertain_client or connection.ending_uncertain_server:
        return True
    return _may_hide_close(connection.client) or _may_hide_close(connection.server)


def _idle_before_end(connection: Connection) -> cython.longlong:
    """Silence of both sides before the first event of the ending; NO_TIME where either's is not known."""
    last: cython.longlong = max(connection.ending_last_client, connection.ending_last_server)
    if _ending_uncertain(connection):
        return NO_TIME
    return _difference(connection.ending, connection.opened if last == NO_TIME else last)


def _word(outcome: Outcome) -> str:
    """The column `outcome` (RFC 6455 7.1.3, 7.1.4): the first that fits, "unknown" where missing bytes could change it.

    A Close sent after the other side's FIN counts, one sent after its RST does not.
    """
    connection: Connection = outcome.connection
    client: Close | None = outcome.client_first_close
    server: Close | None = outcome.server_first_close
    sent: cython.int = 0
    hidden: cython.bint
    if connection.opening == "refused":
        return "refused"
    if connection.opening == "unanswered":
        return "unknown" if _may_hide_answer(connection) else "no-answer"
    if connection.opening == "encrypted" or (not outcome.ended and _may_hide_end(outcome)):
        return "unknown"
    if client is not None and not client.after_peer_reset:
        sent += 1
    if server is not None and not server.after_peer_reset:
        sent += 1
    if sent and not outcome.ended:
        return "closing"
    if sent == 2:
        return "clean"
    hidden = client is None and _may_hide_close(outcome.client)
    if hidden or (server is None and _may_hide_close(outcome.server)):
        return "unknown"
    if not outcome.ended:
        return "open"
    return "unanswered-close" if sent else "dropped"


def _clean(word: str) -> cython.int:
    """Whether the connection closed cleanly (RFC 6455 7.1.4), -1 where that can't be said."""
    if word == "clean":
        return 1
    return 0 if word == "unanswered-close" or word == "dropped" else -1


def _exact(connection: Connection, side: Side) -> cython.bint:
    """Nothing of this side's frames is missing from the capture."""
    if connection.opening == "unanswered" and _may_hide_answer(connection):
        return False  # frames may have passed as something else
    return side.exact and not side.broken and not _not_captured(side) and connection.opening != "midstream"


def _pings(outcome: Outcome) -> None:
    """Round trips of both sides' Pings, and how many stayed unanswered (RFC 6455 5.5.2, 5.5.3)."""
    client: cython.longlong
    server: cython.longlong
    judged_until: cython.longlong = PATIENCE
    trips: list[int] = sorted((outcome.client.round_trips or []) + (outcome.server.round_trips or []))
    outcome.ping_rtt_median = outcome.ping_rtt_max = NO_TIME
    if trips:
        outcome.ping_rtt_max = max(
            trips[len(trips) - 1], outcome.client.longest_round_trip, outcome.server.longest_round_trip
        )
        outcome.ping_rtt_median = median(trips)
        judged_until = max(PATIENCE, 3 * min(outcome.ping_rtt_max, PATIENCE_MOST))
    watched_until: cython.longlong = outcome.end if outcome.ended else outcome.flow.watched_until
    judged_until = watched_until - judged_until if watched_until != NO_TIME else NO_TIME
    client = _unanswered(outcome.client, judged_until)
    server = _unanswered(outcome.server, judged_until)
    outcome.unanswered_pings = MISSING if client == MISSING or server == MISSING else client + server
    if outcome.client.pings > 2:
        outcome.client_ping_period, outcome.client_ping_jitter = period_of(outcome.client.ping_times)
    if outcome.server.pings > 2:
        outcome.server_ping_period, outcome.server_ping_jitter = period_of(outcome.server.ping_times)


def _unanswered(side: Side, judged_until: cython.longlong) -> cython.longlong:
    """Pings of one side without a Pong; MISSING where the capture may lack their Pongs, or lacks the times.

    Those that came after the other side's Close (RFC 6455 5.5.2), or so late that no Pong could be there yet, do not
    count.
    """
    count: cython.longlong = side.unanswered_pings
    close: Close | None = _first_close(side.peer)
    time: cython.longlong
    if side.broken or side.resyncs:
        return MISSING
    if not side.outstanding_pings:
        return count
    if side.peer.broken or side.peer.resyncs or _not_captured(side.peer):
        return MISSING
    for time, _, _, _ in side.outstanding_pings:
        if time == NO_TIME:
            return MISSING
        if time <= judged_until and (close is None or time < close.time):
            count += 1
    return count


def _heartbeats(outcome: Outcome, pulse: Any) -> None:
    """The application's heartbeats. client_beat, server_beat: that side's oldest without an answer when the end began;
    where the other side's bytes are missing nobody knows."""
    outcome.client_heartbeats, outcome.server_heartbeats = pulse.client.count, pulse.server.count
    outcome.client_heartbeat_period, outcome.server_heartbeat_period = pulse.client.period, pulse.server.period
    if pulse.client.waiting and outcome.server_exact:
        outcome.client_beat = pulse.client.waiting[0][0]
    if pulse.server.waiting and outcome.client_exact:
        outcome.server_beat = pulse.server.waiting[0][0]
    ending: cython.longlong = outcome.connection.ending
    if ending == NO_TIME:
        ending = outcome.flow.watched_until
    if outcome.client_exact and outcome.server_exact and ending != NO_TIME:
        outcome.unanswered_heartbeats = pulse.client.missed(ending - PATIENCE) + pulse.server.missed(ending - PATIENCE)


def _repairs(outcome: Outcome) -> None:
    """Retransmissions, and bytes acknowledged but never captured; MISSING where a direction was not captured. How often
    frames were found again after missing bytes, and how surely."""
    client: Side = outcome.client
    server: Side = outcome.server
    flow: Flow = outcome.flow
    outcome.retransmissions = outcome.lost_bytes = MISSING
    if flow.low.packets and flow.high.packets:
        outcome.retransmissions = flow.low.retransmissions + flow.high.retransmissions
        outcome.lost_bytes = flow.low.lost_bytes + flow.high.lost_bytes
    outcome.resyncs = MISSING if outcome.connection.opening == "encrypted" else client.resyncs + server.resyncs
    if outcome.resyncs > 0:
        outcome.resync_confidence = "low" if client.weak_resyncs or server.weak_resyncs else "high"
