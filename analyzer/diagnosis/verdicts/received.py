"""Codes about what the other side had sent: 1002, 1003, 1007, 1009, 1010."""

from __future__ import annotations

import re

from analyzer.diagnosis.facts import SERVER, SIDE_NAMES
from analyzer.diagnosis.finding import Case, other
from analyzer.diagnosis.limits_of_messages import suggested
from analyzer.diagnosis.verdicts.verdict import (
    Sent,
    Verdict,
    blind,
    contradicted,
    counted,
    first_close,
    supported,
    unverifiable,
)
from analyzer.heard import Heard
from analyzer.records import Violation

UNNOTICED = ("F5",)
"""Rules whose breach no endpoint notices."""
ABOUT_CONTENT = ("F8", "D2")
OF_BYTES = re.compile(r"utf|encod|decod|deflat|inflat|compress|byte|charset|unicode|^$", re.IGNORECASE)
"""Reasons (an empty one too) that speak of bytes, not of what they mean to an application."""
LIMIT = re.compile(r"(?:limit|max\w*)(?:\s+(?:size|of|is))*\W{1,3}(\d{2,15})\b", re.IGNORECASE)
"""Reasons that name the limit: "exceeds limit of 1000 bytes", "max 65536"."""
KINDS = {1: "text", 2: "binary"}
UNWANTED = {
    kind: re.compile(
        rf"\b(?:unsupported|unexpected) {kind}\b"
        rf"|\b{kind}\b[^.;]{{0,20}}\b(?:not (?:supported|allowed|accepted)|unsupported)"
        rf"|\b(?:only|expect(?:s|ed|ing)?) {wanted}\b|\b{wanted}(?: data| frames?| messages?)? only\b",
        re.IGNORECASE,
    )
    for kind, wanted in (("text", "binary"), ("binary", "text"))
}
"""Reasons of 1003 that name the kind of data that came and is not taken."""


def protocol_error(case: Case, close: Sent) -> Verdict:
    """1002: the other side had broken the protocol."""
    heard, peer = case.heard(close.by), SIDE_NAMES[other(close.by)]
    breach = _breach(heard, None)
    if breach is not None:
        return supported(_broke(case, breach, peer))
    if heard is not None and heard.fault is not None:
        return supported(_fault(case, heard, peer))
    if why := blind(case, heard, peer):
        return unverifiable(why)
    theirs = first_close(case, other(close.by))
    answers = ""
    if theirs is not None and theirs.code > 0 and theirs.time <= close.time:
        answers = f"; it answers Close {theirs.code} ({case.packet(theirs.packet, theirs.file)}), which may be sent"
    return contradicted(f"all that the {peer} sent was seen, and broke no rule that can be checked{answers}")


def unsupported_data(case: Case, close: Sent) -> Verdict:
    """1003: the other side had sent a kind of data that can't be accepted."""
    heard, peer = case.heard(close.by), SIDE_NAMES[other(close.by)]
    if heard is None or heard.opcode not in KINDS:
        if why := blind(case, heard, peer):
            return unverifiable(why)
        return contradicted(f"the {peer} had sent no data")
    if (named := _never_sent(heard, close.reason)) and blind(case, heard, peer) is None:
        return contradicted(f"its reason complains of {named} data, and all that the {peer} had sent was seen: none is")
    kind = KINDS[heard.opcode]
    where = "under way" if heard.under_way else case.packet(heard.packet, heard.file)
    before = heard.messages - (0 if heard.under_way else 1)
    binaries = heard.binaries - (kind == "binary" and not heard.under_way)
    same = binaries if kind == "binary" else before - binaries
    what = f"the {peer}'s last message is {kind} ({where})"
    if before and not same:
        unlike = "text" if kind == "binary" else "binary"
        return supported(f"{what}, the first after {counted(before, unlike + ' message')}")
    if not before and kind == "binary":
        return supported(f"{what}, and its only one")
    return unverifiable(f"{what}, as {same} of {before} before it are")


def _never_sent(heard: Heard, reason: str) -> str | None:
    """The kind of data that the reason complains of, if the other side had sent none of it."""
    opcodes = {name: opcode for opcode, name in KINDS.items()}
    sent = {"binary": heard.binaries, "text": heard.messages - heard.binaries}
    for kind, complains in UNWANTED.items():
        if complains.search(reason) and not sent[kind] and heard.opcode != opcodes[kind]:
            return kind
    return None


def invalid_payload(case: Case, close: Sent) -> Verdict:
    """1007: a message's bytes did not fit its type."""
    heard, peer = case.heard(close.by), SIDE_NAMES[other(close.by)]
    if heard is not None and heard.fault is not None:
        return supported(_fault(case, heard, peer))
    breach = _breach(heard, ABOUT_CONTENT)
    if breach is not None:
        return supported(_broke(case, breach, peer))
    if why := blind(case, heard, peer):
        return unverifiable(why)
    assert heard is not None
    if not heard.messages and not heard.under_way:
        return contradicted(f"the {peer} had sent no message")
    valid = f"{counted(heard.messages, 'message')} of the {peer} can be read: UTF-8 and compression are right"
    if not OF_BYTES.search(close.reason):
        return unverifiable(f"{valid}; of what its reason speaks only the application knows")
    return contradicted(valid)


def too_big(case: Case, close: Sent) -> Verdict:
    """1009: a message was larger than the receiver takes."""
    heard, peer = case.heard(close.by), SIDE_NAMES[other(close.by)]
    if heard is None or heard.largest < 0:
        if why := blind(case, heard, peer):
            return unverifiable(why)
        return contradicted(f"the {peer} had sent no message")
    size = heard.largest
    where = _where_largest(case, heard)
    what = f"the {peer}'s largest message has {size} bytes{where}"
    accepted = case.others.accepted(case.row) if close.by == SERVER else None  # other clients have other limits
    known = suggested(size, accepted[0] if accepted is not None and accepted[0] < size else 0)
    if known is None:
        return unverifiable(f"{what}, below every limit that is usual")
    if accepted is not None and accepted[0] >= size:
        return unverifiable(f"{what}, but one of {accepted[0]} bytes was taken from it in connection {accepted[1]}")
    if (named := LIMIT.search(close.reason)) and int(named[1]) <= size:
        return supported(f"{what}, and its reason names a limit of {named[1]}")
    return supported(f"{what}: that suggests a limit of {known} or less")


def missing_extension(case: Case, close: Sent) -> Verdict:
    """1010: the server had not agreed to an extension that the client needs."""
    details = case.details
    if close.by == SERVER:
        return contradicted("only a client sends 1010: a server names its extensions in its answer (rule C4)")
    if details is None or case.facts.status < 0:
        return unverifiable("the handshake is not in the capture")
    offered, agreed = _names(details.offered), _names(details.extensions)
    if not offered:
        return contradicted("the client had asked for no extension")
    missing = [name for name in offered if name not in agreed]
    if not missing:
        return contradicted(f"the server had agreed to all that the client asked for: {', '.join(offered)}")
    granted = ", ".join(agreed) or "none"
    return supported(f"asked for and not granted: {', '.join(missing)} (the server agreed to {granted})")


def _names(extensions: str | None) -> list[str]:
    names = (part.partition(";")[0].strip().lower() for part in (extensions or "").split(","))
    return list(dict.fromkeys(name for name in names if name))


def _breach(heard: Heard | None, rules: tuple[str, ...] | None) -> Violation | None:
    """The latest broken rule that an endpoint notices; rules: of these alone."""
    fitting = [each for each in (heard.breaches if heard is not None else ()) if each.rule not in UNNOTICED]
    fitting = [each for each in fitting if rules is None or each.rule in rules]
    return fitting[-1] if fitting else None


def _broke(case: Case, breach: Violation, peer: str) -> str:
    where = f" ({case.packet(breach.packet, breach.file)})" if breach.packet > 0 else ""
    return f"the {peer} broke rule {breach.rule}{where}: expected {breach.expected}, found {breach.found}"


def _fault(case: Case, heard: Heard, peer: str) -> str:
    where = f" ({case.packet(heard.packet, heard.file)})" if heard.packet > 0 else ", under way"
    return f"the {peer}'s last message{where}: {heard.fault}"


def _where_largest(case: Case, heard: Heard) -> str:
    if heard.size != heard.largest:
        return ""
    if heard.under_way:
        return " as declared, and was under way"
    return f" ({case.packet(heard.packet, heard.file)})" if heard.packet > 0 else ""
