"""A writer's session takes what was really read, stores nothing twice, and leaves nothing behind."""

import errno
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.blob import session as sessions
from storage.blob import source
from storage.blob.intake import SMALL
from storage.blob.local import LocalBackend
from storage.blob.memory import MemoryBackend
from storage.blob.session import Count, Session, sweep_dead
from storage.blob.source import stamp_of
from storage.blob.store import Store
from storage.digest import Blob
from storage.errors import BlobMissing, Missing, Refused, SourceChanged, StoreFull, Unavailable, UnsafeLink, UnsupportedFile
from storage.ledger import BlobState
from storage.memory import MemoryLedger
from storage.transfer.ingest import ingest_file, ingest_tree, store_manifest
from storage.transfer.scan import scan
from tests.storage.conftest import ALONE, Shelf

LARGE = SMALL + 12345


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(LARGE))
    return path


class TestTaking:
    def test_a_session_costs_nothing_until_it_is_used(self, shelf: Shelf, effects: list[tuple[str, str]]) -> None:
        """Opening, publishing and closing an unused session touches neither disk nor ledger."""
        with shelf.store.session() as session:
            session.publish()
            assert [] == list(session.take_files([]))
            session.keep([])
            session.settle([Blob.of(b"never assumed").digest])
            assert set() == session.hold_segments([])

        assert ([], {}) == (effects, shelf.ledger.pins)

    def test_counts_what_was_stored_and_what_was_known(self, shelf: Shelf) -> None:
        """The second time, in the same session or the next, bytes are known and nothing is written."""
        with shelf.store.session() as session:
            blobs = [session.take_bytes(data) for data in (b"one", b"three", b"one")]
            assert (Count(2, 8), Count(1, 3)) == (session.stored, session.known)
            session.publish()
            session.take_bytes(b"one")
            shelf.ledger.commit(session.id, [blob.digest for blob in blobs])
        with shelf.store.session() as session:
            session.take_bytes(b"three")
            assert (Count(), Count(1, 5)) == (session.stored, session.known)

    @pytest.mark.fault("I-24")
    def test_logging_again_writes_nothing(
        self, shelf: Shelf, tree: Path, effects: list[tuple[str, str]], untouched: Callable[[Path], object]
    ) -> None:
        """A directory that did not change is taken without one write, and its files are never modified."""
        for number in range(50):
            (tree / f"{number}").write_bytes(b"%d" % number * 100)
        (tree / "big").write_bytes(bytes(LARGE))
        before = untouched(tree)
        first = shelf.log(tree)
        effects.clear()
        second = shelf.log(tree)

        assert (first.digest, Count()) == (second.digest, shelf.stored)
        assert {path for effect, path in effects if effect == "link"} == set()
        assert before == untouched(tree)

    @pytest.mark.parametrize("stable", [False, True])
    def test_large_files(self, shelf: Shelf, big: Path, stable: bool, effects: list[tuple[str, str]]) -> None:
        """A large file is stored as it is; again, its copy is dropped, and with `stable` none is made."""
        for is_first in (True, False):
            effects.clear()
            with shelf.store.session() as session:
                taken = session.take_file(big, stable=stable)
                session.publish()
                shelf.ledger.commit(session.id, [taken.blob.digest])
                assert ((1, 0) if is_first else (0, 1)) == (session.stored.blobs, session.known.blobs)
            assert (is_first or not stable) == any(effect == "write" for effect, _ in effects)

        assert Blob.of(big.read_bytes()) == taken.blob
        assert big.read_bytes() == shelf.store.read(taken.blob.digest)
        assert [] == shelf.leftovers()

    def test_many_files_in_order(self, shelf: Shelf, tree: Path) -> None:
        """Files small, large and equal are answered in the order they were asked, and every byte is reported."""
        contents = [b"a", bytes(LARGE), b"", b"a", os.urandom(SMALL), os.urandom(SMALL + 1)] + [b"%d" % number for number in range(100)]
        for number, data in enumerate(contents):
            (tree / f"{number}").write_bytes(data)
        (tree / "7").chmod(0o755)
        told: list[int] = []
        with shelf.store.session() as session:
            taken = list(session.take_files([tree / f"{number}" for number in range(len(contents))], told.append))
            session.publish()
            shelf.ledger.commit(session.id, [])

        assert [Blob.of(data) for data in contents] == [one.blob for one in taken]
        assert [number == 7 for number in range(len(contents))] == [one.executable for one in taken]
        assert [stamp_of((tree / f"{number}").stat()) for number in range(len(contents))] == [one.stamp for one in taken]
        assert sum(map(len, contents)) == sum(told)
        assert all(data == shelf.store.read(one.blob.digest) for data, one in zip(contents, taken, strict=True))

    def test_asks_for_many_in_one_question(self, shelf: Shelf, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A thousand small files are one question to the ledger, and one change when they are known: no matter how they rest."""
        asked: list[tuple[str, int]] = []
        for name in ("find", "pin", "place"):
            real = getattr(MemoryLedger, name)

            def counting(self: MemoryLedger, *given: object, name: str = name, real: Callable[..., object] = real) -> object:
                asked.append((name, len(given[-1])))  # type: ignore[arg-type]
                return real(self, *given)

            monkeypatch.setattr(MemoryLedger, name, counting)
        for number in range(1000):
            (tree / f"{number}").write_bytes(b"%d" % number)
        together = shelf.store.packed > 0
        for wanted in (
            [("find", 1000), ("place", 1000)] if together else [("pin", 1000)],
            [("find", 1000), ("pin", 1000)] if together else [("pin", 1000)],
        ):
            asked.clear()
            with shelf.store.session() as session:
                taken = list(session.take_files(sorted(tree.iterdir())))
                session.publish()
                shelf.ledger.commit(session.id, [one.blob.digest for one in taken])
            assert wanted == asked

    def test_files_stream(self, shelf: Shelf, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Files are read as their answers are asked for, not all at once; what was answered is stored when it is published."""
        monkeypatch.setattr(sessions, "_FILES", 10)
        for number in range(500):
            (tree / f"{number}").write_bytes(b"%d" % number)
        with shelf.store.session() as session:
            answers = session.take_files([tree / f"{number}" for number in range(500)])
            first = [next(answers).blob for _ in range(7)]
            (tree / "499").unlink()
            with pytest.raises(Missing):
                list(answers)
            session.publish()
            shelf.ledger.commit(session.id, [blob.digest for blob in first])

        assert [b"%d" % number for number in range(7)] == [shelf.store.read(blob.digest) for blob in first]

    def test_a_rotten_or_lost_object_is_stored_again(self, shelf: Shelf) -> None:
        """A live blob whose file is gone or has another size counts as absent: logging its content heals the store."""
        lost, cut = shelf.put(b"lost", b"cut short")
        shelf.object(lost).unlink()
        shelf.object(cut).chmod(0o644)
        shelf.object(cut).write_bytes(b"cut")
        shelf.put(b"lost", b"cut short")

        assert [b"lost", b"cut short"] == [shelf.store.read(lost), shelf.store.read(cut)]
        assert [b"cut"] == shelf.quarantined()

    def test_what_another_session_uploads_counts_as_absent(self, shelf: Shelf) -> None:
        """Bytes another writer has published and not committed are stored again: his commit may never come."""
        with shelf.store.session() as one, shelf.store.session() as other:
            one.take_bytes(b"same")
            one.publish()
            other.take_bytes(b"same")
            assert Count(1, 4) == other.stored
            other.publish()
            shelf.ledger.commit(other.id, [Blob.of(b"same").digest])

        assert b"same" == shelf.store.read(Blob.of(b"same").digest)

    @pytest.mark.fault("H10")
    def test_empty_files_and_directories(self, shelf: Shelf, tree: Path) -> None:
        """An empty file is a blob of its own, an empty directory an entry, an empty tree a manifest."""
        empty = shelf.log(tree)
        (tree / "nothing").write_bytes(b"")
        (tree / "hollow").mkdir()
        manifest = shelf.log(tree)

        assert (0, 0) == (len(empty), empty.size)
        assert ["hollow", "nothing"] == [entry.path for entry in manifest]
        assert b"" == shelf.store.read(Blob.of(b"").digest)
        assert empty.digest != manifest.digest


class TestKeeping:
    def test_kept_blobs_are_protected(self, shelf: Shelf) -> None:
        """A blob that a base version brings along cannot be reclaimed while the session is open."""
        [digest] = shelf.put(b"base")
        shelf.ledger.reachable.clear()
        with shelf.store.session() as session:
            session.keep([Blob.of(b"base")])
            assert [] == shelf.ledger.unreachable()

        assert [digest] == [record.blob.digest for record in shelf.ledger.unreachable()]

    def test_keeping_what_is_not_there(self, shelf: Shelf) -> None:
        """Blobs that are not live are listed, and asking for them leaves no trace."""
        with shelf.store.session() as session, pytest.raises(BlobMissing, match=str(Blob.of(b"gone").digest)):
            session.keep([Blob.of(b"gone")])

        assert [] == list(shelf.ledger.records())


class TestAssuming:
    """A caller remembers what a file's bytes were, and the session does not read it again."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        (tmp_path / "source").write_bytes(b"content")
        return tmp_path / "source"

    def test_what_is_stored_is_not_read(self, shelf: Shelf, tmp_path: Path) -> None:
        """What was assumed and is stored is pinned when it is settled, and counts as known; its source is not even opened."""
        [digest] = shelf.put(b"content")
        shelf.ledger.reachable.clear()
        with shelf.store.session() as session:
            session.assume(Blob.of(b"content"), str(tmp_path / "not there"))
            assert (Count(), Count(1, 7)) == (session.stored, session.known)
            session.settle([digest, digest, Blob.of(b"other").digest])
            session.settle([digest])
            assert (Count(), Count(1, 7), []) == (session.stored, session.known, shelf.ledger.unreachable())

    @pytest.mark.fault("I-01", "G02")
    def test_what_is_not_stored_is_read(self, shelf: Shelf, source: Path) -> None:
        """What was assumed and is not live, or has lost its bytes, is taken from its source, and is no different then."""
        blob = Blob.of(b"content")
        for is_lost in (False, True):
            with shelf.store.session() as session:
                session.assume(blob, str(source))
                session.settle([blob.digest])
                assert (Count(1, 7), Count()) == (session.stored, session.known)
                session.publish()
                shelf.ledger.commit(session.id, [blob.digest])
            assert b"content" == shelf.store.read(blob.digest)
            if not is_lost:
                shelf.object(blob.digest).unlink()

    @pytest.mark.fault("F08", "F15")
    def test_what_changed_is_refused(self, shelf: Shelf, source: Path) -> None:
        """What has to be read again and holds other bytes than were assumed is refused, and leaves nothing."""
        with shelf.store.session() as session:
            session.assume(Blob.of(b"before"), str(source))
            with pytest.raises(SourceChanged, match="source"):
                session.settle([Blob.of(b"before").digest])
        assert ([], []) == (list(shelf.ledger.records()), shelf.leftovers())

    @pytest.mark.fault("I-07", "G02")
    def test_a_held_segment_protects_what_it_lists(self, shelf: Shelf) -> None:
        """Segments that are known are held in one question; what they list needs no word, stays, and can be committed again."""
        blobs = [Blob.of(data) for data in (b"one", b"two", b"segment")]
        with shelf.store.session() as session:
            session.take_blobs([(blob, data) for blob, data in zip(blobs, (b"one", b"two", b"segment"), strict=True)])
            session.publish()
            shelf.ledger.commit(session.id, [], {blobs[2].digest: [blobs[0].digest, blobs[1].digest]})
        with shelf.store.session() as session:
            for blob in blobs[:2]:
                session.assume(blob, "/not/there")
            assert {blobs[2].digest} == session.hold_segments([blobs[2].digest, blobs[0].digest])
            assert ([], Count(3, 13)) == (shelf.ledger.unreachable(), session.known)
            session.publish()
            shelf.ledger.commit(session.id, [blobs[2].digest])
        assert [] == shelf.ledger.unreachable()

    def test_a_segment_without_bytes_is_not_held(self, shelf: Shelf) -> None:
        """A segment whose own bytes are gone is not held: taking it again heals it."""
        with shelf.store.session() as session:
            blob = session.take_bytes(b"segment")
            session.publish()
            shelf.ledger.commit(session.id, [], {blob.digest: []})
        shelf.object(blob.digest).unlink()
        with shelf.store.session() as session:
            assert set() == session.hold_segments([blob.digest])
            session.take_bytes(b"segment")
            session.publish()
            shelf.ledger.commit(session.id, [])
        assert b"segment" == shelf.store.read(blob.digest)


class TestSources:
    @pytest.mark.fault("F01", "F05", "F06", "F10")
    @pytest.mark.timeout(10)
    @pytest.mark.parametrize(
        ("make", "wanted"),
        [
            (os.mkfifo, UnsupportedFile),
            (os.mkdir, UnsupportedFile),
            (lambda path: path.symlink_to("/etc/passwd"), UnsafeLink),
            (lambda path: path.symlink_to(path), UnsafeLink),
            (lambda _: None, Missing),
        ],
        ids=["pipe", "directory", "link", "loop", "absent"],
    )
    def test_only_regular_files_are_read(self, shelf: Shelf, tmp_path: Path, make: Callable[[Path], None], wanted: type[Exception]) -> None:
        """What is no regular file at the moment it is opened is refused, without waiting and without a trace."""
        make(tmp_path / "it")
        with shelf.store.session() as session:
            with pytest.raises(wanted, match="it"):
                session.take_file(tmp_path / "it")
            with pytest.raises(wanted):
                list(session.take_files([str(tmp_path / "it")]))

        assert ([], []) == (shelf.leftovers(), list(shelf.ledger.records()))

    @pytest.mark.fault("F05", "F06")
    @pytest.mark.timeout(10)
    @pytest.mark.parametrize(("path", "wanted"), [("/dev/zero", UnsupportedFile), ("/proc/self/stat", SourceChanged)])
    def test_endless_files_end(self, shelf: Shelf, path: str, wanted: type[Exception]) -> None:
        """A device, and a file that gives more bytes than it says it has, are refused."""
        with shelf.store.session() as session, pytest.raises(wanted):
            session.take_file(Path(path))

    @pytest.mark.fault("F03")
    def test_a_link_the_caller_names_is_followed(self, shelf: Shelf, tmp_path: Path) -> None:
        """Adding one file by the name of a link adds what it points to."""
        (tmp_path / "real").write_bytes(b"data")
        (tmp_path / "link").symlink_to("real")
        with shelf.store.session() as session:
            assert Blob.of(b"data").digest == ingest_file(tmp_path / "link", "name", session).digest

    @pytest.mark.fault("F08")
    @pytest.mark.parametrize("size", [2000, LARGE])
    def test_a_file_that_always_changes(self, shelf: Shelf, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file written to in the middle of every reading is given up after a few, and nothing is stored."""
        path = tmp_path / "busy"
        path.write_bytes(bytes(size))
        seen: list[int] = []
        read = source.read

        read_into = source.Source.read_into

        def write(at: int) -> None:
            seen.append(at)
            with path.open("r+b") as file:
                file.write(os.urandom(8))

        def busy(fd: int, length: int, path: Path) -> bytes:
            piece = read(fd, length, path)
            write(len(piece))
            return piece

        def busy_into(self: source.Source, buffer: memoryview) -> int:
            count = read_into(self, buffer)
            write(count)
            return count

        monkeypatch.setattr(source, "read", busy)
        monkeypatch.setattr(source.Source, "read_into", busy_into)
        with shelf.store.session() as session, pytest.raises(SourceChanged, match="busy"):
            session.take_file(path)

        assert [size] * source.TRIES == [count for count in seen if count == size]
        assert ([], []) == (shelf.leftovers(), list(shelf.ledger.records()))

    @pytest.mark.fault("F08")
    @pytest.mark.parametrize("change", ["grow", "shrink"])
    def test_a_file_that_changes_once(self, shelf: Shelf, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that grew or shrank while it was read is read again, and what it holds then is stored."""
        path = tmp_path / "busy"
        path.write_bytes(b"x" * 1000)
        read, done = source.read, []

        def once(fd: int, length: int, _: Path) -> bytes:
            piece = read(fd, length, path)
            if not done:
                done.append(True)
                path.write_bytes(b"y" * (2000 if change == "grow" else 10))
            return piece

        monkeypatch.setattr(source, "read", once)
        with shelf.store.session() as session:
            taken = session.take_file(path)

        assert Blob.of(path.read_bytes()) == taken.blob

    @pytest.mark.fault("F08")
    def test_whatever_is_stored_is_what_was_hashed(self, shelf: Shelf, tmp_path: Path) -> None:
        """While a thread keeps flipping bytes, every digest that is given names exactly the bytes that are stored."""
        small, large, stop = tmp_path / "small", tmp_path / "large", threading.Event()
        small.write_bytes(bytes(5000))
        large.write_bytes(bytes(LARGE))

        def flip() -> None:
            with small.open("r+b") as one, large.open("r+b") as other:
                while not stop.is_set():
                    for file, size in ((one, 5000), (other, LARGE)):
                        file.seek(int.from_bytes(os.urandom(4)) % size)
                        file.write(os.urandom(1))
                        file.flush()

        writer = threading.Thread(target=flip)
        writer.start()
        try:
            for path in [small] * 40 + [large] * 3:
                with shelf.store.session() as session:
                    try:
                        blob = session.take_file(path).blob
                    except SourceChanged:
                        continue
                    session.publish()
                    shelf.ledger.commit(session.id, [])
                assert blob == Blob.of(shelf.store.read(blob.digest))
        finally:
            stop.set()
            writer.join()

    @pytest.mark.fault("F15", "H17")
    def test_times_are_not_believed(self, shelf: Shelf, tree: Path) -> None:
        """Content changed in place, with size and times put back, is noticed."""
        (tree / "file").write_bytes(b"before")
        about = (tree / "file").stat()
        first = shelf.log(tree)
        (tree / "file").write_bytes(b"after!")
        os.utime(tree / "file", ns=(about.st_atime_ns, about.st_mtime_ns))
        second = shelf.log(tree)

        assert first.digest != second.digest
        assert b"after!" == shelf.store.read(second.entries["file"].digest)  # type: ignore[arg-type]

    @pytest.mark.fault("F14", "I-24")
    def test_a_tree_becomes_entries(self, shelf: Shelf, tree: Path, untouched: Callable[[Path], object]) -> None:
        """Files, their executable bits, links and empty directories come in under a prefix; the tree is not touched."""
        (tree / "bin").mkdir()
        (tree / "bin/run").write_bytes(b"#!")
        (tree / "bin/run").chmod(0o711)
        (tree / "again").symlink_to("bin/run")
        (tree / "void").mkdir()
        before = untouched(tree)
        with shelf.store.session() as session:
            entries = {entry.path: entry for entry in ingest_tree(scan(tree), session, prefix="v1/x")}
            stored = store_manifest(entries.values(), session)

        assert {"v1/x/again", "v1/x/bin/run", "v1/x/void"} == set(entries)
        assert ("v1/x/bin/run", True) == (entries["v1/x/again"].target, entries["v1/x/bin/run"].executable)
        assert 3 == len(stored.manifest)
        assert before == untouched(tree)


class TestEnding:
    def test_closing_drops_everything(self, shelf: Shelf, big: Path) -> None:
        """A session that is not committed leaves no staging and no pins; closing again is fine, and using it is not."""
        session = shelf.store.session()
        session.take_bytes(b"data")
        session.take_file(big)
        session.close()
        session.close()

        assert ([], {}, []) == (shelf.leftovers(), shelf.ledger.pins, shelf.backend.sessions())
        with pytest.raises(Refused, match="closed"):
            session.take_bytes(b"more")

    @pytest.mark.fault("S10")
    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
    def test_interrupts_leave_nothing(self, shelf: Shelf, big: Path, error: type[BaseException]) -> None:
        """Whatever ends the block, the session is closed and its staging is gone."""
        with pytest.raises(error), shelf.store.session() as session:  # noqa: PT012  # the block is what is tested
            session.take_bytes(b"data")
            session.take_file(big)
            raise error

        assert ([], {}) == (shelf.leftovers(), shelf.ledger.pins)

    def test_closing_after_a_commit_is_harmless(self, shelf: Shelf) -> None:
        """The blobs of a committed session stay."""
        [digest] = shelf.put(b"data")

        assert BlobState.LIVE is shelf.ledger.rows["d", digest].state
        assert [] == shelf.leftovers()

    @pytest.mark.fault("S14")
    def test_a_forked_child_has_no_part_in_it(self, shelf: Shelf) -> None:
        """A child that inherits an open session can neither use it nor harm it by closing it."""
        with shelf.store.session() as session:
            blob = session.take_bytes(b"data")
            child = os.fork()
            if not child:
                try:
                    session.close()
                    session.take_bytes(b"more")
                except Refused:
                    os._exit(0)
                finally:
                    os._exit(1)
            assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            session.publish()
            shelf.ledger.commit(session.id, [blob.digest])

        assert b"data" == shelf.store.read(blob.digest)

    @pytest.mark.fault("S10")
    @ALONE
    def test_a_dead_writers_staging_is_swept(self, shelf: Shelf) -> None:
        """The next session sweeps what dead writers left, and what nobody owns; the living keep theirs."""
        dead, alive = shelf.store.session(), shelf.store.session()
        dead.take_bytes(b"dead")
        alive.take_bytes(b"alive")
        shelf.ledger.dead.add(dead.id)
        shelf.backend.stage("committed-then-killed").close()
        other = shelf.store.session()
        other.take_bytes(b"other")

        assert sorted([alive.id, other.id]) == shelf.backend.sessions()
        assert [] == shelf.ledger.dead_sessions()
        alive.publish()
        alive.close()
        other.close()

    def test_sweeping_leaves_what_it_may_not_touch(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        """Staging of another user that cannot be removed does not stop anybody; its session stays to be swept later."""
        session = shelf.store.session()
        session.take_bytes(b"theirs")
        shelf.ledger.dead.add(session.id)

        def refuse(_: str) -> None:
            raise Unavailable("not yours")

        monkeypatch.setattr(shelf.backend, "sweep", refuse)
        assert [] == sweep_dead(shelf.backend, shelf.ledger)
        assert [session.id] == shelf.ledger.dead_sessions()

    def test_far_backends_are_not_asked_for_every_small_blob(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where asking costs a round trip, the ledger's word is enough for small blobs."""

        class Far(MemoryBackend):
            is_near = False

            def size(self, key: str) -> int:
                raise AssertionError(key)

        backend, ledger = Far(), MemoryLedger()
        store = Store(backend, ledger, "d")
        for _ in range(2):
            with store.session() as session:
                blob = session.take_bytes(b"data")
                session.publish()
                ledger.commit(session.id, [blob.digest])
        assert Count(1, 4) == session.known


class TestFullDisk:
    @pytest.mark.fault("S04", "I-26")
    def test_every_effect_may_fail(
        self,
        shelf: Shelf,
        tree: Path,
        big: Path,
        effects: list[tuple[str, str]],
        failing: Callable[[int, int], None],
        untouched: Callable[[Path], object],
    ) -> None:
        """Wherever the disk fills up, the error says so, nothing is half there, sources are untouched, and a retry works."""
        (tree / "a").write_bytes(b"a")
        (tree / "b").write_bytes(b"b")
        before = untouched(tree)

        def write(session: Session) -> None:
            list(session.take_files([tree / "a", tree / "b", big]))
            session.publish()

        with shelf.store.session() as session:
            write(session)
            total = sum(effect not in ("unlink", "rmdir") for effect, _ in effects)
        for at in range(total):
            root = shelf.backend.root.parent / f"store{at}"
            root.mkdir()
            store = Store(LocalBackend(root), MemoryLedger(), "d", packed=shelf.store.packed)
            failing(errno.ENOSPC, at)
            with store.session() as session, pytest.raises(StoreFull):
                write(session)
            assert [] == [path for path in (root / "staging").rglob("*") if path.is_file()]
            assert {Blob.of(path.read_bytes()).digest.value[2:] == path.name for path in root.rglob("objects/**/*") if path.is_file()} <= {
                True
            }
            failing(0, 10**9)
            with store.session() as session:
                write(session)
        assert before == untouched(tree)

    @pytest.mark.fault("S04")
    @ALONE
    def test_a_failed_batch_is_not_believed_stored(self, shelf: Shelf, failing: Callable[[int, int], None]) -> None:
        """When staging stopped half-way, trying again in the same session stores the rest: pinned is not stored."""
        contents = [b"%d" % number for number in range(5)]
        with shelf.store.session() as session:
            failing(errno.ENOSPC, 6)
            with pytest.raises(StoreFull):
                session.take_blobs([(Blob.of(data), data) for data in contents])
            failing(0, 10**9)
            session.take_blobs([(Blob.of(data), data) for data in contents])
            session.publish()
            shelf.ledger.commit(session.id, [])

        assert contents == [shelf.store.read(Blob.of(data).digest) for data in contents]

    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        root = tmp_path / "disk"
        root.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(root)], check=False, capture_output=True).returncode:
            pytest.skip("mounting a small file system needs a privilege")
        yield root
        subprocess.run(["umount", str(root)], check=True)

    @pytest.mark.fault("S04")
    def test_a_really_full_disk(self, small_disk: Path, tmp_path: Path) -> None:
        """On a disk that is too small the error says what was needed and what is free; afterwards all of it is free again."""
        (tmp_path / "source").write_bytes(os.urandom(8 << 20))
        store = Store(LocalBackend(small_disk), MemoryLedger(), "d")
        with store.session() as session, pytest.raises(StoreFull, match="bytes needed"):
            session.take_file(tmp_path / "source")
        with store.session() as session:
            blob = session.take_bytes(bytes(3 << 20))
            session.publish()
            store.ledger.commit(session.id, [blob.digest])  # type: ignore[attr-defined]

        assert bytes(3 << 20) == store.read(blob.digest)
