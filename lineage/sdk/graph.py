"""The whole graph of a project, or of everything: paths, neighbourhoods, export and pictures.

It is taken when it is asked for and does not follow what is logged afterwards.
"""

from typing import Any

from lineage.actions import find
from lineage.graph.algebra import Dag
from lineage.model.edge import Direction, Edge, Relation
from lineage.model.errors import NotFound, UsageError
from lineage.model.node import NodeId
from lineage.sdk.drawing import Drawing


class Graph(Drawing):
    """See the top of this file. Nodes are given as handles: artifacts and runs."""

    def path(self, start: Any, goal: Any) -> list[Any]:
        """A shortest way from `start` to `goal` along the data, as handles, both included; empty when there is none.

        Raises:
            NotFound: one of them is not in this graph.
        """
        found = self.dag.path(self._held(start), self._held(goal))
        return [] if found is None else [self._handle(node) for node in found]

    def between(self, start: Any, goal: Any) -> "Graph":
        """The part of the graph on any way from `start` to `goal`. Raises: NotFound, as `path`."""
        first, last = self._held(start), self._held(goal)
        down, up = self.dag.closure(first, Direction.DOWN), self.dag.closure(last, Direction.UP)
        own = {True: {node.id for node in (first, last) if node.is_run}, False: {node.id for node in (first, last) if not node.is_run}}
        versions = (down.versions & up.versions) | (own[False] if self.dag.path(first, last) else frozenset())
        runs = (down.runs & up.runs) | own[True]
        edges = [
            Edge(activity.node.id, version, relation)
            for activity in self.dag.activities()
            if activity.node.id in runs
            for relation, ends in ((Relation.USED, activity.inputs), (Relation.LOGGED, activity.outputs))
            for version in ends
            if version in versions
        ]
        part = Dag(edges, versions=versions)
        return Graph(self._host, lambda: part, (first, last) if versions else ())

    @property
    def roots(self) -> list[Any]:
        """The nodes nothing leads to."""
        return [self._handle(node) for node in self.dag.roots()]

    @property
    def leaves(self) -> list[Any]:
        """The nodes that lead nowhere."""
        return [self._handle(node) for node in self.dag.leaves()]

    def _held(self, handle: Any) -> NodeId:
        node = _node(handle)
        if node not in self.dag:
            raise NotFound(f"{handle!r} is not in {self!r}: take the graph of its project, or api.graph(everything=True)")
        return node

    def _handle(self, node: NodeId) -> Any:
        engine = self._host.engine
        if node.is_run:
            return self._host.run_of(find.run_by_id(engine, node.id))
        return self._host.artifact_of(find.version_by_id(engine, node.id))

    def __len__(self) -> int:
        return len(self.dag)

    def __contains__(self, node: object) -> bool:
        return _node(node) in self.dag

    def __repr__(self) -> str:
        return f"<Graph of {len(self.dag.versions)} artifacts and {len(self.dag.runs)} runs>"


def _node(handle: Any) -> NodeId:
    if isinstance(handle, NodeId):
        return handle
    own = getattr(handle, "_node", None)
    if not callable(own):
        raise UsageError(f"{handle!r} is no node: give an artifact or a run, as api.artifact(…) or api.run(…) answer with")
    found: NodeId = own()[1]
    return found
