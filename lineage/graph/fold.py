"""Fewer marks than nodes: which nodes a picture shows as one.

A drawing of a thousand boxes is no drawing. Nodes that belong together (the versions of a collection, the runs of a sweep) become one
mark, those in the same layer first, because that bends no arrow back; then wherever they stand; then, where too many belong nowhere,
whatever is of one kind. Within a step the largest group goes first and the folding ends as soon as the marks fit. What must stay true:
never more marks than the limit, artifacts and runs never share a mark, and a node that is to be kept stands alone while that is possible.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from lineage.graph.algebra import Dag
from lineage.model.errors import UsageError
from lineage.model.node import NodeId

LIMIT = 200
"""Marks that people still find their way in."""
FEWEST = 2

Key = Callable[[NodeId], object]


def fold(dag: Dag, group: Mapping[NodeId, str], kept: Collection[NodeId], limit: int = LIMIT) -> list[tuple[NodeId, ...]]:
    """The nodes of `dag` in at most `limit` marks; members in topological order, marks by their first member.

    Raises:
        UsageError: a limit below two; one mark cannot be artifact and run.
    """
    if limit < FEWEST:
        raise UsageError(f"limit {limit} leaves no room for an artifact and a run: give {FEWEST} or more marks")
    nodes = dag.order()
    if len(nodes) <= limit:
        return [(node,) for node in nodes]
    layer = layers(dag, nodes)
    free = [node for node in nodes if node not in kept]
    grouped = [node for node in free if group.get(node)]
    steps: Sequence[tuple[Sequence[NodeId], Key]] = (
        (grouped, lambda node: (node.kind, group[node], layer[node])),
        (grouped, lambda node: (node.kind, group[node])),
        (free, lambda node: (node.kind, layer[node])),
        (free, lambda node: node.kind),
        (nodes, lambda node: node.kind),
    )
    marks: list[tuple[NodeId, ...]] = []
    for members, key in steps:
        marks = _folded(nodes, members, key, limit)
        if len(marks) <= limit:
            break
    return marks


def layers(dag: Dag, nodes: Sequence[NodeId]) -> dict[NodeId, int]:
    """The longest way to each node from the left, artifacts on even layers and runs on odd ones; `nodes` in topological order."""
    layer: dict[NodeId, int] = {}
    for node in nodes:
        layer[node] = max((layer[before] + 1 for before in dag.before(node)), default=int(node.is_run))
    return layer


def _folded(nodes: Sequence[NodeId], members: Sequence[NodeId], key: Key, limit: int) -> list[tuple[NodeId, ...]]:
    buckets: dict[object, list[NodeId]] = {}
    for node in members:
        buckets.setdefault(key(node), []).append(node)
    mark_of: dict[NodeId, NodeId] = {node: node for node in nodes}
    count = len(nodes)
    for bucket in sorted(buckets.values(), key=len, reverse=True):
        if count <= limit or len(bucket) == 1:
            break
        mark_of.update(dict.fromkeys(bucket, bucket[0]))
        count -= len(bucket) - 1
    marks: dict[NodeId, list[NodeId]] = {}
    for node in nodes:
        marks.setdefault(mark_of[node], []).append(node)
    return [tuple(mark) for mark in marks.values()]
