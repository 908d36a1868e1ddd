"""References in artifacts: pinned when added, told by `entry.extra`, fetched as pinned."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lineage.actions.check import check
from lineage.errors import ArtifactNotLoggedError, InvalidReference, ReferenceChanged, ReferenceMissing, TooManyObjects
from tests.faults.s3 import Service

Write = Callable[..., str]


@pytest.fixture
def draft(wandb: ModuleType) -> Any:
    """A draft in a run's project."""
    wandb.init(project="shop")
    return wandb.Artifact("data", type="dataset")


def test_an_object_is_told_by_etag_and_version(draft: Any, s3: Service) -> None:
    """`extra` has both under the names the W&B client uses; `digest` is the ETag; `ref_target` the URI."""
    bucket = s3.bucket(versioned=True)
    put = s3.put(bucket, "a.csv", b"hello")
    (entry,) = draft.add_reference(f"s3://{bucket}/a.csv", name="train.csv")
    etag = put["ETag"].strip('"')
    assert {"etag": etag, "versionID": put["VersionId"]} == {name: entry.extra[name] for name in ("etag", "versionID")}
    assert (etag, f"s3://{bucket}/a.csv", 5, "reference") == (entry.digest, entry.ref_target(), entry.size, entry.kind)
    draft.save()
    assert entry == draft.get_entry("train.csv")
    assert 5 == draft.size
    assert f"s3://{bucket}/a.csv" == draft.manifest.to_manifest_json()["contents"]["train.csv"]["ref"]


def test_an_unversioned_object_has_an_etag_only(draft: Any, s3: Service) -> None:
    """And when it changes, what was pinned is not to be had: that is said, nothing newer is given."""
    bucket = s3.bucket()
    s3.put(bucket, "a.csv", b"old")
    (entry,) = draft.add_reference(f"s3://{bucket}/a.csv")
    assert ("etag" in entry.extra, "versionID" in entry.extra) == (True, False)
    draft.save()
    s3.put(bucket, "a.csv", b"changed")
    with pytest.raises(ReferenceChanged):
        draft.download()


def test_a_prefix_is_one_entry_per_object(draft: Any, s3: Service) -> None:
    """Below a name or at the root; more than allowed is an error, not less than asked."""
    bucket = s3.bucket()
    for key in ("dir/a", "dir/b/c", "dir2/other"):
        s3.put(bucket, key, key.encode())
    draft.add_reference(f"s3://{bucket}/dir")
    draft.add_reference(f"s3://{bucket}/dir", name="copy")
    assert ["a", "b/c", "copy/a", "copy/b/c"] == list(draft.manifest.entries)
    before = draft.digest
    for error, how in ((TooManyObjects, {"max_objects": 1}), (InvalidReference, {"max_objects": 0})):
        with pytest.raises(error):
            draft.add_reference(f"s3://{bucket}/dir", name="more", **how)
    with pytest.raises(ReferenceMissing):
        draft.add_reference(f"s3://{bucket}/none", name="more")
    assert before == draft.digest


def test_missing_references_may_be_left_out(draft: Any, s3: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error by default; asked for, what is there comes and what is not is said."""
    bucket = s3.bucket()
    s3.put(bucket, "a", b"a")
    s3.put(bucket, "b", b"b")
    draft.add_reference(f"s3://{bucket}/")
    draft.save()
    s3.client.delete_object(Bucket=bucket, Key="a")
    with pytest.raises(FileNotFoundError):
        draft.download(tmp_path / "out")
    draft.download(tmp_path / "out", allow_missing_references=True)
    assert ["b"] == [path.name for path in (tmp_path / "out").iterdir()]
    assert "a of data:v0 is gone" in capsys.readouterr().err


def test_what_is_only_tracked_needs_a_name(draft: Any) -> None:
    """An unknown scheme is kept on record; a word is no URI; a secret is not stored."""
    (entry,) = draft.add_reference("vault://host/x", name="x")
    assert ("vault://host/x", "vault://host/x", {}) == (entry.digest, entry.ref, entry.extra)
    for wrong in ("vault://host/x", "word", "https://user:secret@host.invalid/x", "s3://b/k?X-Amz-Signature=secret"):
        with pytest.raises(InvalidReference) as caught:
            draft.add_reference(wrong)
        assert "secret" not in str(caught.value)


def test_an_unchecked_reference_is_said_to_be_one(draft: Any, write: Write) -> None:
    """`checksum=False` reads nothing; the URI stands for the digest."""
    uri = f"file://{write('f.txt')}"
    (entry,) = draft.add_reference(uri, checksum=False)
    assert (uri, {}) == (entry.digest, entry.extra)
    draft.save()
    assert "hello" == Path(draft.file()).read_text()


def test_a_local_file_is_pinned_by_its_content(draft: Any, write: Write, tmp_path: Path) -> None:
    """It is not copied; when it changes, what was pinned is not to be had."""
    path = write("f.txt", "hello")
    draft.add_reference(f"file://{path}")
    draft.save()
    assert "hello" == Path(draft.download(tmp_path / "out"), "f.txt").read_text()
    draft.verify(tmp_path / "out")
    Path(path).write_text("other")
    with pytest.raises(ReferenceChanged):
        draft.download(tmp_path / "new")


def test_a_reference_of_another_artifact_is_shared(wandb: ModuleType, draft: Any, write: Write) -> None:
    """With the same pin."""
    draft.add_reference(f"file://{write('f.txt')}")
    draft.save()
    other = wandb.Artifact("other", type="dataset")
    other.add_reference(draft.get_entry("f.txt"), name="g.txt")
    other.save()
    assert draft.get_entry("f.txt").extra == other.get_entry("g.txt").extra


@pytest.mark.fault("X08")
def test_a_chain_of_shared_entries_is_no_chain(wandb: ModuleType, draft: Any, write: Write) -> None:
    """An entry of another artifact is taken as what it is, not as a way to it: forty hops later it is the same pin, one step away.

    So nothing can go round: an entry can only be shared once it is there, and afterwards it points nowhere but outside.
    """
    draft.add_reference(f"file://{write('f.txt')}", name="x")
    draft.save()
    first = last = draft
    for number in range(40):
        following = wandb.Artifact(f"copy-{number}", type="dataset")
        following.add_reference(last.get_entry("x").ref_url(), name="x")
        following.save()
        last = following
    assert first.get_entry("x").entry.pin == last.get_entry("x").entry.pin
    first.delete(delete_aliases=True)
    assert "hello" == Path(last.file()).read_text()


@pytest.mark.fault("X07")
def test_the_store_itself_is_no_outside_object(draft: Any, lineage_home: Path) -> None:
    """Neither its directory nor its own scheme can be referenced."""
    for uri in (lineage_home.as_uri(), f"{lineage_home.as_uri()}/catalog.sqlite", "lineage://me/shop/data:v0/x"):
        with pytest.raises(InvalidReference):
            draft.add_reference(uri, name="x")


def test_what_is_unverified_is_warned_of_at_once(draft: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that states only a time is named, with what that means."""
    import fsspec

    fsspec.filesystem("memory").pipe("/sdk/x", b"x")
    (entry,) = draft.add_reference("memory://sdk/x")
    fsspec.filesystem("memory").rm("/sdk", recursive=True)
    assert ["lastModified"] == list(entry.extra)
    assert "unverified" in capsys.readouterr().err


def test_drift_is_told_by_an_artifact_and_by_what_was_made_from_it(wandb: ModuleType, draft: Any, write: Write) -> None:
    """Text, list and page; nothing checked yet is said and is no good news; pictures carry the mark."""
    path = write("f.txt")
    draft.add_reference(f"file://{path}", name="x")
    draft.save()
    with wandb.init(project="shop") as run:
        run.use_artifact(draft)
        model = wandb.Artifact("model", type="model")
        model.add_file(write("w.txt", "weights"))
        run.log_artifact(model)
    assert not model.drift()
    assert ["data:v0", "model:v0"] == [each.name for each in model.drift().unchecked]
    assert "never checked" in str(model.drift())

    engine = model._host.engine
    check(engine)
    Path(path).write_text("<other>")
    check(engine)

    drift = model.drift()
    (found,) = drift
    assert (True, 1, "drifted", "x", f"file://{path}") == (bool(drift), len(drift), found.state, found.path, found.uri)
    assert found.last_ok < found.first_seen <= found.last_seen
    assert (["data:v0"], []) == ([each.name for each in drift.artifacts], list(drift.unchecked))
    assert found.uri in str(drift)
    assert found.uri in drift._repr_html_()
    assert repr(drift).startswith("<Drift of ")
    assert "▲ data:v0  drifted" in model.upstream().text(120)
    assert "made from drifted" in model.upstream().svg()
    assert ["made from drifted"] == [
        facts["warning"] for _, facts in model.upstream().to_networkx().nodes(data=True) if facts["label"] == "model:v0"
    ]


def test_a_draft_has_no_drift_yet(draft: Any) -> None:
    """It has not been logged."""
    with pytest.raises(ArtifactNotLoggedError):
        draft.drift()
