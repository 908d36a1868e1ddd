"""Every side effect on a file system, one small function each.

Nothing else in `storage` opens a file for writing, writes, flushes, links, renames, unlinks, makes or removes a directory or changes a
mode. So a test can set `observe`, which is told of each effect just before it happens, and kill the process or raise any errno at the
k-th of them. It is not a file system abstraction: functions are as thin as the system call, and reading is not in here.

What the operating system refuses becomes a typed error in one place, `refusals`. A lack of resources (descriptors, memory) is
`Unavailable` like any other passing trouble: never absence, never corruption.
"""

import ctypes
import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.digest import Buffer
from storage.errors import ReadOnlyStore, StorageError, StoreFull, Unavailable

Where = str | Path

observe: Callable[[str, str], None] | None = None
"""Called with the name of the effect and the path before each effect. What it raises, the effect raises."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_CLONE = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY})
_FICLONE = 0x40049409
_SYNC_FILE_RANGE_WRITE = 2
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
"""Linux has it, Python does not offer it."""
_NO_DIRECTORY_FLUSH = frozenset({errno.EINVAL, errno.EOPNOTSUPP})
_REFUSALS: dict[int, type[Unavailable]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EROFS: ReadOnlyStore,
    errno.EACCES: ReadOnlyStore,
    errno.EPERM: ReadOnlyStore,
}


@contextmanager
def refusals(place: Where, needed: int = 0) -> Iterator[None]:
    """Turn what the operating system refuses while writing to `place` into a typed error; `needed` bytes are told when it is full."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise refusal(error, place, needed) from error


def refusal(error: OSError, place: Where, needed: int = 0) -> Unavailable:
    """The typed error that says what `error` means for a writer, with its `errno` kept."""
    kind = _REFUSALS.get(error.errno or 0, Unavailable)
    if kind is StoreFull:
        message = f"{place} is full: {needed} bytes needed, {_free(place)}: free some space or raise the quota, then call again"
    elif kind is ReadOnlyStore:
        message = f"{place} cannot be written ({error.strerror}): reading works; mount it writable or take the right to write"
    else:
        message = f"{place} is not usable now ({error.strerror or error}): look at the machine's limits and disks, then call again"
    refused = kind(message)
    refused.errno = error.errno
    return refused


def _free(place: Where) -> str:
    path = Path(place)
    with suppress(OSError):
        while not path.exists() and path != path.parent:
            path = path.parent
        about = os.statvfs(path)
        return f"{about.f_bavail * about.f_frsize} free, {about.f_favail} files left"
    return "unknown free"


def notice(effect: str, path: Where) -> None:
    """Tell the observer of an effect that is about to happen; for rooms that keep a descriptor of their own (journals)."""
    if observe is not None:
        observe(effect, str(path))


def create(path: Where, mode: int = 0o600, dir_fd: int | None = None) -> int:
    """A descriptor of the new file `path`; it must not be there, not even as a link."""
    notice("open", path)
    return os.open(path, _NEW, mode, dir_fd=dir_fd)


def open_end(path: Where, mode: int = 0o600) -> int:
    """A descriptor that appends to the file, made with `mode` when it is not there."""
    notice("open_end", path)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, mode)


def open_part(path: Where, mode: int = 0o600) -> int:
    """A descriptor to read and write any place of the file with, made with `mode` when it is not there."""
    notice("open_part", path)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)


def shorten(fd: int, size: int, path: Where) -> None:
    """Cut the file off after `size` bytes, or let it end with a hole."""
    notice("shorten", path)
    os.ftruncate(fd, size)


def clear(path: Where) -> None:
    """The file is there and empty."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        shorten(fd, 0, path)
    finally:
        os.close(fd)


def write(fd: int, data: Buffer, path: Where) -> None:
    """Write all of `data`, however many calls that takes."""
    view = memoryview(data).cast("B")
    while view:
        notice("write", path)
        view = view[os.write(fd, view) :]


def write_at(fd: int, data: Buffer, at: int, path: Where) -> None:
    """As `write`, from position `at` on."""
    view = memoryview(data).cast("B")
    while view:
        notice("write", path)
        count = os.pwrite(fd, view, at)
        view, at = view[count:], at + count


def clone(source: int, fd: int, path: Where) -> bool:
    """Let an empty file share all bytes of an open one, as they are at this moment; False where the file system cannot."""
    notice("clone", path)
    try:
        fcntl.ioctl(fd, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def begin_flush(fd: int, start: int, length: int) -> None:
    """Ask that these bytes begin their way to the disk, so that a later flush has less to wait for. It promises nothing and may do nothing."""
    if _sync_file_range is not None:
        _sync_file_range(fd, ctypes.c_int64(start), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)


def allocate(path: Where, size: int) -> None:
    """The new file `path` takes up `size` bytes of the disk; when there are not so many, it is not there."""
    fd = create(path)
    try:
        notice("allocate", path)
        os.posix_fallocate(fd, 0, size)
    except BaseException:
        unlink(path)
        raise
    finally:
        os.close(fd)


def flush(fd: int, path: Where) -> None:
    """What was written survives a power loss. When this fails the file is not to be trusted: drop it, never flush again."""
    notice("fsync", path)
    os.fsync(fd)


def chmod(fd: int, mode: int, path: Where) -> None:
    notice("chmod", path)
    os.fchmod(fd, mode)


def seal(path: Where, mode: int | None = None) -> None:
    """Flush the finished file `path`, its mode set first so that the mode is flushed too."""
    fd = os.open(path, _OPEN)
    try:
        if mode is not None:
            chmod(fd, mode, path)
        flush(fd, path)
    finally:
        os.close(fd)


def flush_directory(path: Where) -> None:
    """Names made, renamed or removed in directory `path` survive a power loss, where the file system can promise that."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        notice("fsync directory", path)
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_FLUSH:
            raise
    finally:
        os.close(fd)


def place_new(source: Where, target: Where) -> bool:
    """Make `source` visible as `target` too, unless something is there already: then nothing happens and the answer is False."""
    notice("link", target)
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        # Without hard links (FAT, some network disks) check and rename are two steps. Names are content here: losing that race is harmless.
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            return False
        rename(source, target)
    return True


def rename(source: Where, target: Where, dir_fd: int | None = None) -> None:
    notice("rename", target)
    os.rename(source, target, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)


def symlink(target: str, path: Where, dir_fd: int | None = None) -> None:
    notice("symlink", path)
    os.symlink(target, path, dir_fd=dir_fd)


def unlink(path: Where, dir_fd: int | None = None) -> None:
    """`path` is gone, whether or not it was there."""
    notice("unlink", path)
    with suppress(FileNotFoundError):
        os.unlink(path, dir_fd=dir_fd)


def mkdir(path: Where, mode: int = 0o775, dir_fd: int | None = None) -> bool:
    """Directory `path` is there; the answer is whether this call made it. Never writable for the whole world, whatever the umask."""
    notice("mkdir", path)
    try:
        os.mkdir(path, mode, dir_fd=dir_fd)
    except FileExistsError:
        return False
    return True


def rmdir(path: Where, dir_fd: int | None = None) -> None:
    """The empty directory `path` is gone, whether or not it was there."""
    notice("rmdir", path)
    with suppress(FileNotFoundError):
        os.rmdir(path, dir_fd=dir_fd)


def touch(path: Where) -> None:
    """`path` counts as used just now."""
    notice("utime", path)
    os.utime(path)


def make_directories(path: Path, mode: int = 0o775) -> None:
    """Directory `path` and what leads to it are there; the names of those made here are durable."""
    made = []
    missing = [path]
    while not missing[-1].exists() and missing[-1] != missing[-1].parent:
        missing.append(missing[-1].parent)
    for directory in reversed(missing):
        if not directory.is_dir() and mkdir(directory, mode):
            made.append(directory)
    for directory in made:
        flush_directory(directory.parent)


def anchor(path: Path) -> None:
    """The names in directory `path`, and those that lead to it, survive a power loss, whoever made them: their maker may have died early."""
    for directory in (path, *path.parents):
        with suppress(PermissionError):  # whoever may not open it cannot have made a name in it
            flush_directory(directory)


def write_durably(path: Path, data: bytes, mode: int = 0o644, *, replace: bool = True) -> bool:
    """Write the small file `path`, so that readers see all of it or what was there before, now and after a power loss.

    The answer is whether these bytes are what stands there: False only with `replace=False`, when somebody was there first.

    Raises:
        StoreFull, ReadOnlyStore, Unavailable: nothing changed.
    """
    temporary = path.with_name(f"{temporary_name(path.name)}")
    with refusals(path, len(data)):
        try:
            fd = create(temporary)
            try:
                write(fd, data, temporary)
                chmod(fd, mode, temporary)
                flush(fd, temporary)
            finally:
                os.close(fd)
            is_ours = _put(temporary, path, replace=replace)
        finally:
            with suppress(OSError):
                unlink(temporary)
        flush_directory(path.parent)
    return is_ours


def _put(temporary: Path, path: Path, *, replace: bool) -> bool:
    if not replace:
        return place_new(temporary, path)
    rename(temporary, path)
    return True


def temporary_name(name: str = "") -> str:
    """A name nobody else has, for a file on its way to becoming `name`."""
    return f".{name[:100]}.{secrets.token_hex(8)}.partial"
