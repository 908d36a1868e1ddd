"""`s3://` references: objects in any S3-compatible store, pinned by etag, version id and size.

    s3://bucket/key                 the object; where there is none, every object below `key/`
    s3://bucket/key?versionId=v     that version of the object and no other
    s3://bucket/dir/   s3://bucket  every object below: a prefix ends at a slash, so `dir` never means its sibling `dir2`

Where both an object `dir` and objects below `dir/` exist, `s3://bucket/dir` is the object. Keys are literal: nothing is percent-decoded or
expanded, and a stored pin keeps its version apart from its URI. Zero-byte objects count; only an empty object whose key ends in `/` is a
directory marker and left out.

A pin with a version id is read by it. Without one every request carries the etag as a condition, and when the object has moved on, an
older stored version with that etag and size is looked for. Either way the reply itself must show the pinned etag and size before a byte
is written: services exist that ignore conditions.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, BinaryIO, Self

from storage.blob.endpoint import call, close, pieces
from storage.entry import Entry, Pin, is_weak, printable
from storage.errors import (
    Corrupt,
    InvalidReference,
    ReferenceChanged,
    ReferenceMissing,
    RemoteUnavailable,
    Unreadable,
)
from storage.transfer.reference.checksum import Checksum
from storage.transfer.reference.scheme import Found, Standing, Wish, entries_below

_VERSION = "?versionId="
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]+")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_UNSTABLE = (None, "null")
"""No version, or the one from before versioning, which some services name anew once another is written: then etag and size find it."""
RESUMES = 3
"""How often a body that broke off is asked for again, from where it broke, under the same condition."""


@dataclass(frozen=True, slots=True)
class Place:
    """Bucket, key and, where the URI names one, version. The key may be empty: the whole bucket."""

    bucket: str
    key: str
    version: str | None = None

    @classmethod
    def parse(cls, uri: str) -> Self:
        """The place `uri` names.

        Raises:
            InvalidReference: no bucket, or an empty version id.
        """
        rest, asked, version = uri.partition("://")[2].partition(_VERSION)
        bucket, _, key = rest.partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise InvalidReference(f"{printable(uri)} names no bucket: write s3://bucket/key")
        if asked and (not version or not key or key.endswith("/")):
            raise InvalidReference(f"{printable(uri)} names no version of an object: write s3://bucket/key?versionId=…")
        return cls(bucket, key, version or None)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def shown(self) -> str:
        """For messages, the version included."""
        return printable(str(self) + (f"{_VERSION}{self.version}" if self.version else ""))

    @property
    def request(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key, **({"VersionId": self.version} if self.version else {})}


def pin(wish: Wish) -> list[Entry]:
    """The object, or every object below the prefix.

    Raises:
        ReferenceMissing: neither is there; VersionGone when it was a version that is not.
        TooManyObjects: more than the limit; found out page by page, before the listing ends.
        InvalidReference: keys that cannot be kept, all of them listed.
    """
    place = Place.parse(wish.uri)
    is_prefix = not place.key or place.key.endswith("/")
    if not wish.checksum and is_prefix:
        raise InvalidReference(f"{place.shown} is a prefix, and listing it is what checksum=False rules out: name one object")
    if is_prefix:
        return _pin_prefix(place, wish, ReferenceMissing(f"{place.shown} holds no object: check the prefix, or pass allow_empty=True"))
    problem = _key_problem(place.key)
    if problem:
        raise InvalidReference(f"{place.shown} {problem}")
    name = wish.named(place.key.rpartition("/")[2])
    if not wish.checksum:
        return [Entry.reference(name, Pin(str(place), version_id=place.version))]
    try:
        return [Entry.reference(name, *_identity(place, _head(place)))]
    except ReferenceMissing as missing:
        if place.version:
            raise
        return _pin_prefix(Place(place.bucket, place.key + "/"), wish, missing)


def fetch(pin: Pin, size: int | None, out: BinaryIO) -> None:
    """Write the pinned bytes, from the recorded version or from any stored version with the pinned etag.

    Raises:
        VersionGone: the recorded version is not kept any more; another is never taken for it.
        ReferenceChanged, ReferenceMissing: it is another object now, or none.
        Corrupt: bytes came that are not those the provider's checksum promised.
        RemoteUnavailable: the body broke off and could not be resumed.
    """
    parsed = Place.parse(pin.uri)
    place = Place(parsed.bucket, parsed.key, pin.version_id or parsed.version)
    try:
        response = _get(place, pin, size)
    except (ReferenceChanged, ReferenceMissing):
        kept = _stored_version(place, pin.etag, size) if pin.etag and place.version in _UNSTABLE else None
        if kept is None:
            raise
        place = Place(place.bucket, place.key, kept)
        response = _get(place, pin, size)
    _copy(place, pin, response, out)


def check(pin: Pin, size: int | None) -> Standing:
    """How the recorded version, or else the current object, stands; one request, no bytes."""
    parsed = Place.parse(pin.uri)
    place = Place(parsed.bucket, parsed.key, pin.version_id or parsed.version)
    try:
        head = _head(place)
    except ReferenceMissing:
        is_kept = place.version == "null" and pin.etag and _stored_version(place, pin.etag, size)
        return Standing.OK if is_kept else Standing.MISSING
    if not pin.is_verifiable:
        return Standing.UNPINNED
    return Standing.DRIFTED if _differs(head, pin, size, head.get("ContentLength")) else Standing.OK


def _head(place: Place) -> dict[str, Any]:
    return call("head_object", place.shown, **place.request, ChecksumMode="ENABLED")


def _identity(place: Place, head: Mapping[str, Any]) -> tuple[Pin, int | None]:
    """Pin and size as one response states them; the URI is without version, which is kept beside it."""
    pin = Pin(str(place), _bare(head.get("ETag")), head.get("VersionId") or place.version, _checksum(head))
    return pin, head.get("ContentLength")


def _bare(etag: str | None) -> str | None:
    return (etag or "").removeprefix('"').removesuffix('"') or None


# The first of these that a response carries is kept; those we can compute come first.
_CHECKSUMS = ("SHA256", "SHA1", "CRC32", "CRC64NVME", "CRC32C")


def _checksum(head: Mapping[str, Any]) -> str | None:
    """`crc32:…` in hex; a checksum of the parts' checksums keeps its `-N`, so it never passes for one of the content."""
    for algorithm in _CHECKSUMS:
        value, dash, parts = str(head.get(f"Checksum{algorithm}") or "").partition("-")
        if value:
            return f"{algorithm.lower()}:{base64.b64decode(value).hex()}{dash}{parts}"
    return None


def _key_problem(key: str) -> str | None:
    if _CONTROL.search(key):
        return "holds a control character"
    if _VERSION in key:
        return f"holds {_VERSION!r}, which a URI cannot tell from a version"
    parts = key.split("/")
    if "" in parts:
        return "holds '//', or begins or ends with '/'"
    return "holds '.' or '..' as a component" if {".", ".."} & set(parts) else None


@dataclass(frozen=True, slots=True)
class Row:
    """One object of a listing."""

    key: str
    size: int
    etag: str | None
    version: str | None = None
    is_latest: bool = True

    @property
    def is_marker(self) -> bool:
        return self.size == 0 and self.key.endswith("/")


def _pin_prefix(place: Place, wish: Wish, missing: ReferenceMissing) -> list[Entry]:
    rows: dict[str, Row] = {}
    for row in history(place) if _is_versioned(place) else objects(place):
        if row.is_latest and not row.is_marker:
            rows.setdefault(row.key, row)
            wish.check_count(len(rows))
    if not rows and not wish.allow_empty:
        raise missing
    return entries_below(wish, (_found(place, row) for row in rows.values()))


def _found(place: Place, row: Row) -> Found:
    problem = _key_problem(row.key)
    uri = f"s3://{place.bucket}/{row.key}"
    return Found(row.key.removeprefix(place.key), Pin(uri, row.etag, row.version), row.size, problem and f"key {row.key!r} {problem}")


def _is_versioned(place: Place) -> bool:
    """Does the bucket keep versions? Where it will not say, etags alone must do: they still guard every read."""
    try:
        status = call("get_bucket_versioning", place.shown, Bucket=place.bucket).get("Status")
    except (Unreadable, RemoteUnavailable):
        return False
    return status is not None


def objects(place: Place) -> Iterator[Row]:
    """Every object below, as a listing shows it, page after page."""
    for page in _pages("list_objects_v2", place, {"NextContinuationToken": "ContinuationToken"}):
        for each in page.get("Contents", []):
            yield Row(each["Key"], each["Size"], _bare(each.get("ETag")))


def history(place: Place) -> Iterator[Row]:
    """Every stored version of every object below, in the order of keys."""
    marks = {"NextKeyMarker": "KeyMarker", "NextVersionIdMarker": "VersionIdMarker"}
    for page in _pages("list_object_versions", place, marks):
        for each in page.get("Versions", []):
            yield Row(each["Key"], each["Size"], _bare(each.get("ETag")), each["VersionId"], each["IsLatest"])


def standing_of(pin: Pin, size: int | None, row: Row) -> Standing | None:
    """How the pinned object stands by a row of a listing; `None` where the row is of another version."""
    if pin.version_id not in (None, row.version):
        return None
    if not pin.is_verifiable:
        return Standing.UNPINNED
    return Standing.OK if pin.etag in (None, row.etag) and size in (None, row.size) else Standing.DRIFTED


def _pages(method: str, place: Place, marks: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Every page of a listing. It is complete or raises."""
    where: dict[str, str] = {}
    while True:
        page = call(method, place.shown, Bucket=place.bucket, Prefix=place.key, **where)
        if "IsTruncated" not in page:  # a sign-in page answered, or a proxy: that nothing is in it means nothing
            raise RemoteUnavailable(f"{place.shown}: what answered is no listing: check the endpoint and proxies on the way to it")
        yield page
        if not page.get("IsTruncated"):
            return
        onward = {ask: page[told] for told, ask in marks.items() if page.get(told)}
        if not onward or onward == where:
            raise RemoteUnavailable(f"{place.shown}: the listing stops before its end without saying how to go on: try again later")
        where = onward


def _stored_version(place: Place, etag: str, size: int | None) -> str | None:
    try:
        own = takewhile(lambda row: row.key == place.key, history(place))  # every longer key sorts behind all versions of this one
        return next((row.version for row in own if row.etag == etag and size in (None, row.size)), None)
    except (Unreadable, RemoteUnavailable, ReferenceMissing):
        return None  # what led here is the better thing to tell


def _get(place: Place, pin: Pin, size: int | None, start: int = 0) -> dict[str, Any]:
    """An open response that shows the pinned object; its body is still to be read from `start`."""
    condition = {"IfMatch": f'"{pin.etag}"'} if pin.etag and not place.version and not is_weak(pin.etag) else {}
    onward = {"Range": f"bytes={start}-"} if start else {"ChecksumMode": "ENABLED"}
    response = call("get_object", place.shown, **place.request, **condition, **onward)
    difference = _differs(response, pin, size, _whole(response))
    if difference is None and place.version and response.get("VersionId", place.version) != place.version:
        difference = f"version {response['VersionId']}, asked was {place.version}"
    if difference is None and start and not str(response.get("ContentRange", "")).startswith(f"bytes {start}-"):
        difference = f"an answer that does not begin at byte {start}"
    if difference is not None:
        close(response)
        raise ReferenceChanged(f"{place.shown} has {difference}: restore it, or reference it again")
    return response


def _whole(response: Mapping[str, Any]) -> int | None:
    """The size of the whole object, also when the response is a part of it."""
    total = str(response.get("ContentRange", "")).rpartition("/")[2]
    return int(total) if total.isdecimal() else response.get("ContentLength")


def _differs(response: Mapping[str, Any], pin: Pin, size: int | None, there: int | None) -> str | None:
    etag = _bare(response.get("ETag"))
    if pin.etag is not None and etag != pin.etag:
        return f"etag {etag}, pinned was {pin.etag}"
    if size is not None and there is not None and size != there:
        return f"{there} bytes, pinned were {size}"
    return None


def _copy(place: Place, pin: Pin, response: dict[str, Any], out: BinaryIO) -> None:
    """Read the body to its end, resuming under the etag of the first response, and compare with the provider's checksum.

    That is the pinned one; a listing states none, and then it is the one the response states.
    """
    total = _whole(response)
    held = Pin(pin.uri, pin.etag or _bare(response.get("ETag")), pin.version_id)
    checksum = Checksum(Pin(pin.uri, checksum=pin.checksum or _checksum(response)))
    done = 0
    for left in reversed(range(RESUMES + 1)):
        try:
            for piece in pieces(response, place.shown):
                done += len(piece)
                out.write(piece)
                checksum.update(piece)
        except RemoteUnavailable:
            if not left or total is None or not held.is_verifiable:
                raise
        if total is None or done >= total:
            break
        if not left:
            raise RemoteUnavailable(f"{place.shown}: the download ends after {done} of {total} bytes: try again")
        response = _get(place, held, total, done)
    if total is not None and done != total:
        raise Corrupt(f"{place.shown}: {done} bytes came, {total} were announced")
    checksum.confirm()
