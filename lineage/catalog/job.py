"""Jobs: one leased row each, so that of any number of runners one does the job, and its last result and reason are kept."""

from lineage.catalog.column import Row
from lineage.catalog.open import Connection


def get(c: Connection, name: str) -> Row:
    """The job's row, made when it is not there."""
    c.execute("INSERT INTO job (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    return c.execute("SELECT * FROM job WHERE name = ?", (name,)).fetchone()  # type: ignore[no-any-return]  # the driver's stub says Any


def every(c: Connection) -> dict[str, Row]:
    return {row["name"]: row for row in c.execute("SELECT * FROM job")}


def lease(c: Connection, name: str, owner: str, now: int, until: int) -> None:
    c.execute("UPDATE job SET leased_by = ?, leased_until = ?, started_at = ? WHERE name = ?", (owner, until, now, name))


def switch(c: Connection, name: str, on: bool, every: int | None) -> None:  # a column's value
    """What a person decided about the job; seconds that are `None` stay as they were."""
    c.execute("UPDATE job SET is_on = ?, every_seconds = coalesce(?, every_seconds) WHERE name = ?", (on, every, name))


def finish(c: Connection, name: str, owner: str, now: int, result: str, reason: str) -> None:
    """Write down how it went and give the lease back, if it is still ours."""
    c.execute(
        "UPDATE job SET leased_by = NULL, leased_until = NULL, finished_at = ?, result = ?, reason = ? WHERE name = ? AND leased_by = ?",
        (now, result, reason, name, owner),
    )
