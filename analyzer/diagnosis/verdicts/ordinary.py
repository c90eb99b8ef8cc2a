"""1000, 1001 and Closes without a code: the usual end, unless a timer or a missing Pong made it."""

from __future__ import annotations

import re

from analyzer.diagnosis.facts import CLEAN, CLIENT, SIDE_NAMES
from analyzer.diagnosis.finding import Case, Finding, other, refused_text
from analyzer.diagnosis.verdicts.verdict import Sent, Verdict, contradicted, first_close, supported, unverifiable
from analyzer.diagnosis.vocabulary import OBSERVED
from analyzer.records import NO_TIME

UNTRUE = ("idle timer", "lifetime timer", "heartbeat missed", "keepalive timeout", "late pong")
"""Causes by which the end is neither the purpose fulfilled (1000) nor somebody's going away (1001)."""
TIMEOUT = re.compile(r"\btimed?[ -]?out\b|\btime ?out\b|heart[ -]?beat", re.IGNORECASE)
FAILURE = re.compile(r"(?<!no )(?<!without )\b(errors?|exception|failed|failure)\b", re.IGNORECASE)


def empty(case: Case, close: Sent, finding: Finding) -> Verdict:
    """No code: it claims nothing."""
    return supported(f"carries no code and claims nothing; the {SIDE_NAMES[other(close.by)]} is told 1005")


def normal(case: Case, close: Sent, finding: Finding) -> Verdict:
    """1000: the connection has served its purpose."""
    if (verdict := _by_cause(finding) or _by_reason(close, TIMEOUT, FAILURE)) is not None:
        return verdict
    if finding.cause == "server shutdown":
        return unverifiable(f"{finding.evidence}: a shutdown has its own code, 1001")
    if case.facts.outcome != CLEAN:
        return unverifiable(finding.evidence)
    return supported(f"no timer, no unanswered Ping: {_answered(case, close)}")


def going_away(case: Case, close: Sent, finding: Finding) -> Verdict:
    """1001: a server goes down, or a browser leaves the page."""
    if (verdict := _by_cause(finding) or _by_reason(close, TIMEOUT)) is not None:
        return verdict
    if close.by == CLIENT:
        return by_client(close.browser)
    if finding.cause == "server shutdown":
        return supported(finding.evidence)
    if close.time != NO_TIME and (down := refused_text(case, close.time)):
        return supported(f"the service went down{down}")
    return unverifiable(f"no other connection of {case.service} was closed with it")


def by_client(browser: bool) -> Verdict:
    """1001 from a client."""
    if browser:
        return supported("sent by a browser (it named its Origin), as when a page is left")
    return unverifiable("the client names no Origin, so no page was left; why it went is not to be seen")


def _answered(case: Case, close: Sent) -> str:
    peer = other(close.by)
    theirs = first_close(case, peer)
    where = "" if theirs is None else f" ({case.packet(theirs.packet, theirs.file)})"
    return f"answered by the {SIDE_NAMES[peer]}{where}, and the transport ended"


def _by_cause(finding: Finding) -> Verdict | None:
    if finding.cause not in UNTRUE:
        return None
    evidence = f"{finding.cause}: {finding.evidence}"
    return contradicted(evidence) if finding.basis == OBSERVED else unverifiable(evidence)


def _by_reason(close: Sent, *patterns: re.Pattern[str]) -> Verdict | None:
    for pattern in patterns:
        if pattern.search(close.reason):
            return contradicted(f'its reason says something else: "{close.reason}"')
    return None
