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
from storage.entry import CONTROL_NAMES, printable
from storage.errors import DestinationRefused

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.ELOOP})


class Destination:
    """The directory `root`; the root itself may be reached through links, nothing below it may. Paths are those of a manifest."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self._base: int | None = None
        self._open: list[tuple[str, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._shorten(0)
        base, self._base = self._base, None
        if base is not None:
            os.close(base)

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
        """A descriptor of directory `path`, good until the next call; None when it is not there.

        Raises:
            DestinationRefused: a link or a file stands where a directory must be.
        """
        parts = path.split("/") if path else []
        common = 0
        while common < min(len(parts), len(self._open)) and self._open[common][0] == parts[common]:
            common += 1
        self._shorten(common)
        with disk.refusals(self.root / path):
            above = self._root_fd()
            for part in parts[common:]:
                above = None if above is None else self._descend(above, part, path, create=create)
        return above

    def _root_fd(self) -> int | None:
        if self._open:
            return self._open[-1][1]
        if self._base is None:
            try:
                self._base = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            except NotADirectoryError as error:
                raise DestinationRefused(f"{self.root} is not a directory: name another destination") from error
        return self._base

    def _descend(self, above: int, part: str, path: str, *, create: bool) -> int | None:
        try:
            if create and not _is_there(above, part):
                disk.mkdir(part, 0o777, dir_fd=above)
            below = os.open(part, _DIRECTORY, dir_fd=above)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            message = (
                f"{printable(part)!r} in {printable(path)!r} is a link or a file in {self.root}, and must be a directory: move it away"
            )
            raise DestinationRefused(message) from error
        self._open.append((part, below))
        return below

    def _shorten(self, length: int) -> None:
        while len(self._open) > length:
            os.close(self._open.pop()[1])

    def about(self, path: str) -> os.stat_result | None:
        """What stands at `path`, a link itself and not what it points to; None when nothing does."""
        above, name = self._parent(path)
        if above is None:
            return None
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

    @contextmanager
    def replacing(self, path: str, mode: int) -> Iterator[int]:
        """A descriptor to write a new file with, which stands at `path` when the block ends well, and nowhere when it does not."""
        above, name = self._parent(path, create=True)
        temporary = disk.temporary_name()
        with disk.refusals(self.root / path):
            fd = disk.create(temporary, dir_fd=above)
            try:
                try:
                    yield fd
                    disk.chmod(fd, mode, path)
                finally:
                    os.close(fd)
                disk.rename(temporary, name, dir_fd=above)
            except BaseException:
                with suppress(OSError):
                    disk.unlink(temporary, dir_fd=above)
                raise

    def link(self, path: str, target: str) -> None:
        """A symbolic link to `target` stands at `path`, instead of what did."""
        above, name = self._parent(path, create=True)
        temporary = disk.temporary_name()
        with disk.refusals(self.root / path):
            disk.symlink(target, temporary, dir_fd=above)
            try:
                disk.rename(temporary, name, dir_fd=above)
            except BaseException:
                with suppress(OSError):
                    disk.unlink(temporary, dir_fd=above)
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


def _is_there(above: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


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
