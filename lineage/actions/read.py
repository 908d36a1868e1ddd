"""Read a version's content: its manifest, one blob of it, or all of it into a directory.

A version may be deleted, and its bytes reclaimed, while somebody holds its record: what he misses then is told as `Gone`, not as damage.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from lineage.actions.find import require_live, version_by_id
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
from storage.transfer.selection import find

IN_MEMORY = 16 << 20
"""Bytes of a reference that are kept in memory to be read; more go to a temporary file."""


def manifest(engine: Engine, version: VersionRecord) -> Manifest:
    """The version's manifest; its segments are read when they are asked for, each verified.

    Raises:
        Gone: the version is a tombstone.
        UnsupportedError: only its lineage is kept here.
    """
    with _ending(engine, version):
        return _manifest(_store(engine, version), version)


@contextmanager
def _ending(engine: Engine, version: VersionRecord) -> Iterator[None]:
    """Bytes that are missing because the version has ended since its record was read are told as `Gone`."""
    try:
        yield
    except BlobMissing:
        require_live(version_by_id(engine, version.id))
        raise


def _manifest(store: Store, version: VersionRecord) -> Manifest:
    digest = Digest.parse(version.digest)
    return decode_manifest(store.read(digest), store.read, digest.algorithm)


def _store(engine: Engine, version: VersionRecord) -> Store:
    if require_live(version).is_recorded:
        raise UnsupportedError(f"{version.path} was recorded by its digest alone: its content is kept elsewhere")
    return engine.store(version.domain)


def find_entry(engine: Engine, version: VersionRecord, *paths: str) -> Entry | None:
    """The entry at the first of these paths that has one; of a large manifest only what leads there is read. Raises: as `manifest`."""
    with _ending(engine, version):
        return find(manifest(engine, version), *paths)


def open_blob(engine: Engine, version: VersionRecord, entry: Entry) -> Iterator[bytes]:
    """The bytes of a file entry, in pieces, verified by the end. Raises: BlobMissing, Corrupt, Gone."""
    if entry.digest is None:
        raise BlobMissing(f"{entry.path!r} is a {entry.kind}: it has no bytes in this store")
    with _ending(engine, version):
        return _store(engine, version).open(entry.digest)


def open_entry(engine: Engine, version: VersionRecord, entry: Entry) -> BinaryIO:
    """The bytes of a file or reference as a file to read and seek in; all of them were verified, or fetched as pinned, before this returns.

    Raises:
        BlobMissing, Corrupt, Gone: as `open_blob`.
        ReferenceMissing, ReferenceChanged, InvalidReference: a reference no longer leads to what was pinned, or never could be read.
    """
    store = _store(engine, version)
    if entry.pin is not None:
        spool = cast("BinaryIO", SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115  # whoever reads it closes it
        try:
            reference.fetch_cached(entry, spool, engine.cache)
        except BaseException:
            spool.close()
            raise
        spool.seek(0)
        return spool
    with _ending(engine, version):
        record = None if entry.digest is None else store.locate([entry.digest]).get(entry.digest)
        if record is None:
            raise BlobMissing(
                f"the bytes of {entry.path!r}, a {entry.kind} of {version.path}, are not in this store: log the content again"
            )
        return store.open_file(record)


def download(
    engine: Engine,
    version: VersionRecord,
    destination: Path,
    *,
    prefix: str | None = None,
    exact: bool = False,
    allow_missing_references: bool = False,
    only: str | None = None,
    use_cache: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Put the version's files, or those whose path begins with `prefix`, under `destination`, each verified as it lands.

    `exact` also removes what the version does not hold. `only` is the path of a single entry. Without `use_cache` what is fetched from far
    away is neither taken from the local cache nor kept in it.

    Raises:
        NotFound: there is no such entry.
        Gone: the version is a tombstone, or became one meanwhile.
    """
    store = _store(engine, version)
    if not use_cache:
        store = replace(store, cache=None)
    with _ending(engine, version):
        found = _manifest(store, version)
        if only is not None:
            entry = find(found, only)
            if entry is None:
                raise NotFound(f"{version.path} has no entry {only!r}: list them with `lineage ls {version.path}`")
            found = build([entry]).manifest
        return checkout(
            found,
            store,
            destination,
            prefix=prefix,
            exact=exact,
            fetch=fetch_reference(engine) if use_cache else reference.fetch,
            allow_missing_references=allow_missing_references,
            memory=engine.trees.recall(destination, version.domain),
            progress=progress,
        )


def fetch_reference(engine: Engine) -> Callable[[Entry, BinaryIO], None]:
    """How a reference's bytes are got: from the bounded cache when exactly the pinned version is there, else from where they live."""

    def fetch(entry: Entry, out: BinaryIO) -> None:  # what speaks to other services loads when the first reference is fetched
        reference.fetch_cached(entry, out, cache=engine.cache)

    return fetch
