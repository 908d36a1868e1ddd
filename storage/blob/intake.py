"""Users' files on their way in: read once and hashed.

What is read is what is hashed; nothing here knows whether the bytes are stored already, or where they go. Small files come whole, so
that many of them can be judged together, and one after the other: they are system calls, over which threads of one Python only fight. A
large one is only found to be large, and is then hashed, or copied while it is hashed, by several threads at once.
"""

import os
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from storage.blob.backend import Staged
from storage.blob.pool import pool
from storage.blob.source import Source, Stamp, patiently
from storage.digest import Blob, Hasher
from storage.errors import SourceChanged

SMALL = 1 << 20
"""Files up to this size are read whole and hashed in memory before anything is written."""
STEP = 1 << 22
"""Bytes of a large file read ahead while the step before is hashed and written."""
_SHARE = 16
_THREADS = max(2, min(8, os.cpu_count() or 2))


@dataclass(frozen=True, slots=True)
class Taken:
    """A file taken in: its bytes, whether its owner may execute it, and its stamp before and after it was read."""

    blob: Blob
    executable: bool
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Small:
    """A small file and its bytes."""

    taken: Taken
    data: bytes


def peek(path: str | Path, algorithm: str) -> Small | None:
    """A small file, read and hashed; `None` for one that is too large to hold.

    Raises:
        Missing, Unreadable, UnsupportedFile, UnsafeLink, SourceChanged: as `Source`, after some patience.
    """
    return patiently(lambda: _peek(path, algorithm))


def _peek(path: str | Path, algorithm: str) -> Small | None:
    with Source(path) as source:
        if source.size > SMALL:
            return None
        data = source.whole()
        return Small(Taken(Blob.of(data, algorithm), source.is_executable, source.stamp), data)


def measure(source: Source, algorithm: str) -> Blob:
    """What a source's bytes are, read to the end and kept nowhere."""
    hasher = Hasher(algorithm)
    for chunk in source.chunks(STEP):
        hasher.update(chunk)
    return hasher.blob()


def pour(source: Source, staged: Staged, algorithm: str) -> Blob:
    """Copy a source: while one step is read, the step before is hashed and written, each in its own thread."""
    hasher = Hasher(algorithm)
    running: list[Future[None]] = []
    with pool(2) as threads:
        for chunk in source.chunks(STEP):
            for future in running:
                future.result()
            running = [threads.submit(hasher.update, chunk), threads.submit(staged.write, chunk)]
        for future in running:
            future.result()
    if hasher.size != source.size:
        raise SourceChanged(f"{source.path} changed while it was read: wait until its writer is done, then call again")
    return hasher.blob()
