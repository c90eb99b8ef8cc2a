"""Keeps every connection that ends: a row of numbers for the table and the diagnosis, details of what ended oddly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.diagnosis.addresses import forwarded_source
from analyzer.diagnosis.facts import (
    CLEAN,
    COLUMNS,
    FIELDS,
    NO_CLOSE,
    OPENINGS,
    OUTCOMES,
    SIDES,
    Details,
    Facts,
    Secured,
    Tail,
)
from analyzer.diagnosis.stream_ends import stream_error
from analyzer.packed import Packed
from analyzer.records import MISSING, NO_TIME, Close, Connection, Flow, Half, Side

if TYPE_CHECKING:
    import cython

    from analyzer.outcome import Outcome

PRIVATE = 3000  # codes from here on mean what the application says (RFC 6455 7.4.2)
WIDTH = len(FIELDS)
CLOSE_WIDTH = 11  # fields of verdicts.verdict.Sent
COLUMNS_AT = len(Facts._fields)
WORDS_AT = COLUMNS_AT + len(COLUMNS)
TEXTS_COMPARED = 4096
"""Texts that a new one is compared with: what differs in every connection is kept and not looked for."""


class Numbering(dict[Any, int]):
    """Numbers values in order of appearance, from 0."""

    def __missing__(self, value: Any) -> int:
        self[value] = number = len(self)
        return number


class Texts:
    """Numbers texts, None among them; equal ones alike, unless many others came between. values: by number."""

    def __init__(self) -> None:
        self.values: list[str | None] = []
        self.numbers: dict[str | None, int] = {}

    def number(self, text: str | None) -> cython.Py_ssize_t:
        """The number of a text."""
        known: Any = self.numbers.get(text)
        number: cython.Py_ssize_t
        if known is not None:
            number = known
            return number
        if len(self.numbers) >= TEXTS_COMPARED:
            self.numbers.clear()
        number = len(self.values)
        self.values.append(text)
        self.numbers[text] = number
        return number


class Gathered:
    """All rows so far. rows: facts.FIELDS of each; details: by row.

    services, hosts: addresses by number; texts: reasons; words: every other text; closes: see verdicts.verdict.Sent.
    """

    def __init__(self) -> None:
        self.rows: Packed = Packed(WIDTH)
        self.details: dict[int, Details] = {}
        self.services = Numbering()
        self.hosts = Numbering()
        self.texts = Texts()
        self.words = Texts()
        self.closes: Packed = Packed(CLOSE_WIDTH)

    def take(self, outcome: Outcome) -> None:
        """Keep what is needed of a connection that is over."""
        rows: Packed = self.rows
        number: cython.Py_ssize_t = rows.count
        at: cython.Py_ssize_t = rows.next_row()
        self._facts(outcome, at)
        self._columns(outcome, at + COLUMNS_AT)
        self._words(outcome, at + WORDS_AT)
        client: Close | None = outcome.client_first_close
        server: Close | None = outcome.server_first_close
        odd: cython.bint = rows.room[at + 5] != CLEAN
        if odd or _says_more(client) or _says_more(server) or outcome.client_heartbeats >= 0:
            self.details[number] = details(outcome, client, server, odd)

    def _facts(self, outcome: Outcome, at: cython.Py_ssize_t) -> None:
        """The fields of facts.Facts, in order."""
        connection: Connection = outcome.connection
        flow: Flow = connection.flow
        client: Close | None = outcome.client_first_close
        server: Close | None = outcome.server_first_close
        numbers: cython.longlong[::1] = self.rows.room
        numbers[at] = connection.number
        numbers[at + 1] = self.services[flow.version, outcome.server_high, outcome.server_low, outcome.server_port]
        numbers[at + 2] = self.hosts[flow.version, outcome.client_high, outcome.client_low]
        numbers[at + 3] = self.hosts[flow.version, outcome.server_high, outcome.server_low]
        numbers[at + 4] = OPENINGS[connection.opening]
        numbers[at + 5] = OUTCOMES[outcome.outcome]  # type: ignore[index]  # a conclusion has a word
        numbers[at + 6] = connection.end_how if outcome.ended else 0
        numbers[at + 7] = SIDES[outcome.transport_end_by]
        numbers[at + 8] = SIDES[outcome.close_initiator]
        numbers[at + 9] = code_of(client)
        numbers[at + 10] = code_of(server)
        numbers[at + 11] = self.texts.number(outcome.client_reason)
        numbers[at + 12] = self.texts.number(outcome.server_reason)
        numbers[at + 13] = MISSING if client is None else client.packet
        numbers[at + 14] = MISSING if server is None else server.packet
        numbers[at + 15] = 0 if client is None else client.file
        numbers[at + 16] = 0 if server is None else server.file
        numbers[at + 17] = outcome.client_close
        numbers[at + 18] = outcome.server_close
        numbers[at + 19] = connection.http_status
        numbers[at + 20] = outcome.start
        numbers[at + 21] = connection.opened
        numbers[at + 22] = outcome.end
        numbers[at + 23] = connection.ending
        numbers[at + 24] = outcome.idle_before_end
        numbers[at + 25] = outcome.client_idle
        numbers[at + 26] = outcome.server_idle
        numbers[at + 27] = connection.client.messages
        numbers[at + 28] = connection.server.messages
        numbers[at + 29] = connection.ending_ping_client
        numbers[at + 30] = connection.ending_ping_server
        numbers[at + 31] = outcome.ping_rtt_max
        numbers[at + 32] = flow.first_packet
        numbers[at + 33] = flow.last_packet
        numbers[at + 34] = flow.last_file
        numbers[at + 35] = MISSING if connection.key is None else hash(connection.key)
        numbers[at + 36] = max(flow.survived, flow.silence)
        numbers[at + 37] = flow.point
        numbers[at + 38] = outcome.client_port
        numbers[at + 39] = connection.http_stream
        numbers[at + 40] = initial_of(connection.client.half)
        numbers[at + 41] = connection.recognised
        numbers[at + 42] = numbers[at + 43] = MISSING
        if connection.forwarded_for is not None and (source := forwarded_source(connection.forwarded_for)):
            numbers[at + 42], numbers[at + 43] = self.hosts[source[:3]], source[3]
        numbers[at + 44] = MISSING if connection.path is None else hash(connection.path)
        numbers[at + 45] = outcome.client_saw
        numbers[at + 46] = outcome.server_saw
        numbers[at + 47] = connection.client.largest
        numbers[at + 48] = _message_idle(outcome)
        numbers[at + 49] = outcome.client_beat
        numbers[at + 50] = outcome.server_beat

    def _columns(self, outcome: Outcome, at: cython.Py_ssize_t) -> None:
        """The fields of facts.COLUMNS, in order."""
        connection: Connection = outcome.connection
        client: Side = outcome.client
        server: Side = outcome.server
        numbers: cython.longlong[::1] = self.rows.room
        numbers[at] = outcome.server_port
        numbers[at + 1] = outcome.duration
        numbers[at + 2] = outcome.client_exact
        numbers[at + 3] = outcome.server_exact
        numbers[at + 4] = outcome.complete
        numbers[at + 5] = client.frames
        numbers[at + 6] = server.frames
        numbers[at + 7] = client.bytes
        numbers[at + 8] = server.bytes
        numbers[at + 9] = client.wire_bytes
        numbers[at + 10] = server.wire_bytes
        numbers[at + 11] = server.largest
        numbers[at + 12] = client.pings
        numbers[at + 13] = server.pings
        numbers[at + 14] = outcome.unanswered_pings
        numbers[at + 15] = outcome.ping_rtt_median
        numbers[at + 16] = outcome.client_code
        numbers[at + 17] = outcome.server_code
        numbers[at + 18] = outcome.close_latency
        numbers[at + 19] = outcome.clean
        numbers[at + 20] = outcome.retransmissions
        numbers[at + 21] = outcome.lost_bytes
        numbers[at + 22] = outcome.resyncs
        numbers[at + 23] = connection.violations
        numbers[at + 24] = outcome.flow.first_file
        numbers[at + 25] = outcome.inferred_reason_length
        numbers[at + 26] = outcome.inferred_ping_period
        numbers[at + 27] = outcome.client_ping_period
        numbers[at + 28] = outcome.client_ping_jitter
        numbers[at + 29] = outcome.server_ping_period
        numbers[at + 30] = outcome.server_ping_jitter
        numbers[at + 31] = outcome.client_heartbeats
        numbers[at + 32] = outcome.server_heartbeats
        numbers[at + 33] = outcome.unanswered_heartbeats
        numbers[at + 34] = outcome.client_heartbeat_period
        numbers[at + 35] = outcome.server_heartbeat_period

    def _words(self, outcome: Outcome, at: cython.Py_ssize_t) -> None:
        """The fields of facts.WORDS, in order."""
        connection: Connection = outcome.connection
        words: Texts = self.words
        numbers: cython.longlong[::1] = self.rows.room
        numbers[at] = words.number(outcome.transport)
        numbers[at + 1] = words.number(connection.http)
        numbers[at + 2] = words.number(connection.host)
        numbers[at + 3] = words.number(connection.path)
        numbers[at + 4] = words.number(connection.origin)
        numbers[at + 5] = words.number(connection.user_agent)
        numbers[at + 6] = words.number(connection.subprotocol)
        numbers[at + 7] = words.number(connection.extensions)
        numbers[at + 8] = words.number(connection.client_basis)
        numbers[at + 9] = words.number(connection.forwarded_for)
        numbers[at + 10] = words.number(connection.offered_subprotocols)
        numbers[at + 11] = words.number(connection.offered_extensions)
        numbers[at + 12] = words.number(outcome.sni)
        numbers[at + 13] = words.number(outcome.alpn)
        numbers[at + 14] = words.number(outcome.tls_version)
        numbers[at + 15] = words.number(outcome.tls_alert)
        numbers[at + 16] = words.number(outcome.close_notify)
        numbers[at + 17] = words.number(outcome.resync_confidence)
        numbers[at + 18] = words.number(outcome.inferred_initiator)
        numbers[at + 19] = words.number(stream_error(connection.stream_ends, connection.end_how))

    def close(self, close: Close) -> None:
        """Keep what a verdict on a Close needs."""
        sender = close.sender
        self.closes.append(
            (
                sender.connection.number,
                SIDES["client" if sender.is_client else "server"],
                len(sender.closes or ()),
                code_of(close),
                self.texts.number(close.reason.decode("utf-8", "backslashreplace")),
                close.time,
                close.packet,
                close.file,
                sender.connection.origin is not None,
                doubt_of(sender),
                close.size,
            )
        )


def code_of(close: Close | None) -> cython.longlong:
    """A Close's code, 0 if it carries none, NO_CLOSE without one, MISSING where the capture lacks it."""
    if close is None:
        return NO_CLOSE
    if close.size == 0 or close.size == 1:
        return 0
    return close.code if close.code >= 0 else MISSING


def _message_idle(outcome: Outcome) -> cython.longlong:
    """Silence before the end since the client's last message, or the opening; NO_TIME where that is not known."""
    connection: Connection = outcome.connection
    last: cython.longlong = connection.ending_last_message
    if outcome.client_idle == NO_TIME or (last == NO_TIME and connection.client.messages > 0):
        return NO_TIME
    if last == NO_TIME:
        last = connection.opened
    return NO_TIME if last == NO_TIME else connection.ending - last


def initial_of(half: Half | None) -> cython.longlong:
    """The initial sequence number, MISSING if its SYN was not captured."""
    return MISSING if half is None or not half.syn else half.initial


def doubt_of(sender: Side) -> int:
    """See verdicts.verdict.Sent."""
    if sender.weak_resyncs > 0:
        return 2
    return int(sender.resyncs > 0 or sender.connection.opening == "midstream")


def _says_more(close: Close | None) -> cython.bint:
    """Its code may speak of what happened, or of what the application means."""
    return close is not None and (close.heard is not None or close.code >= PRIVATE)


def details(outcome: Any, client: Close | None, server: Close | None, with_tails: bool) -> Details:
    """The rest of what may explain an odd end. client, server: the first Closes."""
    connection: Connection = outcome.connection
    flow: Flow = connection.flow
    private = any(close is not None and close.code >= PRIVATE for close in (client, server))
    return Details(
        tail(connection.client.half) if with_tails else None,
        tail(connection.server.half) if with_tails else None,
        flow.silence,
        flow.silence_end,
        flow.survived,
        flow.watched_until,
        connection.key if with_tails else None,
        connection.accept if with_tails else None,
        connection.upgrade if with_tails else None,
        (
            connection.subprotocol,
            connection.host,
            connection.path,
            connection.client.first if private else None,
            connection.server.first if private else None,
        ),
        connection.origin,
        connection.offered_extensions,
        connection.extensions,
        connection.violations >= 0,
        None if client is None else client.heard,
        None if server is None else server.heard,
        secured(outcome) if outcome.tls_failed or outcome.transport == "tls-no-keys" else None,
        connection.offered_subprotocols,
        outcome.retransmissions,
        outcome.lost_bytes,
        bool(outcome.client_exact and outcome.server_exact),
        connection.stream_ends,
        *((None, None) if outcome.client_heartbeats < 0 else (connection.pulse.client, connection.pulse.server)),
    )


def secured(outcome: Any) -> Secured:
    """What TLS shows where it is all there is."""
    return Secured(
        outcome.tls_failed,
        outcome.tls_alert,
        outcome.inferred_initiator,
        outcome.inferred_reason_length,
        outcome.inferred_ping_period,
    )


def tail(half: Half | None) -> Tail:
    """The end of one direction; repeats and probes count only while nothing answered them."""
    if half is None:
        return Tail(0, -1, NO_TIME, False, 0, -1, 0, NO_TIME, 0, 0, NO_TIME, NO_TIME, 0, 0, NO_TIME, NO_TIME, 0, False)
    peer = half.peer
    unanswered = half.again_count > 0 and not _has_acknowledged(peer, half.again_sequence)
    probed = half.probes > 0 and half.probes_after == peer.packets
    return Tail(
        half.packets,
        half.time_to_live,
        half.last_time,
        half.finished,
        half.reset_packet,
        half.reset_time_to_live,
        half.reset_silent,
        half.shut_since if half.shut_packet else NO_TIME,
        half.shut_packet,
        half.again_count if unanswered else 0,
        half.again_first,
        half.again_time,
        half.again_packet,
        half.probes if probed else 0,
        half.probe_first,
        half.probe_time,
        half.probe_packet,
        bool(peer.acknowledges and half.known and (peer.acknowledgment - half.next) & 0xFFFFFFFF < 1 << 31),
    )


def _has_acknowledged(receiver: Half, sequence: int) -> bool:
    """It has acknowledged the byte at this sequence number."""
    distance = (receiver.acknowledgment - sequence) & 0xFFFFFFFF
    return bool(receiver.acknowledges) and 0 < distance < 1 << 31
