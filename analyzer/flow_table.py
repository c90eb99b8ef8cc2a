"""Numbers four-tuples: an open-addressed hash table in arrays. Knows keys and nothing else."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cython

LOW_32 = (1 << 32) - 1
SPREAD = 2654435769  # 2^32 over the golden ratio: Fibonacci hashing


def grown(values: Any, kind: str, size: int) -> Any:
    """A copy of an array with room for `size` items, the new ones zero."""
    result = array(kind, bytes(size * array(kind).itemsize))
    memoryview(result)[: len(values)] = memoryview(values)
    return result


class FlowTable:
    """Numbers four-tuples: 0, 1, 2 ..., numbers of removed ones again. An open-addressed table of indexes.

    The key in hand stands in the fields low_high ... high_low (addresses) and rest (version, point, ports).
    `seed` is random, so that nobody can choose addresses that fall together.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed & LOW_32
        self.capacity = 1024
        self.used = 0
        self.mask = 4 * 1024 - 1
        self.occupied = 0  # slots that hold an index or did
        self.slots = array("i", [-1]) * (4 * 1024)
        self.keys = array("Q", bytes(40 * 1024))
        self.free: list[int] = []
        self.low_high = self.low_low = self.high_high = self.high_low = self.rest = 0

    def _slot_of(self) -> cython.Py_ssize_t:
        """Where the search for the key in hand begins."""
        word: cython.ulonglong = self.low_low ^ self.low_high
        mixed: cython.ulonglong = ((word ^ (word >> 32) ^ self.seed) & LOW_32) * SPREAD
        word = self.high_low ^ self.high_high
        mixed = ((mixed ^ (mixed >> 32) ^ word ^ (word >> 32)) & LOW_32) * SPREAD
        word = self.rest
        mixed = ((mixed ^ (mixed >> 32) ^ word ^ (word >> 32)) & LOW_32) * SPREAD
        return ((mixed >> 32) ^ mixed) & self.mask

    def find(self) -> cython.Py_ssize_t:
        """The number of the key in hand, -1 if it has none."""
        slot: cython.Py_ssize_t = self._slot_of()
        index: cython.Py_ssize_t = self.slots[slot]
        at: cython.Py_ssize_t
        while index != -1:
            if index >= 0:
                at = 5 * index
                if (
                    self.keys[at + 4] == self.rest
                    and self.keys[at + 1] == self.low_low
                    and self.keys[at + 3] == self.high_low
                    and self.keys[at] == self.low_high
                    and self.keys[at + 2] == self.high_high
                ):
                    return index
            slot = (slot + 1) & self.mask
            index = self.slots[slot]
        return -1

    def add(self) -> cython.Py_ssize_t:
        """Give the key in hand a number; it must have none."""
        index: cython.Py_ssize_t
        slot: cython.Py_ssize_t
        at: cython.Py_ssize_t
        if self.free:
            index = self.free.pop()
        else:
            if self.used == self.capacity:
                self._grow()
            index = self.used
            self.used += 1
        if 2 * self.occupied > self.mask:
            self._rehash(self.mask + 1)
        slot = self._slot_of()
        while self.slots[slot] >= 0:
            slot = (slot + 1) & self.mask
        if self.slots[slot] == -1:
            self.occupied += 1
        self.slots[slot] = index
        at = 5 * index
        self.keys[at] = self.low_high
        self.keys[at + 1] = self.low_low
        self.keys[at + 2] = self.high_high
        self.keys[at + 3] = self.high_low
        self.keys[at + 4] = self.rest
        return index

    def remove(self, index: cython.Py_ssize_t) -> None:
        """Forget the number `index`. The key in hand stays."""
        slot: cython.Py_ssize_t
        kept = (self.low_high, self.low_low, self.high_high, self.high_low, self.rest)
        self._take_key(index)
        slot = self._slot_of()
        while self.slots[slot] != index:
            slot = (slot + 1) & self.mask
        self.slots[slot] = -2
        self.keys[5 * index + 4] = 0
        self.free.append(index)
        self.low_high, self.low_low, self.high_high, self.high_low, self.rest = kept

    def _take_key(self, index: cython.Py_ssize_t) -> None:
        """Put the key of a number in hand."""
        at: cython.Py_ssize_t = 5 * index
        self.low_high, self.low_low = self.keys[at], self.keys[at + 1]
        self.high_high, self.high_low = self.keys[at + 2], self.keys[at + 3]
        self.rest = self.keys[at + 4]

    def _grow(self) -> None:
        self.capacity *= 2
        self.keys = grown(self.keys, "Q", 5 * self.capacity)
        self._rehash(4 * self.capacity)

    def _rehash(self, slots: cython.Py_ssize_t) -> None:
        """Lay the slots anew, without those of removed numbers."""
        index: cython.Py_ssize_t
        slot: cython.Py_ssize_t
        kept = (self.low_high, self.low_low, self.high_high, self.high_low, self.rest)
        self.slots = array("i", [-1]) * slots
        self.mask = slots - 1
        self.occupied = 0
        for index in range(self.used):
            if self.keys[5 * index + 4] == 0:
                continue
            self._take_key(index)
            slot = self._slot_of()
            while self.slots[slot] >= 0:
                slot = (slot + 1) & self.mask
            self.slots[slot] = index
            self.occupied += 1
        self.low_high, self.low_low, self.high_high, self.high_low, self.rest = kept
