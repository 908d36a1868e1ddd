"""Put back what the ledger has lost and a pack still says: its footer lists what is in it.

A blob is lost when the ledger does not know it (an older catalogue was restored), or knows it and not where its bytes are (it was found
wrong and put aside, or its pack was removed). Bytes of it that prove right, by their digest, are stored again like any writer's, durable
and then live: where they are found may be a place that nobody vouches for. Nothing is needed that was not needed before: what no version
holds is reclaimed by the next reclaim. Running it twice changes nothing; it may run beside writers.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from storage.blob.backend import Backend
from storage.blob.pack import Member
from storage.blob.store import Store
from storage.digest import Blob
from storage.errors import BlobMissing, Corrupt, InvalidDigest
from storage.layout import parse_pack_key
from storage.ledger import BlobRecord, BlobState
from storage.upkeep.verify import stated_members, whole


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Packs that were read, blobs put back with their bytes, and the keys of packs that do not say what is in them."""

    packs: int = 0
    blobs: int = 0
    bytes: int = 0
    unreadable: tuple[str, ...] = ()


def rebuild(backend: Backend, store_of: Callable[[str], Store], progress: Callable[[int], None] | None = None) -> Rebuilt:
    """Put back what was lost. `store_of` gives the store of a dedup domain; `progress` is told the bytes that were read.

    Raises:
        StoreFull, ReadOnlyStore, Unavailable: what was put back before stays.
    """
    sizes = dict(backend.keys())
    packs = blobs = size = 0
    unreadable = []
    for key in sorted(sizes):
        try:
            domain = parse_pack_key(key)[0]
        except InvalidDigest:
            continue
        with suppress(BlobMissing):  # reclaimed since it was listed
            data = whole(backend, key)
            packs += 1
            try:
                stated = stated_members(data)
            except Corrupt:
                unreadable.append(key)
                continue
            lost = _lost(store_of(domain), stated, sizes)
            right = [(blob, piece) for blob, piece in ((each.blob, _piece(data, each)) for each in lost) if _is(piece, blob)]
            _store(store_of(domain), right)
            blobs += len(right)
            size += sum(blob.size for blob, _ in right)
            if progress is not None:
                progress(len(data))
    return Rebuilt(packs, blobs, size, tuple(unreadable))


def _lost(store: Store, members: Sequence[Member], sizes: dict[str, int]) -> list[Member]:
    """Those the ledger does not know, or whose bytes are not where it says."""
    known = store.ledger.find(store.domain, [member.blob.digest for member in members])
    return [member for member in members if _is_lost(known.get(member.blob.digest), sizes)]


def _is_lost(record: BlobRecord | None, sizes: dict[str, int]) -> bool:
    if record is None:
        return True
    return record.state is BlobState.LIVE and not record.fits(sizes.get(record.key, -1))


def _piece(data: memoryview, member: Member) -> bytes:
    return bytes(data[member.start : member.start + member.blob.size])


def _is(data: bytes, blob: Blob) -> bool:
    return Blob.of(data, blob.digest.algorithm) == blob


def _store(store: Store, blobs: Sequence[tuple[Blob, bytes]]) -> None:
    if not blobs:
        return
    known = store.ledger.find(store.domain, [blob.digest for blob, _ in blobs])
    store.ledger.displace([record for record in known.values() if record.pack is not None])  # a writer would believe them elsewhere
    with store.session() as session:
        session.take_blobs(blobs)
        session.publish()
        store.ledger.relocate(session.id)
