"""Every conclusion about one connection, from records made by hand; classes by column of the design."""

from __future__ import annotations

import pytest
from by_hand import SECOND, START, Talk

from analyzer.outcome import Outcome, conclude
from analyzer.records import MISSING, NO_TIME, Side


def sides(talk: Talk, who: str) -> tuple[Side, Side]:
    """The side called `who` and the other one."""
    return (talk.client, talk.server) if who == "client" else (talk.server, talk.client)


def clean_close(talk: Talk, first: str = "server", body: bytes = b"\x03\xe8", answer: bytes = b"\x03\xe8") -> Outcome:
    """One side closes, the other answers, the server ends TCP."""
    one, other = sides(talk, first)
    talk.close(one, body)
    talk.close(other, answer)
    talk.fin(talk.server)
    talk.fin(talk.client)
    return conclude(talk.connection)


def saw(talk: Talk) -> tuple[int, int]:
    outcome = conclude(talk.connection)
    return outcome.client_saw, outcome.server_saw


both_sides = pytest.mark.parametrize("who", ["client", "server"])


class TestOutcome:
    @both_sides
    def test_both_closes_and_the_end_of_tcp_are_clean(self, who: str) -> None:
        outcome = clean_close(Talk(), who)
        assert (outcome.outcome, outcome.clean, outcome.close_initiator) == ("clean", 1, who)

    @both_sides
    def test_a_close_without_an_answer_is_unanswered(self, who: str) -> None:
        talk = Talk()
        one, other = sides(talk, who)
        talk.close(one)
        talk.fin(other)
        talk.fin(one)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.clean, outcome.close_initiator) == ("unanswered-close", 0, who)

    @both_sides
    def test_an_end_of_tcp_without_a_close_is_dropped(self, who: str) -> None:
        talk = Talk()
        one, other = sides(talk, who)
        talk.fin(one)
        talk.fin(other)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.clean, outcome.close_initiator) == ("dropped", 0, None)
        assert (outcome.transport_end, outcome.transport_end_by) == ("fin", who)

    @both_sides
    def test_a_reset_without_a_close_is_dropped(self, who: str) -> None:
        talk = Talk()
        talk.reset(sides(talk, who)[0])
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.transport_end, outcome.transport_end_by) == ("dropped", "rst", who)

    def test_a_connection_without_any_end_is_open(self) -> None:
        talk = Talk()
        talk.message(talk.client)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.clean, outcome.transport_end, outcome.transport_end_by) == (
            "open",
            -1,
            None,
            None,
        )
        assert (outcome.idle_before_end, outcome.client_idle, outcome.server_idle) == (NO_TIME, NO_TIME, NO_TIME)

    def test_a_fin_of_one_side_alone_leaves_it_open(self) -> None:
        talk = Talk()
        talk.fin(talk.server)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.transport_end) == ("open", None)

    @pytest.mark.parametrize("closes", [("client",), ("server",), ("server", "client")])
    def test_a_close_while_tcp_lasts_is_closing(self, closes: tuple[str, ...]) -> None:
        talk = Talk()
        for who in closes:
            talk.close(sides(talk, who)[0])
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.clean) == ("closing", -1)

    def test_a_refusal_is_refused_however_tcp_ends(self) -> None:
        talk = Talk("refused")
        talk.reset(talk.client)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.clean, outcome.client_saw, outcome.server_saw) == (
            "refused",
            -1,
            1006,
            MISSING,
        )

    def test_a_request_without_an_answer_is_no_answer(self) -> None:
        talk = Talk("unanswered")
        talk.fin(talk.client)
        talk.fin(talk.server)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.clean, outcome.client_saw, outcome.server_saw) == (
            "no-answer",
            -1,
            1006,
            MISSING,
        )

    @pytest.mark.parametrize("how", ["lost", "cut", "never captured"])
    def test_an_answer_that_may_be_missing_is_unknown(self, how: str) -> None:
        talk = Talk("unanswered")
        if how == "lost":
            talk.server.half.lost_bytes = 9
        elif how == "cut":
            talk.server.half.cut_bytes = 9
        else:
            talk.never_captured(talk.server)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.client_saw) == ("unknown", MISSING)

    def test_a_close_after_the_other_sides_fin_counts(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.fin(talk.server)
        talk.close(talk.client)
        talk.fin(talk.client)
        assert conclude(talk.connection).outcome == "clean"

    def test_a_close_after_the_other_sides_reset_does_not_count(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.reset(talk.server)
        talk.close(talk.client)
        assert conclude(talk.connection).outcome == "unanswered-close"

    def test_a_close_only_after_a_reset_is_dropped(self) -> None:
        talk = Talk()
        talk.reset(talk.server)
        talk.close(talk.client)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.server_saw) == ("dropped", 1006)

    @both_sides
    def test_missing_bytes_that_could_hide_the_answer_make_it_unknown(self, who: str) -> None:
        talk = Talk()
        one, other = sides(talk, who)
        talk.close(one)
        talk.lose(other)
        talk.fin(one)
        talk.fin(other)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.clean, outcome.close_initiator) == ("unknown", -1, None)

    @both_sides
    def test_missing_bytes_after_both_closes_change_nothing(self, who: str) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.close(talk.client)
        talk.lose(sides(talk, who)[0])
        talk.fin(talk.server)
        talk.fin(talk.client)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.close_initiator) == ("clean", "server")

    def test_missing_bytes_that_could_hide_the_only_close_make_it_unknown(self) -> None:
        talk = Talk()
        talk.lose(talk.client)
        assert conclude(talk.connection).outcome == "unknown"
        talk.reset(talk.server)
        assert conclude(talk.connection).outcome == "unknown"

    @both_sides
    def test_a_direction_that_was_not_captured_makes_it_unknown(self, who: str) -> None:
        talk = Talk()
        one, other = sides(talk, who)
        talk.close(one)
        talk.fin(one)
        talk.never_captured(other)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.close_initiator) == ("unknown", None)
        assert (outcome.retransmissions, outcome.lost_bytes) == (MISSING, MISSING)

    def test_an_acknowledged_fin_that_was_not_captured_makes_the_end_unknown(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.close(talk.client)
        talk.fin(talk.server)
        talk.acknowledge(talk.server)
        talk.server.half.acknowledgment += 1
        assert conclude(talk.connection).outcome == "unknown"

    def test_an_encrypted_connection_is_unknown(self) -> None:
        talk = Talk("encrypted")
        talk.reset(talk.client)
        outcome = conclude(talk.connection)
        assert (outcome.outcome, outcome.client_saw, outcome.server_saw) == ("unknown", MISSING, MISSING)


class TestObservedCodes:
    def test_code_and_reason_are_what_the_first_close_carried(self) -> None:
        talk = Talk()
        first = talk.close(talk.server, b"\x0f\xa0busy \xe2\x9c\x93")
        talk.close(talk.server, b"\x03\xe8second")
        outcome = conclude(talk.connection)
        assert (outcome.server_code, outcome.server_reason) == (4000, "busy ✓")
        assert (outcome.server_close, outcome.client_close) == (first.time, NO_TIME)
        assert (outcome.client_code, outcome.client_reason) == (MISSING, None)

    def test_a_code_alone_has_an_empty_reason(self) -> None:
        outcome = clean_close(Talk())
        assert (outcome.server_code, outcome.server_reason) == (1000, "")

    @pytest.mark.parametrize("body", [b"", b"\x03"])
    def test_a_close_without_a_whole_code_has_a_time_and_nothing_else(self, body: bytes) -> None:
        outcome = clean_close(Talk(), "server", body)
        assert (outcome.server_code, outcome.server_reason) == (MISSING, None)
        assert outcome.server_close != NO_TIME

    def test_a_reason_that_is_not_utf_8_is_kept_as_escapes(self) -> None:
        assert clean_close(Talk(), "server", b"\x03\xe8a\xff").server_reason == "a\\xff"

    def test_of_a_cut_reason_nothing_is_claimed(self) -> None:
        talk = Talk()
        talk.close(talk.server, b"\x03\xe8go", size=12, cut=True)
        outcome = conclude(talk.connection)
        assert (outcome.server_code, outcome.server_reason) == (1000, None)

    def test_a_code_that_was_cut_off_is_missing_and_what_was_seen_too(self) -> None:
        talk = Talk()
        talk.close(talk.server, size=12, cut=True, code=-1, reason=b"")
        outcome = clean_close(talk, "client")
        assert (outcome.server_code, outcome.client_saw, outcome.server_saw) == (MISSING, MISSING, 1000)

    def test_the_illegal_code_0_is_no_empty_close(self) -> None:
        outcome = clean_close(Talk(), "server", b"\x00\x00")
        assert (outcome.server_code, outcome.client_saw) == (0, 0)


class TestInitiator:
    def test_crossing_closes_have_both_as_initiator_and_no_latency(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.close(talk.client, unacknowledged=True)
        talk.fin(talk.server)
        talk.fin(talk.client)
        outcome = conclude(talk.connection)
        assert (outcome.close_initiator, outcome.close_latency, outcome.outcome) == ("both", NO_TIME, "clean")
        assert (outcome.client_saw, outcome.server_saw) == (1000, 1000)

    @both_sides
    def test_latency_is_from_the_first_close_to_its_answer(self, who: str) -> None:
        assert clean_close(Talk(), who).close_latency == SECOND

    def test_the_order_within_a_file_rules_over_its_clock(self) -> None:
        talk = Talk()
        talk.close(talk.client, time=START + 90 * SECOND)
        talk.close(talk.server, time=START + 80 * SECOND)
        outcome = conclude(talk.connection)
        assert (outcome.close_initiator, outcome.close_latency) == ("client", -10 * SECOND)

    def test_between_files_time_rules(self) -> None:
        talk = Talk()
        talk.close(talk.client, file=1, packet=1)
        talk.close(talk.server, file=0, packet=9)
        assert conclude(talk.connection).close_initiator == "client"

    def test_between_files_without_times_their_order_rules(self) -> None:
        talk = Talk()
        talk.close(talk.client, file=0, packet=9, time=NO_TIME)
        talk.close(talk.server, file=1, packet=1, time=NO_TIME)
        outcome = conclude(talk.connection)
        assert (outcome.close_initiator, outcome.close_latency) == ("client", NO_TIME)


class TestSaw:
    @both_sides
    def test_each_side_is_told_the_others_code(self, who: str) -> None:
        outcome = clean_close(Talk(), who, b"\x0f\xa0", b"\x03\xe9")
        told = {"client": (1001, 4000), "server": (4000, 1001)}
        assert (outcome.client_saw, outcome.server_saw) == told[who]

    @pytest.mark.parametrize("body", [b"", b"\x03"])
    def test_a_close_without_a_whole_code_is_told_as_1005(self, body: bytes) -> None:
        assert clean_close(Talk(), "server", body).client_saw == 1005

    def test_an_illegal_code_is_told_as_it_was_sent(self) -> None:
        assert clean_close(Talk(), "server", b"\x03\xee").client_saw == 1006
        assert clean_close(Talk(), "server", b"\xff\xff").client_saw == 65535

    def test_without_a_close_the_end_is_1006_for_both(self) -> None:
        talk = Talk()
        talk.fin(talk.client)
        talk.fin(talk.server)
        assert saw(talk) == (1006, 1006)

    def test_the_side_whose_close_stayed_unanswered_is_told_1006(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.fin(talk.client)
        talk.fin(talk.server)
        assert saw(talk) == (1000, 1006)

    def test_while_open_nothing_is_told_but_a_close_that_came(self) -> None:
        talk = Talk()
        assert saw(talk) == (MISSING, MISSING)
        talk.close(talk.server)
        assert saw(talk) == (MISSING, MISSING)  # nobody has acknowledged it yet
        talk.acknowledge(talk.client)
        assert saw(talk) == (1000, MISSING)

    def test_a_close_that_crossed_the_fin_of_its_receiver_is_told_if_acknowledged(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.fin(talk.client, unacknowledged=True)
        talk.fin(talk.server)
        assert saw(talk)[0] == 1000

    def test_a_close_only_after_the_receivers_own_fin_leaves_it_open_what_was_told(self) -> None:
        talk = Talk()
        talk.fin(talk.client)
        talk.close(talk.server)
        talk.fin(talk.server)
        assert saw(talk) == (MISSING, 1006)

    def test_a_close_after_the_receivers_own_reset_was_never_told(self) -> None:
        talk = Talk()
        talk.reset(talk.client)
        talk.close(talk.server)
        assert saw(talk) == (1006, 1006)

    def test_a_close_that_the_receiver_reset_without_acknowledging_was_never_told(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.reset(talk.client)
        assert saw(talk) == (1006, 1006)

    def test_a_close_acknowledged_before_the_reset_was_told(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.acknowledge(talk.client)
        talk.reset(talk.client)
        assert saw(talk) == (1000, 1006)

    def test_a_close_before_its_senders_reset_may_have_been_read(self) -> None:
        talk = Talk()
        talk.close(talk.server)
        talk.reset(talk.server)
        assert saw(talk) == (MISSING, 1006)

    def test_a_close_whose_last_bytes_were_not_acknowledged_is_not_received(self) -> None:
        talk = Talk()
        talk.close(talk.server, b"\x03\xe8long reason")
        talk.acknowledge(talk.client)
        talk.client.half.acknowledgment -= 1
        talk.reset(talk.client)
        assert saw(talk)[0] == 1006

    @pytest.mark.parametrize("initial", [(1 << 32) - 3, (1 << 32) - 1, (1 << 31) - 2, 0])
    def test_acknowledgments_wrap_with_the_sequence_numbers(self, initial: int) -> None:
        talk = Talk(initial=initial)
        talk.close(talk.server)
        talk.reset(talk.client)
        assert saw(talk)[0] == 1006
        talk = Talk(initial=initial)
        talk.close(talk.server)
        talk.acknowledge(talk.client)
        talk.reset(talk.client)
        assert saw(talk)[0] == 1000

    @both_sides
    def test_a_close_to_a_side_that_was_not_captured_counts_as_received(self, who: str) -> None:
        talk = Talk()
        one, other = sides(talk, who)
        talk.close(one, b"\x03\xe9")
        talk.never_captured(other)
        told = {"client": (MISSING, 1001), "server": (1001, MISSING)}
        assert saw(talk) == told[who]

    def test_missing_bytes_of_the_sender_leave_it_open_what_was_told(self) -> None:
        talk = Talk()
        talk.lose(talk.server)
        talk.fin(talk.server)
        talk.fin(talk.client)
        assert saw(talk) == (MISSING, 1006)

    def test_an_answer_shows_receipt_even_where_no_later_acknowledgment_was_captured(self) -> None:
        talk = Talk()
        talk.close(talk.server, b"\x03\xe9")
        talk.close(talk.client)
        talk.client.half.acknowledges = False
        assert saw(talk)[0] == 1001
