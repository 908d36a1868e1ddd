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

from lineage.graph.algebra import Dag
from lineage.graph.draw import QUIET, Face
from lineage.graph.glyph import cells, clip, shown
from lineage.graph.traverse import NodeId
from lineage.model.edge import Direction
from lineage.model.errors import UsageError

WIDTH = 100
NARROWEST = 40
SIBLINGS = 12
NAME = 16
"""Columns that a name keeps; a branch that leaves less than these and its mark goes on no further."""

_SIGNS = {False: "■", True: "●"}
_STATE_SIGNS = {
    "expired": "□",
    "deleted": "□",
    "erased": "□",
    "reclaimed": "□",
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
_SEEN = "↑ see above"

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
    tree = _Tree(dag, describe, width, siblings, None if depth is None else 2 * depth, paint or (lambda name, _: name))
    lines = [tree.line("", focus, "")]
    for direction in Direction:
        branches = list(tree.branches(focus, direction))
        if branches:
            lines += ["", _HEADINGS[focus.is_run, direction], *branches]
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class _Twig:
    """A line still to be drawn: a node, or a remark in its place."""

    node: NodeId | None
    remark: str
    indent: str
    is_last: bool
    level: int


@dataclass(slots=True)
class _Tree:
    dag: Dag
    describe: Describe
    width: int
    siblings: int
    depth: int | None
    paint: Paint
    drawn: set[tuple[NodeId, Direction]] = field(default_factory=set)

    def branches(self, focus: NodeId, direction: Direction) -> Iterator[str]:
        """The lines below the focus, depth first, with a stack of our own."""
        self.drawn.add((focus, direction))
        stack = self._twigs(focus, direction, "", 1)[::-1]
        while stack:
            twig = stack.pop()
            head = twig.indent + ("└─ " if twig.is_last else "├─ ")
            if twig.node is None:
                yield clip(head + twig.remark, self.width)
                continue
            further = self._beside(twig.node, direction)
            is_again = bool(further) and (twig.node, direction) in self.drawn
            yield self.line(head, twig.node, _SEEN if is_again else "")
            if further and not is_again:
                self.drawn.add((twig.node, direction))
                stack += self._twigs(twig.node, direction, twig.indent + ("   " if twig.is_last else "│  "), twig.level + 1)[::-1]

    def _twigs(self, node: NodeId, direction: Direction, indent: str, level: int) -> list[_Twig]:
        near = self._beside(node, direction)
        if not near:
            return []
        if cells(indent) + NAME + 5 > self.width or (self.depth is not None and level > self.depth):
            return [_Twig(None, f"… {len(near)} more, and what lies behind", indent, is_last=True, level=level)]
        kept = near if len(near) <= self.siblings else near[: self.siblings]
        twigs = [_Twig(each, "", indent, is_last=False, level=level) for each in kept]
        if len(near) > len(kept):
            twigs.append(_Twig(None, f"… {len(near) - len(kept)} more", indent, is_last=False, level=level))
        twigs[-1].is_last = True
        return twigs

    def _beside(self, node: NodeId, direction: Direction) -> tuple[NodeId, ...]:
        return self.dag.before(node) if direction is Direction.UP else self.dag.after(node)

    def line(self, head: str, node: NodeId, remark: str) -> str:
        """`head`, the sign, the name, then whatever of type, state, aliases and remark there is room for; the remark first of all."""
        face = self.describe(node.whole)
        number = f" #{node.activity}" if node.activity else ""
        start = f"{head}{_STATE_SIGNS.get(face.state, _SIGNS[node.is_run])} "
        end = f"  {remark}" if remark else ""
        room = self.width - cells(start) - cells(end)
        name = clip(shown(face.label), room - cells(number)) + number
        room -= cells(name)
        state = "" if face.state in QUIET else face.state
        facts = []
        for fact in filter(None, [shown(face.sublabel), shown(state), ", ".join(map(shown, face.aliases))]):
            if cells(fact) + 2 <= room:
                facts.append(f"  {fact}")
                room -= cells(fact) + 2
        return f"{start}{self.paint(name, face)}{''.join(facts)}{end}"
