"""One bucket of an S3 service: how objects in it are asked for, and what a refusal means to a store.

Services differ in everything that is not a plain PUT and GET, so nothing here depends on it:

* Absence is `NoSuchKey`, said by the service. A 404 that says nothing, a missing bucket and a 403 are never absence.
* An object that is there is the right one once its size and the digest recorded with it agree, or, where none is recorded, its bytes.
* A body is read in one request, and resumed under the same ETag when it is cut short: bytes of two objects are never mixed.
* Each upload carries its MD5, which of six services five check, and more than any other checksum.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from storage.blob import endpoint
from storage.blob.endpoint import Refusal
from storage.blob.retry import BUDGET, Budget
from storage.digest import CHUNK, Digest, Hasher
from storage.errors import BlobMissing, Corrupt, InvalidDigest, ReadOnlyStore, RemoteUnavailable, StorageError
from storage.layout import parse_blob_key, parse_pack_key

DIGEST = "lineage-digest"
"""Metadata that holds our own digest of an object's bytes."""

_Answer = TypeVar("_Answer")

_REASONS: dict[str, str] = {
    "NoSuchBucket": "there is no such bucket: check its name, or make it",
    "InvalidBucketName": "that is no name of a bucket: write s3://bucket/prefix",
    "RequestTimeTooSkewed": "the clocks of this machine and of the service differ too much: set the clock",
    "PermanentRedirect": "the bucket lives in another region: set AWS_REGION",
    "InvalidAccessKeyId": "the service does not know these credentials: check AWS_ACCESS_KEY_ID, or the profile",
    "SignatureDoesNotMatch": "the service does not accept the signature: check the secret key, and what a proxy changes on the way",
    "PreconditionFailed": "it was written anew while it was read: read it again",
    "EntityTooLarge": "the object is larger than the service takes",
    "401": "permission was refused: check the credentials",
    "404": "something answered 404 that is no S3 service, or will not say what is missing: check the endpoint, and s3:ListBucket",
}
"""What a code or a status means for a store, and what to do."""
_FORBIDDEN = "permission was refused: check credentials and policy (s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket)"


@dataclass
class Bucket:
    """Where requests go, and what was learnt about the service there."""

    name: str
    prefix: str
    budget: Budget = BUDGET
    is_conditional: bool = True
    """May `If-None-Match: *` be sent? Not where the service refuses to hear of it."""
    is_bulk: bool = True
    """Does the service remove many keys in one request?"""

    def name_of(self, key: str) -> str:
        """The object's name in the bucket."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def where(self, key: str) -> dict[str, str]:
        return {"Bucket": self.name, "Key": self.name_of(key)}

    def shown(self, key: str = "") -> str:
        return f"s3://{self.name}/{self.name_of(key)}"

    @property
    def condition(self) -> dict[str, str]:
        return {"IfNoneMatch": "*"} if self.is_conditional else {}

    def has_unlearnt(self, refusal: Refusal) -> bool:
        """Is it our condition that the service refuses? Then it is not sent again."""
        was_sent = self.is_conditional and (refusal.code == "NotImplemented" or refusal.status == 501)
        if was_sent:
            self.is_conditional = False
        return was_sent

    def meaning(self, refusal: Refusal, key: str, *, writing: bool = False) -> StorageError:
        """The typed error that says what a refusal about `key` means. Absence is only what the service itself said."""
        what = self.shown(key)
        if refusal.code == "NoSuchKey" and not writing:
            return BlobMissing(f"{what} is not there: restore it or log its content again")
        if refusal.code == "RequestTimeTooSkewed" and refusal.skew is not None:
            return RemoteUnavailable(f"{what}: this clock is {abs(refusal.skew):.0f} s {'behind' if refusal.skew > 0 else 'ahead'}: set it")
        if refusal.status == 403 and refusal.code in ("AccessDenied", "403", "Forbidden"):
            return (ReadOnlyStore if writing else RemoteUnavailable)(f"{what}: {_FORBIDDEN} ({refusal.said})")
        if not refusal.status:
            return RemoteUnavailable(
                f"{what}: {refusal.said}: check the URL, AWS_ENDPOINT_URL_S3, AWS_REGION, and the credentials or the profile"
            )
        reason = _REASONS.get(refusal.code) or _REASONS.get(str(refusal.status)) or "the service refused"
        return RemoteUnavailable(f"{what}: {reason} ({refusal.said})")

    def spend(self, key: str, attempt: Callable[[int], _Answer], *, writing: bool = False) -> _Answer:
        """As `Budget.spend`; what cannot pass comes as an error of the store about `key`."""
        try:
            return self.budget.spend(self.shown(key), attempt)
        except Refusal as refusal:
            raise self.meaning(refusal, key, writing=writing) from refusal

    def look(self, key: str) -> dict[str, Any]:
        """The HEAD of an object.

        Raises:
            Refusal: of a 404, the one that a GET explains: the reply to HEAD cannot say what is missing.
        """
        try:
            return endpoint.ask("head_object", **self.where(key))
        except Refusal as refusal:
            if refusal.status not in (400, 404):
                raise
            response = endpoint.ask("get_object", **self.where(key), Range="bytes=0-0")
        with suppress(Refusal):
            endpoint.read(response, 1)
        return response | {"ContentLength": _whole(response)}

    def holds(self, key: str, size: int) -> bool:
        """Is this object there, whole? For a writer who was told so, or does not know.

        Raises:
            Refusal: the question has no answer.
            Corrupt: something else is there.
        """
        try:
            head = self.look(key)
        except Refusal as refusal:
            if refusal.code == "NoSuchKey":
                return False
            raise
        if head.get("ContentLength") != size:
            raise Corrupt(
                f"{self.shown(key)} holds {head.get('ContentLength')} bytes where {size} belong: verify the store, then log again"
            )
        digest, stated = digest_of(key), head.get("Metadata", {}).get(DIGEST)
        if digest is not None and stated != str(digest):
            self._compare(key, digest)
        return True

    def _compare(self, key: str, digest: Digest) -> None:
        """Somebody copied the object here without its metadata, or it is something else: only its bytes tell."""
        hasher = Hasher(digest.algorithm)
        for piece in Body(self, key):
            hasher.update(piece)
        if hasher.blob().digest != digest:
            raise Corrupt(f"{self.shown(key)} holds other bytes than its name says: verify the store, then log again")


class Body(Iterator[bytes]):
    """The bytes of an object from `start`, `length` of them: one request, resumed under the same ETag when its answer is cut short.

    The request is made at once, so absence is told by the call; the connection is let go at the end, or when nobody wants the rest.
    """

    def __init__(self, bucket: Bucket, key: str, start: int = 0, length: int | None = None) -> None:
        self._bucket, self._key = bucket, key
        self._at, self._stop = start, None if length is None else start + length
        self._etag: str | None = None
        self._response: dict[str, Any] | None = None
        self._spend(self._open)

    @property
    def left(self) -> int:
        return max(0, (self._stop or 0) - self._at)

    def __next__(self) -> bytes:
        if not self.left:
            self.close()
            raise StopIteration
        piece = self._spend(self._read)[: self.left]
        self._at += len(piece)
        return piece

    def _spend(self, attempt: Callable[[int], _Answer]) -> _Answer:
        return self._bucket.spend(self._key, attempt)

    def _read(self, _: int) -> bytes:
        if self._response is None:
            self._open()
        if self._response is None:
            return b""
        try:
            piece = endpoint.read(self._response, min(CHUNK, self.left))
            if not piece:
                raise Refusal(ConnectionError(f"the answer ends {self.left} bytes early"))
        except Refusal:
            self.close()
            raise
        return piece

    def _open(self, _: int = 0) -> None:
        condition = {"IfMatch": self._etag} if self._etag else {}
        onward = "" if self._stop is None else str(self._stop - 1)
        part = {"Range": f"bytes={self._at}-{onward}"} if self._at or self._stop is not None else {}
        try:
            response = endpoint.ask("get_object", **self._bucket.where(self._key), **part, **condition)
        except Refusal as refusal:
            if refusal.status != 416:
                raise
            self._stop = self._at  # it is there, and ends before what was asked for
            return
        self._response = response
        try:
            self._check(response)
        except BaseException:
            self.close()
            raise

    def _check(self, response: Mapping[str, Any]) -> None:
        """The answer must be of the object that was begun, and of the place in it that was asked for."""
        etag, whole = response.get("ETag"), _whole(response)
        if self._etag and etag != self._etag:
            raise RemoteUnavailable(f"{self._bucket.shown(self._key)}: {_REASONS['PreconditionFailed']}")
        stated = str(response.get("ContentRange", ""))
        if (stated or self._at) and not stated.startswith(f"bytes {self._at}-"):
            raise Refusal(ConnectionError(f"bytes from {self._at} were asked for, {stated or 'the whole'} came"))
        self._etag = etag
        self._stop = whole if self._stop is None else min(self._stop, whole)

    def close(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            endpoint.close(response)

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter may be ending
            self.close()


def label(key: str) -> dict[str, Any]:
    """The metadata an object under `key` is written with."""
    digest = digest_of(key)
    return {} if digest is None else {"Metadata": {DIGEST: str(digest)}}


def digest_of(key: str) -> Digest | None:
    """What the bytes under `key` are, as the key itself says."""
    for parse in (parse_blob_key, parse_pack_key):
        with suppress(InvalidDigest):
            return parse(key)[1]
    return None


def proof(data: bytes | BinaryIO) -> dict[str, str]:
    """The checksum that lets the service refuse what was damaged on the way; of a file, from where it stands to its end, and back."""
    md5 = hashlib.md5(usedforsecurity=False)
    if isinstance(data, bytes):
        md5.update(data)
    else:
        begin = data.tell()
        while piece := data.read(CHUNK):
            md5.update(piece)
        data.seek(begin)
    return {"ContentMD5": base64.b64encode(md5.digest()).decode()}


def _whole(response: Mapping[str, Any]) -> int:
    """The size of the whole object, also when the response is a part of it."""
    total = str(response.get("ContentRange", "")).rpartition("/")[2]
    return int(total) if total.isdecimal() else int(response["ContentLength"])
