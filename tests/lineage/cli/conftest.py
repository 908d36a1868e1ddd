"""The command as a person calls it, in this process: arguments in, exit code and both streams out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lineage.actions import create
from lineage.actions.open import Engine, open_engine
from lineage.actions.record import Output, Recording, record
from lineage.cli.main import main
from lineage.model.names import ProjectPath

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Ended:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def words(self) -> list[list[str]]:
        """The answer, line by line and word by word: columns may grow without breaking a test."""
        return [line.split() for line in self.out.splitlines() if line.strip()]


class Caller:
    """`lineage("ls", "toys")`; every call has the same home."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ended:
        self._capsys.readouterr()
        code = main([str(each) for each in arguments])
        out, err = self._capsys.readouterr()
        return Ended(code, out, err)


@pytest.fixture
def lineage(lineage_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Caller:
    """The command, with a home of its own and an empty working directory."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for processes that a test starts, from a directory of its own
    return Caller(lineage_home, capsys)


@pytest.fixture
def engine(lineage: Caller) -> Iterator[Engine]:
    """The command's store, opened beside it."""
    engine = open_engine(lineage.home, entity="me")
    yield engine
    engine.close()


@pytest.fixture
def history(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Sequence[int]]:
    """A small past in `me/vision`: raw → clean (run `tidy`) → two models (runs `one`, `two`), the first of which was measured (`exam`)."""
    monkeypatch.setenv("LINEAGE_ENTITY", "me")
    project = create.project(engine, ProjectPath("vision", "me"))
    steps = (
        Recording("dump", (), (Output("raw", "dataset", size=10),), job_type="collect"),
        Recording("tidy", ("raw",), (Output("clean", "dataset", size=8),), job_type="prepare"),
        Recording("one", ("clean",), (Output("net", "model", size=4, aliases=("best",)),), job_type="train", summary={"loss": 0.1}),
        Recording("two", ("clean",), (Output("net", "model", size=4),), job_type="train", summary={"loss": 0.2}),
        Recording("exam", ("net:best", "clean"), (Output("report", "report", size=1),), job_type="evaluate"),
    )
    return {step.run or "": record(engine, project, [step])[0].versions for step in steps}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory with two files."""
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("one\n")
    (root / "sub" / "b.txt").write_text("two\n")
    return root
