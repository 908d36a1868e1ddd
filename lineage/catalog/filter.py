"""A parsed filter as SQL: constant text from tables, every value a parameter. No text of a user ever becomes SQL.

Values compare with values of their own kind: text with text, a number with a number, a boolean with a boolean; `None` is what is null or
absent. `$ne` and `$nin` are the negations of `$eq` and `$in`, so an absent key differs from every value.
"""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lineage.catalog.column import instant, marks
from lineage.catalog.pattern import compiled
from lineage.model.errors import UsageError
from lineage.model.query import Any_, Compare, Every, Field, Not, Order, Term

_COLUMNS: dict[str, str] = {
    "name": "run.name",
    "display_name": "run.display_name",
    "state": "run.state",
    "group": "run.group_name",
    "job_type": "run.job_type",
    "notes": "run.notes",
    "created_at": "run.created_at",
    "heartbeat_at": "run.heartbeat_at",
    "finished_at": "run.finished_at",
    "exit_code": "run.exit_code",
    "sweep": "sweep.name",
    "duration": "((coalesce(run.finished_at, run.heartbeat_at) - run.created_at) / 1000000.0)",
}
_INSTANTS = frozenset({"created_at", "heartbeat_at", "finished_at"})
_NUMBERS = _INSTANTS | {"exit_code", "duration"}
_COMPARISONS = {"$eq": "=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_NEGATIONS = {"$ne": "$eq", "$nin": "$in"}


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where the values of a field are, when they are rows of their own: those of the field, of one key, and what each kind is compared as."""

    table: str
    text: str
    is_text: str
    number: str = "NULL"
    is_number: str = "0"
    is_boolean: str = "0"


_ROWS: dict[str, _Rows] = {
    "tags": _Rows("run_tag AS found WHERE found.run_id = run.id", "found.name", "1"),
    "config": _Rows(
        "json_each(run.config) AS found WHERE found.key = ?",
        "found.value",
        "found.type = 'text'",
        "found.value",
        "found.type IN ('integer', 'real')",
        "found.type",
    ),
    "summary": _Rows(
        "summary AS found WHERE found.run_id = run.id AND found.key = ?",
        "found.value ->> '$'",
        "json_type(found.value) = 'text'",
        "found.number",
        "found.value NOT IN ('true', 'false')",
        "found.value",
    ),
}


Sql = tuple[str, tuple[Any, ...]]
"""A condition, and the values of its placeholders."""


@dataclass(frozen=True, slots=True)
class Clause:
    """What follows the FROM of a query over runs."""

    where: str
    where_values: tuple[Any, ...]
    joins: str = ""
    join_values: tuple[Any, ...] = ()
    order: str = ""

    @property
    def values(self) -> tuple[Any, ...]:
        return self.join_values + self.where_values


def clause(term: Term, order: Order, *, project_id: int | None = None, sweep_id: int | None = None) -> Clause:
    """The clause for live runs of one project or sweep, filtered and ordered."""
    scope: list[tuple[str, tuple[int, ...]]] = [("run.deleted_at IS NULL", ())]
    if project_id is not None:
        scope.append(("run.project_id = ?", (project_id,)))
    if sweep_id is not None:
        scope.append(("run.sweep_id = ?", (sweep_id,)))
    text, values = _sql(term)
    where = " WHERE " + " AND ".join([part for part, _ in scope] + [text])
    scoped = tuple(value for _, part in scope for value in part)
    joins, join_values, ordering = _ordering(order)
    return Clause(where, scoped + values, joins, join_values, ordering)


def _ordering(order: Order) -> tuple[str, tuple[Any, ...], str]:
    way = "DESC" if order.descending else "ASC"
    if order.field.place == "summary":
        joins = " LEFT JOIN summary AS sorting ON sorting.run_id = run.id AND sorting.key = ?"
        return joins, (order.field.key,), f" ORDER BY sorting.number IS NULL, sorting.number {way}, run.id"
    if order.field.place == "config":
        joins = " LEFT JOIN json_each(run.config) AS sorting ON sorting.key = ?"
        return joins, (order.field.key,), f" ORDER BY sorting.value IS NULL, sorting.value {way}, run.id"
    if order.field.place not in _COLUMNS:
        raise UsageError(
            f"runs cannot be ordered by {order.field.place}: choose one of {', '.join(_COLUMNS)}, config.<key>, summary_metrics.<key>"
        )
    column = _COLUMNS[order.field.place]
    return "", (), f" ORDER BY {column} IS NULL, {column} {way}, run.id"


def _sql(term: Term) -> Sql:
    match term:
        case Every(terms) | Any_(terms):
            word = " AND " if isinstance(term, Every) else " OR "
            parts = [_sql(inner) for inner in terms]
            if not parts:
                return ("1 = 1" if isinstance(term, Every) else "1 = 0"), ()
            return "(" + word.join(text for text, _ in parts) + ")", tuple(value for _, values in parts for value in values)
        case Not(inner):
            text, values = _sql(inner)
            return f"NOT coalesce({text}, 0)", values
        case Compare(field, operator, value):
            return _compare(field, operator, value)


def _compare(field: Field, operator: str, value: Any) -> Sql:
    if operator in _NEGATIONS:
        text, values = _compare(field, _NEGATIONS[operator], value)
        return f"NOT coalesce({text}, 0)", values
    if operator == "$regex":
        compiled(value)
    if field.place in _ROWS:
        return _any_row(field, operator, value)
    return _column(field.place, operator, value)


def _rows(field: Field) -> tuple[_Rows, tuple[str, ...]]:
    """The rows of a field and the values they are found by; `config.a.b` is the key `a.b`, and the key `b` in what stands under `a`."""
    rows, key = _ROWS[field.place], field.key
    if field.place != "config" or key is None or not 0 < key.count(".") < DEEPEST:
        return rows, () if key is None else (key,)
    steps = key.split(".")
    within = ", ".join(f"json_each({'run.config' if at == 0 else _INSIDE.format(at=at - 1)}) AS step{at}" for at in range(len(steps)))
    last = f"step{len(steps) - 1}"
    down = " AND ".join(f"step{at}.key = ?" for at in range(len(steps)))
    nested = f"SELECT {last}.value, {last}.type FROM {within} WHERE {down}"
    either = f"(SELECT value, type FROM json_each(run.config) WHERE key = ? UNION ALL {nested}) AS found WHERE 1 = 1"
    return replace(rows, table=either), (key, *steps)


DEEPEST = 16
"""Levels a filter goes down into a configuration; a key with more dots is only taken as it is written."""
_INSIDE = "CASE WHEN step{at}.type = 'object' THEN step{at}.value ELSE '{{}}' END"


def _any_row(field: Field, operator: str, value: Any) -> Sql:
    """Is there a row of the field that compares so? What is null counts as absent."""
    rows, key = _rows(field)
    present = f"EXISTS (SELECT 1 FROM {rows.table})"
    if operator == "$exists":
        return (present if value else f"NOT {present}"), key
    wanted = value if operator == "$in" else (value,)
    tests = [_of_kind(rows, operator, [each for each in wanted if _kind(each) is kind]) for kind in (str, float, bool)]
    found = [(f"EXISTS (SELECT 1 FROM {rows.table} AND {text})", (*key, *values)) for text, values in tests if text]
    if None in wanted:
        found.append((f"NOT EXISTS (SELECT 1 FROM {rows.table} AND {rows.text} IS NOT NULL)", key))
    return _either(found)


def _kind(value: Any) -> type | None:
    if value is None:
        return None
    return next(kind for kind, members in ((bool, bool), (float, int | float), (str, str)) if isinstance(value, members))


def _of_kind(rows: _Rows, operator: str, values: Sequence[Any]) -> Sql:
    """The test of a row against values of one kind; no text for no values."""
    if not values:
        return "", ()
    if operator == "$regex":
        return f"{rows.is_text} AND regexp(?, {rows.text})", tuple(values)
    if isinstance(values[0], bool):
        return f"{rows.is_boolean} IN ({marks(len(values))})", tuple("true" if value else "false" for value in values)
    column, guard = (rows.text, rows.is_text) if isinstance(values[0], str) else (rows.number, rows.is_number)
    return f"{guard} AND {_test(column, operator, values)}", tuple(values)


def _column(place: str, operator: str, value: Any) -> Sql:
    column = _COLUMNS[place]
    if operator == "$exists":
        return (f"{column} IS NOT NULL" if value else f"{column} IS NULL"), ()
    if operator == "$regex":
        if place in _NUMBERS:
            raise UsageError(f"{place} is no text: $regex cannot match it")
        return f"regexp(?, {column})", (value,)
    wanted = value if operator == "$in" else (value,)
    given = tuple(_column_value(place, each) for each in wanted if each is not None)
    found: list[Sql] = [(_test(column, operator, given), given)] if given else []
    if None in wanted:
        found.append((f"{column} IS NULL", ()))
    return _either(found)


def _column_value(place: str, value: Any) -> Any:
    if place in _INSTANTS:
        return _instant(place, value)
    if isinstance(value, bool) or (place in _NUMBERS) == isinstance(value, str):
        raise UsageError(f"{place} is {'a number' if place in _NUMBERS else 'text'}: it cannot be compared with {value!r}")
    return value


def _test(column: str, operator: str, values: Sequence[Any]) -> str:
    return f"{column} IN ({marks(len(values))})" if operator == "$in" else f"{column} {_COMPARISONS[operator]} ?"


def _either(found: Sequence[Sql]) -> Sql:
    if not found:
        return "1 = 0", ()
    return "(" + " OR ".join(text for text, _ in found) + ")", tuple(value for _, values in found for value in values)


def _instant(place: str, value: Any) -> int | None:
    """Times are given as ISO 8601 text, in UTC unless it says otherwise, or as seconds since the epoch."""
    if isinstance(value, str):
        try:
            stated = dt.datetime.fromisoformat(value)
        except ValueError:
            raise UsageError(f"{place} is compared with {value!r}, which is not a time: write it as 2026-01-31T12:00:00") from None
        return instant(stated if stated.tzinfo else stated.replace(tzinfo=dt.UTC))
    if isinstance(value, bool) or not math.isfinite(value):
        raise UsageError(f"{place} is compared with {value!r}, which is not a time: write it as 2026-01-31T12:00:00")
    return int(value * 1_000_000)
