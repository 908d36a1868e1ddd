"""The ledger in SQL keeps the laws of ledgers."""

from collections.abc import Iterable, Mapping, Sequence

import pytest

from lineage.catalog import blob as blobs
from lineage.catalog import collection as collections
from lineage.catalog import project as projects
from lineage.catalog import segment as segments
from lineage.catalog import session as sessions
from lineage.catalog import version as versions
from lineage.catalog.blob import SqlLedger
from lineage.catalog.open import Catalog, Connection
from lineage.model.artifact import VersionState
from lineage.model.project import Visibility
from storage.digest import Blob, Digest
from storage.errors import Corrupt
from storage.manifest import Segment
from tests.contracts.ledger import LedgerContract


class SqlHouse:
    """A catalogue, and one version for each blob that is needed: a segment that lists nothing but it."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.ledger = SqlLedger(catalog, lambda: 1)
        with catalog.tx() as c:
            place = projects.ensure(c, projects.ensure_entity(c, "ann", 1), "p", Visibility.PRIVATE, 1)
            self.collection, _ = collections.ensure(c, place.id, "a", "dataset", 1)
        self.domain = place.domain
        self.versions: dict[Digest, int] = {}

    def commit(self, session: str, keep: Iterable[Digest], segments: Mapping[Digest, Sequence[Digest]] | None = None) -> None:
        with self.catalog.tx() as c:
            sessions.commit(c, session)
            for digest in keep:
                self.versions[digest] = self._version(c, digest, (segments or {}).get(digest, [digest]))

    def _version(self, c: Connection, digest: Digest, listed: Sequence[Digest]) -> int:
        order = versions.next_order(c)
        number = collections.next_number(c, self.collection)
        versions.insert(c, order, self.collection, number, str(digest), 1, manifest_id=blobs.blob_id(c, self.domain, digest))
        segment = Segment(digest, len(listed), 1)
        segments.attach(c, order, segments.ensure(c, self.domain, [segment], lambda _: listed))
        return order

    def release(self, digest: Digest) -> None:
        with self.catalog.tx() as c:
            assert versions.end(c, self.versions.pop(digest), VersionState.DELETED, "released", 2)

    def die(self, session: str) -> None:
        with self.catalog.tx() as c:
            machine = c.execute("SELECT owner FROM session WHERE id = ?", (session,)).fetchone()[0].partition("/")[0]
            c.execute("UPDATE session SET owner = ? WHERE id = ?", (f"{machine}/999999999/1", session))


class TestSqlLedger(LedgerContract):
    @pytest.fixture
    def house(self, catalog: Catalog) -> SqlHouse:
        return SqlHouse(catalog)


@pytest.mark.fault("I-06", "G25")
def test_a_segments_blobs_are_reached_through_any_live_version(catalog: Catalog) -> None:
    """A blob that two versions list through two segments stays until the last of them ended."""
    house = SqlHouse(catalog)
    shared, one, two = Blob.of(b"shared"), Blob.of(b"segment one"), Blob.of(b"segment two")
    session = house.ledger.open_session()
    house.ledger.pin(session, house.domain, [shared, one, two])
    orders = []
    with catalog.tx() as c:
        sessions.commit(c, session)
        for segment in (one, two):
            order, number = versions.next_order(c), collections.next_number(c, house.collection)
            versions.insert(c, order, house.collection, number, str(segment.digest), 1)
            held = segments.ensure(c, house.domain, [Segment(segment.digest, 1, 1)], lambda _: [shared.digest])
            segments.attach(c, order, held)
            orders.append(order)

    assert [] == house.ledger.unreachable()
    for order, left in zip(orders, ({one.digest}, {one.digest, two.digest, shared.digest}), strict=True):
        with catalog.tx() as c:
            versions.end(c, order, VersionState.DELETED, "test", 2)
        assert left == {record.blob.digest for record in house.ledger.unreachable()}


@pytest.mark.fault("I-01")
def test_a_commit_of_what_was_never_pinned_is_refused(catalog: Catalog) -> None:
    """A segment that lists a blob the ledger does not know or that never became live, or is none itself, makes the whole commit fail."""
    house = SqlHouse(catalog)
    known, unknown, waiting = Blob.of(b"known"), Blob.of(b"unknown"), Blob.of(b"somebody is uploading it")
    house.ledger.pin(house.ledger.open_session(), house.domain, [waiting])
    session = house.ledger.open_session()
    house.ledger.pin(session, house.domain, [known])
    house.commit(session, [])
    for segment, listed in ((known, [unknown]), (unknown, [known]), (known, [known, waiting]), (waiting, [known])):
        with pytest.raises(Corrupt, match="never pinned"), catalog.tx() as c:
            segments.ensure(c, house.domain, [Segment(segment.digest, 1, 1)], lambda _, listed=listed: [blob.digest for blob in listed])  # type: ignore[misc]
    with catalog.read() as c:
        assert 0 == c.execute("SELECT count(*) FROM segment").fetchone()[0]


def test_packing_writes_one_row_a_blob(catalog: Catalog) -> None:
    """A thousand small blobs are a thousand rows and three pins at most, and their commit writes no row twice."""
    house = SqlHouse(catalog)
    members = [(Blob.of(b"%d" % number), number) for number in range(1000)]
    session = house.ledger.open_session()
    with catalog.read() as c:
        before = c.total_changes
    house.ledger.place(session, house.domain, Blob.of(b"pack"), members)
    with catalog.read() as c:
        assert 1000 + 2 == c.total_changes - before
        assert 1 == c.execute("SELECT count(*) FROM pin").fetchone()[0]
    house.commit(session, [])
    with catalog.read() as c:
        assert [("live", 1001)] == [tuple(row) for row in c.execute("SELECT state, count(*) FROM blob GROUP BY state")]
