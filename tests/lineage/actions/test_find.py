"""Filters, orders and pages of runs, against a few lines of Python that say what they mean."""

import datetime as dt
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.actions import find, finish, start, update
from lineage.actions.create import project
from lineage.actions.delete import delete_run
from lineage.actions.open import Engine, open_engine
from lineage.actions.record import Recording, record
from lineage.model.errors import UsageError
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.model.run import RunRecord

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DEMO = ProjectPath("demo")

RUNS: list[dict[str, Any]] = [
    {
        "run": "r0",
        "job_type": "train",
        "group": "g1",
        "tags": ("a", "b"),
        "config": {"lr": 0.1, "opt": "adam", "flag": True},
        "summary": {"loss": 0.5, "note": "fine"},
    },
    {
        "run": "r1",
        "job_type": "train",
        "tags": ("a",),
        "config": {"lr": 1, "opt": "sgd", "flag": False},
        "summary": {"loss": math.nan, "ok": True},
    },
    {
        "run": "r2",
        "group": "g2",
        "notes": "NOTE",
        "config": {"lr": "0.1", "flag": 1, "list": [1, 2]},
        "summary": {"loss": math.inf},
        "exit_code": 1,
    },
    {"run": "r3", "job_type": "eval", "tags": ("b",), "config": {"lr": None, "opt": ""}, "summary": {"loss": "0.5", "ok": False}},
    {"run": "r4", "config": {}, "summary": {}, "exit_code": None},
    {"run": "r5", "group": "g1", "config": {"lr": -0.0, "dict": {"a": 1}}, "summary": {"loss": 0.5, "ok": 1}},
    {"run": "r6", "group": "g1", "config": {"lr": 10**15, "flag": 0}, "summary": {"loss": -math.inf, "ok": 0}},
]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Seven runs, an hour apart, with values of every kind; one of another project and one that was deleted."""
    now = NOON
    engine = open_engine(tmp_path_factory.mktemp("find") / "home", entity="ann", clock=lambda: now)
    for number, each in enumerate(RUNS):
        now = NOON + dt.timedelta(hours=number)
        opening = {key: value for key, value in each.items() if key in ("job_type", "group", "tags", "config", "notes")}
        run = start.start_run(engine, start.Opening(DEMO, run=each["run"], name=f"display {number}", **opening)).run
        now += dt.timedelta(seconds=10 * number)
        if each.get("exit_code", 0) is not None:
            finish.finish_run(engine, run.id, exit_code=each.get("exit_code", 0), summary=each["summary"])
    other = start.start_run(engine, start.Opening(ProjectPath("other"), run="r0", config={"lr": 0.1})).run
    gone = start.start_run(engine, start.Opening(DEMO, run="gone", config={"lr": 0.1})).run
    for run in (other, gone):
        finish.finish_run(engine, run.id)
    delete_run(engine, gone.id)
    yield engine
    engine.close()


def value_of(engine: Engine, run: RunRecord, field: str) -> Any:
    """What a field says of a run; `None` for what is absent."""
    place, _, key = field.partition(".")
    if place == "config":
        return run.config.get(key)
    if place == "summary_metrics":
        return find.summary(engine, run.id).get(key)
    if place == "duration":
        end = run.finished_at or run.heartbeat_at
        return None if end is None else (end - run.created_at).total_seconds()
    return getattr(run, place)


def kind(value: object) -> str:
    kinds = {"boolean": bool, "number": int | float, "text": str}
    return next((name for name, members in kinds.items() if isinstance(value, members)), type(value).__name__)


def equal(one: object, other: object) -> bool:
    """Values of one kind that are the same; NaN is no number that equals."""
    return kind(one) == kind(other) and one == other


COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda one, other: one > other,
    "$gte": lambda one, other: one >= other,
    "$lt": lambda one, other: one < other,
    "$lte": lambda one, other: one <= other,
}
MEANS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": equal,
    "$in": lambda one, others: any(equal(one, other) for other in others),
    "$exists": lambda one, wanted: (one is not None) == wanted,
    "$regex": lambda one, pattern: isinstance(one, str) and re.search(pattern, one) is not None,
    **{name: (lambda one, other, test=test: kind(one) == kind(other) and test(one, other)) for name, test in COMPARED.items()},
}


def holds(engine: Engine, run: RunRecord, filters: Mapping[str, Any]) -> bool:
    """The meaning of a filter, without SQL."""
    logic: dict[str, Callable[[Any], bool]] = {
        "$and": lambda parts: all(holds(engine, run, part) for part in parts),
        "$or": lambda parts: any(holds(engine, run, part) for part in parts),
        "$nor": lambda parts: not any(holds(engine, run, part) for part in parts),
        "$not": lambda part: not holds(engine, run, part),
    }
    return all(logic[key](value) if key in logic else _holds(engine, run, key, value) for key, value in filters.items())


def _holds(engine: Engine, run: RunRecord, field: str, wanted: Any) -> bool:
    tests = wanted if isinstance(wanted, dict) else {"$eq": wanted}
    return all(_test(engine, run, field, operator, value) for operator, value in tests.items())


def _test(engine: Engine, run: RunRecord, field: str, operator: str, wanted: Any) -> bool:
    opposite = {"$ne": "$eq", "$nin": "$in"}.get(operator)
    if opposite:
        return not _test(engine, run, field, opposite, wanted)
    if operator == "$not":
        return not _holds(engine, run, field, wanted)
    found = value_of(engine, run, field)
    if field == "config.lr" and operator == "$exists":
        return ("lr" in run.config) == bool(wanted)
    if field != "tags":
        return MEANS[operator](found, wanted)
    asks_for_none = wanted is None if operator == "$eq" else operator == "$in" and None in wanted
    if operator == "$exists":
        return bool(found) == bool(wanted)
    return any(MEANS[operator](tag, wanted) for tag in found) or (asks_for_none and not found)


VALUES: dict[str, list[Any]] = {
    "name": ["r0", "r3", "x", "R0"],
    "display_name": ["display 1", "display"],
    "state": ["finished", "failed", "running", "x"],
    "group": ["g1", "g2", "", None],
    "job_type": ["train", "eval", None],
    "notes": ["NOTE", "note", None],
    "tags": ["a", "b", "c", None],
    "sweep": ["s", None],
    "exit_code": [0, 1, None],
    "duration": [0, 10, 20.5, None],
    "config.lr": [0.1, "0.1", 1, 0, True, False, None, 10**15],
    "config.opt": ["adam", "", None, 0],
    "config.flag": [True, False, 1, 0, 1.0, "true", None],
    "config.list": ["[1,2]", None],
    "config.dict": ['{"a":1}', None],
    "config.none": [None, 1],
    "summary_metrics.loss": [0.5, "0.5", math.inf, -math.inf, 1, True, None],
    "summary_metrics.ok": [True, False, 1, 0, "true", None],
    "summary_metrics.note": ["fine", "f", 1],
}
PATTERNS = ["^r[0-3]$", "a", "", "(?i)note", "ain$", "1|2"]


@st.composite
def terms(draw: st.DrawFn) -> dict[str, Any]:
    """One field with one value, or with one or two operators."""
    field = draw(st.sampled_from(sorted(VALUES)))
    value = st.sampled_from(VALUES[field])
    ordered = st.sampled_from([each for each in VALUES[field] if each is not None and not isinstance(each, bool)])
    operands = {
        **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), ordered),
        **dict.fromkeys(("$eq", "$ne"), value),
        **{name: st.lists(value, max_size=3) for name in ("$in", "$nin")},
        "$exists": st.booleans(),
    }
    if field not in ("exit_code", "duration"):
        operands["$regex"] = st.sampled_from(PATTERNS)
    if draw(st.booleans()):
        return {field: draw(value)}
    chosen = draw(st.lists(st.sampled_from(sorted(operands)), min_size=1, max_size=2, unique=True))
    stated = {name: draw(operands[name]) for name in chosen}
    return {field: {"$not": stated} if draw(st.integers(0, 4)) == 0 else stated}


FILTERS = st.recursive(
    terms(),
    lambda inner: (
        st.builds(lambda word, parts: {word: parts}, st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda part: {"$not": part}, inner)
        | st.builds(lambda one, other: one | other, inner, inner)
    ),
    max_leaves=5,
)


def _names(engine: Engine, **more: Any) -> list[str]:
    return [run.name for run in find.runs(engine, DEMO, **more)]


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(FILTERS)
def test_filters_mean_what_they_say(full: Engine, filters: dict[str, Any]) -> None:
    """Any filter of the grammar finds exactly the runs it describes, and counts them."""
    everything = find.runs(full, DEMO)
    expected = [run.name for run in everything if holds(full, run, filters)]
    assert expected == _names(full, filters=filters)
    assert len(expected) == find.count_runs(full, DEMO, filters=filters)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"config.lr": {"$gt": 0.05}}, ["r0", "r1", "r6"]),
        ({"config.lr": {"$gt": "0"}}, ["r2"]),
        ({"config.lr.value": 0.1}, ["r0"]),
        ({"config.lr": {"$ne": 0.1}}, ["r1", "r2", "r3", "r4", "r5", "r6"]),
        ({"config.lr": None}, ["r3", "r4"]),
        ({"config.lr": {"$exists": False}}, ["r4"]),
        ({"config.flag": True}, ["r0"]),
        ({"config.flag": 1}, ["r2"]),
        ({"summary_metrics.loss": {"$exists": True}}, ["r0", "r1", "r2", "r3", "r5", "r6"]),
        ({"summary_metrics.loss": {"$lte": 0.5}}, ["r0", "r5", "r6"]),
        ({"summary_metrics.loss": {"$gt": 1e300}}, ["r2"]),
        ({"summary_metrics.loss": "0.5"}, ["r3"]),
        ({"summary_metrics.ok": True}, ["r1"]),
        ({"summary_metrics.ok": 1}, ["r5"]),
        ({"tags": {"$nin": ["a"]}}, ["r2", "r3", "r4", "r5", "r6"]),
        ({"tags": {"$in": ["a", "b"]}}, ["r0", "r1", "r3"]),
        ({"tags": None}, ["r2", "r4", "r5", "r6"]),
        ({"$and": [{"tags": "a"}, {"tags": "b"}]}, ["r0"]),
        ({"group": {"$in": [None, "g2"]}}, ["r1", "r2", "r3", "r4"]),
        ({"group": {"$nin": [None]}}, ["r0", "r2", "r5", "r6"]),
        ({"group": {"$ne": "g1"}}, ["r1", "r2", "r3", "r4"]),
        ({"state": {"$nin": []}}, [f"r{number}" for number in range(7)]),
        ({"state": {"$in": []}}, []),
        ({"$or": []}, []),
        ({"$nor": [{"state": "finished"}]}, ["r2", "r4"]),
        ({"displayName": {"$regex": "[56]$"}}, ["r5", "r6"]),
        ({"createdAt": {"$gte": "2026-03-01T14:00:00"}, "created_at": {"$lt": "2026-03-01T18:00:00+02:00"}}, ["r2", "r3"]),
        ({"created_at": {"$gt": "2026-03-02"}}, []),
        ({"created_at": NOON.timestamp()}, ["r0"]),
        ({"created_at": {"$in": ["2026-03-01T12:00:00", "2026-03-01T13:00:00Z"]}}, ["r0", "r1"]),
        ({"finished_at": None}, ["r4"]),
        ({"finished_at": {"$exists": True}, "duration": {"$gte": 50}}, ["r5", "r6"]),
        ({"exit_code": {"$ne": 0}}, ["r2", "r4"]),
    ],
    ids=repr,
)
def test_filters_by_example(full: Engine, filters: dict[str, Any], found: list[str]) -> None:
    """Values compare with their own kind, absent differs from everything, times are ISO 8601 in UTC or seconds."""
    assert found == _names(full, filters=filters)


@pytest.mark.fault("D14", "M13", "D13")
@pytest.mark.parametrize(
    "filters",
    [
        {"created_at": "yesterday"},
        {"created_at": math.inf},
        {"created_at": True},
        {"created_at": {"$regex": "2026"}},
        {"duration": "long"},
        {"exit_code": {"$in": ["0"]}},
        {"exit_code": True},
        {"name": 3},
        {"name": {"$regex": "("}},
        {"name": {"$regex": "(?<=a)b"}},
        {"name": {"$regex": "(a)\\1"}},
        {"name": {"$regex": "\ud800"}},
        {"config.lr": 2**63},
        {"exit_code": 2**63},
        {"name": "\ud800"},
        {"created_at": 1e300},
    ],
    ids=ascii,
)
def test_what_cannot_be_compared(full: Engine, filters: dict[str, Any]) -> None:
    """A value of the wrong kind for its column, a broken pattern or a number beyond 64 bits is refused, never an SQL error."""
    with pytest.raises(UsageError):
        find.runs(full, DEMO, filters=filters)


@pytest.mark.fault("M13")
def test_patterns_are_matched_in_linear_time(tmp_path: Any) -> None:
    """A pattern made to backtrack on a text made for it costs nothing."""
    engine = open_engine(tmp_path / "home", entity="ann")
    run = start.start_run(engine, start.Opening(DEMO, run="r")).run
    update.update_run(engine, run.id, notes="a" * 65_536 + "!")
    for pattern in ("(a+)+$", "(a|aa)+$", "(a*)*b", "^(a?){200}a{200}$", "a*a*a*a*a*a*b"):
        assert [] == _names(engine, filters={"notes": {"$regex": pattern}})
    finish.finish_run(engine, run.id)
    engine.close()


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (None, ["r0", "r1", "r2", "r3", "r4", "r5", "r6"]),
        ("-created_at", ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]),
        ("+summary_metrics.loss", ["r6", "r0", "r5", "r2", "r1", "r3", "r4"]),
        ("-summary_metrics.loss", ["r2", "r0", "r5", "r6", "r1", "r3", "r4"]),
        ("config.nothing", ["r0", "r1", "r2", "r3", "r4", "r5", "r6"]),
        ("-group", ["r2", "r0", "r5", "r6", "r1", "r3", "r4"]),
        ("group", ["r0", "r5", "r6", "r2", "r1", "r3", "r4"]),
        ("-duration", ["r6", "r5", "r3", "r2", "r1", "r0", "r4"]),
    ],
)
def test_orders(full: Engine, order: str | None, found: list[str]) -> None:
    """By any field either way; ties go to the earlier run, and what has no value, or NaN, comes last."""
    if order == "-duration":
        assert found[:6] == [name for name in _names(full, order=order) if name != "r4"]
    else:
        assert found == _names(full, order=order)


def test_orders_by_configuration(full: Engine) -> None:
    """Numbers in their order, text after them, absent and null last."""
    assert ["r5", "r0", "r1", "r6", "r2", "r3", "r4"] == _names(full, order="+config.lr")
    with pytest.raises(UsageError, match="cannot be ordered by tags"):
        find.runs(full, DEMO, order="tags")


def test_pages(full: Engine) -> None:
    """Pages together are the list, whatever their length, and a page beyond the end is empty."""
    for size in (1, 2, 3, 7, 50):
        pages = [_names(full, order="-summary_metrics.loss", limit=size, offset=at) for at in range(0, 8, size)]
        assert _names(full, order="-summary_metrics.loss") == [name for page in pages for name in page]
    assert ([], [], ["r6"]) == (_names(full, limit=0), _names(full, offset=99), _names(full, offset=6))


def test_versions_by_tag(tmp_path: Any) -> None:
    """Versions that carry all tags asked for, newest first."""
    engine = open_engine(tmp_path / "home", entity="ann")
    made = record(engine, project(engine, DEMO), [Recording(logged=["a"]) for _ in range(3)])
    for recorded, tags in zip(made, (["x"], ["x", "y"], []), strict=True):
        update.update_version(engine, find.version_by_id(engine, recorded.versions[0]), tags=tags)
    path = ArtifactPath("a", None, "demo")
    assert [[2, 1, 0], [1, 0], [1], []] == [
        [v.number for v in find.versions(engine, path, tags=tags)] for tags in ([], ["x"], ["y", "x"], ["x", "z"])
    ]
    engine.close()


def test_filters_reach_into_nested_configurations(shop: Any) -> None:
    """`config.a.b` is the key `b` under `a` as well as a key that is called `a.b`; text on the way is no place to look into."""
    for run, config in (
        ("nested", {"model": {"lr": 0.1, "opt": {"name": "adam"}}}),
        ("flat", {"model.lr": 0.1}),
        ("text", {"model": '{"lr": 0.1}'}),
        ("plain", {"model": 1}),
        ("none", {}),
    ):
        shop.done(run, config=config)

    def names(filters: dict[str, Any]) -> list[str]:
        return [run.name for run in find.runs(shop.engine, DEMO, filters=filters)]

    assert ["nested", "flat"] == names({"config.model.lr": 0.1})
    assert ["nested"] == names({"config.model.opt.name": {"$regex": "^ad"}})
    assert ["flat", "text", "plain", "none"] == names({"config.model.opt.name": {"$ne": "adam"}})
    assert ["text", "plain", "none"] == names({"config.model.lr": {"$exists": False}})
    assert ["nested"] == names({"config.model.opt.name.value": "adam"})
    assert [] == names({f"config.{'a.' * 500}b": 1})
