"""A progress bar on the terminal, for work that takes longer than a moment."""

from __future__ import annotations

import time
from typing import Any, TextIO

PATIENCE = 1.0
"""Seconds of work before a bar appears."""


class ProgressBar:
    """Called with (bytes read, bytes in all or None); `close` takes the bar away."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, done: int, total: int | None) -> None:
        """So much is read."""
        if self._bar is None:
            if time.monotonic() - self._begun < PATIENCE:
                return
            self._open()
        self._bar.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """The work is over."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            self._begun = time.monotonic()

    def _open(self) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("reading"),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TimeRemainingColumn(),
            console=Console(file=self._stream),
            transient=True,
        )
        self._task = self._bar.add_task("reading", total=None)
        self._bar.start()
