"""A checkout into what is there already looks, reads and writes no more than it must, and finishes what another began."""

import fcntl
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from storage.blob import disk
from storage.digest import Blob, Digest
from storage.entry import Entry
from storage.errors import Corrupt
from storage.manifest import Manifest, build
from storage.transfer import landing, selection, statcache
from storage.transfer.checkout import Report, checkout
from storage.transfer.ingest import ingest_tree
from storage.transfer.scan import scan
from storage.transfer.statcache import Memory, StatCache, stamp_of
from tests.storage.conftest import Shelf

HOUR = 3_600_000_000_000


@pytest.fixture
def manifest(shelf: Shelf, tree: Path) -> Manifest:
    """300 files in three directories, and an executable one; what lists them is in memory."""
    for number in range(300):
        path = tree / f"d{number % 3}" / f"{number:03}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"%d" % number)
    (tree / "d0/000").chmod(0o755)
    return build(shelf.log(tree)).manifest


@pytest.fixture
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatCache:
    """Memories for which hours pass between two looks."""
    real = statcache._now

    def now(directory: Path) -> tuple[int, int] | None:
        instant = real(directory)
        return instant and (instant[0], instant[1] + HOUR)

    monkeypatch.setattr(statcache, "_now", now)
    return StatCache(tmp_path / "trees", "store")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What the operating system is asked from here on: paths by the name of the call."""
    asked: dict[str, list[str]] = {}

    def watch(name: str) -> None:
        real = getattr(os, name)

        def call(path: object, *args: object, **kwargs: object) -> object:
            asked.setdefault(name, []).append(str(path))
            return real(path, *args, **kwargs)

        monkeypatch.setattr(os, name, call)

    for name in ("open", "stat", "listdir", "mkdir", "rename", "readlink"):
        watch(name)
    return asked


def below(calls: dict[str, list[str]], name: str) -> list[str]:
    """Of the calls those that name something by its name alone: below the destination everything is."""
    return [path for path in calls.get(name, []) if "/" not in path]


class TestUnchanged:
    def test_costs_one_look_a_file(
        self,
        shelf: Shelf,
        manifest: Manifest,
        tmp_path: Path,
        trees: StatCache,
        calls: dict[str, list[str]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """What a checkout wrote is known: the next one looks at each file once, opens none, and asks neither store nor ledger."""
        out, told = tmp_path / "out", list[int]()
        first = checkout(manifest, shelf.store, out, memory=trees.recall(out, "d"))
        memory = trees.recall(out, "d")
        calls.clear()
        monkeypatch.setattr(shelf.ledger, "find", None)
        monkeypatch.setattr(shelf.backend, "read", None)
        again = checkout(manifest, shelf.store, out, memory=memory, progress=told.append)

        assert (Report(written=300, bytes=790), Report(kept=300)) == (first, again)
        assert (300, 790) == (len(below(calls, "stat")), sum(told))
        assert ["d0", "d1", "d2"] == below(calls, "open")
        assert 4 == len(calls["listdir"])

    def test_what_was_there_is_read_once(
        self, shelf: Shelf, manifest: Manifest, tree: Path, trees: StatCache, calls: dict[str, list[str]]
    ) -> None:
        """A tree that nobody remembers is read to know that it is right, and not again the next time; nothing in it is written."""
        for expected in (300, 0):
            memory = trees.recall(tree, "d")
            calls.clear()
            assert Report(kept=300) == checkout(manifest, shelf.store, tree, memory=memory)
            assert expected == len([path for path in below(calls, "open") if path.isdigit()])
            assert [] == below(calls, "rename")

    def test_logging_it_again_costs_a_look(
        self, shelf: Shelf, manifest: Manifest, tmp_path: Path, trees: StatCache, calls: dict[str, list[str]]
    ) -> None:
        """What a checkout wrote and nobody changed is known when the directory is logged: no file is opened, and it is the same version."""
        out = tmp_path / "out"
        checkout(manifest, shelf.store, out, memory=trees.recall(out, "d"))
        (out / "d1/100").write_bytes(b"XXX")
        calls.clear()
        with shelf.store.session() as session:
            entries = {entry.path: entry.digest for entry in ingest_tree(scan(out), session, cache=trees)}

        opened = [path for path in calls["open"] if Path(path).is_relative_to(out) and Path(path).is_file()]
        assert [str(out / "d1/100")] == opened
        assert {entry.path: entry.digest for entry in manifest} | {"d1/100": Digest.of(b"XXX")} == entries

    @pytest.mark.fault("H17", "E04")
    def test_a_wrong_file_is_never_taken_for_right(self, shelf: Shelf, manifest: Manifest, tmp_path: Path, trees: StatCache) -> None:
        """A file of the right size and time with other bytes is replaced, whether it was there before or came after."""
        out = tmp_path / "out"
        (out / "d1").mkdir(parents=True)
        (out / "d1/100").write_bytes(b"XXX")
        for name, wrong in (("d1/100", b"YYY"), ("d2/200", b"ZZZ")):
            checkout(manifest, shelf.store, out, memory=trees.recall(out, "d"))
            assert b"100" == (out / "d1/100").read_bytes()
            about = (out / name).stat()
            (out / name).write_bytes(wrong)
            os.utime(out / name, ns=(about.st_atime_ns, about.st_mtime_ns))
        report = checkout(manifest, shelf.store, out, memory=trees.recall(out, "d"))

        assert (1, 299) == (report.written, report.kept)
        assert (b"100", b"200") == ((out / "d1/100").read_bytes(), (out / "d2/200").read_bytes())

    @pytest.mark.fault("H17")
    def test_a_file_known_to_hold_something_else(self, shelf: Shelf, manifest: Manifest, tmp_path: Path, trees: StatCache) -> None:
        """What is known to be another blob of the same size is replaced without being read."""
        out = tmp_path / "out"
        checkout(manifest, shelf.store, out)
        (out / "d1/100").write_bytes(b"XXX")
        memory = trees.recall(out, "d")
        memory.note("d1/100", stamp_of((out / "d1/100").stat()), Blob.of(b"XXX"))
        memory.keep()
        checkout(manifest, shelf.store, out, memory=trees.recall(out, "d"))

        assert b"100" == (out / "d1/100").read_bytes()

    @pytest.mark.fault("H17", "I-31")
    def test_what_did_not_land_is_not_remembered(self, shelf: Shelf, manifest: Manifest, tmp_path: Path, trees: StatCache) -> None:
        """Only what landed is noted, with the look of the file in place; beside it what failed is not."""
        out = tmp_path / "out"
        shelf.rot(Digest.of(b"7"), 0)
        with pytest.raises(Corrupt, match="'d1/007'"):
            checkout(manifest, shelf.store, out, memory=trees.recall(out, "d"))
        memory = trees.recall(out, "d")
        known = {entry.path: memory.find(entry.path, stamp_of((out / entry.path).stat())) for entry in manifest if entry.path != "d1/007"}

        assert {entry.path: entry.digest for entry in manifest if entry.path != "d1/007"} == {
            path: blob and blob.digest for path, blob in known.items()
        }
        assert not (out / "d1/007").exists()

    def test_a_part_leaves_the_rest_remembered(self, shelf: Shelf, manifest: Manifest, tmp_path: Path, trees: StatCache) -> None:
        """A checkout of a prefix does not forget what it did not look at."""
        out = tmp_path / "out"
        checkout(manifest, shelf.store, out, memory=trees.recall(out, "d"))
        checkout(manifest, shelf.store, out, memory=trees.recall(out, "d"), prefix="d1/")
        memory = trees.recall(out, "d")

        assert all(memory.find(f"d{each % 3}/{each:03}", stamp_of((out / f"d{each % 3}/{each:03}").stat())) for each in range(300))


class TestNew:
    def test_costs_five_calls_a_file(self, shelf: Shelf, manifest: Manifest, tmp_path: Path, calls: dict[str, list[str]]) -> None:
        """Below a new destination nothing is looked at: each directory is made and opened once, each file made and renamed once."""
        checkout(manifest, shelf.store, tmp_path / "out")

        assert [] == below(calls, "stat")
        assert ["d0", "d1", "d2"] == sorted(below(calls, "mkdir"))
        assert 300 == len(below(calls, "rename"))
        made = [path for path in below(calls, "open") if path.startswith(".lineage-")]
        assert (301, 6) == (len(made), len(below(calls, "open")) - len(made))  # a directory is asked for, made, opened

    @pytest.mark.parametrize("threads", [1, 2, 4])
    def test_many_directories(self, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
        """More directories than may stay open, and one content in many places, by however many threads."""
        monkeypatch.setattr(landing, "THREADS", threads)
        most: list[int] = []
        monkeypatch.setattr(disk, "observe", lambda *_: most.append(len(list(Path("/proc/self/fd").iterdir()))))
        before = len(list(Path("/proc/self/fd").iterdir()))
        [one, other] = shelf.put(b"one", b"other")
        entries = [Entry.file(f"{number % 400:03}/{number}", one if number % 2 else other, 3 if number % 2 else 5) for number in range(800)]
        report = checkout(build(entries).manifest, shelf.store, tmp_path / "out")

        assert Report(written=800, bytes=400 * 8) == report
        assert {b"one", b"other"} == {(tmp_path / "out" / entry.path).read_bytes() for entry in entries}
        assert [] == list((tmp_path / "out").rglob("*.partial"))
        assert before + 160 > max(most)

    def test_the_umask_takes_nothing_away(self, shelf: Shelf, manifest: Manifest, tmp_path: Path) -> None:
        """Files are for everybody to read, as they were before, whatever the umask."""
        before = os.umask(0o077)
        try:
            checkout(manifest, shelf.store, tmp_path / "out")
        finally:
            os.umask(before)

        assert {0o644} == {path.stat().st_mode & 0o777 for path in (tmp_path / "out/d1").iterdir()}
        assert 0o755 == (tmp_path / "out/d0/000").stat().st_mode & 0o777

    def test_a_large_manifest_is_read_twice_and_never_held(
        self, shelf: Shelf, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A manifest larger than may be remembered gives the same tree."""
        monkeypatch.setattr(selection, "KEPT", 10)
        monkeypatch.setattr(landing, "_BATCH", 7)

        assert Report(written=300, bytes=790) == checkout(manifest, shelf.store, tmp_path / "out")
        assert Report(kept=300) == checkout(manifest, shelf.store, tmp_path / "out")


class TestLeftovers:
    OWNER = "0123456789abcdef"

    def plant(self, out: Path) -> list[Path]:
        names = [f".lineage-{self.OWNER}.partial", f"d0/.lineage-{self.OWNER}-0.partial", f"d1/.lineage-{self.OWNER}-1f.partial"]
        for name in names:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(b"part")
        return [out / name for name in names]

    @pytest.mark.fault("E05", "S10")
    @pytest.mark.parametrize("claim", [True, False])
    def test_of_the_dead_go(self, shelf: Shelf, manifest: Manifest, tmp_path: Path, claim: bool) -> None:
        """What a checkout that died left on its way is removed by the next; what only looks like it, or is another's, stays."""
        left = self.plant(tmp_path / "out")
        if not claim:
            left[0].unlink()
        mine = [tmp_path / "out/d0" / name for name in (".lineage-xyz.partial", "..0123456789abcdef.partial", ".lineage-notes")]
        for path in mine:
            path.write_bytes(b"mine")
        checkout(manifest, shelf.store, tmp_path / "out")

        assert [] == [path for path in left if path.exists()]
        assert all(path.exists() for path in mine)

    @pytest.mark.fault("S10", "S16")
    def test_of_the_living_stay(self, shelf: Shelf, manifest: Manifest, tmp_path: Path) -> None:
        """While somebody holds the claim, his files are nobody else's to remove, not even in an exact checkout."""
        left = self.plant(tmp_path / "out")
        with left[0].open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            checkout(manifest, shelf.store, tmp_path / "out", exact=True)
            assert all(path.exists() for path in left)
        checkout(manifest, shelf.store, tmp_path / "out", exact=True)

        assert [] == [path for path in left if path.exists()]

    def test_two_at_once(self, shelf: Shelf, manifest: Manifest, tmp_path: Path) -> None:
        """One checkout in the middle of another's, into the same place: both end well, and nothing is left of either."""
        done: list[int] = []

        def meanwhile(_: int) -> None:
            if not done:
                done.append(1)
                checkout(manifest, shelf.store, tmp_path / "out", exact=True)

        checkout(manifest, shelf.store, tmp_path / "out", progress=meanwhile)

        assert [] == list((tmp_path / "out").rglob(".*"))
        assert 300 == sum(path.is_file() for path in (tmp_path / "out").rglob("*"))


@cache
def many() -> Manifest:
    return build(Entry.file(f"{number:05}", Digest.of(b"x"), 1) for number in range(20_000)).manifest


class TestPart:
    @pytest.fixture
    def counted(self) -> tuple[Manifest, list[Digest]]:
        """A manifest of many segments, and which of them are read."""
        built, read = many(), list[Digest]()

        def note(digest: Digest) -> bytes:
            read.append(digest)
            return built.read(digest)

        return Manifest(built.segments, note, built.algorithm), read

    @pytest.mark.parametrize("path", ["00000", "00001", "09999", "19999"])
    def test_one_entry(self, counted: tuple[Manifest, list[Digest]], path: str) -> None:
        """One entry is found by reading a few segments of many, whatever its place."""
        manifest, read = counted
        found = selection.find(manifest, path)

        assert path == (found and found.path)
        assert len(manifest.segments).bit_length() + 1 >= len(read)
        assert 15 < len(manifest.segments)

    @pytest.mark.parametrize("path", ["", "0", "00000x", "2", "\udc80"])
    def test_an_entry_that_is_not_there(self, counted: tuple[Manifest, list[Digest]], path: str) -> None:
        """What is not there is not found."""
        assert None is selection.find(counted[0], path)

    @pytest.mark.parametrize(("prefix", "count"), [("0123", 10), ("000", 100), ("1", 10_000), ("19999", 1), ("3", 0), ("", 20_000)])
    def test_a_prefix(self, counted: tuple[Manifest, list[Digest]], prefix: str, count: int) -> None:
        """The entries below a prefix come in order, from the segments that hold them and the few that were asked the way."""
        manifest, read = counted
        found = [entry.path for entry in selection.below(manifest, prefix)]

        assert [path for path in (f"{number:05}" for number in range(20_000)) if path.startswith(prefix)] == found
        assert count == len(found)
        assert len(manifest.segments) + 1 >= len(read)
        if count <= 100:
            assert len(manifest.segments).bit_length() + 2 >= len(read)

    def test_a_checkout_of_one(self, shelf: Shelf, manifest: Manifest, tmp_path: Path) -> None:
        """The single file is all that lands."""
        checkout(manifest, shelf.store, tmp_path / "out", prefix="d1/100")

        assert ["d1", "d1/100"] == sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*"))


def test_nothing_is_remembered_without_a_place(tmp_path: Path) -> None:
    """A checkout without a memory writes none."""
    assert isinstance(StatCache().recall(tmp_path, "d"), Memory)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.fault("E13")
def test_what_is_verified_is_what_lands(shelf: Shelf, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are verified in memory or on their way into the very file that is renamed: a file planted under its name gains nothing."""
    real: Callable[..., None] = disk.rename
    planted: list[str] = []

    def rename(source: disk.Where, target: disk.Where, dir_fd: int | None = None) -> None:
        if not planted:
            planted.append(str(target))
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=dir_fd))
        real(source, target, dir_fd)

    monkeypatch.setattr(disk, "rename", rename)
    checkout(manifest, shelf.store, tmp_path / "out")

    assert 1 == len(planted)
    assert all(entry.digest == Digest.of((tmp_path / "out" / entry.path).read_bytes()) for entry in manifest)
