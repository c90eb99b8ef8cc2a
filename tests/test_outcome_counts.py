"""Times, Pings and wholeness of one connection, concluded from records made by hand."""

from __future__ import annotations

import pytest
from by_hand import SECOND, START, Talk

from analyzer.outcome import conclude
from analyzer.records import MISSING, NO_TIME


def closed_cleanly(talk: Talk) -> Talk:
    """Both Closes, then both FINs."""
    talk.close(talk.server)
    talk.close(talk.client)
    talk.fin(talk.server)
    talk.fin(talk.client)
    return talk


class TestTimes:
    def test_the_end_is_that_of_the_transport_and_while_open_the_last_packet(self) -> None:
        talk = Talk()
        talk.message(talk.client)
        outcome = conclude(talk.connection)
        assert (outcome.start, outcome.end, outcome.duration) == (START, START + 3 * SECOND, 3 * SECOND)
        talk.reset(talk.client)
        talk.tick(30)
        assert conclude(talk.connection).end == START + 4 * SECOND

    def test_packets_without_times_give_no_times(self) -> None:
        talk = Talk()
        talk.reset(talk.client)
        talk.flow.start = talk.flow.last_time = talk.connection.end_time = NO_TIME
        outcome = conclude(talk.connection)
        assert (outcome.start, outcome.end, outcome.duration) == (NO_TIME, NO_TIME, NO_TIME)
        assert outcome.transport_end == "rst"

    def test_silence_is_measured_to_the_first_event_of_the_ending(self) -> None:
        talk = Talk()
        talk.message(talk.client)
        talk.message(talk.server)
        talk.tick(59)
        talk.close(talk.server)
        talk.close(talk.client)
        outcome = conclude(talk.connection)
        assert (outcome.idle_before_end, outcome.client_idle, outcome.server_idle) == (
            60 * SECOND,
            61 * SECOND,
            60 * SECOND,
        )

    def test_without_frames_silence_began_with_the_opening(self) -> None:
        talk = Talk()
        talk.message(talk.client)
        talk.tick(9)
        talk.reset(talk.client)
        outcome = conclude(talk.connection)
        assert (outcome.idle_before_end, outcome.client_idle, outcome.server_idle) == (
            10 * SECOND,
            10 * SECOND,
            12 * SECOND,
        )

    def test_missing_bytes_may_hide_the_beginning_of_the_ending_so_no_silence_before_it_is_known(self) -> None:
        talk = Talk()
        talk.message(talk.client)
        talk.lose(talk.server)
        talk.reset(talk.client)
        outcome = conclude(talk.connection)
        assert (outcome.idle_before_end, outcome.client_idle, outcome.server_idle) == (NO_TIME, NO_TIME, NO_TIME)


class TestPings:
    def test_a_ping_without_an_answer_in_time_is_unanswered(self) -> None:
        talk = Talk()
        talk.ping(talk.server)
        talk.ping(talk.client)
        talk.tick(1)
        assert conclude(talk.connection).unanswered_pings == 2

    def test_a_ping_just_before_the_end_may_still_be_answered(self) -> None:
        talk = Talk()
        talk.ping(talk.server)
        talk.tick(0.999)
        assert conclude(talk.connection).unanswered_pings == 0

    def test_slow_round_trips_give_a_late_ping_more_time(self) -> None:
        talk = Talk()
        talk.client.round_trips = [SECOND]
        talk.ping(talk.server)
        talk.tick(2.9)
        assert conclude(talk.connection).unanswered_pings == 0
        talk.tick(0.1)
        assert conclude(talk.connection).unanswered_pings == 1

    def test_a_ping_after_the_other_sides_close_needs_no_answer(self) -> None:
        talk = Talk()
        talk.close(talk.client)
        talk.ping(talk.server)
        talk.tick(60)
        assert conclude(talk.connection).unanswered_pings == 0

    def test_missing_bytes_of_the_other_side_may_hide_the_pong(self) -> None:
        talk = Talk()
        talk.ping(talk.server)
        talk.lose(talk.client)
        talk.tick(60)
        assert conclude(talk.connection).unanswered_pings == MISSING

    def test_pings_without_times_are_not_judged(self) -> None:
        talk = Talk()
        talk.client.outstanding_pings = [(NO_TIME, b"", 3, 0)]
        assert conclude(talk.connection).unanswered_pings == MISSING

    def test_round_trips_of_both_sides_make_median_and_maximum(self) -> None:
        talk = Talk()
        assert conclude(talk.connection).ping_rtt_median == NO_TIME
        talk.client.round_trips, talk.server.round_trips = [5, 1], [100]
        outcome = conclude(talk.connection)
        assert (outcome.ping_rtt_median, outcome.ping_rtt_max) == (5, 100)
        talk.server.round_trips = [100, 8]
        assert conclude(talk.connection).ping_rtt_median == 6


class TestWholeness:
    def test_a_connection_seen_whole_is_complete_and_exact(self) -> None:
        outcome = conclude(closed_cleanly(Talk()).connection)
        assert (outcome.complete, outcome.client_exact, outcome.server_exact) == (True, True, True)
        assert (outcome.retransmissions, outcome.lost_bytes) == (0, 0)

    def test_a_side_with_missing_bytes_is_not_exact(self) -> None:
        talk = Talk()
        talk.lose(talk.server)
        outcome = conclude(talk.connection)
        assert (outcome.complete, outcome.client_exact, outcome.server_exact) == (False, True, False)
        assert outcome.lost_bytes == 5

    def test_nothing_is_exact_where_the_capture_began_later(self) -> None:
        outcome = conclude(closed_cleanly(Talk("midstream")).connection)
        assert (outcome.complete, outcome.client_exact, outcome.server_exact) == (False, False, False)
        assert (outcome.outcome, outcome.client_saw) == ("clean", 1000)

    def test_retransmissions_of_both_directions_count(self) -> None:
        talk = Talk()
        talk.client.half.retransmissions, talk.server.half.retransmissions = 2, 3
        assert conclude(talk.connection).retransmissions == 5

    @pytest.mark.parametrize("client_is_low", [True, False])
    def test_the_client_is_the_end_that_is_its_half(self, client_is_low: bool) -> None:
        outcome = conclude(Talk(client_is_low=client_is_low).connection)
        ends = [(0x0A000001, 443), (0x0A000002, 40000)]
        client, server = ends if client_is_low else reversed(ends)
        assert (outcome.client_low, outcome.client_port) == client
        assert (outcome.server_low, outcome.server_port) == server
