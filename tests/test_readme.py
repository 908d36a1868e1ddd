"""The README tells the truth: its examples run, and its tables are the program's."""

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import lineage
from lineage.cli.main import JOBS, PANELS, main
from lineage.cli.outcome import EXPLAINED
from lineage.model import errors as meaning
from lineage.sdk.session import disconnect
from lineage.sdk.settings import ENVIRONMENT, PREFIXES
from storage import errors as storage
from storage import layout

README = (Path(__file__).parent.parent / "README.md").read_text()
WORDS = (
    ["digest", "checksum", "blob", "pack", "entry", "reference", "manifest", "artifact", "collection", "alias", "tag", "entity", "sweep", "used", "logged", "maker", "expire", "reclaim"]
)  # fmt: skip


def section(title: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    level = re.escape(re.match(r"#+", title)[0])  # type: ignore[index]  # a title begins with one
    found = re.search(rf"^{re.escape(title)}$(.*?)(?=^{level} |^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no section {title!r}"
    return found[1]


def rows(title: str) -> list[list[str]]:
    """The cells of the table in that section, its head left out."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def told(place: Path) -> Iterator[dict[str, object]]:
    """The examples, run one after the other as a reader would, in an empty directory with a store of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ENVIRONMENT:
            for prefix in PREFIXES:
                patch.delenv(prefix + name, raising=False)
        patch.setenv("LINEAGE_HOME", str(place / "home"))
        patch.setenv("LINEAGE_SILENT", "true")
        patch.chdir(place)
        names: dict[str, object] = {"__name__": "readme"}
        for block in re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
            exec(compile(block, "README.md", "exec"), names)
        yield names
        disconnect()


@pytest.fixture
def namespace(told: dict[str, object], place: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the examples left, and their store and directory."""
    monkeypatch.setenv("LINEAGE_HOME", str(place / "home"))
    monkeypatch.chdir(place)
    return told


def test_the_examples_run(namespace: dict[str, object]) -> None:
    """Every block of Python, and they leave what they promise."""
    api = lineage.Api(overrides={"project": "vision"})
    assert ["digits"] == [each.collection.name for each in api.artifact("classifier:best").upstream().artifacts]
    assert 30 == api.artifact("classifier:best").ttl.days
    assert "model" in namespace


@pytest.mark.parametrize("row", rows("## Questions it answers"), ids=lambda row: row[0])
def test_every_question_is_answered(namespace: dict[str, object], row: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """By the line of code and by the command beside it."""
    names = {**namespace, "raw": lineage.Api().artifact("vision/digits:latest")}
    for code in re.findall(r"`(.*?)`", row[1]):
        assert eval(code, names), code
    for command in re.findall(r"`lineage (.*?)`", row[2]):
        assert 0 == main(shlex.split(command)), command
        assert capsys.readouterr().out.strip(), command


def test_the_first_screen_has_the_two_commands() -> None:
    """Exactly as they are to be typed."""
    head = README.split("\n## ")[0]
    assert "\npip install . && lineage demo                  # the main job, embedded: no server, no account, no network\n" in head
    assert "\npip install '.[test]' && pytest -n auto        # the tests; everything they need comes from the package registry\n" in head


def test_the_commands_are_the_programs() -> None:
    """In the order of the help, and the jobs' own commands with them."""
    named = [command.__name__ for commands in PANELS.values() for command in commands]
    table = rows("## Commands")
    assert [f"`lineage {name}`" for name in [*named, "jobs"]] == [row[0] for row in table[: len(named) + 1]]
    assert all(f"`{name}`" in table[len(named)][1] for name in JOBS)


def test_the_exit_codes_are_the_programs() -> None:
    """Numbers and words."""
    assert [[str(int(code)), meant] for code, meant in EXPLAINED.items()] == rows("### Exit codes")


def classes(module: ModuleType) -> Iterator[tuple[str, str]]:
    for name, found in vars(module).items():
        if inspect.isclass(found) and issubclass(found, Exception):
            yield f"`{found.code}`", f"`{name}`"


def test_the_error_codes_are_the_programs() -> None:
    """Every class of both houses, with its code."""
    assert [*classes(meaning), *classes(storage)] == [(row[0], row[1]) for row in rows("## Errors")]


def test_the_settings_are_the_programs() -> None:
    """Every variable that is read, under both its names."""
    told = {name for row in rows("## Settings") for name in re.findall(r"`([A-Z_]+)`", row[0])}
    assert {prefix + name for name in ENVIRONMENT for prefix in PREFIXES} <= told
    assert {
        "LINEAGE_HOME",
        "LINEAGE_STORE",
        "LINEAGE_ALLOW_HTTP",
        "LINEAGE_CONFIG_DIR",
        "LINEAGE_ALLOW_NETWORK_DISK",
        "LINEAGE_PARANOID",
        "LINEAGE_DEBUG",
        "NO_COLOR",
    } == told - {p + n for n in ENVIRONMENT for p in PREFIXES}


def test_the_words_are_the_projects() -> None:
    """Each of them, once."""
    assert WORDS == [word for row in rows("## Words") for word in row[0].split(", ")]


def test_the_places_are_the_stores() -> None:
    """What the README says lies in a store is what `storage.layout` puts there."""
    told = {row[0].strip("`/") for row in rows("## Where things are kept")}
    assert {
        layout.FORMAT_FILE,
        layout.OBJECTS,
        layout.CATALOG,
        layout.JOURNALS,
        layout.STAGING,
        layout.QUARANTINE,
        layout.CACHE,
        layout.LOCK,
        layout.RESERVE,
    } == told


def test_the_drawing_is_what_the_demonstration_draws() -> None:
    """Its names are the story's."""
    story = (Path(lineage.__file__).parent / "cli" / "demo" / "story.py").read_text()
    for name in ("strip-and-split", "measure-best", "ngram-model", "report"):
        assert name in README.split("\n## ")[0]
        assert name in story
