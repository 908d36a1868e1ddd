"""The advisory lock that whoever writes the catalogue holds: one file, one holder, released by the kernel when a process dies.

SQLite's own lock would do for one writer at a time; this one also covers checkpoints and the closing of the last connection, which older
SQLite libraries may race, and makes waiting fair enough that nobody sees "database is locked". A lock belongs to a
process: a child that was forked opens its own, and threads take turns through a mutex first.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lineage.model.errors import CatalogBusy
from storage.errors import ReadOnlyStore

PATIENCE = 60.0
"""Seconds a writer waits for its turn before it says who must be in the way."""


class FileLock:
    """`with lock.held():` no other process and no other thread is between the same lines. Re-entrant within a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.RLock()
        self._depth = 0
        self._descriptor: int | None = None
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._mutex = threading.RLock()
        self._depth = 0
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def held(self, patience: float = PATIENCE) -> Iterator[None]:
        """Hold the lock.

        Raises:
            CatalogBusy: somebody else held it for all of `patience` seconds.
            ReadOnlyStore: the lock file cannot be written.
        """
        with self._mutex:
            if self._depth == 0:
                self._acquire(patience)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0 and self._descriptor is not None:
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _acquire(self, patience: float) -> None:
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise ReadOnlyStore(f"cannot lock {self.path.name} in the store: {error.strerror}; reading still works") from error
        deadline = time.monotonic() + patience
        pause = 0.0002
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CatalogBusy(f"another program has held the catalogue for {patience:.0f} s: wait for it, or end it") from None
                time.sleep(pause)
                pause = min(pause * 1.5, 0.005)
            else:
                return

    def close(self) -> None:
        with self._mutex:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
