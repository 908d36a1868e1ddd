"""Metrics are flat, may be NaN, and read back as they were logged."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.model.document import MAX_KEYS, canonical
from lineage.model.errors import InvalidMetadata
from lineage.model.metric import MAX_KEY, Row, flat, number, plain, read_row, summarise, tagged, untagged, write_row


class Scalar:
    """What a tensor of no dimensions looks like from outside."""

    ndim = 0
    dtype = "float32"

    def size(self) -> object:
        return ()

    def item(self) -> float:
        return math.nan


@pytest.mark.fault("M01")
@pytest.mark.parametrize(
    "value", [math.nan, np.float32("nan"), np.float64("nan"), np.array(math.nan), Scalar()], ids=lambda value: type(value).__name__
)
def test_nan_is_kept(value: object) -> None:
    """NaN is a metric like any number, whoever made it."""
    found = flat({"loss": value})["loss"]
    assert (float, True) == (type(found), math.isnan(found))


@pytest.mark.fault("M01")
@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        np.float32("inf"),
        0.1,
        -0.0,
        5e-324,
        1.7976931348623157e308,
        3,
        -(2**63),
        True,
        None,
        "x",
        [1, "a"],
        {"_type": "image", "path": "x"},
    ],
)
def test_rows_round_trip(value: object) -> None:
    """A row reads back as it was written, NaN and infinities too, and lies in the journal as strict JSON."""
    values = {"a": plain(value, "a"), "b.c": 1}
    text = write_row(Row(3, 1.5, values))

    assert repr(Row(3, 1.5, values)) == repr(read_row(text))
    json.loads(text, parse_constant=pytest.fail)
    assert "\n" not in text


FINITE = (
    st.floats(allow_nan=False)
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.none()
    | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=10)
)


@given(
    st.dictionaries(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=8), FINITE, max_size=6),
    st.integers(0, 2**60),
    st.floats(0, 1e12),
)
def test_any_row_round_trips(values: dict[str, Any], step: int, time: float) -> None:
    """Whatever `flat` accepts, the journal gives back."""
    row = Row(step, time, flat(values))
    assert row == read_row(write_row(row))


@pytest.mark.parametrize(
    "value",
    [
        {"_type": "number", "value": "boom"},
        {"_type": "number"},
        {"_type": "number", "value": 3},
        {"_type": "number", "value": "nan", "x": 1},
    ],
)
def test_a_users_dictionary_is_no_number(value: dict[str, Any]) -> None:
    """A dictionary that resembles how NaN is written down stays a dictionary, and never makes a run unreadable."""
    kept = flat({"a": value})["a"]
    assert value == kept == untagged(json.loads(canonical(tagged(kept))))


def test_nested_dictionaries_are_joined() -> None:
    """Dictionaries become dotted keys; media objects and empty dictionaries are values."""
    assert {"a.b.c": 1, "a.d": 2, "e": {}, "f.g": {"_type": "table"}} == flat(
        {"a": {"b": {"c": 1}, "d": 2}, "e": {}, "f": {"g": {"_type": "table"}}}
    )


@pytest.mark.fault("M02")
def test_too_deep() -> None:
    """A dictionary nested far too deep, or in itself, is refused."""
    value: dict[str, Any] = {}
    value["a"] = value
    with pytest.raises(InvalidMetadata, match=r"deep|characters"):
        flat(value)


@pytest.mark.fault("M03")
def test_too_many() -> None:
    """10,000 metrics in one call are kept, more are not."""
    assert MAX_KEYS == len(flat({str(key): 0 for key in range(MAX_KEYS)}))
    with pytest.raises(InvalidMetadata, match="10,000"):
        flat({str(key): 0 for key in range(MAX_KEYS + 1)})


@pytest.mark.fault("D12", "M04")
@pytest.mark.parametrize("key", ["", "x" * (MAX_KEY + 1), "a\0b", "\ud800", 3, None], ids=ascii)
@pytest.mark.parametrize("value", [1, math.nan, True, None, {"x": 1}], ids=repr)
def test_bad_keys(key: object, value: object) -> None:
    """A key is text of 1 to 512 characters that every catalogue can hold, whatever stands under it."""
    if key == "" and isinstance(value, dict):
        key = "\0"
    with pytest.raises(InvalidMetadata):
        flat({key: value})


@pytest.mark.parametrize("value", [2**63, object, "a\0", "\ud800", [math.nan]], ids=ascii)
def test_bad_values(value: object) -> None:
    """What no document holds, no metric is; the message names its key."""
    with pytest.raises(InvalidMetadata, match="acc"):
        flat({"acc": value})


@pytest.mark.parametrize("value", [None, 3, [("a", 1)], "a"])
def test_metrics_are_a_dictionary(value: object) -> None:
    """Anything else is refused with its type."""
    with pytest.raises(InvalidMetadata, match=type(value).__name__):
        flat(value)


@pytest.mark.parametrize(
    ("value", "order"),
    [(1, 1.0), (0.5, 0.5), (True, 1.0), (math.inf, math.inf), (math.nan, None), ("1", None), (None, None), ([1], None), (10**400, None)],
)
def test_what_orders_runs(value: object, order: float | None) -> None:
    """Numbers order runs; NaN, text and lists do not."""
    assert order == number(value)


def test_a_summary_is_the_last_value() -> None:
    """Each key's last value speaks for the run, NaN included."""
    found = summarise([Row(0, 0.0, {"a": 1, "b": 1}), Row(1, 0.0, {"a": math.nan}), Row(2, 0.0, {"c": "x"})])
    assert ({"a", "b", "c"}, 1, "x", True) == (set(found), found["b"], found["c"], math.isnan(found["a"]))
