"""Finds what connections had in common at their end: one moment, when a server stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analyzer.diagnosis.facts import SERVER
from analyzer.diagnosis.timers import SECOND
from analyzer.records import NO_TIME

Numbers = Any  # numpy arrays of int64

FEWEST = 5
"""Connections that one event must end."""
TOGETHER = SECOND // 5
"""Endings of one event follow each other at least this closely."""
ORDINARY, FEW = (1000, 0, 1001), 4
"""Where Closes say no more than that, at most one in FEW may have gone on: servers close connections anyway."""
OVER = 3 * SECOND
"""A connection of the service that goes on for so long after the event was not hit by it."""


@dataclass(frozen=True)
class Event:
    """Connections of one service that its server ended together. code: of its Closes, NO_CLOSE if it sent none;
    begin, end: times of the first and the last ending; survivors: connections of the service that went on."""

    service: int
    code: int
    count: int
    begin: int
    end: int
    survivors: int


def events_of(columns: dict[str, Numbers], closer: Numbers, eligible: Numbers) -> tuple[list[Event], Numbers]:
    """The events, and for every row which of them ended it (-1: none). eligible: rows that one may have ended."""
    member = np.full(len(closer), -1, np.int32)
    found: list[Event] = []
    rows = np.flatnonzero(eligible & (closer == SERVER) & (columns["ending"] != NO_TIME))
    if len(rows) < FEWEST:
        return found, member
    service, code, ending = columns["service"][rows], columns["server_code"][rows], columns["ending"][rows]
    order = np.lexsort((ending, code, service))
    rows, service, code, ending = rows[order], service[order], code[order], ending[order]
    apart = (np.diff(service) != 0) | (np.diff(code) != 0) | (np.diff(ending) > TOGETHER)
    bounds = np.flatnonzero(apart) + 1
    ending_of = columns["ending"]
    span = max(1, int(columns["end"].max()) - int(columns["start"].min()))
    for together in np.split(rows, bounds) if len(bounds) < len(rows) else ():
        if len(together) < FEWEST or _usual(together, ending_of, len(rows) / span):
            continue
        event = _event(together, columns)
        if event is not None:
            member[together[columns["opened"][together] < event.begin]] = len(found)
            found.append(event)
    return found, member


def _usual(together: Numbers, ending: Numbers, rate: float) -> bool:
    """So many end within that time anyway. rate: endings a nanosecond, these included."""
    lasting = int(ending[together[-1]] - ending[together[0]]) + TOGETHER
    return len(together) < FEWEST * rate * lasting and rate * lasting > 1


def _event(rows: Numbers, columns: dict[str, Numbers]) -> Event | None:
    """The event that ended these rows; None if more went on, or if so many end at any time."""
    ending = columns["ending"]
    begin, end = int(ending[rows[0]]), int(ending[rows[-1]])
    service, code = int(columns["service"][rows[0]]), int(columns["server_code"][rows[0]])
    same = columns["service"] == service
    opened = columns["opened"]
    hit = int(np.count_nonzero(opened[rows] < begin))  # the others were ended one by one as they came
    rows = rows[opened[rows] < begin - TOGETHER]
    until = np.where(ending == NO_TIME, np.iinfo(np.int64).max, ending)
    survivors = int(np.count_nonzero(same & (opened != NO_TIME) & (opened < begin) & (until > end + OVER)))
    most = len(rows) // FEW if code in ORDINARY else len(rows)
    if survivors > most or len(rows) < FEWEST:
        return None
    return Event(service, code, hit, begin, end, survivors)
