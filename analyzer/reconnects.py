"""Pairs every connection that ended with the client's next one to the same service (RFC 6455 7.2.3).

A client is told by its address (the forwarded one where a proxy names it), user agent, host and path without query.
Where several ended connections may be the one that came back, they are paired in order of time, `ambiguous` says so,
and whether the advice was followed is said only where it holds for each of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from analyzer import limits
from analyzer.catalogs import catalog_for
from analyzer.closecodes import CloseCode
from analyzer.records import MISSING

SECOND = 1_000_000_000
ABNORMAL = 1006  # told where no Close came (RFC 6455 7.1.5)
NO_DELAY = SECOND // 20
"""A reconnect sooner than this was not delayed on purpose: dispatch and one round trip take about as long."""
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
    """One row of the table; followed: 1 yes, 0 no, -1 where that can't be said. delay: nanoseconds."""

    connection: int
    next_connection: int
    delay: int
    same_server: int
    ambiguous: int
    code: int
    advice: str
    followed: int


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
    for attempt in attempts:
        services.setdefault(attempt.service, []).append(attempt)
    for same_service in services.values():
        if len(same_service) > 1:
            yield from _pairs_of(same_service)


def _pairs_of(attempts: list[Attempt]) -> Iterator[Reconnect]:
    """The reconnects of one client (or of several that can't be told apart)."""
    ends = deque(sorted((a for a in attempts if a.end is not None), key=lambda a: (a.end, a.connection)))
    waiting: deque[Attempt] = deque()
    waited: dict[int, int] = {}  # connection -> the delay before it
    doubtful = False
    for following in sorted(attempts, key=lambda a: (a.start, a.connection)):
        while ends and _end(ends[0]) <= following.start:
            ended = ends.popleft()
            if ended is not following:
                waiting.append(ended)
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
