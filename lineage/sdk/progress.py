"""A bar for long work, only where a person watches: standard error is a terminal, nobody asked for quiet, and it really takes long.

rich loads when the first bar is drawn, never before. The bar is told of bytes or items as they happen and never steers the work.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lineage.sdk.terminal import TERMINAL, Loudness

PATIENCE = 1.0
"""Seconds of work before a bar appears."""

Advance = Callable[[int], None]


def is_watched() -> bool:
    """Would a person see a bar?"""
    return TERMINAL.loudness is Loudness.NORMAL and sys.stderr is not None and sys.stderr.isatty()


class _Bar:
    def __init__(self, title: str, total: int | None) -> None:
        self.title, self.total = title, total
        self.done = 0
        self.began = time.monotonic()
        self.shown: Any = None
        self.task: Any = None

    def advance(self, amount: int) -> None:
        self.done += amount
        if self.shown is None and time.monotonic() - self.began >= PATIENCE:
            self._show()
        if self.shown is not None:
            self.shown.update(self.task, completed=self.done)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self.shown = Progress(*columns, console=Console(stderr=True), transient=True)
        self.shown.start()
        self.task = self.shown.add_task(self.title, total=self.total)

    def close(self) -> None:
        if self.shown is not None:
            self.shown.stop()


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Advance | None]:
    """A function to call with the bytes just done, or `None` where nobody watches."""
    if not is_watched():
        yield None
        return
    bar = _Bar(title, total)
    try:
        yield bar.advance
    finally:
        bar.close()
