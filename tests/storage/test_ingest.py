"""Logging a tree again costs what changed in it, and what comes out is what lies there."""

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from storage.blob import source
from storage.blob.session import Count
from storage.digest import Blob, Digest
from storage.entry import Entry, Kind
from storage.errors import InvalidManifest, SourceChanged
from storage.manifest import Manifest, build
from storage.segment import Files
from storage.transfer.checkout import checkout
from storage.transfer.ingest import ingest_tree, store_manifest
from storage.transfer.scan import scan
from storage.transfer.statcache import StatCache
from storage.upkeep.reclaim import carry_out, plan
from tests.storage.conftest import Shelf

pytestmark = pytest.mark.usefixtures("later")


@pytest.fixture
def known(shelf: Shelf, tmp_path: Path) -> Shelf:
    """A store whose machine remembers trees."""
    shelf.trees = StatCache(tmp_path / "cache", "store")
    return shelf


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened to be read."""
    seen: list[str] = []
    real = source._open

    def noting(path: Path | str) -> int:
        seen.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(source, "_open", noting)
    return seen


def grow(tree: Path, *names: str) -> None:
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(f"content of {name}")


def holds(manifest: Manifest, tree: Path) -> bool:
    """Is the manifest exactly what lies in the directory, byte for byte?"""
    files = {str(path.relative_to(tree)): path for path in tree.rglob("*") if path.is_file()}
    there = {name: (Digest.of(path.read_bytes()), path.stat().st_size) for name, path in files.items()}
    return there == {entry.path: (entry.digest, entry.size) for entry in manifest if entry.kind is Kind.FILE}


class TestAgain:
    def test_an_unchanged_tree_is_not_read(self, known: Shelf, tree: Path, opened: list[str]) -> None:
        """The second time no file is opened and nothing is stored; the manifest is the same, and everything counts as known."""
        grow(tree, "a", "b/c", "b/d")
        first = known.log(tree)
        opened.clear()
        again = known.log(tree)

        assert (first.digest, [], Count()) == (again.digest, opened, known.stored)
        assert holds(again, tree)

    def test_only_what_changed_is_read(self, known: Shelf, tree: Path, opened: list[str]) -> None:
        """A file that is changed, new or replaced is read; what is gone is gone."""
        grow(tree, "a", "b/c", "b/d", "e", "f")
        known.log(tree)
        (tree / "a").write_text("changed")
        (tree / "e").unlink()
        (tree / "b/other").write_text("content of b/c")
        (tree / "b/other").rename(tree / "b/c")
        grow(tree, "new")
        opened.clear()
        again = known.log(tree)

        assert ["a", "c", "new"] == sorted(opened)
        assert ["a", "b/c", "b/d", "f", "new"] == [entry.path for entry in again]
        assert holds(again, tree)
        opened.clear()
        assert (again.digest, []) == (known.log(tree).digest, opened)

    @pytest.mark.fault("F15")
    def test_an_edit_that_puts_mtime_back(self, known: Shelf, tree: Path) -> None:
        """Content of the same size under the same mtime is stored as what it is."""
        grow(tree, "a", "b")
        known.log(tree)
        before = (tree / "a").stat()
        (tree / "a").write_text("CONTENT OF a")
        os.utime(tree / "a", ns=(before.st_atime_ns, before.st_mtime_ns))

        assert holds(known.log(tree), tree)

    def test_executable_bits_links_and_directories(self, known: Shelf, tree: Path, opened: list[str]) -> None:
        """Everything else a tree holds is as it is now, too."""
        grow(tree, "a", "b")
        (tree / "link").symlink_to("a")
        (tree / "empty").mkdir()
        first = known.log(tree)
        opened.clear()
        assert (first.digest, []) == (known.log(tree).digest, opened)
        (tree / "a").chmod(0o755)
        again = known.log(tree)

        assert {"a": True, "b": False, "empty": False, "link": False} == {entry.path: entry.executable for entry in again}
        assert {"link": "a"} == {entry.path: entry.target for entry in again if entry.target}

    def test_a_caller_who_does_not_trust(self, known: Shelf, tree: Path, opened: list[str]) -> None:
        """Asked to, every file is read, and what was found is remembered for the next time."""
        grow(tree, "a", "b")
        known.log(tree)
        opened.clear()
        with known.store.session() as session:
            entries = ingest_tree(scan(tree), session, cache=known.trees, is_trusted=False)

        assert ["a", "b"] == sorted(opened)
        assert [Digest.of(b"content of a"), Digest.of(b"content of b")] == [entry.digest for entry in entries]

    def test_under_a_prefix(self, known: Shelf, tree: Path, opened: list[str]) -> None:
        """What is known of a tree is known wherever its entries are to stand."""
        grow(tree, "a", "b")
        known.log(tree)
        opened.clear()
        with known.store.session() as session:
            entries = ingest_tree(scan(tree), session, cache=known.trees, prefix="v1/x")

        assert (["v1/x/a", "v1/x/b"], []) == ([entry.path for entry in entries], opened)

    def test_progress_is_told_all_the_same(self, known: Shelf, tree: Path) -> None:
        """Whoever watches is told every byte, read or found unchanged."""
        grow(tree, "a", "b")
        known.log(tree)
        (tree / "a").write_text("changed")
        told: list[int] = []
        with known.store.session() as session:
            ingest_tree(scan(tree), session, cache=known.trees, progress=told.append)

        assert [len("content of b"), len("changed")] == told

    def test_another_algorithm(self, known: Shelf, tree: Path) -> None:
        """What is known under another algorithm is not known."""
        grow(tree, "a")
        known.log(tree)
        other = type(known.store)(known.backend, known.ledger, "d", algorithm="sha256")
        with other.session() as session:
            [entry] = ingest_tree(scan(tree), session, cache=known.trees)

        assert Digest.of(b"content of a", "sha256") == entry.digest


class TestWhatWasAssumed:
    def reclaim(self, shelf: Shelf) -> None:
        """All that was logged is needed no more, and gone."""
        shelf.ledger.reachable.clear()
        carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger, empty_ok=True)

    def test_is_read_again_when_the_store_lost_it(self, known: Shelf, tree: Path, tmp_path: Path, opened: list[str]) -> None:
        """Bytes that were reclaimed since are taken from their files, though those did not change."""
        grow(tree, "a", "b")
        known.log(tree)
        self.reclaim(known)
        opened.clear()
        manifest = known.log(tree)
        checkout(manifest, known.store, tmp_path / "out")

        assert ["a", "b"] == sorted(opened)
        assert holds(manifest, tmp_path / "out")

    def test_and_is_not_what_it_was(self, known: Shelf, tree: Path) -> None:
        """A file that changed between the look and the reading is refused: its entry says something else."""
        grow(tree, "a", "b")
        known.log(tree)
        self.reclaim(known)
        with known.store.session() as session:
            entries = ingest_tree(scan(tree), session, cache=known.trees)
            (tree / "a").write_text("changed")
            with pytest.raises(SourceChanged, match="a"):
                store_manifest(entries, session)

    def test_is_pinned_when_a_new_segment_lists_it(self, known: Shelf, tree: Path, tmp_path: Path, opened: list[str]) -> None:
        """A changed file brings a new segment; what else is in that one is kept from being reclaimed, unread."""
        grow(tree, "a", "b", "c")
        known.log(tree)
        (tree / "b").write_text("changed")
        opened.clear()
        with known.store.session() as session:
            stored = store_manifest(ingest_tree(scan(tree), session, cache=known.trees), session)
            session.publish()
            known.ledger.reachable.clear()
            listed = {digest for segment in stored.manifest.segments for digest in stored.inside(segment.digest)}
            assert 3 == len(listed)
            assert set() == listed & {row.blob.digest for row in known.ledger.unreachable()}
            known.ledger.commit(session.id, [stored.manifest.digest, *(segment.digest for segment in stored.manifest.segments), *listed])
        checkout(stored.manifest, known.store, tmp_path / "out")

        assert ["b"] == opened
        assert holds(stored.manifest, tmp_path / "out")


class TestManifests:
    def test_columns_make_the_same_manifest(self) -> None:
        """Files kept as columns and the entries they stand for have one encoding."""
        draw = random.Random(1)
        paths = sorted(f"{draw.randrange(50)}/ü{number}" for number in range(3000))
        files = Files(
            paths,
            "blake3",
            [Digest.of(path.encode()).value for path in paths],
            [draw.randrange(1 << 40) for _ in paths],
            [draw.random() < 0.5 for _ in paths],
        )
        entries = list(files)

        assert build(entries).manifest.digest == build(files).manifest.digest
        assert entries[17:2100] == files[17:2100]
        assert [entries[0], entries[-1]] == [files[0], files[-1]]
        assert entries == list(build(files).manifest)

    def test_renaming_stores_nothing_but_the_manifest(self, known: Shelf, tree: Path) -> None:
        """Files that only moved bring new segments and a new manifest, and not a byte of content."""
        grow(tree, *(f"d{number % 3}/{number:03}" for number in range(300)))
        known.log(tree)
        (tree / "d0").rename(tree / "moved")
        manifest = known.log(tree)

        written = sum(len(known.store.read(segment.digest)) for segment in manifest.segments) + len(manifest.encoded)
        assert holds(manifest, tree)
        assert Count(len(manifest.segments) + 1, written) == known.stored

    def test_an_iterator_is_judged_too(self, shelf: Shelf) -> None:
        """Entries that come one by one make the same manifest, and are refused for the same reasons."""
        entries = [Entry.file(f"{number:05}", Digest.of(b"x"), 1) for number in range(5000)]

        def one_by_one(*more: Entry) -> Iterator[Entry]:
            yield from sorted([*entries, *more])

        with shelf.store.session() as session:
            session.take_bytes(b"x")
            assert build(entries).manifest.segments == store_manifest(one_by_one(), session, is_ordered=True).manifest.segments
            for wrong in (entries[7], Entry.file("00007/below", Digest.of(b"x"), 1)):
                with pytest.raises(InvalidManifest):
                    store_manifest(one_by_one(wrong), session, is_ordered=True)
            with pytest.raises(InvalidManifest, match="out of order"):
                store_manifest(reversed(entries), session, is_ordered=True)


@pytest.mark.fault("F09")
@pytest.mark.timeout(60)
def test_a_file_cut_off_while_it_is_read(shelf: Shelf, tree: Path) -> None:
    """Cutting a file that is being read ends in an error or in content it really had, never in a signal: nothing is mapped."""
    size = 3 << 20
    path = tree / "busy"
    path.write_bytes(bytes(size))
    done = threading.Event()

    def cut() -> None:
        while not done.is_set():
            os.truncate(path, 0)
            os.truncate(path, size)

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        for _ in range(10):
            with shelf.store.session() as session, suppress(SourceChanged):
                [entry] = ingest_tree(scan(tree), session)
                assert entry.digest in (Digest.of(bytes(size)), Digest.of(b""))
    finally:
        done.set()
        thread.join()


@pytest.mark.fault("F10")
@pytest.mark.parametrize("swap", [lambda path, to: path.symlink_to(to), lambda path, to: os.link(to, path)], ids=["link", "other file"])
def test_a_file_that_is_swapped_after_the_look(shelf: Shelf, tree: Path, tmp_path: Path, swap: Callable[[Path, Path], None]) -> None:
    """A link put where a file was is refused; another file is stored as what it is, under the stamp it has."""
    grow(tree, "a")
    (tmp_path / "secret").write_text("secret")
    found = scan(tree)
    (tree / "a").unlink()
    swap(tree / "a", tmp_path / "secret")
    with shelf.store.session() as session:
        if (tree / "a").is_symlink():
            with pytest.raises(Exception, match="symbolic link"):
                ingest_tree(found, session)
        else:
            assert [Blob.of(b"secret").digest] == [entry.digest for entry in ingest_tree(found, session)]
