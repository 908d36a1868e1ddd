"""Large files come in through a few buffers, holes left out, shared where the file system can, and never as anything they were not."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.blob import disk, intake, pipeline
from storage.blob.local import LocalBackend
from storage.blob.memory import MemoryBackend
from storage.blob.session import Session
from storage.blob.store import Store
from storage.digest import Blob
from storage.errors import Corrupt, SourceChanged, StoreFull, TooLarge, Unavailable
from storage.memory import MemoryLedger
from tests.storage.conftest import ALONE, Shelf


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are large already when they are small."""
    monkeypatch.setattr(intake, "SMALL", 100)
    monkeypatch.setattr(pipeline, "STEP", 1000)
    monkeypatch.setattr(pipeline, "_THREADED", 3000)


def kept(shelf: Shelf, path: Path) -> Path:
    """Commit a file; the object that holds it."""
    with shelf.store.session() as session:
        taken = session.take_file(path)
        session.publish()
        shelf.ledger.commit(session.id, [taken.blob.digest])
    return shelf.object(taken.blob.digest)


@ALONE
@pytest.mark.usefixtures("tight")
@pytest.mark.parametrize("size", [101, 999, 1000, 1001, 2999, 3000, 3001, 4000, 50_123])
def test_every_size(shelf: Shelf, tmp_path: Path, size: int) -> None:
    """Whatever the size is beside that of the buffers, the bytes and both digests are right."""
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    with shelf.store.session() as session:
        taken = session.take_file(tmp_path / "file")
        assert Blob.of(data) == taken.blob == intake.measure(intake.Source(tmp_path / "file"), "blake3")
        session.publish()
        shelf.ledger.commit(session.id, [])
    assert data == shelf.store.read(taken.blob.digest)


@ALONE
@pytest.mark.fault("S04")
@pytest.mark.usefixtures("tight")
@pytest.mark.parametrize("at", range(2, 9))
def test_a_disk_that_fills_up_in_the_middle(shelf: Shelf, tmp_path: Path, failing: Callable[[int, int], None], at: int) -> None:
    """Whatever write of a large file is refused, in whatever thread, the caller is told, and nothing is left."""
    (tmp_path / "file").write_bytes(os.urandom(20_000))
    with shelf.store.session() as session:
        session.take_bytes(b"opens the session")
        failing(errno.ENOSPC, at)
        with pytest.raises(StoreFull):
            session.take_file(tmp_path / "file")
        failing(0, 10**9)
        assert Blob.of((tmp_path / "file").read_bytes()) == session.take_file(tmp_path / "file").blob
    assert [] == shelf.leftovers()


@ALONE
@pytest.mark.fault("F07")
@pytest.mark.parametrize("data", [[], [(0, b"begin")], [(40 << 20, b"middle")], [(1 << 20, b"x" * 100_000), ((64 << 20) - 3, b"end")]])
def test_holes_stay_holes(shelf: Shelf, tmp_path: Path, data: list[tuple[int, bytes]]) -> None:
    """A sparse file of 64 MiB takes no more room in the store than where it came from, and is the same, hole for byte."""
    path, size = tmp_path / "sparse", 64 << 20
    with path.open("wb") as file:
        for at, piece in data:
            file.seek(at)
            file.write(piece)
        file.truncate(size)
    if path.stat().st_blocks * 512 > size // 2:
        pytest.skip("this file system keeps no holes")
    stored = kept(shelf, path)

    assert (size, True) == (stored.stat().st_size, stored.stat().st_blocks <= path.stat().st_blocks + 64)
    assert 0 == subprocess.run(["cmp", str(path), str(stored)], check=False).returncode
    with shelf.store.session() as session:
        assert (1, 0) == (session.take_file(path).blob.size // size, session.stored.blobs)


class TestCloning:
    @pytest.fixture
    def clones(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """A file system that can clone, as far as a copy can stand for that: every clone that was made."""
        made: list[str] = []

        def clone(source: int, fd: int, path: Path) -> bool:
            made.append(str(path))
            os.pwrite(fd, os.pread(source, os.fstat(source).st_size, 0), 0)
            return True

        monkeypatch.setattr(disk, "clone", clone)
        return made

    @pytest.mark.usefixtures("tight")
    def test_a_clone_is_not_copied(self, shelf: Shelf, tmp_path: Path, clones: list[str], effects: list[tuple[str, str]]) -> None:
        """Where files can be cloned nothing is written, and what is hashed is what the clone holds."""
        (tmp_path / "file").write_bytes(data := os.urandom(20_000))
        assert data == kept(shelf, tmp_path / "file").read_bytes()
        assert (1, []) == (len(clones), [path for effect, path in effects if effect == "write"])
        assert data == shelf.store.read(Blob.of(data).digest)

    @pytest.mark.fault("F08")
    @pytest.mark.usefixtures("tight", "clones")
    def test_a_source_that_changes_after_it_was_cloned(self, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that is written to while its clone is hashed is read again, and given up when that goes on."""
        path = tmp_path / "file"
        path.write_bytes(os.urandom(20_000))
        run = intake._run

        def busy(source: intake.Source, pipeline: pipeline.Pipeline) -> Blob:
            with path.open("ab") as file:
                file.write(b"more")
            return run(source, pipeline)

        monkeypatch.setattr(intake, "_run", busy)
        with shelf.store.session() as session, pytest.raises(SourceChanged):
            session.take_file(path)
        assert [] == shelf.leftovers()

    @pytest.mark.usefixtures("tight")
    def test_a_file_system_is_tried_once(self, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where files cannot be cloned that is found out with the first, and not asked again."""
        asked: list[int] = []
        monkeypatch.setattr(disk, "clone", lambda source, *_: bool(asked.append(source)))
        for number in range(3):
            (tmp_path / f"{number}").write_bytes(os.urandom(5000))
            kept(shelf, tmp_path / f"{number}")
        assert 1 == len(asked)

    @pytest.fixture
    def reflinking(self, tmp_path: Path) -> Iterator[Path]:
        if shutil.which("mkfs.xfs") is None:
            pytest.skip("mkfs.xfs is not installed")
        image, root = tmp_path / "image", tmp_path / "xfs"
        root.mkdir()
        with image.open("wb") as file:
            file.truncate(400 << 20)
        subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", str(image)], check=True)
        if subprocess.run(["mount", "-o", "loop", str(image), str(root)], check=False, capture_output=True).returncode:
            pytest.skip("mounting needs a privilege")
        yield root
        subprocess.run(["umount", str(root)], check=True)

    def test_really(self, reflinking: Path, effects: list[tuple[str, str]]) -> None:
        """On a file system that can, a large file is stored by sharing its bytes, and stays what it was when the source is changed."""
        (reflinking / "store").mkdir()
        store = Store(LocalBackend(reflinking / "store"), ledger := MemoryLedger(), "d")
        (reflinking / "source").write_bytes(data := os.urandom(30 << 20))
        with store.session() as session:
            blob = session.take_file(reflinking / "source").blob
            session.publish()
            ledger.commit(session.id, [])
        with (reflinking / "source").open("r+b") as file:
            file.write(b"changed")

        assert (Blob.of(data), data) == (blob, store.read(blob.digest))
        assert ["clone"] == [effect for effect, _ in effects if effect in ("write", "clone")]


class TestNetworkDisks:
    @pytest.mark.fault("F18")
    @pytest.mark.usefixtures("tight")
    @pytest.mark.parametrize("size", [50, 20_000])
    @pytest.mark.parametrize("often", [1, 2])
    def test_a_stale_file_is_opened_again_once(
        self, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, often: int
    ) -> None:
        """ESTALE in the middle of reading: opened anew the file is read; when it happens again, the error says so, and nothing is left."""
        (tmp_path / "file").write_bytes(data := os.urandom(size))
        left = [often]

        def stale(real: Callable[..., object]) -> Callable[..., object]:
            def read(*given: object) -> object:
                if left[0]:
                    left[0] -= 1
                    raise OSError(errno.ESTALE, "Stale file handle")
                return real(*given)

            return read

        for name in ("read", "readv"):
            monkeypatch.setattr(os, name, stale(getattr(os, name)))
        with shelf.store.session() as session:
            if often == 1:
                assert Blob.of(data) == session.take_file(tmp_path / "file").blob
            else:
                with pytest.raises(Unavailable, match="file"):
                    session.take_file(tmp_path / "file")
        assert [] == shelf.leftovers()

    @pytest.mark.fault("F18", "S08")
    @pytest.mark.usefixtures("tight")
    @pytest.mark.parametrize("size", [90, 20_000])
    def test_short_reads_are_gone_on_with(self, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
        """A disk that gives a few bytes at a time gives all of them in the end."""
        (tmp_path / "file").write_bytes(data := os.urandom(size))
        read, readv = os.read, os.readv
        monkeypatch.setattr(os, "read", lambda fd, length: read(fd, min(length, 7)))
        monkeypatch.setattr(os, "readv", lambda fd, buffers: readv(fd, [buffers[0][:777]]))
        with shelf.store.session() as session:
            assert Blob.of(data) == session.take_file(tmp_path / "file").blob


class Far(MemoryBackend):
    """Memory that is said to be far: what is staged for a key is told."""

    is_near = False

    def __init__(self) -> None:
        super().__init__()
        self.keys_ahead: list[str] = []
        self.published: list[list[str]] = []
        self.removed: list[list[str]] = []

    def stage(self, session: str, key: str | None = None):  # type: ignore[no-untyped-def]
        self.keys_ahead += [] if key is None else [key]
        return super().stage(session)

    def publish(self, staged):  # type: ignore[no-untyped-def]
        self.published.append([key for _, key in staged])
        super().publish(staged)

    def remove_many(self, keys):  # type: ignore[no-untyped-def]
        self.removed.append(list(keys))
        super().remove_many(keys)


class TestFar:
    @pytest.fixture
    def far(self) -> Store:
        return Store(Far(), MemoryLedger(), "d")

    @pytest.mark.usefixtures("tight")
    def test_a_large_file_is_sent_under_its_key(self, far: Store, tmp_path: Path) -> None:
        """Hashed first, sent while it is hashed again, under the key it will have; known bytes are not sent at all."""
        (tmp_path / "file").write_bytes(data := os.urandom(200_000))
        backend, keys = far.backend, []
        assert isinstance(backend, Far)
        for _ in range(2):
            with far.session() as session:
                blob = session.take_file(tmp_path / "file").blob
                keys.append(session.record(blob.digest).key)
                session.publish()
                far.ledger.commit(session.id, [blob.digest])  # type: ignore[attr-defined]
        assert ([keys[0]], data) == (backend.keys_ahead, far.read(blob.digest))

    @pytest.mark.fault("F08")
    @pytest.mark.usefixtures("tight")
    @pytest.mark.parametrize("often", [1, 10])
    def test_a_file_that_changes_between_the_readings(
        self, far: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, often: int
    ) -> None:
        """Other bytes the second time are not published: the file is read anew, and given up when it never rests."""
        path, left, pour = tmp_path / "file", [often], intake.pour
        path.write_bytes(os.urandom(200_000))

        def changing(*given: object, **named: object) -> Blob:
            if left[0]:
                left[0] -= 1
                path.write_bytes(os.urandom(200_000))
                with intake.Source(path) as source:
                    return pour(source, *given[1:], **named)  # type: ignore[arg-type]
            return pour(*given, **named)  # type: ignore[arg-type]

        monkeypatch.setattr("storage.blob.session.pour", changing)
        with far.session() as session:
            if often == 1:
                blob = session.take_file(path).blob
                session.publish()
                assert session.lost.isdisjoint({blob.digest})
                far.ledger.commit(session.id, [blob.digest])  # type: ignore[attr-defined]
                assert path.read_bytes() == far.read(blob.digest)
            else:
                with pytest.raises(SourceChanged, match="between two readings"):
                    session.take_file(path)
        assert {} == far.backend.staging  # type: ignore[attr-defined]

    @pytest.mark.fault("I-26")
    @pytest.mark.parametrize("commits", [True, False])
    def test_packs_are_sent_while_others_are_filled(self, far: Store, monkeypatch: pytest.MonkeyPatch, *, commits: bool) -> None:
        """Full packs do not wait for the end; what was sent by a session that gives up is removed in one call."""
        monkeypatch.setattr("storage.blob.batch.FULL", 10_000)
        contents = [os.urandom(1000) for _ in range(95)]
        backend = far.backend
        assert isinstance(backend, Far)
        with far.session() as session:
            for data in contents:
                session.take_bytes(data)
            session._outgoing._sender.close()
            assert 8 <= len(backend.published)
            assert {1} == {len(keys) for keys in backend.published}
            session.publish()
            assert (10, 10) == (len(backend.published), len(backend.objects))
            if commits:
                far.ledger.commit(session.id, [Blob.of(data).digest for data in contents])  # type: ignore[attr-defined]
        if commits:
            assert contents == [far.read(Blob.of(data).digest) for data in contents]
        assert ([] if commits else [10], 0 if commits else 10) == ([len(keys) for keys in backend.removed], 10 - len(backend.objects))
        assert commits == bool(list(far.ledger.records()))

    @pytest.mark.fault("F16")
    def test_what_no_object_can_hold_is_refused_unread(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file of more bytes than the place keeps in one object is refused at once, not after days of sending."""

        class Limited(Far):
            largest = 5 << 40

        path, store = tmp_path / "huge", Store(Limited(), MemoryLedger(), "d")
        with path.open("wb") as file:
            try:
                file.truncate((5 << 40) + 1)
            except OSError:
                pytest.skip("this file system has no files of 5 TiB")
        monkeypatch.setattr(os, "readv", lambda *_: pytest.fail("it was read"))
        with store.session() as session, pytest.raises(TooLarge, match=str(5 << 40)):
            session.take_file(path)
        assert [] == list(store.ledger.records())


@pytest.mark.fault("H16")
@pytest.mark.parametrize("size", [50, 5_000_000])
@pytest.mark.parametrize("packed", [-1, 1000])
def test_a_byte_that_turns_over_on_the_way(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, size: int, packed: int) -> None:
    """Between hashing and writing a bit flips: a store that is told to look finds it before anything is committed; the next try is right."""
    store = Store(shelf.backend, shelf.ledger, "d", packed=packed, paranoid=True)
    good, bad = os.urandom(60), os.urandom(size)
    write = disk.write

    def flipping(fd: int, data: bytes, path: Path) -> None:
        rotten = bytearray(data)
        if (at := rotten.find(bad[:40])) >= 0:
            rotten[at + 20] ^= 4
        write(fd, rotten, path)

    with store.session() as session:
        session.take_bytes(good)
        monkeypatch.setattr(disk, "write", flipping)
        digest = session.take_bytes(bad).digest
        with pytest.raises(Corrupt, match="memory or disk"):
            session.publish()
        monkeypatch.setattr(disk, "write", write)
        assert digest in session.lost
        _again(session, good, bad)
        shelf.ledger.commit(session.id, [digest])
    assert [good, bad] == [store.read(Blob.of(data).digest) for data in (good, bad)]
    assert 1 == len(shelf.quarantined())


def _again(session: Session, *contents: bytes) -> None:
    for data in contents:
        session.take_bytes(data)
    session.publish()
    assert frozenset() == session.lost
