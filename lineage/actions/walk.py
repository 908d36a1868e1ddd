"""Walk the lineage: one hop, a closure, or the whole graph of a project.

A full closure is one recursive query for what is in it; the edges between are read when somebody asks for them. What has a depth or a
boundary asks for neighbours level by level, so that nothing beyond it is read.
"""

from collections.abc import Callable, Iterable, Sequence

from lineage.actions.open import Engine, require_project
from lineage.catalog import edge as edges
from lineage.catalog import reference as references
from lineage.catalog import run as runs
from lineage.catalog import version as versions
from lineage.graph.algebra import Dag
from lineage.graph.draw import Face
from lineage.graph.traverse import Walk, Whole
from lineage.graph.traverse import walk as traverse
from lineage.model.access import Act
from lineage.model.artifact import VersionRecord
from lineage.model.edge import Direction
from lineage.model.errors import Gone
from lineage.model.names import ProjectPath
from lineage.model.node import NodeId
from lineage.model.run import RunRecord
from lineage.model.standing import Astray


def walk(
    engine: Engine,
    node: NodeId,
    direction: Direction,
    *,
    depth: int | None = None,
    stop: Callable[[VersionRecord], bool] | None = None,
    until: Sequence[str] | None = None,
) -> Walk | Whole:
    """Everything upstream or downstream of a version or run, the node itself left out.

    `depth` counts levels (artifact → run → artifact); a version for which `stop` is true, or whose type is in `until`, is in the answer and
    not walked through. The answer's `complete` says whether anything lies beyond, `frontier` where.
    """
    with engine.catalog.read() as c:
        if depth is not None or stop is not None or until is not None:
            return traverse(node, direction, edges.Neighbours(c), depth=depth, stop=_boundary(engine, stop, until))
        versions_, runs_ = edges.closure(c, node, direction)
    return Whole(
        frozenset([node.whole]),
        direction,
        tuple(sorted(versions_)),
        tuple(sorted(runs_)),
        lambda: _spread(engine, node, direction, versions_),
    )


def _spread(engine: Engine, node: NodeId, direction: Direction, reached: set[int]) -> Walk:
    """The same closure with its edges and levels, from the edges among what was reached."""
    with engine.catalog.read() as c:
        around = edges.between(c, reached | (set() if node.is_run else {node.id}), direction, node.id if node.is_run else None)
    return traverse(node, direction, Dag(around))


def _boundary(engine: Engine, stop: Callable[[VersionRecord], bool] | None, until: Sequence[str] | None) -> Callable[[int], bool] | None:
    if stop is None and until is None:
        return None
    wanted = frozenset(until or ())

    def is_boundary(version_id: int) -> bool:
        with engine.catalog.read() as c:
            found = versions.get(c, version_id)
        return found is not None and (found.type in wanted or (stop is not None and stop(found)))

    return is_boundary


def makers(engine: Engine, version_id: int) -> tuple[int | None, tuple[int, ...]]:
    """The version's maker, `None` when no run made it, and every run that logged it, the maker first."""
    with engine.catalog.read() as c:
        found = edges.producers(c, version_id)
    return next((run for run, is_maker in found if is_maker), None), tuple(run for run, _ in found)


def users(engine: Engine, version_id: int) -> tuple[int, ...]:
    """The runs that used the version, in the order of first use."""
    with engine.catalog.read() as c:
        return tuple(edges.users(c, version_id))


def logged(engine: Engine, run_id: int) -> tuple[int, ...]:
    """The versions the run logged, made and reproduced, in the order it did."""
    with engine.catalog.read() as c:
        return tuple(edges.logged(c, run_id))


def used(engine: Engine, run_id: int) -> tuple[int, ...]:
    """The versions the run used, in the order of first use."""
    with engine.catalog.read() as c:
        return tuple(edges.used(c, run_id))


def graph(engine: Engine, path: ProjectPath | None = None) -> Dag:
    """The graph of a project's runs and versions, with whatever they used from elsewhere; of the whole store without a path."""
    place = None if path is None else require_project(engine, path, Act.READ).id
    with engine.catalog.read() as c:
        found_runs, found_versions = edges.members(c, place)
        return Dag(edges.everything(c, place), runs=found_runs, versions=found_versions)


def faces(engine: Engine, nodes: Iterable[NodeId]) -> dict[NodeId, Face]:
    """How each node looks to people."""
    wanted = list(nodes)
    with engine.catalog.read() as c:
        named_runs = {run.id: run for run in runs.several(c, {node.id for node in wanted if node.is_run})}
        named_versions = {found.id: found for found in versions.several(c, {node.id for node in wanted if not node.is_run})}
        astray = references.astray(c)
        descended = references.affected(c) if astray else set()
    missing = [node for node in wanted if node.id not in (named_runs if node.is_run else named_versions)]
    if missing:
        raise Gone(f"{missing[0]} is not in the catalogue any more: ask for the graph again")

    def face(node: NodeId) -> Face:
        if node.is_run:
            return _run_face(named_runs[node.id], node)
        warning = Astray.ITSELF if node.id in astray else Astray.ANCESTOR if node.id in descended else ""
        return _version_face(named_versions[node.id], str(warning))

    return {node: face(node) for node in wanted}


def _run_face(run: RunRecord, node: NodeId) -> Face:
    number = f" #{node.activity}" if node.activity else ""
    state = "deleted" if run.deleted_at else run.state.value
    return Face(f"{run.display_name}{number}", run.job_type or "run", run.sweep or run.group or run.job_type or "run", state)


def _version_face(version: VersionRecord, warning: str) -> Face:
    return Face(version.name, version.type, version.collection, version.state.value, version.aliases, warning=warning)
