"""A script's surroundings, and a version to read in place."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

import lineage
from lineage.interop.filesystem import LineageFileSystem
from lineage.sdk.active import ACTIVE
from lineage.sdk.session import disconnect

CONTENT = {
    "a.csv": "x,y\n1,2\n3,4\n",
    "part/0.csv": "x,y\n0,0\n",
    "part/1.csv": "x,y\n1,1\n",
    "part/deep/z.bin": "0123456789",
    "part-2/b": "b",
}


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins in an empty directory, without a run, and ends so."""
    monkeypatch.chdir(tmp_path)
    yield
    ACTIVE.finish_all()
    ACTIVE.forget()
    disconnect()
    LineageFileSystem.clear_instance_cache()


def log(content: dict[str, str], name: str = "table", **how: Any) -> Any:
    """A version with these files, logged in a run of its own."""
    with lineage.init(project="shop") as run:
        artifact = lineage.Artifact(name, type="dataset")
        for path, text in content.items():
            with artifact.new_file(path) as file:
                file.write(text)
        return run.log_artifact(artifact, **how)


@pytest.fixture
def table() -> Any:
    """`shop/table:v0`."""
    return log(CONTENT)


@pytest.fixture
def fs(table: Any) -> LineageFileSystem:  # noqa: ARG001  # the something
    """The file system, as a program gets it, with something in it."""
    return fsspec.filesystem("lineage")
