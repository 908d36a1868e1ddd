"""One writer's session: bytes are taken in, made durable, and left for a commit to make them exist.

    take ──▶ pin what seems to be live, and what is large ──▶ stage what is not ──▶ place packs, publish ──▶ (somebody's commit) ──▶ close

Pins come before any belief that something is stored already, so nothing that a session relies on can be reclaimed under it. Small blobs
that are new go into packs and are pinned with the pack: the ledger is told what is where in it just before it is published, and a commit
makes that so. A session opens itself on first use; closing it takes back whatever was not committed and frees the pins, and is harmless
after a commit, twice, or in a forked child, which has no part in its parent's session. One thread at a time.

Bytes are identified by what was read, never by a file's time or size. A caller who remembers what a file's bytes were says so with
`assume`, and answers for it: nothing is believed stored for that before it was pinned (`settle`, or `hold_segments` for all of a segment).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.blob.assumption import Assumed, Assumptions
from storage.blob.backend import Backend, Staged
from storage.blob.intake import Small, Taken, measure, peek, pour
from storage.blob.outgoing import Outgoing, Place
from storage.blob.source import Source, patiently
from storage.digest import Blob, Digest
from storage.entry import printable
from storage.errors import BlobMissing, Refused, SourceChanged, TooLarge, Unavailable, listed
from storage.ledger import BlobRecord, BlobState, Ledger

PINS = 5000
"""Digests asked for, and pinned, at a time."""
_FILES, _BYTES = 1000, 16 << 20
"""Small files, and bytes of them, that are read before the ledger is asked for them."""


@dataclass(frozen=True, slots=True)
class Count:
    """So many blobs with so many bytes in all."""

    blobs: int = 0
    bytes: int = 0

    def plus(self, size: int) -> "Count":
        return Count(self.blobs + 1, self.bytes + size)

    def minus(self, size: int) -> "Count":
        return Count(self.blobs - 1, self.bytes - size)


class Session:
    """See the top of this file.

    `stored` counts the blobs this session had to write, `known` those it was given and did not: the second time, bytes are known.
    """

    def __init__(self, store: Place) -> None:
        self.store = store
        self.stored = Count()
        self.known = Count()
        self._backend, self._ledger, self._domain = store.backend, store.ledger, store.domain
        self._id: str | None = None
        self._is_closed = False
        self._process = os.getpid()
        self._rows: dict[Digest, BlobRecord] = {}
        """What was pinned, as it stood then."""
        self._outgoing = Outgoing(store, lambda: self.id)
        self._assumptions = Assumptions()
        self._sizes: dict[str, int] = {}
        """Of packs that were asked for once: what is pinned in them keeps them."""
        self._safe: set[Digest] = set()
        """Stored, or staged by this session: only these may be believed."""

    @property
    def id(self) -> str:
        """The session's name in the ledger; asking for it opens the session.

        Raises:
            Refused: it was closed, or belongs to the process this one was forked from.
        """
        if self._is_closed or self._process != os.getpid():
            raise Refused("this session was closed, or is another process's: ask the store for a session of your own")
        if self._id is None:
            sweep_dead(self._backend, self._ledger)
            self._id = self._ledger.open_session()
        return self._id

    def take_bytes(self, data: bytes) -> Blob:
        """The blob of `data`, pinned, and staged unless it is stored already."""
        blob = Blob.of(data, self.store.algorithm)
        self.take_blobs([(blob, data)])
        return blob

    def take_blobs(self, blobs: Sequence[tuple[Blob, bytes]]) -> None:
        """As `take_bytes` for many whose digests are known: `PINS` in one question. The blobs must be what their bytes are."""
        for at in range(0, len(blobs), PINS):
            part = blobs[at : at + PINS]
            self._look([blob for blob, _ in part])
            for blob, data in part:
                if not self._is_known(blob):
                    self._store(blob, data)

    def take_file(self, path: str | Path, *, stable: bool = False) -> Taken:
        """The blob of a regular file, pinned, and staged unless it is stored already.

        A large file is copied while it is hashed, since it could change in between. A caller who knows that nobody writes to it any more
        says `stable`: then it is hashed first, and copied only when its bytes are new; they are checked again on the way.

        Raises:
            Missing, Unreadable, UnsupportedFile, UnsafeLink: it cannot be read as a regular file.
            SourceChanged: it changed while it was read, every time we tried.
            StoreFull, ReadOnlyStore: the store cannot take it.
        """
        small = peek(path, self.store.algorithm)
        if small is None:
            return patiently(lambda: self._take_large(path, stable=stable))
        self.take_blobs([(small.taken.blob, small.data)])
        return small.taken

    def take_files(self, paths: Sequence[str | Path], progress: Callable[[int], None] | None = None) -> Iterator[Taken]:
        """As `take_file` for many, one after the other as they are asked for, in the order of `paths`; what was answered is in the session.

        `progress` is told how many bytes have just been taken.
        """
        waiting: list[Small] = []
        held = 0
        for path in paths:
            small = peek(path, self.store.algorithm)
            if small is not None:
                waiting.append(small)
                held += len(small.data)
            if small is None or len(waiting) >= _FILES or held >= _BYTES:
                yield from self._take_small(waiting, progress)
                waiting, held = [], 0
            if small is None:
                taken = patiently(lambda path=path: self._take_large(path, stable=False))  # type: ignore[misc]  # mypy cannot infer a lambda's default
                _tell(progress, taken)
                yield taken
        yield from self._take_small(waiting, progress)

    def _take_small(self, files: Sequence[Small], progress: Callable[[int], None] | None) -> Iterator[Taken]:
        self.take_blobs([(small.taken.blob, small.data) for small in files])
        for small in files:
            _tell(progress, small.taken)
            yield small.taken

    def assume(self, blob: Blob, source: str) -> None:
        """Note that the file at `source` is said to hold `blob`, unread: it counts as known, and is nothing before it is settled."""
        self._assumptions.add(blob, source)
        self.known = self.known.plus(blob.size)

    def assume_all(self, files: Assumed) -> None:
        """As `assume` for many; nothing is done for each, unless it is settled."""
        self._assumptions.add_all(files)
        self.known = Count(self.known.blobs + len(files.values), self.known.bytes + files.size)

    def hold_segments(self, digests: Sequence[Digest]) -> set[Digest]:
        """Those that are segments of this store with all they list: pinned from now on, and so is what they list."""
        held = self._ledger.hold_segments(self.id, self._domain, digests) if digests else {}
        self._rows.update(held)
        return {digest for digest, row in held.items() if self._is_known(row.blob, must_ask=True)}

    def settle(self, digests: Iterable[Digest]) -> None:
        """Of these, pin what was only assumed; what is not stored is taken from its source now.

        Raises:
            SourceChanged: a source does not hold any more what it was said to hold.
            Missing, Unreadable, StoreFull, …: as `take_file`.
        """
        wanted = [digest for digest in dict.fromkeys(digests) if digest not in self._safe and digest in self._assumptions]
        for at in range(0, len(wanted), PINS):
            part = wanted[at : at + PINS]
            held = self._ledger.hold(self.id, self._domain, part)
            there = {row: self._is_there(row, must_ask=False) for row in set(held.values())}
            self._safe.update(digest for digest, row in held.items() if there[row])
            self._read_again([self._assumptions.about(digest) for digest in part if digest not in self._safe])

    def _read_again(self, assumed: Sequence[tuple[Blob, str]]) -> None:
        for (blob, source), taken in zip(assumed, self.take_files([source for _, source in assumed]), strict=True):
            self.known = self.known.minus(blob.size)
            if taken.blob != blob:
                raise SourceChanged(f"{printable(source)} changed since it was looked at: wait until its writer is done, then call again")

    def keep(self, blobs: Iterable[Blob]) -> None:
        """Pin blobs that a base manifest brings along; nothing is read or written.

        Raises:
            BlobMissing: listing those that are not live in this domain; nothing was pinned when none ever was.
        """
        wanted = [
            blob for blob in {blob.digest: blob for blob in blobs}.values() if not (blob.digest in self._rows or blob.digest in self._safe)
        ]
        for at in range(0, len(wanted), PINS):
            part = wanted[at : at + PINS]
            self._require_live(part, self._ledger.find(self._domain, [blob.digest for blob in part]))
            self._rows.update(self._ledger.pin(self.id, self._domain, part))
            self._require_live(part, self._rows)

    def record(self, digest: Digest) -> BlobRecord:
        """How a blob this session pinned rests; once published, `Store.pieces` reads it before any commit.

        Raises:
            BlobMissing: this session did not take it.
        """
        row = self._outgoing.record(digest) or self._rows.get(digest)
        if row is None and digest in self._safe:  # it was only assumed, and is held
            row = self._ledger.find(self._domain, [digest]).get(digest)
        if row is None:
            raise BlobMissing(f"blob {digest} was not taken by this session: take it first")
        return row

    def publish(self) -> None:
        """Everything taken rests durable in the store when this returns; it exists once the ledger's commit says so.

        Raises:
            StoreFull, ReadOnlyStore, Unavailable: nothing may be committed; calling again tries again, but for bytes whose flush failed.
        """
        try:
            self._outgoing.publish()
        finally:
            self._safe -= self._outgoing.lost

    @property
    def lost(self) -> frozenset[Digest]:
        """What was pinned and never stored, because storing it failed: a commit must leave it out."""
        failed = [digest for digest, row in self._rows.items() if row.state is BlobState.UPLOADING]
        return frozenset(digest for digest in (*failed, *self._outgoing.lost) if digest not in self._safe)

    def close(self) -> None:
        """Free the pins and leave nothing that was not committed. A second close, and one after a commit, change nothing."""
        if self._is_closed or self._process != os.getpid():
            return
        self._is_closed = True
        if self._id is None:
            return
        try:
            self._outgoing.drop()
            self._backend.sweep(self._id)
        finally:
            was_open = self._ledger.close_session(self._id)
        if was_open:
            self._retract()

    def _retract(self) -> None:
        """Take back what nobody committed: what was refused leaves no trace. The ledger spares what somebody else relies on by now."""
        with suppress(Unavailable):  # what stays is garbage that reclaim finds
            ours = [*self._rows.values(), *self._outgoing.packs.values()]
            doomed = self._ledger.doom([row for row in ours if row.state is BlobState.UPLOADING])
            if doomed:
                self._backend.remove_many([record.key for record in doomed])
                self._ledger.forget(doomed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _look(self, blobs: Sequence[Blob], most: int | None = None) -> None:
        """Pin those that may be stored already, and those that will rest alone (of more than `most` bytes); the rest come with a pack."""
        most = self.store.packed if most is None else most
        session = self.id
        new = [
            blob for blob in {blob.digest: blob for blob in blobs}.values() if not (blob.digest in self._safe or blob.digest in self._rows)
        ]
        small = [blob.digest for blob in new if blob.size <= most]
        found = self._ledger.find(self._domain, small) if small else {}
        pinned = [blob for blob in new if blob.size > most or _is_live(found.get(blob.digest))]
        if pinned:
            self._rows.update(self._ledger.pin(session, self._domain, pinned))

    def _require_live(self, blobs: Sequence[Blob], rows: Mapping[Digest, BlobRecord]) -> None:
        gone = [blob.digest for blob in blobs if blob.digest not in rows or rows[blob.digest].state is not BlobState.LIVE]
        if gone:
            for digest in gone:
                self._rows.pop(digest, None)
            raise BlobMissing(f"{len(gone)} blobs of the base version are not in this store: log their content again{listed(gone)}")

    def _is_known(self, blob: Blob, *, must_ask: bool = False) -> bool:
        """As `_is_stored`, and counted when it is."""
        is_stored = self._is_stored(blob, must_ask=must_ask)
        if is_stored:
            self.known = self.known.plus(blob.size)
        return is_stored

    def _is_stored(self, blob: Blob, *, must_ask: bool = False) -> bool:
        """Is a blob that was looked for there, or on its way in this session? What somebody else is uploading counts as absent."""
        if blob.digest not in self._safe:
            row = self._rows.get(blob.digest)
            if row is None or row.state is not BlobState.LIVE or not self._is_there(row, must_ask):
                return False
            self._safe.add(blob.digest)
        return True

    def _is_there(self, row: BlobRecord, must_ask: bool) -> bool:
        """Are the bytes of a live row really there? Where asking is dear the ledger is believed about what rests in packs."""
        rests_alone = row.pack is None and not row.is_pack  # as what was put aside as wrong does, or did
        if not (self._backend.is_near or must_ask or rests_alone):
            return True
        with suppress(BlobMissing):
            if row.is_whole(self._size(row)):
                return True
            if row.pack is None:  # what else is in a pack that was cut off may be right
                self._backend.quarantine(row.key)
        return False

    def _size(self, row: BlobRecord) -> int:
        if row.pack is None:
            return self._backend.size(row.key)
        if row.key not in self._sizes:
            self._sizes[row.key] = self._backend.size(row.key)
        return self._sizes[row.key]

    def _store(self, blob: Blob, data: bytes) -> None:
        """Stage bytes: in a pack when they are few, unless they are to replace an object of their own that was lost."""
        row = self._rows.get(blob.digest)
        if blob.size <= self.store.packed and not (row is not None and row.state is BlobState.LIVE and row.pack is None):
            self._count(blob)
            self._outgoing.add(blob, data)
            return
        with self._backend.stage(self.id) as staged:
            staged.write(data)
        self._hold(blob, staged)

    def _hold(self, blob: Blob, staged: Staged) -> None:
        self._count(blob)
        self._outgoing.add_alone(self._rows[blob.digest], staged)

    def _count(self, blob: Blob) -> None:
        self._safe.add(blob.digest)
        self.stored = self.stored.plus(blob.size)

    def _take_large(self, path: str | Path, *, stable: bool) -> Taken:
        """Stage while hashing, then pin, then drop the copy when it was not needed. Nothing is sent far that may not be needed."""
        blob: Blob | None = None
        with Source(path) as source:
            self._require_room(source)
            if stable or not self._backend.is_near:
                blob = measure(source, self.store.algorithm)
                if self._has(blob):
                    return Taken(blob, source.is_executable, source.stamp)
        key = None if blob is None or self._backend.is_near else self._rows[blob.digest].resting(None).key
        with Source(path) as source, self._backend.stage(self.id, key) as staged:
            taken = Taken(pour(source, staged, self.store.algorithm, is_near=self._backend.is_near), source.is_executable, source.stamp)
            if key is not None and taken.blob != blob:
                raise SourceChanged(f"{printable(str(path))} changed between two readings: wait until its writer is done, then call again")
        try:
            is_stored = key is None and self._has(taken.blob)
        except BaseException:
            staged.drop()
            raise
        if is_stored:
            staged.drop()
        else:
            self._hold(taken.blob, staged)
        return taken

    def _require_room(self, source: Source) -> None:
        """Return when the store can hold so large a file at all."""
        largest = self._backend.largest
        if largest is not None and source.size > largest:
            raise TooLarge(f"{printable(str(source.path))} has {source.size} bytes, the store holds {largest} in one blob: split the file")

    def _has(self, blob: Blob) -> bool:
        self._look([blob], most=-1)
        return self._is_known(blob, must_ask=True)


def _is_live(row: BlobRecord | None) -> bool:
    return row is not None and row.state is BlobState.LIVE


def _tell(progress: Callable[[int], None] | None, taken: Taken) -> None:
    if progress is not None:
        progress(taken.blob.size)


def sweep_dead(backend: Backend, ledger: Ledger) -> list[str]:
    """The dead sessions whose staging was swept and which were then closed.

    Staging that belongs to no open session is swept too: its writer died between its commit and its clean-up. What another user staged and
    this one may not touch is left to that user, and is not in the answer.
    """
    staged = backend.sessions()  # before the ledger is asked: whoever staged this had opened his session already
    dead = ledger.dead_sessions()
    left = sorted({*dead, *staged} - set(ledger.open_sessions())) if staged or dead else []
    swept = []
    for session in left:
        with suppress(Unavailable):
            backend.sweep(session)
            ledger.close_session(session)
            swept.append(session)
    return swept
