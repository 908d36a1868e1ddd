"""A logged artifact: its content, what may be said of it, its links, its end."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lineage.errors import CommError, Conflict, Gone, InvalidName, InvalidPolicy, NotFound, UsageError

Write = Callable[..., str]
Logged = Callable[..., Any]


def again(wandb: ModuleType, artifact: Any) -> Any:
    """The same version, asked for anew."""
    return wandb.Api().artifact(artifact.qualified_name)


# ── logging ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_logging_is_done_when_the_call_returns(wandb: ModuleType, logged: Logged) -> None:
    """The version is there for everybody; `wait` has nothing to wait for."""
    data = logged(metadata={"k": 1})
    assert data is data.wait(timeout=1)
    assert ("data:v0", "v0", "COMMITTED", "shop", 1, 5) == (data.name, data.version, data.state, data.project, data.file_count, data.size)
    assert ["latest"] == data.aliases
    found = wandb.Api().artifact("shop/data", type="dataset")
    assert (data.digest, data.id, {"k": 1}, data.created_at) == (found.digest, found.id, found.metadata, found.created_at)
    assert dt.timedelta(0) == dt.datetime.fromisoformat(found.created_at).utcoffset()


def test_a_path_becomes_an_artifact(wandb: ModuleType, write: Write, tmp_path: Path) -> None:
    """A file, a directory, a URI; the name follows from the run, the type is `unspecified`."""
    write("dir/x")
    with wandb.init(project="shop", id="r1") as run:
        file = run.log_artifact(write("f.txt"))
        folder = run.log_artifact(tmp_path / "dir", name="folder", type="dataset", aliases="best", tags=["a tag"])
        reference = run.log_artifact(f"file://{tmp_path}/f.txt", name="ref", type="dataset")
        with pytest.raises(ValueError, match="no file, directory or URI"):
            run.log_artifact("missing")
        with pytest.raises(ValueError, match="not int"):
            run.log_artifact(7)
    assert ("run-r1-f.txt:v0", "unspecified") == (file.name, file.type)
    assert (["best", "latest"], ["a tag"]) == (sorted(folder.aliases), folder.tags)
    assert f"file://{tmp_path}/f.txt" == reference.get_entry("f.txt").ref_target()


def test_an_artifact_without_a_name_gets_one(wandb: ModuleType, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """From run and type, and it is said."""
    with wandb.init(project="shop", id="r1") as run:
        artifact = wandb.Artifact(type="code")
        artifact.add_file(write("f.py"))
        run.log_artifact(artifact)
    assert "run-r1-code:v0" == artifact.name
    assert "has no name: logged as 'run-r1-code'" in capsys.readouterr().err


def test_the_same_content_again_is_the_same_version(wandb: ModuleType, logged: Logged, capsys: pytest.CaptureFixture[str]) -> None:
    """Any earlier version counts; `latest` and the given aliases move to it, and it is said in one line."""
    first, second = logged(content="one"), logged(content="two")
    capsys.readouterr()
    third = logged(content="one", aliases=["best"])
    assert (first.id, "v0", ["best", "latest"]) == (third.id, third.version, sorted(third.aliases))
    assert ([], "v1") == (again(wandb, second).aliases, second.version)
    assert 1 == sum("the same content" in line for line in capsys.readouterr().err.splitlines())


def test_a_logged_artifact_may_be_logged_again(wandb: ModuleType, logged: Logged) -> None:
    """It adds aliases; another run has then reproduced it, and the maker stays the maker."""
    data = logged()
    maker = data.logged_by()
    with wandb.init(project="shop") as run:
        assert data is run.log_artifact(data, aliases=["again"])
    assert {"again", "latest"} == set(data.aliases)
    assert maker == data.logged_by()
    assert [maker.id, run.id] == [each.id for each in data.logged_by(all=True)]
    assert [data.name] == [each.name for each in wandb.Api().run(f"shop/{run.id}").logged_artifacts()]


def test_a_name_has_one_type(wandb: ModuleType, logged: Logged, write: Write) -> None:
    """The error is a ValueError, and the draft can still be logged under another name."""
    logged()
    with wandb.init(project="shop") as run:
        model = wandb.Artifact("data", type="model")
        model.add_file(write("m"))
        with pytest.raises(ValueError, match="already exists with type"):
            run.log_artifact(model)
        assert model.is_draft()


def test_what_was_built_before_init_can_be_logged(wandb: ModuleType, write: Write) -> None:
    """Bytes that were taken for another project go along to the run's."""
    early = wandb.Artifact("early", type="dataset")
    early.add_file(write("f", "hello"))
    with wandb.init(entity="team", project="elsewhere") as run:
        run.log_artifact(early)
    assert "team/elsewhere/early:v0" == early.qualified_name
    assert b"hello" == Path(early.file()).read_bytes()


def test_saving_without_a_run_makes_one(wandb: ModuleType, write: Write) -> None:
    """Of job type `auto`, finished when `save` returns."""
    artifact = wandb.Artifact("alone", type="dataset")
    artifact.add_file(write("f"))
    artifact.save(project="shop")
    maker = artifact.logged_by()
    assert ("auto", "finished", "shop") == (maker.job_type, maker.state, artifact.project)


def test_an_incremental_artifact_adds_to_the_latest(wandb: ModuleType, logged: Logged, write: Write) -> None:
    """The same path replaces, nothing is removed."""
    logged(content="old")
    with wandb.init(project="shop") as run:
        more = wandb.Artifact("data", type="dataset", incremental=True)
        more.add_file(write("g", "new"), name="new.txt")
        run.log_artifact(more)
    assert ["file1.txt", "new.txt"] == list(more.manifest)
    assert "v1" == more.version


def test_a_new_draft_begins_with_the_content(wandb: ModuleType, logged: Logged, write: Write) -> None:
    """Content, type, description and metadata go along; aliases, tags and TTL do not. It stays in its project."""
    data = logged(metadata={"k": 1}, aliases=["best"])
    draft = data.new_draft()
    assert ("data", "dataset", {"k": 1}, data.digest) == (draft.name, draft.type, draft.metadata, draft.digest)
    draft.remove("file1.txt")
    draft.add_file(write("g", "new"), name="new.txt")
    with wandb.init(project="other") as run, pytest.raises(ValueError, match="comes from"):
        run.log_artifact(draft)
    with wandb.init(project="shop") as run:
        run.log_artifact(draft)
    assert ("v1", ["latest"], ["new.txt"]) == (draft.version, draft.aliases, list(draft.manifest))
    assert ["best"] == again(wandb, data).aliases


def test_history_step_says_when_it_was_logged(wandb: ModuleType, write: Write) -> None:
    """The last step before; None when nothing was measured yet."""
    with wandb.init(project="shop") as run:
        first = run.log_artifact(write("a"))
        run.log({"x": 1})
        run.log({"x": 2})
        second = run.log_artifact(write("b"))
    assert (None, 1) == (first.history_step, second.history_step)


# ── content ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_download_lands_under_the_name_and_version(logged: Logged, tmp_path: Path) -> None:
    """`./artifacts/name:vN`, or the directory the environment names, or the one that is given."""
    data = logged()
    assert str(tmp_path / "artifacts" / "data:v0") == data.download()
    assert b"hello" == (tmp_path / "artifacts" / "data:v0" / "file1.txt").read_bytes()
    assert str(tmp_path / "there") == data.download(root=tmp_path / "there")


def test_downloads_may_have_a_place_of_their_own(
    wandb: ModuleType, logged: Logged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`LINEAGE_ARTIFACT_DIR` and `WANDB_ARTIFACT_DIR`."""
    logged()
    for variable in ("WANDB_ARTIFACT_DIR", "LINEAGE_ARTIFACT_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
        assert str(tmp_path / variable / "data:v0") == wandb.Api().artifact("shop/data").download()


def test_a_download_leaves_other_files_alone_and_a_checkout_does_not(logged: Logged, tmp_path: Path) -> None:
    """What is right stays as it is; what is wrong is replaced; only `checkout` removes."""
    data = logged()
    out = Path(data.download(tmp_path / "out"))
    (out / "extra").write_text("mine")
    before = (out / "file1.txt").stat()
    data.download(out)
    assert before.st_mtime_ns == (out / "file1.txt").stat().st_mtime_ns
    (out / "file1.txt").write_text("jello")
    data.download(out)
    assert ("hello", "mine") == ((out / "file1.txt").read_text(), (out / "extra").read_text())
    data.checkout(out)
    assert ["file1.txt"] == [path.name for path in out.iterdir()]
    assert str(tmp_path / "artifacts" / "data") == data.checkout()


def test_part_of_an_artifact_can_be_downloaded(wandb: ModuleType, write: Write, tmp_path: Path) -> None:
    """By prefix, or one entry."""
    for name in ("a/x", "a/y", "b/z"):
        write(f"tree/{name}", name)
    with wandb.init(project="shop") as run:
        artifact = run.log_artifact(tmp_path / "tree", name="tree", type="dataset")
    out = Path(artifact.download(tmp_path / "one", path_prefix="a/"))
    assert ["a/x", "a/y"] == sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    one = Path(artifact.get_entry("b/z").download(tmp_path / "two"))
    assert (tmp_path / "two" / "b" / "z", b"b/z") == (one, one.read_bytes())
    assert [one] == [path for path in (tmp_path / "two").rglob("*") if path.is_file()]


def test_entries_are_looked_up_by_path(logged: Logged) -> None:
    """A KeyError says which there are; the old name of the method works."""
    data = logged()
    entry = data.get_entry("file1.txt")
    assert entry == data.get_path("file1.txt") == data.manifest.get_entry_by_path("file1.txt") == data.manifest["file1.txt"]
    assert ("file1.txt", "file1.txt", 5, None, {}, None) == (entry.path, entry.name, entry.size, entry.ref, entry.extra, entry.local_path)
    assert data is entry.parent_artifact()
    assert entry.ref_url().endswith("/file1.txt")
    assert {"digest", "size"} == entry.to_json().keys()
    with pytest.raises(UsageError, match="not a reference"):
        entry.ref_target()
    with pytest.raises(KeyError):
        data.get_entry("none")
    assert data.manifest.get_entry_by_path("none") is None
    assert (data.digest, 5, 1) == (data.manifest.digest(), data.manifest.size(), len(data.manifest))
    assert ["file1.txt"] == [file.name for file in data.files()] == list(data.manifest.to_manifest_json()["contents"])
    assert [] == list(data.files(names=["none"]))


def test_a_single_file_is_answered_as_one(wandb: ModuleType, logged: Logged, tmp_path: Path, write: Write) -> None:
    """`file()` wants exactly one entry."""
    assert "hello" == Path(logged().file()).read_text()
    write("tree/a")
    write("tree/b")
    with wandb.init(project="shop") as run:
        two = run.log_artifact(tmp_path / "tree", name="two", type="dataset")
    with pytest.raises(ValueError, match="2 entries"):
        two.file()


def test_a_directory_can_be_verified(logged: Logged, tmp_path: Path) -> None:
    """Exactly this content, or every difference is listed."""
    data = logged()
    out = Path(data.download(tmp_path / "out"))
    data.verify(out)
    (out / "extra").write_text("x")
    (out / "file1.txt").write_text("jello")
    with pytest.raises(ValueError, match="is not what the manifest says") as caught:
        data.verify(out)
    assert "extra is not in the manifest" in str(caught.value)
    assert "file1.txt differs" in str(caught.value)
    (out / "file1.txt").unlink()
    with pytest.raises(ValueError, match=r"file1\.txt is missing"):
        data.verify(out)


def test_an_entry_of_another_artifact_can_be_added(wandb: ModuleType, logged: Logged, tmp_path: Path) -> None:
    """The content is shared, in one project without a copy, into another with one."""
    data = logged()
    for project in ("shop", "other"):
        with wandb.init(project=project) as run:
            copy = wandb.Artifact("copy", type="dataset")
            copy.add_reference(data.get_entry("file1.txt"), name="there.txt")
            run.log_artifact(copy)
        assert data.get_entry("file1.txt").digest == copy.get_entry("there.txt").digest
        assert "hello" == Path(copy.file(tmp_path / project)).read_text()


# ── what may be said of it ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_description_metadata_and_tags_are_pushed_by_save(wandb: ModuleType, logged: Logged) -> None:
    """Not before; and the content stays the same version."""
    data = logged(metadata={"k": 1})
    data.description, data.metadata["more"], data.tags = "text", [1, 2], ["a tag"]
    assert (None, {"k": 1}, []) == (again(wandb, data).description, again(wandb, data).metadata, again(wandb, data).tags)
    data.save()
    found = again(wandb, data)
    assert ("text", {"k": 1, "more": [1, 2]}, ["a tag"], "v0") == (found.description, found.metadata, found.tags, found.version)
    with pytest.raises(InvalidName):
        data.tags = ["a/b"]


def test_aliases_are_a_list_to_change_or_assign(wandb: ModuleType, logged: Logged) -> None:
    """Both are pushed by `save`; an alias stands on one version, and moves there."""
    first, second = logged(content="one"), logged(content="two")
    first.aliases.append("best")
    first.save()
    assert "v0" == wandb.Api().artifact("shop/data:best").version
    second.aliases = ["best", "latest", "other"]
    second.save()
    assert ("v1", []) == (wandb.Api().artifact("shop/data:best").version, again(wandb, first).aliases)
    second.aliases.remove("other")
    second.save()
    assert not wandb.Api().artifact_exists("shop/data:other")


def test_latest_cannot_be_taken_away(wandb: ModuleType, logged: Logged, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the version logged last, whatever the list says."""
    data = logged()
    data.aliases = []
    data.save()
    assert "stays 'latest'" in capsys.readouterr().err
    assert ["latest"] == data.aliases == again(wandb, data).aliases


@pytest.mark.fault("N22")
@pytest.mark.parametrize("alias", ["v1", "a:b", "a/b", "sha256:" + "0" * 64])
def test_reserved_aliases_cannot_be_assigned_or_appended(wandb: ModuleType, logged: Logged, alias: str) -> None:
    """Assigned: at once. Appended: when it is pushed, and then nothing is."""
    data = logged()
    with pytest.raises(InvalidName):
        data.aliases = [alias]
    data.aliases.append(alias)
    data.description = "text"
    with pytest.raises(InvalidName):
        data.save()
    assert (["latest"], None) == (again(wandb, data).aliases, again(wandb, data).description)


def test_a_ttl_is_a_timedelta_none_or_inherited(wandb: ModuleType, logged: Logged) -> None:
    """Given, never, or what the project says."""
    data = logged()
    assert data.ttl is None
    wandb.Api().project("shop").set_ttl(dt.timedelta(days=9))
    assert dt.timedelta(days=9) == data.ttl
    data.ttl = dt.timedelta(days=3)
    assert dt.timedelta(days=9) == again(wandb, data).ttl
    data.save()
    assert dt.timedelta(days=3) == again(wandb, data).ttl == data.ttl
    data.ttl = None
    data.save()
    assert again(wandb, data).ttl is None
    data.ttl = wandb.ArtifactTTL.INHERIT
    data.save()
    assert dt.timedelta(days=9) == again(wandb, data).ttl
    for wrong in (7, dt.timedelta(0), dt.timedelta(days=-1), "soon"):
        with pytest.raises(InvalidPolicy):
            data.ttl = wrong


def test_a_draft_may_have_a_ttl(wandb: ModuleType) -> None:
    """Inherited, it is not known yet; fractions of a second are rounded up, never to 'never'."""
    wandb.init(project="shop")
    draft = wandb.Artifact("a", type="t")
    assert not hasattr(draft, "ttl")
    draft.ttl = dt.timedelta(milliseconds=1)
    assert dt.timedelta(seconds=1) == draft.ttl
    draft.save()
    assert dt.timedelta(seconds=1) == draft.ttl


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_link_is_the_version_seen_through_another_collection(wandb: ModuleType, logged: Logged) -> None:
    """Number and aliases of its own; content, tags, metadata and lineage shared."""
    model = logged("model", type="model")
    with wandb.init(project="shop") as run:
        linked = run.link_artifact(model, "registry/models", aliases=["best"])
    assert ("models:v0", "registry", True, False) == (linked.name, linked.project, linked.is_link, model.is_link)
    assert ["best", "latest"] == sorted(linked.aliases)
    assert ["latest"] == again(wandb, model).aliases
    assert (model.qualified_name, "model:v0", "v0", "shop") == (
        linked.source_qualified_name,
        linked.source_name,
        linked.source_version,
        linked.source_project,
    )
    assert (model.id, model.digest, "model") == (linked.source_artifact.id, linked.digest, linked.source_collection.name)
    assert ["models:v0"] == [each.name for each in model.linked_artifacts]
    assert model.logged_by() == wandb.Api().artifact("registry/models:best").logged_by()
    assert Path(linked.download()).name == "model:v0"


def test_a_link_is_undone_without_touching_the_version(wandb: ModuleType, logged: Logged) -> None:
    """By `unlink`, or by deleting the link; the version itself is no link."""
    model = logged("model", type="model")
    for undo in ("unlink", "delete"):
        linked = model.link("registry/models")
        getattr(linked, undo)()
        assert not wandb.Api().artifact_exists("registry/models")
        assert "COMMITTED" == again(wandb, model).state
    with pytest.raises(ValueError, match="is no link"):
        model.unlink()


def test_what_is_said_on_a_link_belongs_to_the_version(wandb: ModuleType, logged: Logged) -> None:
    """Metadata and tags are shared, a TTL is not set through a link."""
    linked = logged("model", type="model").link("registry/models")
    linked.metadata["k"] = 1
    linked.save()
    assert {"k": 1} == wandb.Api().artifact("shop/model").metadata
    with pytest.raises(ValueError, match="is a link"):
        linked.ttl = None


def test_models_are_logged_linked_and_used(wandb: ModuleType, write: Write, logged: Logged, tmp_path: Path) -> None:
    """`log_model`, `link_model` into the registry, `use_model` as a path: the file itself when it is one."""
    with wandb.init(project="shop") as run:
        linked = run.link_model(write("m.pt", "weights"), "classifier", name="clf", aliases=["best"])
        assert ("model-registry", "classifier:v0", "model") == (linked.project, linked.name, linked.type)
        assert "weights" == Path(run.use_model("clf:best")).read_text()
        write("dir/a")
        write("dir/b")
        run.log_model(tmp_path / "dir", name="two")
        assert ["a", "b"] == sorted(path.name for path in Path(run.use_model("two")).iterdir())
    logged("data")
    with wandb.init(project="shop") as run, pytest.raises(UsageError, match="is no model"):
        run.use_model("data")


# ── its end ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_deleted_version_keeps_its_name_and_lineage(wandb: ModuleType, logged: Logged) -> None:
    """Content is gone; number, digest and edges are not, and the number is not given again."""
    data = logged(content="one")
    with wandb.init(project="shop") as run:
        run.use_artifact("data")
    data.delete()
    assert "DELETED" == data.state == again(wandb, data).state
    assert [run.id] == [each.id for each in again(wandb, data).used_by()]
    with pytest.raises(Gone):
        again(wandb, data).download()
    with wandb.init(project="shop") as run, pytest.raises(CommError):
        run.use_artifact("data:v0")
    assert not wandb.Api().artifact_exists("shop/data:v0")
    assert "v1" == logged(content="one").version


def test_aliases_protect_from_deletion(logged: Logged) -> None:
    """Unless they are given up; `latest` alone does not."""
    data = logged(aliases=["best"])
    with pytest.raises(Conflict, match="delete_aliases=True"):
        data.delete()
    data.delete(delete_aliases=True)
    assert "DELETED" == data.state


def test_a_missing_artifact_is_said(wandb: ModuleType, logged: Logged) -> None:
    """`CommError`, which scripts catch, and `LookupError`; another type is a ValueError."""
    logged()
    for name in ("shop/none", "shop/data:v9", "shop/data:none", "none/data", "shop/data:blake3:" + "0" * 64):
        with pytest.raises(NotFound) as caught:
            wandb.Api().artifact(name)
        assert isinstance(caught.value, CommError)
    with pytest.raises(ValueError, match="of type 'dataset'"):
        wandb.Api().artifact("shop/data", type="model")
    with pytest.raises(ValueError, match="parts"):
        wandb.Api().artifact("a/b/c/d")


def test_a_version_is_found_by_number_alias_and_digest(wandb: ModuleType, logged: Logged) -> None:
    """They cannot be mistaken for each other."""
    data = logged(aliases=["9f86d081"])
    for selector in ("", ":v0", ":latest", ":9f86d081", f":{data.digest}"):
        assert data.id == wandb.Api().artifact(f"shop/data{selector}").id


@pytest.mark.fault("I-01", "I-04")
def test_a_commit_that_failed_is_not_tried_again_with_lost_bytes(wandb: ModuleType, logged: Logged, write: Write) -> None:
    """The session that held the bytes is over: nothing was logged, and the draft says that it must be built again."""
    logged()
    with wandb.init(project="shop") as run:
        more = wandb.Artifact("data", type="dataset", incremental=True)
        more.add_file(write("g"), name="file1.txt/inner")
        with pytest.raises(ValueError, match="both a file and the directory"):
            run.log_artifact(more)
        with pytest.raises(UsageError, match="build it again"):
            run.log_artifact(more)
    assert ["v0"] == [each.version for each in wandb.Api().artifacts("dataset", "shop/data")]
