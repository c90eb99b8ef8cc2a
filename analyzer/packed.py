"""Rows of whole numbers in little memory: in each block of rows a column takes as many bytes as its values need there.

Most columns of a block hold one value, or values near each other (times, packet numbers).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cython

ROWS = 512  # of a block: its numbers stay in the processor's cache until they are packed
MISSING = -(1 << 63)  # records.MISSING and NO_TIME
MOST = (1 << 63) - 1
FAR = 1 << 54  # values of one block that lie farther from 0 are kept as they are
HALF, HALF_RANGE, SIGN = 4, 1 << 32, 1 << 31  # bytes and range of half a number; what makes its upper half positive
BYTE = 256
NOT_PACKED = -1


class Packed:
    """Rows of `width` numbers of 64 bits (signed). count: rows; room: the numbers of the latest rows, not packed yet.

    A packed number is 0 where it is MISSING, else its distance from the block's lowest one and 1; in a block whose
    numbers of a column are all equal it takes nothing.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.count = 0
        self.numbers = array("q", bytes(8 * ROWS * width))
        self.room: Any = self.numbers
        self.one_column: Any = bytearray(8 * ROWS)
        self.size = 0
        self.packed, self.lowest, self.places = bytearray(), array("q"), array("q")
        self.sizes = bytearray()  # by block and column, as the next two: how many bytes a number takes
        self.lows: Any = None
        self.begins: Any = None
        self.bytes: Any = None

    def next_row(self) -> cython.Py_ssize_t:
        """A new row: where in `room` its numbers are to be put."""
        filled: cython.Py_ssize_t = self.count % ROWS
        if not filled and self.count:
            self.pack()
        self.count += 1
        return filled * self.width

    def append(self, values: Any) -> None:
        """A new row with these numbers."""
        at: cython.Py_ssize_t = self.next_row()
        number: cython.longlong
        for number in values:
            self.room[at] = number
            at += 1

    def pack(self) -> None:
        """Pack the block in `room`."""
        column: cython.Py_ssize_t
        size: cython.Py_ssize_t
        low: cython.longlong
        self.bytes = self.lows = self.begins = None  # else they could not grow
        for column in range(self.width):
            low = self.bounds(column)
            size = self.size
            self.sizes.append(size)
            self.lowest.append(low)
            self.places.append(len(self.packed))
            if size:
                self.put(column, size, low)
                self.packed += self.one_column[: ROWS * size]
        self.bytes, self.lows, self.begins = self.packed, self.lowest, self.places

    def bounds(self, column: cython.Py_ssize_t) -> cython.longlong:
        """The lowest number of a column of the block; `size`: how many bytes each takes."""
        low: cython.longlong = MOST
        high: cython.longlong = MISSING
        value: cython.longlong
        missing: cython.bint = False
        row: cython.Py_ssize_t
        for row in range(ROWS):
            value = self.room[row * self.width + column]
            if value == MISSING:
                missing = True
                continue
            low = min(low, value)
            high = max(high, value)
        self.size = 0
        if high == MISSING:
            return MISSING
        if low == high and not missing:
            return low
        if low < -FAR or high > FAR:
            self.size = 2 * HALF
            return low
        high -= low - 1
        while high:
            high //= BYTE
            self.size += 1
        return low

    def put(self, column: cython.Py_ssize_t, size: cython.Py_ssize_t, low: cython.longlong) -> None:
        """Write a column of the block into `one_column`: numbers of `size` bytes, the lowest byte first."""
        numbers: cython.longlong[::1] = self.room
        content: cython.uchar[::1] = self.one_column
        at: cython.Py_ssize_t = 0
        stop: cython.Py_ssize_t = 0
        width: cython.Py_ssize_t = self.width
        row: cython.Py_ssize_t
        rest: cython.longlong
        for row in range(ROWS):
            rest = numbers[row * width + column]
            if size == 2 * HALF:
                rest ^= MISSING  # the upper half is positive
            else:
                rest = 0 if rest == MISSING else rest - low + 1
            stop += size
            while at < stop:
                content[at] = rest & (BYTE - 1)
                rest >>= 8
                at += 1

    def get(self, row: cython.Py_ssize_t, column: cython.Py_ssize_t) -> cython.longlong:
        """One number."""
        block: cython.Py_ssize_t = row // ROWS
        place: cython.Py_ssize_t = block * self.width + column
        if place >= len(self.sizes):
            return self.room[(row - block * ROWS) * self.width + column]
        return self.number(place, self.sizes[place], row - block * ROWS)

    def number(self, place: cython.Py_ssize_t, size: cython.Py_ssize_t, row: cython.Py_ssize_t) -> cython.longlong:
        """One number of a packed column of a block, of so many bytes."""
        at: cython.Py_ssize_t
        number: cython.longlong
        if size == 0:
            return self.lows[place]
        at = self.begins[place] + row * size
        if size == 2 * HALF:
            return (self.bytes_at(at + HALF, HALF) - SIGN) * HALF_RANGE + self.bytes_at(at, HALF)
        number = self.bytes_at(at, size)
        return self.lows[place] + number - 1 if number else MISSING

    def bytes_at(self, at: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.longlong:
        """A number that is not negative."""
        number: cython.longlong = 0
        index: cython.Py_ssize_t
        for index in range(at + size - 1, at - 1, -1):
            number = number << 8 | self.bytes[index]
        return number

    def row(self, row: cython.Py_ssize_t, columns: cython.Py_ssize_t) -> list[int]:
        """The first numbers of a row."""
        return [self.get(row, column) for column in range(columns)]

    def gather(self, column: cython.Py_ssize_t, rows: cython.longlong[::1]) -> array[int]:
        """The numbers of a column in these rows."""
        found = array("q", bytes(8 * len(rows)))
        numbers: cython.longlong[::1] = found
        begin: cython.Py_ssize_t = 0  # of the block in hand, whose rows end at `stop`
        stop: cython.Py_ssize_t = 0
        place: cython.Py_ssize_t = 0
        size: cython.Py_ssize_t = 0
        row: cython.Py_ssize_t
        index: cython.Py_ssize_t
        for index in range(len(rows)):
            row = rows[index]
            if row >= stop or row < begin:
                begin = row // ROWS * ROWS
                stop = begin + ROWS
                place = begin // ROWS * self.width + column
                size = self.sizes[place] if place < len(self.sizes) else NOT_PACKED
            if size == NOT_PACKED:
                numbers[index] = self.room[(row - begin) * self.width + column]
            else:
                numbers[index] = self.number(place, size, row - begin)
        return found


def picked(
    numbers: cython.longlong[::1], offset: cython.Py_ssize_t, width: cython.Py_ssize_t, rows: cython.longlong[::1]
) -> array[int]:
    """The numbers at offset + row * width, for these rows."""
    found = array("q", bytes(8 * len(rows)))
    result: cython.longlong[::1] = found
    place: cython.Py_ssize_t
    for place in range(len(rows)):
        result[place] = numbers[offset + rows[place] * width]
    return found
