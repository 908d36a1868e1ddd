"""Large objects on their way to S3, part by part.

    note ──▶ create ──▶ note the upload's id ──▶ parts, a few at a time ──▶ complete | abort ──▶ forget the note

An upload that is neither completed nor aborted costs money for ever and shows in no listing of objects. So it is noted in the session's
staging directory before it begins, whatever goes wrong aborts it, and sweeping the session aborts what a dead writer left. (A rule of the
bucket that aborts incomplete uploads after a few days catches what is lost with the whole machine.)

Limits are the service's: parts of 5 MiB and more except the last, 10,000 of them, 5 TiB in all. What is known to be larger is refused
before a byte is sent.
"""

import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

from storage.blob import disk, endpoint
from storage.blob.backend import Staged
from storage.blob.bucket import Bucket, label, proof
from storage.blob.endpoint import Refusal
from storage.blob.pool import each, pool
from storage.blob.staged import LocalStaged
from storage.digest import Buffer
from storage.errors import StorageError, TooLarge, Unavailable

SINGLE = 64 << 20
"""Bytes up to which one PUT takes an object whole."""
PART = 16 << 20
LARGEST = 5 << 40
MOST_PARTS = 10_000
NOTE = ".upload"

_THREADS = 4
_STEP = 1000
"""Where the size is not known ahead, parts double after so many: 10,000 of them hold more than the largest object."""


def part_size(size: int, part: int = PART) -> int:
    """How large the parts of an object of `size` bytes are.

    Raises:
        TooLarge: the service takes no such object.
    """
    if size > LARGEST:
        raise TooLarge(f"{size} bytes are more than the {LARGEST} that S3 keeps in one object: split the file")
    return max(part, -(-size // MOST_PARTS))


class Upload:
    """One multipart upload of a key; `note` is the file that remembers it."""

    def __init__(self, bucket: Bucket, key: str, note: Path) -> None:
        self.key = key
        self._bucket, self._note = bucket, note
        self._parts: dict[int, dict[str, Any]] = {}
        _write_note(note, {"key": key})
        try:
            self._id = self._begin()
        except BaseException:
            self.abort()
            raise

    def _begin(self) -> str:
        """The id, noted. The request ends even when whoever waits for it is interrupted: only then is known what there is to abort."""

        def begin() -> str:
            upload = self._bucket.spend(self.key, self._create, writing=True)
            _write_note(self._note, {"key": self.key, "upload": upload})
            return upload

        with pool(1) as thread:
            begun = thread.submit(begin)
            try:
                return begun.result()
            finally:
                wait([begun])

    def _create(self, number: int) -> str:
        """The id of a new upload. One that was begun and whose answer was lost is aborted first."""
        for lost in _unnoted(self._bucket, self.key, self._note) if number else ():
            _abort(self._bucket, self.key, lost)
        created = endpoint.ask("create_multipart_upload", **self._bucket.where(self.key), **label(self.key))
        return str(created["UploadId"])

    def send(self, number: int, data: bytes) -> None:
        """Part `number`, counted from 1."""
        answer = self._patiently("upload_part", UploadId=self._id, PartNumber=number, Body=data, **proof(data))
        self._parts[number] = {"PartNumber": number, "ETag": answer["ETag"]}

    def complete(self, size: int) -> None:
        """Make the object visible, and see that it is whole."""
        parts = {"Parts": [self._parts[number] for number in sorted(self._parts)]}

        def attempt(number: int) -> None:
            if number and self._bucket.holds(self.key, size):
                return
            try:
                where, condition = self._bucket.where(self.key), self._bucket.condition
                endpoint.ask("complete_multipart_upload", **where, UploadId=self._id, MultipartUpload=parts, **condition)
            except Refusal as refusal:
                if self._bucket.has_unlearnt(refusal):
                    attempt(number)
                elif (refusal.code != "NoSuchUpload" and refusal.status != 412) or not self._bucket.holds(self.key, size):
                    raise
                elif refusal.status == 412:  # somebody was first, and the parts are still there
                    self.abort()
            else:
                if not self._bucket.holds(self.key, size):
                    raise Refusal(ConnectionError("the upload was completed, and the object is not there"))

        self._bucket.spend(self.key, attempt, writing=True)
        disk.unlink(self._note)

    def abort(self) -> None:
        """Give up what was sent. What cannot be given up now stays noted, and a sweep tries again."""
        with suppress(StorageError):
            abandon(self._bucket, self._note)

    def _patiently(self, method: str, **request: Any) -> dict[str, Any]:
        where = self._bucket.where(self.key)
        return self._bucket.spend(self.key, lambda _: endpoint.ask(method, **where, **request), writing=True)


def send_file(bucket: Bucket, key: str, path: Path, size: int, *, part: int, threads: int) -> None:
    """Upload the file in parts, read as they are sent.

    Raises:
        Unavailable: the file is gone, or the service failed; nothing is left there.
    """
    step = part_size(size, part)
    upload = Upload(bucket, key, path.with_suffix(NOTE))

    def send(at: int) -> None:
        with path.open("rb") as file:
            file.seek(at)
            upload.send(at // step + 1, file.read(step))

    try:
        each(send, range(0, size, step), threads)
        upload.complete(size)
    except BaseException:
        upload.abort()
        raise


class Sender:
    """The parts of an upload whose size nobody knows yet: sent a few at a time, while more comes."""

    def __init__(self, upload: Upload, part: int) -> None:
        self.upload, self._part = upload, part
        self._waiting = bytearray()
        self._sent = 0
        self._threads = pool(_THREADS)
        self._running: deque[Future[None]] = deque()

    def take(self, data: Buffer) -> None:
        """More bytes; what is full goes on its way. At most five parts are held at a time, or two once parts have grown."""
        self._waiting += data
        while len(self._waiting) >= (step := self._part << self._sent // _STEP):
            self._send(bytes(self._waiting[:step]), max(1, _THREADS * self._part // step))
            del self._waiting[:step]

    def finish(self) -> None:
        """The rest goes; every part has arrived when this returns."""
        if self._waiting:
            self._send(bytes(self._waiting), _THREADS)
        while self._running:
            self._running.popleft().result()
        self.rest()

    def rest(self) -> None:
        """No request is under way any more: an abort must come last."""
        self._waiting.clear()
        self._running.clear()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _send(self, data: bytes, under_way: int) -> None:
        while len(self._running) >= under_way:
            self._running.popleft().result()
        self._sent += 1
        self._running.append(self._threads.submit(self.upload.send, self._sent, data))


class SentAhead(Staged):
    """A piece whose key is known: kept near until it is large, then sent part by part while more is written."""

    def __init__(self, near: LocalStaged, bucket: Bucket, key: str, *, single: int = SINGLE, part: int = PART) -> None:
        self.near, self.key = near, key
        self.size = 0
        self._bucket, self._single, self._part = bucket, single, part
        self._sender: Sender | None = None
        self._is_open = True

    @property
    def is_sent(self) -> bool:
        """Is there an upload to complete, and no file to send?"""
        return self._sender is not None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_open:
            raise Unavailable("what was staged is closed: stage the bytes again")
        size = self.size + memoryview(data).nbytes
        try:
            part_size(size)  # refuses what no object may hold
            if self._sender is None and size > self._single:
                self._sender = self._begin()
            if self._sender is None:
                self.near.write(data)
            else:
                self._sender.take(data)
        except BaseException:
            self.drop()
            raise
        self.size = size

    def _begin(self) -> Sender:
        """What was kept near goes first. Its file stays, empty: it stands for the piece until the session ends."""
        self.near.close()
        sender = Sender(Upload(self._bucket, self.key, self.near.path.with_suffix(NOTE)), self._part)
        try:
            with self.near.path.open("rb") as file:
                while piece := file.read(self._part):
                    sender.take(piece)
            with disk.refusals(self.near.path):
                disk.clear(self.near.path)
        except BaseException:
            sender.rest()
            sender.upload.abort()
            raise
        return sender

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        try:
            self.near.close()
            if self._sender is not None:
                self._sender.finish()
        except BaseException:
            self.drop()
            raise

    def complete(self) -> None:
        """Make what was sent visible under its key."""
        if self._sender is None or not self.near.path.exists():
            raise Unavailable("what was staged is gone: dropped, or its session was swept; stage the bytes again")
        self._sender.upload.complete(self.size)

    def drop(self) -> None:
        self._is_open = False
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.rest()
            sender.upload.abort()
        self.near.drop()


def notes(directory: Path) -> Iterator[Path]:
    """What a session's staging directory says of uploads that were begun."""
    yield from sorted(directory.glob(f"*{NOTE}"))


def abandon(bucket: Bucket, note: Path) -> None:
    """Abort the upload that `note` tells of, and forget the note; both may be gone already.

    Raises:
        Unavailable: the service could not be asked; the note stays.
    """
    said = _said(note)
    key, known = str(said.get("key", "")), said.get("upload")
    uploads = [] if not key else [str(known)] if known else _unnoted(bucket, key, note)  # no key: gone, or cut off before it began
    for upload in uploads:
        bucket.spend(key, lambda _, upload=upload: _abort(bucket, key, upload), writing=True)  # type: ignore[misc]  # mypy cannot infer a lambda's default
    with disk.refusals(note):
        disk.unlink(note)


def _abort(bucket: Bucket, key: str, upload: str) -> None:
    try:
        endpoint.ask("abort_multipart_upload", **bucket.where(key), UploadId=upload)
    except Refusal as refusal:
        if refusal.code != "NoSuchUpload":  # aborted or completed before
            raise


def _unnoted(bucket: Bucket, key: str, note: Path) -> list[str]:
    """Uploads of `key` that no note knows: one of them was begun by a writer who died before he could note its id.

    While another writer may be just there, nobody can tell whose they are, and none is given.
    """
    others = [_said(other) for other in note.parent.parent.glob(f"*/*{NOTE}") if other != note]
    if any(said.get("key") == key and not said.get("upload") for said in others):
        return []
    known = {said.get("upload") for said in others}
    listed = bucket.spend(key, lambda _: endpoint.ask("list_multipart_uploads", Bucket=bucket.name, Prefix=bucket.name_of(key)))
    return [each["UploadId"] for each in listed.get("Uploads", []) if each["Key"] == bucket.name_of(key) and each["UploadId"] not in known]


def _said(note: Path) -> dict[str, Any]:
    try:
        said = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _write_note(note: Path, said: dict[str, str]) -> None:
    disk.write_durably(note, json.dumps(said).encode(), 0o600)
