"""Runs: their records, tags, sealed history and life. Which of them match a filter is `filter.py`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lineage.catalog.column import Row, chunks, document, marks, moment, names, read_document, when
from lineage.catalog.filter import Clause
from lineage.catalog.open import Connection
from lineage.model.errors import UsageError
from lineage.model.run import RunRecord, RunState

_SELECT = """
SELECT run.*, project.name AS project, entity.name AS entity, sweep.name AS sweep,
  (SELECT group_concat(name, char(10)) FROM (SELECT name FROM run_tag WHERE run_id = run.id ORDER BY name)) AS tags,
  (SELECT group_concat(digest, char(10)) FROM (
     SELECT blob.digest FROM run_history JOIN blob ON blob.id = run_history.blob_id WHERE run_id = run.id ORDER BY position)) AS history
FROM run JOIN project ON project.id = run.project_id JOIN entity ON entity.id = project.entity_id LEFT JOIN sweep ON sweep.id = run.sweep_id
"""


def _record(row: Row) -> RunRecord:
    return RunRecord(
        id=row["id"],
        project_id=row["project_id"],
        entity=row["entity"],
        project=row["project"],
        name=row["name"],
        display_name=row["display_name"],
        state=RunState(row["state"]),
        job_type=row["job_type"],
        group=row["group_name"],
        notes=row["notes"],
        tags=names(row["tags"]),
        config=read_document(row["config"]),
        sweep=row["sweep"],
        step=row["step"],
        created_at=when(row["created_at"]),
        heartbeat_at=moment(row["heartbeat_at"]),
        finished_at=moment(row["finished_at"]),
        exit_code=row["exit_code"],
        deleted_at=moment(row["deleted_at"]),
        history=names(row["history"]),
    )


_NO_LIMIT = 2**62


def find(c: Connection, project_id: int, name: str) -> RunRecord | None:
    """The run with that id in the project, deleted ones included: an id is never given twice."""
    row = c.execute(_SELECT + "WHERE run.project_id = ? AND run.name = ?", (project_id, name)).fetchone()
    return None if row is None else _record(row)


def get(c: Connection, run_id: int) -> RunRecord | None:
    row = c.execute(_SELECT + "WHERE run.id = ?", (run_id,)).fetchone()
    return None if row is None else _record(row)


def several(c: Connection, ids: Iterable[int]) -> list[RunRecord]:
    """The runs with these numbers, in the order of the numbers."""
    wanted = list(ids)
    found = {}
    for chunk in chunks(wanted):
        for row in c.execute(_SELECT + f"WHERE run.id IN ({marks(len(chunk))})", chunk):
            found[row["id"]] = _record(row)
    return [found[run_id] for run_id in wanted if run_id in found]


def select(c: Connection, clause: Clause, limit: int | None, offset: int) -> list[RunRecord]:
    """Runs the clause admits, in its order. Raises: UsageError for a page that is none."""
    page = (_NO_LIMIT if limit is None else limit, offset)
    if not all(isinstance(number, int) and number >= 0 for number in page):
        raise UsageError(f"limit {limit!r} and offset {offset!r}: give whole numbers, 0 or more")
    return [
        _record(row)
        for row in c.execute(_SELECT + clause.joins + clause.where + clause.order + " LIMIT ? OFFSET ?", (*clause.values, *page))
    ]


def count(c: Connection, clause: Clause) -> int:
    text = "SELECT count(*) FROM run LEFT JOIN sweep ON sweep.id = run.sweep_id " + clause.where
    return int(c.execute(text, clause.where_values).fetchone()[0])


_INSERTED = (
    *("display_name", "state", "job_type", "group_name", "notes", "config", "sweep_id", "finished_at", "exit_code", "owner"),
    *("project_id", "name", "created_at", "heartbeat_at"),
)
_INSERT = f"INSERT INTO run ({', '.join(_INSERTED)}) VALUES ({marks(len(_INSERTED))})"


def insert(c: Connection, project_id: int, name: str, now: int, fields: Mapping[str, Any]) -> int:
    """The number of a new run; `fields` must name its state and display name, and may name what else `update` takes."""
    config = document(fields.get("config") or {})
    values = [config if column == "config" else fields.get(column) for column in _INSERTED[:-4]]
    return int(c.execute(_INSERT, (*values, project_id, name, now, now)).lastrowid or 0)


_COLUMNS = frozenset(
    {"display_name", "state", "job_type", "group_name", "notes", "config", "sweep_id", "step", "heartbeat_at", "finished_at", "exit_code"}
    | {"deleted_at", "owner", "created_at"}
)


def update(c: Connection, run_id: int, fields: Mapping[str, Any]) -> None:
    """Set columns of a run; documents are encoded here."""
    unknown = fields.keys() - _COLUMNS
    if unknown:
        raise KeyError(f"no such column of a run: {', '.join(sorted(unknown))}")
    if fields:
        values = [document(value) if name == "config" else value for name, value in fields.items()]
        c.execute(f"UPDATE run SET {', '.join(f'{name} = ?' for name in fields)} WHERE id = ?", (*values, run_id))


def set_tags(c: Connection, run_id: int, tags: Sequence[str]) -> None:
    c.execute("DELETE FROM run_tag WHERE run_id = ?", (run_id,))
    c.executemany("INSERT INTO run_tag VALUES (?, ?) ON CONFLICT DO NOTHING", [(run_id, tag) for tag in tags])


def add_history(c: Connection, run_id: int, domain: str, digest: str) -> None:
    """Note a sealed piece of the run's history; commit the session that brought its blob with it. The same piece twice is one."""
    c.execute(
        "INSERT INTO run_history (run_id, position, blob_id) SELECT ?, (SELECT count(*) FROM run_history WHERE run_id = ?), id FROM blob "
        "WHERE domain = ? AND digest = ? AND is_pack = 0 AND NOT EXISTS (SELECT 1 FROM run_history WHERE run_id = ? AND blob_id = blob.id)",
        (run_id, run_id, domain, digest, run_id),
    )


def clear_history(c: Connection, run_id: int) -> None:
    """The run begins anew: its sealed history and its summary go, its edges stay."""
    c.execute("DELETE FROM run_history WHERE run_id = ?", (run_id,))
    c.execute("DELETE FROM summary WHERE run_id = ?", (run_id,))


def owner(c: Connection, run_id: int) -> str | None:
    """The process that runs the run, if it claims to be running."""
    row = c.execute(
        "SELECT owner FROM run WHERE id = ? AND state IN ('running', 'preempting') AND deleted_at IS NULL", (run_id,)
    ).fetchone()
    return None if row is None else row["owner"]


def alive(c: Connection) -> list[tuple[int, str | None]]:
    """Number and owner of every run that claims to be running."""
    rows = c.execute("SELECT id, owner FROM run WHERE state IN ('running', 'preempting') AND deleted_at IS NULL")
    return [(row["id"], row["owner"]) for row in rows]
