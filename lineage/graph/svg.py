"""A picture as one SVG: a file that stands alone, in a page or in a paper.

No script, no font, no image, nothing from elsewhere. Names come from anybody, so every text passes `_text`; a class is taken from a
table, never from a state's name; a link that is not to a page is dropped. Colours are written out for light and for dark grounds,
without variables, because converters know none. What a colour says is said by shape, stroke or word as well: artifacts are boxes, runs
pills, what is gone is dashed, a fold looks like a stack, what has drifted carries a triangle that the picture's last lines explain.
"""

import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import pairwise

from lineage.graph.draw import BADGE, LABEL, LEGEND, LEGEND_LINE, SUBLABEL, WARNINGS, Line, Mark, Picture
from lineage.graph.glyph import width
from lineage.graph.layout import Point
from lineage.model.node import NodeKind

_TONES = {
    "failed": "failed",
    "crashed": "failed",
    "killed": "failed",
    "running": "running",
    "pending": "running",
    "expired": "gone",
    "deleted": "gone",
}
_SHAPES = {NodeKind.ARTIFACT: "artifact", NodeKind.RUN: "run"}
_PAGE = re.compile(r"(https?://|\./|[?#]|/(?![/\\]))[!-\[\]-~]*")
"""An address, or a place on this site: browsers read a backslash as a slash and skip blanks, so neither may be in it."""
_COLOURS = (
    # what                  property  on light    on dark
    (".ground", "fill", "#ffffff", "#0f1623"),
    (".line", "stroke", "#98a4b5", "#5d6b80"),
    (".tip", "fill", "#98a4b5", "#5d6b80"),
    (".lit", "stroke", "#3d63dd", "#8aa6ff"),
    (".lit-tip", "fill", "#3d63dd", "#8aa6ff"),
    (".artifact .body", "fill", "#eef4fd", "#17263f"),
    (".artifact .body", "stroke", "#6f97d6", "#5f8fdc"),
    (".run .body", "fill", "#fdf5e6", "#33291a"),
    (".run .body", "stroke", "#cf9f4a", "#c3944a"),
    (".running .body", "fill", "#eaf7ee", "#14301f"),
    (".running .body", "stroke", "#3f9d62", "#4fb477"),
    (".failed .body", "fill", "#fdeeee", "#3a1d20"),
    (".failed .body", "stroke", "#cc4b4b", "#e06c6c"),
    (".gone .body", "fill", "#f7f8fa", "#141b27"),
    (".gone .body", "stroke", "#98a4b5", "#6b7a90"),
    (".focus .body", "stroke", "#3d63dd", "#8aa6ff"),
    (".halo", "stroke", "#c9d6fb", "#2f4377"),
    (".label", "fill", "#17202e", "#edf2fa"),
    (".sublabel", "fill", "#566376", "#a9b6c8"),
    (".gone .label", "fill", "#566376", "#a9b6c8"),
    (".chip", "fill", "#3f5f9e", "#a9c2f5"),
    (".badge", "fill", "#ffffff", "#0f1623"),
    (".warning", "fill", "#c2410c", "#f59e5b"),
    (".bang", "stroke", "#ffffff", "#0f1623"),
    (".inherited", "fill", "#ffffff", "#0f1623"),
    (".inherited", "stroke", "#c2410c", "#f59e5b"),
    (".inherited+.bang", "stroke", "#c2410c", "#f59e5b"),
    (".legend", "fill", "#566376", "#a9b6c8"),
)
_RULES = (
    'text{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,"DejaVu Sans",sans-serif;text-anchor:middle}',
    f".label{{font-size:{LABEL:g}px;font-weight:600}}",
    f".sublabel{{font-size:{SUBLABEL:g}px}}",
    f".badge{{font-size:{BADGE:g}px;font-weight:600}}",
    ".line{fill:none;stroke-width:1.3}",
    ".body{stroke-width:1.3}",
    ".gone .body{stroke-dasharray:5 3.5}",
    ".back{stroke-dasharray:2 3}",
    ".focus .body{stroke-width:2.2}",
    ".halo{fill:none;stroke-width:5}",
    ".bang{stroke-width:1.6;stroke-linecap:round}",
    ".inherited{stroke-width:1.3;stroke-linejoin:round}",
    f".legend{{font-size:{LEGEND:g}px;text-anchor:start}}",
    "a:hover .body{stroke-width:2.2}",
)


def render_svg(picture: Picture) -> str:
    """`picture` as SVG text, well-formed XML, readable on light and on dark grounds."""
    w, h = f"{picture.width:g}", f"{picture.height:g}"
    frame, name = f'viewBox="0 0 {w} {h}" width="{w}" height="{h}"', _text(picture.title)
    lit = {number for number, mark in enumerate(picture.marks) if mark.highlight}
    lines = sorted(picture.lines, key=lambda line: _is_lit(line, lit))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage-picture" {frame} role="img" aria-label="{name}">',
            f"<title>{name}</title>",
            f"<style>{_style()}</style>",
            f'<rect class="ground" width="{w}" height="{h}"/>',
            *(_box(mark, "halo", grow=3.5) for mark in picture.marks if mark.highlight),
            *(_line(line, lit=_is_lit(line, lit)) for line in lines),
            *(part for mark in picture.marks for part in _mark(mark)),
            *(part for part in _legend(picture)),
            "</svg>\n",
        ]
    )


def _style() -> str:
    """Every rule names the picture first: in a page, nothing else is touched."""
    light, dark = ("".join(_scoped(f"{what}{{{name}:{pair[at]}}}") for what, name, *pair in _COLOURS) for at in (0, 1))
    return "".join(map(_scoped, _RULES)) + light + f"@media (prefers-color-scheme:dark){{{dark}}}"


def _scoped(rule: str) -> str:
    return f".lineage-picture {rule}"


def _is_lit(line: Line, lit: set[int]) -> bool:
    return line.source in lit or line.target in lit


def _line(line: Line, *, lit: bool) -> str:
    """A curve and its tip. The tip is a shape of its own: markers need ids, and ids clash when two pictures share a page."""
    kind = f"line{' lit' if lit else ''}{' back' if line.is_back else ''}"
    x, y = line.points[-1]
    side = 7 if line.is_back else -7
    tip = f"M{x:g} {y:g}l{side} -3.6l{-side * 0.2:g} 3.6l{side * 0.2:g} 3.6z"
    return f'<path class="{kind}" d="{"".join(_curve(line.points, side * 0.8))}"/><path class="{"lit-tip" if lit else "tip"}" d="{tip}"/>'


def _curve(points: tuple[Point, ...], short: float) -> Iterator[str]:
    points = (*points[:-1], Point(points[-1].x + short, points[-1].y))
    yield f"M{points[0].x:g} {points[0].y:g}"
    for start, end in pairwise(points):
        middle = round((start.x + end.x) / 2, 1)
        if start.y == end.y:
            yield f"H{end.x:g}"
        else:
            yield f"C{middle:g} {start.y:g} {middle:g} {end.y:g} {end.x:g} {end.y:g}"


def _mark(mark: Mark) -> Iterator[str]:
    linked = _PAGE.fullmatch(mark.link) is not None
    classes = [_SHAPES[mark.kind], _TONES.get(mark.state, ""), "focus" if mark.highlight else ""]
    yield f'<g class="{" ".join(filter(None, classes))}"><title>{_text(mark.title)}</title>'
    if linked:
        yield f'<a href="{_text(mark.link)}">'
    yield from _body(mark)
    yield from _words(mark)
    if mark.warning:
        yield from _triangle(mark.warning, mark.x + 2, mark.y + 5)
    yield "</a></g>" if linked else "</g>"


def _body(mark: Mark) -> Iterator[str]:
    if mark.is_folded:
        yield _box(mark, "body", shift=5)
        yield _box(mark, "body", shift=2.5)
    yield _box(mark, "body")


def _box(mark: Mark, kind: str, *, grow: float = 0, shift: float = 0) -> str:
    h = mark.h + 2 * grow
    round_by = h / 2 if mark.kind is NodeKind.RUN else 7 + grow
    x, y = mark.x - grow + shift, mark.y - grow - shift
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{mark.w + 2 * grow:g}" height="{h:g}" rx="{round_by:g}"/>'


def _words(mark: Mark) -> Iterator[str]:
    x, y = mark.x + mark.w / 2, mark.y + mark.h / 2
    yield _set("label", x, y - 1.5 if mark.sublabel else y + 4.5, mark.label, width(mark.label, LABEL, bold=True))
    if mark.sublabel:
        yield _set("sublabel", x, y + 15, mark.sublabel, width(mark.sublabel, SUBLABEL))
    if mark.badge:
        long = width(mark.badge, BADGE, bold=True)
        left = mark.x + mark.w - long - 22
        yield f'<rect class="chip" x="{left:g}" y="{mark.y - 10:g}" width="{long + 12:g}" height="15" rx="7.5"/>'
        yield _set("badge", left + long / 2 + 6, mark.y + 1, mark.badge, long)


def _triangle(warning: str, x: float, y: float) -> Iterator[str]:
    """A warning sign with its lower left corner there: filled for what is wrong itself, hollow for what was made from it."""
    kind = "warning" if warning == next(iter(WARNINGS)) else "inherited"
    yield f'<path class="{kind}" d="M{x:g} {y:g}h15l-7.5 -13z"/>'
    yield f'<path class="bang" d="M{x + 7.5:g} {y - 8.5:g}v3.6M{x + 7.5:g} {y - 2.2:g}v0.1"/>'


def _legend(picture: Picture) -> Iterator[str]:
    """What the triangles mean, below everything else."""
    top = picture.height - LEGEND_LINE * len(picture.legend)
    for number, text in enumerate(picture.legend):
        y = top + LEGEND_LINE * (number + 0.5)
        yield from _triangle(text.partition(":")[0], 10, y + 3)
        yield f'<text class="legend" x="32" y="{y:g}">{_text(text)}</text>'


def _set(kind: str, x: float, y: float, text: str, room: float) -> str:
    """A line of text. Letters whose width nobody can guess are held to the room that was left for them."""
    held = "" if _is_plain(text) else f' textLength="{room:.1f}" lengthAdjust="spacingAndGlyphs"'
    return f'<text class="{kind}" x="{x:g}" y="{y:g}"{held}>{_text(text)}</text>'


def _is_plain(text: Iterable[str]) -> bool:
    return all(letter < "\u0250" or letter in "…–—" for letter in text)


def _text(text: str) -> str:
    """`text` as XML content or attribute value; the control characters XML forbids were made visible when the picture was drawn."""
    return escape(text, quote=True)
