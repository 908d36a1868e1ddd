"""A file on its way from far, range by range, several at once; what has come stays when it is cut off, and the next one goes on from there.

    partial/<64 digits>    the bytes so far, each range in its place, and behind them one byte a range: has it come?

A part is named by what it is a part of, so that of nothing else it is ever continued. The byte that says a range has come is written after
the range, and a range counts only when all of it came; still no part is believed: when all ranges have come the whole is verified, and
only then is it anything else but a part. One process writes a part at a time; who comes meanwhile waits, and finds it done.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.blob import disk
from storage.blob.pool import each
from storage.digest import CHUNK, DEFAULT_ALGORITHM, Blob, Hasher
from storage.errors import RemoteUnavailable

RANGE = 8 << 20
"""Bytes asked for at a time."""
THREADS = 4
"""Ranges under way at the same time."""

ReadRange = Callable[[int, int], Iterable[bytes]]
"""The bytes from a start, so many of them, in pieces."""


class Part:
    """An open part of something that has `size` bytes. The descriptor is locked for as long as it is open."""

    def __init__(self, path: Path, fd: int, size: int, *, reach: int = RANGE) -> None:
        self.path, self.fd, self.size, self.reach = path, fd, size, reach
        self.ranges = -(-size // reach)

    @property
    def missing(self) -> list[int]:
        """The numbers of the ranges that have not come."""
        come = os.pread(self.fd, self.ranges, self.size)
        return [number for number in range(self.ranges) if come[number : number + 1] != b"\1"]

    def fill(self, read: ReadRange) -> None:
        """Get what is missing.

        Raises: as `read`, and RemoteUnavailable when a range came short; what has come by then stays.
        """

        def get(number: int) -> None:
            start = number * self.reach
            at, end = start, min(start + self.reach, self.size)
            for piece in read(start, end - start):
                if at + len(piece) > end:
                    raise RemoteUnavailable(f"more than the {end - start} bytes asked for came: call again")
                disk.write_at(self.fd, piece, at, self.path)
                at += len(piece)
            if at != end:
                raise RemoteUnavailable(f"{at - start} of {end - start} bytes came: call again, it goes on from there")
            disk.write_at(self.fd, b"\1", self.size + number, self.path)

        each(get, self.missing, THREADS)

    def blob(self, algorithm: str = DEFAULT_ALGORITHM) -> Blob:
        """What the bytes are, all of them read from the file itself."""
        hasher = Hasher(algorithm)
        for at in range(0, self.size, CHUNK):
            hasher.update(os.pread(self.fd, min(CHUNK, self.size - at), at))
        return hasher.blob()

    def finish(self) -> None:
        """Only the bytes are left, nothing that says which have come."""
        disk.shorten(self.fd, self.size, self.path)

    def forget(self) -> None:
        """Nothing has come."""
        disk.shorten(self.fd, 0, self.path)


@contextmanager
def opened(path: Path, size: int, *, reach: int = RANGE) -> Iterator[Part]:
    """The part at `path`, begun when it is not there; closed afterwards, and neither renamed nor removed by this."""
    while True:
        fd = disk.open_part(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_at(fd, path):
                yield Part(path, fd, size, reach=reach)
                return
        finally:
            os.close(fd)


def _is_at(fd: int, path: Path) -> bool:
    """Is the open file still the one of that name? Whoever held the lock may have put it elsewhere."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
