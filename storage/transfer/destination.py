"""A directory that is written into through file descriptors only, so that no link in it can lead anywhere else.

Every directory below the root is opened by its name, from the descriptor of the one above it, refusing links; what is made, renamed and
removed is named relative to such a descriptor. Whoever swaps a directory for a link meanwhile gains nothing. A file lands under a
temporary name beside its place and is renamed when it is complete: what stands there is the old file or the new one, never a part.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.blob import disk
from storage.digest import Buffer
from storage.entry import CONTROL_NAMES, printable
from storage.errors import DestinationRefused
from storage.transfer.claim import Claim

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.ELOOP})
_OPEN = 128
"""Directories that stay open until they are trimmed."""


class Destination:
    """The directory `root`; the root itself may be reached through links, nothing below it may. Paths are those of a manifest.

    One thread at a time, except that any may `put`.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self._open: dict[str, int] = {}
        """The root, once it was there, and directories below it."""
        self._claim: Claim | None = None
        self._is_narrow = False
        """Does this process's umask take away what a file must have?"""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        claim, self._claim = self._claim, None
        try:
            if claim is not None:
                claim.release()
        finally:
            while self._open:
                os.close(self._open.popitem()[1])

    def create(self) -> None:
        """The root is there.

        Raises:
            DestinationRefused: something else than a directory is.
        """
        with disk.refusals(self.root):
            with suppress(NotADirectoryError):
                disk.make_directories(self.root, 0o777)
            if not self.root.is_dir():
                raise DestinationRefused(f"{self.root} is not a directory, or lies below a file: name another destination")

    def directory(self, path: str, *, create: bool = False) -> int | None:
        """A descriptor of directory `path`, good until `trim`; None when it is not there.

        Raises:
            DestinationRefused: a link or a file stands where a directory must be.
        """
        if (known := self._open.get(path)) is not None:
            return known
        parent, _, name = path.rpartition("/")
        with disk.refusals(self.root / path):
            above = self.directory(parent, create=create) if path else None
            fd = self._open_root() if not path else None if above is None else self._descend(above, name, path, create=create)
        if fd is not None:
            self._open[path] = fd
        return fd

    def _open_root(self) -> int | None:
        try:
            return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise DestinationRefused(f"{self.root} is not a directory: name another destination") from error

    def _descend(self, above: int, part: str, path: str, *, create: bool) -> int | None:
        try:
            with suppress(FileNotFoundError):
                return os.open(part, _DIRECTORY, dir_fd=above)
            if not create:
                return None
            disk.mkdir(part, 0o777, dir_fd=above)
            return os.open(part, _DIRECTORY, dir_fd=above)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            message = (
                f"{printable(part)!r} in {printable(path)!r} is a link or a file in {self.root}, and must be a directory: move it away"
            )
            raise DestinationRefused(message) from error

    @property
    def is_wide(self) -> bool:
        """Are so many directories open that they should be trimmed?"""
        return len(self._open) > _OPEN

    def trim(self) -> None:
        """Close every directory but the root."""
        for path in [path for path in self._open if path]:
            os.close(self._open.pop(path))

    def about(self, path: str) -> os.stat_result | None:
        """What stands at `path`, a link itself and not what it points to; None when nothing does."""
        above, name = self._parent(path)
        return None if above is None else self.look(above, name, path)

    def look(self, above: int, name: str, path: str) -> os.stat_result | None:
        """As `about`, of `name` in a directory whose descriptor is there already."""
        try:
            return os.stat(name, dir_fd=above, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk.refusal(error, self.root / path) from error

    def target(self, path: str) -> str | None:
        """Where the link at `path` points; None when there is no link."""
        above, name = self._parent(path)
        with suppress(OSError):
            return None if above is None else os.readlink(name, dir_fd=above)
        return None

    def open(self, path: str) -> int | None:
        """A descriptor to read the regular file at `path` with; None when there is none, or it may not be read."""
        above, name = self._parent(path)
        if above is None:
            return None
        try:
            fd = os.open(name, _FILE, dir_fd=above)
        except (FileNotFoundError, PermissionError):
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                return None
            raise disk.refusal(error, self.root / path) from error
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        return None

    def claim(self) -> Claim:
        """Our right to temporary names, taken when it is asked for first; the root must be there."""
        if self._claim is None:
            root = self.directory("")
            if root is None:
                raise DestinationRefused(f"{self.root} was removed while it was written to: call again")
            with disk.refusals(self.root):
                self._claim = Claim(root)
        return self._claim

    def put(self, above: int, name: str, data: Buffer, mode: int, path: str) -> os.stat_result:
        """How the new file `name` looks, whole and in its place, in the directory with that descriptor; `claim` was called before."""
        temporary = self.claim().name()
        try:
            fd = disk.create(temporary, mode, dir_fd=above)
            try:
                disk.write(fd, data, temporary)
                return self._finish(fd, temporary, name, mode, above)
            finally:
                os.close(fd)
        except OSError as error:
            self._discard(temporary, above)
            raise disk.refusal(error, self.root / path) from error
        except BaseException:
            self._discard(temporary, above)
            raise

    @contextmanager
    def replacing(self, path: str, mode: int) -> Iterator[tuple[int, list[os.stat_result]]]:
        """A descriptor to write a new file with, which stands at `path` when the block ends well, and nowhere when it does not.

        The list then holds how it looks in its place.
        """
        above, name = self._parent(path, create=True)
        looks: list[os.stat_result] = []
        temporary = self.claim().name()
        with disk.refusals(self.root / path):
            fd = disk.create(temporary, mode, dir_fd=above)
            try:
                yield fd, looks
                looks.append(self._finish(fd, temporary, name, mode, above))
            except BaseException:
                self._discard(temporary, above)
                raise
            finally:
                os.close(fd)

    def _finish(self, fd: int, temporary: str, name: str, mode: int, above: int | None) -> os.stat_result:
        if self._is_narrow:
            disk.chmod(fd, mode, name)
        disk.rename(temporary, name, dir_fd=above)
        about = os.fstat(fd)
        if about.st_mode & 0o777 != mode:
            self._is_narrow = True
            disk.chmod(fd, mode, name)
            about = os.fstat(fd)
        return about

    def _discard(self, temporary: str, above: int | None) -> None:
        with suppress(OSError):
            disk.unlink(temporary, dir_fd=above)

    def link(self, path: str, target: str) -> None:
        """A symbolic link to `target` stands at `path`, instead of what did."""
        above, name = self._parent(path, create=True)
        temporary = self.claim().name()
        with disk.refusals(self.root / path):
            disk.symlink(target, temporary, dir_fd=above)
            try:
                disk.rename(temporary, name, dir_fd=above)
            except BaseException:
                self._discard(temporary, above)
                raise

    def remove(self, path: str, *, is_directory: bool) -> None:
        """The file or link at `path` is gone, or the directory when it is empty."""
        above, name = self._parent(path)
        if above is None:
            return
        with disk.refusals(self.root / path):
            if not is_directory:
                disk.unlink(name, dir_fd=above)
                return
            try:
                disk.rmdir(name, dir_fd=above)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise

    def walk(self) -> Iterator[tuple[str, bool]]:
        """Every path and whether it is a directory, content before directory; no link is followed, control directories are left out."""
        found: list[tuple[str, bool]] = []
        waiting = [""]
        while waiting:
            path = waiting.pop()
            if self.is_wide:
                self.trim()
            fd = self.directory(path)
            if fd is None:
                continue
            with os.scandir(fd) as entries:
                for entry in entries:
                    if entry.name.casefold() in CONTROL_NAMES:
                        continue
                    below = f"{path}/{entry.name}" if path else entry.name
                    is_directory = entry.is_dir(follow_symlinks=False)
                    found.append((below, is_directory))
                    if is_directory:
                        waiting.append(below)
        return reversed(found)

    def _parent(self, path: str, *, create: bool = False) -> tuple[int | None, str]:
        parent, _, name = path.rpartition("/")
        return self.directory(parent, create=create), name


def folds_case(root: Path) -> bool:
    """Does the file system of `root` hold two spellings of a name that differ in case for the same? Asked with a file of our own."""
    name = disk.temporary_name("probe")
    with disk.refusals(root):
        fd = disk.create(root / name)
        try:
            return (root / name.upper()).exists()
        finally:
            os.close(fd)
            disk.unlink(root / name)
