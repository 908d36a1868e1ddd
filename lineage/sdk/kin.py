"""What lies up and down from a node of the graph, asked of a run or of an artifact in the same words."""

from collections.abc import Callable, Sequence
from typing import Any

from lineage.actions.walk import walk
from lineage.model.edge import Direction
from lineage.model.node import NodeId
from lineage.sdk.answer import Answer
from lineage.sdk.host import Host

Stop = Callable[[Any], bool]


class Kin:
    """The two questions every node answers."""

    def _node(self) -> tuple[Host, NodeId]:
        raise NotImplementedError

    def upstream(self, depth: int | None = None, until: Sequence[str] | str | None = None, stop: Stop | None = None) -> Answer:
        """Everything this was made from: artifacts and runs, at most `depth` levels away, or all of them.

        An artifact whose type is in `until`, or for which `stop` is true, is part of the answer and is not walked through. The answer says
        whether it is complete, and where to go on if not.
        """
        return self._closure(Direction.UP, depth, until, stop)

    def downstream(self, depth: int | None = None, until: Sequence[str] | str | None = None, stop: Stop | None = None) -> Answer:
        """Everything that was made from this; see `upstream`."""
        return self._closure(Direction.DOWN, depth, until, stop)

    def _closure(self, direction: Direction, depth: int | None, until: Sequence[str] | str | None, stop: Stop | None) -> Answer:
        host, node = self._node()
        wanted = None if until is None else [until] if isinstance(until, str) else list(until)
        halt = None if stop is None else lambda version: stop(host.artifact_of(version))
        return Answer(host, walk(host.engine, node, direction, depth=depth, stop=halt, until=wanted))
