"""The open engine of a home: one per home and process, opened on first use, closed when the process ends.

A forked child opens its own and leaves its parent's alone.
"""

import atexit
import os
import threading
from pathlib import Path

from lineage.actions.open import Engine, open_engine
from lineage.sdk.settings import Settings

_LOCK = threading.Lock()
_OPEN: dict[Path, Engine] = {}
_OWNER = os.getpid()


def connect(settings: Settings) -> Engine:
    """The engine of the settings' home, created there if there is none yet."""
    with _LOCK:
        _forget_parents()
        home = settings.place
        engine = _OPEN.get(home)
        if engine is None:
            engine = _OPEN[home] = open_engine(home, store=settings.store)
        else:
            engine.home.require(settings.store)
        return engine


def disconnect() -> None:
    """Close every engine of this process; `connect` opens them again."""
    with _LOCK:
        _forget_parents()
        while _OPEN:
            _OPEN.popitem()[1].close()


def _forget_parents() -> None:
    global _OWNER  # noqa: PLW0603  # the one fact a fork changes
    if os.getpid() != _OWNER:
        _OPEN.clear()
        _OWNER = os.getpid()


os.register_at_fork(after_in_child=lambda: globals().__setitem__("_LOCK", threading.Lock()))
atexit.register(disconnect)
