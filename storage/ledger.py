"""What the store must be able to remember about its blobs, as an interface with its laws.

Bytes alone cannot say whether somebody is about to need them. The ledger can: a writer *pins* digests before it relies on them, and
nothing that is pinned or reachable is ever removed. A blob is known per dedup domain: a digest known in one domain says nothing in
another.

    (absent) ── pin ──▶ uploading ── commit ──▶ live ── doom ──▶ deleting ── forget ──▶ (absent)
                            └────────────── doom ───────────────────┘

`uploading` bytes may or may not be there; a row proves nothing until its commit. `live` bytes are there, durable. `deleting` bytes may be
gone; pinning such a digest gives it a new generation, which is uploaded under another key, so a late removal can never hit new bytes.

A small blob rests in a *pack*, which has a state and a generation of its own and the same life; the blob's row says in which pack and
where it starts. Whoever places blobs in a pack pins the pack, and with it all that rests there: thousands of blobs need no pins of their
own. Two writers may pack the same new blob at once: the first one's pack is in its row, every other notes his beside a pin, and a commit
decides. A pack is needed for as long as a live blob rests in it; when it goes, what never became live in it goes with it.

A *segment* is a blob that is known with the list of the blobs it names: who pins it has pinned them all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from storage.digest import Blob, Digest
from storage.layout import blob_key, pack_key

Placement = tuple[Blob, int]
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


@dataclass(frozen=True, slots=True)
class PackUse:
    """How much of a pack is still something: so many live blobs rest in it, of so many bytes together."""

    pack: BlobRecord
    blobs: int
    bytes: int


class Ledger(Protocol):
    """The laws every ledger keeps; `tests/contracts/ledger.py` checks them.

    1. `pin` is one transaction: the pin exists before the state it answers with was read.
    2. What an open session has pinned, rests in a pack that it has pinned, or is listed by a segment that it has pinned, is never in what
       `unreachable` gives and never doomed; nor is what is reachable. That stays so when another's commit lets it rest elsewhere.
    3. `doom` decides again, in its own transaction, and answers with what it really doomed.
    4. Every call may be repeated: pinning twice, closing a closed session, forgetting what is forgotten change nothing.
    5. A session whose process died is closed by whoever opens the next one; nobody has to repair anything.
    6. A commit makes live what its session pinned, and what was uploading in the packs its session placed. A blob it pinned and placed
       rests there from then on, when it was uploading or rested in another pack: a pack that was lost is replaced so, and of two that
       are right the later is as good. One that is live in an object of its own keeps it.
    7. A pack with a pin of an open session, or with a live blob in it, is never among the empty and never doomed. What is still uploading
       in a doomed pack and not pinned is doomed with it, and forgotten with it.
    8. `relocate` is a commit that brings no version: what the session placed rests there from then on, all of it or nothing. It makes
       nothing needed that was not, and a blob keeps its generation, its pins and its segments wherever it rests.
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
        """Pin a pack, before its bytes are published, and note what will be where in it: members that were absent are `uploading` there.

        The answer says how the pack stands, and so under which key it is to be published.

        Raises:
            Corrupt: the pack or a member is recorded with another size or checksum; nothing was placed.
        """

    def hold(self, session: str, domain: str, digests: Sequence[Digest]) -> Mapping[Digest, BlobRecord]:
        """Pin those that are live, and answer in which object each rests: in its own, or in a pack, whose record it is then."""

    def hold_segments(self, session: str, domain: str, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        """Pin those that are live segments, and so all they list; the others are left out, and so is what lists a doubted blob."""

    def relocate(self, session: str) -> bool:
        """Let live blobs rest where the session has placed them, and end it; False, and nothing moved, when it was closed for dead."""

    def displace(self, records: Sequence[BlobRecord]) -> None:
        """Blobs whose bytes are wrong: those in a pack rest nowhere from now on, live and missing until logged again. All are doubted."""

    def doubt(self, records: Sequence[BlobRecord]) -> None:
        """Let no segment that lists one of these be held before a commit brought it anew: their bytes were found wrong, or missing."""

    def find(self, domain: str, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        """What is known of these digests; the unknown are left out. Packs are no blobs."""

    def records(self) -> Iterable[BlobRecord]:
        """Every blob, for verification."""

    def packs(self) -> Iterable[BlobRecord]:
        """Every pack."""

    def pack_uses(self) -> list[PackUse]:
        """Every live pack, with what rests in it."""

    def members(self, pack: BlobRecord) -> list[BlobRecord]:
        """The live blobs that rest in a pack, in the order they lie there."""

    def unreachable(self) -> list[BlobRecord]:
        """Blobs that no committed manifest, journal or pin needs, and those a killed reclaim left `deleting`."""

    def empty_packs(self) -> list[BlobRecord]:
        """Packs that no live blob and no pin needs, and those a killed reclaim left `deleting`."""

    def doom(self, records: Sequence[BlobRecord]) -> list[BlobRecord]:
        """Flip those that are still unreachable to `deleting`; answer with them, a pack standing for what goes with it."""

    def forget(self, records: Sequence[BlobRecord]) -> None:
        """Drop the rows of removed blobs that are still `deleting` in the same generation, and of what went with a pack."""
