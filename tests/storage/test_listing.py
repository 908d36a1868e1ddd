"""A manifest as a tree of directories, and how little of it is read for a question."""

from collections.abc import Iterable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import manifest as format_
from storage.digest import Digest
from storage.entry import Entry
from storage.listing import Listing
from storage.manifest import Manifest, build

DIGEST = Digest.of(b"x")


def listing(paths: Iterable[str], *others: Entry) -> Listing:
    return Listing(build([*(Entry.file(path, DIGEST, 1) for path in paths), *others]).manifest)


NAMES = st.sampled_from(["a", "a-", "a.b", "a0", "b", "é", "z"])
TREES = st.sets(st.lists(NAMES, min_size=1, max_size=4).map("/".join), max_size=25).map(
    lambda paths: {path for path in paths if not any(other.startswith(f"{path}/") for other in paths)}
)


@given(TREES, st.sampled_from([1, 2, 1000]))
def test_it_is_the_tree_that_the_paths_spell(paths: set[str], longest: int) -> None:
    """Every directory lists what lies directly in it, however the entries are cut into segments; what is not there is not found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(format_, "SHORTEST", longest)
        patch.setattr(format_, "LONGEST", longest)
        tree = listing(paths)
    assert -(-len(paths) // longest) == len(tree.manifest.segments)
    folders = {"", *(path.rpartition("/")[0] for path in paths)}
    folders |= {folder[:at] for folder in folders for at, letter in enumerate(folder) if letter == "/"}
    for folder in folders:
        prefix = f"{folder}/" if folder else ""
        expected = {prefix + path[len(prefix) :].partition("/")[0] for path in paths if path.startswith(prefix)}
        found = list(tree.children(folder))
        assert expected == {path for path, _ in found}
        assert sorted(path for path, entry in found if entry) == sorted(expected & paths)
        assert tree.is_directory(folder)
    below = [path for path, _ in tree.below()]
    assert paths | folders - {""} == set(below)
    assert len(below) == len(set(below))
    for path in paths:
        entry = tree.find(path)
        assert entry is not None
        assert path == entry.path
        assert not tree.is_directory(path)
        assert tree.find(path + "x") is None


def test_depth_ends_a_listing() -> None:
    """A directory at the last level is named and not entered."""
    tree = listing(["a/b/c", "a/d", "e"])
    assert ["a", "e"] == [path for path, _ in tree.below(depth=1)]
    assert ["a", "a/b", "a/d", "e"] == [path for path, _ in tree.below(depth=2)]


def test_an_empty_directory_is_one() -> None:
    """It is listed, it is a directory, and nothing is in it."""
    tree = listing(["a"], Entry.directory("empty"))
    assert [("a", False), ("empty", True)] == [(path, entry is None) for path, entry in tree.children()]
    assert tree.is_directory("empty")
    assert [] == list(tree.children("empty"))


def test_links_are_followed_to_what_they_mean() -> None:
    """One after the other, to files and directories, and through directories on the way; what leads nowhere is nothing."""
    links = [Entry.link("one", "two"), Entry.link("two", "dir/f"), Entry.link("d", "dir"), Entry.link("r1", "r2"), Entry.link("r2", "r1")]
    tree = listing(["dir/f"], *links, Entry.link("lost", "nowhere"))
    assert ["dir/f"] * 3 == [tree.resolved(path)[0] for path in ("one", "two", "d/f")]
    assert ("dir", None) == tree.resolved("d")
    assert [None] * 3 == [tree.resolved(path)[1] for path in ("r1", "lost", "d/none")]


def test_a_question_reads_few_segments() -> None:
    """Of a hundred thousand entries one path costs about as many segments as halving takes, and a directory of two files no more."""
    built = build(Entry.file(f"d{number // 1000:03}/{number:06}", DIGEST, 1) for number in range(100_000)).manifest
    read: list[Digest] = []
    noting = Manifest(built.segments, partial(_noting, built, read))
    assert len(built.segments) > 80
    tree = Listing(noting)
    assert tree.find("d057/057123")
    assert len(read) <= 9
    assert ["d057"] == [path for path, _ in tree.children() if path == "d057"]
    read.clear()
    assert not Listing(noting).is_directory("d0577")
    assert len(read) <= 9


def _noting(manifest: Manifest, read: list[Digest], digest: Digest) -> bytes:
    read.append(digest)
    return manifest.read(digest)


def test_an_empty_manifest_is_an_empty_root() -> None:
    """There is nothing to find in it."""
    tree = listing([])
    assert (True, [], None) == (tree.is_directory(""), list(tree.children()), tree.find("a"))
