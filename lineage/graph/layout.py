"""Where boxes and lines go: a layered drawing, left to right.

Pure geometry: sizes and links come in, corners and routes go out; what a box means is not known here. Three steps, after Sugiyama,
Tagawa and Toda (1981):

    layers     longest path, then everything is drawn to the right as far as that shortens its links
    order      barycentre sweeps, the order with the fewest crossings is kept; a link over several layers runs through bends, and the
               links that leave one box share theirs, so that they run as one line until they part
    places     each layer is moved towards its neighbours as far as order and distance allow (isotonic regression), so links are straight

What must stay true: no two boxes overlap, no route crosses a box, every link leads to the right; the same input gives the same drawing.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

BOX_GAP = 24.0
"""Pixels between two boxes of a layer."""
BEND_GAP = 13.0
"""Pixels between a bend and what stands next to it in its layer."""
CHANNEL = (46.0, 130.0)
"""Least and most pixels between two layers; more where links climb steeply."""
NEARLY = 16.0
"""Pixels a link may climb and still be made level."""
MARGIN = 20.0
SWEEPS = 12


class Point(NamedTuple):
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Size:
    w: float
    h: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Upper left `corners` and `sizes` of the boxes (a layer's boxes are all as wide as its widest), the `routes` of the links, the frame.

    A route starts at the right edge of its source and ends at the left edge of its target; between two points of different height it is
    meant to be drawn as a curve that leaves and arrives level.
    """

    corners: tuple[Point, ...]
    sizes: tuple[Size, ...]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float


def arrange(sizes: Sequence[Size], links: Sequence[tuple[int, int]], floors: Sequence[int] | None = None) -> Layout:
    """A drawing of the acyclic `links` between the boxes of `sizes`. No box stands in a layer left of its floor.

    Parts that are not connected are drawn apart and put on shelves, the largest first.
    """
    parts = [_draw_part(part, sizes, links, floors or [0] * len(sizes)) for part in _parts(len(sizes), links)]
    return _shelve(parts, len(sizes), len(links))


@dataclass(slots=True)
class _Part:
    """A connected part, drawn from the point (0, 0)."""

    corners: dict[int, Point]
    sizes: dict[int, Size]
    routes: dict[int, tuple[Point, ...]]
    width: float
    height: float


def _parts(count: int, links: Sequence[tuple[int, int]]) -> list[list[int]]:
    near: list[list[int]] = [[] for _ in range(count)]
    for source, target in links:
        near[source].append(target)
        near[target].append(source)
    seen: set[int] = set()
    parts: list[list[int]] = []
    for start in range(count):
        if start in seen:
            continue
        seen.add(start)
        part = [start]
        for box in part:
            fresh = [other for other in dict.fromkeys(near[box]) if other not in seen]
            seen.update(fresh)
            part.extend(fresh)
        parts.append(sorted(part))
    return parts


def _draw_part(part: list[int], sizes: Sequence[Size], links: Sequence[tuple[int, int]], floors: Sequence[int]) -> _Part:
    inside = set(part)
    mine = {index: link for index, link in enumerate(links) if link[0] in inside}
    layer = _layers(part, list(mine.values()), floors)
    grid = _Grid(part, layer, mine, sizes)
    grid.untangle()
    grid.place()
    return grid.drawn()


def _layers(part: list[int], links: list[tuple[int, int]], floors: Sequence[int]) -> dict[int, int]:
    after: dict[int, list[int]] = defaultdict(list)
    before: dict[int, list[int]] = defaultdict(list)
    for source, target in links:
        after[source].append(target)
        before[target].append(source)
    layer = {box: floors[box] for box in part}
    waiting = {box: len(before[box]) for box in part}
    order = [box for box in part if not waiting[box]]
    for box in order:
        for target in after[box]:
            layer[target] = max(layer[target], layer[box] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    for box in reversed(order):
        if after[box] and len(after[box]) >= len(before[box]):
            layer[box] = min(layer[target] for target in after[box]) - 1
    return layer


class _Grid:
    """A part on its layers. Knots are its boxes, numbered as given, and negative numbers: the bends of long links."""

    def __init__(self, part: list[int], layer: dict[int, int], links: dict[int, tuple[int, int]], sizes: Sequence[Size]) -> None:
        first = min(layer.values())
        self.layer = {box: layer[box] - first for box in part}
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer.values()) + 1)]
        self.height = {box: sizes[box].h for box in part}
        self.wide = [max((sizes[box].w for box in part if self.layer[box] == at), default=0.0) for at in range(len(self.rows))]
        self.before: dict[int, list[int]] = defaultdict(list)
        self.after: dict[int, list[int]] = defaultdict(list)
        self.chains = {index: self._chain(source, target) for index, (source, target) in links.items()}
        for knot in self._by_depth_first(part):
            self.rows[self.layer[knot]].append(knot)
        self.y: dict[int, float] = {}

    def _chain(self, source: int, target: int) -> list[int]:
        """The knots from source to target, one a layer; bends of the same source are shared."""
        chain = [source]
        for at in range(self.layer[source] + 1, self.layer[target]):
            shared = next((knot for knot in self.after[chain[-1]] if knot < 0 and self.layer[knot] == at), None)
            if shared is None:
                shared = -1 - (len(self.layer) - len(self.height))
                self.layer[shared] = at
                self._join(chain[-1], shared)
            chain.append(shared)
        self._join(chain[-1], target)
        return [*chain, target]

    def _join(self, source: int, target: int) -> None:
        if target not in self.after[source]:
            self.after[source].append(target)
            self.before[target].append(source)

    def _by_depth_first(self, part: list[int]) -> list[int]:
        """A first order in which neighbours stand near each other already."""
        seen: dict[int, None] = {}
        stack = sorted((box for box in part if not self.before[box]), reverse=True)
        while stack:
            knot = stack.pop()
            if knot not in seen:
                seen[knot] = None
                stack.extend(reversed(self.after[knot]))
                stack.extend(other for other in self.before[knot] if other not in seen)
        return list(seen)

    def untangle(self) -> None:
        best, fewest = [list(row) for row in self.rows], self._crossings()
        for sweep in range(SWEEPS):
            if not fewest:
                break
            down = sweep % 2 == 0
            for row in self.rows[1:] if down else self.rows[-2::-1]:
                self._sort(row, self.before if down else self.after)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        self.rows = best
        self._swap_neighbours()

    def _sort(self, row: list[int], near: dict[int, list[int]]) -> None:
        place = self._places()
        own = {knot: index for index, knot in enumerate(row)}
        row.sort(key=lambda knot: (fmean(place[other] for other in near[knot]) if near[knot] else own[knot], own[knot]))

    def _swap_neighbours(self) -> None:
        """Exchange two that stand next to each other where that alone removes crossings."""
        place = self._places()
        for row in self.rows:
            for index in range(len(row) - 1):
                upper, lower = row[index], row[index + 1]
                change = sum(
                    (place[one] < place[two]) - (place[one] > place[two])
                    for near in (self.before, self.after)
                    for one in near[upper]
                    for two in near[lower]
                )
                if change < 0:
                    row[index], row[index + 1] = lower, upper
                    place[upper], place[lower] = index + 1, index

    def _places(self) -> dict[int, int]:
        return {knot: index for row in self.rows for index, knot in enumerate(row)}

    def _crossings(self) -> int:
        place = self._places()
        crossings = 0
        for row in self.rows:
            met: list[int] = []
            for knot in row:
                ends = sorted(place[target] for target in self.after[knot])
                crossings += sum(len(met) - bisect_right(met, end) for end in ends)
                for end in ends:
                    insort(met, end)
        return crossings

    def place(self) -> None:
        """Heights of all knots: pulled towards left, right and both neighbours in turn."""
        for row in self.rows:
            for index, knot in enumerate(row):
                self.y[knot] = index * BOX_GAP
        left, right = [self.before], [self.after]
        for near, rows in [(left, self.rows), (right, self.rows[::-1])] * 4 + [([self.before, self.after], self.rows)] * 4:
            for row in rows:
                self._settle(row, near)
        for row in self.rows:
            self._straighten(row, self.before)
        for row in self.rows[::-1]:
            self._straighten(row, self.after)

    def _settle(self, row: list[int], near: Sequence[dict[int, list[int]]]) -> None:
        wants = [self._pull(knot, [other for side in near for other in side[knot]]) for knot in row]
        offsets = [0.0]
        for upper, lower in pairwise(row):
            offsets.append(offsets[-1] + self._distance(upper, lower))
        level = _isotonic([(want - offset, weight) for (want, weight), offset in zip(wants, offsets, strict=True)])
        self.y.update(zip(row, map(float.__add__, level, offsets), strict=True))

    def _pull(self, knot: int, others: list[int]) -> tuple[float, float]:
        """Where a knot would like to be, and how much: bends pull on bends, so that long links run straight."""
        if not others:
            return self.y[knot], 0.05
        weights = [4.0 if knot < 0 and other < 0 else 1.5 if knot < 0 or other < 0 else 1.0 for other in others]
        total = sum(weights)
        return sum(weight * self.y[other] for weight, other in zip(weights, others, strict=True)) / total, total

    def _distance(self, upper: int, lower: int) -> float:
        """What lies at least between the middles of two that stand next to each other."""
        gap = BOX_GAP if upper >= 0 and lower >= 0 else BEND_GAP
        return (self.height.get(upper, 0.0) + self.height.get(lower, 0.0)) / 2 + gap

    def _straighten(self, row: list[int], near: dict[int, list[int]]) -> None:
        """Level links that are nearly level, where there is room and no link that is level already is bent."""
        for index, knot in enumerate(row):
            y = self.y[knot]
            others = [self.y[other] for other in self.before[knot] + self.after[knot]]
            aim = min((self.y[other] for other in near[knot]), key=lambda other: abs(other - y), default=y)
            lowest = self.y[row[index - 1]] + self._distance(row[index - 1], knot) if index else aim
            highest = self.y[row[index + 1]] - self._distance(knot, row[index + 1]) if index + 1 < len(row) else aim
            if y not in others and abs(aim - y) <= NEARLY and lowest <= aim <= highest:
                self.y[knot] = aim

    def drawn(self) -> _Part:
        top = min(self.y[knot] - self.height.get(knot, 0.0) / 2 for knot in self.layer)
        self.y = {knot: round(y - top, 1) for knot, y in self.y.items()}
        left = self._columns()
        corners = {box: Point(left[self.layer[box]], self.y[box] - self.height[box] / 2) for box in self.height}
        sizes = {box: Size(self.wide[self.layer[box]], self.height[box]) for box in self.height}
        routes = {index: self._route(chain, left) for index, chain in self.chains.items()}
        bottom = max(self.y[knot] + self.height.get(knot, 0.0) / 2 for knot in self.layer)
        return _Part(corners, sizes, routes, left[-1] + self.wide[-1], bottom)

    def _columns(self) -> list[float]:
        """Left edges of the layers; a channel is wider where its steepest link climbs more."""
        left = [0.0]
        for at, row in enumerate(self.rows[:-1]):
            climb = max((abs(self.y[target] - self.y[knot]) for knot in row for target in self.after[knot]), default=0.0)
            left.append(left[-1] + self.wide[at] + round(min(max(CHANNEL[0], climb * 0.28), CHANNEL[1])))
        return left

    def _route(self, chain: list[int], left: list[float]) -> tuple[Point, ...]:
        source, *bends, target = chain
        at = self.layer[source]
        points = [Point(left[at] + self.wide[at], self.y[source])]
        for bend in bends:
            at = self.layer[bend]
            points += [Point(left[at], self.y[bend]), Point(left[at] + self.wide[at], self.y[bend])]
        return (*points, Point(left[self.layer[target]], self.y[target]))


def _isotonic(wanted: Sequence[tuple[float, float]]) -> list[float]:
    """The rising values nearest to the wanted ones by weighted squares: pool adjacent violators."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in wanted:
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            other = pools.pop()
            total = other[1] + pool[1]
            pool = ((other[0] * other[1] + pool[0] * pool[1]) / total, total, other[2] + pool[2])
        pools.append(pool)
    return [value for value, _, count in pools for _ in range(count)]


def _shelve(parts: list[_Part], boxes: int, links: int) -> Layout:
    parts = sorted(parts, key=lambda part: -part.height * part.width)
    area = sum((part.width + BOX_GAP) * (part.height + BOX_GAP) for part in parts)
    frame = max([part.width for part in parts] + [(area * 1.8) ** 0.5])
    corners, sizes = [Point(0, 0)] * boxes, [Size(0, 0)] * boxes
    routes: list[tuple[Point, ...]] = [()] * links
    x = y = shelf = MARGIN
    for part in parts:
        if x > MARGIN and x + part.width > frame + MARGIN:
            x, y = MARGIN, shelf + BOX_GAP
        move = _mover(x, y)
        for box, corner in part.corners.items():
            corners[box], sizes[box] = move(corner), part.sizes[box]
        for index, route in part.routes.items():
            routes[index] = tuple(map(move, route))
        x, shelf = x + part.width + 2 * BOX_GAP, max(shelf, y + part.height)
    right = max((corner.x + size.w for corner, size in zip(corners, sizes, strict=True)), default=MARGIN)
    return Layout(tuple(corners), tuple(sizes), tuple(routes), right + MARGIN, shelf + MARGIN)


def _mover(x: float, y: float) -> Callable[[Point], Point]:
    return lambda point: Point(round(point.x + x, 1), round(point.y + y, 1))
