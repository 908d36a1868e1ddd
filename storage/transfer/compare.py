"""Is a directory what a manifest says? Every byte is read; nothing is written or remembered."""

import os
from collections.abc import Iterable
from pathlib import Path

from storage.digest import CHUNK, Hasher
from storage.entry import Entry, Kind, printable
from storage.errors import DestinationRefused, TreeChanged, listed
from storage.transfer.destination import Destination
from storage.transfer.survey import relative_target


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
        is_right = tree.target(entry.path) == relative_target(entry) if entry.kind is Kind.LINK else is_same(tree, entry)
    except DestinationRefused:
        return "is reached through a link or a file"
    return "" if is_right else "differs"


def is_same(tree: Destination, entry: Entry) -> bool:
    """Does a regular file with exactly the entry's content stand at its place?"""
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
