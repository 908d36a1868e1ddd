"""Boxes keep apart, lines keep off boxes, and both come out the same every time."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.graph.layout import BOX_GAP, Layout, Size, arrange

boxes = st.lists(st.builds(Size, st.integers(60, 200), st.integers(30, 60)), min_size=1, max_size=25)


@st.composite
def drawings(draw: st.DrawFn) -> tuple[list[Size], list[tuple[int, int]], list[int]]:
    """Boxes, links from smaller to larger numbers, floors."""
    sizes = draw(boxes)
    number = st.integers(0, len(sizes) - 1)
    links = draw(st.lists(st.tuples(number, number).filter(lambda link: link[0] < link[1]), max_size=40)) if len(sizes) > 1 else []
    return sizes, links, draw(st.lists(st.integers(0, 1), min_size=len(sizes), max_size=len(sizes)))


def frames(layout: Layout) -> list[tuple[float, float, float, float]]:
    return [(at.x, at.y, at.x + size.w, at.y + size.h) for at, size in zip(layout.corners, layout.sizes, strict=True)]


@settings(max_examples=150, deadline=None)
@given(drawing=drawings())
def test_boxes_never_overlap(drawing: tuple[list[Size], list[tuple[int, int]], list[int]]) -> None:
    """Whatever is linked with whatever, two boxes are apart, none is smaller than asked for, and all are inside the frame."""
    layout = arrange(*drawing)
    for one, two in combinations(frames(layout), 2):
        apart = max(two[0] - one[2], one[0] - two[2], two[1] - one[3], one[1] - two[3])
        assert BOX_GAP - 0.3 <= apart
    for asked, got, (left, top, right, bottom) in zip(drawing[0], layout.sizes, frames(layout), strict=True):
        assert (asked.w, asked.h) <= (got.w, got.h)
        assert left > 0 < top
        assert (right, bottom) < (layout.width, layout.height)


@settings(max_examples=150, deadline=None)
@given(drawing=drawings())
def test_routes_lead_right_and_cross_no_box(drawing: tuple[list[Size], list[tuple[int, int]], list[int]]) -> None:
    """A link starts at its source's right edge, ends at its target's left edge, never turns back and passes no box."""
    layout = arrange(*drawing)
    around = frames(layout)
    for (source, target), route in zip(drawing[1], layout.routes, strict=True):
        assert around[source][2] == pytest.approx(route[0].x)
        assert around[target][0] == pytest.approx(route[-1].x)
        assert around[source][1] < route[0].y < around[source][3]
        assert around[target][1] < route[-1].y < around[target][3]
        for start, end in pairwise(route):
            assert start.x < end.x
            high, low = min(start.y, end.y), max(start.y, end.y)
            for left, top, right, bottom in around:
                assert right <= start.x + 0.2 or end.x - 0.2 <= left or bottom < high or low < top


@given(drawing=drawings())
@settings(max_examples=30, deadline=None)
def test_same_input_same_drawing(drawing: tuple[list[Size], list[tuple[int, int]], list[int]]) -> None:
    """A drawing is a function of what is drawn: a link given twice changes nothing else."""
    sizes, links, floors = drawing
    assert arrange(sizes, links, floors) == arrange(sizes, links, floors)
    assert arrange(sizes, links, floors).corners == arrange(sizes, [*links, *links], floors).corners


def test_a_chain_is_a_straight_line() -> None:
    """Where nothing branches, nothing bends."""
    layout = arrange([Size(80, 40)] * 6, [(number, number + 1) for number in range(5)])
    assert 1 == len({corner.y for corner in layout.corners})
    assert all(2 == len(route) for route in layout.routes)


def test_crossings_that_can_be_avoided_are() -> None:
    """Pairs linked crosswise are put side by side."""
    layout = arrange([Size(80, 40)] * 9, [(0, 3), (1, 4), (2, 5), (3, 8), (4, 7), (5, 6), (0, 4), (1, 5)])
    heights = [[layout.corners[box].y for box in row] for row in ((0, 1, 2), (3, 4, 5), (8, 7, 6))]
    ranks = [[sorted(row).index(y) for y in row] for row in heights]
    assert ranks[0] == ranks[1] == ranks[2]


def test_long_links_of_one_box_share_their_way() -> None:
    """What leaves one box for far layers runs as one line until it parts."""
    layout = arrange([Size(80, 40)] * 5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 3), (0, 4)])
    near, far = layout.routes[4], layout.routes[5]
    assert near[:-1] == far[: len(near) - 1]


def test_nothing_to_draw() -> None:
    """An empty graph is an empty frame."""
    assert ((), (), ()) == (arrange([], []).corners, arrange([], []).sizes, arrange([], []).routes)
