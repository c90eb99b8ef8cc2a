"""Causes that show only over many connections: timers, servers that stopped, proxies that pass an end on."""

from __future__ import annotations

from analyzer.diagnosis.devices import device_of
from analyzer.diagnosis.facts import CLIENT, NO_CLOSE, SIDE_NAMES, Facts
from analyzer.diagnosis.finding import Case, Finding, seconds
from analyzer.diagnosis.timers import CLOCKS, SECOND
from analyzer.diagnosis.timers import LIFETIME as LIFETIME_CLOCK
from analyzer.diagnosis.vocabulary import CLOCK_NAMES, IDLE, INFERRED, LIFETIME, OBSERVED, SINCE
from analyzer.records import NO_TIME

PASSED_ON = 2 * SECOND
"""A proxy passes the end of one leg on to the other one within this time."""
PLAIN = (NO_CLOSE, 1000, 0, 1001)
SHORTEST_ALONE = 9 * SECOND


def timer(case: Case) -> Finding | None:
    """Many connections of the service ended at the same reading of one clock."""
    number = case.scene.timer_of[case.row] if case.scene.timer_of else -1
    if number < 0:
        return None
    found = case.scene.timers[number]
    reading = _reading(case.facts, found.clock)
    lifetime = found.clock == LIFETIME_CLOCK
    device = device_of(found.seconds, lifetime) if case.code in PLAIN else None
    total = case.scene.opened.get(case.facts.service, found.count)
    evidence = (
        f"ended {seconds(reading)} after {SINCE[found.clock]} ({case.close_text}); {found.count} of {total} "
        f"connections of {case.service} ended so, at {seconds(found.nanoseconds)} within {seconds(found.spread)}"
    )
    if found.rival >= 0:
        evidence += f"; as well {seconds(_reading(case.facts, found.rival))} after {SINCE[found.rival]}"
    if device is not None:
        evidence += f"; the default of {device.name}"
    return Finding(
        "lifetime timer" if lifetime else "idle timer",
        INFERRED if found.loose or found.rival >= 0 else OBSERVED,
        "proxy" if case.between_legs else case.agent,
        evidence,
        found.nanoseconds,
        CLOCK_NAMES[found.clock],
        None if device is None else device.name,
    )


def _reading(facts: Facts, clock: int) -> int:
    if clock == LIFETIME_CLOCK:
        return facts.ending - facts.opened
    return int(getattr(facts, CLOCKS[clock]))


def other_leg(case: Case) -> Finding | None:
    """The proxy closed this leg because the one behind it had just ended."""
    leg = case.leg(case.closer)
    if leg is None or case.code != NO_CLOSE or NO_TIME in (leg.facts.ending, case.facts.ending):
        return None
    after = case.facts.ending - leg.facts.ending
    if leg.closer != case.closer or not 0 < after < PASSED_ON:
        return None
    evidence = (
        f"{case.close_text}, {seconds(after)} after the other leg of the proxy (connection {leg.facts.number}) was "
        f"ended by its {SIDE_NAMES[case.closer]}"
    )
    return Finding("other leg", OBSERVED, SIDE_NAMES[case.closer], evidence)


def event(case: Case) -> Finding | None:
    """The server ended all its connections at once."""
    found = case.event
    if found is None:
        return None
    evidence = (
        f"{case.close_text}; {found.count} connections of {case.service} ended so within "
        f"{seconds(found.end - found.begin)}, {found.survivors or 'none'} went on"
    )
    if found.code == NO_CLOSE:
        basis = OBSERVED if not found.survivors else INFERRED
        return Finding("server stopped", basis, "server", evidence)
    if found.code in (1000, 0, 1001):
        return Finding("server shutdown", OBSERVED, "server", evidence)
    return None


def timer_alone(case: Case) -> Finding | None:
    """One connection at the value of a known device: at most a likeness."""
    facts = case.facts
    by_client = case.closer == CLIENT and case.code != NO_CLOSE
    if case.code not in PLAIN or by_client or not case.closer or NO_TIME in (facts.opened, facts.ending):
        return None
    for clock, reading in ((IDLE, facts.idle), (LIFETIME, facts.ending - facts.opened)):
        device = device_of(reading / SECOND, clock == LIFETIME) if reading >= SHORTEST_ALONE else None
        if device is None or abs(reading - device.seconds * SECOND) > max(SECOND // 20, reading // 1000):
            continue
        since = SINCE[0] if clock == IDLE else SINCE[LIFETIME_CLOCK]
        evidence = f"{case.close_text}, {seconds(reading)} after {since}: the default of {device.name}"
        cause = "idle timer" if clock == IDLE else "lifetime timer"
        return Finding(cause, INFERRED, case.agent, evidence, reading, clock, device.name)
    return None
