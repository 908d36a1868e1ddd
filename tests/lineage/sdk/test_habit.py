"""Habits of people who have written W&B scripts for years: what they type without looking it up works, or says what to type instead."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lineage.errors import CommError, Conflict, InvalidName, NotFound, UnsupportedError, UsageError

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


def test_latest_cannot_be_given_away(wandb: ModuleType, logged: Callable[..., Any]) -> None:
    """Putting it on an older version is refused and says how it moves; naming it beside others on the newest is harmless."""
    logged("data", "one"), logged("data", "two")
    older, newest = (wandb.Api().artifact(f"shop/data:v{number}") for number in (0, 1))
    older.aliases.append("latest")
    with pytest.raises(InvalidName, match="log data:v0 again"):
        older.save()
    newest.aliases = ["latest", "best"]
    newest.save()
    assert ("v1", "v1") == tuple(wandb.Api().artifact(f"shop/data:{alias}").version for alias in ("latest", "best"))


@pytest.mark.parametrize("target", ["shelf/data:v0", "shelf/data:best", "a/b/c/d", "bad name", ""])
def test_a_link_that_leads_nowhere_logs_nothing(wandb: ModuleType, target: str) -> None:
    """A target that is no collection is refused before the draft is logged; nothing of it is dropped in silence."""
    with wandb.init(project="shop"):
        with pytest.raises(UsageError):
            wandb.run.link_artifact(wandb.Artifact("data", type="dataset"), target)
        with pytest.raises(UsageError):
            wandb.Artifact("data", type="dataset").link(target)
    assert not wandb.Api().artifact_exists("shop/data:latest")


def test_a_type_knows_only_its_own_collections(wandb: ModuleType, logged: Callable[..., Any]) -> None:
    """A data set is not found among the models."""
    logged("data", type="dataset")
    assert "data" == wandb.Api().artifact_type("dataset", "shop").collection("data").name
    with pytest.raises(CommError, match="is of type 'dataset', not 'model'"):
        wandb.Api().artifact_type("model", "shop").collection("data")


def test_the_uri_of_an_entry_is_the_entry(wandb: ModuleType, logged: Callable[..., Any]) -> None:
    """What `ref_url` gives, `add_reference` takes: the same bytes in another artifact, and a typed no for what is not there."""
    entry = logged("data", "hello").get_entry("file1.txt")
    with wandb.init(project="shop") as run:
        other = wandb.Artifact("other", type="dataset")
        for uri in (entry.ref_url(), entry.ref_url().replace("lineage-", "wandb-")):
            assert ["again.txt"] == [face.path for face in other.add_reference(uri, name="again.txt")]
        run.log_artifact(other)
        assert "hello" == Path(other.get_entry("again.txt").download()).read_text()
        for uri, refusal in (
            ("lineage-artifact://99/file1.txt", NotFound),
            ("lineage-artifact://x/file1.txt", InvalidName),
            (f"lineage-artifact://{'9' * 40}/file1.txt", InvalidName),
            (entry.ref_url() + "x", KeyError),
        ):
            with pytest.raises(refusal):
                wandb.Artifact("third", type="dataset").add_reference(uri)


def test_a_new_file_is_not_read(wandb: ModuleType) -> None:
    """The mode `r` says what to use, and not which temporary file was missing."""
    with pytest.raises(FileNotFoundError, match="use 'x', 'w', 'a' or 'wb'"):
        wandb.Artifact("data", type="dataset").new_file("x", mode="r").__enter__()


def test_a_disabled_run_has_every_name_a_run_has(wandb: ModuleType) -> None:
    """A script that works with the mode on works with it off; only what other rooms of this program call is missing."""
    ours = {"adopt", "engine", "keep_config", "keep_media", "project_path", "remember_for_resume"}
    with wandb.init(mode="disabled", config={"lr": 1}) as run:
        assert ours == {name for name in dir(wandb.Run) if not name.startswith("_") and not hasattr(run, name)}
        assert Path(run.dir).is_dir()
        assert ({"lr": 1}, [], "disabled") == (run.config_static, run.used_artifacts(), run.settings.mode)


def test_the_documented_export_of_runs_works(wandb: ModuleType) -> None:
    """The snippet from the W&B guide: summaries by `_json_dict`, configurations without what begins with an underscore."""
    with wandb.init(project="shop", config={"lr": 1, "_hidden": 2}) as run:
        run.log({"loss": {"train": 0.5}})
    table = [
        (run.summary._json_dict, {key: value for key, value in run.config.items() if not key.startswith("_")}, run.name)
        for run in wandb.Api().runs("shop")
    ]
    assert [({"loss": {"train": 0.5}}, {"lr": 1}, run.name)] == table
    with pytest.raises(UnsupportedError, match="logged_artifacts"):
        wandb.Api().runs("shop")[0].file("model.pt")


@pytest.mark.parametrize("name", ["Video", "Audio", "Object3D", "require", "apis"])
def test_a_name_that_is_not_offered_says_what_is(wandb: ModuleType, name: str) -> None:
    """`hasattr` is still false, as code that asks first expects; a name nobody knows has no advice."""
    assert not hasattr(wandb, name)
    with pytest.raises(AttributeError, match=f"no attribute {name!r}: "):
        getattr(wandb, name)
    with pytest.raises(AttributeError, match=r"no attribute 'Vidoe'$"):
        wandb.Vidoe  # noqa: B018  # asking is the test


def test_a_forgotten_project_is_told_from_a_wrong_one(wandb: ModuleType) -> None:
    """Who names no project never typed `uncategorized`: the message says where the word comes from."""
    with pytest.raises(CommError, match="meant where none is named: write project/name"):
        wandb.Api().artifact("data:latest")
    with pytest.raises(CommError, match=r"no project .*/shop: check the name"):
        wandb.Api().artifact("shop/data:latest")


def test_runs_are_tagged_with_whatever_people_write(wandb: ModuleType) -> None:
    """Versions, values and paths are good tags of a run, and are found again."""
    tags = ["v1.0", "lr=0.1", "exp/base:2", "a b"]
    with wandb.init(project="shop", tags=tags) as run:
        run.tags += ("more!",)
    assert sorted([*tags, "more!"]) == sorted(wandb.Api().run(f"shop/{run.id}").tags)
    assert 1 == len(wandb.Api().runs("shop", filters={"tags": "lr=0.1"}))


def test_a_handle_of_another_project_is_not_in_this_graph(wandb: ModuleType, logged: Callable[..., Any]) -> None:
    """The message names the handle, not a number of the catalogue, and the graph that has it."""
    ours = logged("data")
    with wandb.init(project="elsewhere") as run:
        theirs = run.log_artifact(wandb.Artifact("other", type="dataset"))
    graph = wandb.Api().graph("shop")
    for ask in (graph.path, graph.between):
        with pytest.raises(NotFound, match=r"elsewhere/other:v0 .* api\.graph\(everything=True\)"):
            ask(ours, theirs)
    assert [] == wandb.Api().graph(everything=True).path(ours, theirs)
    with pytest.raises(UsageError, match="depth 'all'"):
        ours.downstream(depth="all")


def test_a_directory_that_changed_says_how_to_add_it_again(wandb: ModuleType, write: Callable[..., str], tmp_path: Path) -> None:
    """In the word that `add_dir` knows."""
    artifact = wandb.Artifact("data", type="dataset")
    for content, merge in (("one", False), ("two", True)):
        write("tree/leaf", content)
        artifact.add_dir(tmp_path / "tree", merge=merge)
    write("tree/leaf", "three")
    with pytest.raises(UsageError, match="to add_dir, merge=True"):
        artifact.add_dir(tmp_path / "tree")


def test_a_misspelt_setting_in_a_file_is_named(wandb: ModuleType, write: Callable[..., str]) -> None:
    """The file is ours, so what it says either counts or is refused."""
    write("lineage.toml", 'projekt = "shop"\n')
    with pytest.raises(UsageError, match=r"lineage\.toml has no setting to make of projekt: there are home, store, entity, project"):
        wandb.init()


@pytest.mark.parametrize("method", ["grid", "random"])
def test_nested_parameters_make_a_nested_configuration(wandb: ModuleType, method: str) -> None:
    """Each combination once, in the shape the sweep has; a nest without parameters is named."""
    model = {"parameters": {"depth": {"values": [1, 2]}, "head": {"parameters": {"size": {"value": 3}}}}}
    sweep_id = wandb.sweep({"method": method, "run_cap": 2, "parameters": {"model": model, "lr": {"value": 0.1}}}, project="shop")
    seen: list[dict[str, Any]] = []

    def train() -> None:
        with wandb.init() as run:
            seen.append(run.config.as_dict())

    wandb.agent(sweep_id, train)
    assert [{"lr", "model"}] * 2 == [set(config) for config in seen]
    assert all({"size": 3} == config["model"]["head"] and config["model"]["depth"] in (1, 2) for config in seen)
    if method == "grid":
        assert [1, 2] == [config["model"]["depth"] for config in seen]


def test_a_nested_parameter_is_refused_by_its_whole_name(wandb: ModuleType) -> None:
    """With the names of the nests it is in."""
    nest = {"parameters": {"x": {"min": 0.0, "max": 1.0}}}
    with pytest.raises(UsageError, match=r"parameter 'model\.x': grid search needs discrete"):
        wandb.sweep({"method": "grid", "parameters": {"model": nest}}, project="shop")


def test_configuration_and_summary_can_be_copied_and_sent(wandb: ModuleType) -> None:
    """To a worker, or into a checkpoint: the copy has the values and is nobody's run any more."""
    ways: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))]
    with wandb.init(project="shop", config={"model": {"depth": 2}}) as run:
        run.summary["loss"] = 1
        for copied in ways:
            config, summary = copied(run.config), copied(run.summary)
            assert ({"model": {"depth": 2}}, 1) == (config.as_dict(), summary["loss"])
            config.lr, summary["loss"] = 3, 4
    kept = wandb.Api().run(f"shop/{run.id}")
    assert ({"model": {"depth": 2}}, 1) == (kept.config, kept.summary["loss"])


def test_a_running_run_shows_how_it_does(wandb: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every sign of life its summary is there for others, and they can look for it."""
    monkeypatch.setattr("lineage.sdk.run.HEARTBEAT", -1.0)
    run = wandb.init(project="shop")
    run.define_metric("loss", summary="min")
    for loss in (3, 1, 2):
        run.log({"loss": loss, "acc": loss})
    found = wandb.Api().runs("shop", filters={"summary_metrics.acc": {"$gte": 2}})
    assert [("running", {"acc": 2, "loss": {"min": 1}})] == [(each.state, each.summary.as_dict()) for each in found]


def test_numbers_that_yaml_reads_as_text(wandb: ModuleType) -> None:
    """The bound `1e-5` of a sweep file is text to YAML: the message shows it and how to write it."""
    parameters = {"lr": {"distribution": "log_uniform_values", "min": "1e-5", "max": 0.1}}
    with pytest.raises(UsageError, match=r"not '1e-5': YAML takes 1e-5 for text and 1\.0e-5 for a number"):
        wandb.sweep({"method": "random", "parameters": parameters}, project="shop")


def test_what_cannot_be_recorded_is_named(wandb: ModuleType) -> None:
    """Ids that are taken, within the store or the batch, and dictionaries that say too little or too much; nothing is recorded."""
    api = wandb.Api(overrides={"project": "shop"})
    api.record("first")
    with pytest.raises(Conflict, match="such as 'first': nothing was recorded"):
        api.record("first", logged=["data"])
    with pytest.raises(Conflict, match="such as 'twice'"), api.batch():
        api.record("twice"), api.record("twice")
    for wrong in ({"used": 3}, {"logged": [{"type": "model"}]}, {"logged": [{"name": "data", "colour": "red"}]}):
        with pytest.raises(UsageError, match="give a"):
            api.record("other", **wrong)
    assert ["first"] == [run.id for run in api.runs()]
    assert not api.artifact_exists("data")
