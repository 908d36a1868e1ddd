"""The graph in memory answers as networkx does about an activity graph built without it."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.graph.algebra import Activity, Closure, Dag, cut_cycles
from lineage.graph.export import to_networkx
from lineage.model.edge import Direction, Edge, Relation
from lineage.model.errors import NotFound, UsageError
from lineage.model.node import NodeId

Graph: TypeAlias = "nx.DiGraph[Any]"
Oracle: TypeAlias = Callable[[Iterable[Edge]], Graph]
Pipeline: TypeAlias = Callable[..., list[Edge]]

artifact, run = NodeId.artifact, NodeId.run


def used(run: int, *versions: int) -> list[Edge]:
    return [Edge(run, version, Relation.USED) for version in versions]


def logged(run: int, *versions: int) -> list[Edge]:
    return [Edge(run, version, Relation.LOGGED) for version in versions]


def ends(graph: Graph, node: NodeId) -> list[Any]:
    return [each for each in graph if each[:2] == (str(node.kind), node.id)]


@pytest.mark.fault("I-19")
@pytest.mark.parametrize("seed", range(4))
def test_export_is_the_activity_graph(seed: int, pipeline: Pipeline, activity_graph: Oracle) -> None:
    """The exported graph is bipartite, acyclic and, a run split where it must be, the activity graph itself."""
    edges = pipeline(seed)
    oracle, dag = activity_graph(edges), Dag(edges)
    graph = to_networkx(dag)
    assert nx.is_directed_acyclic_graph(graph)
    assert all(graph.nodes[source]["bipartite"] != graph.nodes[target]["bipartite"] for source, target in graph.edges)
    assert any("activity" in fields for _, fields in graph.nodes(data=True))
    merged = {(*each[:2], frozenset(oracle.predecessors(each)), frozenset(oracle.successors(each))) for each in oracle if each[0] == "run"}
    shown = {
        (
            "run",
            fields["id"],
            frozenset(("artifact", graph.nodes[each]["id"]) for each in graph.predecessors(key)),
            frozenset(("artifact", graph.nodes[each]["id"]) for each in graph.successors(key)),
        )
        for key, fields in graph.nodes(data=True)
        if fields["kind"] == "run"
    }
    assert merged == shown
    assert len(dag) == len(graph) == len(oracle)


@pytest.mark.parametrize("seed", range(4))
def test_order_is_topological(seed: int, pipeline: Pipeline) -> None:
    """Every node comes once and after all it depends on; roots and leaves are the ends of the exported graph."""
    dag = Dag(pipeline(seed))
    graph = to_networkx(dag)
    place = {str(node): position for position, node in enumerate(dag.order())}
    assert sorted(graph) == sorted(place)
    assert all(place[source] < place[target] for source, target in graph.edges)
    assert {key for key, degree in graph.in_degree() if not degree} == set(map(str, dag.roots()))
    assert {key for key, degree in graph.out_degree() if not degree} == set(map(str, dag.leaves()))
    for node in dag.order():
        assert sorted(map(str, dag.before(node))) == sorted(graph.predecessors(str(node)))
        assert sorted(map(str, dag.after(node))) == sorted(graph.successors(str(node)))


@pytest.mark.fault("M06", "M07", "I-21")
@pytest.mark.parametrize("seed", range(3))
def test_paths_and_what_lies_between(seed: int, pipeline: Pipeline, activity_graph: Oracle) -> None:
    """A path is a shortest one of the activity graph, and between two nodes lie exactly those that some path passes."""
    edges = pipeline(seed, runs=12)
    oracle, dag = activity_graph(edges), Dag(edges)
    nodes = [*map(artifact, dag.versions), *map(run, dag.runs)]
    for start in nodes:
        far = [nx.single_source_shortest_path_length(oracle, each) for each in ends(oracle, start)]
        below = {each for lengths in far for each in lengths}
        for goal in nodes:
            if start == goal:
                continue
            lengths = [each[end] for each in far for end in ends(oracle, goal) if end in each]
            path = dag.path(start, goal)
            assert (min(lengths) + 1 if lengths else None) == (len(path) if path else None)
            above = {each for end in ends(oracle, goal) for each in (*nx.ancestors(oracle, end), end)}
            inner = {NodeId.run(each[1]) if each[0] == "run" else artifact(each[1]) for each in below & above}
            assert (inner if lengths else set()) == dag.between(start, goal)
            assert path is None or (set(path) <= inner and (start, goal) == (path[0], path[-1]))


def test_a_run_that_went_on_from_its_own_output_shows_as_activities() -> None:
    """One activity per distinct input set, in order; inputs that came after all outputs stand in a last one."""
    dag = Dag([*used(1, 1, 4, 9), *logged(1, 2, 3, 5), *logged(2, 1, 4, 9)])
    shown = [
        Activity(run(1, 1), (1,), (2, 3)),
        Activity(run(1, 2), (1, 4), (5,)),
        Activity(run(1, 3), (9,), ()),
        Activity(run(2), (), (1, 4, 9)),
    ]
    assert shown == list(dag.activities())
    assert (run(1, 1), run(1, 2)) == dag.after(artifact(1))
    assert (run(1, 3),) == dag.after(artifact(9))
    assert (run(1, 2),) == dag.before(artifact(5))


def test_a_run_whose_inputs_all_came_first_is_one_node() -> None:
    """However many outputs it has, and in whatever order it named its inputs."""
    assert [Activity(run(1), (1, 2), (3, 4))] == list(Dag([*used(1, 2, 1), *logged(1, 4, 3)]).activities())
    assert [Activity(run(1), (1, 2), ())] == list(Dag(used(1, 2, 1)).activities())


@pytest.mark.fault("M07")
def test_closure_of_an_activity() -> None:
    """An activity reaches what it alone made; its run's other activities are never part of the answer."""
    dag = Dag([*logged(1, 1), *used(1, 1), *logged(1, 2), *used(2, 2)])
    assert Closure(frozenset({1, 2}), frozenset({2})) == dag.closure(run(1, 1), Direction.DOWN)
    assert Closure(frozenset({2}), frozenset({2})) == dag.closure(run(1, 2), Direction.DOWN)
    assert Closure(frozenset(), frozenset()) == dag.closure(run(1, 1), Direction.UP)


def test_nodes_without_edges() -> None:
    """Runs and versions that are given are nodes though nothing connects them; a reproduced edge connects nothing."""
    dag = Dag([Edge(5, 6, Relation.LOGGED, is_maker=False)], runs=[1], versions=[2])
    assert (artifact(2), run(1)) == dag.order() == dag.roots() == dag.leaves()
    assert artifact(6) not in dag
    assert 2 == len(to_networkx(dag))


def test_unknown_node_is_refused() -> None:
    """A question about a node that was not loaded is an error, not an empty answer."""
    dag = Dag(used(1, 1))
    for ask in (lambda: dag.path(run(1), artifact(9)), lambda: dag.closure(run(9), Direction.UP), lambda: dag.before(run(1, 1))):
        with pytest.raises(NotFound, match="is not in this graph of 1 runs and 1 versions"):
            ask()


def test_no_path_against_the_arrows() -> None:
    """Siblings and ancestors are not on any way forward."""
    dag = Dag([*used(1, 1), *logged(1, 2, 3)])
    assert (None, frozenset()) == (dag.path(artifact(2), artifact(3)), dag.between(artifact(2), artifact(1)))
    assert (artifact(1), run(1), artifact(2)) == dag.path(artifact(1), artifact(2))


def test_export_carries_names_and_facts() -> None:
    """Keys are what the label says, attributes what the description says; kind and side cannot be replaced."""
    dag = Dag([*logged(1, 1), *used(1, 1)])
    graph = to_networkx(dag, lambda node: {"title": f"<{node}>", "kind": "lie"}, label=lambda node: f"my {node.kind} {node.id}")
    assert ["my run 1#1", "my artifact 1", "my run 1#2"] == list(graph)
    assert {"title": "<run:1>", "kind": "run", "id": 1, "bipartite": 1, "activity": 2} == graph.nodes["my run 1#2"]
    assert "used" == graph.edges["my artifact 1", "my run 1#2"]["relation"]


def test_one_label_for_two_nodes_is_refused() -> None:
    """Two nodes never silently become one."""
    with pytest.raises(UsageError, match="two nodes would be called 'same'"):
        to_networkx(Dag(used(1, 1)), label=lambda _: "same")


links = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=40)


@pytest.mark.fault("M06")
@given(edges=links)
def test_foreign_cycles_are_cut(edges: list[tuple[int, int]]) -> None:
    """What is kept has no cycle, kept and cut are all there was, and every cut edge closes a cycle with the kept ones."""
    kept, cut = cut_cycles(edges)
    graph: Graph = nx.DiGraph(kept)
    assert nx.is_directed_acyclic_graph(graph)
    assert list(dict.fromkeys(edges)) == sorted([*kept, *cut], key=edges.index)
    for source, target in cut:
        assert source == target or nx.has_path(graph, target, source)


@pytest.mark.fault("M06", "M10")
def test_a_cycle_of_a_hundred_thousand_is_cut_once() -> None:
    """A foreign cycle of any length is cut in one place, without recursion; entering it from outside decides where."""
    length = 100_000
    ring = [(node, (node + 1) % length) for node in range(length)]
    kept, cut = cut_cycles([*ring, (-1, 5)])
    assert [(4, 5)] == cut
    assert length == len(kept)
