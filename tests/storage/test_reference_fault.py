"""References to S3 while the network and the service misbehave: exactly the pinned bytes, or an error that says why not."""

import io
import multiprocessing
import os
import socket
from typing import Any

import pytest

from storage.blob import endpoint
from storage.entry import Entry
from storage.errors import (
    InvalidReference,
    ReferenceChanged,
    ReferenceMissing,
    RemoteUnavailable,
    StorageError,
    Unreadable,
    VersionGone,
)
from storage.transfer import reference
from storage.transfer.reference import Standing
from tests.faults.proxy import FOREVER, Fault, Proxy
from tests.faults.s3 import Service

BIG = os.urandom(3 << 20)
_IMPATIENT: dict[tuple[object, ...], Any] = {}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No retries: a test of what a failure means need not wait for the third one."""
    monkeypatch.setattr(endpoint, "CONFIG", endpoint.CONFIG | {"retries": {"mode": "standard", "total_max_attempts": 1}})
    monkeypatch.setattr(endpoint, "_SYSTEMS", _IMPATIENT)


def fetched(entry: Entry) -> bytes:
    out = io.BytesIO()
    reference.fetch(entry, out)
    return out.getvalue()


def standing(entry: Entry) -> Standing:
    assert entry.pin is not None
    return reference.check(entry.pin, entry.size)


@pytest.fixture
def pinned(s3: Service, s3_proxy: Proxy) -> Entry:
    """One object of three mebibytes in an unversioned bucket, pinned; the proxy has forgotten about it."""
    bucket = s3.bucket()
    s3.put(bucket, "k", BIG)
    (entry,) = reference.pin(f"s3://{bucket}/k")
    s3_proxy.forget()
    return entry


def uri_of(entry: Entry) -> str:
    assert entry.pin is not None
    return entry.pin.uri


@pytest.mark.fault("R05")
@pytest.mark.usefixtures("impatient", "s3")
def test_a_network_that_is_down_is_never_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nobody listening every question fails as unavailable; nothing is called missing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free.getsockname()[1]}")
        (entry,) = reference.pin("s3://bucket/key", checksum=False)

        for uri in ("s3://bucket/key", "s3://bucket/dir/", "s3://bucket"):
            with pytest.raises(RemoteUnavailable):
                reference.pin(uri, allow_empty=True)
        with pytest.raises(RemoteUnavailable):
            fetched(entry)
        with pytest.raises(RemoteUnavailable):
            standing(entry)


@pytest.mark.parametrize("status", [403, 401])
@pytest.mark.fault("R15")
@pytest.mark.usefixtures("impatient")
def test_a_refusal_is_never_absence(s3_proxy: Proxy, pinned: Entry, status: int) -> None:
    """Where a key may not be looked at, 403 is all the service says: that is a matter of permission."""
    s3_proxy.plan(Fault(status=status, code="AccessDenied", times=FOREVER))

    for uri in (uri_of(pinned), uri_of(pinned) + "/", "s3://" + uri_of(pinned).split("/")[2]):
        with pytest.raises(Unreadable, match="permission"):
            reference.pin(uri, allow_empty=True)
    with pytest.raises(Unreadable):
        fetched(pinned)
    with pytest.raises(Unreadable):
        standing(pinned)


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (403, "InvalidObjectState", RemoteUnavailable, "archived"),
        (403, "RequestTimeTooSkewed", RemoteUnavailable, "clock"),
        (400, "ExpiredToken", Unreadable, "token"),
        (301, "PermanentRedirect", RemoteUnavailable, "AWS_REGION"),
        (404, "NoSuchBucket", ReferenceMissing, "bucket"),
        (500, "InternalError", RemoteUnavailable, "failed"),
        (503, "SlowDown", RemoteUnavailable, "failed"),
        (400, "InvalidRequest", RemoteUnavailable, "failed"),
    ],
)
@pytest.mark.fault("R14", "R18")
@pytest.mark.usefixtures("impatient")
def test_a_refused_read_says_why(s3_proxy: Proxy, pinned: Entry, status: int, code: str, kind: type[StorageError], says: str) -> None:
    """Each code of the service becomes the error its reader can act on."""
    s3_proxy.plan(Fault("GET", status=status, code=code, times=FOREVER))

    with pytest.raises(kind, match=says) as caught:
        fetched(pinned)
    assert kind is type(caught.value)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "NoSuchVersion"), (404, "NoSuchKey"), (400, "InvalidRequest"), (400, "InvalidArgument")]
)
@pytest.mark.fault("R17")
@pytest.mark.usefixtures("impatient")
def test_every_dialect_of_a_missing_version_is_understood(s3: Service, s3_proxy: Proxy, status: int, code: str) -> None:
    """Services spell it four ways; to HEAD they cannot spell it at all, so GET is asked for the word."""
    bucket = s3.bucket(versioned=True)
    s3.put(bucket, "k", b"x")
    (entry,) = reference.pin(f"s3://{bucket}/k")
    s3_proxy.plan(Fault("versionId=", status=status, code=code, times=FOREVER))

    with pytest.raises(VersionGone):
        fetched(entry)
    assert Standing.MISSING is standing(entry)
    with pytest.raises(VersionGone):
        reference.pin(f"s3://{bucket}/k?versionId=gone")


@pytest.mark.usefixtures("impatient")
def test_a_bad_request_is_not_taken_for_a_missing_version(s3: Service, s3_proxy: Proxy) -> None:
    """An expired token answers 400 as well: the version is not called gone."""
    bucket = s3.bucket(versioned=True)
    s3.put(bucket, "k", b"x")
    (entry,) = reference.pin(f"s3://{bucket}/k")
    s3_proxy.plan(Fault("versionId=", status=400, code="ExpiredToken", times=FOREVER))

    with pytest.raises(Unreadable):
        standing(entry)


@pytest.mark.fault("R01")
@pytest.mark.usefixtures("s3")
def test_a_short_failure_is_retried_and_a_long_one_ends_soon(s3_proxy: Proxy, pinned: Entry) -> None:
    """One 503 or one lost answer costs a retry; a service that stays down is asked four times, not twenty-five."""
    s3_proxy.plan(Fault("GET", status=503, code="SlowDown"))
    assert BIG == fetched(pinned)
    s3_proxy.plan(Fault("GET", lose=True))
    assert BIG == fetched(pinned)

    s3_proxy.forget()
    s3_proxy.plan(Fault("GET", status=503, code="SlowDown", times=FOREVER))
    with pytest.raises(RemoteUnavailable):
        fetched(pinned)
    assert 1 < len(s3_proxy.requests) <= 4


@pytest.mark.parametrize("at", [0, 1, 1 << 16, 1 << 20, len(BIG) - 1])
@pytest.mark.fault("R03")
def test_a_body_cut_short_is_resumed_under_the_same_etag(s3_proxy: Proxy, pinned: Entry, at: int) -> None:
    """What is missing is asked for from where it broke, on condition that it is still the same object."""
    s3_proxy.plan(Fault("GET", cut=at))

    assert BIG == fetched(pinned)
    assert 2 == s3_proxy.count("GET")
    assert [f'"{pinned.extra["etag"]}"'] * 2 == [headers["If-Match"] for headers in s3_proxy.headers]
    assert "Range" not in s3_proxy.headers[0]


@pytest.mark.fault("R03")
def test_a_body_that_keeps_being_cut_is_an_error(s3_proxy: Proxy, pinned: Entry) -> None:
    """Short bytes are never the answer."""
    s3_proxy.plan(Fault("GET", cut=1000, times=FOREVER))

    with pytest.raises(RemoteUnavailable):
        fetched(pinned)
    assert 4 == s3_proxy.count("GET")


@pytest.mark.fault("R06")
def test_an_object_replaced_between_two_halves_never_mixes(s3: Service, s3_proxy: Proxy, pinned: Entry) -> None:
    """The first answer breaks off, the object is replaced by one of the same size: the rest is refused, not appended."""
    bucket, key = uri_of(pinned).split("/")[2:]
    s3_proxy.plan(Fault("GET", cut=1 << 20, meanwhile=lambda: s3.put(bucket, key, bytes(len(BIG)))))

    with pytest.raises(ReferenceChanged):
        fetched(pinned)


@pytest.mark.fault("R06", "R11")
def test_a_service_that_ignores_conditions_does_not_mix_either(s3: Service, s3_proxy: Proxy, pinned: Entry) -> None:
    """The reply itself must show the pinned etag, whether or not the service understood If-Match."""
    bucket, key = uri_of(pinned).split("/")[2:]
    s3_proxy.plan(Fault("GET", cut=1 << 20, meanwhile=lambda: s3.put(bucket, key, bytes(len(BIG)))))
    s3_proxy.plan(Fault("GET", without="If-Match", times=FOREVER))

    with pytest.raises(ReferenceChanged):
        fetched(pinned)
    out = io.BytesIO()
    with pytest.raises(ReferenceChanged):
        reference.fetch(pinned, out)
    assert b"" == out.getvalue()


@pytest.mark.fault("R06", "R11")
def test_a_service_that_ignores_ranges_does_not_repeat_bytes(s3_proxy: Proxy, pinned: Entry) -> None:
    """An answer that begins anew is not appended to what came before."""
    s3_proxy.plan(Fault("GET", cut=1 << 20), Fault("GET", without="Range", times=FOREVER))

    with pytest.raises(ReferenceChanged):
        fetched(pinned)


@pytest.mark.fault("R06")
def test_an_object_replaced_while_it_is_read_by_version_comes_whole(s3: Service, s3_proxy: Proxy) -> None:
    """With a version id the replacement does not matter, not even in the middle of a broken download."""
    bucket = s3.bucket(versioned=True)
    s3.put(bucket, "k", BIG)
    (entry,) = reference.pin(f"s3://{bucket}/k")
    s3_proxy.plan(Fault("GET", cut=1 << 20, meanwhile=lambda: s3.put(bucket, "k", bytes(len(BIG)))))

    assert BIG == fetched(entry)


@pytest.mark.fault("R06")
def test_an_unchecked_download_never_mixes_two_objects(s3: Service, s3_proxy: Proxy) -> None:
    """Without checksum anything may come, but it is one object: the first answer's etag binds the rest."""
    bucket = s3.bucket()
    s3.put(bucket, "k", BIG)
    (entry,) = reference.pin(f"s3://{bucket}/k", checksum=False)
    s3_proxy.plan(Fault("GET", cut=1 << 20))
    assert BIG == fetched(entry)

    s3_proxy.plan(Fault("GET", cut=1 << 20, meanwhile=lambda: s3.put(bucket, "k", bytes(len(BIG)))))
    with pytest.raises(ReferenceChanged):
        fetched(entry)


@pytest.mark.fault("R06")
def test_what_cannot_be_told_apart_is_not_resumed(s3: Service, s3_proxy: Proxy) -> None:
    """Neither checked nor given an etag by the service, a broken download ends: its rest could be of another object."""
    bucket = s3.bucket()
    s3.put(bucket, "k", BIG)
    (entry,) = reference.pin(f"s3://{bucket}/k", checksum=False)
    s3_proxy.plan(Fault("GET", cut=1 << 20, hide="ETag"))

    with pytest.raises(RemoteUnavailable):
        fetched(entry)
    assert 1 == s3_proxy.count("GET")


@pytest.mark.fault("R11", "R17")
def test_a_service_that_ignores_versions_gives_an_error_not_the_newest(s3: Service, s3_proxy: Proxy) -> None:
    """The reply says which version it is; another one than was asked for is refused."""
    bucket = s3.bucket(versioned=True)
    version = s3.put(bucket, "k", b"first")["VersionId"]
    s3.put(bucket, "k", b"newer")
    (entry,) = reference.pin(f"s3://{bucket}/k?versionId={version}", checksum=False)
    s3_proxy.plan(Fault("GET", without="versionId"))

    with pytest.raises(ReferenceChanged, match=version):
        fetched(entry)
    assert b"first" == fetched(entry)


def test_a_listing_that_does_not_get_on_is_an_error(s3: Service, s3_proxy: Proxy) -> None:
    """A page that promises more and says nothing new about where ends the pin, not the list, and not never."""
    bucket = s3.bucket(versioned=True)
    page = b"<ListVersionsResult><IsTruncated>true</IsTruncated>%s</ListVersionsResult>"
    for marker in (b"", b"<NextKeyMarker>k</NextKeyMarker>"):
        s3_proxy.forget()
        s3_proxy.plan(Fault("?versions", status=200, content=page % marker, times=FOREVER))
        with pytest.raises(RemoteUnavailable, match="listing"):
            reference.pin(f"s3://{bucket}/", allow_empty=True)
        assert s3_proxy.count("?versions") <= 2


@pytest.mark.parametrize("match", ["prefix=", "versioning"])
@pytest.mark.usefixtures("impatient")
def test_a_listing_that_fails_is_not_a_short_artifact(s3: Service, s3_proxy: Proxy, match: str) -> None:
    """A failed page fails the pin; a bucket that will not say whether it keeps versions is pinned by etags."""
    bucket = s3.bucket()
    s3.put(bucket, "d/k", b"x")
    s3_proxy.plan(Fault(match, status=500))

    if match == "versioning":
        assert ["k"] == [entry.path for entry in reference.pin(f"s3://{bucket}/d/")]
    else:
        with pytest.raises(RemoteUnavailable):
            reference.pin(f"s3://{bucket}/d/", allow_empty=True)


@pytest.mark.usefixtures("impatient", "s3")
def test_no_credentials_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the message names what to set."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(Unreadable, match="AWS_ACCESS_KEY_ID"):
        reference.pin("s3://bucket/key")


@pytest.mark.usefixtures("s3")
def test_a_name_that_is_no_bucket_is_a_wrong_request() -> None:
    """botocore's own refusal of a parameter becomes ours."""
    with pytest.raises(InvalidReference):
        reference.pin("s3://b/key")


def _fetch_in_child(entry: Entry, answer: Any) -> None:
    answer.send(len(fetched(entry)))
    answer.close()


@pytest.mark.usefixtures("s3", "s3_proxy")
def test_a_forked_process_gets_a_connection_of_its_own(pinned: Entry) -> None:
    """What a parent has open is not used by its children: a fork can fetch at once, and so can the parent afterwards."""
    assert BIG == fetched(pinned)
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_fetch_in_child, args=(pinned, there))
    child.start()
    there.close()

    assert here.poll(30)
    assert len(BIG) == here.recv()
    child.join(30)
    assert 0 == child.exitcode
    here.close()
    child.close()
    assert BIG == fetched(pinned)
