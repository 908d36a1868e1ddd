"""The blobs of one dedup domain: which exist, says the ledger; what they are, says the backend; that they are right is checked here.

Every byte that is read is verified against the checksum the ledger recorded when it was written, and the size. What turns out wrong is
moved aside, never deleted and never served; `Corrupt` names it. A digest that is not live in this domain is `BlobMissing`, even when the
same bytes are known in another domain or are just being written: only a commit makes a blob exist. Of a pack only the blob that is asked
for is read, and when that is wrong the pack stays: the blob's bytes are copied aside, and the ledger knows that they rest nowhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import xxhash

from storage.blob.backend import Backend
from storage.blob.pack import PACKED
from storage.blob.session import Session
from storage.digest import DEFAULT_ALGORITHM, Blob, Digest
from storage.errors import BlobMissing, Corrupt, Unavailable
from storage.ledger import BlobRecord, BlobState, Ledger


@dataclass(frozen=True)
class Store:
    """See the top of this file. It holds nothing open: any thread and any fork may use it."""

    backend: Backend
    ledger: Ledger
    domain: str
    algorithm: str = DEFAULT_ALGORITHM
    packed: int = PACKED
    """Blobs of at most so many bytes are packed when they are written, larger ones rest alone; -1 packs none. All are read alike."""

    def session(self) -> Session:
        """A writer's session on this store; it costs nothing until something is taken."""
        return Session(self)

    def locate(self, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        """The records of those of `digests` that are live; the others are left out. One question to the ledger."""
        found = self.ledger.find(self.domain, digests)
        return {digest: record for digest, record in found.items() if record.state is BlobState.LIVE}

    def has(self, digest: Digest) -> bool:
        """Is the blob live, and are that many bytes there?"""
        record = self.locate([digest]).get(digest)
        if record is None:
            return False
        with suppress(BlobMissing):
            return record.fits(self.backend.size(record.key))
        return False

    def read(self, digest: Digest) -> bytes:
        """The bytes of a blob, verified.

        Raises:
            BlobMissing: unknown here, or not live.
            Corrupt: the bytes are wrong; they were moved aside.
        """
        return b"".join(self.open(digest))

    def open(self, digest: Digest) -> Iterator[bytes]:
        """The bytes of a blob, in pieces, verified by the end: write them to a temporary file and rename it when the pieces ended.

        Raises:
            BlobMissing: unknown here, or not live; raised by the call itself.
            Corrupt: after the last piece, when the bytes were wrong; they were moved aside.
        """
        return self.pieces(self._live(digest))

    def pieces(self, record: BlobRecord) -> Iterator[bytes]:
        """As `open`, of a record that `locate` gave; when the blob has moved since, from where it is now."""
        try:
            return self._verified(record)
        except BlobMissing:
            # Reclaimed and logged again since the ledger answered, or packed by two writers at once, and their later pack counts.
            again = self._live(record.blob.digest)
            if again == record:
                raise
            return self._verified(again)

    def _verified(self, record: BlobRecord) -> Iterator[bytes]:
        length = None if record.pack is None else record.blob.size  # an object of its own that has grown is wrong
        return self._checked(record, self.backend.read(record.key, record.start, length))

    def _checked(self, record: BlobRecord, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """`pieces` as they come; then `Corrupt`, and quarantine, when they were not the record's bytes."""
        checksum, size = xxhash.xxh3_128(), 0
        for piece in pieces:
            checksum.update(piece)
            size += len(piece)
            yield piece
        if (size, checksum.hexdigest()) != (record.blob.size, record.blob.checksum):
            raise condemned(self.backend, self.ledger, record, f"{size} bytes with checksum {checksum.hexdigest()}")

    def _live(self, digest: Digest) -> BlobRecord:
        record = self.locate([digest]).get(digest)
        if record is None:
            raise BlobMissing(f"blob {digest} is not in domain {self.domain!r}: fetch it from where it is, or log its content again")
        return record


def condemned(backend: Backend, ledger: Ledger, record: BlobRecord, found: str) -> Corrupt:
    """The error that says a blob's bytes are wrong, after putting them aside where that is possible."""
    blob: Blob = record.blob
    where = "they stay where they are, which cannot be written"
    with suppress(Unavailable):
        is_aside = _put_aside(backend, ledger, record)
        where = "they are kept in quarantine" if is_aside else "this place keeps no quarantine"
    wanted = f"{blob.size} bytes with checksum {blob.checksum}"
    return Corrupt(f"blob {blob.digest} is rotten: {found} found, {wanted} wanted; {where}: log its content again or restore a backup")


def _put_aside(backend: Backend, ledger: Ledger, record: BlobRecord) -> bool:
    if record.pack is None:
        return backend.quarantine(record.key)
    if not backend.copy_aside(record.key, record.start, record.blob.size):
        return False
    with suppress(Exception):  # whatever a ledger refuses with must not hide the rot; the next reader finds it again
        ledger.displace([record])
    return True
