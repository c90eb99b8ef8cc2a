"""The period of what comes again and again, and how steady it is."""

from __future__ import annotations

from itertools import pairwise

from analyzer.records import NO_TIME

FEWEST = 3
"""Times from which a period can be told: two intervals."""


def median(ordered: list[int]) -> int:
    """The median of sorted numbers, at least one."""
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def period_of(times: list[int] | None) -> tuple[int, int]:
    """The median interval between the times, and the median deviation from it (nanoseconds); NO_TIME with too few."""
    if times is None or len(times) < FEWEST or NO_TIME in times:
        return NO_TIME, NO_TIME
    intervals = sorted(later - earlier for earlier, later in pairwise(times))
    period = median(intervals)
    return period, median(sorted(abs(interval - period) for interval in intervals))
