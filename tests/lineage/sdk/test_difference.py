"""`artifact.diff(other)`."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from lineage.model.errors import ArtifactNotLoggedError, Gone, NotFound


@pytest.fixture
def two(wandb: ModuleType, write: Callable[..., str]) -> tuple[Any, Any]:
    """Two versions of a model, each trained on a version of the data with a rate of its own."""
    made = []
    for rate, files in ((0.1, {"a": "1", "b": "22", "old": "moved"}), (0.2, {"a": "1", "b": "333", "new": "moved", "<b>": "x"})):
        with wandb.init(project="shop") as run:
            data = wandb.Artifact("data", type="dataset")
            data.add_file(write("data.csv", str(rate)))
            run.log_artifact(data)
        with wandb.init(project="shop", config={"rate": rate}) as run:
            run.use_artifact("data:latest")
            run.log({"loss": rate / 2})
            model = wandb.Artifact("model", type="model", metadata={"rate": rate})
            for name, content in files.items():
                model.add_file(write("file", content), name=name)
            made.append(run.log_artifact(model))
    return made[0], made[1]


def test_it_says_what_changed_and_why_it_may(two: tuple[Any, Any]) -> None:
    """Paths by kind, and inputs, configuration, metadata and summary beside them."""
    diff = two[0].diff(two[1])
    assert (["<b>"], [], ["b"], {"old": "new"}) == (diff.added, diff.removed, diff.changed, diff.renamed)
    assert (2, 3, 1) == (diff.tally.bytes_removed, diff.tally.bytes_added - 1, diff.tally.renamed)
    assert [("lr", 0.1, 0.2)] == [("lr", each.before, each.after) for each in diff.config]
    assert ["data:v0"] == [version.name for each in diff.inputs for version in each.before]
    assert (["rate"], ["loss"]) == ([each.key for each in diff.metadata], [each.key for each in diff.summary])
    assert ("model:v0", "model:v1") == (diff.before.name, diff.after.name)


def test_the_other_may_be_named(two: tuple[Any, Any]) -> None:
    """As `use_artifact` would name it, defaults filled in the same way."""
    assert two[0].diff("shop/model:v1").added == two[0].diff(two[1]).added


def test_it_is_false_when_the_content_is_the_same(two: tuple[Any, Any]) -> None:
    """Whatever else differs; and the other way round what was added was removed."""
    assert not two[0].diff(two[0])
    assert two[0].diff(two[1])
    assert two[0].diff(two[1]).added == two[1].diff(two[0]).removed


def test_it_shows_itself(two: tuple[Any, Any]) -> None:
    """As text, in a line, and in a notebook, where names are escaped."""
    diff = two[0].diff(two[1])
    text = str(diff)
    for wanted in ("model:v0 →", "~ b", "> old → new", "+ <b>", "data: v0 → v1", "rate: 0.1 → 0.2", "loss: 0.05 → 0.1"):
        assert wanted in text
    assert "1 added, 1 changed, 1 renamed" in repr(diff)
    html = diff._repr_html_()
    assert "+ &lt;b&gt;" in html
    assert "<b>" not in html


def test_a_long_one_shows_its_beginning(wandb: ModuleType, two: tuple[Any, Any]) -> None:
    """Ten paths, then how many more there are; iterating gives all."""
    with wandb.init(project="shop") as run:
        many = wandb.Artifact("model", type="model")
        for number in range(20):
            with many.new_file(f"{number:02}") as file:
                file.write(f"number {number}")
        run.log_artifact(many)
    diff = two[0].diff(many)
    assert "… and 13 more" in str(diff)
    assert 23 == len(list(diff))


def test_a_draft_cannot_be_compared(wandb: ModuleType, two: tuple[Any, Any]) -> None:
    """It has no version yet; nor can what is not there."""
    with pytest.raises(ArtifactNotLoggedError):
        wandb.Artifact("model", type="model").diff(two[0])
    with pytest.raises(ArtifactNotLoggedError):
        two[0].diff(wandb.Artifact("model", type="model"))
    with pytest.raises(NotFound):
        two[0].diff("shop/model:v9")


def test_what_is_gone_is_compared_by_its_lineage(wandb: ModuleType, two: tuple[Any, Any]) -> None:
    """The paths are refused, everything else is told."""
    two[0].delete(delete_aliases=True)
    diff = wandb.Api().artifact("shop/model:v0").diff(two[1])
    assert "model:v0 was deleted" in str(diff)
    assert "rate: 0.1 → 0.2" in str(diff)
    assert diff.tally is None
    with pytest.raises(Gone, match="was deleted"):
        diff.added  # noqa: B018  # asking is the point
