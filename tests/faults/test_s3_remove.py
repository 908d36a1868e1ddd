"""Removing thousands of objects: every one is accounted for, and what a listing says or does not say decides nothing."""

from collections.abc import Callable

import pytest

from storage.digest import Blob, Digest
from storage.errors import NotRemoved, StorageError, Unavailable
from storage.layout import blob_key
from storage.ledger import BlobRecord, BlobState
from storage.upkeep.verify import verify_store
from tests.faults.far import CONTENT, PATIENT, Far
from tests.faults.mishap import HTML, MISHAPS
from tests.faults.proxy import FOREVER, Fault, Proxy
from tests.faults.s3 import Service


def fill(far: Far, service: Service, count: int) -> list[str]:
    """So many live blobs with an object each, which nobody needs any more; the keys of their objects."""
    names = [f"{far.prefix}/{blob_key('d', Digest.of(b'%d' % number))}" for number in range(count)]
    service.fill(far.bucket, names)
    for number, name in enumerate(names):
        size = len(name.encode())
        blob = Blob(Digest.of(b"%d" % number), size, "0" * 32)
        far.ledger.rows["d", blob.digest] = BlobRecord("d", blob, BlobState.LIVE)
    return names


def left(far: Far) -> set[str]:
    return {f"{far.prefix}/{name}" for name in far.service.contents(far.bucket, f"{far.prefix}/")}


@pytest.mark.fault("G12")
def test_more_objects_than_one_request_can_name(make: Callable[..., Far], s3: Service, s3_proxy: Proxy) -> None:
    """2,500 objects: all are listed, what was planned is what goes, and none stays."""
    far = make(budget=PATIENT)
    names = fill(far, s3, 2500)
    assert len(names) == sum(1 for _ in far.backend.keys())  # noqa: SIM118  # a backend is no mapping
    s3_proxy.forget()

    assert 2500 == far.reclaim().blobs
    assert set() == left(far)
    assert [] == list(far.ledger.records())
    assert s3_proxy.count("POST") == len(s3_proxy.requests) <= 5


@pytest.mark.fault("G13", "R26", "I-11")
def test_three_of_a_thousand_stay_and_only_theirs_are_remembered(make: Callable[..., Far], s3: Service, s3_proxy: Proxy) -> None:
    """The service refuses three keys, which are locked: their rows stay, and the next reclaim removes them when the lock is gone."""
    far = make()
    names = fill(far, s3, 1000)
    locked = set(names[10:13])

    def refuse(answer: bytes) -> bytes:
        for name in locked:
            gone = f"<Deleted><Key>{name}</Key></Deleted>".encode()
            refused = f"<Error><Key>{name}</Key><Code>AccessDenied</Code><Message>Object Lock</Message></Error>".encode()
            answer = answer.replace(gone, refused) if gone in answer else answer
        return answer

    s3_proxy.plan(Fault("?delete", times=FOREVER, change=refuse))
    with pytest.raises((NotRemoved, Unavailable), match="3"):
        far.reclaim()

    assert {f"{far.prefix}/{record.key}" for record in far.ledger.records()} == locked
    assert {BlobState.DELETING} == {record.state for record in far.ledger.records()}
    s3_proxy.forget()
    s3.fill(far.bucket, locked)  # moto removed what the answer says is locked
    assert 3 == far.reclaim().blobs
    assert set() == left(far)
    assert [] == list(far.ledger.records())


@pytest.mark.parametrize("name", ["500", "403", "drop", "html", "empty listing", "unfinished listing", "half a listing", "stale"])
@pytest.mark.fault("G04", "R25", "R27")
def test_no_listing_decides_what_goes(make: Callable[..., Far], s3_proxy: Proxy, name: str) -> None:
    """While every listing fails, is cut off, empty or old, verifying and reclaiming remove nothing that is needed."""
    far = make()
    digests = far.log()
    (mishap,) = [each for each in MISHAPS if name == each.name]
    fault = mishap.make(far.world)
    fault.match, fault.times = "list-type=2", FOREVER
    s3_proxy.forget()
    s3_proxy.plan(fault)

    assert 0 == far.reclaim().blobs
    try:
        verified = verify_store(far.backend, far.ledger)
    except StorageError:
        pass
    else:
        assert () == verified.missing
    assert 0 == far.reclaim().blobs

    assert list(CONTENT) == [far.copy().read(digest) for digest in digests]
    assert 0 == s3_proxy.count("?delete") + s3_proxy.count("DELETE")


@pytest.mark.fault("R27")
def test_a_page_of_a_hotel_removes_nothing(make: Callable[..., Far], s3_proxy: Proxy) -> None:
    """Told 200 by something that is no service, a reclaim forgets nothing that is still there."""
    far = make()
    far.release(far.log())
    s3_proxy.plan(Fault("POST", status=200, content=HTML, times=FOREVER), Fault("DELETE", status=200, content=HTML, times=FOREVER))
    with pytest.raises(StorageError):
        far.reclaim()
    there = far.service.contents(far.bucket, f"{far.prefix}/objects/")
    assert 3 == len(there)

    with pytest.raises(StorageError):
        far.backend.remove(f"objects/{next(iter(there))}")
    s3_proxy.forget()
    far.reclaim()
    assert {} == far.service.contents(far.bucket, f"{far.prefix}/objects/")


@pytest.mark.fault("R13")
def test_credentials_that_expire_are_not_taken_for_a_service_that_knows_no_bulk(make: Callable[..., Far], s3_proxy: Proxy) -> None:
    """The refusal is of the credentials: with others, many keys go in one request again."""
    far = make()
    far.log()
    backend, keys = far.backend, [f"objects/{name}" for name in far.service.contents(far.bucket, f"{far.prefix}/objects/")]
    s3_proxy.plan(Fault("?delete", status=400, code="ExpiredToken", times=FOREVER))
    with pytest.raises(NotRemoved):
        backend.remove_many(keys)
    s3_proxy.forget()
    backend.remove_many(keys)

    assert [True] == ["?delete" in line for line in s3_proxy.requests]
