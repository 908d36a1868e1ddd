"""Small blobs rest together: few files, few flushes, each blob still a blob of its own, and one that rots takes no other with it."""

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.blob import batch as batches
from storage.blob.local import LocalBackend
from storage.blob.memory import MemoryBackend
from storage.blob.pack import PACKED, TAG, Member, PackWriter, read_footer
from storage.blob.session import Count, sweep_dead
from storage.digest import Blob, Digest
from storage.errors import BlobMissing, Corrupt, StoreFull
from storage.ledger import BlobState
from storage.transfer.checkout import checkout
from storage.upkeep.reclaim import EMPTY, REASONS, carry_out, plan
from storage.upkeep.verify import verify_store
from tests.storage.conftest import TOGETHER, Shelf

pytestmark = TOGETHER


def written(*contents: bytes) -> tuple[bytes, tuple[Member, ...]]:
    """The bytes of a pack with these contents, and its members."""
    backend = MemoryBackend()
    writer = PackWriter(backend.stage("s"))
    for data in contents:
        writer.append(Blob.of(data), data)
    pack = writer.finish()
    [data] = backend.staging["s"].values()
    assert pack.blob == Blob.of(data)
    return bytes(data), pack.members


def footer_of(data: bytes) -> tuple[Member, ...]:
    return read_footer(lambda start, length: data[start : start + length], len(data))


@pytest.fixture
def shelf_is_not_asked(shelf: Shelf) -> None:
    """The format is tested without a store."""


@pytest.mark.usefixtures("shelf_is_not_asked")
class TestFormat:
    def test_a_pack_says_what_is_in_it(self) -> None:
        """Members, empty and large ones too, are listed with the place where their bytes really are."""
        contents = [b"", b"x", os.urandom(PACKED), bytes(3 << 20), b"end"]
        data, members = written(*contents)

        assert members == footer_of(data)
        assert contents == [data[member.start : member.start + member.blob.size] for member in members]
        assert data.startswith(TAG)
        assert data.endswith(TAG)

    def test_only_its_ends_are_read(self) -> None:
        """The list is found from the end: of a large pack next to nothing is read."""
        data, members = written(bytes(2 << 20), b"x")
        read: list[int] = []

        def ranged(start: int, length: int) -> bytes:
            read.append(length)
            return data[start : start + length]

        assert members == read_footer(ranged, len(data))
        assert 1000 > sum(read)

    @pytest.mark.fault("H14")
    def test_every_flipped_bit_outside_the_members_is_noticed(self) -> None:
        """Whatever bit of header, footer or trailer flips, the pack is corrupt; no footer of another list is believed."""
        data, members = written(b"one", b"two")
        inside = range(members[0].start, members[-1].start + members[-1].blob.size)
        for at in range(len(data)):
            rotten = bytearray(data)
            rotten[at] ^= 1 << at % 8
            if at in inside:
                assert members == footer_of(bytes(rotten))
                continue
            with pytest.raises(Corrupt):
                footer_of(bytes(rotten))

    @pytest.mark.fault("H14")
    def test_every_cut_is_noticed(self) -> None:
        """A pack that lost its end, wherever, is corrupt, as is one that gained something."""
        data, _ = written(b"one", b"two")
        for wrong in [data[:size] for size in range(len(data))] + [data + b"x", TAG, TAG * 3, data[:-1] + b"\0"]:
            with pytest.raises(Corrupt):
                footer_of(wrong)


class TestWriting:
    def test_thousands_of_files_are_a_few(self, shelf: Shelf, tree: Path, tmp_path: Path, effects: list[tuple[str, str]]) -> None:
        """Logging two thousand small files makes one object and a handful of flushes; all of them come back."""
        for number in range(2000):
            (tree / f"{number}").write_bytes(b"%d" % number * 20)
        effects.clear()
        manifest = shelf.log(tree)

        assert 1 == len(list(shelf.backend.keys()))
        assert 12 > sum(effect.startswith("fsync") for effect, _ in effects)
        assert 1 == len({path for effect, path in effects if effect == "link"})
        checkout(manifest, shelf.store, tmp_path / "out")
        assert {path.name: path.read_bytes() for path in tree.iterdir()} == {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
        assert verify_store(shelf.backend, shelf.ledger, deep=True).is_sound

    def test_what_is_small(self, shelf: Shelf) -> None:
        """Up to the limit blobs go into the pack, one byte more and a blob has an object of its own; domains have packs of their own."""
        small, large, empty = shelf.put_together(bytes(PACKED), bytes(PACKED + 1), b"")
        rows = shelf.ledger.find("d", [small, large, empty])

        assert (True, False, True) == tuple(rows[digest].pack is not None for digest in (small, large, empty))
        assert [bytes(PACKED), bytes(PACKED + 1), b""] == [shelf.store.read(digest) for digest in (small, large, empty)]
        assert ["objects/d/blake3", "objects/d/packs"] == sorted(key[:16].rstrip("/") for key, _ in shelf.backend.keys())  # noqa: SIM118  # no dictionary

    def test_a_full_pack_is_finished(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        """When a pack is full another is begun; both are published together, and everything reads back."""
        monkeypatch.setattr(batches, "FULL", 1000)
        contents = [b"%d" % number * 200 for number in range(10, 20)]
        digests = shelf.put_together(*contents)

        assert 4 == len(list(shelf.backend.keys()))
        assert contents == [shelf.store.read(digest) for digest in digests]

    def test_own_bytes_are_read_before_the_commit(self, shelf: Shelf) -> None:
        """What a session published it can read itself, before anybody else can; what it takes afterwards goes into another pack."""
        with shelf.store.session() as session:
            for data in (b"one", b"two"):
                blob = session.take_bytes(data)
                session.publish()
                assert data == b"".join(shelf.store.pieces(session.record(blob.digest)))
                assert not shelf.store.has(blob.digest)
            shelf.ledger.commit(session.id, [Blob.of(b"one").digest])
        assert [b"one", b"two"] == [shelf.store.read(Blob.of(data).digest) for data in (b"one", b"two")]
        assert 2 == len(list(shelf.backend.keys()))

    def test_two_sessions_pack_the_same(self, shelf: Shelf) -> None:
        """Two writers that pack the same new bytes at once, alike or not, both keep what they promised."""
        with shelf.store.session() as one, shelf.store.session() as other, shelf.store.session() as third:
            for session, contents in ((one, [b"same", b"one"]), (other, [b"other", b"same"]), (third, [b"same", b"one"])):
                for data in contents:
                    session.take_bytes(data)
                session.publish()
            for session in (one, other, third):
                shelf.ledger.commit(session.id, [Blob.of(data).digest for data in (b"same", b"one", b"other")])
        assert [b"same", b"one", b"other"] == [shelf.store.read(Blob.of(data).digest) for data in (b"same", b"one", b"other")]
        assert verify_store(shelf.backend, shelf.ledger).is_sound
        carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger)
        assert verify_store(shelf.backend, shelf.ledger).is_sound

    @pytest.mark.fault("I-26")
    def test_what_is_not_committed_leaves_nothing(self, shelf: Shelf) -> None:
        """A session that published a pack and never committed it takes it back when it closes."""
        [kept] = shelf.put(b"kept")
        with shelf.store.session() as session:
            for data in (b"kept", b"new", b"newer"):
                session.take_bytes(data)
            session.publish()
            assert 2 == len(list(shelf.backend.keys()))
        assert [shelf.object(kept).relative_to(shelf.backend.root).as_posix()] == [key for key, _ in shelf.backend.keys()]  # noqa: SIM118
        assert (1, 1, []) == (len(shelf.ledger.rows), len(shelf.ledger.containers), shelf.leftovers())

    @pytest.mark.fault("S03", "S04")
    def test_a_disk_that_fills_up_loses_nothing_taken(self, shelf: Shelf, failing: Callable[[int, int], None]) -> None:
        """Wherever publishing a pack fails, its flush too, publishing again when there is space stores all that was taken, in a new file."""
        for at in range(14):
            contents = [b"%d %d" % (at, number) for number in range(5)]
            with shelf.store.session() as session:
                for data in contents:
                    session.take_bytes(data)
                failing(errno.ENOSPC, at)
                try:
                    session.publish()
                except StoreFull:
                    failing(0, 10**9)
                    session.publish()
                failing(0, 10**9)
                assert frozenset() == session.lost
                shelf.ledger.commit(session.id, [Blob.of(data).digest for data in contents])
            assert contents == [shelf.store.read(Blob.of(data).digest) for data in contents]

    @pytest.mark.fault("S04")
    def test_a_full_pack_that_cannot_be_staged(
        self, shelf: Shelf, failing: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When a pack is full and the disk too, taking says so, and nothing that was taken is lost: publishing later stores it."""
        monkeypatch.setattr(batches, "FULL", 10)
        with shelf.store.session() as session:
            session.take_bytes(b"first")
            failing(errno.ENOSPC, 0)
            with pytest.raises(StoreFull):
                session.take_bytes(b"second")
            failing(0, 10**9)
            session.take_bytes(b"third")
            session.publish()
            assert (frozenset(), 3) == (session.lost, session.stored.blobs)
            shelf.ledger.commit(session.id, [])
        assert [b"first", b"second", b"third"] == [shelf.store.read(Blob.of(data).digest) for data in (b"first", b"second", b"third")]

    @pytest.mark.fault("S10", "I-09")
    def test_a_killed_writer_leaves_nothing_after_a_reclaim(self, shelf: Shelf) -> None:
        """A writer died with its pack published: once he is noticed the plan says what he left, and one reclaim removes rows, pack and pins."""
        [kept] = shelf.put(b"kept")
        session = shelf.store.session()
        for number in range(20):
            session.take_bytes(b"%d" % number)
        session.publish()
        shelf.ledger.dead.add(session.id)
        assert [session.id] == sweep_dead(shelf.backend, shelf.ledger)
        planned = plan(shelf.ledger)
        assert {REASONS[BlobState.UPLOADING]: 20, EMPTY: 1} == planned.counts
        carry_out(planned, shelf.backend, shelf.ledger)

        assert (b"kept", 1, 1, 1) == (
            shelf.store.read(kept),
            len(list(shelf.backend.keys())),
            len(shelf.ledger.rows),
            len(shelf.ledger.containers),
        )
        assert ({}, []) == (shelf.ledger.pins, shelf.leftovers())


class TestHealing:
    @pytest.mark.fault("H14", "H15", "I-31")
    def test_a_rotten_member_takes_no_other_with_it(self, shelf: Shelf) -> None:
        """A flipped bit fails the blob it is in, by name, and keeps a copy aside; the pack and its other blobs stay; logged again it is whole."""
        contents = [random.Random(number).randbytes(500) for number in range(5)]
        digests = shelf.put_together(*contents)
        pack = shelf.object(digests[2])
        shelf.rot(digests[2], 77)
        with pytest.raises(Corrupt, match=str(digests[2])):
            shelf.store.read(digests[2])

        assert ([500], True) == ([len(data) for data in shelf.quarantined()], pack.exists())
        for _ in range(2):
            with pytest.raises(BlobMissing):
                shelf.store.read(digests[2])
        assert not shelf.store.has(digests[2])
        assert [contents[at] for at in (0, 1, 3, 4)] == [shelf.store.read(digests[at]) for at in (0, 1, 3, 4)]
        assert [digests[2]] == [record.blob.digest for record in verify_store(shelf.backend, shelf.ledger).missing]
        shelf.put(contents[2])
        assert (contents, True) == (
            [shelf.store.read(digest) for digest in digests],
            verify_store(shelf.backend, shelf.ledger, deep=True).is_sound,
        )

    @pytest.mark.parametrize("again", [[b"one", b"two", b"three"], [b"two"], [b"three", b"two", b"one", b"four"]])
    @pytest.mark.parametrize("harm", ["lost", "cut"])
    def test_a_lost_pack_comes_back(self, shelf: Shelf, harm: str, again: list[bytes]) -> None:
        """What was in a pack that is gone or cut off is stored again when it is logged again, alike or in another company."""
        digests = shelf.put_together(b"one", b"two", b"three")
        pack = shelf.object(digests[0])
        if harm == "lost":
            pack.unlink()
        else:
            pack.chmod(0o644)
            pack.write_bytes(pack.read_bytes()[: len(TAG) + 4])
        assert (not shelf.store.has(digests[1]), harm == "cut") == (True, shelf.store.has(digests[0]))
        shelf.put_together(*again)

        assert again == [shelf.store.read(Blob.of(data).digest) for data in again]
        if len(again) > 1:
            assert verify_store(shelf.backend, shelf.ledger).is_sound

    @pytest.mark.fault("H14", "I-31", "I-10")
    @pytest.mark.parametrize("how", [{}, {"deep": True}], ids=["checksum", "deep"])
    def test_verification_names_the_blob(self, shelf: Shelf, how: dict[str, bool]) -> None:
        """A flipped bit in a pack is told by the name of the blob it is in; a pack without a row is an orphan."""
        good, bad = shelf.put_together(b"good", b"bad")
        shelf.rot(bad, 3)
        stray = "objects/d/packs/blake3/ab/" + "c" * 62
        (shelf.backend.root / stray).parent.mkdir(parents=True)
        (shelf.backend.root / stray).write_bytes(b"stray")
        found = verify_store(shelf.backend, shelf.ledger, **how)

        assert ([bad], [], (stray,), 2, 4) == (
            [record.blob.digest for record in found.corrupt],
            list(found.missing),
            found.orphans,
            found.checked,
            found.bytes,
        )
        assert b"good" == shelf.store.read(good)
        assert [bad] == [record.blob.digest for record in verify_store(shelf.backend, shelf.ledger, **how).missing]

    @pytest.mark.fault("H14")
    def test_verification_reads_the_footer(self, shelf: Shelf) -> None:
        """A pack whose list is rotten is told, though every blob in it is right; it stays, and they can be read."""
        digests = shelf.put_together(b"one", b"two")
        path = shelf.object(digests[0])
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1])
        pack = shelf.ledger.find("d", digests)[digests[0]].pack
        for how in ({}, {"quick": True}):
            found = verify_store(shelf.backend, shelf.ledger, **how)
            assert ([pack], 2, 6, False) == ([record.blob.digest for record in found.corrupt], found.checked, found.bytes, found.is_sound)
        assert [b"one", b"two"] == [shelf.store.read(digest) for digest in digests]

    def test_a_lost_pack_is_told_blob_by_blob(self, shelf: Shelf) -> None:
        """When a whole pack is gone every blob that rested in it is missing, by name, however closely one looks."""
        digests = shelf.put_together(b"one", b"two")
        shelf.object(digests[0]).unlink()
        for how in ({}, {"quick": True}, {"deep": True}):
            found = verify_store(shelf.backend, shelf.ledger, **how)
            assert (set(digests), ()) == ({record.blob.digest for record in found.missing}, found.corrupt)


class TestReclaim:
    @pytest.mark.fault("G16", "I-01")
    def test_a_reader_follows_a_blob_that_moved(self, shelf: Shelf) -> None:
        """When two writers packed the same and a reclaim took the pack a reader was told of, he gets the bytes from the other."""
        with shelf.store.session() as one, shelf.store.session() as other:
            for session, contents in ((one, (b"a", b"b")), (other, (b"b", b"a"))):
                for data in contents:
                    session.take_bytes(data)
                session.publish()
            shelf.ledger.commit(one.id, [Blob.of(data).digest for data in (b"a", b"b")])
            told = shelf.store.locate([Blob.of(b"a").digest])
            shelf.ledger.commit(other.id, [])
        assert 1 == carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger).packs

        assert [b"a"] == [b"".join(shelf.store.pieces(record)) for record in told.values()]

    @pytest.mark.fault("I-06", "I-09")
    def test_a_pack_goes_with_its_last_blob(self, shelf: Shelf) -> None:
        """While one blob of a pack is needed the pack stays and the others' rows go; with the last it goes, in the same reclaim."""
        [kept] = shelf.put(b"kept")
        one, two = shelf.put_together(b"one", b"two")
        for digest, packs, left in ((one, 0, 2), (two, 1, 1)):
            shelf.ledger.reachable.discard(("d", digest))
            done = carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger)
            assert (1, 3, packs, left) == (done.blobs, done.bytes, done.packs, len(list(shelf.backend.keys())))
            assert (not packs) == shelf.store.has(two)
        assert (b"kept", [kept]) == (shelf.store.read(kept), [record.blob.digest for record in shelf.ledger.records()])

    @pytest.mark.fault("I-11", "I-09")
    def test_a_failed_removal_is_taken_up_again(self, shelf: Shelf, failing: Callable[[int, int], None]) -> None:
        """When the pack cannot be removed it stays `deleting`; the next plan says so, and finishes; logged meanwhile, content is stored anew."""
        shelf.put(b"kept")
        gone = shelf.put_together(b"one", b"two")
        shelf.ledger.reachable -= {("d", digest) for digest in gone}
        failing(errno.EIO, 0)
        with pytest.raises(OSError, match="not usable"):
            carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger)
        failing(0, 10**9)
        assert [BlobState.DELETING] == [pack.state for pack in shelf.ledger.empty_packs()]
        assert not plan(shelf.ledger).is_empty
        assert gone == shelf.put_together(b"one", b"two")
        carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger)

        assert ([b"one", b"two"], 2) == ([shelf.store.read(digest) for digest in gone], len(list(shelf.backend.keys())))
        assert [1] == [shelf.ledger.find("d", gone)[gone[0]].pack_generation]


def test_logging_again_asks_once_for_each_pack(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time nothing is written, and the disk is asked for the pack once, not for every blob in it."""
    contents = [b"%d" % number for number in range(100)]
    shelf.put_together(*contents)
    asked: list[str] = []
    size = LocalBackend.size
    monkeypatch.setattr(LocalBackend, "size", lambda self, key: asked.append(key) or size(self, key))
    with shelf.store.session() as session:
        session.take_blobs([(Blob.of(data), data) for data in contents])
        assert (Count(), Count(100, 190), 1) == (session.stored, session.known, len(asked))


def test_packs_are_read_alike_by_a_store_that_makes_none(shelf: Shelf) -> None:
    """How a store packs is how it writes: blobs alone and packed stand beside each other, and each is known to the other."""
    [small] = shelf.put(b"small")
    plain = type(shelf.store)(shelf.backend, shelf.ledger, "d", packed=-1)
    with plain.session() as session:
        session.take_bytes(b"small")
        other = session.take_bytes(b"alone").digest
        assert (1, 1) == (session.stored.blobs, session.known.blobs)
        session.publish()
        shelf.ledger.commit(session.id, [other])
    for store in (plain, shelf.store):
        assert [b"small", b"alone"] == [store.read(digest) for digest in (small, other)]
    assert Digest.of(b"alone") == other
