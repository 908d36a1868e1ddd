"""What a store needs of a file system, tried once, in the directory where it is made: some network and FUSE disks only pretend.

Locks must lock, or two writers would take turns at random; a rename must replace, or readers would see a gap. Without either there is no store.
Without hard links names are taken in two steps, which is said. Nothing of this is written down: a store may be moved to another disk, and
publishing finds out again whether links work.
"""

import fcntl
import os
import warnings
from contextlib import suppress
from pathlib import Path

from storage.blob import disk
from storage.errors import InvalidStore
from storage.layout import FORMAT_FILE


def require_file_system(root: Path) -> None:
    """Return when the file system of directory `root` can hold a store.

    Raises:
        InvalidStore: its locks or its renames do not do what they must.
    """
    first, second = (root / disk.temporary_name(FORMAT_FILE) for _ in range(2))
    try:
        for path in (first, second):
            os.close(disk.create(path))
        if not _locks(first):
            raise InvalidStore(f"the file system of {root} has no locks that lock: put the store on a local disk, or run a server")
        disk.rename(first, second)
        if first.exists() or not second.exists():
            raise InvalidStore(f"the file system of {root} does not replace a file by renaming another: put the store on a local disk")
        disk.place_new(second, first)
        if not second.exists():
            warnings.warn(f"the file system of {root} has no hard links: two writers of one blob are told apart less safely", stacklevel=2)
    finally:
        for path in (first, second):
            with suppress(OSError):
                disk.unlink(path)


def _locks(path: Path) -> bool:
    """Does a lock keep the second one out?"""
    holder, other = (os.open(path, os.O_RDWR | os.O_CLOEXEC) for _ in range(2))
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(holder)
        os.close(other)
