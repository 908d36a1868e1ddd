"""What a picture of the graph shows: marks with words in them and lines between them, as a value that can be printed and tested.

How a node looks to people is told by its `Face`; names are made fit for their eyes here, once, so whatever renders a picture has nothing
left to shorten. Rendering is elsewhere (`lineage.graph.svg`). What must stay true: every node of the graph is in exactly one mark, no
two marks overlap, and no text is wider than its mark.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lineage.graph.algebra import Dag, cut_cycles
from lineage.graph.fold import LIMIT, fold
from lineage.graph.glyph import fit, shown, width
from lineage.graph.layout import Layout, Point, Size, arrange
from lineage.model.node import NodeId, NodeKind

LABEL, SUBLABEL, BADGE = 13.0, 11.0, 9.5
"""Sizes in pixels; labels and badges are set bold."""
ROOM = 184.0
"""Pixels a text may take before it is shortened."""
PADDING = {NodeKind.ARTIFACT: 14.0, NodeKind.RUN: 20.0}
"""Between a text and the left and right edge; a pill's ends are round."""
NARROWEST = 76.0
QUIET = frozenset({"", "live", "finished"})
"""States that go without saying."""
WARNINGS = {
    "drifted": "a reference no longer leads to what was pinned: 'lineage check' tells which",
    "made from drifted": "something it was made from has such a reference",
}
"""What a warning mark on a node can say, the graver first, and what it means."""
LEGEND, LEGEND_LINE = 11.0, 18.0
NAMED = 20
"""Members of a folded mark that its title names."""


@dataclass(frozen=True, slots=True)
class Face:
    """How a node looks to people: `label` names it, `group` is what it is folded with, `state` what became of it.

    `sublabel` is the artifact's type or the run's job type. `highlight` marks what the picture is about; it is folded last. `link` is
    where a click leads. `warning` is a key of `WARNINGS`: the node is marked, and the picture says what the mark means.
    """

    label: str
    sublabel: str = ""
    group: str = ""
    state: str = ""
    aliases: tuple[str, ...] = ()
    highlight: bool = False
    link: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A box or pill: one node, or several folded. `label`, `sublabel` and `badge` fit into it; `title` has the full names."""

    members: tuple[NodeId, ...]
    kind: NodeKind
    label: str
    sublabel: str
    badge: str
    title: str
    state: str
    highlight: bool
    link: str
    warning: str
    x: float
    y: float
    w: float
    h: float

    @property
    def is_folded(self) -> bool:
        return len(self.members) > 1


@dataclass(frozen=True, slots=True)
class Line:
    """An edge between the marks numbered `source` and `target`; `is_back` when folding made it run from right to left."""

    source: int
    target: int
    points: tuple[Point, ...]
    is_back: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    marks: tuple[Mark, ...]
    lines: tuple[Line, ...]
    width: float
    height: float
    title: str
    legend: tuple[str, ...] = ()
    """What the marks mean that need words, a line each; `height` and `width` have room for them."""

    @property
    def folded(self) -> int:
        """How many nodes have no mark of their own."""
        return sum(len(mark.members) for mark in self.marks if mark.is_folded)


def draw(dag: Dag, describe: Callable[[NodeId], Face], *, limit: int = LIMIT, title: str = "") -> Picture:
    """The picture of `dag` in at most `limit` marks. `describe` is asked about whole runs; their activities are numbered here.

    Raises:
        UsageError: a limit below two.
    """
    faces = {node: describe(node.whole) for node in dag.order()}
    kept = [node for node, face in faces.items() if face.highlight]
    folds = fold(dag, {node: face.group for node, face in faces.items()}, kept, limit)
    words = [_words(members, faces) for members in folds]
    ahead, back = cut_cycles(_links(dag, folds))
    turned = [(target, source) for source, target in back]
    layout = arrange([word.size for word in words], [*ahead, *turned], [int(word.kind is NodeKind.RUN) for word in words])
    lines = [Line(*link, layout.routes[index]) for index, link in enumerate(ahead)]
    lines += [Line(*link, layout.routes[index][::-1], is_back=True) for index, link in enumerate(back, len(ahead))]
    marks = tuple(_mark(number, word, layout) for number, word in enumerate(words))
    legend = tuple(f"{warning}: {meaning}" for warning, meaning in WARNINGS.items() if any(mark.warning == warning for mark in marks))
    wide = max(layout.width, *(width(text, LEGEND) + 40 for text in legend)) if legend else layout.width
    name = shown(title) or f"Lineage of {len(dag)} nodes"
    return Picture(marks, tuple(lines), wide, layout.height + LEGEND_LINE * len(legend), name, legend)


def _links(dag: Dag, folds: Sequence[tuple[NodeId, ...]]) -> list[tuple[int, int]]:
    number = {node: index for index, members in enumerate(folds) for node in members}
    links = ((number[node], number[after]) for node in number for after in dag.after(node))
    return list(dict.fromkeys(link for link in links if link[0] != link[1]))


@dataclass(frozen=True, slots=True)
class _Words:
    """A mark before it has a place."""

    members: tuple[NodeId, ...]
    kind: NodeKind
    label: str
    sublabel: str
    aliases: str
    title: str
    face: Face

    @property
    def size(self) -> Size:
        needs = (
            width(self.label, LABEL, bold=True),
            width(self.sublabel, SUBLABEL),
            min(width(self.aliases, BADGE, bold=True), ROOM / 2) + 12,
        )
        return Size(round(max(NARROWEST, max(needs) + 2 * PADDING[self.kind])), 48.0 if self.sublabel else 34.0)


def _words(members: tuple[NodeId, ...], faces: Mapping[NodeId, Face]) -> _Words:
    face = faces[members[0]] if len(members) == 1 else _joint([faces[node] for node in members], members[0].kind)
    number = f" #{members[0].activity}" if len(members) == 1 and members[0].activity else ""
    counted = f" ×{len(members)}" if len(members) > 1 else number
    label = fit(shown(face.label), ROOM - width(counted, LABEL, bold=True), LABEL, bold=True) + counted
    state = "" if face.state in QUIET else shown(face.state)
    sublabel = fit(" · ".join(filter(None, [shown(face.sublabel), state])), ROOM, SUBLABEL)
    aliases = ", ".join(map(shown, face.aliases))
    return _Words(members, NodeKind(members[0].kind), label, sublabel, aliases, _title(members, faces, face, counted), face)


def _joint(faces: Sequence[Face], kind: NodeKind) -> Face:
    """The face of a fold: what all of its members share."""

    def shared(values: set[str]) -> str:
        return values.pop() if len(values) == 1 else ""

    group = shared({face.group for face in faces}) or f"{kind}s"
    sublabel = shared({face.sublabel for face in faces})
    warning = next((each for each in WARNINGS if any(face.warning == each for face in faces)), "")
    return Face(group, sublabel, group, shared({face.state for face in faces}), (), any(face.highlight for face in faces), "", warning)


def _title(members: tuple[NodeId, ...], faces: Mapping[NodeId, Face], face: Face, counted: str) -> str:
    head = " · ".join(filter(None, [f"{face.label}{counted}", face.sublabel, face.state, ", ".join(face.aliases), face.warning]))
    if len(members) == 1:
        return f"{members[0].kind} {shown(head)}"
    names = [shown(faces[node].label) for node in members[:NAMED]]
    more = [f"… and {len(members) - NAMED} more"] if len(members) > NAMED else []
    return "\n".join([shown(head), *names, *more])


def _mark(number: int, words: _Words, layout: Layout) -> Mark:
    corner, size = layout.corners[number], layout.sizes[number]
    badge = fit(words.aliases, size.w - 32, BADGE, bold=True)
    face = words.face
    place = (corner.x, corner.y, size.w, size.h)
    return Mark(
        words.members,
        words.kind,
        words.label,
        words.sublabel,
        badge,
        words.title,
        face.state,
        face.highlight,
        face.link,
        face.warning,
        *place,
    )
