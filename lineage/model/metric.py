"""Metrics: what a run logs row by row, and the one value of each that speaks for the run afterwards.

A history row is a step, a time and values by key. A summary holds the last value of every key unless somebody set it. Numbers may be NaN
or infinite; everything else follows `document.py`. A key with a nested dictionary is kept flat, joined with dots, as it is asked for.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lineage.model.document import MAX_KEYS, canonical, check_document, check_words
from lineage.model.errors import InvalidMetadata

MAX_KEY = 512

_LACKING = ("nan", "inf", "-inf")


@dataclass(frozen=True, slots=True)
class Row:
    """One committed step of a run's history: `time` is seconds since the epoch, `values` are flat."""

    step: int
    time: float
    values: Mapping[str, Any]


def flat(values: object) -> dict[str, Any]:
    """`values` with nested dictionaries joined by dots, numbers made plain.

    Raises:
        InvalidMetadata: a key that is not text, or a value that cannot be kept.
    """
    if not isinstance(values, Mapping):
        raise InvalidMetadata(f"log takes a dictionary of metrics, not {type(values).__name__}")
    found: dict[str, Any] = {}
    stack: list[tuple[str, Mapping[object, object]]] = [("", values)]
    while stack:
        prefix, level = stack.pop()
        for key, value in level.items():
            if not isinstance(key, str):
                raise InvalidMetadata(f"metric key {key!r} must be text: name metrics with strings")
            name = _check_key(f"{prefix}{key}")
            if isinstance(value, Mapping) and value and "_type" not in value:
                if name.count(".") > 32:
                    raise InvalidMetadata(
                        f"metric {name[:80]!r} is nested too deep: 32 levels are kept, log what lies deeper under names of its own"
                    )
                stack.append((f"{name}.", value))
            else:
                found[name] = plain(value, name)
            if len(found) + len(stack) > MAX_KEYS:
                raise InvalidMetadata(f"more than {MAX_KEYS:,} metrics at once: log them in parts, or as a file of an artifact")
    return found


def _check_key(name: str) -> str:
    if not name or len(name) > MAX_KEY:
        raise InvalidMetadata(f"metric key {name[:40]!r} must have 1 to {MAX_KEY} characters: choose another")
    check_words(name, f"metric key {name!r}")
    return name


def plain(value: object, key: str) -> Any:
    """One metric's value as it is kept: numbers may be NaN or infinite."""
    if isinstance(value, bool) or value is None:
        return value
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return float(value)
    return untagged(check_document({key: value}, "metric")[key])


def number(value: object) -> float | None:
    """The number by which runs are ordered, or `None` where there is none to order by: text, a list, NaN."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        try:
            found = float(value)
        except OverflowError:
            return None
        return None if math.isnan(found) else found
    return None


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """The last value of every key over `rows`."""
    summary: dict[str, Any] = {}
    for row in rows:
        summary.update(row.values)
    return summary


def tagged(value: Any) -> Any:
    """`value` with NaN and infinities, which JSON lacks, written out; `untagged` is the inverse."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"_type": "number", "value": str(float(value))}
    return value


def untagged(value: Any) -> Any:
    """The inverse of `tagged`. Any other dictionary a user logged under the same `_type` stays what it is."""
    if isinstance(value, dict) and value.keys() == {"_type", "value"} and value["_type"] == "number" and value["value"] in _LACKING:
        return float(value["value"])
    return value


def write_row(row: Row) -> str:
    """A row as one line of JSON; `read_row` is the inverse."""
    return canonical({"step": row.step, "time": row.time, "values": {key: tagged(value) for key, value in row.values.items()}})


def read_row(text: str) -> Row:
    """The row that `write_row` wrote."""
    found = json.loads(text)
    return Row(found["step"], found["time"], {key: untagged(value) for key, value in found["values"].items()})
