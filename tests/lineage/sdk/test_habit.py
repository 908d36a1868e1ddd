"""Habits of people who have written W&B scripts for years: what they type without looking it up works, or says what to type instead."""

from types import ModuleType

import pytest

from lineage.errors import UsageError

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
