"""Verification finds what is wrong and destroys nothing; a reclaim frees what nobody needs and nothing else."""

import errno
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from storage.blob.memory import MemoryBackend
from storage.blob.pack import PACKED
from storage.blob.store import Store
from storage.digest import Blob, Digest
from storage.errors import Refused, Unavailable
from storage.ledger import BlobState
from storage.memory import MemoryLedger
from storage.upkeep.rebuild import Rebuilt, rebuild
from storage.upkeep.reclaim import REASONS, carry_out, plan
from storage.upkeep.verify import Verification, verify_store
from tests.storage.conftest import ALONE, TOGETHER, Shelf


def release(shelf: Shelf, *digests: Digest) -> None:
    for digest in digests:
        shelf.ledger.reachable.discard(("d", digest))


class TestVerify:
    @pytest.mark.parametrize("how", [{"quick": True}, {}, {"deep": True}], ids=["quick", "checksum", "deep"])
    def test_a_sound_store(self, shelf: Shelf, how: dict[str, bool]) -> None:
        """Nothing is wrong with a store nobody harmed, a writer at work included."""
        shelf.put(b"one", b"", bytes(2 << 20))
        told: list[int] = []
        with shelf.store.session() as session:
            session.take_bytes(b"uploading")
            session.publish()
            found = verify_store(shelf.backend, shelf.ledger, progress=told.append, **how)

        assert Verification(3, 3 + (2 << 20), (), (), ()) == found
        assert (True, 3 + (2 << 20)) == (found.is_sound, sum(told))

    @pytest.mark.fault("H14", "H15", "I-10", "I-31")
    @ALONE
    def test_everything_wrong_is_found_at_once(self, shelf: Shelf) -> None:
        """Lost, cut and rotten blobs and objects without a record are all told; the rotten are kept aside, the orphans stay."""
        good, lost, cut, rotten = shelf.put(b"good", b"lost", b"cut short", b"rotten")
        shelf.object(lost).unlink()
        shelf.object(cut).chmod(0o644)
        shelf.object(cut).write_bytes(b"cut")
        shelf.rot(rotten, 5)
        orphan = shelf.object(Digest.of(b"orphan"))
        orphan.parent.mkdir(parents=True, exist_ok=True)
        orphan.write_bytes(b"orphan")
        (shelf.backend.root / "objects/stray").write_bytes(b"stray")
        found = verify_store(shelf.backend, shelf.ledger)

        assert (4, 4, False) == (found.checked, found.bytes, found.is_sound)
        assert [lost] == [record.blob.digest for record in found.missing]
        assert {cut, rotten} == {record.blob.digest for record in found.corrupt}
        assert {orphan.relative_to(shelf.backend.root).as_posix(), "objects/stray"} == set(found.orphans)
        assert (2, True, b"good") == (len(shelf.quarantined()), orphan.exists(), shelf.store.read(good))
        assert {lost, cut, rotten} == {record.blob.digest for record in verify_store(shelf.backend, shelf.ledger).missing}

    def test_quick_looks_at_sizes_only(self, shelf: Shelf) -> None:
        """A quick look does not read: same-size rot stays unnoticed until the bytes are read."""
        [digest] = shelf.put(b"data")
        shelf.rot(digest, 0)

        assert verify_store(shelf.backend, shelf.ledger, quick=True).is_sound
        assert not verify_store(shelf.backend, shelf.ledger).is_sound

    @pytest.mark.fault("H01")
    @ALONE
    def test_deep_recomputes_the_identity(self, shelf: Shelf) -> None:
        """When the bytes are what the ledger's checksum says and not what the digest says, only a deep look tells."""
        [digest] = shelf.put(b"right")
        wrong = Blob.of(b"wrong")
        record = shelf.ledger.rows["d", digest]
        shelf.ledger.rows["d", digest] = type(record)("d", Blob(digest, 5, wrong.checksum), BlobState.LIVE)
        shelf.object(digest).chmod(0o644)
        shelf.object(digest).write_bytes(b"wrong")

        assert verify_store(shelf.backend, shelf.ledger).is_sound
        assert [digest] == [record.blob.digest for record in verify_store(shelf.backend, shelf.ledger, deep=True).corrupt]

    @pytest.mark.fault("S07")
    def test_trouble_is_not_a_finding(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        """When the machine is out of something, no blob is called missing or corrupt for it."""
        shelf.put(b"data")

        def refuse(_: str, start: int = 0, length: int | None = None) -> int:  # noqa: ARG001  # as `read` and `size` are called
            raise Unavailable("too many open files")

        monkeypatch.setattr(shelf.backend, "size", refuse)
        monkeypatch.setattr(shelf.backend, "read", refuse)
        with pytest.raises(Unavailable):
            verify_store(shelf.backend, shelf.ledger)
        assert [] == shelf.quarantined()


class TestReclaim:
    @pytest.mark.fault("I-06", "I-09")
    @ALONE
    def test_plans_then_frees(self, shelf: Shelf) -> None:
        """The plan says what goes, how much and why, and changes nothing; carrying it out frees that and nothing else."""
        needed, old = shelf.put(b"needed", b"old")
        release(shelf, old)
        session = shelf.store.session()
        session.take_bytes(b"abandoned")
        session.publish()
        shelf.ledger.close_session(session.id)  # its writer died, and was noticed
        planned = plan(shelf.ledger)

        assert (2, 3, 12, False) == (len(planned.doomed), planned.records, planned.bytes, planned.takes_everything)
        assert {REASONS[BlobState.LIVE]: 1, REASONS[BlobState.UPLOADING]: 1} == planned.counts
        assert 3 == len(list(shelf.backend.keys()))

        told: list[int] = []
        done = carry_out(planned, shelf.backend, shelf.ledger, told.append)
        assert (2, 12, 0, 12) == (done.blobs, done.bytes, done.spared, sum(told))
        assert [needed] == [record.blob.digest for record in shelf.ledger.records()]
        assert 1 == len(list(shelf.backend.keys()))
        assert b"needed" == shelf.store.read(needed)

    def test_running_again_changes_nothing(self, shelf: Shelf) -> None:
        """A plan carried out twice frees once."""
        _, old = shelf.put(b"needed", b"old")
        release(shelf, old)
        planned = plan(shelf.ledger)
        carry_out(planned, shelf.backend, shelf.ledger)

        assert (0, 1) == (carry_out(planned, shelf.backend, shelf.ledger).blobs, len(list(shelf.ledger.records())))

    @pytest.mark.fault("I-06")
    def test_what_is_needed_again_is_spared(self, shelf: Shelf) -> None:
        """What a version needs again between plan and execution stays."""
        _, old = shelf.put(b"needed", b"old")
        release(shelf, old)
        planned = plan(shelf.ledger)
        shelf.put(b"old")
        done = carry_out(planned, shelf.backend, shelf.ledger)

        assert (0, 1) == (done.blobs, done.spared)
        assert b"old" == shelf.store.read(old)

    @pytest.mark.fault("I-07")
    def test_it_does_not_run_beside_writers(self, shelf: Shelf) -> None:
        """While sessions are open it says how many and does nothing; a dead writer does not count, and is swept."""
        _, old = shelf.put(b"needed", b"old")
        release(shelf, old)
        one, two = shelf.store.session(), shelf.store.session()
        one.take_bytes(b"one")
        two.take_bytes(b"two")
        with pytest.raises(Unavailable, match="2 writers"):
            carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger)
        assert shelf.store.has(old)

        two.close()
        shelf.ledger.dead.add(one.id)
        assert 1 <= carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger).blobs
        assert [] == shelf.leftovers()

    def test_it_does_not_empty_a_store_by_mistake(self, shelf: Shelf) -> None:
        """A plan that would take every blob is refused unless that is said to be meant; an empty plan is fine."""
        carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger)
        digests = shelf.put(b"one", b"two")
        release(shelf, *digests)
        with pytest.raises(Refused, match="right catalogue"):
            carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger)
        assert all(shelf.store.has(digest) for digest in digests)

        assert 2 == carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger, empty_ok=True).blobs
        assert [] == list(shelf.backend.keys())

    @pytest.mark.fault("I-11")
    def test_an_object_that_is_gone_is_done(self, shelf: Shelf) -> None:
        """A doomed blob whose file somebody removed already is forgotten like the others."""
        _, old = shelf.put(b"needed", b"old")
        release(shelf, old)
        shelf.object(old).unlink()

        assert 1 == carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger).blobs

    @pytest.mark.fault("I-11")
    @ALONE
    def test_a_failed_removal_is_taken_up_again(
        self, shelf: Shelf, failing: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When the disk refuses in the middle, rows stay `deleting`, and the next reclaim says so and finishes."""
        _, one, two = shelf.put(b"needed", b"one", b"two")
        release(shelf, one, two)
        failing(errno.EIO, 0)
        with pytest.raises(Unavailable):
            carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger)
        failing(0, 10**9)
        planned = plan(shelf.ledger)

        assert {REASONS[BlobState.DELETING]: 2} == planned.counts
        assert 2 == carry_out(planned, shelf.backend, shelf.ledger).blobs
        assert 1 == len(list(shelf.backend.keys()))

    @ALONE
    def test_a_late_removal_does_not_hit_new_bytes(self, shelf: Shelf) -> None:
        """Content logged again while its old object is being deleted rests under another key and survives."""
        _, old = shelf.put(b"needed", b"old")
        release(shelf, old)
        doomed = shelf.ledger.doom(shelf.ledger.unreachable())
        shelf.put(b"old")
        for record in doomed:
            shelf.backend.remove(record.key)
        shelf.ledger.forget(doomed)

        assert b"old" == shelf.store.read(old)


class TestRebuild:
    @pytest.mark.fault("H15", "I-31")
    @TOGETHER
    def test_what_the_ledger_has_lost_is_put_back(self, shelf: Shelf) -> None:
        """Blobs of a pack that the ledger forgot, or lost the place of, are found in the pack by its footer, and read again."""
        contents = [b"one", b"two", b"three", b"four"]
        one, two, three, four = shelf.put_together(*contents)
        forgotten = shelf.ledger.rows.pop(("d", one))
        shelf.ledger.displace([shelf.ledger.rows["d", two]])
        before = shelf.ledger.rows["d", three]
        assert [two] == [record.blob.digest for record in verify_store(shelf.backend, shelf.ledger).missing]
        told: list[int] = []
        done = rebuild(shelf.backend, lambda _: shelf.store, told.append)

        assert Rebuilt(1, 2, 6) == done
        assert [forgotten.pack_size] == told
        assert contents == [shelf.store.read(digest) for digest in (one, two, three, four)]
        assert (before, True) == (shelf.ledger.rows["d", three], verify_store(shelf.backend, shelf.ledger).is_sound)
        assert 0 == rebuild(shelf.backend, lambda _: shelf.store).blobs
        assert [] == shelf.ledger.open_sessions() + shelf.leftovers()

    @pytest.mark.fault("H15", "I-02")
    @TOGETHER
    def test_only_what_is_right_is_put_back(self, shelf: Shelf) -> None:
        """A rotten blob stays lost, and a pack whose footer is damaged is named; nothing is removed."""
        one, two = shelf.put_together(b"one", b"two")
        [other] = shelf.put(b"other")
        shelf.rot(one, 5)
        for digest in (one, two):
            shelf.ledger.rows.pop(("d", digest))
        pack = shelf.object(other)
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:-3])
        keys = dict(shelf.backend.keys())
        done = rebuild(shelf.backend, lambda _: shelf.store)

        assert (1, 3, (shelf.ledger.rows["d", other].key,)) == (done.blobs, done.bytes, done.unreadable)
        assert (False, b"two") == (shelf.store.has(one), shelf.store.read(two))
        assert keys.items() <= dict(shelf.backend.keys()).items()

    @TOGETHER
    def test_a_whole_pack_that_was_lost(self, shelf: Shelf) -> None:
        """With an empty ledger every blob that is in a pack comes back, and what no version holds goes with the next reclaim."""
        digests = shelf.put_together(*[b"%d" % number for number in range(50)])
        shelf.ledger.rows.clear()
        shelf.ledger.containers.clear()
        assert 50 == rebuild(shelf.backend, lambda _: shelf.store).blobs

        assert [b"%d" % number for number in range(50)] == [shelf.store.read(digest) for digest in digests]
        shelf.ledger.reachable.clear()
        carry_out(plan(shelf.ledger), shelf.backend, shelf.ledger, empty_ok=True)
        assert [] == list(shelf.ledger.records())

    @TOGETHER
    def test_a_sound_store_is_left_alone(self, shelf: Shelf, effects: list[tuple[str, str]]) -> None:
        """Where nothing was lost nothing is written."""
        shelf.put_together(b"one", b"two")
        effects.clear()

        assert Rebuilt(1) == rebuild(shelf.backend, lambda _: shelf.store)
        assert [] == effects


class Asked(MemoryBackend):
    """A far place that counts what it is asked."""

    is_near = False

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.asked.append("read")
        return super().read(key, start, length)

    def size(self, key: str) -> int:
        self.asked.append("size")
        return super().size(key)

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        self.asked.append("keys")
        return super().keys(prefix)


@pytest.mark.parametrize(
    ("how", "expected"), [({"quick": True}, {"keys": 1}), ({}, {"keys": 1, "read": 4}), ({"deep": True}, {"keys": 1, "read": 4})]
)
def test_few_requests(how: dict[str, bool], expected: dict[str, int]) -> None:
    """Of a far place a quick look is one listing; a full one reads each pack and each lone object once, whatever is in them."""
    backend, ledger = Asked(), MemoryLedger()
    store = Store(backend, ledger, "d")
    for turn in range(2):
        with store.session() as session:
            taken = [session.take_bytes(b"%d %d" % (turn, number)).digest for number in range(200)]
            taken.append(session.take_bytes(bytes(PACKED + 1 + turn)).digest)
            session.publish()
            ledger.commit(session.id, taken)
    backend.asked.clear()
    found = verify_store(backend, ledger, **how)

    assert (402, True) == (found.checked, found.is_sound)
    assert expected == Counter(backend.asked)


@pytest.mark.fault("H08", "H14")
def test_what_comes_from_far_is_compared_with_its_digest() -> None:
    """Where store and ledger agree on wrong bytes of a far blob, a plain verification tells."""
    backend, ledger = Asked(), MemoryLedger()
    store = Store(backend, ledger, "d")
    with store.session() as session:
        digest = session.take_bytes(b"right").digest
        session.publish()
        ledger.commit(session.id, [digest])
    [key] = backend.objects
    backend.objects[key] = backend.objects[key].replace(b"right", b"wrong")
    row = ledger.rows["d", digest]
    ledger.rows["d", digest] = replace(row, blob=Blob(digest, 5, Blob.of(b"wrong").checksum))

    assert [digest] == [record.blob.digest for record in verify_store(backend, ledger).corrupt if not record.is_pack]
