"""The rules of the violations table: each one broken, and the legal traffic beside it. Classes by rule."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from by_hand import Talk
from hosts import ACK, FIN, Hosts
from invariants import analyzed
from mutations import written
from test_reconnects import attempt

from analyzer import limits
from analyzer.reconnects import Attempt, pairs
from analyzer.records import MISSING, Close, Frame, Observer, Packet, Side, Violation
from analyzer.rules import extensions, frames, handshake, returning
from analyzer.rules.catalog import RULES, SEVERITIES
from analyzer.rules.judging import Rules
from analyzer.schema import TABLES
from analyzer.upgrade.heads import FieldLines

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
LINE = b"GET /chat HTTP/1.1\r"
REQUEST = {
    "Host": "a.example",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}
ANSWER = {"Upgrade": "WebSocket", "Connection": "upgrade", "Sec-WebSocket-Accept": ACCEPT}


def keys(number: int) -> str:
    """Another Sec-WebSocket-Key for each number."""
    return base64.b64encode(bytes([number] * 16)).decode()


class Told(Observer):
    """Keeps the violations."""

    def __init__(self) -> None:
        self.rows: list[Violation] = []

    def violation(self, violation: Violation) -> None:
        self.rows.append(violation)

    @property
    def rules(self) -> list[str]:
        return [row.rule for row in self.rows]


def fields(given: dict[str, Any]) -> Any:
    """The fields as the upgrade stage reads them; a list stands for several lines, None for no line."""
    lines = [b"first"]
    for name, value in given.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                lines.append(f"{name}: {each}\r".encode())
    return FieldLines().fields(b"\n".join(lines))


def shake(
    request: dict[str, Any] | None = None,
    answer: dict[str, Any] | None = None,
    line: bytes = LINE,
    status: int = 101,
    rules: Rules | None = None,
) -> Told:
    """One handshake, with changed fields."""
    told = Told()
    rules = Rules(Packet(), told) if rules is None else rules
    talk = Talk()
    connection = talk.connection
    connection.number = 0
    asked = fields(REQUEST | (request or {}))
    rules.request(connection, line, asked)
    connection.http_status = status
    connection.offered_subprotocols = (request or {}).get("Sec-WebSocket-Protocol")
    connection.offered_extensions = (request or {}).get("Sec-WebSocket-Extensions")
    rules.answer(connection, fields(ANSWER | (answer or {})))
    assert connection.violations == len(told.rows)
    return told


class TestHandshake:
    def test_a_legal_handshake_breaks_no_rule(self) -> None:
        assert shake().rules == []
        assert shake({"Sec-WebSocket-Protocol": "a, b"}, {"Sec-WebSocket-Protocol": "b"}).rules == []

    @pytest.mark.parametrize("line", [b"POST / HTTP/1.1\r", b"GET / HTTP/1.0\r"])
    def test_h1_method_and_version(self, line: bytes) -> None:
        assert shake(line=line).rules == ["H1", "H10"]

    def test_h1_host(self) -> None:
        assert shake({"Host": None}).rules == ["H1", "H10"]

    @pytest.mark.parametrize("field", ["Upgrade", "Connection"])
    def test_h2_upgrade_and_connection_in_the_request(self, field: str) -> None:
        assert shake({field: "close"}).rules == ["H2", "H10"]

    @pytest.mark.parametrize("field", ["Upgrade", "Connection"])
    def test_h2_upgrade_and_connection_in_the_answer(self, field: str) -> None:
        assert shake(answer={field: "h2c, close"}).rules == ["H2"]

    @pytest.mark.parametrize("field", ["Upgrade", "Connection", "Sec-WebSocket-Version"])
    def test_a_field_that_is_not_there_is_found_as_none(self, field: str) -> None:
        assert shake({field: None}).rows[0].found == "none"

    def test_an_accept_that_is_not_there_is_found_as_none(self) -> None:
        assert shake(answer={"Sec-WebSocket-Accept": None}).rows[0].found == "none"

    @pytest.mark.parametrize("key", [None, "short", "A" * 24, "*" * 22 + "==", [KEY, KEY], "é" * 22 + "=="])
    def test_h3_key(self, key: Any) -> None:
        assert "H3" in shake({"Sec-WebSocket-Key": key}).rules

    def test_h3_unused_bits_of_the_key_are_a_note(self) -> None:
        key = "AQIDBAUGBwgJCgsMDQ4PEC=="  # the example of RFC 6455 4.1
        told = shake({"Sec-WebSocket-Key": key}, {"Sec-WebSocket-Accept": handshake.accept_of(key)})
        assert [(row.rule, row.severity) for row in told.rows] == [("H3", "note")]

    def test_h3_a_key_used_again_is_a_note(self) -> None:
        told = Told()
        rules = Rules(Packet(), told)
        shake(rules=rules)
        talk = Talk()
        rules.request(talk.connection, LINE, fields(REQUEST))
        assert [(row.rule, row.severity) for row in told.rows] == [("H3", "note")]

    def test_h3_a_key_is_not_used_again_by_a_request_that_was_sent_before(self) -> None:
        told = Told()
        rules = Rules(Packet(), told)
        for recognised in (2_000, 1_000):  # a proxy's, and its client's that waited for its secrets
            connection = Talk().connection
            connection.number = 0
            connection.recognised = recognised
            rules.request(connection, LINE, fields(REQUEST))
            connection.http_status = 101
            rules.answer(connection, fields(ANSWER))
        assert told.rows == []

    def test_h3_a_proxy_hands_the_key_on(self) -> None:
        told = Told()
        rules = Rules(Packet(), told)
        for number in (0, 1):
            talk = Talk()
            talk.connection.number = number
            rules.request(talk.connection, LINE, fields(REQUEST))
        assert told.rows == []

    @pytest.mark.parametrize("version", ["8", None, ["13", "13"]])
    def test_h4_version(self, version: Any) -> None:
        assert shake({"Sec-WebSocket-Version": version}).rules == ["H4", "H10"]

    def test_h4_a_refusal_names_the_versions(self) -> None:
        asked = {"Sec-WebSocket-Version": "99"}
        assert shake(asked, status=426).rules == ["H4", "H4"]
        assert shake(asked, {"Sec-WebSocket-Version": ["13", "8"]}, status=426).rules == ["H4"]
        assert shake(status=503).rules == []

    @pytest.mark.parametrize("accept", [None, KEY, [ACCEPT, ACCEPT]])
    def test_h5_accept(self, accept: Any) -> None:
        assert shake(answer={"Sec-WebSocket-Accept": accept}).rules == ["H5"]

    @pytest.mark.parametrize("offered, agreed", [(None, "a"), ("a", "b"), ("a, b", ["a", "b"]), ("a", "A")])
    def test_h6_a_subprotocol_that_was_not_offered(self, offered: Any, agreed: Any) -> None:
        assert shake({"Sec-WebSocket-Protocol": offered}, {"Sec-WebSocket-Protocol": agreed}).rules == ["H6"]

    def test_h6_offered_twice(self) -> None:
        assert "H6" in shake({"Sec-WebSocket-Protocol": "a, a"}).rules

    def test_h8_bytes_before_the_answer(self) -> None:
        told, talk = Told(), Talk()
        talk.connection.violations = 0
        packet = Packet()
        packet.number = 7
        Rules(packet, told).early(talk.connection, b"\x81\x80\x1b[m", 7, 0)
        assert told.rules == []
        Rules(packet, told).early(talk.connection, b"\x81\x80\x1b[m", 6, 0)
        assert told.rules == ["H8"]

    @pytest.mark.parametrize("missing", ["lost", "acknowledged"])
    def test_no_h9_of_one_whose_answer_may_be_missing(self, missing: str) -> None:
        told = Told()
        rules = Rules(Packet(), told)
        for number, talk in enumerate((Talk(), Talk())):
            talk.connection.origin, talk.connection.number = "https://a.example", number
            talk.connection.user_agent = "Mozilla/5.0 (X11)"
            asking, answering = talk.connection.client.half, talk.connection.server.half
            asking.acknowledges, asking.acknowledgment, answering.next = True, 109, 109
            rules.request(talk.connection, LINE, fields(REQUEST | {"Sec-WebSocket-Key": keys(number)}))
            answering.lost_bytes, answering.next = (9, 109) if missing == "lost" else (0, 100)
        assert told.rules == []

    def test_h9_a_browser_that_opens_several_at_once(self) -> None:
        told = Told()
        rules = Rules(Packet(), told)
        talks = [Talk() for _ in range(4)]
        for number, (talk, origin) in enumerate(zip(talks, ("https://a.example",) * 3 + (None,), strict=True)):
            talk.connection.origin, talk.connection.number = origin, number
            talk.connection.user_agent = "Mozilla/5.0 (X11)" if number else "curl/8"
            rules.request(talk.connection, LINE, fields(REQUEST | {"Sec-WebSocket-Key": keys(number)}))
        assert [(row.rule, row.severity, row.sender.connection.number) for row in told.rows] == [("H9", "note", 2)]
        for talk in talks:
            rules.connection(talk.connection)
        rules.request(talks[1].connection, LINE, fields(REQUEST | {"Sec-WebSocket-Key": keys(9)}))
        assert len(told.rows) == 1

    def test_h10_an_empty_subprotocol_field(self) -> None:
        assert shake({"Sec-WebSocket-Protocol": ""}).rules == ["H10", "H10"]

    def test_an_answer_without_its_request_is_not_judged(self) -> None:
        told, talk = Told(), Talk()
        talk.connection.http_status = 101
        Rules(Packet(), told).answer(talk.connection, fields({}))
        assert told.rules == []
        assert talk.connection.violations == MISSING


class TestExtensions:
    def found(self, agreed: str, offered: str | None) -> list[str]:
        return [finding[0] for finding in extensions.findings(agreed, offered)]

    def test_h7_an_extension_that_was_not_offered(self) -> None:
        assert self.found("x-a", None) == ["H7"]
        assert self.found("permessage-deflate, x-a", "permessage-deflate") == ["H7"]

    @pytest.mark.parametrize(
        "agreed, offered",
        [
            ("permessage-deflate", "permessage-deflate; client_max_window_bits"),
            ("permessage-deflate; client_max_window_bits=12", "permessage-deflate; client_max_window_bits"),
            ("permessage-deflate; client_max_window_bits=15", "permessage-deflate; client_max_window_bits=10"),
            ("permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=10"),
            ("permessage-deflate; server_no_context_takeover", "permessage-deflate"),
            ("permessage-deflate", "permessage-deflate; server_max_window_bits=10, permessage-deflate"),
        ],
    )
    def test_d1_d3_legal_answers(self, agreed: str, offered: str) -> None:
        assert self.found(agreed, offered) == []

    @pytest.mark.parametrize(
        "parameters",
        ["client_max_window_bits=10", "server_max_window_bits=7", "server_max_window_bits=09", "x=1",
         "server_no_context_takeover; server_no_context_takeover", "server_no_context_takeover=1"],
    )  # fmt: skip
    def test_d1_parameters(self, parameters: str) -> None:
        assert "D1" in self.found(f"permessage-deflate; {parameters}", "permessage-deflate")

    def test_d1_a_larger_window_than_offered(self) -> None:
        offered = "permessage-deflate; server_max_window_bits=10"
        assert self.found("permessage-deflate; server_max_window_bits=12", offered) == ["D1"]

    @pytest.mark.parametrize("parameter", ["server_no_context_takeover", "server_max_window_bits=10"])
    def test_d3_what_was_offered_is_not_echoed(self, parameter: str) -> None:
        assert self.found("permessage-deflate", f"permessage-deflate; {parameter}") == ["D3"]


def header(
    opcode: int = 1, fin: bool = True, rsv: int = 0, masked: bool = False, length: int = 5, size: int = 2
) -> Frame:
    """A frame's header; size: bytes of it without the key."""
    frame = Frame()
    frame.opcode, frame.fin, frame.rsv, frame.masked, frame.length = opcode, fin, rsv, masked, length
    frame.header_size = size + 4 * masked
    return frame


class TestFrames:
    @pytest.mark.parametrize("masked", [True, False])
    def test_f1_masking(self, masked: bool) -> None:
        assert list(frames.masking(header(masked=masked), masked)) == []
        assert [each[0] for each in frames.masking(header(masked=masked), not masked)] == ["F1"]

    def test_f2_reserved_bits(self) -> None:
        assert list(frames.reserved_bits(header(rsv=4), deflate=True)) == []
        for rsv, opcode, deflate in ((4, 1, False), (2, 1, True), (4, 0, True), (4, 9, True)):
            assert len(list(frames.reserved_bits(header(opcode, rsv=rsv), deflate))) == 1

    def test_f3_opcodes(self) -> None:
        found = [opcode for opcode in range(16) if list(frames.opcode(header(opcode)))]
        assert found == [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]

    @pytest.mark.parametrize(
        "length, size, bad", [(125, 4, 1), (126, 4, 0), (65535, 10, 1), (65536, 10, 0), (1 << 63, 10, 1)]
    )
    def test_f4_lengths(self, length: int, size: int, bad: int) -> None:
        assert len(list(frames.length(header(length=length, size=size)))) == bad

    def test_f6_fragmentation(self) -> None:
        for opcode, inside, bad in ((0, True, 0), (0, False, 1), (1, False, 0), (2, True, 1), (9, True, 0)):
            assert len(list(frames.fragmentation(header(opcode), inside))) == bad

    def test_f7_control_frames(self) -> None:
        assert list(frames.control(header(9, length=125))) == []
        assert len(list(frames.control(header(9, fin=False, length=126)))) == 2

    def test_c2_data_after_the_close(self) -> None:
        assert len(list(frames.data_after_close(header(1), True))) == 1
        assert list(frames.data_after_close(header(9), True)) == []


def close(body: bytes) -> Close:
    talk = Talk()
    return talk.close(talk.server, body)


def sent(side: Side, frame: Frame) -> Frame:
    """The frame as that side's."""
    frame.sender = side
    return frame


class TestSides:
    def test_f5_keys_of_frames_found_midstream_may_be_no_keys(self) -> None:
        for opening, rules in (("handshake", ["F5"]), ("midstream", [])):
            told, talk = Told(), Talk(opening)
            judge = Rules(Packet(), told).judge_of(talk.connection)
            assert judge is not None
            assert judge.key(talk.client, "the same again") is bool(rules)
            assert told.rules == rules

    def test_frames_after_a_weak_resync_are_not_judged(self) -> None:
        told, talk = Told(), Talk()
        judge = Rules(Packet(), told).judge_of(talk.connection)
        assert judge is not None
        talk.client.weak_resyncs = 1
        judge.frame(sent(talk.client, header(3, masked=True)), in_message=False, framing_known=True)
        judge.close(talk.close(talk.client, b"\x03\xed"), 1)
        assert told.rules == []

    def test_f1_is_not_judged_where_masks_told_who_is_the_client(self) -> None:
        told, talk = Told(), Talk()
        talk.connection.client_basis = "masks"
        judge = Rules(Packet(), told).judge_of(talk.connection)
        assert judge is not None
        judge.frame(sent(talk.client, header(masked=False)), in_message=False, framing_known=True)
        assert told.rules == []

    def test_f2_is_not_judged_under_another_extension(self) -> None:
        told, talk = Told(), Talk()
        talk.connection.http_status = 101
        talk.connection.extensions = "x-own"
        judge = Rules(Packet(), told).judge_of(talk.connection)
        assert judge is not None
        judge.frame(sent(talk.client, header(rsv=2, masked=True)), in_message=False, framing_known=True)
        assert told.rules == []


class TestCloses:
    def test_c1_one_byte(self) -> None:
        assert [each[0] for each in frames.close_body(close(b"\x03"))] == ["C1"]
        assert list(frames.close_body(close(b""))) == []

    def test_c6_and_f8_reasons(self) -> None:
        assert list(frames.close_body(close(b"\x03\xe8" + b"x" * 123))) == []
        assert [each[0] for each in frames.close_body(close(b"\x03\xe8" + b"x" * 124))] == ["C6"]
        assert [each[0] for each in frames.close_body(close(b"\x03\xe8\xff"))] == ["F8"]

    @pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
    def test_c4_legal_codes(self, code: int) -> None:
        assert list(frames.close_code(close(code.to_bytes(2, "big")), False)) == []

    @pytest.mark.parametrize(
        "code, severity",
        [(0, "must"), (999, "must"), (1004, "should"), (1005, "must"), (1006, "must"), (1015, "must"), (1016, "should"),
         (2999, "should"), (5000, "must"), (65535, "must"), (1010, "note")],
    )  # fmt: skip
    def test_c4_others(self, code: int, severity: str) -> None:
        [found] = frames.close_code(close(code.to_bytes(2, "big")), False)
        assert found[:2] == ("C4", severity)

    def test_c4_a_server_may_echo_1010(self) -> None:
        talk = Talk()
        talk.close(talk.client, (1010).to_bytes(2, "big"))
        assert list(frames.close_code(talk.close(talk.server, (1010).to_bytes(2, "big")), False)) == []

    def test_c2_a_second_close(self) -> None:
        assert [len(list(frames.close_again(number))) for number in (1, 2)] == [0, 1]


def over(talk: Talk) -> list[tuple[str, str]]:
    """What the end of a connection shows."""
    told = Told()
    talk.connection.violations = 0
    Rules(Packet(), told).connection(talk.connection)
    return [(row.rule, row.severity) for row in told.rows]


class TestEnding:
    def test_c3_an_answered_close(self) -> None:
        talk = Talk()
        talk.close(talk.client)
        talk.close(talk.server)
        talk.fin(talk.server)
        assert over(talk) == []

    def test_c3_never_answered(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.tick(5)
        talk.fin(talk.client)
        assert over(talk) == [("C3", "must")]

    def test_c3_is_not_judged_of_a_close_that_may_never_have_come(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.tick(5)
        talk.fin(talk.client, unacknowledged=True)
        assert over(talk) == []

    def test_c3_no_answer_to_one_who_fails_the_connection(self) -> None:
        talk = Talk()
        talk.close(talk.server, b"\x03\xea")
        talk.tick(5)
        talk.fin(talk.client)
        assert over(talk) == []

    def test_c3_an_answer_with_another_code_is_legal(self) -> None:
        talk = Talk()
        first = talk.close(talk.server, b"\x03\xe9")
        talk.close(talk.client, acknowledged=first.end)
        talk.fin(talk.server)
        assert over(talk) == []

    def test_c3_is_not_judged_where_bytes_are_missing(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.lose(talk.client)
        talk.tick(5)
        talk.fin(talk.client)
        assert over(talk) == []

    def test_c5_a_server_that_keeps_tcp_open(self) -> None:
        talk = Talk()
        talk.close(talk.client)
        talk.close(talk.server)
        talk.tick(10)
        assert over(talk) == [("C5", "must")]

    def test_c5_is_not_asked_of_a_stream(self) -> None:
        talk = Talk()
        talk.connection.http = "2"
        talk.close(talk.client)
        talk.close(talk.server)
        talk.tick(10)
        assert over(talk) == []

    def test_p1_a_ping_without_pong_while_its_receiver_goes_on(self) -> None:
        talk = Talk()
        talk.ping(talk.client, b"a")
        talk.tick(5)
        talk.message(talk.server)
        assert over(talk) == [("P1", "must")]

    def test_p1_is_not_judged_of_a_receiver_that_only_answers_the_close(self) -> None:
        talk = Talk()
        talk.ping(talk.server, b"a")
        talk.tick(5)
        talk.close(talk.server)
        talk.close(talk.client)
        talk.fin(talk.server)
        assert over(talk) == []

    def test_p1_is_not_judged_of_a_ping_that_may_never_have_come(self) -> None:
        talk = Talk()
        talk.ping(talk.client, b"a")
        talk.tick(5)
        talk.send(talk.server, 7, unacknowledged=True)
        talk.server.last_frame = talk.time
        assert over(talk) == []

    def test_p1_is_not_judged_of_a_receiver_that_fell_silent(self) -> None:
        talk = Talk()
        talk.message(talk.server)
        talk.ping(talk.client, b"a")
        talk.tick(5)
        assert over(talk) == []


class TestRows:
    def test_the_rows_of_a_connection_are_bounded_and_all_are_counted(self) -> None:
        told, talk = Told(), Talk()
        talk.connection.violations = 0
        many = limits.VIOLATIONS_KEPT + 5
        Rules(Packet(), told).tell(talk.client, [("F3", "must", "", "x" * 1000)] * many)
        assert len(told.rows) == limits.VIOLATIONS_KEPT
        assert talk.connection.violations == many
        assert len(told.rows[0].found) == limits.FOUND_TEXT

    def test_every_rule_has_its_place_and_severity(self) -> None:
        for rule in RULES.values():
            assert rule.section
            assert rule.severity in SEVERITIES

    def test_the_columns_are_those_of_the_design(self) -> None:
        names = [column.name for column in TABLES["violations"].columns_for(1)]
        assert names == "connection time packet sender rule section severity expected found".split()


def again(*attempts: Attempt) -> list[tuple[int, str]]:
    """What R1 says of these connections."""
    told = list(returning.findings(pairs(attempts), {each.connection: each for each in attempts}))
    assert all(finding[:2] == ("R1", "should") for _, finding in told)
    return [(number, finding[3]) for number, finding in told]


class TestReturning:
    @pytest.mark.parametrize(("delay", "found"), [(0.001, [(1, "1.0 ms")]), (0.03, []), (5, [])])
    def test_r1_no_delay(self, delay: float, found: list[tuple[int, str]]) -> None:
        assert again(attempt(0, 0, 10), attempt(1, 10 + delay)) == found

    def test_r1_is_not_asked_after_an_end_of_ones_own_or_a_refusal(self) -> None:
        assert again(attempt(0, 0, 10, abnormal=False), attempt(1, 10.001)) == []
        assert again(attempt(0, 0, 10, failed=True), attempt(1, 10.001)) == []

    def test_r1_the_same_delay_in_many_clients(self) -> None:
        def many(number: int, delay: Callable[[int], float]) -> list[tuple[int, str]]:
            found = []
            for each in range(number):
                client, end = f"10.0.0.{each}", 10 + each / 100
                found.append(attempt(each, 0, end, client=client))
                found.append(attempt(100 + each, end + delay(each), client=client))
            return again(*found)

        assert many(8, lambda each: 1 + each / 9999) == [
            (100 + each, "1.00 s, as 7 others that ended with it") for each in range(8)
        ]
        assert [number for number, _ in many(8, lambda each: 1 if each else 3)] == list(range(101, 108))
        assert many(4, lambda each: 1) == []
        assert many(20, lambda each: 0.2 + each * 0.2) == []

    def test_r1_waits_after_failed_tries_that_do_not_grow(self) -> None:
        def tries(*waits: float) -> list[tuple[int, str]]:
            found, time = [attempt(0, 0, 10)], 10.0
            for number, wait in enumerate(waits, 1):
                time += wait
                found.append(attempt(number, time, time + 0.1, failed=True))
                time += 0.1
            return again(*found)

        assert tries(1, 1, 1, 1) == [(3, "1.00 s"), (4, "1.00 s")]
        assert tries(1, 2, 4, 8) == tries(1, 1) == tries(3, 2, 4, 2) == []
        assert tries(40, 40, 40, 40) == []

    def test_r1_is_a_row_of_the_connection_that_came_too_soon(self) -> None:
        first, second = Hosts(40000).open().say("server", flags=FIN | ACK).say("client", flags=FIN | ACK), Hosts(40001)
        second.time = first.time
        second.open().close()
        result = analyzed(written(first.packets + second.packets))
        [row] = result.violations[result.violations["rule"] == "R1"].to_dict("records")
        assert (row["connection"], row["packet"], row["sender"]) == (1, 8, "client")
        assert row["time"] == result.connections.loc[1, "start"]
