"""The half of an artifact that gives things out: its manifest, its entries, its bytes as files.

What is read was verified on the way. Everything a download writes lies below the root it was given. Downloading records no use: that is
`run.use_artifact`'s word, and saying it twice would make edges nobody meant.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lineage.actions import read
from lineage.model.errors import UsageError
from lineage.sdk.draft import Draft
from lineage.sdk.entry import ManifestEntry
from lineage.sdk.manifest import Manifest, wandb_digest
from lineage.sdk.media import KINDS, Media, decode, entry_name
from lineage.sdk.page import Page
from lineage.sdk.progress import progress
from lineage.sdk.terminal import termlog, termwarn
from lineage.sdk.version import Version
from storage.digest import DEFAULT_ALGORITHM
from storage.entry import Entry, Kind, printable
from storage.manifest import build
from storage.transfer.checkout import Report
from storage.transfer.compare import verify as verify_tree


class Content(Version):
    """See the top of this file."""

    _faces: Manifest | None = None

    def _entries(self) -> Mapping[str, Entry]:
        if self._draft is not None:
            return self._draft.tree.entries
        host, version = self._committed("entries")
        return read.manifest(host.engine, version).entries

    def _find(self, *paths: str) -> Entry | None:
        """The entry at the first of these paths that has one."""
        if self._draft is not None:
            return next((self._draft.tree.entries[path] for path in paths if path in self._draft.tree.entries), None)
        if self._faces is not None:
            return next((self._faces.entries[path].entry for path in paths if path in self._faces.entries), None)
        host, version = self._committed("entries")
        return read.find_entry(host.engine, version, *paths)

    def _face(self, path: str) -> ManifestEntry:
        draft = self._draft
        return ManifestEntry(self._entries()[path], self, draft.local.get(path) if draft is not None else None)

    @property
    def manifest(self) -> Manifest:
        """Path → entry. Of a draft, as it is now; afterwards read once and kept."""
        if self._draft is not None:
            faces = {path: self._face(path) for path in self._draft.tree.entries}
            return Manifest(faces, lambda: self.digest)
        if self._faces is None:
            faces = {path: ManifestEntry(entry, self) for path, entry in self._entries().items()}
            self._faces = Manifest(faces, lambda: self.digest)
        return self._faces

    @property
    def digest(self) -> str:
        """The identity of the content, as `algorithm:hex`: equal exactly when every path, digest, size, executable bit and pin is."""
        if self._version is not None:
            return self._version.digest
        entries = self._entries().values()
        algorithm = next((entry.digest.algorithm for entry in entries if entry.digest is not None), DEFAULT_ALGORITHM)
        return str(build(entries, algorithm).manifest.digest)

    @property
    def wandb_digest(self) -> str:
        """What the W&B client calls the digest of the same content; reads every byte."""
        algorithm = self._draft.digest_algorithm if self._draft is not None else "MD5"
        return wandb_digest(self._entries().values(), self._bytes, algorithm)

    @property
    def size(self) -> int:
        """Bytes of all entries, referenced objects included."""
        return self._version.size if self._version is not None else sum(entry.size or 0 for entry in self._entries().values())

    @property
    def file_count(self) -> int:
        """How many entries there are, once it is logged."""
        return self._committed("file_count")[1].entries

    def _bytes(self, entry: Entry) -> Iterable[bytes]:
        if self._draft is not None:
            return self._draft.read(entry)
        host, version = self._committed("content")
        return read.open_blob(host.engine, version, entry)

    def get_entry(self, name: str | Path) -> ManifestEntry:
        """The entry at `name`, or of the medium added under that name.

        Raises:
            KeyError: there is none.
            ArtifactNotLoggedError: the artifact is a draft still.
        """
        self._committed("entries")
        path = os.fspath(name)
        found = self._find(path, *(entry_name(path, kind) for kind in KINDS))
        if found is None:
            raise KeyError(f"{self!r} has no entry {path!r}: it has {self.file_count}, see artifact.manifest.entries")
        return ManifestEntry(found, self)

    def get_path(self, name: str | Path) -> ManifestEntry:
        """The old name of `get_entry`."""
        return self.get_entry(name)

    def get(self, name: str) -> Media | None:
        """The medium that was added under `name`, or `None` when there is none of that name."""
        self._committed("media")
        found = self._find(*(entry_name(name, kind) for kind in KINDS))
        return None if found is None else decode(self._whole(found), lambda inner: self._whole(self._entries()[inner]))

    def __getitem__(self, name: str) -> Media | None:
        return self.get(name)

    def _whole(self, entry: Entry) -> bytes:
        return b"".join(self._bytes(entry))

    def files(self, names: list[str] | None = None, per_page: int = 50, start: object = None) -> Page[ManifestEntry]:  # the W&B signature
        """The entries that are files or references, or those of them that `names` lists."""
        self._committed("files")
        wanted = None if names is None else set(names)
        faces = [
            face
            for path, face in self.manifest.entries.items()
            if face.kind in ("file", "reference") and (wanted is None or path in wanted)
        ]
        return Page.of(faces)

    # ── to disk ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _default_root(self, *, versioned: bool = True) -> Path:
        host, version = self._committed("content")
        collection, number = (version.collection, version.number) if version.source is None else version.source[2:]
        return host.settings.downloads / (f"{collection}:v{number}" if versioned else collection)

    def _write(self, root: str | Path | None, default: Path, **how: Any) -> tuple[Path, Report]:
        host, version = self._committed("content")
        destination = default if root is None else Path(root)
        with progress(f"downloading {version.name}", version.size) as advance:
            report = read.download(host.engine, version, destination, progress=advance, **how)
        for path in report.skipped:
            termwarn(f"{printable(path)} of {version.name} is gone from where it was referenced and was left out")
        return destination, report

    def download(
        self,
        root: str | Path | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: str | Path | None = None,
        multipart: bool | None = None,  # the W&B signature
    ) -> str:
        """The directory that now holds the content: `root`, or `./artifacts/name:vN`. Files that are right stay, others are left alone.

        With `path_prefix` only entries whose path begins so. With `skip_cache` what comes from far away is fetched anew, and not kept.

        Raises:
            Gone: the version was expired or deleted.
            ReferenceMissing, ReferenceChanged: a reference no longer leads to what was pinned.
            DestinationRefused: something stands in the way; nothing was written.
        """
        prefix = None if path_prefix is None else os.fspath(path_prefix)
        how = {"prefix": prefix, "allow_missing_references": allow_missing_references, "use_cache": not skip_cache}
        destination, _ = self._write(root, self._default_root(), **how)
        return str(destination)

    def checkout(self, root: str | Path | None = None) -> str:
        """The directory that now holds the content and nothing else: files the artifact does not know are removed from it."""
        destination, report = self._write(root, self._default_root(versioned=False), exact=True)
        if report.removed:
            termlog(f"removed {report.removed} files from {destination} that {self!r} does not hold")
        return str(destination)

    def file(self, root: str | Path | None = None) -> str:
        """The path of the only file, downloaded.

        Raises:
            UsageError: there is more than one entry, or none.
        """
        if self._draft is None and self.file_count != 1:
            raise UsageError(
                f"{self!r} holds {self.file_count} entries, and file() wants exactly one: use download(), or get_entry(name).download()"
            )
        return self.fetch_entry(next(iter(self._entries())), root)

    def fetch_entry(self, path: str, root: str | Path | None) -> str:
        """Where the bytes of one entry are now, below `root`."""
        destination, _ = self._write(root, self._default_root(), only=path)
        return str(destination / path)

    def give_entry(self, path: str, name: str, draft: Draft) -> None:
        """Let `draft` hold the entry at `path` under `name`."""
        host, version = self._committed("entries")
        entry = self._find(path)
        if entry is None:
            raise KeyError(f"{self!r} has no entry {path!r}")
        draft.adopt([_renamed(entry, name)], host.engine.store(version.domain))

    def verify(self, root: str | Path | None = None) -> None:
        """Return when the directory holds exactly this content. References are not looked at.

        Raises:
            TreeChanged: a `ValueError` that lists files that differ, are missing or do not belong there.
        """
        entries = self._entries().values()
        verify_tree(entries, self._default_root() if root is None else Path(root))
        skipped = sum(entry.kind is Kind.REFERENCE for entry in entries)
        if skipped:
            termwarn(f"{skipped} references of {self!r} were not verified")


def _renamed(entry: Entry, name: str) -> Entry:
    if entry.kind is Kind.REFERENCE and entry.pin is not None:
        return Entry.reference(name, entry.pin, entry.size)
    if entry.digest is None or entry.size is None:
        raise UsageError(f"entry {printable(entry.path)} is a {entry.kind}: only files and references can be shared with another artifact")
    return Entry.file(name, entry.digest, entry.size, executable=entry.executable)
