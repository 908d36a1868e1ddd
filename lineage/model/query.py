"""The grammar of run filters, the Mongo dialect W&B documents, parsed into a tree and nothing else.

    {"$or": [{"config.lr": {"$gt": 0.1}}, {"state": "finished"}]}      →  Any((Compare(Field("config", "lr"), "$gt", 0.1), Compare(…)))

Fields come from a fixed list, `config.<key>` and `summary_metrics.<key>`; operators from `OPERATORS`. What is not in the grammar is
refused by name: a misspelt field never quietly matches nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lineage.model.errors import UsageError

FIELDS: dict[str, str] = {
    "name": "name",
    "id": "name",
    "display_name": "display_name",
    "displayName": "display_name",
    "state": "state",
    "group": "group",
    "job_type": "job_type",
    "jobType": "job_type",
    "notes": "notes",
    "created_at": "created_at",
    "createdAt": "created_at",
    "heartbeat_at": "heartbeat_at",
    "heartbeatAt": "heartbeat_at",
    "finished_at": "finished_at",
    "duration": "duration",
    "sweep": "sweep",
    "tags": "tags",
    "exit_code": "exit_code",
}
"""What users may write → what is meant."""
OPERATORS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$regex")
MAX_TERMS = 200
MAX_DEPTH = 16
MAX_PATTERN = 256
_DOCUMENTS = {"config": "config", "summary_metrics": "summary", "summary": "summary"}


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or a key of the configuration or the summary."""

    place: str
    key: str | None = None

    def __str__(self) -> str:
        return self.place if self.key is None else f"{self.place}.{self.key}"

    @classmethod
    def parse(cls, text: object) -> "Field":
        """The field `text` names.

        Raises:
            UsageError: there is no such field; the message lists those there are.
        """
        if isinstance(text, str):
            if text in FIELDS:
                return cls(FIELDS[text])
            place, dot, key = text.partition(".")
            if dot and key and place in _DOCUMENTS:
                return cls(_DOCUMENTS[place], key.removesuffix(".value") if place == "config" else key)
        raise UsageError(
            f"no field {text!r} to filter or order by: there are config.<key>, summary_metrics.<key>, {', '.join(sorted(FIELDS))}"
        )


@dataclass(frozen=True, slots=True)
class Compare:
    field: Field
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Every:
    """All of these hold; no terms hold always."""

    terms: tuple["Term", ...]


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801  # `Any` is taken
    """At least one of these holds."""

    terms: tuple["Term", ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: "Term"


Term = Compare | Every | Any_ | Not

_LOGIC: dict[str, Callable[[tuple[Term, ...]], Term]] = {"$and": Every, "$or": Any_, "$nor": lambda terms: Not(Any_(terms))}


def parse_filter(filters: object) -> Term:
    """The tree of a filter; `None` and `{}` hold always.

    Raises:
        UsageError: naming the field, operator or value that is not in the grammar.
    """
    budget = [MAX_TERMS]
    return Every(()) if filters is None else _parse(filters, budget, 0)


def _parse(filters: object, budget: list[int], depth: int) -> Term:
    if not isinstance(filters, Mapping):
        raise UsageError(f"a filter is a dictionary such as {{'state': 'finished'}}, not {filters!r}")
    terms: list[Term] = []
    for key, value in filters.items():
        budget[0] -= 1
        _check_size(budget, depth)
        if key in _LOGIC:
            if not isinstance(value, list | tuple):
                raise UsageError(f"{key} takes a list of filters, not {value!r}")
            terms.append(_LOGIC[key](tuple(_parse(inner, budget, depth + 1) for inner in value)))
        elif key == "$not":
            terms.append(Not(_parse(value, budget, depth + 1)))
        else:
            terms.extend(_comparisons(Field.parse(key), value, budget, depth + 1))
    return terms[0] if len(terms) == 1 else Every(tuple(terms))


def _check_size(budget: list[int], depth: int) -> None:
    if budget[0] < 0 or depth > MAX_DEPTH:
        raise UsageError(f"the filter is too large: at most {MAX_TERMS} terms, {MAX_DEPTH} levels")


def _comparisons(field: Field, value: object, budget: list[int], depth: int) -> list[Term]:
    if not isinstance(value, Mapping):
        return [Compare(field, "$eq", _scalar(field, value))]
    if not value:
        raise UsageError(f"{field} is compared with nothing: give a value, or an operator such as {{'$exists': True}}")
    found: list[Term] = []
    for operator, operand in value.items():
        budget[0] -= 1
        _check_size(budget, depth)
        if operator == "$not":
            found.append(Not(Every(tuple(_comparisons(field, operand, budget, depth + 1)))))
        elif operator not in OPERATORS:
            raise UsageError(f"no operator {operator!r} in a filter: there are {', '.join(OPERATORS)}, $not, {', '.join(_LOGIC)}")
        else:
            found.append(Compare(field, str(operator), _OPERANDS.get(operator, _scalar)(field, operand)))
    return found


def _scalar(field: Field, value: object) -> Any:
    if isinstance(value, float) and math.isnan(value):
        raise UsageError(f"{field} is compared with NaN, which equals nothing: use {{'$exists': …}} or a number")
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise UsageError(f"{field} is compared with {value!r}: give text, a number, a boolean or None")


def _several(field: Field, value: object) -> Any:
    if not isinstance(value, list | tuple | set | frozenset) or len(value) > MAX_TERMS:
        raise UsageError(f"{field}: $in and $nin take a list of at most {MAX_TERMS} values")
    return tuple(_scalar(field, inner) for inner in value)


def _comparable(field: Field, value: object) -> Any:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return _scalar(field, value)
    raise UsageError(f"{field}: $gt, $gte, $lt and $lte compare with text or a number, not {value!r}")


def _claim(field: Field, value: object) -> bool:
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise UsageError(f"{field}: $exists takes true or false, not {value!r}")


def _pattern(field: Field, value: object) -> str:
    if isinstance(value, str) and len(value) <= MAX_PATTERN:
        return value
    raise UsageError(f"{field}: $regex takes a pattern of at most {MAX_PATTERN} characters, not {value!r:.80}")


_OPERANDS: dict[str, Callable[[Field, object], Any]] = {
    "$gt": _comparable,
    "$gte": _comparable,
    "$lt": _comparable,
    "$lte": _comparable,
    "$in": _several,
    "$nin": _several,
    "$exists": _claim,
    "$regex": _pattern,
}
"""What an operator may be given, where that is not any one value."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to sort by; ties go to the earlier run, and those without a value come last either way."""

    field: Field
    descending: bool = False

    @classmethod
    def parse(cls, text: str | None) -> "Order":
        """`+field`, `-field` or `field`, which is ascending."""
        if not text:
            return cls(Field("created_at"))
        return cls(Field.parse(text[1:] if text[0] in "+-" else text), text.startswith("-"))
