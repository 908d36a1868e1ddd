"""Adding a directory again reads what changed, and everything when asked to."""

import os
from pathlib import Path
from typing import Any

import pytest

import lineage
from lineage.cli import main
from storage.transfer import statcache


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened to be read; what lies on the disk is hours old."""
    seen: list[str] = []
    opening, now = os.open, statcache._now

    def noted(path: Any, *given: Any, **named: Any) -> int:
        if "tree" in Path(os.fsdecode(path)).parts:
            seen.append(Path(os.fsdecode(path)).name)
        return opening(path, *given, **named)

    def later(directory: Path) -> tuple[int, int] | None:
        instant = now(directory)
        return instant and (instant[0], instant[1] + 7_200_000_000_000)

    monkeypatch.setattr(os, "open", noted)
    monkeypatch.setattr(statcache, "_now", later)
    return seen


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree/sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (tmp_path / "tree" / name).write_text(name)
    return tmp_path / "tree"


def add(run: lineage.Run, tree: Path, *, skip_cache: bool = False) -> lineage.Artifact:
    artifact = lineage.Artifact("tree", type="dataset")
    artifact.add_dir(tree, skip_cache=skip_cache)
    return run.log_artifact(artifact).wait()


def test_add_dir(tree: Path, opened: list[str]) -> None:
    """The second time only the file that changed is read; with skip_cache all are, whatever they look like."""
    with lineage.init(project="demo") as run:
        first = add(run, tree)
        opened.clear()
        assert (first.digest, []) == (add(run, tree).digest, opened)
        (tree / "b").write_text("changed")
        changed = add(run, tree)
        assert ["b"] == opened
        opened.clear()
        assert changed.digest == add(run, tree, skip_cache=True).digest
        assert ["a", "b", "c"] == sorted(opened)


@pytest.mark.usefixtures("opened")
def test_a_draft_gives_out_what_it_did_not_read(tree: Path, tmp_path: Path) -> None:
    """What was known and not read can be read from the draft, and downloaded once it is logged."""
    with lineage.init(project="demo") as run:
        add(run, tree)
        draft = lineage.Artifact("other", type="dataset")
        draft.add_dir(tree)
        whole = draft.wandb_digest
        draft.remove("a")
        logged = run.log_artifact(draft).wait()
        other = lineage.Artifact("again", type="dataset")
        other.add_dir(tree, skip_cache=True)
        assert whole == other.wandb_digest
        logged.download(os.fspath(tmp_path / "out"))

    assert {"b": "b", "sub/c": "sub/c"} == {name: (tmp_path / "out" / name).read_text() for name in ("b", "sub/c")}


@pytest.mark.parametrize(("option", "read"), [((), []), (("--no-cache",), ["a", "b", "c"])])
def test_put(tree: Path, opened: list[str], option: tuple[str, ...], read: list[str]) -> None:
    """`lineage put` reads an unchanged directory only when it is told to."""
    for arguments in ((), option):
        opened.clear()
        assert 0 == main.main(["put", os.fspath(tree), "-n", "tree", *arguments])

    assert read == sorted(opened)
