"""What a directory holds that a manifest could hold, found without reading a byte of content.

    file             listed with its size
    empty directory  listed: a manifest remembers it
    link             to inside the tree: listed as a link, never walked; otherwise refused, or followed when the caller says "all"
    control          `.git` and `.lineage` are left out, and said to be
    anything else    refused

Every offender is found before anything is refused, and nothing is left out silently. The walk is iterative and asks the operating system
once per file; only links are resolved.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from storage.blob.disk import refusal
from storage.entry import CONTROL_NAMES, MAX_DEPTH, check_path, check_tree, printable
from storage.errors import InvalidPath, Missing, SourceChanged, StorageError, Unreadable, UnsafeLink, UnsupportedFile, listed

Follow = Literal["inside", "all", "never"]
"""Links: keep those that stay inside and refuse the rest; follow those that leave; or leave every link out, and say so."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file: its entry path, where it is, and its size when it was seen."""

    path: str
    source: Path
    size: int


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
    files: tuple[FoundFile, ...]
    links: tuple[FoundLink, ...]
    directories: tuple[str, ...]
    """Those with nothing in them."""
    skipped: tuple[Skipped, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


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
    walk.run()
    walk.refuse()
    found = Scan(
        Path(walk.root),
        tuple(sorted(walk.files, key=lambda file: file.path.encode())),
        tuple(sorted(walk.links, key=lambda link: link.path.encode())),
        tuple(sorted(walk.empty, key=str.encode)),
        tuple(sorted(walk.skipped, key=lambda skipped: skipped.path)),
    )
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


@dataclass
class _Walk:
    root: str
    follow: Follow
    files: list[FoundFile] = field(default_factory=list)
    links: list[FoundLink] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    offenders: list[tuple[type[StorageError], str]] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)
    seen: set[tuple[int, int]] = field(default_factory=set)
    """Directories walked, by device and inode: a link that is followed never leads to one of them twice."""

    def run(self) -> None:
        self.waiting.append((self.root, ""))
        while self.waiting:
            directory, path = self.waiting.pop()
            if not self._walk(directory, path) and path:
                self._name(path)
                self.empty.append(path)

    def _walk(self, directory: str, path: str) -> bool:
        """Look at every name in a directory; was anything listed?"""
        is_full = False
        try:
            for entry in _names(directory):
                is_full |= self._look(entry, f"{path}/{entry.name}" if path else entry.name)
        except PermissionError:
            return not self._offend(Unreadable, path or ".", "is a directory that may not be read")
        except FileNotFoundError as error:
            raise SourceChanged(f"{printable(directory)} changed while it was looked at: wait until its writer is done") from error
        except OSError as error:
            raise refusal(error, directory) from error
        return is_full

    def _look(self, entry: os.DirEntry[str], path: str) -> bool:
        if entry.name.casefold() in CONTROL_NAMES:
            self.skipped.append(Skipped(path, "a control directory: its content steers a program"))
            return False
        if entry.is_symlink():
            return self._link(entry, path)
        return self._settle(entry.path, path, entry.stat(follow_symlinks=False))

    def _settle(self, source: str, path: str, about: os.stat_result) -> bool:
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
        if about.st_mode & 0o444 != 0o444 and not os.access(source, os.R_OK):
            return self._offend(Unreadable, path, "may not be read")
        if self._name(path):
            self.files.append(FoundFile(path, Path(source), about.st_size))
        return True

    def _link(self, entry: os.DirEntry[str], path: str) -> bool:
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
            return self._go(end, path)
        return self._offend(UnsafeLink, path, 'is a link that leaves the directory: copy what it points to, or follow="all"')

    def _keep(self, path: str, target: str) -> bool:
        if not target or f"{path}/".startswith(f"{target}/"):
            return self._offend(UnsafeLink, path, "is a link back to a directory it lies in: it loops")
        if any(part.casefold() in CONTROL_NAMES for part in target.split("/")):
            return self._offend(UnsafeLink, path, "is a link into a control directory, which is left out")
        if self._name(path) and self._name(target):
            self.links.append(FoundLink(path, target))
        return True

    def _go(self, end: str, path: str) -> bool:
        about = os.stat(end, follow_symlinks=False)
        if (about.st_dev, about.st_ino) in self.seen or _within(end, self.root) is not None:
            return self._offend(UnsafeLink, path, "is a link to a directory that was walked already: it loops, or is there twice")
        return self._settle(end, path, about)

    def _name(self, path: str) -> bool:
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
        raise kind(f"{printable(self.root)} holds {len(lines)} things that cannot be stored; nothing was read:{listed(lines)}")


def _names(directory: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        yield from entries


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
