"""Causes on the level of TCP: a side that vanished or stopped reading, a device on the way, a plain reset or end."""

from __future__ import annotations

from analyzer.diagnosis.facts import CLIENT, CLOSING, NO_CLOSE, OPEN, SERVER, SIDE_NAMES, Tail
from analyzer.diagnosis.finding import Case, Expiry, Finding, by_proxy_text, other, outage_text, seconds
from analyzer.diagnosis.stream_ends import reset_after
from analyzer.diagnosis.timers import SECOND
from analyzer.diagnosis.vocabulary import IDLE, INFERRED, OBSERVED
from analyzer.records import END_FIN, END_GOAWAY, END_RST, END_STREAM, END_STREAM_RESET, NO_TIME

REPEATS = 3
"""Repeats or probes without an answer that say the other side is gone; fewer may be a burst of loss."""
STALLED = SECOND
STALLED_ITSELF = 5 * SECOND  # where the side that did not read is also the one that ended it
AT_ONCE = SECOND
ONE_ACT = SECOND // 20
EXPIRIES = 3


def zero_window(case: Case) -> Finding | None:
    """A side's receive window was closed to the end: it stopped reading."""
    for side in (CLIENT, SERVER):
        tail = case.tail(side)
        if tail is None or not tail.shut_packet or tail.shut_since == NO_TIME or tail.finished:
            continue
        ended = bool(case.facts.end_by)
        end = case.facts.end if ended else _watched(case)
        itself = case.facts.end_by == side
        if end == NO_TIME or end - tail.shut_since < (STALLED_ITSELF if itself else STALLED):
            continue
        peer = case.tail(other(side))
        probes = f", {peer.probes} probes unanswered" if peer is not None and peer.probes else ""
        how = f"ended by the {SIDE_NAMES[case.facts.end_by]}" if ended else "not ended in the capture"
        evidence = (
            f"the {SIDE_NAMES[side]} closed its receive window ({case.packet(tail.shut_packet)}) "
            f"and kept it closed for {seconds(end - tail.shut_since)}{probes}; {how}"
        )
        agent = SIDE_NAMES[case.facts.end_by] if ended else None
        return Finding("zero window", INFERRED if itself else OBSERVED, agent, evidence)
    return None


def _watched(case: Case) -> int:
    return case.facts.end if case.details is None else max(case.facts.end, case.details.watched_until)


def vanished(case: Case) -> Finding | None:
    """What a side sent last was never acknowledged, or its probes never answered: the other side is gone."""
    for side in (CLIENT, SERVER):
        tail, peer = case.tail(side), case.tail(other(side))
        if tail is None or peer is None or case.facts.end_by == other(side):
            continue
        repeats = tail.again_count >= REPEATS and tail.again_time - tail.again_first >= SECOND // 2
        if repeats and peer.last_time <= tail.again_first:
            return _gone(case, side, f"{tail.again_count} retransmissions", tail.again_first, tail.again_packet)
        if tail.probes >= REPEATS:
            return _gone(case, side, f"{tail.probes} keep-alive probes", tail.probe_first, tail.probe_packet)
    return None


def _gone(case: Case, side: int, what: str, first: int, packet: int) -> Finding:
    peer = case.tail(other(side))
    assert peer is not None
    silent = case.facts.end - peer.last_time if NO_TIME not in (case.facts.end, peer.last_time) else 0
    evidence = (
        f"{what} of the {SIDE_NAMES[side]} stayed unanswered (to {case.packet(packet)}); the "
        f"{SIDE_NAMES[other(side)]} sent nothing for {seconds(silent)}"
    )
    if case.facts.end_by == side and case.facts.end_how == END_RST:
        evidence += f", then the {SIDE_NAMES[side]} gave up with RST"
    return Finding("peer vanished", OBSERVED, "network", evidence)


def is_foreign(tail: Tail) -> bool:
    """The RST in this direction came from another device: its TTL is not that of the side's other packets."""
    return tail.reset_packet > 0 and tail.time_to_live >= 0 and tail.reset_time_to_live != tail.time_to_live


def fatal_silence(case: Case) -> int:
    """The silence (nanoseconds) after which the next packet was answered with a foreign RST, 0 if that is not so."""
    details, facts = case.details, case.facts
    if details is None or facts.end_how != END_RST or details.silence_end == NO_TIME:
        return 0
    tail = case.tail(facts.end_by)
    if tail is None or not is_foreign(tail):
        return 0
    after = facts.end - details.silence_end
    return details.silence if 0 < after < AT_ONCE and details.silence > details.survived else 0


def idle_expiry(case: Case) -> Finding | None:
    """A device on the way forgot the connection while it was silent."""
    expiry = case.scene.expiries.get(case.facts.service)
    if silence := fatal_silence(case):
        return _expired(case, silence, expiry)
    known = expiry is not None and expiry.cut >= EXPIRIES and expiry.survived < expiry.fatal
    if case.facts.outcome != OPEN or case.details is None or expiry is None or not known:
        return None
    silent = case.details.watched_until - case.facts.end
    if silent < expiry.fatal:
        return None
    evidence = (
        f"silent for the last {seconds(silent)} of the capture; {_limits(expiry)}, so it is dead although neither side "
        f"ended it ({case.packet(case.facts.last_packet)} is the last)"
    )
    return Finding("idle expiry", INFERRED, "middlebox", evidence, round_value(expiry), IDLE)


def _expired(case: Case, silence: int, expiry: Expiry | None) -> Finding:
    tail = case.tail(case.facts.end_by)
    assert tail is not None
    evidence = (
        f"the first packet after {seconds(silence)} of silence was answered by RST ({case.packet(tail.reset_packet)}) "
        f"with TTL {tail.reset_time_to_live}, the {SIDE_NAMES[case.facts.end_by]}'s is {tail.time_to_live}"
    )
    if expiry is not None and expiry.cut >= EXPIRIES and expiry.survived < expiry.fatal:
        evidence = f"{evidence}; {_limits(expiry)}"
        return Finding("idle expiry", OBSERVED, "middlebox", evidence, round_value(expiry), IDLE)
    return Finding("idle expiry", INFERRED, "middlebox", evidence, silence, IDLE)


def _limits(expiry: Expiry) -> str:
    return (
        f"{expiry.cut} connections of this service were cut after {seconds(expiry.fatal)} of silence or more, none "
        f"within {seconds(expiry.survived)}"
    )


def round_value(expiry: Expiry) -> int:
    """The device's timer: the whole second between what was survived and what was fatal, else the middle."""
    whole = expiry.fatal // SECOND * SECOND
    return whole if whole >= expiry.survived else (expiry.fatal + expiry.survived) // 2


def middlebox_reset(case: Case) -> Finding | None:
    """The RST is not from the side whose address it bears."""
    tail = case.tail(case.facts.end_by) if case.facts.end_how == END_RST else None
    if tail is None or not is_foreign(tail):
        return None
    evidence = (
        f"RST ({case.packet(tail.reset_packet)}) with TTL {tail.reset_time_to_live}; all else from the "
        f"{SIDE_NAMES[case.facts.end_by]} has {tail.time_to_live}"
    )
    return Finding("middlebox reset", OBSERVED, "middlebox", evidence)


def reset(case: Case) -> Finding | None:
    """A side reset the connection, or its stream, without a Close before."""
    facts = case.facts
    of_stream = facts.end_how == END_STREAM_RESET or _reset_at_once(case)
    if not (of_stream or facts.end_how == END_RST) or not facts.end_by or case.code != NO_CLOSE:
        return None
    tail = case.tail(facts.end_by)
    side = SIDE_NAMES[facts.end_by]
    if of_stream:
        return _by_proxy(case, Finding("reset", OBSERVED, side, case.close_text))
    packet = facts.last_packet if tail is None or not tail.reset_packet else tail.reset_packet
    evidence = f"RST by the {side} ({case.packet(packet)}), no Close before"
    if tail is not None and tail.reset_silent > 0:
        evidence += f"; {tail.reset_silent} bytes sent to it were not acknowledged{outage_text(case)}"
    if tail is not None and tail.reset_time_to_live >= 0:
        evidence += f"; its TTL {tail.reset_time_to_live} is the {side}'s own"
    return _by_proxy(case, Finding("reset", OBSERVED, side, evidence + case.said_before))


def _reset_at_once(case: Case) -> bool:
    """The side that ended the stream with END_STREAM then reset it with an error, in one act."""
    facts = case.facts
    if facts.end_how != END_STREAM or case.details is None:
        return False
    return reset_after(case.details.stream_ends, facts.end_by, facts.ending, ONE_ACT)


def dropped(case: Case) -> Finding | None:
    """A side ended TCP, or its stream, without a Close, and nothing says why."""
    facts = case.facts
    if case.code != NO_CLOSE or facts.end_how not in (END_FIN, END_STREAM, END_GOAWAY) or not facts.end_by:
        return None
    finding = Finding("dropped", OBSERVED, SIDE_NAMES[facts.end_by], case.close_text)
    if case.between_legs:
        return _by_proxy(case, finding)
    return finding._replace(evidence=f"{case.close_text}; {seconds(max(facts.idle, 0))} after the last frame")


def _by_proxy(case: Case, finding: Finding) -> Finding:
    """The same, where the other leg shows that it was a proxy between both that ended it."""
    leg = case.leg(case.closer) if case.between_legs else None
    if leg is None:
        return finding
    return finding._replace(agent="proxy", evidence=f"{finding.evidence}; {by_proxy_text(case, leg)}")


def capture_ended(case: Case) -> Finding | None:
    """It was open, as far as the capture goes."""
    if case.facts.outcome not in (OPEN, CLOSING) or case.facts.end_by:
        return None
    silent = "" if case.details is None else f", {seconds(max(0, _watched(case) - case.facts.end))} before the end"
    evidence = f"no end in the capture; {case.packet(case.facts.last_packet)} is the last{silent}"
    return Finding("capture ended", OBSERVED, None, evidence)
