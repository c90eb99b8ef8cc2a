"""Finds timers in many endings: connections to one service, ended by the same side with the same code (or none) at
the same reading of one clock.

A timer is claimed only where so many equal readings can't be chance, and where the endings lie apart in time: what
ends at one moment has one event as its cause, whatever its clocks say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import exp
from typing import Any

import numpy as np

from analyzer import limits
from analyzer.diagnosis.facts import CLIENT, NOBODY
from analyzer.records import NO_TIME

SECOND = 1_000_000_000
CLOCKS = ("idle", "client_idle", "server_idle", "client_message_idle", "lifetime")
LIFETIME = 4
BROADER = {
    "client_idle": ("idle",),
    "server_idle": ("idle",),
    "client_message_idle": ("idle", "client_idle"),
}
"""Clock -> those that more frames re-arm, these included."""
SHORTEST = 9 * SECOND // 10
FEWEST = 4
"""Endings at different moments that a timer needs."""
CHANCE = 1e-4
CROWD = 4
"""So many times more than around it a window must hold: lives may well be short, and most end alike by chance."""
NEIGHBOURS = 4
EARLY = 3 * SECOND // 10  # nginx moves its timers lazily
DOUBT = 0.7  # of two clocks whose deviations differ less than this neither is the steadier one
JITTER = 0.23
"""A time spread by 10 % to either side: the longest is so much longer than the shortest."""
FEWEST_JITTERED = 10
"""Of ends that come at any time at most 8 % have ages within one JITTER, of silences between frames that come
regularly 23 %."""
SHORTEST_LOOSE = 10 * EARLY
INSEPARABLE = SECOND // 500
"""Two clocks that read so nearly the same at every end are one: what makes them differ is an echo's delay."""
JOB_IDLE = SECOND // 20
"""A side that closes so soon after its last message, always after as many messages, has finished its work."""
RESULT = SECOND // 200
"""So soon after a frame, whatever came before, it was the result of what the other side had asked for."""

Numbers = Any  # numpy arrays of int64; numpy's own types say no more here


@dataclass(frozen=True)
class Timer:
    """One timer. nanoseconds: its value; spread: of the readings, largest less smallest; moments: at which it fired;
    closer: the side that ended the connections; loose: the readings lie farther apart than a precise timer's; rival:
    another clock that fits as well and means another timer (idle, lifetime), -1 if none does."""

    clock: int
    nanoseconds: int
    count: int
    spread: int
    moments: int
    closer: int
    loose: bool
    rival: int = -1

    @property
    def seconds(self) -> float:
        return self.nanoseconds / SECOND


def width_of(value: Numbers) -> Numbers:
    """How far apart the readings of one precise timer lie: 50 ms or 1 %."""
    return np.maximum(SECOND // 20, value // 100)


def readings(columns: dict[str, Numbers]) -> Numbers:
    """The clocks of every row at the first event of its end; NO_TIME where not known."""
    opened, ending = columns["opened"], columns["ending"]
    known = (opened != NO_TIME) & (ending != NO_TIME)
    lifetime = np.where(known, ending - np.where(known, opened, 0), NO_TIME)
    return np.stack([*(columns[name] for name in CLOCKS[:LIFETIME]), lifetime])


def timers_of(columns: dict[str, Numbers], closer: Numbers, eligible: Numbers) -> tuple[list[Timer], Numbers]:
    """The timers, and for every row which of them ended it (-1: none). eligible: rows that one may have ended."""
    member = np.full(len(closer), -1, np.int32)
    clocks = readings(columns)
    rows = np.flatnonzero(eligible & (closer != NOBODY) & (clocks[LIFETIME] >= SHORTEST))
    code = np.where(closer == CLIENT, columns["client_code"], columns["server_code"])[rows]
    group = columns["service"][rows] * 4 + closer[rows]
    order = np.lexsort((code, group))
    rows, group, code = rows[order], group[order], code[order]
    bounds = np.flatnonzero((np.diff(group) != 0) | (np.diff(code) != 0)) + 1
    found: list[Timer] = []
    for same in np.split(rows, bounds):
        for timer, fired in _timers_in(same, columns, clocks, int(closer[same[0]]) if len(same) else CLIENT):
            member[fired] = len(found)
            found.append(timer)
    return found, member


Candidate = tuple[Timer, Numbers, float]


def _timers_in(
    rows: Numbers, columns: dict[str, Numbers], clocks: Numbers, closer: int
) -> Iterator[tuple[Timer, Numbers]]:
    """The timers of one service, side and code, the plainest first."""
    total = len(rows)
    for _ in range(limits.TIMERS):
        best = _likeliest(rows, columns, clocks, total, False)
        if best is None:
            spread = _likeliest(rows, columns, clocks, total, True), _jittered(rows, clocks, columns)
            best = max((each for each in spread if each is not None), key=lambda each: each[0].count, default=None)
        if best is None or not _plausible(best, columns, clocks):
            return
        timer, fired, _ = best
        yield replace(timer, closer=closer), fired
        rows = np.setdiff1d(rows, fired, assume_unique=True)


def _likeliest(
    rows: Numbers, columns: dict[str, Numbers], clocks: Numbers, total: int, loose: bool
) -> Candidate | None:
    """The timer that explains most of these endings best, if one does."""
    candidates = [_densest(rows, clock, clocks, columns, total, loose) for clock in range(len(CLOCKS))]
    fitting = [each for each in candidates if each is not None and _plausible(each, columns, clocks)]
    return _with_rival(_steadiest(fitting, clocks), clocks) if fitting else None


def _steadiest(candidates: list[Candidate], clocks: Numbers) -> Candidate:
    """The clock that explains most endings; of several the one that varies least, in doubt that of either side."""
    most = max(timer.count for timer, _, _ in candidates)
    good = [each for each in candidates if each[0].count >= 0.95 * most]
    good = [each for each in good if not any(_alike(other, each, clocks) for other in good)]
    least = min(deviation for _, _, deviation in good)
    return next(each for each in good if DOUBT * each[2] <= least or each[2] == least)


def _alike(general: Candidate, candidate: Candidate, clocks: Numbers) -> bool:
    """The clock of more frames, which cannot be told from this one of fewer: the others always followed or came at
    once."""
    if CLOCKS[general[0].clock] not in BROADER.get(CLOCKS[candidate[0].clock], ()):
        return False
    fired = candidate[1]
    return bool(np.all(np.abs(clocks[candidate[0].clock][fired] - clocks[general[0].clock][fired]) <= INSEPARABLE))


def _with_rival(candidate: Candidate, clocks: Numbers) -> Candidate:
    """The same, with the clock that means another timer if the same connections fit it as well."""
    timer, fired, deviation = candidate
    rival = 0 if timer.clock == LIFETIME else LIFETIME
    read = clocks[rival][fired]
    if int(np.ptp(read)) <= max(int(width_of(timer.nanoseconds)), timer.spread):
        timer = replace(timer, rival=rival)
    return timer, fired, deviation


def _jittered(rows: Numbers, clocks: Numbers, columns: dict[str, Numbers]) -> Candidate | None:
    """A time that is spread on purpose, or by a clock that ticks seldom, by JITTER at the most: nearly all end in that
    span of one clock, the ages or the silences beside it scatter twice as widely, and no side had just spoken. Ends
    that come at any time hardly ever do so ten times. And the ends must lie farther apart than the readings: where a
    server lets its connections go one by one, what they read is spread as their ends are, and no timer."""
    for clock, read in enumerate(clocks):
        fired = _within_jitter(rows[read[rows] >= SHORTEST_LOOSE], read)
        if len(fired) < max(FEWEST_JITTERED, 0.95 * len(rows)):
            continue
        beside = clocks[0 if clock == LIFETIME else LIFETIME][fired]
        talks = float(np.mean(clocks[0][fired] <= JOB_IDLE)) > 0.5
        ending = columns["ending"][fired]
        moments = _moments(ending, SECOND)
        together = 3 * moments < 2 * len(fired) or 4 * np.std(ending) < 5 * np.std(read[fired])
        if talks or together or 2 * _scatter(read[fired]) > _scatter(beside):
            continue
        value, spread = int(np.median(read[fired])), int(np.ptp(read[fired]))
        return Timer(clock, value, len(fired), spread, moments, NOBODY, True), fired, float(np.std(read[fired]))
    return None


def _scatter(values: Numbers) -> float:
    """The standard deviation as a part of the mean."""
    return float(np.std(values)) / max(float(np.mean(values)), 1.0)


def _within_jitter(rows: Numbers, clock: Numbers) -> Numbers:
    """Those of the rows, as many as can be, whose readings lie within one JITTER."""
    if not len(rows):
        return rows
    rows = rows[np.argsort(clock[rows], kind="stable")]
    values = clock[rows]
    stops = np.searchsorted(values, values + (values * JITTER).astype(np.int64), "right")
    first = int(np.argmax(stops - np.arange(len(values))))
    return rows[first : int(stops[first])]


def _densest(
    rows: Numbers, clock: int, clocks: Numbers, columns: dict[str, Numbers], total: int, loose: bool
) -> Candidate | None:
    """The most readings of one clock that lie together, if they are too many for chance; with their deviation."""
    values = clocks[clock][rows]
    usable = values >= (SHORTEST_LOOSE if loose else SHORTEST)
    if int(np.count_nonzero(usable)) < FEWEST:
        return None
    rows, values = rows[usable], values[usable]
    order = np.argsort(values, kind="stable")
    rows, values = rows[order], values[order]
    width = width_of(values) + (EARLY if loose else 0)
    stops, around = _crowds(values, width)
    first = int(np.argmax((stops - np.arange(len(values)) - around) / np.sqrt(around + 1)))
    last = int(stops[first])
    middle = int(np.median(values[first:last]))
    evenly = total * int(width[first]) / max(int(values[-1] - values[0]), middle)
    expected = max(float(around[first]), _beside(values, first, int(width[first])), evenly)
    moments = _moments(columns["ending"][rows[first:last]], int(width[first]))
    tried = 2 * len(CLOCKS) * len(values)
    if moments < max(FEWEST, CROWD * expected) or tried * _chance(moments - 1, expected) > CHANCE:
        return None
    deviation = float(np.std(values[first:last]))
    if not loose:  # those that fired early, as nginx does
        first = int(np.searchsorted(values, middle - EARLY - width_of(middle) // 5))
    value = int(values[last - 1]) if loose else middle
    spread = int(values[last - 1] - values[first])
    return Timer(clock, value, last - first, spread, moments, NOBODY, loose), rows[first:last], deviation


def _crowds(values: Numbers, width: Numbers) -> tuple[Numbers, Numbers]:
    """Where the window that begins at each value ends, and how many one so wide holds around it (values: sorted)."""
    stops = np.searchsorted(values, values + width, "right")
    begin = np.searchsorted(values, values - NEIGHBOURS * width)
    end = np.searchsorted(values, values + (NEIGHBOURS + 1) * width, "right")
    return stops, (end - begin - (stops - np.arange(len(values)))) / (2 * NEIGHBOURS)


def _beside(values: Numbers, first: int, width: int) -> float:
    """How many one window holds to the right of that which begins at the first value: where lives are short all lie at
    the beginning of the clock, and left of them is nothing."""
    begin = int(values[first]) + width
    return float(np.searchsorted(values, begin + 2 * width, "right") - np.searchsorted(values, begin, "right")) / 2


def _moments(times: Numbers, apart: int) -> int:
    """How many moments there are that lie so far apart."""
    return 1 + int(np.count_nonzero(np.diff(np.sort(times)) > min(apart, SECOND // 20) // 5))


def _chance(count: int, expected: float) -> float:
    """How likely so many or more are where `expected` are (Poisson). A window that begins at a value has that one."""
    term = total = exp(-min(expected, 700.0))
    for each in range(1, count):
        term *= expected / each
        total += term
    return max(0.0, 1.0 - total) if count > expected else 1.0


def _plausible(candidate: Candidate, columns: dict[str, Numbers], clocks: Numbers) -> bool:
    """Not the length of equal jobs, and no other connection of the service outlived it."""
    timer, fired, _ = candidate
    counts = columns["client_messages"][fired]
    equal_work = counts[0] > 0 and bool(np.all(counts == counts[0]))
    if equal_work and float(np.mean(clocks[0][fired] <= JOB_IDLE)) >= 0.9:
        return False
    if 0 < timer.clock < LIFETIME and float(np.mean(clocks[0][fired] <= RESULT)) >= 0.9:
        return False
    if timer.clock != LIFETIME:
        return True
    service = columns["service"] == columns["service"][fired[0]]
    lived = np.where(columns["opened"] != NO_TIME, columns["end"] - np.maximum(columns["opened"], 0), 0)
    limit = int(clocks[LIFETIME][fired].max()) + max(EARLY, timer.nanoseconds // 20)
    return int(np.count_nonzero(service & (lived > limit))) <= 0.1 * timer.count
