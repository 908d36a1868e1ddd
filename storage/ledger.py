"""What the store must be able to remember about its blobs, as an interface with its laws, and an in-memory version.

Bytes alone cannot say whether somebody is about to need them. The ledger can: a writer *pins* digests before it relies on them, and
nothing that is pinned or reachable is ever removed. A blob is known per dedup domain: a digest known in one domain says nothing in
another.

    (absent) ── pin ──▶ uploading ── commit ──▶ live ── doom ──▶ deleting ── forget ──▶ (absent)
                            └────────────── doom ───────────────────┘

`uploading` bytes may or may not be there; a row proves nothing until its commit. `live` bytes are there, durable. `deleting` bytes may be
gone; pinning such a digest gives it a new generation, which is uploaded under another key, so a late removal can never hit new bytes.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from storage.digest import Blob, Digest
from storage.errors import Corrupt


class BlobState(StrEnum):
    UPLOADING = "uploading"
    LIVE = "live"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class BlobRecord:
    """One blob of one domain as the ledger knows it."""

    domain: str
    blob: Blob
    state: BlobState
    generation: int = 0


class Ledger(Protocol):
    """The laws every ledger keeps; `tests/contracts/ledger.py` checks them.

    1. `pin` is one transaction: the pin exists before the state it answers with was read.
    2. A blob with a pin of an open session, or reachable, is never in what `unreachable` gives and never doomed.
    3. `doom` decides again, in its own transaction, and answers with what it really doomed.
    4. Every call may be repeated: pinning twice, closing a closed session, forgetting what is forgotten change nothing.
    5. A session whose process died is closed by whoever opens the next one; nobody has to repair anything.
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

    def find(self, domain: str, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        """What is known of these digests; the unknown are left out."""

    def records(self) -> Iterable[BlobRecord]:
        """Every blob, for verification."""

    def unreachable(self) -> list[BlobRecord]:
        """Blobs that no committed manifest, journal or pin needs, and those a killed reclaim left `deleting`."""

    def doom(self, records: Sequence[BlobRecord]) -> list[BlobRecord]:
        """Flip those that are still unreachable to `deleting`; answer with them."""

    def forget(self, records: Sequence[BlobRecord]) -> None:
        """Drop the rows of removed blobs that are still `deleting` in the same generation."""


class MemoryLedger:
    """The ledger of a test or a throw-away store. `reachable` stands for the manifests a catalogue would know."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Digest], BlobRecord] = {}
        self.pins: dict[str, set[tuple[str, Digest]]] = {}
        self.reachable: set[tuple[str, Digest]] = set()
        self.dead: set[str] = set()

    def open_session(self) -> str:
        session = secrets.token_hex(8)
        self.pins[session] = set()
        return session

    def close_session(self, session: str) -> bool:
        self.dead.discard(session)
        return self.pins.pop(session, None) is not None

    def open_sessions(self) -> list[str]:
        return [session for session in self.pins if session not in self.dead]

    def dead_sessions(self) -> list[str]:
        return sorted(self.dead)

    def pin(self, session: str, domain: str, blobs: Sequence[Blob]) -> Mapping[Digest, BlobRecord]:
        answer = {}
        for blob in blobs:
            key = (domain, blob.digest)
            self.pins[session].add(key)
            row = self.rows.get(key)
            if row is None:
                row = BlobRecord(domain, blob, BlobState.UPLOADING)
            elif row.blob != blob:
                raise Corrupt(f"blob {blob.digest} is recorded with {row.blob.size} bytes and given with {blob.size}: verify the store")
            elif row.state is BlobState.DELETING:
                row = BlobRecord(domain, blob, BlobState.UPLOADING, row.generation + 1)
            self.rows[key] = answer[blob.digest] = row
        return answer

    def commit(self, session: str, keep: Iterable[Digest]) -> None:
        """What a catalogue's commit does: the session's blobs become live, those in `keep` reachable, the session ends."""
        kept = set(keep)
        for key in self.pins[session]:
            self.rows[key] = replace(self.rows[key], state=BlobState.LIVE)
            if key[1] in kept:
                self.reachable.add(key)
        self.close_session(session)

    def find(self, domain: str, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        found = {digest: self.rows.get((domain, digest)) for digest in digests}
        return {digest: row for digest, row in found.items() if row is not None}

    def records(self) -> Iterable[BlobRecord]:
        return list(self.rows.values())

    def unreachable(self) -> list[BlobRecord]:
        needed = self.reachable.union(*self.pins.values())
        return [row for key, row in self.rows.items() if key not in needed or row.state is BlobState.DELETING]

    def doom(self, records: Sequence[BlobRecord]) -> list[BlobRecord]:
        asked = {(row.domain, row.blob.digest, row.generation) for row in records}
        doomed = [row for row in self.unreachable() if (row.domain, row.blob.digest, row.generation) in asked]
        for row in doomed:
            self.rows[(row.domain, row.blob.digest)] = replace(row, state=BlobState.DELETING)
        return [replace(row, state=BlobState.DELETING) for row in doomed]

    def forget(self, records: Sequence[BlobRecord]) -> None:
        for row in records:
            if row.state is BlobState.DELETING and self.rows.get((row.domain, row.blob.digest)) == row:
                del self.rows[(row.domain, row.blob.digest)]
