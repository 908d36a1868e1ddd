"""The one room that opens the catalogue's database, and the only one that knows it is SQLite.

    read()   a snapshot: whatever happens meanwhile, all its statements see the same catalogue
    tx()     the only way to write: file lock → BEGIN IMMEDIATE → work → COMMIT → unlock; all of it or nothing

Connections belong to one process and one thread. WAL with `synchronous=FULL`: an acknowledged commit survives a power loss. Foreign keys
are on, mapped memory is off. Nothing SQLite raises leaves this folder: `_translated` turns it into this package's errors.

A catalogue on a network file system is refused (SQLite's locks do not hold there), as is one with a second name (link), another
program's file, one written by a newer release, and an empty one beside blobs: that one was lost, and a new one would forget them.
"""

import ctypes
import os
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import quote

from lineage.catalog import schema
from lineage.catalog.lock import FileLock
from lineage.catalog.pattern import matches
from lineage.model.errors import CatalogBusy, CatalogDamaged, CatalogError, CatalogUnsupported, Conflict, UsageError
from storage import layout
from storage.blob import disk
from storage.errors import ReadOnlyStore, StoreFull

Connection = sqlite3.Connection

observe: Callable[[str], None] | None = None
"""Told of "begin" and "commit" just before each and of "committed" just after, so that a test can kill the process there. What it raises, the transaction raises."""

APPLICATION_ID = 0x4C4E4547  # "LNEG"
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb3", "smbfs", "ncpfs", "9p", "afs", "ceph", "glusterfs", "lustre", "sshfs"}
)
"""`fuse.` anything counts as one too: nobody can say what locks mean there."""

_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 30000",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA mmap_size = 0",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -32768",
    "PRAGMA temp_store = MEMORY",
)


def file_system_of(path: Path) -> str:
    """The type of the file system `path` is on, or an empty text where the machine does not tell."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        fields, _, tail = line.partition(" - ")
        mount = fields.split(" ")[4].encode().decode("unicode_escape")
        inside = str(path) == mount or str(path).startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, tail.split(" ")[0]
    return kind


class Catalog:
    """The open catalogue of the store at `root`. Thread-safe; a forked child gets connections of its own."""

    def __init__(self, root: Path, *, file_system: Callable[[Path], str] = file_system_of, read_only: bool = False) -> None:
        self.root = Path(os.path.realpath(root))
        self.path = self.root / layout.CATALOG
        self.lock = FileLock(self.root / layout.LOCK)
        self.is_read_only = read_only or not os.access(self.root, os.W_OK)
        self._local = threading.local()
        self._all: list[tuple[threading.Thread, Connection]] = []
        self._mutex = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)
        self._opened: tuple[int, int] | None = None
        """The device and inode of the database that is open."""
        self._journal_mode = self._safe_journal_mode(file_system(self.root))
        with _translated(self.path):
            self._prepare()

    def _forget(self) -> None:
        """In a forked child: the parent's connections must be neither used nor closed here (sqlite.org/howtocorrupt.html, 2.6)."""
        for _, connection in self._all:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self._all.clear()
        self._mutex = threading.Lock()
        self._local = threading.local()

    def _safe_journal_mode(self, kind: str) -> str:
        """WAL; on a network disk whose owner insists a rollback journal, which needs no shared memory between machines."""
        if self.path.is_symlink():
            raise CatalogUnsupported(f"{layout.CATALOG} is a symbolic link: put the whole store where it points to, and link that")
        if self.path.exists() and self.path.stat().st_nlink > 1:
            raise CatalogUnsupported(f"{layout.CATALOG} has a second hard link: two names for one database corrupt it; remove one")
        if kind not in NETWORK_FILE_SYSTEMS and not kind.startswith("fuse."):
            return "WAL"
        if not os.environ.get("LINEAGE_ALLOW_NETWORK_DISK"):
            raise CatalogUnsupported(
                f"the store is on a network file system ({kind}), where SQLite loses data: put LINEAGE_HOME on a local disk, or run a server"
            )
        warnings.warn(
            f"the catalogue is on a network file system ({kind}), as asked for: one machine at a time, and keep backups", stacklevel=4
        )
        return "DELETE"

    def _prepare(self) -> None:
        """Create or migrate; several processes may come here at once."""
        if self.is_read_only:
            self._check(self._connection())
            if schema.version(self._connection()) < schema.VERSION:
                raise CatalogUnsupported(
                    f"the catalogue has schema {schema.version(self._connection())}: open it once where it can be written"
                )
            return
        with self.lock.held():
            connection = self._connection()
            self._check(connection)
            connection.execute(f"PRAGMA journal_mode = {self._journal_mode}")
            if schema.version(connection) < schema.VERSION:
                with disk.refusals(self.root):
                    disk.anchor(self.root)  # so that whoever finds tables knows that the store they are in will not be lost
                if schema.version(connection):
                    self._backup_to(self.path.with_suffix(f".before-{schema.VERSION}.sqlite"))
                with self.tx() as writing:
                    writing.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    schema.migrate(writing)

    def _check(self, connection: Connection) -> None:
        found = connection.execute("PRAGMA application_id").fetchone()[0]
        stated = schema.version(connection)
        if found not in (0, APPLICATION_ID) or (found == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]):
            raise CatalogUnsupported(
                f"{layout.CATALOG} belongs to another program (application id {found:#x}): point LINEAGE_HOME elsewhere"
            )
        if stated > schema.VERSION:
            raise CatalogUnsupported(f"the catalogue has schema {stated}, this release knows {schema.VERSION}: install a newer release")
        if stated == 0 and any((self.root / layout.OBJECTS).glob("*")):
            raise CatalogDamaged(f"the store has blobs, but its catalogue is empty or missing: {RESTORE}")

    def _connection(self) -> Connection:
        """This thread's connection. A reader without the right to write opens a new one when the file has changed: see `_connect`."""
        mine: tuple[Connection, object] | None = getattr(self._local, "connection", None)
        if mine is not None and (not self.is_read_only or mine[0].in_transaction or mine[1] == self._seen()):
            return mine[0]
        seen = self._seen()
        connection = self._connect()
        self._local.connection = (connection, seen)
        with self._mutex:
            self._close_abandoned()
            self._all.append((threading.current_thread(), connection))
        return connection

    def _require_same(self) -> None:
        """The path leads to the database that is open: where another store was put in its place, bytes would go there and rows here."""
        try:
            about = self.path.stat()
        except FileNotFoundError:
            found = None
        else:
            found = about.st_dev, about.st_ino
        if self._opened is None:
            self._opened = found
        elif found != self._opened:
            raise CatalogError(f"the store at {self.root} was moved or replaced while it was open: open it again; nothing was written")

    def _seen(self) -> object:
        """What tells a reader that somebody wrote: nothing, where we are among those who may."""
        if not self.is_read_only:
            return None
        about = [path.stat() if path.exists() else None for path in (self.path, self.path.with_name(layout.CATALOG + "-wal"))]
        return [one and (one.st_ino, one.st_size, one.st_mtime_ns) for one in about]

    def _close_abandoned(self) -> None:
        """Close what ended threads left, and what this one replaces. A new one is open: none of these is the last, whose closing writes."""
        left = [each for each in self._all if each[0] is threading.current_thread() or not each[0].is_alive()]
        self._all = [each for each in self._all if each not in left]
        for _, connection in left:
            connection.close()

    def _connect(self) -> Connection:
        if not self.is_read_only:
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=30.0, check_same_thread=False, cached_statements=512)
        else:
            # Without a log nobody writes now, and without the right to write SQLite could not make the files it needs to find that out.
            unchanging = "" if self.path.with_name(layout.CATALOG + "-wal").exists() else "&immutable=1"
            connection = sqlite3.connect(
                f"file:{quote(str(self.path))}?mode=ro{unchanging}", uri=True, isolation_level=None, check_same_thread=False
            )
        self._require_same()
        connection.row_factory = sqlite3.Row
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        connection.create_function("regexp", 2, matches, deterministic=True)
        return connection

    @contextmanager
    def tx(self) -> Iterator[Connection]:
        """A write transaction; inside another one of the same thread, part of it.

        Raises:
            ReadOnlyStore, StoreFull, CatalogBusy, CatalogDamaged, Conflict: nothing was written.
        """
        if self.is_read_only:
            raise ReadOnlyStore(f"the store at {self.root.name} is read-only: reading works, writing does not")
        with _translated(self.path), self.lock.held():
            self._require_same()
            connection = self._connection()
            if connection.in_transaction:
                if not self._local.is_writing:
                    raise UsageError("a write was asked for in the middle of a read: let the read end first, then write")
                yield connection
                return
            _tell("begin")
            connection.execute("BEGIN IMMEDIATE")
            self._local.is_writing = True
            try:
                yield connection
                _tell("commit")
                connection.execute("COMMIT")
                _tell("committed")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent snapshot; inside a transaction of the same thread, that transaction."""
        with _translated(self.path):
            connection = self._connection()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            self._local.is_writing = False
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def backup(self, destination: Path) -> None:
        """A complete copy of the catalogue, made while it is in use, durable before it has its name."""
        with _translated(destination), nullcontext() if self.is_read_only else self.lock.held():
            self._backup_to(destination)

    def _backup_to(self, destination: Path) -> None:
        draft = destination.with_name(disk.temporary_name(destination.name))
        with disk.refusals(destination):
            try:
                self._connection().execute("VACUUM INTO ?", (str(draft),))
                disk.seal(draft)
                disk.rename(draft, destination)
            finally:
                disk.unlink(draft)
            disk.flush_directory(destination.parent)

    def problems(self) -> list[str]:
        """What SQLite's own checks find wrong; empty when nothing is."""
        with self.read() as connection:
            broken = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
            dangling = [
                f"a row of {row[0]} points to a {row[2]} that is not there" for row in connection.execute("PRAGMA foreign_key_check")
            ]
        return broken + dangling[:20]

    def close(self) -> None:
        """Close this process's connections, the last one's checkpoint under the lock."""
        mine = [connection for _, connection in self._all]
        self._all.clear()
        self._local = threading.local()
        if not mine:
            return
        if self.is_read_only:
            for connection in mine:
                connection.close()
            return
        with self.lock.held():
            for connection in mine:
                connection.close()
        self.lock.close()


def _tell(effect: str) -> None:
    if observe is not None:
        observe(effect)


RESTORE = "copy a backup (made with `lineage backup`) over it, or move it away and begin anew; nothing is repaired in place"

_BY_MESSAGE: tuple[tuple[str, type[Exception], str], ...] = (
    ("readonly", ReadOnlyStore, "the catalogue cannot be written"),
    ("disk is full", StoreFull, "the disk is full: free some space; nothing was written"),
    ("disk I/O error", CatalogError, "the disk failed while the catalogue was used; nothing was written"),
    ("locked", CatalogBusy, "another program holds the catalogue's database: end it, or wait"),
    ("malformed", CatalogDamaged, f"the catalogue is damaged: {RESTORE}"),
    ("not a database", CatalogDamaged, f"the catalogue is damaged: {RESTORE}"),
    ("unsupported file format", CatalogDamaged, f"the catalogue is damaged: {RESTORE}"),
    ("unable to open", CatalogError, "the catalogue cannot be opened: check the directory's permissions"),
)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise Conflict(f"the catalogue refused the change: {error}; somebody else may have been faster, look again") from error
    except sqlite3.Error as error:
        kind, words = next(
            ((kind, words) for part, kind, words in _BY_MESSAGE if part in str(error)), (CatalogError, "the catalogue failed")
        )
        raise kind(f"{words} ({path.name}: {error})") from error
    except OverflowError as error:
        raise UsageError(f"a number does not fit into 64 bits: {error}") from error
    except UnicodeEncodeError as error:
        raise UsageError(f"text is not valid UTF-8: {error.object[:80]!r}") from error
