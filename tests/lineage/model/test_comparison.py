"""What two provenances differ in, and how it is said."""

import datetime as dt
import math
from typing import Any

import pytest

from lineage.model.artifact import VersionRecord, VersionState
from lineage.model.comparison import ABSENT, Comparison, Input, Provenance, differing, exchanged, told
from lineage.model.run import RunRecord, RunState

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def version(number: int, collection: str = "data", order: int | None = None, **more: Any) -> VersionRecord:
    known = {"type": "dataset", "digest": f"blake3:{number:064}", "size": 1, "entries": 1, "domain": "d", "created_at": NOON}
    return VersionRecord(order or number + 1, "ann", "demo", collection, 1, number, state=VersionState.LIVE, **{**known, **more})


def run(name: str, **more: Any) -> RunRecord:
    return RunRecord(1, 1, "ann", "demo", name, name, RunState.FINISHED, **more)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"lr": 0.1}, {"lr": 0.1}, []),
        ({"lr": 0.1}, {"lr": 0.2}, [("lr", 0.1, 0.2)]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
        ({}, {"a": None}, [("a", ABSENT, None)]),
        ({"o": {"name": "sgd", "m": 1}}, {"o": {"name": "adam", "m": 1}}, [("o.name", "sgd", "adam")]),
        ({"o": {"m": 1}}, {"o": 1}, [("o.m", 1, ABSENT), ("o", ABSENT, 1)]),
        ({"o": {"m": 1}}, {"o.m": 1}, [("o.m", 1, ABSENT), ("o.m", ABSENT, 1)]),
        ({"o": {}}, {"o": {}}, []),
        ({"x": True}, {"x": 1}, [("x", True, 1)]),
        ({"x": 1}, {"x": 1.0}, []),
        ({"x": math.nan}, {"x": math.nan}, []),
        ({"b": 1, "a": 1}, {"a": 2, "b": 2, "c": 2}, [("b", 1, 2), ("a", 1, 2), ("c", ABSENT, 2)]),
    ],
)
def test_values_are_compared_key_by_key(before: dict[str, Any], after: dict[str, Any], found: list[tuple[str, Any, Any]]) -> None:
    """Nested ones as well; a key that is not there is not null, true is not 1, and not-a-number is what it was."""
    assert found == [(each.key, each.before, each.after) for each in differing(before, after)]


def test_inputs_are_compared_by_collection_and_role() -> None:
    """Versions of one collection stand beside each other; what both used explains nothing."""
    before = [Input(version(0)), Input(version(1)), Input(version(5, "weights", 9), "teacher")]
    after = [Input(version(1)), Input(version(2)), Input(version(5, "weights", 9))]
    assert [
        ("ann/demo/data", "", ["data:v0"], ["data:v2"]),
        ("ann/demo/weights", "teacher", ["weights:v5"], []),
        ("ann/demo/weights", "", [], ["weights:v5"]),
    ] == [
        (each.collection, each.role, [one.name for one in each.before], [one.name for one in each.after])
        for each in exchanged(before, after)
    ]


def test_everything_that_differs_has_a_heading() -> None:
    """And nothing else has."""
    before = Provenance(
        version(0, "net", metadata={"k": 1}), run("one", job_type="train", config={"lr": 1}), (Input(version(0)),), (), {"loss": 0.5}
    )
    after = Provenance(
        version(1, "net", metadata={"k": 2}),
        run("two", job_type="tune", config={"lr": 2}),
        (Input(version(1)),),
        (version(3, "src"),),
        {"loss": 0.25},
    )
    assert [
        ("content", ["not the same, and it is gone"]),
        ("made by", ["ann/demo/one → ann/demo/two"]),
        ("inputs", ["ann/demo/data: v0 → v1"]),
        ("code", ["ann/demo/src as code: – → v3"]),
        ("config", ["lr: 1 → 2"]),
        ("metadata", ["k: 1 → 2"]),
        ("summary", ["loss: 0.5 → 0.25"]),
        ("besides", ["job type: train → tune"]),
    ] == told(Comparison(before, after, None, "it is gone"))


def test_a_version_is_the_same_as_itself() -> None:
    """And one that no run made has nothing beside its content."""
    comparison = Comparison(Provenance(version(0)), Provenance(version(0)), None)
    assert not comparison
    assert [("content", ["the same"])] == told(comparison)


def test_what_comes_from_outside_cannot_steer_a_terminal() -> None:
    """Control characters in a configuration are shown, not obeyed."""
    sides = [Provenance(version(0), run("one", config={"note": text})) for text in ("a", "\x1b[2Jb")]
    assert "\x1b" not in str(told(Comparison(sides[0], sides[1], None)))
