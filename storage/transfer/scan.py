"""What a directory holds that a manifest could hold, found without reading a byte of content.

    file             listed with its size
    empty directory  listed: a manifest remembers it
    link             to inside the tree: listed as a link, never walked; otherwise refused, or followed when the caller says "all"
    control          `.git` and `.lineage` are left out, and said to be
    anything else    refused

Every offender is found before anything is refused, and nothing is left out silently. The walk is iterative, asks the operating system
once for each file and lists a file as a tuple of three, since trees have millions; only links are resolved.
"""

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from struct import error as StructError  # noqa: N812  # it is one
from typing import Literal, NamedTuple

from storage.blob.disk import refusal
from storage.entry import CONTROL_NAMES, MAX_DEPTH, are_ordinary, check_path, check_tree, printable
from storage.errors import InvalidPath, Missing, SourceChanged, StorageError, Unreadable, UnsafeLink, UnsupportedFile, listed
from storage.transfer.collector import paused
from storage.transfer.statcache import STAMP, packed, stamp_of

Follow = Literal["inside", "all", "never"]
"""Links: keep those that stay inside and refuse the rest; follow those that leave; or leave every link out, and say so."""


class FoundFile(NamedTuple):
    """A regular file: its entry path, its packed stamp and its mode when it was seen."""

    path: str
    stamp: bytes
    mode: int

    @property
    def is_executable(self) -> bool:
        return bool(self.mode & stat.S_IXUSR)


@dataclass(frozen=True, slots=True)
class FoundLink:
    """A symbolic link and the entry path of what it points to."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """The content of `root`, each part in path order."""

    root: Path
    files: Sequence[FoundFile]
    links: tuple[FoundLink, ...]
    directories: tuple[str, ...]
    """Those with nothing in them."""
    skipped: tuple[Skipped, ...]
    size: int
    """Bytes of all files."""
    elsewhere: Mapping[str, str]
    """Where the files are that were found by following a link, or below one."""

    def source(self, path: str) -> str:
        """Where the file is that was found under `path`."""
        return self.elsewhere.get(path) or os.path.join(self.root, path)

    def sources(self) -> list[str]:
        """Where each of the files is."""
        base, elsewhere = os.path.join(self.root, ""), self.elsewhere
        return [elsewhere.get(file[0]) or base + file[0] for file in self.files] if elsewhere else [base + file[0] for file in self.files]


_ORDER: tuple[type[StorageError], ...] = (UnsupportedFile, UnsafeLink, Unreadable, InvalidPath)
"""Which error is raised when there are offenders of several kinds; its message lists them all."""


def scan(root: Path, *, follow: Follow = "inside") -> Scan:
    """What directory `root` holds.

    Raises:
        UnsupportedFile: pipes, sockets and devices are in it, or `root` is no directory.
        UnsafeLink: links dangle, loop, or leave the root.
        Unreadable: files or directories may not be read.
        InvalidPath: names no manifest may hold.
        InvalidManifest: names that cannot stand in one tree.
        Missing: there is no `root`.
    """
    walk = _Walk(_real_root(root), follow)
    with paused():
        walk.run()
    walk.refuse()
    found = Scan(
        Path(walk.root),
        sorted(walk.files, key=itemgetter(0)),  # text sorts as its UTF-8 bytes do
        tuple(sorted(walk.links, key=lambda link: link.path)),
        tuple(sorted(walk.empty)),
        tuple(sorted(walk.skipped, key=lambda skipped: skipped.path)),
        walk.size,
        walk.elsewhere,
    )
    if not walk.is_ascii:  # a directory of the disk holds a name once; only its spellings can clash
        check_tree([file.path for file in found.files] + [link.path for link in found.links] + list(found.directories))
    return found


def _real_root(root: Path) -> str:
    real = os.path.realpath(root)
    try:
        about = os.stat(real)
    except FileNotFoundError as error:
        raise Missing(f"{printable(str(root))} is not there: name a directory that exists") from error
    except OSError as error:
        raise Unreadable(f"{printable(str(root))} may not be looked at ({error.strerror}): give this user the right to read it") from error
    if not stat.S_ISDIR(about.st_mode):
        raise UnsupportedFile(f"{printable(str(root))} is not a directory: add it as a file")
    return real


_LOOK, _PLAIN = 0o170444, stat.S_IFREG | 0o444
"""Of a mode that part which says that it is of a regular file, and that everybody may read it."""
_make = partial(tuple.__new__, FoundFile)


@dataclass
class _Walk:
    root: str
    follow: Follow
    files: list[FoundFile] = field(default_factory=list)
    links: list[FoundLink] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    size: int = 0
    elsewhere: dict[str, str] = field(default_factory=dict)
    is_ascii: bool = True
    offenders: list[tuple[type[StorageError], str]] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)
    seen: set[tuple[int, int]] = field(default_factory=set)
    """Directories walked, by device and inode: a link that is followed never leads to one of them twice."""
    user: int = field(default_factory=os.geteuid)

    def run(self) -> None:
        self.waiting.append((self.root, ""))
        while self.waiting:
            directory, path = self.waiting.pop()
            if not self._walk(directory, path) and path:
                self._name(path)
                self.empty.append(path)

    def _walk(self, directory: str, path: str) -> bool:
        """Look at every name in a directory; was anything listed?"""
        found: list[FoundFile] = []
        is_full = False
        try:
            with os.scandir(directory) as entries:
                is_full = self._sort_out(entries, f"{path}/" if path else "", found)
        except PermissionError:
            return not self._offend(Unreadable, path or ".", "is a directory that may not be read")
        except FileNotFoundError as error:
            raise SourceChanged(f"{printable(directory)} changed while it was looked at: wait until its writer is done") from error
        except OSError as error:
            raise refusal(error, directory) from error
        self._list(found, directory, path)
        return is_full or bool(found)

    def _sort_out(self, entries: Iterable[os.DirEntry[str]], under: str, found: list[FoundFile]) -> bool:
        """Put ordinary files into `found`, as quickly as can be, and look at everything else more closely; was any of that listed?"""
        is_full, size, pack = False, 0, STAMP.pack
        for entry in entries:
            name, about = entry.name, entry.stat(follow_symlinks=False)
            mode = about.st_mode
            if mode & _LOOK != _PLAIN or name[0] == ".":
                is_full |= self._look(entry, under + name, about, found)
                continue
            try:
                stamp = pack(about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
            except StructError:  # a time that no stamp holds: such a file is always read
                stamp = b""
            found.append(_make((under + name, stamp, mode)))
            size += about.st_size
        self.size += size
        return is_full

    def _list(self, found: Sequence[FoundFile], directory: str, path: str) -> None:
        """List the files of a directory whose names may be, and where they are when that does not follow from their names."""
        if not are_ordinary([file.path for file in found]):
            found = [file for file in found if self._name(file.path)]
        self.files += found
        if directory != os.path.join(self.root, path).rstrip("/"):
            for file in found:
                self.elsewhere.setdefault(file.path, f"{directory}{file.path[len(path) :]}")

    def _look(self, entry: os.DirEntry[str], path: str, about: os.stat_result, found: list[FoundFile]) -> bool:
        if entry.name.casefold() in CONTROL_NAMES:
            self.skipped.append(Skipped(path, "a control directory: its content steers a program"))
            return False
        if stat.S_ISLNK(about.st_mode):
            return self._link(entry, path, found)
        return self._settle(entry.path, path, about, found)

    def _settle(self, source: str, path: str, about: os.stat_result, found: list[FoundFile]) -> bool:
        """List a file, put a directory on the list, refuse the rest."""
        if stat.S_ISDIR(about.st_mode):
            self.seen.add((about.st_dev, about.st_ino))
            if path.count("/") >= MAX_DEPTH:
                self._offend(InvalidPath, path, f"is more than {MAX_DEPTH} levels deep")
            else:
                self.waiting.append((source, path))
            return True
        if not stat.S_ISREG(about.st_mode):
            return self._offend(UnsupportedFile, path, "is a pipe, a socket or a device")
        if not self._may_read(source, about):
            return self._offend(Unreadable, path, "may not be read")
        found.append(FoundFile(path, packed(stamp_of(about)), about.st_mode))
        self.size += about.st_size
        return True

    def _may_read(self, source: str, about: os.stat_result) -> bool:
        if about.st_mode & 0o444 == 0o444 or (about.st_uid == self.user and about.st_mode & 0o400):
            return True
        return os.access(source, os.R_OK)

    def _link(self, entry: os.DirEntry[str], path: str, found: list[FoundFile]) -> bool:
        if self.follow == "never":
            self.skipped.append(Skipped(path, "a symbolic link: links are left out as asked"))
            return False
        try:
            end = os.path.realpath(entry.path, strict=True)
            target = _first_step(entry.path)
        except FileNotFoundError:
            return self._offend(UnsafeLink, path, "is a link to nothing")
        except OSError:
            return self._offend(UnsafeLink, path, "is a link that loops or leads where we may not look")
        inside = _within(self.root, target)
        if inside is not None and _within(self.root, end) is not None:
            return self._keep(path, inside)
        if self.follow == "all":
            return self._go(end, path, found)
        return self._offend(UnsafeLink, path, 'is a link that leaves the directory: copy what it points to, or follow="all"')

    def _keep(self, path: str, target: str) -> bool:
        if not target or f"{path}/".startswith(f"{target}/"):
            return self._offend(UnsafeLink, path, "is a link back to a directory it lies in: it loops")
        if any(part.casefold() in CONTROL_NAMES for part in target.split("/")):
            return self._offend(UnsafeLink, path, "is a link into a control directory, which is left out")
        if self._name(path) and self._name(target):
            self.links.append(FoundLink(path, target))
        return True

    def _go(self, end: str, path: str, found: list[FoundFile]) -> bool:
        about = os.stat(end, follow_symlinks=False)
        if (about.st_dev, about.st_ino) in self.seen or _within(end, self.root) is not None:
            return self._offend(UnsafeLink, path, "is a link to a directory that was walked already: it loops, or is there twice")
        if not stat.S_ISDIR(about.st_mode):
            self.elsewhere[path] = end
        return self._settle(end, path, about, found)

    def _name(self, path: str) -> bool:
        self.is_ascii &= path.isascii()
        try:
            check_path(path)
        except InvalidPath as error:
            self.offenders.append((InvalidPath, str(error)))
            return False
        return True

    def _offend(self, kind: type[StorageError], path: str, problem: str) -> bool:
        self.offenders.append((kind, f"{printable(path)} {problem}"))
        return True

    def refuse(self) -> None:
        if not self.offenders:
            return
        kind = min((kind for kind, _ in self.offenders), key=_ORDER.index)
        lines = [line for wanted in _ORDER for one, line in self.offenders if one is wanted]
        raise kind(
            f"{printable(self.root)} holds {len(lines)} thing{'s' * (len(lines) != 1)} that cannot be stored; nothing was read:{listed(lines)}"
        )


def _first_step(link: str) -> str:
    """Where a link points, its directories resolved but not what stands there: a link to a link keeps its middle."""
    at = os.path.join(os.path.dirname(link), os.readlink(link))
    parent, name = os.path.split(at.rstrip("/") or "/")
    return os.path.realpath(at) if name in ("", ".", "..") else os.path.join(os.path.realpath(parent), name)


def _within(root: str, path: str) -> str | None:
    """`path` seen from `root`, empty for the root itself; None when it lies outside."""
    if path == root:
        return ""
    anchor = root.rstrip("/") + "/"
    return path[len(anchor) :] if path.startswith(anchor) else None
