"""The same WebSocket seen at two points of capture, or on the legs of a proxy: which rows belong together, and what the
one place shows that the other lacks."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from conversation import CLOSE, TEXT, frame
from hosts import ACK, ANSWER, FIN, REQUEST, RST, SECOND, SYN, Hosts
from mutations import Captured, written
from test_diagnosis import PLAIN, columns_of

import analyzer
from analyzer.diagnosis.addresses import forwarded_source
from analyzer.diagnosis.facts import Facts
from analyzer.diagnosis.places import Places, nested, places_of
from analyzer.limits import LEGS_COMPARED
from analyzer.outputs import summary, timeline
from analyzer.records import MISSING, NO_TIME

MS = SECOND // 1000
GONE = frame(CLOSE, (4998).to_bytes(2, "big") + b"bye")
CLIENT, PROXY, SERVER = b"\x0a\0\0\x01", b"\x0a\0\0\x02", b"\x0a\0\0\x03"


def place(number: int, **facts: Any) -> Facts:
    """A connection to the nth service."""
    return PLAIN._replace(number=number, asked=10 + number, opened=100 - number, end=1000, **facts)


def found(*rows: Facts) -> Places:
    return places_of(columns_of(list(rows)))


class TestCopies:
    def test_the_same_flow_at_another_point_is_one_websocket(self) -> None:
        rows = [place(0, initial=7), place(1, initial=8), place(2, initial=7, point=1), place(3, initial=7, point=2)]
        places = found(*rows)
        assert places.same_as == {2: 0, 3: 0}
        assert places.elsewhere(2) == [0, 3] and places.elsewhere(1) == []
        assert places.linked == {0, 2, 3}

    @pytest.mark.parametrize(
        "facts",
        [{"initial": 8}, {"client_port": 9}, {"service": 1}, {"client_host": 1}, {"http_stream": 3}, {"point": 0}],
    )
    def test_what_differs_is_another_one(self, facts: dict[str, Any]) -> None:
        same: dict[str, Any] = {"initial": 7, "http_stream": 1}
        assert found(place(0, **same), place(1, **same | {"point": 1} | facts)).same_as == {}

    def test_behind_an_address_translation_number_and_key_tell(self) -> None:
        behind = {"client_host": 5, "client_port": 6, "point": 1}
        assert found(place(0, initial=7, key=3), place(1, initial=7, key=3, **behind)).same_as == {1: 0}
        assert found(place(0, initial=7, key=3), place(1, initial=7, key=4, **behind)).same_as == {}

    def test_without_the_syn_the_key_tells(self) -> None:
        assert found(place(0, initial=7, key=3), place(1, key=3, point=1)).same_as == {1: 0}

    def test_a_refused_upgrade_and_the_next_on_one_tcp_connection_keep_apart(self) -> None:
        rows = [place(number, initial=7, point=number // 2) for number in range(4)]
        assert found(*rows).same_as == {2: 0, 3: 1}


class TestLegs:
    def test_nested_openings_with_one_key_are_legs_however_many(self) -> None:
        places = found(*(place(number, key=5, service=number) for number in range(3)), place(3, key=6))
        assert places.same_as == {1: 0, 2: 0}
        assert places.back_of.tolist() == [1, 2, -1, -1] and places.front_of.tolist() == [-1, 0, 1, -1]

    @pytest.mark.parametrize(
        "facts", [{"service": 0}, {"asked": 200}, {"opened": 500}, {"asked": NO_TIME}, {"key": MISSING}]
    )
    def test_a_key_used_again_makes_no_leg(self, facts: dict[str, Any]) -> None:
        assert found(place(0, key=5), place(1, key=5, service=1)._replace(**facts)).same_as == {}

    def test_where_clocks_may_differ_they_were_there_at_one_time(self) -> None:
        early = place(1, key=5, service=1, last_file=1)._replace(asked=5)
        assert found(place(0, key=5), early).same_as == {1: 0}
        apart = place(1, key=5, service=1, last_file=1)._replace(asked=2000, end=3000)
        assert found(place(0, key=5), apart).same_as == {}

    def test_a_new_key_is_told_by_the_address_that_the_proxy_names(self) -> None:
        back = {"service": 1, "forwarded": 0, "path_hash": 9}
        assert found(place(0, path_hash=9), place(1, **back)).same_as == {1: 0}
        assert found(place(0, path_hash=9, client_port=77), place(1, forwarded_port=77, **back)).same_as == {1: 0}
        for other in ({"path_hash": 8}, {"service": 0}, {"forwarded": 3}, {"forwarded_port": 76}):
            assert found(place(0, path_hash=9, client_port=77), place(1, **back | other)).same_as == {}

    def test_from_http_2_to_1_the_proxys_own_address_tells(self) -> None:
        front = place(0, path_hash=9, http_stream=1, server_host=4)
        back = {"service": 1, "client_host": 4, "path_hash": 9}
        assert found(front, place(1, **back)).same_as == {1: 0}
        for other in ({"path_hash": 8}, {"service": 0}, {"client_host": 3}, {"http_stream": 3}, {"asked": 500}):
            assert found(front, place(1, **back)._replace(**other)).same_as == {}
        assert found(front, place(1, **back), place(2, **back)).same_as == {}
        assert found(front._replace(http_stream=MISSING), place(1, **back)).same_as == {}

    def test_two_that_fit_decide_nothing(self) -> None:
        back = {"service": 1, "forwarded": 0, "path_hash": 9}
        assert found(place(0, path_hash=9), place(1, path_hash=9), place(2, **back)).same_as == {}
        assert found(place(0, path_hash=9), place(1, **back), place(2, **back)).same_as == {}

    @pytest.mark.parametrize("seed", range(20))
    def test_pairs_are_those_that_a_look_at_every_pair_finds(self, seed: int) -> None:
        draw = random.Random(seed)
        rows = []
        for number in range(60):
            asked = draw.randrange(4000)
            opened = NO_TIME if draw.random() < 0.1 else asked + draw.randrange(120)
            role: dict[str, Any] = {} if draw.random() < 0.5 else {"service": 1, "forwarded": 0}
            row = place(number, path_hash=9, last_file=draw.random() < (seed % 2) / 8, **role)
            rows.append(row._replace(asked=asked, opened=opened, end=asked + 120 + draw.randrange(200)))
        columns = columns_of(rows)
        fronts = [row for row in range(60) if rows[row].service == PLAIN.service]
        backs = [row for row in range(60) if rows[row].service == 1]
        pairs = [(f, b) for f in fronts if rows[f].opened != NO_TIME for b in backs if nested(f, b, columns)]
        alone = [pair for pair in pairs if sum(pair[0] == f or pair[1] == b for f, b in pairs) == 1]
        assert (alone or seed % 2) and found(*rows).same_as == {max(pair): min(pair) for pair in alone}

    def test_among_very_many_nobody_can_tell(self) -> None:
        back = {"service": 1, "forwarded": 0, "path_hash": 9}
        many = [
            place(number, **back)._replace(asked=100 + number, opened=5000)
            for number in range(2, 2 + LEGS_COMPARED + 1)
        ]
        wide = place(0, path_hash=9)._replace(asked=0, opened=9000, end=9000)
        narrow = place(1, path_hash=9)._replace(asked=101, opened=102, end=9000)
        one = many[0]._replace(asked=101, opened=102)
        assert found(wide, narrow, one, *many[1:]).same_as == {}
        assert found(narrow._replace(number=0), one._replace(number=1)).same_as == {1: 0}

    def test_legs_at_two_points_are_one_websocket(self) -> None:
        rows = [place(number, key=5, service=number % 2, initial=number % 2, point=number // 2) for number in range(4)]
        assert found(*rows).same_as == {1: 0, 2: 0, 3: 0}


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.9, 10.0.0.1", 0x0A000001, MISSING),
        ("10.0.0.1:4711", 0x0A000001, 4711),
        ("::1", 1, MISSING),
        ("[::1]:4711", 1, 4711),
        ('for=10.0.0.9, for="[::1]:4711";proto=https', 1, 4711),
        ("proto=http;For=10.0.0.1", 0x0A000001, MISSING),
    ],
)
def test_the_address_that_a_proxy_names_is_the_last_one(text: str, host: int, port: int) -> None:
    source = forwarded_source(text)
    assert source is not None and source[2:] == (host, port)


@pytest.mark.parametrize("text", ["", "unknown", "for=_hidden", "10.0.0.1:x:y", "for=unknown;by=10.0.0.1"])
def test_what_is_no_address_tells_nothing(text: str) -> None:
    assert forwarded_source(text) is None


# captures of both ends


def later(packets: list[Captured], by: int = MS // 2) -> list[Captured]:
    """The copies at another point: later, and with one hop less to live."""
    return [_copy(each, by) for each in packets]


def _copy(packet: Captured, by: int) -> Captured:
    content = bytearray(packet.data)
    content[22] -= 1
    return Captured(packet.time + by, bytes(content), packet.wire_length)


def rows(tmp_path: Path, *captures: list[Captured]) -> Any:
    """The connections of captures, each in a file of its own."""
    paths = [tmp_path / f"{'ab'[number]}.pcap" for number in range(len(captures))]
    for path, packets in zip(paths, captures, strict=True):
        path.write_bytes(written(packets))
    return analyzer.analyze(*paths).connections


def begun(**options: Any) -> Hosts:
    return Hosts(**options).open().say("server", frame(TEXT, b"hello")).say("client", flags=ACK)


def gone() -> Hosts:
    """The server closes with 4998."""
    return begun().say("server", GONE)


class TestLostCloses:
    def check(self, table: Any, by: str, basis: str = "observed", cause: str = "application code") -> None:
        assert table["same_as"].isna().tolist() == [True, False]
        there, here = table.iloc[0], table.iloc[1]
        assert there["cause"] == cause
        assert "never came to the client" in there["evidence"] and "connection 1" in there["evidence"]
        assert (here["cause"], here["cause_basis"], here["cause_by"]) == ("close lost", basis, by)
        assert '4998 "bye"' in here["evidence"] and "a.pcap#8" in here["evidence"]

    def test_lost_between_two_points(self, tmp_path: Path) -> None:
        hosts = gone().say("server", flags=FIN | ACK)
        hosts.time += 5 * SECOND
        hosts.say("server", flags=RST | ACK)
        near = later(hosts.packets)
        self.check(rows(tmp_path, hosts.packets, near[:7] + near[9:]), "network", "inferred", "close timeout")

    def test_nothing_came_any_more(self, tmp_path: Path) -> None:
        other = Hosts(port=40001).open()
        other.time += 9 * SECOND
        hosts = gone()
        table = rows(tmp_path, hosts.packets, later(hosts.packets[:7] + other.close().packets))
        self.check(table[table["client_port"] == 40000], "network")

    def test_taken_out_between_two_points(self, tmp_path: Path) -> None:
        hosts = gone().say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).say("server", flags=ACK)
        near = begun()
        near.time += MS
        near.say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).say("server", flags=ACK)
        self.check(rows(tmp_path, hosts.packets, later(near.packets)), "middlebox")

    def test_a_packet_that_only_the_capture_lacks_proves_nothing(self, tmp_path: Path) -> None:
        hosts = gone().say("client", flags=ACK).say("server", flags=FIN | ACK).say("client", flags=FIN | ACK)
        near = later(hosts.packets)
        table = rows(tmp_path, hosts.packets, near[:7] + near[8:])
        assert table["same_as"].notna().tolist() == [False, True]
        assert "close lost" not in set(table["cause"])
        assert not table["evidence"].str.contains("never came").any()

    def test_one_that_came_too_late_for_this_end_is_not_its_cause(self, tmp_path: Path) -> None:
        near = begun().say("client", flags=RST | ACK)
        hosts = gone().say("client", flags=RST | ACK)
        assert "close lost" not in set(rows(tmp_path, hosts.packets, later(near.packets, by=-MS))["cause"])

    def test_a_close_that_came_to_both_is_told_once_for_each(self, tmp_path: Path) -> None:
        hosts = begun().close()
        table = rows(tmp_path, hosts.packets, later(hosts.packets))
        assert table["cause"].tolist() == ["clean close", "clean close"]
        assert table["same_as"].notna().tolist() == [False, True]


def legs(*, passes_on: bool) -> Any:
    """A client and a server with a proxy between them; the server closes with 4998."""
    front, back = Hosts(40000, CLIENT + PROXY), Hosts(50000, PROXY + SERVER)
    for hosts in (front, back):
        hosts.say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", flags=ACK)
    front.say("client", REQUEST)
    back.time = front.time
    back.say("client", REQUEST).say("server", ANSWER)
    front.time = back.time
    front.say("server", ANSWER)
    back.time = front.time
    back.say("server", GONE).say("server", flags=FIN | ACK).say("client", flags=FIN | ACK)
    front.time = back.time
    if passes_on:
        front.say("server", GONE)
    front.say("server", flags=FIN | ACK, ttl=64).say("client", flags=FIN | ACK)
    return sorted(front.packets + back.packets, key=lambda packet: packet.time)


class TestProxies:
    def test_a_close_that_the_proxy_kept(self, tmp_path: Path) -> None:
        front, back = (row for _, row in rows(tmp_path, legs(passes_on=False)).iterrows())
        assert back["same_as"] == 0
        assert (front["cause"], front["cause_by"]) == ("close lost", "proxy")
        assert '4998 "bye"' in front["evidence"] and "connection 1" in front["evidence"]
        assert back["cause"] == "application code" and "never came to the client" in back["evidence"]

    def test_a_close_that_the_proxy_passed_on(self, tmp_path: Path) -> None:
        table = rows(tmp_path, legs(passes_on=True))
        assert table["cause"].tolist() == ["application code"] * 2
        assert not table["evidence"].str.contains("never").any()


class TestTimersOfProxies:
    """A proxy that ends both its legs after a silence of both, without a Close."""

    @staticmethod
    def ended(silence: float, pause: float = 0.1, port: int = 40000, begin: float = 0, by_proxy: bool = True) -> Any:
        """Both legs: an echo, a pause, an echo, the silence, and the ends. begin: seconds later."""
        front, back = Hosts(port, CLIENT + PROXY), Hosts(port + 10000, PROXY + SERVER)
        front.time += round(begin * SECOND)
        back.time = front.time
        for hosts in (front, back):
            hosts.say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", flags=ACK)
        request = REQUEST.replace(b"dGhl", b"dG%02d" % (port % 100))
        front.say("client", request)
        back.time = front.time
        back.say("client", request).say("server", ANSWER)
        front.time = back.time
        front.say("server", ANSWER)
        for wait in (0, pause):
            front.time += round(wait * SECOND)
            front.say("client", frame(TEXT, b"ping", key=b"1234"))
            back.time = front.time
            back.say("client", frame(TEXT, b"ping", key=b"1234")).say("server", frame(TEXT, b"ping"))
            front.time = back.time
            front.say("server", frame(TEXT, b"ping"))
        back.time = front.time
        for hosts, ender in ((front, "server"), (back, "client" if by_proxy else "server")):
            hosts.time += round(silence * SECOND) - MS
            hosts.say(ender, flags=FIN | ACK).say("client" if ender == "server" else "server", flags=FIN | ACK)
        return front.packets + back.packets

    def rows(self, tmp_path: Path, *several: Any) -> Any:
        return rows(tmp_path, sorted((each for packets in several for each in packets), key=lambda each: each.time))

    @pytest.mark.parametrize("silence", [1, 2, 7.01])
    def test_whole_seconds_are_a_timer_even_once(self, tmp_path: Path, silence: float) -> None:
        table = self.rows(tmp_path, self.ended(silence))
        assert table["same_as"].notna().tolist() == [False, True]
        assert set(zip(table["cause"], table["cause_basis"], table["cause_by"], strict=True)) == {
            ("idle timer", "inferred", "proxy")
        }
        assert table["cause_timer"].dt.total_seconds().tolist() == [round(silence)] * 2
        assert table["evidence"].str.contains("by the proxy on both legs at once").all()

    @pytest.mark.parametrize(("silence", "pause"), [(2.4, 0.1), (2, 1.8), (2, 6)])
    def test_other_silences_are_only_the_proxys_end(self, tmp_path: Path, silence: float, pause: float) -> None:
        table = self.rows(tmp_path, self.ended(silence, pause))
        assert set(zip(table["cause"], table["cause_by"], strict=True)) == {("dropped", "proxy")}
        text = rf"by the proxy on both legs at once \(the other is connection \d\), {silence:.2f}\d s after the last"
        assert table["evidence"].str.contains(text).all()

    def test_another_time_is_one_if_the_proxy_kept_it_twice(self, tmp_path: Path) -> None:
        again = self.ended(2.403, pause=1.3, port=40001, begin=9)
        table = self.rows(tmp_path, self.ended(2.4), again)
        assert set(zip(table["cause"], table["cause_basis"], table["cause_by"], strict=True)) == {
            ("idle timer", "inferred", "proxy")
        }
        assert table["cause_timer"].dt.total_seconds().between(2.39, 2.41).all()
        assert table["evidence"].str.contains(r"as long as connection \d had been silent").all()

    @pytest.mark.parametrize(
        "other",
        [
            {"silence": 2.5, "pause": 1.3, "begin": 9},  # another time
            {"silence": 2.4, "pause": 0.1, "begin": 9},  # of the same age: a lifetime would do
            {"silence": 2.4, "pause": 1.3, "begin": -1.2},  # at the same moment
            {"silence": 2.4, "pause": 1.3, "begin": 9, "by_proxy": False},
        ],
    )
    def test_another_time_without_such_a_second_one_is_none(self, tmp_path: Path, other: dict[str, Any]) -> None:
        table = self.rows(tmp_path, self.ended(2.4), self.ended(port=40001, **other))
        assert "idle timer" not in set(table["cause"])

    def test_others_that_speak_against_it(self, tmp_path: Path) -> None:
        at_once = self.ended(1.4, port=40001, begin=0.6)  # ends with it, silent for another time
        assert set(self.rows(tmp_path, self.ended(2), at_once)["cause"]) == {"dropped"}
        longer = self.ended(0.1, pause=4, port=40001, begin=9)
        assert "idle timer" not in set(self.rows(tmp_path, self.ended(2), longer)["cause"])
        assert "idle timer" in set(self.rows(tmp_path, self.ended(2), self.ended(1.4, port=40001, begin=9))["cause"])

    def test_a_leg_that_its_server_ended_is_no_timer_of_the_proxy(self, tmp_path: Path) -> None:
        table = self.rows(tmp_path, self.ended(2, by_proxy=False))
        assert "idle timer" not in set(table["cause"]) and "proxy" not in set(table["cause_by"])


class TestCohorts:
    def both(self, tmp_path: Path, number: int) -> analyzer.Result:
        """So many connections that a server ends 5 s after the last frame, at different moments, at two points."""
        packets = []
        for each in range(number):
            hosts = Hosts(40000 + each)
            hosts.time += each * 700 * MS
            hosts.open().say("server", frame(TEXT, b"hello" * (1 + each))).say("client", flags=ACK)
            hosts.time += 5 * SECOND
            packets += hosts.say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).packets
        packets.sort(key=lambda packet: packet.time)
        for name, copies in (("a", packets), ("b", later(packets))):
            (tmp_path / f"{name}.pcap").write_bytes(written(copies))
        return analyzer.analyze(tmp_path / "a.pcap", tmp_path / "b.pcap")

    def test_each_connection_counts_once_and_all_rows_have_the_cause(self, tmp_path: Path) -> None:
        table = self.both(tmp_path, 8).connections
        assert set(table["cause"]) == {"idle timer"} and len(table) == 16
        assert table["evidence"].str.contains("8 of 8 connections").all()

    def test_copies_make_no_cohort(self, tmp_path: Path) -> None:
        assert set(self.both(tmp_path, 3).connections["cause"]) == {"dropped"}

    def test_copies_are_no_reconnects(self, tmp_path: Path) -> None:
        assert self.both(tmp_path, 3).reconnects.empty


class TestWhatIsShown:
    @pytest.fixture
    def result(self, tmp_path: Path) -> analyzer.Result:
        (tmp_path / "legs.pcap").write_bytes(written(legs(passes_on=False)))
        return analyzer.analyze(tmp_path / "legs.pcap")

    def test_the_summary_names_the_lost_close_first(self, result: analyzer.Result) -> None:
        lines = ["".join(text for text, _ in line) for line in summary.lines(result, ["legs.pcap"])]
        assert lines[1].startswith("1 WebSocket: some")
        first = lines.index("What to know") + 1
        assert "1 of 1 connection to 10.0.0.2:80: a Close was sent but did not arrive (by the proxy)" in lines[first]
        assert '4998 "bye"' in lines[first + 1]

    def test_a_connection_shows_where_else_it_was_seen(self, result: analyzer.Result) -> None:
        for number, other in ((0, 1), (1, 0)):
            view = result.connection(number)
            assert view.elsewhere.index.tolist() == [other]
            text = "\n".join("".join(part for part, _ in line) for line in timeline.lines(view, number, None))
            assert f"the same WebSocket at another place: connection {other}" in text
            assert "4998" in text

    def test_copies_are_counted_once(self, tmp_path: Path) -> None:
        result = TestCohorts().both(tmp_path, 8)
        lines = ["".join(text for text, _ in line) for line in summary.lines(result, ["a.pcap", "b.pcap"])]
        assert any("8 of 8 connections to 10.0.0.2:80 ended 5.0 s after" in line for line in lines)
