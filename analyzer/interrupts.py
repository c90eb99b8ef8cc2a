"""Ctrl-C as the end of reading, for the command: what was read until then is still told.

Raising in the midst of a stage would leave it in no defined state, so an interrupt takes effect where input is read: in
the read that waits, or before the next one. Elsewhere (a notebook, say) KeyboardInterrupt stays what it is.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


class Interrupted(KeyboardInterrupt):
    """The person wants no more input to be read."""


class _State:
    asked = False
    reading = False


def asked() -> bool:
    """Whether the last reading under `end_reading` was interrupted."""
    return _State.asked


@contextlib.contextmanager
def end_reading() -> Iterator[None]:
    """Have the first interrupt end the reading, and a second one raise KeyboardInterrupt at once. Main thread only."""

    def note(number: int, frame: object) -> None:
        if _State.asked:
            raise KeyboardInterrupt
        _State.asked = True
        if _State.reading:
            raise Interrupted

    _State.asked = False
    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Around every read of input: raises Interrupted if reading was to end, or is to end meanwhile."""
    _State.reading = True
    try:
        if _State.asked:
            raise Interrupted
        yield
    finally:
        _State.reading = False
