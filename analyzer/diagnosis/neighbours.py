"""What the other connections of a service tell of one: messages that were taken, clients that came back, load."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from analyzer.diagnosis.facts import SERVER, Details
from analyzer.diagnosis.timers import SECOND
from analyzer.records import MISSING, NO_TIME

Numbers = Any  # numpy arrays of int64

CAME_BACK = 60 * SECOND
"""Within this time a client's next connection is taken for its return."""
NEAR = 60 * SECOND
LOADED = (503, 429)
TRY_LATER = 1013
FEWEST_AT_LIMIT = 3


class Neighbours:
    """All connections, by the service of one of them. columns: by the names of Facts."""

    def __init__(self, columns: Mapping[str, Numbers], details: Mapping[int, Details]) -> None:
        self._columns = columns
        self._details = details

    def accepted(self, row: int, by: int) -> tuple[int, int] | None:
        """The largest message that this side took in another connection, which it did not close for that, and the
        number of that connection; None if it took none."""
        columns = self._columns
        sizes, codes = ("client_largest", "server_code") if by == SERVER else ("server_largest", "client_code")
        taken = columns[sizes].copy()
        taken[(columns["service"] != columns["service"][row]) | (columns[codes] == 1009)] = MISSING
        taken[row] = MISSING
        best = int(np.argmax(taken))
        return None if taken[best] < 0 else (int(taken[best]), int(columns["number"][best]))

    def told(self, row: int, code: int) -> int:
        """How many connections of the service its server closed with this code."""
        columns = self._columns
        return int(np.count_nonzero((columns["service"] == columns["service"][row]) & (columns["server_code"] == code)))

    def returns(self, row: int, after: int) -> list[int]:
        """How long after that time (nanoseconds) the clients whose connections had then been closed as this one was
        came back, sorted: a connection that began, for each that had ended."""
        columns = self._columns
        same = columns["service"] == columns["service"][row]
        ended = same & (columns["server_code"] == columns["server_code"][row])
        ended &= (columns["ending"] != NO_TIME) & (columns["ending"] <= after)
        clients = columns["client_host"][ended]
        starts = columns["start"]
        later = same & (starts > after) & (starts <= after + CAME_BACK) & (columns["opened"] != NO_TIME)
        later &= np.isin(columns["client_host"], clients)
        return (np.sort(starts[later])[: len(clients)] - after).tolist()  # type: ignore[no-any-return]

    def load(self, row: int, time: int) -> list[str]:
        """Signs of load at the service around that time, in words."""
        columns = self._columns
        same = columns["service"] == columns["service"][row]
        signs = []
        near = same & (columns["start"] != NO_TIME) & (np.abs(columns["start"] - time) < NEAR)
        if refused := int(np.count_nonzero(near & np.isin(columns["status"], LOADED))):
            signs.append(f"{refused} upgrades were refused with 503 or 429 within a minute of it")
        if stalled := self._stalled(int(columns["service"][row])):
            signs.append(f"the receive window of its server was closed in {stalled} connections")
        limit, times = self._limit(int(columns["service"][row]))
        if limit:
            signs.append(f"{limit} other connections were open each of the {times} times that it closed so: a limit")
        return signs

    @functools.cache  # noqa: B019  # lives as long as the diagnosis
    def _stalled(self, service: int) -> int:
        """Connections whose server had stopped reading."""
        rows = np.flatnonzero(self._columns["service"] == service).tolist()
        return sum(row in self._details and self._details[row].server.shut_packet > 0 for row in rows)

    @functools.cache  # noqa: B019
    def _limit(self, service: int) -> tuple[int, int]:
        """How many connections were open whenever the service said 1013, and how often it did; 0 if not always as
        many."""
        columns = self._columns
        same = (columns["service"] == service) & (columns["opened"] != NO_TIME)
        refused = same & (columns["server_code"] == TRY_LATER)
        others = same & ~refused
        opened, ending = columns["opened"][others], columns["ending"][others]
        ends = np.where(ending == NO_TIME, np.iinfo(np.int64).max, ending)
        times = columns["server_close"][refused].tolist()
        open_then = {int(np.count_nonzero((opened <= time) & (ends > time))) for time in times}
        steady = len(open_then) == 1 and len(times) >= FEWEST_AT_LIMIT
        return (open_then.pop() if steady else 0), len(times)
