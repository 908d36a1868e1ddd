"""No entrance lets a bad name in, and none changes an odd one."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from storage.digest import Digest
from storage.entry import Entry, Kind, check_path, printable, unportable
from storage.errors import DestinationRefused, InvalidManifest, InvalidPath, Refused
from storage.manifest import Manifest, Segment, build, decode_segment, encode_segment
from storage.transfer.checkout import checkout
from storage.transfer.ingest import ingest_file, ingest_tree
from storage.transfer.scan import scan
from storage.transfer.survey import refuse_unportable
from tests.faults.corpus import BAD, ODD, TOGETHER, ids
from tests.storage.conftest import Shelf

NAMES = pytest.mark.fault("N01", "N02", "N03", "N04", "N05", "N07", "N08", "N09", "N15", "N16", "N20", "I-26")
bad = pytest.mark.parametrize("name", [row[2] for row in BAD], ids=ids(BAD))
odd = pytest.mark.parametrize("name", [row[2] for row in ODD], ids=ids(ODD))
together = pytest.mark.parametrize("names", [row[2] for row in TOGETHER], ids=ids(TOGETHER))

DIGEST = Digest.of(b"x")


def forged(names: Iterable[str], digest: Digest = DIGEST) -> list[Entry]:
    """Entries nobody checked."""
    return sorted((Entry(name, Kind.FILE, digest, 1) for name in names), key=lambda entry: entry.path.encode("utf-8", "surrogatepass"))


def undecoded(entries: list[Entry]) -> Manifest:
    """A manifest whose decoder looks at nothing: what is behind it must not rely on it."""

    class Blind(Manifest):
        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter(entries)

    return Blind((Segment(DIGEST, len(entries), len(entries)),), lambda _: b"")


def everything_in(root: Path) -> set[str]:
    return {str(path) for path in root.rglob("*")}


@NAMES
class TestBadNames:
    @bad
    def test_the_judge(self, name: str) -> None:
        """The one validator refuses it, and says the name."""
        with pytest.raises(InvalidPath) as caught:
            check_path(name)
        assert repr(name) in str(caught.value)

    @bad
    def test_entries(self, name: str) -> None:
        """No kind of entry takes it, nor a link as its target."""
        for make in (lambda: Entry.file(name, DIGEST, 1), lambda: Entry.directory(name), lambda: Entry.link("a", name)):
            with pytest.raises(InvalidPath):
                make()

    @bad
    def test_manifests(self, name: str) -> None:
        """No manifest is built of entries nobody checked."""
        with pytest.raises(InvalidPath):
            build([Entry(name, Kind.FILE, DIGEST, 1)])
        with pytest.raises(InvalidPath):
            build([Entry("a", Kind.LINK, target=name)])

    @bad
    def test_segments(self, name: str) -> None:
        """A hand-made segment that holds it does not decode, as path or as target."""
        for entry in (Entry.file("a", DIGEST, 1)._replace(path=name), Entry.link("a", "b")._replace(target=name)):
            try:
                encoded = encode_segment([entry])
            except UnicodeEncodeError:
                continue
            with pytest.raises(Refused):
                decode_segment(encoded)

    @bad
    def test_adding_a_file(self, name: str, shelf: Shelf, tmp_path: Path) -> None:
        """Adding a good file under it is refused, and leaves no row, no staging file and no session."""
        (tmp_path / "good").write_bytes(b"x")
        with shelf.store.session() as session, pytest.raises(InvalidPath):
            ingest_file(tmp_path / "good", name, session)

        assert ([], [], {}) == (shelf.leftovers(), list(shelf.ledger.records()), shelf.ledger.pins)

    @bad
    def test_adding_a_tree_under_it(self, name: str, shelf: Shelf, tree: Path) -> None:
        """A directory cannot be added under it; no prefix at all is what the empty text means."""
        if not name:
            pytest.skip("the empty prefix is no prefix")
        (tree / "good").write_bytes(b"x")
        with shelf.store.session() as session, pytest.raises(InvalidPath):
            ingest_tree(scan(tree), session, prefix=name)

        assert ([], []) == (shelf.leftovers(), list(shelf.ledger.records()))

    @pytest.mark.fault("E11")
    @bad
    def test_checking_out(self, name: str, shelf: Shelf, tmp_path: Path) -> None:
        """A checkout refuses it even when the decoder let it pass, and writes nothing, anywhere."""
        [digest] = shelf.put(b"x")
        before = everything_in(tmp_path)
        with pytest.raises(InvalidPath):
            checkout(undecoded(forged([name, "fine"], digest)), shelf.store, tmp_path / "out")

        assert before == everything_in(tmp_path)

    @pytest.mark.parametrize("raw", [b"\xff\xfe", b"a\nb", b"a\x1bb", b"a\\b", b"\xc3", "a\u2028".encode(), b"a\x7f"])
    def test_scanning_real_files(self, raw: bytes, tree: Path, shelf: Shelf) -> None:
        """A file that really has such a name is listed before anything is read, beside every other offender."""
        for where in ("", "sub"):
            (tree / where).mkdir(exist_ok=True)
            (tree / where / os.fsdecode(raw)).write_bytes(b"x")
        with pytest.raises(InvalidPath, match="2 things"):
            scan(tree)

        assert [] == shelf.leftovers()

    @pytest.mark.fault("N10", "N17", "F19")
    @together
    def test_names_that_exclude_each_other(self, names: list[str], shelf: Shelf, tmp_path: Path) -> None:
        """Names that cannot stand in one tree are refused when a manifest is built, and again at checkout."""
        with pytest.raises(InvalidManifest):
            build(forged(names))
        if len(set(names)) > 1:
            with pytest.raises(InvalidManifest):
                checkout(undecoded(forged(names)), shelf.store, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.fault("N05", "N11", "N12", "N13", "N14", "N18", "N19", "N20")
class TestOddNames:
    @odd
    def test_round_trip(self, name: str, shelf: Shelf, tree: Path, tmp_path: Path) -> None:
        """A file of that name is found, kept and written back under exactly that name, and no other file appears."""
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(b"content")
        manifest = shelf.log(tree)
        checkout(manifest, shelf.store, tmp_path / "out")

        assert [name] == [entry.path for entry in manifest]
        assert [name] == [str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert b"content" == (tmp_path / "out" / name).read_bytes()

    def test_all_together(self) -> None:
        """They stand beside each other in one manifest, each with its name unchanged."""
        names = [row[2] for row in ODD if row[2] != "con/x"]

        assert sorted(names, key=str.encode) == [entry.path for entry in build(forged(names)).manifest]

    def test_flags(self) -> None:
        """What would not survive on another system is told, one sentence each, and nothing else is."""
        assert 1 == len(unportable(["CON"])) == len(unportable(["a."])) == len(unportable(["x:y"])) == len(unportable(["A", "a"]))
        assert [] == unportable(["plain", "dir/plain.txt", "console", "a.b"])

    def test_shown_escaped(self) -> None:
        """What hides or reorders is shown escaped."""
        assert "txt.\\u202eexe" == printable("txt.\u202eexe")
        assert "a\\x0ab" == printable("a\nb")

    def test_windows_refuses_before_writing(self) -> None:
        """On Windows a checkout of names Windows cannot hold is refused with the list."""
        with pytest.raises(DestinationRefused, match="3 names"):
            refuse_unportable(["CON", "a.", "file:stream", "fine"])
        refuse_unportable(["fine"])


@pytest.mark.fault("N11")
class TestCase:
    @pytest.mark.parametrize("names", [["A", "a"], ["Dir/x", "dir/y"], ["\u00c4/x", "\u00e4/x"], ["a/B/c", "a/b/d"]])
    def test_a_disk_that_folds_case(self, names: list[str], shelf: Shelf, tmp_path: Path) -> None:
        """Where case is not told apart, names that differ only in it are refused before anything is written."""
        [digest] = shelf.put(b"x")
        manifest = build(forged(names, digest)).manifest
        with pytest.raises(DestinationRefused, match="upper from lower"):
            checkout(manifest, shelf.store, tmp_path / "out", probe=lambda _: True)
        assert not (tmp_path / "out").exists()

    def test_a_disk_that_does_not(self, shelf: Shelf, tmp_path: Path) -> None:
        """Elsewhere both are written; the disk was asked with a file that is gone afterwards."""
        [digest] = shelf.put(b"x")
        checkout(build(forged(["A", "a", "B/x", "b/x"], digest)).manifest, shelf.store, tmp_path / "out")

        assert {"A", "a", "B", "b"} == {path.name for path in (tmp_path / "out").iterdir()}
        assert {"out", "store"} == {path.name for path in tmp_path.iterdir()}

    def test_nobody_asks_without_need(self, shelf: Shelf, tmp_path: Path) -> None:
        """When no names collide the disk is not probed."""
        [digest] = shelf.put(b"x")

        def probe(_: Path) -> bool:
            raise AssertionError

        checkout(build(forged(["A/x", "A/y", "b"], digest)).manifest, shelf.store, tmp_path / "out", probe=probe)


def test_sizes_are_of_the_real_bytes() -> None:
    """The limits count UTF-8 bytes, not characters."""
    assert "é" * 127 == check_path("é" * 127)
