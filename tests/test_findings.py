"""What the summary says first: one line for what one thing ended, with the servers, the time and an example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import analyzer
from analyzer.outputs import findings
from analyzer.outputs.words import Line


@pytest.fixture(scope="module")
def samples_told(samples: list[Any]) -> dict[str, list[str]]:
    told = {}
    for sample in samples:
        connections = analyzer.analyze(*sample.paths, tables=("connections",)).connections
        told[sample.name] = texts(list(findings.lines(connections)))
    return told


def texts(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def test_one_thing_at_several_servers_is_one_line(samples_told: dict[str, list[str]]) -> None:
    told = samples_told["message-too-big"]
    assert told[2] == "  18 of 18 connections to 9 servers: message too big (by the server)"
    assert told[3].startswith("      from 01:43:06 to 01:44:06, for example #0: the server sent Close 1009")
    assert len(told) == 4


def test_a_lost_close_is_told_first_however_few_there_are(root: Path) -> None:
    connections = analyzer.analyze(root / "sample_pcaps" / "message-too-big.pcap").connections
    connections.loc[connections.index[-1], "cause"] = "close lost"
    told = texts(list(findings.lines(connections)))
    assert "1 of 2 connections to" in told[2] and "a Close was sent but did not arrive" in told[2]
    assert "message too big" in told[4]


def test_a_timer_is_told_with_its_time_and_clock(samples_told: dict[str, list[str]]) -> None:
    told = samples_told["idle-timer-proxy"][2]
    assert told.startswith("  48 of 48 connections to 127.0.0.1:40001 and 127.0.0.1:40002 ended 4.0 s after the last ")
    assert told.endswith(": an idle timer (by the proxy)")


def test_timers_of_different_times_are_different_things(samples: list[Any]) -> None:
    (sample,) = (each for each in samples if each.name == "idle-timer-proxy")
    connections = analyzer.analyze(*sample.paths, tables=("connections",)).connections
    connections.loc[:9, "cause_timer"] = pd.Timedelta(seconds=9.01)
    connections.loc[10:19, "cause_timer"] = pd.Timedelta(seconds=8.99)
    told = texts(list(findings.lines(connections)))
    assert "  28 of 48 connections" in told[2]
    assert told[4].startswith("  20 of 48 connections")
    assert " ended 9.0 s after " in told[4]


def test_that_nothing_needs_a_look_is_said(samples_told: dict[str, list[str]]) -> None:
    assert samples_told["keepalive-healthy"][2:] == [
        "  nothing needs a look: the connections ended as they should, or are still open"
    ]


def test_what_is_left_out_is_counted_by_cause(samples: list[Any]) -> None:
    everything = [path for sample in samples for path in sample.paths]
    connections = analyzer.analyze(*everything, tables=("connections",)).connections
    last = texts(list(findings.lines(connections)))[-1]
    assert last.startswith("  fewer: ")
    assert last.endswith(" more (column cause)")
