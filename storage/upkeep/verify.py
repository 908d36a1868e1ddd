"""Is every blob that exists still there, and still right?

    quick      the object is there with the right number of bytes
    (default)  … and its bytes have the recorded checksum (XXH3)
    deep       … and the digest they are named by

Rot is found, moved aside and told, one blob at a time; it never ends the verification and nothing is ever deleted. Objects that the
ledger knows nothing of are told too: a writer who was cut off left them, or a restored backup has forgotten them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import xxhash

from storage.blob.backend import Backend
from storage.blob.store import condemned
from storage.digest import Blob, Hasher
from storage.errors import BlobMissing, InvalidDigest
from storage.layout import blob_key, parse_blob_key
from storage.ledger import BlobRecord, BlobState, Ledger

_Finding = Literal["right", "missing", "corrupt", "gone"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found; `corrupt` blobs are in quarantine now where the backend can do that."""

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
    records = list(ledger.records())

    found: dict[_Finding, list[BlobRecord]] = {"right": [], "missing": [], "corrupt": [], "gone": []}
    for record in records:
        if record.state is not BlobState.LIVE:
            continue
        found[_look(backend, ledger, record, quick=quick, deep=deep)].append(record)
        if progress is not None:
            progress(record.blob.size)
    known = {(record.domain, record.blob.digest, record.generation) for record in records}
    orphans = tuple(sorted(key for key, _ in objects if _name(key) not in known))

    checked = [*found["right"], *found["missing"], *found["corrupt"]]
    size = sum(record.blob.size for record in found["right"])
    return Verification(len(checked), size, tuple(found["missing"]), tuple(found["corrupt"]), orphans)


def _look(backend: Backend, ledger: Ledger, record: BlobRecord, *, quick: bool, deep: bool) -> _Finding:
    key, blob = blob_key(record.domain, record.blob.digest, record.generation), record.blob
    try:
        size = backend.size(key)
        is_right = size == blob.size and (quick or _is_right(backend.read(key), blob, deep=deep))
    except BlobMissing:
        return "missing" if _is_live(ledger, record) else "gone"
    if is_right:
        return "right"
    if not _is_live(ledger, record):
        return "gone"
    condemned(backend, record, f"{size} bytes")
    return "corrupt"


def _is_right(pieces: Iterable[bytes], blob: Blob, *, deep: bool) -> bool:
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


def _name(key: str) -> object:
    try:
        return parse_blob_key(key)
    except InvalidDigest:
        return key
