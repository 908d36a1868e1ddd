"""Sweeps, and the handing out of configurations: a counter in the sweep's row, so that no two agents get the same."""

from lineage.catalog.column import Row, document, read_document, when
from lineage.catalog.open import Connection
from lineage.model.sweep import Space, SweepRecord, SweepState

_SELECT = """
SELECT sweep.*, project.name AS project, entity.name AS entity
FROM sweep JOIN project ON project.id = sweep.project_id JOIN entity ON entity.id = project.entity_id
"""


def _record(row: Row) -> SweepRecord:
    return SweepRecord(
        row["id"],
        row["project_id"],
        row["entity"],
        row["project"],
        row["name"],
        read_document(row["config"]),
        SweepState(row["state"]),
        row["handed_out"],
        when(row["created_at"]),
    )


def insert(c: Connection, project_id: int, name: str, space: Space, now: int) -> SweepRecord:
    c.execute(
        "INSERT INTO sweep (project_id, name, config, state, created_at) VALUES (?, ?, ?, ?, ?)",
        (project_id, name, document(space.raw), SweepState.PENDING, now),
    )
    found = find(c, project_id, name)
    if found is None:
        raise LookupError(name)
    return found


def find(c: Connection, project_id: int, name: str) -> SweepRecord | None:
    row = c.execute(_SELECT + "WHERE sweep.project_id = ? AND sweep.name = ?", (project_id, name)).fetchone()
    return None if row is None else _record(row)


def get(c: Connection, sweep_id: int) -> SweepRecord:
    return _record(c.execute(_SELECT + "WHERE sweep.id = ?", (sweep_id,)).fetchone())


def within(c: Connection, project_id: int) -> list[SweepRecord]:
    rows = c.execute(_SELECT + "WHERE sweep.project_id = ? ORDER BY sweep.created_at DESC, sweep.id DESC", (project_id,))
    return [_record(row) for row in rows]


def hand_out(c: Connection, sweep_id: int) -> int:
    """The number of the next run, counted from 0."""
    text = "UPDATE sweep SET handed_out = handed_out + 1 WHERE id = ? RETURNING handed_out - 1"
    return int(c.execute(text, (sweep_id,)).fetchone()[0])


def set_state(c: Connection, sweep_id: int, state: SweepState) -> None:
    c.execute("UPDATE sweep SET state = ? WHERE id = ?", (state, sweep_id))
