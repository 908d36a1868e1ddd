"""Sweeps: nobody gets a configuration twice, and the best run is the best."""

import math
from typing import Any

import pytest

from lineage.actions import delete, find, search
from lineage.model.errors import NotFound, UnsupportedError, UsageError
from lineage.model.names import ProjectPath, RunPath
from lineage.model.sweep import SweepRecord, SweepState
from tests.faults.child import together

DEMO = ProjectPath("demo")
GRID = {"method": "grid", "metric": {"name": "loss"}, "parameters": {"lr": {"values": [1, 2, 3]}, "n": {"min": 1, "max": 4}}}


def sweep_of(shop: Any, losses: list[list[Any]], **config: Any) -> SweepRecord:
    """A sweep with one run for each list of losses, r0 first."""
    made: SweepRecord = search.create_sweep(shop.engine, DEMO, GRID | config)
    for number, values in enumerate(losses):
        shop.done(f"r{number}", [{"loss": value} for value in values], sweep=made.name)
        shop.clock.move(minutes=1)
    return made


def test_a_grid_is_handed_out_once(shop: Any) -> None:
    """Every point once, then nothing, and the sweep is finished; counted from the first to the last."""
    made = search.create_sweep(shop.engine, DEMO, GRID)
    assert (SweepState.PENDING, 0) == (made.state, made.handed_out)
    points = [search.next_configuration(shop.engine, made) for _ in range(12)]
    assert [{"lr": lr, "n": n} for lr in (1, 2, 3) for n in (1, 2, 3, 4)] == points
    assert SweepState.RUNNING is find.sweep(shop.engine, RunPath(made.name, "demo")).state
    assert [None, None] == [search.next_configuration(shop.engine, made) for _ in range(2)]
    assert SweepState.FINISHED is find.sweep(shop.engine, RunPath(made.name, "demo")).state


def test_agents_never_get_the_same(shop: Any) -> None:
    """Four agents in processes of their own take a grid to pieces: every point once, nothing twice."""
    made = search.create_sweep(shop.engine, DEMO, GRID | {"parameters": {"a": {"min": 1, "max": 40}}})
    shop.engine.close()

    def agent(_: int) -> list[int]:
        engine = shop.again()
        taken = []
        while (found := search.next_configuration(engine, made)) is not None:
            taken.append(found["a"])
        return taken

    assert list(range(1, 41)) == sorted(point for taken in together(4, agent) for point in taken)


def test_a_random_search_is_the_same_for_everybody(shop: Any) -> None:
    """Two sweeps with one seed draw the same points; without a seed each draws its own."""
    config = {"method": "random", "run_cap": 3, "parameters": {"a": {"min": 0.0, "max": 1.0}}}

    def points(**more: Any) -> list[Any]:
        made = search.create_sweep(shop.engine, DEMO, config | more)
        return [search.next_configuration(shop.engine, made) for _ in range(4)]

    assert points(seed=7) == points(seed=7) != points(seed=8)
    assert points() != points()
    assert points()[-1] is None


@pytest.mark.parametrize("state", [SweepState.PAUSED, SweepState.CANCELED, SweepState.FINISHED])
def test_states(shop: Any, state: SweepState) -> None:
    """What is paused, cancelled or finished hands nothing out; only what is paused may go on."""
    made = search.create_sweep(shop.engine, DEMO, GRID)
    assert state is search.set_sweep_state(shop.engine, made, state).state
    assert search.next_configuration(shop.engine, made) is None
    if state is SweepState.PAUSED:
        search.set_sweep_state(shop.engine, made, SweepState.RUNNING)
        assert {"lr": 1, "n": 1} == search.next_configuration(shop.engine, made)
    else:
        with pytest.raises(UsageError, match=f"is {state}: it cannot become"):
            search.set_sweep_state(shop.engine, made, SweepState.RUNNING)
        search.set_sweep_state(shop.engine, made, state)


def test_a_bad_sweep_is_not_made(shop: Any) -> None:
    """What no sweep can be is refused by name, and none is there afterwards."""
    for config, error in (
        ({"method": "bayes"}, UnsupportedError),
        ({}, UsageError),
        (GRID | {"parameters": {"lr": {"values": []}}}, UsageError),
    ):
        with pytest.raises(error):
            search.create_sweep(shop.engine, ProjectPath("other"), config)
    assert ([], ["demo"]) == (find.sweeps(shop.engine, DEMO), [project.name for project in find.projects(shop.engine)])
    with pytest.raises(NotFound, match="no sweep"):
        find.sweep(shop.engine, RunPath("nothing", "demo"))


def test_sweeps_are_listed(shop: Any) -> None:
    """The newest first, each with its own configuration."""
    made = []
    for number in range(3):
        made.append(search.create_sweep(shop.engine, DEMO, GRID | {"run_cap": number + 1}))
        shop.clock.move(seconds=1)
    assert [each.name for each in reversed(made)] == [each.name for each in find.sweeps(shop.engine, DEMO)]
    assert made[1] == find.sweep(shop.engine, RunPath(made[1].name, "demo"))


LOSSES = [[5.0, 1.0, 3.0], [math.nan], [2.0, 2.5], [], [4.0, 2.5], [0.1, math.nan]]


@pytest.mark.parametrize(
    ("by", "goal", "best"),
    [
        ("last", None, "r2"),
        ("last", "maximize", "r0"),
        ("min", "minimize", "r5"),
        ("max", "maximize", "r0"),
        ("best", "minimize", "r5"),
        ("best", "maximize", "r0"),
        ("max", "minimize", "r5"),
        ("min", "maximize", "r4"),
    ],
)
def test_the_best_run(shop: Any, by: str, goal: str | None, best: str) -> None:
    """By its last value or its best ever; without a value or with NaN a run is nobody's best; of equals the earliest is."""
    made = sweep_of(shop, LOSSES)
    found = search.best_run(shop.engine, made, by=by, goal=goal)
    assert found is not None
    assert best == found.name


def test_no_best_run(shop: Any) -> None:
    """Nobody is best where nobody has the metric; without any metric one has to be named; deleted runs do not count."""
    made = sweep_of(shop, [[math.nan], []])
    for by in ("last", "min", "max", "best"):
        assert search.best_run(shop.engine, made, by=by) is None
    assert search.best_of_runs(shop.engine, DEMO, "nothing", "minimize") is None
    anonymous = search.create_sweep(shop.engine, DEMO, {"method": "random", "parameters": {"a": 1}})
    with pytest.raises(UsageError, match="names no metric"):
        search.best_run(shop.engine, anonymous)
    for wrong in ({"by": "first"}, {"goal": "best"}):
        with pytest.raises(UsageError):
            search.best_run(shop.engine, made, **wrong)


def test_the_best_is_of_its_sweep(shop: Any) -> None:
    """Runs of other sweeps, of none and deleted ones are not asked; ties go to the earliest."""
    made = sweep_of(shop, [[2.0], [1.0], [1.0], [1.0]])
    shop.done("alone", [{"loss": -5.0}])
    gone = shop.done("gone", [{"loss": -9.0}], sweep=made.name)
    delete.delete_run(shop.engine, gone.id)
    best, overall = search.best_run(shop.engine, made), search.best_of_runs(shop.engine, DEMO, "loss", "minimize")
    assert ("r1", "alone") == (best and best.name, overall and overall.name)
    delete.delete_run(shop.engine, find.run(shop.engine, RunPath("r1", "demo")).id)
    again = search.best_run(shop.engine, made)
    assert "r2" == (again and again.name)


def test_infinities_are_numbers(shop: Any) -> None:
    """An infinite value is worse or better than any other, as numbers are."""
    made = sweep_of(shop, [[math.inf], [1.0], [-math.inf]])
    assert ["r2", "r0"] == [(found := search.best_run(shop.engine, made, goal=goal)) and found.name for goal in ("minimize", "maximize")]


def test_runs_of_a_sweep(shop: Any) -> None:
    """Best first by the sweep's own metric and goal, those without it last; other orders and pages on demand."""
    made = sweep_of(shop, LOSSES, metric={"name": "loss", "goal": "maximize"})
    assert ["r0", "r2", "r4", "r1", "r3", "r5"] == [run.name for run in search.sweep_runs(shop.engine, made)]
    assert ["r4", "r1"] == [run.name for run in search.sweep_runs(shop.engine, made, limit=2, offset=2)]
    assert ["r5", "r4"] == [run.name for run in search.sweep_runs(shop.engine, made, order="-created_at", limit=2)]
    for wrong in ({"order": "state desc"}, {"limit": -1}):
        with pytest.raises(UsageError):
            search.sweep_runs(shop.engine, made, **wrong)
