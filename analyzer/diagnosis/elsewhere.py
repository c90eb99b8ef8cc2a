"""A Close that was seen at another place, on the same TCP connection or a proxy's next leg, and never came here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from analyzer.diagnosis.facts import CLIENT, DROPPED, NO_CLOSE, OPEN, SERVER, SIDE_NAMES, UNANSWERED_CLOSE, UNKNOWN
from analyzer.diagnosis.finding import Case, Finding, other
from analyzer.diagnosis.timers import SECOND
from analyzer.diagnosis.transport import vanished, zero_window
from analyzer.diagnosis.vocabulary import INFERRED, OBSERVED
from analyzer.records import MISSING, NO_TIME

ABNORMAL = 1006
SETTLED = 2 * SECOND
"""A Close is not on its way any more after this time."""


class Missed(NamedTuple):
    """The Close of `side`, on the wire in row `there`, that never came to row `here`; between_legs: a proxy had it."""

    here: int
    there: int
    side: int
    between_legs: bool


def close_lost(case: Case) -> Finding | None:
    """It ended without the Close that another place shows."""
    missed = next(missed_closes(case), None)
    if missed is None or case.code != NO_CLOSE:
        return None
    if missed.between_legs and (zero_window(case) or vanished(case)):
        return None  # the proxy had nobody to pass it on to
    there = Case(missed.there, case.scene.facts(missed.there), case.scene)
    told = there.facts.client_saw if missed.side == SERVER else there.facts.server_saw
    agent = "proxy" if missed.between_legs else "network" if told in (MISSING, ABNORMAL) else "middlebox"
    evidence = (
        f"{_sent(there, missed.side)} on connection {there.facts.number}, {_where(missed)}, and never came here: "
        f"{'the proxy did not pass it on' if missed.between_legs else 'lost or removed on the way'}; {case.close_text}"
    )
    return Finding("close lost", INFERRED if case.facts.outcome == UNKNOWN else OBSERVED, agent, evidence)


def close_not_delivered(case: Case) -> Finding | None:
    """What it sent last was never acknowledged, its Close neither, and another point of capture shows that the other
    side did not vanish: it never got that Close."""
    gone = vanished(case)
    places, scene = case.scene.places, case.scene
    if gone is None or places is None or case.code == NO_CLOSE:
        return None
    for row in places.elsewhere(case.row):
        if _lacks(Case(row, scene.facts(row), scene), case, case.closer):
            return Finding("close lost", OBSERVED, "network", f"{_sent(case, case.closer)}; {gone.evidence}")
    return None


def not_delivered(missed: Missed, here: Case) -> str:
    """What the evidence of the connection that shows the Close adds."""
    side, receiver = SIDE_NAMES[missed.side], SIDE_NAMES[other(missed.side)]
    place = "the proxy's next leg" if missed.between_legs else "the other point of capture"
    return (
        f"the {side}'s Close never came to the {receiver}: it is not on connection {here.facts.number}, {place} "
        f"({here.close_text})"
    )


def missed_closes(case: Case) -> Iterator[Missed]:
    """The Closes that other places show and this one surely lacks."""
    places, scene = case.scene.places, case.scene
    if places is None or case.row not in places.linked:
        return
    for side in (SERVER, CLIENT):
        leg = int((places.back_of if side == SERVER else places.front_of)[case.row])
        rows: Iterable[tuple[int, bool]] = [(row, False) for row in places.elsewhere(case.row)]
        for row, between_legs in (*rows, (leg, True)):
            if row >= 0 and _lacks(case, Case(row, scene.facts(row), scene), side):
                yield Missed(case.row, row, side, between_legs)
                break


def _lacks(here: Case, there: Case, side: int) -> bool:
    """The side's Close is there, while this connection lasted, and not here. Where bytes are missing here that could
    hold it, the other side acknowledged it at neither place."""
    sent, told = (there.facts.server_close, there.facts.client_saw)
    if side == CLIENT:
        sent, told = (there.facts.client_close, there.facts.server_saw)
    has = (here.facts.client_code if side == CLIENT else here.facts.server_code) != NO_CLOSE
    clocks = here.facts.asked, there.facts.asked
    if has or sent == NO_TIME or NO_TIME in clocks:
        return False
    sent += clocks[0] - clocks[1]  # to the clock here: both saw the request at nearly the same moment
    crossing = SETTLED if here.closer == other(side) else 0  # its receiver may have ended it while it was on its way
    if here.facts.ending != NO_TIME and here.facts.ending < sent + crossing:
        return False
    if here.facts.outcome in (DROPPED, UNANSWERED_CLOSE):
        return True
    if here.facts.outcome == OPEN:
        return here.details is not None and here.details.watched_until - sent > SETTLED
    tail = here.tail(side)
    unacknowledged = tail is not None and not tail.acknowledged and told in (MISSING, ABNORMAL)
    return here.facts.outcome == UNKNOWN and unacknowledged


def _sent(there: Case, side: int) -> str:
    """The server's Close 4998 "bye" was seen (packet 17)."""
    facts = there.facts
    code, reason, packet, file = (
        (facts.client_code, facts.client_reason, facts.client_packet, facts.client_file)
        if side == CLIENT
        else (facts.server_code, facts.server_reason, facts.server_packet, facts.server_file)
    )
    what = f"Close {code}" if code > 0 else "empty Close" if code == 0 else "Close"
    text = f' "{there.scene.texts[reason]}"' if there.scene.texts[reason] else ""
    return f"the {SIDE_NAMES[side]}'s {what}{text} was seen ({there.packet(packet, file)})"


def _where(missed: Missed) -> str:
    if not missed.between_legs:
        return "another point of capture"
    return f"the leg towards the {SIDE_NAMES[missed.side]}"
