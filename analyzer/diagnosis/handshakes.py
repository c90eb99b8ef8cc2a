"""Causes in the handshake: refused, unanswered, or answered with what the client rejects."""

from __future__ import annotations

import base64
import hashlib

from analyzer.diagnosis.facts import CLIENT, NO_ANSWER, NOBODY, REFUSED, SERVER, SIDE_NAMES, UNANSWERED
from analyzer.diagnosis.finding import Case, Finding, seconds
from analyzer.diagnosis.timers import SECOND
from analyzer.diagnosis.vocabulary import HANDSHAKE_CLOCK, INFERRED, OBSERVED
from analyzer.records import END_RST, MISSING, NO_TIME

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SOON = SECOND
STATUSES = {
    400: "bad request",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    407: "unauthorized",
    410: "not found",
    426: "wrong version",
    429: "rate limited",
    502: "bad gateway",
    503: "unavailable",
    504: "gateway timeout",
}
BY_PROXIES = (502, 504)
HUNDREDS = {2: "not a WebSocket", 3: "redirected", 4: "refused", 5: "server failed"}


def refused(case: Case) -> Finding | None:
    """The upgrade got another final status than 101."""
    facts = case.facts
    if facts.outcome != REFUSED:
        return None
    status = facts.status
    cause = STATUSES.get(status) or HUNDREDS.get(status // 100, "refused")
    agent = "proxy" if status in BY_PROXIES else None if status == 503 else "server"
    evidence = f"the upgrade was answered with HTTP status {status} by {case.service}"
    evidence = f"{evidence} ({_packets(case)})"
    behind = case.leg(SERVER) if status == 504 else None
    waited = 0 if behind is None or behind.facts.opening != UNANSWERED else _waited(behind)
    if behind is None or not waited:
        return Finding(cause, OBSERVED, agent, evidence)
    evidence += f"; its other leg, connection {behind.facts.number}, had waited {seconds(waited)} for an answer"
    return Finding(cause, OBSERVED, agent, evidence, waited, HANDSHAKE_CLOCK)


def insecure(case: Case) -> Finding | None:
    """TLS failed before anything could be asked for (RFC 8446 6.2)."""
    details = case.details
    if details is None or details.secured is None or not details.secured.failed:
        return None
    side, _, name = (details.secured.alert or "").partition(": ")
    how = "RST" if case.facts.end_how == END_RST else "FIN"
    ender = SIDE_NAMES[case.facts.end_by]
    what = f"the {side} sent the alert {name}, {how} by the {ender}" if side else f"{how} by the {ender}, and no alert"
    agent = None if case.facts.end_by == NOBODY or side not in ("", ender) else ender
    return Finding("TLS failure", OBSERVED, agent, f"the TLS handshake failed: {what} ({_packets(case)})")


def unanswered(case: Case) -> Finding | None:
    """The upgrade got no answer, and the transport ended."""
    facts = case.facts
    ender = _ender(case)
    if facts.opening != UNANSWERED or facts.outcome != NO_ANSWER or not ender:
        return None
    waited = _waited(case)
    how = "RST" if facts.end_how == END_RST else "FIN"
    evidence = f"no answer to the upgrade; {how} by the {SIDE_NAMES[ender]} after {seconds(waited)} ({_packets(case)})"
    if ender == SERVER:
        cause = "handshake reset" if facts.end_how == END_RST else "handshake closed"
        return Finding(cause, OBSERVED, "server", evidence)
    front = case.leg(CLIENT)
    if front is not None and front.facts.status == 504:
        evidence += f"; the proxy then answered 504 on connection {front.facts.number}, its other leg"
        return Finding("handshake timeout", OBSERVED, "proxy", evidence, waited, HANDSHAKE_CLOCK)
    return Finding("handshake timeout", INFERRED, "client", evidence, waited, HANDSHAKE_CLOCK)


def _ender(case: Case) -> int:
    """Who ended the transport, if only its own direction."""
    half_closed = next((side for side in (CLIENT, SERVER) if (tail := case.tail(side)) and tail.finished), NOBODY)
    return case.facts.end_by or half_closed


def _waited(case: Case) -> int:
    """For how long an upgrade stayed without answer (nanoseconds), 0 where that is not known."""
    facts, tail = case.facts, case.tail(_ender(case))
    end = facts.end if tail is None or facts.end_by else tail.last_time
    return end - facts.start if NO_TIME not in (end, facts.start) else 0


def rejected(case: Case) -> Finding | None:
    """The client ended the connection on seeing the 101, before any frame of its own (RFC 6455 4.1)."""
    facts, details = case.facts, case.details
    if details is None or details.client is None or details.lost_bytes:  # fields of the handshake may be missing
        return None
    if facts.status != 101 or facts.end_by != CLIENT or facts.initiator or facts.client_messages:
        return None
    fault = _fault(case)
    if fault is None or facts.ending - facts.opened > SOON:
        return None
    return Finding("handshake rejected", OBSERVED, "client", f"{fault}; the client ended it {_after(case)}")


def _fault(case: Case) -> str | None:
    """What a client must reject in the answer."""
    details = case.details
    assert details is not None
    if details.upgrade is None or details.upgrade.lower() != "websocket":
        return f"the 101 has {'no Upgrade field' if details.upgrade is None else 'another Upgrade than websocket'}"
    unasked = _unasked(case)
    if unasked is not None or details.key is None:
        return unasked
    right = base64.b64encode(hashlib.sha1(details.key.encode() + GUID).digest()).decode()
    if details.accept is None:
        return "the 101 has no Sec-WebSocket-Accept"
    return None if details.accept == right else "the Sec-WebSocket-Accept of the 101 does not fit the request's key"


def _unasked(case: Case) -> str | None:
    """A subprotocol or an extension of the answer that was not offered (RFC 6455 4.1)."""
    details = case.details
    assert details is not None
    offered = [name.strip() for name in (details.offered_subprotocols or "").split(",") if name.strip()]
    named = details.place[0]
    if named and named not in offered:
        return f'the 101 names the subprotocol "{named}", {_offer(offered)}'
    offered = _extensions(details.offered)
    for name in _extensions(details.extensions):
        if name.lower() not in (each.lower() for each in offered):
            return f'the 101 names the extension "{name}", {_offer(offered)}'
    return None


def _extensions(field: str | None) -> list[str]:
    """The names of extensions (RFC 6455 9.1), without their parameters."""
    return [name for part in (field or "").split(",") if (name := part.partition(";")[0].strip())]


def _offer(offered: list[str]) -> str:
    return f"offered was {', '.join(offered)}" if offered else "none was offered"


def _after(case: Case) -> str:
    facts = case.facts
    return f"{seconds(facts.ending - facts.opened)} after it ({_packets(case)})"


def _packets(case: Case) -> str:
    first, last = case.facts.first_packet, case.facts.last_packet
    if MISSING in (first, last):
        return "no packets"
    return f"packets {first} to {last}" if len(case.scene.files) < 2 else case.packet(last)
