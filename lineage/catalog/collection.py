"""Collections, and the names that move over their versions: aliases. `latest` is not among them, it follows from what was logged last."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lineage.catalog.column import Row, names, when
from lineage.catalog.open import Connection
from lineage.model.artifact import AliasEvent, CollectionRecord

_SELECT = """
SELECT collection.*, project.name AS project, entity.name AS entity,
  (SELECT count(*) FROM version WHERE version.collection_id = collection.id AND version.state = 'live')
  + (SELECT count(*) FROM link JOIN version ON version.id = link.version_id
     WHERE link.collection_id = collection.id AND version.state = 'live') AS versions,
  (SELECT group_concat(name, char(10)) FROM (SELECT name FROM collection_tag WHERE collection_id = collection.id ORDER BY name)) AS tags
FROM collection JOIN project ON project.id = collection.project_id JOIN entity ON entity.id = project.entity_id
"""

_EVENTS = """
SELECT alias_event.name, alias_event.at, alias_event.version_id,
  CASE WHEN home.id = alias_event.collection_id THEN version.number ELSE link.number END AS number,
  version.number AS home_number, home.name AS home, project.name AS project, entity.name AS entity
FROM alias_event LEFT JOIN version ON version.id = alias_event.version_id
  LEFT JOIN link ON link.collection_id = alias_event.collection_id AND link.version_id = alias_event.version_id
  LEFT JOIN collection AS home ON home.id = version.collection_id LEFT JOIN project ON project.id = home.project_id
  LEFT JOIN entity ON entity.id = project.entity_id
WHERE alias_event.collection_id = ? ORDER BY alias_event.id
"""


def _record(row: Row) -> CollectionRecord:
    return CollectionRecord(
        row["id"],
        row["entity"],
        row["project"],
        row["name"],
        row["type"],
        row["description"],
        row["versions"],
        when(row["created_at"]),
        names(row["tags"]),
    )


def find(c: Connection, project_id: int, name: str) -> CollectionRecord | None:
    row = c.execute(
        _SELECT + "WHERE collection.project_id = ? AND collection.name = ? AND deleted_at IS NULL", (project_id, name)
    ).fetchone()
    return None if row is None else _record(row)


def ensure(c: Connection, project_id: int, name: str, type_: str, now: int) -> tuple[int, str]:
    """Number and type of the collection of that name, made (or, when it was deleted, opened again) where it is not there."""
    c.execute(
        "INSERT INTO collection (project_id, name, type, created_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (project_id, name) DO UPDATE SET deleted_at = NULL, type = CASE WHEN deleted_at IS NULL THEN type ELSE excluded.type END",
        (project_id, name, type_, now),
    )
    row = c.execute("SELECT id, type FROM collection WHERE project_id = ? AND name = ?", (project_id, name)).fetchone()
    return row["id"], row["type"]


def within(c: Connection, project_id: int, type_: str | None = None) -> list[CollectionRecord]:
    """A project's collections by name, of one type or of all."""
    where = "WHERE collection.project_id = ? AND deleted_at IS NULL AND (? IS NULL OR collection.type = ?) ORDER BY collection.name"
    return [_record(row) for row in c.execute(_SELECT + where, (project_id, type_, type_))]


def types(c: Connection, project_id: int) -> list[str]:
    rows = c.execute("SELECT DISTINCT type FROM collection WHERE project_id = ? AND deleted_at IS NULL ORDER BY type", (project_id,))
    return [row["type"] for row in rows]


def is_taken(c: Connection, collection_id: int, name: str) -> bool:
    """Has another collection of the same project the name, or had it before it was deleted?"""
    text = "SELECT 1 FROM collection AS other JOIN collection AS this USING (project_id) WHERE this.id = ? AND other.name = ? AND other.id <> this.id"
    return c.execute(text, (collection_id, name)).fetchone() is not None


def update(c: Connection, collection_id: int, fields: Mapping[str, Any]) -> None:
    """Set `name`, `description` or `deleted_at`."""
    for name, text in (("name", "name = ?"), ("description", "description = ?"), ("deleted_at", "deleted_at = ?")):
        if name in fields:
            c.execute(f"UPDATE collection SET {text} WHERE id = ?", (fields[name], collection_id))


def set_tags(c: Connection, collection_id: int, tags: Iterable[str]) -> None:
    c.execute("DELETE FROM collection_tag WHERE collection_id = ?", (collection_id,))
    c.executemany("INSERT INTO collection_tag VALUES (?, ?) ON CONFLICT DO NOTHING", [(collection_id, tag) for tag in tags])


def next_number(c: Connection, collection_id: int) -> int:
    """The number of the collection's next version. Numbers are never given twice."""
    text = "UPDATE collection SET next_number = next_number + 1 WHERE id = ? RETURNING next_number - 1"
    return int(c.execute(text, (collection_id,)).fetchone()[0])


def set_aliases(c: Connection, collection_id: int, version_id: int, aliases: Sequence[str], now: int) -> None:
    """Move these aliases to the version; each points to exactly one."""
    for alias in aliases:
        c.execute(
            "INSERT INTO alias VALUES (?, ?, ?) ON CONFLICT (collection_id, name) DO UPDATE SET version_id = excluded.version_id",
            (collection_id, alias, version_id),
        )
        c.execute(
            "INSERT INTO alias_event (collection_id, name, version_id, at) VALUES (?, ?, ?, ?)", (collection_id, alias, version_id, now)
        )


def remove_aliases(c: Connection, collection_id: int, version_id: int, aliases: Sequence[str] | None, now: int) -> None:
    """Take these aliases off the version, or all of them."""
    rows = c.execute("SELECT name FROM alias WHERE collection_id = ? AND version_id = ?", (collection_id, version_id)).fetchall()
    for name in [row["name"] for row in rows if aliases is None or row["name"] in aliases]:
        c.execute("DELETE FROM alias WHERE collection_id = ? AND name = ?", (collection_id, name))
        c.execute("INSERT INTO alias_event (collection_id, name, version_id, at) VALUES (?, ?, NULL, ?)", (collection_id, name, now))


def alias_events(c: Connection, collection_id: int) -> list[AliasEvent]:
    """Every move of its aliases as it was written down, oldest first; a move to where the alias stood already included."""
    return [AliasEvent(row["name"], _place(row), when(row["at"])) for row in c.execute(_EVENTS, (collection_id,))]


def _place(row: Row) -> str | None:
    if row["version_id"] is None:
        return None
    return f"v{row['number']}" if row["number"] is not None else f"{row['entity']}/{row['project']}/{row['home']}:v{row['home_number']}"


def alias_target(c: Connection, collection_id: int, name: str) -> int | None:
    """Which version the alias points to."""
    row = c.execute("SELECT version_id FROM alias WHERE collection_id = ? AND name = ?", (collection_id, name)).fetchone()
    return None if row is None else int(row["version_id"])
