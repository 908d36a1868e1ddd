"""`diff`."""

from pathlib import Path

import pytest

from tests.lineage.cli.conftest import Caller


@pytest.fixture
def cats(lineage: Caller, data: Path) -> Path:
    """`toys/cats:v0` with two files; in v1 one was renamed, one changed, one added."""
    lineage("put", data, "-n", "toys/cats", "--metadata", '{"n": 1}')
    (data / "a.txt").rename(data / "z.txt")
    (data / "sub" / "b.txt").write_text("other\n")
    (data / "new.txt").write_text("new\n")
    lineage("put", data, "-n", "toys/cats", "--metadata", '{"n": 2}')
    return data


@pytest.mark.usefixtures("cats")
def test_it_tells_what_differs_and_why(lineage: Caller) -> None:
    """How much of the content, and whatever else differs; the paths only when they are asked for."""
    ended = lineage("diff", "toys/cats:v0", "toys/cats:v1")
    assert 0 == ended.code
    assert "1 added, 1 changed, 1 renamed; 10 B came, 4 B went" in ended.out
    assert "n: 1 → 2" in ended.out
    assert "new.txt" not in ended.out


@pytest.mark.usefixtures("cats")
def test_every_path_is_listed_when_asked_for(lineage: Caller) -> None:
    """A line each, in path order, marked."""
    lines = lineage("diff", "toys/cats:v0", "toys/cats:v1", "--files").out.splitlines()
    assert ["+ new.txt  4 B", "~ sub/b.txt  (content, size)  4 → 6 B", "> a.txt → z.txt  4 B"] == lines[-3:]


@pytest.mark.usefixtures("cats")
def test_stat_is_one_line(lineage: Caller) -> None:
    """And says so when nothing differs."""
    assert "1 added, 1 changed, 1 renamed; 10 B came, 4 B went\n" == lineage("diff", "toys/cats:v0", "toys/cats:v1", "--stat").out
    assert "the same\n" == lineage("diff", "toys/cats:v0", "toys/cats:v0", "--stat").out


@pytest.mark.usefixtures("cats")
def test_json_has_all_of_it(lineage: Caller) -> None:
    """Counts, causes, and with --files each path with both its entries."""
    found = lineage("diff", "toys/cats:v0", "toys/cats:v1", "--json", "--files").json
    assert {"added": 1, "removed": 0, "changed": 1, "renamed": 1, "bytes_added": 10, "bytes_removed": 4} == found["content"]
    assert (False, [{"key": "n", "before": 1, "after": 2}]) == (found["same"], found["metadata"])
    assert [("new.txt", "added"), ("sub/b.txt", "changed"), ("z.txt", "renamed")] == [
        (each["path"], each["what"]) for each in found["changes"]
    ]
    assert ("a.txt", ["content", "size"]) == (found["changes"][2]["before"]["path"], found["changes"][1]["aspects"])


@pytest.mark.parametrize(("other", "code"), [("toys/cats:v0", 0), ("toys/cats:v1", 1)])
@pytest.mark.usefixtures("cats")
def test_a_script_may_ask_whether_it_is_the_same(lineage: Caller, other: str, code: int) -> None:
    """`--exit-code`: 0 it is, 1 it is not; without it every answer is 0."""
    assert (code, 0) == (lineage("diff", "toys/cats:v0", other, "--exit-code").code, lineage("diff", "toys/cats:v0", other).code)


@pytest.mark.usefixtures("cats")
def test_what_is_not_there_is_an_error(lineage: Caller) -> None:
    """Exit code 1 and two lines; a call that contradicts itself is 2."""
    ended = lineage("diff", "toys/cats:v0", "toys/dogs")
    assert (1, "") == (ended.code, ended.out)
    assert ended.err.startswith("error: ")
    assert 2 == lineage("diff", "toys/cats:v0", "toys/cats:v1", "--files", "--stat").code


@pytest.mark.usefixtures("history")
def test_without_content_the_lineage_is_compared(lineage: Caller) -> None:
    """Of versions whose content is not here the rest is told; --files says why it cannot be."""
    ended = lineage("diff", "vision/net:v0", "vision/net:v1")
    assert 0 == ended.code
    assert "loss: 0.1 → 0.2" in ended.out
    refused = lineage("diff", "vision/net:v0", "vision/net:v1", "--files")
    assert (1, "") == (refused.code, refused.out)
    assert "kept elsewhere" in refused.err
