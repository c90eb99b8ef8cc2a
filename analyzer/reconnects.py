"""Pairs every connection that ended with the client's next one to the same service (RFC 6455 7.2.3).

A client is told by its address (the forwarded one where a proxy names it), user agent, host and path without query.
Where several ended connections may be the one that came back, they are paired in order of time, `ambiguous` says so,
and whether the advice was followed is said only where it holds for each of them. Of many that ended together and came
back after one and the same delay none waited at random.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address

from analyzer import limits
from analyzer.catalogs import catalog_for
from analyzer.closecodes import CloseCode
from analyzer.records import MISSING

SECOND = 1_000_000_000
ABNORMAL = 1006  # told where no Close came (RFC 6455 7.1.5)
NO_DELAY = SECOND // 20
"""A reconnect sooner than this was not delayed on purpose: dispatch and one round trip take about as long. Delays that
differ less are equal."""
TOGETHER = SECOND
HERD = 5
"""Clients whose equal delays can't be random."""
RANDOM = ("random delay", "random 5-30 s")
NO_PERSON = 5 * SECOND
"""A reconnect sooner than this was not asked for by a person."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection as a client made it. start, end: nanoseconds; end: None while open; code: what the client was
    told, None where that is not known; failed: it never opened; abnormal: it ended without a Close, and not by the
    client's own doing. packet, file: where it begins."""

    connection: int
    client: str
    user_agent: str | None
    host: str | None
    path: str | None
    subprotocol: str | None
    server: tuple[str, int]
    start: int
    end: int | None
    code: int | None
    failed: bool
    abnormal: bool = False
    packet: int = MISSING
    file: int = 0

    @property
    def service(self) -> tuple[str, str | None, str | None, str | None]:
        """By what a client's connections to one service are told."""
        path = None if self.path is None else self.path.partition("?")[0]
        return self.client, self.user_agent, host_name(self.host), path


@dataclass(frozen=True, slots=True)
class Reconnect:
    """One row of the table; followed: 1 yes, 0 no, -1 where that can't be said. delay: nanoseconds; alike:
    others that should have come back at random, ended at the same moment and came back after the same delay."""

    connection: int
    next_connection: int
    delay: int
    same_server: int
    ambiguous: int
    code: int
    advice: str
    followed: int
    alike: int = 0


def host_name(host: str | None) -> str | None:
    """The Host field without its port; "" for every literal address, as another server of the service has another."""
    if host is None:
        return None
    name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0].lower()
    try:
        ip_address(name)
    except ValueError:
        return name
    return ""


def pairs(attempts: Iterable[Attempt]) -> Iterator[Reconnect]:
    """The reconnects of all clients. attempts: in any order."""
    services: dict[object, list[Attempt]] = {}
    ended: dict[int, Attempt] = {}
    for attempt in attempts:
        services.setdefault(attempt.service, []).append(attempt)
        ended[attempt.connection] = attempt
    found = [pair for same in services.values() if len(same) > 1 for pair in _pairs_of(same)]
    herds = _herds(found, ended)
    for pair in found:
        alike = herds.get(pair.next_connection)
        yield pair if alike is None else replace(pair, followed=0, alike=alike)


def _herds(found: Iterable[Reconnect], ended: dict[int, Attempt]) -> dict[int, int]:
    """Connections that came back after the same delay as many others which ended at the same moment, with how many."""
    servers: dict[tuple[str, int], list[Reconnect]] = {}
    for pair in found:
        before = ended[pair.connection]
        if pair.advice in RANDOM and not before.failed and pair.delay >= NO_DELAY:
            servers.setdefault(before.server, []).append(pair)
    herds: dict[int, int] = {}
    for same in servers.values():
        same.sort(key=lambda pair: _end(ended[pair.connection]))
        begin = 0
        for place in range(1, len(same) + 1):
            last = _end(ended[same[begin].connection]) + TOGETHER
            if place < len(same) and _end(ended[same[place].connection]) <= last:
                continue
            herds |= _one_delay(sorted(same[begin:place], key=lambda pair: pair.delay))
            begin = place
    return herds


def _one_delay(moment: list[Reconnect]) -> dict[int, int]:
    """Those of one moment, by delay, most of which have the same one."""
    delays = [pair.delay for pair in moment]
    for first, delay in enumerate(delays):
        last = bisect_right(delays, delay + max(NO_DELAY, delay // 100))
        if last - first >= max(HERD, len(moment) // 2 + 1):
            return {pair.next_connection: last - first - 1 for pair in moment[first:last]}
    return {}


def _pairs_of(attempts: list[Attempt]) -> Iterator[Reconnect]:
    """The reconnects of one client (or of several that can't be told apart)."""
    ends = deque(sorted((a for a in attempts if a.end is not None), key=lambda a: (a.end, a.start, a.connection)))
    waiting: deque[Attempt] = deque()
    waited: dict[int, int] = {}  # connection -> the delay before it
    doubtful = False
    for following in sorted(attempts, key=lambda a: (a.start, a.connection)):
        while ends and ends[0] is not following and _end(ends[0]) <= following.start:
            waiting.append(ends.popleft())
        while waiting and following.start - _end(waiting[0]) > limits.RECONNECT_SECONDS * SECOND:
            waiting.popleft()
        if not waiting:
            continue
        doubtful = doubtful or len(waiting) > 1
        verdicts = {-1}
        if len(waiting) <= limits.RECONNECTS_COMPARED:
            verdicts = {_followed(each, following, waited.get(each.connection)) for each in waiting}
        ended = waiting.popleft()
        delay = following.start - _end(ended)
        waited[following.connection] = delay
        yield Reconnect(
            ended.connection,
            following.connection,
            delay,
            int(ended.server == following.server),
            int(doubtful),
            MISSING if ended.code is None else ended.code,
            _advice(ended),
            verdicts.pop() if len(verdicts) == 1 else -1,
        )
        doubtful = doubtful and bool(waiting)


def _end(attempt: Attempt) -> int:
    assert attempt.end is not None
    return attempt.end


def _advice(ended: Attempt) -> str:
    """What the code asks of the client: by the application's catalog, else by the registry. A key of ADVICE. Of a
    client that ended it itself, without a Close, nothing is asked."""
    if ended.code is None or (ended.code == ABNORMAL and not ended.failed and not ended.abnormal):
        return "unsaid"
    catalog = catalog_for(ended.subprotocol, ended.host, ended.path)
    known = catalog.code(ended.code) if catalog is not None else None
    return CloseCode(ended.code).advice if known is None else known.retry


def _followed(ended: Attempt, following: Attempt, delay_before: int | None) -> int:
    """Was the advice followed? delay_before: how long the client had waited before the connection that ended."""
    delay = following.start - _end(ended)
    grew = delay_before is None or delay > delay_before
    match _advice(ended):
        case "no":
            return 0
        case "yes" | "at once":
            return 1
        case "random 5-30 s":
            return int(delay >= 5 * SECOND)
        case "other server":
            if ended.server != following.server:
                return 1
            return 0 if delay < NO_PERSON else -1
        case "back off" | "random delay":
            if delay < NO_DELAY:
                return 0
            return int(grew) if ended.failed else 1
    return -1
