"""What is stored is what was given, whatever its checksum; what rotted is never served."""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import xxhash

from storage.blob.memory import MemoryBackend
from storage.blob.pack import PACKED
from storage.blob.store import WHOLE, Store
from storage.digest import Blob, Digest
from storage.errors import BlobMissing, Corrupt, StorageError
from storage.ledger import BlobRecord
from storage.memory import MemoryLedger
from storage.transfer.checkout import checkout
from tests.faults.collision import pair
from tests.storage.conftest import ALONE, Shelf

WIDTHS = (241, 256, 300, 512, 1023, 1024, 1025, 1088, 2048, 4099, 16384, 70_000)


def test_round_trip(shelf: Shelf) -> None:
    """Bytes come back whole, by one call and in pieces, and the blob is there."""
    contents = [b"", b"x", bytes(3 << 20)]
    digests = shelf.put(*contents)

    assert contents == [shelf.store.read(digest) for digest in digests]
    assert contents == [b"".join(shelf.store.open(digest)) for digest in digests]
    assert all(shelf.store.has(digest) for digest in digests)


def test_unknown_and_uncommitted_blobs_are_missing(shelf: Shelf) -> None:
    """A digest nobody committed is missing, also while somebody is writing it, and in every other domain."""
    [digest] = shelf.put(b"here")
    with shelf.store.session() as session:
        waiting = session.take_bytes(b"waiting").digest
        session.publish()
        elsewhere = Store(shelf.backend, shelf.ledger, "elsewhere")
        for store, wanted in ((shelf.store, waiting), (shelf.store, Digest.of(b"never")), (elsewhere, digest)):
            assert not store.has(wanted)
            with pytest.raises(BlobMissing):
                store.read(wanted)
            with pytest.raises(BlobMissing):
                store.open(wanted)


def test_a_lost_object_is_missing(shelf: Shelf) -> None:
    """A live blob whose file somebody removed is missing; logging its content again brings it back."""
    [digest] = shelf.put(b"data")
    shelf.object(digest).unlink()

    assert not shelf.store.has(digest)
    with pytest.raises(BlobMissing):
        shelf.store.read(digest)
    shelf.put(b"data")
    assert b"data" == shelf.store.read(digest)


@pytest.mark.fault("H01")
def test_crafted_collisions_stay_two_blobs(shelf: Shelf, tree: Path, tmp_path: Path) -> None:
    """A thousand pairs of files made to have one checksum are two thousand blobs, and each comes back as itself."""
    wanted: dict[str, bytes] = {}
    for number in range(1000):
        one, other = pair(241 + number if number % 2 else WIDTHS[number // 2 % len(WIDTHS)], number)
        assert (one != other, xxhash.xxh3_64_digest(one), Blob.of(one).checksum) == (
            True,
            xxhash.xxh3_64_digest(other),
            Blob.of(other).checksum,
        )
        wanted |= {f"{number}.one": one, f"{number}.other": other}
    for name, data in wanted.items():
        (tree / name).write_bytes(data)
    manifest = shelf.log(tree)

    assert len(wanted) + len(manifest.segments) + 1 == shelf.stored.blobs
    assert len(wanted) == len({entry.digest for entry in manifest})
    assert all(wanted[entry.path] == shelf.store.read(entry.digest) for entry in manifest if entry.digest)
    checkout(manifest, shelf.store, tmp_path / "out")
    assert wanted == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


@pytest.mark.fault("H14", "H15", "I-31")
def test_every_flipped_bit_is_noticed(shelf: Shelf) -> None:
    """Whatever bit of an object flips, reading raises, names the blob, and keeps the bytes in quarantine; others still read."""
    source = random.Random(14)
    data = source.randbytes(3000)
    [good] = shelf.put(b"good")
    for count in range(200):
        [digest] = shelf.put(data)
        shelf.rot(digest, source.randrange(len(data) * 8))
        with pytest.raises(Corrupt, match=str(digest)):
            shelf.store.read(digest)
        with pytest.raises(BlobMissing):
            shelf.store.read(digest)

        assert count + 1 == len(list((shelf.backend.root / "quarantine").iterdir()))
    assert b"good" == shelf.store.read(good)
    assert data not in shelf.quarantined()


@pytest.mark.fault("H14")
@ALONE
@pytest.mark.parametrize("size", [10, 2 << 20])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x", lambda _: b""], ids=["cut", "grown", "emptied"])
def test_wrong_sizes_are_noticed(shelf: Shelf, size: int, change: object) -> None:
    """A file that lost or gained bytes is rotten, also when it is read in pieces: the error comes after the last of them."""
    [digest] = shelf.put(bytes(size))
    shelf.object(digest).chmod(0o644)
    shelf.object(digest).write_bytes(change(bytes(size)))  # type: ignore[operator]
    with pytest.raises(Corrupt):
        list(shelf.store.open(digest))

    assert [change(bytes(size))] == shelf.quarantined()  # type: ignore[operator]


@pytest.mark.parametrize("packed", [-1, PACKED])
def test_rot_without_a_quarantine(packed: int) -> None:
    """Where nothing can be moved aside, reading raises all the same, and the bytes stay."""
    ledger = MemoryLedger()

    class Plain(MemoryBackend):
        def quarantine(self, key: str) -> bool:
            return False

        def copy_aside(self, key: str, start: int, length: int) -> bool:
            return False

    backend = Plain()
    store = Store(backend, ledger, "d", packed=packed)
    with store.session() as session:
        blob = session.take_bytes(b"data")
        session.publish()
        ledger.commit(session.id, [blob.digest])
    [key] = backend.objects
    rotten = backend.objects[key] = backend.objects[key].replace(b"data", b"dat4")
    for _ in range(2):
        with pytest.raises(Corrupt, match="keeps no quarantine"):
            store.read(blob.digest)
    assert rotten == backend.objects[key]


def test_a_blob_that_was_reclaimed_and_logged_again(shelf: Shelf) -> None:
    """A blob that came back under another generation is read from there."""
    [digest] = shelf.put(b"data")
    shelf.ledger.reachable.clear()
    doomed = shelf.ledger.doom(shelf.ledger.unreachable())
    doomed += shelf.ledger.doom(shelf.ledger.empty_packs())
    shelf.put(b"data")
    for record in doomed:
        if record.pack is None:
            (shelf.backend.root / record.key).unlink()

    assert b"data" == shelf.store.read(digest)
    assert 1 == shelf.store.locate([digest])[digest].generation


def test_a_blob_that_moves_while_it_is_asked_for(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the ledger's answer is overtaken by a reclaim and a new commit, the reader asks once more and gets the bytes."""
    [digest] = shelf.put(b"data")
    stale = shelf.store.locate([digest])
    shelf.ledger.reachable.clear()
    shelf.ledger.doom(shelf.ledger.unreachable())
    shelf.object(digest).unlink()
    shelf.put(b"data")
    find, answers = shelf.ledger.find, [stale]
    monkeypatch.setattr(shelf.ledger, "find", lambda domain, digests: answers.pop() if answers else find(domain, digests))

    assert b"data" == shelf.store.read(digest)
    assert [] == answers


def test_sha256_stores(shelf: Shelf) -> None:
    """A store made with another algorithm names everything by it."""
    store = Store(shelf.backend, shelf.ledger, "d", "sha256")
    with store.session() as session:
        blob = session.take_bytes(b"data")
        session.publish()
        shelf.ledger.commit(session.id, [blob.digest])

    assert Blob.of(b"data", "sha256") == blob
    assert b"data" == store.read(Digest.parse("sha256:3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"))


class Counting(MemoryBackend):
    """A place in memory that counts what it is asked for; far away unless it says otherwise."""

    is_near = False

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int, int | None]] = []

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.asked.append((key, start, length))
        return super().read(key, start, length)


class Close(Counting):
    """The same, near by."""

    is_near = True


def packed_store(backend: MemoryBackend, contents: Sequence[bytes]) -> tuple[Store, list[BlobRecord]]:
    """A store with these bytes in it, all taken in one session, and their records."""
    ledger = MemoryLedger()
    store = Store(backend, ledger, "d")
    with store.session() as session:
        digests = [session.take_bytes(data).digest for data in contents]
        session.publish()
        ledger.commit(session.id, digests)
    found = store.locate(digests)
    return store, [found[digest] for digest in digests]


SMALL_ONES = [number.to_bytes(4, "big") * 2048 for number in range(2000)]


class TestManyAtOnce:
    @pytest.mark.parametrize(("backend", "most"), [(Counting(), 2), (Close(), 17)], ids=["far", "near"])
    def test_neighbours_are_read_together(self, backend: Counting, most: int) -> None:
        """Two thousand small files of a pack are a few reads of bounded size; one of them alone is one read of its own bytes."""
        store, records = packed_store(backend, SMALL_ONES)
        backend.asked.clear()
        found = {record.blob.digest: data for record, data in store.read_many(records[::-1])}

        assert SMALL_ONES == [found[record.blob.digest] for record in records]
        assert most >= len(backend.asked) >= 1
        assert 16 << 20 >= max(length or 0 for _, _, length in backend.asked)

        backend.asked.clear()
        assert [(records[7], SMALL_ONES[7])] == list(store.read_many([records[7], records[7]]))
        assert SMALL_ONES[8] == store.read(records[8].blob.digest)
        assert [(records[each].key, records[each].start, 8192) for each in (7, 8)] == backend.asked

    def test_what_lies_far_apart_is_read_apart(self) -> None:
        """Nobody's bytes between two small files are read along only when they are few."""
        backend = Close()
        store, records = packed_store(backend, SMALL_ONES)
        backend.asked.clear()
        list(store.read_many([records[0], records[2], records[100]]))

        assert [3 * 8192, 8192] == [length for _, _, length in backend.asked]

    @pytest.mark.fault("I-31", "H14")
    def test_one_rotten_of_many(self, shelf: Shelf) -> None:
        """One that rotted is named; the others, read in the same breath, still come when somebody listens, and otherwise it ends there."""
        digests = shelf.put_together(*SMALL_ONES[:50])
        records = list(shelf.store.locate(digests).values())
        shelf.rot(digests[20], 77)
        wrong: list[tuple[BlobRecord, StorageError]] = []
        came = dict(shelf.store.read_many(records, lambda record, error: wrong.append((record, error))))

        assert {digests[20]} == set(digests) - {record.blob.digest for record in came}
        assert [(digests[20], Corrupt)] == [(record.blob.digest, type(error)) for record, error in wrong]
        assert str(digests[20]) in str(wrong[0][1])
        with pytest.raises((BlobMissing, Corrupt), match=digests[20].value[2:]):
            list(shelf.store.read_many(records))

    def test_a_pack_that_is_gone(self) -> None:
        """When a pack is lost every blob in it is missing by its own name, and blobs elsewhere come."""
        backend = Close()
        store, records = packed_store(backend, SMALL_ONES[:3])
        del backend.objects[records[0].key]
        wrong: list[Digest] = []

        assert [] == list(store.read_many(records, lambda record, _: wrong.append(record.blob.digest)))
        assert {record.blob.digest for record in records} == set(wrong)

    @pytest.mark.fault("H08", "R27")
    def test_what_comes_from_far_has_its_identity_checked(self) -> None:
        """Bytes from a far place that have the recorded checksum and not the digest are refused, one by one and many at once."""
        backend = Counting()
        store, [record] = packed_store(backend, [b"right"])
        [key] = backend.objects
        backend.objects[key] = backend.objects[key].replace(b"right", b"wrong")
        lying = replace(record, blob=Blob.of(b"wrong")._replace(digest=record.blob.digest))

        for read in (lambda: list(store.read_many([lying])), lambda: list(store.pieces(lying))):
            with pytest.raises(Corrupt, match=str(record.blob.digest)):
                read()


class TestAsAFile:
    @pytest.mark.parametrize("size", [0, 5000, WHOLE + 12345])
    def test_it_is_read_from_any_place(self, shelf: Shelf, size: int) -> None:
        """A blob opened as a file, small or large, gives the bytes of any range, from either end."""
        data = random.Random(size).randbytes(size)
        [digest] = shelf.put(data)
        with shelf.store.open_file(shelf.store.locate([digest])[digest]) as file:
            assert (True, True, size) == (file.seekable(), file.readable(), file.seek(0, os.SEEK_END))
            for start, length in ((0, 10), (size // 2, 4000), (max(0, size - 3), 100), (size + 5, 1)):
                file.seek(start)
                assert data[start : start + length] == file.read(length)
            file.seek(0)
            assert data == file.read()

    @pytest.mark.fault("H14")
    @pytest.mark.parametrize("size", [5000, WHOLE + 12345])
    def test_rot_is_told_before_the_first_byte(self, shelf: Shelf, size: int) -> None:
        """A rotten blob does not open, wherever in it the rot is."""
        [digest] = shelf.put(bytes(size))
        shelf.rot(digest, size * 8 - 1)
        record = shelf.store.locate([digest])[digest]
        with pytest.raises(Corrupt, match=str(digest)):
            shelf.store.open_file(record)
