"""What a configuration keeps of a value that JSON cannot hold: text that says what it was, and a word about it.

Scripts put devices, enumerations, functions and infinities into their configuration, mostly through argparse; a run must not fail for that.
Metadata is another matter: there such values are refused (`model/document.py`).
"""

import datetime as dt
import enum
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from lineage.model.document import MAX_DEPTH

LONGEST = 1000
"""Characters of a text that stands for something else."""
_JSON = (str, bool, int, bytes, os.PathLike, dt.date, type(None))


def plain(values: Mapping[str, Any], tell: Callable[[str, str], None]) -> dict[str, Any]:
    """`values` with what JSON cannot hold as text; `tell` is given the place and the text of each."""
    return {name: _plain(value, name, tell, 0) for name, value in values.items()}


def _plain(value: Any, where: str, tell: Callable[[str, str], None], depth: int) -> Any:
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, enum.Enum):
        return _plain(value.value, where, tell, depth + 1)
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return _plain(value.tolist(), where, tell, depth + 1)
    if isinstance(value, Mapping):
        return {name: _plain(inner, f"{where}.{name}", tell, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [
            _plain(inner, where, tell, depth + 1) for inner in (sorted(value, key=repr) if isinstance(value, set | frozenset) else value)
        ]
    if isinstance(value, _JSON) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = str(getattr(value, "__qualname__", None) or value)[:LONGEST]
    tell(where, text)
    return text
