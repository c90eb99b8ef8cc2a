"""Close codes that the packets contradict, for the summary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analyzer.outputs import words
from analyzer.outputs.escaping import visible
from analyzer.outputs.findings import TIMED
from analyzer.outputs.words import Line

MOST = 4
PEACEFUL = (1000, 1001)


def lines(closes: pd.DataFrame, connections: pd.DataFrame) -> Iterator[Line]:
    """A line for each code that is contradicted, by its sender and what ended the connections; none if none is."""
    if "verdict" not in closes or "cause" not in connections:
        return
    wrong = closes[closes["verdict"] == "contradicted"].join(connections[["cause", "cause_timer"]], on="connection")
    if wrong.empty:
        return
    timed = wrong["code"].isin(PEACEFUL) & wrong["cause"].isin(TIMED)
    wrong["timer"] = wrong["cause"].astype("string").where(timed, "")
    groups = wrong.groupby(["code", "sender", "timer"], observed=True)
    ranked = groups.size().sort_values(ascending=False, kind="stable")
    yield []
    yield [("Close codes that the packets contradict", "bold")]
    keys: list[Any] = list(ranked.index[:MOST])
    for key in keys:
        rows = groups.get_group(key)
        yield [("  " + _sentence(key, rows), "yellow")]
        yield [(f"      #{rows['connection'].iloc[0]}: {visible(str(rows['evidence'].iloc[0]))}", "dim")]
    if len(ranked) > MOST:
        rest = int(ranked.iloc[MOST:].sum())
        yield [(f"  and {words.counted(rest, 'Close')} of {len(ranked) - MOST} more kinds (wsclose closes)", "dim")]


def _sentence(key: Any, rows: pd.DataFrame) -> str:
    """3 connections were closed with 1000 Normal Closure by the server at the 60.0 s mark of an idle timer."""
    code, sender, timer = key
    were = words.counted(len(rows), "connection was", "connections were")
    begin = f"{were} closed with {words.code(code)} by the {sender}"
    if not timer:
        return begin
    after: Any = rows["cause_timer"].median()
    mark = "" if words.is_missing(after) else f"{after.total_seconds():.1f} s "
    if timer.endswith("timer"):
        return f"{begin} at the {mark}mark of {'an' if timer[0] == 'i' else 'a'} {timer}"
    return f"{begin}, but the cause was: {timer}{f' ({mark.strip()})' if mark else ''}"
