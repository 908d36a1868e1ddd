"""Is this store well, and what does the place of its bytes really do? Looks and tells; what it writes to try things, it removes."""

from collections.abc import Iterator
from pathlib import Path

from lineage.actions.open import Engine
from lineage.catalog import health
from storage.blob.home import owned
from storage.blob.local import LocalBackend
from storage.blob.owner import owner
from storage.blob.probe import Finding, Weight, examine, examine_directory
from storage.errors import StorageError
from storage.layout import StoreFormat
from storage.location import Location

_LARGE_LOG = 256 << 20


def examine_store(engine: Engine) -> Iterator[Finding]:
    """The directory, the catalogue, and the place where the bytes are."""
    yield from examine_directory(engine.home.root)
    yield from _catalogue(engine)
    yield from _place(engine)


def examine_place(url: str, spool: Path) -> Iterator[Finding]:
    """What a store could expect at `url`, where none has to be; `spool` is never written to.

    Raises:
        InvalidStore: it is no URL of a place that can be written.
    """
    location = Location.parse(url)
    place = owned(location, LocalBackend(spool), StoreFormat("0" * 32))
    try:
        found = owner(place.premises, str(location))
    except StorageError as error:
        yield Finding("reach", str(error), Weight.BAD, "check the URL, the network, the credentials and the policy")
        return
    yield Finding("owner", f"store {found.store}" if found else "nobody yet")
    if location.scheme == "file":
        yield from _directory(Path("/") / location.path)
    yield from examine(place)


def _directory(root: Path) -> Iterator[Finding]:
    if root.is_dir():
        yield from examine_directory(root)
    else:
        yield Finding("directory", "is not there", Weight.NOTE, "it is made with the store; is the disk mounted?")


def _place(engine: Engine) -> Iterator[Finding]:
    location = engine.home.format.location
    if location is None:
        return
    yield Finding("place", str(location))
    for found in examine_place(str(location), engine.home.root):
        if found.subject != "owner":
            yield found
        elif engine.home.format.store in found.found:
            yield Finding("owner", "this store")
        else:
            yield Finding("owner", found.found, Weight.BAD, "'lineage init --adopt' takes a place over from a store that is gone for good")


def _catalogue(engine: Engine) -> Iterator[Finding]:
    version, is_safe = health.library()
    newer = ".".join(map(str, health.SAFE))
    advice = "" if is_safe else f"{newer} mends a rare fault of the write-ahead log; our own lock keeps it from happening"
    yield Finding("SQLite", version, Weight.FINE if is_safe else Weight.NOTE, advice)
    kind, is_safe = health.disk(engine.catalog)
    advice = "" if is_safe else "SQLite loses data on network disks: move LINEAGE_HOME to a local one, and the bytes to LINEAGE_STORE"
    yield Finding("disk", kind, Weight.FINE if is_safe else Weight.BAD, advice)
    size = health.log_size(engine.catalog)
    is_large = size > _LARGE_LOG
    yield Finding(
        "log", f"{size:,} bytes", Weight.NOTE if is_large else Weight.FINE, "end what has been reading for long" if is_large else ""
    )
    problems = engine.catalog.problems()
    advice = "restore a backup: 'lineage backup' makes them; never copy the file while it is in use" if problems else ""
    yield Finding("catalogue", "; ".join(problems) or "whole", Weight.BAD if problems else Weight.FINE, advice)
