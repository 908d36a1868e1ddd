"""A lineage as a tree in a terminal: what the focus is made from, then what went on from it.

    ■ model:v7  model  best

    made from
    └─ ● bright-sun  train
       ├─ ■ clean:v3  dataset
       │  └─ ● wise-cloud  clean
       └─ □ raw:v0  dataset  expired  ↑ see above

A graph is no tree: a node that was drawn with its branches is referred to when it comes again. No line is wider than asked for, nothing
is coloured here, and the depth of a lineage is no depth of calls.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from textwrap import wrap

from lineage.graph.algebra import Dag
from lineage.graph.draw import QUIET, WARNINGS, Face
from lineage.graph.glyph import cells, clip, shown
from lineage.model.edge import Direction
from lineage.model.errors import UsageError
from lineage.model.node import NodeId

WIDTH = 100
NARROWEST = 40
SIBLINGS = 12
NAME = 14
"""Columns that every name gets at least; a branch that would leave it less goes on no further."""

_SIGNS = {False: "■", True: "●"}
_STATE_SIGNS = {
    "expired": "□",
    "deleted": "□",
    "running": "○",
    "pending": "○",
    "failed": "✗",
    "crashed": "✗",
    "killed": "✗",
}
_HEADINGS = {
    (False, Direction.UP): "made from",
    (False, Direction.DOWN): "went into",
    (True, Direction.UP): "used",
    (True, Direction.DOWN): "made",
}
_WARNING_SIGNS = dict(zip(WARNINGS, "▲△", strict=True))
_SEEN = "↑ see above"
_BEYOND = "… goes on"
_AROUND_NAME = len("├─ ■ ") + len("  ") + len(_SEEN)

Describe = Callable[[NodeId], Face]
Paint = Callable[[str, Face], str]


def render_text(
    dag: Dag,
    focus: NodeId,
    describe: Describe,
    *,
    width: int = WIDTH,
    siblings: int = SIBLINGS,
    depth: int | None = None,
    paint: Paint | None = None,
) -> str:
    """The tree up and down from `focus`, every line at most `width` columns.

    `siblings` limits the branches of one node, `depth` the levels (artifact → run → artifact). `paint` is given each name, shortened
    already, and its face, and gives back what to print instead: colour codes, a hyperlink.

    Raises:
        NotFound: `focus` is not in the graph.
        UsageError: a width below 40, or less than one sibling or level.
    """
    if width < NARROWEST or siblings < 1 or (depth is not None and depth < 1):
        raise UsageError(f"cannot draw in {width} columns, {siblings} siblings, {depth} levels: give at least {NARROWEST}, 1 and 1")
    tree = _Tree(dag, describe, width, siblings, paint or (lambda name, _: name))
    lines = [tree.line("", focus, "")]
    for direction in Direction:
        branches = list(tree.branches(focus, direction, depth))
        if branches:
            lines += ["", _HEADINGS[focus.is_run, direction], *branches]
    told = [
        line
        for warning in WARNINGS
        if warning in tree.warned
        for line in wrap(f"{_WARNING_SIGNS[warning]} {warning}: {WARNINGS[warning]}", width)
    ]
    return "\n".join([*lines, *([""] if told else []), *told]) + "\n"


@dataclass(slots=True)
class _Twig:
    """A line still to be drawn: a node, or a remark in its place."""

    node: NodeId | None
    remark: str
    indent: str
    is_last: bool = False


@dataclass(slots=True)
class _Tree:
    dag: Dag
    describe: Describe
    width: int
    siblings: int
    paint: Paint
    drawn: set[tuple[NodeId, Direction]] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)

    def branches(self, focus: NodeId, direction: Direction, depth: int | None) -> Iterator[str]:
        """The lines below the focus, depth first, with a stack of our own."""
        inner = None if depth is None else self._within(focus, direction, 2 * depth - focus.is_run)
        stack = self._twigs(focus, direction, "", inner)
        while stack:
            twig = stack.pop()
            head = twig.indent + ("└─ " if twig.is_last else "├─ ")
            if twig.node is None:
                yield f"{head}{twig.remark}"
                continue
            is_again = (twig.node, direction) in self.drawn
            yield self.line(head, twig.node, _SEEN if is_again else "")
            if not is_again:
                stack += self._twigs(twig.node, direction, twig.indent + ("   " if twig.is_last else "│  "), inner)

    def _within(self, focus: NodeId, direction: Direction, steps: int) -> set[NodeId]:
        """The nodes less than `steps` away: those whose branches are drawn, wherever the tree comes to them first."""
        inner, edge = {focus}, [focus]
        for _ in range(steps - 1):
            edge = list({each for node in edge for each in self._beside(node, direction)} - inner)
            inner.update(edge)
        return inner

    def _twigs(self, node: NodeId, direction: Direction, indent: str, inner: set[NodeId] | None) -> list[_Twig]:
        """What is to be drawn below `node`, the first of it last."""
        near = self._beside(node, direction)
        if not near:
            return []
        if cells(indent) + NAME + _AROUND_NAME > self.width or (inner is not None and node not in inner):
            return [_Twig(None, _BEYOND, indent, is_last=True)]
        self.drawn.add((node, direction))
        twigs = [_Twig(each, "", indent) for each in near[: self.siblings]]
        if len(near) > self.siblings:
            twigs.append(_Twig(None, f"… {len(near) - self.siblings} more", indent))
        twigs[-1].is_last = True
        return twigs[::-1]

    def _beside(self, node: NodeId, direction: Direction) -> tuple[NodeId, ...]:
        return self.dag.before(node) if direction is Direction.UP else self.dag.after(node)

    def line(self, head: str, node: NodeId, remark: str) -> str:
        """`head`, the sign, the name, then whatever of warning, type, state, aliases and remark there is room for; the remark first of all."""
        face = self.describe(node.whole)
        number = f" #{node.activity}" if node.activity else ""
        sign = _WARNING_SIGNS.get(face.warning) or _STATE_SIGNS.get(face.state, _SIGNS[node.is_run])
        start = f"{head}{sign} "
        end = f"  {remark}" if remark else ""
        room = self.width - cells(start) - cells(end)
        name = clip(shown(face.label), room - cells(number)) + number
        room -= cells(name)
        state = "" if face.state in QUIET else face.state
        facts = []
        self.warned.update(filter(None, [face.warning]))
        for fact in filter(None, [face.warning, shown(face.sublabel), shown(state), ", ".join(map(shown, face.aliases))]):
            if cells(fact) + 2 <= room:
                facts.append(f"  {fact}")
                room -= cells(fact) + 2
        return f"{start}{self.paint(name, face)}{''.join(facts)}{end}"
