"""The ledger of `storage/ledger.py` in SQL, and what a commit does to it: segments, their blobs, and the flip from uploading to live.

A blob is reachable when a live version's manifest is it, or a segment of a live version is it or lists it, or a run's sealed history is
it. `_REACHED` says so once; reclaim, doom and verification all ask that one predicate.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from lineage.catalog.column import Row, chunks, marks
from lineage.catalog.open import Catalog, Connection
from lineage.catalog.process import is_alive, this_process
from storage.digest import Blob, Digest
from storage.errors import Corrupt
from storage.ledger import BlobRecord, BlobState
from storage.manifest import Segment

_REACHED = """(
  EXISTS (SELECT 1 FROM pin WHERE pin.blob_id = blob.id)
  OR EXISTS (SELECT 1 FROM version WHERE version.manifest_id = blob.id AND version.state = 'live')
  OR EXISTS (SELECT 1 FROM segment JOIN version_segment ON version_segment.segment_id = segment.id WHERE segment.blob_id = blob.id)
  OR EXISTS (SELECT 1 FROM segment_blob JOIN version_segment ON version_segment.segment_id = segment_blob.segment_id
             WHERE segment_blob.blob_id = blob.id)
  OR EXISTS (SELECT 1 FROM segment_blob JOIN segment ON segment.id = segment_blob.segment_id JOIN pin ON pin.blob_id = segment.blob_id
             WHERE segment_blob.blob_id = blob.id)
  OR EXISTS (SELECT 1 FROM run_history WHERE run_history.blob_id = blob.id))"""
"""A tombstone keeps no `version_segment`, so what it alone held is not reached."""

_GONE = f"(blob.state = 'deleting' OR NOT {_REACHED})"


def _record(row: Row) -> BlobRecord:
    blob = Blob(Digest.parse(row["digest"]), row["size"], row["checksum"])
    return BlobRecord(row["domain"], blob, BlobState(row["state"]), row["generation"])


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
        with self._catalog.tx() as c:
            was_open = is_open(c, session)
            end_session(c, session)
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
        answer: dict[Digest, BlobRecord] = {}
        with self._catalog.tx() as c:
            for blob in blobs:
                row = c.execute(
                    "INSERT INTO blob (domain, digest, size, checksum, state) VALUES (?, ?, ?, ?, 'uploading') "
                    "ON CONFLICT (domain, digest) DO UPDATE SET state = CASE state WHEN 'deleting' THEN 'uploading' ELSE state END, "
                    "generation = generation + (state = 'deleting') RETURNING *",
                    (domain, str(blob.digest), blob.size, blob.checksum),
                ).fetchone()
                if (row["size"], row["checksum"]) != (blob.size, blob.checksum):
                    raise Corrupt(f"{blob.digest} is recorded with {row['size']} bytes and measured with {blob.size}: verify the store")
                c.execute("INSERT INTO pin VALUES (?, ?) ON CONFLICT DO NOTHING", (session, row["id"]))
                answer[blob.digest] = _record(row)
        return answer

    def find(self, domain: str, digests: Iterable[Digest]) -> Mapping[Digest, BlobRecord]:
        found = {}
        with self._catalog.read() as c:
            for chunk in chunks(digests):
                text = f"SELECT * FROM blob WHERE domain = ? AND digest IN ({marks(len(chunk))})"
                for row in c.execute(text, (domain, *map(str, chunk))):
                    record = _record(row)
                    found[record.blob.digest] = record
        return found

    def records(self) -> Iterator[BlobRecord]:
        last = 0
        while True:
            with self._catalog.read() as c:
                rows = c.execute("SELECT * FROM blob WHERE id > ? ORDER BY id LIMIT 5000", (last,)).fetchall()
            if not rows:
                return
            yield from map(_record, rows)
            last = rows[-1]["id"]

    def unreachable(self) -> list[BlobRecord]:
        with self._catalog.read() as c:
            return [_record(row) for row in c.execute(f"SELECT * FROM blob WHERE {_GONE} ORDER BY domain, digest")]

    def doom(self, records: Sequence[BlobRecord]) -> list[BlobRecord]:
        doomed = []
        with self._catalog.tx() as c:
            for record in records:
                row = c.execute(
                    f"UPDATE blob SET state = 'deleting' WHERE domain = ? AND digest = ? AND generation = ? AND {_GONE} RETURNING *",
                    (record.domain, str(record.blob.digest), record.generation),
                ).fetchone()
                if row is not None:
                    _forget_segments(c, row["id"])
                    doomed.append(_record(row))
        return doomed

    def forget(self, records: Sequence[BlobRecord]) -> None:
        with self._catalog.tx() as c:
            for record in records:
                _forget(c, record)


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
        "SELECT id FROM blob WHERE domain = ? AND digest = ? AND generation = ? AND state = 'deleting'",
        (record.domain, str(record.blob.digest), record.generation),
    ).fetchone()
    if row is not None:
        c.execute("UPDATE version SET manifest_id = NULL WHERE manifest_id = ? AND state <> 'live'", (row["id"],))
        c.execute("DELETE FROM blob WHERE id = ?", (row["id"],))


def end_session(c: Connection, session: str) -> None:
    """Free a session's pins and close it; a closed one stays closed."""
    c.execute("DELETE FROM pin WHERE session_id = ?", (session,))
    c.execute("DELETE FROM session WHERE id = ?", (session,))


def is_open(c: Connection, session: str) -> bool:
    """May the session still commit? One that was closed for dead may not."""
    return c.execute("SELECT 1 FROM session WHERE id = ?", (session,)).fetchone() is not None


def commit_session(c: Connection, session: str, lost: Iterable[Digest] = ()) -> None:
    """What the session pinned is live from this transaction on, but for what it `lost`, and the session is over."""
    for chunk in chunks(lost):
        text = f"DELETE FROM pin WHERE session_id = ? AND blob_id IN (SELECT id FROM blob WHERE digest IN ({marks(len(chunk))}))"
        c.execute(text, (session, *map(str, chunk)))
    c.execute(
        "UPDATE blob SET state = 'live' WHERE state = 'uploading' AND id IN (SELECT blob_id FROM pin WHERE session_id = ?)", (session,)
    )
    end_session(c, session)


def blob_id(c: Connection, domain: str, digest: Digest) -> int:
    row = c.execute("SELECT id FROM blob WHERE domain = ? AND digest = ?", (domain, str(digest))).fetchone()
    if row is None:
        raise Corrupt(f"{digest} was never pinned: the commit would reference bytes that are not there")
    return int(row["id"])


def ensure_segment(c: Connection, domain: str, segment: Segment, blobs: Iterable[Digest]) -> int:
    """The number of a segment, with its list of blobs written when it is new."""
    own = blob_id(c, domain, segment.digest)
    row = c.execute("SELECT id FROM segment WHERE blob_id = ?", (own,)).fetchone()
    if row is not None:
        return int(row["id"])
    cursor = c.execute("INSERT INTO segment (blob_id, entries, size) VALUES (?, ?, ?)", (own, segment.count, segment.size))
    number = int(cursor.lastrowid or 0)
    for chunk in chunks({str(digest) for digest in blobs}):
        written = c.execute(
            f"INSERT INTO segment_blob SELECT ?, id FROM blob WHERE domain = ? AND digest IN ({marks(len(chunk))})",
            (number, domain, *chunk),
        ).rowcount
        if written != len(chunk):
            raise Corrupt("the commit would reference bytes that were never pinned")
    return number


def add_version_segments(c: Connection, version_id: int, segments: Sequence[int]) -> None:
    c.executemany("INSERT INTO version_segment VALUES (?, ?, ?)", [(version_id, place, number) for place, number in enumerate(segments)])


def missing_blobs(c: Connection) -> list[str]:
    """Live versions whose manifest or segments have no live blob: there should never be one."""
    rows = c.execute(
        "SELECT DISTINCT version.id FROM version LEFT JOIN blob ON blob.id = version.manifest_id "
        "WHERE version.state = 'live' AND version.manifest_id IS NOT NULL AND blob.state <> 'live' UNION "
        "SELECT version_segment.version_id FROM version_segment JOIN segment_blob USING (segment_id) JOIN blob ON blob.id = segment_blob.blob_id "
        "WHERE blob.state <> 'live'"
    )
    return [f"version {row[0]} references a blob that is not live" for row in rows]
