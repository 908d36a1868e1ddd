r"""An append-only file of checksummed records, for what arrives line by line and must survive the death of its writer.

    <XXH3-64 of the text, 16 hex digits> <the text, JSON without line breaks>\n

A record is handed to the operating system before `append` returns, so it outlives the process; `flush` makes it outlive the machine. What a
crash can leave is a torn last line: it is cut off when the file is opened for appending and passed over when it is read. A bad line with
anything after it is no tear but damage, and said so, and so is a last one that is complete but for what it says.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import xxhash

from storage.blob import disk
from storage.errors import Corrupt


class BeingWritten(Exception):
    """Somebody who lives has the journal open: take another."""


class Journal:
    """One file, one writer: a lock says who, and ends with him."""

    def __init__(self, path: Path) -> None:
        """Open for appending, made when it is not there, its torn end cut off.

        Raises:
            BeingWritten: it is open already, here or in another process.
        """
        self.path = path
        self._is_named = False
        """Is the file's name known to be durable? Whoever made it may have died before he flushed the directory."""
        with disk.refusals(path):
            disk.make_directories(path.parent)
            self._descriptor = _locked(path)
            try:
                whole = sum(len(found) for found in whole_lines(path))
                if whole < os.fstat(self._descriptor).st_size:
                    disk.shorten(self._descriptor, whole, path)
            except BaseException:
                self.close()
                raise

    def append(self, text: str) -> None:
        """Add one record, in one write.

        Raises:
            StoreFull, Unavailable: it was not added; what is there stays readable.
        """
        with disk.refusals(self.path):
            disk.write(self._descriptor, line(text), self.path)

    def flush(self) -> None:
        """Every record so far survives a power loss."""
        with disk.refusals(self.path):
            disk.flush(self._descriptor, self.path)
            if not self._is_named:
                disk.flush_directory(self.path.parent)
                self._is_named = True

    def close(self) -> None:
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # a forked child may have the file open too, and must not hold it
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _locked(path: Path) -> int:
    """A descriptor of the file that has this name, locked: not of one that was removed while we waited for nobody."""
    while True:
        descriptor = disk.open_end(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise BeingWritten(path.name) from None
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def line(text: str) -> bytes:
    """A record as it lies in the file."""
    encoded = text.encode()
    return b"%s %s\n" % (xxhash.xxh3_64_hexdigest(encoded).encode(), encoded)


def whole_lines(path: Path) -> Iterator[bytes]:
    """The complete, correct lines of the file, up to a torn end; none when there is no file.

    Raises:
        Corrupt: a wrong line with more behind it.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        torn: int | None = None
        for number, found in enumerate(file, 1):
            if torn is not None:
                raise _damage(path, torn)
            if is_whole(found):
                yield found
            elif found.endswith(b"\n") and b"\0" not in found:
                raise _damage(path, number)
            else:
                torn = number


def _damage(path: Path, number: int) -> Corrupt:
    return Corrupt(f"{path.name} is damaged at line {number}: restore it from a backup; the lines before it can be read")


def is_whole(found: bytes) -> bool:
    """Is this line complete, and what its checksum says?"""
    stated, space, text = found.removesuffix(b"\n").partition(b" ")
    return bool(space) and found.endswith(b"\n") and stated == xxhash.xxh3_64_hexdigest(text).encode()


def texts(lines: Iterable[bytes]) -> Iterator[str]:
    """The records of some lines."""
    for found in lines:
        yield found.removesuffix(b"\n").partition(b" ")[2].decode()
