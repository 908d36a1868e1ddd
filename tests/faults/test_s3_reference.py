"""Every single fault at every request of pinning, fetching and checking references: the pinned bytes come, or an error that says why not."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from storage.entry import Entry
from storage.errors import Missing, ReferenceChanged, StorageError
from storage.transfer import reference
from storage.transfer.reference import Standing
from tests.faults.mishap import MISHAPS, Mishap, World
from tests.faults.proxy import Proxy
from tests.faults.s3 import Service

OBJECT = b"k" * 300


@dataclass(frozen=True)
class Library:
    """One object that is all there is below a prefix, in a bucket that may keep versions, and a bucket where it was something else before."""

    service: Service
    bucket: str
    earlier: str
    uri: str

    @classmethod
    def made(cls, service: Service, *, versioned: bool) -> "Library":
        bucket, earlier = service.bucket(versioned=versioned), service.bucket(versioned=versioned)
        service.put(bucket, "d/k", OBJECT, ChecksumAlgorithm="SHA256")
        service.put(earlier, "d/k", OBJECT.upper(), ChecksumAlgorithm="SHA256")
        return cls(service, bucket, earlier, f"s3://{bucket}/d/" if versioned else f"s3://{bucket}/d/k")

    @property
    def world(self) -> World:
        def replace(_: str) -> None:
            self.service.put(self.bucket, "d/k", b"!" * len(OBJECT))

        return World(lambda target: target.replace(self.bucket, self.earlier), replace)


def fetched(entry: Entry) -> bytes:
    out = io.BytesIO()
    reference.fetch(entry, out)
    return out.getvalue()


def standing(entry: Entry) -> Standing:
    assert entry.pin is not None
    return reference.check(entry.pin, entry.size)


def work(library: Library) -> tuple[Entry, bytes, Standing]:
    """Pin, fetch and check: by listings and versions, or by conditions; three or four requests."""
    (entry,) = reference.pin(library.uri)
    return entry, fetched(entry), standing(entry)


def attempt(library: Library) -> tuple[Entry, bytes, Standing] | StorageError:
    """What came of the work, or the error that says why nothing did; any other exception is a defect."""
    try:
        return work(library)
    except StorageError as error:
        return error


def identity(entry: Entry) -> tuple[object, ...]:
    """What was pinned, whether or not the bucket could say that it keeps versions."""
    return entry.path, entry.size, entry.extra.get("etag")


@pytest.fixture(params=[True, False], ids=["versions", "conditions"])
def library(s3: Service, request: pytest.FixtureRequest) -> Library:
    return Library.made(s3, versioned=request.param)


@pytest.fixture
def lines(library: Library, s3_proxy: Proxy) -> list[str]:
    """The requests of the work when nothing happens to them."""
    work(library)
    lines = list(s3_proxy.requests)
    s3_proxy.forget()
    return lines


@pytest.mark.parametrize("mishap", MISHAPS, ids=lambda mishap: mishap.name)
@pytest.mark.fault("R01", "R02", "R03", "R05", "R06", "R14", "R15", "R25", "R27")
def test_no_single_fault_gives_wrong_bytes_or_absence(
    mishap: Mishap, library: Library, lines: list[str], s3_proxy: Proxy, client: Callable[..., None]
) -> None:
    """Nothing comes but what was pinned, nothing is called missing that the service did not call so, and the second attempt succeeds."""
    if mishap.name == "wrong bytes" and not library.service.states_checksums:
        pytest.skip(f"{library.service.name} states no checksums")
    entry, data, _ = right = work(library)
    for number in mishap.numbers(lines):
        s3_proxy.forget()
        s3_proxy.plan(mishap.fault(number, library.world))
        client(is_retrying=False, is_hasty=mishap.is_late)
        came = attempt(library)
        if isinstance(came, StorageError):
            assert mishap.is_absence or not isinstance(came, Missing), lines[number]
        else:
            assert mishap.is_disguise or identity(entry) == identity(came[0]), lines[number]
            assert data == came[1] or identity(entry) != identity(came[0]), lines[number]
            assert mishap.is_absence or Standing.MISSING is not came[2], lines[number]

        s3_proxy.forget()
        client(is_retrying=False, is_hasty=False)
        if mishap.name == "swap":
            assert_only_what_was_pinned(entry, data)
            library.service.put(library.bucket, "d/k", OBJECT, ChecksumAlgorithm="SHA256")
            entry, data, _ = right = work(library)
        assert right == work(library), lines[number]


def assert_only_what_was_pinned(entry: Entry, data: bytes) -> None:
    try:
        assert data == fetched(entry)
    except ReferenceChanged:
        assert "versionID" not in entry.extra


@pytest.mark.parametrize("mishap", [each for each in MISHAPS if each.is_passing], ids=lambda mishap: mishap.name)
@pytest.mark.fault("R01", "R02")
def test_what_passes_is_not_noticed(
    mishap: Mishap, library: Library, lines: list[str], s3_proxy: Proxy, client: Callable[..., None]
) -> None:
    """With retries one lost request or reply costs time and nothing else, whichever it is."""
    right = work(library)
    client(is_retrying=True, is_hasty=False)
    for number in mishap.numbers(lines):
        s3_proxy.forget()
        s3_proxy.plan(mishap.fault(number, library.world))
        assert right == work(library), lines[number]
