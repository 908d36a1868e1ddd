"""What a session has taken in and not yet published: large blobs staged alone, small ones in packs that are being made.

A pack is written by one other thread while more comes in: in slabs, hashed and put on their way to the disk, at last its footer, and a
flush. Its bytes stay in memory until all of it is staged, so whatever fails takes nothing with it: the next attempt writes the pack again.
No more than `AHEAD` packs wait for the disk; who takes more has to wait, too. What fits one slab is written by the caller's own thread when
it is asked for. Nothing here asks the ledger or publishes.
"""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from storage.blob.backend import Staged
from storage.blob.pack import FULL, Pack, PackWriter
from storage.blob.pool import Worker
from storage.digest import Blob, Digest
from storage.errors import Unavailable

SLAB = 4 << 20
"""Bytes of a pack that are handed over at a time; a blob of its own that is at least as large is flushed at once."""
AHEAD = 1


class Parcel:
    """One pack, from its first blob until it is published."""

    def __init__(self, stage: Callable[[], Staged], algorithm: str, *, is_near: bool) -> None:
        self.size = 0
        self.staged: tuple[Staged, Pack] | None = None
        self._stage, self._algorithm, self._is_near = stage, algorithm, is_near
        self._blobs: list[tuple[Blob, bytes]] = []
        self._given, self._given_size = 0, 0
        """How many of them, and bytes, were handed over."""
        self._writer: PackWriter | None = None
        self._work: list[Future[object]] = []
        self._has_failed = False

    @property
    def is_at_work(self) -> bool:
        """Is another thread writing it, or was?"""
        return bool(self._work)

    def add(self, blob: Blob, data: bytes) -> None:
        self._blobs.append((blob, data))
        self.size += blob.size

    def write_ahead(self, worker: Worker) -> None:
        """Hand over what came since the last time, when it is enough."""
        if self.size - self._given_size >= SLAB:
            slab = self._blobs[self._given :]
            self._given, self._given_size = len(self._blobs), self.size
            self._work.append(worker.submit(self._write, slab))

    def close(self, worker: Worker) -> None:
        """No more blobs come. Where something was handed over already the rest is, too; otherwise `settle` writes all of it."""
        if self._work:
            self._work.append(worker.submit(self._finish))

    def settle(self) -> tuple[Staged, Pack]:
        """The pack, staged whole.

        Raises:
            StoreFull, ReadOnlyStore, Unavailable: it could not be written; everything is still held, and the next call writes it again.
        """
        work, self._work = self._work, []
        try:
            for future in work:
                future.result()
            return self.staged or self._finish()
        except BaseException:
            for future in work:
                with suppress(BaseException):  # the first error is told, and everything is written again
                    future.result()
            self.drop()
            raise

    def drop(self) -> None:
        """Forget what was written; what there was to write is held, until it was staged once."""
        writer, self._writer, self.staged, self._has_failed = self._writer, None, None, False
        self._given, self._given_size = 0, 0
        if writer is not None:
            with suppress(Unavailable):  # the sweep tries again, and says what is wrong
                writer.staged.drop()

    def _write(self, slab: list[tuple[Blob, bytes]]) -> None:
        if self._has_failed:
            return
        try:
            if self._writer is None:
                self._writer = PackWriter(self._stage(), self._algorithm)
            self._writer.extend(slab)
            if self._is_near:
                self._writer.staged.hurry()
        except BaseException:
            self._has_failed = True
            raise

    def _finish(self) -> tuple[Staged, Pack]:
        self._write(self._blobs[self._given :])
        if self._has_failed or self._writer is None:
            raise Unavailable("a pack could not be written: see what was refused before, then call again")
        pack = self._writer.finish()
        if self._is_near:
            self._writer.staged.flush()
        self.staged = self._writer.staged, pack
        self._blobs = []
        return self.staged


class Batch:
    """See the top of this file. What is far is not flushed here: it is not kept here."""

    def __init__(self, stage: Callable[[], Staged], algorithm: str, *, is_near: bool) -> None:
        self.alone: dict[Digest, Staged] = {}
        self.closed: list[Parcel] = []
        """Packs that take no more, the oldest first."""
        self._stage, self._algorithm, self._is_near = stage, algorithm, is_near
        self._open: Parcel | None = None
        self._worker = Worker()
        self._flushes: dict[Digest, Future[None]] = {}

    def add(self, blob: Blob, data: bytes) -> None:
        """Hold small bytes; they are in the batch even when this raises.

        Raises:
            StoreFull, ReadOnlyStore, Unavailable: this pack or one before it was full, and could not be staged; all of it is still held.
        """
        if self._open is None:
            self._open = Parcel(self._stage, self._algorithm, is_near=self._is_near)
        self._open.add(blob, data)
        if self._open.size < FULL:
            self._open.write_ahead(self._worker)
            return
        self.close_pack()
        for number, parcel in enumerate(self.closed, 1):
            if number <= len(self.closed) - AHEAD or not parcel.is_at_work:
                parcel.settle()

    def add_alone(self, blob: Blob, staged: Staged) -> None:
        """Hold what was staged; a large one begins to be flushed."""
        self.alone[blob.digest] = staged
        if blob.size >= SLAB and self._is_near:
            self._flushes[blob.digest] = self._worker.submit(staged.flush)

    def close_pack(self) -> None:
        """What comes from now on goes into another pack."""
        if self._open is not None:
            self._open.close(self._worker)
            self.closed.append(self._open)
            self._open = None

    def settle_alone(self) -> dict[Digest, BaseException]:
        """Wait for flushes; answer with what could not be flushed, and why. That is given up: nothing is flushed twice."""
        flushes, self._flushes = self._flushes, {}
        failed = {digest: error for digest, future in flushes.items() if (error := future.exception()) is not None}
        for digest in failed:
            self.alone.pop(digest)
        return failed

    def clear(self) -> None:
        """What was closed is published."""
        self.alone.clear()
        self.closed.clear()

    def drop(self) -> None:
        """Forget everything, once the other thread has ended."""
        self._worker.close()
        for parcel in (*self.closed, *([self._open] if self._open else [])):
            parcel.drop()
        for staged in self.alone.values():
            with suppress(Unavailable):  # the sweep tries again, and says what is wrong
                staged.drop()
        self.clear()
        self._open = None
