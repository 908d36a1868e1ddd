"""The same bad names and values through the faces people and programs use: the W&B-shaped package and the command line.

What is refused there leaves nothing either, and what people are shown of it can be printed.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import lineage
from lineage.actions.open import Engine, open_engine
from lineage.cli.main import main
from lineage.cli.outcome import Exit
from lineage.sdk.active import ACTIVE
from lineage.sdk.plain import plain
from lineage.sdk.session import disconnect
from tests.faults.corpus import BAD, DOCUMENTS, METRICS, NAMES, TOGETHER
from tests.faults.invariants import check, dump, listing

Rows = Sequence[tuple[str, str, Any]]
TEXTS: dict[str, Rows] = {kind: [row for row in rows if isinstance(row[2], str)] for kind, rows in NAMES.items()}
"""What can be typed."""


def stated(rows: Rows) -> Rows:
    """Without what only says that nothing was given."""
    return [row for row in rows if row[2] not in ("", " ", b"", 0)]


@dataclass
class World:
    """A store with a run that is still running, one artifact in it, and a file and a directory to log."""

    engine: Engine
    run: Any
    artifact: Any
    good: Path
    tree: Path
    drafts: list[Any] = field(default_factory=list)

    def state(self) -> object:
        return dump(self.engine), listing(self.engine.home.root)

    def refuses(self, entrance: Callable[["World", Any], object], rows: Rows) -> None:
        """Every one of `rows` is refused, and the store is as it was; all that are not are listed."""
        before, wrong = self.state(), []
        for row, what, bad in rows:
            problem = self.refusal(entrance, bad)
            if problem:
                wrong.append(f"{row} {what}: {problem}")
            if before != self.state():
                wrong.append(f"{row} {what}: left a trace")
                before = self.state()
        assert [] == wrong

    def refusal(self, entrance: Callable[["World", Any], object], bad: Any) -> str:
        try:
            entrance(self, bad)
        except (ValueError, TypeError, LookupError, lineage.Error) as error:
            str(error).encode()
            return "" if type(error).__module__.startswith(("lineage", "storage")) else f"{type(error).__name__}: {error}"
        finally:
            while self.drafts:  # what is refused may be tried again otherwise; these are given up
                self.drafts.pop()._draft.close()
        return "let in"

    def draft(self, **how: Any) -> Any:
        made = lineage.Artifact("raw", type="data", **how)
        self.drafts.append(made)
        return made


@pytest.fixture
def world(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.chdir(place)
    monkeypatch.setenv("LINEAGE_HOME", str(place / "home"))
    monkeypatch.setenv("LINEAGE_SILENT", "true")
    (place / "good").write_bytes(b"good")
    (place / "tree").mkdir()
    (place / "tree" / "leaf").write_bytes(b"leaf")
    run = lineage.init(project="demo", id="train", entity="me")
    artifact = lineage.Artifact("raw", type="data")
    artifact.add_file(str(place / "good"))
    run.log_artifact(artifact).wait()
    engine = open_engine(place / "home", entity="me")
    yield World(engine, run, artifact, place / "good", place / "tree")
    check(engine)
    engine.close()
    ACTIVE.finish_all()
    ACTIVE.forget()
    disconnect()


ENTRY_PATHS: dict[str, Callable[[World, Any], object]] = {
    "add_file": lambda w, bad: w.draft().add_file(str(w.good), name=bad),
    "add_dir": lambda w, bad: w.draft().add_dir(str(w.tree), name=bad),
    "new_file": lambda w, bad: _write(w.draft(), bad),
    "add_reference": lambda w, bad: w.draft().add_reference(w.good.as_uri(), name=bad),
}


def _write(artifact: Any, name: Any) -> None:
    with artifact.new_file(name) as file:
        file.write("x")


@pytest.mark.fault("N01", "N02", "N03", "N04", "N07", "N08", "N09", "N15", "N20", "I-26")
@pytest.mark.parametrize("entrance", ENTRY_PATHS)
def test_entry_paths_of_drafts(entrance: str, world: World) -> None:
    """No bad entry path gets into a draft; spellings that can be made canonical without merging anything are, so they are left out."""
    world.refuses(ENTRY_PATHS[entrance], [row for row in BAD if row[0] != "N16"])


@pytest.mark.fault("N10", "N17", "F19", "I-26")
def test_entry_paths_that_exclude_each_other(world: World) -> None:
    """Names that cannot stand in one artifact are refused when the second one comes."""

    def both(_: World, names: list[str]) -> None:
        artifact = world.draft()
        for number, name in enumerate(names):
            with artifact.new_file(name) as file:
                file.write(str(number))
        world.run.log_artifact(artifact).wait()

    world.refuses(both, TOGETHER)


NAMED: list[tuple[str, str, Callable[[World, Any], object]]] = [
    ("collection", "Artifact", lambda _, bad: lineage.Artifact(bad, type="data")),
    ("type", "Artifact", lambda _, bad: lineage.Artifact("x", type=bad)),
    ("alias", "log_artifact", lambda w, bad: w.run.log_artifact(_filled(w), aliases=["good", bad])),
    ("tag", "log_artifact", lambda w, bad: w.run.log_artifact(_filled(w), tags=["good", bad])),
    ("alias", "aliases.append", lambda w, bad: _append(w.artifact.aliases, bad, w.artifact.save)),
    ("tag", "tags.append", lambda w, bad: _append(w.artifact.tags, bad, w.artifact.save)),
    ("alias", "link_artifact", lambda w, bad: w.run.link_artifact(w.artifact, "demo/shelf", aliases=[bad])),
    ("collection", "use_artifact", lambda w, bad: w.run.use_artifact(bad)),
    ("collection", "Api.artifact", lambda _, bad: lineage.Api().artifact(bad)),
    ("run", "Api.run", lambda _, bad: lineage.Api().run(bad)),
    ("project", "Api.create_project", lambda _, bad: lineage.Api().create_project(bad)),
    ("entity", "Api.create_project", lambda _, bad: lineage.Api().create_project("x", bad)),
    ("run", "Api.create_run", lambda _, bad: lineage.Api().create_run(run_id=bad, project="other")),
    ("run", "init", lambda _, bad: lineage.init(project="other", id=bad, reinit="create_new")),
    ("project", "init", lambda _, bad: lineage.init(project=bad, reinit="create_new")),
    ("entity", "init", lambda _, bad: lineage.init(project="other", entity=bad, reinit="create_new")),
    ("run tag", "init", lambda _, bad: lineage.init(project="other", tags=["good", bad], reinit="create_new")),
    ("words", "init", lambda _, bad: lineage.init(project="other", notes=bad, reinit="create_new")),
]


def _filled(world: World) -> Any:
    artifact = world.draft()
    artifact.add_file(str(world.tree / "leaf"))
    return artifact


def _append(names: Any, name: Any, save: Callable[[], None]) -> None:
    try:
        names.append(name)
        save()
    finally:
        if name in names:
            names.remove(name)


@pytest.mark.fault("N01", "N02", "N03", "N07", "N08", "N09", "N15", "N18", "N22", "D12", "I-26")
@pytest.mark.parametrize(("kind", "way", "entrance"), NAMED, ids=[f"{kind}-{way}" for kind, way, _ in NAMED])
def test_names(kind: str, way: str, entrance: Callable[[World, Any], object], world: World) -> None:
    """No bad name gets in; what names an address is left out where the argument is an address."""
    rows = stated(NAMES[kind])
    if way == "init":
        rows = [row for row in rows if isinstance(row[2], str)]  # settings take bytes for text, as those from the environment are
    if way in ("use_artifact", "Api.artifact", "Api.run", "Api.create_project"):
        rows = [row for row in rows if isinstance(row[2], str) and "/" not in row[2] and ":" not in row[2]]
    world.refuses(entrance, rows)


def _becomes_text(document: dict[str, Any]) -> bool:
    """Does a configuration keep something of it as text, as scripts need it, where metadata refuses it?"""
    told: list[str] = []
    plain(document, lambda where, _: told.append(where))
    return bool(told)


VALUES: list[tuple[str, Rows, Callable[[World, Any], object]]] = [
    ("Artifact", DOCUMENTS, lambda w, bad: w.draft(metadata=bad)),
    ("metadata", DOCUMENTS, lambda w, bad: _set(w.artifact, bad)),
    ("log", METRICS, lambda w, bad: w.run.log(bad)),
    ("summary", [row for row in METRICS if isinstance(row[2], dict)], lambda w, bad: w.run.summary.update(bad)),
    (
        "init",
        [row for row in DOCUMENTS if isinstance(row[2], dict) and not _becomes_text(row[2])],
        lambda _, bad: lineage.init(project="other", config=bad, reinit="create_new"),
    ),
]


def _set(artifact: Any, value: Any) -> None:
    kept = artifact.metadata
    try:
        artifact.metadata = value
        artifact.save()
    finally:
        artifact.metadata = kept


@pytest.mark.fault("M01", "M02", "M03", "M04", "D13", "I-26")
@pytest.mark.parametrize(("rows", "entrance"), [each[1:] for each in VALUES], ids=[way for way, _, _ in VALUES])
def test_values(rows: Rows, entrance: Callable[[World, Any], object], world: World) -> None:
    """No metadata, metric or configuration that cannot be kept gets in."""
    world.refuses(entrance, rows)


PUT: dict[str, tuple[Rows, Callable[[World, str], list[str]]]] = {
    "name": (TEXTS["collection"], lambda w, bad: [str(w.tree), "-n", bad]),
    "name in another project": (
        [row for row in TEXTS["collection"] if "/" not in row[2]],
        lambda w, bad: [str(w.tree), "-n", f"absent/{bad}"],
    ),
    "type": (TEXTS["type"], lambda w, bad: [str(w.tree), "-n", "absent/x", "-t", bad]),
    "alias": (TEXTS["alias"], lambda w, bad: [str(w.tree), "-n", "absent/x", "-a", "good", "-a", bad]),
    "tag": (TEXTS["tag"], lambda w, bad: [str(w.tree), "-n", "absent/x", "--tag", bad]),
    "run": (TEXTS["run"], lambda w, bad: [str(w.tree), "-n", "absent/x", "--id", bad]),
    "description": (TEXTS["words"], lambda w, bad: [str(w.tree), "-n", "absent/x", "-d", bad]),
    "metadata": (
        [row for row in DOCUMENTS if isinstance(row[2], str)] + [("M04", "not JSON", "{"), ("M04", "a list", "[1]")],
        lambda w, bad: [str(w.tree), "-n", "absent/x", "--metadata", bad],
    ),
    "ttl": (
        [("G23", each, each) for each in ("0d", "-1d", "1", "never ever", "")],
        lambda w, bad: [str(w.tree), "-n", "absent/x", "--ttl", bad],
    ),
    "path": (
        [("F04", "absent", "nothing"), ("F01", "device", "/dev/null"), ("N07", "nul", "a\0b")],
        lambda _, bad: [bad, "-n", "absent/x"],
    ),
}


@pytest.mark.fault("N01", "N02", "N03", "N07", "N08", "N09", "N15", "N16", "N18", "N19", "N22", "M01", "M02", "M04", "D12", "I-26")
@pytest.mark.parametrize("option", PUT)
def test_put(option: str, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """`lineage put` refuses each with an exit code for it and two lines on standard error, and answers nothing."""
    rows, arguments = PUT[option]

    def call(_: World, bad: str) -> None:
        capsys.readouterr()
        code = main(["put", *arguments(world, bad)])
        out, err = capsys.readouterr()
        if code in (Exit.USAGE, Exit.NO, Exit.REFUSED) and not out and err.startswith("error: ") and "\x1b" not in err:
            raise lineage.UsageError(err)
        raise AssertionError(f"exit {code}: {out!r} {err!r}")

    world.refuses(call, rows)


@pytest.mark.fault("F03", "N09", "N10", "I-24", "I-26")
def test_put_a_bad_tree(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A tree with something in it that cannot be stored is refused whole: no project, no run, no version."""
    (world.tree / "away").symlink_to("/etc/passwd")
    Path(str(world.tree / "bad\udcff")).write_bytes(b"x")
    before = world.state()

    assert Exit.USAGE == main(["put", str(world.tree), "-n", "absent/x", "--id", "new", "--json"])
    out, err = capsys.readouterr()
    assert ("", True) == (out, "2 things" in json.dumps(json.loads(err)))
    assert before == world.state()
