"""A prefix of an S3 bucket as a place for bytes.

    <prefix>/objects/…       published; one object a key
    <prefix>/quarantine/…    moved aside because its bytes are wrong, or a copy of the part that is wrong

What is staged rests in this machine's own staging directory until it is published; only of a large piece whose key is known are parts
sent ahead (`multipart`).

`If-None-Match: *` spares an upload where it is honoured. Where it is ignored or races, the same bytes are written twice under a key that
is their digest, which changes nothing; it is never a lock. A write whose answer was lost is looked for (HEAD) before it is repeated, and
a refusal because the key is there (412) is success once the object proves to be the right one.

Sockets live in `endpoint`, per process: any thread and any fork may use a backend.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from storage.blob import disk, endpoint
from storage.blob.backend import Backend, Staged, check_key
from storage.blob.bucket import Body, Bucket, digest_of, label, proof
from storage.blob.endpoint import Refusal
from storage.blob.local import LocalBackend
from storage.blob.multipart import LARGEST, PART, SINGLE, SentAhead, abandon, notes, part_size, send_file
from storage.blob.pool import each
from storage.blob.staged import LocalStaged
from storage.digest import CHUNK, Hasher
from storage.errors import BlobMissing, InvalidPath, NotRemoved, RemoteUnavailable, Unavailable
from storage.layout import OBJECTS, OWNER_FILE, QUARANTINE, STAGING

THREADS = 8
"""Requests under way at the same time for one call."""
BULK = 1000
"""Keys one bulk delete may name."""
COPIED = 5 << 30
"""Bytes a service copies in one request."""
_IN_MEMORY = 8 << 20


class S3Backend(Backend):
    """See the top of this file; `spool` is the local directory in which staging happens."""

    largest = LARGEST

    def __init__(self, bucket: Bucket, spool: LocalBackend, *, single: int = SINGLE, part: int = PART) -> None:
        self.bucket, self.spool = bucket, spool
        self._single, self._part = single, part

    def __str__(self) -> str:
        return self.bucket.shown().rstrip("/")

    def stage(self, session: str, key: str | None = None) -> Staged:
        near = self.spool.stage(session)
        return near if key is None else SentAhead(near, self.bucket, check_key(key), single=self._single, part=self._part)

    def publish(self, staged: Sequence[tuple[Staged, str]]) -> None:
        pieces = [(_own(piece, key), check_key(key)) for piece, key in staged]
        for piece, _ in pieces:
            part_size(piece.size)  # refuses the whole before anything is sent
            piece.close()
        each(lambda one: self._send(*one), [one for one in pieces if one[0].size <= self._single], THREADS)
        for piece, key in pieces:
            if piece.size > self._single:  # one after the other: each has its parts under way at the same time
                self._send(piece, key)
        for piece, _ in pieces:
            piece.drop()
        for directory in {_near(piece).path.parent for piece, _ in pieces}:
            with suppress(OSError):  # something else is staged there
                disk.rmdir(directory)

    def _send(self, piece: LocalStaged | SentAhead, key: str) -> None:
        near = _near(piece)
        if isinstance(piece, SentAhead) and piece.is_sent:
            piece.complete()
        elif near.size > self._single:
            send_file(self.bucket, key, near.path, near.size, part=self._part, threads=THREADS)
        else:
            self._put(near, key)

    def _put(self, near: LocalStaged, key: str) -> None:
        bucket = self.bucket
        try:
            file = near.path.open("rb")
        except FileNotFoundError as error:
            raise Unavailable("what was staged is gone: dropped, or its session was swept; stage the bytes again") from error
        with file:
            body = file.read() if near.size <= _IN_MEMORY else file
            proven = proof(body)

            def attempt(number: int) -> None:
                # The first time the service's own word is enough, where it gives one; after that, first look what came of the last time.
                if (number or not bucket.is_conditional) and bucket.holds(key, near.size):
                    return
                if not isinstance(body, bytes):
                    body.seek(0)
                try:
                    endpoint.ask("put_object", **bucket.where(key), Body=body, **proven, **label(key), **bucket.condition)
                except Refusal as refusal:
                    if bucket.has_unlearnt(refusal):
                        attempt(number)
                    elif refusal.status != 412 or not bucket.holds(key, near.size):
                        raise

            bucket.spend(key, attempt, writing=True)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length == 0:
            self.size(key)
            return iter(())
        body = Body(self.bucket, check_key(key), start, length)
        # Small bytes are read here and now: no connection waits for a reader who may never come.
        return iter(list(body)) if body.left <= CHUNK else body

    def size(self, key: str) -> int:
        head = self.bucket.spend(check_key(key), lambda _: self.bucket.look(key))
        return int(head["ContentLength"])

    def remove(self, key: str) -> None:
        def attempt(_: int) -> None:
            try:
                endpoint.ask("delete_object", **self.bucket.where(key))
            except Refusal as refusal:
                if refusal.code != "NoSuchKey":
                    raise

        self.bucket.spend(check_key(key), attempt, writing=True)

    def remove_many(self, keys: Sequence[str]) -> None:
        wanted = list(dict.fromkeys(check_key(key) for key in keys))
        left: dict[str, str] = {}
        for at in range(0, len(wanted), BULK):
            left.update(self._remove_some(wanted[at : at + BULK]) if self.bucket.is_bulk else {})
            if not self.bucket.is_bulk:
                left.update(self._remove_each(wanted[at:]))
                break
        if left:
            raise NotRemoved(left)

    def _remove_some(self, keys: Sequence[str]) -> dict[str, str]:
        """Those that are still there, or may be, with the reason; each key is accounted for by the service itself."""
        waiting = {self.bucket.name_of(key): key for key in keys}
        reasons: dict[str, str] = {}

        def attempt(_: int) -> None:
            named = {"Objects": [{"Key": name} for name in waiting], "Quiet": False}
            answer = endpoint.ask("delete_objects", Bucket=self.bucket.name, Delete=named)
            gone = {each["Key"] for each in answer.get("Deleted", [])}
            refused = {each["Key"]: each for each in answer.get("Errors", [])}
            for name in list(waiting):
                said = refused.get(
                    name, {} if name in gone else {"Code": "InternalError", "Message": "the service did not say that it is gone"}
                )
                if said.get("Code") in (None, "NoSuchKey"):
                    reasons.pop(waiting.pop(name), None)
                else:
                    reasons[waiting[name]] = f"{said['Code']}: {said.get('Message', '')}"
                    if said["Code"] not in endpoint.PASSING:
                        waiting.pop(name)
            if waiting:
                raise Refusal(ConnectionError(f"{len(waiting)} of {len(keys)} keys were not removed"))

        try:
            self.bucket.spend("", attempt, writing=True)
        except Unavailable as error:
            refusal = error.__cause__
            if (
                isinstance(refusal, Refusal) and refusal.status in (400, 405, 501) and refusal.code not in endpoint.EXPIRED
            ):  # many in one request is more than this service takes
                self.bucket.is_bulk = False
                return {}
            return {key: reasons.get(key, str(error)) for key in waiting.values()} | reasons
        return reasons

    def _remove_each(self, keys: Sequence[str]) -> dict[str, str]:
        left: dict[str, str] = {}

        def remove(key: str) -> None:
            try:
                self.remove(key)
            except Unavailable as error:
                left[key] = str(error)

        each(remove, keys, THREADS)
        return left

    def quarantine(self, key: str) -> bool:
        """As the law says; bytes that prove right when they are read again stay: what was wrong was on the way."""
        try:
            size = self.size(key)
            if size > COPIED or self._is_right(key):
                return False
        except BlobMissing:
            return False
        source = {"CopySource": self.bucket.where(key)}
        aside = self._aside(key)
        self.bucket.spend(key, lambda _: endpoint.ask("copy_object", **self.bucket.where(aside), **source), writing=True)
        self.remove(key)
        return True

    def copy_aside(self, key: str, start: int, length: int) -> bool:
        try:
            data = b"".join(self.read(key, start, length))
        except BlobMissing:
            return False
        aside = self._aside(f"{key}.{start}")
        self.bucket.spend(key, lambda _: endpoint.ask("put_object", **self.bucket.where(aside), Body=data, **proof(data)), writing=True)
        return True

    def _is_right(self, key: str) -> bool:
        digest = digest_of(key)
        if digest is None:
            return False
        hasher = Hasher(digest.algorithm)
        for piece in self.read(key):
            hasher.update(piece)
        return hasher.blob().digest == digest

    def _aside(self, key: str) -> str:
        return f"{QUARANTINE}/{key.replace('/', '.')}.{secrets.token_hex(4)}"

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        above = len(self.bucket.name_of(""))
        wanted = prefix if prefix.startswith(f"{OBJECTS}/") else f"{OBJECTS}/"
        for page in self._pages(wanted):
            for found in page.get("Contents", []):
                key = found["Key"][above:]
                if key.startswith(prefix) and not key.endswith("/"):
                    yield key, found["Size"]

    def _pages(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Every page of the listing. It is complete or raises."""
        onward: dict[str, str] = {}
        while True:
            request = {"Bucket": self.bucket.name, "Prefix": self.bucket.name_of(prefix), **onward}
            page = self.bucket.spend(prefix, lambda _, request=request: endpoint.ask("list_objects_v2", **request))  # type: ignore[misc]  # mypy cannot infer a lambda's default
            yield page
            if not page.get("IsTruncated"):
                return
            token = page.get("NextContinuationToken")
            if not token or token == onward.get("ContinuationToken"):
                raise RemoteUnavailable(f"{self.bucket.shown(prefix)}: the listing stops before its end: call again")
            onward = {"ContinuationToken": token}

    def sweep(self, session: str) -> None:
        for note in notes(self.spool.root / STAGING / session):
            abandon(self.bucket, note)
        self.spool.sweep(session)

    def sessions(self) -> list[str]:
        return self.spool.sessions()

    def read_mark(self) -> bytes | None:
        try:
            return b"".join(Body(self.bucket, OWNER_FILE))
        except BlobMissing:
            return None

    def write_mark(self, text: bytes, *, only_new: bool) -> None:
        def attempt(_: int) -> None:
            condition = self.bucket.condition if only_new else {}
            try:
                endpoint.ask("put_object", **self.bucket.where(OWNER_FILE), Body=text, **proof(text), **condition)
            except Refusal as refusal:
                if self.bucket.has_unlearnt(refusal):
                    attempt(0)
                elif refusal.status != 412:  # something stands there: reading tells what
                    raise

        self.bucket.spend(OWNER_FILE, attempt, writing=True)

    def learn(self, *, is_conditional: bool) -> None:
        self.bucket.is_conditional = self.bucket.is_conditional and is_conditional


def _near(piece: LocalStaged | SentAhead) -> LocalStaged:
    return piece.near if isinstance(piece, SentAhead) else piece


def _own(piece: Staged, key: str) -> LocalStaged | SentAhead:
    if not isinstance(piece, LocalStaged | SentAhead):
        raise InvalidPath(f"{piece!r} was not staged on its way to S3: publish it where it was staged")
    if isinstance(piece, SentAhead) and piece.key != key:
        raise InvalidPath(f"these bytes were staged for {piece.key}, not for {key}: stage them again")
    return piece
