"""Entities and projects, and the TTL defaults a project gives its versions."""

import secrets

from lineage.catalog.column import Row, policy, when
from lineage.catalog.open import Connection
from lineage.model.entity import EntityKind, EntityRecord
from lineage.model.project import ProjectRecord, Visibility
from lineage.model.retention import Policy

_SELECT = """
SELECT project.*, entity.name AS entity FROM project JOIN entity ON entity.id = project.entity_id
"""


def _record(row: Row) -> ProjectRecord:
    return ProjectRecord(
        row["id"],
        row["entity"],
        row["name"],
        Visibility(row["visibility"]),
        row["domain"],
        policy(row["ttl_inherit"], row["ttl_seconds"]),
        when(row["created_at"]),
        row["description"],
    )


def ensure_entity(c: Connection, name: str, now: int, kind: EntityKind = EntityKind.USER) -> EntityRecord:
    """The entity of that name, made when it is not there."""
    c.execute("INSERT INTO entity (name, kind, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (name, kind, now))
    row = c.execute("SELECT * FROM entity WHERE name = ?", (name,)).fetchone()
    return EntityRecord(row["id"], row["name"], EntityKind(row["kind"]))


def ensure(c: Connection, entity: EntityRecord, name: str, visibility: Visibility, now: int) -> ProjectRecord:
    """The project of that name, made when it is not there, with a dedup domain of its own."""
    c.execute(
        "INSERT INTO project (entity_id, name, visibility, domain, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (entity.id, name, visibility, f"p{secrets.token_hex(6)}", now),
    )
    found = find(c, entity.name, name)
    if found is None:
        raise LookupError(name)
    return found


def find(c: Connection, entity: str, name: str) -> ProjectRecord | None:
    row = c.execute(_SELECT + "WHERE entity.name = ? AND project.name = ?", (entity, name)).fetchone()
    return None if row is None else _record(row)


def get(c: Connection, project_id: int) -> ProjectRecord:
    return _record(c.execute(_SELECT + "WHERE project.id = ?", (project_id,)).fetchone())


def every(c: Connection, entity: str | None = None) -> list[ProjectRecord]:
    """All projects, of one entity or of all, by name."""
    where = "" if entity is None else "WHERE entity.name = ? "
    rows = c.execute(_SELECT + where + "ORDER BY entity.name, project.name", () if entity is None else (entity,))
    return [_record(row) for row in rows]


def set_policy(c: Connection, project_id: int, value: Policy) -> None:
    c.execute("UPDATE project SET ttl_inherit = ?, ttl_seconds = ? WHERE id = ?", (value.inherit, value.seconds, project_id))


def set_type_policy(c: Connection, project_id: int, type_: str, value: Policy) -> None:
    c.execute(
        "INSERT INTO type_policy VALUES (?, ?, ?, ?) "
        "ON CONFLICT (project_id, type) DO UPDATE SET ttl_inherit = excluded.ttl_inherit, ttl_seconds = excluded.ttl_seconds",
        (project_id, type_, value.inherit, value.seconds),
    )


def type_policy(c: Connection, project_id: int, type_: str) -> Policy:
    row = c.execute("SELECT * FROM type_policy WHERE project_id = ? AND type = ?", (project_id, type_)).fetchone()
    return Policy() if row is None else policy(row["ttl_inherit"], row["ttl_seconds"])


def type_policies(c: Connection, project_id: int) -> dict[str, Policy]:
    """The types that have a default of their own, by name."""
    rows = c.execute("SELECT * FROM type_policy WHERE project_id = ? AND ttl_inherit = 0 ORDER BY type", (project_id,))
    return {row["type"]: policy(row["ttl_inherit"], row["ttl_seconds"]) for row in rows}


def protected_aliases(c: Connection, project_id: int) -> list[str]:
    """The aliases that this project protects itself."""
    return [row["name"] for row in c.execute("SELECT name FROM protected_alias WHERE project_id = ? ORDER BY name", (project_id,))]


def protect_alias(c: Connection, project_id: int, name: str, *, protect: bool) -> None:
    if protect:
        c.execute("INSERT INTO protected_alias VALUES (?, ?) ON CONFLICT DO NOTHING", (project_id, name))
    else:
        c.execute("DELETE FROM protected_alias WHERE project_id = ? AND name = ?", (project_id, name))
