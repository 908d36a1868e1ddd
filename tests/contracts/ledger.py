"""The laws of `storage.ledger`, as one suite for every ledger.

A ledger alone cannot commit: its owner can. So the suite asks for a `LedgerHouse`, a ledger with the few things that happen around it.
Subclass `LedgerContract` in a file pytest collects, and give it a fixture `house`:

    class TestMemoryLedger(LedgerContract):
        @pytest.fixture
        def house(self) -> MemoryHouse:
            return MemoryHouse()
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import pytest

from storage.digest import Blob, Digest
from storage.errors import Corrupt
from storage.layout import blob_key, pack_key
from storage.ledger import BlobRecord, BlobState, Ledger
from storage.memory import MemoryLedger


class LedgerHouse(Protocol):
    """A fresh ledger and what its owner does. All blobs of this suite are in `domain`."""

    ledger: Ledger
    domain: str

    def commit(self, session: str, keep: Iterable[Digest], segments: Mapping[Digest, Sequence[Digest]] | None = None) -> None:
        """Commit the session: its blobs become live, those in `keep` are needed by a version; the session ends.

        `segments` says of some in `keep` which blobs they list; a version needs those too.
        """

    def release(self, digest: Digest) -> None:
        """No version needs the blob any more."""

    def die(self, session: str) -> None:
        """The process of the session is gone, and nobody has noticed yet."""


class MemoryHouse:
    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.domain = "d"

    def commit(self, session: str, keep: Iterable[Digest], segments: Mapping[Digest, Sequence[Digest]] | None = None) -> None:
        self.ledger.commit(session, keep, segments)

    def release(self, digest: Digest) -> None:
        self.ledger.reachable.discard((self.domain, digest))

    def die(self, session: str) -> None:
        self.ledger.dead.add(session)


ONE, TWO, THREE = Blob.of(b"one"), Blob.of(b"two!"), Blob.of(b"three")
PACK, OTHER = Blob.of(b"a pack"), Blob.of(b"another pack")


def live(house: LedgerHouse, *blobs: Blob) -> None:
    """Commit the blobs, needed by a version."""
    session = house.ledger.open_session()
    house.ledger.pin(session, house.domain, blobs)
    house.commit(session, [blob.digest for blob in blobs])


def unreachable(house: LedgerHouse) -> set[Digest]:
    return {record.blob.digest for record in house.ledger.unreachable()}


def packed(house: LedgerHouse, pack: Blob, *blobs: Blob) -> BlobRecord:
    """Commit the blobs, needed by a version, in a pack, each starting where its place in the list says."""
    session = house.ledger.open_session()
    placed = house.ledger.place(session, house.domain, pack, [(blob, number) for number, blob in enumerate(blobs)])
    house.commit(session, [blob.digest for blob in blobs])
    return placed


def find(house: LedgerHouse, blob: Blob) -> BlobRecord:
    return house.ledger.find(house.domain, [blob.digest])[blob.digest]


def empty(house: LedgerHouse) -> list[Digest]:
    return [record.blob.digest for record in house.ledger.empty_packs()]


class LedgerContract:
    """See the top of this file."""

    def test_a_first_pin_answers_uploading(self, house: LedgerHouse) -> None:
        """A blob nobody knew is uploading, in its first generation, once it is pinned; before it is unknown."""
        assert {} == dict(house.ledger.find(house.domain, [ONE.digest]))
        rows = house.ledger.pin(house.ledger.open_session(), house.domain, [ONE, TWO])

        assert {ONE.digest, TWO.digest} == set(rows)
        assert (house.domain, ONE, BlobState.UPLOADING, 0) == (
            rows[ONE.digest].domain,
            rows[ONE.digest].blob,
            rows[ONE.digest].state,
            rows[ONE.digest].generation,
        )
        assert rows == dict(house.ledger.find(house.domain, [ONE.digest, TWO.digest, THREE.digest]))

    def test_pinning_nothing_answers_nothing(self, house: LedgerHouse) -> None:
        """No blobs, no rows."""
        assert {} == dict(house.ledger.pin(house.ledger.open_session(), house.domain, []))

    def test_a_commit_makes_blobs_live(self, house: LedgerHouse) -> None:
        """What a session pinned is live after its commit, and every later pin says so."""
        live(house, ONE)

        assert BlobState.LIVE is house.ledger.pin(house.ledger.open_session(), house.domain, [ONE])[ONE.digest].state
        assert set() == unreachable(house)

    def test_domains_know_nothing_of_each_other(self, house: LedgerHouse) -> None:
        """A digest known in one domain is unknown in another."""
        live(house, ONE)

        assert {} == dict(house.ledger.find("elsewhere", [ONE.digest]))

    @pytest.mark.fault("H13")
    def test_another_size_is_a_conflict(self, house: LedgerHouse) -> None:
        """A digest whose recorded size is not the given one is a corrupt store, and stays recorded as it was."""
        live(house, ONE)
        with pytest.raises(Corrupt):
            house.ledger.pin(house.ledger.open_session(), house.domain, [Blob(ONE.digest, 99, ONE.checksum)])

        assert ONE == house.ledger.find(house.domain, [ONE.digest])[ONE.digest].blob

    @pytest.mark.fault("I-07")
    def test_a_pin_protects(self, house: LedgerHouse) -> None:
        """A blob that no version needs is not unreachable, nor doomed, while a session pins it; once that closed it is."""
        live(house, ONE)
        house.release(ONE.digest)
        session = house.ledger.open_session()
        [row] = house.ledger.pin(session, house.domain, [ONE]).values()

        assert set() == unreachable(house)
        assert [] == house.ledger.doom([row])
        house.ledger.close_session(session)
        assert {ONE.digest} == unreachable(house)

    @pytest.mark.fault("I-06")
    def test_doom_decides_again(self, house: LedgerHouse) -> None:
        """What became needed between plan and execution is not doomed; the answer names what was."""
        live(house, ONE, TWO)
        house.release(ONE.digest)
        house.release(TWO.digest)
        planned = house.ledger.unreachable()
        house.ledger.pin(house.ledger.open_session(), house.domain, [TWO])

        assert [ONE.digest] == [record.blob.digest for record in house.ledger.doom(planned)]
        assert BlobState.DELETING is house.ledger.find(house.domain, [ONE.digest])[ONE.digest].state
        assert BlobState.LIVE is house.ledger.find(house.domain, [TWO.digest])[TWO.digest].state

    def test_reachable_blobs_are_never_doomed(self, house: LedgerHouse) -> None:
        """Asking to doom what a version needs dooms nothing."""
        live(house, ONE)

        assert [] == house.ledger.doom(list(house.ledger.records()))

    def test_pinning_what_is_deleting_starts_a_generation(self, house: LedgerHouse) -> None:
        """A blob that is being deleted is uploaded under its next generation, and the late deletion does not touch that."""
        live(house, ONE)
        house.release(ONE.digest)
        doomed = house.ledger.doom(house.ledger.unreachable())
        [row] = house.ledger.pin(house.ledger.open_session(), house.domain, [ONE]).values()

        assert (BlobState.UPLOADING, 1) == (row.state, row.generation)
        house.ledger.forget(doomed)
        assert row == house.ledger.find(house.domain, [ONE.digest])[ONE.digest]

    def test_forgetting_drops_the_rows(self, house: LedgerHouse) -> None:
        """Forgotten blobs are unknown; forgetting again changes nothing."""
        live(house, ONE, TWO)
        house.release(ONE.digest)
        doomed = house.ledger.doom(house.ledger.unreachable())
        house.ledger.forget(doomed)
        house.ledger.forget(doomed)

        assert [TWO.digest] == [record.blob.digest for record in house.ledger.records()]

    def test_only_what_is_deleting_is_forgotten(self, house: LedgerHouse) -> None:
        """A live row stays, whoever asks to forget it."""
        live(house, ONE)
        house.ledger.forget(list(house.ledger.records()))

        assert [ONE.digest] == [record.blob.digest for record in house.ledger.records()]

    @pytest.mark.fault("I-11")
    def test_an_interrupted_reclaim_is_found_again(self, house: LedgerHouse) -> None:
        """What was doomed and not forgotten is still unreachable, and may be doomed again."""
        live(house, ONE)
        house.release(ONE.digest)
        house.ledger.doom(house.ledger.unreachable())
        again = house.ledger.unreachable()

        assert {ONE.digest} == {record.blob.digest for record in again}
        assert {ONE.digest} == {record.blob.digest for record in house.ledger.doom(again)}

    def test_uploading_leftovers_are_unreachable_once_closed(self, house: LedgerHouse) -> None:
        """What a session pinned and never committed is unreachable after it closed."""
        session = house.ledger.open_session()
        house.ledger.pin(session, house.domain, [ONE])

        assert set() == unreachable(house)
        house.ledger.close_session(session)
        assert {ONE.digest} == unreachable(house)

    def test_everything_may_be_repeated(self, house: LedgerHouse) -> None:
        """Pinning twice and closing twice change nothing; the answer says which closing it was, and that a commit had closed it before."""
        session = house.ledger.open_session()
        first = house.ledger.pin(session, house.domain, [ONE])

        assert dict(first) == dict(house.ledger.pin(session, house.domain, [ONE]))
        assert (True, False) == (house.ledger.close_session(session), house.ledger.close_session(session))
        assert session not in house.ledger.open_sessions()

        committed = house.ledger.open_session()
        house.commit(committed, [])
        assert not house.ledger.close_session(committed)

    def test_sessions_are_listed_while_open(self, house: LedgerHouse) -> None:
        """An open session is listed, a closed one is not, and two never share a name."""
        one, two = house.ledger.open_session(), house.ledger.open_session()

        assert {one, two} == set(house.ledger.open_sessions())
        house.ledger.close_session(one)
        assert [two] == list(house.ledger.open_sessions())
        assert [] == list(house.ledger.dead_sessions())

    @pytest.mark.fault("S10")
    def test_a_dead_session_is_told_until_it_is_closed(self, house: LedgerHouse) -> None:
        """A session whose process died is dead, not open, and gone once somebody closed it."""
        session = house.ledger.open_session()
        house.ledger.pin(session, house.domain, [ONE])
        house.die(session)

        assert ([session], []) == (list(house.ledger.dead_sessions()), list(house.ledger.open_sessions()))
        house.ledger.close_session(session)
        assert [] == list(house.ledger.dead_sessions())
        assert {ONE.digest} == unreachable(house)

    def test_two_sessions_may_pin_one_blob(self, house: LedgerHouse) -> None:
        """A pin lasts until the last session that holds one closes."""
        one, two = house.ledger.open_session(), house.ledger.open_session()
        house.ledger.pin(one, house.domain, [ONE])
        house.ledger.pin(two, house.domain, [ONE])
        house.ledger.close_session(one)

        assert set() == unreachable(house)
        house.ledger.close_session(two)
        assert {ONE.digest} == unreachable(house)

    def test_many_blobs_are_pinned_at_once(self, house: LedgerHouse) -> None:
        """Thousands of blobs, some known and some twice, are answered for in one call, each once and as it stands."""
        known = [Blob.of(b"%d" % number) for number in range(700)]
        live(house, *known)
        blobs = known + [Blob.of(b"%d new" % number) for number in range(1300)]
        rows = house.ledger.pin(house.ledger.open_session(), house.domain, [*blobs, *blobs[600:800]])

        assert {blob.digest: blob for blob in blobs} == {digest: row.blob for digest, row in rows.items()}
        assert {blob.digest for blob in known} == {digest for digest, row in rows.items() if row.state is BlobState.LIVE}

    def test_placing_says_where_to_publish(self, house: LedgerHouse) -> None:
        """A pack is uploading once blobs are placed in it, and listed among the packs only; what was unknown is uploading in it."""
        session = house.ledger.open_session()
        row = house.ledger.place(session, house.domain, PACK, [(ONE, 15)])

        assert (house.domain, PACK, BlobState.UPLOADING, 0, True) == (row.domain, row.blob, row.state, row.generation, row.is_pack)
        assert row == house.ledger.place(session, house.domain, PACK, [(ONE, 15)])
        assert ([row], {}) == (list(house.ledger.packs()), dict(house.ledger.find(house.domain, [PACK.digest])))
        assert [BlobRecord(house.domain, ONE, BlobState.UPLOADING).resting(row, 15)] == list(house.ledger.records())
        assert pack_key(house.domain, PACK.digest) == row.key == find(house, ONE).key

    def test_a_commit_says_where_a_blob_rests(self, house: LedgerHouse) -> None:
        """What was placed rests there after the commit, pinned or not, what was not has an object of its own; the pack is live like its blobs."""
        session = house.ledger.open_session()
        house.ledger.pin(session, house.domain, [ONE, THREE])
        pack = house.ledger.place(session, house.domain, PACK, [(ONE, 15), (TWO, 18)])
        house.ledger.pin(session, house.domain, [TWO])
        house.commit(session, [ONE.digest, TWO.digest, THREE.digest])

        assert [(PACK.digest, 15), (PACK.digest, 18), (None, 0)] == [
            (row.pack, row.start) for row in (find(house, ONE), find(house, TWO), find(house, THREE))
        ]
        assert (pack.key, blob_key(house.domain, THREE.digest)) == (find(house, ONE).key, find(house, THREE).key)
        assert [BlobState.LIVE] * 4 == [row.state for row in (*house.ledger.records(), *house.ledger.packs())]
        assert ([], []) == (house.ledger.unreachable(), house.ledger.empty_packs())

    def test_a_file_with_the_bytes_of_a_pack(self, house: LedgerHouse) -> None:
        """A blob that is, byte for byte, a pack of the same store has a row and a life of its own."""
        packed(house, PACK, ONE)
        live(house, PACK)

        assert (False, PACK, None) == (find(house, PACK).is_pack, find(house, PACK).blob, find(house, PACK).pack)
        house.release(ONE.digest)
        house.ledger.forget(house.ledger.doom(house.ledger.unreachable()))
        assert [PACK.digest] == empty(house)
        house.ledger.forget(house.ledger.doom(house.ledger.empty_packs()))
        assert ([], BlobState.LIVE) == (list(house.ledger.packs()), find(house, PACK).state)

    @pytest.mark.fault("H13")
    @pytest.mark.parametrize("wrong", [[(Blob(ONE.digest, 99, ONE.checksum), 15)], [(TWO, 0), (Blob(ONE.digest, 3, "0" * 32), 4)]])
    def test_placing_another_size_is_a_conflict(self, house: LedgerHouse, wrong: list[tuple[Blob, int]]) -> None:
        """A member or a pack that is recorded otherwise is refused, and nothing is left of the attempt."""
        live(house, ONE)
        packed(house, PACK, THREE)
        session = house.ledger.open_session()
        with pytest.raises(Corrupt):
            house.ledger.place(session, house.domain, OTHER, wrong)
        with pytest.raises(Corrupt):
            house.ledger.place(session, house.domain, Blob(PACK.digest, 1, PACK.checksum), [(TWO, 0)])

        assert [PACK.digest] == [row.blob.digest for row in house.ledger.packs()]
        assert {ONE.digest, THREE.digest} == {row.blob.digest for row in house.ledger.records()}

    @pytest.mark.fault("I-01")
    def test_two_writers_pack_the_same_blob(self, house: LedgerHouse) -> None:
        """Of two sessions that pack one new blob at once, whoever commits says where it rests; one that never commits says nothing."""
        one, two = house.ledger.open_session(), house.ledger.open_session()
        for session, pack in ((one, PACK), (two, OTHER)):
            house.ledger.place(session, house.domain, pack, [(ONE, 15)])
        assert ([], set()) == (empty(house), unreachable(house))
        house.commit(two, [ONE.digest])
        assert (BlobState.LIVE, OTHER.digest) == (find(house, ONE).state, find(house, ONE).pack)
        house.ledger.close_session(one)

        assert (OTHER.digest, [PACK.digest]) == (find(house, ONE).pack, empty(house))

    @pytest.mark.fault("I-01", "I-09")
    @pytest.mark.parametrize("aborts", [0, 1])
    def test_one_of_two_writers_gives_up(self, house: LedgerHouse, aborts: int) -> None:
        """Whichever of the two aborts and takes his pack back, the other's commit finds the blob in his own; nothing else is left."""
        packs, sessions = (PACK, OTHER), (house.ledger.open_session(), house.ledger.open_session())
        rows = [
            house.ledger.place(session, house.domain, pack, [(ONE, 15), (extra, 20)])
            for session, pack, extra in zip(sessions, packs, (TWO, THREE), strict=True)
        ]
        house.ledger.close_session(sessions[aborts])
        doomed = house.ledger.doom([rows[aborts]])
        assert [packs[aborts].digest] == [row.blob.digest for row in doomed]
        house.ledger.forget(doomed)
        house.commit(sessions[1 - aborts], [ONE.digest, (THREE, TWO)[aborts].digest])

        kept = packs[1 - aborts].digest
        assert ([kept], {kept}) == ([row.blob.digest for row in house.ledger.packs()], {row.pack for row in house.ledger.records()})
        assert {ONE.digest, (THREE, TWO)[aborts].digest} == {row.blob.digest for row in house.ledger.records()}

    @pytest.mark.fault("I-06", "I-07")
    @pytest.mark.parametrize("how", ["packed", "alone", "moved"])
    def test_what_a_session_relies_on_may_move_and_stays(self, house: LedgerHouse, how: str) -> None:
        """When another's commit lets a blob rest outside the pack a session has placed it in, and nobody else needs it then, it stays."""
        if how == "moved":
            packed(house, PACK, ONE, TWO)
            house.release(ONE.digest)
        one, two = house.ledger.open_session(), house.ledger.open_session()
        house.ledger.place(one, house.domain, PACK, [(ONE, 0), (TWO, 1)])
        if how == "alone":
            house.ledger.pin(two, house.domain, [ONE])
        else:
            house.ledger.place(two, house.domain, OTHER, [(ONE, 15)])
        house.commit(two, [])
        moved = find(house, ONE)
        assert (BlobState.LIVE, None if how == "alone" else OTHER.digest) == (moved.state, moved.pack)

        assert ([], set()) == (house.ledger.doom([moved]), unreachable(house))
        house.commit(one, [ONE.digest])
        assert BlobState.LIVE is find(house, ONE).state
        assert set() == unreachable(house) - {TWO.digest}

    @pytest.mark.fault("I-26")
    def test_a_pack_takes_along_what_never_became_live(self, house: LedgerHouse) -> None:
        """A pack that nobody committed is doomed with all that is uploading in it, and forgotten with it; what another pinned stays."""
        session, other = house.ledger.open_session(), house.ledger.open_session()
        row = house.ledger.place(session, house.domain, PACK, [(ONE, 0), (TWO, 3), (THREE, 7)])
        house.ledger.pin(other, house.domain, [THREE])
        house.ledger.close_session(session)
        doomed = house.ledger.doom([row])
        states = {record.blob: record.state for record in house.ledger.records()}
        assert {ONE: BlobState.DELETING, TWO: BlobState.DELETING, THREE: BlobState.UPLOADING} == states
        again = house.ledger.pin(other, house.domain, [TWO])[TWO.digest]
        house.ledger.forget(doomed)

        assert ([PACK], []) == ([record.blob for record in doomed], list(house.ledger.packs()))
        assert (1, None) == (again.generation, again.pack)
        assert {TWO: None, THREE: None} == {record.blob: record.pack for record in house.ledger.records()}

    def test_a_pack_that_was_lost_is_replaced(self, house: LedgerHouse) -> None:
        """A live blob in a pack that is packed again rests in the new one after the commit, and the old one is empty then."""
        packed(house, PACK, ONE)
        session = house.ledger.open_session()
        house.ledger.pin(session, house.domain, [ONE])
        house.ledger.place(session, house.domain, OTHER, [(ONE, 99)])
        assert PACK.digest == find(house, ONE).pack
        house.commit(session, [])

        assert (OTHER.digest, 99, [PACK.digest]) == (find(house, ONE).pack, find(house, ONE).start, empty(house))

    def test_a_blob_with_an_object_of_its_own_keeps_it(self, house: LedgerHouse) -> None:
        """A live blob that rests alone is not moved by a commit that packed it."""
        live(house, ONE)
        packed(house, PACK, ONE)

        assert (None, [PACK.digest]) == (find(house, ONE).pack, empty(house))

    @pytest.mark.fault("I-06", "I-07")
    def test_a_pack_is_needed_as_long_as_a_blob_in_it(self, house: LedgerHouse) -> None:
        """A pack is neither empty nor doomed while a live blob rests in it or a session placed one; then it is both, and forgotten at last."""
        pack = packed(house, PACK, ONE, TWO)
        house.release(ONE.digest)
        house.ledger.forget(house.ledger.doom(house.ledger.unreachable()))
        assert ([], []) == (empty(house), house.ledger.doom([pack]))
        house.release(TWO.digest)
        doomed = house.ledger.doom(house.ledger.unreachable())
        assert [PACK.digest] == empty(house)

        session = house.ledger.open_session()
        house.ledger.place(session, house.domain, PACK, [(THREE, 15)])
        assert ([], []) == (empty(house), house.ledger.doom([pack]))
        house.ledger.close_session(session)
        gone = house.ledger.doom(house.ledger.empty_packs())
        assert [(PACK.digest, BlobState.DELETING)] == [(row.blob.digest, row.state) for row in gone]
        house.ledger.forget(gone)
        house.ledger.forget(doomed)
        assert ([], []) == (list(house.ledger.packs()), list(house.ledger.records()))

    @pytest.mark.fault("I-11")
    def test_placing_in_a_pack_that_goes_starts_a_generation(self, house: LedgerHouse) -> None:
        """A pack that is being deleted is published under its next generation, and its blobs are found there; the late deletion misses it."""
        packed(house, PACK, ONE)
        house.release(ONE.digest)
        doomed = house.ledger.doom(house.ledger.unreachable())
        gone = house.ledger.doom(house.ledger.empty_packs())
        again = packed(house, PACK, ONE)

        assert (1, 1, pack_key(house.domain, PACK.digest, 1)) == (again.generation, find(house, ONE).pack_generation, find(house, ONE).key)
        house.ledger.forget([*doomed, *gone])
        assert ([PACK.digest], [ONE.digest]) == ([row.blob.digest for row in house.ledger.packs()], [find(house, ONE).blob.digest])

    @pytest.mark.fault("I-31")
    def test_a_displaced_blob_rests_nowhere(self, house: LedgerHouse) -> None:
        """A blob whose bytes in a pack are wrong is live and has no place; its pack keeps the others; one that moved since is left alone."""
        packed(house, PACK, ONE, TWO)
        stale = find(house, ONE)
        house.ledger.displace([stale, find(house, TWO).resting(None)])

        assert (BlobState.LIVE, None, PACK.digest) == (find(house, ONE).state, find(house, ONE).pack, find(house, TWO).pack)
        house.ledger.displace([replace(find(house, TWO), start=99), stale])
        assert PACK.digest == find(house, TWO).pack

    def test_what_is_live_is_held(self, house: LedgerHouse) -> None:
        """Held are blobs that are live in this domain, and told is the object each rests in; the others are left out, not inserted."""
        live(house, ONE)
        pack = packed(house, PACK, TWO)
        house.ledger.pin(house.ledger.open_session(), house.domain, [THREE])
        house.release(ONE.digest)
        house.release(TWO.digest)
        session = house.ledger.open_session()
        held = house.ledger.hold(session, house.domain, [ONE.digest, TWO.digest, THREE.digest, OTHER.digest])

        assert {ONE.digest: ONE, TWO.digest: pack.blob} == {digest: row.blob for digest, row in held.items()}
        assert {ONE.digest: (BlobState.LIVE, False), TWO.digest: (BlobState.LIVE, True)} == {
            digest: (row.state, row.is_pack) for digest, row in held.items()
        }
        assert set() == unreachable(house)
        assert {} == dict(house.ledger.hold(session, "elsewhere", [ONE.digest]))
        assert {} == dict(house.ledger.find(house.domain, [OTHER.digest]))
        house.ledger.close_session(session)
        assert {ONE.digest, TWO.digest} == unreachable(house)

    def test_segments_are_held_with_what_they_list(self, house: LedgerHouse) -> None:
        """Of some digests those that are segments of live content are pinned, each protecting what it lists; the others are left out."""
        session = house.ledger.open_session()
        house.ledger.pin(session, house.domain, [ONE, TWO, THREE])
        house.commit(session, [THREE.digest], {THREE.digest: [ONE.digest, TWO.digest]})
        house.release(THREE.digest)
        again = house.ledger.open_session()
        held = house.ledger.hold_segments(again, house.domain, [THREE.digest, ONE.digest, PACK.digest])

        assert {THREE.digest: find(house, THREE)} == dict(held)
        assert (set(), []) == (unreachable(house), house.ledger.doom([find(house, ONE), find(house, THREE)]))
        assert {} == dict(house.ledger.hold_segments(again, "elsewhere", [THREE.digest]))
        house.ledger.close_session(again)
        assert {ONE.digest, TWO.digest, THREE.digest} == unreachable(house)

    @pytest.mark.fault("I-01")
    def test_a_segment_that_lost_a_blob_is_not_held(self, house: LedgerHouse) -> None:
        """Once a blob it lists was doomed, or the segment itself, a segment is a blob like any other until a commit brings it anew."""
        for gone in (ONE, THREE):
            session = house.ledger.open_session()
            house.ledger.pin(session, house.domain, [ONE, THREE])
            house.commit(session, [THREE.digest], {THREE.digest: [ONE.digest]})
            house.release(THREE.digest)
            house.ledger.doom([find(house, gone)])

            assert {} == dict(house.ledger.hold_segments(house.ledger.open_session(), house.domain, [THREE.digest]))
            house.ledger.forget(house.ledger.doom(house.ledger.unreachable()))

    @pytest.mark.fault("H14", "I-31")
    @pytest.mark.parametrize("how", ["displace", "doubt"])
    def test_a_doubted_segment_is_not_held(self, house: LedgerHouse, how: str) -> None:
        """A segment that lists a blob whose bytes were found wrong is not taken on trust, until a commit brings it again."""
        for _ in range(2):
            session = house.ledger.open_session()
            house.ledger.pin(session, house.domain, [ONE, THREE])
            house.commit(session, [THREE.digest], {THREE.digest: [ONE.digest]})
            assert {THREE.digest} == set(house.ledger.hold_segments(house.ledger.open_session(), house.domain, [THREE.digest]))
            getattr(house.ledger, how)([find(house, ONE)])
            assert {} == dict(house.ledger.hold_segments(house.ledger.open_session(), house.domain, [THREE.digest]))

    @pytest.mark.fault("I-01", "I-06")
    def test_relocating_moves_live_blobs_and_nothing_else(self, house: LedgerHouse) -> None:
        """Placed and relocated they rest in the new pack, live, needed or not as they were, and the old pack is empty; the session is over."""
        packed(house, PACK, ONE, TWO, THREE)
        house.release(TWO.digest)
        before = {record.blob: record.generation for record in house.ledger.records()}
        session = house.ledger.open_session()
        house.ledger.place(session, house.domain, OTHER, [(ONE, 15), (TWO, 18)])
        assert {PACK.digest} == {record.pack for record in house.ledger.records()}
        assert house.ledger.relocate(session)

        assert [(OTHER.digest, 15), (OTHER.digest, 18), (PACK.digest, 2)] == [
            (record.pack, record.start) for record in (find(house, blob) for blob in (ONE, TWO, THREE))
        ]
        assert before == {record.blob: record.generation for record in house.ledger.records() if record.state is BlobState.LIVE}
        assert ({TWO.digest}, [], []) == (unreachable(house), empty(house), house.ledger.open_sessions())
        house.release(THREE.digest)
        house.ledger.forget(house.ledger.doom(house.ledger.unreachable()))
        assert [PACK.digest] == empty(house)

    def test_relocating_is_refused_to_a_session_that_was_closed(self, house: LedgerHouse) -> None:
        """Taken for dead, it moves nothing, and what it placed in is empty."""
        packed(house, PACK, ONE)
        session = house.ledger.open_session()
        house.ledger.place(session, house.domain, OTHER, [(ONE, 15)])
        house.ledger.close_session(session)

        assert not house.ledger.relocate(session)
        assert (PACK.digest, [OTHER.digest]) == (find(house, ONE).pack, empty(house))

    @pytest.mark.fault("I-07")
    def test_what_another_session_pinned_may_be_relocated(self, house: LedgerHouse) -> None:
        """It stays pinned where it rests then, also when nobody else needs it, and the other's commit leaves it there."""
        packed(house, PACK, ONE)
        house.release(ONE.digest)
        writer, mover = house.ledger.open_session(), house.ledger.open_session()
        house.ledger.pin(writer, house.domain, [ONE])
        house.ledger.place(mover, house.domain, OTHER, [(ONE, 15)])
        assert house.ledger.relocate(mover)

        assert ([], set()) == (house.ledger.doom([find(house, ONE)]), unreachable(house))
        assert [PACK.digest] == [row.blob.digest for row in house.ledger.doom(house.ledger.empty_packs())]
        house.commit(writer, [ONE.digest])
        assert (OTHER.digest, BlobState.LIVE) == (find(house, ONE).pack, find(house, ONE).state)

    def test_a_pack_is_weighed_by_what_is_live_in_it(self, house: LedgerHouse) -> None:
        """Blobs and bytes of every live pack; its members in the order they lie there."""
        packed(house, PACK, TWO, ONE)
        packed(house, OTHER, THREE)
        session = house.ledger.open_session()
        house.ledger.place(session, house.domain, Blob.of(b"on its way"), [(Blob.of(b"new"), 0)])
        house.release(ONE.digest)
        house.ledger.forget(house.ledger.doom(house.ledger.unreachable()))

        assert {PACK: (1, TWO.size), OTHER: (1, THREE.size)} == {use.pack.blob: (use.blobs, use.bytes) for use in house.ledger.pack_uses()}
        packs = {record.blob: record for record in house.ledger.packs()}
        assert [TWO] == [record.blob for record in house.ledger.members(packs[PACK])]
        packed(house, PACK, ONE, TWO)
        assert [] == house.ledger.members(packs[Blob.of(b"on its way")])

    def test_members_lie_in_order(self, house: LedgerHouse) -> None:
        """By where they start."""
        row = packed(house, PACK, THREE, ONE, TWO)
        assert [THREE, ONE, TWO] == [record.blob for record in house.ledger.members(row)]
