"""What is stored is what was given, whatever its checksum; what rotted is never served."""

import random
from pathlib import Path

import pytest
import xxhash

from storage.blob.memory import MemoryBackend
from storage.blob.pack import PACKED
from storage.blob.store import Store
from storage.digest import Blob, Digest
from storage.errors import BlobMissing, Corrupt
from storage.ledger import MemoryLedger
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
