"""From the store into a working tree: what a manifest says is what stands there afterwards, or an error says why not.

    gather    what the manifest asks for, under the prefix
    refuse    names, collisions, and what stands in the way: everything, before anything is written
    write     each file beside its place, verified as it lands, then renamed
    remove    what the manifest does not know, when the tree must be exact

A name is judged when a manifest is decoded, again here, and by the way files are opened (`Destination`): three checks that do not rely
on each other. A file whose content is right already, by its full digest, is left alone; one that differs is replaced whole. Files are
copies: nothing in the tree shares an inode with the store. Without `exact` nothing is ever removed.
"""

import os
import posixpath
import stat
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from storage.blob import disk
from storage.blob.store import Store
from storage.digest import CHUNK, Hasher
from storage.entry import Entry, Kind, check_path, check_tree, printable, unportable
from storage.errors import BlobMissing, Corrupt, DestinationRefused, Missing, ReferenceMissing, TreeChanged, listed
from storage.ledger import BlobRecord
from storage.manifest import Manifest
from storage.transfer.destination import Destination, folds_case

Fetch = Callable[[Entry, BinaryIO], None]
"""Writes the bytes of a reference entry, verified against its pin, or raises `Missing` or `ReferenceChanged`."""

_BATCH = 2000
_Outcome = Literal["written", "kept", "skipped"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a checkout did: entries written and kept, references skipped because they are gone, extra files removed, bytes written."""

    written: int = 0
    kept: int = 0
    skipped: tuple[str, ...] = ()
    removed: int = 0
    bytes: int = 0


def checkout(
    manifest: Manifest,
    store: Store,
    destination: Path,
    *,
    prefix: str | None = None,
    exact: bool = False,
    fetch: Fetch | None = None,
    allow_missing_references: bool = False,
    progress: Callable[[int], None] | None = None,
    probe: Callable[[Path], bool] = folds_case,
) -> Report:
    """Make `destination` hold what `manifest` says, and report what that took.

    `prefix` selects the entries whose path begins with that text, wherever it ends. With `exact` what the manifest does not know is
    removed, below the prefix, control directories excepted. `fetch` gets the bytes of references. `progress` is told bytes as they are
    written or found right.

    Raises:
        DestinationRefused, InvalidPath, InvalidManifest: it cannot be done as asked; nothing was written.
        BlobMissing, Corrupt: the store does not have the right bytes; complete files stay, no part of one does.
        ReferenceMissing, ReferenceChanged: what a reference pins is gone; with `allow_missing_references` what is missing is skipped.
        StoreFull, ReadOnlyStore: the destination cannot take it.
    """
    entries = [entry for entry in manifest if entry.path.startswith(prefix or "")]
    check_names(entries)
    with Destination(destination) as tree:
        refuse_obstacles(entries, tree)
        refuse_collisions(entries, tree.root, probe)
        tree.create()

        work = _Checkout(store, tree, fetch, allow_missing_references, progress)
        work.write(entries)

        removed = _remove_extra(entries, tree, prefix or "") if exact else 0
    return Report(work.written, work.kept, tuple(work.skipped), removed, work.bytes)


def check_names(entries: Sequence[Entry], *, is_windows: bool = os.name == "nt") -> None:
    """Return when every name may be written, whatever decoded it.

    Raises:
        InvalidPath, InvalidManifest: no manifest may hold it.
        DestinationRefused: this system cannot hold it.
    """
    for entry in entries:
        check_path(entry.path)
        if entry.target is not None:
            check_path(entry.target)
    check_tree(entry.path for entry in entries)
    problems = unportable(entry.path for entry in entries) if is_windows else []
    if problems:
        raise DestinationRefused(f"{len(problems)} names cannot stand on this system; nothing was written:{listed(problems)}")


def refuse_obstacles(entries: Iterable[Entry], tree: Destination) -> None:
    """Return when nothing in the destination stands where something of another kind must be.

    Raises:
        DestinationRefused: listing all that does; nothing was written.
    """
    problems: list[str] = []
    for entry in entries:
        try:
            about = tree.about(entry.path)
            if about is None:
                continue
            wanted = stat.S_ISDIR if entry.kind is Kind.DIRECTORY else _is_replaceable
            if not wanted(about.st_mode):
                wants = "a directory" if entry.kind is Kind.DIRECTORY else "a file"
                problems.append(f"{printable(entry.path)!r} must be {wants}, and something else stands there")
        except DestinationRefused as error:
            problems.append(str(error))
    if problems:
        unique = list(dict.fromkeys(problems))
        raise DestinationRefused(f"{tree.root} cannot take this; move what is in the way, nothing was written:{listed(unique)}")


def _is_replaceable(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def refuse_collisions(entries: Iterable[Entry], root: Path, probe: Callable[[Path], bool]) -> None:
    """Return when no two names, directories included, are one name on this file system.

    Raises:
        DestinationRefused: listing them.
    """
    spelled: dict[str, str] = {}
    problems: dict[str, None] = {}
    for entry in entries:
        path = entry.path
        while path:
            other = spelled.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
            if other == path and path != entry.path:
                break  # what lies above was seen with it
            if other != path:
                problems[f"{printable(other)} and {printable(path)}"] = None
            path = path.rpartition("/")[0]
    there = next(path for path in (root, *root.parents) if path.is_dir())
    if problems and probe(there):
        raise DestinationRefused(f"{root} does not tell upper from lower case; nothing was written:{listed(list(problems))}")


class _Checkout:
    """One checkout in progress: what was done so far, and how each kind of entry is done."""

    def __init__(
        self, store: Store, tree: Destination, fetch: Fetch | None, may_skip: bool, progress: Callable[[int], None] | None
    ) -> None:
        self.store, self.tree, self.fetch, self.may_skip, self.progress = store, tree, fetch, may_skip, progress
        self.written = self.kept = self.bytes = 0
        self.skipped: list[str] = []
        self.records: dict[str, BlobRecord] = {}
        self._ways: dict[Kind, Callable[[Entry], _Outcome]] = {
            Kind.FILE: self._file,
            Kind.DIRECTORY: self._directory,
            Kind.LINK: self._link,
            Kind.REFERENCE: self._reference,
        }

    def write(self, entries: Sequence[Entry]) -> None:
        for at in range(0, len(entries), _BATCH):
            batch = entries[at : at + _BATCH]
            located = self.store.locate({entry.digest for entry in batch if entry.digest is not None})
            self.records = {str(digest): record for digest, record in located.items()}
            for entry in batch:
                outcome = self._ways[entry.kind](entry)
                self.written += outcome == "written"
                self.kept += outcome == "kept"
                if outcome == "skipped":
                    self.skipped.append(entry.path)

    def _file(self, entry: Entry) -> _Outcome:
        if holds(self.tree, entry):
            self._tell(entry.size or 0)
            return "kept"
        if entry.digest is None or (record := self.records.get(str(entry.digest))) is None:
            raise BlobMissing(f"the bytes of {printable(entry.path)!r} ({entry.digest}) are not in this store: log the content again")
        hasher = Hasher(entry.digest.algorithm)
        with self.tree.replacing(entry.path, _mode(entry)) as fd:
            for piece in self.store.pieces(record):
                hasher.update(piece)
                disk.write(fd, piece, entry.path)
                self._tell(len(piece))
            blob = hasher.blob()
            if (blob.digest, blob.size) != (entry.digest, entry.size):
                raise Corrupt(f"{printable(entry.path)!r} must be {entry.digest}, {entry.size} bytes; the store gave {blob.digest}")
        self.bytes += blob.size
        return "written"

    def _directory(self, entry: Entry) -> _Outcome:
        if self.tree.directory(entry.path) is not None:
            return "kept"
        self.tree.directory(entry.path, create=True)
        return "written"

    def _link(self, entry: Entry) -> _Outcome:
        target = _relative(entry)
        if self.tree.target(entry.path) == target:
            return "kept"
        self.tree.link(entry.path, target)
        return "written"

    def _reference(self, entry: Entry) -> _Outcome:
        # Whether a file that stands there still is what the reference pins, only its provider can say: it is fetched again.
        try:
            if self.fetch is None:
                raise ReferenceMissing(f"{printable(entry.path)!r} is a reference, and nothing to fetch it with was given")
            with self.tree.replacing(entry.path, _mode(entry)) as fd, os.fdopen(fd, "wb", closefd=False) as file:
                self.fetch(entry, file)
                file.flush()
                size = os.fstat(fd).st_size
        except Missing:
            if not self.may_skip:
                raise
            return "skipped"
        self.bytes += size
        self._tell(size)
        return "written"

    def _tell(self, count: int) -> None:
        if self.progress is not None:
            self.progress(count)


def _mode(entry: Entry) -> int:
    return 0o755 if entry.executable else 0o644


def _relative(entry: Entry) -> str:
    return posixpath.relpath(entry.target or "", posixpath.dirname(entry.path) or ".")


def holds(tree: Destination, entry: Entry) -> bool:
    """Does a regular file with exactly the entry's content, and its executable bit, stand at its place?"""
    return is_same(tree, entry) and bool(tree_mode(tree, entry.path) & stat.S_IXUSR) == entry.executable


def tree_mode(tree: Destination, path: str) -> int:
    about = tree.about(path)
    return 0 if about is None else about.st_mode


def is_same(tree: Destination, entry: Entry) -> bool:
    """Does a regular file with exactly the entry's content stand at its place? Every byte is read."""
    about = tree.about(entry.path)
    if about is None or entry.digest is None or about.st_size != entry.size:
        return False
    fd = tree.open(entry.path)
    if fd is None:
        return False
    hasher = Hasher(entry.digest.algorithm)
    with os.fdopen(fd, "rb", buffering=0) as file:
        while piece := file.read(CHUNK):
            hasher.update(piece)
    return hasher.result()[:2] == (entry.digest, entry.size)


def _remove_extra(entries: Iterable[Entry], tree: Destination, prefix: str) -> int:
    wanted: set[str] = set()
    for entry in entries:
        path = entry.path
        while path and path not in wanted:
            wanted.add(path)
            path = path.rpartition("/")[0]
    extra = [(path, is_directory) for path, is_directory in tree.walk() if path not in wanted and path.startswith(prefix)]
    for path, is_directory in extra:
        tree.remove(path, is_directory=is_directory)
    return sum(not is_directory for _, is_directory in extra)


def verify(manifest: Iterable[Entry], root: Path) -> None:
    """Return when `root` holds exactly the entries of `manifest`; references are not looked at, control directories are nobody's.

    Raises:
        TreeChanged: listing files that are missing, differ or are not in the manifest.
    """
    entries = {entry.path: entry for entry in manifest}
    with Destination(root) as tree:
        there = {path for path, is_directory in tree.walk() if not is_directory}
        problems = [f"{printable(path)} is not in the manifest" for path in sorted(there - entries.keys())]
        problems += [f"{printable(entry.path)} {problem}" for entry in entries.values() if (problem := _difference(tree, entry))]
    if problems:
        raise TreeChanged(f"{root} is not what the manifest says; check it out again:{listed(problems)}")


def _difference(tree: Destination, entry: Entry) -> str:
    """What is wrong with an entry's place; empty when nothing is."""
    try:
        if entry.kind is Kind.REFERENCE:
            return ""
        if entry.kind is Kind.DIRECTORY:
            return "" if tree.directory(entry.path) is not None else "is missing"
        if tree.about(entry.path) is None:
            return "is missing"
        is_right = tree.target(entry.path) == _relative(entry) if entry.kind is Kind.LINK else is_same(tree, entry)
    except DestinationRefused:
        return "is reached through a link or a file"
    return "" if is_right else "differs"
