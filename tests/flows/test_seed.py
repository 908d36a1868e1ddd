"""Scripts written for the W&B client, as its documentation teaches them, run with nothing changed but the import line."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lineage
from lineage.model.access import TABLE, Act, Role
from lineage.model.project import Visibility
from lineage.sdk.active import ACTIVE
from lineage.sdk.session import disconnect
from tests.faults.s3 import Service

IMPORT = "import wandb\n"


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory of the script's own, with a few files in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("model.h5", "dataset.csv", "train.py", "utils.py"):
        (tmp_path / name).write_text(f"content of {name}")
    yield
    ACTIVE.finish_all()
    ACTIVE.forget()
    disconnect()


def run_script(text: str) -> dict[str, Any]:
    """The names a script leaves behind, after its import line was changed."""
    assert text.startswith(IMPORT)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text.replace(IMPORT, "import lineage as wandb\n", 1), "script", "exec"), names)
    return names


PIPELINE = """import wandb

with wandb.init(project="shop", job_type="upload") as run:
    raw = wandb.Artifact("raw", type="dataset")
    raw.add_file("dataset.csv")
    run.log_artifact(raw)

with wandb.init(project="shop", job_type="train") as run:
    run.use_artifact("raw:latest")
    model = wandb.Artifact("model", type="model")
    model.add_file("model.h5")
    run.log_artifact(model, aliases=["best"])

with wandb.init(project="shop", job_type="evaluate") as run:
    run.use_artifact("model:best")
    report = wandb.Artifact("report", type="result")
    report.add_file("dataset.csv", name="report.csv")
    run.log_artifact(report)
    last = run.path
"""


def test_an_anonymous_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Tracked as the local user's, who has an account already; where it can be seen is said."""
    run_script(
        """import wandb

run = wandb.init(anonymous="allow")
run.log({"acc": 0.91})
run.finish()
"""
    )
    (run,) = lineage.Api().runs()
    assert 0.91 == run.summary["acc"]
    assert run.id in capsys.readouterr().err


def test_resuming_a_run_to_log_an_artifact_to_it() -> None:
    """The run is taken up again, and the artifact is its."""
    lineage.init(id="existing_run_id").finish()
    run_script(
        """import wandb

with wandb.init(id="existing_run_id", resume="allow") as run:
    artifact = wandb.Artifact("artifact_name", "artifact_type")
    artifact.add_file("model.h5")
    run.log_artifact(artifact)
"""
    )
    assert ["artifact_name:v0"] == [each.name for each in lineage.Api().run("existing_run_id").logged_artifacts()]


def test_walking_the_graph_from_an_artifact() -> None:
    """Up to its maker and what that used, down to its users and what they made: by index."""
    run_script(PIPELINE)
    found = run_script(
        """import wandb

api = wandb.Api()
artifact = api.artifact("shop/model:best")
producer_run = artifact.logged_by()
consumer_runs = artifact.used_by()
outputs = consumer_runs[0].logged_artifacts()
inputs = producer_run.used_artifacts()
"""
    )
    assert ("train", "evaluate") == (found["producer_run"].job_type, found["consumer_runs"][0].job_type)
    assert ("report:v0", "raw:v0") == (found["outputs"][0].name, found["inputs"][0].name)


def test_walking_the_graph_from_a_run() -> None:
    """What it logged and used, then one more hop each way."""
    run_script(PIPELINE)
    found = run_script(
        """import wandb

api = wandb.Api()
run = api.runs("shop", filters={"jobType": "train"})[0]
run = api.run("/".join(run.path))
produced_artifacts = run.logged_artifacts()
consumed_artifacts = run.used_artifacts()
earlier_run = consumed_artifacts[0].logged_by()
consumer_runs = produced_artifacts[0].used_by()
"""
    )
    assert ("upload", ["evaluate"]) == (found["earlier_run"].job_type, [run.job_type for run in found["consumer_runs"]])


SWEEP = """import wandb

sweep_id = wandb.sweep(
    {"method": "grid", "metric": {"name": "val_acc", "goal": "maximize"}, "parameters": {"lr": {"values": [0.1, 0.2, 0.3]}}},
    project="shop",
)

def train():
    with wandb.init() as run:
        run.log({"val_acc": 1 - abs(run.config["lr"] - 0.2)})
        with open("model.h5", "w") as file:
            file.write(f"weights at {run.config['lr']}")
        model = wandb.Artifact(name="sweep_name", type="model")
        model.add_file("model.h5")
        run.log_artifact(model)

wandb.agent(sweep_id, train, project="shop")
"""


def test_one_artifact_of_a_sweep_has_a_version_for_each_run() -> None:
    """Versions are the runs' models."""
    run_script(SWEEP)
    versions = lineage.Api().artifacts("model", "shop/sweep_name")
    assert ["v2", "v1", "v0"] == [each.version for each in versions]
    assert 3 == len({each.logged_by().id for each in versions})


def test_the_files_of_the_best_run_of_a_sweep() -> None:
    """Sorted by hand, and by the engine: the same run; all it logged is downloaded."""
    found = run_script(
        SWEEP
        + """
api = wandb.Api()
sweep = api.sweep("shop/" + sweep_id)
runs = sorted(sweep.runs, key=lambda run: run.summary.get("val_acc", 0), reverse=True)
paths = [artifact.download() for artifact in runs[0].logged_artifacts()]
best = sweep.best_run()
"""
    )
    assert 0.2 == found["best"].config["lr"] == found["runs"][0].config["lr"]
    assert ["weights at 0.2"] == [Path(path, "model.h5").read_text() for path in found["paths"]]


def test_code_without_a_name() -> None:
    """A name is derived, and the module-level verb logs it."""
    found = run_script(
        """import wandb

with wandb.init(project="shop", id="r1"):
    code_artifact = wandb.Artifact(type="code")
    code_artifact.add_file("./train.py")
    code_artifact.add_file("./utils.py")
    wandb.log_artifact(code_artifact)
"""
    )
    assert ("run-r1-code:v0", "code", ["train.py", "utils.py"]) == (
        found["code_artifact"].name,
        found["code_artifact"].type,
        list(found["code_artifact"].manifest.entries),
    )


def test_etags_and_version_ids_of_references(s3: Service) -> None:
    """Each entry of a reference tells what pins it; it is downloaded as it was pinned."""
    bucket = s3.bucket(versioned=True)
    first = s3.put(bucket, "datasets/mnist/a.csv", b"old")
    s3.put(bucket, "datasets/mnist/b.csv", b"b")
    found = run_script(
        f"""import wandb

with wandb.init(project="shop") as run:
    artifact = wandb.Artifact("mnist", type="dataset")
    artifact.add_reference("s3://{bucket}/datasets/mnist/")
    run.log_artifact(artifact)

artifact = wandb.Api().artifact("shop/mnist:latest")
version_ids = []
etags = []
for entry in artifact.manifest.entries.values():
    version_ids.append(entry.extra.get("versionID"))
    etags.append(entry.extra.get("etag"))
"""
    )
    assert (2, 2) == (len(set(found["version_ids"])), len(set(found["etags"])))
    assert (first["VersionId"], first["ETag"].strip('"')) == (found["version_ids"][0], found["etags"][0])
    s3.put(bucket, "datasets/mnist/a.csv", b"new and longer")
    assert b"old" == Path(found["artifact"].download(), "a.csv").read_bytes()


def test_logging_to_a_team() -> None:
    """A team is made when it is first named."""
    found = run_script(
        """import wandb

with wandb.init(entity="example-team") as run:
    run.log({"loss": 1})
"""
    )
    assert "example-team" == found["run"].entity
    assert 1 == len(lineage.Api().runs("example-team/uncategorized"))


def test_checkpoints() -> None:
    """The newest is `name:latest`; one that is the same as before makes no version."""
    found = run_script(
        """import wandb

with wandb.init(project="shop") as run:
    for epoch in range(3):
        with open("model.h5", "w") as file:
            file.write(f"epoch {epoch}")
        checkpoint = wandb.Artifact("checkpoint", type="model", metadata={"epoch": epoch})
        checkpoint.add_file("model.h5")
        run.log_artifact(checkpoint)
    again = wandb.Artifact("checkpoint", type="model")
    again.add_file("model.h5")
    run.log_artifact(again)

newest = wandb.Api().artifact("shop/checkpoint:latest")
"""
    )
    assert ("v2", "v2", {"epoch": 2}) == (found["newest"].version, found["again"].version, found["newest"].metadata)
    assert "epoch 2" == Path(found["newest"].file()).read_text()


def test_checkpoints_of_several_architectures() -> None:
    """A name for each architecture, and `latest` is the newest of each."""
    found = run_script(
        """import wandb

for architecture in ("resnet", "vgg"):
    with wandb.init(project="shop", config={"architecture": architecture}) as run:
        for epoch in range(2):
            with open("model.h5", "w") as file:
                file.write(f"{architecture}, epoch {epoch}")
            checkpoint = wandb.Artifact(f"checkpoint-{architecture}", type="model")
            checkpoint.add_file("model.h5")
            run.log_artifact(checkpoint)

api = wandb.Api()
paths = [api.artifact(f"shop/checkpoint-{architecture}:latest").file() for architecture in ("resnet", "vgg")]
"""
    )
    assert ["resnet, epoch 1", "vgg, epoch 1"] == [Path(path).read_text() for path in found["paths"]]


def test_a_lifetime_when_it_is_logged_and_afterwards() -> None:
    """Set before logging, changed on what is logged, switched off, and left to the project."""
    found = run_script(
        """import wandb
from datetime import timedelta

run = wandb.init(project="shop")
artifact = wandb.Artifact(name="dataset", type="dataset")
artifact.add_file("dataset.csv")
artifact.ttl = timedelta(days=30)
run.log_artifact(artifact)
first = wandb.Api().artifact("shop/dataset:v0").ttl

artifact = run.use_artifact("dataset:v0")
artifact.ttl = timedelta(days=365)
artifact.save()
longer = wandb.Api().artifact("shop/dataset:v0").ttl

artifact.ttl = None
artifact.save()
never = wandb.Api().artifact("shop/dataset:v0").ttl

artifact.ttl = wandb.ArtifactTTL.INHERIT
artifact.save()
run.finish()
"""
    )
    assert (30, 365, None) == (found["first"].days, found["longer"].days, found["never"])
    lineage.Api().project("shop").set_ttl(dt.timedelta(days=7))
    assert 7 == lineage.Api().artifact("shop/dataset:v0").ttl.days


@pytest.mark.parametrize(("visibility", "everyone"), [("open", {Act.READ, Act.WRITE}), ("public", {Act.READ}), ("private", set())])
def test_who_may_do_what_with_artifacts(visibility: str, everyone: set[Act]) -> None:
    """Artifacts inherit their project's visibility: the table of the documentation is the table we ask."""
    lineage.Api().create_project("shop", visibility=visibility)
    assert everyone == TABLE[Role.OUTSIDER][Visibility(visibility)] & {Act.READ, Act.WRITE}
    assert {Act.READ, Act.WRITE} <= TABLE[Role.MEMBER][Visibility(visibility)]
