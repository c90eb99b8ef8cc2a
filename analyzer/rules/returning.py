"""R1: how soon clients come back after an abnormal end (RFC 6455 7.2.3), from their connections and which followed
which (records of the module reconnects)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from analyzer.rules.catalog import SHOULD

Finding = tuple[str, str, str, str]
SECOND = 1_000_000_000
AT_ONCE = SECOND // 100
"""Sooner than this the same client did not wait, and another one is not likely to come."""
LEAST_GROWTH = 1.1
STUCK = 2
"""Waits in a row, each after a failed try, that were not longer than the one before."""
LONG_WAIT = 30 * SECOND
"""A wait as long as this need not grow any more: back-offs are truncated (RFC 6455 7.2.3)."""


def findings(pairs: Iterable[Any], attempts: Mapping[int, Any]) -> Iterator[tuple[int, Finding]]:
    """What is wrong, with the number of the connection that came too soon. attempts: by number."""
    pairs = sorted(pairs, key=lambda pair: attempts[pair.next_connection].start)
    waits: dict[int, int] = {}
    stuck: dict[int, int] = {}
    for pair in pairs:
        ended, delay, number = attempts[pair.connection], pair.delay, pair.next_connection
        before = waits.get(pair.connection)
        waits[number] = delay
        if ended.failed and before is not None and delay <= LEAST_GROWTH * before and not pair.ambiguous:
            stuck[number] = stuck.get(pair.connection, 0) + 1
        if ended.abnormal and delay < AT_ONCE and not pair.ambiguous:
            yield number, ("R1", SHOULD, "a random delay", f"{delay / 1e6:.1f} ms")
        elif ended.abnormal and pair.alike:
            found = f"{delay / 1e9:.2f} s, as {pair.alike} others that ended with it"
            yield number, ("R1", SHOULD, "a random delay", found)
        elif stuck.get(number, 0) >= STUCK and delay < LONG_WAIT:
            yield number, ("R1", SHOULD, f"a wait longer than {(before or 0) / 1e9:.2f} s", f"{delay / 1e9:.2f} s")
