"""The questions the store exists for: `up` (what was this made from), `down` (what is affected), `graph` (draw it)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from lineage.actions import find, walk
from lineage.actions.open import Engine
from lineage.cli import record, target, text
from lineage.cli.complete import artifact_names
from lineage.cli.option import Node
from lineage.cli.outcome import Exit
from lineage.cli.shell import Row, Shell, table
from lineage.graph.algebra import Dag
from lineage.graph.draw import Face, draw
from lineage.graph.svg import render_svg
from lineage.graph.text import NARROWEST, render_text
from lineage.model.artifact import VersionRecord
from lineage.model.edge import Direction, Relation
from lineage.model.errors import UsageError
from lineage.model.node import NodeId

ENDS = 12
"""Trees that the drawing of a whole project consists of at most; the SVG has everything."""

Depth = Annotated[int | None, typer.Option("--depth", min=1, help="How many levels artifact → run → artifact. Else all.")]
Types = Annotated[list[str] | None, typer.Option("--type", "-t", help="Only artifacts of this type; may be repeated.")]


def up(shell: Shell, name: Node, depth: Depth = None, type: Types = None) -> Exit:  # noqa: A002  # the word users know
    """What a version was made from, all the way up; of a run, what it used and what that was made from.

    Examples:
      lineage up vision/classifier:best
      lineage up vision/classifier:best --type dataset
      lineage up vision/runs/3k9x2m1a --depth 1
    """
    return _walk(shell, name, Direction.UP, depth, type)


def down(shell: Shell, name: Node, depth: Depth = None, type: Types = None) -> Exit:  # noqa: A002  # as above
    """What is affected if a version or run turns out wrong: everything made from it, all the way down.

    Examples:
      lineage down vision/raw-images:v0
      lineage down vision/raw-images:v0 --type model --json
    """
    return _walk(shell, name, Direction.DOWN, depth, type)


def _walk(shell: Shell, name: str, direction: Direction, depth: int | None, types: list[str] | None) -> Exit:
    with shell.engine() as engine:
        start = target.node(shell, engine, name)
        walked = walk.walk(engine, start.node, direction, depth=depth)
        reached = find.versions_by_id(engine, walked.versions)
        runs = find.runs_by_id(engine, walked.runs)
        frontier = find.versions_by_id(engine, walked.frontier)
        warnings = {node.id: face.warning for node, face in walk.faces(engine, [NodeId.artifact(each) for each in walked.versions]).items()}
    versions = [each for each in reached if not types or each.type in types]
    document = {
        "start": start.name,
        "direction": str(direction),
        "complete": walked.complete,
        "artifacts": [{**record.version(each), "warning": warnings[each.id] or None} for each in versions],
        "runs": [record.run(each) for each in runs],
        "frontier": [each.path for each in frontier],
        "levels": [{"depth": level.depth, "artifacts": level.versions, "runs": level.runs} for level in walked.levels],
    }
    made: list[Row] = [(each.path, each.type, _standing(each, warnings[each.id]), ", ".join(each.aliases)) for each in versions]
    ran: list[Row] = [(each.path, each.display_name, each.job_type or "", each.state) for each in runs]
    told = f"{text.counted(len(versions), 'artifact')} and {text.counted(len(runs), 'run')} {direction} of {start.name}"
    shown = [table("artifact", "type", "state", "aliases", rows=made)] if made else []
    shown += [table("run", "name", "job type", "state", rows=ran)] if ran and not types else []
    shell.answer(document, told, *(part for each in shown for part in ("", each)))
    if not walked.complete:
        shell.say(f"there is more behind {', '.join(each.name for each in frontier)}: raise --depth, or walk on from there")
    return Exit.OK


def _standing(version: VersionRecord, warning: str) -> str:
    """What a reader should know before he trusts a version; nothing of one that is live and well."""
    return ", ".join(filter(None, ("" if version.is_live else str(version.state), warning)))


def graph(
    shell: Shell,
    name: Annotated[
        str, typer.Argument(metavar="PROJECT|NAME|RUN", help="What to draw. Else the whole store.", autocompletion=artifact_names)
    ] = "",
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write a picture instead.")] = None,
    depth: Depth = None,
) -> Exit:
    """Draw the lineage of one version or run, or of a whole project, as a tree or as an SVG picture.

    Examples:
      lineage graph vision/classifier:best
      lineage graph vision --svg vision.svg
      lineage graph vision/classifier:best --depth 2 --json
    """
    with shell.engine() as engine:
        dag, focus = _scope(shell, engine, name or shell.settings.project or "", depth)
        faces = walk.faces(engine, {node.whole for node in dag.order()})
        document = _document(engine, dag, faces)
    lit = {node: replace(face, highlight=node == focus) for node, face in faces.items()}
    if svg is not None:
        if svg.is_dir() or not svg.parent.is_dir():
            raise UsageError(f"--svg {str(svg)!r}: name a file, in a directory that is there")
        svg.write_text(render_svg(draw(dag, lit.__getitem__, title=f"Lineage of {name or 'the whole store'}")), encoding="utf-8")
        shell.answer({**document, "svg": str(svg)}, f"{svg}: {text.counted(len(dag), 'node')}")
    else:
        shell.answer(document, *_trees(dag, focus, lit.__getitem__, shell.width))
    return Exit.OK


def _scope(shell: Shell, engine: Engine, name: str, depth: int | None) -> tuple[Dag, NodeId | None]:
    """The part of the graph that `name` means, and the node it is about, if it is one."""
    place = None if ":" in name or not name else target.project(shell, engine, name)
    if not name or place is not None:
        return walk.graph(engine, None if place is None else target.path(place)), None
    node = target.node(shell, engine, name).node
    closures = [walk.walk(engine, node, direction, depth=depth) for direction in Direction]
    edges = [edge for each in closures for edge in each.edges]
    return Dag(edges, runs=[node.id] * node.is_run, versions=[node.id] * (not node.is_run)), node


def _trees(dag: Dag, focus: NodeId | None, describe: Callable[[NodeId], Face], width: int) -> list[str]:
    """The drawing of a node, or of whatever nothing was made from, newest first."""
    ends = [focus] if focus is not None else sorted((node for node in dag.leaves() if not node.activity), reverse=True)
    drawn = [render_text(dag, end, describe, width=max(width, NARROWEST)) for end in ends[:ENDS]]
    more = [f"… and {len(ends) - ENDS} more ends: --svg draws everything"] * (len(ends) > ENDS)
    return [*drawn, *more] if drawn else ["nothing has been logged here yet"]


def _document(engine: Engine, dag: Dag, faces: Mapping[NodeId, Face]) -> dict[str, Any]:
    """Nodes and edges; a run that shows as several activities is several nodes with one path."""
    nodes = dag.order()
    versions = {each.id: each for each in find.versions_by_id(engine, sorted({node.id for node in nodes if not node.is_run}))}
    runs = {each.id: each for each in find.runs_by_id(engine, sorted({node.id for node in nodes if node.is_run}))}
    shown = [
        {**record.run(runs[node.id]), "node": str(node), "kind": str(node.kind)}
        if node.is_run
        else {**record.version(versions[node.id]), "node": str(node), "kind": str(node.kind), "warning": faces[node].warning or None}
        for node in nodes
    ]
    edges = [
        {"source": str(source), "target": str(goal), "relation": str(Relation.USED if goal.is_run else Relation.LOGGED)}
        for source in nodes
        for goal in dag.after(source)
    ]
    return {"nodes": shown, "edges": edges}
