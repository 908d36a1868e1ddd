"""Segments that versions hold, and the blobs that each lists: it is looked into once, when a commit brings it for the first time.

Whoever holds a segment holds what it lists, so a version costs a row for each segment and none for its files. Which versions need a blob, and
which lack one, is asked here too: the answer leads through their segments.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from lineage.catalog.blob import blob_id
from lineage.catalog.column import Row, chunks, marks
from lineage.catalog.open import Connection
from storage.digest import Digest
from storage.errors import Corrupt
from storage.ledger import BlobRecord
from storage.manifest import Segment


def ensure(c: Connection, domain: str, segments: Sequence[Segment], listed: Callable[[Digest], Iterable[Digest]]) -> list[int]:
    """The numbers of segments whose blobs are live by now; `listed` is asked for the blobs of those that are new.

    Raises:
        Corrupt: a segment, or what a new one lists, is not live: the commit has to fail.
    """
    known = {row["digest"]: row for row in _known(c, domain, [str(segment.digest) for segment in segments])}
    numbers: dict[Digest, int] = {}
    for segment in segments:
        if segment.digest in numbers:
            continue
        row = known.get(str(segment.digest))
        if row is None:
            raise Corrupt(f"{segment.digest} was never pinned: the commit would reference bytes that are not there")
        numbers[segment.digest] = row["segment_id"] or _add(c, domain, row["id"], segment, listed(segment.digest))
        if row["is_doubted"]:
            c.execute("UPDATE segment SET is_doubted = 0 WHERE id = ?", (row["segment_id"],))
    return [numbers[segment.digest] for segment in segments]


def _known(c: Connection, domain: str, digests: Iterable[str]) -> Iterator[Row]:
    for chunk in chunks(digests):
        yield from c.execute(
            "SELECT blob.id, blob.digest, segment.id AS segment_id, segment.is_doubted FROM blob LEFT JOIN segment ON segment.blob_id = blob.id "
            f"WHERE blob.domain = ? AND blob.is_pack = 0 AND blob.state = 'live' AND blob.digest IN ({marks(len(chunk))})",
            (domain, *chunk),
        ).fetchall()


def _add(c: Connection, domain: str, own: int, segment: Segment, blobs: Iterable[Digest]) -> int:
    cursor = c.execute("INSERT INTO segment (blob_id, entries, size) VALUES (?, ?, ?)", (own, segment.count, segment.size))
    number = int(cursor.lastrowid or 0)
    for chunk in chunks({str(digest) for digest in blobs}):
        written = c.execute(
            "INSERT INTO segment_blob SELECT ?, id FROM blob "
            f"WHERE domain = ? AND is_pack = 0 AND state = 'live' AND digest IN ({marks(len(chunk))})",
            (number, domain, *chunk),
        ).rowcount
        if written != len(chunk):
            raise Corrupt("the commit would reference bytes that were never pinned, or never stored")
    return number


def attach(c: Connection, version_id: int, segments: Sequence[int]) -> None:
    c.executemany("INSERT INTO version_segment VALUES (?, ?, ?)", [(version_id, place, number) for place, number in enumerate(segments)])


_NEEDING = """
  SELECT id AS version_id FROM version WHERE state = 'live' AND manifest_id IN ({ids})
  UNION SELECT version_id FROM segment JOIN version_segment ON version_segment.segment_id = segment.id WHERE segment.blob_id IN ({ids})
  UNION SELECT version_id FROM segment_blob JOIN version_segment USING (segment_id) WHERE segment_blob.blob_id IN ({ids})"""


def needing(c: Connection, records: Iterable[BlobRecord]) -> list[int]:
    """The live versions that cannot be read whole without these blobs: as their manifest, a segment of it, or a file."""
    lost = [blob_id(c, record.domain, record.blob.digest) for record in records if not record.is_pack]
    found: set[int] = set()
    for chunk in chunks(lost):
        found |= {row[0] for row in c.execute(_NEEDING.format(ids=marks(len(chunk))), chunk * 3)}
    return sorted(found)


def missing_blobs(c: Connection) -> list[str]:
    """Live versions whose manifest or segments have no live blob, live blobs whose pack is not: there should never be one."""
    rows = c.execute(
        "SELECT DISTINCT version.id FROM version LEFT JOIN blob ON blob.id = version.manifest_id "
        "WHERE version.state = 'live' AND version.manifest_id IS NOT NULL AND blob.state <> 'live' UNION "
        "SELECT version_segment.version_id FROM version_segment JOIN segment_blob USING (segment_id) JOIN blob ON blob.id = segment_blob.blob_id "
        "WHERE blob.state <> 'live'"
    )
    astray = c.execute(
        "SELECT blob.digest FROM blob JOIN blob AS pack ON pack.id = blob.pack_id WHERE blob.state = 'live' AND pack.state <> 'live'"
    )
    return [f"version {row[0]} references a blob that is not live" for row in rows] + [
        f"{row[0]} rests in a pack that is not live" for row in astray
    ]
