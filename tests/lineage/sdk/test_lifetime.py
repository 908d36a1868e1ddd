"""Holding, protecting, lifetimes that make versions due at once, and the past of aliases, from a script."""

import datetime as dt
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from lineage.errors import ArtifactNotLoggedError, Conflict, UsageError

Logged = Callable[..., Any]
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def old(wandb: ModuleType, logged: Logged, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Logs an artifact that is five hours old."""

    def old(name: str = "data", **how: object) -> object:
        artifact = logged(name, content=name, **how)
        engine = wandb.Api().engine
        born = engine.clock() - 5 * HOUR
        with engine.catalog.tx() as c:
            c.execute("UPDATE version SET created_at = ? WHERE id = ?", (int(born.timestamp() * 1_000_000), int(artifact.id)))
        capsys.readouterr()
        return wandb.Api().artifact(artifact.qualified_name)

    return old


def warnings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if "warning:" in line]


def test_a_hold_is_set_and_saved(wandb: ModuleType, logged: Logged) -> None:
    """Nothing happens before `save`; then it can be deleted only after it was released."""
    data = logged()
    assert not data.is_held
    data.is_held = True
    assert (True, False) == (data.is_held, wandb.Api().artifact(data.qualified_name).is_held)
    data.save()
    again = wandb.Api().artifact(data.qualified_name)
    assert again.is_held
    with pytest.raises(Conflict, match="held"):
        again.delete(delete_aliases=True)
    again.description = "dear"
    again.save()
    assert again.is_held
    again.is_held = False
    again.save()
    again.delete(delete_aliases=True)
    assert "DELETED" == again.state


def test_a_draft_is_not_held(wandb: ModuleType, logged: Logged) -> None:
    """There is no version to hold yet; and only yes and no are answers."""
    with pytest.raises(ArtifactNotLoggedError):
        wandb.Artifact("new", type="dataset").is_held = True
    data = logged()
    with pytest.raises(UsageError, match="say True"):
        data.is_held = "no"
    assert not data.is_held


def test_a_project_protects_aliases(wandb: ModuleType, logged: Logged) -> None:
    """Its own beside those of every project; whatever carries one cannot be deleted."""
    data, project = logged(aliases=["champion"]), wandb.Api().project("shop")
    project.protect_alias("champion")
    assert ["champion", "prod", "production", "protected"] == project.protected_aliases
    with pytest.raises(Conflict, match="protected by alias champion"):
        data.delete(delete_aliases=True)
    project.protect_alias("champion", protect=False)
    assert "champion" not in project.protected_aliases
    data.delete(delete_aliases=True)


def test_a_default_says_what_it_makes_due(wandb: ModuleType, old: Logged, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line with the number, some names, and how many something keeps; then it is the default."""
    for number in range(5):
        old(f"data{number}", aliases=["prod"] if number == 0 else [])
    project = wandb.Api().project("shop")
    project.set_ttl(HOUR, type="model")
    assert [] == warnings(capsys)
    project.set_ttl(HOUR)
    [line] = warnings(capsys)
    assert "5 versions will be past their time at once" in line
    assert 3 == line.count(":v0")
    assert "1 of them held, protected or in use" in line
    assert HOUR == wandb.Api().artifact("shop/data1").ttl
    project.set_ttl(2 * HOUR)
    project.set_ttl(None)
    project.set_ttl(wandb.ArtifactTTL.INHERIT)
    assert [] == warnings(capsys)
    assert wandb.Api().artifact("shop/data1").ttl is None


def test_a_versions_ttl_says_so_too(old: Logged, capsys: pytest.CaptureFixture[str]) -> None:
    """When it is saved, and only when it makes the version due."""
    data = old()
    data.ttl = 6 * HOUR
    data.save()
    assert [] == warnings(capsys)
    data.ttl = HOUR
    data.save()
    [line] = warnings(capsys)
    assert "1 version will be past its time at once: " in line
    assert data.qualified_name in line
    assert line.endswith("the next expiry marks it")
    assert HOUR == data.ttl
    data.ttl, data.is_held = None, True
    data.save()
    data.ttl = HOUR
    data.save()
    assert [] == warnings(capsys)


def test_a_default_that_only_meets_what_is_kept(wandb: ModuleType, old: Logged, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says that all of it stays."""
    old(aliases=["prod"])
    wandb.Api().project("shop").set_ttl(HOUR)
    [line] = warnings(capsys)
    assert "1 version will be past its time" in line
    assert line.endswith("and that is all of it")


def test_the_past_of_aliases(wandb: ModuleType, logged: Logged) -> None:
    """Which version had which alias, oldest first; `latest` is not told."""
    logged(content="one", aliases=["best"])
    second = logged(content="two", aliases=["best"])
    second.aliases = []
    second.save()
    moved = wandb.Api().artifact_collection("dataset", "shop/data").alias_history()
    assert [("best", "v0"), ("best", "v1"), ("best", None)] == [(each.alias, each.version) for each in moved]
    assert sorted(each.at for each in moved) == [each.at for each in moved]
