"""A parsed filter as SQL: constant text from tables, every value a parameter. No text of a user ever becomes SQL."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from lineage.catalog.column import instant, marks
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
_COMPARISONS = {"$eq": "=", "$ne": "<>", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


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
        raise UsageError(f"runs cannot be ordered by {order.field.place}")
    column = _COLUMNS[order.field.place]
    return "", (), f" ORDER BY {column} IS NULL, {column} {way}, run.id"


def _sql(term: Term) -> tuple[str, tuple[Any, ...]]:
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


def _compare(field: Field, operator: str, value: Any) -> tuple[str, tuple[Any, ...]]:
    if field.place == "tags":
        return _tags(operator, value)
    if field.place == "config":
        test, values = _test("found.value", operator, value)
        return _exists(f"SELECT 1 FROM json_each(run.config) AS found WHERE found.key = ? AND {test}", (field.key, *values), operator, value)
    if field.place == "summary":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        column = "found.number" if number or (isinstance(value, tuple) and value and not isinstance(value[0], str)) else "found.value ->> '$'"
        test, values = _test(column, operator, value)
        return _exists(f"SELECT 1 FROM summary AS found WHERE found.run_id = run.id AND found.key = ? AND {test}", (field.key, *values), operator, value)
    column = _COLUMNS[field.place]
    if field.place in _INSTANTS:
        value = tuple(map(_instant, value)) if isinstance(value, tuple) else value if isinstance(value, bool) else _instant(value)
    return _test(column, operator, value)


def _test(column: str, operator: str, value: Any) -> tuple[str, tuple[Any, ...]]:
    if operator == "$exists":
        return (f"{column} IS NOT NULL" if value else f"{column} IS NULL"), ()
    if operator == "$regex":
        return f"regexp(?, {column})", (str(value),)
    if operator in ("$in", "$nin"):
        text = f"{column} IN ({marks(len(value))})" if value else "1 = 0"
        return (text if operator == "$in" else f"({column} IS NULL OR NOT {text})"), tuple(value)
    if value is None:
        return (f"{column} IS NULL" if operator == "$eq" else f"{column} IS NOT NULL"), ()
    if operator == "$ne":
        return f"({column} IS NULL OR {column} <> ?)", (value,)
    return f"{column} {_COMPARISONS[operator]} ?", (value,)


_NEGATIVE = frozenset({"$ne", "$nin"})
_POSITIVE = {"$ne": "$eq", "$nin": "$in"}


def _exists(text: str, values: tuple[Any, ...], operator: str, value: Any) -> tuple[str, tuple[Any, ...]]:
    """A key that is absent differs from every value, and exists only where it is."""
    if operator == "$exists":
        found = text.rpartition(" AND ")[0]
        return (f"EXISTS ({found})" if value else f"NOT EXISTS ({found})"), values[:1]
    if value is None and operator == "$eq":
        found = text.rpartition(" AND ")[0]
        return f"NOT EXISTS ({found} AND found.value IS NOT NULL)", values[:1]
    return (f"(EXISTS ({text}) OR NOT EXISTS ({text.rpartition(' AND ')[0]}))", (*values, values[0])) if operator in _NEGATIVE else (
        f"EXISTS ({text})",
        values,
    )


def _tags(operator: str, value: Any) -> tuple[str, tuple[Any, ...]]:
    negative = operator in _NEGATIVE
    test, values = _test("found.name", _POSITIVE.get(operator, operator), value)
    if operator == "$exists":
        test, values, negative = "1 = 1", (), not value
    return f"{'NOT ' if negative else ''}EXISTS (SELECT 1 FROM run_tag AS found WHERE found.run_id = run.id AND {test})", values


def _instant(value: Any) -> Any:
    """Times are given as ISO 8601 text, in UTC unless it says otherwise, or as seconds since the epoch."""
    if isinstance(value, str):
        try:
            stated = dt.datetime.fromisoformat(value)
        except ValueError:
            raise UsageError(f"{value!r} is not a time: write it as 2026-01-31T12:00:00") from None
        return instant(stated if stated.tzinfo else stated.replace(tzinfo=dt.UTC))
    return int(value * 1_000_000) if isinstance(value, int | float) else value
