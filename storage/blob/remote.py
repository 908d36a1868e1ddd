"""Any place that fsspec has a file system for, as a place for bytes. S3 and this machine's directories have backends of their own.

    <root>/objects/…       published; one file a key
    <root>/staging/…       names that files bear while they are sent, where a file can be seen before it is whole
    <root>/quarantine/…    moved aside because its bytes are wrong, or a copy of the part that is wrong

What fsspec promises is little, and differs: nothing more is relied on. In an object store one put is whole or not there. Everywhere else a
file is sent under another name, weighed, and moved. Nothing is listed from a cache. "Not found" is absence only while the place's own mark
is there: a bucket that is gone, or a disk that is not mounted, has no mark either. Durable is what the place calls written.
"""

import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from storage.blob import disk
from storage.blob.backend import Backend, Staged, check_key
from storage.blob.local import LocalBackend
from storage.blob.pool import each
from storage.blob.staged import LocalStaged
from storage.errors import (
    BlobMissing,
    Corrupt,
    InvalidPath,
    InvalidStore,
    NotRemoved,
    PackageMissing,
    ReadOnlyStore,
    RemoteUnavailable,
    StorageError,
    Unavailable,
)
from storage.layout import OBJECTS, OWNER_FILE, QUARANTINE, STAGING
from storage.location import Location

WHOLE = frozenset({"gs", "az", "abfs", "abfss", "adl", "oss", "oci", "cos", "obs", "tos"})
"""Object stores: a put is atomic, and a listing below a prefix is one question."""
PACKAGES = {
    "gs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "adl": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "oss": "ossfs",
}
"""What to install for a scheme; fsspec's own hint says it of the others."""
STEP = 8 << 20
"""Bytes asked for at a time."""
THREADS = 8

_SYSTEMS: dict[tuple[int, str], tuple[Any, str]] = {}
"""File system and root by process and URL: a fork gets its own, because event loops and sockets do not survive one."""
_CONNECTING = threading.Lock()


def connect(location: Location) -> tuple[Any, str]:
    """The file system of a location, for this process, and what its root is called there.

    Raises:
        PackageMissing: what speaks the scheme is not installed.
        InvalidStore: fsspec knows no such scheme.
        RemoteUnavailable: it does not let itself be opened.
    """
    key = (os.getpid(), str(location))
    with _CONNECTING:
        return _SYSTEMS.get(key) or _SYSTEMS.setdefault(key, _connect(location))


def _connect(location: Location) -> tuple[Any, str]:
    from fsspec.core import url_to_fs  # loads slowly
    from fsspec.registry import known_implementations, registry

    if location.scheme not in known_implementations and location.scheme not in registry:
        raise InvalidStore(f"{location}: nothing speaks {location.scheme}://: check the scheme, or install the package that brings it")
    try:
        system, root = url_to_fs(str(location), use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        package = PACKAGES.get(location.scheme)
        raise PackageMissing(
            f"{location} needs a package that is not installed: {f'pip install {package}' if package else error}"
        ) from error
    except Exception as error:  # whatever a file system answers with when it cannot be opened
        raise RemoteUnavailable(f"{location} cannot be opened ({error}): check its name and the credentials") from error
    return system, str(root).rstrip("/")


class RemoteBackend(Backend):
    """See the top of this file; `spool` is the local directory in which staging happens."""

    def __init__(self, location: Location, spool: LocalBackend) -> None:
        self.location, self.spool = location, spool
        self.is_whole = location.scheme in WHOLE

    def __str__(self) -> str:
        return str(self.location)

    def stage(self, session: str, key: str | None = None) -> Staged:
        return self.spool.stage(session)

    def publish(self, staged: Sequence[tuple[Staged, str]]) -> None:
        pieces = [(_own(piece), check_key(key)) for piece, key in staged]
        for piece, _ in pieces:
            piece.close()
        each(lambda one: self._send(*one), pieces, THREADS)
        for piece, _ in pieces:
            piece.drop()
        for directory in {piece.path.parent for piece, _ in pieces}:
            with suppress(OSError):  # something else is staged there
                disk.rmdir(directory)

    def _send(self, piece: LocalStaged, key: str) -> None:
        if not piece.path.exists():
            raise Unavailable("what was staged is gone: dropped, or its session was swept; stage the bytes again")
        system, root = connect(self.location)
        target = f"{root}/{key}"
        if self._is_there(key, piece.size):
            return
        with self._told(key, writing=True):
            if self.is_whole:
                system.put_file(str(piece.path), target)
            else:
                self._move_in(system, piece, f"{root}/{STAGING}/{piece.path.parent.name}/{secrets.token_hex(8)}", target)
        if not self._is_there(key, piece.size):
            raise RemoteUnavailable(f"{self}/{key} was written and is not there: call again")

    def _move_in(self, system: Any, piece: LocalStaged, passing: str, target: str) -> None:
        system.makedirs(passing.rpartition("/")[0], exist_ok=True)
        try:
            system.put_file(str(piece.path), passing)
            if system.info(passing)["size"] != piece.size:
                raise RemoteUnavailable(f"{self} kept less than it was given: is it full?")
            system.makedirs(target.rpartition("/")[0], exist_ok=True)
            system.mv(passing, target)
        except BaseException:
            with suppress(Exception):  # a sweep tries again
                system.rm_file(passing)
            raise

    def _is_there(self, key: str, size: int) -> bool:
        try:
            there = self.size(key)
        except BlobMissing:
            return False
        if there != size:
            raise Corrupt(f"{self}/{key} holds {there} bytes where {size} belong: verify the store, then log again")
        return True

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        stop = None if length is None else start + length
        first = self._part(check_key(key), start, stop)
        return self._on(key, first, start, stop)

    def _on(self, key: str, piece: bytes, at: int, stop: int | None) -> Iterator[bytes]:
        while piece:
            yield piece
            at += len(piece)
            if len(piece) < STEP or at == stop:
                return
            piece = self._part(key, at, stop)

    def _part(self, key: str, at: int, stop: int | None) -> bytes:
        system, root = connect(self.location)
        end = at + STEP if stop is None else min(stop, at + STEP)
        if end == at:
            self.size(key)
            return b""
        try:
            with self._told(key):
                return bytes(system.cat_file(f"{root}/{key}", start=at, end=end))
        except RemoteUnavailable:
            if at < self.size(key):
                raise
            return b""  # some refuse a range that begins at the end

    def size(self, key: str) -> int:
        system, root = connect(self.location)
        with self._told(check_key(key)):
            about = system.info(f"{root}/{key}")
            if about.get("type") != "file":
                raise FileNotFoundError(key)
            return int(about["size"])

    def remove(self, key: str) -> None:
        system, root = connect(self.location)
        with suppress(BlobMissing), self._told(check_key(key), writing=True):
            system.rm_file(f"{root}/{key}")

    def remove_many(self, keys: Sequence[str]) -> None:
        left: dict[str, str] = {}

        def remove(key: str) -> None:
            try:
                self.remove(key)
            except Unavailable as error:
                left[key] = str(error)

        each(remove, [check_key(key) for key in keys], THREADS)
        if left:
            raise NotRemoved(left)

    def quarantine(self, key: str) -> bool:
        system, root = connect(self.location)
        aside = f"{root}/{QUARANTINE}/{key.replace('/', '.')}.{secrets.token_hex(4)}"
        try:
            with self._told(check_key(key), writing=True):
                system.info(f"{root}/{key}")
                if self.is_whole:
                    system.cp_file(f"{root}/{key}", aside)
                    system.rm_file(f"{root}/{key}")
                else:
                    system.makedirs(f"{root}/{QUARANTINE}", exist_ok=True)
                    system.mv(f"{root}/{key}", aside)
        except BlobMissing:
            return False
        return True

    def copy_aside(self, key: str, start: int, length: int) -> bool:
        system, root = connect(self.location)
        try:
            data = b"".join(self.read(key, start, length))
        except BlobMissing:
            return False
        with self._told(key, writing=True):
            self._make(system, f"{root}/{QUARANTINE}")
            system.pipe_file(f"{root}/{QUARANTINE}/{key.replace('/', '.')}.{start}.{secrets.token_hex(4)}", data)
        return True

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        system, root = connect(self.location)
        system.invalidate_cache()
        above = len(root) + 1
        for name, about in self._found(system, root, prefix):
            key = name[above:]
            if key.startswith(prefix):
                yield key, int(about["size"])

    def _found(self, system: Any, root: str, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if self.is_whole:
            with self._told(OBJECTS):
                yield from system.find(f"{root}/{OBJECTS}", detail=True).items()
            return
        waiting = [OBJECTS]
        while waiting:
            directory = waiting.pop()
            if not (directory.startswith(prefix) or prefix.startswith(directory)):
                continue
            # Not `find`: where a directory cannot be read, it leaves that out and says nothing.
            with suppress(BlobMissing), self._told(directory):
                for about in system.ls(f"{root}/{directory}", detail=True):
                    name = str(about["name"])
                    if about["type"] == "directory":
                        waiting.append(name[len(root) + 1 :])
                    else:
                        yield name, about

    def sweep(self, session: str) -> None:
        if not self.is_whole and session in self.spool.sessions():
            system, root = connect(self.location)
            with suppress(BlobMissing), self._told(STAGING, writing=True):
                system.rm(f"{root}/{STAGING}/{session}", recursive=True)
        self.spool.sweep(session)

    def sessions(self) -> list[str]:
        return self.spool.sessions()

    def read_mark(self) -> bytes | None:
        system, root = connect(self.location)
        try:
            with self._refusals(OWNER_FILE):
                return bytes(system.cat_file(f"{root}/{OWNER_FILE}"))
        except FileNotFoundError:
            return None

    def write_mark(self, text: bytes, *, only_new: bool) -> None:
        system, root = connect(self.location)
        if only_new and self.read_mark() is not None:
            return
        with self._refusals(OWNER_FILE, writing=True):
            self._make(system, root)
            system.pipe_file(f"{root}/{OWNER_FILE}", text)

    def _make(self, system: Any, directory: str) -> None:
        """The directory is there. An object store has none, and would make a bucket for it, which is its owner's to make."""
        if not self.is_whole:
            system.makedirs(directory, exist_ok=True)

    def learn(self, *, is_conditional: bool) -> None:
        """Nothing here depends on it."""

    @contextmanager
    def _told(self, key: str, *, writing: bool = False) -> Iterator[None]:
        """As `_refusals`; what is not found is absent only while the place itself is there."""
        try:
            with self._refusals(key, writing=writing):
                yield
        except StorageError:
            raise
        except FileNotFoundError as error:
            if self.read_mark() is None:
                raise RemoteUnavailable(f"{self} has no {OWNER_FILE}: is the place still there, is it the right one?") from error
            raise BlobMissing(f"{self}/{key} is not there: restore it or log its content again") from error

    @contextmanager
    def _refusals(self, key: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except (StorageError, FileNotFoundError):
            raise
        except PermissionError as error:
            kind = ReadOnlyStore if writing else RemoteUnavailable
            raise kind(f"{self}/{key}: permission was refused ({error}): check credentials and policy") from error
        except Exception as error:  # each file system has errors of its own; none of them means absence
            raise RemoteUnavailable(f"{self}/{key}: the place failed ({type(error).__name__}: {error}): call again later") from error


def _own(piece: Staged) -> LocalStaged:
    if not isinstance(piece, LocalStaged):
        raise InvalidPath(f"{piece!r} was not staged on its way there: publish it where it was staged")
    return piece


os.register_at_fork(after_in_child=lambda: globals().__setitem__("_CONNECTING", threading.Lock()))
