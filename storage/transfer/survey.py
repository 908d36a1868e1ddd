"""What stands where a checkout wants to write: looked at once, before anything is written, and refused when it cannot work.

    names        every path may be written, here and now, whatever decoded it
    collisions   no two paths are one name, to Unicode or to this disk; none is a file and a directory at once
    obstacles    nothing of another kind stands in a place, and no link where a directory must be
    standings    of each entry one byte: nothing there, right already, to be read, to be replaced

A place is looked at with one call; below a directory that is absent or empty there is nothing to look at. A file that the tree's memory
knows, unchanged since its bytes were read, is right or wrong without being read. What is kept of each entry is nine bytes.
"""

import os
import posixpath
import stat
import unicodedata
from array import array
from collections.abc import Callable, Iterable
from enum import IntEnum
from itertools import islice
from operator import eq
from pathlib import Path

import xxhash

from storage.entry import Entry, Kind, check_paths, check_tree, printable, unportable
from storage.errors import DestinationRefused, InvalidManifest, listed
from storage.transfer.claim import is_dead, owner_of
from storage.transfer.destination import Destination
from storage.transfer.statcache import Memory, stamp_of

_TOGETHER = 1000
"""Entries whose names are judged together."""


class Standing(IntEnum):
    """How the place of an entry stands."""

    ABSENT = 0
    RIGHT = 1
    UNREAD = 2
    WRONG = 3


class Survey:
    """See the top of this file: `look_at` all entries, in path order, then `refuse`."""

    def __init__(self, tree: Destination, memory: Memory) -> None:
        self.tree, self.memory = tree, memory
        self.standings = bytearray()
        self.right = 0
        """Bytes of the files that are right."""
        self.leftovers: list[tuple[str, str]] = []
        """Directory and name of whatever a dead checkout left on its way."""
        self._problems: dict[str, None] = {}
        self._names = array("Q")
        self._last = b""
        self._dead: dict[str, bool] = {}
        self._above = [("", self._is_occupied("", is_below=True))]
        """The directories that lead to the entry looked at last, and whether anything stands in them."""
        self._ways: dict[Kind, Callable[[Entry, os.stat_result], Standing]] = {
            Kind.FILE: self._file,
            Kind.DIRECTORY: self._directory,
            Kind.LINK: self._link,
            Kind.REFERENCE: self._replaceable,
        }

    def look_at(self, entries: Iterable[Entry]) -> None:
        """Find out how the places of these stand, which come after all that were looked at before.

        Raises:
            InvalidPath, InvalidManifest: no manifest may hold them there.
        """
        waiting = iter(entries)
        while some := list(islice(waiting, _TOGETHER)):
            check_paths([entry.path for entry in some])
            check_paths([entry.target for entry in some if entry.target is not None])
            for entry in some:
                self.standings.append(self._look(entry))

    def _look(self, entry: Entry) -> Standing:
        path = entry.path
        order = path.encode()
        if order <= self._last:
            raise InvalidManifest(f"entry {path!r} is there twice, or out of order: log the content again")
        self._last = order
        self._names.append(_folded(path))

        parent, _, name = path.rpartition("/")
        if not (self._above[-1][1] if parent == self._above[-1][0] else self._is_reached(parent)):
            return Standing.ABSENT
        standing = self._stands(entry, parent, name)
        if standing is Standing.RIGHT:
            self.right += entry.size or 0
        return standing

    def _stands(self, entry: Entry, parent: str, name: str) -> Standing:
        try:
            above = self.tree.directory(parent)
            about = None if above is None else self.tree.look(above, name, entry.path)
        except DestinationRefused as error:
            self._problems[str(error)] = None
            return Standing.WRONG
        return Standing.ABSENT if about is None else self._ways[entry.kind](entry, about)

    def _is_reached(self, parent: str) -> bool:
        """Does anything stand in that directory? Those that lead there are looked into on the way, each once."""
        while not (parent == self._above[-1][0] or parent.startswith(self._above[-1][0] and f"{self._above[-1][0]}/")):
            self._above.pop()
        while (near := self._above[-1][0]) != parent:
            below = parent[: parent.find("/", len(near) + bool(near)) % (len(parent) + 1)]
            self._names.append(_folded(below))
            self._above.append((below, self._is_occupied(below, is_below=self._above[-1][1])))
        return self._above[-1][1]

    def _is_occupied(self, path: str, *, is_below: bool) -> bool:
        if not is_below:
            return False
        if self.tree.is_wide:
            self.tree.trim()
        try:
            fd = self.tree.directory(path)
        except DestinationRefused as error:
            self._problems[str(error)] = None
            return False
        if fd is None:
            return False
        names = os.listdir(fd)
        self.leftovers += [(path, name) for name in names if self._is_leftover(name)]
        return bool(names)

    def _is_leftover(self, name: str) -> bool:
        owner, root = owner_of(name), self.tree.directory("")
        if owner is None or root is None:
            return False
        if owner not in self._dead:
            self._dead[owner] = is_dead(owner, root)
        return self._dead[owner]

    def _file(self, entry: Entry, about: os.stat_result) -> Standing:
        if not stat.S_ISREG(about.st_mode):
            return self._replaceable(entry, about)
        if about.st_size != entry.size or bool(about.st_mode & stat.S_IXUSR) != entry.executable:
            return Standing.WRONG
        known = self.memory.find(entry.path, stamp_of(about))
        if known is None:
            return Standing.UNREAD
        return Standing.RIGHT if known.digest == entry.digest else Standing.WRONG

    def _directory(self, entry: Entry, about: os.stat_result) -> Standing:
        if not stat.S_ISDIR(about.st_mode):
            self._problem(entry, "a directory")
        return Standing.RIGHT

    def _link(self, entry: Entry, about: os.stat_result) -> Standing:
        if stat.S_ISLNK(about.st_mode) and self.tree.target(entry.path) == relative_target(entry):
            return Standing.RIGHT
        return self._replaceable(entry, about)

    def _replaceable(self, entry: Entry, about: os.stat_result) -> Standing:
        if not (stat.S_ISREG(about.st_mode) or stat.S_ISLNK(about.st_mode)):
            self._problem(entry, "a file")
        return Standing.WRONG

    def _problem(self, entry: Entry, wanted: str) -> None:
        self._problems[f"{printable(entry.path)!r} must be {wanted}, and something else stands there"] = None

    def refuse(self, entries: Iterable[Entry], probe: Callable[[Path], bool]) -> None:
        """Return when everything can be written; `entries` are what was looked at, asked for again only where names look alike.

        Raises:
            InvalidManifest: two spellings of one name, or a path that is a file and a directory.
            DestinationRefused: listing what is in the way, or names that are one name on this disk, or cannot stand on this system.
        """
        names = sorted(self._names)
        if any(map(eq, names, names[1:])):
            check_tree(entry.path for entry in entries)
            refuse_collisions((entry.path for entry in entries), self.tree.root, probe)
        if os.name == "nt":
            refuse_unportable(entry.path for entry in entries)
        if self._problems:
            what = listed(list(self._problems))
            raise DestinationRefused(f"{self.tree.root} cannot take this; move what is in the way, nothing was written:{what}")


def _folded(path: str) -> int:
    """A number that paths share which are one name on some disk; others share it too, hardly ever."""
    folded = path.lower() if path.isascii() else unicodedata.normalize("NFC", path).casefold()
    return xxhash.xxh3_64_intdigest(folded.encode())


def relative_target(entry: Entry) -> str:
    """What a link entry's link says: the way from where it stands."""
    return posixpath.relpath(entry.target or "", posixpath.dirname(entry.path) or ".")


def refuse_unportable(paths: Iterable[str]) -> None:
    """Return when Windows can hold all of these names.

    Raises:
        DestinationRefused: listing those it cannot.
    """
    problems = unportable(paths)
    if problems:
        raise DestinationRefused(f"{len(problems)} names cannot stand on this system; nothing was written:{listed(problems)}")


def refuse_collisions(paths: Iterable[str], root: Path, probe: Callable[[Path], bool]) -> None:
    """Return when no two names, directories included, are one name on this file system.

    Raises:
        DestinationRefused: listing them.
    """
    spelled: dict[str, str] = {}
    problems: dict[str, None] = {}
    for whole in paths:
        path = whole
        while path:
            other = spelled.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
            if other == path and path != whole:
                break  # what lies above was seen with it
            if other != path:
                problems[f"{printable(other)} and {printable(path)}"] = None
            path = path.rpartition("/")[0]
    there = next(path for path in (root, *root.parents) if path.is_dir())
    if problems and probe(there):
        raise DestinationRefused(f"{root} does not tell upper from lower case; nothing was written:{listed(list(problems))}")
