"""Codes by which a service speaks of itself: 1008, 1012, 1013, 1014."""

from __future__ import annotations

from analyzer.diagnosis.facts import SERVER, SIDE_NAMES
from analyzer.diagnosis.finding import DOWN, Case, other, refused_text, seconds
from analyzer.diagnosis.timers import SECOND
from analyzer.diagnosis.verdicts.verdict import Sent, Verdict, contradicted, counted, supported, unverifiable
from analyzer.records import NO_TIME

RUSH = 5
"""Messages a second that a person or a quiet feed does not send."""


def policy(case: Case, close: Sent) -> Verdict:
    """1008: nothing can prove it; the nearest features."""
    facts, peer = case.facts, SIDE_NAMES[other(close.by)]
    messages = facts.client_messages if close.by == SERVER else facts.server_messages
    evidence = f"only the {SIDE_NAMES[close.by]} knows its policy; the {peer} had sent {counted(messages, 'message')}"
    if NO_TIME not in (facts.opened, close.time) and close.time > facts.opened:
        age = close.time - facts.opened
        evidence += f" in {seconds(age)}"
        rate = messages * SECOND / age
        if messages > RUSH and rate > RUSH:
            evidence += f", {rate:.0f} a second"
        elif messages == 1:
            evidence += ": the first one may have been refused"
        elif messages == 0:
            evidence += ": its handshake may have been refused"
    if case.details is not None and case.details.origin:
        evidence += f"; its Origin is {case.details.origin}"
    return unverifiable(evidence)


def restart(case: Case, close: Sent) -> Verdict:
    """1012: the others that were closed with it, and what came back."""
    event = case.event
    if close.by == SERVER and event is not None:
        evidence = (
            f"{event.count} connections of {case.service} were closed so within {seconds(event.end - event.begin)}, "
            f"{event.survivors or 'none'} went on"
        )
        return supported(evidence + refused_text(case, event.begin) + returned(case, event.end))
    if close.by == SERVER and close.time != NO_TIME and (down := refused_text(case, close.time)):
        return supported(f"the service went down{down}")
    others = case.others.told(close.code) - 1
    if others > 0:
        return unverifiable(f"{counted(others, 'other connection')} of {case.service} ended with 1012, at other times")
    evidence = f"no other connection of {case.service} was closed so"
    if close.time != NO_TIME and (more := case.others.alive(close.time, close.time + 1)):
        evidence += f", {counted(more, 'other')} went on: a part of the service may have been restarted"
    return unverifiable(evidence)


def returned(case: Case, after: int) -> str:
    """The connections by which the clients came back."""
    back = case.others.returns(case.code, after)
    if not back:
        return "; no client came back in the capture"
    first, middle = seconds(back[0]), seconds(back[len(back) // 2])
    return f"; {counted(len(back), 'new connection')} of its clients followed, after {first} (median {middle})"


def overload(case: Case, close: Sent) -> Verdict:
    """1013: signs of load."""
    signs = case.others.load(close.time)
    if close.time != NO_TIME and (near := case.refused(close.time - DOWN, close.time + DOWN)):
        signs.append(f"{counted(len(near), 'connection')} refused (RST to SYN) within a minute of it")
    if signs:
        return supported("; ".join(signs))
    return unverifiable(f"nothing else shows that {case.service} was over its load")


def bad_gateway(case: Case, close: Sent) -> Verdict:
    """1014: the leg to the server behind the gateway."""
    if close.by != SERVER:
        return contradicted("a client is no gateway: the code is for the server's side, of the server behind it")
    leg = case.leg(SERVER)
    if leg is None:
        return unverifiable("the gateway's connection to the server behind it is not in the capture")
    partner = leg.facts
    when = "" if NO_TIME in (partner.ending, close.time) else f", {seconds(max(0, close.time - partner.ending))} before"
    if when and partner.ending <= close.time:
        return supported(f"the leg behind the gateway (connection {partner.number}) had ended{when}")
    return unverifiable(f"the leg behind the gateway (connection {partner.number}) had not ended before")
