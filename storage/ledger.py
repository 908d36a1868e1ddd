"""What the store must be able to remember about its blobs, as an interface with its laws, and an in-memory version.

Bytes alone cannot say whether somebody is about to need them. The ledger can: a writer *pins* digests before it relies on them, and
nothing that is pinned or reachable is ever removed. A blob is known per dedup domain: a digest known in one domain says nothing in
another.

    (absent) ── pin ──▶ uploading ── commit ──▶ live ── doom ──▶ deleting ── forget ──▶ (absent)
                            └────────────── doom ───────────────────┘

`uploading` bytes may or may not be there; a row proves nothing until its commit. `live` bytes are there, durable. `deleting` bytes may be
gone; pinning such a digest gives it a new generation, which is uploaded under another key, so a late removal can never hit new bytes.

A small blob rests in a *pack*, which has a state and a generation of its own and the same life; the blob's row says in which pack and
where it starts. Two writers may pack the same new blob at once: each says so beside his own pins, and a commit decides. A pack is needed
for as long as a live blob rests in it.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from storage.digest import Blob, Digest
from storage.errors import Corrupt
from storage.layout import blob_key, pack_key

Placement = tuple[Digest, int]
"""A blob, and where in its pack it starts."""


class BlobState(StrEnum):
    UPLOADING = "uploading"
    LIVE = "live"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class BlobRecord:
    """One blob of one domain, or one pack, as the ledger knows it."""

    domain: str
    blob: Blob
    state: BlobState
    generation: int = 0
    pack: Digest | None = None
    """The pack its bytes are in; None when they have an object of their own."""
    pack_generation: int = 0
    pack_size: int = 0
    start: int = 0
    is_pack: bool = False

    @property
    def key(self) -> str:
        """Where in a backend the object is that holds the bytes."""
        if self.pack is not None:
            return pack_key(self.domain, self.pack, self.pack_generation)
        return (pack_key if self.is_pack else blob_key)(self.domain, self.blob.digest, self.generation)

    def fits(self, size: int) -> bool:
        """Can an object of so many bytes hold this one? In a pack that was cut off some may be left."""
        return size == self.blob.size if self.pack is None else size >= self.start + self.blob.size

    def is_whole(self, size: int) -> bool:
        """Is an object of so many bytes all there, with whatever else is in it?"""
        return size == (self.blob.size if self.pack is None else self.pack_size)

    def resting(self, pack: "BlobRecord | None", start: int = 0) -> "BlobRecord":
        """This blob in that pack; or, with None, in an object of its own."""
        if pack is None:
            return replace(self, pack=None, pack_generation=0, pack_size=0, start=0)
        return replace(self, pack=pack.blob.digest, pack_generation=pack.generation, pack_size=pack.blob.size, start=start)


class Ledger(Protocol):
    """The laws every ledger keeps; `tests/contracts/ledger.py` checks them.

    1. `pin` is one transaction: the pin exists before the state it answers with was read.
    2. A blob with a pin of an open session, or reachable, is never in what `unreachable` gives and never doomed.
    3. `doom` decides again, in its own transaction, and answers with what it really doomed.
    4. Every call may be repeated: pinning twice, closing a closed session, forgetting what is forgotten change nothing.
    5. A session whose process died is closed by whoever opens the next one; nobody has to repair anything.
    6. A commit lets a blob that was uploading rest where its own session placed it. One that is live stays where it is, unless it is in a
       pack and the session packed it again: a pack that was lost is replaced so, and of two that are right the later is as good.
    7. A pack with a pin of an open session, or with a live blob in it, is never among the empty and never doomed.
    """

    def open_session(self) -> str:
        """The random name of a new session of this process."""

    def close_session(self, session: str) -> bool:
        """Free the session's pins. What it left `uploading` is unreachable from then on. Was it open, and so never committed?"""

    def open_sessions(self) -> list[str]:
        """Sessions whose process is alive."""

    def dead_sessions(self) -> list[str]:
        """Sessions whose process is gone: their staging may be swept, then they are closed."""

    def pin(self, session: str, domain: str, blobs: Sequence[Blob]) -> Mapping[Digest, BlobRecord]:
        """Protect these blobs until the session ends; answer how each stands now, inserting `uploading` where it was absent.

        Raises:
            Corrupt: a digest is recorded with another size or checksum than the given one; nothing was pinned.
        """

    def place(self, session: str, domain: str, pack: Blob, members: Sequence[Placement]) -> BlobRecord:
        """Pin a pack, before its bytes are published, and note where in it the session's commit shall find blobs it has pinned.

        The answer says how the pack stands, and so under which key it is to be published.

        Raises:
            Corrupt: a member was never pinned by the session, or the pack is recorded with another size; nothing was placed.
        """

    def displace(self, records: Sequence[BlobRecord]) -> None:
        """Blobs whose bytes in their pack are wrong rest nowhere: live, and missing until their content is logged again."""

    def find(self, domain: str, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        """What is known of these digests; the unknown are left out. Packs are no blobs."""

    def records(self) -> Iterable[BlobRecord]:
        """Every blob, for verification."""

    def packs(self) -> Iterable[BlobRecord]:
        """Every pack."""

    def unreachable(self) -> list[BlobRecord]:
        """Blobs that no committed manifest, journal or pin needs, and those a killed reclaim left `deleting`."""

    def empty_packs(self) -> list[BlobRecord]:
        """Packs that no live blob and no pin needs, and those a killed reclaim left `deleting`."""

    def doom(self, records: Sequence[BlobRecord]) -> list[BlobRecord]:
        """Flip those that are still unreachable to `deleting`; answer with them."""

    def forget(self, records: Sequence[BlobRecord]) -> None:
        """Drop the rows of removed blobs that are still `deleting` in the same generation."""


class MemoryLedger:
    """The ledger of a test or a throw-away store. `reachable` stands for the manifests a catalogue would know."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Digest], BlobRecord] = {}
        self.containers: dict[tuple[str, Digest], BlobRecord] = {}
        self.pins: dict[str, set[tuple[str, Digest]]] = {}
        self.placed: dict[str, dict[tuple[str, Digest], Placement]] = {}
        """Of each session: for each pinned blob its pack and where it starts there."""
        self.reachable: set[tuple[str, Digest]] = set()
        self.dead: set[str] = set()

    def open_session(self) -> str:
        session = secrets.token_hex(8)
        self.pins[session] = set()
        return session

    def close_session(self, session: str) -> bool:
        self.dead.discard(session)
        self.placed.pop(session, None)
        return self.pins.pop(session, None) is not None

    def open_sessions(self) -> list[str]:
        return [session for session in self.pins if session not in self.dead]

    def dead_sessions(self) -> list[str]:
        return sorted(self.dead)

    def pin(self, session: str, domain: str, blobs: Sequence[Blob]) -> Mapping[Digest, BlobRecord]:
        pinned = {
            blob.digest: _pinned(self.rows.get((domain, blob.digest)), BlobRecord(domain, blob, BlobState.UPLOADING)) for blob in blobs
        }
        for digest, row in pinned.items():
            self.pins[session].add((domain, digest))
            self.rows[domain, digest] = row
        return pinned

    def place(self, session: str, domain: str, pack: Blob, members: Sequence[Placement]) -> BlobRecord:
        strange = [digest for digest, _ in members if (domain, digest) not in self.pins[session]]
        if strange:
            raise Corrupt(f"{strange[0]} was never pinned: pin blobs before they are placed")
        new = BlobRecord(domain, pack, BlobState.UPLOADING, is_pack=True)
        row = self.containers[domain, pack.digest] = _pinned(self.containers.get((domain, pack.digest)), new)
        self.placed.setdefault(session, {}).update({(domain, digest): (pack.digest, start) for digest, start in members})
        return row

    def commit(self, session: str, keep: Iterable[Digest]) -> None:
        """What a catalogue's commit does: the session's blobs become live, those in `keep` reachable, the session ends."""
        kept = set(keep)
        for domain, digest in self._pinned_packs(session):
            self.containers[domain, digest] = replace(self.containers[domain, digest], state=BlobState.LIVE)
        for key in self.pins[session]:
            row, placed = self.rows[key], self.placed.get(session, {}).get(key)
            if row.state is BlobState.UPLOADING or (row.pack and placed):
                row = row.resting(placed and self.containers[key[0], placed[0]], placed[1] if placed else 0)
            self.rows[key] = replace(row, state=BlobState.LIVE)
            if key[1] in kept:
                self.reachable.add(key)
        self.close_session(session)

    def _pinned_packs(self, session: str) -> set[tuple[str, Digest]]:
        return {(domain, pack) for (domain, _), (pack, _) in self.placed.get(session, {}).items()}

    def displace(self, records: Sequence[BlobRecord]) -> None:
        for row in records:
            if row.pack is not None and self.rows.get((row.domain, row.blob.digest)) == row:
                self.rows[row.domain, row.blob.digest] = row.resting(None)

    def find(self, domain: str, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        found = {digest: self.rows.get((domain, digest)) for digest in digests}
        return {digest: row for digest, row in found.items() if row is not None}

    def records(self) -> Iterable[BlobRecord]:
        return list(self.rows.values())

    def packs(self) -> Iterable[BlobRecord]:
        return list(self.containers.values())

    def unreachable(self) -> list[BlobRecord]:
        needed = self.reachable.union(*self.pins.values())
        return [row for key, row in self.rows.items() if key not in needed or row.state is BlobState.DELETING]

    def empty_packs(self) -> list[BlobRecord]:
        needed = {(row.domain, row.pack) for row in self.rows.values() if row.state is BlobState.LIVE}
        needed = needed.union(*map(self._pinned_packs, self.pins))
        return [row for key, row in self.containers.items() if key not in needed or row.state is BlobState.DELETING]

    def doom(self, records: Sequence[BlobRecord]) -> list[BlobRecord]:
        asked = {_name(row) for row in records}
        doomed = [replace(row, state=BlobState.DELETING) for row in [*self.unreachable(), *self.empty_packs()] if _name(row) in asked]
        for row in doomed:
            self._table(row)[row.domain, row.blob.digest] = row
        return doomed

    def forget(self, records: Sequence[BlobRecord]) -> None:
        for row in records:
            there = self._table(row).get((row.domain, row.blob.digest))
            if there is not None and there.state is BlobState.DELETING and _name(there) == _name(row):
                del self._table(row)[row.domain, row.blob.digest]

    def _table(self, row: BlobRecord) -> dict[tuple[str, Digest], BlobRecord]:
        return self.containers if row.is_pack else self.rows


def _name(row: BlobRecord) -> tuple[object, ...]:
    return row.domain, row.blob.digest, row.is_pack, row.generation


def _pinned(row: BlobRecord | None, new: BlobRecord) -> BlobRecord:
    """How a blob stands once it is pinned: as it stood, or anew when it was not there, or about to go."""
    if row is None:
        return new
    if row.blob != new.blob:
        raise Corrupt(f"blob {row.blob.digest} is recorded with {row.blob.size} bytes and given with {new.blob.size}: verify the store")
    return replace(new, generation=row.generation + 1) if row.state is BlobState.DELETING else row
