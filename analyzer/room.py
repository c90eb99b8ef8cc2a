"""Bounds what all connections together keep until it is known what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cython

KEEPER = 300  # bytes of memory for knowing of one


class Room:
    """What is kept: bytes beyond holes, heads and frames under way, what waits for an answer or for secrets.

    size: bytes that may be kept; full: more are, and make_way is due as soon as no bytes are being handed on.
    given_way: how often something was let go for it.
    """

    def __init__(self, size: int) -> None:
        self.size: cython.longlong = size
        self.taken: cython.longlong = 0
        self.given_way: cython.longlong = 0
        self.full: cython.bint = False
        self.keepers: dict[Any, tuple[int, Callable[[Any], object]]] = {}  # those that have kept longest first

    def weigh(self, keeper: Any, cost: cython.longlong, give_way: Callable[[Any], object]) -> None:
        """A keeper keeps so much now, in bytes of memory, about; 0: nothing. give_way(keeper) has it keep less."""
        known = self.keepers.get(keeper)
        if known is not None:
            self.taken -= known[0]
        if cost > 0:
            self.keepers[keeper] = cost + KEEPER, give_way
            self.taken += cost + KEEPER
            self.full = self.taken > self.size
        elif known is not None:
            del self.keepers[keeper]

    def make_way(self) -> None:
        """Have those that have kept longest let go, until there is room."""
        while self.taken > self.size:
            keeper, (cost, give_way) = next(iter(self.keepers.items()))
            self.taken -= cost
            del self.keepers[keeper]
            self.given_way += 1
            give_way(keeper)
        self.full = False
