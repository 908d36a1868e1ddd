"""Lineage in a terminal: golden trees."""

from collections.abc import Callable
from textwrap import dedent
from typing import TypeAlias

import pytest

from lineage.graph.algebra import Dag
from lineage.graph.draw import Face
from lineage.graph.glyph import cells
from lineage.graph.text import render_text
from lineage.model.edge import Direction, Edge, Relation
from lineage.model.errors import NotFound, UsageError
from lineage.model.node import NodeId

Pipeline: TypeAlias = Callable[..., list[Edge]]
artifact, run = NodeId.artifact, NodeId.run


def used(run: int, *versions: int) -> list[Edge]:
    return [Edge(run, version, Relation.USED) for version in versions]


def logged(run: int, *versions: int) -> list[Edge]:
    return [Edge(run, version, Relation.LOGGED) for version in versions]


FACES = {
    artifact(1): Face("raw:v0", "dataset", state="expired"),
    artifact(2): Face("clean:v3", "dataset", aliases=("latest",)),
    artifact(3): Face("model:v7", "model", aliases=("best", "latest")),
    artifact(4): Face("report:v1", "report"),
    run(1): Face("ingest-1", "ingest", state="finished"),
    run(2): Face("wise-cloud", "clean", state="finished"),
    run(3): Face("bright-sun", "train", state="finished"),
    run(4): Face("eval-9", "eval", state="failed"),
    run(5): Face("deploy", "release", state="running"),
}
PIPELINE = Dag([*logged(1, 1), *used(2, 1), *logged(2, 2), *used(3, 2, 1), *logged(3, 3), *used(4, 3), *logged(4, 4), *used(5, 3, 4)])


def tree(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_both_ways_from_an_artifact() -> None:
    """The focus, what it is made from, what went on from it; a branch that was drawn is referred to."""
    expected = tree("""
        ■ model:v7  model  best, latest

        made from
        └─ ● bright-sun  train
           ├─ □ raw:v0  dataset  expired
           │  └─ ● ingest-1  ingest
           └─ ■ clean:v3  dataset  latest
              └─ ● wise-cloud  clean
                 └─ □ raw:v0  dataset  expired  ↑ see above

        went into
        ├─ ✗ eval-9  eval  failed
        │  └─ ■ report:v1  report
        │     └─ ○ deploy  release  running
        └─ ○ deploy  release  running
    """)
    assert expected == render_text(PIPELINE, artifact(3), FACES.__getitem__)


def test_both_ways_from_a_run() -> None:
    """A run used and made; a depth cuts what is farther, and says so."""
    expected = tree("""
        ● bright-sun  train

        used
        ├─ □ raw:v0  dataset  expired
        │  └─ … goes on
        └─ ■ clean:v3  dataset  latest
           └─ … goes on

        made
        └─ ■ model:v7  model  best, latest
           └─ … goes on
    """)
    assert expected == render_text(PIPELINE, run(3), FACES.__getitem__, depth=1)


def test_depth_counts_the_shortest_way() -> None:
    """A node within the depth has its branches drawn, even where the tree comes to it on a longer way first."""
    drawn = render_text(PIPELINE, artifact(3), FACES.__getitem__, depth=1)
    assert (
        tree("""
        made from
        └─ ● bright-sun  train
           ├─ □ raw:v0  dataset  expired
           │  └─ … goes on
           └─ ■ clean:v3  dataset  latest
              └─ … goes on
    """)
        in drawn
    )
    longer_first = Dag([*logged(1, 1), *used(2, 1), *logged(2, 2), *used(3, 2), *logged(3, 3), *used(4, 3, 2), *logged(4, 5)])
    drawn = render_text(longer_first, artifact(5), lambda node: Face(str(node)), depth=2)
    assert 2 == drawn.count("artifact:2")
    assert "artifact:1" in drawn


def test_siblings_are_folded() -> None:
    """Beyond the limit siblings are counted, not listed."""
    dag = Dag([*logged(1, *range(1, 16))])
    expected = tree("""
        ● run:1

        made
        ├─ ■ artifact:1
        ├─ ■ artifact:2
        ├─ ■ artifact:3
        └─ … 12 more
    """)
    assert expected == render_text(dag, run(1), lambda node: Face(str(node)), siblings=3)


def test_a_run_that_goes_on_from_its_own_output() -> None:
    """Its activities are told apart by number; the tree ends."""
    dag = Dag([*logged(1, 1), *used(1, 1), *logged(1, 2)])
    expected = tree("""
        ■ artifact:2

        made from
        └─ ● run:1 #2
           └─ ■ artifact:1
              └─ ● run:1 #1
    """)
    assert expected == render_text(dag, artifact(2), lambda node: Face(str(node.whole)))


def test_alone() -> None:
    """A node without edges is a line."""
    assert "■ artifact:1\n" == render_text(Dag([], versions=[1]), artifact(1), lambda node: Face(str(node)))


@pytest.mark.parametrize("width", [40, 60, 100])
def test_no_line_is_too_wide(width: int, pipeline: Pipeline) -> None:
    """Long, wide and hostile names, deep lineages: nothing is wider than asked for, and nothing moves the cursor."""
    names = ["数据集" * 20, "a" * 90 + ":v1", "\x1b[2J\r\n\u202e", "short"]
    dag = Dag(pipeline(2))
    for version in dag.versions[::10]:
        drawn = render_text(
            dag, artifact(version), lambda node: Face(names[node.id % 4], "type" * 9, aliases=("best",)), width=width, siblings=100
        )
        assert max(map(cells, drawn.splitlines())) <= width
        assert not set("\x1b\r\u202e") & set(drawn)


@pytest.mark.parametrize("seed", range(2))
def test_the_tree_is_the_closure(seed: int, pipeline: Pipeline) -> None:
    """With room enough every node of both closures is drawn, and each one's branches once."""
    dag = Dag(pipeline(seed))
    node = max(map(artifact, dag.versions), key=lambda each: min(len(dag.closure(each, way).versions) for way in Direction))
    drawn = render_text(dag, node, lambda each: Face(f"<{each.whole}>"), width=10_000, siblings=10_000)
    above, _, below = drawn.partition("\nwent into\n")
    for half, direction, further in ((above.partition("\nmade from\n")[2], Direction.UP, dag.before), (below, Direction.DOWN, dag.after)):
        reached = {each for each in dag.order() if f"<{each.whole}>{f' #{each.activity}' if each.activity else ''}" in half}
        closure = dag.closure(node, direction)
        assert closure.versions
        assert closure.versions == {each.id for each in reached if not each.is_run}
        assert closure.runs == {each.id for each in reached if each.is_run}
        for version in closure.versions:
            lines = [line for line in half.splitlines() if f"<artifact:{version}>" in line]
            drawn_once = [line for line in lines if not line.endswith("↑ see above")]
            assert (1 if further(artifact(version)) else len(lines)) == len(drawn_once)


@pytest.mark.fault("M10")
def test_a_long_chain_is_drawn_as_far_as_there_is_room() -> None:
    """A lineage of 20,000 levels needs no recursion and ends at the right edge, or is drawn whole where there is none."""
    dag = Dag([edge for version in range(1, 20_000) for edge in (*logged(version, version), *used(version + 1, version))])
    drawn = render_text(dag, artifact(10_000), lambda node: Face(str(node)), width=60)
    assert 2 == drawn.count("… goes on")
    assert 30 > len(drawn.splitlines())


def test_names_are_painted() -> None:
    """Colour is the caller's: it is given the shortened name and the face, and what it adds takes no room."""
    drawn = render_text(PIPELINE, artifact(2), FACES.__getitem__, paint=lambda name, face: f"<{face.sublabel}|{name}>", width=40)
    assert "■ <dataset|clean:v3>  dataset  latest" == drawn.splitlines()[0]


def test_bad_questions_are_refused() -> None:
    """A tree too narrow for names is no tree; a node that is not there is said not to be."""
    with pytest.raises(UsageError, match="cannot draw in 10 columns"):
        render_text(PIPELINE, artifact(3), FACES.__getitem__, width=10)
    with pytest.raises(NotFound, match="artifact:99 is not in this graph"):
        render_text(PIPELINE, artifact(99), lambda node: Face(str(node)))


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_a_warning_changes_the_sign_and_is_explained_at_the_end(columns: int) -> None:
    """Whatever else there is no room for; no line is wider than asked for, and without warnings nothing is said."""
    dag = Dag([Edge(1, 1, Relation.USED), Edge(1, 2, Relation.LOGGED)])
    warned = {1: "drifted", 2: "made from drifted"}
    text = render_text(
        dag, NodeId.artifact(2), lambda node: Face("n" * 30, "t", warning="" if node.is_run else warned[node.id]), width=columns
    )

    assert max(map(cells, text.splitlines())) <= columns
    assert ("△", 2, 2) == (text[0], text.count("△"), text.count("▲"))
    assert "drifted" not in render_text(dag, NodeId.artifact(2), lambda _: Face("n"), width=columns)
