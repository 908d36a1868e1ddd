"""Is every blob that exists still there, and still right?

    quick      the object is there with the right number of bytes
    (default)  … and its bytes have the recorded checksum (XXH3)
    deep       … and the digest they are named by

A pack is read once, from its start to its end, and lone objects once each; sizes come from the listing, so of a far place a quick look is
a listing. What comes from far away is always compared with its digest. A pack's footer must agree with the ledger. Rot is found, put aside and told, one blob at a time;
it never ends the verification and nothing is ever deleted. A pack that is damaged where no live blob rests is told too. Objects that the
ledger knows nothing of are told too: a writer who was cut off left them, or a restored backup has forgotten them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import xxhash

from storage.blob.backend import Backend
from storage.blob.pack import Member, read_footer
from storage.blob.store import came_damaged, condemned
from storage.digest import Blob, Buffer, Hasher
from storage.errors import BlobMissing, Corrupt
from storage.ledger import BlobRecord, BlobState, Ledger

_Finding = Literal["right", "missing", "corrupt", "gone"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found; `corrupt` blobs are in quarantine now where the backend can do that, a corrupt pack stays where it is."""

    checked: int
    bytes: int
    missing: tuple[BlobRecord, ...]
    corrupt: tuple[BlobRecord, ...]
    orphans: tuple[str, ...]
    """Keys of objects without a record."""

    @property
    def is_sound(self) -> bool:
        """No live blob is missing or corrupt."""
        return not (self.missing or self.corrupt)


def verify_store(
    backend: Backend, ledger: Ledger, *, quick: bool = False, deep: bool = False, progress: Callable[[int], None] | None = None
) -> Verification:
    """What is wrong with the blobs of a store. It may run beside writers and a reclaim. `progress` is told the bytes checked.

    Raises:
        Unavailable: the place itself cannot be used; no conclusion was drawn from that.
    """
    look = _Look(backend, ledger, quick=quick, deep=deep or not backend.is_near)
    # Keys before records: a writer's row is there before his object, so an object seen now without a row later is nobody's.
    sizes = dict(backend.keys())
    checked = right = 0
    wrong: dict[_Finding, list[BlobRecord]] = {"missing": [], "corrupt": []}
    for record, finding in look.all(sizes):
        if finding != "gone" and not record.is_pack:
            checked += 1
        right += record.blob.size if finding == "right" else 0
        if finding in wrong:
            wrong[finding].append(record)
        if progress is not None and not record.is_pack:
            progress(record.blob.size)
    if wrong["missing"]:
        ledger.doubt(wrong["missing"])  # whoever logs their content again must be believed, not what the ledger says is there
    return Verification(checked, right, tuple(wrong["missing"]), tuple(wrong["corrupt"]), tuple(sorted(sizes)))


class _Look:
    """How each blob is looked at: what a listing said costs no request, an object is read in one, and one pack at a time is in memory."""

    def __init__(self, backend: Backend, ledger: Ledger, *, quick: bool, deep: bool) -> None:
        self.backend, self.ledger, self.quick, self.deep = backend, ledger, quick, deep

    def all(self, sizes: dict[str, int]) -> Iterator[tuple[BlobRecord, _Finding]]:
        """Each live blob and how it is; `sizes`, of all objects by key, then holds those the ledger knows nothing of."""
        for record in self.ledger.records():
            if record.pack is None:
                size = sizes.pop(record.key, None)
                if record.state is BlobState.LIVE:
                    yield record, self._alone(record, size)
        for pack in self.ledger.packs():
            size = sizes.pop(pack.key, None)
            members = self.ledger.members(pack)
            if members:
                yield from self._weighed(pack, members, size) if self.quick else self._read(pack, members)

    def _size(self, record: BlobRecord, listed: int | None) -> int:
        return self.backend.size(record.key) if listed is None else listed

    def _alone(self, record: BlobRecord, listed: int | None) -> _Finding:
        try:
            if self.quick:
                size = self._size(record, listed)
                return "right" if record.fits(size) else self._wrong(record, f"{size} bytes")
            is_right = _is_right(self.backend.read(record.key), record.blob, deep=self.deep)
        except BlobMissing:
            return self._absent(record)
        return "right" if is_right else self._wrong(record, "other bytes")

    def _weighed(self, pack: BlobRecord, members: Sequence[BlobRecord], listed: int | None) -> Iterator[tuple[BlobRecord, _Finding]]:
        try:
            size = self._size(pack, listed)
        except BlobMissing:
            yield from ((record, self._absent(record)) for record in members)
            return
        for record in members:
            yield record, "right" if record.fits(size) else self._wrong(record, f"a pack of {size} bytes")
        if not pack.fits(size):
            yield pack, "corrupt"

    def _read(self, pack: BlobRecord, members: Sequence[BlobRecord]) -> Iterator[tuple[BlobRecord, _Finding]]:
        try:
            data = whole(self.backend, pack.key)
        except BlobMissing:
            yield from ((record, self._absent(record)) for record in members)
            return
        for record in members:
            part = data[record.start : record.start + record.blob.size]
            is_right = record.fits(len(data)) and _is_right([part], record.blob, deep=self.deep)
            yield record, "right" if is_right else self._wrong(record, f"{len(part)} other bytes")
        if not _agrees(data, members):
            yield pack, "corrupt"

    def _absent(self, record: BlobRecord) -> _Finding:
        return "missing" if self._is_live(record) else "gone"

    def _wrong(self, record: BlobRecord, what: str) -> _Finding:
        if not self._is_live(record):
            return "gone"
        if came_damaged(self.backend, record):
            return "right"
        condemned(self.backend, self.ledger, record, what)
        return "corrupt"

    def _is_live(self, record: BlobRecord) -> bool:
        """Still the same live blob? A reclaim may have taken it since the records were listed."""
        return self.ledger.find(record.domain, [record.blob.digest]).get(record.blob.digest) == record


def whole(backend: Backend, key: str) -> memoryview:
    """All the bytes of a pack, by one read. Raises: BlobMissing."""
    data = bytearray()
    for piece in backend.read(key):
        data += piece
    return memoryview(data)


def _agrees(data: memoryview, members: Iterable[BlobRecord]) -> bool:
    """Does the pack say itself what the ledger says is in it?"""
    try:
        stated = stated_members(data)
    except Corrupt:
        return False
    return {Member(record.blob, record.start) for record in members} <= set(stated)


def stated_members(data: memoryview) -> Sequence[Member]:
    """What a pack says itself is in it. Raises: Corrupt."""
    return read_footer(lambda start, length: bytes(data[start : start + length]), len(data))


def _is_right(pieces: Iterable[Buffer], blob: Blob, *, deep: bool) -> bool:
    if deep:
        hasher = Hasher(blob.digest.algorithm)
        for piece in pieces:
            hasher.update(piece)
        return hasher.blob() == blob
    checksum, size = xxhash.xxh3_128(), 0
    for piece in pieces:
        checksum.update(piece)
        size += len(piece)
    return (size, checksum.hexdigest()) == (blob.size, blob.checksum)
