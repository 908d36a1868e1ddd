"""A bounded cache of bytes that live elsewhere, under names the caller chooses (the identity of a pinned reference).

    <2 digits>/<62 digits>-<checksum>-<size>    something kept: the digest of its name, and what the file must hold
    incoming/<random>                           being written; its writer holds a lock on it for as long as he lives

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
from storage.digest import CHUNK, Blob, Digest

LIMIT = 10 << 30
INCOMING = "incoming"
_SLACK = 16
"""A sixteenth of the limit is freed at once and may be filled before anybody looks again."""


@dataclass(frozen=True, slots=True)
class _Kept:
    used: int
    size: int
    path: str


class Cache:
    """See the top of this file. Any number of threads and processes may share a directory."""

    def __init__(self, root: Path, limit: int = LIMIT) -> None:
        self.root = Path(root).absolute()
        self.limit = limit
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
            name = _name(key)
            path = self.root / name[:2] / f"{name[2:]}-{checksum.hexdigest()}-{size}"
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
        except FileNotFoundError:
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
            if each.path != str(newest):
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

    def _drop_orphans(self) -> None:
        """Unlink what dead writers left behind: nobody holds its lock."""
        for file in _scanned(self.root / INCOMING):
            with suppress(FileNotFoundError, BlockingIOError):
                fd = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    disk.unlink(file.path)
                finally:
                    os.close(fd)


def _scanned(directory: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


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
