"""The laws of `storage.ledger`, as one suite for every ledger.

A ledger alone cannot commit: its owner can. So the suite asks for a `LedgerHouse`, a ledger with the few things that happen around it.
Subclass `LedgerContract` in a file pytest collects, and give it a fixture `house`:

    class TestMemoryLedger(LedgerContract):
        @pytest.fixture
        def house(self) -> MemoryHouse:
            return MemoryHouse()
"""

from collections.abc import Iterable
from typing import Protocol

import pytest

from storage.digest import Blob, Digest
from storage.errors import Corrupt
from storage.ledger import BlobState, Ledger, MemoryLedger


class LedgerHouse(Protocol):
    """A fresh ledger and what its owner does. All blobs of this suite are in `domain`."""

    ledger: Ledger
    domain: str

    def commit(self, session: str, keep: Iterable[Digest]) -> None:
        """Commit the session: its blobs become live, those in `keep` are needed by a version; the session ends."""

    def release(self, digest: Digest) -> None:
        """No version needs the blob any more."""

    def die(self, session: str) -> None:
        """The process of the session is gone, and nobody has noticed yet."""


class MemoryHouse:
    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.domain = "d"

    def commit(self, session: str, keep: Iterable[Digest]) -> None:
        self.ledger.commit(session, keep)

    def release(self, digest: Digest) -> None:
        self.ledger.reachable.discard((self.domain, digest))

    def die(self, session: str) -> None:
        self.ledger.dead.add(session)


ONE, TWO, THREE = Blob.of(b"one"), Blob.of(b"two!"), Blob.of(b"three")


def live(house: LedgerHouse, *blobs: Blob) -> None:
    """Commit the blobs, needed by a version."""
    session = house.ledger.open_session()
    house.ledger.pin(session, house.domain, blobs)
    house.commit(session, [blob.digest for blob in blobs])


def unreachable(house: LedgerHouse) -> set[Digest]:
    return {record.blob.digest for record in house.ledger.unreachable()}


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
