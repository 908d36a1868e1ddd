"""The walk equals reachability in an activity graph built without it."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, TypeAlias

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.graph.algebra import Dag
from lineage.graph.traverse import Level, Walk, walk
from lineage.model.edge import Direction, Edge, Relation
from lineage.model.errors import UsageError
from lineage.model.node import NodeId

UP, DOWN = Direction.UP, Direction.DOWN
Graph: TypeAlias = "nx.DiGraph[Any]"
Oracle: TypeAlias = Callable[[Iterable[Edge]], Graph]
Pipeline: TypeAlias = Callable[..., list[Edge]]


def used(run: int, *versions: int) -> list[Edge]:
    return [Edge(run, version, Relation.USED) for version in versions]


def logged(run: int, *versions: int) -> list[Edge]:
    return [Edge(run, version, Relation.LOGGED) for version in versions]


facts = st.lists(st.builds(Edge, st.integers(1, 6), st.integers(1, 12), st.just(Relation.USED)), max_size=30).flatmap(
    lambda uses: st.dictionaries(st.integers(1, 12), st.integers(1, 6)).map(
        lambda makers: [*uses, *(Edge(run, version, Relation.LOGGED) for version, run in makers.items())]
    )
)
"""Any uses at all, and at most one maker for a version."""


def starts(graph: Graph, node: NodeId) -> set[tuple[Any, ...]]:
    return {each for each in graph if each[:2] == (str(node.kind), node.id)}


def nodes_of(graph: Graph) -> list[NodeId]:
    return sorted({NodeId.run(each[1]) if each[0] == "run" else NodeId.artifact(each[1]) for each in graph})


def expected(graph: Graph, node: NodeId, direction: Direction) -> tuple[set[Any], set[Any], set[tuple[Any, ...]]]:
    """Versions, runs and (run, version, relation) that networkx reaches from `node`."""
    reach = nx.ancestors if direction is UP else nx.descendants
    begin = starts(graph, node)
    reached = set[tuple[Any, ...]]().union(*(reach(graph, each) for each in begin))
    edges = {
        (source[1], target[1], Relation.LOGGED) if source[0] == "run" else (target[1], source[1], Relation.USED)
        for source, target in graph.subgraph(reached | begin).edges
    }
    versions = {each[1] for each in reached if each[0] == "artifact"}
    runs = {each[1] for each in reached - begin if each[0] == "run"}
    return versions, runs - ({node.id} if node.is_run else set()), edges


def agrees(graph: Graph, dag: Dag, node: NodeId, direction: Direction) -> None:
    versions, runs, edges = expected(graph, node, direction)
    answer = walk(node, direction, dag)
    assert sorted(versions) == list(answer.versions)
    assert sorted(runs) == list(answer.runs)
    assert edges == {(edge.run, edge.version, edge.relation) for edge in answer.edges}
    assert answer.complete
    assert (versions, runs) == tuple(map(set, dag.closure(node, direction)))


@pytest.mark.fault("M06", "M07", "I-21")
@settings(max_examples=150, deadline=None)
@given(edges=facts)
def test_small_graphs_equal_the_oracle(edges: list[Edge], activity_graph: Oracle) -> None:
    """Whatever runs used and logged, in whatever order, both closures of every node are what networkx reaches."""
    graph, dag = activity_graph(edges), Dag(edges)
    for node in nodes_of(graph):
        for direction in Direction:
            agrees(graph, dag, node, direction)


@pytest.mark.fault("M06", "M07", "I-19", "I-21")
@pytest.mark.parametrize("seed", range(4))
def test_pipelines_equal_the_oracle(seed: int, pipeline: Pipeline, activity_graph: Oracle) -> None:
    """Every closure of a pipeline of 120 runs with awkward orders is what networkx reaches, and the graph of it has no cycle."""
    edges = pipeline(seed)
    graph, dag = activity_graph(edges), Dag(edges)
    assert nx.is_directed_acyclic_graph(graph)
    for node in nodes_of(graph):
        for direction in Direction:
            agrees(graph, dag, node, direction)


@pytest.mark.fault("I-21")
@pytest.mark.parametrize("seed", range(4))
def test_forward_and_backward_agree(seed: int, pipeline: Pipeline) -> None:
    """One version is upstream of another exactly when the other is downstream of it."""
    dag = Dag(pipeline(seed))
    above = {(old, new) for new in dag.versions for old in walk(NodeId.artifact(new), UP, dag).versions}
    below = {(old, new) for old in dag.versions for new in walk(NodeId.artifact(old), DOWN, dag).versions}
    assert above == below
    assert above


@pytest.mark.fault("M08", "I-20")
@settings(max_examples=60, deadline=None)
@given(edges=facts, data=st.data())
def test_duplicate_edges_change_nothing(edges: list[Edge], data: st.DataObject) -> None:
    """Edges that are sent again, in another order, leave every answer as it was, in memory and over any look-up."""

    class Stuttering(Dag):
        def inputs(self, runs: Collection[int]) -> Iterator[Edge]:
            twice = list(super().inputs(runs))
            return iter([*twice, *twice])

        def makers(self, versions: Collection[int]) -> Iterator[Edge]:
            twice = list(super().makers(versions))
            return iter([*twice, *twice])

    again = data.draw(st.permutations([*edges, *edges[::2]]))
    dag = Dag(edges)
    for version in dag.versions:
        for direction in Direction:
            once = walk(NodeId.artifact(version), direction, dag)
            assert once == walk(NodeId.artifact(version), direction, Dag(again))
            assert once == walk(NodeId.artifact(version), direction, Stuttering(edges))


@pytest.mark.fault("M08")
def test_reproducing_is_no_dependency() -> None:
    """A run that logged bytes which were there already made nothing, whatever it used."""
    edges = [*logged(1, 1), *used(2, 1), Edge(2, 1, Relation.LOGGED, is_maker=False), *logged(3, 2), *used(4, 2)]
    relogged = [*edges, Edge(4, 1, Relation.LOGGED, is_maker=False)]
    assert walk(NodeId.artifact(1), UP, Dag(edges)) == walk(NodeId.artifact(1), UP, Dag(relogged))
    assert (1,) == walk(NodeId.artifact(1), UP, Dag(relogged)).runs


@pytest.mark.fault("M07")
def test_own_output_used() -> None:
    """A run that uses its own output does not make that output depend on itself, but what it makes later."""
    dag = Dag([*logged(1, 1), *used(1, 1), *logged(1, 2)])
    assert ((), (1,)) == (walk(NodeId.artifact(1), UP, dag).versions, walk(NodeId.artifact(1), UP, dag).runs)
    assert (1,) == walk(NodeId.artifact(2), UP, dag).versions
    assert ((1,), ()) == (walk(NodeId.run(1), UP, dag).versions, walk(NodeId.run(1), UP, dag).runs)


@pytest.mark.fault("M06")
def test_mutual_use_is_no_cycle() -> None:
    """Two runs that use what the other made are recorded, and each version depends on what was there before it only."""
    dag = Dag([*logged(1, 1), *used(1, 2), *used(2, 1), *logged(2, 2)])
    assert (1,) == walk(NodeId.artifact(2), UP, dag).versions
    assert () == walk(NodeId.artifact(1), UP, dag).versions


def test_late_use_of_something_older_counts() -> None:
    """An input that was older than the output is an ingredient, no matter when the program said so; a younger one is none."""
    dag = Dag([*logged(9, 1, 3), *used(1, 3, 1), *logged(1, 2)])
    assert (1,) == walk(NodeId.artifact(2), UP, dag).versions


@pytest.mark.fault("M10")
@pytest.mark.parametrize("shape", ["a run each", "one run for all"])
def test_chain_of_a_hundred_thousand(shape: str) -> None:
    """A chain of 100,000 versions is walked to its end both ways, be it many runs or one that goes on from its own outputs."""
    length = 100_000
    runs = {"a run each": range(1, length + 1), "one run for all": [1] * length}[shape]
    edges = [Edge(run, version, Relation.LOGGED) for version, run in enumerate(runs, 1)]
    edges += [Edge(run, version, Relation.USED) for version, run in enumerate(runs[1:], 1)]
    dag = Dag(edges)
    assert length - 1 == len(walk(NodeId.artifact(length), UP, dag).versions)
    assert length - 1 == len(walk(NodeId.artifact(1), DOWN, dag).versions)
    assert length - 1 == len(dag.closure(NodeId.artifact(1), DOWN).versions)
    way = dag.path(NodeId.artifact(1), NodeId.artifact(length))
    assert way is not None
    assert {"a run each": 2 * length - 1, "one run for all": 3}[shape] == len(way)


def distances(graph: Graph, node: NodeId, direction: Direction) -> dict[Any, int]:
    """The level of every version that networkx reaches."""
    way = graph.reverse() if direction is UP else graph
    steps: dict[Any, int] = {}
    for begin in starts(graph, node):
        for each, far in nx.single_source_shortest_path_length(way, begin).items():
            if each[0] == "artifact" and far:
                steps[each[1]] = min(steps.get(each[1], far), far)
    return {version: (far + 1) // 2 for version, far in steps.items()}


@settings(max_examples=100, deadline=None)
@given(edges=facts, depth=st.integers(1, 4))
def test_depth(edges: list[Edge], depth: int, activity_graph: Oracle) -> None:
    """A walk of n levels gives the versions that are n or fewer levels away, counts them, and can be gone on with to the whole closure."""
    graph, dag = activity_graph(edges), Dag(edges)
    for node in nodes_of(graph):
        for direction in Direction:
            levels = distances(graph, node, direction)
            answer = walk(node, direction, dag, depth=depth)
            assert sorted(version for version, level in levels.items() if level <= depth) == list(answer.versions)
            for level in answer.levels:
                assert sum(each == level.depth for each in levels.values()) == level.versions
            assert len(answer.runs) == sum(level.runs for level in answer.levels)
            goes_on(answer, walk(node, direction, dag), dag)


def goes_on(answer: Walk, whole: Walk, dag: Dag) -> None:
    further = walk([NodeId.artifact(version) for version in answer.frontier], answer.direction, dag)
    assert set(whole.versions) == {*answer.versions, *further.versions}
    assert set(whole.edges) == {*answer.edges, *further.edges}
    assert answer.complete == (answer.edges == whole.edges)


@settings(max_examples=100, deadline=None)
@given(edges=facts, barred=st.frozensets(st.integers(1, 12)))
def test_stop(edges: list[Edge], barred: frozenset[int], activity_graph: Oracle) -> None:
    """A version that stops the walk is in the answer, and nothing is reached through it alone; the start never stops."""
    graph, dag = activity_graph(edges), Dag(edges)
    for node in nodes_of(graph):
        for direction, side in ((UP, graph.in_edges), (DOWN, graph.out_edges)):
            walls = graph.copy()
            walls.remove_edges_from([edge for version in barred - {node.id} for edge in side([("artifact", version)])])
            if node.is_run:
                walls.remove_edges_from([edge for version in barred for edge in side([("artifact", version)])])
            versions, runs, _ = expected(walls, node, direction)
            answer = walk(node, direction, dag, stop=barred.__contains__)
            assert (versions, runs) == (set(answer.versions), set(answer.runs))
            assert set(answer.frontier) <= barred
            goes_on(answer, walk(node, direction, dag), dag)


def test_levels_are_counted() -> None:
    """A level goes from artifacts over runs to artifacts and counts what was met first in it."""
    dag = Dag([*logged(1, 1), *used(2, 1), *logged(2, 2, 3), *used(3, 2, 3), *logged(3, 4)])
    assert (Level(1, 2, 1), Level(2, 1, 1), Level(3, 0, 1)) == walk(NodeId.artifact(4), UP, dag).levels
    assert (Level(1, 2, 0), Level(2, 1, 1), Level(3, 0, 1)) == walk(NodeId.run(3), UP, dag).levels
    assert (2, 3) == walk(NodeId.artifact(4), UP, dag, depth=1).frontier
    assert walk(NodeId.artifact(1), DOWN, dag, depth=2).complete


def test_several_starts() -> None:
    """Several starts give what any of them reaches, without the starts."""
    dag = Dag([*logged(1, 1), *used(2, 1), *logged(2, 2), *used(3, 2), *logged(3, 3), *logged(4, 4), *used(5, 4)])
    answer = walk([NodeId.artifact(1), NodeId.artifact(2), NodeId.run(4)], DOWN, dag)
    assert ((3, 4), (2, 3, 5)) == (answer.versions, answer.runs)


def test_each_run_is_asked_for_once() -> None:
    """However often a long-lived run is come back to, its neighbours are looked up a single time."""
    asked: list[int] = []

    class Counting(Dag):
        def inputs(self, runs: Collection[int]) -> Iterator[Edge]:
            asked.extend(runs)
            return super().inputs(runs)

    edges = [
        *logged(1, 2, 5, 8),
        *used(1, 1, 4, 7),
        *used(2, 2),
        *logged(2, 9),
        *used(3, 5, 9),
        *logged(3, 10),
        *used(4, 8, 10),
        *logged(4, 11),
    ]
    answer = walk(NodeId.artifact(11), UP, Counting(edges))
    assert (1, 2, 4, 5, 7, 8, 9, 10) == answer.versions
    assert sorted(set(asked)) == sorted(asked)


def test_unknown_start_reaches_nothing() -> None:
    """A node without edges has an empty, complete closure: who knows which ids exist is the catalogue."""
    assert Walk(frozenset({NodeId.run(7)}), UP, (), (), (), ()) == walk(NodeId.run(7), UP, Dag([]))


def test_depth_below_one_is_refused() -> None:
    """No levels at all is a mistake, not an empty answer."""
    with pytest.raises(UsageError, match="depth 0 reaches nothing"):
        walk(NodeId.artifact(1), UP, Dag([]), depth=0)
