"""A user's file, read once, safely: never followed when it is a link, never waited for, never mapped, never changed.

The file is opened first and looked at afterwards, so there is nothing to swap in between. It must be a regular file, the bytes read must
be as many as it said, and it must be the same file unchanged when the last byte was read; otherwise `SourceChanged`. What is hashed is
what is stored, so a change that no clock shows still never gives a digest of other bytes.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from storage.blob.disk import refusal
from storage.entry import printable
from storage.errors import Missing, SourceChanged, StorageError, Unavailable, Unreadable, UnsafeLink, UnsupportedFile

Stamp = tuple[int, int, int, int, int]
"""What tells that a file was not changed: device, inode, size, mtime_ns, ctime_ns."""

TRIES = 3
"""Readings of a file that keeps changing before we give up."""

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_Answer = TypeVar("_Answer")

_REFUSALS: dict[int, tuple[type[StorageError], str]] = {
    errno.ENOENT: (Missing, "is not there: name a file that exists"),
    errno.ENOTDIR: (Missing, "is not there: one of its directories is a file"),
    errno.EACCES: (Unreadable, "may not be read: give this user the right to read it"),
    errno.EPERM: (Unreadable, "may not be read: give this user the right to read it"),
    errno.ELOOP: (UnsafeLink, "is a symbolic link: name what it points to"),
    errno.ENXIO: (UnsupportedFile, "is a socket or a device: only regular files can be stored"),
}


class Source:
    """An open regular file of the user's, watched for change."""

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self._fd = _open(path)
        try:
            self._before = _look(self._fd, path)
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def size(self) -> int:
        return self._before.st_size

    @property
    def stamp(self) -> Stamp:
        """As the file was when it was opened; when all of it was read, so it still was."""
        return stamp_of(self._before)

    @property
    def is_executable(self) -> bool:
        return bool(self._before.st_mode & stat.S_IXUSR)

    @property
    def descriptor(self) -> int:
        return self._fd

    def extents(self) -> Iterator[tuple[int, bool]]:
        """How it lies on the disk from its start to the size it said it has: lengths, and whether each is a hole, which reads as zeros.

        Bytes before each must have been read or skipped when the next is asked for.
        """
        at = 0
        if self._before.st_blocks * 512 >= self.size:
            yield self.size, False
            return
        while at < self.size:
            end = min(self._seek(at, os.SEEK_DATA), self.size)
            is_hole = end > at
            if not is_hole:
                end = min(self._seek(at, os.SEEK_HOLE), self.size)
            os.lseek(self._fd, at, os.SEEK_SET)
            yield end - at, is_hole
            at = end

    def _seek(self, at: int, whence: int) -> int:
        try:
            return os.lseek(self._fd, at, whence)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data behind this place
                return self.size
            raise _refused(error, self.path) from error

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer, or a part of it, from where the file stands; how many bytes it was, none at the end."""
        try:
            return os.readv(self._fd, [buffer])
        except OSError as error:
            raise _refused(error, self.path) from error

    def skip(self, length: int) -> None:
        os.lseek(self._fd, length, os.SEEK_CUR)

    def require_same(self, count: int) -> None:
        """Return when so many bytes are all it said it has, and it is unchanged.

        Raises:
            SourceChanged: it grew, shrank or was written to meanwhile.
        """
        _require_same(self._fd, self._before, count, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._fd)


def read_small(path: Path | str, most: int) -> tuple[bytes, os.stat_result] | None:
    """All of a file and how it was before and after it was read; `None` when it has more than `most` bytes.

    Raises: as `Source`, whose rules these are. There may be a million such files, so everything is asked once, and nothing is built.
    """
    fd = _open(path)
    try:
        about = _look(fd, path)
        size = about.st_size
        if size > most:
            return None
        data = read(fd, size + 1, path)
        while len(data) < size and (more := read(fd, size + 1 - len(data), path)):  # a network disk may give less
            data += more
        _require_same(fd, about, len(data), path)
        return data, about
    finally:
        os.close(fd)


def _open(path: Path | str) -> int:
    try:
        return os.open(path, _OPEN)
    except OSError as error:
        raise _refused(error, path) from error


def _look(fd: int, path: Path | str) -> os.stat_result:
    about = os.fstat(fd)
    if not stat.S_ISREG(about.st_mode):
        raise UnsupportedFile(f"{printable(str(path))} is not a regular file: directories, pipes and devices cannot be stored")
    return about


def _require_same(fd: int, before: os.stat_result, count: int, path: Path | str) -> None:
    if count != before.st_size or stamp_of(before) != stamp_of(os.fstat(fd)):
        raise SourceChanged(f"{printable(str(path))} changed while it was read: wait until its writer is done, then call again")


def read(fd: int, length: int, path: Path | str) -> bytes:
    """At most `length` bytes from where the file stands; none at its end."""
    try:
        return os.read(fd, length)
    except OSError as error:
        raise _refused(error, path) from error


def patiently(attempt: Callable[[], _Answer]) -> _Answer:
    """What `attempt` answers, asked again while the file it reads keeps changing, `TRIES` times in all.

    A network disk forgets a file that somebody replaced there (ESTALE): it is opened again, once.
    """
    is_stale = False
    for _ in range(TRIES - 1):
        try:
            return attempt()
        except SourceChanged:
            continue
        except Unavailable as error:
            if error.errno != errno.ESTALE or is_stale:
                raise
            is_stale = True
    return attempt()


def stamp_of(about: os.stat_result) -> Stamp:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _refused(error: OSError, path: Path | str) -> StorageError:
    kind, problem = _REFUSALS.get(error.errno or 0, (None, ""))
    return kind(f"{printable(str(path))} {problem}") if kind else refusal(error, path)
