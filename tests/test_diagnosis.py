"""Each cause, from facts made by hand; and timers and events among many connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from analyzer.diagnosis import beating, closing, common, conclusions, handshakes, transport
from analyzer.diagnosis.devices import device_of, devices
from analyzer.diagnosis.events import events_of
from analyzer.diagnosis.facts import (
    CLEAN,
    CLIENT,
    CLOSING,
    DROPPED,
    NO_ANSWER,
    NO_CLOSE,
    OPEN,
    REFUSED,
    SERVER,
    UNANSWERED,
    UNANSWERED_CLOSE,
    UNKNOWN,
    Details,
    Facts,
    Tail,
)
from analyzer.diagnosis.finding import Case, Expiry, Finding, Scene
from analyzer.diagnosis.neighbours import Neighbours
from analyzer.diagnosis.timers import CLOCKS, SECOND, Timer, timers_of
from analyzer.heard import Heard
from analyzer.records import END_FIN, END_GOAWAY, END_RST, END_STREAM, END_STREAM_RESET, MISSING, NO_TIME

PLAIN = Facts(
    number=0, service=0, client_host=0, server_host=0, opening=0, outcome=CLEAN, end_how=END_FIN, end_by=SERVER,
    initiator=0, client_code=NO_CLOSE, server_code=NO_CLOSE, client_reason=0, server_reason=0, client_packet=MISSING,
    server_packet=MISSING, client_file=0, server_file=0, client_close=NO_TIME, server_close=NO_TIME, status=101,
    start=0, opened=1, end=20 * SECOND, ending=20 * SECOND, idle=SECOND // 7, client_idle=SECOND // 7,
    server_idle=SECOND // 6, client_messages=3, server_messages=4, client_ping=NO_TIME, server_ping=NO_TIME,
    round_trip=MISSING, first_packet=1, last_packet=30, last_file=0, key=MISSING, survived=0, point=0, client_port=4000,
    http_stream=MISSING, initial=MISSING, asked=1, forwarded=MISSING, forwarded_port=MISSING, path_hash=MISSING,
    client_saw=MISSING, server_saw=MISSING, largest_client_message=MISSING, client_message_idle=SECOND // 7,
    client_beat=NO_TIME, server_beat=NO_TIME,
)  # fmt: skip
QUIET = Tail(
    packets=9, time_to_live=64, last_time=20 * SECOND, finished=False, reset_packet=0, reset_time_to_live=-1,
    reset_silent=0, shut_since=NO_TIME, shut_packet=0, again_count=0, again_first=NO_TIME, again_time=NO_TIME,
    again_packet=0, probes=0, probe_first=NO_TIME, probe_time=NO_TIME, probe_packet=0, acknowledged=True,
)  # fmt: skip
TAIL = {name: getattr(QUIET, name) for name in Tail.__slots__}
Found = Callable[[Case], Finding | None]


def case(
    reason: str = "", client: dict[str, Any] | None = None, server: dict[str, Any] | None = None, **facts: Any
) -> Case:
    """A connection that differs from an ordinary one in these facts. client, server: of the tails."""
    names = ("key_text", "accept", "upgrade", "silence_end", "place", "offered", "extensions", "offered_subprotocols",
             "retransmissions", "whole")  # fmt: skip
    beside = {name: facts.pop(name) for name in names if name in facts}
    extra = {name: facts.pop(name) for name in ("expiries",) if name in facts}
    details = Details(
        Tail(**TAIL | (client or {})), Tail(**TAIL | (server or {})), 6 * SECOND, beside.get("silence_end", NO_TIME),
        2 * SECOND, 60 * SECOND, beside.get("key_text"), beside.get("accept"), beside.get("upgrade", "websocket"),
        beside.get("place", (None,) * 5), offered=beside.get("offered"), extensions=beside.get("extensions"),
        offered_subprotocols=beside.get("offered_subprotocols"), retransmissions=beside.get("retransmissions", 0),
        whole=beside.get("whole", True),
    )  # fmt: skip
    scene = Scene(
        ["", reason], ["10.0.0.9:80"], ["a.pcap"], lambda row: PLAIN, {0: details}, neighbours(),
        timer_of=[-1], event_of=[-1], **extra,
    )  # fmt: skip
    return Case(0, PLAIN._replace(**facts), scene)


def neighbours(*others: Facts, own: Facts = PLAIN) -> Neighbours:
    """The connection of `case`, and these others."""
    rows = np.array([own, *others], np.int64)
    return Neighbours({name: rows[:, place] for place, name in enumerate(Facts._fields)}, {})


def closed(code: int, side: int = SERVER, **facts: Any) -> dict[str, Any]:
    """Facts of a connection that a side closed first."""
    name = "client" if side == CLIENT else "server"
    return {
        "initiator": side, f"{name}_code": code, f"{name}_packet": 28, f"{name}_close": 20 * SECOND,
        f"{name}_reason": 1, **facts,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "cause", "agent"),
    [(400, "bad request", "server"), (403, "forbidden", "server"), (502, "bad gateway", "proxy"),
     (503, "unavailable", None), (418, "refused", "server"), (200, "not a WebSocket", "server"),
     (302, "redirected", "server"), (500, "server failed", "server"), (401, "unauthorized", "server"),
     (407, "unauthorized", "server"), (404, "not found", "server"), (410, "not found", "server"),
     (426, "wrong version", "server"), (429, "rate limited", "server"), (504, "gateway timeout", "proxy")],
)  # fmt: skip
def test_a_refusal_is_named_by_its_status(status: int, cause: str, agent: str | None) -> None:
    finding = handshakes.refused(case(outcome=REFUSED, status=status))
    assert finding is not None and (finding.cause, finding.agent) == (cause, agent)
    assert str(status) in finding.evidence


@pytest.mark.parametrize(("opening", "nanoseconds"), [(UNANSWERED, 20 * SECOND), (0, MISSING)])
def test_a_504_names_the_time_that_the_leg_behind_the_proxy_waited(
    monkeypatch: pytest.MonkeyPatch, opening: int, nanoseconds: int
) -> None:
    behind = case(opening=opening, outcome=NO_ANSWER, end_by=CLIENT, end_how=END_FIN, number=7)
    monkeypatch.setattr(Case, "leg", lambda self, side: behind if side == SERVER else None)
    finding = handshakes.refused(case(outcome=REFUSED, status=504))
    assert finding is not None and (finding.cause, finding.nanoseconds) == ("gateway timeout", nanoseconds)
    assert ("connection 7" in finding.evidence) == (opening == UNANSWERED)


@pytest.mark.parametrize(
    ("end_by", "end_how", "cause"),
    [
        (SERVER, END_FIN, "handshake closed"),
        (SERVER, END_RST, "handshake reset"),
        (CLIENT, END_FIN, "handshake timeout"),
    ],
)
def test_an_unanswered_upgrade_is_named_by_who_ended_it(end_by: int, end_how: int, cause: str) -> None:
    finding = handshakes.unanswered(case(opening=UNANSWERED, outcome=NO_ANSWER, end_by=end_by, end_how=end_how))
    assert finding is not None and finding.cause == cause


def test_a_client_rejects_a_101_that_does_not_fit_its_key() -> None:
    rejected = {"end_by": CLIENT, "client_messages": 0, "ending": 2, "key_text": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert handshakes.rejected(case(**rejected, accept="s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) is None
    for answer in ({"accept": "wrong"}, {"accept": None}, {"accept": None, "upgrade": None}):
        finding = handshakes.rejected(case(**rejected, **answer))
        assert finding is not None and finding.cause == "handshake rejected"
        assert handshakes.rejected(case(**rejected, **answer, whole=False)) is None  # a field may be among the missing


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"place": ("chat", *[None] * 4)}, 'subprotocol "chat", none was offered'),
        ({"place": ("chat", *[None] * 4), "offered_subprotocols": "news, mail"}, "offered was news, mail"),
        ({"place": ("chat", *[None] * 4), "offered_subprotocols": "news, chat"}, None),
        ({"extensions": "x-zip; level=9"}, 'extension "x-zip", none was offered'),
        ({"extensions": "x-zip, x-sum", "offered": "x-zip; level=1"}, 'extension "x-sum", offered was x-zip'),
        ({"extensions": "X-Zip", "offered": "x-sum, x-zip; level=1"}, None),
    ],
)
def test_a_client_rejects_a_101_that_agrees_to_what_was_not_offered(answer: dict[str, Any], text: str | None) -> None:
    finding = handshakes.rejected(case(end_by=CLIENT, client_messages=0, ending=2, **answer))
    assert (finding is None) == (text is None)
    if finding is not None:
        assert (finding.cause, finding.agent) == ("handshake rejected", "client") and str(text) in finding.evidence


def test_a_client_that_went_on_rejected_nothing() -> None:
    named = {"extensions": "x-zip"}
    assert handshakes.rejected(case(end_by=CLIENT, client_messages=1, ending=2, **named)) is None
    assert handshakes.rejected(case(end_by=CLIENT, client_messages=0, ending=3 * SECOND, **named)) is None
    assert handshakes.rejected(case(end_by=SERVER, client_messages=0, ending=2, **named)) is None


def test_a_window_closed_to_the_end_is_a_stall() -> None:
    shut = {"shut_since": 15 * SECOND, "shut_packet": 12}
    finding = transport.zero_window(case(client=shut, outcome=DROPPED))
    assert finding is not None and finding.cause == "zero window" and "packet 12" in finding.evidence
    assert transport.zero_window(case(client=shut | {"shut_since": 20 * SECOND - 9}, outcome=DROPPED)) is None


def test_repeats_or_probes_without_an_answer_say_that_the_peer_vanished() -> None:
    repeats = {"again_count": 4, "again_first": 12 * SECOND, "again_time": 19 * SECOND, "again_packet": 25}
    gone = {"last_time": 11 * SECOND}
    for tail in (repeats, {"probes": 3, "probe_first": 13 * SECOND, "probe_packet": 27}):
        finding = transport.vanished(case(client=gone, server=tail, outcome=OPEN, end_by=0))
        assert finding is not None and finding.cause == "peer vanished"
    assert transport.vanished(case(client=gone, server=repeats | {"again_count": 2}, outcome=OPEN, end_by=0)) is None


def test_a_reset_with_another_ttl_is_a_middleboxes() -> None:
    foreign = {"reset_packet": 30, "reset_time_to_live": 44}
    finding = transport.middlebox_reset(case(end_how=END_RST, server=foreign, outcome=DROPPED))
    assert finding is not None and finding.agent == "middlebox"
    own = case(end_how=END_RST, server=foreign | {"reset_time_to_live": 64}, outcome=DROPPED)
    assert transport.middlebox_reset(own) is None
    finding = transport.reset(own)
    assert finding is not None and (finding.cause, finding.agent) == ("reset", "server")


def test_a_foreign_reset_of_the_first_packet_after_a_silence_is_an_expiry() -> None:
    foreign = {"reset_packet": 30, "reset_time_to_live": 63}
    cut = {"end_how": END_RST, "server": foreign, "outcome": DROPPED, "silence_end": 20 * SECOND - 1000}
    finding = transport.idle_expiry(case(**cut))
    assert finding is not None and (finding.cause, finding.basis) == ("idle expiry", "inferred")
    expiries = {0: Expiry(5, 5 * SECOND + 9, 5 * SECOND - 9)}
    finding = transport.idle_expiry(case(**cut, expiries=expiries))
    assert finding is not None and (finding.basis, finding.nanoseconds) == ("observed", 5 * SECOND)
    finding = transport.idle_expiry(case(outcome=OPEN, end_by=0, expiries=expiries))
    assert finding is not None and finding.basis == "inferred"


def test_a_ping_without_a_pong_before_the_end_is_a_keepalive_timeout() -> None:
    pinged = {"server_ping": 18 * SECOND, "outcome": UNANSWERED_CLOSE}
    finding = closing.keepalive(case("keepalive ping timeout", **closed(1011, **pinged)))
    assert finding is not None and (finding.cause, finding.nanoseconds) == ("keepalive timeout", 2 * SECOND)
    dropped = closing.keepalive(case(server_ping=18 * SECOND, outcome=DROPPED))
    assert dropped is not None and dropped.basis == "inferred"
    assert closing.keepalive(case(server_ping=20 * SECOND - 5, outcome=DROPPED)) is None


def test_a_reason_that_names_the_keepalive_is_its_cause_though_no_ping_waited() -> None:
    broken = {"retransmissions": 7, "silence_end": 20 * SECOND - 9}
    finding = closing.explained(case("keepalive ping timeout", **closed(1011), **broken))
    assert finding is not None and (finding.cause, finding.basis) == ("keepalive timeout", "inferred")
    assert "7 retransmissions" in finding.evidence and "no packet came through for 6.000 s" in finding.evidence
    finding = closing.explained(case("keepalive ping timeout", **closed(1011)))
    assert finding is not None and "retransmissions" not in finding.evidence and "through" not in finding.evidence
    for reason in ("why", "shopping cart timed out"):
        finding = closing.explained(case(reason, **closed(1011)))
        assert finding is not None and finding.cause == "internal error"


def test_only_the_servers_side_can_be_a_gateway() -> None:
    finding = closing.explained(case("", **closed(1014, CLIENT)))
    assert finding is not None and (finding.cause, finding.agent) == ("unfounded code", "client")
    finding = closing.explained(case("", **closed(1014, SERVER)))
    assert finding is not None and (finding.cause, finding.agent) == ("bad gateway", "proxy")


def test_a_pong_after_the_end_or_a_prompt_answer_to_the_close_shows_a_slow_peer() -> None:
    late = case("keepalive ping timeout", **closed(1011, server_ping=18 * SECOND, round_trip=3 * SECOND))
    alive = case("", **closed(1011, server_ping=18 * SECOND, client_close=20 * SECOND + 9, client_code=1011))
    for each, basis in ((late, "observed"), (alive, "inferred")):
        finding = closing.keepalive(each)
        assert finding is not None and (finding.cause, finding.basis) == ("late pong", basis)


@pytest.mark.parametrize(("client_idle", "clock"), [(3 * SECOND, "client idle"), (9 * SECOND, "idle")])
def test_a_heartbeat_runs_from_the_other_sides_last_frame_where_that_fits(client_idle: int, clock: str) -> None:
    missed = case("heartbeat timeout", **closed(1000, SERVER, client_idle=client_idle))
    missed.scene.timers = [Timer(0, 3 * SECOND, 9, 1000, 9, SERVER, False)]
    missed.scene.timer_of = [0]
    finding = beating.missed(missed)
    assert finding is not None and (finding.clock, finding.nanoseconds) == (clock, 3 * SECOND)


def test_a_reason_may_name_the_heartbeat() -> None:
    finding = beating.missed(case("heartbeat timeout", **closed(1000, CLIENT)))
    assert finding is not None and finding.cause == "heartbeat missed"
    assert beating.missed(case("done shopping", **closed(1000))) is None


@pytest.mark.parametrize(
    ("function", "code", "side", "cause"),
    [(closing.restart, 1012, SERVER, "server restart"), (closing.explained, 1013, SERVER, "overload"),
     (closing.explained, 1002, CLIENT, "protocol error"), (closing.explained, 1007, SERVER, "invalid payload"),
     (closing.explained, 1003, SERVER, "unsupported data"), (closing.explained, 1014, SERVER, "bad gateway"),
     (closing.explained, 1008, SERVER, "policy"), (closing.explained, 1009, SERVER, "message too big"),
     (closing.coded, 1000, CLIENT, "clean close"), (closing.coded, 0, SERVER, "clean close"),
     (closing.coded, 1001, CLIENT, "client navigation"), (closing.coded, 1001, SERVER, "going away"),
     (closing.coded, 4711, SERVER, "application code"), (closing.coded, 1006, SERVER, "illegal code")],
)  # fmt: skip
def test_a_code_names_its_cause(function: Found, code: int, side: int, cause: str) -> None:
    finding = function(case("why", **closed(code, side)))
    assert finding is not None and finding.cause == cause
    assert "packet 28" in finding.evidence


def test_a_client_that_lacks_its_extension_says_1010() -> None:
    finding = closing.explained(case(**closed(1010, CLIENT), offered="permessage-deflate"))
    assert finding is not None and (finding.cause, finding.basis) == ("missing extension", "observed")


def test_a_private_code_is_explained_by_its_catalog() -> None:
    assert closing.catalogued(case(**closed(4201))) is None
    pusher = (None, None, "/app/key?protocol=7", None, None)
    assert closing.catalogued(case(**closed(4201), place=pusher)) is None
    finding = beating.missed(case(**closed(4201), place=pusher))
    assert finding is not None and finding.cause == "heartbeat missed"
    finding = closing.catalogued(case(**closed(4001), place=pusher))
    assert finding is not None and "Application does not exist" in finding.evidence
    twitch = (None, "eventsub.wss.twitch.tv", "/", None, None)
    finding = closing.keepalive(case(**closed(4002, server_ping=18 * SECOND), place=twitch))
    assert finding is not None and (finding.cause, finding.basis) == ("keepalive timeout", "observed")


@pytest.mark.parametrize(
    ("place", "code", "messages", "timer"),
    [
        (("graphql-transport-ws", None, None, None, None), 4408, 0, (19 * SECOND, "lifetime")),
        (("graphql-transport-ws", None, None, None, None), 4408, 3, (MISSING, None)),
        ((None, "ws.okx.com", "/", None, None), 4004, 3, (30 * SECOND, "client idle")),
        ((None, "ws.okx.com", "/", None, None), 4001, 3, (MISSING, None)),
    ],
)
def test_a_code_that_speaks_of_a_time_names_how_long_it_was(
    place: Any, code: int, messages: int, timer: tuple[int, str | None]
) -> None:
    each = case(**closed(code, opened=SECOND, client_idle=30 * SECOND), place=place)
    assert each.details is not None
    each.details.judged, each.details.server_heard = True, Heard(exact=True, messages=messages)
    finding = closing.catalogued(each)
    assert finding is not None and (finding.nanoseconds, finding.clock) == timer


def test_a_close_that_is_never_answered_ends_by_a_timeout() -> None:
    facts = closed(1000, CLIENT, outcome=UNANSWERED_CLOSE, end_by=CLIENT, end_how=END_FIN, client_close=15 * SECOND)
    finding = closing.close_timeout(case(**facts))
    assert finding is not None and finding.nanoseconds == 5 * SECOND
    assert closing.close_timeout(case(**facts | {"end_by": SERVER})) is None


def test_an_end_without_a_word_and_no_end_at_all() -> None:
    finding = transport.dropped(case(outcome=DROPPED))
    assert finding is not None and finding.cause == "dropped"
    finding = transport.capture_ended(case(outcome=CLOSING, end_by=0))
    assert finding is not None and finding.cause == "capture ended"


@pytest.mark.parametrize(
    ("end_how", "found", "cause", "text"),
    [
        (END_STREAM, transport.dropped, "dropped", "END_STREAM"),
        (END_GOAWAY, transport.dropped, "dropped", "GOAWAY"),
        (END_STREAM_RESET, transport.reset, "reset", "RST_STREAM"),
    ],
)
def test_streams_of_http2_end_as_tcp_does(end_how: int, found: Found, cause: str, text: str) -> None:
    finding = found(case(outcome=DROPPED, end_how=end_how, http_stream=5))
    assert finding is not None and finding.cause == cause
    assert f"{text} by the server on stream 5" in finding.evidence


def test_where_one_sides_packets_are_missing_altogether_the_evidence_says_so() -> None:
    for lacking, there in (("client", "server"), ("server", "client")):
        finding = conclusions._too_little(case(outcome=UNKNOWN, **{lacking: {"packets": 0}}))
        assert finding is not None and finding.cause == "not enough bytes"
        assert f"only the {there}'s packets were captured" in finding.evidence
    finding = conclusions._too_little(case(outcome=UNKNOWN))
    assert finding is not None and "bytes that would tell" in finding.evidence


def test_one_connection_alone_only_resembles_a_device() -> None:
    finding = common.timer_alone(case(outcome=DROPPED, idle=60 * SECOND, ending=100 * SECOND))
    assert finding is not None and finding.basis == "inferred" and "nginx" in str(finding.device)
    assert common.timer_alone(case(outcome=DROPPED, idle=61 * SECOND, ending=100 * SECOND)) is None
    assert common.timer_alone(case(**closed(1000, CLIENT, idle=60 * SECOND, ending=99 * SECOND))) is None


def columns_of(rows: list[Facts]) -> dict[str, Any]:
    table = np.array(rows, np.int64)
    return {name: table[:, place] for place, name in enumerate(Facts._fields)}


def rows_at(values: list[float], **facts: Any) -> list[Facts]:
    """Connections that ended so many seconds after the last frame, minutes apart."""
    rows = []
    for number, value in enumerate(values):
        idle, opened = int(value * SECOND), number * 7 * SECOND
        ending = opened + idle + (number * 13 % 11) * SECOND
        rows.append(
            PLAIN._replace(
                number=number,
                opened=opened,
                start=opened,
                ending=ending,
                end=ending,
                idle=idle,
                client_idle=idle,
                server_idle=idle,
                client_message_idle=idle,
                client_messages=number,
                outcome=DROPPED,
                **facts,
            )
        )
    return rows


def sides(rows: list[Facts]) -> tuple[Any, Any]:
    return np.full(len(rows), SERVER), np.ones(len(rows), bool)


def test_equal_readings_of_a_clock_are_a_timer() -> None:
    rows = rows_at([5.0, 5.001, 5.002, 4.999, 5.0, 5.003, 1.1, 2.7])
    timers, member = timers_of(columns_of(rows), *sides(rows))
    assert [(timer.clock, timer.count, round(timer.seconds, 2)) for timer in timers] == [(0, 6, 5.0)]
    assert member.tolist() == [0, 0, 0, 0, 0, 0, -1, -1]


@pytest.mark.parametrize(("echo", "clock"), [(0.001, "idle"), (0.3, "client_idle")])
def test_a_clock_of_one_side_is_named_where_the_other_sides_frames_did_not_follow_at_once(
    echo: float, clock: str
) -> None:
    rows = [
        row._replace(idle=row.idle - int(echo * SECOND) * (1 + number % 2))
        for number, row in enumerate(rows_at([5.0] * 9))
    ]
    rows = [row._replace(server_idle=row.idle) for row in rows]
    [timer], _ = timers_of(columns_of(rows), *sides(rows))
    assert CLOCKS[timer.clock] == clock


def test_scattered_readings_are_none() -> None:
    rows = rows_at([1.5, 2.9, 3.1, 4.7, 5.8, 7.7, 9.3, 11.9])
    assert timers_of(columns_of(rows), *sides(rows))[0] == []


def test_equal_ages_after_equal_work_are_none() -> None:
    rows = [
        row._replace(ending=row.opened + 5 * SECOND, idle=900, client_idle=900, server_idle=900, client_messages=8)
        for row in rows_at([0.1] * 9)
    ]
    assert timers_of(columns_of(rows), *sides(rows))[0] == []


def test_many_endings_at_one_moment_are_an_event_and_no_timer() -> None:
    rows = [row._replace(ending=100 * SECOND + row.number, idle=3 * SECOND) for row in rows_at([1.0] * 9)]
    columns = columns_of(rows)
    assert timers_of(columns, *sides(rows))[0] == []
    events, member = events_of(columns, *sides(rows))
    assert [(event.count, event.survivors) for event in events] == [(9, 0)]
    assert set(member.tolist()) == {0}


@pytest.mark.parametrize(("code", "shut"), [(NO_CLOSE, 1), (1000, 0)])
def test_ordinary_closes_at_one_moment_while_others_go_on_are_no_event(code: int, shut: int) -> None:
    rows = [row._replace(opened=1, ending=100 * SECOND + row.number, server_code=code) for row in rows_at([1.0] * 8)]
    rows += [row._replace(opened=1, ending=200 * SECOND) for row in rows[:3]]
    assert len(events_of(columns_of(rows), *sides(rows))[0]) == shut


def test_connections_that_end_one_by_one_as_they_come_are_no_event() -> None:
    rows = [row._replace(opened=row.number * 9, ending=row.number * 9 + 5) for row in rows_at([1.0] * 9)]
    assert events_of(columns_of(rows), *sides(rows))[0] == []


def test_devices_are_told_by_clock_and_seconds() -> None:
    assert device_of(59.8, lifetime=False) is not None
    assert device_of(59.8, lifetime=True) is None
    assert all(device.source for device in devices())


class TestCohorts:
    """Timers among the ends of one service; times in seconds."""

    @staticmethod
    def found(rows: list[Facts]) -> list[tuple[str, float, int, bool]]:
        """Clock, seconds, connections and whether it is only inferred."""
        timers, _ = timers_of(columns_of(rows), *sides(rows))
        return [(CLOCKS[timer.clock], round(timer.seconds, 1), timer.count, timer.loose) for timer in timers]

    @staticmethod
    def aged(values: Any, idle: Any, number: int = 0) -> list[Facts]:
        """Connections that ended at these ages, after these silences."""
        rows = []
        for each, (age, silent) in enumerate(zip(values, idle, strict=True), number):
            opened, quiet = each * 7 * SECOND, int(min(age, silent) * SECOND)
            ending = opened + int(age * SECOND)
            rows.append(
                PLAIN._replace(
                    number=each, opened=opened, start=opened, ending=ending, end=ending, idle=quiet, client_idle=quiet,
                    server_idle=quiet, client_message_idle=quiet, client_messages=each, outcome=DROPPED,
                )
            )  # fmt: skip
        return rows

    def test_a_lifetime_spread_by_a_tenth_is_one_at_most_inferred(self) -> None:
        chance = np.random.default_rng(5)
        rows = self.aged(chance.uniform(54, 66, 40), chance.uniform(0.1, 30, 40))
        [(clock, seconds, count, inferred)] = self.found(rows)
        assert (clock, count, inferred) == ("lifetime", 40, True)
        assert 58 < seconds < 62

    def test_lives_that_only_scatter_are_none(self) -> None:
        chance = np.random.default_rng(5)
        silences = chance.uniform(0.1, 30, 60)
        for ages in (chance.exponential(60, 60), chance.normal(60, 9, 60), chance.uniform(30, 90, 60)):
            assert self.found(self.aged(np.maximum(ages, 1), silences)) == []

    def test_equal_jobs_of_the_server_are_none(self) -> None:
        chance = np.random.default_rng(5)
        assert self.found(self.aged(chance.uniform(54, 66, 40), [0.001] * 40)) == []

    def test_an_idle_time_spread_by_a_tenth_is_one_at_most_inferred(self) -> None:
        chance = np.random.default_rng(5)
        rows = self.aged(chance.uniform(9, 40, 12), chance.uniform(4.5, 5.5, 12))
        [(clock, seconds, count, inferred)] = self.found(rows)
        assert (clock, count, inferred) == ("idle", 12, True)
        assert 4.5 < seconds < 5.5

    def test_silences_that_scatter_as_much_as_the_lives_are_none(self) -> None:
        chance = np.random.default_rng(5)
        silences = chance.uniform(4.5, 5.5, 12)
        assert self.found(self.aged(silences + chance.uniform(0, 0.5, 12), silences)) == []

    def test_connections_let_go_one_by_one_have_no_lifetime(self) -> None:
        chance = np.random.default_rng(5)
        begun, ended = chance.uniform(0, 3, 14), chance.uniform(57, 64, 14)
        rows = self.aged(ended - begun, chance.uniform(0.1, 30, 14))
        drained = []
        for row, begin in zip(rows, begun, strict=True):
            opened = int(begin * SECOND)
            ending = opened + row.ending - row.opened
            drained.append(row._replace(opened=opened, start=opened, ending=ending, end=ending))
        assert [clock for clock, *_ in self.found(rows)] == ["lifetime"]
        assert self.found(drained) == []

    def test_messages_alone_may_be_what_holds_a_timer_off(self) -> None:
        chance = np.random.default_rng(5)
        rows = self.aged(chance.uniform(9, 40, 9), chance.uniform(0.1, 2, 9))
        rows = [row._replace(client_message_idle=5 * SECOND + row.number) for row in rows]
        assert self.found(rows) == [("client_message_idle", 5.0, 9, False)]

    @pytest.mark.parametrize(("before", "clocks"), [(0.001, []), (0.3, ["client_idle"])])
    def test_what_is_closed_with_its_result_was_work(self, before: float, clocks: list[str]) -> None:
        chance = np.random.default_rng(5)
        rows = self.aged(chance.uniform(9, 40, 9), before * chance.uniform(0.5, 1.5, 9))
        rows = [row._replace(client_idle=5 * SECOND + row.number) for row in rows]
        assert [clock for clock, *_ in self.found(rows)] == clocks

    def test_a_longer_life_of_the_same_service_denies_a_lifetime(self) -> None:
        chance = np.random.default_rng(5)
        rows = self.aged(chance.uniform(54, 66, 20), chance.uniform(0.1, 30, 20))
        rows += [row._replace(ending=NO_TIME) for row in self.aged([200.0] * 5, [1.0] * 5, 20)]
        assert self.found(rows) == []

    def test_a_timer_among_as_many_ends_of_other_kinds(self) -> None:
        chance = np.random.default_rng(5)
        timed = self.aged(chance.uniform(100, 900, 25), 60 + chance.uniform(-0.01, 0.01, 25))
        others = self.aged(chance.exponential(100, 25) + 1, chance.exponential(20, 25), 25)
        assert self.found(timed + others) == [("idle", 60.0, 25, False)]

    def test_an_idle_and_a_lifetime_timer_of_one_service(self) -> None:
        chance = np.random.default_rng(5)
        idle = self.aged(chance.uniform(400, 3000, 20), 350 + chance.uniform(-0.1, 0.1, 20))
        capped = self.aged(3600 + chance.uniform(-0.5, 0.5, 20), chance.uniform(0.1, 300, 20), 20)
        rows = idle + capped
        assert sorted(self.found(rows)) == [("idle", 350.0, 20, False), ("lifetime", 3600.0, 20, False)]
        assert {timer.rival for timer in timers_of(columns_of(rows), *sides(rows))[0]} == {-1}

    def test_a_few_coincidences_are_no_timer(self) -> None:
        chance = np.random.default_rng(5)
        found = 0
        for _ in range(300):
            ages, silences = chance.exponential(30, 20) + 1, chance.lognormal(1, 1, 20)
            found += len(self.found(self.aged(ages, silences)))
        assert found == 0

    def test_where_two_kinds_of_clock_fit_alike_the_other_is_told(self) -> None:
        rows = self.aged(5 + np.arange(9) / 1000, 5 + np.arange(9) / 1000)
        [timer], _ = timers_of(columns_of(rows), *sides(rows))
        assert (CLOCKS[timer.clock], CLOCKS[timer.rival]) == ("idle", "lifetime")
        alone = case(outcome=DROPPED, idle=5 * SECOND, opened=15 * SECOND)
        alone.scene.timers, alone.scene.timer_of = [timer], [0]
        finding = common.timer(alone)
        assert finding is not None and finding.basis == "inferred"
        assert "as well 5.000 s after the opening" in finding.evidence
