"""Packed rows give back every number."""

from __future__ import annotations

import random
from array import array

import pytest

from analyzer.packed import Packed, picked

MISSING = -(1 << 63)
ROWS = 512  # of a block, as in analyzer.packed, where it is no name of Python
KINDS = {
    "equal": lambda draw: 7,
    "all missing": lambda draw: MISSING,
    "one or missing": lambda draw: draw.choice((5, MISSING)),
    "sides": lambda draw: draw.randrange(4),
    "negative": lambda draw: draw.randrange(-300, 3),
    "just a byte": lambda draw: draw.choice((1000, 1254, MISSING)),
    "just over a byte": lambda draw: draw.choice((1000, 1255, MISSING)),
    "times": lambda draw: 1_700_000_000_000_000_000 + draw.randrange(10**10),
    "times, some missing": lambda draw: draw.choice((MISSING, 1_700_000_000_000_000_000 + draw.randrange(10**12))),
    "hashes": lambda draw: draw.randrange(MISSING, 1 << 63),
    "the ends": lambda draw: draw.choice((MISSING, MISSING + 1, -1, 0, (1 << 63) - 1)),
}


@pytest.mark.parametrize("count", [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS + 5])
def test_every_number_comes_back(count: int) -> None:
    draw = random.Random(count)
    rows = [[kind(draw) for kind in KINDS.values()] for _ in range(count)]
    packed = Packed(len(KINDS))
    for row in rows:
        packed.append(row)
    assert packed.count == count
    assert [packed.row(number, len(KINDS)) for number in range(count)] == rows
    order = array("q", draw.sample(range(count), count))
    for column, name in enumerate(KINDS):
        assert packed.gather(column, order).tolist() == [rows[number][column] for number in order], name
        assert all(packed.get(number, column) == rows[number][column] for number in order)


def test_a_row_of_which_only_the_beginning_is_asked_for() -> None:
    packed = Packed(3)
    packed.append((1, 2, 3))
    assert packed.row(0, 2) == [1, 2]


def test_numbers_are_picked_from_rows_that_are_not_packed() -> None:
    assert picked(array("q", range(12)), 1, 3, array("q", (3, 0))).tolist() == [10, 1]
