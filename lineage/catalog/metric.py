"""Summaries: the one value of each metric that speaks for a run, with its number beside it so that an index orders runs by it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lineage.catalog.open import Connection
from lineage.model.document import canonical
from lineage.model.metric import number, tagged, untagged


def encode(value: Any) -> str:
    """The text a value is kept as."""
    return canonical(tagged(value))


def decode(text: str) -> Any:
    """The inverse of `encode`."""
    return untagged(json.loads(text))


def put(c: Connection, run_id: int, values: Mapping[str, Any]) -> None:
    """Set these keys of the run's summary."""
    c.executemany(
        "INSERT INTO summary VALUES (?, ?, ?, ?) ON CONFLICT (run_id, key) DO UPDATE SET number = excluded.number, value = excluded.value",
        [(run_id, key, number(value), encode(value)) for key, value in values.items()],
    )


def remove(c: Connection, run_id: int, keys: Sequence[str]) -> None:
    c.executemany("DELETE FROM summary WHERE run_id = ? AND key = ?", [(run_id, key) for key in keys])


def read(c: Connection, run_id: int) -> dict[str, Any]:
    rows = c.execute("SELECT key, value FROM summary WHERE run_id = ? ORDER BY key", (run_id,))
    return {row["key"]: decode(row["value"]) for row in rows}


_BEST = """
SELECT run_id FROM summary JOIN run ON run.id = summary.run_id
WHERE key = ? AND number IS NOT NULL AND run.deleted_at IS NULL AND {scope} = ? ORDER BY number {way}, run_id LIMIT 1
"""


def best(c: Connection, key: str, *, maximize: bool, project_id: int | None = None, sweep_id: int | None = None) -> int | None:
    """The run with the best number under `key`, the earliest of equals, or nobody."""
    scope, value = ("run.sweep_id", sweep_id) if sweep_id is not None else ("run.project_id", project_id)
    row = c.execute(_BEST.format(scope=scope, way="DESC" if maximize else "ASC"), (key, value)).fetchone()
    return None if row is None else int(row["run_id"])
