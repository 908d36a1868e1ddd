"""From a working tree into a session: files become blobs, what was scanned becomes entries, entries become a manifest.

Names are checked before a byte is read. Sources are read and nothing else. What comes out exists only once a commit says so.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from storage.blob.session import Session
from storage.entry import Entry, check_path
from storage.manifest import Built, build
from storage.transfer.scan import Scan


def ingest_tree(scan: Scan, session: Session, *, prefix: str = "", progress: Callable[[int], None] | None = None) -> list[Entry]:
    """The entries of everything that was scanned, under `prefix`, with their bytes taken into `session`.

    Raises:
        InvalidPath: a name is not valid under the prefix; nothing was read.
        Missing, Unreadable, UnsupportedFile, SourceChanged: a file is no longer what was scanned.
        StoreFull, ReadOnlyStore: the store cannot take it.
    """
    under = f"{check_path(prefix)}/" if prefix else ""
    others = [Entry.directory(under + path) for path in scan.directories]
    others += [Entry.link(under + link.path, under + link.target) for link in scan.links]
    names = [check_path(under + file.path) for file in scan.files]

    taken = list(session.take_files([file.source for file in scan.files], progress))

    files = [Entry.file(name, one.blob.digest, one.blob.size, executable=one.executable) for name, one in zip(names, taken, strict=True)]
    return files + others


def ingest_file(path: Path, name: str, session: Session) -> Entry:
    """The entry `name` with the bytes of the file at `path`; a link named by the caller is followed.

    Raises: as `Session.take_file`, and InvalidPath for the name.
    """
    check_path(name)
    taken = session.take_file(Path(os.path.realpath(path)))
    return Entry.file(name, taken.blob.digest, taken.blob.size, executable=taken.executable)


def store_manifest(entries: Iterable[Entry], session: Session) -> Built:
    """The manifest of `entries`, its own bytes and its segments' taken into `session`.

    Raises:
        InvalidManifest, InvalidPath: the entries do not make one; nothing was taken.
    """
    built = build(entries, session.store.algorithm)
    session.take_blobs(list(built.blobs.values()))
    return built
