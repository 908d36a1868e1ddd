"""A node of the lineage graph: a run or an artifact version, by number."""

from dataclasses import dataclass
from enum import StrEnum


class NodeKind(StrEnum):
    RUN = "run"
    ARTIFACT = "artifact"


@dataclass(frozen=True, slots=True, order=True)
class NodeId:
    """A node of the graph. `activity` numbers the activities of a run that shows as several nodes; zero is the run, whole."""

    kind: NodeKind
    id: int
    activity: int = 0

    @classmethod
    def artifact(cls, version: int) -> "NodeId":
        return cls(NodeKind.ARTIFACT, version)

    @classmethod
    def run(cls, run: int, activity: int = 0) -> "NodeId":
        return cls(NodeKind.RUN, run, activity)

    @property
    def is_run(self) -> bool:
        return self.kind == NodeKind.RUN

    @property
    def whole(self) -> "NodeId":
        """The node without the number of its activity: what the catalogue knows."""
        return NodeId(self.kind, self.id) if self.activity else self

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" + (f"#{self.activity}" if self.activity else "")
