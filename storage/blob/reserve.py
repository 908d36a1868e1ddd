"""Space set aside in a store's directory, so that a full disk can be cleaned up from within: forgetting needs room too, for the catalogue's log.

Whoever frees space may take it when there is no other, and it is set aside again when there is some. It is as good as the file system:
where allocating takes no space (compression, thin volumes) it is worth nothing, and nothing relies on it.
"""

import os
from contextlib import suppress
from pathlib import Path

from storage.blob import disk
from storage.layout import RESERVE

SIZE = 1 << 20


def keep(root: Path) -> None:
    """The space is set aside, unless it is already, or there is none to spare: then whoever opens the store next tries again."""
    path = root / RESERVE
    with suppress(OSError):
        if (not path.exists() or path.stat().st_size < SIZE) and not is_short(root):
            disk.unlink(path)
            disk.allocate(path, SIZE)


def release(root: Path) -> bool:
    """The space is free for others now; the answer is whether there was any."""
    path = root / RESERVE
    with suppress(OSError):
        if path.exists():
            disk.unlink(path)
            return True
    return False


def lend(root: Path) -> bool:
    """As `release`, a quarter of it: enough to open the catalogue, and no more, so that what is left is there for those who free space."""
    path = root / RESERVE
    with suppress(OSError):
        size = path.stat().st_size
        fd = disk.open_end(path)
        try:
            disk.shorten(fd, max(0, size - SIZE // 4), path)
        finally:
            os.close(fd)
        return size > 0
    return False


def is_short(root: Path) -> bool:
    """Is there less room on the disk than twice what is set aside?"""
    about = os.statvfs(root)
    return about.f_bavail * about.f_frsize < 2 * SIZE
