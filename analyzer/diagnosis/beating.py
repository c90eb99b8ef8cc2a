"""Causes about the application's own heartbeats: one stayed without its answer, or they stayed away."""

from __future__ import annotations

from analyzer.diagnosis.closing import HEARTBEAT, PATIENCE, PRIVATE, SHORTEST_PING, ping_age, words
from analyzer.diagnosis.common import PLAIN
from analyzer.diagnosis.facts import CLIENT, SERVER, SIDE_NAMES
from analyzer.diagnosis.finding import Case, Finding, other, seconds
from analyzer.diagnosis.timers import CLOCKS, width_of
from analyzer.diagnosis.verdicts.beating import LATE, stopped_text, waited, waiting_text
from analyzer.diagnosis.vocabulary import CLOCK_NAMES, INFERRED, OBSERVED, PING, SINCE
from analyzer.records import NO_TIME


def missed(case: Case) -> Finding | None:
    """The reason, or the code by its catalog, says that the application's heartbeat stayed away; or the closer's own
    one had waited for its answer."""
    said = case.code >= 0 and HEARTBEAT.search(words(case)) is not None and ping_age(case) < SHORTEST_PING
    age = waited(case, case.closer, case.facts.ending)
    if not said and not _gave_up(case, age):
        return None
    idle = case.facts.server_idle if case.closer == CLIENT else case.facts.client_idle
    peer = SIDE_NAMES[other(case.closer)]
    evidence = f"{case.close_text}, {seconds(max(idle, 0))} after the last frame of the {peer}"
    if text := _beats_text(case, age):
        evidence += f"; {text}"
    basis = OBSERVED if said else INFERRED
    number = case.scene.timer_of[case.row] if case.scene.timer_of else -1
    if number < 0:
        return Finding("heartbeat missed", basis, case.agent, evidence, *((age, PING) if age > 0 else ()))
    timer, clock = case.scene.timers[number], case.scene.timers[number].clock
    if abs(idle - timer.nanoseconds) <= max(timer.spread, width_of(timer.nanoseconds)):
        # a heartbeat is the other side's, whatever else fits
        clock = CLOCKS.index("client_idle" if case.closer == SERVER else "server_idle")
    evidence += (
        f"; {timer.count} connections of {case.service} ended so, {seconds(timer.nanoseconds)} after "
        f"{SINCE[clock]}, within {seconds(timer.spread)}"
    )
    return Finding("heartbeat missed", basis, case.agent, evidence, timer.nanoseconds, CLOCK_NAMES[clock])


def _gave_up(case: Case, age: int) -> bool:
    """The closer's heartbeat had waited too long, in silence or where earlier ones had their answers."""
    beats = case.beats(case.closer)
    if beats is None or age < max(PATIENCE, 2 * beats.longest):
        return False
    if case.code not in PLAIN and not (case.code >= PRIVATE and case.named == "Other"):
        return False
    idle = case.facts.server_idle if case.closer == CLIENT else case.facts.client_idle
    return beats.answered is not None or idle >= age


def _beats_text(case: Case, age: int) -> str:
    """What is to be seen of the heartbeats, "" if nothing."""
    if age > 0:
        return waiting_text(case, case.closer, age)
    return stopped_text(case, other(case.closer), case.facts.ending)


def stopped(case: Case) -> Finding | None:
    """The other side had beaten steadily, then all of it fell silent, and the closer said nothing of why it closed."""
    peer = other(case.closer)
    beats = case.beats(peer)
    idle = case.facts.server_idle if case.closer == CLIENT else case.facts.client_idle
    if not case.closer or beats is None or case.code not in PLAIN or NO_TIME in (idle, case.facts.ending):
        return None
    period = beats.period
    if period <= 0 or idle < LATE * period + PATIENCE:
        return None
    evidence = f"{case.close_text}; {stopped_text(case, peer, case.facts.ending)}"
    return Finding("heartbeat missed", INFERRED, case.agent, evidence)
