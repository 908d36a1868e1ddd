"""How references stand: one row for each pinned object, and in which entries of which segments it is.

A row's `pin` is the canonical text of etag, version id, checksum and size: equal text, equal object. What was never found out has no
state. Segments that were looked through once are not read again.
"""

import json
from collections.abc import Iterable, Iterator

from lineage.catalog.column import chunks, marks, moment, when
from lineage.catalog.open import Connection
from lineage.model.standing import Finding, ReferenceRecord
from storage.digest import Digest
from storage.entry import Entry, Pin

_NAME = "entity.name || '/' || project.name || '/' || collection.name || ':v' || version.number"
_ENTRIES = (
    """FROM version_segment JOIN segment_reference USING (segment_id) JOIN reference ON reference.id = segment_reference.reference_id"""
)
_ASTRAY = """SELECT version_segment.version_id FROM reference JOIN segment_reference ON segment_reference.reference_id = reference.id
  JOIN version_segment ON version_segment.segment_id = segment_reference.segment_id WHERE reference.state IN ('drifted', 'missing')"""
_MADE_FROM = f"""WITH RECURSIVE reached (id) AS ({_ASTRAY}{{some}}
  UNION SELECT logged.version_id FROM reached JOIN used ON used.version_id = reached.id
    JOIN logged ON logged.run_id = used.run_id AND logged.is_maker = 1 AND logged.version_id > reached.id)
SELECT id FROM reached"""


def live_versions(c: Connection) -> list[int]:
    """Every version whose content can be read here."""
    rows = c.execute("SELECT id FROM version WHERE state = 'live' AND manifest_id IS NOT NULL ORDER BY id")
    return [row[0] for row in rows]


def unread(c: Connection, versions: Iterable[int]) -> Iterator[tuple[int, str, Digest]]:
    """Number, domain and digest of the segments of these versions that were never looked through, each once."""
    told: set[int] = set()
    for chunk in chunks(versions):
        rows = c.execute(
            "SELECT DISTINCT segment.id, blob.domain, blob.digest FROM version_segment JOIN segment ON segment.id = version_segment.segment_id"
            f" JOIN blob ON blob.id = segment.blob_id WHERE version_segment.version_id IN ({marks(len(chunk))})"
            " AND segment.id NOT IN (SELECT segment_id FROM read_segment)",
            chunk,
        ).fetchall()
        for row in rows:
            if row[0] not in told:
                told.add(row[0])
                yield row[0], row[1], Digest.parse(row[2])


def add_segment(c: Connection, segment_id: int, digest: Digest, entries: Iterable[Entry]) -> None:
    """The segment was looked through, and these of its entries are references. One that was reclaimed meanwhile is left out."""
    text = "SELECT 1 FROM segment JOIN blob ON blob.id = segment.blob_id WHERE segment.id = ? AND blob.digest = ?"
    if c.execute(text, (segment_id, str(digest))).fetchone() is None:
        return
    for entry in entries:
        if entry.pin is not None:
            key = (entry.pin.uri, _text(entry.pin, entry.size))
            c.execute("INSERT INTO reference (uri, pin) VALUES (?, ?) ON CONFLICT DO NOTHING", key)
            c.execute(
                "INSERT INTO segment_reference SELECT ?, ?, id FROM reference WHERE uri = ? AND pin = ? ON CONFLICT DO NOTHING",
                (segment_id, entry.path, *key),
            )
    c.execute("INSERT INTO read_segment VALUES (?) ON CONFLICT DO NOTHING", (segment_id,))


def _text(pin: Pin, size: int | None) -> str:
    return json.dumps([pin.etag, pin.version_id, pin.checksum, size], ensure_ascii=False, separators=(",", ":"))


def of_versions(c: Connection, versions: Iterable[int]) -> list[ReferenceRecord]:
    """The pinned objects of these versions, each once, in the order of their URIs."""
    found: dict[int, ReferenceRecord] = {}
    for chunk in chunks(versions):
        rows = c.execute(
            f"SELECT DISTINCT reference.id, uri, pin {_ENTRIES} WHERE version_segment.version_id IN ({marks(len(chunk))})", chunk
        )
        for number, uri, pin in rows:
            etag, version, checksum, size = json.loads(pin)
            found[number] = ReferenceRecord(number, Pin(uri, etag, version, checksum), size)
    return sorted(found.values(), key=lambda each: (each.pin.uri, each.id))


def settle(c: Connection, states: Iterable[tuple[int, str]], now: int) -> None:
    """What a look found: the time a state was first seen stays for as long as the state does."""
    c.executemany(
        "UPDATE reference SET since = CASE WHEN state = ? THEN since ELSE ? END, state = ?, seen_at = ?, ok_at = coalesce(?, ok_at)"
        " WHERE id = ?",
        [(state, now, state, now, now if state == "ok" else None, number) for number, state in states],
    )


def findings(c: Connection, versions: Iterable[int]) -> Iterator[Finding]:
    """How the references of these versions stood that are not ok, entry by entry; what was never found out is left out."""
    for chunk in chunks(versions):
        rows = c.execute(
            f"SELECT version.id, {_NAME} AS name, path, uri, reference.state, since, seen_at, ok_at {_ENTRIES}"
            " JOIN version ON version.id = version_segment.version_id JOIN collection ON collection.id = version.collection_id"
            " JOIN project ON project.id = collection.project_id JOIN entity ON entity.id = project.entity_id"
            f" WHERE reference.state <> 'ok' AND version.id IN ({marks(len(chunk))}) ORDER BY version.id, path",
            chunk,
        ).fetchall()
        for row in rows:
            number, artifact, path, uri, state, since, seen, ok = row
            yield Finding(number, artifact, path, uri, state, when(since), when(seen), moment(ok))


def astray(c: Connection) -> set[int]:
    """Every version with a reference of its own that has drifted or is missing. Costs nothing while there is none."""
    return {row[0] for row in c.execute(_ASTRAY)}


def affected(c: Connection, versions: Iterable[int] | None = None) -> set[int]:
    """The same, or those of them among `versions`, and every version made from one."""
    if versions is None:
        return {row[0] for row in c.execute(_MADE_FROM.format(some=""))}
    reached: set[int] = set()
    for chunk in chunks(versions):
        some = f" AND version_segment.version_id IN ({marks(len(chunk))})"
        reached |= {row[0] for row in c.execute(_MADE_FROM.format(some=some), chunk)}
    return reached


def never_checked(c: Connection, versions: Iterable[int]) -> list[int]:
    """Those of these versions whose references nobody has looked at, or could find out about."""
    found: list[int] = []
    for chunk in chunks(versions):
        rows = c.execute(
            f"SELECT id FROM version WHERE id IN ({marks(len(chunk))}) AND state = 'live' AND manifest_id IS NOT NULL AND EXISTS ("
            " SELECT 1 FROM version_segment LEFT JOIN read_segment USING (segment_id) LEFT JOIN segment_reference USING (segment_id)"
            " LEFT JOIN reference ON reference.id = segment_reference.reference_id WHERE version_segment.version_id = version.id"
            " AND (read_segment.segment_id IS NULL OR (reference.id IS NOT NULL AND reference.state IS NULL))) ORDER BY id",
            chunk,
        )
        found += [row[0] for row in rows]
    return found


def forget(c: Connection) -> None:
    """Let go of pinned objects that stand in no segment any more."""
    c.execute("DELETE FROM reference WHERE id NOT IN (SELECT reference_id FROM segment_reference)")
