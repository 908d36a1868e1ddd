"""Every single fault at every request of a store on S3: what was acknowledged is there and right, what was not left nothing behind.

Four pieces of work, each of a few requests: log, read, remove, verify. Each is done once for each request and each mishap that can happen
to it, by a client that does not try again, so that each fault is felt; then what holds is looked at, and the work is done again.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from storage.errors import Missing, StorageError
from storage.upkeep.verify import verify_store
from tests.faults.far import CONTENT, PATIENT, SMALL, Far
from tests.faults.mishap import MISHAPS, Mishap
from tests.faults.proxy import Proxy

DOOMED = (*SMALL, b"doomed by itself " * 100)
KEPT = (b"kept " * 10, b"kept by itself " * 100)


@dataclass(frozen=True)
class Work:
    """Something done in a store: what is there before, what is done, and what must hold when it is over, whatever happened to it."""

    name: str
    prepare: Callable[[Far], Any]
    do: Callable[[Far, Any], Any]
    settle: Callable[[Far, Any, Mishap, Any], None]
    changes: bool = True
    """Is the store another one afterwards, so that the next time begins with a new one?"""


def _log(far: Far, _: Any) -> Any:
    return far.log()


def _after_logging(far: Far, _: Any, _mishap: Mishap, came: Any) -> None:
    if not isinstance(came, StorageError):
        assert list(CONTENT) == read(far, came), "acknowledged bytes are lost"
    digests = far.log()
    assert list(CONTENT) == read(far, digests)
    assert 0 == far.reclaim().blobs
    verified = verify_store(far.copy().backend, far.ledger)
    assert verified.is_sound
    assert () == verified.orphans
    assert [] == far.uploads()
    assert [] == far.backend.sessions()
    assert [] == [path for path in far.spool.rglob("*") if path.is_file()]


def _read(far: Far, digests: Any) -> list[bytes]:
    located = far.store.locate(digests)
    packed = [bytes(data) for _, data in far.store.read_many([located[digest] for digest in digests[:3]])]
    assert far.store.has(digests[3]), "absence was concluded"
    return [*packed, *(far.store.read(digest) for digest in digests[2:])]


def _after_reading(far: Far, digests: Any, mishap: Mishap, came: Any) -> None:
    assert isinstance(came, StorageError) or sorted((*CONTENT, CONTENT[2])) == sorted(came)
    if mishap.name == "swap":  # found by whoever looks, and healed by logging the content again
        verify_store(far.backend, far.ledger)
        assert digests == far.log()
    assert list(CONTENT) == read(far, digests)


def _verify(far: Far, _: Any) -> Any:
    return verify_store(far.backend, far.ledger)


def _after_verifying(far: Far, digests: Any, mishap: Mishap, came: Any) -> None:
    assert mishap.is_absence or isinstance(came, StorageError) or not came.missing
    _after_reading(far, digests, mishap, sorted((*CONTENT, CONTENT[2])))
    assert verify_store(far.backend, far.ledger).is_sound


def _to_remove(far: Far) -> Any:
    doomed, kept = far.log(DOOMED), far.log(KEPT)
    far.release(doomed)
    return kept


def _remove(far: Far, _: Any) -> Any:
    return far.reclaim()


def _after_removing(far: Far, kept: Any, _mishap: Mishap, came: Any) -> None:
    again = far.reclaim()
    assert isinstance(came, StorageError) or (0, 0) == (again.blobs, again.packs)
    assert list(KEPT) == read(far, kept)
    assert set(kept) == {record.blob.digest for record in far.ledger.records()}
    assert () == verify_store(far.copy().backend, far.ledger).orphans


def read(far: Far, digests: Any) -> list[bytes]:
    """What is there, by a look that asks nothing."""
    store = far.copy()
    return [store.read(digest) for digest in digests]


WORKS = (
    Work("log", lambda _: None, _log, _after_logging),
    Work("read", Far.log, _read, _after_reading, changes=False),
    Work("verify", Far.log, _verify, _after_verifying, changes=False),
    Work("remove", _to_remove, _remove, _after_removing),
)


def requests_of(work: Work, far: Far, proxy: Proxy) -> list[str]:
    """What the work asks when nothing happens to it."""
    ready = work.prepare(far)
    proxy.forget()
    work.do(far, ready)
    return list(proxy.requests)


def attempt(work: Work, far: Far, ready: Any) -> Any:
    """What came of it, or the error that says why nothing did; any other exception is a defect."""
    try:
        return work.do(far, ready)
    except StorageError as error:
        return error


@pytest.mark.parametrize("mishap", MISHAPS, ids=lambda mishap: mishap.name)
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
@pytest.mark.fault("R01", "R02", "R03", "R05", "R06", "R09", "R10", "R12", "R14", "R15", "R19", "R25", "R27")
@pytest.mark.fault("G04", "G15", "I-01", "I-02", "I-03", "I-04", "I-05", "I-10", "I-11")
def test_no_single_fault_loses_or_invents_anything(
    work: Work, mishap: Mishap, make: Callable[..., Far], s3_proxy: Proxy, client: Callable[..., None]
) -> None:
    """Acknowledged bytes are right, errors are typed and never absence, the second attempt succeeds, and nothing is left half done."""
    client(is_retrying=False, is_hasty=False)
    lines = requests_of(work, make(), s3_proxy)
    far, ready = None, None
    for number in mishap.numbers(lines):
        if far is None or work.changes:
            far = make()
            ready = work.prepare(far)
        s3_proxy.forget()
        s3_proxy.plan(mishap.fault(number, far.world))
        client(is_retrying=False, is_hasty=mishap.is_late)
        came = attempt(work, far, ready)
        print(number, lines[number], repr(came)[:300])
        assert mishap.is_absence or not isinstance(came, Missing)

        s3_proxy.forget()
        client(is_retrying=False, is_hasty=False)
        work.settle(far, ready, mishap, came)


@pytest.mark.parametrize("mishap", [each for each in MISHAPS if each.is_passing], ids=lambda mishap: mishap.name)
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
@pytest.mark.fault("R01", "R02", "R09", "R10", "R19")
def test_what_passes_is_not_noticed(
    work: Work, mishap: Mishap, make: Callable[..., Far], s3_proxy: Proxy, client: Callable[..., None]
) -> None:
    """With retries one lost request or reply costs time and nothing else, whichever it is."""
    client(is_retrying=False, is_hasty=False)
    lines = requests_of(work, make(), s3_proxy)
    far, ready = None, None
    for number in mishap.numbers(lines):
        if far is None or work.changes:
            far = make(budget=PATIENT)
            ready = work.prepare(far)
        s3_proxy.forget()
        s3_proxy.plan(mishap.fault(number, far.world))
        came = work.do(far, ready)
        assert [] == far.uploads()
        work.settle(far, ready, mishap, came)


def test_there_are_at_least_two_hundred_single_faults(make: Callable[..., Far], s3_proxy: Proxy, client: Callable[..., None]) -> None:
    """The faults of this file are made from what the work really asks; were that to shrink, so would they, unseen."""
    client(is_retrying=False, is_hasty=False)
    asked = {work.name: requests_of(work, make(), s3_proxy) for work in WORKS}
    counts = {name: sum(len(mishap.numbers(lines)) for mishap in MISHAPS) for name, lines in asked.items()}

    print(counts, {name: len(lines) for name, lines in asked.items()})
    assert 200 <= sum(counts.values())


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(300))
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
@pytest.mark.fault("R01", "R02", "R03", "R19")
def test_pairs_of_faults_lose_or_invent_nothing_either(
    work: Work, seed: int, make: Callable[..., Far], s3_proxy: Proxy, client: Callable[..., None]
) -> None:
    """As with one fault, when another happens to what is done about the first."""
    client(is_retrying=False, is_hasty=False)
    chance = random.Random(seed)
    lines = requests_of(work, make(), s3_proxy)
    first, second = chance.sample([each for each in MISHAPS if not each.is_late and each.name != "swap"], 2)
    far = make(budget=chance.choice([PATIENT, Far.budget]))
    ready = work.prepare(far)
    s3_proxy.forget()
    at = chance.choice(first.numbers(lines) or [0])
    s3_proxy.plan(first.fault(at, far.world), second.fault(at + chance.randrange(1, 4), far.world))
    came = attempt(work, far, ready)
    print(first.name, second.name, list(s3_proxy.requests), repr(came))
    assert first.is_absence or second.is_absence or not isinstance(came, Missing)

    s3_proxy.forget()
    work.settle(far, ready, first if first.is_absence else second, came)
