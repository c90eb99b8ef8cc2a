"""What is to be seen of an application's heartbeats when a side closes, and of codes that speak of them."""

from __future__ import annotations

from analyzer.diagnosis.facts import CLIENT, SIDE_NAMES
from analyzer.diagnosis.finding import Case, other, seconds
from analyzer.diagnosis.timers import SECOND
from analyzer.diagnosis.verdicts.verdict import Sent, Verdict, contradicted, supported, unverifiable
from analyzer.records import NO_TIME

SHORTEST = 3 * SECOND // 10
"""A heartbeat or its answer so shortly before the Close proves nothing."""
LATE = 1.5
"""Periods after which a heartbeat has not come."""


def waited(case: Case, side: int, until: int) -> int:
    """For how long the side's oldest heartbeat had had no answer then (nanoseconds), 0 without one."""
    sent = case.facts.client_beat if side == CLIENT else case.facts.server_beat
    return until - sent if NO_TIME not in (sent, until) and until - sent >= SHORTEST else 0


def waiting_text(case: Case, side: int, age: int) -> str:
    """That a heartbeat had no answer."""
    beats = case.beats(side)
    assert beats is not None
    _, packet, file = beats.waiting[0]
    text = f"the {SIDE_NAMES[side]}'s heartbeat ({case.packet(packet, file)}) had had no answer for {seconds(age)}"
    if beats.late is not None and beats.late[0] != NO_TIME:
        text += f"; it came too late ({case.packet(beats.late[1], beats.late[2])})"
    return text


def stopped_text(case: Case, side: int, until: int) -> str:
    """When the side had last sent a heartbeat, "" if it never did."""
    beats = case.beats(side)
    if beats is None or beats.last is None or NO_TIME in (beats.last[0], until):
        return ""
    time, packet, file = beats.last
    text = f"the {SIDE_NAMES[side]}'s last heartbeat ({case.packet(packet, file)}) was {seconds(until - time)} before"
    return f"{text}, they came every {seconds(beats.period)}" if beats.period > 0 else text


def no_heartbeat(case: Case, close: Sent) -> Verdict:
    """The client's heartbeat stayed away, or its answer to the server's."""
    own, peer = case.beats(close.by), other(close.by)
    theirs, heard = case.beats(peer), case.heard(close.by)
    if age := waited(case, close.by, close.time):
        return supported(waiting_text(case, close.by, age))
    if own is not None and own.answered is not None and not own.waiting:
        _, _, _, came, packet, file, end = own.answered
        evidence = f"every heartbeat of the {SIDE_NAMES[close.by]} had its answer, the last one in"
        evidence = f"{evidence} {case.packet(packet, file)}, {seconds(close.time - came)} before the Close"
        sure = heard is not None and heard.acknowledged >= end and close.time - came >= SHORTEST
        return contradicted(evidence) if sure else unverifiable(evidence)
    if theirs is None or not (text := stopped_text(case, peer, close.time)):
        return unverifiable("no heartbeat that its catalog knows was seen")
    late = theirs.last is not None and 0 < LATE * theirs.period < close.time - theirs.last[0]
    return supported(text) if late else unverifiable(text)
