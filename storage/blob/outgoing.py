"""What a session stores: staged, told to the ledger, published; and all that it can say of it until a commit makes it so.

Near, everything is published together, so that flushing is shared. Far, full packs are sent by another thread while the next is filled.
The ledger is only ever asked by the caller's own thread: what holds a transaction must never wait for a thread that wants one.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import Protocol

from storage.blob.backend import Backend, Staged
from storage.blob.batch import Batch, Parcel
from storage.blob.pack import Pack, read_footer
from storage.blob.pool import Worker
from storage.blob.readback import is_wrong, wrong_in
from storage.digest import Blob, Digest
from storage.errors import BlobMissing, Corrupt, listed
from storage.ledger import BlobRecord, BlobState, Ledger

UNSENT = 2
"""Packs that may wait for being sent: they lie on this machine's disk meanwhile."""


class Place(Protocol):
    """What a session needs to know of its store."""

    @property
    def backend(self) -> Backend: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def domain(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def packed(self) -> int: ...
    @property
    def paranoid(self) -> bool: ...
    def read(self, digest: Digest) -> bytes: ...


class Outgoing:
    """See the top of this file. `session` names the session, and opens it."""

    def __init__(self, store: Place, session: Callable[[], str]) -> None:
        self.packs: dict[Digest, BlobRecord] = {}
        """Packs that were told to the ledger."""
        self.lost: set[Digest] = set()
        """What was taken, and could not be made durable, or is not what it was: it is not stored until it is taken again."""
        self._backend, self._ledger, self._domain, self._is_paranoid = store.backend, store.ledger, store.domain, store.paranoid
        self._session = session
        self._batch = Batch(lambda: self._backend.stage(session()), store.algorithm, is_near=store.backend.is_near)
        self._alone: dict[Digest, BlobRecord] = {}
        self._inside: dict[Digest, BlobRecord] = {}
        """What is in the packs, once they were asked."""
        self._sender, self._sent = Worker(), dict[Parcel, Future[None]]()

    def add(self, blob: Blob, data: bytes) -> None:
        """Put small bytes into a pack; they are held even when this raises.

        Raises:
            StoreFull, ReadOnlyStore, Unavailable: a pack was full and could not be staged.
        """
        self.lost.discard(blob.digest)
        self._batch.add(blob, data)
        if not self._backend.is_near:
            self._send_ahead()

    def add_alone(self, row: BlobRecord, staged: Staged) -> None:
        """Hold what was staged for an object of its own; the row says how the ledger knows it."""
        self.lost.discard(row.blob.digest)
        self._alone[row.blob.digest] = row.resting(None)
        self._batch.add_alone(row.blob, staged)

    def record(self, digest: Digest) -> BlobRecord | None:
        """How a blob rests that was published here: the packs say themselves what is in them, and are asked once."""
        if digest not in self._inside:
            for pack in self.packs.values():
                members = read_footer(partial(self._range, pack.key), pack.blob.size)
                rows = (BlobRecord(self._domain, blob, BlobState.UPLOADING).resting(pack, start) for blob, start in members)
                self._inside.update((row.blob.digest, row) for row in rows)
        return self._inside.get(digest) or self._alone.get(digest)

    def _range(self, key: str, start: int, length: int) -> bytes:
        return b"".join(self._backend.read(key, start, length))

    def publish(self) -> None:
        """As `Session.publish`."""
        batch = self._batch
        batch.close_pack()
        self._give_up(batch.settle_alone())
        packs = [(parcel, *parcel.settle()) for parcel in batch.closed]
        pieces = [(staged, self._alone[digest].key) for digest, staged in batch.alone.items()]
        pieces += [(staged, self._place(pack).key) for parcel, staged, pack in packs if not self._is_sent(parcel)]
        if pieces:
            self._backend.publish(pieces)
        published = list(batch.alone)
        batch.clear()
        self._sent.clear()
        if self._is_paranoid:
            self._read_back(published, [pack for _, _, pack in packs])

    def _give_up(self, failed: dict[Digest, BaseException]) -> None:
        """Of bytes that were staged and could not be made durable nothing is left."""
        self.lost |= failed.keys()
        for error in failed.values():
            raise error

    def _send_ahead(self) -> None:
        for parcel in self._batch.closed:
            if parcel.staged is not None and parcel not in self._sent:
                staged, pack = parcel.staged
                self._sent[parcel] = self._sender.submit(self._backend.publish, [(staged, self._place(pack).key)])
        for sending in [future for future in self._sent.values() if not future.done()][:-UNSENT]:
            wait([sending])

    def _is_sent(self, parcel: Parcel) -> bool:
        """Was it sent ahead? What could not be is sent again, and says then what is wrong."""
        return parcel in self._sent and self._sent[parcel].exception() is None

    def _place(self, pack: Pack) -> BlobRecord:
        placed = self._ledger.place(self._session(), self._domain, pack.blob, pack.members)
        self.packs[pack.blob.digest] = placed
        if placed.state is BlobState.LIVE:  # somebody has it: a piece of it would be in the way
            with suppress(BlobMissing):
                if not placed.is_whole(self._backend.size(placed.key)):
                    self._backend.quarantine(placed.key)
        return placed

    def _read_back(self, alone: Sequence[Digest], packs: Sequence[Pack]) -> None:
        """See that what was hashed is what rests there now; whatever is not is put aside, and lost."""
        wrong: dict[str, list[Blob]] = {}
        for row in (self._alone[digest] for digest in alone):
            if is_wrong(self._backend, row.key, row.blob):
                wrong[row.key] = [row.blob]
        for pack in packs:
            key = self.packs[pack.blob.digest].key
            if wrong_in(self._backend, key, pack.members):
                wrong[key] = [blob for blob, _ in pack.members]
        for key, blobs in wrong.items():
            self._backend.quarantine(key)
            self.lost |= {blob.digest for blob in blobs}
        if wrong:
            raise Corrupt(f"what was hashed is not what was stored: memory or disk of this machine fail, test them{listed(list(wrong))}")

    def drop(self) -> None:
        """Forget what was not published, once no thread works on it any more."""
        self._sender.close()
        self._batch.drop()
