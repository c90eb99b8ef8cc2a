"""The few things a person should know first: what ended many connections, and what ended some badly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analyzer.outputs import words
from analyzer.outputs.escaping import visible
from analyzer.outputs.words import Line

MOST = 6
NAMED = 6
SERVERS_NAMED = 2
UNATTRIBUTED = ("middlebox reset", "peer vanished", "idle expiry", "server shutdown", "server stopped")
"""Causes whose name says who it was."""
TIMED = (
    *("idle timer", "lifetime timer", "idle expiry", "heartbeat missed", "keepalive timeout", "late pong"),
    *("close timeout", "handshake timeout"),
)
"""Causes that are told with their time."""
ORDINARY = ("clean close", "client navigation", "capture ended")
FIRST = ("close lost",)
"""Causes that are told before all others, however few connections they ended."""
SINCE = {
    "idle": "after the last frame of either side",
    "client idle": "after the client's last frame",
    "server idle": "after the server's last frame",
    "client messages": "after the client's last message, with Pings or Pongs since",
    "lifetime": "after they opened",
    "ping": "after a Ping without its Pong",
    "after Close": "after a Close without its answer",
    "handshake": "after a request without its answer",
}
READINGS = {"idle": "idle_before_end", "client idle": "client_idle", "server idle": "server_idle", "lifetime": "end"}
"""The columns that tell what a clock had read; the lifetime's runs from when it opened."""
SPREAD = 1.1
_SAYS = {
    "idle timer": "an idle timer",
    "lifetime timer": "a lifetime timer",
    "idle expiry": "a device on the way forgot them while they were idle",
    "heartbeat missed": "a heartbeat of the application was missing",
    "other leg": "a proxy passed on the end of its other leg",
    "close lost": "a Close was sent but did not arrive",
}


def lines(connections: pd.DataFrame) -> Iterator[Line]:
    """Of each cause that ended connections, ordinary ends aside: how many, of which servers, when, and an example."""
    if "cause" not in connections or connections["cause"].isna().all():
        return
    connections, unusual = _once(connections)
    yield []
    yield [("What to know", "bold")]
    if unusual.empty:
        yield [("  nothing needs a look: the connections ended as they should, or are still open", "green")]
        return
    ranking = sorted(_kinds(unusual), key=lambda rows: (rows["cause"].iloc[0] not in FIRST, -len(rows)))
    for rows in ranking[:MOST]:
        yield [("  " + _sentence(rows, connections), "")]
        yield [(f"      {_when(rows)}, for example #{rows.index[0]}: {visible(str(rows['evidence'].iloc[0]))}", "dim")]
    if len(ranking) > MOST:
        others = ", ".join(f"{rows['cause'].iloc[0]} {len(rows)}" for rows in ranking[MOST:][:NAMED])
        more = len(ranking) - MOST - NAMED
        yield [(f"  fewer: {others}{f' and {more} more (column cause)' if more > 0 else ''}", "dim")]


def _kinds(unusual: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows that one thing may have ended: of one cause, and one clock and time where a time ran out."""
    told = unusual["cause"].isin(TIMED)
    clock = unusual["cause_clock"].astype("string").fillna("").where(told, "")
    time = unusual["cause_timer"].dt.total_seconds().fillna(0.0).where(told, 0.0).map(lambda seconds: f"{seconds:.2g}")
    return [rows for _, rows in unusual.groupby([unusual["cause"].astype("string"), clock, time], sort=False)]


def _when(rows: pd.DataFrame) -> str:
    """At 10:11:12, or from 10:11:12 to 10:13:14: when they ended (UTC)."""
    first, last = rows["end"].min(), rows["end"].max()
    if words.is_missing(first):
        return "at times that were not captured"
    pattern = "%H:%M:%S" if first.date() == last.date() else "%Y-%m-%d %H:%M:%S"
    begin, end = f"{first:{pattern}}", f"{last:{pattern}}"
    return f"at {begin}" if begin == end else f"from {begin} to {end}"


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


def _sentence(rows: pd.DataFrame, connections: pd.DataFrame) -> str:
    """31 of 40 connections to 10.0.0.9:443 ended 60.0 s after the last frame of either side: an idle timer."""
    cause = str(rows["cause"].iloc[0])
    total, where = _servers(rows, connections)
    begin = f"{len(rows)} of {words.counted(total, 'connection')} to {where}"
    clock = rows["cause_clock"].mode()
    timer: Any = rows["cause_timer"].median()
    if cause == "not enough bytes":
        return f"{begin}: the capture does not tell how {'it' if len(rows) == 1 else 'they'} ended"
    if cause in TIMED and len(clock) and not words.is_missing(timer):
        since = str(clock.iloc[0])
        begin += f" ended {_readings(rows, since) or f'{timer.total_seconds():.1f} s'} {SINCE.get(since, '')}"
    device = rows["cause_device"].dropna()
    device_text = f", as {device.iloc[0]} has by default" if len(device) else ""
    by = rows["cause_by"].unique()
    who = f" (by the {by[0]})" if len(by) == 1 and not words.is_missing(by[0]) and cause not in UNATTRIBUTED else ""
    likely = " (inferred)" if (rows["cause_basis"] == "inferred").all() else ""
    return f"{begin}: {_SAYS.get(cause, cause)}{device_text}{who}{likely}"


def _readings(rows: pd.DataFrame, clock: str) -> str:
    """4.0 to 4.9 s: where the readings of a clock lie so far apart that one number would say too much."""
    if clock not in READINGS:
        return ""
    read = rows["end"] - rows["opened"] if clock == "lifetime" else rows[READINGS[clock]]
    least, most = read.min().total_seconds(), read.max().total_seconds()
    return f"{least:.1f} to {most:.1f} s" if most > SPREAD * least > 0 else ""


def _servers(rows: pd.DataFrame, connections: pd.DataFrame) -> tuple[int, str]:
    """How many connections these servers had in all, and the servers in words."""
    place = ["server_ip", "server_port"]
    servers = rows[place].drop_duplicates()
    total = len(connections.merge(servers, on=place))
    names = [words.endpoint(*server) for server in servers.itertuples(index=False)]
    return total, " and ".join(names) if len(names) <= SERVERS_NAMED else words.counted(len(names), "server")
