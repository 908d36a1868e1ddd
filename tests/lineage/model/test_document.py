"""Documents are JSON, all of it and nothing else, and what cannot be kept is refused by the key that holds it."""

import datetime as dt
import enum
import json
import math
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.model.document import MAX_BYTES, MAX_DEPTH, MAX_KEYS, canonical, check_document, check_words, parse_json
from lineage.model.errors import InvalidMetadata


def nested(levels: int) -> dict[str, Any]:
    """So many dictionaries, one in the other."""
    found: dict[str, Any] = {}
    for _ in range(levels - 1):
        found = {"a": found}
    return found


@pytest.mark.fault("M01")
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, np.float32("nan"), np.array([1.0, math.inf]), [[math.nan]], {"x": math.nan}]
)
def test_no_nan(value: object) -> None:
    """NaN and infinities are refused with the key, however deep."""
    with pytest.raises(InvalidMetadata, match="'loss'"):
        check_document({"loss": value})


@pytest.mark.fault("M01")
@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', '{"a": [-Infinity]}', '{"a": 1e999}'])
def test_no_nan_in_text(text: str) -> None:
    """Python's JSON reader would take these."""
    with pytest.raises(InvalidMetadata):
        check_document(text)


@pytest.mark.fault("M02")
def test_depth() -> None:
    """64 levels are kept, 65 are not: given as values, as lists and as text."""
    assert nested(MAX_DEPTH) == check_document(nested(MAX_DEPTH)) == check_document(json.dumps(nested(MAX_DEPTH)))
    for value in (nested(MAX_DEPTH + 1), json.dumps(nested(MAX_DEPTH + 1)), {"a": json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)}):
        with pytest.raises(InvalidMetadata, match="deeper than 64"):
            check_document(value)


@pytest.mark.fault("M02")
@pytest.mark.parametrize("levels", [1_000, 100_000])
def test_deep_text_does_not_exhaust_the_stack(levels: int) -> None:
    """Text nested a hundred thousand deep is refused before it is parsed; brackets within text are no levels."""
    for one, other in (("[", "]"), ('{"a":', "}")):
        with pytest.raises(InvalidMetadata, match="deeper"):
            check_document('{"x": ' + one * levels + other * levels + "}")
    assert {"a": "[" * 1000 + '\\"{'} == check_document(json.dumps({"a": "[" * 1000 + '\\"{'}))


@pytest.mark.fault("M02")
def test_a_value_within_itself() -> None:
    """A dictionary that holds itself is refused like any that is too deep."""
    value: dict[str, Any] = {}
    value["self"] = value
    with pytest.raises(InvalidMetadata, match="deeper"):
        check_document(value)


@pytest.mark.fault("M03")
def test_bytes() -> None:
    """A document of exactly 1 MiB is kept; one byte more is not. What counts is the text it is kept as."""
    room = MAX_BYTES - len('{"a":""}')
    assert MAX_BYTES == len(canonical(check_document({"a": "x" * room})))
    for value in ({"a": "x" * (room + 1)}, {"a": "é" * (room // 2 + 1)}, json.dumps({"a": "x" * (room + 1)})):
        with pytest.raises(InvalidMetadata, match="bytes"):
            check_document(value)


@pytest.mark.fault("M03")
def test_keys() -> None:
    """10,000 keys in all are kept, one more is not."""
    check_document({str(number): 0 for number in range(MAX_KEYS)})
    for value in ({str(number): 0 for number in range(MAX_KEYS + 1)}, {"a": [{"b": 1, "c": 2}] * (MAX_KEYS // 2)}):
        with pytest.raises(InvalidMetadata, match="10,000 keys"):
            check_document(value)


@pytest.mark.fault("M03")
@pytest.mark.parametrize("value", ["x" * (8 * MAX_BYTES), {"k" * 500_000: [1] * 600_000}, {"a": [[]] * 10_000_000}])
def test_far_too_large_is_refused_early(value: object) -> None:
    """What is many times too large is refused before it was copied, printed or parsed."""
    with pytest.raises(InvalidMetadata) as refused:
        check_document(value)
    assert 2_000 > len(str(refused.value))


@pytest.mark.fault("D13", "M04")
def test_integers() -> None:
    """Integers of 64 bits are kept; larger ones are refused as values and in text, whatever their length."""
    kept = {"most": 2**63 - 1, "least": -(2**63)}
    assert kept == check_document(kept) == check_document(json.dumps(kept))
    for value in (2**63, -(2**63) - 1, 10**5000):
        with pytest.raises(InvalidMetadata, match="64 bits"):
            check_document({"n": value})
    for digits in ("9223372036854775808", "1" * 4301):
        with pytest.raises(InvalidMetadata):
            check_document('{"n": ' + digits + "}")


@pytest.mark.fault("D12", "M04")
@pytest.mark.parametrize("text", ["\ud800", "a\udcff", "a\0b", "\0"], ids=ascii)
def test_text_no_catalogue_can_hold(text: str) -> None:
    """Lone surrogates and NUL are refused: as values, keys, bytes, in lists, and escaped in text."""
    for value in ({"a": text}, {text: 1}, {"a": [text]}, {"a": {"b": {text: None}}}, json.dumps({"a": text}), json.dumps({text: 1})):
        with pytest.raises(InvalidMetadata, match=r"UTF-8|NUL"):
            check_document(value)
    with pytest.raises(InvalidMetadata):
        check_document({"a": b"\xff\xfe"})
    with pytest.raises(InvalidMetadata, match=r"UTF-8|NUL"):
        check_words(text, "notes")


@pytest.mark.fault("H11")
@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"x": {"a": 1, "a": 1}}', '{"x": [{"a": 1, "\\u0061": 1}]}'])
def test_no_key_twice(text: str) -> None:
    """JSON text with a key twice is refused: readers would disagree about its value."""
    with pytest.raises(InvalidMetadata, match="'a' twice"):
        check_document(text)


@pytest.mark.fault("M05")
def test_keys_are_inert() -> None:
    """Keys that mean something to some language are data."""
    value = {"__proto__": {"x": 1}, "constructor": 2, "__class__": "y", "toString": None, "": 0, "a.b": 1, "$where": "1"}
    assert value == check_document(value) == json.loads(canonical(check_document(value)))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"a"', "{'a': 1}", "\ufeff{}", '{"a": 1} x', '{"a": 01}'])
def test_text_that_is_no_object(text: str) -> None:
    """Text is read as a JSON object or refused."""
    with pytest.raises(InvalidMetadata):
        check_document(text, "config")


@pytest.mark.parametrize("value", [3, [], [("a", 1)], object(), b"{}"])
def test_what_is_no_dictionary(value: object) -> None:
    """Anything but a dictionary is refused with its type."""
    with pytest.raises(InvalidMetadata, match=f"config must be a dictionary, not {type(value).__name__}"):
        check_document(value, "config")


@pytest.mark.parametrize("value", [object(), 1j, lambda: 0, dt.timedelta(1), [object()]])
def test_what_json_cannot_hold(value: object) -> None:
    """Objects are refused with their key, never turned into their repr."""
    with pytest.raises(InvalidMetadata, match="'a'"):
        check_document({"a": value})


class Colour(str, enum.Enum):  # noqa: UP042  # whose `str()` is not its value
    RED = "red"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None),
        (True, True),
        (np.bool_(True), True),
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.clongdouble(1), repr(np.clongdouble(1))),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array(3), 3),
        (np.str_("x"), "x"),
        ((1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        (b"bytes", "bytes"),
        (PurePosixPath("a/b"), "a/b"),
        (dt.date(2026, 1, 31), "2026-01-31"),
        (dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC), "2026-01-31T12:00:00+00:00"),
        (Colour.RED, "red"),
    ],
)
def test_what_becomes_of_values(value: object, kept: object) -> None:
    """NumPy's and Python's own values become what a reader expects, and plain."""
    found = check_document({"a": value})["a"]
    assert kept == found
    assert type(kept) is type(found)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8), JSON, max_size=5))
def test_json_is_kept_as_it_is(value: dict[str, Any]) -> None:
    """Any JSON object within the limits is kept unchanged, is a copy, and reads back from its text."""
    found = check_document(value)
    assert value == found == json.loads(canonical(found)) == check_document(json.dumps(value))
    found["new"] = 1
    assert "new" not in value or 1 == value["new"]


def test_nothing_given() -> None:
    """No document is an empty one."""
    assert {} == check_document(None) == check_document({}) == check_document("{}")


def test_words() -> None:
    """Notes are any text of at most 1 MiB characters, or nothing."""
    assert (None, "", "a\nb\u202e") == (check_words(None, "notes"), check_words("", "notes"), check_words("a\nb\u202e", "notes"))
    for value in (3, b"a", ["a"], "x" * (MAX_BYTES + 1)):
        with pytest.raises(InvalidMetadata, match="notes"):
            check_words(value, "notes")


def test_parse_json_gives_any_value() -> None:
    """Strict JSON of any type is read."""
    assert [[1], "a", None, 2.5] == [parse_json(text) for text in ("[1]", '"a"', "null", "2.5")]
