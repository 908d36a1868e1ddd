"""A file in a session's staging directory: written once, flushed once, and then given its name by whoever publishes it, or dropped.

It is a user's bytes on their way in, and nobody sees it. A flush that failed is never repeated, and a file whose flush failed is never
published: nobody knows what is on the disk. A child that was forked meanwhile has no part in it.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.blob import disk
from storage.blob.backend import Staged
from storage.errors import Unavailable

_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR})
"""What says nothing about a disk."""


class LocalStaged(Staged):
    """A file in a session's staging directory."""

    def __init__(self, path: Path, fd: int, clones: dict[int, bool] | None = None) -> None:
        self.path = path
        self.size = 0
        self.is_sealed = False
        """Are its mode and its bytes durable already?"""
        self._fd: int | None = fd
        self._is_doubtful = False
        self._clones = {} if clones is None else clones
        self._begun = 0
        self._ends_in_hole = False
        self._process = os.getpid()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._fd is None:
            raise Unavailable(f"{self.path} is closed: stage the bytes again")
        try:
            with disk.refusals(self.path, len(data)):
                disk.write(self._fd, data, self.path)
        except BaseException:
            self.drop()
            raise
        self.size += memoryview(data).nbytes
        self._ends_in_hole = False

    def skip(self, length: int) -> None:
        if self._fd is None:
            raise Unavailable(f"{self.path} is closed: stage the bytes again")
        os.lseek(self._fd, length, os.SEEK_CUR)
        self.size += length
        self._ends_in_hole = True

    def clone(self, source: int) -> Path | None:
        device = os.fstat(source).st_dev
        if self._fd is None or self.size or not self._clones.get(device, True):
            return None
        with disk.refusals(self.path):
            self._clones[device] = disk.clone(source, self._fd, self.path)
            self.size = os.fstat(self._fd).st_size
        return self.path if self._clones[device] else None

    def hurry(self) -> None:
        if self._fd is not None:
            disk.begin_flush(self._fd, self._begun, self.size - self._begun)
            self._begun = self.size

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            with disk.refusals(self.path), self._doubting():
                try:
                    if self._ends_in_hole:
                        disk.shorten(fd, self.size, self.path)
                finally:
                    os.close(fd)

    def flush(self) -> None:
        try:
            self.close()
            with disk.refusals(self.path, self.size):
                self.seal()
        except BaseException:
            self.drop()
            raise

    def seal(self) -> None:
        """Flush what was written, its mode set first, once.

        A flush that fails is never asked for again: the system may have dropped the bytes and would say that all is well.
        """
        if self.is_sealed:
            return
        if self._is_doubtful:
            raise Unavailable(
                f"{self.path} could not be flushed, so nobody knows what is on the disk: look at it, then take the bytes in again"
            )
        with self._doubting():
            disk.seal(self.path, 0o444)
        self.is_sealed = True

    @contextmanager
    def _doubting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._is_doubtful = error.errno not in _PASSING
            raise

    def drop(self) -> None:
        try:
            self.close()
        finally:
            if self._process == os.getpid():  # a child that was forked meanwhile leaves it to its parent
                with disk.refusals(self.path):
                    disk.unlink(self.path)
