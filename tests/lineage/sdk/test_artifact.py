"""Building an artifact: what goes in, what is refused, and that a refusal leaves no trace."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lineage.errors import ArtifactFinalizedError, ArtifactNotLoggedError, InvalidMetadata, InvalidName, InvalidPath, UsageError
from tests.faults.corpus import BAD, ODD

Write = Callable[..., str]
NOT_CANONICAL = {"./a", "a/./b", "a//b", "a/"}


@pytest.fixture
def draft(wandb: ModuleType) -> Any:
    """A draft in a run's project."""
    wandb.init(project="shop")
    return wandb.Artifact("data", type="dataset")


def paths(artifact: Any) -> list[str]:
    return list(artifact.manifest.entries)


# ── the digest ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("algorithm", "name", "expected"),
    [
        ("MD5", None, "64e7c61456b10382e2f3b571ac24b659"),
        ("MD5", "file1.txt", "a00c2239f036fb656c1dcbf9a32d89b4"),
        ("XXH128", "file1.txt", "fe0d6c1a25b6d98451da9b04ebf6d80c"),
        ("MD5", "great-file.txt", "585b9ada17797e37c9cbab391e69b8c5"),
        ("MD5", "subdir/file1.txt", "a757208d042e8627b2970d72a71bed5b"),
    ],
)
def test_the_wandb_digest_is_what_the_wandb_client_says(
    wandb: ModuleType, write: Write, algorithm: str, name: str | None, expected: str
) -> None:
    """Values of `Artifact.digest` in that client, of a draft and of what it becomes."""
    with wandb.init(project="shop") as run:
        artifact = wandb.Artifact("data", type="dataset", digest_algorithm=algorithm)
        if name:
            artifact.add_file(write("file1.txt", "hello"), name=name)
        assert expected == artifact.wandb_digest
        run.log_artifact(artifact)
        if algorithm == "MD5":
            assert expected == artifact.wandb_digest


def test_the_digest_is_the_contents_identity(wandb: ModuleType, write: Write) -> None:
    """BLAKE3, the same before and after logging, the same for the same content, whatever is said about it."""
    wandb.init(project="shop")
    one, other = wandb.Artifact("a", "x", metadata={"k": 1}), wandb.Artifact("b", "y")
    for artifact in (one, other):
        artifact.add_file(write("f", "hello"))
    assert one.digest.startswith("blake3:")
    assert one.digest == other.digest
    before = one.digest
    wandb.log_artifact(one)
    assert before == one.digest
    other.add_file(write("g", "more"))
    assert before != other.digest


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_taken_when_it_is_added(draft: Any, write: Write) -> None:
    """What happens to it afterwards changes nothing, and nothing happens to it because of us."""
    path = write("f.txt", "hello")
    before = Path(path).stat()
    entry = draft.add_file(path)
    assert before == Path(path).stat()
    assert ("f.txt", 5, path) == (entry.path, entry.size, entry.local_path)
    Path(path).write_text("changed")
    draft.save()
    assert b"hello" == Path(draft.file()).read_bytes()


def test_a_file_may_be_given_another_name(draft: Any, write: Write) -> None:
    """The name is the path in the artifact; where it was added from can be asked."""
    path = write("f.txt")
    draft.add_file(path, name="a/b.txt")
    assert ["a/b.txt"] == paths(draft)
    assert ("a/b.txt", None) == (draft.get_added_local_path_name(path), draft.get_added_local_path_name("other"))


def test_a_temporary_file_is_named_after_its_content(draft: Any, write: Write) -> None:
    """`is_tmp` keeps directory and suffix."""
    draft.add_file(write("x.txt", "hello"), name="media/x.txt", is_tmp=True)
    (path,) = paths(draft)
    assert path.startswith("media/")
    assert path.endswith(".txt")
    assert len("media/") + 20 + len(".txt") == len(path)


@pytest.mark.fault("F19")
def test_the_same_path_twice(draft: Any, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Same content: nothing happens. Other content: an error, unless it may overwrite; then the last wins, and it is said."""
    first = draft.add_file(write("f", "one"), name="x")
    assert first == draft.add_file(write("g", "one"), name="x")
    with pytest.raises(UsageError, match="overwrite=True"):
        draft.add_file(write("h", "two"), name="x")
    assert first == draft.manifest.entries["x"]
    draft.add_file(write("h", "two"), name="x", overwrite=True)
    assert first != draft.manifest.entries["x"]
    assert "replaced x" in capsys.readouterr().err


def test_an_immutable_file_is_taken_too(draft: Any, write: Write) -> None:
    """The promise saves work, not safety; another policy is a wrong call."""
    draft.add_file(write("f"), policy="immutable")
    assert ["f"] == paths(draft)
    with pytest.raises(UsageError, match="mutable, immutable"):
        draft.add_file(write("f"), policy="maybe")


@pytest.mark.parametrize("wrong", ["missing", "."])
def test_what_is_no_file_is_refused(draft: Any, wrong: str) -> None:
    """A ValueError, as scripts expect."""
    with pytest.raises(ValueError, match="is not a file"):
        draft.add_file(wrong)


def test_a_file_can_be_written_into_the_artifact(draft: Any) -> None:
    """`new_file` adds what was written when the block ends well, and nothing when it does not."""
    with draft.new_file("a/b.txt") as file:
        file.write("é")
    with draft.new_file("c.bin", mode="wb") as file:
        file.write(b"\0")
    with pytest.raises(RuntimeError), draft.new_file("never.txt") as file:
        raise RuntimeError
    assert {"a/b.txt": 2, "c.bin": 1} == {path: entry.size for path, entry in draft.manifest.entries.items()}
    with pytest.raises(FileNotFoundError), draft.new_file("r.txt", mode="r"):
        pass
    with pytest.raises(UsageError, match=r"holds a/b\.txt already"), draft.new_file("a/b.txt"):
        pass


# ── directories ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def tree(tmp_path: Path, write: Write) -> str:
    """Files at two depths, an empty directory, a link inside."""
    write("tree/a.txt", "a")
    write("tree/sub/b.txt", "b")
    (tmp_path / "tree" / "empty").mkdir()
    (tmp_path / "tree" / "link").symlink_to("sub/b.txt")
    return str(tmp_path / "tree")


def test_a_directory_is_taken_whole(draft: Any, tree: str, tmp_path: Path) -> None:
    """Empty directories and links inside are kept, and come back."""
    draft.add_dir(tree)
    assert ["a.txt", "empty", "link", "sub/b.txt"] == paths(draft)
    assert ["file", "directory", "link", "file"] == [entry.kind for entry in draft.manifest.entries.values()]
    draft.save()
    out = Path(draft.download(tmp_path / "out"))
    assert (b"b", True, True) == ((out / "link").read_bytes(), (out / "link").is_symlink(), (out / "empty").is_dir())


def test_a_directory_may_stand_below_a_name(draft: Any, tree: str) -> None:
    """As many times as wanted; the same content again changes nothing."""
    for name in ("one", "two", "one"):
        draft.add_dir(tree, name=name)
    assert 8 == len(draft.manifest)
    assert ["one/sub/b.txt"] == [entry.path for entry in draft.manifest.get_entries_in_directory("one/sub")]
    assert [] == draft.manifest.get_entries_in_directory("none")


@pytest.mark.fault("F19")
def test_changed_files_need_leave_to_be_merged(draft: Any, tree: str, write: Write) -> None:
    """Without `merge` nothing of the directory is added; with it the last wins."""
    draft.add_dir(tree)
    write("tree/a.txt", "changed")
    write("tree/new.txt", "new")
    with pytest.raises(UsageError, match=r"a\.txt"):
        draft.add_dir(tree)
    assert "new.txt" not in paths(draft)
    draft.add_dir(tree, merge=True)
    assert "new.txt" in paths(draft)


def test_links_that_leave_are_refused_unless_followed(draft: Any, tree: str, write: Write) -> None:
    """Symbolic links never lead outside unless asked for."""
    Path(tree, "out").symlink_to(write("secret.txt"))
    with pytest.raises(ValueError, match="leaves the directory"):
        draft.add_dir(tree)
    assert [] == paths(draft)
    draft.add_dir(tree, follow="all")
    assert "out" in paths(draft)


def test_what_is_left_out_is_said(draft: Any, tree: str, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Control directories never go in."""
    write("tree/.git/config")
    draft.add_dir(tree)
    assert ".git" in capsys.readouterr().err
    assert not any(".git" in path for path in paths(draft))


@pytest.mark.parametrize("wrong", ["missing", "file"])
def test_what_is_no_directory_is_refused(draft: Any, write: Write, wrong: str) -> None:
    """A ValueError, as scripts expect."""
    write("file")
    with pytest.raises(ValueError, match="is not a directory"):
        draft.add_dir(wrong)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.fault("N01", "N02", "N03", "N04", "N07", "N08", "N09", "N15", "N16", "N20", "I-26")
@pytest.mark.parametrize("name", [name for _, _, name in BAD if name not in NOT_CANONICAL], ids=ascii)
def test_a_bad_entry_name_is_refused_at_every_way_in(draft: Any, write: Write, tmp_path: Path, name: str) -> None:
    """File, directory, reference, new file, medium: an InvalidPath (a ValueError), and the draft is as it was."""
    write("tree/f")
    source = write("f")
    ways: list[Callable[[], object]] = [
        lambda: draft.add_file(source, name=name),
        lambda: draft.new_file(name).__enter__(),
        lambda: draft.add_reference(f"file://{source}", name=name),
        lambda: draft.add_reference("https://host.invalid/x", name=name, checksum=False),
    ]
    if name not in ("", "."):
        ways.append(lambda: draft.add_dir(tmp_path / "tree", name=name))
    for way in ways:
        with pytest.raises(ValueError, match="entry path"):
            way()
    assert [] == paths(draft)


@pytest.mark.fault("N05", "N11", "N12", "N13", "N14", "N18", "N19")
def test_odd_entry_names_are_kept_as_they_are(draft: Any, write: Write, tmp_path: Path) -> None:
    """Byte for byte: nothing decodes, folds, expands or strips them."""
    source = write("f", "x")
    names = {name for _, _, name in ODD}
    for name in names:
        draft.add_file(source, name=name)
    draft.save()
    assert names == set(paths(draft))
    out = Path(draft.download(tmp_path / "out"))
    assert names == {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


@pytest.mark.fault("N16")
@pytest.mark.parametrize(("given", "kept"), [("./a", "a"), ("a//b", "a/b"), ("a/", "a"), ("a/./b", "a/b")])
def test_a_name_that_is_not_canonical_is_made_so_and_said(
    draft: Any, write: Write, capsys: pytest.CaptureFixture[str], given: str, kept: str
) -> None:
    """Unless another entry has that name already: then it is refused, for the two would silently be one."""
    source = write("f")
    draft.add_file(source, name=given)
    assert [kept] == paths(draft)
    assert f"kept as '{kept}'" in capsys.readouterr().err
    with pytest.raises(UsageError, match="which is taken"):
        draft.add_file(source, name=given)


@pytest.mark.fault("N10")
def test_two_spellings_of_one_name_are_refused(draft: Any, write: Write) -> None:
    """NFC and NFD would be one file on some disks."""
    draft.add_file(write("f"), name="\u00e9")
    with pytest.raises(ValueError, match="NFC"):
        draft.add_file(write("f"), name="e\u0301")


@pytest.mark.fault("N17")
@pytest.mark.parametrize("order", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b"), ("a", "a/b/c")])
def test_nothing_is_file_and_directory_at_once(draft: Any, write: Write, order: tuple[str, str]) -> None:
    """Whichever comes first; after it is removed the other may come."""
    first, second = order
    draft.add_file(write("f"), name=first)
    with pytest.raises(ValueError, match=r"directory|lies below"):
        draft.add_file(write("f"), name=second)
    assert [first] == paths(draft)
    draft.remove(first)
    draft.add_file(write("f"), name=second)
    assert [second] == paths(draft)


@pytest.mark.parametrize("bad", ["a b", "a/b", "", "é", "x" * 129, ".", "..", "a\n", "a:v0", 7])
def test_an_artifacts_name_has_a_grammar(wandb: ModuleType, bad: Any) -> None:
    """ASCII letters, digits, `_`, `-`, `.`; a trailing newline does not slip through."""
    with pytest.raises(InvalidName):
        wandb.Artifact(bad, type="dataset")


@pytest.mark.parametrize("bad", ["job", "wandb-history", "", "a\u202eb", None])
def test_a_type_has_one_too(wandb: ModuleType, bad: Any) -> None:
    """Internal types are refused, and a missing one is said."""
    with pytest.raises(ValueError, match="type"):
        wandb.Artifact("a", type=bad)


@pytest.mark.fault("N22")
@pytest.mark.parametrize("alias", ["v3", "v0", "a:b", "a/b", "", "blake3:" + "0" * 64, "a\nb", "a\u200bb"])
def test_reserved_aliases_are_refused_and_nothing_is_logged(wandb: ModuleType, draft: Any, write: Write, alias: str) -> None:
    """`vN` and digests resolve by themselves; the draft can be logged with another alias afterwards."""
    draft.add_file(write("f"))
    with pytest.raises(InvalidName):
        wandb.log_artifact(draft, aliases=[alias])
    assert draft.is_draft()
    assert not wandb.Api().artifact_exists("shop/data")
    wandb.log_artifact(draft, aliases=["fine", "latest", "9f86d081"])
    assert ["9f86d081", "fine", "latest"] == sorted(draft.aliases)


@pytest.mark.fault("M01", "M02", "M03", "M04", "I-26")
@pytest.mark.parametrize(
    "bad",
    [
        {"k": float("nan")},
        {"k": float("inf")},
        {"k": 2**64},
        {"k": "\ud800"},
        {"k": "a\0"},
        {1: 1},
        {str(number): 0 for number in range(10_001)},
        {"k": "x" * (1 << 20)},
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        "[1]",
        7,
        {"k": object()},
    ],
    ids=["nan", "inf", "big", "surrogate", "nul", "key", "keys", "size", "twice", "json nan", "list", "number", "object"],
)
def test_metadata_that_is_not_json_is_refused(wandb: ModuleType, draft: Any, bad: Any) -> None:
    """When it is given, when it is assigned, and when it was changed in place until it is logged."""
    with pytest.raises(InvalidMetadata):
        wandb.Artifact("a", type="t", metadata=bad)
    with pytest.raises(InvalidMetadata):
        draft.metadata = bad
    if isinstance(bad, dict):
        draft.metadata.update(bad)
        with pytest.raises(InvalidMetadata):
            wandb.log_artifact(draft)
        assert draft.is_draft()
        assert not wandb.Api().artifact_exists("shop/data")


@pytest.mark.fault("M02")
def test_metadata_has_a_depth(wandb: ModuleType) -> None:
    """A thousand levels are an error, not a crash; as text too."""
    deep: dict[str, Any] = {}
    for _ in range(1000):
        deep = {"k": deep}
    for bad in (deep, '{"k":' * 5000 + "1" + "}" * 5000):
        with pytest.raises(InvalidMetadata, match="deeper than"):
            wandb.Artifact("a", type="t", metadata=bad)


@pytest.mark.fault("M05")
def test_metadata_keys_are_inert(wandb: ModuleType, draft: Any) -> None:
    """Names that mean something to an interpreter are data."""
    draft.metadata = {"__class__": 1, "__proto__": {"x": 2}, "constructor": 3}
    wandb.log_artifact(draft)
    assert {"__class__": 1, "__proto__": {"x": 2}, "constructor": 3} == wandb.Api().artifact("shop/data").metadata


# ── removing, finishing, states ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_entries_can_be_removed(draft: Any, tree: str) -> None:
    """By path, by directory, by entry; what is not there is FileNotFoundError."""
    draft.add_dir(tree, name="t")
    draft.remove("t/sub")
    draft.remove(Path("t/empty"))
    draft.remove(draft.manifest.entries["t/a.txt"])
    assert ["t/link"] == paths(draft)
    with pytest.raises(FileNotFoundError):
        draft.remove("t/sub")


def test_a_draft_has_no_version(draft: Any, write: Write) -> None:
    """`hasattr` is False for whatever logging decides; the rest can be asked."""
    draft.add_file(write("f"))
    missing = (
        "version",
        "aliases",
        "tags",
        "created_at",
        "updated_at",
        "entity",
        "project",
        "qualified_name",
        "file_count",
        "history_step",
        "collection",
    )
    assert [] == [name for name in missing if hasattr(draft, name)]
    assert (None, "data", "dataset", "PENDING", True, 5, "data", False) == (
        draft.id,
        draft.name,
        draft.type,
        draft.state,
        draft.is_draft(),
        draft.size,
        draft.source_name,
        draft.is_link,
    )
    for call in (
        draft.wait,
        draft.download,
        draft.logged_by,
        draft.used_by,
        draft.upstream,
        draft.new_draft,
        draft.delete,
        draft.json_encode,
    ):
        with pytest.raises(ArtifactNotLoggedError, match="log it first"):
            call()
    with pytest.raises(ArtifactNotLoggedError):
        draft.get_entry("f")
    with pytest.raises(TypeError):
        len(draft)
    assert draft


def test_a_finalised_artifact_cannot_change(draft: Any, write: Write) -> None:
    """Neither before nor after it is logged."""
    draft.add_file(write("f"))
    draft.finalize()
    for _ in range(2):
        for change in (
            lambda: draft.add_file("f"),
            lambda: draft.add_dir("."),
            lambda: draft.remove("f"),
            lambda: draft.new_file("x").__enter__(),
        ):
            with pytest.raises(ArtifactFinalizedError):
                change()
        if draft.is_draft():
            draft.save()


def test_it_shows_what_matters(draft: Any, write: Write) -> None:
    """A draft its size, a version its path, type and aliases, a tombstone that it is one."""
    draft.add_file(write("f"))
    assert "draft of 1 entries" in repr(draft)
    draft.save()
    assert repr(draft).endswith("shop/data:v0 (dataset) [latest]>")
    draft.delete()
    assert "deleted" in repr(draft)
    assert "DELETED" in draft._repr_html_()


def test_the_arguments_of_the_wandb_client_are_accepted(wandb: ModuleType) -> None:
    """Those without a meaning here change nothing; wrong ones are said."""
    wandb.Artifact("a", "t", "text", {"k": 1}, True, use_as="x", storage_region="eu", digest_algorithm="xxh128")
    with pytest.raises(UsageError, match="MD5, XXH128"):
        wandb.Artifact("a", "t", digest_algorithm="MD6")
    with pytest.raises(UsageError, match="storage_region"):
        wandb.Artifact("a", "t", storage_region=" ")


def test_names_of_a_thousand_files_cost_nothing_twice(draft: Any, tmp_path: Path) -> None:
    """A large directory goes in as one, and its digest is that of its content."""
    for number in range(300):
        (tmp_path / "many" / str(number % 7)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "many" / str(number % 7) / f"{number}.txt").write_text(str(number))
    draft.add_dir(tmp_path / "many")
    assert 300 == len(draft.manifest)
    assert sum(len(str(number)) for number in range(300)) == draft.size


def test_a_bad_name_is_an_invalid_path(draft: Any, write: Write) -> None:
    """The class says which rule was broken, and it is a ValueError."""
    with pytest.raises(InvalidPath, match="climbs out"):
        draft.add_file(write("f"), name="../x")
