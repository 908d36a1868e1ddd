"""A dictionary as what remembers a store's blobs: the ledger of tests and throw-away stores. It keeps the laws of `ledger`, durability aside.

What a catalogue would know beyond blobs is told to it: `reachable` stands for the manifests, `dead` for the sessions whose process is gone,
and `commit` is what a catalogue's commit does to blobs.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from storage.digest import Blob, Digest
from storage.errors import Corrupt
from storage.ledger import BlobRecord, BlobState, PackUse, Placement

_Key = tuple[str, Digest]


class MemoryLedger:
    """See the top of this file. Laws: `storage.ledger.Ledger`."""

    def __init__(self) -> None:
        self.rows: dict[_Key, BlobRecord] = {}
        self.containers: dict[_Key, BlobRecord] = {}
        self.pins: dict[str, set[_Key]] = {}
        self.pack_pins: dict[str, set[_Key]] = {}
        self.placed: dict[str, dict[_Key, tuple[Digest, int]]] = {}
        """Of each session: for some pinned blobs its own pack, and where they start there."""
        self.reachable: set[_Key] = set()
        self.segments: dict[_Key, frozenset[Digest]] = {}
        self.doubted: set[_Key] = set()
        """Segments that may not be held."""
        self.dead: set[str] = set()

    def open_session(self) -> str:
        session = secrets.token_hex(8)
        self.pins[session] = set()
        return session

    def close_session(self, session: str) -> bool:
        self.dead.discard(session)
        self.placed.pop(session, None)
        self.pack_pins.pop(session, None)
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
            key = domain, digest
            self.pins[session].add(key)
            self.rows[key] = row
            if row.pack is not None and (domain, row.pack) in self.pack_pins.get(session, ()):
                self._note(session, key, row.pack, row.start)
        return pinned

    def _note(self, session: str, key: _Key, pack: Digest, start: int) -> None:
        self.placed.setdefault(session, {})[key] = (pack, start)

    def place(self, session: str, domain: str, pack: Blob, members: Sequence[Placement]) -> BlobRecord:
        container = _pinned(self.containers.get((domain, pack.digest)), BlobRecord(domain, pack, BlobState.UPLOADING, is_pack=True))
        for blob, _ in members:
            _pinned(self.rows.get((domain, blob.digest)), BlobRecord(domain, blob, BlobState.UPLOADING))
        self.containers[domain, pack.digest] = container
        self.pack_pins.setdefault(session, set()).add((domain, pack.digest))
        for blob, start in members:
            key, new = (domain, blob.digest), BlobRecord(domain, blob, BlobState.UPLOADING)
            row = self.rows.get(key)
            if row is None or row.state is BlobState.DELETING:
                self.rows[key] = _pinned(row, new).resting(container, start)
            elif row.pack != pack.digest:
                self.pins[session].add(key)
            if key in self.pins[session]:
                self._note(session, key, pack.digest, start)
        return container

    def hold(self, session: str, domain: str, digests: Sequence[Digest]) -> Mapping[Digest, BlobRecord]:
        found = {digest: row for digest in digests if (row := self.rows.get((domain, digest))) and row.state is BlobState.LIVE}
        self.pin(session, domain, [row.blob for row in found.values()])
        return {digest: row if row.pack is None else self.containers[domain, row.pack] for digest, row in found.items()}

    def hold_segments(self, session: str, domain: str, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        keys = [(domain, digest) for digest in digests]
        held = {key: self.rows[key] for key in keys if key in self.segments and key not in self.doubted}
        live = {key[1]: row for key, row in held.items() if row.state is BlobState.LIVE}
        self.pins[session] |= {(domain, digest) for digest in live}
        return live

    def commit(self, session: str, keep: Iterable[Digest], segments: Mapping[Digest, Iterable[Digest]] | None = None) -> None:
        """What a catalogue's commit does: the session's blobs become live, those in `keep` reachable, the session ends.

        `segments` are those the committed version consists of, each with the blobs it lists.
        """
        kept = set(keep)
        self.reachable |= {key for key in self._relied(session) if key[1] in kept}
        for name in self.pack_pins.get(session, ()):
            self.containers[name] = replace(self.containers[name], state=BlobState.LIVE)
        for key in self.pins[session]:
            self._settle(session, key)
        for key in self._resting(session):
            self.rows[key] = replace(self.rows[key], state=BlobState.LIVE)
        for key in [key for key in self.rows if key[1] in (segments or {})]:
            self.segments[key] = frozenset((segments or {})[key[1]])
            self.doubted.discard(key)
        self.close_session(session)

    def relocate(self, session: str) -> bool:
        if session not in self.pins:
            return False
        self.commit(session, ())
        return True

    def _resting(self, session: str) -> set[_Key]:
        """What is uploading or live in the packs a session has pinned."""
        packs = self.pack_pins.get(session, ())
        return {key for key, row in self.rows.items() if row.pack and (key[0], row.pack) in packs and row.state is not BlobState.DELETING}

    def _relied(self, session: str) -> set[_Key]:
        """What a session protects: law 2."""
        return self._with_listed(self.pins[session]) | self._resting(session)

    def _with_listed(self, keys: set[_Key]) -> set[_Key]:
        return keys | {(domain, blob) for domain, digest in keys for blob in self.segments.get((domain, digest), ())}

    def _settle(self, session: str, key: _Key) -> None:
        """Make a pinned blob live where its session placed it; other sessions that relied on where it rested pin it themselves now."""
        row, placed = self.rows[key], self.placed.get(session, {}).get(key)
        if row.state is not BlobState.UPLOADING and not (row.pack and placed):
            return
        for other, packs in self.pack_pins.items():
            if row.pack and other != session and (key[0], row.pack) in packs and key not in self.pins[other]:
                self.pins[other].add(key)
                self._note(other, key, row.pack, row.start)
        row = row.resting(placed and self.containers[key[0], placed[0]], placed[1] if placed else 0)
        self.rows[key] = replace(row, state=BlobState.LIVE)

    def displace(self, records: Sequence[BlobRecord]) -> None:
        for row in records:
            if row.pack is not None and row.state is BlobState.LIVE and self.rows.get((row.domain, row.blob.digest)) == row:
                self.rows[row.domain, row.blob.digest] = row.resting(None)
        self.doubt(records)

    def doubt(self, records: Sequence[BlobRecord]) -> None:
        for row in records:
            self.doubted |= {key for key, listed in self.segments.items() if key[0] == row.domain and row.blob.digest in listed}

    def find(self, domain: str, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        found = {digest: self.rows.get((domain, digest)) for digest in digests}
        return {digest: row for digest, row in found.items() if row is not None}

    def records(self) -> Iterable[BlobRecord]:
        return list(self.rows.values())

    def packs(self) -> Iterable[BlobRecord]:
        return list(self.containers.values())

    def pack_uses(self) -> list[PackUse]:
        live = [row for row in self.containers.values() if row.state is BlobState.LIVE]
        held = [(pack, [member.blob.size for member in self.members(pack)]) for pack in live]
        return [PackUse(pack, len(sizes), sum(sizes)) for pack, sizes in held]

    def members(self, pack: BlobRecord) -> list[BlobRecord]:
        name = pack.domain, pack.blob.digest
        inside = [row for row in self.rows.values() if (row.domain, row.pack) == name and row.state is BlobState.LIVE]
        return sorted(inside, key=lambda row: row.start)

    def unreachable(self) -> list[BlobRecord]:
        needed = self._with_listed(self.reachable).union(*map(self._relied, self.pins))
        return [row for key, row in self.rows.items() if key not in needed or row.state is BlobState.DELETING]

    def empty_packs(self) -> list[BlobRecord]:
        needed = {(row.domain, row.pack) for row in self.rows.values() if row.state is BlobState.LIVE}
        needed = needed.union(*self.pack_pins.values())
        return [row for key, row in self.containers.items() if key not in needed or row.state is BlobState.DELETING]

    def doom(self, records: Sequence[BlobRecord]) -> list[BlobRecord]:
        asked = {_name(row) for row in records}
        unreachable = self.unreachable()
        doomed = [replace(row, state=BlobState.DELETING) for row in [*unreachable, *self.empty_packs()] if _name(row) in asked]
        packs = {(row.domain, row.blob.digest) for row in doomed if row.is_pack}
        along = [row for row in unreachable if row.state is BlobState.UPLOADING and (row.domain, row.pack) in packs]
        for row in [*doomed, *along]:
            self._table(row)[row.domain, row.blob.digest] = replace(row, state=BlobState.DELETING)
        gone = {(row.domain, row.blob.digest) for row in doomed if not row.is_pack}
        self.segments = {key: listed for key, listed in self.segments.items() if not gone & self._with_listed({key})}
        return doomed

    def forget(self, records: Sequence[BlobRecord]) -> None:
        for row in records:
            there = self._table(row).get((row.domain, row.blob.digest))
            if there is not None and there.state is BlobState.DELETING and _name(there) == _name(row):
                del self._table(row)[row.domain, row.blob.digest]
                if row.is_pack:
                    self._forget_members(row)

    def _forget_members(self, pack: BlobRecord) -> None:
        for key, row in [(key, row) for key, row in self.rows.items() if (row.domain, row.pack) == (pack.domain, pack.blob.digest)]:
            if row.state is BlobState.DELETING:
                del self.rows[key]
            else:
                self.rows[key] = row.resting(None)

    def _table(self, row: BlobRecord) -> dict[_Key, BlobRecord]:
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
