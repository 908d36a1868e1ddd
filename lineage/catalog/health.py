"""How the catalogue is: the library it stands on, the disk it lies on, and whether it is whole. Nothing is repaired here."""

import sqlite3

from lineage.catalog.open import NETWORK_FILE_SYSTEMS, Catalog, file_system_of

SAFE = (3, 51, 3)
"""The first SQLite whose write-ahead log cannot be reset under a reader (sqlite.org/wal.html). Our own lock prevents it in older ones."""


def library() -> tuple[str, bool]:
    """SQLite's version, and whether it is one without known faults that matter here."""
    return sqlite3.sqlite_version, sqlite3.sqlite_version_info >= SAFE


def disk(catalog: Catalog) -> tuple[str, bool]:
    """The kind of file system, and whether a database may lie on it."""
    kind = file_system_of(catalog.root)
    return kind or "unknown", kind not in NETWORK_FILE_SYSTEMS and not kind.startswith("fuse.")


def log_size(catalog: Catalog) -> int:
    """Bytes of the write-ahead log: it grows while somebody reads for a long time."""
    log = catalog.path.with_name(f"{catalog.path.name}-wal")
    return log.stat().st_size if log.exists() else 0
