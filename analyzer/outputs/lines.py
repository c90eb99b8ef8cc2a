"""Writes rows of numbers and text as lines of CSV (RFC 4180) into one buffer, no object per cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from analyzer.outputs.cells import moment

if TYPE_CHECKING:
    import cython

TEXT, NUMBER, UNSIGNED, BOOLEAN, TIME, DURATION, SAME = range(7)
MISSING = -(1 << 63)  # records.MISSING and NO_TIME
NUMBER_MOST = 40  # bytes that a number, a time or a duration takes at most, with room to spare
FIRST_SIZE = 1 << 16
TEXTS_KEPT = 1024
SECOND = 1_000_000_000
UNSIGNED_RANGE = 1 << 64
FRACTION = 10  # characters of a time's fraction and the Z after it
COMMA, LINE_FEED, MINUS, POINT, ZERO, ZULU = b",\n-.0Z"


class Field:
    """One column. kind: how it is written; numbers: those of the rows in hand.

    make(number): the field's bytes for the kind TEXT; called again only where the number is not one of the last ones.
    """

    def __init__(self, kind: int, make: Callable[[int], bytes] | None = None) -> None:
        self.kind = kind
        self.numbers: Any = None
        self.make = make
        self.texts: dict[int, bytes] = {}
        self.last = MISSING
        self.last_text = b""

    def take(self, numbers: Any) -> None:
        """Have these rows in hand."""
        self.numbers = numbers

    def is_constant(self) -> cython.bint:
        """All rows in hand have one number."""
        row: cython.Py_ssize_t
        for row in range(1, len(self.numbers)):
            if self.numbers[row] != self.numbers[0]:
                return False
        return True

    def text(self, number: cython.longlong) -> bytes:
        """The bytes for a number."""
        if number != self.last:
            text: bytes | None = self.texts.get(number)
            if text is None:
                text = self.make(number)  # type: ignore[misc]
                if len(self.texts) >= TEXTS_KEPT:
                    self.texts.clear()
                self.texts[number] = text
            self.last = number
            self.last_text = text
        return self.last_text


class Lines:
    """A buffer of lines."""

    def __init__(self) -> None:
        self.content = bytearray(FIRST_SIZE)
        self.buffer: Any = self.content
        self.at = 0
        self.second = MISSING
        self.second_text = b""

    def of(self, fields: Sequence[Field], count: cython.Py_ssize_t) -> str:
        """The lines of the rows in hand, so many, each with its line end."""
        row: cython.Py_ssize_t
        parts: Any = self.parts(fields)
        self.at = 0
        for row in range(count):
            self.line(parts, row)
        return self.content[: self.at].decode()

    def parts(self, fields: Sequence[Field]) -> list[Field]:
        """What makes each line: fields that differ, and between them what does not."""
        parts: list[Field] = []
        field: Field
        self.at = 0
        for field in fields:
            if field.is_constant():
                self.cell(field, 0)
                continue
            self.same(parts)
            parts.append(field)
        self.same(parts)
        return parts

    def same(self, parts: Any) -> None:
        """What is in the buffer is a part of every line."""
        if self.at:
            part: Field = Field(SAME)
            part.last_text = bytes(self.content[: self.at])
            parts.append(part)
            self.at = 0

    def line(self, parts: Any, row: cython.Py_ssize_t) -> None:
        """Append one line."""
        part: Field
        for part in parts:
            if part.kind == SAME:
                self.put(part.last_text)
            else:
                self.cell(part, row)
        self.buffer[self.at - 1] = LINE_FEED

    def cell(self, field: Field, row: cython.Py_ssize_t) -> None:
        """Append one field and a comma."""
        kind: cython.int = field.kind
        value: cython.longlong = field.numbers[row]
        self.room(NUMBER_MOST)
        if kind == TEXT:
            self.put(field.text(value))
            self.room(1)
        elif kind == UNSIGNED:
            self.put(str(value % UNSIGNED_RANGE).encode())
        elif kind == BOOLEAN:
            if value >= 0:
                self.put(b"true" if value else b"false")
        elif value != MISSING:
            if kind == NUMBER:
                self.signed(value)
            elif kind == TIME:
                self.time(value)
            else:
                self.duration(value)
        self.buffer[self.at] = COMMA
        self.at += 1

    def room(self, size: cython.Py_ssize_t) -> None:
        """Have room for so many more bytes."""
        have: cython.Py_ssize_t = len(self.content)
        if have - self.at >= size:
            return
        larger: bytearray = bytearray(2 * have + size)
        larger[: self.at] = self.content[: self.at]
        self.content = larger
        self.buffer = larger

    def put(self, text: bytes) -> None:
        """Append bytes as they are."""
        size: cython.Py_ssize_t = len(text)
        index: cython.Py_ssize_t
        at: cython.Py_ssize_t = self.at
        self.room(size)
        for index in range(size):
            self.buffer[at + index] = text[index]
        self.at = at + size

    def signed(self, value: cython.longlong) -> None:
        """Append a whole number."""
        if value < 0:
            self.buffer[self.at] = MINUS
            self.at += 1
            value = -value
        self.digits(value, 1)

    def digits(self, value: cython.longlong, least: cython.int) -> None:
        """Append a number that is not negative, with zeros before it where it has fewer digits."""
        rest: cython.longlong = value
        size: cython.int = 1
        index: cython.Py_ssize_t
        while rest >= 10:
            rest //= 10
            size += 1
        size = max(size, least)
        for index in range(self.at + size - 1, self.at - 1, -1):
            self.buffer[index] = ZERO + value % 10
            value //= 10
        self.at += size

    def duration(self, value: cython.longlong) -> None:
        """Append nanoseconds as seconds with nine fractional digits (cells.seconds)."""
        if value < 0:
            self.buffer[self.at] = MINUS
            self.at += 1
            value = -value
        self.digits(value // SECOND, 1)
        self.buffer[self.at] = POINT
        self.at += 1
        self.digits(value % SECOND, 9)

    def time(self, value: cython.longlong) -> None:
        """Append a time as ISO 8601 (cells.moment)."""
        second: cython.longlong = value // SECOND
        if second != self.second:
            self.second = second
            self.second_text = moment(value)[:-FRACTION].encode()
        self.put(self.second_text)
        self.digits(value - second * SECOND, 9)
        self.buffer[self.at] = ZULU
        self.at += 1
