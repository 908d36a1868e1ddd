"""How wide a name is, on a page and in a terminal, and how to shorten it so that it fits.

Estimates, made to be too wide rather than too narrow: the advances are those of DejaVu Sans, the widest of the usual sans-serifs, and
bold on top. Which font a reader has is not known here, and a name must not leave its box anyway.
"""

import unicodedata

from storage.entry import printable

_ADVANCES = {
    0.29: "ijlI'|",
    0.34: ",.:;·!/\\- `",
    0.42: 'frt()[]{}J"',
    0.51: "_sz°*",
    0.62: "abcdeghknopquvxyFLPETYZ?$0123456789",
    0.71: "ABCKRSVX&",
    0.79: "DGHNOQU#+<=>~^",
    0.84: "Mw×",
    1.0: "WMm%@…—",
}
_NARROW = {glyph: advance for advance, glyphs in _ADVANCES.items() for glyph in glyphs}
_UNLISTED = 0.8
_FULL = 1.25
_BOLD = 1.13


def shown(text: str) -> str:
    """`text` as a reader may see it: nothing invisible, nothing that turns the line around, and only what XML can hold."""
    return "".join("\ufffd" if ord(glyph) & 0xFFFE == 0xFFFE else glyph for glyph in printable(text))


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Pixels that `text` needs at most, set in `size` pixels."""
    return sum(map(_advance, text)) * size * (_BOLD if bold else 1)


def fit(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """`text`, shortened to `room` pixels: the middle goes, because names differ at their ends."""
    if width(text, size, bold=bold) <= room:
        return text
    kept = len(text) - 1
    while kept > 1 and width(_without_middle(text, kept), size, bold=bold) > room:
        kept -= 1
    return _without_middle(text, kept)


def cells(text: str) -> int:
    """Columns `text` takes in a terminal."""
    return sum(map(_cells, text))


def clip(text: str, room: int) -> str:
    """`text`, shortened to `room` columns in the same way."""
    if cells(text) <= room:
        return text
    kept = min(len(text), room) - 1
    while kept > 1 and cells(_without_middle(text, kept)) > room:
        kept -= 1
    return _without_middle(text, kept)


def _without_middle(text: str, kept: int) -> str:
    """`kept` characters of `text`, more of them from its beginning, and an ellipsis; a cut never leaves a bare combining mark."""
    tail = kept * 2 // 5
    end = text[len(text) - tail :] if tail else ""
    while end and unicodedata.combining(end[0]):
        end = end[1:]
    return f"{text[: max(kept - tail, 0)]}…{end}"


def _advance(glyph: str) -> float:
    if glyph in _NARROW:
        return _NARROW[glyph]
    if unicodedata.combining(glyph):
        return 0.0
    return _FULL if unicodedata.east_asian_width(glyph) in "WF" else _UNLISTED


def _cells(glyph: str) -> int:
    if unicodedata.combining(glyph):
        return 0
    return 2 if unicodedata.east_asian_width(glyph) in "WF" else 1
