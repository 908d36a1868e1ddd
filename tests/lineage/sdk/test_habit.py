"""Habits of people who have written W&B scripts for years: what they type without looking it up works, or says what to type instead."""

from types import ModuleType

import numpy as np
import pytest

from lineage.errors import UnsupportedError, UsageError

GRID = {"method": "grid", "parameters": {"lr": {"values": [1, 2]}}}


def test_an_agent_finds_the_sweep_that_this_script_made(wandb: ModuleType) -> None:
    """The project is said to `sweep` and left out of `agent`, as in every tutorial."""
    sweep_id = wandb.sweep(GRID, project="shop")

    def train() -> None:
        wandb.init()
        wandb.log({"loss": wandb.config.lr})

    wandb.agent(sweep_id, train)
    assert [1, 2] == sorted(run.config["lr"] for run in wandb.Api().sweep(f"shop/{sweep_id}").runs)


def test_a_sweep_says_which_of_its_keys_do_nothing(wandb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """A search that is told to stop bad runs early, and does not, says so when it is made."""
    wandb.sweep({**GRID, "early_terminate": {"type": "hyperband", "min_iter": 3}}, project="shop")
    assert "early_terminate has no effect here" in capsys.readouterr().err
    wandb.sweep(GRID, project="shop")
    assert "no effect" not in capsys.readouterr().err


def test_a_sweep_without_a_metric_says_how_to_name_one(wandb: ModuleType) -> None:
    """The message is a call that works."""
    sweep = wandb.Api().sweep(f"shop/{wandb.sweep(GRID, project='shop')}")
    with pytest.raises(UsageError, match=r"best_run\(order='\+val_loss'\)"):
        sweep.best_run()
    assert sweep.best_run(order="+val_loss") is None


def test_what_a_finished_run_refuses_has_not_happened(wandb: ModuleType) -> None:
    """Neither in the catalogue nor in the script's own hands."""
    with wandb.init(project="shop", config={"lr": 1}) as run:
        run.log({"loss": 1})
    for change in (
        lambda: run.summary.update({"loss": 2}),
        lambda: run.summary.__delitem__("loss"),
        lambda: run.config.update({"lr": 2}),
        lambda: setattr(run.config, "new", 1),
    ):
        with pytest.raises(UsageError, match="is finished"):
            change()
    assert ({"loss": 1}, {"lr": 1}) == (run.summary.as_dict(), run.config.as_dict())
    kept = wandb.Api().run(f"shop/{run.id}")
    assert ({"loss": 1}, {"lr": 1}) == (kept.summary.as_dict(), kept.config)


def test_a_counter_of_numpy_is_a_step(wandb: ModuleType) -> None:
    """Training loops count with whatever their library counts with; fractions and booleans are no steps."""
    run = wandb.init(project="shop")
    run.log({"loss": 1}, step=np.int64(3))
    assert 3 == run.step
    for wrong in (1.5, True, "4", np.float32(4)):
        with pytest.raises(UsageError, match="whole number"):
            run.log({"loss": 1}, step=wrong)


def test_init_says_what_it_does_not_know(wandb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt argument is named: otherwise the run would quietly go elsewhere."""
    wandb.init(project="shop", projet="other")
    assert "init has no argument projet: check the spelling" in capsys.readouterr().err


def test_a_run_that_must_be_there_needs_a_name(wandb: ModuleType) -> None:
    """`resume='must'` without an id cannot be meant, and no id is made up for the message."""
    with pytest.raises(UsageError, match="none was named: pass id="):
        wandb.init(project="shop", resume="must")


def test_a_way_of_being_anonymous_that_does_not_exist(wandb: ModuleType) -> None:
    """Is told apart from the one that only a server offers."""
    with pytest.raises(UsageError, match="choose one of allow, never, must"):
        wandb.init(project="shop", anonymous="maybe")
    with pytest.raises(UnsupportedError, match="needs a server"):
        wandb.init(project="shop", anonymous="must")
