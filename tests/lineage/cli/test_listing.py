"""`ls` and `show`."""

import pytest

from tests.lineage.cli.conftest import Caller

pytestmark = pytest.mark.usefixtures("history")


def test_ls_begins_with_the_projects(lineage: Caller) -> None:
    """With how much is in them."""
    [project] = lineage("ls", "--json").json["projects"]
    assert ("me/vision", 4, 5) == (project["path"], project["artifacts"], project["runs"])


def test_ls_of_a_project_lists_its_artifacts(lineage: Caller) -> None:
    """Each with its latest version; --type narrows it down."""
    found = lineage("ls", "vision", "--json").json["artifacts"]
    assert {"raw", "clean", "net", "report"} == {each["name"] for each in found}
    [net] = lineage("ls", "vision", "--type", "model", "--json").json["artifacts"]
    assert ("v1", 2) == (net["latest"]["version"], net["versions"])


def test_ls_of_an_artifact_lists_its_versions(lineage: Caller) -> None:
    """Newest first."""
    assert ["net:v1", "net:v0"] == [line[0] for line in lineage("ls", "vision/net").words[1:]]


def test_project_and_entity_may_be_options(lineage: Caller) -> None:
    """A bare name is looked for where --project says."""
    assert ["net:v1", "net:v0"] == [line[0] for line in lineage("ls", "net", "-p", "vision").words[1:]]
    assert 1 == lineage("ls", "net", "-p", "vision", "-e", "other").code


def test_a_name_in_another_project_is_pointed_to(lineage: Caller) -> None:
    """The answer is no, and the message says where there is one."""
    ended = lineage("show", "net")
    assert 1 == ended.code
    assert "write vision/net" in ended.err


def test_show_tells_who_made_and_who_used_a_version(lineage: Caller) -> None:
    """The neighbours in the graph are part of the answer."""
    shown = lineage("show", "vision/net:best", "--json").json
    assert ("me/vision/one", ["me/vision/exam"]) == (shown["maker"], shown["used_by"])
    assert ("live", "model", ["best"]) == (shown["state"], shown["type"], shown["aliases"])
    assert "me/vision/exam" in lineage("show", "vision/net:best").out


def test_show_tells_what_a_run_used_and_logged(lineage: Caller) -> None:
    """And its state, configuration and summary."""
    shown = lineage("show", "vision/one", "--json").json
    assert (["me/vision/clean:v0"], ["me/vision/net:v0"]) == (shown["used"], shown["logged"])
    assert {"loss": 0.1} == shown["summary"]


def test_a_name_of_two_things_is_not_guessed(lineage: Caller) -> None:
    """A run and an artifact of one name: the error spells both, and both spellings work."""
    lineage("put", __file__, "-n", "vision/one")
    assert 2 == lineage("show", "vision/one").code
    assert "run" == lineage("show", "vision/runs/one", "--json").json["kind"]
    assert "artifact" == lineage("show", "vision/one:latest", "--json").json["kind"]


def test_names_from_outside_cannot_steer_the_terminal(lineage: Caller) -> None:
    """A description with an escape sequence is shown escaped; JSON has it as it is."""
    hostile = "\x1b]0;owned\x07"
    lineage("put", __file__, "-n", "vision/bait", "-d", hostile)
    assert "\x1b" not in lineage("show", "vision/bait").out
    assert hostile == lineage("show", "vision/bait", "--json").json["description"]


def test_there_is_nothing_yet(lineage: Caller, tmp_path: object) -> None:
    """Asking an absent store makes none."""
    ended = lineage("ls", "--home", f"{tmp_path}/other")
    assert (1, "") == (ended.code, ended.out)
    assert ended.err.startswith("error: there is no store in ")
