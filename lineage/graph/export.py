"""The graph as a networkx graph: for algorithms, notebooks and other tools, not for traversal.

What leaves is what `Dag` is: bipartite and acyclic, a run split into activities where it has to be. A key is readable and stable, and
names one node only.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lineage.graph.algebra import Dag
from lineage.model.errors import UsageError
from lineage.model.node import NodeId

if TYPE_CHECKING:
    from networkx import DiGraph


def to_networkx(
    dag: Dag,
    describe: Callable[[NodeId], Mapping[str, object]] | None = None,
    *,
    label: Callable[[NodeId], str] = str,
) -> "DiGraph[str]":
    """A `networkx.DiGraph` of `dag`; arrows follow the data, nodes are added in topological order.

    A key is what `label` says, by default `artifact:7` or `run:3`, with `#1`, `#2` … behind it where a run shows as several activities.
    Every node has `kind` ("artifact" or "run"), `id`, `bipartite` (0 for artifacts, 1 for runs), activities also `activity`; what
    `describe` gives is added and cannot replace these. Both callables get the node without its activity. An edge has `relation`.

    Raises:
        UsageError: `label` gives two nodes one name.
    """
    import networkx as nx

    graph: DiGraph[str] = nx.DiGraph()
    keys: dict[NodeId, str] = {}
    for node in dag.order():
        key = label(node.whole) + (f"#{node.activity}" if node.activity else "")
        if key in graph:
            raise UsageError(f"two nodes would be called {key!r}: give a label that tells nodes apart")
        keys[node] = key
        graph.add_node(key, **{**(describe(node.whole) if describe else {}), **_identity(node)})
    for activity in dag.activities():
        key = keys[activity.node]
        graph.add_edges_from(((keys[NodeId.artifact(version)], key) for version in activity.inputs), relation="used")
        graph.add_edges_from(((key, keys[NodeId.artifact(version)]) for version in activity.outputs), relation="logged")
    return graph


def _identity(node: NodeId) -> dict[str, object]:
    identity: dict[str, object] = {"kind": str(node.kind), "id": node.id, "bipartite": int(node.is_run)}
    return {**identity, "activity": node.activity} if node.activity else identity
