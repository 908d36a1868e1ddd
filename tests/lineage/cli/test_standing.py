"""`lineage check`, and where else a drifted reference is shown."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lineage.actions import create, find, start, use
from lineage.actions.open import Engine
from lineage.model.names import ArtifactPath, ProjectPath
from tests.faults.proxy import FOREVER, Fault, Proxy
from tests.faults.s3 import Service

Caller = Any
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of two files that is referenced, not stored."""
    root = tmp_path / "outside"
    root.mkdir()
    (root / "a").write_text("one")
    (root / "b").write_text("two")
    return root


@pytest.fixture
def shelf(lineage: Caller, outside: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """`me/vision/raw` references the files, `clean` was made from it, `apart` was not."""
    monkeypatch.setenv("LINEAGE_ENTITY", "me")
    monkeypatch.setenv("LINEAGE_PROJECT", "vision")
    assert 0 == lineage("put", outside.as_uri(), "-n", "raw").code
    assert 0 == lineage("put", data, "-n", "apart").code
    return {"a": (outside / "a").as_uri()}


def derive(engine: Engine) -> None:
    project = create.project(engine, ProjectPath("vision", "me"))
    run = start.start_run(engine, start.Opening(ProjectPath(project.name, project.entity), "cleaning")).run
    use.use_version(engine, run.id, find.version(engine, ArtifactPath("raw", None, "vision", "me")))


@pytest.fixture
def derived(shelf: Mapping[str, str], engine: Engine, lineage: Caller, data: Path) -> Mapping[str, str]:
    derive(engine)
    assert 0 == lineage("put", data / "a.txt", "-n", "clean", "--id", "cleaning").code
    return shelf


@pytest.mark.usefixtures("shelf")
def test_a_check_says_how_many_and_ends_well(lineage: Caller) -> None:
    """Everything, a project, an artifact or a version; code 0 while all is as pinned."""
    for path in ([], ["vision"], ["raw"], ["vision/raw:v0"], ["vision/raw", "vision/apart"]):
        ended = lineage("check", *path)
        assert (0, True) == (ended.code, "2 references" in ended.out), path
    document = lineage("check", "--json").json
    assert (True, 2, {"ok": 2}, [], []) == tuple(document[key] for key in ("ok", "references", "states", "findings", "unknown"))
    assert 0 == lineage("check", "apart", "--json").json["references"]


def test_drift_is_damage_and_is_told_with_its_times(lineage: Caller, derived: Mapping[str, str], outside: Path) -> None:
    """Code 3; entry, place and since when; --downstream names everything made from it."""
    lineage("check")
    (outside / "a").write_text("ONE")
    ended = lineage("check", "--downstream")
    assert 3 == ended.code
    assert ["drifted"] == [words[0] for words in ended.words if words[0] in ("drifted", "missing", "ok")]
    assert [["me/vision/raw:v0", "dataset", "latest"], ["me/vision/clean:v0", "dataset", "latest"]] == [
        words for words in ended.words if words[0].startswith("me/vision")
    ]
    document = lineage("check", "raw", "--downstream", "--json").json
    (found,) = document["findings"]
    assert ("me/vision/raw:v0", "a", derived["a"], "drifted") == tuple(found[key] for key in ("artifact", "path", "uri", "state"))
    assert found["last_ok"] < found["first_seen"] < found["last_seen"]
    assert ["me/vision/raw:v0", "me/vision/clean:v0"] == [each["path"] for each in document["downstream"]]
    assert 0 == lineage("check", "apart").code


@pytest.mark.usefixtures("shelf")
def test_what_could_not_be_found_out_is_neither_good_nor_damage(lineage: Caller, s3: Service, s3_proxy: Proxy) -> None:
    """Code 5, with the reason, and no state."""
    bucket = s3.bucket()
    s3.put(bucket, "k", b"x")
    lineage("put", f"s3://{bucket}/k", "-n", "far")
    s3_proxy.plan(Fault("HEAD", status=403, code="AccessDenied", times=FOREVER))
    ended = lineage("check", "far")
    assert (5, True) == (ended.code, "permission" in ended.err)
    document = lineage("check", "--json").json
    assert (False, {"ok": 2}, 1) == (document["ok"], document["states"], len(document["unknown"]))


@pytest.mark.usefixtures("shelf")
def test_a_path_that_is_nothing_is_said(lineage: Caller) -> None:
    """As every other command does."""
    assert 1 == lineage("check", "nothing").code
    assert 1 == lineage("check", "raw:v7").code


def test_drift_is_shown_with_a_version_and_with_what_was_made_from_it(lineage: Caller, derived: Mapping[str, str], outside: Path) -> None:
    """`show`, `ls` and the drawings."""
    (outside / "a").unlink()
    lineage("check")
    assert f"missing, seen first now: a → {derived['a']}" in lineage("show", "raw:v0").out.replace("0 s ago", "now")
    assert "made from me/vision/raw:v0: a" in lineage("show", "clean:v0").out
    assert ["a"] == [each["path"] for each in lineage("show", "clean:v0", "--json").json["drift"]]
    assert "missing" not in lineage("show", "apart:v0").out


@pytest.mark.usefixtures("derived")
def test_pictures_mark_it_and_say_what_the_mark_means(lineage: Caller, outside: Path, tmp_path: Path) -> None:
    """Text and SVG; a project where nothing has drifted has neither marks nor legend."""
    lineage("check")
    before = lineage("graph", "clean:v0").out
    assert not set("▲△") & set(before)
    (outside / "a").write_text("ONE")
    lineage("check")
    lines = lineage("graph", "clean:v0").out.rstrip().splitlines()
    assert "△ clean:v0  made from drifted" in lines[0]
    assert any("▲ raw:v0  drifted" in line for line in lines)
    assert ["▲", "△"] == [line[0] for line in lines[-2:]]
    lineage("graph", "vision", "--svg", tmp_path / "v.svg")
    picture = ET.fromstring((tmp_path / "v.svg").read_text())
    titles = sorted(title.text or "" for title in picture.iter(f"{SVG}title") if "drifted" in (title.text or ""))
    assert [
        "artifact clean:v0 · dataset · live · latest · made from drifted",
        "artifact raw:v0 · dataset · live · latest · drifted",
    ] == titles
    legend = [text.text or "" for text in picture.iter(f"{SVG}text") if text.get("class") == "legend"]
    assert ["drifted", "made from drifted"] == [text.partition(":")[0] for text in legend]


@pytest.mark.usefixtures("shelf")
def test_what_is_unverified_is_said_when_it_is_put_and_listed(lineage: Caller) -> None:
    """In a warning, in `ls` and in JSON."""
    import fsspec

    fsspec.filesystem("memory").pipe("/cli/x", b"x")
    ended = lineage("put", "memory://cli/x", "-n", "loose")
    assert "unverified" in ended.err
    assert "memory://cli/x  (unverified)" in lineage("ls", "loose:v0").out
    assert [False] == [each["is_verified"] for each in lineage("ls", "loose:v0", "--json").json["entries"]]
    assert "(unverified)" not in lineage("ls", "raw:v0").out
    assert {"unverifiable": 1} == lineage("check", "loose", "--json").json["states"]
    fsspec.filesystem("memory").rm("/cli", recursive=True)


@pytest.mark.usefixtures("shelf")
def test_checking_is_a_job_once_somebody_wants_it(lineage: Caller, outside: Path) -> None:
    """Off at first; switched on it is due as often as was said; what it found is its result."""

    def job(*call: str) -> dict[str, Any]:
        (found,) = (each for each in lineage("jobs", *call, "--json").json["jobs"] if each["name"] == "check")
        return dict(found)

    assert not job("list")["is_on"]
    assert "check" not in [each["name"] for each in lineage("jobs", "run", "--json").json["jobs"]]
    assert (True, 43_200) == (job("on", "check", "--every", "12h")["is_on"], job("list")["every_seconds"])
    assert ("ok", "2 ok") == (job("run")["last_result"], job("list")["last_reason"])
    assert [] == lineage("jobs", "run", "--json").json["jobs"]
    (outside / "a").write_text("ONE")
    assert 1 == lineage("jobs", "run", "check", "--force").code
    assert "1 drifted" in job("list")["last_reason"]
    assert not job("off", "check")["is_on"]
    assert 43_200 == job("on", "check")["every_seconds"]
    for wrong in (("on", "nothing"), ("on", "check", "--every", "never"), ("on", "check", "--every", "5s"), ("off", "nothing")):
        assert 2 == lineage("jobs", *wrong).code
    assert "check references" in lineage("jobs", "systemd").out


@pytest.mark.usefixtures("derived")
def test_the_lists_say_it_too(lineage: Caller, outside: Path) -> None:
    """`up` and `down` beside each version, and the JSON of both and of the graph; where nothing has drifted nothing is said."""
    lineage("check")
    assert "drifted" not in lineage("up", "clean:v0").out
    (outside / "a").write_text("ONE")
    lineage("check")
    assert ["me/vision/raw:v0", "dataset", "drifted", "latest"] in lineage("up", "clean:v0").words
    assert ["me/vision/clean:v0", "dataset", "made", "from", "drifted", "latest"] in lineage("down", "raw:v0").words
    (found,) = lineage("up", "clean:v0", "--json").json["artifacts"]
    nodes = lineage("graph", "clean:v0", "--json").json["nodes"]
    assert "drifted" == found["warning"]
    assert {"raw": "drifted", "clean": "made from drifted"} == {node["name"]: node["warning"] for node in nodes if "warning" in node}
