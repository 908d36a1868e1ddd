"""Is every blob that exists still there, and still right?

    quick      the object is there with the right number of bytes
    (default)  … and its bytes have the recorded checksum (XXH3)
    deep       … and the digest they are named by

A pack is read once, from its start to its end; its footer must agree with the ledger. Rot is found, put aside and told, one blob at a time;
it never ends the verification and nothing is ever deleted. A pack that is damaged where no live blob rests is told too. Objects that the
ledger knows nothing of are told too: a writer who was cut off left them, or a restored backup has forgotten them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
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
    # Keys before records: a writer's row is there before his object, so an object seen now without a row later is nobody's.
    objects = list(backend.keys())
    records, packs = list(ledger.records()), list(ledger.packs())

    live = [record for record in records if record.state is BlobState.LIVE]
    alone = ((record, _look(backend, ledger, record, quick=quick, deep=deep)) for record in live if record.pack is None)
    found: dict[_Finding, list[BlobRecord]] = {"right": [], "missing": [], "corrupt": [], "gone": []}
    for record, finding in chain(alone, _look_into_packs(backend, ledger, live, packs, quick=quick, deep=deep)):
        found[finding].append(record)
        if progress is not None and not record.is_pack:
            progress(record.blob.size)
    known = {record.key for record in (*records, *packs)}
    orphans = tuple(sorted(key for key, _ in objects if key not in known))

    checked = [record for finding in ("right", "missing", "corrupt") for record in found[finding] if not record.is_pack]
    size = sum(record.blob.size for record in found["right"])
    return Verification(len(checked), size, tuple(found["missing"]), tuple(found["corrupt"]), orphans)


def _look(backend: Backend, ledger: Ledger, record: BlobRecord, *, quick: bool, deep: bool) -> _Finding:
    try:
        size = backend.size(record.key)
        is_right = record.fits(size) and (quick or _is_right(backend.read(record.key), record.blob, deep=deep))
    except BlobMissing:
        return _absent(ledger, record)
    return "right" if is_right else _wrong(backend, ledger, record, f"{size} bytes")


def _absent(ledger: Ledger, record: BlobRecord) -> _Finding:
    return "missing" if _is_live(ledger, record) else "gone"


def _wrong(backend: Backend, ledger: Ledger, record: BlobRecord, what: str) -> _Finding:
    if not _is_live(ledger, record):
        return "gone"
    if came_damaged(backend, record):
        return "right"
    condemned(backend, ledger, record, what)
    return "corrupt"


def _look_into_packs(
    backend: Backend, ledger: Ledger, live: Iterable[BlobRecord], packs: Iterable[BlobRecord], *, quick: bool, deep: bool
) -> Iterator[tuple[BlobRecord, _Finding]]:
    held: dict[str, list[BlobRecord]] = defaultdict(list)
    for record in live:
        if record.pack is not None:
            held[record.key].append(record)
    for pack in packs:
        if members := held.get(pack.key):
            look = _weigh_pack if quick else partial(_read_pack, deep=deep)
            yield from look(backend, ledger, pack, members)


def _weigh_pack(backend: Backend, ledger: Ledger, pack: BlobRecord, members: list[BlobRecord]) -> Iterator[tuple[BlobRecord, _Finding]]:
    try:
        size = backend.size(pack.key)
    except BlobMissing:
        yield from ((record, _absent(ledger, record)) for record in members)
        return
    for record in members:
        yield record, "right" if record.fits(size) else _wrong(backend, ledger, record, f"a pack of {size} bytes")
    if not pack.fits(size):
        yield pack, "corrupt"


def _read_pack(
    backend: Backend, ledger: Ledger, pack: BlobRecord, members: list[BlobRecord], *, deep: bool
) -> Iterator[tuple[BlobRecord, _Finding]]:
    try:
        data = memoryview(b"".join(backend.read(pack.key)))
    except BlobMissing:
        yield from ((record, _absent(ledger, record)) for record in members)
        return
    for record in members:
        part = data[record.start : record.start + record.blob.size]
        is_right = record.fits(len(data)) and _is_right([part], record.blob, deep=deep)
        yield record, "right" if is_right else _wrong(backend, ledger, record, f"{len(part)} other bytes")
    if not _agrees(data, members):
        yield pack, "corrupt"


def _agrees(data: memoryview, members: Iterable[BlobRecord]) -> bool:
    """Does the pack say itself what the ledger says is in it?"""
    try:
        stated = read_footer(lambda start, length: bytes(data[start : start + length]), len(data))
    except Corrupt:
        return False
    return {Member(record.blob, record.start) for record in members} <= set(stated)


def _is_right(pieces: Iterable[Buffer], blob: Blob, *, deep: bool) -> bool:
    if deep:
        hasher = Hasher(blob.digest.algorithm)
        for piece in pieces:
            hasher.update(piece)
        return hasher.blob() == blob
    checksum = xxhash.xxh3_128()
    for piece in pieces:
        checksum.update(piece)
    return checksum.hexdigest() == blob.checksum


def _is_live(ledger: Ledger, record: BlobRecord) -> bool:
    """Still the same live blob? A reclaim may have taken it since the records were listed."""
    return ledger.find(record.domain, [record.blob.digest]).get(record.blob.digest) == record
