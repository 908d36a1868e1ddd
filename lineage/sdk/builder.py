"""The half of an artifact that takes things in: files, directories, references, media. All of it ends when the artifact is logged.

Every method judges names before it reads a byte, and a call that raises has added nothing. The user's files are only ever read.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from lineage.model.errors import ArtifactFinalizedError, UsageError
from lineage.sdk.draft import Draft
from lineage.sdk.entry import SCHEMES, ManifestEntry
from lineage.sdk.host import default_host
from lineage.sdk.media import KINDS, Media, entry_name
from lineage.sdk.progress import progress
from lineage.sdk.terminal import termlog, termwarn
from storage.entry import canonical_path, printable
from storage.transfer import reference
from storage.transfer.collector import paused
from storage.transfer.ingest import ingest_tree
from storage.transfer.scan import Follow, scan

POLICIES = ("mutable", "immutable")


class Builder:
    """See the top of this file. `_draft` is `None` once the artifact is logged."""

    _draft: Draft | None

    def _open_draft(self) -> Draft:
        if self._draft is None:
            raise ArtifactFinalizedError(f"{self!r} is logged and cannot change: start from new_draft()")
        self._draft.require_open()
        return self._draft

    def _face(self, path: str) -> ManifestEntry:
        raise NotImplementedError

    def add_file(
        self,
        local_path: str | Path,
        name: str | None = None,
        is_tmp: bool = False,
        skip_cache: bool = False,  # the W&B signature
        policy: str = "mutable",
        overwrite: bool = False,
    ) -> ManifestEntry:
        """The entry of a file, whose bytes are taken now. `immutable` promises that nobody writes to it any more, which saves a copy.

        Raises:
            UsageError: not a file, another policy, or the path is taken by other content and `overwrite` is false.
            InvalidPath: a name no manifest may hold.
        """
        draft = self._open_draft()
        _check_policy(policy)
        source = Path(os.path.realpath(os.fspath(local_path)))
        if not source.exists() or source.is_dir():
            raise UsageError(f"{printable(str(local_path))} is not a file: {'use add_dir' if source.is_dir() else 'check the path'}")
        path = draft.path_for(name if name is not None else Path(local_path).name, overwrite=overwrite)
        entry = draft.take_file(source, path, stable=policy == "immutable", overwrite=overwrite)
        draft.local[path] = str(local_path)
        if is_tmp and entry.digest is not None:
            draft.tree.remove(path)
            folder, _, base = path.rpartition("/")
            path = f"{folder}/" * bool(folder) + entry.digest.value[:20] + "".join(Path(base).suffixes)
            draft.take_file(source, path, stable=policy == "immutable", overwrite=True)
        return self._face(path)

    def add_dir(
        self,
        local_path: str | Path,
        name: str | None = None,
        skip_cache: bool = False,
        policy: str = "mutable",
        merge: bool = False,
        follow: Follow = "inside",
    ) -> None:
        """Take everything in a directory, empty directories and links that stay inside it included.

        A file that looks, by inode, size and times, as it did when this machine last read it, is not read again; with `skip_cache` it is.
        `merge` lets changed files replace what was added before. `follow="all"` follows links that lead outside.

        Raises:
            UsageError: not a directory, or paths that are taken by other content; nothing was added.
            UnsafeLink, UnsupportedFile, Unreadable, InvalidPath: listing what cannot be stored; nothing was read.
        """
        draft = self._open_draft()
        _check_policy(policy)
        if not Path(local_path).is_dir():
            raise UsageError(
                f"{printable(str(local_path))} is not a directory: {'use add_file' if Path(local_path).exists() else 'check the path'}"
            )
        under = "" if name is None or canonical_path(name) == "" else draft.path_for(name, overwrite=True)
        found = scan(Path(local_path), follow=follow)
        with progress(f"adding {local_path}", found.size) as advance:
            entries = ingest_tree(found, draft.session, prefix=under, cache=draft.trees, is_trusted=not skip_cache, progress=advance)
        with paused():
            draft.put(list(entries), overwrite=merge)
            names = (f"{under}/{file.path}" for file in found.files) if under else (file.path for file in found.files)
            draft.local.update(zip(names, found.sources(), strict=True))
        for skipped in found.skipped:
            termlog(f"left out {skipped.path}: {skipped.reason}")

    def add_reference(
        self,
        uri: "str | ManifestEntry",
        name: str | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
        allow_empty: bool = False,
    ) -> list[ManifestEntry]:
        """The entries of what `uri` names now: one object, or every object below a prefix, each pinned by ETag, version id and size.

        An entry of another artifact may be given instead, or its `ref_url()`: then this artifact holds the same content.

        Raises:
            NotFound, KeyError: there is no such artifact, or no such entry of it.
            InvalidReference, TooManyObjects: the URI cannot be pinned as asked; nothing was added.
            ReferenceMissing, Unreadable, RemoteUnavailable: it is not there, or could not be found out.
        """
        draft = self._open_draft()
        if isinstance(uri, str) and uri.startswith(SCHEMES):
            uri = _entry_at(uri)
        if isinstance(uri, ManifestEntry):
            return [self._add_entry(draft, uri, name)]
        path = None if name is None else draft.path_for(name, overwrite=True)
        own = default_host().settings.kept_at
        entries = reference.pin(str(uri), path, checksum=checksum, max_objects=max_objects, allow_empty=allow_empty, own=own)
        draft.put(entries)
        unverified = reference.unverified(entries) if checksum else None
        if unverified:
            termwarn(f"{printable(str(uri))}: {unverified}")
        return [self._face(entry.path) for entry in entries]

    def _add_entry(self, draft: Draft, entry: ManifestEntry, name: str | None) -> ManifestEntry:
        path = draft.path_for(name if name is not None else entry.path)
        entry.parent_artifact().give_entry(entry.path, path, draft)
        return self._face(path)

    @contextmanager
    def new_file(self, name: str, mode: str = "x", encoding: str | None = None, policy: str = "mutable") -> Iterator[IO[Any]]:
        """A file to write to, which is added when the block ends without an exception.

        Raises:
            InvalidPath, UsageError: the name cannot be, or is taken.
        """
        draft = self._open_draft()
        _check_policy(policy)
        path = draft.path_for(name)
        if path in draft.tree.entries:
            raise UsageError(f"artifact {draft.name!r} holds {printable(path)} already: remove it first, or choose another name")
        if not set(mode) & set("xwa"):
            raise FileNotFoundError(f"new_file({name!r}, mode={mode!r}) would open a file that is not there yet: use 'x', 'w', 'a' or 'wb'")
        folder = Path(tempfile.mkdtemp(prefix="lineage-"))
        try:
            with (folder / "new").open(mode, encoding=None if "b" in mode else encoding or "utf-8") as file:
                yield file
            draft.take_file(folder / "new", path, stable=True, overwrite=False)
            draft.local.pop(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, obj: Media, name: str, overwrite: bool = False) -> ManifestEntry:
        """The entry of a medium: a `Table`, `Image`, `Html` or `Histogram`. The same object twice gives the same entry.

        Raises:
            UsageError: no such medium, or the name is taken by other content.
        """
        draft = self._open_draft()
        if not isinstance(obj, Media):
            raise UsageError(
                f"add takes a medium ({', '.join(kind.__name__ for kind in KINDS.values())}), not {type(obj).__name__}: use add_file"
            )
        known = draft.media.get(id(obj))
        if known == name and not overwrite:
            return self._face(entry_name(name, obj.kind))
        draft.take_bytes(obj.encode(draft.path_for(name, overwrite=True)), overwrite=overwrite)
        draft.media[id(obj)] = name
        draft.kept.append(obj)
        return self._face(entry_name(name, obj.kind))

    def __setitem__(self, name: str, item: Media) -> None:
        self.add(item, name)

    def get_added_local_path_name(self, local_path: str | Path) -> str | None:
        """The path under which a local file was added, or `None`."""
        wanted = Path(local_path).absolute()
        added = self._draft.local.items() if self._draft is not None else ()
        return next((path for path, source in added if Path(source).absolute() == wanted), None)

    def remove(self, item: "str | Path | ManifestEntry") -> None:
        """Take an entry, or everything below a directory, out of the draft.

        Raises:
            Missing: nothing is there.
        """
        draft = self._open_draft()
        path = item.path if isinstance(item, ManifestEntry) else os.fspath(item)
        for gone in draft.tree.remove(canonical_path(path)):
            draft.local.pop(gone, None)

    def finalize(self) -> None:
        """From now on nothing can be added; logging does this by itself."""
        if self._draft is not None:
            self._draft.is_final = True


def _entry_at(uri: str) -> ManifestEntry:
    number, _, path = uri.partition("://")[2].partition("/")
    host = default_host()
    entry: ManifestEntry = host.artifact_of(host.version_of(f"{SCHEMES[1]}_id/{number}")).get_entry(path)
    return entry


def _check_policy(policy: str) -> None:
    if policy not in POLICIES:
        raise UsageError(f"policy {policy!r}: choose one of {', '.join(POLICIES)}")
