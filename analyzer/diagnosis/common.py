"""Causes that show only over many connections: timers, servers that stopped, proxies that pass an end on."""

from __future__ import annotations

from analyzer.diagnosis.devices import device_of
from analyzer.diagnosis.facts import CLIENT, NO_CLOSE, SERVER, SIDE_NAMES, UNKNOWN, Facts
from analyzer.diagnosis.finding import Case, Finding, by_proxy_text, refused_text, seconds
from analyzer.diagnosis.timers import CLOCKS, EARLY, SECOND
from analyzer.diagnosis.timers import LIFETIME as LIFETIME_CLOCK
from analyzer.diagnosis.vocabulary import CLOCK_NAMES, IDLE, INFERRED, LIFETIME, OBSERVED, SINCE
from analyzer.records import NO_TIME

PASSED_ON = 2 * SECOND
"""A proxy passes the end of one leg on to the other one within this time."""
PLAIN = (NO_CLOSE, 1000, 0, 1001)
SHORTEST_ALONE = 9 * SECOND
ROUND = SECOND // 40
"""A silence that a timer of whole seconds ended is so near to it; of any others one in twenty is."""
LONG_SILENCE = 1.5
"""So many times longer than any pause before must a silence be that is to tell of a timer by itself."""
ALIKE = SECOND // 100
"""Silences that one timer ends differ less: haproxy is exact to 3 ms."""
GONE = 5 * SECOND
"""A server whose port refuses connections so soon after it ended one had stopped."""
AT_ONCE = SECOND // 20
"""What a proxy ends at one moment ends within this time."""


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
        f"ended {seconds(reading)} after {SINCE[found.clock]}: {case.close_text}; {found.count} of {total} "
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
    """The proxy closed this leg because the one behind it had just ended, and no byte is missing that could be a
    Close."""
    return None if case.facts.outcome == UNKNOWN else passed_on(case)


def passed_on(case: Case) -> Finding | None:
    """The leg behind it had just ended."""
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
        f"{seconds(found.end - found.begin)}, {found.survivors or 'none'} went on{refused_text(case, found.begin)}"
    )
    if found.code == NO_CLOSE:
        basis = OBSERVED if not found.survivors else INFERRED
        return Finding("server stopped", basis, "server", evidence)
    if found.code in (1000, 0, 1001):
        return Finding("server shutdown", OBSERVED, "server", evidence)
    return None


def stopped(case: Case) -> Finding | None:
    """The server ended it without a Close, then no connection of its service went on, and new ones were refused."""
    facts = case.facts
    if case.code != NO_CLOSE or case.closer != SERVER or NO_TIME in (facts.ending, facts.opened):
        return None
    refused = case.refused(facts.ending, facts.ending + GONE)
    if not refused or case.others.alive(facts.ending, refused[0]):
        return None
    evidence = f"{case.close_text}; no other connection of {case.service} went on{refused_text(case, facts.ending)}"
    return Finding("server stopped", INFERRED, "server", evidence)


def proxy_timer(case: Case) -> Finding | None:
    """A proxy ended both its legs at once after one and the same silence: of whole seconds, or of another time that it
    kept with another connection too."""
    leg = case.leg(case.closer)
    if leg is None or not case.between_legs or not case.code == leg.code == NO_CLOSE:
        return None
    value, how = _whole(case.facts.idle), "whole seconds"
    if abs(case.facts.idle - value) > ROUND and (alike := _ended_alike(case)) is not None:
        value, how = case.facts.idle, f"as long as connection {alike.number} had been silent when it ended it"
    if value < SECOND or abs(case.facts.ending - leg.facts.ending) > AT_ONCE:
        return None
    if not (_silent_for(value, case) and _silent_for(value, leg)):
        return None
    device = device_of(value / SECOND, False)
    evidence = (
        f"{case.close_text}; {by_proxy_text(case, leg)}: {how}, and no connection of {case.service} outlived "
        "such a silence"
    )
    age = case.facts.ending - case.facts.opened
    if abs(age - _whole(age)) <= ROUND:
        evidence += f"; as well {seconds(age)} after {SINCE[LIFETIME_CLOCK]}"
    if device is not None:
        evidence += f"; the default of {device.name}"
    return Finding("idle timer", INFERRED, "proxy", evidence, value, IDLE, None if device is None else device.name)


def _ended_alike(case: Case) -> Facts | None:
    """Another connection of the service whose legs the proxy ended after the same silence, at another time and age."""
    facts = case.facts
    for row in case.others.silent_alike(facts.idle, ALIKE):
        other = Case(row, case.scene.facts(row), case.scene)
        ages = facts.ending - facts.opened, other.facts.ending - other.facts.opened
        apart = abs(other.facts.ending - facts.ending) > SECOND and abs(ages[0] - ages[1]) > SECOND
        if row != case.row and other.code == NO_CLOSE and other.between_legs and apart:
            return other.facts
    return None


def _whole(nanoseconds: int) -> int:
    """The nearest whole second."""
    return (nanoseconds + SECOND // 2) // SECOND * SECOND


def _silent_for(value: int, case: Case) -> bool:
    """A leg was silent for so long at its end, never nearly as long before, and nothing of its service speaks against a
    timer: none outlived the silence, and what ended at the same moment had been silent as long."""
    facts, others = case.facts, case.others
    if NO_TIME in (facts.idle, facts.opened) or abs(facts.idle - value) > ROUND or LONG_SILENCE * case.pause > value:
        return False
    if others.survived > value + EARLY:
        return False
    return all(abs(silence - value) <= EARLY for silence in others.ended_near(facts.ending, AT_ONCE))


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
        agent = "proxy" if case.between_legs else case.agent
        return Finding(cause, INFERRED, agent, evidence, reading, clock, device.name)
    return None
