"""What rests far away, kept near by: blobs and packs in the bounded cache, so that opening them again needs no network.

A pack of which much is wanted is brought whole, once, and read here from then on; of others each blob is kept by itself. What is large
comes by several ranges at once and goes on where it was cut off. Nothing is believed for being here: a copy is verified when it is
brought, and again when it is read; one that is wrong is dropped. A cache that takes nothing costs time, never an answer.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from storage.blob.backend import Backend
from storage.blob.cache import Cache
from storage.digest import Digest
from storage.errors import RemoteUnavailable, Unavailable
from storage.ledger import BlobRecord

SHARE = 4
"""What is larger than this part of the cache's limit is not kept: it would push out too much."""
WORTH = 2
"""A pack is brought whole when this part of it, or more, is wanted."""


@dataclass(frozen=True)
class Nearby:
    """See the top of this file. Any thread may use it."""

    backend: Backend
    cache: Cache

    def small(self, record: BlobRecord) -> bytes | None:
        """The bytes of a blob that is here, by itself or in its pack; None when it is not, or was wrong and is not any more."""
        with suppress(Unavailable):
            kept = self.cache.get(_key(record), record.blob)
            if kept is not None:
                return _range(kept, 0, record.blob.size)
            data = self.range(record, record.start, record.blob.size)
            if data is None or Digest.of(data, record.blob.digest.algorithm) == record.blob.digest:
                return data
            self.cache.drop(_pack_key(record))
        return None

    def keep(self, record: BlobRecord, data: bytes) -> None:
        """Keep the verified bytes of a blob."""
        if self._is_keepable(len(data)):
            with suppress(Unavailable):
                self.cache.put(_key(record), [data])

    def pack(self, record: BlobRecord) -> Path | None:
        """The copy of the pack that a blob is in."""
        with suppress(Unavailable):
            return None if record.pack is None else self.cache.find(_pack_key(record))
        return None

    def range(self, record: BlobRecord, start: int, length: int) -> bytes | None:
        """A range of a pack that is here; None when it is not."""
        pack = self.pack(record)
        return None if pack is None else _range(pack, start, length)

    def bring_pack(self, record: BlobRecord) -> None:
        """The whole pack that a blob is in is here, where the cache will have it.

        Raises:
            BlobMissing: it is not where it was.
            Corrupt: some of it is wrong, and who reads its blobs one by one will hear which.
            RemoteUnavailable: what came stays, and is not fetched again.
        """
        if record.pack is not None and self._is_keepable(record.pack_size):
            self._fetch(_pack_key(record), record.key, record.pack, record.pack_size)

    def bring(self, record: BlobRecord) -> Path | None:
        """A verified copy of a blob that rests alone; None where the cache will not have it. Raises: as `bring_pack`."""
        if record.pack is not None or not self._is_keepable(record.blob.size):
            return None
        kept = None
        with suppress(Unavailable):
            kept = self.cache.get(_key(record), record.blob)
        return kept or self._fetch(_key(record), record.key, record.blob.digest, record.blob.size)

    def _fetch(self, name: str, key: str, digest: Digest, size: int) -> Path | None:
        try:
            return self.cache.fetch(name, digest, size, lambda start, length: self.backend.read(key, start, length))
        except RemoteUnavailable:
            raise
        except Unavailable:
            return None

    def _is_keepable(self, size: int) -> bool:
        return size <= self.cache.limit // SHARE


def _key(record: BlobRecord) -> str:
    return f"blob\n{record.domain}\n{record.blob.digest}"


def _pack_key(record: BlobRecord) -> str:
    return f"pack\n{record.domain}\n{record.pack}"


def _range(path: Path, start: int, length: int) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # evicted just now
        return None
    try:
        return os.pread(fd, length, start)
    finally:
        os.close(fd)
