"""IP fragments put together (RFC 791 3.2, RFC 8200 4.5). Bounded by limits.FRAGMENTS_BYTES and FRAGMENTS_SECONDS."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable
from dataclasses import dataclass, field

from analyzer import limits
from analyzer.records import NO_TIME

OVERHEAD = 256  # what keeping a piece costs beside its bytes; without it, empty fragments would cost nothing
SECOND = 1_000_000_000


@dataclass(slots=True, frozen=True)
class Datagram:
    """A datagram put together.

    protocol: what it holds, as its first fragment says; data: its bytes, up to the first that the snapshot length cut;
    length: bytes on the wire; handed: how many of them, from its first, were handed on before it was whole;
    earlier_fragments: packets it came in, without the one that made it whole and one that was handed on.
    """

    protocol: int
    data: bytes
    length: int
    earlier_fragments: int
    handed: int = 0


@dataclass(slots=True)
class _Pieces:
    """What came of one datagram: pieces in order without overlap, as (offset, length on the wire, captured bytes)."""

    time: int
    ordered: list[tuple[int, int, bytes]] = field(default_factory=list)
    covered: int = 0  # bytes on the wire, all pieces
    kept: int = 0  # what the pieces cost
    packets: int = 0
    total: int = -1  # known from the last fragment
    protocol: int = -1  # known from the first fragment
    handed: int = 0  # bytes on the wire

    def add(self, offset: int, length: int, data: bytes) -> None:
        """Add what is new of a fragment: where it overlaps, the first copy stays."""
        stop = offset + length if self.total < 0 else min(offset + length, self.total)
        place = bisect_right(self.ordered, offset, key=lambda piece: piece[0])
        if place:
            before, size, _ = self.ordered[place - 1]
            at = max(offset, before + size)
        else:
            at = offset
        while at < stop:
            following = self.ordered[place] if place < len(self.ordered) else None
            gap_end = min(stop, following[0]) if following else stop
            if at < gap_end:
                piece = data[at - offset : gap_end - offset]
                self.ordered.insert(place, (at, gap_end - at, piece))
                self.covered += gap_end - at
                self.kept += len(piece) + OVERHEAD
                place += 1
            if following is None:
                return
            at = max(gap_end, following[0] + following[1])
            place += 1

    def end_at(self, total: int) -> None:
        """Set the length of the datagram; pieces beyond it are none of it."""
        self.total = total
        while self.ordered and sum(self.ordered[-1][:2]) > total:
            offset, length, data = self.ordered.pop()
            self.covered -= length
            self.kept -= len(data) + OVERHEAD
            if offset < total:
                self.add(offset, total - offset, data[: total - offset])

    def joined(self) -> Datagram | None:
        """The datagram, once every byte of it was on the wire."""
        if self.covered != self.total or self.protocol < 0:
            return None
        parts = []
        for _, length, data in self.ordered:
            parts.append(data)
            if len(data) < length:
                break
        return Datagram(self.protocol, b"".join(parts), self.total, self.packets - 1, self.handed)


class Fragments:
    """Keeps fragments until their datagrams are whole, too old, or too many: then the oldest datagrams go first."""

    def __init__(self) -> None:
        self._datagrams: dict[Hashable, _Pieces] = {}
        self._kept = 0

    def add(
        self, key: Hashable, time: int, protocol: int, offset: int, more: bool, data: bytes, length: int
    ) -> Datagram | None:
        """Take one fragment; the datagram if it is whole now, else None.

        key: what its fragments have in common; time: of capture, or NO_TIME; offset, length: its place in the datagram
        as it was on the wire; more: others follow it; data: the captured ones of its bytes. Raises nothing.
        """
        self._expire(key, time)
        pieces = self._datagrams.get(key)
        if pieces is None:
            pieces = self._datagrams[key] = _Pieces(time, kept=OVERHEAD)
            self._kept += OVERHEAD
        before = pieces.kept
        pieces.packets += 1
        if offset == 0 and pieces.protocol < 0:
            pieces.protocol = protocol
        if not more and pieces.total < 0:
            pieces.end_at(offset + length)
        pieces.add(offset, length, data)
        self._kept += pieces.kept - before
        whole = pieces.joined()
        if whole is not None:
            self._drop(key)
        while self._kept > limits.FRAGMENTS_BYTES:
            self._drop(next(iter(self._datagrams)))
        return whole

    def hand_on(self, key: Hashable, first: bytes, length: int) -> bool:
        """Whether the bytes of the first fragment, just added, go on before the datagram is whole; once at the most."""
        pieces = self._datagrams.get(key)
        if pieces is None or pieces.handed or pieces.ordered[:1] != [(0, length, first)]:
            return False
        pieces.handed = length
        pieces.packets -= 1
        return True

    def _expire(self, key: Hashable, now: int) -> None:
        """Drop what is too old by `now`: datagrams at the head of the queue, and that of `key` wherever it stands."""
        while self._datagrams:
            oldest = next(iter(self._datagrams))
            if not self._too_old(oldest, now):
                break
            self._drop(oldest)
        if key in self._datagrams and self._too_old(key, now):
            self._drop(key)

    def _too_old(self, key: Hashable, now: int) -> bool:
        began = self._datagrams[key].time
        return NO_TIME not in (now, began) and now - began > limits.FRAGMENTS_SECONDS * SECOND

    def _drop(self, key: Hashable) -> None:
        self._kept -= self._datagrams.pop(key).kept
