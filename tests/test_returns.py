"""What the summary says of how clients came back: storms, tight loops, advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fake_result import table

import analyzer
from analyzer.outputs import returns, summary

START = pd.Timestamp("2026-03-01T12:00:00Z").as_unit("ns")


def seconds(value: float) -> pd.Timedelta:
    """A duration, to the millisecond."""
    return pd.Timedelta(milliseconds=round(value * 1000)).as_unit("ns")


def told(
    turns: list[tuple[int, int, float, float, float]],
    cause: str = "server stopped",
    by: str | None = "server",
    ambiguous: bool = False,
    **facts: Any,
) -> list[str]:
    """What is said of reconnects: (connection, next one, end of the one, start and duration of the next)."""
    numbers = sorted({number for first, second, *_ in turns for number in (first, second)})
    connections = pd.DataFrame(
        {"client_ip": "10.0.0.1", "server_ip": "10.0.0.9", "server_port": 80, "start": START, "end": START,
         "duration": seconds(9), "cause": cause, "cause_by": by},
        index=pd.Index(numbers, name="connection"),
    )  # fmt: skip
    rows = []
    for first, second, end, start, lasted in turns:
        connections.loc[first, "end"] = START + seconds(end)
        connections.loc[second, "start"] = START + seconds(start)
        connections.loc[second, "duration"] = seconds(lasted)
        rows.append({
            "connection": first, "next_connection": second, "delay": round((start - end) * 1e9), "same_server": True,
            "ambiguous": ambiguous, "code": 1006, "advice": "random delay", **facts,
        })  # fmt: skip
    return ["".join(part for part, _ in line) for line in returns.lines(connections, table("reconnects", rows))]


def storm(number: int, wait: float, apart: float) -> list[tuple[int, int, float, float, float]]:
    """So many connections that end together; their clients wait, and come back one after the other."""
    return [(each, 100 + each, 10 + each / 1000, 10 + wait + each * apart, 60) for each in range(number)]


def loop(turns: int, wait: float, lasted: float) -> list[tuple[int, int, float, float, float]]:
    """A client that comes back again and again."""
    times = [10 + each * (wait + lasted) for each in range(turns)]
    return [(each, each + 1, time, time + wait, lasted) for each, time in enumerate(times)]


class TestStorms:
    def test_many_that_come_back_at_once(self) -> None:
        lines = told(storm(20, 1, 0.01))
        assert lines[1] == "How clients came back"
        assert "a reconnect storm: 10.0.0.9:80 ended 20 connections at one moment" in lines[2]
        assert "came back 1.00 s later, within 190.0 ms of each other" in lines[2]

    @pytest.mark.parametrize("turns", [storm(4, 1, 0.01), storm(20, 1, 0.5), []])
    def test_few_or_scattered_ones_are_none(self, turns: list[tuple[int, int, float, float, float]]) -> None:
        assert told(turns) == []

    def test_those_who_left_by_themselves_make_none(self) -> None:
        assert told(storm(20, 1, 0.01), cause="clean close") == []
        assert told(storm(20, 1, 0.01), cause="dropped", by="client") == []

    def test_connections_that_lasted_no_time_make_none(self) -> None:
        turns = storm(20, 1, 0.01)
        moments = [(each, 100 + each, 0, *turn[3:]) for each, turn in enumerate(turns)]  # each started when it ended
        assert told(moments) == []

    def test_as_many_as_come_at_any_time_are_none(self) -> None:
        steady = [(each, 1000 + each, 10 + each * 0.01, 10.05 + each * 0.01, 60) for each in range(300)]
        assert told([*steady, *((500 + each[0], 2000 + each[1], *each[2:]) for each in storm(6, 1, 0.01))]) == []

    def test_more_than_come_at_any_time_are_one(self) -> None:
        steady = [(each, 1000 + each, each / 4, each / 4 + 0.05, 60) for each in range(60)]

        def among_them(number: int) -> list[str]:
            return told([*steady, *((500 + each[0], 2000 + each[1], *each[2:]) for each in storm(number, 20.15, 0.01))])

        assert "a reconnect storm: " in among_them(20)[2]
        assert among_them(6) == []


class TestLoops:
    def test_one_that_comes_back_at_once_again_and_again(self) -> None:
        [line] = told(loop(12, 0.02, 0.1), cause="reset")[2:]
        assert line == (
            "  a tight loop: 10.0.0.1 came back to 10.0.0.9:80 12 times, at most 20.0 ms after each end (connections 0 "
            "to 12)"
        )

    @pytest.mark.parametrize(
        ("turns", "facts"),
        [
            (loop(3, 0.02, 0.1), {}),
            (loop(12, 2, 0.1), {}),
            (loop(12, 0.02, 5), {}),
            (loop(12, 0.02, 0.1), {"ambiguous": True}),
            (loop(12, 0.02, 0.1), {"by": "client"}),
        ],
    )
    def test_few_slow_long_or_doubtful_turns_are_none(self, turns: Any, facts: dict[str, Any]) -> None:
        assert told(turns, cause="reset", **facts) == []


class TestAdvice:
    def test_how_many_did_not_do_what_the_code_asks(self) -> None:
        [line] = told(loop(2, 2, 5), followed=False, code=1012, advice="random 5-30 s")[2:]
        assert "2 of 2 reconnects after 1012 Service Restart did not do what it asks" in line
        assert "5 to 30 seconds" in line

    @pytest.mark.parametrize("followed", [True, None])
    def test_those_who_did_or_can_not_be_judged_are_not_told(self, followed: bool | None) -> None:
        assert told(loop(2, 2, 5), followed=followed) == []


def test_the_summary_tells_of_them(root: Path) -> None:
    result = analyzer.analyze(root / "sample_pcaps" / "server-restart.pcap")
    text = "\n".join("".join(part for part, _ in line) for line in summary.lines(result, ["server-restart.pcap"]))
    assert "How clients came back\n  a reconnect storm: 127.0.0.1:26833 ended 6 connections at one moment" in text
    assert "6 of 6 reconnects after 1012 Service Restart did not do what it asks" in text
