"""Keeps what arrived beyond a hole in a byte stream, as pieces in order. Knows intervals and nothing else."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

PIECE_COST = 300  # bytes of memory for keeping a piece and its tag, beside its own


class Assembler:
    """Pieces (offset, length, data) beyond a hole: sorted, never overlapping, the first copy of a byte wins.

    data may be shorter than length: the rest was cut off by the snapshot length.
    Learnt from smoltcp's assembler, which also rejects without change.
    """

    def __init__(self) -> None:
        self._offsets: list[int] = []
        self._pieces: list[tuple[int, bytes, Any]] = []
        self.held_bytes = 0

    def cost(self) -> int:
        """Memory that the pieces take, in bytes, about: many small ones cost more than their bytes."""
        return self.held_bytes + PIECE_COST * len(self._offsets)

    def __bool__(self) -> bool:
        return bool(self._offsets)

    def first(self) -> int:
        """Offset of the first piece; only while there is one."""
        return self._offsets[0]

    def tag(self) -> Any:
        """What was given with the segment of the first piece; only while there is one."""
        return self._pieces[0][2]

    def add(self, offset: int, length: int, data: bytes, tag: Any = None) -> tuple[int, int]:
        """Keep what is new of a segment; return (captured bytes held before, how many of them differ).

        tag: whatever the caller wants to find again with its pieces.
        """
        duplicate = conflicting = 0
        index = max(bisect_right(self._offsets, offset) - 1, 0)
        while length > 0 and index < len(self._offsets):
            at, (size, held, _) = self._offsets[index], self._pieces[index]
            if at + size <= offset:
                index += 1
                continue
            if at > offset:
                new = min(length, at - offset)
                index = self._insert(index, offset, new, data[:new], tag)
            else:
                new = min(length, at + size - offset)
                again, before = data[:new], held[offset - at : offset - at + new]
                duplicate += len(again)
                conflicting += sum(a != b for a, b in zip(again, before, strict=False)) if again != before else 0
                index += 1
            offset, length, data = offset + new, length - new, data[new:]
        if length > 0:
            self._insert(index, offset, length, data, tag)
        return duplicate, conflicting

    def _insert(self, index: int, offset: int, length: int, data: bytes, tag: Any) -> int:
        self._offsets.insert(index, offset)
        self._pieces.insert(index, (length, data, tag))
        self.held_bytes += len(data)
        return index + 1

    def pop(self) -> tuple[int, int, bytes]:
        """Take the first piece out: (offset, length, data)."""
        length, data, _ = self._pieces.pop(0)
        self.held_bytes -= len(data)
        return self._offsets.pop(0), length, data
