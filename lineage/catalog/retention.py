"""Which versions are due, and what holds them: the facts a plan is made of, and the same predicate once more when it is carried out."""

from collections import defaultdict
from typing import Any

from lineage.catalog.column import instant, policy, when
from lineage.catalog.open import Connection
from lineage.model.retention import PROTECTED_ALIASES, Candidate, Policy

Facts = dict[str, Any]

_LIVE = """
SELECT version.id, version.number, version.size, version.created_at, version.ttl_inherit, version.ttl_seconds, version.is_held,
  collection.name AS collection, collection.type, project.id AS project_id, project.name AS project, entity.name AS entity,
  type_policy.ttl_inherit AS type_inherit, type_policy.ttl_seconds AS type_seconds,
  project.ttl_inherit AS project_inherit, project.ttl_seconds AS project_seconds
FROM version JOIN collection ON collection.id = version.collection_id JOIN project ON project.id = collection.project_id
  JOIN entity ON entity.id = project.entity_id
  LEFT JOIN type_policy ON type_policy.project_id = project.id AND type_policy.type = collection.type
WHERE version.state = 'live'
"""
_DUE = f"""{_LIVE} AND version.created_at + 1000000 * (
  CASE WHEN version.ttl_inherit = 0 THEN version.ttl_seconds
       WHEN coalesce(type_policy.ttl_inherit, 1) = 0 THEN type_policy.ttl_seconds
       WHEN project.ttl_inherit = 0 THEN project.ttl_seconds END) <= ?
"""


def due(c: Connection, now: int, *, project_id: int | None = None, version_id: int | None = None) -> list[Candidate]:
    """Live versions whose time has come at `now`, with whatever may hold each."""
    return _candidates(c, _facts(c, _DUE, [now], project_id=project_id, version_id=version_id))


def due_if(
    c: Connection, now: int, stated: Policy, *, project_id: int | None = None, type_: str | None = None, version_id: int | None = None
) -> list[Candidate]:
    """Live versions whose time has not come at `now`, but would have if the version, or the type, or the project had the policy `stated`."""
    level = "ttl" if version_id is not None else "type" if type_ is not None else "project"
    change = {f"{level}_inherit": int(stated.inherit), f"{level}_seconds": stated.seconds}
    found = _facts(c, _LIVE, [], project_id=project_id, type_=type_, version_id=version_id)
    return _candidates(c, [{**row, **change} for row in found if _is_due({**row, **change}, now) and not _is_due(row, now)])


def _facts(
    c: Connection,
    text: str,
    values: list[object],
    *,
    project_id: int | None = None,
    type_: str | None = None,
    version_id: int | None = None,
) -> list[Facts]:
    for column, value in (("project.id", project_id), ("collection.type", type_), ("version.id", version_id)):
        if value is not None:
            text, values = f"{text} AND {column} = ?", [*values, value]
    return [dict(row) for row in c.execute(text + " ORDER BY version.created_at, version.id", values)]


def _applied(row: Facts) -> tuple[str, Policy]:
    """Who states the version's TTL, and what it is."""
    stated = (
        ("its own TTL", policy(row["ttl_inherit"], row["ttl_seconds"])),
        (f"the default for {row['type']}", Policy() if row["type_inherit"] is None else policy(row["type_inherit"], row["type_seconds"])),
        ("the project's default", policy(row["project_inherit"], row["project_seconds"])),
    )
    return next(((source, kept) for source, kept in stated if not kept.inherit), ("nobody", Policy(False, None)))


def _is_due(row: Facts, now: int) -> bool:
    ends = instant(_applied(row)[1].due(when(row["created_at"])))
    return ends is not None and ends <= now


def _candidates(c: Connection, rows: list[Facts]) -> list[Candidate]:
    aliases, users = protections(c, [row["id"] for row in rows])
    return [_candidate(row, aliases[row["id"]], users[row["id"]]) for row in rows]


def _candidate(row: Facts, protected_by: list[str], in_use_by: list[str]) -> Candidate:
    source, applied = _applied(row)
    ends = applied.due(when(row["created_at"]))
    if ends is None:
        raise ValueError(f"version {row['id']} is listed as due but never expires")
    name = f"{row['entity']}/{row['project']}/{row['collection']}:v{row['number']}"
    why = f"{source} of {applied.value} ended {ends:%Y-%m-%d %H:%M:%S} UTC"
    return Candidate(row["id"], name, row["size"], ends, why, bool(row["is_held"]), tuple(protected_by), tuple(in_use_by))


def protections(c: Connection, ids: list[int]) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Per version: the aliases that protect it, wherever it carries them, and the runs that used it and are still running."""
    aliases: dict[int, list[str]] = defaultdict(list)
    users: dict[int, list[str]] = defaultdict(list)
    for version_id in ids:
        for row in c.execute(
            "SELECT alias.name, EXISTS (SELECT 1 FROM protected_alias WHERE protected_alias.project_id = collection.project_id "
            "AND protected_alias.name = alias.name) AS is_protected "
            "FROM alias JOIN collection ON collection.id = alias.collection_id WHERE alias.version_id = ? ORDER BY alias.name",
            (version_id,),
        ):
            if row["is_protected"] or row["name"] in PROTECTED_ALIASES:
                aliases[version_id].append(row["name"])
        for row in c.execute(
            "SELECT DISTINCT run.name FROM used JOIN run ON run.id = used.run_id WHERE used.version_id = ? "
            "AND run.state IN ('running', 'preempting') AND run.deleted_at IS NULL ORDER BY run.id",
            (version_id,),
        ):
            users[version_id].append(row["name"])
    return aliases, users


def high_water(c: Connection) -> int:
    """The latest time an expiry has gone by, 0 before the first."""
    return int(c.execute("SELECT value FROM counter WHERE name = 'high_water'").fetchone()[0])


def raise_high_water(c: Connection, now: int) -> None:
    c.execute("UPDATE counter SET value = max(value, ?) WHERE name = 'high_water'", (now,))
