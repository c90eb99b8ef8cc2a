"""Causes that a Close names by its code and reason, and Pings and Closes that were never answered."""

from __future__ import annotations

import re

from analyzer.diagnosis.facts import CLIENT, NO_CLOSE, SIDE_NAMES, UNANSWERED_CLOSE
from analyzer.diagnosis.finding import Case, Finding, other, outage_text, seconds
from analyzer.diagnosis.timers import SECOND
from analyzer.diagnosis.verdicts.judging import BY_CODE
from analyzer.diagnosis.verdicts.keepalive import busy
from analyzer.diagnosis.verdicts.private import private
from analyzer.diagnosis.verdicts.verdict import Verdict, first_close
from analyzer.diagnosis.vocabulary import (
    AFTER_CLOSE,
    CLIENT_IDLE,
    CONTRADICTED,
    IDLE,
    INFERRED,
    LIFETIME,
    OBSERVED,
    PING,
    SUPPORTED,
)
from analyzer.records import MISSING, NO_TIME

KEEPALIVE = re.compile(r"keep-?alive|\bp[io]ng", re.IGNORECASE)
HEARTBEAT = re.compile(r"heart[- ]?beat|keep-?alive|\bno pong|pong reply|\bping\b.*\btimed?[ -]?out", re.IGNORECASE)
SHORTEST_PING = 3 * SECOND // 10
"""A Ping that was sent so shortly before the end proves nothing."""
PATIENCE = SECOND
"""A Ping or heartbeat that waited for less proves nothing, where nobody says so."""
TIMED = {"no message": LIFETIME, "age": LIFETIME, "client silence": CLIENT_IDLE, "silence": IDLE}
"""Conditions of catalogs that are a time which ran out, and the clock of each."""
PRIVATE = 3000  # codes from here on mean what the application says (RFC 6455 7.4.2)
EXPLAINED = {
    1002: "protocol error",
    1003: "unsupported data",
    1007: "invalid payload",
    1008: "policy",
    1009: "message too big",
    1010: "missing extension",
    1011: "internal error",
    1013: "overload",
    1014: "bad gateway",
}
"""Codes that say why by themselves."""
ABOUT_THE_OTHER = (1002, 1003, 1007, 1009, 1010, 1014)
"""Of them those that speak of what the other side did: without a sign of it they show no cause, they only name one."""


def ping_age(case: Case) -> int:
    """For how long the closer's oldest Ping had been unanswered at the end (nanoseconds), 0 without one."""
    facts = case.facts
    sent = facts.client_ping if case.closer == CLIENT else facts.server_ping
    return facts.ending - sent if sent != NO_TIME and facts.ending != NO_TIME else 0


def keepalive(case: Case) -> Finding | None:
    """The closer had waited for a Pong, and gave up."""
    age = ping_age(case)
    side, peer = SIDE_NAMES[case.closer], SIDE_NAMES[other(case.closer)]
    if age < SHORTEST_PING:
        return None
    said = case.code == 1011 or (case.code >= 0 and KEEPALIVE.search(words(case)) is not None)
    if not said and (case.code not in (NO_CLOSE, 1000, 0, 1001, 1002) or age < _patience(case)):
        return None
    heard = case.heard(case.closer)
    where = "" if heard is None or heard.ping is None else f" ({case.packet(heard.ping[2], heard.ping[3])})"
    evidence = f"{case.close_text} {seconds(age)} after the {side}'s Ping to the {peer}{where}; "
    trip, answer = case.facts.round_trip, _answered_after(case)
    if trip != MISSING and trip >= age:
        evidence += f"the Pong came {seconds(trip - age)} too late"
        return Finding("late pong", OBSERVED, side, evidence, age, PING)
    if 0 <= answer < age // 2:
        evidence += f"no Pong had come, yet the {peer} answered the Close in {seconds(answer)}: alive, but slow"
        return Finding("late pong", INFERRED, side, evidence, age, PING)
    evidence += f"no Pong came{_acknowledged(case)}{'' if heard is None else busy(heard, peer)}"
    return Finding("keepalive timeout", OBSERVED if said else INFERRED, side, evidence, age, PING)


def words(case: Case) -> str:
    """What the reason says, and what a private code is called."""
    return case.reason if case.code < PRIVATE else f"{case.reason} {case.named}"


def _answered_after(case: Case) -> int:
    """From the closer's Close to the other side's (nanoseconds), -1 without both."""
    facts = case.facts
    if NO_TIME in (facts.client_close, facts.server_close):
        return -1
    after = facts.server_close - facts.client_close
    return after if case.closer == CLIENT else -after


def _patience(case: Case) -> int:
    """How long a Pong may take before an end without a word about it is laid to it."""
    trip = case.facts.round_trip
    return max(PATIENCE, 2 * trip if trip != MISSING and trip < ping_age(case) else 0)


def _acknowledged(case: Case) -> str:
    tail = case.tail(case.closer)
    if tail is None:
        return ""
    leg = case.leg(other(case.closer))
    if tail.acknowledged and leg is not None:
        there = f"on whose next leg (connection {leg.facts.number}) it was due"
        return f", although TCP acknowledged it: the proxy's, {there}"
    if tail.acknowledged:
        return ", although TCP acknowledged it: the host is alive, its application did not answer"
    return ", nor was it acknowledged"


def restart(case: Case) -> Finding | None:
    """Close 1012, to one or to all."""
    if case.code != 1012:
        return None
    return Finding("server restart", OBSERVED, case.agent, case.close_text)


def explained(case: Case) -> Finding | None:
    """The code itself says why, and nothing contradicts it."""
    cause, close = EXPLAINED.get(case.code), first_close(case, case.closer)
    if cause is None or close is None:
        return None
    verdict = BY_CODE[case.code](case, close)
    if verdict.verdict == CONTRADICTED:
        return _unfounded(case, verdict)
    if case.code == 1011 and KEEPALIVE.search(case.reason) and HEARTBEAT.search(case.reason):
        evidence = f"{case.close_text}: {verdict.evidence}{outage_text(case)}"
        return Finding("keepalive timeout", INFERRED, case.agent, evidence)
    basis = INFERRED if verdict.verdict != SUPPORTED and case.code in ABOUT_THE_OTHER else OBSERVED
    return Finding(cause, basis, "proxy" if case.code == 1014 else case.agent, f"{case.close_text}: {verdict.evidence}")


def _unfounded(case: Case, verdict: Verdict) -> Finding:
    return Finding("unfounded code", OBSERVED, case.agent, f"{case.close_text}, but {verdict.evidence}")


def catalogued(case: Case) -> Finding | None:
    """A code of the application whose meaning is known, by its catalog or the registry."""
    close = first_close(case, case.closer)
    if case.code < PRIVATE or case.code >= 5000 or close is None:
        return None
    verdict = private(case, close)
    if verdict.verdict == CONTRADICTED:
        return _unfounded(case, verdict)
    name = case.named
    if name == "Other" or HEARTBEAT.search(name):
        return None
    known = None if case.catalog is None else case.catalog.code(case.code)
    timed = TIMED.get(known.shows) if known is not None and verdict.verdict == SUPPORTED else None
    facts = case.facts
    age = facts.ending - facts.opened if NO_TIME not in (facts.ending, facts.opened) else MISSING
    reading = {IDLE: facts.idle, CLIENT_IDLE: facts.client_idle, LIFETIME: age}.get(timed or "", MISSING)
    timer = (reading, timed) if reading >= 0 else ()
    return Finding("application code", OBSERVED, case.agent, f"{case.close_text}: {verdict.evidence}", *timer)


def close_timeout(case: Case) -> Finding | None:
    """One side's Close stayed unanswered, and the same side then ended the transport."""
    facts = case.facts
    if facts.outcome != UNANSWERED_CLOSE or facts.end_by != case.closer or not facts.initiator:
        return None
    sent = facts.client_close if case.closer == CLIENT else facts.server_close
    tail = case.tail(case.closer)
    last = facts.end if tail is None or tail.last_time == NO_TIME else min(facts.end, tail.last_time)
    if NO_TIME in (sent, last) or last - sent < PATIENCE // 2:
        return None
    peer = SIDE_NAMES[other(case.closer)]
    known = "TCP acknowledged it" if tail is not None and tail.acknowledged else "nothing acknowledged it"
    evidence = (
        f"{case.close_text}; the {peer} never answered it ({known}), and {seconds(last - sent)} later the "
        f"{SIDE_NAMES[case.closer]} ended TCP"
    )
    return Finding("close timeout", OBSERVED, case.agent, evidence, last - sent, AFTER_CLOSE)


def coded(case: Case) -> Finding | None:
    """What the code says, where nothing else is known."""
    if case.code == NO_CLOSE or case.code == MISSING:
        return None
    if case.code in (1000, 0):
        cause = "clean close"
    elif case.code == 1001:
        cause = "client navigation" if case.closer == CLIENT else "going away"
    elif 3000 <= case.code < 5000:
        cause = "application code"
    else:
        cause = "illegal code"
    return Finding(cause, OBSERVED, case.agent, case.close_text)
