"""Close codes that are not true, in the summary and in the story of a connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import analyzer
from analyzer.outputs import ending, summary, timeline, untrue

DATA = Path(__file__).parent / "data" / "causes"


@pytest.fixture(scope="module")
def timers() -> Any:
    return analyzer.analyze(DATA / "codes-timers.pcap.gz")


def text(lines: list[Any]) -> str:
    return "\n".join("".join(piece for piece, _ in line) for line in lines)


def test_the_summary_says_that_a_code_was_sent_at_a_timers_mark(timers: Any) -> None:
    told = text(summary.lines(timers, ["a.pcap"]))
    assert "Close codes that the packets contradict" in told
    assert "9 connections were closed with 1000 Normal Closure by the server at the 6.2 s mark of an idle timer" in told


def test_the_summary_says_which_codes_the_packets_contradict() -> None:
    told = text(summary.lines(analyzer.analyze(DATA / "codes-received.pcap.gz"), ["a.pcap"]))
    assert "1 connection was closed with 1002 Protocol error by the server\n" in told
    assert "more kinds (wsclose closes)" in told


def test_only_a_timer_is_told_with_the_code_it_contradicts() -> None:
    closes = pd.DataFrame({"connection": [0], "sender": "server", "code": 1000, "verdict": "contradicted"})
    closes["evidence"] = "x"
    for cause, end in (("reset", "by the server"), ("late pong", "but the cause was: late pong (2.0 s)")):
        connections = pd.DataFrame({"cause": [cause], "cause_timer": pd.Timedelta("2s")})
        assert text(list(untrue.lines(closes, connections))).splitlines()[2].endswith(end)


def test_where_every_code_is_true_the_summary_says_nothing_of_it() -> None:
    assert "packets contradict" not in text(summary.lines(analyzer.analyze(DATA / "shutdown-1001.pcap"), ["a.pcap"]))


def test_the_story_of_a_connection_ends_with_the_verdict_on_each_close(timers: Any) -> None:
    number = int(timers.closes.loc[timers.closes["verdict"] == "contradicted", "connection"].iloc[0])
    connection = timers.connection(number)
    sentences = ending.sentences(connection.row, connection.closes)
    assert any(each.startswith("The server's Close 1000 is contradicted: idle timer: ") for each in sentences)
    assert any(each.startswith("The client's Close 1000 is supported: echoes ") for each in sentences)
    assert "is contradicted" in text(timeline.lines(connection, number, None))


def test_a_hostile_reason_is_shown_harmless() -> None:
    closes = analyzer.analyze(DATA / "codes-received.pcap.gz").closes
    one = closes.iloc[:1].assign(evidence="says \x1b[31m red\nline", verdict="contradicted")
    [sentence] = [each for each in ending._verdicts(one) if "says" in each]
    assert "\x1b" not in sentence and "\n" not in sentence
