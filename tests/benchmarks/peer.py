"""What a user of another tool writes, timed: run by that tool's own interpreter, never imported here.

    python peer.py wandb log  TREE HOME      log the tree as an artifact; the last line printed is how many seconds that took
    python peer.py mlflow down TARGET HOME   write the version logged last into a new directory

Starting the interpreter, importing the tool and setting it up the first time are left out; opening a run, logging and ending it are in.
Everything stays on this machine.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

Timed = Callable[[], object]


def seconds(work: Timed) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ours(verb: str, place: Path, home: Path) -> Timed:
    os.environ |= {"LINEAGE_HOME": str(home / "store"), "LINEAGE_SILENT": "true"}
    import lineage

    lineage.init, lineage.Artifact, lineage.Api  # noqa: B018  # names are imported when they are first asked for

    def log() -> None:
        with lineage.init(project="benchmark") as run:
            artifact = lineage.Artifact("tree", type="dataset")
            _add(artifact, place)
            run.log_artifact(artifact)

    def down() -> None:
        lineage.Api(overrides={"project": "benchmark"}).artifact("tree:latest").download(str(place))

    return {"log": log, "down": down}[verb]


def wandb(verb: str, place: Path, home: Path) -> Timed:
    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(home), "WANDB_ERROR_REPORTING": "false"}
    os.environ |= {f"WANDB_{name}_DIR": str(home / name.lower()) for name in ("CACHE", "DATA", "CONFIG")}
    import wandb

    def log() -> None:
        with wandb.init(project="benchmark") as run:
            artifact = wandb.Artifact("tree", type="dataset")
            _add(artifact, place)
            run.log_artifact(artifact)

    return {"log": log}[verb]


def trackio(verb: str, place: Path, home: Path) -> Timed:
    os.environ |= {"TRACKIO_DIR": str(home), "TRACKIO_SHOW": "0", "HF_HUB_OFFLINE": "1"}
    import trackio

    def begin() -> None:
        trackio.init(project="benchmark", auto_log_gpu=False)

    def log() -> None:
        begin()
        artifact = trackio.Artifact("tree", type="dataset")
        _add(artifact, place)
        trackio.log_artifact(artifact)
        trackio.finish()

    def down() -> None:
        begin()
        trackio.use_artifact("tree").download(str(place))
        trackio.finish()

    return {"log": log, "down": down}[verb]


def mlflow(verb: str, place: Path, home: Path) -> Timed:
    os.environ |= {"MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    import mlflow

    noted = home / "run"
    if mlflow.get_experiment_by_name("benchmark") is None:
        mlflow.create_experiment("benchmark", artifact_location=(home / "artifacts").as_uri())
    mlflow.set_experiment("benchmark")

    def log() -> None:
        with mlflow.start_run() as run:
            (mlflow.log_artifacts if place.is_dir() else mlflow.log_artifact)(str(place))
        noted.write_text(run.info.run_id)

    def down() -> None:
        mlflow.artifacts.download_artifacts(run_id=noted.read_text(), dst_path=str(place))

    return {"log": log, "down": down}[verb]


def lamindb(verb: str, place: Path, home: Path) -> Timed:
    os.environ |= {"LAMIN_SETTINGS_DIR": str(home), "LAMINDB_CACHE_DIR": str(home / "cache")}
    import lamindb_setup

    if not (home / "instance").exists():
        lamindb_setup.init(storage=str(home / "instance"), name="benchmark")
    import lamindb as ln

    ln.settings.verbosity = "error"
    lamindb_setup.settings.instance._is_on_hub = False  # else it asks its makers' server, which this machine may not reach

    def log() -> None:
        ln.Artifact(str(place), key=place.name, description="benchmark").save()

    return {"log": log}[verb]


def _add(artifact: object, place: Path) -> None:
    getattr(artifact, "add_dir" if place.is_dir() else "add_file")(str(place))


PEERS = {"lineage": ours, "wandb": wandb, "trackio": trackio, "mlflow": mlflow, "lamindb": lamindb}


if __name__ == "__main__":
    name, asked, path, base = sys.argv[1:]
    Path(base).mkdir(parents=True, exist_ok=True)
    print(seconds(PEERS[name](asked, Path(path), Path(base))))
