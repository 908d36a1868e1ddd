"""The demonstration: played on a small tree, played again, and what it leaves behind."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import lineage
from lineage.cli.demo import corpus
from lineage.cli.demo.model import Model, count, parse_counts, print_counts
from lineage.cli.main import main
from lineage.sdk.session import disconnect

SOURCES = Path(corpus.__file__).parents[3] / "storage"
"""A tree of Python files that is there wherever the tests are."""


class Told:
    """How a telling ended."""

    def __init__(self, code: int, out: str) -> None:
        self.code = code
        self.document: dict[str, Any] = json.loads(out)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def tellings(home: Path) -> Iterator[tuple[Told, Told]]:
    """The story told twice on an unchanged tree."""
    command = [sys.executable, "-m", "lineage", "demo", str(SOURCES), "--home", str(home), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES.parent), "WANDB_MODE": "disabled", "WANDB_RUN_ID": "mine"}
    told = [subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False) for _ in range(2)]
    assert ["", ""] == [each.stderr for each in told]
    yield Told(told[0].returncode, told[0].stdout), Told(told[1].returncode, told[1].stdout)
    disconnect()


@pytest.fixture
def api(tellings: tuple[Told, Told], home: Path, monkeypatch: pytest.MonkeyPatch) -> lineage.Api:
    assert (0, 0) == tuple(told.code for told in tellings)
    monkeypatch.setenv("LINEAGE_HOME", str(home))
    monkeypatch.setenv("LINEAGE_PROJECT", "demo")
    return lineage.Api()


def test_it_trains_at_least_eight_models_and_chooses_the_best(tellings: tuple[Told, Told], api: lineage.Api) -> None:
    """Every point of the grid was trained and measured, and the one that bears the alias has the smallest perplexity."""
    assert 0 == tellings[0].code
    runs = api.runs("demo", filters={"job_type": "train"}, order="+created_at")[:8]
    assert 8 == len({(run.config["order"], run.config["smoothing"]) for run in runs})
    best = api.artifact("ngram-model:best")
    chosen = min(runs, key=lambda run: run.summary["perplexity"])
    assert (chosen.config["order"], chosen.config["smoothing"]) == (best.metadata["order"], best.metadata["smoothing"])
    assert 1 < chosen.summary["perplexity"] < 256
    assert 4 == len(list(chosen.scan_history(keys=["perplexity"])))


def test_the_lineage_of_the_best_model_is_whole(api: lineage.Api) -> None:
    """From the raw tree through the clean one to the report that was written about it."""
    best = api.artifact("ngram-model:best")
    up = best.upstream()
    assert up.complete
    assert ["storage-source", "storage-clean"] == [each.collection.name for each in up.artifacts]
    assert ["collect", "prepare", "train"] == [run.job_type for run in up.runs]
    assert "report" in {each.type for each in best.downstream().artifacts}
    report = api.artifact("report:latest").upstream()
    assert {"reference", "model", "dataset"} == {each.type for each in report.artifacts}


def test_a_reference_pins_without_a_copy(api: lineage.Api) -> None:
    """The external text is known by place and digest, and its bytes are not in the store."""
    entries = api.artifact("prose:latest").manifest.entries.values()
    assert entries
    assert all(entry.ref.startswith("file://") and entry.extra["etag"] for entry in entries)


def test_one_checkpoint_has_expired(tellings: tuple[Told, Told], api: lineage.Api) -> None:
    """Exactly the one that was kept for a second; its name, digest and maker are still known."""
    [gone] = tellings[0].document["expired"]
    assert "ngram-checkpoint:v0" in gone
    version = api.artifact(gone)
    assert "EXPIRED" == version.state
    assert "train" == version.logged_by().job_type


def test_the_second_telling_stores_nothing_twice(tellings: tuple[Told, Told], api: lineage.Api) -> None:
    """No collection but the one that lost a checkpoint has a new version, and the store grew by metrics and nothing else."""
    first, second = (telling.document for telling in tellings)
    assert first["best"]["digest"] == second["best"]["digest"]
    assert first["logged_bytes"] == second["logged_bytes"]
    assert second["stored_bytes"] < first["stored_bytes"] // 20
    counts = {each.name: len(each.artifacts()) for kind in api.artifact_types("demo") for each in kind.collections()}
    assert {"storage-source": 1, "storage-clean": 1, "prose": 1, "ngram-model": 8, "report": 1} == {
        name: count for name, count in counts.items() if name != "ngram-checkpoint"
    }


def test_the_picture_shows_the_best_model(tellings: tuple[Told, Told]) -> None:
    """Well-formed SVG, beside the store or where --svg says."""
    drawn = "".join(ET.fromstring(Path(tellings[0].document["svg"]).read_text()).itertext())
    assert "storage-source:v0" in drawn
    assert "best" in drawn


def test_what_it_says_to_try_next_works(tellings: tuple[Told, Told], capsys: pytest.CaptureFixture[str]) -> None:
    """Every line, pasted as it stands."""
    *commands, python = tellings[0].document["next"]
    for line in commands:
        program, *arguments = shlex.split(line)
        assert "lineage" == program
        capsys.readouterr()
        assert 0 == main(arguments), line
        assert capsys.readouterr().out.strip(), line
    environment = {**os.environ, "PATH": str(Path(sys.executable).parent), "PYTHONPATH": str(SOURCES.parent)}
    shown = subprocess.run(["/bin/sh", "-c", python], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "storage-source:v0" in shown.stdout


@pytest.mark.usefixtures("tellings")
def test_the_store_is_sound_afterwards(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every byte is what it was, and what nobody needs any more can be freed."""
    assert (0, 0, 0) == tuple(main([*words, "--home", str(home)]) for words in (["verify", "--deep"], ["reclaim", "--yes"], ["verify"]))
    capsys.readouterr()


def test_a_tree_without_python_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a way on, and no store is made for it."""
    (tmp_path / "empty").mkdir()
    assert 2 == main(["demo", str(tmp_path / "empty"), "--home", str(tmp_path / "home")])
    assert "name another directory" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


# ── what it learns with ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_standard_library_is_enough_to_learn_from() -> None:
    """A hundred files and more of this very Python, both sides of the split among them, and text to pin."""
    chosen = corpus.standard_library()
    assert len(chosen.files) > 100
    assert 1_000_000 < chosen.size <= corpus.MOST_BYTES
    assert {"train", "validation"} == {corpus.side(chosen.name(path)) for path in chosen.files}
    assert corpus.prose()


@pytest.mark.soak
def test_it_is_told_of_the_standard_library(tmp_path: Path) -> None:
    """What `lineage demo` does without an argument, from end to end."""
    command = [sys.executable, "-m", "lineage", "demo", "--home", str(tmp_path / "home")]
    ended = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(SOURCES.parent)}, capture_output=True, text=True, timeout=240, check=True
    )
    assert "stdlib-source:v0" in ended.stdout
    assert "try next:" in ended.stdout


def test_a_model_gives_every_context_a_whole_chance() -> None:
    """Over the alphabet the chances sum to one, in contexts that were seen and in those that were not."""
    model = Model(3, 0.3, count("abracadabra", 3) + count("alakazam", 3))
    for context in ("ab", "zz", "\0\0"):
        assert 1 == pytest.approx(sum(model.chance(context, chr(code)) for code in range(256)))


def test_a_model_knows_its_own_text_better() -> None:
    """Perplexity falls with what was seen, and is the size of the alphabet when nothing was."""
    seen, unseen = "the cat sat on the mat. " * 20, "zxqj vkwp"
    model = Model(4, 0.2, count(seen, 4))
    assert model.perplexity(seen) < 2 < model.perplexity(unseen)
    assert 256 == pytest.approx(Model(2, 0.2, {}).perplexity(unseen))


def test_equal_text_gives_equal_bytes() -> None:
    """Whatever the order of the texts: that is what the store recognises a model by."""
    one, other = (count(text, 3) + count(then, 3) for text, then in (("first text", "second text"), ("second text", "first text")))
    assert print_counts(one) == print_counts(other)
    assert one == parse_counts(print_counts(one))
    assert Model(3, 0.2, one).write(80, 7) == Model(3, 0.2, other).write(80, 7)


def test_cleaning_takes_comments_and_blank_lines_only() -> None:
    """A `#` in a string is no comment; what is no Python is left out."""
    source = b'# gone\nx = "# stays"  # gone\n\n\ndef f():\n    # gone\n    return """\n# stays\n"""\n'
    assert 'x = "# stays"\ndef f():\n    return """\n# stays\n"""\n' == corpus.clean(source)
    assert corpus.clean(b"\xff\xfe no python \x00") is None


def test_the_split_does_not_depend_on_the_company() -> None:
    """A file stays on its side when others come and go, and both sides get some."""
    sides = {f"module_{number}.py": corpus.side(f"module_{number}.py") for number in range(64)}
    assert {"train", "validation"} == set(sides.values())
    assert sides == {name: corpus.side(name) for name in reversed(sides)}


def test_the_selection_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too large a tree is cut at a size, in path order, and the selection says so; a huge file is left out."""
    for number in range(6):
        (tmp_path / f"m{number}.py").write_text("x = 1\n" * 10)
    (tmp_path / "huge.py").write_text("y = 2\n" * 100)
    monkeypatch.setattr(corpus, "MOST_BYTES", 200)
    monkeypatch.setattr(corpus, "LARGEST", 100)
    chosen = corpus.directory(tmp_path)
    assert ["m0.py", "m1.py", "m2.py"] == [chosen.name(path) for path in chosen.files]
    assert "the first" in chosen.how
