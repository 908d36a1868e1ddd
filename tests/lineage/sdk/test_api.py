"""Looking at what is there: runs, collections, projects, pages of them."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from lineage.errors import NotFound, RunNotFoundError, UsageError
from lineage.sdk.page import Page

Logged = Callable[..., Any]


@pytest.fixture
def runs(wandb: ModuleType) -> list[Any]:
    """Three finished runs with a metric and a configuration."""
    found = []
    for number, loss in enumerate((3.0, 1.0, 2.0)):
        with wandb.init(project="shop", id=f"r{number}", config={"lr": number}, tags=["even"] if number % 2 == 0 else None) as run:
            run.log({"loss": loss})
        found.append(run)
    return found


def test_a_run_is_found_by_every_spelling_of_its_path(wandb: ModuleType, runs: list[Any]) -> None:
    """Entity and project may be left out; `:`, `/runs/` and a leading slash are taken."""
    entity = runs[0].entity
    for path in (f"{entity}/shop/r0", f"{entity}/shop:r0", "shop/r0", "shop:r0", f"/{entity}/shop/runs/r0"):
        assert "r0" == wandb.Api().run(path).id
    assert "r0" == wandb.Api(overrides={"project": "shop"}).run("r0").id
    with pytest.raises(RunNotFoundError):
        wandb.Api().run("shop/none")


@pytest.mark.usefixtures("runs")
def test_runs_are_filtered_and_ordered(wandb: ModuleType) -> None:
    """By configuration, summary, state, tags; ascending unless a minus says otherwise."""

    def ids(**how: Any) -> list[str]:
        return [run.id for run in wandb.Api().runs("shop", **how)]

    assert ["r0", "r1", "r2"] == ids()
    assert ["r1", "r2", "r0"] == ids(order="summary_metrics.loss") == ids(order="+summary_metrics.loss")
    assert ["r0", "r2", "r1"] == ids(order="-summary_metrics.loss")
    assert ["r1", "r2"] == ids(filters={"config.lr": {"$gt": 0}})
    assert ["r0", "r2"] == ids(filters={"tags": {"$in": ["even"]}})
    assert ["r1"] == ids(filters={"$and": [{"state": "finished"}, {"summary_metrics.loss": {"$lt": 1.5}}]})
    with pytest.raises(UsageError, match="no field 'losss'"):
        wandb.Api().runs("shop", filters={"losss": 1})


@pytest.mark.usefixtures("runs")
def test_pages_behave_like_lists(wandb: ModuleType) -> None:
    """Iterate, index from both ends, slice, measure; nothing is fetched before it is asked for."""
    page = wandb.Api().runs("shop", per_page=2)
    assert (3, "r0", "r2", ["r1", "r2"], ["r0"]) == (
        len(page),
        page[0].id,
        page[-1].id,
        [run.id for run in page[1:]],
        [run.id for run in page[:1]],
    )
    with pytest.raises(IndexError, match="the answer has 3"):
        _ = page[3]
    assert "r0" in repr(page)
    assert "<li>" in page._repr_html_()
    asked: list[int] = []

    def fetch(offset: int, limit: int) -> list[int]:
        asked.append(offset)
        return list(range(offset, min(offset + limit, 7)))

    lazy = Page(fetch, lambda: 7, per_page=3)
    assert (7, []) == (len(lazy), asked)
    assert 1 == lazy[1]
    assert [0] == asked
    assert list(range(7)) == list(lazy) == list(lazy)
    assert [0, 3, 6] == asked
    assert 7 == len(Page(fetch, per_page=3))


@pytest.mark.usefixtures("runs")
def test_a_past_run_tells_what_it_was(wandb: ModuleType) -> None:
    """Its history complete or sampled, as a frame or as dictionaries; missing keys skip a row."""
    with wandb.init(project="shop", id="long") as run:
        for step in range(20):
            run.log({"x": step} | ({"y": -step} if step % 2 else {}))
    found = wandb.Api().run("shop/long")
    assert (20, 10, 5) == (
        len(list(found.scan_history())),
        len(list(found.scan_history(keys=["x", "y"]))),
        len(list(found.scan_history(min_step=5, max_step=10))),
    )
    assert [0, 19] == [row["x"] for row in found.history(samples=2, pandas=False)]
    frame = found.history(samples=5, keys=["x"])
    assert (["_step", "x"], 5) == (list(frame.columns), len(frame))
    assert (19, {"x": 19, "y": -19}, 19) == (found.lastHistoryStep, found.summary_metrics, found.summary.get("x"))
    with pytest.raises(UsageError, match="samples=0"):
        found.history(samples=0)
    assert "shop/long" in repr(found)
    assert "finished" in found._repr_html_()


@pytest.mark.usefixtures("runs")
def test_a_past_run_may_be_edited(wandb: ModuleType) -> None:
    """Pushed by `update` or `save`; the summary at once; states that make no sense are refused."""
    found = wandb.Api().run("shop/r0")
    found.name, found.notes, found.tags, found.group = "other", "why", ["x"], "g"
    found.config["more"] = True
    found.update()
    found.summary["best"] = 1
    fresh = wandb.Api().run("shop/r0")
    assert ("other", "why", ["x"], "g", {"lr": 0, "more": True}, 1) == (
        fresh.name,
        fresh.notes,
        fresh.tags,
        fresh.group,
        fresh.config,
        fresh.summary["best"],
    )
    assert fresh.update_state("failed")
    assert "failed" == found.load().state
    with pytest.raises(UsageError, match="choose one of"):
        fresh.update_state("running")


def test_a_deleted_run_is_gone_and_its_id_with_it(wandb: ModuleType, logged: Logged) -> None:
    """Its artifacts stay unless asked for; a live run is not deleted."""
    data = logged()
    maker = data.logged_by()
    maker.delete()
    with pytest.raises(RunNotFoundError, match="was deleted"):
        wandb.Api().run(f"shop/{maker.id}")
    with pytest.raises(wandb.Error, match="never given twice"):
        wandb.init(project="shop", id=maker.id)
    assert "COMMITTED" == wandb.Api().artifact("shop/data").state
    other = logged("other").logged_by()
    other.delete(delete_artifacts=True)
    assert not wandb.Api().artifact_exists("shop/other")
    with wandb.init(project="shop") as run, pytest.raises(UsageError, match="finish it"):
        wandb.Api().run(f"shop/{run.id}").delete()


@pytest.mark.usefixtures("runs")
def test_a_past_run_may_use_an_artifact(wandb: ModuleType, logged: Logged) -> None:
    """The edge is recorded afterwards."""
    data = logged()
    assert data is wandb.Api().run("shop/r0").use_artifact(data)
    assert ["r0"] == [run.id for run in data.used_by()]


def test_collections_types_and_projects_are_listed(wandb: ModuleType, logged: Logged) -> None:
    """By name; what is not there says so."""
    logged("a", "1")
    logged("a", "2", aliases=["best"])
    logged("m", type="model")
    api = wandb.Api(overrides={"project": "shop"})
    assert ["dataset", "model"] == [each.name for each in api.artifact_types()]
    assert ["a"] == [each.name for each in api.artifact_collections("shop", "dataset")]
    assert (
        ["v1", "v0"]
        == [each.version for each in api.artifacts("dataset", "a")]
        == [each.version for each in api.artifact_versions("dataset", "a")]
    )
    assert ["v0", "v1"] == [each.version for each in api.artifacts("dataset", "a", order="+created_at")]
    assert (True, False, False) == (
        api.artifact_collection_exists("a", "dataset"),
        api.artifact_collection_exists("a", "model"),
        api.artifact_collection_exists("z", "model"),
    )
    project = api.project("shop")
    assert (["a", "m"], ["dataset", "model"], []) == (
        [each.name for each in project.collections()],
        [each.name for each in project.artifacts_types()],
        list(project.sweeps()),
    )
    assert ["shop"] == [each.name for each in api.projects()]
    for missing in (lambda: api.artifacts("model", "a"), lambda: api.artifact_collection("model", "a"), lambda: api.project("none")):
        with pytest.raises(NotFound):
            missing()


def test_versions_are_chosen_by_tags(wandb: ModuleType, logged: Logged) -> None:
    """Those that carry all of them, and `len` agrees."""
    logged("a", "1", tags=["x", "y"])
    logged("a", "2", tags=["x"])
    found = wandb.Api().artifacts("dataset", "shop/a", tags=["x", "y"])
    assert (1, ["v0"]) == (len(found), [each.version for each in found])
    assert 2 == len(wandb.Api().artifacts("dataset", "shop/a", tags="x"))


def test_a_collection_may_be_edited_and_deleted(wandb: ModuleType, logged: Logged) -> None:
    """Name, description, tags; its versions become tombstones."""
    data = logged("a", aliases=["best"])
    series = wandb.Api().artifact_collection("dataset", "shop/a")
    assert (True, 1, ["best", "latest"], "dataset") == (series.is_sequence(), len(series), sorted(series.aliases), series.type)
    series.name, series.description, series.tags = "b", "text", ["x"]
    series.save()
    assert ("b:v0", "text", ["x"]) == (wandb.Api().artifact("shop/b").name, series.description, series.tags)
    data.link("shop/linked")
    assert not wandb.Api().artifact_collection("dataset", "shop/linked").is_sequence()
    series.delete()
    assert not wandb.Api().artifact_exists("shop/b")


def test_projects_and_pending_runs_are_made(wandb: ModuleType) -> None:
    """A project is made once; a pending run is taken up by whoever resumes it."""
    api = wandb.Api()
    assert api.create_project("new", "team").id == api.create_project("new", "team").id
    assert ["team", "new"] == api.project("new", "team").path
    with pytest.raises(UsageError, match="visibility"):
        api.create_project("new", visibility="secret")
    made = api.create_run(project="team/new")
    assert "pending" == made.state
    with wandb.init(entity="team", project="new", id=made.id, resume="must") as run:
        assert run.resumed


def test_a_path_leads_to_what_is_there(wandb: ModuleType, logged: Logged) -> None:
    """A run, a project, an artifact."""
    data = logged()
    api = wandb.Api()
    assert data.id == api.from_path("shop/data:v0").id
    assert data.logged_by() == api.from_path(f"shop/{data.logged_by().id}")
    assert "shop" == api.from_path("shop").name
    with pytest.raises(NotFound, match="no run, sweep, project or artifact"):
        api.from_path("nothing/here")


def test_the_local_user_is_the_viewer(wandb: ModuleType) -> None:
    """Whose projects are meant when nobody is named."""
    api = wandb.Api(timeout=3, api_key="x")
    assert api.viewer == api.default_entity
    assert "team" == wandb.Api({"entity": "team"}).default_entity
    api.flush()
    assert str(api.settings.place) in repr(api)
