"""What pictures show: every node once, never too many marks, and texts that fit."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import combinations, pairwise
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.graph.algebra import Dag
from lineage.graph.draw import BADGE, LABEL, SUBLABEL, Face, Picture, draw
from lineage.graph.glyph import cells, clip, fit, width
from lineage.graph.layout import BOX_GAP
from lineage.graph.svg import render_svg
from lineage.model.edge import Edge, Relation
from lineage.model.errors import UsageError
from lineage.model.node import NodeId, NodeKind

Pipeline: TypeAlias = Callable[..., list[Edge]]
SVG = "{http://www.w3.org/2000/svg}"
PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'/**/onload='alert(1)",
    "</title></style></svg>",
    "&lt;&amp;]]>",
    "\x00\x1b[31m\u202egnp.exe\u2028",
    "\ufffe\uffff\ud800",
]


def one(kind: NodeKind = NodeKind.ARTIFACT, **face: object) -> Picture:
    node = NodeId(kind, 1)
    dag = Dag([], runs=[1]) if node.is_run else Dag([], versions=[1])
    return draw(dag, lambda _: Face(**{"label": "model:v0", **face}))  # type: ignore[arg-type]


def plain(node: NodeId) -> Face:
    if node.is_run:
        return Face(f"run-{node.id}", "train", f"sweep-{node.id % 5}", "finished")
    return Face(f"data-{node.id % 7}:v{node.id}", "dataset", f"data-{node.id % 7}", "live", (), highlight=node.id == 40)


@pytest.mark.parametrize("limit", [2, 3, 10, 50, 200])
@pytest.mark.parametrize("seed", range(2))
def test_folding_keeps_to_the_limit(seed: int, limit: int, pipeline: Pipeline) -> None:
    """However large the graph, no more marks than allowed; each node is in one mark, artifacts and runs apart, the focus alone."""
    dag = Dag(pipeline(seed))
    assert 200 < len(dag)
    picture = draw(dag, plain, limit=limit)
    assert len(picture.marks) <= limit
    assert sorted(dag.order()) == sorted(node for mark in picture.marks for node in mark.members)
    assert all({mark.kind} == {node.kind for node in mark.members} for mark in picture.marks)
    if limit > 2:
        assert [(NodeId.artifact(40),)] == [mark.members for mark in picture.marks if mark.highlight]


@pytest.mark.parametrize("limit", [10, 200, 1000])
def test_lines_are_the_edges(limit: int, pipeline: Pipeline) -> None:
    """Folded or not, two marks are joined exactly when some of their members are; the arrow follows the data."""
    dag = Dag(pipeline(1, runs=40))
    picture = draw(dag, plain, limit=limit)
    mark = {node: number for number, each in enumerate(picture.marks) for node in each.members}
    joined = {(mark[node], mark[after]) for node in dag.order() for after in dag.after(node)}
    assert {link for link in joined if link[0] != link[1]} == {(line.source, line.target) for line in picture.lines}
    for line in picture.lines:
        source, target = picture.marks[line.source], picture.marks[line.target]
        begin, end = (source.x, target.x + target.w) if line.is_back else (source.x + source.w, target.x)
        assert pytest.approx(begin, abs=0.2) == line.points[0].x
        assert pytest.approx(end, abs=0.2) == line.points[-1].x


@pytest.mark.parametrize("limit", [60, 1000])
@pytest.mark.parametrize("seed", range(2))
def test_marks_keep_apart(seed: int, limit: int, pipeline: Pipeline) -> None:
    """Where hundreds of lines compete for the room, marks still never touch, nor does a line pass one."""
    picture = draw(Dag(pipeline(seed)), plain, limit=limit)
    for one, two in combinations(picture.marks, 2):
        apart = max(two.x - one.x - one.w, one.x - two.x - two.w, two.y - one.y - one.h, one.y - two.y - two.h)
        assert BOX_GAP - 0.3 <= apart
    for start, end in {pair for line in picture.lines for pair in pairwise(line.points[:: -1 if line.is_back else 1])}:
        high, low = min(start.y, end.y), max(start.y, end.y)
        for mark in picture.marks:
            beside = mark.x + mark.w <= start.x + 0.2 or end.x - 0.2 <= mark.x
            assert beside or mark.y + mark.h < high or low < mark.y


def test_a_sweep_folds_into_a_stack() -> None:
    """The runs of a sweep and the versions they made become one mark each and say how many they are; the rest stays as it is."""
    edges = [Edge(run, 1, Relation.USED) for run in range(1, 38)] + [Edge(run, run + 1, Relation.LOGGED) for run in range(1, 38)]
    faces = {True: Face("trial", "train", "sweep"), False: Face("model:v1", "model", "model")}
    picture = draw(Dag(edges), lambda node: Face("raw:v0") if node == NodeId.artifact(1) else faces[node.is_run], limit=10)
    assert ["raw:v0", "sweep ×37", "model ×37"] == [mark.label for mark in picture.marks]
    assert 74 == picture.folded
    assert picture.marks[1].title.startswith("sweep ×37 · train\ntrial\n")
    assert picture.marks[1].title.endswith("… and 17 more")


def test_too_few_marks_are_refused() -> None:
    """One mark cannot be artifact and run."""
    with pytest.raises(UsageError, match="limit 1 leaves no room"):
        draw(Dag([]), plain, limit=1)


def test_activities_are_numbered() -> None:
    """A run that shows as several activities shows which is which."""
    dag = Dag([Edge(1, 1, Relation.LOGGED), Edge(1, 1, Relation.USED)])
    assert ["run-1 #1", "data-1:v1", "run-1 #2"] == [mark.label for mark in draw(dag, plain).marks]


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(NodeKind),
    label=st.text(max_size=80),
    sublabel=st.text(max_size=60),
    aliases=st.lists(st.text(max_size=30), max_size=4),
)
def test_texts_fit(kind: NodeKind, label: str, sublabel: str, aliases: list[str]) -> None:
    """Any text is shortened until it is narrower than what it stands in, and the picture of it is well-formed."""
    picture = one(kind, label=label, sublabel=sublabel, aliases=tuple(aliases))
    mark = picture.marks[0]
    assert width(mark.label, LABEL, bold=True) <= mark.w - 20
    assert width(mark.sublabel, SUBLABEL) <= mark.w - 20
    assert width(mark.badge, BADGE, bold=True) <= mark.w - 30
    ET.fromstring(render_svg(picture))


@given(text=st.text(max_size=40), room=st.integers(3, 40))
def test_shortening(text: str, room: int) -> None:
    """What fits is left alone; what does not keeps both ends as far as there is room."""
    assert cells(clip(text, room)) <= max(room, 3)
    assert (clip(text, room) == text) == (cells(text) <= room)
    assert fit(text, 1e6, LABEL) == text


def test_the_middle_of_a_name_goes() -> None:
    """Versions stay readable: names differ at their ends."""
    assert "a-very-lo…me:v12" == clip("a-very-long-collection-name:v12", 16)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_names_are_text(payload: str) -> None:
    """No name, type, alias, state, group or link becomes an element, an attribute or an invisible character."""
    honest = ET.fromstring(render_svg(one(sublabel="model", aliases=("a",), highlight=True)))
    dag = Dag([], versions=[1])
    face = Face(payload, payload, payload, payload, (payload,), highlight=True, link=payload)
    source = render_svg(draw(dag, lambda _: face, title=payload))
    tree = ET.fromstring(source)
    assert [(each.tag, sorted(set(each.attrib) - {"textLength", "lengthAdjust"})) for each in honest.iter()] == [
        (each.tag, sorted(set(each.attrib) - {"textLength", "lengthAdjust"})) for each in tree.iter()
    ]
    assert not set("\x00\x1b\u202e\u2028\ufffe\uffff\ud800") & set(source)


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("/project/run/7", True),
        ("https://lineage.example/a?b=1&c=2", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("data:text/html,x", False),
        ("//elsewhere.example", False),
        ("/\\elsewhere.example", False),
        ("/\t/elsewhere.example", False),
        ("", False),
    ],
)
def test_links_lead_to_pages(link: str, kept: bool) -> None:
    """A link that is not to a page of this site or an honest address is dropped."""
    tree = ET.fromstring(render_svg(one(link=link)))
    assert ([link] if kept else []) == [each.get("href") for each in tree.iter(f"{SVG}a")]


def test_the_picture_stands_alone() -> None:
    """No script, nothing from elsewhere, no id that could clash, a name for those who cannot see it, colours for dark grounds."""
    source = render_svg(one(aliases=("best",), highlight=True))
    tree = ET.fromstring(source)
    assert ("img", "Lineage of 1 nodes") == (tree.get("role"), tree.get("aria-label"))
    assert {"svg", "title", "style", "rect", "g", "text"} == {each.tag.removeprefix(SVG) for each in tree.iter()}
    assert not any("id" in each.attrib for each in tree.iter())
    assert "@media (prefers-color-scheme:dark)" in source
    assert "url(" not in source
    assert "@import" not in source


@pytest.mark.parametrize(
    ("kind", "state", "shape"),
    [
        (NodeKind.ARTIFACT, "live", "artifact"),
        (NodeKind.ARTIFACT, "expired", "artifact gone"),
        (NodeKind.RUN, "finished", "run"),
        (NodeKind.RUN, "crashed", "run failed"),
        (NodeKind.RUN, "running", "run running"),
        (NodeKind.RUN, '"><x', "run"),
    ],
)
def test_states_show(kind: NodeKind, state: str, shape: str) -> None:
    """A state that does not go without saying is said in a word and a style; a style is never named by a stranger."""
    tree = ET.fromstring(render_svg(one(kind, sublabel="type", state=state)))
    group = next(tree.iter(f"{SVG}g"))
    assert shape == group.get("class")
    said = next(each.text for each in tree.iter(f"{SVG}text") if each.get("class") == "sublabel")
    assert ("type" if state in ("live", "finished") else f"type · {state}") == said


def test_full_names_are_kept_in_titles() -> None:
    """A shortened name can be read whole."""
    name = "a" * 100 + ":v1"
    picture = one(label=name, sublabel="model", aliases=("best", "latest"))
    assert f"artifact {name} · model · best, latest" == picture.marks[0].title
    assert "…" in picture.marks[0].label


def test_a_warning_is_drawn_beside_its_node_and_explained_below() -> None:
    """A triangle, filled or hollow, and a line of legend for each kind; the picture has room for both; a fold shows the graver one."""
    warned = {1: "drifted", 2: "made from drifted"}
    dag = Dag([], versions=range(1, 4))
    picture = draw(dag, lambda node: Face(f"data:v{node.id}", group=f"g{node.id}", warning=warned.get(node.id, "")))
    plainly = draw(dag, lambda node: Face(f"data:v{node.id}", group=f"g{node.id}"))

    assert ["", "drifted", "made from drifted"] == sorted(mark.warning for mark in picture.marks)
    assert ["drifted", "made from drifted"] == [line.partition(":")[0] for line in picture.legend]
    assert picture.height > plainly.height
    assert all(width(line, 11) + 32 < picture.width for line in picture.legend)
    found = [path.get("class") for path in ET.fromstring(render_svg(picture)).iter(f"{SVG}path")]
    assert (2, 2) == (found.count("warning"), found.count("inherited"))
    assert () == plainly.legend
    folded = draw(dag, lambda node: Face(f"data:v{node.id}", group="g", warning=warned.get(node.id, "")), limit=2)
    assert "drifted" in [mark.warning for mark in folded.marks]
