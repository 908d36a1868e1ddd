"""From a working tree into a session: files become blobs, what was scanned becomes entries, entries become a manifest.

Names are checked before a byte is read. Sources are read and nothing else. What comes out exists only once a commit says so.

A file that looks as it did when it was last read is not read again: what it was then is assumed (`Session.assume_all`), and pinned, or read
after all, when a segment is stored that lists it and that nobody has stored before. So logging an unchanged tree costs looking at it.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from storage.blob.assumption import Assumed
from storage.blob.session import Session
from storage.digest import Blob, Digest, digests_of
from storage.entry import Entry, check_path, check_paths
from storage.manifest import Manifest, Sealed, in_order, seal
from storage.segment import Files, Segment
from storage.transfer.collector import paused
from storage.transfer.scan import Scan
from storage.transfer.statcache import Memory, StatCache

_SEGMENTS = 64
"""Segments asked for in one question, and held until it is answered."""


def ingest_tree(
    scan: Scan,
    session: Session,
    *,
    prefix: str = "",
    cache: StatCache | None = None,
    is_trusted: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Sequence[Entry]:
    """The entries of everything that was scanned, under `prefix`, in path order, with their bytes taken into `session`.

    `cache` remembers what files were; unless it `is_trusted` every file is read, and remembered. `progress` is told bytes as they are taken
    or found unchanged.

    Raises:
        InvalidPath: a name is not valid under the prefix; nothing was read.
        Missing, Unreadable, UnsupportedFile, SourceChanged: a file is no longer what was scanned.
        StoreFull, ReadOnlyStore: the store cannot take it.
    """
    under = f"{check_path(prefix)}/" if prefix else ""
    others = [Entry.directory(under + path) for path in scan.directories]
    others += [Entry.link(under + link.path, under + link.target) for link in scan.links]
    if under:
        check_paths([under + file.path for file in scan.files])

    memory = (cache or StatCache()).recall(scan.root, session.store.domain)
    files = _files(scan, under, memory, session, progress, is_trusted=is_trusted and memory.algorithm == session.store.algorithm)
    memory.keep()

    return in_order([*files, *others]) if others else files


def _files(scan: Scan, under: str, memory: Memory, session: Session, progress: Callable[[int], None] | None, *, is_trusted: bool) -> Files:
    """The entries of the files: those that are known assumed, the rest taken."""
    with paused():
        paths, stamps, modes = [list(column) for column in zip(*scan.files, strict=True)] or ([], [], [])
        places = memory.find_all(paths, stamps) if is_trusted else [None] * len(paths)
        values, sizes = memory.values(places), memory.sizes(places)
        executables = [mode & stat.S_IXUSR != 0 for mode in modes]
    _assume(scan, places, values, sum(sizes), memory, session, progress)

    fresh = [at for at, place in enumerate(places) if place is None]
    sources = scan.sources() if fresh else []
    for at, taken in zip(fresh, session.take_files([sources[at] for at in fresh], progress), strict=True):
        blob, executables[at], stamp = taken
        (_, values[at]), sizes[at], _ = blob
        memory.note(paths[at], stamp, blob)
    names = [under + path for path in paths] if under else paths
    return Files(names, session.store.algorithm, values, sizes, executables)


def _assume(
    scan: Scan,
    places: Sequence[int | None],
    values: Sequence[str],
    size: int,
    memory: Memory,
    session: Session,
    progress: Callable[[int], None] | None,
) -> None:
    """Let the session know of the files that were found unchanged, without doing anything for each."""
    known = [at for at, place in enumerate(places) if place is not None]

    def about(number: int) -> tuple[Blob, str]:
        at = known[number]
        return memory.blob(places[at] or 0), scan.source(scan.files[at].path)

    if known:
        session.assume_all(Assumed([values[at] for at in known], size, about))
        if progress is not None:
            progress(size)


def ingest_file(path: Path, name: str, session: Session) -> Entry:
    """The entry `name` with the bytes of the file at `path`; a link named by the caller is followed.

    Raises: as `Session.take_file`, and InvalidPath for the name.
    """
    check_path(name)
    taken = session.take_file(Path(os.path.realpath(path)))
    return Entry.file(name, taken.blob.digest, taken.blob.size, executable=taken.executable)


@dataclass(frozen=True)
class Stored:
    """A manifest whose bytes are in a session, and, of each segment that was new, the digests of the files it lists, packed."""

    manifest: Manifest
    new: Mapping[Digest, bytes]

    def inside(self, segment: Digest) -> list[Digest]:
        """The digests of the files that a segment lists."""
        values = self.new[segment].hex()
        return digests_of(self.manifest.algorithm, [values[at : at + 64] for at in range(0, len(values), 64)])


def store_manifest(entries: Iterable[Entry], session: Session, *, is_ordered: bool = False) -> Stored:
    """The manifest of `entries`, its own bytes and those of its new segments taken into `session`.

    Segments are made and taken a few at a time. A caller whose entries come in path order says so; then they are not held either.

    Raises:
        InvalidManifest, InvalidPath: the entries do not make one; nothing of the session may be committed.
        SourceChanged, Missing, Unreadable: a file that was not read, because it was known, had to be, and is not what it was.
    """
    algorithm = session.store.algorithm
    sealed = seal(entries if is_ordered else in_order(entries), algorithm)
    segments: list[Segment] = []
    new: dict[Digest, bytes] = {}
    while batch := _next(sealed):
        segments += [each.segment for each in batch]
        for each in _take_new(batch, session):
            new[each.segment.digest] = b"".join([bytes.fromhex(digest.value) for digest in each.digests])
    manifest = Manifest(tuple(segments), session.store.read, algorithm)
    session.take_blobs([(Blob.of(manifest.encoded, algorithm), manifest.encoded)])
    return Stored(manifest, new)


def _next(sealed: Iterator[Sealed]) -> list[Sealed]:
    with paused():
        return list(islice(sealed, _SEGMENTS))


def _take_new(batch: Sequence[Sealed], session: Session) -> Iterator[Sealed]:
    """Those that nobody has stored, now that they are taken, and all that they list with them."""
    held = session.hold_segments([each.segment.digest for each in batch])
    new = [each for each in batch if each.segment.digest not in held]
    session.settle(chain.from_iterable(each.digests for each in new))
    session.take_blobs([(each.blob, each.data) for each in new])
    yield from new
