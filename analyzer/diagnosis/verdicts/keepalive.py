"""1011: a side failed; libraries send it for a Ping without a Pong."""

from __future__ import annotations

import re

from analyzer.diagnosis.facts import SIDE_NAMES
from analyzer.diagnosis.finding import Case, other, seconds
from analyzer.diagnosis.timers import SECOND
from analyzer.diagnosis.verdicts.verdict import Sent, Verdict, blind, contradicted, supported, unverifiable
from analyzer.heard import Heard
from analyzer.records import NO_TIME

OF_PINGS = re.compile(r"keep-?alive|\bp[io]ng", re.IGNORECASE)
SHORTEST_PING = 3 * SECOND // 10
"""A Ping or Pong so shortly before the Close proves nothing."""


def internal_error(case: Case, close: Sent) -> Verdict:
    """1011."""
    heard, side, peer = case.heard(close.by), SIDE_NAMES[close.by], SIDE_NAMES[other(close.by)]
    if waited := unanswered(case, close):
        return supported(waited)
    if not OF_PINGS.search(close.reason):
        return unverifiable(f"nothing on the wire shows what failed inside the {side}")
    if heard is not None and heard.answered is not None and heard.ping is None:
        return _answered(case, close, heard)
    if why := blind(case, heard, peer):
        return unverifiable(why)
    return unverifiable(f"its reason speaks of Pings, but the {side} has sent none that waited for an answer")


def unanswered(case: Case, close: Sent) -> str | None:
    """What is to be seen of the closer's Ping that had no Pong when it closed, None without one."""
    heard, peer = case.heard(close.by), SIDE_NAMES[other(close.by)]
    if heard is None or heard.ping is None or NO_TIME in (heard.ping[0], close.time):
        return None
    sent, _, packet, file = heard.ping
    age = close.time - sent
    if age < SHORTEST_PING:
        return None
    evidence = f"the {SIDE_NAMES[close.by]}'s Ping ({case.packet(packet, file)}) had had no Pong for {seconds(age)}"
    if case.facts.round_trip >= age:
        evidence += f"; the Pong came {seconds(case.facts.round_trip - age)} after the Close"
    return evidence + busy(heard, peer)


def busy(heard: Heard, peer: str) -> str:
    """That a Pong may be stuck behind a large message (RFC 6455 5.4: only between frames)."""
    if not heard.sending:
        return ""
    return (
        f"; the {peer} was in the middle of a frame of {heard.sending} bytes, {heard.sent} of them seen: its Pong can "
        "only follow that"
    )


def _answered(case: Case, close: Sent, heard: Heard) -> Verdict:
    """The reason speaks of a Ping, and the last one had its Pong."""
    assert heard.answered is not None
    side = SIDE_NAMES[close.by]
    sent, ping, ping_file, came, pong, pong_file, end = heard.answered
    before = close.time - came
    evidence = (
        f"its Ping ({case.packet(ping, ping_file)}) was answered after {seconds(came - sent)} "
        f"({case.packet(pong, pong_file)}), {seconds(before)} before the Close"
    )
    if before < SHORTEST_PING:
        return unverifiable(evidence)
    if heard.acknowledged < end:
        return unverifiable(f"{evidence}, but nothing shows that the {side} had received the Pong")
    return contradicted(f"{evidence}, and the {side} had acknowledged the Pong")
