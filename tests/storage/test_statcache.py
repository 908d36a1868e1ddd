"""What is remembered of a tree is right or nothing: a file that might have changed is read again."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.blob import disk
from storage.digest import Blob
from storage.transfer import statcache
from storage.transfer.statcache import ROOTS, Memory, StatCache, packed, stamp_of

HOUR = 3_600_000_000_000


@pytest.fixture
def cache(tmp_path: Path) -> StatCache:
    return StatCache(tmp_path / "cache/trees", "store")


def write(tree: Path, **files: str) -> None:
    for name, text in files.items():
        (tree / name).write_text(text)


def note(memory: Memory, tree: Path, *names: str, how: str = "note") -> None:
    """Read files and remember them."""
    for name in names:
        getattr(memory, how)(name, stamp_of((tree / name).stat()), Blob.of((tree / name).read_bytes()))


def remember(cache: StatCache, tree: Path, *names: str, domain: str = "d") -> None:
    memory = cache.recall(tree, domain)
    note(memory, tree, *names)
    memory.keep()


def find(cache: StatCache, tree: Path, name: str, domain: str = "d") -> Blob | None:
    return cache.recall(tree, domain).find(name, stamp_of((tree / name).stat()))


@pytest.mark.usefixtures("later")
class TestUnchanged:
    def test_is_found(self, cache: StatCache, tree: Path) -> None:
        """A file that looks as it did is the blob it was, with digest, size and checksum."""
        write(tree, a="one", b="two", ä="three")
        remember(cache, tree, "b", "a", "ä")

        assert [Blob.of(b"one"), Blob.of(b"two"), Blob.of(b"three")] == [find(cache, tree, name) for name in "abä"]

    def test_many_at_once(self, cache: StatCache, tree: Path) -> None:
        """Asked for all files in path order, each that is unchanged is found, whatever came and went beside it."""
        write(tree, a="1", c="2", d="3", f="4")
        remember(cache, tree, "a", "c", "d", "f")
        (tree / "c").unlink()
        write(tree, b="new", d="changed", e="new", g="new")
        names = ["a", "b", "d", "e", "f", "g"]
        memory = cache.recall(tree, "d")
        places = memory.find_all(names, [packed(stamp_of((tree / name).stat())) for name in names])

        assert [True, False, False, False, True, False] == [place is not None for place in places]
        assert [Blob.of(b"1"), Blob.of(b"4")] == [memory.blob(place) for place in places if place is not None]

    def test_all_at_once(self, cache: StatCache, tree: Path) -> None:
        """When nothing changed everything is found."""
        write(tree, a="1", b="2")
        remember(cache, tree, "a", "b")
        memory = cache.recall(tree, "d")
        places = memory.find_all(["a", "b"], [packed(stamp_of((tree / name).stat())) for name in "ab"])

        assert [Blob.of(b"1"), Blob.of(b"2")] == [memory.blob(place) for place in places if place is not None]

    def test_is_kept_without_writing(self, cache: StatCache, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A memory in which nothing changed is not written again."""
        write(tree, a="1")
        remember(cache, tree, "a")
        memory = cache.recall(tree, "d")
        memory.find("a", stamp_of((tree / "a").stat()))
        seen: list[str] = []
        monkeypatch.setattr(disk, "observe", lambda effect, _: seen.append(effect))
        memory.keep()

        assert ["utime"] == seen


@pytest.mark.usefixtures("later")
class TestChanged:
    @pytest.mark.fault("F15")
    def test_an_edit_that_puts_mtime_back(self, cache: StatCache, tree: Path) -> None:
        """An edit in place of the same size whose mtime is set back is seen: ctime cannot be."""
        write(tree, a="one")
        before = (tree / "a").stat()
        remember(cache, tree, "a")
        write(tree, a="two")
        os.utime(tree / "a", ns=(before.st_atime_ns, before.st_mtime_ns))

        assert (before.st_mtime_ns, before.st_size) == ((tree / "a").stat().st_mtime_ns, (tree / "a").stat().st_size)
        assert find(cache, tree, "a") is None

    @pytest.mark.parametrize("field", range(5))
    def test_every_field_counts(self, cache: StatCache, tree: Path, field: int) -> None:
        """Another device, inode, size, mtime or ctime is another file."""
        write(tree, a="one")
        remember(cache, tree, "a")
        stamp = list(stamp_of((tree / "a").stat()))
        assert cache.recall(tree, "d").find("a", (stamp[0], stamp[1], stamp[2], stamp[3], stamp[4])) is not None
        stamp[field] += 1

        assert cache.recall(tree, "d").find("a", (stamp[0], stamp[1], stamp[2], stamp[3], stamp[4])) is None

    def test_what_was_noted_anew_replaces_what_was_known(self, cache: StatCache, tree: Path) -> None:
        """A changed file that was read is remembered as it is now, the others as they were."""
        write(tree, a="1", b="2", c="3")
        remember(cache, tree, "a", "b", "c")
        write(tree, b="new")
        memory = cache.recall(tree, "d")
        for name in "ac":
            memory.find(name, stamp_of((tree / name).stat()))
        note(memory, tree, "b")
        memory.keep()

        assert [Blob.of(b"1"), Blob.of(b"new"), Blob.of(b"3")] == [find(cache, tree, name) for name in "abc"]

    def test_removed_files_are_forgotten(self, cache: StatCache, tree: Path) -> None:
        """What was not met is gone; with a part of the tree named, only what lies in that part."""
        names = ["a", "data-1", "data-2"]
        write(tree, **dict.fromkeys(names, "x"))
        remember(cache, tree, *names)
        for under, left in (("data", ["a", "data-1"]), ("", ["data-1"])):
            memory = cache.recall(tree, "d")
            memory.find("data-1", stamp_of((tree / "data-1").stat()))
            memory.keep(under)

            assert left == [name for name in names if find(cache, tree, name)]


@pytest.mark.fault("F15")
class TestYoung:
    def test_what_changed_about_when_it_was_read(self, cache: StatCache, tree: Path) -> None:
        """A file written just before, or since, is not remembered: an edit within the same tick of the clock could not be seen."""
        write(tree, before="x")
        memory = cache.recall(tree, "d")
        write(tree, since="x")
        note(memory, tree, "before", "since")
        memory.keep()

        assert [None, None] == [find(cache, tree, name) for name in ("before", "since")]

    @pytest.mark.parametrize(
        ("stamp", "now", "is_old"),
        [
            ((1, 2, 3, 5, 10 * HOUR + 1), (1, 10 * HOUR + 1 + statcache.TICK), False),
            ((1, 2, 3, 5, 10 * HOUR + 1), (1, 10 * HOUR + 2 + statcache.TICK), True),
            ((1, 2, 3, 10 * HOUR + 1, 5), (1, 10 * HOUR + 1), False),
            ((1, 2, 3, HOUR, 10 * HOUR), (1, 10 * HOUR + statcache.COARSE), False),
            ((1, 2, 3, HOUR, 10 * HOUR), (1, 10 * HOUR + 1 + statcache.COARSE), True),
            ((1, 2, 3, 5, 10 * HOUR + 1), (9, 10 * HOUR + 1 + statcache.COARSE), False),
            ((1, 2, 3, 5, 10 * HOUR + 1), (9, 10 * HOUR + 2 + statcache.COARSE), True),
            ((1, 2, 3, 5, 5), None, False),
        ],
    )
    def test_how_old_is_old(self, stamp: statcache.Stamp, now: tuple[int, int] | None, is_old: bool) -> None:
        """Older than a tick by the clock of its own disk; than two seconds where times are whole or the clock is another's."""
        assert is_old is statcache._is_old(packed(stamp), now)

    def test_what_this_process_made(self, cache: StatCache, tree: Path, tmp_path: Path) -> None:
        """A file that was made and put in place here is remembered as soon as the clock has moved on."""
        memory = cache.recall(tree, "d")
        write(tree, a="made")
        note(memory, tree, "a", how="note_made")
        made = (tree / "a").stat().st_ctime_ns
        while made + 2 * statcache.TICK >= (statcache._now(tmp_path) or (0, 0))[1]:
            time.sleep(0.002)
        memory.keep()

        assert Blob.of(b"made") == find(cache, tree, "a")

    @pytest.mark.usefixtures("later")
    @pytest.mark.parametrize("back", [True, False])
    def test_a_clock_that_was_set_back(self, cache: StatCache, tree: Path, back: bool) -> None:
        """What was kept later than it is now is not believed, for the times of then come again; as soon as it was read anew it is."""
        write(tree, a="one")
        remember(cache, tree, "a")
        [file] = (cache.directory or tree).iterdir()
        kept = (statcache._now(tree) or (0, 0))[1] + 2 * statcache.TICK * (1 if back else -1)
        os.utime(file, ns=(kept, kept))

        assert (None if back else Blob.of(b"one")) == find(cache, tree, "a")
        remember(cache, tree, "a")
        assert Blob.of(b"one") == find(cache, tree, "a")

    def test_times_no_clock_shows(self, cache: StatCache, tree: Path) -> None:
        """A time beyond what is kept makes a file one that is always read."""
        stamp = (1, 2, 3, 1 << 70, 5)
        memory = cache.recall(tree, "d")
        memory.note("a", stamp, Blob.of(b"abc"))
        memory.keep()

        assert b"" == packed(stamp)
        assert cache.recall(tree, "d").find("a", stamp) is None


@pytest.mark.usefixtures("later")
class TestWhatIsWrongIsEmpty:
    @pytest.fixture
    def file(self, cache: StatCache, tree: Path) -> Path:
        write(tree, a="one")
        remember(cache, tree, "a")
        [file] = (cache.directory or tree).iterdir()
        return file

    def test_every_flipped_bit(self, cache: StatCache, tree: Path, file: Path) -> None:
        """A bit flipped anywhere makes it empty, and nothing raises."""
        data = file.read_bytes()
        for at in range(len(data)):
            file.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
            assert find(cache, tree, "a") is None

    @pytest.mark.parametrize("cut", [0, 1, 20, 40, 100, -1])
    def test_cut_off(self, cache: StatCache, tree: Path, file: Path, cut: int) -> None:
        """Half a file is no file, and the next writer replaces it."""
        file.write_bytes(file.read_bytes()[:cut])
        assert find(cache, tree, "a") is None
        remember(cache, tree, "a")
        assert Blob.of(b"one") == find(cache, tree, "a")

    def test_another_tree_store_or_domain(self, cache: StatCache, tree: Path, file: Path) -> None:
        """What was remembered for one store, domain and root says nothing about another, even under its name."""
        (tree / "sub").mkdir()
        (tree / "sub/a").hardlink_to(tree / "a")
        for other, root, domain in ((StatCache(cache.directory, "x"), tree, "d"), (cache, tree, "e"), (cache, tree / "sub", "d")):
            stamp = stamp_of((tree / "a").stat())
            assert other.recall(root, domain).find("a", stamp) is None
            remember(other, root, domain=domain)
            for place in (cache.directory or tree).iterdir():
                if place != file:
                    place.write_bytes(file.read_bytes())
            assert other.recall(root, domain).find("a", stamp) is None

    def test_a_directory_in_its_place(self, cache: StatCache, tree: Path, file: Path) -> None:
        """What cannot be read or written is empty, and keeping changes nothing."""
        file.unlink()
        file.mkdir()
        remember(cache, tree, "a")
        assert find(cache, tree, "a") is None

    def test_the_root_by_another_name(self, cache: StatCache, tree: Path, file: Path) -> None:
        """A tree reached through a link is the same tree."""
        (tree.parent / "door").symlink_to(tree)
        assert Blob.of(b"one") == find(cache, tree.parent / "door", "a")


@pytest.mark.usefixtures("later")
class TestKeeping:
    def test_nothing_is_remembered_without_a_directory(self, tree: Path) -> None:
        """Where there is no home nothing is kept, and nothing is found."""
        write(tree, a="one")
        remember(StatCache(), tree, "a")
        assert find(StatCache(), tree, "a") is None

    @pytest.mark.parametrize("effect", ["mkdir", "open", "write", "rename", "utime"])
    def test_a_disk_that_refuses(self, cache: StatCache, tree: Path, monkeypatch: pytest.MonkeyPatch, effect: str) -> None:
        """A memory that cannot be written is no error, and leaves nothing lying about."""
        write(tree, a="one")

        def observe(name: str, path: str) -> None:
            if name == effect:
                raise OSError(28, "injected", path)

        monkeypatch.setattr(disk, "observe", observe)
        for _ in range(2):
            remember(cache, tree, "a")
        monkeypatch.undo()

        assert [] == list(tree.parent.rglob("*.partial"))

    def test_writers_at_once(self, cache: StatCache, tree: Path) -> None:
        """Of writers that write at once one wins, and what stands there is whole at every moment."""
        write(tree, a="one", b="two")
        found: list[Blob | None] = []

        def work(name: str) -> None:
            for _ in range(20):
                remember(cache, tree, name)
                found.append(find(cache, tree, name))

        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {Blob.of(b"one"), Blob.of(b"two")} == {blob for blob in found if blob is not None}
        assert 1 == len(list((cache.directory or tree).iterdir()))

    def test_the_longest_unused_trees_are_forgotten(self, cache: StatCache, tree: Path) -> None:
        """No more than so many trees are remembered, however many there were."""
        write(tree, a="one")
        directory = cache.directory or tree
        directory.mkdir(parents=True)
        for number in range(ROOTS + 50):
            (directory / f"{number:032x}").write_bytes(b"")
            os.utime(directory / f"{number:032x}", ns=(number, number))
        remember(cache, tree, "a")
        left = {path.name for path in directory.iterdir()}

        assert ROOTS == len(left)
        assert f"{0:032x}" not in left
        assert Blob.of(b"one") == find(cache, tree, "a")


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("change", [lambda path: path.chmod(0o600), lambda path: path.write_text("new"), lambda path: path.touch()])
def test_anything_done_to_a_file_makes_it_read_again(cache: StatCache, tree: Path, change: Callable[[Path], object]) -> None:
    """A mode, content or time that changed is seen."""
    write(tree, a="one")
    remember(cache, tree, "a")
    before = stamp_of((tree / "a").stat())
    while stamp_of((tree / "a").stat()) == before:  # until the clock has moved on
        change(tree / "a")

    assert find(cache, tree, "a") is None
