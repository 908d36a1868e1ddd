"""`up`, `down` and `graph`."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.lineage.cli.conftest import Caller

pytestmark = pytest.mark.usefixtures("history")


def paths(answer: dict[str, list[dict[str, str]]], kind: str) -> set[str]:
    return {each["path"].rpartition("/")[2] for each in answer[kind]}


def test_up_answers_what_a_model_was_made_from(lineage: Caller) -> None:
    """All the way: artifacts and runs, and that this is all."""
    answer = lineage("up", "vision/net:best", "--json").json
    assert ({"raw:v0", "clean:v0"}, {"one", "tidy", "dump"}, True) == (
        paths(answer, "artifacts"),
        paths(answer, "runs"),
        answer["complete"],
    )


def test_down_answers_what_is_affected(lineage: Caller) -> None:
    """Everything that was made from bad data; a type picks what one cares about, and hides nothing behind it."""
    assert {"clean:v0", "net:v0", "net:v1", "report:v0"} == paths(lineage("down", "vision/raw:v0", "--json").json, "artifacts")
    assert {"net:v0", "net:v1"} == paths(lineage("down", "vision/raw:v0", "--type", "model", "--json").json, "artifacts")


def test_a_limited_answer_says_so(lineage: Caller) -> None:
    """It is marked incomplete and names where to go on, on the screen too."""
    answer = lineage("up", "vision/net:best", "--depth", 1, "--json").json
    assert ({"clean:v0"}, False, ["me/vision/clean:v0"]) == (paths(answer, "artifacts"), answer["complete"], answer["frontier"])
    assert "there is more behind clean:v0" in lineage("up", "vision/net:best", "--depth", 1).err


def test_a_run_can_be_asked_too(lineage: Caller) -> None:
    """What a run led to."""
    assert {"net:v0", "report:v0"} == paths(lineage("down", "vision/one", "--json").json, "artifacts")


def test_graph_draws_a_tree(lineage: Caller) -> None:
    """Up and down from the version it is about."""
    lines = [line.strip("│├└─ ") for line in lineage("graph", "vision/net:best").out.splitlines() if line]
    assert "■ net:v0  model  best" == lines[0]
    assert ["made from", "● one  train", "■ clean:v0  dataset  latest", "● tidy  prepare"] == lines[1:5]


def test_graph_of_a_project_is_nodes_and_edges(lineage: Caller) -> None:
    """Every edge joins a run and an artifact that are among the nodes."""
    answer = lineage("graph", "vision", "--json").json
    nodes = {node["node"] for node in answer["nodes"]}
    assert (10, 10) == (len(nodes), len(answer["edges"]))
    assert all({edge["source"], edge["target"]} <= nodes for edge in answer["edges"])
    assert {"used", "logged"} == {edge["relation"] for edge in answer["edges"]}


def test_graph_writes_a_picture(lineage: Caller) -> None:
    """Well-formed SVG with the names in it."""
    assert 0 == lineage("graph", "vision", "--svg", "vision.svg").code
    drawn = "".join(ET.fromstring(Path("vision.svg").read_text()).itertext())
    assert all(name in drawn for name in ("net:v0", "raw:v0", "exam"))


def test_nothing_of_that_name(lineage: Caller) -> None:
    """Exit code 1 and a way on."""
    ended = lineage("up", "vision/nothing")
    assert 1 == ended.code
    assert "hint: " in ended.err


def test_a_picture_needs_a_place(lineage: Caller, tmp_path: Path) -> None:
    """A directory, or a file in none, is a wrong call and not a fault of the disk."""
    lineage("put", __file__, "-n", "toys/letter")
    for place in (tmp_path, tmp_path / "nowhere" / "toys.svg"):
        ended = lineage("graph", "toys", "--svg", place)
        assert (2, True) == (ended.code, "name a file" in ended.err)
