"""What a column and a table are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

INTEGER, UNSIGNED, BOOLEAN = "Int64", "UInt64", "boolean"
TIME, DURATION = "datetime64[ns, UTC]", "timedelta64[ns]"
TEXT, CATEGORY, BYTES = "string", "category", "object"
NUMBERS = (INTEGER, UNSIGNED, BOOLEAN, TIME, DURATION)


@dataclass(frozen=True)
class Column:
    """One column.

    of: makes the value of what the sources give; values: the same as a mapping, for a category, whose order is the
    category's. A category with neither is one of the input files: the source gives its index, and the column exists
    only when there is more than one file.
    group: `of` is called, and text is kept, once for each distinct set of values of the columns of a group. What
    differs from row to row is in a group of its own.
    """

    name: str
    dtype: str
    meaning: str
    sources: str | tuple[str, ...]
    of: Callable[..., Any] | None = None
    values: Mapping[Any, str] | None = None
    group: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """Its sources."""
        return (self.sources,) if isinstance(self.sources, str) else self.sources

    @property
    def is_plain_number(self) -> bool:
        """Whether the source itself gives the number."""
        return self.dtype in NUMBERS and self.of is None

    @property
    def names_file(self) -> bool:
        """Whether it says which input file."""
        return self.dtype == CATEGORY and self.values is None

    @property
    def categories(self) -> list[str]:
        """The category's full list, in order; empty for any other column and for files."""
        return list(dict.fromkeys((self.values or {}).values()))


@dataclass(frozen=True)
class Table:
    """One table. streams: rows can be handed out in pieces as they are seen; index: the column that is the index."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    streams: bool = True
    index: str | None = None

    def columns_for(self, files: int) -> tuple[Column, ...]:
        """Its columns for an input of so many files."""
        return tuple(column for column in self.columns if files > 1 or not column.names_file)


def words_of(numbers: Mapping[str, int]) -> dict[int, str]:
    """A closed vocabulary whose words stand in the records as numbers."""
    return {number: word for word, number in numbers.items()}


def words(*values: str) -> dict[str, str]:
    """A closed vocabulary whose words stand in the records themselves."""
    return {value: value for value in values}
