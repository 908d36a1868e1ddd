"""References to S3 objects: what is pinned, what comes back, and what is refused."""

import copy
import io
import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from storage.entry import Entry, Kind, Pin
from storage.errors import Corrupt, InvalidReference, ReferenceChanged, ReferenceMissing, TooManyObjects, VersionGone
from storage.transfer import reference
from storage.transfer.reference import Standing
from tests.faults.proxy import Proxy
from tests.faults.s3 import Service

PART = 5 << 20


def fetched(entry: Entry) -> bytes:
    out = io.BytesIO()
    reference.fetch(entry, out)
    return out.getvalue()


def standing(entry: Entry) -> Standing:
    assert entry.pin is not None
    return reference.check(entry.pin, entry.size)


def paths(entries: list[Entry]) -> list[str]:
    return [entry.path for entry in entries]


def test_one_object_is_one_entry_named_after_its_last_component(s3: Service) -> None:
    """An object in an unversioned bucket is pinned by etag and size."""
    bucket = s3.bucket()
    etag = s3.put(bucket, "train/a.csv", b"hello")["ETag"].strip('"')

    (entry,) = reference.pin(f"s3://{bucket}/train/a.csv")

    assert ("a.csv", Kind.REFERENCE, 5) == (entry.path, entry.kind, entry.size)
    assert entry.pin is not None
    assert (f"s3://{bucket}/train/a.csv", etag, None) == (entry.pin.uri, entry.pin.etag, entry.pin.version_id)
    assert etag == entry.extra["etag"]
    assert "versionID" not in entry.extra
    assert b"hello" == fetched(entry)
    assert Standing.OK is standing(entry)


def test_the_version_id_of_an_object_in_a_versioned_bucket_is_recorded(s3: Service) -> None:
    """`entry.extra` shows etag and versionID, and a later write changes neither what is fetched nor how it stands."""
    bucket = s3.bucket(versioned=True)
    version = s3.put(bucket, "a.csv", b"old")["VersionId"]
    (entry,) = reference.pin(f"s3://{bucket}/a.csv", "data/first.csv")
    s3.put(bucket, "a.csv", b"new and longer")

    assert "data/first.csv" == entry.path
    assert version == entry.extra["versionID"]
    assert b"old" == fetched(entry)
    assert Standing.OK is standing(entry)


def test_the_checksum_the_provider_states_is_kept_and_compared(s3: Service) -> None:
    """A checksum in the response is recorded as `algorithm:hex`; bytes that do not have it are corrupt."""
    if not s3.states_checksums:
        pytest.skip(f"{s3.name} states no checksums")
    bucket = s3.bucket()
    s3.put(bucket, "a", b"hello", ChecksumAlgorithm="SHA256")

    (entry,) = reference.pin(f"s3://{bucket}/a")

    assert entry.pin is not None
    assert "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" == entry.extra["checksum"]
    assert b"hello" == fetched(entry)
    lying = Entry.reference("a", Pin(entry.pin.uri, entry.pin.etag, None, "sha256:" + "0" * 64), 5)
    with pytest.raises(Corrupt):
        fetched(lying)


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.fault("R22", "H10")
def test_a_prefix_is_a_path_prefix_and_keeps_empty_objects(s3: Service, versioned: bool) -> None:
    """`dir` means what is below `dir/`: not its sibling `dir2`, not directory markers, but every object, also the empty ones."""
    bucket = s3.bucket(versioned=versioned)
    for key in ("dir/a", "dir/sub/b", "dir/empty", "dir/", "dir/sub/", "dir2/c", "dir.txt"):
        s3.put(bucket, key, b"" if key.endswith(("/", "empty")) else key.encode())

    entries = reference.pin(f"s3://{bucket}/dir")

    assert ["a", "empty", "sub/b"] == paths(entries)
    assert [5, 0, 9] == [entry.size for entry in entries]
    assert [b"dir/a", b"", b"dir/sub/b"] == [fetched(entry) for entry in entries]
    assert [versioned] * 3 == ["versionID" in entry.extra for entry in entries]
    assert all(entry.extra["etag"] for entry in entries)
    assert ["x/a", "x/empty", "x/sub/b"] == paths(reference.pin(f"s3://{bucket}/dir/", "x"))
    assert ["dir.txt", "dir/a", "dir/empty", "dir/sub/b", "dir2/c"] == paths(reference.pin(f"s3://{bucket}"))


def test_an_object_wins_over_the_prefix_of_the_same_name(s3: Service) -> None:
    """Where both `dir` and `dir/a` exist, `s3://b/dir` is the object and `s3://b/dir/` the prefix."""
    bucket = s3.bucket()
    s3.put(bucket, "dir", b"object")
    s3.put(bucket, "dir/a", b"below")

    assert [b"object"] == [fetched(entry) for entry in reference.pin(f"s3://{bucket}/dir")]
    assert [b"below"] == [fetched(entry) for entry in reference.pin(f"s3://{bucket}/dir/")]


@pytest.mark.fault("R17")
def test_a_version_in_the_uri_is_the_one_that_is_pinned(s3: Service) -> None:
    """`?versionId=` pins that version, not the current one, with its own etag and size."""
    bucket = s3.bucket(versioned=True)
    first = s3.put(bucket, "k", b"first")
    s3.put(bucket, "k", b"the second")

    (entry,) = reference.pin(f"s3://{bucket}/k?versionId={first['VersionId']}")

    assert ("k", 5, first["ETag"].strip('"')) == (entry.path, entry.size, entry.extra["etag"])
    assert first["VersionId"] == entry.extra["versionID"]
    assert b"first" == fetched(entry)


@pytest.mark.fault("R17")
def test_a_deleted_version_is_gone_and_the_newest_is_no_substitute(s3: Service) -> None:
    """When the recorded version was deleted, fetching says so although the object has other versions."""
    bucket = s3.bucket(versioned=True)
    version = s3.put(bucket, "k", b"same")["VersionId"]
    s3.put(bucket, "k", b"same")
    (entry,) = reference.pin(f"s3://{bucket}/k?versionId={version}")
    s3.client.delete_object(Bucket=bucket, Key="k", VersionId=version)

    with pytest.raises(VersionGone):
        fetched(entry)
    assert Standing.MISSING is standing(entry)
    s3.put(bucket, "k/below", b"no substitute either")
    with pytest.raises(VersionGone):
        reference.pin(f"s3://{bucket}/k?versionId={version}")


@pytest.mark.fault("R16")
def test_a_delete_marker_is_said_and_the_recorded_version_still_comes(s3: Service) -> None:
    """A deleted object cannot be pinned, and the message names the marker; what was pinned by version before is still there."""
    bucket = s3.bucket(versioned=True)
    s3.put(bucket, "k", b"kept")
    (entry,) = reference.pin(f"s3://{bucket}/k")
    s3.client.delete_object(Bucket=bucket, Key="k")

    assert b"kept" == fetched(entry)
    assert Standing.OK is standing(entry)
    with pytest.raises(ReferenceMissing, match="delete marker" if s3.tells_markers else None) as caught:
        reference.pin(f"s3://{bucket}/k")
    assert not isinstance(caught.value, VersionGone)
    assert [] == reference.pin(f"s3://{bucket}", allow_empty=True)


@pytest.mark.fault("X05")
def test_an_overwritten_object_without_versions_has_changed(s3: Service) -> None:
    """On an unversioned bucket other bytes are an error, and not one of them is written."""
    bucket = s3.bucket()
    s3.put(bucket, "k", b"first")
    (entry,) = reference.pin(f"s3://{bucket}/k")
    s3.put(bucket, "k", b"other")
    out = io.BytesIO()

    with pytest.raises(ReferenceChanged):
        reference.fetch(entry, out)
    assert b"" == out.getvalue()
    assert Standing.DRIFTED is standing(entry)


@pytest.mark.fault("X06")
def test_an_equal_etag_with_another_size_is_another_object(s3: Service) -> None:
    """Etags are the provider's; where the size disagrees it is not the pinned object."""
    bucket = s3.bucket()
    etag = s3.put(bucket, "k", b"four")["ETag"].strip('"')
    entry = Entry.reference("k", Pin(f"s3://{bucket}/k", etag), 5)

    with pytest.raises(ReferenceChanged):
        fetched(entry)
    assert Standing.DRIFTED is standing(entry)


@pytest.mark.fault("X05")
def test_an_etag_without_version_finds_the_stored_version_that_has_it(s3: Service) -> None:
    """A pin made before the bucket kept versions is served from the version that still has its etag, overwritten or deleted."""
    bucket = s3.bucket()
    s3.put(bucket, "k", b"first")
    (entry,) = reference.pin(f"s3://{bucket}/k")
    s3.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put(bucket, "k2", b"first")
    s3.put(bucket, "k", b"other")

    assert b"first" == fetched(entry)
    s3.client.delete_object(Bucket=bucket, Key="k")
    assert b"first" == fetched(entry)


def test_the_version_null_is_a_version_like_any_other(s3: Service) -> None:
    """What was written before versioning carries the id `null` in listings, and is fetched by it."""
    bucket = s3.bucket()
    s3.put(bucket, "dir/k", b"before")
    s3.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    (entry,) = reference.pin(f"s3://{bucket}/dir")
    s3.put(bucket, "dir/k", b"after")

    assert "null" == entry.extra["versionID"]
    assert b"before" == fetched(entry)


@pytest.mark.fault("R07")
def test_the_etag_of_a_multipart_object_is_as_good_as_any(s3: Service) -> None:
    """An etag is never taken for an MD5: a multipart object is pinned, fetched and found changed like others."""
    bucket = s3.bucket()
    data = os.urandom(PART) + b"tail"
    upload = s3.client.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    parts = []
    for number, piece in enumerate((data[:PART], data[PART:]), 1):
        done = s3.client.upload_part(Bucket=bucket, Key="big", UploadId=upload, PartNumber=number, Body=piece)
        parts.append({"ETag": done["ETag"], "PartNumber": number})
    s3.client.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": parts})

    (entry,) = reference.pin(f"s3://{bucket}/big")

    assert entry.extra["etag"].endswith("-2")
    assert data == fetched(entry)
    s3.put(bucket, "big", data)
    with pytest.raises(ReferenceChanged):
        fetched(entry)


@pytest.mark.fault("R08")
def test_an_etag_that_looks_like_an_md5_is_not_taken_for_one(s3: Service) -> None:
    """Encrypted with KMS or a customer's key, an object's etag has the form of an MD5 and is none: it is compared with itself alone."""
    if s3.name != "moto":
        pytest.skip("only a service in this process can be made to state such an etag")
    from moto.s3.models import s3_backends

    bucket = s3.bucket()
    s3.put(bucket, "k", b"hello", ServerSideEncryption="aws:kms")
    (kept,) = (region["aws"].buckets[bucket].keys["k"] for region in s3_backends.values() if bucket in region["aws"].buckets)
    kept._etag = "0123456789abcdef" * 2

    (entry,) = reference.pin(f"s3://{bucket}/k")

    assert "0123456789abcdef" * 2 == entry.extra["etag"]
    assert b"hello" == fetched(entry)
    assert Standing.OK is standing(entry)


@pytest.mark.fault("R04")
def test_what_another_client_deleted_is_gone_at_once(s3: Service) -> None:
    """Nothing is answered from a remembered listing: a deleted object is missing, a new one is there."""
    bucket = s3.bucket()
    s3.put(bucket, "dir/a", b"a")
    (entry,) = reference.pin(f"s3://{bucket}/dir")
    s3.client.delete_object(Bucket=bucket, Key="dir/a")
    s3.put(bucket, "dir/b", b"b")

    assert Standing.MISSING is standing(entry)
    with pytest.raises(ReferenceMissing):
        fetched(entry)
    assert ["b"] == paths(reference.pin(f"s3://{bucket}/dir"))


def test_nothing_there_is_an_error_unless_it_is_meant(s3: Service) -> None:
    """No object and no prefix: missing, or no entries where the caller allows that; a missing bucket is always missing."""
    bucket = s3.bucket()

    for uri in (f"s3://{bucket}/nothing", f"s3://{bucket}/nothing/", f"s3://{bucket}"):
        with pytest.raises(ReferenceMissing):
            reference.pin(uri)
        assert [] == reference.pin(uri, allow_empty=True)
    with pytest.raises(ReferenceMissing, match="bucket"):
        reference.pin("s3://no-such-bucket-anywhere/", allow_empty=True)


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.fault("R23")
def test_more_objects_than_allowed_are_an_error_never_a_shorter_artifact(s3: Service, versioned: bool) -> None:
    """The limit itself passes, one more does not; markers do not count."""
    bucket = s3.bucket(versioned=versioned)
    for key in ("d/", "d/1", "d/2", "d/3"):
        s3.put(bucket, key, b"" if key == "d/" else b"x")

    assert ["1", "2", "3"] == paths(reference.pin(f"s3://{bucket}/d", max_objects=3))
    with pytest.raises(TooManyObjects):
        reference.pin(f"s3://{bucket}/d", max_objects=2)


@pytest.mark.parametrize("limit", [0, -1, True])
@pytest.mark.fault("R23")
def test_a_limit_that_allows_nothing_is_refused(limit: int) -> None:
    """`max_objects=0` is no way to spell the default."""
    with pytest.raises(InvalidReference, match="max_objects"):
        reference.pin("s3://bucket/key", max_objects=limit)


def test_without_checksum_the_service_is_never_asked(s3_proxy: Proxy, s3: Service) -> None:
    """An unchecked pin costs no request, says it is unpinned, and gives whatever is there when it is fetched."""
    bucket = s3.bucket()

    (entry,) = reference.pin(f"s3://{bucket}/dir/k", checksum=False)

    assert [] == s3_proxy.requests
    assert ("k", None, {}) == (entry.path, entry.size, entry.extra)
    assert Standing.MISSING is standing(entry)
    s3.put(bucket, "dir/k", b"whatever")
    assert Standing.UNPINNED is standing(entry)
    assert b"whatever" == fetched(entry)


def test_without_checksum_a_version_in_the_uri_is_still_honoured(s3: Service) -> None:
    """The version id is part of what was asked for, checked or not."""
    bucket = s3.bucket(versioned=True)
    version = s3.put(bucket, "k", b"first")["VersionId"]
    s3.put(bucket, "k", b"second")

    (entry,) = reference.pin(f"s3://{bucket}/k?versionId={version}", checksum=False)

    assert {"versionID": version} == entry.extra
    assert b"first" == fetched(entry)
    assert b"first" == fetched(Entry.reference("k", Pin(f"s3://{bucket}/k?versionId={version}")))


@pytest.mark.parametrize(
    "uri", ["s3://bucket", "s3://bucket/dir/", "s3://bucket/dir/?versionId=1", "s3://bucket/k?versionId=", "s3:///k", "s3://b!/k"]
)
def test_uris_that_name_no_one_object_or_no_bucket_are_refused_without_contact(uri: str) -> None:
    """A prefix cannot be pinned unlisted, and an empty version or bucket name means nothing."""
    with pytest.raises(InvalidReference):
        reference.pin(uri, checksum=False)


@pytest.mark.parametrize("key", ["a b+c", "ä/ö", "what?.txt", "a#b", "a%20b", "[x]*.csv", "a;b&c=d"])
def test_keys_are_literal(s3: Service, key: str) -> None:
    """Nothing in a key is decoded, expanded or cut off, whether it is named or listed."""
    bucket = s3.bucket()
    s3.put(bucket, f"d/{key}", b"this")
    s3.put(bucket, "d/what", b"other")
    s3.put(bucket, "d/a", b"other")

    (named,) = reference.pin(f"s3://{bucket}/d/{key}", "n")
    listed = next(entry for entry in reference.pin(f"s3://{bucket}/d") if entry.path == key)

    assert b"this" == fetched(named) == fetched(listed)


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.fault("R21")
def test_keys_that_cannot_be_entries_refuse_the_whole_and_are_all_listed(s3: Service, versioned: bool) -> None:
    """Keys with `..`, `//`, control characters or a slash at the end of something are named together; nothing is dropped."""
    bucket = s3.bucket(versioned=versioned)
    bad = ["d/../x", "d/a//b", "d/full/", "d/tab\there", "d/k?versionId=3"]
    for key in ["d/good", *bad]:
        s3.put(bucket, key, b"content")

    with pytest.raises(InvalidReference) as caught:
        reference.pin(f"s3://{bucket}/d")

    assert [] == [key for key in bad if repr(key) not in str(caught.value)]
    assert "good" not in str(caught.value)


@pytest.mark.parametrize("key", ["a/../b", "a//b", "./a", "a\tb"])
@pytest.mark.fault("R21")
def test_such_a_key_is_refused_when_it_is_named_directly_too(key: str) -> None:
    """Nothing is contacted for a key that could never be kept."""
    with pytest.raises(InvalidReference):
        reference.pin(f"s3://bucket/{key}", "name")


@pytest.mark.parametrize("versioned", [False, True])
def test_pinning_a_prefix_costs_its_pages_and_a_few_requests(s3: Service, s3_proxy: Proxy, versioned: bool) -> None:
    """2,100 objects are three pages: no request is made for a single object, versions or not."""
    bucket = s3.bucket(versioned=versioned)
    s3.fill(bucket, [f"d/{number:04}" for number in range(2100)])

    entries = reference.pin(f"s3://{bucket}/d")

    assert 2100 == len(entries)
    assert versioned == all("versionID" in entry.extra for entry in entries)
    assert ("0000", 6) == (entries[0].path, entries[0].size)
    assert 3 + 2 == len(s3_proxy.requests)
    s3_proxy.forget()
    with pytest.raises(TooManyObjects):
        reference.pin(f"s3://{bucket}/d/", max_objects=50)
    assert 1 + 1 == len(s3_proxy.requests)


def test_one_object_costs_one_request_and_one_to_fetch_and_check(s3: Service, s3_proxy: Proxy) -> None:
    """Identity comes from one response."""
    bucket = s3.bucket(versioned=True)
    s3.put(bucket, "k", b"x")
    costs: list[int] = []
    (entry,) = reference.pin(f"s3://{bucket}/k")
    steps: list[Callable[[], object]] = [lambda: reference.pin(f"s3://{bucket}/k"), lambda: fetched(entry), lambda: standing(entry)]
    for step in steps:
        s3_proxy.forget()
        step()
        costs.append(len(s3_proxy.requests))

    assert [1, 1, 1] == costs


def test_ten_thousand_objects_cost_ten_pages_versions_included(s3: Service, s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one question whether the bucket keeps versions; nothing is asked about a single object."""
    if s3.name == "moto":  # which copies all that is in the bucket for every page, 2 s each, to mark what it hands out
        monkeypatch.setattr("moto.s3.models.copy", SimpleNamespace(copy=copy.copy, deepcopy=lambda versions: versions))
    bucket = s3.bucket(versioned=True)
    s3.fill(bucket, [f"d/{number:05}" for number in range(10_000)])

    entries = reference.pin(f"s3://{bucket}/d/")

    assert 10_000 == sum("versionID" in entry.extra and "etag" in entry.extra and entry.size == 7 for entry in entries)
    assert (10, 1) == (s3_proxy.count("?versions"), s3_proxy.count("?versioning"))
    assert 11 == len(s3_proxy.requests)
