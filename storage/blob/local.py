"""A directory of this machine as a place for bytes.

    objects/<domain>/<algorithm>/<2>/<62>[.g]   published, mode 0444
    objects/<domain>/packs/<algorithm>/…        the same, of packs
    staging/<session>/<random>                  on its way, directory 0700, file 0600
    quarantine/<key with dots>.<random>         moved aside because its bytes are wrong, or a copy of the part that is wrong

Publishing: the mode is set and the file flushed, then it is linked to its name, which never replaces anything, then every directory
that got a name is flushed, once. A directory's own name is flushed too, the first time this process relies on it, whoever made it: its
maker may have died before flushing. A file that has a key already was flushed before it got it, so only its name is.

It holds no descriptor and no thread between calls, so it may be used from any thread and after any fork.
"""

import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from storage.blob import disk
from storage.blob.backend import Backend, Staged, check_key
from storage.blob.pool import pool
from storage.blob.staged import LocalStaged
from storage.digest import CHUNK
from storage.errors import BlobMissing, Corrupt, InvalidPath, ReadOnlyStore, Unavailable
from storage.layout import OBJECTS, QUARANTINE, STAGING

THREADS = 8
"""Files flushed at the same time: the disk merges what it is asked together."""

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_Item = TypeVar("_Item")
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", re.ASCII)


class LocalBackend(Backend):
    """See the top of this file; `sealed` is the reason why nothing may be written, if there is one."""

    is_near = True
    piece: type[LocalStaged] = LocalStaged
    """What is staged is one of these."""

    def __init__(self, root: Path, sealed: str = "") -> None:
        self.root = Path(root).absolute()
        self.sealed = sealed
        self._anchored: set[Path] = set()
        """Directories whose own names are known to be durable."""
        self._clones: dict[int, bool] = {}
        """From which devices files can be cloned to here, of those that were tried: a file system can, or cannot."""

    def stage(self, session: str, key: str | None = None) -> LocalStaged:
        self._refuse_when_sealed()
        path = self._staging(session) / secrets.token_hex(8)
        with disk.refusals(path):
            while True:
                with suppress(FileNotFoundError):
                    return self.piece(path, disk.create(path), self._clones)
                # Not made yet, or removed by a publish of the same session just now.
                if not self.root.is_dir():
                    raise self._gone()
                disk.mkdir(path.parent.parent)  # what is staged need not outlive a power loss, nor its directories
                disk.mkdir(path.parent, 0o700)

    def publish(self, staged: Sequence[tuple[Staged, str]]) -> None:
        self._refuse_when_sealed()
        pieces = [(_own(piece), self._path(key)) for piece, key in staged]
        with disk.refusals(self.root, sum(piece.size for piece, _ in pieces)):
            for piece, _ in pieces:
                piece.close()
            _each(LocalStaged.seal, [piece for piece, _ in pieces])
            for piece, target in pieces:
                self._place(piece, target)
            self._flush_names({target.parent for _, target in pieces})
        for piece, _ in pieces:
            piece.drop()
        for directory in {piece.path.parent for piece, _ in pieces}:
            with suppress(OSError):  # something else is staged there
                disk.rmdir(directory)

    def _place(self, piece: LocalStaged, target: Path) -> None:
        try:
            is_ours = disk.place_new(piece.path, target)
        except FileNotFoundError:
            self._make_directory(target.parent)
            is_ours = disk.place_new(piece.path, target)
        if is_ours:
            return
        there = os.stat(target, follow_symlinks=False)
        if not stat.S_ISREG(there.st_mode) or there.st_size != piece.size:
            raise Corrupt(f"{target} holds {there.st_size} bytes where {piece.size} belong: verify the store, which moves it aside")

    def _make_directory(self, directory: Path) -> None:
        if not self.root.is_dir():
            raise self._gone()
        for path in (*reversed(directory.relative_to(self.root).parents[:-1]), directory.relative_to(self.root)):
            if disk.mkdir(self.root / path):
                self._anchored.discard(self.root / path)

    def _flush_names(self, touched: set[Path]) -> None:
        new: set[Path] = set()
        for leaf in touched:
            directory = leaf
            while directory != self.root and directory not in self._anchored and directory not in new:
                new.add(directory)
                directory = directory.parent
        _each(disk.flush_directory, sorted(touched | {directory.parent for directory in new}))
        self._anchored |= new

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        path = self._path(key)
        try:
            fd = os.open(path, _OPEN)
        except OSError as error:
            raise self._not_read(error, key) from error
        try:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode):
                raise Corrupt(f"{path} is not a regular file: somebody replaced it; restore the store's directory")
            ahead = max(0, about.st_size - start)
            pieces = _Pieces(fd, path, start, ahead if length is None else min(length, ahead))
        except BaseException:
            os.close(fd)
            raise
        # Small bytes are read here and now: no descriptor waits for a reader who may never come.
        return iter(list(pieces)) if pieces.left <= CHUNK else pieces

    def size(self, key: str) -> int:
        try:
            about = os.stat(self._path(key), follow_symlinks=False)
        except OSError as error:
            raise self._not_read(error, key) from error
        return about.st_size

    def remove(self, key: str) -> None:
        self._refuse_when_sealed()
        path = self._path(key)
        if not self.root.is_dir():
            raise self._gone()
        with disk.refusals(path), suppress(FileNotFoundError, NotADirectoryError):
            disk.unlink(path)
            disk.flush_directory(path.parent)

    def quarantine(self, key: str) -> bool:
        self._refuse_when_sealed()
        path, aside = self._path(key), self.root / QUARANTINE
        with disk.refusals(path):
            disk.make_directories(aside, 0o700)
            try:
                disk.rename(path, aside / f"{key.replace('/', '.')}.{secrets.token_hex(4)}")
            except FileNotFoundError:
                return False
            disk.flush_directory(aside)
            disk.flush_directory(path.parent)
        return True

    def copy_aside(self, key: str, start: int, length: int) -> bool:
        self._refuse_when_sealed()
        try:
            data = b"".join(self.read(key, start, length))
        except BlobMissing:
            return False
        aside = self.root / QUARANTINE
        with disk.refusals(aside):
            disk.make_directories(aside, 0o700)
            disk.write_durably(aside / f"{key.replace('/', '.')}.{start}.{secrets.token_hex(4)}", data, 0o400)
        return True

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        if not self.root.is_dir():
            raise self._gone()
        waiting = [OBJECTS]
        while waiting:
            directory = waiting.pop()
            if not (directory.startswith(prefix) or prefix.startswith(f"{directory}/") or prefix == directory):
                continue
            for key, about in self._listed(directory):
                if stat.S_ISDIR(about.st_mode):
                    waiting.append(key)
                elif key.startswith(prefix):
                    yield key, about.st_size

    def _listed(self, directory: str) -> list[tuple[str, os.stat_result]]:
        found = []
        try:
            with os.scandir(self.root / directory) as names:
                for name in names:
                    with suppress(FileNotFoundError):  # removed while we looked: it is not there
                        found.append((f"{directory}/{name.name}", name.stat(follow_symlinks=False)))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise disk.refusal(error, self.root / directory) from error
        return found

    def sweep(self, session: str) -> None:
        directory = self._staging(session)
        with disk.refusals(directory):
            try:
                left = os.listdir(directory)
            except FileNotFoundError:
                return
            for name in left:
                disk.unlink(directory / name)
            disk.rmdir(directory)

    def sessions(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.root / STAGING) if _SESSION.fullmatch(name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise disk.refusal(error, self.root / STAGING) from error

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _staging(self, session: str) -> Path:
        if not _SESSION.fullmatch(session):
            raise InvalidPath(f"{session!r} is not the name of a session: letters, digits, dash and underscore")
        return self.root / STAGING / session

    def _refuse_when_sealed(self) -> None:
        if self.sealed:
            raise ReadOnlyStore(f"{self.root} is read only: {self.sealed}")

    def _gone(self) -> Unavailable:
        return Unavailable(f"{self.root} is not there: is the disk mounted, was the store moved?")

    def _not_read(self, error: OSError, key: str) -> Exception:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            return disk.refusal(error, self._path(key))
        return BlobMissing(f"{key} is not in {self.root}: restore it or log its content again") if self.root.is_dir() else self._gone()


class _Pieces(Iterator[bytes]):
    """The bytes of an open file from `start`, `left` of them; it closes the file at their end, or when nobody wants them any more."""

    def __init__(self, fd: int, path: Path, start: int, left: int) -> None:
        self._fd: int | None = fd
        self._path = path
        self._at = start
        self.left = left

    def __next__(self) -> bytes:
        piece = b""
        if self._fd is not None and self.left:
            with disk.refusals(self._path):
                piece = os.pread(self._fd, min(CHUNK, self.left), self._at)
        if not piece:
            self.close()
            raise StopIteration
        self._at += len(piece)
        self.left -= len(piece)
        return piece

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def _own(piece: Staged) -> LocalStaged:
    if not isinstance(piece, LocalStaged):
        raise InvalidPath(f"{piece!r} was not staged in a directory of this machine: publish it where it was staged")
    return piece


def _each(work: Callable[[_Item], None], items: Sequence[_Item]) -> None:
    """Do `work` on every item, a few at a time; the first error is raised when all threads have ended."""
    count = min(THREADS, len(items))
    if count < 2:
        for item in items:
            work(item)
        return

    def share(at: int) -> None:
        for item in items[at::count]:
            work(item)

    with pool(count) as threads:
        list(threads.map(share, range(count)))
