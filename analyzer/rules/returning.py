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
NO_DELAY = SECOND // 20
"""Delays that differ less are equal; shorter ones are none: dispatch and one round trip take about as long."""
TOGETHER = SECOND
CLIENTS = 5
"""Clients whose equal delays can't be random."""
LEAST_GROWTH = 1.1
STUCK = 2
"""Waits in a row, each after a failed try, that were not longer than the one before."""
LONG_WAIT = 30 * SECOND
"""A wait as long as this need not grow any more: back-offs are truncated (RFC 6455 7.2.3)."""


def findings(pairs: Iterable[Any], attempts: Mapping[int, Any]) -> Iterator[tuple[int, Finding]]:
    """What is wrong, with the number of the connection that came too soon. attempts: by number."""
    pairs = sorted(pairs, key=lambda pair: attempts[pair.next_connection].start)
    alike = _equal_delays(pairs, attempts)
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
        elif number in alike:
            found = f"{delay / 1e9:.2f} s, as {alike[number]} others that ended with it"
            yield number, ("R1", SHOULD, "a random delay", found)
        elif stuck.get(number, 0) >= STUCK and delay < LONG_WAIT:
            yield number, ("R1", SHOULD, f"a wait longer than {(before or 0) / 1e9:.2f} s", f"{delay / 1e9:.2f} s")


def _equal_delays(pairs: Iterable[Any], attempts: Mapping[int, Any]) -> dict[int, int]:
    """Connections that came back after the same delay as many others which ended at the same moment, with how many."""
    services: dict[Any, list[Any]] = {}
    for pair in pairs:
        if attempts[pair.connection].abnormal and pair.delay >= NO_DELAY:
            services.setdefault(attempts[pair.connection].server, []).append(pair)
    found: dict[int, int] = {}
    for same in services.values():
        same.sort(key=lambda pair: attempts[pair.connection].end)
        begin = 0
        for place in range(1, len(same) + 1):
            last = attempts[same[begin].connection].end + TOGETHER
            if place < len(same) and attempts[same[place].connection].end <= last:
                continue
            found |= _one_delay(sorted(same[begin:place], key=lambda pair: pair.delay))
            begin = place
    return found


def _one_delay(moment: list[Any]) -> dict[int, int]:
    """Those of one moment, by delay, most of which have the same one."""
    for first, pair in enumerate(moment):
        width = max(NO_DELAY, pair.delay // 100)
        alike = [other.next_connection for other in moment[first:] if other.delay - pair.delay <= width]
        if len(alike) >= max(CLIENTS, len(moment) // 2 + 1):
            return dict.fromkeys(alike, len(alike) - 1)
    return {}
