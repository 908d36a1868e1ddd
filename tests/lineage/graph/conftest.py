"""Pipelines as programs really write them, and an activity graph of them that shares no code with the one under test."""

import random
from collections.abc import Callable, Iterable

import networkx as nx
import pytest

from lineage.model.edge import Edge, Relation

Pipeline = Callable[..., list[Edge]]
Oracle = Callable[[Iterable[Edge]], "nx.DiGraph[tuple[object, ...]]"]


def _pipeline(seed: int, runs: int = 120, alive: int = 4) -> list[Edge]:
    """Edges of `runs` runs, several at a time: use after log, late use of old and of new versions, own outputs, identical bytes again."""
    chance = random.Random(seed)
    edges: list[Edge] = []
    version, started = 0, 0
    working: list[int] = []
    while started < runs or working:
        if started < runs and (not working or (len(working) < alive and chance.random() < 0.5)):
            started += 1
            working.append(started)
        run = chance.choice(working)
        act = chance.random()
        if act < 0.40 and version:
            edges.append(Edge(run, max(1, version - int(chance.expovariate(0.2))), Relation.USED))
        elif act < 0.75:
            version += 1
            edges.append(Edge(run, version, Relation.LOGGED))
        elif act < 0.82 and version:
            edges.append(Edge(run, chance.randint(1, version), Relation.LOGGED, is_maker=False))
        elif len(working) > 1 or started == runs:
            working.remove(run)
    chance.shuffle(edges)
    return edges


def _activity_graph(edges: Iterable[Edge]) -> "nx.DiGraph[tuple[object, ...]]":
    """One node per run and set of inputs that were there; ("artifact", v) and ("run", r, inputs)."""
    graph: nx.DiGraph[tuple[object, ...]] = nx.DiGraph()
    used: dict[int, set[int]] = {}
    made: dict[int, set[int]] = {}
    for edge in edges:
        if edge.is_dependency:
            (used if edge.relation is Relation.USED else made).setdefault(edge.run, set()).add(edge.version)
    for run in used.keys() | made.keys():
        outputs, inputs = made.get(run, set()), used.get(run, set())
        spent: set[int] = set()
        for output in outputs:
            ingredients = frozenset(each for each in inputs if each < output)
            spent |= ingredients
            graph.add_edge(("run", run, ingredients), ("artifact", output))
            graph.add_edges_from((("artifact", each), ("run", run, ingredients)) for each in ingredients)
        graph.add_edges_from((("artifact", each), ("run", run, "late")) for each in inputs - spent)
    return graph


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    return _pipeline


@pytest.fixture(scope="session")
def activity_graph() -> Oracle:
    return _activity_graph
