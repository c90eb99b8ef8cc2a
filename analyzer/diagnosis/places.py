"""Finds the rows that are one WebSocket seen at several places: at several points of capture, on the legs of a proxy.

The same TCP connection (and HTTP/2 stream) seen at another point of capture is a copy. The legs of a proxy carry the
same Sec-WebSocket-Key, if it hands the key on, and the opening of each lies within that of the leg before it; where it
makes a new key (as from HTTP/2 to HTTP/1.1 it must), legs are told by the path, the nested openings and the address
that it names as its client or, from HTTP/2, its own one, if no other two connections fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np

from analyzer import limits
from analyzer.records import MISSING, NO_TIME

Numbers = Any  # numpy arrays of int64


class Places(NamedTuple):
    """By row, -1 where there is none. copy_of: the first row of the same TCP connection, seen at another point;
    copies: the rows of each such connection by its first one; front_of, back_of: the legs at a proxy on the client's
    and on the server's side; same_as: for all rows of a WebSocket but the first the number of that one; repeated: their
    own numbers; linked: the rows that have any other one."""

    copy_of: Numbers
    copies: dict[int, list[int]]
    front_of: Numbers
    back_of: Numbers
    same_as: dict[int, int]
    repeated: frozenset[int]
    linked: frozenset[int]

    def elsewhere(self, row: int) -> list[int]:
        """The other rows of its TCP connection."""
        first = int(self.copy_of[row]) if self.copy_of[row] >= 0 else row
        return [other for other in self.copies.get(first, ()) if other != row]


def places_of(columns: dict[str, Numbers]) -> Places:
    """Which rows belong together."""
    number = columns["number"]
    copy_of = copies_of(columns)
    front_of, back_of = legs_of(columns, copy_of < 0)
    lowest = number.copy()
    for row in np.flatnonzero((front_of < 0) & (back_of >= 0)).tolist():
        legs = [row]
        while back_of[legs[-1]] >= 0:
            legs.append(int(back_of[legs[-1]]))
        lowest[legs] = number[legs].min()
    copies = copy_of >= 0
    for leg in (front_of, back_of, lowest):
        leg[copies] = leg[copy_of[copies]]
    together: dict[int, list[int]] = {}
    for row in np.flatnonzero(copies).tolist():
        first = int(copy_of[row])
        together.setdefault(first, [first]).append(row)
    again = np.flatnonzero(lowest != number)
    same_as = dict(zip(again.tolist(), lowest[again].tolist(), strict=True))
    linked = np.flatnonzero(copies | (front_of >= 0) | (back_of >= 0)).tolist()
    repeated = frozenset(number[again].tolist())
    return Places(copy_of, together, front_of, back_of, same_as, repeated, frozenset(linked) | together.keys())


def copies_of(columns: dict[str, Numbers]) -> Numbers:
    """For every row the first row of the same TCP connection and stream at another point, -1 without one."""
    copy_of = np.full(len(columns["point"]), -1, np.int64)
    if not len(copy_of) or columns["point"].min() == columns["point"].max():
        return copy_of
    ends = ("client_host", "client_port", "service")
    # a NAT between the points changes addresses, and leaves both numbers as they are
    for known, names in (
        (("initial", "key"), ("initial", "key")),
        (("initial",), (*ends, "initial")),
        (("key",), (*ends, "key")),
    ):
        rows = np.flatnonzero((copy_of < 0) & np.all([columns[name] != MISSING for name in known], axis=0))
        rows = rows[np.argsort(columns["number"][rows], kind="stable")]
        for row, first in _equal(rows, columns, (*names, "http_stream")):
            copy_of[row] = first
    deeper = np.flatnonzero(copy_of >= 0)
    deeper = deeper[copy_of[copy_of[deeper]] >= 0]
    copy_of[deeper] = copy_of[copy_of[deeper]]
    return copy_of


def _equal(rows: Numbers, columns: dict[str, Numbers], names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Rows with the row before them, at another point, that has the same values: the nth of each point go together."""
    firsts: dict[tuple[Any, int], int] = {}
    counts: Counter[tuple[Any, int]] = Counter()
    values = zip(*(columns[name][rows].tolist() for name in names), strict=True)
    for row, point, value in zip(rows.tolist(), columns["point"][rows].tolist(), values, strict=True):
        first = firsts.setdefault((value, counts[value, point]), row)
        counts[value, point] += 1
        if first != row:
            yield row, first


def legs_of(columns: dict[str, Numbers], originals: Numbers) -> tuple[Numbers, Numbers]:
    """For every row the row of the leg before it, towards the client, and of the leg after it; -1 without one.
    originals: rows that are no copies."""
    front_of = np.full(len(originals), -1, np.int64)
    back_of = front_of.copy()
    found = _by_key(columns, originals), _by_address(columns, originals), _by_conversion(columns, originals)
    for legs in chain(*found):
        if all(front_of[leg] < 0 and back_of[leg] < 0 for leg in legs):
            front_of[legs[1:]], back_of[legs[:-1]] = legs[:-1], legs[1:]
    return front_of, back_of


def _by_key(columns: dict[str, Numbers], originals: Numbers) -> Iterator[list[int]]:
    """Legs with one Sec-WebSocket-Key, the client's first."""
    key, asked = columns["key"], columns["asked"]
    rows = np.flatnonzero(originals & (key != MISSING) & (asked != NO_TIME))
    if not np.any(np.diff(np.sort(key[rows])) == 0):
        return
    rows = rows[np.lexsort((columns["number"][rows], asked[rows], key[rows]))]
    equal = np.diff(key[rows]) == 0
    starts = np.flatnonzero(equal & np.concatenate(([True], ~equal[:-1])))
    stops = np.flatnonzero(equal & np.concatenate((~equal[1:], [True]))) + 2
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        legs = rows[start:stop].tolist()
        if stop - start <= limits.LEGS_IN_A_ROW and _differ(legs, columns) and _all_nested(legs, columns):
            yield legs


def _differ(legs: list[int], columns: dict[str, Numbers]) -> bool:
    """Each goes to another service: a client that uses its key again goes to the same one."""
    return len(set(columns["service"][legs].tolist())) == len(legs)


def _all_nested(legs: list[int], columns: dict[str, Numbers]) -> bool:
    return all(nested(front, back, columns) for front, back in pairwise(legs))


def nested(front: int, back: int, columns: dict[str, Numbers]) -> bool:
    """The back leg was asked for and answered while the front one waited; of files whose clocks may differ is only
    asked that both were there at one time."""
    asked, opened, end = columns["asked"], columns["opened"], columns["end"]
    if columns["point"][front] != columns["point"][back] or columns["last_file"][front] != columns["last_file"][back]:
        return bool(asked[front] <= end[back] and asked[back] <= end[front])
    answered = opened[front] if opened[front] != NO_TIME else end[front]
    return bool(asked[front] <= asked[back] <= answered and opened[back] <= answered)


def _by_address(columns: dict[str, Numbers], originals: Numbers) -> Iterator[list[int]]:
    """Legs told by the client's address that the proxy names, the path, and their openings."""
    usable = originals & (columns["asked"] != NO_TIME) & (columns["path_hash"] != MISSING)
    backs = _buckets(np.flatnonzero(usable & (columns["forwarded"] != MISSING)), columns, "forwarded")
    hosts = np.unique([host for host, _ in backs])
    fronts = _buckets(np.flatnonzero(usable & np.isin(columns["client_host"], hosts)), columns, "client_host")
    for place, behind in backs.items():
        yield from _one_to_one(fronts.get(place, []), behind, columns, True)


def _by_conversion(columns: dict[str, Numbers], originals: Numbers) -> Iterator[list[int]]:
    """Legs of a proxy from HTTP/2 to HTTP/1.1, told by the proxy's address, the path, and their openings."""
    usable = originals & (columns["asked"] != NO_TIME) & (columns["path_hash"] != MISSING)
    over_http2 = columns["http_stream"] != MISSING
    fronts = _buckets(np.flatnonzero(usable & over_http2), columns, "server_host")
    hosts = np.unique([host for host, _ in fronts])
    proxied = usable & ~over_http2 & np.isin(columns["client_host"], hosts)
    backs = _buckets(np.flatnonzero(proxied), columns, "client_host")
    for place, before in fronts.items():
        yield from _one_to_one(before, backs.get(place, []), columns, False)


def _buckets(rows: Numbers, columns: dict[str, Numbers], host: str) -> dict[tuple[int, int], list[int]]:
    """The rows by host and path."""
    buckets: dict[tuple[int, int], list[int]] = {}
    places = zip(columns[host][rows].tolist(), columns["path_hash"][rows].tolist(), strict=True)
    for row, place in zip(rows.tolist(), places, strict=True):
        buckets.setdefault(place, []).append(row)
    return buckets


def _one_to_one(
    before: list[int], behind: list[int], columns: dict[str, Numbers], by_address: bool
) -> Iterator[list[int]]:
    """The pairs that fit, and no other leg fits either of them. by_address: a port that the proxy names must fit."""
    if not before or not behind:
        return
    behind = sorted(behind, key=columns["asked"].__getitem__)
    crowded = np.zeros(len(behind) + 1, np.int64)
    fitting = []
    for front, (start, stop) in zip(before, _windows(before, behind, columns), strict=True):
        if stop - start > limits.LEGS_COMPARED:
            crowded[start] += 1
            crowded[stop] -= 1
        else:
            fitting += [(front, back) for back in behind[start:stop] if _fits(front, back, columns, by_address)]
    of_front = Counter(front for front, _ in fitting)
    of_back = Counter(dict(zip(behind, np.cumsum(crowded).tolist(), strict=False)))
    of_back.update(back for _, back in fitting)
    yield from ([front, back] for front, back in fitting if of_front[front] == of_back[back] == 1)


def _windows(before: list[int], behind: list[int], columns: dict[str, Numbers]) -> Iterator[tuple[int, int]]:
    """For each front leg from which to which of the back legs, in the order of their requests, may fit (see nested)."""
    asked, last = columns["asked"][behind], columns["end"][before]
    starts = np.zeros(len(before), np.int64)
    if len(np.unique(columns["last_file"][before + behind])) == 1:
        opened = columns["opened"][before]
        last = np.where(opened == NO_TIME, last, opened)
        starts = np.searchsorted(asked, columns["asked"][before])
    stops = np.maximum(starts, np.searchsorted(asked, last, "right"))
    return zip(starts.tolist(), stops.tolist(), strict=True)


def _fits(front: int, back: int, columns: dict[str, Numbers], by_address: bool) -> bool:
    port = columns["forwarded_port"][back] if by_address else MISSING
    if columns["service"][front] == columns["service"][back] or port not in (MISSING, columns["client_port"][front]):
        return False
    same_clock = columns["point"][front] == columns["point"][back]
    return bool(same_clock and columns["opened"][front] != NO_TIME and nested(front, back, columns))
