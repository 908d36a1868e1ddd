"""A store in a fresh directory, and the few things one does with it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from storage.blob import disk
from storage.blob.home import Home
from storage.blob.local import LocalBackend
from storage.blob.pack import PACKED
from storage.blob.session import Count
from storage.blob.store import Store
from storage.digest import Digest
from storage.layout import blob_key
from storage.manifest import Manifest
from storage.memory import MemoryLedger
from storage.transfer import statcache
from storage.transfer.ingest import ingest_tree, store_manifest
from storage.transfer.scan import scan
from storage.transfer.statcache import StatCache


@dataclass
class Shelf:
    """A local store with a ledger in memory."""

    store: Store
    ledger: MemoryLedger
    backend: LocalBackend
    stored: Count = field(default_factory=Count)
    trees: StatCache = field(default_factory=StatCache)
    """What is remembered of directories: nothing, unless a test says so."""

    def log(self, root: Path) -> Manifest:
        """Take a directory in and commit it."""
        with self.store.session() as session:
            entries = ingest_tree(scan(root), session, cache=self.trees)
            stored = store_manifest(entries, session)
            manifest = stored.manifest
            session.publish()
            kept = [
                manifest.digest,
                *(segment.digest for segment in manifest.segments),
                *(entry.digest for entry in entries if entry.digest),
            ]
            self.ledger.commit(session.id, kept, {segment: stored.inside(segment) for segment in stored.new})
            self.stored = session.stored
        return manifest

    def put(self, *contents: bytes) -> list[Digest]:
        """Take bytes in and commit them, one session each."""
        return [digest for data in contents for digest in self.put_together(data)]

    def put_together(self, *contents: bytes) -> list[Digest]:
        """Take bytes in and commit them, all in one session."""
        with self.store.session() as session:
            digests = [session.take_bytes(data).digest for data in contents]
            session.publish()
            self.ledger.commit(session.id, digests)
        return digests

    def object(self, digest: Digest) -> Path:
        """The file that holds a blob, or would hold it alone."""
        record = self.ledger.rows.get((self.store.domain, digest))
        return self.backend.root / (record.key if record else blob_key(self.store.domain, digest))

    def rot(self, digest: Digest, bit: int) -> None:
        """Flip one bit of a blob in its file."""
        path = self.object(digest)
        data = bytearray(path.read_bytes())
        data[self.ledger.rows[self.store.domain, digest].start + bit // 8] ^= 1 << bit % 8
        path.chmod(0o644)
        path.write_bytes(data)

    def quarantined(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.backend.root / "quarantine").glob("*"))]

    def leftovers(self) -> list[Path]:
        """Files of the store that are not objects and not its format."""
        return [
            path for path in self.backend.root.rglob("*") if path.is_file() and "objects" not in path.parts and path.name != "format.json"
        ]


ALONE = pytest.mark.parametrize("shelf", [-1], indirect=True, ids=["alone"])
"""For a test that harms objects: every blob has one of its own."""
TOGETHER = pytest.mark.parametrize("shelf", [PACKED], indirect=True, ids=["packed"])
"""For a test of packs."""


@pytest.fixture(params=[-1, PACKED], ids=["alone", "packed"])
def shelf(tmp_path: Path, request: pytest.FixtureRequest) -> Shelf:
    backend, ledger = Home.create_or_open(tmp_path / "store").backend, MemoryLedger()
    return Shelf(Store(backend, ledger, "d", packed=request.param), ledger, backend)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty source directory."""
    root = tmp_path / "tree"
    root.mkdir()
    return root


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours have gone by for the clock of the file system; files that are there are old now."""
    real = statcache._now

    def now(directory: Path) -> tuple[int, int] | None:
        instant = real(directory)
        return instant and (instant[0], instant[1] + 7_200_000_000_000)

    monkeypatch.setattr(statcache, "_now", now)


@pytest.fixture
def untouched() -> Callable[[Path], dict[str, tuple[object, ...]]]:
    """What can be seen of every file below a directory, content included; equal before and after means that nobody touched it."""

    def look(root: Path) -> dict[str, tuple[object, ...]]:
        seen: dict[str, tuple[object, ...]] = {}
        for path in sorted(root.rglob("*")):
            about = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            seen[str(path)] = (about.st_ino, about.st_mode, about.st_nlink, about.st_size, about.st_mtime_ns, about.st_ctime_ns, content)
        return seen

    return look


@pytest.fixture
def effects(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every side effect on the disk from here on, in order."""
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(disk, "observe", lambda effect, path: seen.append((effect, path)))
    return seen


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Make the k-th side effect from here on, and every one after it but clean-up, fail with an errno."""

    def arm(errno_: int, at: int) -> None:
        count = 0

        def observe(effect: str, path: str) -> None:
            nonlocal count
            count += effect not in ("unlink", "rmdir")
            if count > at and effect not in ("unlink", "rmdir"):
                raise OSError(errno_, "injected", path)

        monkeypatch.setattr(disk, "observe", observe)

    return arm
