"""Versions: made once, described and tombstoned later, never changed. A version is always seen through a collection: its own or a link's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lineage.catalog.collection import remove_aliases
from lineage.catalog.column import Row, chunks, document, marks, moment, names, policy, read_document, when
from lineage.catalog.open import Connection
from lineage.model.artifact import VersionRecord, VersionState
from lineage.model.names import LATEST
from lineage.model.retention import Policy

_LATEST = """(SELECT id FROM (
  SELECT * FROM (SELECT id, logged FROM version WHERE collection_id = {collection} AND state = 'live' ORDER BY logged DESC LIMIT 1)
  UNION ALL
  SELECT * FROM (SELECT living.id, link.logged FROM link JOIN version AS living ON living.id = link.version_id
                 WHERE link.collection_id = {collection} AND living.state = 'live' ORDER BY link.logged DESC LIMIT 1)
) ORDER BY logged DESC LIMIT 1)"""
"""One step into an index for a collection's own versions and one for its links, however many there are."""

_SELECT = f"""
SELECT version.*, member.collection_id AS seen_id, member.number AS seen_number, member.is_link,
  seen.name AS collection, seen.type AS type, project.name AS project, entity.name AS entity, home_project.domain AS domain,
  home.name AS home_collection, home_project.name AS home_project, home_entity.name AS home_entity,
  (SELECT group_concat(name, char(10)) FROM (
     SELECT name FROM alias WHERE alias.collection_id = member.collection_id AND alias.version_id = version.id ORDER BY name)) AS aliases,
  (SELECT group_concat(name, char(10)) FROM (SELECT name FROM version_tag WHERE version_id = version.id ORDER BY name)) AS tags,
  version.id = {_LATEST.format(collection="member.collection_id")} AS is_latest
FROM member JOIN version ON version.id = member.version_id
  JOIN collection AS seen ON seen.id = member.collection_id JOIN project ON project.id = seen.project_id
  JOIN entity ON entity.id = project.entity_id
  JOIN collection AS home ON home.id = version.collection_id JOIN project AS home_project ON home_project.id = home.project_id
  JOIN entity AS home_entity ON home_entity.id = home_project.entity_id
"""


def _record(row: Row) -> VersionRecord:
    kept = policy(row["ttl_inherit"], row["ttl_seconds"])
    created = when(row["created_at"])
    aliases = names(row["aliases"])
    return VersionRecord(
        id=row["id"],
        entity=row["entity"],
        project=row["project"],
        collection=row["collection"],
        collection_id=row["seen_id"],
        number=row["seen_number"],
        type=row["type"],
        digest=row["digest"],
        size=row["size"],
        entries=row["entries"],
        domain=row["domain"],
        state=VersionState(row["state"]),
        created_at=created,
        description=row["description"],
        metadata=read_document(row["metadata"]),
        aliases=(LATEST, *aliases) if row["is_latest"] else aliases,
        tags=names(row["tags"]),
        policy=kept,
        expires_at=kept.due(created),
        is_held=bool(row["is_held"]),
        is_recorded=row["manifest_id"] is None and row["state"] == "live",
        history_step=row["history_step"],
        ended_at=moment(row["ended_at"]),
        reason=row["reason"],
        source=(row["home_entity"], row["home_project"], row["home_collection"], row["number"]) if row["is_link"] else None,
    )


def get(c: Connection, version_id: int, collection_id: int | None = None) -> VersionRecord | None:
    """The version, seen through its own collection or the given one."""
    where = "WHERE member.version_id = ? AND " + ("member.is_link = 0" if collection_id is None else "member.collection_id = ?")
    row = c.execute(_SELECT + where, (version_id,) if collection_id is None else (version_id, collection_id)).fetchone()
    return None if row is None else _record(row)


def several(c: Connection, ids: Iterable[int]) -> list[VersionRecord]:
    """The versions with these numbers, each through its own collection, in the order given."""
    wanted = list(ids)
    found = {}
    for chunk in chunks(wanted):
        for row in c.execute(_SELECT + f"WHERE member.version_id IN ({marks(len(chunk))}) AND member.is_link = 0", chunk):
            found[row["id"]] = _record(row)
    return [found[version_id] for version_id in wanted if version_id in found]


def numbered(c: Connection, collection_id: int, number: int) -> VersionRecord | None:
    """`vN` of a collection, tombstones included."""
    row = c.execute(_SELECT + "WHERE member.collection_id = ? AND member.number = ?", (collection_id, number)).fetchone()
    return None if row is None else _record(row)


def latest(c: Connection, collection_id: int) -> VersionRecord | None:
    """The live version logged last."""
    row = c.execute(f"SELECT {_LATEST.format(collection='?')}", (collection_id, collection_id)).fetchone()
    return None if row[0] is None else get(c, row[0], collection_id)


def of_digest(c: Connection, collection_id: int, digest: str) -> VersionRecord | None:
    """The version of a collection with that content, the live one first, else the newest tombstone."""
    row = c.execute(
        _SELECT + "WHERE member.collection_id = ? AND version.digest = ? ORDER BY version.state = 'live' DESC, version.id DESC LIMIT 1",
        (collection_id, digest),
    ).fetchone()
    return None if row is None else _record(row)


def within(c: Connection, collection_id: int, *, tombstones: bool = False, tags: Sequence[str] = ()) -> list[VersionRecord]:
    """A collection's versions, newest first."""
    text = _SELECT + "WHERE member.collection_id = ? AND (version.state = 'live' OR ?)"
    for _ in tags:
        text += " AND EXISTS (SELECT 1 FROM version_tag WHERE version_id = version.id AND name = ?)"
    return [_record(row) for row in c.execute(text + " ORDER BY member.number DESC", (collection_id, tombstones, *tags))]


def links(c: Connection, version_id: int) -> list[VersionRecord]:
    """The version through each collection it is linked into."""
    rows = c.execute(_SELECT + "WHERE member.version_id = ? AND member.is_link = 1 ORDER BY member.logged", (version_id,))
    return [_record(row) for row in rows]


def next_order(c: Connection) -> int:
    """The next order. Drawn inside a commit, so that order is commit order; draw it as late as can be."""
    return int(c.execute("UPDATE counter SET value = value + 1 WHERE name = 'order' RETURNING value").fetchone()[0])


def current_order(c: Connection) -> int:
    return int(c.execute("SELECT value FROM counter WHERE name = 'order'").fetchone()[0])


def insert(c: Connection, order: int, collection_id: int, number: int, digest: str, now: int, **fields: Any) -> None:
    """A new version. `fields`: size, entries, manifest_id, description, metadata, policy, history_step."""
    kept: Policy = fields.get("policy", Policy())
    c.execute(
        "INSERT INTO version (id, collection_id, number, digest, size, entries, manifest_id, description, metadata, ttl_inherit,"
        " ttl_seconds, history_step, logged, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            order,
            collection_id,
            number,
            digest,
            fields.get("size", 0),
            fields.get("entries", 0),
            fields.get("manifest_id"),
            fields.get("description"),
            document(fields.get("metadata") or {}),
            kept.inherit,
            kept.seconds,
            fields.get("history_step"),
            order,
            now,
        ),
    )


def attach(c: Connection, version_id: int, manifest_id: int, size: int, entries: int) -> None:
    """The content of a version that was recorded by its digest alone came after all."""
    text = "UPDATE version SET manifest_id = ?, size = ?, entries = ? WHERE id = ? AND manifest_id IS NULL"
    c.execute(text, (manifest_id, size, entries, version_id))


def is_there(c: Connection, version_id: int) -> bool:
    """Is that order a version's? Links and repeated logs draw orders too."""
    return c.execute("SELECT 1 FROM version WHERE id = ?", (version_id,)).fetchone() is not None


def touch(c: Connection, version_id: int, order: int) -> None:
    """The version was logged again: it is the latest now."""
    c.execute("UPDATE version SET logged = ? WHERE id = ?", (order, version_id))


def update(c: Connection, version_id: int, fields: Mapping[str, Any]) -> None:
    """Set `description`, `metadata`, `policy` or `is_held`."""
    if "description" in fields:
        c.execute("UPDATE version SET description = ? WHERE id = ?", (fields["description"], version_id))
    if "metadata" in fields:
        c.execute("UPDATE version SET metadata = ? WHERE id = ?", (document(fields["metadata"]), version_id))
    if "is_held" in fields:
        c.execute("UPDATE version SET is_held = ? WHERE id = ?", (fields["is_held"], version_id))
    if "policy" in fields:
        kept = fields["policy"]
        c.execute("UPDATE version SET ttl_inherit = ?, ttl_seconds = ? WHERE id = ?", (kept.inherit, kept.seconds, version_id))


def set_tags(c: Connection, version_id: int, tags: Iterable[str]) -> None:
    c.execute("DELETE FROM version_tag WHERE version_id = ?", (version_id,))
    add_tags(c, version_id, tags)


def add_tags(c: Connection, version_id: int, tags: Iterable[str]) -> None:
    c.executemany("INSERT INTO version_tag VALUES (?, ?) ON CONFLICT DO NOTHING", [(version_id, tag) for tag in tags])


def end(c: Connection, version_id: int, state: VersionState, reason: str, now: int) -> bool:
    """Make a live version a tombstone: aliases and content references go, name, digest, times and edges stay. False: it was none."""
    text = "UPDATE version SET state = ?, reason = ?, ended_at = ? WHERE id = ? AND state = 'live' RETURNING id"
    if c.execute(text, (state, reason, now, version_id)).fetchone() is None:
        return False
    for row in c.execute("SELECT DISTINCT collection_id FROM alias WHERE version_id = ?", (version_id,)).fetchall():
        remove_aliases(c, row["collection_id"], version_id, None, now)
    c.execute("DELETE FROM version_segment WHERE version_id = ?", (version_id,))
    c.execute("DELETE FROM idempotency WHERE version_id = ?", (version_id,))
    return True


def link(c: Connection, collection_id: int, number: int, version_id: int, order: int, now: int) -> None:
    c.execute("INSERT INTO link VALUES (?, ?, ?, ?, ?)", (collection_id, number, version_id, order, now))


def unlink(c: Connection, collection_id: int, version_id: int) -> None:
    c.execute("DELETE FROM link WHERE collection_id = ? AND version_id = ?", (collection_id, version_id))


def count_live(c: Connection) -> int:
    return int(c.execute("SELECT count(*) FROM version WHERE state = 'live'").fetchone()[0])


def remember_key(c: Connection, key: str, version_id: int, now: int) -> None:
    c.execute("INSERT INTO idempotency VALUES (?, ?, ?)", (key, version_id, now))


def of_key(c: Connection, key: str) -> int | None:
    """The version a commit with that idempotency key made."""
    row = c.execute("SELECT version_id FROM idempotency WHERE key = ?", (key,)).fetchone()
    return None if row is None else int(row["version_id"])


def made_by(c: Connection, run_id: int) -> list[int]:
    """Live versions the run is the maker of."""
    rows = c.execute(
        "SELECT version.id FROM logged JOIN version ON version.id = logged.version_id "
        "WHERE run_id = ? AND is_maker = 1 AND state = 'live' ORDER BY version.id",
        (run_id,),
    )
    return [row["id"] for row in rows]


def live_of_digest(c: Connection, collection_id: int, digest: str) -> int | None:
    """The collection's own live version with that content."""
    row = c.execute("SELECT id FROM version WHERE collection_id = ? AND digest = ? AND state = 'live'", (collection_id, digest)).fetchone()
    return None if row is None else int(row[0])


def is_recorded(c: Connection, version_id: int) -> bool:
    """Is only the version's digest known, and no content?"""
    return c.execute("SELECT 1 FROM version WHERE id = ? AND manifest_id IS NULL AND state = 'live'", (version_id,)).fetchone() is not None
