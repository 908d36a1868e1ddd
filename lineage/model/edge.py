"""The two recorded facts and the one rule that makes a graph of them.

    used     artifact ──▶ run        the run read the version
    logged   run ──▶ artifact        the run wrote the version: its *maker* when it was the first, a *reproducer* when the bytes were there

Arrows follow the data; *upstream* is against them. Runs and versions are numbered apart; a version's number is its **order**, drawn in
commit order, so a smaller number was there earlier.

The rule: **a version depends on every input of its maker that existed when it was logged**, that is, whose order is smaller. A late
`use_artifact` of something older still counts; what did not exist yet cannot have been an ingredient. Dependencies therefore always
point from a smaller order to a larger one: there is no cycle to check for, in whatever order programs call.
"""

from dataclasses import dataclass
from enum import StrEnum


class Relation(StrEnum):
    USED = "used"
    LOGGED = "logged"


class Direction(StrEnum):
    UP = "upstream"
    DOWN = "downstream"


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """`run` used or logged `version`. `is_maker` is false for a run that logged bytes which were there already."""

    run: int
    version: int
    relation: Relation
    is_maker: bool = True

    @property
    def is_dependency(self) -> bool:
        """Does the edge take part in the graph? Reproduced edges are recorded, listed, and no part of it."""
        return self.relation is Relation.USED or self.is_maker


def depends(output: int, used: int) -> bool:
    """Is `used`, an input of the maker of `output`, an ingredient of `output`?"""
    return used < output
