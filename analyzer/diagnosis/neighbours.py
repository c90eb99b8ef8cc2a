"""What the other connections of a service tell of one: messages that were taken, clients that came back, load.

Whatever is asked is found once for a service: a question costs as much for many connections as for few.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from analyzer import limits
from analyzer.diagnosis.facts import Details
from analyzer.diagnosis.timers import SECOND
from analyzer.records import NO_TIME

Numbers = Any  # numpy arrays of int64

CAME_BACK = 60 * SECOND
"""Within this time a client's next connection is taken for its return."""
NEAR = 60 * SECOND
LOADED = (503, 429)
TRY_LATER, TOO_BIG = 1013, 1009
FEWEST_AT_LIMIT = 3
NEVER = np.iinfo(np.int64).max


class Neighbours:
    """All connections, by service. columns: by the names of Facts."""

    def __init__(self, columns: Mapping[str, Numbers], details: Mapping[int, Details]) -> None:
        self._columns = columns
        self._details = details
        self._order = np.argsort(columns["service"], kind="stable")
        self._sorted = columns["service"][self._order]
        self._services: dict[int, Service] = {}

    def of(self, service: int) -> Service:
        """The connections of a service."""
        if service not in self._services:
            begin, end = np.searchsorted(self._sorted, (service, service + 1)).tolist()
            self._services[service] = Service(self._columns, self._order[begin:end], self._details)
        return self._services[service]


class Service:
    """The connections of one service. rows: their places in the columns."""

    def __init__(self, columns: Mapping[str, Numbers], rows: Numbers, details: Mapping[int, Details]) -> None:
        self._columns, self._rows, self._details = columns, rows, details
        self._returns: dict[tuple[int, int], list[int]] = {}
        self._closed_by: dict[int, tuple[Numbers, Numbers, Numbers]] = {}

    def _column(self, name: str) -> Numbers:
        return self._columns[name][self._rows]

    def accepted(self, row: int) -> tuple[int, int] | None:
        """The largest message that the server took in another connection than that of the row, one that it did not
        close with 1009, and the connection's number; None if it took none."""
        return next(((size, number) for size, number, place in self._taken if place != row), None)

    @cached_property
    def _taken(self) -> list[tuple[int, int, int]]:
        """The two largest messages that the server took: size, number of the connection, row."""
        sizes = self._column("largest_client_message")
        taken = np.flatnonzero((sizes >= 0) & (self._column("server_code") != TOO_BIG))
        best = taken[np.argsort(sizes[taken], kind="stable")[::-1][:2]]
        columns = sizes[best], self._column("number")[best], self._rows[best]
        return list(zip(*(column.tolist() for column in columns), strict=True))

    @cached_property
    def survived(self) -> int:
        """The longest silence (nanoseconds) that a packet of a connection of the service ended."""
        return int(self._column("survived").max(initial=0))

    def ended_near(self, time: int, apart: int) -> list[int]:
        """The silences (nanoseconds) before the ends of all that ended so near to that time."""
        endings, silences = self._ends
        begin, end = np.searchsorted(endings, (time - apart, time + apart + 1)).tolist()
        near: list[int] = silences[begin:end].tolist()
        return near

    @cached_property
    def _ends(self) -> tuple[Numbers, Numbers]:
        """When connections ended, sorted, and the silences before."""
        ending, idle = self._column("ending"), self._column("idle")
        ended = np.flatnonzero((ending != NO_TIME) & (idle != NO_TIME))
        ended = ended[np.argsort(ending[ended], kind="stable")]
        return ending[ended], idle[ended]

    def silent_alike(self, silence: int, apart: int) -> list[int]:
        """The first rows that ended after nearly the same silence (both in nanoseconds), so many as are compared."""
        idle, ending = self._column("idle"), self._column("ending")
        alike = (ending != NO_TIME) & (idle >= silence - apart) & (idle <= silence + apart)
        rows: list[int] = self._rows[np.flatnonzero(alike)[: limits.SILENCES_COMPARED]].tolist()
        return rows

    def alive(self, begin: int, end: int) -> int:
        """How many connections opened from `begin` on until `end`, or had before and went on until then."""
        opened, ending = self._column("opened"), self._column("ending")
        before = (opened != NO_TIME) & (opened < end)
        gone = (ending != NO_TIME) & (ending <= end)
        return int(np.count_nonzero(before & (~gone | (opened >= begin))))

    def told(self, code: int) -> int:
        """How many connections the server closed with this code."""
        return self._codes.get(code, 0)

    @cached_property
    def _codes(self) -> dict[int, int]:
        codes, counts = np.unique(self._column("server_code"), return_counts=True)
        return dict(zip(codes.tolist(), counts.tolist(), strict=True))

    def returns(self, code: int, after: int) -> list[int]:
        """How long after that time (nanoseconds) the clients came back whose connections the server had by then closed
        with this code, sorted: a connection that began, for each that had ended."""
        if (code, after) not in self._returns:
            endings, clients, first = self._closed(code)
            starts, hosts = self._openings
            begin, stop = np.searchsorted(starts, (after, after + CAME_BACK), "right").tolist()
            back, hosts = starts[begin:stop], hosts[begin:stop]
            if len(clients):
                place = np.minimum(np.searchsorted(clients, hosts), len(clients) - 1)
                back = back[(clients[place] == hosts) & (first[place] <= after)]
            most = int(np.searchsorted(endings, after, "right"))
            self._returns[code, after] = (back[:most] - after).tolist()
        return self._returns[code, after]

    @cached_property
    def _openings(self) -> tuple[Numbers, Numbers]:
        """When the connections that opened began, sorted, and whose they are."""
        rows = np.flatnonzero(self._column("opened") != NO_TIME)
        rows = rows[np.argsort(self._column("start")[rows], kind="stable")]
        return self._column("start")[rows], self._column("client_host")[rows]

    def _closed(self, code: int) -> tuple[Numbers, Numbers, Numbers]:
        """When the connections ended that the server closed with this code, sorted; their clients, and when the first
        connection of each ended."""
        if code not in self._closed_by:
            ending = self._column("ending")
            rows = np.flatnonzero((self._column("server_code") == code) & (ending != NO_TIME))
            rows = rows[np.argsort(ending[rows], kind="stable")]
            clients, firsts = np.unique(self._column("client_host")[rows], return_index=True)
            self._closed_by[code] = ending[rows], clients, ending[rows][firsts]
        return self._closed_by[code]

    def load(self, time: int) -> list[str]:
        """Signs of load around that time, in words."""
        signs = []
        near = int(np.diff(np.searchsorted(self._refused, (time - NEAR, time + NEAR)))[0])
        if near:
            signs.append(f"{near} upgrades were refused with 503 or 429 within a minute of it")
        if self._stalled:
            signs.append(f"the receive window of its server was closed in {self._stalled} connections")
        limit, times = self._limit
        if limit:
            signs.append(f"{limit} other connections were open each of the {times} times that it closed so: a limit")
        return signs

    @cached_property
    def _refused(self) -> Numbers:
        """When upgrades were refused for load, sorted."""
        starts = self._column("start")
        return np.sort(starts[np.isin(self._column("status"), LOADED) & (starts != NO_TIME)])

    @cached_property
    def _stalled(self) -> int:
        """Connections whose server had stopped reading."""
        known = (self._details.get(row) for row in self._rows.tolist())
        tails = (details.server for details in known if details is not None)
        return sum(tail is not None and tail.shut_packet > 0 for tail in tails)

    @cached_property
    def _limit(self) -> tuple[int, int]:
        """How many connections were open whenever the service said 1013, and how often it did; 0 if not always as
        many."""
        opened, ending = self._column("opened"), self._column("ending")
        refused = self._column("server_code") == TRY_LATER
        others = (opened != NO_TIME) & ~refused
        begins = np.sort(opened[others])
        ends = np.sort(np.where(ending == NO_TIME, NEVER, ending)[others])
        at = self._column("server_close")[refused]
        open_then = np.unique(np.searchsorted(begins, at, "right") - np.searchsorted(ends, at, "right"))
        steady = len(open_then) == 1 and len(at) >= FEWEST_AT_LIMIT
        return (int(open_then[0]) if steady else 0), len(at)
