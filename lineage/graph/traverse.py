"""The walk up or down from a node, by the one rule of `lineage.model.edge`.

Upstream of a version lie its maker and those inputs of the maker that are older than the version, and so on; downstream lie the runs
that used it and those of their outputs that are younger, and so on. A run is therefore no simple node: reached by one of its outputs it
gives a part of its inputs, reached later by a younger one it gives more. What must stay true:

* The answer equals reachability in the activity graph (`lineage.graph.algebra`), whatever order the neighbours are met in.
* Iterative and set based: two look-ups a level, each run is asked for once, no version is followed twice, depth is never part of a key.
* The start is not part of its own closure: neither the version nor the run, though versions the run made may be.
* An answer that is not complete says so and names the versions at which to go on.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Protocol

from lineage.model.edge import Direction, Edge, depends
from lineage.model.errors import UsageError
from lineage.model.node import NodeId


class Neighbours(Protocol):
    """Batch look-ups of dependency edges; reproduced edges never appear.

    Laws: an unknown id has no neighbours and is no error; an edge may come twice and in any order; nothing beyond what was asked for.
    """

    def makers(self, versions: Collection[int]) -> Iterable[Edge]:
        """The logged edges into these versions from their makers."""

    def made(self, runs: Collection[int]) -> Iterable[Edge]:
        """The logged edges out of these runs to what they were the makers of."""

    def inputs(self, runs: Collection[int]) -> Iterable[Edge]:
        """The used edges into these runs."""

    def uses(self, versions: Collection[int]) -> Iterable[Edge]:
        """The used edges out of these versions."""


@dataclass(frozen=True, slots=True)
class Level:
    """How many versions and runs a walk met first at `depth`; a level is artifact → run → artifact."""

    depth: int
    versions: int
    runs: int


@dataclass(frozen=True, slots=True)
class Walk:
    """The closure of `start`: what was reached, over which edges, and whether that is all.

    `versions` ascend in order. `edges` are all edges that were followed, so start and answer together are a graph. `frontier` are the
    versions that have more behind them which a depth or a boundary kept from being followed: walk on from there. Empty when complete.
    """

    start: frozenset[NodeId]
    direction: Direction
    versions: tuple[int, ...]
    runs: tuple[int, ...]
    edges: tuple[Edge, ...]
    levels: tuple[Level, ...]
    frontier: tuple[int, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.frontier


@dataclass(frozen=True)
class Whole:
    """A complete closure as a set query gives it: what was reached is there, the way there is worked out when it is asked for.

    It answers to the same names as a `Walk`.
    """

    start: frozenset[NodeId]
    direction: Direction
    versions: tuple[int, ...]
    runs: tuple[int, ...]
    spread: Callable[[], Walk]
    """Walks the same closure step by step."""
    complete = True
    frontier: tuple[int, ...] = ()

    @cached_property
    def _walk(self) -> Walk:
        return self.spread()

    @property
    def edges(self) -> tuple[Edge, ...]:
        return self._walk.edges

    @property
    def levels(self) -> tuple[Level, ...]:
        return self._walk.levels


def walk(
    start: NodeId | Collection[NodeId],
    direction: Direction,
    neighbours: Neighbours,
    *,
    depth: int | None = None,
    stop: Callable[[int], bool] | None = None,
) -> Walk:
    """Everything up or down from `start`; several starts give what any of them reaches, the starts themselves left out.

    From a run the first level is what it used (or made); from a version it is its maker and the maker's inputs (or its users and their
    outputs). `depth` limits the levels. A version for which `stop` is true is part of the answer and not walked through. An activity
    stands for its run.

    Raises:
        UsageError: a depth below one.
    """
    if depth is not None and (not isinstance(depth, int) or depth < 1):
        raise UsageError(f"depth {depth!r} reaches nothing: give 1 or more levels, or None for all of them")
    starts = frozenset([start.whole] if isinstance(start, NodeId) else [node.whole for node in start])
    front = _Front(_way(direction, neighbours), starts)
    blocked: set[int] = set()

    fresh = front.set_out()
    while fresh:
        halted = {version for version in fresh if stop(version)} if stop else set()
        blocked |= halted
        ahead = fresh - halted
        if depth is not None and len(front.levels) >= depth:
            blocked |= ahead
            break
        fresh = front.follow(ahead)

    return front.result(direction, blocked)


@dataclass(frozen=True, slots=True)
class _Way:
    """What differs between up and down: the look-ups, which reached version opens most, and what a reached version opens."""

    across: Callable[[Collection[int]], Iterable[Edge]]
    onward: Callable[[Collection[int]], Iterable[Edge]]
    widest: Callable[[int, int], int]
    opens: Callable[[int, int], bool]
    youngest_first: bool


def _way(direction: Direction, neighbours: Neighbours) -> _Way:
    return {
        Direction.UP: _Way(neighbours.makers, neighbours.inputs, max, depends, youngest_first=True),
        Direction.DOWN: _Way(neighbours.uses, neighbours.made, min, lambda used, output: depends(output, used), youngest_first=False),
    }[direction]


@dataclass(slots=True)
class _Front:
    """A walk under way. `held` keeps, of each run that was asked for, the edges nothing reached has opened yet, the next one last."""

    way: _Way
    starts: frozenset[NodeId]
    versions: set[int] = field(default_factory=set)
    runs: set[int] = field(default_factory=set)
    edges: set[Edge] = field(default_factory=set)
    levels: list[Level] = field(default_factory=list)
    held: dict[int, list[Edge]] = field(default_factory=dict)

    def set_out(self) -> set[int]:
        """The first level: a start run gives all it has, and is never asked again."""
        runs = {node.id for node in self.starts if node.is_run}
        self.versions = {node.id for node in self.starts if not node.is_run}
        self.runs = set(runs)
        self._ask(runs)
        first = [edge for run in runs for edge in self.held[run]]
        for run in runs:
            self.held[run] = []
        self.edges.update(first)
        direct = {edge.version for edge in first} - self.versions
        self.versions |= direct
        return self.follow({node.id for node in self.starts if not node.is_run}, direct)

    def follow(self, versions: set[int], direct: Collection[int] = ()) -> set[int]:
        """The versions one level on from `versions` that had not been met, `direct` counted with them."""
        reached: dict[int, int] = {}
        for edge in self.way.across(versions) if versions else ():
            self.edges.add(edge)
            reached[edge.run] = self.way.widest(edge.version, reached.get(edge.run, edge.version))
        self._ask([run for run in reached if run not in self.held])
        fresh = {edge.version for run, version in reached.items() for edge in self._opened(run, version)} - self.versions
        new_runs = set(reached) - self.runs
        self.versions |= fresh
        self.runs |= new_runs
        fresh |= set(direct)
        if fresh or new_runs:
            self.levels.append(Level(len(self.levels) + 1, len(fresh), len(new_runs)))
        return fresh

    def _ask(self, runs: Collection[int]) -> None:
        for run in runs:
            self.held[run] = []
        for edge in self.way.onward(runs) if runs else ():
            self.held[edge.run].append(edge)
        for run in runs:
            self.held[run].sort(key=attrgetter("version"), reverse=self.way.youngest_first)

    def _opened(self, run: int, version: int) -> list[Edge]:
        held = self.held[run]
        opened = []
        while held and self.way.opens(version, held[-1].version):
            opened.append(held.pop())
        self.edges.update(opened)
        return opened

    def result(self, direction: Direction, blocked: set[int]) -> Walk:
        return Walk(
            self.starts,
            direction,
            tuple(sorted(self.versions - {node.id for node in self.starts if not node.is_run})),
            tuple(sorted(self.runs - {node.id for node in self.starts if node.is_run})),
            tuple(sorted(self.edges, key=attrgetter("run", "version", "relation"))),
            tuple(self.levels),
            tuple(sorted({edge.version for edge in self.way.across(blocked)})) if blocked else (),
        )
