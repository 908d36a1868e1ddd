"""Users' files on their way in: read once and hashed.

What is read is what is hashed; nothing here knows whether the bytes are stored already, or where they go. Small files come whole, so
that many of them can be judged together, and one after the other: they are system calls, over which threads of one Python only fight. A
large one is only found to be large, and is then hashed, or copied while it is hashed, by several threads at once.
"""

import stat
from pathlib import Path
from typing import NamedTuple

from storage.blob.backend import Staged
from storage.blob.pipeline import Pipeline
from storage.blob.source import Source, Stamp, patiently, read_small, stamp_of
from storage.digest import Blob

SMALL = 1 << 20
"""Files up to this size are read whole and hashed in memory before anything is written."""


class Taken(NamedTuple):
    """A file taken in: its bytes, whether its owner may execute it, and its stamp before and after it was read."""

    blob: Blob
    executable: bool
    stamp: Stamp


class Small(NamedTuple):
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
    found = read_small(path, SMALL)
    if found is None:
        return None
    data, about = found
    return Small(Taken(Blob.of(data, algorithm), bool(about.st_mode & stat.S_IXUSR), stamp_of(about)), data)


def measure(source: Source, algorithm: str) -> Blob:
    """What a source's bytes are, read to the end and kept nowhere.

    Raises:
        SourceChanged, Unavailable: as `Source`.
    """
    with Pipeline(algorithm, source.size) as pipeline:
        return _run(source, pipeline)


def pour(source: Source, staged: Staged, algorithm: str, *, is_near: bool = False) -> Blob:
    """What a source's bytes are, and with them all in `staged`: shared with the source where the file system can, otherwise copied.

    Raises:
        SourceChanged, Unavailable: as `Source`.
        StoreFull, ReadOnlyStore: they could not be written.
    """
    shared = staged.clone(source.descriptor)
    if shared is not None:  # what is stored is hashed, so it is read from there
        with Source(shared) as copy, Pipeline(algorithm, copy.size) as pipeline:
            blob = _run(copy, pipeline)
        source.require_same(blob.size)
        return blob
    with Pipeline(algorithm, source.size, staged, is_near=is_near) as pipeline:
        return _run(source, pipeline)


def _run(source: Source, pipeline: Pipeline) -> Blob:
    for length, is_hole in source.extents():
        if is_hole:
            pipeline.skip(length)
            source.skip(length)
        elif pipeline.take(source.read_into, length) != length:
            break
    blob = pipeline.blob()
    source.require_same(blob.size)
    return blob
