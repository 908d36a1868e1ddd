r"""An append-only file of checksummed records, for what arrives line by line and must survive the death of its writer.

    <XXH3-64 of the text, 16 hex digits> <the text, JSON without line breaks>\n

A record is handed to the operating system before `append` returns, so it outlives the process; `flush` makes it outlive the machine. What a
crash can leave is a torn last line: it is cut off when the file is opened for appending and passed over when it is read. A bad line with a
good one after it is no tear but damage, and said so.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import xxhash

from storage.blob import disk
from storage.errors import Corrupt


class Journal:
    """One file, one writer."""

    def __init__(self, path: Path) -> None:
        """Open for appending, made when it is not there, its torn end cut off."""
        self.path = path
        with disk.refusals(path):
            disk.make_directories(path.parent)
            self._descriptor = disk.open_end(path)
            whole = sum(len(found) for found in whole_lines(path))
            if whole < os.fstat(self._descriptor).st_size:
                disk.shorten(self._descriptor, whole, path)

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

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


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
                raise Corrupt(f"{path.name} is damaged at line {torn}: restore it from a backup; the lines before it can be read")
            if is_whole(found):
                yield found
            else:
                torn = number


def is_whole(found: bytes) -> bool:
    """Is this line complete, and what its checksum says?"""
    stated, space, text = found.removesuffix(b"\n").partition(b" ")
    return bool(space) and found.endswith(b"\n") and stated == xxhash.xxh3_64_hexdigest(text).encode()


def texts(lines: Iterable[bytes]) -> Iterator[str]:
    """The records of some lines."""
    for found in lines:
        yield found.removesuffix(b"\n").partition(b" ")[2].decode()
