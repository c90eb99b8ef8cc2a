"""The limit of messages that a refused one suggests: a power of two, or the default of a library."""

from __future__ import annotations

import functools
from typing import NamedTuple

SMALLEST = 10
LARGEST = 40
"""Exponents of the powers of two that limits usually are."""


class Limit(NamedTuple):
    """A default limit (message_limits.toml)."""

    bytes: int
    name: str
    source: str


@functools.cache
def defaults() -> tuple[Limit, ...]:
    """All that are known, by size."""
    import tomllib
    from importlib.resources import files

    data = tomllib.loads(files("analyzer.diagnosis").joinpath("message_limits.toml").read_text("utf-8"))
    return tuple(Limit(**entry) for entry in data["limit"])


def suggested(refused: int, taken: int) -> str | None:
    """The largest usual limit below a message that was refused and not below one that was taken, in words; None if
    there is none."""
    names = {1 << power: f"2^{power}" for power in range(SMALLEST, LARGEST)}
    for limit in defaults():
        power = f" (2^{limit.bytes.bit_length() - 1})" if limit.bytes.bit_count() == 1 else ""
        names[limit.bytes] = f"{limit.bytes}{power}, the default of {limit.name}"
    fitting = [size for size in names if taken <= size < refused]
    if not fitting:
        return None
    size = max(fitting)
    return names[size] if "default" in names[size] else f"{size} ({names[size]})"
