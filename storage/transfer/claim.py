"""Which temporary names in a destination belong to somebody who is still at work there.

    .lineage-<16 digits>.partial            in the root: a checkout claims its temporary names, and holds a lock on this for as long as it lives
    .lineage-<16 digits>-<number>.partial   a file on its way, beside its place

The claim is there before the first temporary name and goes after the last, so a name without a claim, or with one that nobody holds, is
what a dead checkout left. Where locks are not to be had a claim that is there counts as held: nothing of anybody's is removed on a guess.
"""

import fcntl
import os
import re
import secrets
from contextlib import suppress
from itertools import count

from storage.blob import disk

_NAME = re.compile(r"\.lineage-([0-9a-f]{16})(-[0-9a-f]+)?\.partial")
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def owner_of(name: str) -> str | None:
    """The checkout that made something called so; None when none did."""
    match = _NAME.fullmatch(name) if name.startswith(".lineage-") else None
    return match and match[1]


def is_dead(owner: str, root: int) -> bool:
    """Is nobody at work any more under that name? A claim that nobody holds is removed. `root` is a descriptor of the destination."""
    claim = f".lineage-{owner}.partial"
    try:
        fd = os.open(claim, _OPEN, dir_fd=root)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        disk.unlink(claim, dir_fd=root)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


class Claim:
    """The right to temporary names in the destination that `root` is a descriptor of. Any thread may ask for one."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._numbers = count()
        while True:
            self._owner = secrets.token_hex(8)
            self._fd = disk.create(f".lineage-{self._owner}.partial", dir_fd=root)
            with suppress(OSError):  # no locks here: our claim being there must do
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            if os.fstat(self._fd).st_nlink:
                return
            os.close(self._fd)  # somebody took it for a dead one's, between creating and locking

    def name(self) -> str:
        """A temporary name that nobody had before."""
        return f".lineage-{self._owner}-{next(self._numbers):x}.partial"

    def release(self) -> None:
        """Nothing is left under our names."""
        try:
            with suppress(OSError):
                disk.unlink(f".lineage-{self._owner}.partial", dir_fd=self._root)
        finally:
            os.close(self._fd)
