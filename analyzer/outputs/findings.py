"""The few things a person should know first: what ended many connections, and what ended some badly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analyzer.outputs import words
from analyzer.outputs.escaping import visible
from analyzer.outputs.words import Line

MOST = 4
UNATTRIBUTED = ("middlebox reset", "peer vanished", "idle expiry", "server shutdown", "server stopped")
ORDINARY = ("clean close", "client navigation", "capture ended")
FIRST = ("close lost",)
"""Causes that are told before all others, however few connections they ended."""
SINCE = {
    "idle": "after the last frame of either side",
    "client idle": "after the client's last frame",
    "server idle": "after the server's last frame",
    "lifetime": "after they opened",
    "ping": "after a Ping without its Pong",
    "after Close": "after a Close without its answer",
    "handshake": "after a request without its answer",
}
_SAYS = {
    "idle timer": "an idle timer",
    "lifetime timer": "a lifetime timer",
    "idle expiry": "a device on the way forgets idle connections",
    "heartbeat missed": "the application's heartbeat stayed away",
    "close lost": "a Close was sent and never came",
}


def lines(connections: pd.DataFrame) -> Iterator[Line]:
    """A line for each of the causes that ended most connections, ordinary ends aside; none if there is none."""
    if "cause" not in connections or connections["cause"].isna().all():
        return
    connections, unusual = _once(connections)
    groups = unusual.groupby(["cause", "server_ip", "server_port"], observed=True, dropna=False).size()
    if groups.empty:
        return
    yield []
    yield [("What to know", "bold")]
    ranked = groups.sort_values(ascending=False, kind="stable")
    ranking: list[tuple[Any, Any]] = sorted(ranked.items(), key=lambda item: item[0][0] not in FIRST)
    for key, number in ranking[:MOST]:
        rows = unusual[
            (unusual["cause"] == key[0]) & (unusual["server_ip"] == key[1]) & (unusual["server_port"] == key[2])
        ]
        yield [("  " + _sentence(key, int(number), rows, connections), "")]
        yield [(f"      #{rows.index[0]}: {visible(str(rows['evidence'].iloc[0]))}", "dim")]
    if len(ranked) > MOST:
        rest = sum(int(number) for _, number in ranking[MOST:])
        yield [(f"  and {words.counted(rest, 'connection')} of {len(ranked) - MOST} more kinds (column cause)", "dim")]


def _once(connections: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The connections that count: of one seen at several points the first; and those that ended unusually, of one seen
    at several points the first of each cause."""
    first = connections["same_as"].dropna()
    copy, alike = pd.Series(False, connections.index), pd.Series(False, connections.index)
    if len(first):
        this, that = connections.loc[first.index], connections.loc[first.astype("int64")].set_index(first.index)
        copy[first.index] = (this["server_ip"] == that["server_ip"]) & (this["server_port"] == that["server_port"])
        alike[first.index] = this["cause"].astype("string") == that["cause"].astype("string")
    unusual = ~connections["cause"].isin(ORDINARY) & connections["cause"].notna()
    return connections[~copy], connections[unusual & ~(copy & alike)]


def _sentence(key: Any, number: int, rows: pd.DataFrame, connections: pd.DataFrame) -> str:
    """31 of 40 connections to 10.0.0.9:443 ended 60.0 s after the last frame of either side: an idle timer."""
    cause, address, port = key
    same = (connections["server_ip"] == address) & (connections["server_port"] == port)
    total = words.counted(int(same.sum()), "connection")
    begin = f"{words.count(number)} of {total} to {words.endpoint(address, port)}"
    clock = rows["cause_clock"].mode()
    timer: Any = rows["cause_timer"].median()
    what = _SAYS.get(cause, cause)
    if len(clock) and not words.is_missing(timer):
        begin += f" ended {timer.total_seconds():.1f} s {SINCE.get(str(clock.iloc[0]), '')}"
    elif cause == "not enough bytes":
        return f"{begin}: the capture does not tell how they ended"
    device = rows["cause_device"].dropna()
    device_text = f", as {device.iloc[0]} has by default" if len(device) else ""
    by = rows["cause_by"].unique()
    who = f" (by the {by[0]})" if len(by) == 1 and not words.is_missing(by[0]) and cause not in UNATTRIBUTED else ""
    likely = " (inferred)" if (rows["cause_basis"] == "inferred").all() else ""
    return f"{begin}: {what}{device_text}{who}{likely}"
