"""A script's surroundings: a working directory and a store of its own, and nothing left running afterwards."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import lineage
from lineage.sdk.active import ACTIVE
from lineage.sdk.session import disconnect
from lineage.sdk.terminal import TERMINAL, Loudness


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins in an empty directory, without a run, and ends so."""
    monkeypatch.chdir(tmp_path)
    TERMINAL.loudness = Loudness.NORMAL
    yield
    ACTIVE.finish_all()
    ACTIVE.forget()
    disconnect()


@pytest.fixture
def wandb() -> ModuleType:
    """The package, under the name scripts give it."""
    return lineage


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Writes a file and gives its path."""

    def write(name: str, content: bytes | str = "hello") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


@pytest.fixture
def logged(write: Callable[..., str]) -> Callable[..., object]:
    """Logs an artifact with one file in a run of its own; answers with the artifact."""

    def logged(name: str = "data", content: str = "hello", **how: object) -> object:
        with lineage.init(project="shop") as run:
            artifact = lineage.Artifact(name, type=str(how.pop("type", "dataset")), metadata=how.pop("metadata", None))  # type: ignore[arg-type]
            artifact.add_file(write("file1.txt", content))
            return run.log_artifact(artifact, **how)

    return logged
