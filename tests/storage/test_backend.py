"""Every place for bytes keeps the laws of places for bytes; a local directory keeps a few more."""

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.blob import disk
from storage.blob.local import LocalBackend
from storage.blob.memory import MemoryBackend
from storage.errors import BlobMissing, Corrupt, NotRemoved, ReadOnlyStore, StoreFull, Unavailable
from tests.contracts.backend import BackendContract, content, key_of, put, staged, use_in_a_fork


class TestMemory(BackendContract):
    @pytest.fixture
    def backend(self) -> MemoryBackend:
        return MemoryBackend()

    @pytest.mark.fault("G13")
    def test_what_cannot_be_removed_is_named(self, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of many keys those that stay are named with the reason, and all others are gone."""
        keys = put(backend, *[b"%d" % number for number in range(9)])
        remove = MemoryBackend.remove

        def refuse(self: MemoryBackend, key: str) -> None:
            if key in keys[2:4]:
                raise Unavailable("locked until tomorrow")
            remove(self, key)

        with monkeypatch.context() as patched:
            patched.setattr(MemoryBackend, "remove", refuse)
            with pytest.raises(NotRemoved, match="locked until tomorrow") as caught:
                backend.remove_many(keys)

        assert dict.fromkeys(keys[2:4], "locked until tomorrow") == caught.value.left
        assert set(keys[2:4]) == set(backend.objects)


class TestLocal(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> LocalBackend:
        return LocalBackend(tmp_path)

    @pytest.mark.fault("S11")
    def test_modes_do_not_depend_on_the_umask(self, backend: LocalBackend) -> None:
        """Staging is for its owner alone, objects are read-only, and no directory is writable for the world."""
        before = os.umask(0)
        try:
            staged(backend, b"waiting")
            [key] = put(backend, b"data", session="other")
        finally:
            os.umask(before)

        assert 0o700 == stat.S_IMODE((backend.root / "staging/s1").stat().st_mode)
        assert [0o600] == [stat.S_IMODE(path.stat().st_mode) for path in (backend.root / "staging/s1").iterdir()]
        assert 0o444 == stat.S_IMODE((backend.root / key).stat().st_mode)
        assert [] == [path for path in backend.root.rglob("*") if path.is_dir() and path.stat().st_mode & stat.S_IWOTH]

    @pytest.mark.fault("S02")
    def test_flushes_before_and_after_the_name(self, backend: LocalBackend, effects: list[tuple[str, str]]) -> None:
        """Each file is flushed before it is linked, and each directory that got a name after, once."""
        keys = put(backend, *[b"%d" % number for number in range(20)])
        steps = [effect for effect, _ in effects]
        directories = {str((backend.root / key).parent) for key in keys}
        flushed = [path for effect, path in effects if effect == "fsync directory"]

        assert 20 == steps.count("fsync") == steps.count("chmod")
        assert steps.index("link") > max(at for at, step in enumerate(steps) if step == "fsync")
        assert directories <= set(flushed)
        assert {str(backend.root), str(backend.root / "objects"), str(backend.root / "objects/d/blake3")} <= set(flushed)
        assert all(1 == flushed.count(directory) for directory in directories)

    @pytest.mark.fault("S02")
    def test_flushes_what_another_writer_published(self, backend: LocalBackend, effects: list[tuple[str, str]]) -> None:
        """Publishing to a key that exists flushes its name all the same: its writer may not have, though he flushed the file before."""
        [key] = put(LocalBackend(backend.root), b"data")
        effects.clear()
        put(backend, b"data")

        assert ("fsync", str(backend.root / key)) not in effects
        assert ("fsync directory", str((backend.root / key).parent)) in effects
        assert ("fsync directory", str(backend.root / "objects")) in effects

    def test_an_existing_object_of_another_size_is_rot(self, backend: LocalBackend) -> None:
        """A key whose file has another size than what is published is corrupt, and the file is left as it is."""
        [key] = put(backend, b"data")
        (backend.root / key).chmod(0o644)
        (backend.root / key).write_bytes(b"dat")
        with pytest.raises(Corrupt):
            put(backend, b"data")

        assert b"dat" == (backend.root / key).read_bytes()

    @pytest.mark.fault("H15")
    def test_quarantine_keeps_the_bytes(self, backend: LocalBackend) -> None:
        """What is moved aside is not served, and still on the disk."""
        [key] = put(backend, b"rotten")

        assert backend.quarantine(key)
        assert not backend.quarantine(key)
        with pytest.raises(BlobMissing):
            backend.read(key)
        assert [b"rotten"] == [path.read_bytes() for path in (backend.root / "quarantine").iterdir()]

    @pytest.mark.fault("S07")
    @pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EIO])
    def test_trouble_is_neither_absence_nor_rot(self, backend: LocalBackend, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """When the machine has run out of something, a key is not missing and not corrupt: the place is unavailable."""
        [key] = put(backend, b"data")

        def refuse(*_: object, **__: object) -> int:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refuse)
            with pytest.raises(Unavailable) as caught:
                backend.read(key)
        assert number == caught.value.errno
        assert b"data" == content(backend.read(key))

    def test_a_vanished_disk_is_not_absence(self, tmp_path: Path) -> None:
        """When the store's whole directory is gone, nothing is said about any key."""
        backend = LocalBackend(tmp_path / "gone")
        for call in (backend.read, backend.size, backend.remove, lambda _: backend.stage("s"), lambda _: list(backend.keys())):
            with pytest.raises(Unavailable):
                call(key_of(b"x"))

        assert not (tmp_path / "gone").exists()

    @pytest.mark.fault("S04", "S06", "S03")
    @pytest.mark.parametrize(
        ("number", "wanted"),
        [
            (errno.ENOSPC, StoreFull),
            (errno.EDQUOT, StoreFull),
            (errno.EROFS, ReadOnlyStore),
            (errno.EACCES, ReadOnlyStore),
            (errno.EIO, Unavailable),
            (errno.EMFILE, Unavailable),
        ],
    )
    def test_every_effect_may_fail(
        self,
        backend: LocalBackend,
        number: int,
        wanted: type[Unavailable],
        failing: Callable[[int, int], None],
        effects: list[tuple[str, str]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Whichever side effect of staging and publishing fails, the error is typed, no part is visible, and trying again works."""
        contents = [b"a" * 10, b"b" * 20]
        put(backend, *contents)
        total = sum(effect not in ("unlink", "rmdir") for effect, _ in effects)
        for at in range(total):
            fresh = backend.root / f"store{at}"
            fresh.mkdir()
            target = LocalBackend(fresh)
            failing(number, at)
            with pytest.raises(wanted):
                put(target, *contents)
            monkeypatch.setattr(disk, "observe", None)

            assert all(data in contents for data in (content(target.read(key)) for key, _ in target.keys()))  # noqa: SIM118  # no dictionary
            target.sweep("s1")
            assert [] == target.sessions()
            assert contents == [content(target.read(key)) for key in put(target, *contents)]

    def test_a_full_disk_says_how_full(self, backend: LocalBackend, failing: Callable[[int, int], None]) -> None:
        """The error of a full disk says how many bytes were needed and how many are free, and the piece is dropped."""
        piece = backend.stage("s1")
        failing(errno.ENOSPC, 0)
        with pytest.raises(StoreFull, match=r"12345 bytes needed, \d+ free"):
            piece.write(bytes(12345))

        assert [] == list((backend.root / "staging/s1").iterdir())

    def test_short_writes_are_completed(self, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        """A system that writes a few bytes at a time still gets all of them."""
        write = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
        [key] = put(backend, b"0123456789" * 5)

        assert b"0123456789" * 5 == content(backend.read(key))

    def test_two_writers_of_one_key(self, backend: LocalBackend) -> None:
        """Threads that publish the same keys at once all succeed, and leave one object each."""
        contents = [b"%d" % number * 100 for number in range(30)]
        threads = [threading.Thread(target=put, args=(backend, *contents), kwargs={"session": f"t{number}"}) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {key_of(data) for data in contents} == {key for key, _ in backend.keys()}  # noqa: SIM118  # no dictionary
        assert contents == [content(backend.read(key_of(data))) for data in contents]
        assert 1 == (backend.root / key_of(contents[0])).stat().st_nlink

    @pytest.mark.fault("S14")
    def test_a_forked_child_uses_the_same_handle(self, backend: LocalBackend) -> None:
        """A child of a fork publishes and reads through the handle it inherited."""
        use_in_a_fork(backend)

    def test_a_reader_who_leaves_early_leaves_no_descriptor(self, backend: LocalBackend) -> None:
        """A read that is begun, or not even begun, and given up leaves nothing open."""
        [key] = put(backend, bytes(5 << 20))
        before = len(list(Path("/proc/self/fd").iterdir()))
        backend.read(key)
        next(iter(backend.read(key)))

        assert before == len(list(Path("/proc/self/fd").iterdir()))
