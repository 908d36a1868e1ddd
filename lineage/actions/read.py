"""Read a version's content: its manifest, one blob of it, or all of it into a directory."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from lineage.actions.find import require_live
from lineage.actions.open import Engine
from lineage.model.artifact import VersionRecord
from lineage.model.errors import NotFound, UnsupportedError
from storage.blob.store import Store
from storage.digest import Digest
from storage.entry import Entry
from storage.errors import BlobMissing
from storage.manifest import Manifest, build, decode_manifest
from storage.transfer import reference
from storage.transfer.checkout import Report, checkout


def manifest(engine: Engine, version: VersionRecord) -> Manifest:
    """The version's manifest; its segments are read when they are asked for, each verified.

    Raises:
        Gone: the version is a tombstone.
        UnsupportedError: only its lineage is kept here.
    """
    store, digest = _store(engine, version), Digest.parse(version.digest)
    return decode_manifest(store.read(digest), store.read, digest.algorithm)


def _store(engine: Engine, version: VersionRecord) -> Store:
    if require_live(version).is_recorded:
        raise UnsupportedError(f"{version.path} was recorded by its digest alone: its content is kept elsewhere")
    return engine.store(version.domain)


def open_blob(engine: Engine, version: VersionRecord, entry: Entry) -> Iterator[bytes]:
    """The bytes of a file entry, in pieces, verified by the end. Raises: BlobMissing, Corrupt, Gone."""
    if entry.digest is None:
        raise BlobMissing(f"{entry.path!r} is a {entry.kind}: it has no bytes in this store")
    return _store(engine, version).open(entry.digest)


def download(
    engine: Engine,
    version: VersionRecord,
    destination: Path,
    *,
    prefix: str | None = None,
    exact: bool = False,
    allow_missing_references: bool = False,
    only: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Put the version's files, or those whose path begins with `prefix`, under `destination`, each verified as it lands.

    `exact` also removes what the version does not hold. `only` is the path of a single entry.

    Raises:
        NotFound: there is no such entry.
    """
    found = manifest(engine, version)
    if only is not None:
        entry = found.entries.get(only)
        if entry is None:
            raise NotFound(f"{version.path} has no entry {only!r}: list them with `lineage ls {version.path}`")
        found = build([entry]).manifest
    return checkout(
        found,
        _store(engine, version),
        destination,
        prefix=prefix,
        exact=exact,
        fetch=fetch_reference(engine),
        allow_missing_references=allow_missing_references,
        progress=progress,
    )


def fetch_reference(engine: Engine) -> Callable[[Entry, BinaryIO], None]:
    """How a reference's bytes are got: from the bounded cache when exactly the pinned version is there, else from where they live."""
    return partial(reference.fetch_cached, cache=engine.cache)
