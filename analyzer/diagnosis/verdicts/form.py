"""Closes that must not be sent, that come again, that lack their code, or that answer another one."""

from __future__ import annotations

from analyzer.closecodes import CloseCode
from analyzer.diagnosis.facts import SIDE_NAMES
from analyzer.diagnosis.finding import Case, other
from analyzer.diagnosis.verdicts.verdict import Sent, Verdict, contradicted, supported, unverifiable

LOCAL = (1005, 1006, 1015)
PEACEFUL = (1000, 1001)
"""Codes by which an answer may only mean that the Close was received."""


def illegal(close: Sent) -> Verdict | None:
    """A code that no Close may carry (RFC 6455 7.4)."""
    if close.code == 0 and close.size < 2:
        return None
    known = CloseCode(close.code)
    side = SIDE_NAMES[close.by]
    if close.code in LOCAL:
        return contradicted(f"{close.code} is only told to an application, never sent; the {side} sent it (rule C4)")
    if not known.on_wire:
        return contradicted(f"no Close may carry {close.code}; the {side} sent it (rule C4, {known.reference})")
    return None


def doubtful() -> Verdict:
    """Frames were found again after missing bytes, but not for sure."""
    return unverifiable("bytes before it are missing, and it may be no frame at all")


def again(close: Sent) -> Verdict:
    """A side's second Close and further ones."""
    return unverifiable(f"the {SIDE_NAMES[close.by]}'s Close number {close.ordinal}: only the first counts (rule C2)")


def not_captured() -> Verdict:
    """The code is not known."""
    return unverifiable("its code is not in the capture")


def answer(case: Case, close: Sent, first: Sent) -> Verdict | None:
    """The answer to the other side's Close; None where its own code is to be judged."""
    what = f"Close {first.code}" if first.code > 0 else "Close without a code"
    theirs = f"the {SIDE_NAMES[other(close.by)]}'s {what} ({case.packet(first.packet, first.file)})"
    if close.code == first.code:
        return supported(f"echoes {theirs}")
    if close.code == 0:
        return supported(f"answers {theirs} without a code and claims nothing")
    if close.code in PEACEFUL or close.code >= 3000:
        return unverifiable(f"answers {theirs} with another code, which is legal and says little (RFC 6455 5.5.1)")
    return None
