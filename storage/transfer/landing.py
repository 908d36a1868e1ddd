"""What a survey found absent or wrong is written: read together, verified in memory or on the way, then put in its place.

Entries are taken a batch at a time. Small blobs come a few large reads at a time, neighbours in a pack together; their identity is checked
again in memory and only then is a file made, by a few threads, for making files is waiting for the system. Large ones are verified while
they are written, under a temporary name. So whatever the tree, no more than a batch of entries and a few reads of bytes are held.

An entry that cannot be had does not keep others from landing: it is told when all is done, by name.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from itertools import islice
from typing import BinaryIO

from storage.blob import disk
from storage.blob.backend import ZEROS
from storage.blob.pack import PACKED
from storage.blob.pool import pool
from storage.blob.store import Store
from storage.digest import CHUNK, Blob, Buffer, Digest, Hasher
from storage.entry import Entry, Kind, printable
from storage.errors import BlobMissing, Corrupt, Missing, ReferenceChanged, ReferenceMissing, StorageError, listed
from storage.ledger import BlobRecord
from storage.transfer.destination import Destination
from storage.transfer.statcache import Memory, Stamp, stamp_of
from storage.transfer.survey import Standing, relative_target

Fetch = Callable[[Entry, BinaryIO], None]
"""Writes the bytes of a reference entry, verified against its pin, or raises `Missing` or `ReferenceChanged`."""
Todo = tuple[Entry, Standing]
_Placed = tuple[Entry, Blob, Buffer, int, str]
"""An entry, its blob and bytes, the directory it goes into and its name there."""
_Made = tuple[Entry, Blob, Stamp | Corrupt]

THREADS = 2
"""That make files: with more they wait for each other, in the interpreter and in the directory."""
_BATCH = 4000
_FEW = 64
"""So many files are made by one thread."""
_SHARE = 1024
"""Files that are held to be made together."""
_SHARE_BYTES = 8 << 20

_ZEROS = bytes(ZEROS)
_WEIGHT = (Corrupt, BlobMissing, ReferenceChanged, StorageError)
"""Of several problems the error is of the first kind in here; its message lists them all."""


class Landing:
    """See the top of this file. It counts what it did; `finish` raises for what could not be had."""

    def __init__(
        self,
        store: Store,
        tree: Destination,
        memory: Memory,
        *,
        fetch: Fetch | None = None,
        may_skip: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.store, self.tree, self.memory = store, tree, memory
        self.fetch, self.may_skip, self.progress = fetch, may_skip, progress
        self.written = self.kept = self.bytes = 0
        self.skipped: list[str] = []
        self._problems: list[tuple[str, StorageError]] = []
        self._ways: dict[Kind, Callable[[Entry, Standing], None]] = {
            Kind.DIRECTORY: self._directory,
            Kind.LINK: self._link,
            Kind.REFERENCE: self._reference,
        }

    def keep(self, count: int, size: int) -> None:
        """So many entries are right already, files of so many bytes among them."""
        self.kept += count
        self._tell(size)

    def land(self, todo: Iterable[Todo]) -> None:
        """Write these entries, in path order.

        Raises:
            DestinationRefused, StoreFull, ReadOnlyStore, Unavailable: the destination cannot take it, or a reference cannot be asked now.
        """
        waiting = iter(todo)
        while batch := list(islice(waiting, _BATCH)):
            files = []
            for entry, standing in batch:
                if entry.kind is not Kind.FILE:
                    self.tree.claim()
                    self._ways[entry.kind](entry, standing)
                elif standing is not Standing.UNREAD or not self._is_right(entry):
                    files.append(entry)
            if files:
                self.tree.claim()
                self._files(files)
            self.tree.trim()

    def finish(self) -> None:
        """Return when every entry stands in its place.

        Raises:
            BlobMissing, Corrupt: the store did not have the right bytes of these.
            ReferenceMissing, ReferenceChanged: these references no longer lead to what was pinned.
        """
        if not self._problems:
            return
        kind = type(
            min((error for _, error in self._problems), key=lambda error: [isinstance(error, each) for each in _WEIGHT].index(True))
        )
        lines = [f"{printable(path)!r}: {error}" for path, error in self._problems]
        what = lines[0] if len(lines) == 1 else f"{len(lines)} files could not be had:{listed(lines)}"
        raise kind(what) from self._problems[0][1]

    def _is_right(self, entry: Entry) -> bool:
        """Does the file that stands there, of the right size, hold the entry's bytes? All of it is read, and then remembered."""
        fd = self.tree.open(entry.path)
        if fd is None or entry.digest is None:
            return False
        with os.fdopen(fd, "rb", buffering=0) as file:
            before = os.fstat(fd)
            hasher = Hasher(entry.digest.algorithm)
            while piece := file.read(CHUNK):
                hasher.update(piece)
            blob, after = hasher.blob(), os.fstat(fd)
        if (blob.digest, blob.size) != (entry.digest, entry.size):
            return False
        if stamp_of(before) == stamp_of(after):
            self.memory.note(entry.path, stamp_of(after), blob)
        self.keep(1, blob.size)
        return True

    def _files(self, entries: Sequence[Entry]) -> None:
        located = self.store.locate({entry.digest for entry in entries if entry.digest is not None})
        small: dict[Digest, list[Entry]] = defaultdict(list)
        large: list[tuple[Entry, BlobRecord]] = []
        for entry in entries:
            record = None if entry.digest is None else located.get(entry.digest)
            if record is None:
                error = BlobMissing(f"its bytes ({entry.digest}) are not in this store: log the content again")
                self._problems.append((entry.path, error))
            elif record.blob.size > PACKED:
                large.append((entry, record))
            else:
                small[record.blob.digest].append(entry)
        self._small([located[digest] for digest in small], small)
        for entry, record in large:
            try:
                self._large(entry, record)
            except (Missing, Corrupt) as error:
                self._problems.append((entry.path, error))

    def _small(self, records: Sequence[BlobRecord], wanted: Mapping[Digest, list[Entry]]) -> None:
        def wrong(record: BlobRecord, error: StorageError) -> None:
            self._problems.extend((entry.path, error) for entry in wanted[record.blob.digest])

        pieces = (
            (entry, record.blob, data, *self._place(entry.path))
            for record, data in self.store.read_many(records, wrong)
            for entry in wanted[record.blob.digest]
        )
        if sum(map(len, wanted.values())) <= _FEW:
            for piece in pieces:
                self._made(self._make([piece]))
            return
        with pool(max(1, THREADS - 1)) as others:
            share: list[_Placed] = []
            size = 0
            for piece in pieces:
                share.append(piece)
                size += len(piece[2])
                if len(share) >= _SHARE or size >= _SHARE_BYTES or self.tree.is_wide:
                    self._make_together(share, others)
                    share, size = [], 0
                    if self.tree.is_wide:
                        self.tree.trim()
            self._make_together(share, others)

    def _make_together(self, share: Sequence[_Placed], others: Executor) -> None:
        """As `_make`, a stretch of the tree for each thread, this one among them: directories, too, are made in by one at a time."""
        length = max(1, -(-len(share) // THREADS))
        under_way = [others.submit(self._make, share[at : at + length]) for at in range(length, len(share), length)]
        try:
            self._made(self._make(share[:length]))
        finally:
            for future in under_way:
                self._made(future.result())

    def _place(self, path: str) -> tuple[int, str]:
        """The directory that something goes into, which is there by now, and its name there."""
        parent, _, name = path.rpartition("/")
        above = self.tree.directory(parent, create=True)
        return -1 if above is None else above, name

    def _make(self, share: Sequence[_Placed]) -> list[_Made]:
        """Put files in their places. The manifest's word on their bytes is the last: store and ledger could agree on others."""
        made: list[_Made] = []
        for entry, blob, data, above, name in share:
            digest = Digest.of(data, blob.digest.algorithm)
            if (digest, len(data)) != (entry.digest, entry.size):
                made.append((entry, blob, _not_it(entry, digest, len(data))))
                continue
            about = self.tree.put(above, name, data, _mode(entry), entry.path)
            made.append((entry, blob, stamp_of(about)))
        return made

    def _made(self, made: Iterable[_Made]) -> None:
        for entry, blob, outcome in made:
            if isinstance(outcome, Corrupt):
                self._problems.append((entry.path, outcome))
                continue
            self.memory.note_made(entry.path, outcome, blob)
            self.written += 1
            self.bytes += blob.size
            self._tell(blob.size)

    def _large(self, entry: Entry, record: BlobRecord) -> None:
        hasher, ends_in_hole = Hasher(record.blob.digest.algorithm), False
        with self.tree.replacing(entry.path, _mode(entry)) as (fd, looks):
            for piece in self.store.pieces(record):
                hasher.update(piece)
                ends_in_hole = _ZEROS.startswith(piece)
                if ends_in_hole:  # zeros read the same from a hole, which takes no room
                    os.lseek(fd, len(piece), os.SEEK_CUR)
                else:
                    disk.write(fd, piece, entry.path)
                self._tell(len(piece))
            blob = hasher.blob()
            if ends_in_hole:
                disk.shorten(fd, blob.size, entry.path)
            if (blob.digest, blob.size) != (entry.digest, entry.size):
                raise _not_it(entry, blob.digest, blob.size)
        self.memory.note_made(entry.path, stamp_of(looks[0]), blob)
        self.written += 1
        self.bytes += blob.size

    def _directory(self, entry: Entry, standing: Standing) -> None:
        self.tree.directory(entry.path, create=True)
        self.written += 1

    def _link(self, entry: Entry, standing: Standing) -> None:
        self.tree.link(entry.path, relative_target(entry))
        self.written += 1

    def _reference(self, entry: Entry, standing: Standing) -> None:
        # Whether a file that stands there still is what the reference pins, only its provider can say: it is fetched again.
        try:
            if self.fetch is None:
                raise ReferenceMissing(f"{printable(entry.path)!r} is a reference, and nothing to fetch it with was given")
            with self.tree.replacing(entry.path, _mode(entry)) as (fd, _), os.fdopen(fd, "wb", closefd=False) as file:
                self.fetch(entry, file)
                file.flush()
                size = os.fstat(fd).st_size
        except (Missing, ReferenceChanged) as error:
            if self.may_skip and isinstance(error, Missing):
                self.skipped.append(entry.path)
            else:
                self._problems.append((entry.path, error))
            return
        self.written += 1
        self.bytes += size
        self._tell(size)

    def _tell(self, count: int) -> None:
        if self.progress is not None and count:
            self.progress(count)


def _mode(entry: Entry) -> int:
    return 0o755 if entry.executable else 0o644


def _not_it(entry: Entry, digest: Digest, size: int) -> Corrupt:
    return Corrupt(f"it must be {entry.digest}, {entry.size} bytes; the store gave {digest}, {size} bytes: verify the store")
