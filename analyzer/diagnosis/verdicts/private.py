"""Codes of an application (3000-4999), by the catalog that its handshake or first messages point to."""

from __future__ import annotations

from collections.abc import Callable

from analyzer.closecodes import CloseCode
from analyzer.diagnosis.finding import Case, seconds
from analyzer.diagnosis.timers import SECOND
from analyzer.diagnosis.verdicts.beating import no_heartbeat
from analyzer.diagnosis.verdicts.keepalive import unanswered
from analyzer.diagnosis.verdicts.verdict import Sent, Verdict, blind, contradicted, supported, unverifiable
from analyzer.records import NO_TIME

EARLY = 0.95
"""A timer of so many seconds may seem to fire a little before."""


def private(case: Case, close: Sent) -> Verdict:
    """What the catalog says of the code, and whether that is to be seen."""
    catalog = case.catalog
    known = None if catalog is None else catalog.code(close.code)
    if catalog is None or known is None:
        registered = CloseCode(close.code)
        if registered.name != "Other":
            return unverifiable(f"{registered.name}: {registered.meaning.rstrip('.')}; nothing on the wire shows it")
        return unverifiable("no catalog is known for this application, so the meaning of the code is unknown")
    meaning = f"{known.name} ({catalog.name})"
    if not known.shows:
        return unverifiable(f"{meaning}: nothing on the wire shows it")
    if why := blind(case, case.heard(close.by), "client"):
        return unverifiable(f"{meaning}; {why}")
    verdict = SEEN[known.shows](case, close, known.seconds)
    return verdict._replace(evidence=f"{meaning}: {verdict.evidence}")


def _client_silence(case: Case, close: Sent, least: float) -> Verdict:
    return _lasted(case.facts.client_idle, least, "since the client's last frame")


def _silence(case: Case, close: Sent, least: float) -> Verdict:
    return _lasted(case.facts.idle, least, "since the last frame")


def _age(case: Case, close: Sent, least: float) -> Verdict:
    facts = case.facts
    age = NO_TIME if NO_TIME in (facts.opened, close.time) else close.time - facts.opened
    return _lasted(age, least, "since the opening")


def _lasted(time: int, least: float, since: str) -> Verdict:
    if time < 0:
        return unverifiable("how long it lasted is not known")
    text = f"{seconds(time)} {since}"
    return supported(text) if time >= least * EARLY * SECOND else contradicted(f"only {text}")


def _no_message(case: Case, close: Sent, least: float) -> Verdict:
    heard = case.heard(close.by)
    assert heard is not None
    if not heard.messages:
        return _age(case, close, 0)._replace(evidence="the client had sent no message")
    return unverifiable(f"the client's messages before it: {heard.messages}")


def _message(case: Case, close: Sent, least: float) -> Verdict:
    heard = case.heard(close.by)
    assert heard is not None
    if not heard.messages and not heard.under_way:
        return contradicted("the client had sent no message")
    if heard.packet < 0:
        return supported("a message of the client was under way")
    return supported(f"the client's last message came before it ({case.packet(heard.packet, heard.file)})")


def _no_pong(case: Case, close: Sent, least: float) -> Verdict:
    waited = unanswered(case, close)
    heard = case.heard(close.by)
    if waited:
        return supported(waited)
    if heard is not None and heard.answered is not None:
        last = case.packet(heard.answered[4], heard.answered[5])
        return contradicted(f"every Ping had its Pong, the last one in {last}")
    return unverifiable("the server has sent no Ping")


def _no_heartbeat(case: Case, close: Sent, least: float) -> Verdict:
    return no_heartbeat(case, close)


SEEN: dict[str, Callable[[Case, Sent, float], Verdict]] = {
    "silence": _silence,
    "client silence": _client_silence,
    "age": _age,
    "no message": _no_message,
    "a message": _message,
    "no pong": _no_pong,
    "no heartbeat": _no_heartbeat,
}
