"""The ledger of `storage/ledger.py` in SQL. What a commit makes of a session is in `session.py`, what versions hold in `segment.py`.

A blob is reachable when a live version's manifest is it, or a segment of a live version is it or lists it, or a run's sealed history is
it; a writer protects it by a pin on it, on the pack it rests in, or on a segment that lists it. `_REACHED` says so once; reclaim, doom and
verification all ask that one predicate. A pack is needed while a live blob rests in it.

A new small blob costs one row of `blob`, and one of `segment_blob` for each new segment that lists it; nothing is written per blob by
pinning it, flipping it or freeing it.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain

from lineage.catalog import session as sessions
from lineage.catalog.column import Row, chunks, marks
from lineage.catalog.open import Catalog, Connection
from lineage.catalog.process import is_alive, this_process
from lineage.catalog.row import COLUMNS, SELECT, record_of
from storage.digest import Blob, Digest
from storage.errors import Corrupt
from storage.ledger import BlobRecord, PackUse, Placement

_REACHED = """(
  EXISTS (SELECT 1 FROM pin WHERE pin.blob_id = blob.id)
  OR EXISTS (SELECT 1 FROM pin WHERE pin.blob_id = blob.pack_id)
  OR EXISTS (SELECT 1 FROM version WHERE version.manifest_id = blob.id AND version.state = 'live')
  OR EXISTS (SELECT 1 FROM segment JOIN version_segment ON version_segment.segment_id = segment.id WHERE segment.blob_id = blob.id)
  OR EXISTS (SELECT 1 FROM segment_blob JOIN version_segment ON version_segment.segment_id = segment_blob.segment_id
             WHERE segment_blob.blob_id = blob.id)
  OR EXISTS (SELECT 1 FROM segment_blob JOIN segment ON segment.id = segment_blob.segment_id JOIN pin ON pin.blob_id = segment.blob_id
             WHERE segment_blob.blob_id = blob.id)
  OR EXISTS (SELECT 1 FROM run_history WHERE run_history.blob_id = blob.id))"""
"""A tombstone keeps no `version_segment`, so what it alone held is not reached."""

_HOLDS = """(
  EXISTS (SELECT 1 FROM pin WHERE pin.blob_id = blob.id)
  OR EXISTS (SELECT 1 FROM blob AS held WHERE held.pack_id = blob.id AND held.state = 'live'))"""
"""Why a pack stays; a session that placed blobs in it has pinned it."""

_GONE = f"(blob.state = 'deleting' OR CASE blob.is_pack WHEN 1 THEN NOT {_HOLDS} ELSE NOT {_REACHED} END)"

_DOOM_ALONG = f"UPDATE blob SET state = 'deleting' WHERE pack_id = ? AND state = 'uploading' AND NOT {_REACHED}"
"""What goes with a pack."""

_PIN = (
    "INSERT INTO pin (session_id, blob_id, pack_id, start) "
    "SELECT ?, blob.id, own.blob_id, CASE WHEN own.blob_id IS NULL THEN NULL ELSE blob.start END "
    "FROM blob LEFT JOIN pin AS own ON own.session_id = ? AND own.blob_id = blob.pack_id"
)
"""A pin on a blob that rests in a pack of this very session says so: a commit leaves it there."""

_ROWS = 100
"""Rows one statement inserts: one by one they take twice as long, and more take no less."""


@lru_cache(maxsize=2 * _ROWS)
def _placing(rows: int) -> str:
    """Inserts so many blobs of one domain that are in one pack; of each digest, size, checksum and start."""
    values = ", ".join("(?1, ?{}, ?{}, ?{}, 'uploading', 0, ?2, ?{})".format(*range(at, at + 4)) for at in range(3, 3 + 4 * rows, 4))
    return (
        f"INSERT INTO blob (domain, digest, size, checksum, state, is_pack, pack_id, start) VALUES {values} "
        "ON CONFLICT (domain, digest, is_pack) DO UPDATE SET state = 'uploading', generation = blob.generation + 1, "
        "pack_id = excluded.pack_id, start = excluded.start WHERE blob.state = 'deleting'"
    )


class SqlLedger:
    """What the catalogue remembers of blobs. Laws: `storage.ledger.Ledger`."""

    def __init__(self, catalog: Catalog, now: Callable[[], int]) -> None:
        self._catalog = catalog
        self._now = now
        self._ended: set[str] = set()
        """Sessions that were closed here, and the disk did not take it: dead, though this process lives."""

    def open_session(self) -> str:
        session = secrets.token_hex(8)
        with self._catalog.tx() as c:
            c.execute("INSERT INTO session VALUES (?, ?, ?)", (session, this_process(), self._now()))
        return session

    def close_session(self, session: str) -> bool:
        self._ended.add(session)
        with self._catalog.read() as c:
            was_open = sessions.is_open(c, session)
        if was_open:
            with self._catalog.tx() as c:
                was_open = sessions.is_open(c, session)
                sessions.end(c, session)
        self._ended.discard(session)
        return was_open

    def open_sessions(self) -> list[str]:
        return [name for name, owner in self._sessions() if self._is_open(name, owner)]

    def dead_sessions(self) -> list[str]:
        return [name for name, owner in self._sessions() if not self._is_open(name, owner)]

    def _is_open(self, name: str, owner: str) -> bool:
        return name not in self._ended and is_alive(owner)

    def _sessions(self) -> list[tuple[str, str]]:
        with self._catalog.read() as c:
            return [(row["id"], row["owner"]) for row in c.execute("SELECT id, owner FROM session ORDER BY opened_at, id")]

    def pin(self, session: str, domain: str, blobs: Sequence[Blob]) -> Mapping[Digest, BlobRecord]:
        wanted = {str(blob.digest): blob for blob in blobs}
        with self._catalog.tx() as c:
            _upload(c, domain, wanted.values(), is_pack=False)
            answer = _known(c, domain, [blob.digest for blob in blobs])
            for row in answer.values():
                _require_same(row, wanted[str(row.blob.digest)])
            for chunk in chunks(wanted):
                listed = f"blob.domain = ? AND blob.is_pack = 0 AND blob.digest IN ({marks(len(chunk))})"
                c.execute(f"{_PIN} WHERE {listed} ON CONFLICT DO NOTHING", (session, session, domain, *chunk))
        return answer

    def place(self, session: str, domain: str, pack: Blob, members: Sequence[Placement]) -> BlobRecord:
        with self._catalog.tx() as c:
            _upload(c, domain, [pack], is_pack=True)
            row = c.execute(
                SELECT + "WHERE blob.domain = ? AND blob.digest = ? AND blob.is_pack = 1", (domain, str(pack.digest))
            ).fetchone()
            _require_same(record_of(row), pack)
            c.execute("INSERT INTO pin (session_id, blob_id) VALUES (?, ?) ON CONFLICT DO NOTHING", (session, row["id"]))
            placed = 0
            for some in chunks(members, _ROWS):
                values = [(f"{algorithm}:{value}", size, checksum, start) for ((algorithm, value), size, checksum), start in some]
                placed += c.execute(_placing(len(some)), (domain, row["id"], *chain.from_iterable(values))).rowcount
            if placed != len(members):
                _place_beside(c, session, domain, row["id"], members)
        return record_of(row)

    def hold(self, session: str, domain: str, digests: Sequence[Digest]) -> Mapping[Digest, BlobRecord]:
        wanted = {str(digest): digest for digest in digests}
        rests: dict[str, int] = {}
        with self._catalog.tx() as c:
            for chunk in chunks(wanted):
                listed = f"blob.domain = ? AND blob.is_pack = 0 AND blob.state = 'live' AND blob.digest IN ({marks(len(chunk))})"
                c.execute(f"{_PIN} WHERE {listed} ON CONFLICT DO NOTHING", (session, session, domain, *chunk))
                rests.update(map(tuple, c.execute(f"SELECT digest, COALESCE(pack_id, id) FROM blob WHERE {listed}", (domain, *chunk))))
            objects: dict[int, BlobRecord] = {}
            for numbers in chunks(set(rests.values())):
                rows = c.execute(f"{SELECT} WHERE blob.id IN ({marks(len(numbers))})", numbers)
                objects.update((row["id"], record_of(row)) for row in rows)
        return {wanted[digest]: objects[number] for digest, number in rests.items()}

    def hold_segments(self, session: str, domain: str, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        wanted = [str(digest) for digest in digests]
        with self._catalog.read() as c:
            known = [row["digest"] for row in _segments(c, domain, wanted)]
        if not known:
            return {}
        with self._catalog.tx() as c:
            held = _segments(c, domain, known)
            pins = [(session, row["id"]) for row in held]
            c.executemany("INSERT INTO pin (session_id, blob_id) VALUES (?, ?) ON CONFLICT DO NOTHING", pins)
        return {record.blob.digest: record for record in map(record_of, held)}

    def relocate(self, session: str) -> bool:
        with self._catalog.tx() as c:
            if not sessions.is_open(c, session):
                return False
            sessions.commit(c, session)
        return True

    def displace(self, records: Sequence[BlobRecord]) -> None:
        with self._catalog.tx() as c:
            c.executemany(
                "UPDATE blob SET pack_id = NULL, start = NULL WHERE domain = ? AND digest = ? AND is_pack = 0 AND generation = ? AND start = ? "
                "AND state = 'live' AND pack_id = (SELECT id FROM blob AS pack WHERE pack.domain = ? AND pack.digest = ? AND pack.is_pack = 1)",
                [
                    (row.domain, str(row.blob.digest), row.generation, row.start, row.domain, str(row.pack))
                    for row in records
                    if row.pack is not None
                ],
            )
            _doubt(c, records)

    def doubt(self, records: Sequence[BlobRecord]) -> None:
        with self._catalog.tx() as c:
            _doubt(c, records)

    def find(self, domain: str, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        with self._catalog.read() as c:
            return _known(c, domain, digests)

    def records(self) -> Iterator[BlobRecord]:
        return self._listed(is_pack=0)

    def packs(self) -> Iterator[BlobRecord]:
        return self._listed(is_pack=1)

    def _listed(self, is_pack: int) -> Iterator[BlobRecord]:
        last = 0
        while True:
            with self._catalog.read() as c:
                text = SELECT + "WHERE blob.id > ? AND blob.is_pack = ? ORDER BY blob.id LIMIT 5000"
                rows = c.execute(text, (last, is_pack)).fetchall()
            if not rows:
                return
            yield from map(record_of, rows)
            last = rows[-1]["id"]

    def pack_uses(self) -> list[PackUse]:
        with self._catalog.read() as c:
            text = (
                f"SELECT {COLUMNS.format('pack')}NULL, count(held.id), coalesce(sum(held.size), 0) FROM blob AS pack "
                "LEFT JOIN blob AS held ON held.pack_id = pack.id AND held.state = 'live' "
                "WHERE pack.is_pack = 1 AND pack.state = 'live' GROUP BY pack.id ORDER BY pack.domain, pack.digest"
            )
            return [PackUse(record_of((*row[:11], None, None)), *row[11:]) for row in c.execute(text)]

    def members(self, pack: BlobRecord) -> list[BlobRecord]:
        with self._catalog.read() as c:
            inside = "SELECT id FROM blob AS own WHERE own.domain = ? AND own.digest = ? AND own.is_pack = 1"
            text = f"{SELECT}WHERE blob.pack_id = ({inside}) AND blob.state = 'live' ORDER BY blob.start"
            return [record_of(row) for row in c.execute(text, (pack.domain, str(pack.blob.digest)))]

    def unreachable(self) -> list[BlobRecord]:
        return self._gone(is_pack=0)

    def empty_packs(self) -> list[BlobRecord]:
        return self._gone(is_pack=1)

    def _gone(self, is_pack: int) -> list[BlobRecord]:
        with self._catalog.read() as c:
            text = SELECT + f"WHERE blob.is_pack = ? AND {_GONE} ORDER BY blob.domain, blob.digest"
            return [record_of(row) for row in c.execute(text, (is_pack,))]

    def doom(self, records: Sequence[BlobRecord]) -> list[BlobRecord]:
        doomed = []
        with self._catalog.tx() as c:
            for record in records:
                row = c.execute(
                    f"UPDATE blob SET state = 'deleting' WHERE domain = ? AND digest = ? AND is_pack = ? AND generation = ? AND {_GONE} "
                    "RETURNING id",
                    _name(record),
                ).fetchone()
                if row is not None:
                    _forget_segments(c, row["id"])
                    c.execute(_DOOM_ALONG, (row["id"],))
                    doomed.append(record_of(c.execute(SELECT + "WHERE blob.id = ?", (row["id"],)).fetchone()))
        return doomed

    def forget(self, records: Sequence[BlobRecord]) -> None:
        with self._catalog.tx() as c:
            for record in records:
                _forget(c, record)


def _name(record: BlobRecord) -> tuple[str, str, bool, int]:
    return record.domain, str(record.blob.digest), record.is_pack, record.generation


def _upload(c: Connection, domain: str, blobs: Iterable[Blob], *, is_pack: bool) -> None:
    """Let rows be there for these: new ones, and anew for those that are about to go."""
    c.executemany(
        "INSERT INTO blob (domain, digest, size, checksum, state, is_pack) VALUES (?, ?, ?, ?, 'uploading', ?) "
        "ON CONFLICT (domain, digest, is_pack) DO UPDATE SET state = 'uploading', generation = blob.generation + 1, pack_id = NULL, start = NULL "
        "WHERE blob.state = 'deleting'",
        [(domain, str(blob.digest), blob.size, blob.checksum, is_pack) for blob in blobs],
    )


def _place_beside(c: Connection, session: str, domain: str, pack_id: int, members: Sequence[Placement]) -> None:
    """Pin the members that are there already and rest elsewhere, and note beside each pin where it is in this pack."""
    given = {str(blob.digest): (blob, start) for blob, start in members}
    others = []
    for chunk in chunks(given):
        text = f"{SELECT}WHERE blob.domain = ? AND blob.is_pack = 0 AND blob.digest IN ({marks(len(chunk))})"
        for row in c.execute(text, (domain, *chunk)).fetchall():
            blob, start = given[row["digest"]]
            _require_same(record_of(row), blob)
            if row["pack_id"] != pack_id:
                others.append((session, row["id"], pack_id, start))
    c.executemany(
        "INSERT INTO pin (session_id, blob_id, pack_id, start) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (session_id, blob_id) DO UPDATE SET pack_id = excluded.pack_id, start = excluded.start",
        others,
    )


def _segments(c: Connection, domain: str, digests: Iterable[str]) -> list[Row]:
    """The live blobs among these that are segments nobody doubts."""
    found: list[Row] = []
    for chunk in chunks(digests):
        text = (
            f"{SELECT}JOIN segment ON segment.blob_id = blob.id WHERE blob.domain = ? AND blob.is_pack = 0 "
            f"AND blob.digest IN ({marks(len(chunk))}) AND blob.state = 'live' AND segment.is_doubted = 0"
        )
        found += c.execute(text, (domain, *chunk))
    return found


def _doubt(c: Connection, records: Sequence[BlobRecord]) -> None:
    c.executemany(
        "UPDATE segment SET is_doubted = 1 WHERE is_doubted = 0 AND id IN (SELECT segment_id FROM segment_blob JOIN blob ON blob.id = segment_blob.blob_id "
        "WHERE blob.domain = ? AND blob.digest = ? AND blob.is_pack = 0)",
        [(row.domain, str(row.blob.digest)) for row in records],
    )


def _known(c: Connection, domain: str, digests: Iterable[Digest]) -> dict[Digest, BlobRecord]:
    found: dict[Digest, BlobRecord] = {}
    for chunk in chunks(digests):
        asked = {f"{digest[0]}:{digest[1]}": digest for digest in chunk}
        text = SELECT + f"WHERE blob.domain = ? AND blob.is_pack = 0 AND blob.digest IN ({marks(len(asked))})"
        found.update((asked[row[2]], record_of(row, asked[row[2]])) for row in c.execute(text, (domain, *asked)))
    return found


def _require_same(row: BlobRecord, given: Blob) -> None:
    if row.blob != given:
        raise Corrupt(f"{given.digest} is recorded with {row.blob.size} bytes and measured with {given.size}: verify the store")


def _forget_segments(c: Connection, number: int) -> None:
    """A doomed blob's segments are known no more, be it one or listed in one: a commit that brings such a segment back lists it anew."""
    segments = [
        row[0]
        for row in c.execute(
            "SELECT id FROM segment WHERE blob_id = ? UNION SELECT segment_id FROM segment_blob WHERE blob_id = ?", (number, number)
        )
    ]
    for segment in segments:
        c.execute("DELETE FROM segment_blob WHERE segment_id = ?", (segment,))
        c.execute("DELETE FROM segment WHERE id = ?", (segment,))


def _forget(c: Connection, record: BlobRecord) -> None:
    row = c.execute(
        "SELECT id FROM blob WHERE domain = ? AND digest = ? AND is_pack = ? AND generation = ? AND state = 'deleting'", _name(record)
    ).fetchone()
    if row is not None:
        with_it = "SELECT id FROM blob WHERE pack_id = ? AND state = 'deleting'"
        c.execute(f"UPDATE version SET manifest_id = NULL WHERE manifest_id IN ({with_it}) AND state <> 'live'", (row["id"],))
        c.execute("DELETE FROM blob WHERE pack_id = ? AND state = 'deleting'", (row["id"],))
        c.execute("UPDATE blob SET pack_id = NULL, start = NULL WHERE pack_id = ?", (row["id"],))
        c.execute("UPDATE version SET manifest_id = NULL WHERE manifest_id = ? AND state <> 'live'", (row["id"],))
        c.execute("DELETE FROM blob WHERE id = ?", (row["id"],))


def blob_id(c: Connection, domain: str, digest: Digest) -> int:
    row = c.execute("SELECT id FROM blob WHERE domain = ? AND digest = ? AND is_pack = 0", (domain, str(digest))).fetchone()
    if row is None:
        raise Corrupt(f"{digest} was never pinned: the commit would reference bytes that are not there")
    return int(row["id"])
