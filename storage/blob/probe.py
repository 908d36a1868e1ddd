"""What a place really does: asked in a corner of its own, under names nobody else uses, and left as it was found.

Services say one thing in their manuals and another on the wire. Nothing here is needed for bytes to be right; it tells what to expect,
and what to ask for when a place misbehaves. A finding is a subject, what was found, how bad that is, and what to do about it.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from storage.blob import disk, endpoint
from storage.blob.backend import Backend
from storage.blob.bucket import DIGEST, Body, Bucket, proof
from storage.blob.endpoint import Refusal
from storage.blob.owner import Owned
from storage.blob.pool import ahead
from storage.blob.remote import RemoteBackend
from storage.blob.s3 import S3Backend
from storage.errors import StorageError

_RACERS = 8
_SCARCE = 0.02
"""Less than this share of a disk left is worth a word."""
_SKEWED = 60


class Weight(StrEnum):
    FINE = "fine"
    NOTE = "note"
    """Works; worth knowing."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """See the top of this file."""

    subject: str
    found: str
    weight: Weight = Weight.FINE
    advice: str = ""


def examine(backend: Backend) -> Iterator[Finding]:
    """What the place of a backend does, one finding after the other; it never raises for what it finds."""
    place = backend.backend if isinstance(backend, Owned) else backend
    if isinstance(place, S3Backend):
        yield from _Corner(place.bucket).findings()
    elif isinstance(place, RemoteBackend):
        yield from _remote(place)


def examine_directory(root: Path) -> Iterator[Finding]:
    """What a directory of this machine has room for, and whether its file system keeps what a store relies on."""
    about = os.statvfs(root)
    free, files = about.f_bavail * about.f_frsize, about.f_favail
    is_scarce = about.f_bavail < about.f_blocks * _SCARCE
    advice = "free some space: 'lineage reclaim' gives back what nothing needs" if is_scarce else ""
    yield Finding("free space", f"{free / 2**30:,.1f} GiB", Weight.BAD if is_scarce else Weight.FINE, advice)
    if about.f_files:
        is_scarce = files < about.f_files * _SCARCE
        advice = "remove small files elsewhere on this disk: it has room for bytes, and none for names" if is_scarce else ""
        yield Finding("free files", f"{files:,}", Weight.BAD if is_scarce else Weight.FINE, advice)
    yield _links(root)


def _links(root: Path) -> Finding:
    names = [root / disk.temporary_name("doctor") for _ in range(2)]
    try:
        os.close(disk.create(names[0]))
        os.link(names[0], names[1])
    except PermissionError as error:
        return Finding("names", f"cannot be tried ({error.strerror})", Weight.NOTE, "reading works; writing needs the right to")
    except OSError as error:
        return Finding(
            "names", f"no hard links ({error.strerror})", Weight.NOTE, "two writers of one blob may both write it; nothing is lost"
        )
    finally:
        for name in names:
            with suppress(OSError):
                disk.unlink(name)
    return Finding("names", "new ones never replace old ones")


def _remote(place: RemoteBackend) -> Iterator[Finding]:
    try:
        owner = place.read_mark()
    except StorageError as error:
        yield Finding("reach", str(error), Weight.BAD, "check the URL, the network and the credentials")
        return
    yield Finding("reach", "answers" if owner else "answers, and is nobody's yet")
    whole = "a put is whole or not there" if place.is_whole else "files are sent under another name and moved"
    yield Finding("writing", whole)


class _Corner:
    """Names below the prefix that only one examination uses."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.corner = f"doctor/{secrets.token_hex(8)}"

    def findings(self) -> Iterator[Finding]:
        checks: list[tuple[str, Callable[[], Finding]]] = [
            ("reach", self.reach), ("create only", self.conditional), ("racing creates", self.race), ("checksums", self.checksum),
            ("ranges", self.ranges), ("parts", self.parts), ("listing", self.listing), ("many removes", self.bulk),
            ("versions", self.versions), ("leftover parts", self.leftovers),
        ]  # fmt: skip
        try:
            for subject, check in checks:
                try:
                    found = check()
                except (StorageError, Refusal) as error:
                    reason = str(self.bucket.meaning(error, self.corner)) if isinstance(error, Refusal) else str(error)
                    yield Finding(subject, reason, Weight.BAD, "check the URL, the network, the credentials and the policy")
                    if subject == "reach":
                        return
                else:
                    yield found
        finally:
            self._clear()

    def reach(self) -> Finding:
        """Write, read back, and compare clocks."""
        answer = self._put("reach", b"reach", Metadata={DIGEST: "x"})
        if b"".join(Body(self.bucket, self._at("reach"))) != b"reach":
            return Finding("reach", "gives back other bytes than it was given", Weight.BAD, "is there a proxy on the way?")
        if self.bucket.look(self._at("reach")).get("Metadata", {}).get(DIGEST) != "x":
            return Finding("reach", "answers, and keeps no metadata", Weight.NOTE, "objects that are there are read whole to be recognised")
        skew = endpoint.skew_of(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})) or 0
        if abs(skew) > _SKEWED:
            return Finding("reach", f"answers; its clock is {skew:+.0f} s from ours", Weight.NOTE, "set this machine's clock")
        return Finding("reach", "answers, and keeps what it is given")

    def conditional(self) -> Finding:
        """Is `If-None-Match: *` kept?"""
        advice = "nothing depends on it: bytes that are there may be sent again"
        try:
            self._put("create", b"1", IfNoneMatch="*")
            self._put("create", b"2", IfNoneMatch="*")
        except Refusal as refusal:
            if refusal.status == 412:
                return Finding("create only", "honoured")
            return Finding("create only", f"refused ({refusal.said})", Weight.NOTE, advice)
        return Finding("create only", "ignored", Weight.NOTE, advice)

    def race(self) -> Finding:
        """How many of some who create one object at once are told that they did?"""

        def create(number: int) -> bool:
            with suppress(Refusal):
                self._put("race", b"%d" % number, IfNoneMatch="*")
                return True
            return False

        winners = sum(won for _, won in ahead(create, range(_RACERS), _RACERS))
        if winners == 1:
            return Finding("racing creates", "one wins")
        return Finding("racing creates", f"{winners} of {_RACERS} win", Weight.NOTE, "nothing depends on it: a place has one owner")

    def checksum(self) -> Finding:
        """Are bytes refused that are not what their checksum says?"""
        try:
            endpoint.ask("put_object", **self.bucket.where(self._at("damaged")), Body=b"damaged", **proof(b"whole"))
        except Refusal as refusal:
            return Finding("checksums", f"damaged bytes are refused ({refusal.code})")
        return Finding("checksums", "damaged bytes are taken", Weight.NOTE, "what is damaged on the way is found when it is read")

    def ranges(self) -> Finding:
        self._put("range", b"0123456789")
        if b"".join(Body(self.bucket, self._at("range"), 3, 4)) == b"3456":
            return Finding("ranges", "are answered")
        return Finding("ranges", "are answered with other bytes", Weight.BAD, "small files in packs cannot be read from here")

    def parts(self) -> Finding:
        where = self.bucket.where(self._at("parts"))
        upload = endpoint.ask("create_multipart_upload", **where)["UploadId"]
        try:
            part = endpoint.ask("upload_part", **where, UploadId=upload, PartNumber=1, Body=b"part", **proof(b"part"))
            parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            endpoint.ask("complete_multipart_upload", **where, UploadId=upload, MultipartUpload=parts)
        except BaseException:
            with suppress(Refusal):
                endpoint.ask("abort_multipart_upload", **where, UploadId=upload)
            raise
        return Finding("parts", "are put together")

    def listing(self) -> Finding:
        """Is what was just written listed, and what was just removed not?"""
        self._put("listed", b"")
        seen = self._names()
        endpoint.ask("delete_object", **self.bucket.where(self._at("listed")))
        name = self.bucket.name_of(self._at("listed"))
        if name in seen and name not in self._names():
            return Finding("listing", "is up to date")
        return Finding("listing", "lags behind", Weight.NOTE, "verify may miss objects nobody needs; nothing is believed absent for it")

    def bulk(self) -> Finding:
        names = [self.bucket.name_of(self._at("race")), self.bucket.name_of(self._at("damaged"))]
        try:
            answer = endpoint.ask("delete_objects", Bucket=self.bucket.name, Delete={"Objects": [{"Key": name} for name in names]})
        except Refusal as refusal:
            return Finding("many removes", f"refused ({refusal.said})", Weight.NOTE, "reclaim removes one object a request")
        told = {each["Key"] for each in answer.get("Deleted", [])}
        if set(names) <= told:
            return Finding("many removes", "each key is accounted for")
        return Finding("many removes", "not every key is accounted for", Weight.NOTE, "reclaim asks again for those")

    def versions(self) -> Finding:
        try:
            status = endpoint.ask("get_bucket_versioning", Bucket=self.bucket.name).get("Status") or "none are kept"
        except Refusal as refusal:
            return Finding("versions", f"it does not say ({refusal.code or refusal.status})", Weight.NOTE)
        if status != "Enabled":
            return Finding("versions", status.lower())
        advice = "let a lifecycle rule remove noncurrent versions: until then reclaim frees nothing, and erased bytes can be restored"
        return Finding("versions", "are kept", Weight.NOTE, advice)

    def leftovers(self) -> Finding:
        """Does the bucket itself remove uploads that nobody finished?"""
        advice = "add a lifecycle rule that aborts incomplete multipart uploads: it catches what is lost with a whole machine"
        try:
            rules = endpoint.ask("get_bucket_lifecycle_configuration", Bucket=self.bucket.name).get("Rules", [])
        except Refusal:
            rules = []
        if any("AbortIncompleteMultipartUpload" in rule for rule in rules):
            return Finding("leftover parts", "are removed by a rule of the bucket")
        return Finding("leftover parts", "no rule of the bucket removes them", Weight.NOTE, advice)

    def _at(self, name: str) -> str:
        return f"{self.corner}/{name}"

    def _put(self, name: str, data: bytes, **request: object) -> dict[str, Any]:
        return endpoint.ask("put_object", **self.bucket.where(self._at(name)), Body=data, **proof(data), **request)

    def _names(self) -> list[str]:
        page = endpoint.ask("list_objects_v2", Bucket=self.bucket.name, Prefix=self.bucket.name_of(self.corner))
        return [each["Key"] for each in page.get("Contents", [])]

    def _clear(self) -> None:
        for name in ("reach", "create", "race", "damaged", "range", "parts", "listed"):
            with suppress(Refusal, StorageError):
                endpoint.ask("delete_object", **self.bucket.where(self._at(name)))
