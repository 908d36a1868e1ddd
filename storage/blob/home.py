"""A store's directory: made when it is absent, recognised when it is there, refused when it is somebody else's.

`format.json` is the first file written and the first one read. It is written complete and durable under a name of its own and then linked
to its place, which never replaces: of any number of processes that make the same store at once, one wins and the others read what it
wrote. A store may be opened on a disk that can only be read. The handle remembers where the directory is now; nothing inside does.

The bytes rest in the directory, or at a URL, which `format.json` remembers: catalogue, journals, cache and staging stay here all the same.
A place that is another store's is refused before anything is made here; opening asks nothing of the network.
"""

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from storage.blob import disk
from storage.blob.backend import Backend
from storage.blob.bucket import Bucket
from storage.blob.filesystem import require_file_system
from storage.blob.local import LocalBackend
from storage.blob.owner import Directory, Owned, admit, adopt, owner
from storage.blob.remote import RemoteBackend
from storage.blob.s3 import S3Backend
from storage.blob.spool import Spool
from storage.digest import ALGORITHMS, DEFAULT_ALGORITHM
from storage.errors import InvalidDigest, InvalidStore, UnknownFormat
from storage.layout import FORMAT_FILE, StoreFormat
from storage.location import Location

_LEFTOVER = re.compile(rf"\.{re.escape(FORMAT_FILE)}\.[0-9a-f]{{16}}\.partial")


@dataclass(frozen=True)
class Home:
    """An open store directory: where it is, what it is, and the bytes in it, or where they are."""

    root: Path
    format: StoreFormat
    backend: Backend

    @property
    def place(self) -> str:
        """Where the bytes rest: the directory, or a URL."""
        return str(self.format.location or self.root)

    @classmethod
    def open(cls, root: Path, store: str | None = None) -> "Home | None":
        """The store in directory `root`; None when there is none. `store` is the URL its bytes are expected at, when one was stated.

        Raises:
            UnknownFormat: another program's, or a newer major version's.
            InvalidStore: its bytes are elsewhere than at `store`.
            Unavailable: the directory is there and cannot be read.
        """
        path = Path(root).absolute() / FORMAT_FILE
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise disk.refusal(error, path) from error
        found = StoreFormat.parse(text, str(path))
        newer = f"format {found.major}.{found.minor} is newer than this release: upgrade to write" if found.is_newer else ""
        near = LocalBackend(path.parent, newer)
        home = cls(path.parent, found, near if found.location is None else owned(found.location, near, found))
        home.require(store)
        return home

    @classmethod
    def create_or_open(cls, root: Path, algorithm: str = DEFAULT_ALGORITHM, store: str | None = None, adopt: str | None = None) -> "Home":
        """The store in directory `root`, made there with `algorithm` when the directory is empty or absent, its bytes at URL `store` if any.

        A store that exists keeps the algorithm it was made with, and its bytes where they are. `adopt` names the store that owned the
        place until now and is gone for good: this one takes it over.

        Raises:
            UnknownFormat: the directory holds something else, or a store this release cannot read.
            InvalidStore: no such URL, the place is another store's, or the store keeps its bytes elsewhere.
            InvalidDigest: no such algorithm.
            InvalidStore: its file system cannot hold one.
            StoreFull, ReadOnlyStore, Unavailable: it is not there and cannot be made.
        """
        home = cls.open(root, store)
        if home is None:
            home = cls._create(Path(root).absolute(), algorithm, None if store is None else Location.parse(store), adopt)
        elif adopt is not None:
            home.adopt(adopt)
        return home

    def require(self, store: str | None) -> None:
        """Return when the bytes are where `store` says, or nothing was said.

        Raises:
            InvalidStore: naming both places.
        """
        if store is not None and Location.parse(store) != self.format.location:
            raise InvalidStore(
                f"the store in {self.root} keeps its bytes at {self.place}, not at {Location.parse(store)}: "
                "leave the URL out (LINEAGE_STORE, --store), or name another LINEAGE_HOME"
            )

    def adopt(self, former: str) -> None:
        """Take the place over from store `former`, whose bytes this store's catalogue knows, restored from a backup.

        Raises:
            InvalidStore: the place is not that store's, or the bytes are in this directory, which is nobody else's.
        """
        if not isinstance(self.backend, Owned):
            raise InvalidStore(f"the store in {self.root} keeps its bytes in its own directory: there is nothing to adopt")
        adopt(self.backend.premises, former, self.format.store, self.format.algorithm, self.place)

    def sweep(self) -> None:
        """Remove what processes left that died while they made this store. Nobody may be making it now."""
        for path in self.root.iterdir():
            if _LEFTOVER.fullmatch(path.name):
                with disk.refusals(path):
                    disk.unlink(path)

    @classmethod
    def _create(cls, root: Path, algorithm: str, location: Location | None, former: str | None) -> "Home":
        if algorithm not in ALGORITHMS:
            raise InvalidDigest(f"{algorithm!r} is not a digest algorithm: choose one of {', '.join(ALGORITHMS)}")
        if root.exists() and not root.is_dir():
            raise UnknownFormat(f"{root} is a file: name a directory for the store")
        stated = StoreFormat(secrets.token_hex(16), algorithm, location=location)
        if location is not None:
            found = owner(owned(location, LocalBackend(root), stated).premises, str(location))
            opened = cls.open(root)  # somebody may have made this very store just now, and marked the place
            if opened is not None:
                return opened
            admit(found, former, stated.store, algorithm, str(location))
        with disk.refusals(root):
            disk.make_directories(root)
            foreigners = sorted(path.name for path in root.iterdir() if not _LEFTOVER.fullmatch(path.name))
            if not foreigners:
                require_file_system(root)
        if not foreigners:
            disk.write_durably(root / FORMAT_FILE, stated.print().encode(), replace=False)
        opened = cls.open(root, None if location is None else str(location))
        if opened is None:
            raise UnknownFormat(f"{root} is not empty and not a store (it holds {foreigners[0]!r}): name an empty directory or a store")
        if former is not None:
            opened.adopt(former)
        if isinstance(opened.backend, Owned):
            opened.backend.claim()
        return opened


def owned(location: Location, near: LocalBackend, stated: StoreFormat) -> Owned:
    """The backend that keeps the bytes of the store `stated` at `location`, staging near; nothing is asked yet."""
    if location.scheme == "file":
        directory = LocalBackend(Path("/") / location.path, near.sealed)
        return Owned(directory, Directory(directory.root), stated.store, stated.algorithm, near.sealed)
    spool = Spool(near.root, near.sealed)
    kept = S3Backend(Bucket(location.root, location.path), spool) if location.scheme == "s3" else RemoteBackend(location, spool)
    return Owned(kept, kept, stated.store, stated.algorithm, near.sealed)
