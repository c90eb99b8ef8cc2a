"""What a verdict is, and the Close that it is about."""

from __future__ import annotations

from typing import NamedTuple

from analyzer.diagnosis.facts import CLIENT, MIDSTREAM, NO_CLOSE
from analyzer.diagnosis.finding import Case
from analyzer.diagnosis.vocabulary import CONTRADICTED, SUPPORTED, UNVERIFIABLE
from analyzer.heard import Heard

DEFLATE = "permessage-deflate"


class Verdict(NamedTuple):
    """verdict: one of VERDICTS; evidence: one line."""

    verdict: str
    evidence: str


class Sent(NamedTuple):
    """A Close as it was sent. by: CLIENT or SERVER; ordinal: 1 for that side's first; code: see facts; time, packet,
    file: of the packet that completed it; browser: the client's handshake named an Origin; doubt: 2 if it may well
    be no frame (see records.Side.weak_resyncs), 1 if frames had to be found without or after missing bytes, else 0;
    size: of its body."""

    connection: int
    by: int
    ordinal: int
    code: int
    reason: str
    time: int
    packet: int
    file: int
    browser: bool
    doubt: int
    size: int = 2


def supported(evidence: str) -> Verdict:
    return Verdict(SUPPORTED, evidence)


def contradicted(evidence: str) -> Verdict:
    return Verdict(CONTRADICTED, evidence)


def unverifiable(evidence: str) -> Verdict:
    return Verdict(UNVERIFIABLE, evidence)


def first_close(case: Case, side: int) -> Sent | None:
    """A side's first Close, from the facts of its connection."""
    facts, client = case.facts, side == CLIENT
    code = facts.client_code if client else facts.server_code
    if code == NO_CLOSE:
        return None
    return Sent(
        facts.number,
        side,
        1,
        code,
        case.scene.texts[facts.client_reason if client else facts.server_reason],
        facts.client_close if client else facts.server_close,
        facts.client_packet if client else facts.server_packet,
        facts.client_file if client else facts.server_file,
        False,
        0,
    )


def blind(case: Case, heard: Heard | None, peer: str) -> str | None:
    """Why it can't be told what the other side sent, None if it can."""
    details = case.details
    if case.facts.opening == MIDSTREAM:
        return "the capture begins after the handshake"
    if heard is None or details is None or not heard.exact:
        return f"bytes of the {peer} are missing from the capture"
    if not details.judged:
        return "nothing could be held against the rules"
    names = [part.partition(";")[0].strip().lower() for part in (details.extensions or "").split(",")]
    if unknown := [name for name in names if name not in ("", DEFLATE)]:
        return f"frames may be changed by the extension {unknown[0]}"
    return None


def counted(number: int, noun: str) -> str:
    """1 message, 2 messages."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
