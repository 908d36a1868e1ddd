"""The answer to "what is this made from" and "what was made from this": artifacts, runs, edges, and whether that is all.

Handles are made as they are asked for; the numbers are there already. An answer draws itself (`drawing`).
"""

from typing import Any

from lineage.graph.algebra import Dag
from lineage.graph.traverse import Level, Walk, Whole
from lineage.model.edge import Edge
from lineage.model.node import NodeId
from lineage.sdk.drawing import Drawing
from lineage.sdk.host import Host, artifacts, runs
from lineage.sdk.page import Page


class Answer(Drawing):
    """What a walk up or down found."""

    def __init__(self, host: Host, walk: Walk | Whole) -> None:
        super().__init__(host, self._spread, sorted(walk.start))
        self.walk = walk

    def _spread(self) -> Dag:
        starts = {is_run: [each.id for each in self.walk.start if each.is_run == is_run] for is_run in (False, True)}
        return Dag(self.walk.edges, runs=[*self.walk.runs, *starts[True]], versions=[*self.walk.versions, *starts[False]])

    @property
    def artifacts(self) -> Page[Any]:
        """The artifacts, oldest first."""
        return artifacts(self._host, self.walk.versions)

    @property
    def runs(self) -> Page[Any]:
        """The runs, in the order they were started."""
        return runs(self._host, self.walk.runs)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge that was followed, by number of run and version."""
        return self.walk.edges

    @property
    def complete(self) -> bool:
        """Is that all there is? If not, `frontier` is where to go on."""
        return self.walk.complete

    @property
    def frontier(self) -> Page[Any]:
        """The artifacts with more behind them that a depth or a stop kept from being followed."""
        return artifacts(self._host, self.walk.frontier)

    @property
    def levels(self) -> tuple[Level, ...]:
        """How many artifacts and runs were met first at each level."""
        return self.walk.levels

    def __len__(self) -> int:
        return len(self.walk.versions) + len(self.walk.runs)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __contains__(self, node: object) -> bool:
        """Is this artifact or run, by handle or by node, part of the answer?"""
        own = getattr(node, "_node", None)
        found = own()[1] if callable(own) else node
        return isinstance(found, NodeId) and found.id in (self.walk.runs if found.is_run else self.walk.versions)

    def __repr__(self) -> str:
        whole = "" if self.complete else f", not complete: {len(self.walk.frontier)} artifacts have more behind them"
        return f"<{self.walk.direction} of {len(self.walk.versions)} artifacts and {len(self.walk.runs)} runs{whole}>"
