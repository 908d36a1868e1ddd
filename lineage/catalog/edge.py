"""The two edges, and the walks over them that are one set query.

The rule of `model/edge.py` is `used.version_id < version.id` here, because a version's id is its order. Closures are recursive queries with
UNION, so depth is never part of a key; what needs levels or boundaries asks for neighbours, a set at a time.
"""

from collections.abc import Collection, Iterable, Iterator

from lineage.catalog.column import chunks, marks
from lineage.catalog.open import Connection
from lineage.model.edge import Direction, Edge, Relation
from lineage.model.node import NodeId, NodeKind


def add_used(c: Connection, run_id: int, version_id: int, role: str, order: int, now: int) -> None:
    """The run used the version; saying it again changes nothing. `order` is the newest version there was at that time."""
    c.execute("INSERT INTO used VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", (run_id, version_id, role, order, now))


def add_logged(c: Connection, run_id: int, version_id: int, now: int, *, is_maker: bool) -> None:
    """The run logged the version, as its maker or once more; saying it again changes nothing."""
    c.execute("INSERT INTO logged VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (run_id, version_id, is_maker, now))


def producers(c: Connection, version_id: int) -> list[tuple[int, bool]]:
    """Every run that logged the version, its maker first."""
    rows = c.execute("SELECT run_id, is_maker FROM logged WHERE version_id = ? ORDER BY is_maker DESC, at, run_id", (version_id,))
    return [(row[0], bool(row[1])) for row in rows]


def users(c: Connection, version_id: int) -> list[int]:
    """Every run that used the version, in the order of first use."""
    rows = c.execute("SELECT run_id FROM used WHERE version_id = ? GROUP BY run_id ORDER BY min(at), run_id", (version_id,))
    return [row[0] for row in rows]


def logged(c: Connection, run_id: int) -> list[int]:
    """Every version the run logged, made or reproduced, in the order it did."""
    return [row[0] for row in c.execute("SELECT version_id FROM logged WHERE run_id = ? ORDER BY at, version_id", (run_id,))]


def used(c: Connection, run_id: int) -> list[int]:
    """Every version the run used, in the order of first use."""
    rows = c.execute("SELECT version_id FROM used WHERE run_id = ? GROUP BY version_id ORDER BY min(at), version_id", (run_id,))
    return [row[0] for row in rows]


def inputs(c: Connection, run_id: int) -> list[tuple[int, str]]:
    """Every version the run used, and as what, in the order of use; the same version once for each role."""
    return [
        (row[0], row[1]) for row in c.execute("SELECT version_id, role FROM used WHERE run_id = ? ORDER BY at, version_id, role", (run_id,))
    ]


_USED = "SELECT DISTINCT run_id, version_id FROM used WHERE {column} IN ({marks})"
_MADE = "SELECT run_id, version_id FROM logged WHERE is_maker = 1 AND {column} IN ({marks})"


class Neighbours:
    """One hop at a time over the catalogue, for `graph.traverse`."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def makers(self, versions: Collection[int]) -> Iterator[Edge]:
        return self._edges(_MADE, "version_id", versions, Relation.LOGGED)

    def made(self, runs: Collection[int]) -> Iterator[Edge]:
        return self._edges(_MADE, "run_id", runs, Relation.LOGGED)

    def inputs(self, runs: Collection[int]) -> Iterator[Edge]:
        return self._edges(_USED, "run_id", runs, Relation.USED)

    def uses(self, versions: Collection[int]) -> Iterator[Edge]:
        return self._edges(_USED, "version_id", versions, Relation.USED)

    def _edges(self, text: str, column: str, ids: Collection[int], relation: Relation) -> Iterator[Edge]:
        for chunk in chunks(ids):
            for row in self._c.execute(text.format(column=column, marks=marks(len(chunk))), chunk):
                yield Edge(row[0], row[1], relation)


_UP = """
  SELECT used.version_id FROM reached JOIN logged ON logged.version_id = reached.id AND logged.is_maker = 1
    JOIN used ON used.run_id = logged.run_id AND used.version_id < reached.id)
SELECT reached.id, logged.run_id FROM reached LEFT JOIN logged ON logged.version_id = reached.id AND logged.is_maker = 1"""
_DOWN = """
  SELECT logged.version_id FROM reached JOIN used ON used.version_id = reached.id
    JOIN logged ON logged.run_id = used.run_id AND logged.is_maker = 1 AND logged.version_id > reached.id)
SELECT reached.id, used.run_id FROM reached LEFT JOIN used ON used.version_id = reached.id"""
_CLOSURES: dict[tuple[NodeKind, Direction], str] = {
    (NodeKind.ARTIFACT, Direction.UP): f"WITH RECURSIVE reached (id) AS (SELECT ? UNION {_UP}",
    (NodeKind.ARTIFACT, Direction.DOWN): f"WITH RECURSIVE reached (id) AS (SELECT ? UNION {_DOWN}",
    (NodeKind.RUN, Direction.UP): f"WITH RECURSIVE reached (id) AS (SELECT version_id FROM used WHERE run_id = ? UNION {_UP}",
    (
        NodeKind.RUN,
        Direction.DOWN,
    ): f"WITH RECURSIVE reached (id) AS (SELECT version_id FROM logged WHERE run_id = ? AND is_maker = 1 UNION {_DOWN}",
}
"""Each gives every version reached with the runs it was made by (up) or used by (down)."""


def closure(c: Connection, node: NodeId, direction: Direction) -> tuple[set[int], set[int]]:
    """Every version and every run upstream or downstream of a version or a run, which is itself left out."""
    rows = c.execute(_CLOSURES[node.kind, direction], (node.id,)).fetchall()
    versions, runs = {row[0] for row in rows}, {row[1] for row in rows}
    runs.discard(None)
    (runs if node.is_run else versions).discard(node.id)
    return versions, runs


def everything(c: Connection, project_id: int | None = None) -> Iterable[Edge]:
    """All edges, or those of the runs of one project."""
    runs = "" if project_id is None else " AND run_id IN (SELECT id FROM run WHERE project_id = ?)"
    values = () if project_id is None else (project_id,)
    for row in c.execute(f"SELECT run_id, version_id, is_maker FROM logged WHERE 1 = 1{runs}", values):
        yield Edge(row[0], row[1], Relation.LOGGED, bool(row[2]))
    for row in c.execute(f"SELECT DISTINCT run_id, version_id FROM used WHERE 1 = 1{runs}", values):
        yield Edge(row[0], row[1], Relation.USED)


def members(c: Connection, project_id: int | None = None) -> tuple[list[int], list[int]]:
    """Runs and versions of a project (or all), with edges or without."""
    where, values = ("", ()) if project_id is None else (" WHERE project_id = ?", (project_id,))
    runs = [row[0] for row in c.execute(f"SELECT id FROM run{where} ORDER BY id", values)]
    text = f"SELECT version.id FROM version JOIN collection ON collection.id = version.collection_id{where} ORDER BY version.id"
    return runs, [row[0] for row in c.execute(text, values)]


def between(c: Connection, reached: Collection[int], direction: Direction, start_run: int | None) -> list[Edge]:
    """The dependency edges among versions that are closed in that direction, and those of the run they were reached from."""
    near = Neighbours(c)
    found = list(near.makers(reached) if direction is Direction.UP else near.uses(reached))
    passed = {edge.run for edge in found} | (set() if start_run is None else {start_run})
    onward = near.inputs(passed) if direction is Direction.UP else near.made(passed)
    return found + [edge for edge in onward if edge.version in reached]
