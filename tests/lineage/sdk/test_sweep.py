"""Sweeps: every configuration once, a best run by one rule."""

import math
from types import ModuleType
from typing import Any

import pytest

from lineage.errors import NotFound, UnsupportedError, UsageError

GRID = {
    "method": "grid",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {"lr": {"values": [1, 2, 3]}, "opt": {"value": "sgd"}},
}


def run_all(wandb: ModuleType, config: dict[str, Any], losses: dict[int, Any], **how: Any) -> Any:
    """A sweep whose runs log what `losses` says for their `lr`."""
    sweep_id = wandb.sweep(config, project="shop")

    def train() -> None:
        with wandb.init() as run:
            for loss in losses.get(run.config.lr, ()):
                run.log({"loss": loss})

    wandb.agent(sweep_id, train, project="shop", **how)
    return wandb.Api().sweep(f"shop/{sweep_id}")


def test_a_grid_is_walked_to_its_end(wandb: ModuleType) -> None:
    """Each combination once, in order; then the sweep is finished."""
    sweep = run_all(wandb, GRID, {1: [3.0], 2: [1.0], 3: [2.0]})
    assert [1, 2, 3] == sorted(run.config["lr"] for run in sweep.runs)
    assert {"sgd"} == {run.config["opt"] for run in sweep.runs}
    assert ("FINISHED", 3, "+summary_metrics.loss", 3) == (sweep.state, sweep.expected_run_count, sweep.order, len(sweep))
    assert [2, 3, 1] == [run.config["lr"] for run in sweep.runs]
    assert sweep.id == sweep.runs[0].sweep_name == sweep.runs[0].sweep.id


def test_a_random_search_ends_where_it_is_told(wandb: ModuleType) -> None:
    """By `count`, or by the sweep's own cap; the same seed draws the same."""
    config = {"method": "random", "parameters": {"lr": {"min": 0.0, "max": 1.0}}, "seed": 3}
    first, second = (run_all(wandb, config, {}, count=2) for _ in range(2))
    assert (2, None, "RUNNING") == (len(first.runs), first.expected_run_count, first.state)
    assert {run.config["lr"] for run in first.runs} == {run.config["lr"] for run in second.runs}
    assert 1 == len(run_all(wandb, {**config, "run_cap": 1}, {}).runs)


def test_the_best_run_is_the_best_last_value(wandb: ModuleType) -> None:
    """By default; `by` compares the best a history ever had; runs without the metric, or NaN, are nobody's best."""
    sweep = run_all(wandb, GRID, {1: [0.5, 4.0], 2: [3.0, 2.0], 3: [math.nan]})
    assert (2, 1) == (sweep.best_run().config["lr"], sweep.best_run(by="best").config["lr"])
    assert 1 == sweep.best_run(order="-loss").config["lr"]
    assert 2 == sweep.best_run(order="loss").config["lr"] == sweep.best_run(order="+summary_metrics.loss").config["lr"]
    assert sweep.best_run(order="nothing") is None
    with pytest.raises(UsageError, match="by="):
        sweep.best_run(by="luck")
    with pytest.raises(UsageError, match="names no metric"):
        sweep.best_run(order="+")


def test_the_goal_decides_which_end_is_best(wandb: ModuleType) -> None:
    """Maximise; ties go to the earliest; without a metric it must be said."""
    sweep = run_all(wandb, {**GRID, "metric": {"name": "loss", "goal": "maximize"}}, {1: [2.0], 2: [3.0], 3: [3.0]})
    assert ("-summary_metrics.loss", 2) == (sweep.order, sweep.best_run().config["lr"])
    nameless = run_all(wandb, {"method": "grid", "parameters": {"lr": {"values": [1]}}}, {1: [1.0]})
    assert nameless.order is None
    with pytest.raises(UsageError, match="names no metric"):
        nameless.best_run()
    assert 1 == nameless.best_run(order="loss").config["lr"]


def test_the_sweeps_values_are_locked(wandb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Later code cannot overwrite what was chosen; it is said, and other keys are free."""
    sweep_id = wandb.sweep({**GRID, "parameters": {"lr": {"values": [7]}}}, project="shop")

    def train() -> None:
        with wandb.init(config={"lr": 1, "batch": 2}) as run:
            run.config.lr = 9
            run.config["batch"] = 3
            assert (7, 3) == (run.config.lr, run.config.batch)

    wandb.agent(sweep_id, function=train, project="shop")
    (run,) = wandb.Api().sweep(f"shop/{sweep_id}").runs
    assert ({"lr": 7, "batch": 3}, "finished") == (run.config, run.state)
    assert "the sweep has chosen it" in capsys.readouterr().err


def test_a_function_that_fails_fails_its_run_only(wandb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """The next configuration is tried; runs it left open are finished for it."""
    sweep_id = wandb.sweep(GRID, project="shop")

    def train() -> None:
        run = wandb.init()
        if run.config.lr == 2:
            raise RuntimeError("no such rate")
        run.log({"loss": 1.0})

    wandb.agent(sweep_id, train, project="shop")
    assert {1: "finished", 2: "failed", 3: "finished"} == {
        run.config["lr"]: run.state for run in wandb.Api().sweep(f"shop/{sweep_id}").runs
    }
    assert "no such rate" in capsys.readouterr().err
    assert wandb.run is None


def test_an_agent_gives_up_on_a_function_that_never_works(wandb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """After its first three runs, or after as many in a row as it was told."""
    config = {**GRID, "parameters": {"lr": {"values": list(range(10))}}}
    for how, runs in (({}, 3), ({"max_consecutive_failed_runs": 2}, 2)):
        sweep_id = wandb.sweep(config, project="shop")

        def train() -> None:
            wandb.init()
            raise RuntimeError

        wandb.agent(sweep_id, train, project="shop", **how)
        assert runs == len(wandb.Api().sweep(f"shop/{sweep_id}").runs)
        assert "gives up" in capsys.readouterr().err


def test_a_sweep_can_be_paused_stopped_and_cancelled(wandb: ModuleType) -> None:
    """Paused it hands nothing out and can go on; stopped it is over."""
    sweep_id = wandb.sweep(GRID, project="shop")
    sweep = wandb.Api().sweep(f"shop/{sweep_id}")
    sweep.pause()
    wandb.agent(sweep_id, lambda: pytest.fail("nothing is handed out"), project="shop")
    sweep.resume()
    wandb.agent(sweep_id, lambda: wandb.init().finish(), project="shop", count=1)
    sweep.stop()
    assert ("FINISHED", 1) == (sweep.state, len(sweep.runs))
    with pytest.raises(UsageError):
        sweep.resume()
    other = wandb.Api().sweep(f"shop/{wandb.sweep(GRID, project='shop')}")
    other.cancel()
    assert "CANCELED" == other.state
    assert 2 == len(wandb.Api().sweeps("shop"))


def test_a_run_may_say_which_sweep_it_belongs_to(wandb: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """`WANDB_SWEEP_ID`, as another agent would set it."""
    sweep_id = wandb.sweep(GRID, project="shop")
    monkeypatch.setenv("WANDB_SWEEP_ID", f"shop/{sweep_id}")
    with wandb.init() as run:
        assert (sweep_id, sweep_id, "shop") == (run.sweep_id, run.sweep.id, run.project)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"method": "grid"},
        {"method": "bayes", "parameters": {"a": {"value": 1}}},
        {"method": "grid", "parameters": {"a": {"min": 0.0, "max": 1.0}}},
        7,
    ],
)
def test_a_wrong_sweep_is_refused(wandb: ModuleType, wrong: Any) -> None:
    """Before anything is made."""
    with pytest.raises(UsageError):
        wandb.sweep(wrong, project="shop")
    with pytest.raises(NotFound):
        wandb.Api().project("shop")


def test_an_agent_needs_a_function_and_a_sweep(wandb: ModuleType) -> None:
    """And a count that makes sense."""
    sweep_id = wandb.sweep(GRID, project="shop")
    with pytest.raises(UnsupportedError, match="function=train"):
        wandb.agent(sweep_id, project="shop")
    with pytest.raises(NotFound):
        wandb.agent("shop/none", lambda: None)
    with pytest.raises(UsageError, match="count=0"):
        wandb.agent(sweep_id, lambda: None, count=0)
    with pytest.raises(UnsupportedError, match="prior_runs"):
        wandb.sweep(GRID, prior_runs=["a"])
