"""The verdict of one Close: which function looks at it."""

from __future__ import annotations

from collections.abc import Callable

from analyzer.diagnosis.facts import BOTH
from analyzer.diagnosis.finding import Case, Finding, other
from analyzer.diagnosis.verdicts import form, ordinary
from analyzer.diagnosis.verdicts.keepalive import internal_error
from analyzer.diagnosis.verdicts.private import private
from analyzer.diagnosis.verdicts.received import (
    invalid_payload,
    missing_extension,
    protocol_error,
    too_big,
    unsupported_data,
)
from analyzer.diagnosis.verdicts.service import bad_gateway, overload, policy, restart
from analyzer.diagnosis.verdicts.verdict import Sent, Verdict, first_close

BY_CODE: dict[int, Callable[[Case, Sent], Verdict]] = {
    1002: protocol_error,
    1003: unsupported_data,
    1007: invalid_payload,
    1008: policy,
    1009: too_big,
    1010: missing_extension,
    1011: internal_error,
    1012: restart,
    1013: overload,
    1014: bad_gateway,
}
ORDINARY: dict[int, Callable[[Case, Sent, Finding], Verdict]] = {
    0: ordinary.empty,
    1000: ordinary.normal,
    1001: ordinary.going_away,
}


def judge(case: Case, close: Sent, finding: Finding) -> Verdict:
    """The verdict of a Close; finding: the cause of its connection's end."""
    if close.code < 0:
        return form.not_captured()
    wrong = form.illegal(close)
    if close.doubt > 1 or (close.doubt and wrong is not None):
        return form.doubtful()
    if wrong is not None:
        return wrong
    if close.ordinal > 1:
        return form.again(close)
    if (answer := _answer(case, close)) is not None:
        return answer
    if close.code in ORDINARY:
        return ORDINARY[close.code](case, close, finding)
    return BY_CODE.get(close.code, private)(case, close)


def _answer(case: Case, close: Sent) -> Verdict | None:
    if case.facts.initiator in (close.by, BOTH):
        return None
    first = first_close(case, other(close.by))
    if first is None or first.time > close.time:
        return None
    return form.answer(case, close, first)
