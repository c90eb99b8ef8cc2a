"""Devices whose default timers are known (timers.toml), found by the clock and the seconds of a timer."""

from __future__ import annotations

import functools
from typing import NamedTuple

EARLY = 0.3  # seconds that nginx fires before its time
EXACT = 0.01


class Device(NamedTuple):
    """A default timer. clock: idle or lifetime."""

    seconds: float
    clock: str
    name: str
    source: str


@functools.cache
def devices() -> tuple[Device, ...]:
    """All that are known, by seconds."""
    import tomllib
    from importlib.resources import files

    data = tomllib.loads(files("analyzer.diagnosis").joinpath("timers.toml").read_text("utf-8"))
    return tuple(Device(**entry) for entry in data["timer"])


def device_of(seconds: float, lifetime: bool) -> Device | None:
    """The device whose default timer this may be; None if none is known."""
    clock = "lifetime" if lifetime else "idle"
    for device in devices():
        late = max(0.05, device.seconds * EXACT)
        if device.clock == clock and device.seconds - EARLY - late / 5 <= seconds <= device.seconds + late:
            return device
    return None
