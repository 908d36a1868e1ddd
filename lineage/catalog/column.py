"""How values lie in columns: instants as whole microseconds since the epoch (UTC), documents as canonical JSON text.

Integers compare and index alike in SQLite and PostgreSQL, and no time zone can creep in.
"""

import datetime as dt
import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from lineage.model.document import canonical
from lineage.model.retention import Policy

T = TypeVar("T")
Row = sqlite3.Row
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)


def instant(moment: dt.datetime | None) -> int | None:
    """The column value of an aware moment."""
    return None if moment is None else (moment - _EPOCH) // dt.timedelta(microseconds=1)


def moment(instant: int | None) -> dt.datetime | None:
    """The inverse of `instant`."""
    return None if instant is None else _EPOCH + dt.timedelta(microseconds=instant)


def when(instant: int) -> dt.datetime:
    """`moment` for a column that is never null."""
    return _EPOCH + dt.timedelta(microseconds=instant)


def document(value: Mapping[str, Any]) -> str:
    return canonical(value) if value else "{}"


def read_document(text: str) -> dict[str, Any]:
    return {} if text == "{}" else dict(json.loads(text))


def names(text: str | None) -> tuple[str, ...]:
    """What `group_concat(name, char(10))` gathered: no name holds a line break."""
    return tuple(text.split("\n")) if text else ()


def policy(inherit: int, seconds: int | None) -> Policy:
    return Policy(bool(inherit), seconds)


def marks(count: int) -> str:
    """`count` placeholders, for a list of values."""
    return ", ".join("?" * count)


CHUNK = 500
"""Values one statement lists: far below every library's limit, few enough distinct statements to stay prepared."""


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """`values` in lists of at most `size`."""
    source = iter(values)
    while chunk := list(itertools.islice(source, size)):
        yield chunk
