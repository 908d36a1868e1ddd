"""The difference of two manifests: what it says, and how little it reads for that."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import difference
from storage import manifest as format_
from storage.difference import Change, Difference, Tally, What
from storage.digest import Digest
from storage.entry import Entry, Pin
from storage.manifest import Manifest, build

CONTENT = [Digest.of(str(number).encode()) for number in range(12)]


def file(path: str, content: int = 0, size: int = 1, **more: bool) -> Entry:
    return Entry.file(path, CONTENT[content], size, **more)


def but(entry: Entry, **fields: object) -> Entry:
    """The same entry, but for these fields."""
    names = ("path", "kind", "digest", "size", "executable", "target", "pin")
    return Entry(**{name: fields.get(name, getattr(entry, name)) for name in names})  # type: ignore[arg-type]  # as they were, or as a test wants them


def between(before: Iterable[Entry], after: Iterable[Entry]) -> list[Change]:
    return list(Difference(build(before).manifest, build(after).manifest))


def said(changes: Iterable[Change]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(str(change.what), change.path, change.aspects) for change in changes]


def test_each_way_to_differ_is_told() -> None:
    """In path order, with what of a changed entry changed."""
    before = [file("gone"), file("grown", 1), file("same", 2), file("tool", 3), Entry.directory("turned")]
    after = [file("grown", 4, 2), file("new", 5), file("same", 2), file("tool", 3, executable=True), file("turned", 6)]
    assert [
        ("removed", "gone", ()),
        ("changed", "grown", ("content", "size")),
        ("added", "new", ()),
        ("changed", "tool", ("executable",)),
        ("changed", "turned", ("kind", "content", "size")),
    ] == said(between(before, after))


@pytest.mark.parametrize(
    ("pin", "aspect"),
    [
        (Pin("s3://b/other", "e", "v", "crc32c:x"), "uri"),
        (Pin("s3://b/key", "E", "v", "crc32c:x"), "etag"),
        (Pin("s3://b/key", "e", "V", "crc32c:x"), "version id"),
        (Pin("s3://b/key", "e", "v", "crc32c:y"), "checksum"),
    ],
)
def test_each_field_of_a_pin_counts(pin: Pin, aspect: str) -> None:
    """A reference has changed when any of them has, and it is said which."""
    was = Entry.reference("data", Pin("s3://b/key", "e", "v", "crc32c:x"), 3)
    assert [("changed", "data", (aspect,))] == said(between([was], [but(was, pin=pin)]))


def test_a_link_that_points_elsewhere_has_changed() -> None:
    """What of it: the target."""
    assert [("changed", "link", ("target",))] == said(between([Entry.link("link", "a")], [Entry.link("link", "b")]))


def test_a_renamed_file_is_told_once() -> None:
    """At its new path, whichever of the two sorts first, and with what else changed on the way."""
    changes = between([file("b", 1), file("y", 2)], [file("a", 1), file("z", 2, executable=True)])
    assert [("b", "a", ()), ("y", "z", ("executable",))] == [
        (each.before and each.before.path, each.path, each.aspects) for each in changes
    ]
    assert {What.RENAMED} == {each.what for each in changes}


def test_a_renamed_reference_is_told_once() -> None:
    """The same pin and size under another path."""
    pin = Pin("s3://bucket/key", "etag")
    [change] = between([Entry.reference("a", pin, 3)], [Entry.reference("b", pin, 3)])
    assert (What.RENAMED, "b") == (change.what, change.path)


def test_of_several_with_one_content_each_goes_with_one() -> None:
    """Copies are paired in path order; what is left over was added or removed."""
    assert [("renamed", "m", ()), ("renamed", "n", ()), ("added", "o", ())] == said(
        between([file("a"), file("b")], [file("m"), file("n"), file("o")])
    )
    assert [("removed", "b", ()), ("renamed", "m", ())] == said(between([file("a"), file("b")], [file("m")]))


def test_a_copy_is_no_rename() -> None:
    """Its original is still there."""
    assert [("added", "b", ())] == said(between([file("a")], [file("a"), file("b")]))


def test_what_has_no_byte_is_never_renamed() -> None:
    """Empty files, directories and links: that two of them are equal says nothing."""
    before = [file("a/empty", size=0), Entry.directory("a/dir"), Entry.link("a/link", "x")]
    after = [file("b/empty", size=0), Entry.directory("b/dir"), Entry.link("b/link", "x")]
    assert {"added": 3, "removed": 3} == Counter(what for what, _, _ in said(between(before, after)))


def test_equal_size_is_not_equal_content() -> None:
    """Nor is equal content of another size: identity is both."""
    assert {"added", "removed"} == {what for what, _, _ in said(between([file("a", 1, 5)], [file("b", 2, 5)]))}


def test_equal_manifests_do_not_differ() -> None:
    """And nothing is read to find that out."""
    one, other = counted([file("a"), file("b", 1)]), counted([file("b", 1), file("a")])
    assert not Difference(one.manifest, other.manifest)
    assert [] == list(Difference(one.manifest, other.manifest))
    assert [] == one.read + other.read


def test_it_can_be_asked_again() -> None:
    """The same answer every time."""
    found = Difference(build([file("a")]).manifest, build([file("b", 1)]).manifest)
    assert list(found) == list(found) != []


def test_the_tally_counts_paths_and_bytes() -> None:
    """Of a changed path the old bytes went and the new ones came; a rename moves none."""
    before = [file("changed", 1, 10), file("gone", 2, 20), file("old", 3, 40), Entry.reference("unknown", Pin("s3://b/k"))]
    after = [file("changed", 4, 100), file("new", 3, 40), file("more", 5, 200)]
    tally = Difference(build(before).manifest, build(after).manifest).tally()
    assert Tally(added=1, removed=2, changed=1, renamed=1, bytes_added=300, bytes_removed=30) == tally
    assert (5, False) == (tally.total, bool(Tally()))


PATHS = st.sampled_from([f"{folder}{name}" for folder in ("", "a/", "b/", "é/", "\U0001f600/", "\ufffd/") for name in "pqrst"])
CONTENTS = st.one_of(
    st.builds(lambda content, size, flag: ("file", content, size, flag), st.integers(0, 3), st.integers(0, 2), st.booleans()),
    st.sampled_from([("directory",), ("link", "p"), ("link", "a/q"), ("reference", "s3://b/k", "e"), ("reference", "s3://b/k", None)]),
)
TREES = st.dictionaries(PATHS, CONTENTS, max_size=20)


def made(path: str, what: tuple[Any, ...]) -> Entry:
    ways: dict[str, Callable[..., Entry]] = {
        "file": lambda content, size, flag: file(path, content, size, executable=flag),
        "directory": lambda: Entry.directory(path),
        "link": lambda target: Entry.link(path, target),
        "reference": lambda uri, etag: Entry.reference(path, Pin(uri, etag), 3),
    }
    return ways[what[0]](*what[1:])


@given(TREES, TREES, st.sampled_from([1, 3, 1000]), st.sampled_from([1, 2, 3, 1000]))
def test_the_changes_lead_from_one_to_the_other(
    before: dict[str, tuple[Any, ...]], after: dict[str, tuple[Any, ...]], kept: int, longest: int
) -> None:
    """Applied to the earlier entries they give the later ones, each path once, in path order; however the entries are cut, kept in memory
    or read again, and decoded many at a time or one by one.
    """
    old, new = ({path: made(path, what) for path, what in tree.items()} for tree in (before, after))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(difference, "KEPT", kept)
        patch.setattr(difference, "_TOGETHER", kept)
        patch.setattr(format_, "SHORTEST", longest)
        patch.setattr(format_, "LONGEST", longest)
        manifests = [build(tree.values()).manifest for tree in (old, new)]
        changes = list(Difference(*manifests))
    assert [-(-len(tree) // longest) for tree in (old, new)] == [len(manifest.segments) for manifest in manifests] or longest > 3

    left = dict(old)
    for change in changes:
        if change.before is not None:
            assert change.before == left.pop(change.before.path)
    for change in changes:
        if change.after is not None:
            left[change.path] = change.after
    assert new == left
    assert sorted(change.path.encode() for change in changes) == [change.path.encode() for change in changes]
    assert all(change.before != change.after for change in changes)


class Counted:
    """A manifest that notes which of its segments were read."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        built = build(entries).manifest
        self.read: list[Digest] = []
        self.manifest = Manifest(built.segments, self._noting(built.read), built.algorithm)

    def _noting(self, read: Callable[[Digest], bytes]) -> Callable[[Digest], bytes]:
        def noting(digest: Digest) -> bytes:
            self.read.append(digest)
            return read(digest)

        return noting


def counted(entries: Iterable[Entry]) -> Counted:
    return Counted(entries)


def many(count: int) -> list[Entry]:
    return [file(f"images/{number // 1000:04}/{number:08}.jpg", number % 12, 1000) for number in range(count)]


def changed_in(entries: Sequence[Entry], places: int) -> list[Entry]:
    """The same entries, but for so many places far apart: content, a new path, a path that went, by turns."""
    found = list(entries)
    step = len(found) // places
    for place in range(places):
        at = place * step
        path = found[at].path
        found[at] = (but(found[at], digest=Digest.of(path.encode())), file(f"{path}x", 11, 7), but(found[at], executable=True))[place % 3]
    return found


@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_only_segments_that_differ_are_read(count: int) -> None:
    """Two manifests that differ in a hundred places share the other segments, which nobody reads; each other one is read once."""
    entries = many(count)
    before, after = counted(entries), counted(changed_in(entries, 100))
    assert 100 <= Difference(before.manifest, after.manifest).tally().total <= 140
    shared = {segment.digest for segment in before.manifest.segments} & {segment.digest for segment in after.manifest.segments}
    for side in (before, after):
        assert len(set(side.read)) == len(side.read) <= 110
        assert not shared & set(side.read)
        assert len(side.read) == len(side.manifest.segments) - len(shared)


def test_only_what_differs_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands of entries in the segments that differ no more than the changes themselves: the rest is compared as it lies there."""
    decoded: list[int] = []
    decode = difference.decode_entries
    monkeypatch.setattr(difference, "decode_entries", lambda encoded: decoded.append(len(encoded)) or decode(encoded))
    entries = many(20_000)
    found = list(Difference(build(entries).manifest, build(changed_in(entries, 9)).manifest))
    assert 9 <= len(found) <= sum(decoded) <= 2 * len(found)


def test_a_large_difference_is_read_again_instead_of_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept in memory is bounded; the answer is the one a small difference gets."""
    old, new = many(5_000), [*many(4_000), *(but(entry, path=f"moved/{entry.path}") for entry in many(5_000)[4_000:])]
    kept = said(between(old, new))
    monkeypatch.setattr(difference, "KEPT", 10)
    before, after = counted(old), counted(new)
    assert kept == said(Difference(before.manifest, after.manifest))
    assert {"renamed"} == {what for what, _, _ in kept}
    assert max(Counter(before.read).values()) > 1
