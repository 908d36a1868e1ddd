"""The blobs of one dedup domain: which exist, says the ledger; what they are, says the backend; that they are right is checked here.

Every byte that is read is verified against the checksum the ledger recorded when it was written, and the size. What turns out wrong is
moved aside, never deleted and never served; `Corrupt` names it. A digest that is not live in this domain is `BlobMissing`, even when the
same bytes are known in another domain or are just being written: only a commit makes a blob exist.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import xxhash

from storage.blob.backend import Backend
from storage.blob.session import Session
from storage.digest import DEFAULT_ALGORITHM, Blob, Digest
from storage.errors import BlobMissing, Corrupt, Unavailable
from storage.layout import blob_key
from storage.ledger import BlobRecord, BlobState, Ledger


@dataclass(frozen=True)
class Store:
    """See the top of this file. It holds nothing open: any thread and any fork may use it."""

    backend: Backend
    ledger: Ledger
    domain: str
    algorithm: str = DEFAULT_ALGORITHM

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
            return self.backend.size(_key(record)) == record.blob.size
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
        record = self._live(digest)
        try:
            return self.pieces(record)
        except BlobMissing:
            # Reclaimed and logged again since the ledger answered: it rests under another generation now.
            again = self._live(digest)
            if again == record:
                raise
            return self.pieces(again)

    def pieces(self, record: BlobRecord) -> Iterator[bytes]:
        """As `open`, of a record that `locate` gave."""
        return verified(self.backend, record, self.backend.read(_key(record)))

    def _live(self, digest: Digest) -> BlobRecord:
        record = self.locate([digest]).get(digest)
        if record is None:
            raise BlobMissing(f"blob {digest} is not in domain {self.domain!r}: fetch it from where it is, or log its content again")
        return record


def _key(record: BlobRecord) -> str:
    return blob_key(record.domain, record.blob.digest, record.generation)


def verified(backend: Backend, record: BlobRecord, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces` as they come; then `Corrupt`, and quarantine, when they were not the record's bytes."""
    checksum, size = xxhash.xxh3_128(), 0
    for piece in pieces:
        checksum.update(piece)
        size += len(piece)
        yield piece
    if (size, checksum.hexdigest()) != (record.blob.size, record.blob.checksum):
        raise condemned(backend, record, f"{size} bytes with checksum {checksum.hexdigest()}")


def condemned(backend: Backend, record: BlobRecord, found: str) -> Corrupt:
    """The error that says a blob's bytes are wrong, after moving them aside where that is possible."""
    blob: Blob = record.blob
    where = "they stay where they are, which cannot be written"
    with suppress(Unavailable):
        is_moved = backend.quarantine(_key(record))
        where = "they were moved to quarantine" if is_moved else "this place keeps no quarantine"
    wanted = f"{blob.size} bytes with checksum {blob.checksum}"
    return Corrupt(f"blob {blob.digest} is rotten: {found} found, {wanted} wanted; {where}: log its content again or restore a backup")
