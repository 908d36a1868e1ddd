"""A configuration: what may be in it, who may change it."""

import argparse
import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from lineage.errors import ConfigError, Gone, NotFound, UsageError


@dataclass
class Options:
    lr: float = 0.5


def kept(wandb: ModuleType, run: Any) -> dict[str, Any]:
    found: dict[str, Any] = wandb.Api().run(run.path).config
    return found


def test_a_configuration_comes_in_many_forms(wandb: ModuleType, write: Callable[..., str]) -> None:
    """Dictionary, argparse namespace, dataclass, YAML file, and the YAML the W&B client writes."""
    plain, wrapped = write("plain.yaml", "lr: 0.5\n"), write("wrapped.yaml", "wandb_version: 1\nlr:\n  value: 0.5\n  desc: null\n")
    for given in ({"lr": 0.5}, argparse.Namespace(lr=0.5), Options(), plain, wrapped):
        with wandb.init(config=given) as run:
            assert {"lr": 0.5} == dict(run.config.items())
        assert {"lr": 0.5} == kept(wandb, run)


def test_keys_are_chosen_or_left_out(wandb: ModuleType) -> None:
    """`config_include_keys` and `config_exclude_keys`, one of them."""
    with wandb.init(config={"a": 1, "b": 2}, config_include_keys=["a"]) as run:
        assert {"a": 1} == run.config.as_dict()
    with wandb.init(config={"a": 1, "b": 2}, config_exclude_keys=["a"]) as run:
        assert {"b": 2} == run.config.as_dict()
    with pytest.raises(UsageError, match="use one of them"):
        wandb.init(config={"a": 1}, config_include_keys=["a"], config_exclude_keys=["b"])
    assert wandb.run is None


def test_a_change_is_kept_at_once(wandb: ModuleType) -> None:
    """Assignment by key and attribute, `update`, `setdefaults`: another reader sees each of them."""
    run = wandb.init(config={"a": 1})
    run.config["b"] = 2
    run.config.c = 3
    run.config.update({"d": 4})
    run.config.setdefaults({"a": 9, "e": 5})
    assert {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5} == kept(wandb, run) == run.config_static
    assert "a" in run.config
    assert 5 == len(run.config)
    assert 1 == run.config.get("a", 7)
    with pytest.raises(AttributeError, match="config has no 'z'"):
        _ = run.config.z


def test_overwriting_needs_leave_when_leave_is_denied(wandb: ModuleType) -> None:
    """`allow_val_change=False` makes another value for a known key an error; the same value is none."""
    run = wandb.init(config={"a": 1})
    run.config.update({"a": 1}, allow_val_change=False)
    with pytest.raises(ConfigError, match="allow_val_change=True"):
        run.config.update({"a": 2}, allow_val_change=False)
    run.config.update({"a": 2}, allow_val_change=True)
    assert {"a": 2} == kept(wandb, run)


def test_a_resumed_run_keeps_its_configuration(wandb: ModuleType) -> None:
    """New keys are added; a changed one is refused when changes are."""
    with wandb.init(id="r1", config={"a": 1}):
        pass
    with pytest.raises(ConfigError):
        wandb.init(id="r1", resume="must", config={"a": 2}, allow_val_change=False)
    with wandb.init(id="r1", resume="must", config={"b": 2}) as run:
        assert {"a": 1, "b": 2} == run.config.as_dict()


def test_an_artifact_in_the_configuration_is_used(wandb: ModuleType, logged: Callable[..., Any]) -> None:
    """As an object or as `wandb-artifact://…`: the edge is recorded, and a reference is kept."""
    data = logged()
    for value in (data, f"wandb-artifact://{data.qualified_name}", f"wandb-artifact://_id/{data.id}"):
        with wandb.init(project="shop", config={"data": value, "lr": 1}) as run:
            assert data.qualified_name == run.config["data"].qualified_name
        found = wandb.Api().run(run.path)
        assert [data.name] == [used.name for used in found.used_artifacts()]
        assert ("artifactVersion", "data", "v0") == tuple(found.config["data"][key] for key in ("_type", "sequenceName", "version"))
        assert 1 == found.config["lr"]


def test_an_artifact_deeper_down_is_refused(wandb: ModuleType, logged: Callable[..., Any]) -> None:
    """Only top-level values may be artifacts; no run is left behind."""
    data = logged()
    for config in ({"inner": {"data": data}}, {"inner": [f"wandb-artifact://{data.qualified_name}"]}):
        with pytest.raises(UsageError, match="top-level"):
            wandb.init(project="shop", config=config)
    assert 1 == len(wandb.Api().runs("shop"))


def test_a_missing_artifact_is_refused_before_there_is_a_run(wandb: ModuleType, logged: Callable[..., Any]) -> None:
    """A configuration that names nothing, or what was deleted, leaves no run behind."""
    logged("gone").delete(delete_aliases=True)
    for name, refusal in (("none:latest", NotFound), ("gone:v0", Gone)):
        with pytest.raises(refusal):
            wandb.init(project="shop", config={"data": f"wandb-artifact://shop/{name}"}, name="never")
    assert wandb.run is None
    assert [] == list(wandb.Api().runs("shop", filters={"display_name": "never"}))


@pytest.mark.fault("M02", "M04", "I-26")
@pytest.mark.parametrize("value", [2**70, "\ud800", "a\0b", {1: 2}], ids=["big", "surrogate", "nul", "key"])
def test_what_cannot_be_kept_starts_no_run(wandb: ModuleType, value: object) -> None:
    """The error names the key; nothing is left behind."""
    with pytest.raises(UsageError, match="bad"):
        wandb.init(project="shop", config={"bad": value})
    with pytest.raises(NotFound):
        wandb.Api().project("shop")


@pytest.mark.parametrize("wrong", [7, ["a"], "missing.yaml"])
def test_other_forms_are_refused(wandb: ModuleType, wrong: object) -> None:
    """A number, a list, a file that is not there."""
    with pytest.raises(UsageError, match="config"):
        wandb.init(config=wrong)


class Device:
    def __str__(self) -> str:
        return "cuda:0"


class Colour(enum.Enum):
    RED = "red"


def test_what_json_cannot_hold_is_kept_as_text(wandb: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    """Devices, enumerations, infinities and functions, as argparse and frameworks put them in, do not stop a run; each is named."""
    given = {
        "device": Device(),
        "colour": Colour.RED,
        "patience": float("inf"),
        "pause": timedelta(hours=1),
        "deep": {"sizes": [range(2), len]},
    }
    with wandb.init(config=given) as run:
        expected = {"device": "cuda:0", "colour": "red", "patience": "inf", "pause": "1:00:00", "deep": {"sizes": ["range(0, 2)", "len"]}}
        assert expected == run.config.as_dict()
        assert expected == kept(wandb, run)
    assert "config 'device' is nothing JSON can hold: kept as the text 'cuda:0'" in capfd.readouterr().err
