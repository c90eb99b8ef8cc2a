"""Which connection followed which, and whether the client did what the code asks (RFC 6455 7.2.3)."""

import random

import pytest

import analyzer
from analyzer import limits
from analyzer.reconnects import SECOND, Attempt, host_name, pairs

SERVER = ("192.0.2.1", 443)


def attempt(number, start, end=None, code=1006, *, client="10.0.0.1", server=SERVER, failed=False, **named):
    """A connection from `start` to `end`, in seconds."""
    facts = {"user_agent": "agent", "host": "example.org", "path": "/ws", "subprotocol": None} | named
    facts = {"abnormal": code == 1006 and not failed} | facts
    over = None if end is None else round(end * SECOND)
    return Attempt(
        number, client, **facts, server=server, start=round(start * SECOND), end=over, code=code, failed=failed
    )


def found(*attempts):
    return [(pair.connection, pair.next_connection) for pair in pairs(attempts)]


def followed(*attempts):
    return [pair.followed for pair in pairs(attempts)]


class TestPairs:
    def test_the_next_connection_of_the_same_client_is_its_successor(self):
        (pair,) = pairs([attempt(0, 0, 10), attempt(1, 12.5)])
        assert (pair.connection, pair.next_connection, pair.delay) == (0, 1, 2.5 * SECOND)
        assert pair.same_server and not pair.ambiguous

    def test_each_attempt_of_a_chain_follows_the_one_before(self):
        assert found(attempt(0, 0, 1), attempt(1, 2, 3), attempt(2, 4, 5)) == [(0, 1), (1, 2)]

    @pytest.mark.parametrize(
        "other",
        [{"client": "10.0.0.2"}, {"user_agent": "another"}, {"host": "example.net"}, {"path": "/other"}],
        ids=lambda other: next(iter(other)),
    )
    def test_what_differs_in_one_feature_is_another_client_or_service(self, other):
        assert found(attempt(0, 0, 10), attempt(1, 11, **other)) == []

    def test_the_query_does_not_matter(self):
        assert found(attempt(0, 0, 1, path="/ws?token=1"), attempt(1, 2, path="/ws?token=2")) == [(0, 1)]

    def test_another_literal_address_is_another_server_of_the_same_service(self):
        other = attempt(1, 11, host="192.0.2.2:81", server=("192.0.2.2", 81))
        (pair,) = pairs([attempt(0, 0, 10, host="192.0.2.1:80"), other])
        assert not pair.same_server

    def test_a_connection_that_was_open_all_the_time_has_no_successor(self):
        assert found(attempt(0, 0, None), attempt(1, 5)) == []

    def test_a_connection_that_began_before_the_end_is_no_successor(self):
        assert found(attempt(0, 0, 10), attempt(1, 5, 20)) == []

    def test_after_a_long_time_it_is_no_reconnect(self):
        assert found(attempt(0, 0, 1), attempt(1, 2 + limits.RECONNECT_SECONDS)) == []

    def test_an_instantaneous_connection_does_not_follow_itself(self):
        assert found(attempt(0, 5, 5)) == []
        assert found(attempt(0, 5, 5), attempt(1, 6)) == [(0, 1)]
        assert found(attempt(0, 5, 5), attempt(1, 1, 5), attempt(2, 6)) == [(1, 0), (0, 2)]

    def test_clients_that_look_alike_are_ambiguous_to_the_last(self):
        rows = list(pairs([attempt(0, 0, 10), attempt(1, 0, 10), attempt(2, 15), attempt(3, 20)]))
        assert [row.ambiguous for row in rows] == [1, 1]

    def test_ambiguity_ends_when_nobody_waits_any_more(self):
        late = [attempt(2, 15, 30), attempt(3, 16, None), attempt(4, 31)]
        rows = list(pairs([attempt(0, 0, 10), attempt(1, 0, 10), *late]))
        assert [(row.next_connection, row.ambiguous) for row in rows] == [(2, 1), (3, 1), (4, 0)]

    def test_the_order_of_the_attempts_does_not_matter(self):
        attempts = [attempt(n, 3 * n, 3 * n + 2, client=f"10.0.0.{n % 4}") for n in range(40)]
        mixed = random.Random(1).sample(attempts, len(attempts))
        assert sorted(found(*mixed)) == sorted(found(*attempts))


class TestAdvice:
    @pytest.mark.parametrize(("delay", "verdict"), [(4.9, 0), (5, 1), (29, 1), (60, 1)])
    def test_1012_asks_for_at_least_five_seconds(self, delay, verdict):
        assert followed(attempt(0, 0, 10, 1012), attempt(1, 10 + delay)) == [verdict]

    def test_1013_asks_for_another_server(self):
        assert followed(attempt(0, 0, 10, 1013), attempt(1, 11, server=("192.0.2.2", 443))) == [1]
        assert followed(attempt(0, 0, 10, 1013), attempt(1, 11)) == [0]

    def test_after_1013_a_person_may_have_asked_for_the_same_server_later(self):
        assert followed(attempt(0, 0, 10, 1013), attempt(1, 70)) == [-1]

    @pytest.mark.parametrize(("delay", "verdict"), [(0, 0), (0.01, 0), (0.8, 1), (4, 1)])
    def test_1006_asks_for_some_delay(self, delay, verdict):
        assert followed(attempt(0, 0, 10), attempt(1, 10 + delay)) == [verdict]

    def test_nothing_is_asked_of_a_client_that_ended_it_itself(self):
        (pair,) = pairs([attempt(0, 0, 10, abnormal=False), attempt(1, 10)])
        assert (pair.advice, pair.followed) == ("unsaid", -1)

    def test_after_a_failed_try_the_delay_grows(self):
        growing = [attempt(0, 0, 10), attempt(1, 11, 11.1, failed=True), attempt(2, 14)]
        constant = [attempt(0, 0, 10), attempt(1, 11, 11.1, failed=True), attempt(2, 12)]
        assert followed(*growing) == [1, 1]
        assert followed(*constant) == [1, 0]

    @staticmethod
    def herd(number, apart, delay=1.0806, code=1006):
        """So many clients of a server that ends them all, and how long each waits."""
        ended = [attempt(n, 0, 10 + n / 1000, code, client=f"10.0.0.{n}") for n in range(number)]
        back = [
            attempt(100 + n, 10 + n / 1000 + delay + n * apart, client=f"10.0.0.{n}") for n in range(number)
        ]
        return [(pair.followed, pair.alike) for pair in pairs(ended + back)]

    def test_many_that_waited_equally_long_did_not_wait_at_random(self):
        assert self.herd(5, 0.0002) == [(0, 4)] * 5
        assert self.herd(5, 0.0002, 7, 1012) == [(0, 4)] * 5
        assert self.herd(5, 0.2) == self.herd(5, 0.2, 7, 1012) == [(1, 0)] * 5

    def test_few_that_waited_equally_long_may_have_done_so_by_chance(self):
        assert self.herd(4, 0.0002) == [(1, 0)] * 4

    def test_after_codes_that_ask_for_no_random_wait_equal_ones_are_no_fault(self):
        assert self.herd(5, 0.0002, code=1001) == [(-1, 0)] * 5

    @pytest.mark.parametrize("code", [1000, 1001, 1008, 4001, None])
    def test_codes_that_ask_for_nothing_are_not_judged(self, code):
        assert followed(attempt(0, 0, 10, code), attempt(1, 10)) == [-1]

    def test_a_catalog_goes_before_the_registry(self):
        pusher = {"path": "/app/key?protocol=7"}
        (pair,) = pairs([attempt(0, 0, 10, 4001, **pusher), attempt(1, 11, **pusher)])
        assert (pair.advice, pair.followed) == ("no", 0)

    def test_ambiguous_pairs_are_judged_where_each_pairing_gives_the_same(self):
        same = [attempt(0, 0, 10, 1012), attempt(1, 0, 10.2, 1012), attempt(2, 11), attempt(3, 12)]
        apart = [attempt(0, 0, 10, 1012), attempt(1, 0, 14, 1012), attempt(2, 16)]
        assert followed(*same) == [0, 0]
        assert followed(*apart) == [-1]

    def test_of_a_crowd_nothing_is_said(self):
        crowd = [attempt(n, 0, 10, 1012) for n in range(limits.RECONNECTS_COMPARED + 1)]
        assert followed(*crowd, attempt(1000, 11)) == [-1]


class TestHosts:
    @pytest.mark.parametrize(
        ("host", "name"),
        [(None, None), ("A.example:80", "a.example"), ("127.0.0.1:80", ""), ("[::1]:80", ""), ("[::1", "")],
    )
    def test_a_host_is_its_name_without_port(self, host, name):
        assert host_name(host) == name


class TestTable:
    def test_a_restart_is_followed_by_its_reconnects(self, root):
        result = analyzer.analyze(root / "sample_pcaps" / "server-restart.pcap")
        rows = result.reconnects
        connections = result.connections
        assert len(rows) == 6
        assert set(rows.code) == {1012}
        assert (rows.delay.dt.total_seconds() > 0).all()
        assert not rows.followed.any()
        assert (connections.loc[rows.next_connection].start > connections.loc[rows.connection].end.to_numpy()).all()

    def test_it_is_made_when_nothing_else_is_asked_for(self, root):
        path = root / "sample_pcaps" / "server-restart.pcap"
        alone = analyzer.analyze(path, tables=("reconnects",)).reconnects
        assert alone.equals(analyzer.analyze(path).reconnects)
