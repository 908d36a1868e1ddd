"""Packs of which little is needed are rewritten: nothing that is needed is lost, and what is said to be free is free."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from storage.blob.home import Home
from storage.blob.memory import MemoryBackend
from storage.blob.pack import PACKED, packed_size
from storage.blob.store import Store
from storage.digest import Blob, Digest
from storage.errors import NotRemoved, Unavailable
from storage.ledger import BlobRecord
from storage.memory import MemoryLedger
from storage.upkeep import rewrite as room
from storage.upkeep.reclaim import Reclaimed, carry_out, plan
from storage.upkeep.rewrite import REASON, Rewritten, rewrite, sparse
from storage.upkeep.verify import verify_store
from tests.storage.conftest import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A store that packs its small blobs."""
    backend, ledger = Home.create_or_open(tmp_path / "store").backend, MemoryLedger()
    return Shelf(Store(backend, ledger, "d", packed=PACKED), ledger, backend)


def contents(count: int, size: int = 1000, seed: int = 0) -> list[bytes]:
    return [b"%02d %02d|" % (seed, number) + bytes(size) for number in range(count)]


def release(shelf: Shelf, digests: Sequence[Digest]) -> None:
    shelf.ledger.reachable -= {("d", digest) for digest in digests}


def on_disk(shelf: Shelf) -> int:
    return sum(size for _, size in shelf.backend.keys())  # noqa: SIM118  # no dictionary


def reclaimed(shelf: Shelf) -> Reclaimed:
    """A whole reclaim, as the verb does it."""
    planned = plan(shelf.ledger)
    done = carry_out(planned, shelf.backend, shelf.ledger)
    return done.plus(rewrite(planned.sparse, shelf.backend, shelf.ledger), room.dead_bytes(shelf.ledger.pack_uses()))


@pytest.fixture
def aged(shelf: Shelf) -> tuple[list[Digest], list[Digest]]:
    """A pack of twenty blobs, of which four are still needed: those, and the others."""
    digests = shelf.put_together(*contents(20))
    release(shelf, digests[4:])
    return digests[:4], digests[4:]


def test_the_plan_says_which_packs_and_why(shelf: Shelf, aged: tuple[list[Digest], list[Digest]]) -> None:
    """And what that frees on disk, to the byte; nothing is changed by it."""
    before = on_disk(shelf)
    planned = plan(shelf.ledger)
    needed = packed_size(4, 4 * len(contents(1)[0]))

    assert [(4, needed, before - needed)] == [(each.blobs, each.needed, each.frees) for each in planned.sparse]
    assert (1, 16) == (planned.counts[REASON], len(planned.doomed))
    assert (before - needed, 0) == (planned.disk, planned.inside)
    assert before == on_disk(shelf)
    assert 20 == sum(use.blobs for use in shelf.ledger.pack_uses())
    assert aged[0][0] in {record.blob.digest for record in shelf.ledger.records()}


@pytest.mark.fault("I-01", "I-09", "I-10")
def test_what_is_needed_moves_and_the_rest_is_free(shelf: Shelf, aged: tuple[list[Digest], list[Digest]]) -> None:
    """Every needed blob is read as ever, from one new pack; the disk holds what the answer says, and verification finds no fault."""
    before, expected = on_disk(shelf), plan(shelf.ledger).disk
    done = reclaimed(shelf)

    assert contents(4) == [shelf.store.read(digest) for digest in aged[0]]
    assert (16, 1, 0) == (done.blobs, done.rewritten, done.inside)
    assert (expected, before - expected) == (done.disk, on_disk(shelf))
    assert 1 == len(list(shelf.backend.keys())) == len(list(shelf.ledger.packs()))
    found = verify_store(shelf.backend, shelf.ledger, deep=True)
    assert (True, 4, ()) == (found.is_sound, found.checked, found.orphans)
    assert ([], []) == (shelf.leftovers(), shelf.ledger.open_sessions())


def test_a_pack_that_is_needed_is_left_alone(shelf: Shelf) -> None:
    """More than half of it: the bytes of the dead stay inside, and both plan and answer say how many."""
    digests = shelf.put_together(*contents(20))
    release(shelf, digests[:9])
    before = on_disk(shelf)
    planned = plan(shelf.ledger)

    assert ((), 0) == (planned.sparse, planned.disk)
    assert before - packed_size(11, 11 * len(contents(1)[0])) == planned.inside
    done = reclaimed(shelf)
    assert (9, 0, 0, planned.inside, before) == (done.blobs, done.disk, done.rewritten, done.inside, on_disk(shelf))


def test_what_is_left_of_several_packs_goes_into_one(shelf: Shelf) -> None:
    """Ten packs with one needed blob each become a single pack."""
    kept = []
    for seed in range(10):
        digests = shelf.put_together(*contents(5, seed=seed))
        kept.append(digests[2])
        release(shelf, [digest for digest in digests if digest != digests[2]])
    done = reclaimed(shelf)

    assert (10, 1) == (done.rewritten, len(list(shelf.backend.keys())))
    assert [contents(5, seed=seed)[2] for seed in range(10)] == [shelf.store.read(digest) for digest in kept]


def test_packs_are_not_filled_beyond_their_size(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into one new pack goes into the next."""
    monkeypatch.setattr(room, "FULL", 3000)
    kept = []
    for seed in range(6):
        digests = shelf.put_together(*contents(5, seed=seed))
        kept.append(digests[0])
        release(shelf, digests[1:])
    reclaimed(shelf)
    assert 3 == len(list(shelf.backend.keys()))
    assert all(shelf.store.has(digest) for digest in kept)


def test_again_there_is_nothing_to_do(shelf: Shelf, aged: tuple[list[Digest], list[Digest]]) -> None:
    """A pack that was rewritten is full of what is needed; an old plan carried out once more changes nothing."""
    planned = plan(shelf.ledger)
    reclaimed(shelf)
    assert plan(shelf.ledger).is_empty
    before = sorted(shelf.backend.keys())
    assert Rewritten() == rewrite(planned.sparse, shelf.backend, shelf.ledger)
    assert before == sorted(shelf.backend.keys())
    assert all(shelf.store.has(digest) for digest in aged[0])


@pytest.mark.fault("I-06")
def test_what_is_needed_again_is_weighed_again(shelf: Shelf, aged: tuple[list[Digest], list[Digest]]) -> None:
    """A pack that came to be needed between plan and execution is not rewritten."""
    planned = plan(shelf.ledger)
    shelf.put_together(*contents(20))
    done = carry_out(planned, shelf.backend, shelf.ledger)
    assert (0, 16) == (done.blobs, done.spared)
    assert Rewritten() == rewrite(planned.sparse, shelf.backend, shelf.ledger)
    assert contents(20) == [shelf.store.read(digest) for digest in (*aged[0], *aged[1])]


@pytest.mark.fault("I-01", "I-07")
def test_a_writer_at_work_loses_nothing(shelf: Shelf, aged: tuple[list[Digest], list[Digest]]) -> None:
    """He relies on what is there, the pack is rewritten under him, he commits: every blob is there."""
    planned = plan(shelf.ledger)
    carry_out(planned, shelf.backend, shelf.ledger)
    with shelf.store.session() as session:
        taken = [session.take_bytes(data) for data in (contents(20)[0], b"new", contents(20)[9])]
        assert 1 == rewrite(planned.sparse, shelf.backend, shelf.ledger).packs
        taken.append(session.take_bytes(contents(20)[1]))
        session.publish()
        shelf.ledger.commit(session.id, [blob.digest for blob in taken])
    assert [contents(20)[0], b"new", contents(20)[9], contents(20)[1]] == [shelf.store.read(blob.digest) for blob in taken]
    assert verify_store(shelf.backend, shelf.ledger).is_sound
    assert all(shelf.store.has(digest) for digest in aged[0])


@pytest.mark.fault("G16", "I-01")
def test_a_reader_follows_what_moved(shelf: Shelf, aged: tuple[list[Digest], list[Digest]]) -> None:
    """Told of the old pack, he meets that it is gone and asks once more; one by one, many together, or as an open file."""
    told = list(shelf.store.locate(aged[0]).values())
    reclaimed(shelf)
    wanted = {Blob.of(data).digest: data for data in contents(4)}
    assert wanted == {record.blob.digest: b"".join(shelf.store.pieces(record)) for record in told}
    assert wanted == {record.blob.digest: data for record, data in shelf.store.read_many(told)}
    assert wanted == {record.blob.digest: shelf.store.open_file(record).read() for record in told}


@pytest.mark.fault("I-31", "H14")
def test_rot_stays_behind(shelf: Shelf, aged: tuple[list[Digest], list[Digest]]) -> None:
    """A blob that is rotten is put aside and told, the others move, and nothing wrong is ever written into a new pack."""
    shelf.rot(aged[0][1], 5)
    done = reclaimed(shelf)

    assert ((aged[0][1],), 1) == (done.unread, done.rewritten)
    assert [contents(4)[number] for number in (0, 2, 3)] == [shelf.store.read(aged[0][number]) for number in (0, 2, 3)]
    assert 1 == len(shelf.quarantined())
    assert [aged[0][1]] == [record.blob.digest for record in verify_store(shelf.backend, shelf.ledger).missing]


def test_a_pack_whose_needed_blobs_are_all_rotten_leaves_none(shelf: Shelf) -> None:
    """There is nothing to move: no empty pack is written."""
    digests = shelf.put_together(*contents(10))
    release(shelf, digests[1:])
    shelf.rot(digests[0], 3)
    assert (digests[0],) == reclaimed(shelf).unread
    assert [] == list(shelf.backend.keys())
    assert 1 == len(shelf.quarantined())


@pytest.mark.fault("I-11", "S04")
def test_a_full_disk_changes_nothing(shelf: Shelf, aged: tuple[list[Digest], list[Digest]], failing: Callable[[int, int], None]) -> None:
    """Whichever effect fails, every needed blob is read, and the next reclaim finishes."""
    planned = plan(shelf.ledger)
    carry_out(planned, shelf.backend, shelf.ledger)
    for at in range(100):
        failing(28, at)
        try:
            rewrite(planned.sparse, shelf.backend, shelf.ledger)
            break
        except (Unavailable, NotRemoved):
            failing(0, 10**9)
        assert contents(4) == [shelf.store.read(digest) for digest in aged[0]]
        assert [] == shelf.ledger.open_sessions()
    assert at > 3
    failing(0, 10**9)
    reclaimed(shelf)
    assert contents(4) == [shelf.store.read(digest) for digest in aged[0]]
    assert (1, []) == (len(list(shelf.backend.keys())), shelf.leftovers())


def test_domains_are_never_mixed(shelf: Shelf) -> None:
    """Packs of two domains become two packs."""
    other = type(shelf)(type(shelf.store)(shelf.backend, shelf.ledger, "e", packed=shelf.store.packed), shelf.ledger, shelf.backend)
    kept = []
    for number, each in enumerate((shelf, other)):
        digests = each.put_together(*contents(10, seed=number))
        kept.append(digests[0])
        shelf.ledger.reachable -= {(each.store.domain, digest) for digest in digests[1:]}
    done = reclaimed(shelf)
    assert 2 == done.rewritten == len(list(shelf.backend.keys()))
    assert [contents(1, seed=0)[0], contents(1, seed=1)[0]] == [shelf.store.read(kept[0]), other.store.read(kept[1])]


def test_a_session_taken_for_dead_moves_nothing(
    shelf: Shelf, aged: tuple[list[Digest], list[Digest]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transaction is refused, and everything is where it was."""
    planned = plan(shelf.ledger)
    carry_out(planned, shelf.backend, shelf.ledger)
    publish = shelf.backend.publish

    def closed(staged: Sequence[tuple[object, str]]) -> None:
        publish(staged)  # type: ignore[arg-type]
        for session in shelf.ledger.open_sessions():
            shelf.ledger.close_session(session)

    monkeypatch.setattr(shelf.backend, "publish", closed)
    with pytest.raises(Unavailable, match="taken for dead"):
        rewrite(planned.sparse, shelf.backend, shelf.ledger)
    monkeypatch.undo()
    assert contents(4) == [shelf.store.read(digest) for digest in aged[0]]
    reclaimed(shelf)
    assert 1 == len(list(shelf.backend.keys()))


class NothingAside(MemoryBackend):
    """A far place that keeps no quarantine."""

    def copy_aside(self, key: str, start: int, length: int) -> bool:
        return False


def test_a_far_place_is_rewritten_alike() -> None:
    """Where nothing can be put aside: what is needed moves; a blob that is rotten keeps its pack, for its bytes are the only copy."""
    backend, ledger = NothingAside(), MemoryLedger()
    store = Store(backend, ledger, "d")
    packs = []
    for seed in range(2):
        with store.session() as session:
            packs.append([session.take_bytes(data).digest for data in contents(10, seed=seed)])
            session.publish()
            ledger.commit(session.id, packs[-1][:2])
    [record] = store.locate([packs[0][0]]).values()
    whole = bytearray(b"".join(backend.read(record.key)))
    whole[record.start] ^= 1
    backend.remove(record.key)
    with backend.stage("rot") as staged:
        staged.write(whole)
    backend.publish([(staged, record.key)])
    planned = plan(ledger)
    carry_out(planned, backend, ledger)
    done = rewrite(planned.sparse, backend, ledger)

    assert (packs[0][0],) == done.unread
    assert [contents(2)[1], *contents(2, seed=1)] == [store.read(digest) for digest in (packs[0][1], *packs[1][:2])]
    kept = {key for key, _ in backend.keys()}  # noqa: SIM118  # no dictionary
    assert (1, 2, record.key in kept) == (done.packs, len(kept), True)


def test_what_is_worth_it() -> None:
    """At most half of the pack: exactly half is, a byte more is not; nothing at all is no rewrite."""
    blob = Blob(Digest.of(b"p"), 2 * packed_size(1, 1000), "0" * 32)
    pack = BlobRecord("d", blob, room.BlobState.LIVE, is_pack=True)
    assert [1, 0, 0] == [len(sparse([room.PackUse(pack, count, size)])) for count, size in ((1, 1000), (1, 1001), (0, 0))]
