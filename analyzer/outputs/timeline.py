"""One connection as a story: what it was, what happened when, how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analyzer.outputs import ending, words
from analyzer.outputs.cells import seconds
from analyzer.outputs.escaping import visible
from analyzer.outputs.words import Line

ON_TERMINAL = 60
"""Events that a terminal shows unless told otherwise: the first and the last ones."""

_FACTS = ("origin", "user_agent", "subprotocol", "extensions", "forwarded_for")
_STYLES = {"client": "cyan", "server": "green"}


def lines(connection: Any, number: int, limit: int | None) -> list[Line]:
    """The whole story; `limit` bounds the events shown (None: all), half from the beginning, half from the end."""
    row, closes = connection.row, connection.closes
    return [
        *_head(row, number),
        *_elsewhere(connection.elsewhere),
        *_section("Why it ended", ending.cause(row)),
        [],
        *_events(connection.timeline(), limit),
        *_section("How it ended", ending.sentences(row, closes)),
        *_section("Broken rules", ending.breaches(connection.violations)),
    ]


def _section(title: str, sentences: list[str]) -> Iterator[Line]:
    if sentences:
        yield []
        yield [(title, "bold")]
        yield from ([(f"  {sentence}", "")] for sentence in sentences)


def _head(row: pd.Series[Any], number: int) -> Iterator[Line]:
    ends = " -> ".join(words.endpoint(row[f"{side}_ip"], row[f"{side}_port"]) for side in ("client", "server"))
    yield [(f"Connection {number}", "bold"), (f"  {ends}", "")]
    host = "" if words.is_missing(row["host"]) else str(row["host"])
    path = "" if words.is_missing(row["path"]) else str(row["path"])
    if host or path:
        yield [(f"  {visible(host + path)}", "")]
    yield [(f"  {words.moment(row['start'])} UTC, {words.elapsed(row['duration'])}. {ending.opening(row)}", "dim")]
    for name in _FACTS:
        if name in row.index and not words.is_missing(row[name]):
            yield [(f"  {name.replace('_', ' ')}: {visible(str(row[name]))}", "dim")]
    for side in ("client", "server"):
        frames, messages = row[f"{side}_frames"], row[f"{side}_messages"]
        if not words.is_missing(frames):
            exact = "" if row[f"{side}_exact"] is True or row[f"{side}_exact"] == True else " captured"  # noqa: E712
            counts = f"{words.counted(int(frames), 'frame')}, {words.counted(int(messages), 'message')}"
            yield [(f"  {side} sent {counts}{exact}", "dim")]
    if not words.is_missing(row["lost_bytes"]) and row["lost_bytes"]:
        yield [(f"  {words.counted(int(row['lost_bytes']), 'byte')} were sent but never captured", "yellow")]


def _elsewhere(rows: pd.DataFrame) -> Iterator[Line]:
    for number, row in rows.iterrows():
        ends = " -> ".join(words.endpoint(row[f"{side}_ip"], row[f"{side}_port"]) for side in ("client", "server"))
        yield [(f"  the same WebSocket at another place: connection {number}  {ends}", "dim")]


def _events(table: pd.DataFrame, limit: int | None) -> Iterator[Line]:
    several = table["file"].nunique() > 1
    yield [(f"{'seconds':>16}  {'packet':>8}  {'sender':<6}  event", "dim")]
    total = len(table)
    if limit is None or total <= limit:
        yield from (_event(row, several) for row in table.itertuples())
        return
    begin = (limit + 1) // 2
    yield from (_event(row, several) for row in table.iloc[:begin].itertuples())
    yield [(f"{'':>16}  {words.counted(total - limit, 'more event')} (--limit N)", "dim")]
    yield from (_event(row, several) for row in table.iloc[total - (limit - begin) :].itertuples())


def _event(row: Any, several: bool) -> Line:
    offset = "" if words.is_missing(row.offset) else "+" + seconds(int(row.offset.as_unit("ns").value))
    packet = "" if words.is_missing(row.packet) else str(row.packet)
    if packet and several and not words.is_missing(row.file):
        packet = f"{visible(str(row.file))}#{packet}"
    sender = "" if words.is_missing(row.sender) else str(row.sender)
    text = "" if words.is_missing(row.text) else visible(str(row.text))
    event = visible(str(row.event))
    style = "bold" if event.lower() == "close" else ""
    return [
        (f"{offset:>16}  {packet:>8}  ", "dim"),
        (f"{sender:<6}", _STYLES.get(sender, "")),
        (f"  {event}  {text}", style),
    ]
