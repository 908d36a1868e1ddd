"""The grammar of filters: what is in it is parsed, what is not is refused by name."""

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.model.errors import UsageError
from lineage.model.query import FIELDS, MAX_DEPTH, MAX_PATTERN, MAX_TERMS, OPERATORS, Any_, Compare, Every, Field, Not, Order, parse_filter

STATE, LR = Field("state"), Field("config", "lr")


@pytest.mark.parametrize("filters", [None, {}, {"$and": []}])
def test_no_filter(filters: Any) -> None:
    """Nothing asked for holds always."""
    assert Every(()) == parse_filter(filters)


def test_the_grammar() -> None:
    """Fields, operators and logic, as W&B documents them."""
    assert Compare(STATE, "$eq", "finished") == parse_filter({"state": "finished"})
    assert Every((Compare(STATE, "$eq", "x"), Compare(LR, "$gt", 0.1), Compare(LR, "$lte", 1))) == parse_filter(
        {"state": "x", "config.lr": {"$gt": 0.1, "$lte": 1}}
    )
    assert Any_((Compare(STATE, "$in", ("a", None)), Not(Compare(LR, "$exists", True)))) == parse_filter(
        {"$or": [{"state": {"$in": ["a", None]}}, {"$not": {"config.lr": {"$exists": 1}}}]}
    )
    assert Not(Any_((Compare(STATE, "$eq", "a"),))) == parse_filter({"$nor": [{"state": "a"}]})
    assert Not(Every((Compare(STATE, "$regex", "^a"),))) == parse_filter({"state": {"$not": {"$regex": "^a"}}})


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("id", Field("name")),
        ("displayName", Field("display_name")),
        ("config.lr.value", LR),
        ("config.a.b", Field("config", "a.b")),
        ("summary_metrics.loss", Field("summary", "loss")),
        ("summary.loss.value", Field("summary", "loss.value")),
        ("config.'; DROP TABLE run; --", Field("config", "'; DROP TABLE run; --")),
    ],
)
def test_fields(text: str, field: Field) -> None:
    """Columns by either spelling; keys of configuration and summary are any text."""
    assert field == Field.parse(text)


@pytest.mark.fault("M15", "D14")
@pytest.mark.parametrize(
    "text",
    [
        "stat",
        "config",
        "config.",
        "summary_metrics.",
        ".lr",
        "run.id",
        "run.owner",
        "owner",
        "project_id",
        "entity.name",
        "__class__",
        "",
        None,
        3,
        ("a",),
        "state; --",
        "State",
    ],
    ids=repr,
)
def test_no_such_field(text: Any) -> None:
    """Any other field is refused by name with the list of those there are: it never quietly matches nothing."""
    with pytest.raises(UsageError, match=r"no field.*config.<key>.*state"):
        parse_filter({text: 1})


@pytest.mark.parametrize("operator", ["$where", "$expr", "$function", "$gtt", "gt", "", "$", "$and", "__gt__", 3])
def test_no_such_operator(operator: Any) -> None:
    """Any other operator is refused by name."""
    with pytest.raises(UsageError, match="no operator"):
        parse_filter({"state": {operator: 1}})


@pytest.mark.parametrize(
    "filters",
    [
        [],
        "state = 'x'",
        3,
        {"$or": {"state": "x"}},
        {"$and": "x"},
        {"$or": ["x"]},
        {"$not": [1]},
        {"state": {}},
        {"state": ["a"]},
        {"state": object},
        {"state": b"a"},
        {"state": {"$in": "abc"}},
        {"state": {"$in": [["a"]]}},
        {"state": {"$in": [{"$gt": 1}]}},
        {"state": {"$eq": {"a": 1}}},
        {"state": {"$gt": None}},
        {"state": {"$lt": True}},
        {"config.lr": math.nan},
        {"config.lr": {"$gt": math.nan}},
        {"config.lr": {"$in": [math.nan]}},
        {"state": {"$exists": "no"}},
        {"state": {"$exists": 2}},
        {"state": {"$regex": 3}},
        {"state": {"$regex": None}},
        {"state": {"$regex": "x" * (MAX_PATTERN + 1)}},
    ],
    ids=repr,
)
def test_what_is_no_filter(filters: Any) -> None:
    """A filter that says nothing, or what cannot be compared, is refused."""
    with pytest.raises(UsageError):
        parse_filter(filters)


@pytest.mark.fault("M14", "M02")
def test_filters_are_bounded() -> None:
    """Many terms, deep logic and long lists are refused, in whichever way they are built."""
    deep: dict[str, Any] = {"state": "x"}
    inner: Any = "x"
    for _ in range(MAX_DEPTH + 1):
        deep = {"$and": [deep]}
    for _ in range(MAX_DEPTH + 1):
        inner = {"$not": {"$eq": inner} if inner == "x" else inner}
    many = {"$or": [{"state": "x"}] * (MAX_TERMS + 1)}
    for filters in (deep, {"state": inner}, many, {"state": {"$in": ["x"] * (MAX_TERMS + 1)}}):
        with pytest.raises(UsageError, match=str(MAX_TERMS)):
            parse_filter(filters)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*FIELDS, *OPERATORS, "$and", "$or", "$nor", "$not", "config.a"]) | st.text(max_size=5), inner, max_size=3
            )
        ),
        max_leaves=30,
    )
)
def test_anything_is_parsed_or_refused(filters: Any) -> None:
    """Whatever is given, the answer is a tree or a UsageError."""
    with suppress(UsageError):
        parse_filter(filters)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        (None, Order(Field("created_at"))),
        ("", Order(Field("created_at"))),
        ("+created_at", Order(Field("created_at"))),
        ("-created_at", Order(Field("created_at"), descending=True)),
        ("summary_metrics.loss", Order(Field("summary", "loss"))),
        ("-config.lr.value", Order(LR, descending=True)),
        ("-summary_metrics.-x", Order(Field("summary", "-x"), descending=True)),
    ],
)
def test_orders(text: str | None, order: Order) -> None:
    """A sign and a field; no sign ascends."""
    assert order == Order.parse(text)


@pytest.mark.fault("D14")
@pytest.mark.parametrize("text", ["+", "-", "--state", "+-state", "state desc", "state, name", "1", "(select 1)", "state;", "created_at--"])
def test_orders_refused(text: str) -> None:
    """Two signs, two fields or SQL are no order."""
    with pytest.raises(UsageError, match="no field"):
        Order.parse(text)
