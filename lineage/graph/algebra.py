"""The graph in memory: what can be asked of all edges at once.

    raw:v0 ──▶ clean ──▶ clean:v0 ──▶ train#1 ──▶ model:v0 ──▶ train#2

Versions and runs are its nodes. A run is one node unless it used a version whose order is not smaller than that of one it made. Then it
shows as numbered **activities**, one per distinct input set of its outputs, oldest first, and the inputs that came after all outputs go
to a last activity without outputs. So the graph is bipartite and acyclic whatever order programs called in. Reproduced edges are no part
of it, and an edge that comes twice is one edge.

Closures, paths and `order` never spell activities out: a run that keeps using what it made has quadratically many activity edges.
Nothing recurses; a chain of a hundred thousand runs is an ordinary graph.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, TypeVar

from lineage.model.edge import Direction, Edge, Relation
from lineage.model.errors import NotFound
from lineage.model.node import NodeId

Node = TypeVar("Node", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Activity:
    """A run, or the part of a run that made `outputs` from `inputs`; both ascend in order."""

    node: NodeId
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Closure(NamedTuple):
    """What a node reaches, by id."""

    versions: frozenset[int]
    runs: frozenset[int]


class _Span(NamedTuple):
    """An activity before its inputs are spelled out: the slice `first:last` of the run's inputs."""

    node: NodeId
    first: int
    last: int
    outputs: tuple[int, ...]


class Dag:
    """The graph of `edges`, with `runs` and `versions` as nodes even where no edge names them. Implements `Neighbours`."""

    def __init__(self, edges: Iterable[Edge], *, runs: Iterable[int] = (), versions: Iterable[int] = ()) -> None:
        facts = {(edge.relation, edge.run, edge.version) for edge in edges if edge.is_dependency}
        used = [(run, version) for relation, run, version in facts if relation == Relation.USED]
        logged = [(run, version) for relation, run, version in facts if relation == Relation.LOGGED]
        self._inputs = _adjacent(used)
        self._outputs = _adjacent(logged)
        self._users = _adjacent((version, run) for run, version in used)
        self._makers = _adjacent((version, run) for run, version in logged)
        self.runs: tuple[int, ...] = tuple(sorted(self._inputs.keys() | self._outputs.keys() | set(runs)))
        self.versions: tuple[int, ...] = tuple(sorted(self._users.keys() | self._makers.keys() | set(versions)))
        self._split = {run: spans for run in self._inputs.keys() & self._outputs.keys() if len(spans := self._spans_of(run)) > 1}
        self._known = (frozenset(self.versions), frozenset(self.runs))

    def __len__(self) -> int:
        """How many nodes there are, activities counted one by one."""
        return len(self.versions) + len(self.runs) + sum(len(spans) - 1 for spans in self._split.values())

    def __contains__(self, node: object) -> bool:
        if not isinstance(node, NodeId) or node.id not in self._known[node.is_run]:
            return False
        return node.activity <= (len(self._split.get(node.id, ())) if node.is_run else 0)

    # ── neighbours ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def makers(self, versions: Collection[int]) -> Iterator[Edge]:
        return (Edge(run, version, Relation.LOGGED) for version in versions for run in self._makers.get(version, ()))

    def made(self, runs: Collection[int]) -> Iterator[Edge]:
        return (Edge(run, version, Relation.LOGGED) for run in runs for version in self._outputs.get(run, ()))

    def inputs(self, runs: Collection[int]) -> Iterator[Edge]:
        return (Edge(run, version, Relation.USED) for run in runs for version in self._inputs.get(run, ()))

    def uses(self, versions: Collection[int]) -> Iterator[Edge]:
        return (Edge(run, version, Relation.USED) for version in versions for run in self._users.get(version, ()))

    # ── nodes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def activities(self) -> Iterator[Activity]:
        """Every run as the activities it shows as, by run and number."""
        for span in self._spans():
            yield Activity(span.node, self._inputs.get(span.node.id, ())[span.first : span.last], span.outputs)

    def before(self, node: NodeId) -> tuple[NodeId, ...]:
        """The nodes with an edge into `node`; of a whole run, everything it used."""
        self._require(node)
        if node.is_run:
            inputs = self._inputs.get(node.id, ())
            span = self._span(node)
            return tuple(map(NodeId.artifact, inputs[span.first : span.last] if span else inputs))
        return tuple(self._maker_node(run, node.id) for run in self._makers.get(node.id, ()))

    def after(self, node: NodeId) -> tuple[NodeId, ...]:
        """The nodes with an edge out of `node`; of a whole run, everything it made."""
        self._require(node)
        if node.is_run:
            span = self._span(node)
            return tuple(map(NodeId.artifact, span.outputs if span else self._outputs.get(node.id, ())))
        return tuple(user for run in self._users.get(node.id, ()) for user in self._user_nodes(run, node.id))

    def roots(self) -> tuple[NodeId, ...]:
        """The nodes nothing leads to: versions without a maker, activities without an input."""
        versions = [NodeId.artifact(version) for version in self.versions if version not in self._makers]
        return (*versions, *(span.node for span in self._spans() if span.first == span.last))

    def leaves(self) -> tuple[NodeId, ...]:
        """The nodes that lead nowhere: versions nobody used, activities without an output."""
        versions = [NodeId.artifact(version) for version in self.versions if version not in self._users]
        return (*versions, *(span.node for span in self._spans() if not span.outputs))

    def order(self) -> tuple[NodeId, ...]:
        """All nodes, each after everything it depends on; the same edges give the same order.

        No search is needed: an activity stands right before the oldest version it made, or after the youngest it used.
        """
        placed = [((version, 1), NodeId.artifact(version)) for version in self.versions]
        placed += [(self._place(span), span.node) for span in self._spans()]
        return tuple(node for _, node in sorted(placed))

    # ── questions ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def closure(self, node: NodeId, direction: Direction) -> Closure:
        """What `walk` finds without a limit, as bare ids: the array walk.

        Raises:
            NotFound: `node` is not in the graph.
        """
        across, onward = {Direction.UP: (self._makers, self._older), Direction.DOWN: (self._users, self._younger)}[direction]
        stack = [near.id for near in self._beside(node, direction)] if node.is_run else [node.id]
        versions, runs, taken = set(stack), set[int](), dict[int, int]()
        while stack:
            version = stack.pop()
            for run in across.get(version, ()):
                runs.add(run)
                fresh = [other for other in onward(run, version, taken) if other not in versions]
                versions.update(fresh)
                stack.extend(fresh)
        (runs if node.is_run else versions).discard(node.id)
        return Closure(frozenset(versions), frozenset(runs))

    def path(self, start: NodeId, goal: NodeId) -> tuple[NodeId, ...] | None:
        """A shortest way from `start` to `goal` along the data, both included, runs whole; None when there is none.

        Raises:
            NotFound: one of them is not in the graph.
        """
        self._require(start, goal)
        if start == goal:
            return (start,)
        first = [near.id for near in self.after(start)] if start.is_run else [start.id]
        wanted = {near.id for near in self.before(goal)} if goal.is_run else {goal.id}
        came, version = self._search(first, wanted)
        if version is None:
            return None
        steps = [goal] if goal.is_run else []
        while (step := came[version]) is not None:
            run, previous = step
            steps += [NodeId.artifact(version), NodeId.run(run)]
            version = previous
        steps += [NodeId.artifact(version), *([start] if start.is_run else [])]
        return tuple(reversed(steps))

    def between(self, start: NodeId, goal: NodeId) -> frozenset[NodeId]:
        """All nodes on some way from `start` to `goal`, both included, runs whole; empty when there is no way.

        Raises:
            NotFound: one of them is not in the graph.
        """
        self._require(start, goal)
        if start == goal:
            return frozenset({start})
        below, above = self.closure(start, Direction.DOWN).versions, self.closure(goal, Direction.UP).versions
        versions = (below if start.is_run else below | {start.id}) & (above if goal.is_run else above | {goal.id})
        if not versions:
            return frozenset()
        eldest_used: dict[int, int] = {}
        passed = {start, goal}
        for version in sorted(versions):
            passed.add(NodeId.artifact(version))
            passed.update(NodeId.run(run) for run in self._makers.get(version, ()) if eldest_used.get(run, version) < version)
            for run in self._users.get(version, ()):
                eldest_used.setdefault(run, version)
        return frozenset(passed)

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _require(self, *nodes: NodeId) -> None:
        for node in nodes:
            if node not in self:
                raise NotFound(
                    f"{node} is not in this graph of {len(self.runs)} runs and {len(self.versions)} versions: load its edges first"
                )

    def _beside(self, node: NodeId, direction: Direction) -> tuple[NodeId, ...]:
        return {Direction.UP: self.before, Direction.DOWN: self.after}[direction](node)

    def _search(self, first: Collection[int], wanted: Collection[int]) -> tuple[dict[int, tuple[int, int] | None], int | None]:
        """Breadth first down from `first`: how each version was come to, and the first wanted one that was met."""
        came: dict[int, tuple[int, int] | None] = dict.fromkeys(first)
        taken: dict[int, int] = {}
        queue = deque(first)
        while queue:
            version = queue.popleft()
            if version in wanted:
                return came, version
            for run in self._users.get(version, ()):
                for output in self._younger(run, version, taken):
                    if output not in came:
                        came[output] = (run, version)
                        queue.append(output)
        return came, None

    def _older(self, run: int, version: int, taken: dict[int, int]) -> tuple[int, ...]:
        """The inputs of `run` that `version` depends on, as `depends` has it, without those `taken` before."""
        inputs = self._inputs.get(run, ())
        first, last = taken.get(run, 0), bisect_left(inputs, version)
        if first >= last:
            return ()
        taken[run] = last
        return inputs[first:last]

    def _younger(self, run: int, version: int, taken: dict[int, int]) -> tuple[int, ...]:
        """The outputs of `run` that depend on `version`, as `depends` has it, without those `taken` before."""
        outputs = self._outputs.get(run, ())
        first, last = bisect_right(outputs, version), taken.get(run, len(outputs))
        if first >= last:
            return ()
        taken[run] = first
        return outputs[first:last]

    def _spans_of(self, run: int) -> tuple[_Span, ...]:
        inputs, outputs = self._inputs.get(run, ()), self._outputs.get(run, ())
        if not inputs or not outputs or inputs[-1] < outputs[0]:
            return (_Span(NodeId.run(run), 0, len(inputs), outputs),)
        groups = [(count, tuple(group)) for count, group in groupby(outputs, key=lambda output: bisect_left(inputs, output))]
        spans = [_Span(NodeId.run(run, number), 0, count, group) for number, (count, group) in enumerate(groups, 1)]
        if groups[-1][0] < len(inputs):
            spans.append(_Span(NodeId.run(run, len(spans) + 1), groups[-1][0], len(inputs), ()))
        return tuple(spans)

    def _spans(self) -> Iterator[_Span]:
        return (span for run in self.runs for span in (self._split.get(run) or self._spans_of(run)))

    def _span(self, node: NodeId) -> _Span | None:
        return self._split[node.id][node.activity - 1] if node.activity else None

    def _place(self, span: _Span) -> tuple[int, int]:
        """Where an activity stands among the versions: before one (0) or after one (2); behind them all when it has no edge."""
        if span.outputs:
            return span.outputs[0], 0
        return (self._inputs[span.node.id][span.last - 1] if span.last else max(self.versions, default=0)), 2

    def _maker_node(self, run: int, version: int) -> NodeId:
        spans = self._split.get(run)
        if not spans:
            return NodeId.run(run)
        making = len(spans) if spans[-1].outputs else len(spans) - 1
        return spans[bisect_right(spans, version, hi=making, key=lambda span: span.outputs[0]) - 1].node

    def _user_nodes(self, run: int, version: int) -> Iterator[NodeId]:
        spans = self._split.get(run)
        if not spans:
            return iter((NodeId.run(run),))
        place = bisect_left(self._inputs[run], version)
        return (span.node for span in spans if span.first <= place < span.last)


def cut_cycles(edges: Iterable[tuple[Node, Node]]) -> tuple[list[tuple[Node, Node]], list[tuple[Node, Node]]]:
    """The edges that make a DAG, and those cut to make it one: for dependencies that came from elsewhere, where no order forbids a cycle.

    Both keep the order they were given in; doubles are dropped. An edge is cut when it leads back to a node on the way to it, the search
    starting at the nodes nothing leads to, so what looks like a source stays one. Without a cycle nothing is cut.
    """
    given = list(dict.fromkeys(edges))
    after: dict[Node, list[Node]] = {}
    for source, target in given:
        after.setdefault(source, []).append(target)
        after.setdefault(target, [])
    entered = {target for _, target in given}
    cut: set[tuple[Node, Node]] = set()
    done: set[Node] = set()
    for start in [*(node for node in after if node not in entered), *after]:
        _cut_back(start, after, done, cut)
    return [edge for edge in given if edge not in cut], [edge for edge in given if edge in cut]


def _cut_back(start: Node, after: Mapping[Node, list[Node]], done: set[Node], cut: set[tuple[Node, Node]]) -> None:
    """Search on from `start` depth first, with a stack of our own, and note the edges that lead back to the way itself."""
    if start in done:
        return
    way = {start}
    stack = [(start, iter(after[start]))]
    while stack:
        node, ahead = stack[-1]
        for target in ahead:
            if target in way:
                cut.add((node, target))
            elif target not in done:
                way.add(target)
                stack.append((target, iter(after[target])))
                break
        else:
            stack.pop()
            way.discard(node)
            done.add(node)


def _adjacent(pairs: Iterable[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    near: dict[int, list[int]] = {}
    for one, other in pairs:
        near.setdefault(one, []).append(other)
    return {one: tuple(sorted(others)) for one, others in near.items()}
