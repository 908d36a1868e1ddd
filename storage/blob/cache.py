"""A bounded cache of bytes that live elsewhere, under names the caller chooses (the identity of a pinned reference, of a far blob).

    <2 digits>/<62 digits>-<checksum>-<size>    something kept: the digest of its name, and what the file must hold
    incoming/<random>                           being written; its writer holds a lock on it for as long as he lives
    partial/<64 digits>                         coming range by range, and kept when it is cut off: `storage.blob.download`

Every hit is verified in full, and what is rotten is dropped: it can be fetched again. The least recently used files go first when there
are more than `limit` bytes; when a file was used is its modification time, there is no list of them to lose. What another live process is
writing is never evicted: the kernel says who lives. Directories are 0700 and files 0600, for one user's eyes.
"""

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import xxhash

from storage.blob import disk
from storage.blob.download import RANGE, Part, ReadRange, opened
from storage.digest import CHUNK, Blob, Digest
from storage.errors import Corrupt

LIMIT = 10 << 30
INCOMING = "incoming"
PARTIAL = "partial"
_SLACK = 16
"""A sixteenth of the limit is freed at once and may be filled before anybody looks again."""


@dataclass(frozen=True, slots=True)
class _Kept:
    used: int
    size: int
    path: str
    is_whole: bool = True


class Cache:
    """See the top of this file. Any number of threads and processes may share a directory."""

    def __init__(self, root: Path, limit: int = LIMIT, reach: int = RANGE) -> None:
        self.root = Path(root).absolute()
        self.limit = limit
        self.reach = reach
        """Bytes that are asked for at a time of what is fetched."""
        self._grown: int | None = None

    def get(self, key: str, expected: Blob | None = None) -> Path | None:
        """The file that holds what was put under `key`, verified just now; None when there is none, or not what is `expected`.

        Read it at once: it may be evicted later.
        """
        for path in self._files(key):
            checksum, size = _stated(path.name)
            if expected is not None and (checksum, size) != (expected.checksum, expected.size):
                continue
            if _found(path) == (checksum, size):
                with suppress(OSError):  # a cache that can only be read still serves; it just does not learn
                    disk.touch(path)
                return path
            with disk.refusals(path):
                disk.unlink(path)
        return None

    def find(self, key: str) -> Path | None:
        """The file that was put under `key`, for a caller who verifies what he reads of it; None when there is none."""
        return next(iter(self._files(key)), None)

    def drop(self, key: str) -> None:
        """Nothing is kept under `key` any more."""
        for path in self._files(key):
            with disk.refusals(path):
                disk.unlink(path)

    def fetch(self, key: str, digest: Digest, size: int, read: ReadRange) -> Path:
        """The file that now holds under `key` the `size` bytes with that digest, got by several ranges at once.

        What came of an earlier fetch that was cut off is not asked for again. Bytes that turn out wrong are asked for once more, all.

        Raises: as `read`, and
            Corrupt: what came was wrong, twice.
            RemoteUnavailable: less than was asked for came; what came is kept for the next fetch.
            StoreFull, ReadOnlyStore, Unavailable: the cache's disk refuses.
        """
        with disk.refusals(self.root, size):
            disk.make_directories(self.root, 0o700)
            disk.mkdir(self.root / PARTIAL, 0o700)
            with opened(self.root / PARTIAL / _name(key), size, reach=self.reach) as part:
                kept = self.find(key)
                if kept is not None:  # somebody else had it fetched while we waited for his part
                    disk.unlink(part.path)
                    return kept
                path = self._take_over(key, part, _filled(part, digest, read))
            self._make_room(size, path)
        return path

    def _take_over(self, key: str, part: Part, blob: Blob) -> Path:
        part.finish()
        path = self._path(key, blob.checksum, blob.size)
        disk.mkdir(path.parent, 0o700)
        disk.rename(part.path, path)
        return path

    def _path(self, key: str, checksum: str, size: int) -> Path:
        name = _name(key)
        return self.root / name[:2] / f"{name[2:]}-{checksum}-{size}"

    def put(self, key: str, chunks: Iterable[bytes]) -> Path:
        """The file that now holds `chunks` under `key`, instead of what was there. All of it is there, or nothing changed.

        Raises:
            StoreFull, ReadOnlyStore, Unavailable: the cache's disk refuses.
        """
        checksum, size = xxhash.xxh3_128(), 0
        with disk.refusals(self.root), self._incoming() as (fd, temporary):
            for chunk in chunks:
                disk.write(fd, chunk, temporary)
                checksum.update(chunk)
                size += len(chunk)
            path = self._path(key, checksum.hexdigest(), size)
            disk.mkdir(path.parent, 0o700)
            disk.rename(temporary, path)
            for other in self._files(key):
                if other != path:
                    disk.unlink(other)
            self._make_room(size, path)
        return path

    def _files(self, key: str) -> list[Path]:
        name = _name(key)
        directory = self.root / name[:2]
        try:
            return [directory / file for file in os.listdir(directory) if file.startswith(name[2:])]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise disk.refusal(error, directory) from error

    @contextmanager
    def _incoming(self) -> Iterator[tuple[int, Path]]:
        """A new file, locked for as long as it is open."""
        disk.make_directories(self.root, 0o700)
        disk.mkdir(self.root / INCOMING, 0o700)
        while True:
            path = self.root / INCOMING / secrets.token_hex(8)
            fd = disk.create(path)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                break
            os.close(fd)  # somebody's cleaning came between creating and locking
        try:
            yield fd, path
        finally:
            try:
                disk.unlink(path)
            finally:
                os.close(fd)

    def _make_room(self, added: int, newest: Path) -> None:
        if self._grown is not None and self._grown + added < self.limit // _SLACK:
            self._grown += added
            return
        self._drop_orphans()
        kept = sorted(self._kept(), key=lambda each: each.used)
        excess = sum(each.size for each in kept) - (self.limit - self.limit // _SLACK)
        for each in kept:
            if excess <= 0:
                break
            if each.path != str(newest) and (each.is_whole or self._drop_dead(each.path)):
                disk.unlink(each.path)
                excess -= each.size
        self._grown = 0

    def _kept(self) -> Iterator[_Kept]:
        for top in _scanned(self.root):
            if len(top.name) != 2:
                continue
            for file in _scanned(top.path):
                with suppress(FileNotFoundError):
                    about = file.stat(follow_symlinks=False)
                    yield _Kept(about.st_mtime_ns, about.st_size, file.path)
        for file in _scanned(self.root / PARTIAL):
            with suppress(FileNotFoundError):
                about = file.stat(follow_symlinks=False)
                yield _Kept(about.st_mtime_ns, about.st_blocks * 512, file.path, is_whole=False)

    def _drop_orphans(self) -> None:
        """Unlink what dead writers left behind."""
        for file in _scanned(self.root / INCOMING):
            self._drop_dead(file.path)

    def _drop_dead(self, path: str) -> bool:
        """Unlink a file when nobody holds its lock; was it so?"""
        with suppress(FileNotFoundError, BlockingIOError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                disk.unlink(path)
                return True
            finally:
                os.close(fd)
        return False


def _scanned(directory: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _filled(part: Part, digest: Digest, read: ReadRange) -> Blob:
    """What a part is once all of it has come, and is right."""
    for _ in range(2):
        part.fill(read)
        blob = part.blob(digest.algorithm)
        if blob.digest == digest:
            return blob
        part.forget()
    raise Corrupt(f"{blob.size} bytes came as {blob.digest}, twice, and must be {digest}: look at what is in between, or restore a backup")


def _name(key: str) -> str:
    return Digest.of(key.encode("utf-8", "surrogatepass")).value


def _stated(name: str) -> tuple[str, int]:
    """Checksum and size as the name of a file says them."""
    _, checksum, size = name.split("-")
    return checksum, int(size)


def _found(path: Path) -> tuple[str, int]:
    """Checksum and size of what the file really holds."""
    checksum, size = xxhash.xxh3_128(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                checksum.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return "", -1
    except OSError as error:
        raise disk.refusal(error, path) from error
    return checksum.hexdigest(), size
