"""Rules that are judged when nothing more comes of a connection (RFC 6455 5.5.1, 5.5.2, 7.1.1)."""

from __future__ import annotations

from analyzer.records import NO_TIME, Close, Connection, Side
from analyzer.rules.catalog import MUST

SECOND = 1_000_000_000
HALF_WRAP = 1 << 31
ANSWER_DUE = SECOND
"""A Close or Ping not answered for so long was not answered: a round trip takes less."""
SERVER_CLOSE_DUE = 2 * SECOND
"""A server that keeps TCP open for so long after both Closes does not close it at once."""
FAILING = (1002, 1003, 1007, 1008, 1009, 1010, 1011)
"""Codes of an endpoint that fails the connection (RFC 6455 7.1.7): it need not wait for an answer, nor get one."""
Finding = tuple[str, str, str, str]


def first_close(side: Side) -> Close | None:
    """The Close that counts."""
    return side.closes[0] if side.closes else None


def all_seen(side: Side) -> bool:
    """Nothing of this side's frames is missing."""
    half = side.half
    return side.exact and not side.broken and half is not None and half.packets > 0 and not half.lost_bytes


def acknowledged(sender: Side) -> int:
    """How far the peer has acknowledged the side's bytes: behind its last one (negative), or all of them."""
    half, receiver = sender.half, sender.peer.half
    if not receiver.acknowledges or not half.known:
        return -HALF_WRAP
    behind: int = (receiver.acknowledgment - half.next) & (2 * HALF_WRAP - 1)
    return behind if behind < HALF_WRAP else behind - 2 * HALF_WRAP


def unanswered(close: Close, until: int) -> Finding | None:
    """C3 of a Close without an answer. until: time to which one could have come, NO_TIME where that is not known. One
    that TCP did not acknowledge may never have come."""
    if close.sender.half.offset + acknowledged(close.sender) < close.end:
        return None
    if close.code in FAILING or NO_TIME in (until, close.time) or until - close.time < ANSWER_DUE:
        return None
    return "C3", MUST, "a Close in answer", f"none in {(until - close.time) / SECOND:.1f} s"


def server_closes(connection: Connection, later: Close, until: int) -> Finding | None:
    """C5. later: the second of both Closes; until: the first FIN or RST, else how far the capture goes."""
    if NO_TIME in (later.time, until) or until - later.time < SERVER_CLOSE_DUE:
        return None
    return "C5", MUST, "the TCP connection closed at once", f"still open after {(until - later.time) / SECOND:.1f} s"


def pings(side: Side) -> tuple[int, Finding] | None:
    """P1: what the side's peer owes; the time of the first Ping and the finding. Only while the peer goes on sending,
    before the first Close or the end, is it known to be there, and only what TCP acknowledged to have come."""
    connection = side.connection
    alive = connection.ending_last_server if side.is_client else connection.ending_last_client
    if connection.ending == NO_TIME:
        alive = side.peer.last_frame
    if not side.outstanding_pings or alive == NO_TIME:
        return None
    times = [time for time, *_ in side.outstanding_pings]
    due = [time for time in times if time != NO_TIME and time + ANSWER_DUE < alive]
    if not due or NO_TIME in times or acknowledged(side) < 0:
        return None
    return due[0], ("P1", MUST, "a Pong", f"none to {len(due)} Pings in {(alive - due[0]) / SECOND:.1f} s")
