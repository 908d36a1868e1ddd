"""Metadata, configuration and summaries: JSON values, checked once at the door and kept as canonical text.

What may be in a document: objects with text keys, lists, text, finite numbers, booleans, null. Limits keep a document small enough to be
a row: `MAX_BYTES` encoded, `MAX_KEYS` keys in all, `MAX_DEPTH` levels, integers within 64 bits. NumPy scalars and arrays, sets, tuples,
paths, dates and bytes become what a reader would expect; anything else is refused with the key that holds it. Keys are inert data.

Metrics alone may hold NaN and infinities (`metric.py`).
"""

import datetime as dt
import json
import math
import os
from collections.abc import Mapping
from typing import Any

from lineage.model.errors import InvalidMetadata

MAX_BYTES = 1 << 20
MAX_KEYS = 10_000
MAX_DEPTH = 64
MAX_INTEGER = 2**63 - 1
_LONGEST = 4 * MAX_BYTES
"""Characters of JSON text that are read at all: escapes take three times the room of what they stand for, line breaks and indents some more."""
_SHOWN = 200
"""Characters of the way to a value that messages show; the way to each of a million values must not be as long as its keys."""

Document = dict[str, Any]


def check_document(value: object, what: str = "metadata") -> Document:
    """`value` as plain JSON data, a copy that shares nothing with it.

    Raises:
        InvalidMetadata: naming the key and what is wrong with it.
    """
    if value is None:
        return {}
    if isinstance(value, str):
        if len(value) > _LONGEST:
            raise InvalidMetadata(f"{what} is a text of {len(value):,} characters: at most {MAX_BYTES:,} bytes are allowed")
        value = parse_json(value, what)
    if not isinstance(value, Mapping):
        raise InvalidMetadata(f"{what} must be a dictionary, not {type(value).__name__}")
    checked = _Check(what).plain(value, what, 0)
    size = len(canonical(checked).encode())
    if size > MAX_BYTES:
        raise InvalidMetadata(f"{what} takes {size:,} bytes: at most {MAX_BYTES:,} are allowed; log large values as files of the artifact")
    return dict(checked)


def parse_json(text: str, what: str = "metadata") -> Any:
    """The value of strict JSON text: no duplicate keys, no NaN, no endless digits.

    Raises:
        InvalidMetadata: with the place where it went wrong.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise InvalidMetadata(f"{what} has the key {key!r} twice")
            found[key] = value
        return found

    def refuse(name: str) -> Any:
        raise InvalidMetadata(f"{what} holds {name}, which JSON cannot")

    if text.count("[") + text.count("{") > MAX_DEPTH and _nesting(text) > MAX_DEPTH:
        raise InvalidMetadata(f"{what} is nested deeper than {MAX_DEPTH} levels")
    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidMetadata):
            raise
        raise InvalidMetadata(f"{what} is not JSON: {error}") from error


def check_words(value: object, what: str) -> str | None:
    """A note, description or display name as it is kept: any text that every catalogue can hold, or `None`.

    Raises:
        InvalidMetadata: not text, not UTF-8, with a NUL character, or longer than `MAX_BYTES`.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidMetadata(f"{what} must be text, not {type(value).__name__} {value!r}")
    if len(value) > MAX_BYTES:
        raise InvalidMetadata(f"{what} has {len(value):,} characters: at most {MAX_BYTES:,} are allowed")
    return _plain_text(value, what)


def _plain_text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidMetadata(f"{where} is not valid UTF-8") from None
    if "\0" in value:
        raise InvalidMetadata(f"{where} holds a NUL character")
    return str.__str__(value)


def canonical(value: object) -> str:
    """The text a document is kept as: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _nesting(text: str) -> int:
    depth = deepest = 0
    quoted = escaped = False
    for char in text:
        if quoted:
            quoted, escaped = (char != '"' or escaped), (char == "\\" and not escaped)
        elif char == '"':
            quoted = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _unwrapped(value: Any) -> Any:
    """What NumPy and its like hold, as Python's own. Their widest numbers call themselves that already."""
    found = value.tolist()
    if type(found) is not type(value):
        return found
    return float(found) if found.dtype.kind == "f" else repr(found)


class _Check:
    def __init__(self, what: str) -> None:
        self.what = what
        self.keys = 0
        self.values = 0

    def plain(self, value: object, where: str, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        for kinds, convert in self._CONVERSIONS:
            if isinstance(value, kinds):
                return convert(self, value, where, depth)
        if hasattr(value, "tolist") and hasattr(value, "dtype"):
            return self.plain(_unwrapped(value), where, depth)
        raise InvalidMetadata(
            f"{where} is of type {type(value).__name__}, which JSON cannot hold: give text, a number, a list or a dictionary"
        )

    def _text(self, value: str, where: str, _depth: int) -> str:
        return _plain_text(value, where)

    def _integer(self, value: int, where: str, _depth: int) -> int:
        if not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
            raise InvalidMetadata(f"{where} is an integer beyond 64 bits: give it as text")
        return int(value)

    def _number(self, value: float, where: str, _depth: int) -> float:
        if not math.isfinite(value):
            raise InvalidMetadata(f"{where} is {value}, which JSON cannot hold: leave it out or give text")
        return float(value)

    def _mapping(self, value: Mapping[object, object], where: str, depth: int) -> Document:
        found: Document = {}
        self._enter(where, depth)
        for key, inner in value.items():
            self.keys += 1
            if self.keys > MAX_KEYS:
                raise InvalidMetadata(f"{self.what} has more than {MAX_KEYS:,} keys")
            if not isinstance(key, str):
                raise InvalidMetadata(f"{where} has the key {key!r}: keys must be text")
            name = self._text(key, f"the key {key[:_SHOWN]!r} of {where}", depth)
            found[name] = self.plain(inner, f"{where}[{key[:_SHOWN]!r}]"[:_SHOWN], depth + 1)
        return found

    def _list(self, value: "list[object]", where: str, depth: int) -> list[Any]:
        self._enter(where, depth)
        self.values += len(value)
        if self.values > MAX_BYTES // 2:
            raise InvalidMetadata(f"{self.what} has a list too many at {where}: at most {MAX_BYTES:,} bytes are allowed; log it as a file")
        return [self.plain(inner, f"{where}[{position}]"[:_SHOWN], depth + 1) for position, inner in enumerate(value)]

    def _enter(self, where: str, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise InvalidMetadata(f"{self.what} is nested deeper than {MAX_DEPTH} levels at {where}")

    _CONVERSIONS: tuple[tuple[Any, Any], ...] = (
        (str, _text),
        (int, _integer),
        (float, _number),
        (Mapping, _mapping),
        ((list, tuple), _list),
        ((set, frozenset), lambda self, value, where, depth: self._list(sorted(value, key=repr), where, depth)),
        (bytes, lambda self, value, where, depth: self._text(value.decode("utf-8", "surrogateescape"), where, depth)),
        (os.PathLike, lambda self, value, where, depth: self._text(os.fsdecode(value), where, depth)),
        ((dt.datetime, dt.date), lambda _self, value, _where, _depth: value.isoformat()),
    )
