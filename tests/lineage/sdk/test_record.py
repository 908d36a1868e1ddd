"""Runs recorded whole: for programs that keep the bytes elsewhere."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from lineage.errors import CommError, NotFound, UsageError


def record_then(api: Any, fail: Callable[[], Any]) -> None:
    """A batch whose block ends with `fail`."""
    with api.batch():
        api.record("never", project="shop")
        fail()


DIGEST = "blake3:" + "ab" * 32


def test_a_run_is_recorded_with_what_it_used_and_logged(wandb: ModuleType, logged: Callable[..., Any]) -> None:
    """By artifact, path or order; by name or in detail; with all that a run may have."""
    data = logged()
    api = wandb.Api()
    receipt = api.record(
        "r1",
        used=[data, "shop/data:v0", int(data.id)],
        logged=["features", {"name": "model", "type": "model", "digest": DIGEST, "size": 7, "aliases": ("best",), "metadata": {"k": 1}}],
        project="shop",
        job_type="train",
        group="g",
        name="first",
        config={"lr": 1},
        summary={"loss": 0.5},
    )
    assert "r1" == receipt.run_id
    run = receipt.run
    assert ("first", "train", "g", {"lr": 1}, 0.5, "finished") == (
        run.name,
        run.job_type,
        run.group,
        run.config,
        run.summary["loss"],
        run.state,
    )
    features, model = receipt.artifacts
    assert (["data:v0"], "unspecified", DIGEST, 7, ["best", "latest"], {"k": 1}) == (
        [each.name for each in run.used_artifacts()],
        features.type,
        model.digest,
        model.size,
        sorted(model.aliases),
        model.metadata,
    )
    assert data in model.upstream()
    assert "1 artifacts" not in repr(receipt)


def test_recorded_artifacts_have_lineage_and_no_content(wandb: ModuleType) -> None:
    """Reading them says where content is not."""
    (model,) = wandb.Api().record(logged=["model"], project="shop").artifacts
    with pytest.raises(UsageError, match="kept elsewhere"):
        model.download()


def test_a_batch_is_all_or_nothing(wandb: ModuleType) -> None:
    """What is recorded inside is there when the block ends, in one transaction; nothing when it raises."""
    api = wandb.Api()
    api.record(logged=["raw"], project="shop")
    with api.batch():
        receipts = [api.record(f"r{number}", used=["raw"], logged=[f"out{number}"], project="shop") for number in range(5)]
        with pytest.raises(UsageError, match="block ends"):
            _ = receipts[0].versions
        assert "waiting" in repr(receipts[0])
        assert not api.artifact_exists("shop/out0")
        with pytest.raises(UsageError, match="open already"), api.batch():
            pass
    assert [f"r{number}" for number in range(5)] == [receipt.run_id for receipt in receipts]
    assert 5 == len(api.artifact("shop/raw").used_by())
    for error, fail in ((ZeroDivisionError, lambda: 1 // 0), (NotFound, lambda: api.record("bad", used=["missing"], project="shop"))):
        with pytest.raises(error):
            record_then(api, fail)
    assert 6 == len(api.runs("shop"))
    api.record("r9", project="shop")


def test_what_is_wrong_is_recorded_not_at_all(wandb: ModuleType) -> None:
    """An id twice, an input that is not there, an output that is none."""
    api = wandb.Api()
    api.record("r1", project="shop")
    for error, how in (
        (CommError, {"run": "r1"}),
        (NotFound, {"used": ["none"]}),
        (NotFound, {"used": [99]}),
        (UsageError, {"used": [1.5]}),
        (UsageError, {"logged": [7]}),
        (UsageError, {"logged": ["a/b"]}),
        (ValueError, {"logged": [{"name": "a", "digest": "md5:0"}]}),
    ):
        with pytest.raises(error):
            api.record(project="shop", **how)
    assert 1 == len(api.runs("shop"))
