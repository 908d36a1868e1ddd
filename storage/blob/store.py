"""The blobs of one dedup domain: which exist, says the ledger; what they are, says the backend; that they are right is checked here.

Every byte that is read is verified against the checksum the ledger recorded when it was written, and the size; what comes from a far place
crosses a boundary of trust and is verified against its digest too. What turns out wrong is moved aside, never deleted and never served;
`Corrupt` names it. A digest that is not live in this domain is `BlobMissing`, even when the same bytes are known in another domain or are
just being written: only a commit makes a blob exist. Of a pack only what is asked for is read, neighbours together, each verified by
itself: when one is wrong the others are right, and the pack stays; the blob's bytes are copied aside, and the ledger knows that they rest
nowhere.
"""

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO, cast

import xxhash

from storage.blob.backend import Backend
from storage.blob.cache import Cache
from storage.blob.nearby import WORTH, Nearby
from storage.blob.pack import PACKED
from storage.blob.pool import ahead
from storage.blob.reader import BlobReader
from storage.blob.session import Session
from storage.blob.span import FAR, NEAR, Span, spans
from storage.digest import ALGORITHMS, CHUNK, DEFAULT_ALGORITHM, Blob, Buffer, Digest
from storage.errors import BlobMissing, Corrupt, Missing, StorageError, Unavailable
from storage.ledger import BlobRecord, BlobState, Ledger

Wrong = Callable[[BlobRecord, StorageError], None]
"""Told of a blob that could not be read, and why."""

THREADS = 4
"""Requests under way at the same time when many blobs are read from far."""
WHOLE = 8 << 20
"""A blob of up to so many bytes is read into memory to be opened."""


@dataclass(frozen=True)
class Store:
    """See the top of this file. It holds nothing open: any thread and any fork may use it."""

    backend: Backend
    ledger: Ledger
    domain: str
    algorithm: str = DEFAULT_ALGORITHM
    packed: int = PACKED
    """Blobs of at most so many bytes are packed when they are written, larger ones rest alone; -1 packs none. All are read alike."""
    paranoid: bool = False
    """Is what was written read back before it may be committed?"""
    cache: Cache | None = None
    """Where what is read from a far backend is kept."""

    @cached_property
    def _nearby(self) -> Nearby | None:
        return None if self.cache is None or self.backend.is_near else Nearby(self.backend, self.cache)

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

    def read_many(self, records: Sequence[BlobRecord], wrong: Wrong | None = None) -> Iterator[tuple[BlobRecord, bytes | memoryview]]:
        """Small blobs that `locate` gave, each once, each verified, in the order they rest: neighbours in a pack are read together.

        Bytes that were read together, and mostly wanted, are not copied apart: whoever keeps one blob keeps its neighbours.

        A blob that cannot be read ends the reading, unless `wrong` is there to be told: then the others still come.

        Raises:
            BlobMissing: not live any more.
            Corrupt: its bytes are wrong; they were moved aside.
        """
        left = list({record.blob.digest: record for record in records}.values())
        here: set[str] = set()
        if self._nearby is not None:
            here = self._bring_packs(self._nearby, left)
            away = []
            for record in left:
                data = None if record.key in here else self._nearby.small(record)
                if data is None:
                    away.append(record)
                else:
                    yield record, data
            left = away
        reach, threads = (NEAR, 0) if self.backend.is_near else (FAR, THREADS)
        for span, data in ahead(self._span, spans(left, reach), threads):
            is_dense = 2 * sum([record.blob.size for record in span.records]) >= span.length
            view: bytes | memoryview = memoryview(data) if is_dense else data
            for record in span.records:
                at = record.start - span.start
                part = view[at : at + record.blob.size]
                if not self._is_right(record, part):
                    try:
                        part = b"".join(self.pieces(record))  # by itself: it moved, or it is told what is wrong with it
                    except (Missing, Corrupt) as error:
                        if wrong is None:
                            raise
                        wrong(record, error)
                        continue
                elif self._nearby is not None and span.key not in here:
                    self._nearby.keep(record, bytes(part))
                yield record, part

    def _bring_packs(self, nearby: Nearby, records: Iterable[BlobRecord]) -> set[str]:
        """The keys of the packs that are near by now: all of which enough is wanted, where that is possible."""
        wanted: dict[str, list[BlobRecord]] = defaultdict(list)
        for record in records:
            if record.pack is not None:
                wanted[record.key].append(record)
        for held in wanted.values():
            if sum(record.blob.size for record in held) * WORTH >= held[0].pack_size and nearby.pack(held[0]) is None:
                with suppress(BlobMissing, Corrupt):  # each blob is asked for by itself then
                    nearby.bring_pack(held[0])
        return {key for key, held in wanted.items() if nearby.pack(held[0]) is not None}

    def open(self, digest: Digest) -> Iterator[bytes]:
        """The bytes of a blob, in pieces, verified by the end: write them to a temporary file and rename it when the pieces ended.

        Raises:
            BlobMissing: unknown here, or not live; raised by the call itself.
            Corrupt: after the last piece, when the bytes were wrong; they were moved aside.
        """
        return self.pieces(self._live(digest))

    def open_file(self, record: BlobRecord) -> BinaryIO:
        """A blob that `locate` gave as a file to read and seek in; all of it was verified before this returned.

        Raises:
            BlobMissing: not live any more.
            Corrupt: its bytes are wrong; they were moved aside.
        """
        if record.blob.size <= WHOLE:
            return io.BytesIO(b"".join(self.pieces(record)))
        if self._nearby is not None and (kept := self._kept(self._nearby, record)) is not None:
            return kept
        for _ in self.pieces(record):
            pass
        return cast("BinaryIO", io.BufferedReader(BlobReader(self.backend, record), CHUNK))

    def pieces(self, record: BlobRecord) -> Iterator[bytes]:
        """As `open`, of a record that `locate` gave; when the blob has moved since, from where it is now."""
        if self._nearby is None:
            return self._direct(record)
        if record.blob.size > WHOLE:
            file = self._kept(self._nearby, record)
            return self._direct(record) if file is None else _chunks(file)
        data = self._nearby.small(record)
        if data is None:
            data = b"".join(self._direct(record))
            self._nearby.keep(record, data)
        return iter((data,))

    def _kept(self, nearby: Nearby, record: BlobRecord) -> BinaryIO | None:
        """A large far blob, brought near and verified, as a file; None when it cannot be kept, or has moved."""
        try:
            path = nearby.bring(record)
            return None if path is None else path.open("rb")
        except FileNotFoundError:  # evicted just now; or missing, and then where it is now is still to be asked
            return None
        except Corrupt as error:
            raise condemned(self.backend, self.ledger, record, "other bytes") from error

    def _direct(self, record: BlobRecord) -> Iterator[bytes]:
        try:
            return self._verified(record)
        except BlobMissing:
            # Reclaimed and logged again since the ledger answered, or packed by two writers at once, and their later pack counts.
            again = self._live(record.blob.digest)
            if again == record:
                with suppress(Exception):  # as where rot is found: logging the content again then takes nothing on trust
                    self.ledger.doubt([record])
                raise
            return self._verified(again)

    def _span(self, span: Span) -> bytes:
        """The bytes of a span; none when its object is not there, and then each blob in it asks for itself."""
        if self._nearby is not None and (here := self._nearby.range(span.records[0], span.start, span.length)) is not None:
            return here
        length = None if span.records[0].pack is None else span.length  # an object of its own that has grown is wrong
        with suppress(BlobMissing):
            return b"".join(self.backend.read(span.key, span.start, length))
        return b""

    def _is_right(self, record: BlobRecord, data: bytes | memoryview) -> bool:
        blob = record.blob
        if len(data) != blob.size or xxhash.xxh3_128_hexdigest(data) != blob.checksum:
            return False
        return self.backend.is_near or Digest.of(data, blob.digest.algorithm) == blob.digest

    def _check(self, record: BlobRecord) -> "_Check":
        return _Check(record.blob, is_deep=not self.backend.is_near)

    def _verified(self, record: BlobRecord) -> Iterator[bytes]:
        length = None if record.pack is None else record.blob.size  # an object of its own that has grown is wrong
        return self._checked(record, self.backend.read(record.key, record.start, length))

    def _checked(self, record: BlobRecord, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """`pieces` as they come; then `Corrupt`, and quarantine, when they were not the record's bytes."""
        check, size = self._check(record), 0
        for piece in pieces:
            check.update(piece)
            size += len(piece)
            yield piece
        if check.finds(size):
            return
        raise condemned(self.backend, self.ledger, record, f"{size} bytes with checksum {check.checksum.hexdigest()}")

    def _live(self, digest: Digest) -> BlobRecord:
        record = self.locate([digest]).get(digest)
        if record is None:
            raise BlobMissing(f"blob {digest} is not in domain {self.domain!r}: fetch it from where it is, or log its content again")
        return record


class _Check:
    """Are these the bytes of that blob? By the checksum; when it must be deep, by the digest too."""

    __slots__ = ("blob", "checksum", "identity")

    def __init__(self, blob: Blob, *, is_deep: bool) -> None:
        self.blob = blob
        self.checksum = xxhash.xxh3_128()
        self.identity = ALGORITHMS[blob.digest.algorithm]() if is_deep else None

    def update(self, data: Buffer) -> None:
        self.checksum.update(data)
        if self.identity is not None:
            self.identity.update(data)

    def finds(self, size: int) -> bool:
        """Was all of it, `size` bytes, what it should be?"""
        if (size, self.checksum.hexdigest()) != (self.blob.size, self.blob.checksum):
            return False
        return self.identity is None or self.identity.hexdigest() == self.blob.digest.value


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


def condemned(backend: Backend, ledger: Ledger, record: BlobRecord, found: str) -> Corrupt:
    """The error that says a blob's bytes are wrong, after putting them aside where that is possible.

    Bytes that are right when they are read again stay where they are: what was wrong was on the way.
    """
    blob: Blob = record.blob
    if came_damaged(backend, record):
        return Corrupt(f"blob {blob.digest} came damaged: {found} found; where it rests it is right: read it again")
    where = "they stay where they are, which cannot be written"
    with suppress(Unavailable):
        is_aside = _put_aside(backend, ledger, record)
        where = "they are kept in quarantine" if is_aside else "this place keeps no quarantine"
    wanted = f"{blob.size} bytes with checksum {blob.checksum}"
    return Corrupt(f"blob {blob.digest} is rotten: {found} found, {wanted} wanted; {where}: log its content again or restore a backup")


def came_damaged(backend: Backend, record: BlobRecord) -> bool:
    """Were bytes that came from far away hurt on the way, and are right where they rest? Then nothing there may be touched."""
    if backend.is_near:
        return False
    check, size = _Check(record.blob, is_deep=True), 0
    with suppress(StorageError):
        for piece in backend.read(record.key, record.start, None if record.pack is None else record.blob.size):
            check.update(piece)
            size += len(piece)
    return check.finds(size)


def _put_aside(backend: Backend, ledger: Ledger, record: BlobRecord) -> bool:
    is_alone = record.pack is None
    is_aside = backend.quarantine(record.key) if is_alone else backend.copy_aside(record.key, record.start, record.blob.size)
    with suppress(Exception):  # whatever a ledger refuses with must not hide the rot; the next reader finds it again
        (ledger.displace if is_aside else ledger.doubt)([record])
    return is_aside
