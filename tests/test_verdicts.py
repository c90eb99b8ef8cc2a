"""The verdict on each close code, from facts made by hand, and over the samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_diagnosis import PLAIN, case, closed, neighbours

import analyzer
from analyzer.diagnosis import closing
from analyzer.diagnosis.events import Event
from analyzer.diagnosis.facts import BOTH, CLIENT, DROPPED, REFUSED, SERVER
from analyzer.diagnosis.finding import Case, Finding
from analyzer.diagnosis.limits_of_messages import suggested
from analyzer.diagnosis.places import Places
from analyzer.diagnosis.timers import SECOND
from analyzer.diagnosis.verdicts.judging import judge
from analyzer.diagnosis.verdicts.ordinary import UNTRUE
from analyzer.diagnosis.verdicts.verdict import Sent, Verdict
from analyzer.heard import Heard
from analyzer.records import MISSING, Connection, Violation

CLEAN_END = Finding("clean close", "observed", "server", "ended")
PUSHER = (None, None, "/app/key?protocol=7", None, None)
TWITCH = (None, "eventsub.wss.twitch.tv", "/ws", None, None)
OKX = (None, "ws.okx.com", "/ws/v5/public", None, None)
GRAPHQL = ("graphql-transport-ws", None, None, None, None)


def heard(**fields: Any) -> Heard:
    """What the closer had got: three text messages, all of which it could read."""
    found = Heard()
    usual = {"exact": True, "messages": 3, "opcode": 1, "packet": 17, "size": 20, "largest": 30}
    for name, value in (usual | fields).items():
        setattr(found, name, value)
    return found


def broken(rule: str, packet: int = 17) -> Violation:
    violation = Violation(Connection().client, rule, "must", "masked", "not masked")
    violation.packet = packet
    return violation


def verdict(
    code: int, by: int = SERVER, reason: str = "", got: Heard | None = None, finding: Finding = CLEAN_END, **facts: Any
) -> Verdict:
    """Of a connection's first Close."""
    details = {name: facts.pop(name) for name in ("offered", "extensions", "origin") if name in facts}
    browser = facts.pop("browser", False)
    each = case(reason, **closed(code, by, **facts))
    assert each.details is not None
    each.details.judged = True
    for name, value in details.items():
        setattr(each.details, name, value)
    setattr(each.details, "client_heard" if by == CLIENT else "server_heard", got)
    return judge(each, Sent(0, by, 1, code, reason, 20 * SECOND, 28, 0, browser, 0, 2 if code else 0), finding)


def is_(found: Verdict, word: str, *parts: str) -> bool:
    assert found.verdict == word, found
    assert all(part in found.evidence for part in parts), found
    assert "\n" not in found.evidence
    return True


def test_1002_is_true_if_the_other_side_broke_a_rule() -> None:
    assert is_(verdict(1002, got=heard(breaches=(broken("F3", 9), broken("F1")))), "supported", "F1", "packet 17")
    assert is_(verdict(1002, got=heard(fault="byte 0xff at offset 3 is not UTF-8")), "supported", "offset 3")
    assert is_(verdict(1002, got=heard()), "contradicted", "broke no rule")
    assert is_(verdict(1002, got=heard(breaches=(broken("F5"),))), "contradicted")
    assert is_(verdict(1002, got=heard(exact=False)), "unverifiable", "missing")
    assert is_(verdict(1002, got=heard(), extensions="x-secret"), "unverifiable", "x-secret")
    assert is_(verdict(1002, got=heard(), opening=1), "unverifiable", "after the handshake")


def test_1002_in_answer_to_a_legal_code_is_not_true() -> None:
    facts = {"server_code": 1013, "server_packet": 27, "server_close": 19 * SECOND, "initiator": SERVER}
    each = case("", **closed(1002, CLIENT) | facts)
    assert each.details is not None
    each.details.judged, each.details.client_heard = True, heard()
    found = judge(each, Sent(0, CLIENT, 1, 1002, "", 20 * SECOND, 28, 0, False, 0), CLEAN_END)
    assert is_(found, "contradicted", "Close 1013 (packet 27)")


def test_1003_is_true_if_the_last_message_is_of_a_new_kind() -> None:
    assert is_(verdict(1003, got=heard(opcode=2, binaries=1)), "supported", "binary (packet 17)", "2 text messages")
    assert is_(verdict(1003, got=heard(opcode=1, binaries=2)), "supported", "text", "2 binary messages")
    assert is_(verdict(1003, got=heard(opcode=2, binaries=1, messages=1)), "supported", "its only one")
    assert is_(verdict(1003, got=heard()), "unverifiable", "text")
    assert is_(verdict(1003, got=heard(opcode=2, binaries=2)), "unverifiable")
    assert is_(verdict(1003, got=heard(opcode=0, messages=0)), "contradicted", "no data")


@pytest.mark.parametrize(
    ("reason", "got", "word"),
    [
        ("binary data not supported", heard(), "contradicted"),
        ("only text is allowed", heard(), "contradicted"),
        ("Text frames only", heard(), "contradicted"),
        ("unsupported text", heard(opcode=2, binaries=3), "contradicted"),
        ("expected binary", heard(opcode=2, binaries=3), "contradicted"),
        ("unsupported text", heard(), "unverifiable"),
        ("only text is allowed", heard(binaries=1), "unverifiable"),
        ("only text is allowed", heard(opcode=2, binaries=3), "unverifiable"),
        ("only text is allowed", heard(exact=False), "unverifiable"),
        ("only text is allowed", heard(opcode=2, under_way=True, messages=3), "supported"),
        ("this is not binary", heard(), "unverifiable"),
        ("bad JSON", heard(), "unverifiable"),
    ],
)
def test_1003_is_not_true_if_the_kind_it_complains_of_never_came(reason: str, got: Heard, word: str) -> None:
    assert is_(verdict(1003, reason=reason, got=got), word)


@pytest.mark.parametrize("code", [1001, 1012, 1013])
def test_a_port_that_then_refuses_connections_bears_out_a_service_that_goes(code: int) -> None:
    for after, word in ((3 * SECOND, "supported"), (90 * SECOND, "unverifiable")):
        each = case("", **closed(code))
        each.scene.refused = {0: [20 * SECOND + after, 20 * SECOND + after + 1]}
        found = judge(each, Sent(0, SERVER, 1, code, "", 20 * SECOND, 28, 0, False, 0), CLEAN_END)
        assert is_(found, word) and ("2 connections" in found.evidence) == (word == "supported")


def test_1012_of_one_connection_names_those_that_went_on_and_is_not_contradicted() -> None:
    each = case("", **closed(1012))
    other = PLAIN._replace(number=1, ending=60 * SECOND, end=60 * SECOND)
    gone = PLAIN._replace(number=2, ending=19 * SECOND, end=19 * SECOND)
    each.scene.neighbours = neighbours(other, gone, own=each.facts)
    sent = Sent(0, SERVER, 1, 1012, "", 20 * SECOND, 28, 0, False, 0)
    assert is_(judge(each, sent, CLEAN_END), "unverifiable", "1 other went on")


def test_1007_is_true_if_there_are_bytes_that_do_not_fit() -> None:
    assert is_(verdict(1007, got=heard(fault="byte 0xff at offset 3 is not UTF-8")), "supported", "offset 3")
    assert is_(verdict(1007, got=heard(breaches=(broken("D2"), broken("F1")))), "supported", "D2")
    assert is_(verdict(1007, got=heard()), "contradicted", "3 messages")
    assert is_(verdict(1007, reason="bad JSON", got=heard()), "unverifiable", "application")
    assert is_(verdict(1007, got=heard(messages=0)), "contradicted", "no message")


def test_1008_is_never_proved_and_the_nearest_features_are_named() -> None:
    assert is_(verdict(1008, client_messages=200, opened=0), "unverifiable", "200 messages", "10 a second")
    assert is_(verdict(1008, client_messages=1, origin="https://evil.example"), "unverifiable", "first", "evil")


def test_1009_names_the_largest_message_and_the_limit() -> None:
    large = heard(size=70_000, largest=70_000)
    assert is_(verdict(1009, got=large), "supported", "70000 bytes (packet 17)", "65536 (2^16)")
    declared = heard(size=2_000_000, largest=2_000_000, under_way=True, packet=MISSING)
    assert is_(verdict(1009, got=declared), "supported", "as declared", "1048576", "websockets")
    assert is_(verdict(1009, got=heard()), "unverifiable", "30 bytes", "below every limit")
    assert is_(verdict(1009, got=heard(messages=0, largest=MISSING)), "contradicted", "no message")


def test_1009_is_doubted_where_a_larger_message_was_taken_elsewhere() -> None:
    each = case("", **closed(1009))
    assert each.details is not None
    each.details.server_heard = heard(size=5000, largest=5000)
    sent = Sent(0, SERVER, 1, 1009, "", 20 * SECOND, 28, 0, False, 0)
    for size, word, part in (
        (9000, "unverifiable", "connection 7"),
        (4500, "unverifiable", "below"),
        (900, "supported", "4096"),
    ):
        each.scene.neighbours = neighbours(PLAIN._replace(number=7, largest_client_message=size))
        assert is_(judge(each, sent, CLEAN_END), word, part)


def test_the_limit_that_a_message_suggests_lies_between_what_was_taken_and_what_was_not() -> None:
    assert suggested(1 << 20, 0) == "524288 (2^19)"
    assert "default of websockets" in str(suggested((1 << 20) + 1, 0))
    assert "aiohttp" in str(suggested(5_000_000, 3_000_000))
    assert suggested(1024, 0) is None and suggested(5000, 4097) is None


def test_1010_comes_from_a_client_that_lacks_an_extension() -> None:
    asked = {"offered": "permessage-deflate; client_max_window_bits, x-y", "extensions": "permessage-deflate"}
    assert is_(verdict(1010, CLIENT, **asked), "supported", "not granted: x-y")
    assert is_(verdict(1010, CLIENT, **asked | {"extensions": "permessage-deflate, x-y"}), "contradicted", "all")
    assert is_(verdict(1010, CLIENT), "contradicted", "no extension")
    assert is_(verdict(1010, CLIENT, status=MISSING, **asked), "unverifiable", "handshake")
    assert is_(verdict(1010, SERVER, **asked), "contradicted", "client")


def test_1011_is_true_if_a_ping_was_waiting() -> None:
    waiting = heard(ping=(18 * SECOND, b"", 20, 0))
    assert is_(verdict(1011, got=waiting), "supported", "Ping (packet 20)", "2.000 s")
    assert is_(verdict(1011, got=waiting, round_trip=3 * SECOND), "supported", "1.000 s after the Close")
    upload = heard(ping=(18 * SECOND, b"", 20, 0), sending=50_000, sent=1000)
    assert is_(verdict(1011, got=upload), "supported", "50000 bytes, 1000 of them")
    assert is_(verdict(1011, reason="oops", got=heard()), "unverifiable", "inside the server")


def test_1011_for_a_ping_that_was_answered_in_time_is_not_true() -> None:
    answered = (15 * SECOND, 20, 0, 16 * SECOND, 21, 0, 500)
    reason = "keepalive ping timeout"
    found = verdict(1011, reason=reason, got=heard(answered=answered, acknowledged=500))
    assert is_(found, "contradicted", "packet 20", "packet 21", "4.000 s before")
    unread = heard(answered=answered, acknowledged=499)
    assert is_(verdict(1011, reason=reason, got=unread), "unverifiable", "nothing shows")
    late = (15 * SECOND, 20, 0, 20 * SECOND - 5, 21, 0, 500)
    assert is_(verdict(1011, reason=reason, got=heard(answered=late, acknowledged=500)), "unverifiable")
    assert is_(verdict(1011, reason=reason, got=heard()), "unverifiable", "none")
    assert is_(verdict(1011, reason="oops", got=heard(answered=answered, acknowledged=500)), "unverifiable")


def together(code: int) -> Case:
    """One of ten that were closed so at once; two of the clients came back."""
    each = case("", **closed(code))
    each.scene.events = [Event(0, code, 10, 19 * SECOND, 20 * SECOND, 1)]
    each.scene.event_of = [0]
    back = {"client_host": 0, "server_code": -1, "ending": MISSING}
    ended = each.facts._replace(ending=19 * SECOND)
    later = [ended._replace(start=at * SECOND, opened=at * SECOND, **back) for at in (26, 50)]
    each.scene.neighbours = neighbours(ended, *later, own=ended)
    return each


def test_1012_names_the_others_and_those_that_came_back() -> None:
    each = together(1012)
    sent = Sent(0, SERVER, 1, 1012, "", 20 * SECOND, 28, 0, False, 0)
    assert is_(judge(each, sent, CLEAN_END), "supported", "10 connections", "1 went on", "2 new connections", "6.000 s")
    assert is_(verdict(1012), "unverifiable", "no other connection")


def test_1013_rests_on_signs_of_load() -> None:
    sent = Sent(0, SERVER, 1, 1013, "", 20 * SECOND, 28, 0, False, 0)
    each = case("", **closed(1013))
    assert is_(judge(each, sent, CLEAN_END), "unverifiable", "nothing else")
    refused = PLAIN._replace(status=503, start=25 * SECOND, outcome=REFUSED, opened=MISSING)
    each.scene.neighbours = neighbours(refused)
    assert is_(judge(each, sent, CLEAN_END), "supported", "1 upgrades were refused")
    held = [PLAIN._replace(opened=0, ending=99 * SECOND) for _ in range(8)]
    over = [PLAIN._replace(server_code=1013, server_close=at * SECOND) for at in (5, 6, 7)]
    each.scene.neighbours = neighbours(*held, *over, own=each.facts)
    assert is_(judge(each, sent, CLEAN_END), "supported", "8 other connections were open each of the 4 times")
    each.scene.neighbours = neighbours(*held[1:], *over[:2], held[0]._replace(opened=6 * SECOND), own=each.facts)
    assert is_(judge(each, sent, CLEAN_END), "unverifiable")


def test_1014_rests_on_the_other_leg() -> None:
    each = case("", **closed(1014))
    sent = Sent(0, SERVER, 1, 1014, "", 20 * SECOND, 28, 0, False, 0)
    assert is_(judge(each, sent, CLEAN_END), "unverifiable", "not in the capture")
    none, behind = np.array([-1]), np.array([0])
    each.scene.places = Places(none, {}, none, behind, {}, frozenset(), frozenset((0,)))
    each.scene.facts = lambda row: PLAIN._replace(number=4, ending=19 * SECOND)
    assert is_(judge(each, sent, CLEAN_END), "supported", "connection 4", "1.000 s before")


@pytest.mark.parametrize("cause", UNTRUE)
@pytest.mark.parametrize("code", [1000, 1001])
def test_1000_and_1001_at_a_timers_mark_are_not_true(code: int, cause: str) -> None:
    timed = Finding(cause, "observed", "server", "31 of 40 ended at 60.0 s")
    assert is_(verdict(code, finding=timed), "contradicted", "31 of 40", cause)
    assert is_(verdict(code, finding=timed._replace(basis="inferred")), "unverifiable", cause)
    assert is_(verdict(0, finding=timed), "supported", "claims nothing")


def test_a_reason_may_deny_the_code() -> None:
    assert is_(verdict(1000, reason="heartbeat timeout"), "contradicted", "heartbeat timeout")
    assert is_(verdict(1001, reason="Idle Timeout"), "contradicted")
    assert is_(verdict(1000, reason="internal error"), "contradicted")
    assert is_(verdict(1000, reason="done without error"), "supported")
    assert is_(verdict(1001, reason="error page", browser=True, by=CLIENT), "supported")


def test_an_ordinary_end_supports_1000_and_a_browser_or_a_shutdown_1001() -> None:
    assert is_(verdict(1000, client_code=1000, client_packet=29), "supported", "packet 29")
    assert is_(verdict(1000, outcome=DROPPED), "unverifiable")
    assert is_(verdict(1001, CLIENT, browser=True), "supported", "browser")
    assert is_(verdict(1001, CLIENT), "unverifiable")
    assert is_(verdict(1001), "unverifiable", "no other connection")
    shutdown = Finding("server shutdown", "observed", "server", "25 connections ended so")
    assert is_(verdict(1001, finding=shutdown), "supported", "25 connections")
    assert is_(verdict(1000, finding=shutdown), "unverifiable", "1001")


@pytest.mark.parametrize("code", [1004, 1005, 1006, 1015, 1016, 2999, 999, 5000, 65535])
@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_a_code_that_must_not_be_sent_is_contradicted(code: int, side: int) -> None:
    assert is_(verdict(code, side), "contradicted", str(code), "C4")


def test_an_answer_is_judged_as_an_answer() -> None:
    facts = closed(1009, CLIENT, server_code=1009, server_close=20 * SECOND + 5, server_packet=29)
    for code, word, part in (
        (1009, "supported", "echoes the client's Close 1009 (packet 28)"),
        (0, "supported", "without a code"),
        (1000, "unverifiable", "another code"),
        (4000, "unverifiable", "another code"),
        (1006, "contradicted", "C4"),
    ):
        sent = Sent(0, SERVER, 1, code, "", 20 * SECOND + 5, 29, 0, False, 0, 2 if code else 0)
        assert is_(judge(case("", **facts), sent, CLEAN_END), word, part)
    crossing = case("", **facts | {"initiator": BOTH, "server_code": 1000})
    sent = Sent(0, SERVER, 1, 1000, "", 20 * SECOND + 5, 29, 0, False, 0)
    assert "answers" not in judge(crossing, sent, CLEAN_END).evidence


def test_a_close_that_is_not_the_first_or_not_whole_or_not_sure_is_not_verified() -> None:
    sent = Sent(0, SERVER, 2, 1000, "", 20 * SECOND, 28, 0, False, 0)
    each = case("", **closed(1000))
    assert is_(judge(each, sent, CLEAN_END), "unverifiable", "number 2")
    assert is_(judge(each, sent._replace(ordinal=1, code=MISSING), CLEAN_END), "unverifiable", "not in the capture")
    assert is_(judge(each, sent._replace(ordinal=1, code=1006, doubt=1), CLEAN_END), "unverifiable", "no frame")
    assert is_(judge(each, sent._replace(ordinal=1, doubt=1), CLEAN_END), "supported")
    assert is_(judge(each, sent._replace(ordinal=1, doubt=2), CLEAN_END), "unverifiable", "no frame")
    assert is_(judge(each, sent._replace(ordinal=1, code=0, size=2), CLEAN_END), "contradicted", "carry 0")


@pytest.mark.parametrize(
    ("place", "code", "got", "facts", "word"),
    [
        (OKX, 4004, heard(), {"client_idle": 30 * SECOND}, "supported"),
        (OKX, 4004, heard(), {"client_idle": 4 * SECOND}, "contradicted"),
        (OKX, 4004, heard(exact=False), {"client_idle": 4 * SECOND}, "unverifiable"),
        (OKX, 4001, heard(), {}, "unverifiable"),
        (TWITCH, 4001, heard(), {}, "supported"),
        (TWITCH, 4001, heard(messages=0, opcode=0), {}, "contradicted"),
        (TWITCH, 4002, heard(ping=(18 * SECOND, b"", 20, 0)), {}, "supported"),
        (TWITCH, 4002, heard(answered=(1, 2, 0, 3, 4, 0, 5)), {}, "contradicted"),
        (TWITCH, 4002, heard(), {}, "unverifiable"),
        (TWITCH, 4003, heard(), {"opened": 10 * SECOND}, "supported"),
        (TWITCH, 4003, heard(), {"opened": 17 * SECOND}, "contradicted"),
        (PUSHER, 4201, heard(), {"client_idle": 30 * SECOND, "server_idle": SECOND}, "unverifiable"),
        (GRAPHQL, 4408, heard(messages=0), {}, "supported"),
        (GRAPHQL, 4408, heard(), {}, "unverifiable"),
        ((None,) * 5, 4408, heard(), {}, "unverifiable"),
        ((None,) * 5, 3000, heard(), {}, "unverifiable"),
    ],
)
def test_a_private_code_is_judged_by_its_catalogs_condition(
    place: Any, code: int, got: Heard, facts: dict[str, Any], word: str
) -> None:
    assert is_(verdict(code, got=got, place=place, **facts), word)


def test_the_cause_agrees_with_the_verdict() -> None:
    for got, cause, basis in (
        (heard(breaches=(broken("F1"),)), "protocol error", "observed"),
        (heard(), "unfounded code", "observed"),
        (heard(exact=False), "protocol error", "inferred"),
    ):
        each = case("", **closed(1002))
        assert each.details is not None
        each.details.judged, each.details.server_heard = True, got
        finding = closing.explained(each)
        assert finding is not None and (finding.cause, finding.basis) == (cause, basis)
    each = case("", **closed(4004, client_idle=SECOND), place=OKX)
    assert each.details is not None
    each.details.judged, each.details.server_heard = True, heard()
    finding = closing.catalogued(each)
    assert finding is not None and finding.cause == "unfounded code"


ILLEGAL = {999, 1005, 1006, 5000, 65535}


def test_of_the_samples_only_closes_that_say_what_did_not_happen_are_contradicted(samples: list[Any]) -> None:
    for sample in samples:
        result = analyzer.analyze(*sample.paths, tables=("connections", "closes"))
        closes = result.closes
        assert closes["verdict"].notna().all() and closes["evidence"].notna().all()
        wrong = closes[closes["verdict"] == "contradicted"]
        made_up = wrong["reason"].astype("string").str.startswith("code 10")  # the application chose the code
        causes = result.connections.loc[wrong["connection"], "cause"].to_numpy()
        timed_out = (wrong["code"] == 1000) & (causes == "heartbeat missed")
        assert (wrong["code"].isin(ILLEGAL) | made_up | timed_out).all(), (sample, wrong)
        assert set(causes) <= {"unfounded code", "illegal code", "heartbeat missed", "protocol error"}
