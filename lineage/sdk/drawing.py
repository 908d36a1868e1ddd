"""A graph that shows itself: as text in a terminal, as SVG in a notebook, as a networkx graph to other programs.

Names are asked for when something is drawn, all of them at once. Drawing changes nothing.
"""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

from lineage.actions.walk import faces
from lineage.graph.algebra import Dag
from lineage.graph.draw import Face, draw
from lineage.graph.export import to_networkx
from lineage.graph.svg import render_svg
from lineage.graph.text import render_text
from lineage.model.node import NodeId
from lineage.sdk.host import Host


class Drawing:
    """A `Dag` with its names. `focus` are the nodes it is about."""

    def __init__(self, host: Host, spread: Callable[[], Dag], focus: Iterable[NodeId] = ()) -> None:
        self._host = host
        self._spread_out = spread
        self.focus = tuple(node.whole for node in focus)
        self._faces: dict[NodeId, Face] = {}

    @cached_property
    def dag(self) -> Dag:
        """The graph itself, built when it is first looked at."""
        return self._spread_out()

    def describe(self, node: NodeId) -> Face:
        """How a node looks to people."""
        if not self._faces:
            wanted = {each.whole for each in self.dag.order()} | set(self.focus)
            self._faces = faces(self._host.engine, wanted)
        face = self._faces.get(node.whole) or Face(str(node.whole))
        return _lit(face) if node.whole in self.focus else face

    def text(self, width: int | None = None, **limits: Any) -> str:
        """A tree up and down from what it is about, or from every end of the graph; `depth` and `siblings` limit it."""
        columns = width or max(40, shutil.get_terminal_size((100, 24)).columns)
        ends = self.focus or tuple(node for node in self.dag.leaves() if node == node.whole)[:20]
        return "\n".join(render_text(self.dag, node, self.describe, width=columns, **limits) for node in ends if node in self.dag)

    def svg(self, limit: int | None = None, title: str = "") -> str:
        """One SVG that stands alone; where there is too much to see, like nodes are folded together."""
        how = {} if limit is None else {"limit": limit}
        return render_svg(draw(self.dag, self.describe, title=title, **how))

    def to_networkx(self) -> Any:
        """A `networkx.DiGraph`: nodes `artifact:7` and `run:3` with `label`, `type`, `state`, `aliases`; arrows follow the data."""
        return to_networkx(self.dag, self._facts)

    def _facts(self, node: NodeId) -> dict[str, object]:
        face = self.describe(node)
        return {"label": face.label, "type": face.sublabel, "state": face.state, "aliases": list(face.aliases), "warning": face.warning}

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        return self.text()


def _lit(face: Face) -> Face:
    return replace(face, highlight=True)
