"""A store's directory: made when it is absent, recognised when it is there, refused when it is somebody else's.

`format.json` is the first file written and the first one read. It is written complete and durable under a name of its own and then linked
to its place, which never replaces: of any number of processes that make the same store at once, one wins and the others read what it
wrote. A store may be opened on a disk that can only be read. The handle remembers where the directory is now; nothing inside does.
"""

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from storage.blob import disk
from storage.blob.local import LocalBackend
from storage.digest import ALGORITHMS, DEFAULT_ALGORITHM
from storage.errors import InvalidDigest, UnknownFormat
from storage.layout import FORMAT_FILE, StoreFormat

_LEFTOVER = re.compile(rf"\.{re.escape(FORMAT_FILE)}\.[0-9a-f]{{16}}\.partial")


@dataclass(frozen=True)
class Home:
    """An open store directory: where it is, what it is, and the bytes in it."""

    root: Path
    format: StoreFormat
    backend: LocalBackend

    @classmethod
    def open(cls, root: Path) -> "Home | None":
        """The store in directory `root`; None when there is none.

        Raises:
            UnknownFormat: another program's, or a newer major version's.
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
        return cls(path.parent, found, LocalBackend(path.parent, newer))

    @classmethod
    def create_or_open(cls, root: Path, algorithm: str = DEFAULT_ALGORITHM) -> "Home":
        """The store in directory `root`, made there with `algorithm` when the directory is empty or absent.

        A store that exists keeps the algorithm it was made with.

        Raises:
            UnknownFormat: the directory holds something else, or a store this release cannot read.
            InvalidDigest: no such algorithm.
            StoreFull, ReadOnlyStore, Unavailable: it is not there and cannot be made.
        """
        return cls.open(root) or cls._create(Path(root).absolute(), algorithm)

    def sweep(self) -> None:
        """Remove what processes left that died while they made this store. Nobody may be making it now."""
        for path in self.root.iterdir():
            if _LEFTOVER.fullmatch(path.name):
                with disk.refusals(path):
                    disk.unlink(path)

    @classmethod
    def _create(cls, root: Path, algorithm: str) -> "Home":
        if algorithm not in ALGORITHMS:
            raise InvalidDigest(f"{algorithm!r} is not a digest algorithm: choose one of {', '.join(ALGORITHMS)}")
        if root.exists() and not root.is_dir():
            raise UnknownFormat(f"{root} is a file: name a directory for the store")
        with disk.refusals(root):
            disk.make_directories(root)
            foreign = sorted(path.name for path in root.iterdir() if not _LEFTOVER.fullmatch(path.name))
        if not foreign:
            text = StoreFormat(secrets.token_hex(16), algorithm).print()
            disk.write_durably(root / FORMAT_FILE, text.encode(), replace=False)
        opened = cls.open(root)
        if opened is None:
            raise UnknownFormat(f"{root} is not empty and not a store (it holds {foreign[0]!r}): name an empty directory or a store")
        return opened
