"""`put` and `get`."""

from pathlib import Path

import pytest

from tests.lineage.cli.conftest import Caller


def tree(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_what_was_put_comes_back(lineage: Caller, data: Path, tmp_path: Path) -> None:
    """A directory is logged and written out again, byte for byte."""
    assert 0 == lineage("put", data, "-n", "toys/cats", "-a", "first").code
    ended = lineage("get", "toys/cats:first", "--root", tmp_path / "out")
    assert (0, tree(data)) == (ended.code, tree(tmp_path / "out"))


def test_one_entry_comes_alone(lineage: Caller, data: Path, tmp_path: Path) -> None:
    """--entry writes exactly that entry; one that is not there is missing, and it goes with no other choice of a part."""
    lineage("put", data, "-n", "toys/cats")
    ended = lineage("get", "toys/cats:v0", "--entry", "a.txt", "--root", tmp_path / "out", "--json")
    assert ({"a.txt": "one\n"}, 1) == (tree(tmp_path / "out"), ended.json["written"])
    assert 1 == lineage("get", "toys/cats:v0", "--entry", "a", "--root", tmp_path / "out").code
    assert 2 == lineage("get", "toys/cats:v0", "--entry", "a.txt", "--exact").code


def test_a_version_goes_to_artifacts_by_itself(lineage: Caller, data: Path) -> None:
    """Without --root, `get` writes to ./artifacts/name:vN."""
    lineage("put", data / "a.txt", "-n", "toys/letter")
    lineage("get", "toys/letter")
    assert {"a.txt": "one\n"} == tree(Path("artifacts/letter:v0"))


def test_the_same_content_is_not_stored_again(lineage: Caller, data: Path) -> None:
    """The version it is comes back, and the answer says that nothing was stored."""
    first = lineage("put", data, "-n", "toys/cats", "--json").json
    again = lineage("put", data, "-n", "toys/cats", "-a", "same", "--json").json
    assert (True, False) == (first["is_new"], again["is_new"])
    assert (first["version"]["path"], 0) == (again["version"]["path"], again["stored"]["bytes"])
    assert ["latest", "same"] == again["version"]["aliases"]


def test_everything_said_about_a_version_is_kept(lineage: Caller, data: Path) -> None:
    """Type, description, aliases, tags, metadata and lifetime."""
    options = ["-t", "pictures", "-d", "of cats", "-a", "a1", "-a", "a2", "--tag", "small", "--metadata", '{"n": 2}', "--ttl", "30d"]
    version = lineage("put", data, "-n", "toys/cats", *options, "--json").json["version"]
    assert ("pictures", "of cats", ["latest", "a1", "a2"], ["small"], {"n": 2}, "30d") == tuple(
        version[key] if key != "ttl" else {"4w2d": "30d"}[version[key]]
        for key in ("type", "description", "aliases", "tags", "metadata", "ttl")
    )


def test_a_run_is_made_for_what_it_logs(lineage: Caller, data: Path) -> None:
    """With --id the version has a maker, which is finished afterwards; a second put with that id adds to it."""
    lineage("put", data, "-n", "toys/cats", "--id", "hand")
    lineage("put", data / "a.txt", "-n", "toys/letter", "--id", "hand")
    run = lineage("show", "toys/runs/hand", "--json").json
    assert ("finished", ["cats:v0", "letter:v0"]) == (run["state"], [path.rpartition("/")[2] for path in run["logged"]])


def test_a_uri_is_pinned_and_not_copied(lineage: Caller, data: Path) -> None:
    """The entry is a reference with the place and identity of the file; the file may be fetched later."""
    lineage("put", (data / "a.txt").as_uri(), "-n", "toys/pinned")
    [entry] = lineage("ls", "toys/pinned:latest", "--json").json["entries"]
    assert ("reference", (data / "a.txt").as_uri()) == (entry["kind"], entry["uri"])
    assert entry["extra"]["etag"]
    lineage("get", "toys/pinned", "--root", "out")
    assert {"a.txt": "one\n"} == tree(Path("out"))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["-n", "toys/cats:v3"], 2),
        (["-n", "a/b/c/d"], 2),
        (["-n", "toys/cats", "-a", "latest"], 2),
        (["-n", "toys/cats", "--metadata", '{"x": NaN}'], 2),
        (["-n", "toys/cats", "--ttl", "soon"], 2),
        (["-n", "toys/cats", "-t", "job"], 2),
        ([], 2),
    ],
)
def test_a_bad_call_leaves_no_trace(lineage: Caller, data: Path, options: list[str], code: int) -> None:
    """It is refused before the store is even made."""
    ended = lineage("put", data, *options)
    assert (code, "") == (ended.code, ended.out)
    assert ended.err.startswith("error: ")
    assert not lineage.home.exists()


def test_a_path_that_is_not_there_is_not_put(lineage: Caller) -> None:
    """Exit code 1, and no store is made for it."""
    assert 1 == lineage("put", "nowhere", "-n", "toys/cats").code
    assert not lineage.home.exists()


def test_another_type_is_refused_twice(lineage: Caller, data: Path) -> None:
    """A collection keeps its type, and `get --type` insists on one; a run that could not log has failed."""
    lineage("put", data, "-n", "toys/cats")
    assert 2 == lineage("put", data / "a.txt", "-n", "toys/cats", "-t", "model", "--id", "hand").code
    assert "failed" == lineage("show", "toys/runs/hand", "--json").json["state"]
    assert 2 == lineage("get", "toys/cats", "--type", "model").code
    assert not Path("artifacts").exists()


def test_part_of_a_version_can_be_fetched(lineage: Caller, data: Path) -> None:
    """--only takes a prefix; --exact removes what the version does not hold."""
    lineage("put", data, "-n", "toys/cats")
    lineage("get", "toys/cats", "--root", "out", "--only", "sub/")
    assert {"sub/b.txt"} == tree(Path("out")).keys()
    Path("out/extra").write_text("mine")
    lineage("get", "toys/cats", "--root", "out")
    assert {"a.txt", "extra", "sub/b.txt"} == tree(Path("out")).keys()
    ended = lineage("get", "toys/cats", "--root", "out", "--exact", "--json").json
    assert (1, {"a.txt", "sub/b.txt"}) == (ended["removed"], set(tree(Path("out"))))


def test_a_file_of_the_user_is_never_replaced_by_a_directory(lineage: Caller, data: Path) -> None:
    """What stands in the way is named, and nothing is written."""
    lineage("put", data, "-n", "toys/cats")
    Path("out").mkdir()
    Path("out/sub").write_text("mine")
    ended = lineage("get", "toys/cats", "--root", "out")
    assert (2, {"sub": "mine"}) == (ended.code, tree(Path("out")))


def test_links_that_leave_are_followed_or_left_out_as_asked(lineage: Caller, data: Path, tmp_path: Path) -> None:
    """What the refusal names can be said in the shell: --follow all, --follow never."""
    (tmp_path / "outside").write_text("far\n")
    (data / "link").symlink_to(tmp_path / "outside")
    refused = lineage("put", data, "-n", "toys/cats")
    assert (2, True) == (refused.code, "holds 1 thing that" in refused.err)
    left = lineage("put", data, "-n", "toys/cats", "--follow", "never")
    assert (0, True) == (left.code, "left out link" in left.err)
    lineage("put", data, "-n", "toys/cats", "--follow", "all")
    assert 0 == lineage("get", "toys/cats:v1", "--root", tmp_path / "out").code
    assert "far\n" == tree(tmp_path / "out")["link"]


def test_what_is_put_can_be_called_otherwise(lineage: Caller, data: Path, tmp_path: Path) -> None:
    """--as names a file, the directory a tree goes under, and what a URI stands for that names nothing by itself."""
    lineage("put", data / "a.txt", "-n", "toys/letter", "--as", "sub/b.txt")
    lineage("put", data, "-n", "toys/cats", "--as", "all")
    lineage("put", "tracker://issue/7", "-n", "toys/issue", "--as", "issue")
    for name in ("letter", "cats"):
        lineage("get", f"toys/{name}", "--root", tmp_path / name)
    assert {"sub/b.txt": "one\n"} == tree(tmp_path / "letter")
    assert {"all/a.txt": "one\n", "all/sub/b.txt": "two\n"} == tree(tmp_path / "cats")
    assert ["issue"] == [entry["path"] for entry in lineage("ls", "toys/issue:v0", "--json").json["entries"]]


def test_how_a_uri_is_pinned_can_be_said(lineage: Caller, data: Path) -> None:
    """The limit is an error and not a shorter artifact; what is not there can be written down, and nothing can be meant."""
    uri = data.as_uri()
    assert 2 == lineage("put", uri, "-n", "toys/far", "--max-objects", 1).code
    assert 2 == lineage("put", uri, "-n", "toys/far", "--max-objects", 2, "--json").json["version"]["entries"]
    (data / "empty").mkdir()
    assert 1 == lineage("put", f"{uri}/empty", "-n", "toys/none").code
    assert 0 == lineage("put", f"{uri}/empty", "-n", "toys/none", "--allow-empty").code
    written = lineage("put", "s3://nowhere/later", "-n", "toys/later", "--no-checksum")
    assert (0, "") == (written.code, written.err)


def test_a_part_that_is_not_there_is_an_error(lineage: Caller, data: Path, tmp_path: Path) -> None:
    """A prefix that nothing begins with is misspelt: no directory that looks complete; what was there already is no error."""
    lineage("put", data, "-n", "toys/cats")
    ended = lineage("get", "toys/cats", "--only", "sup/", "--root", tmp_path / "out")
    assert (1, True) == (ended.code, "begins with 'sup/'" in ended.err)
    assert [0, 0] == [lineage("get", "toys/cats", "--only", "sub/", "--root", tmp_path / "out").code for _ in range(2)]
