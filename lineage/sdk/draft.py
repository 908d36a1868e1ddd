"""An artifact while it is being built: its entries, and the session that holds their bytes.

Bytes are taken when they are added, so a file that changes afterwards changes nothing here. Entries go in all together or not at all,
after the names were judged: one path holds one thing, nothing is file and directory at once, and no two names are one name in two Unicode
spellings. Nothing of a draft exists for anybody else until `log_version` has committed it; a draft that is dropped leaves nothing.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lineage.model.artifact import VersionRecord
from lineage.model.document import check_document
from lineage.model.errors import ArtifactFinalizedError, UsageError
from lineage.model.names import check_collection, check_type
from lineage.model.retention import Policy
from lineage.sdk.manifest import wandb_algorithm
from lineage.sdk.terminal import termwarn
from lineage.sdk.tree import Tree
from storage.blob.session import Session
from storage.blob.store import Store
from storage.entry import Entry, Kind, canonical_path, check_path, printable
from storage.transfer.statcache import StatCache


class Draft:
    """See the top of this file. `place` says which store takes the bytes, and is asked when the first of them come."""

    def __init__(
        self,
        name: str | None,
        type: object,  # noqa: A002  # the W&B word
        place: Callable[[], tuple[Store, StatCache]],
        *,
        description: str | None = None,
        metadata: object = None,
        incremental: bool = False,
        digest_algorithm: str = "MD5",
    ) -> None:
        if type is None:
            raise UsageError(f"artifact {name!r} has no type: pass type='dataset', 'model' or whatever it is")
        self.name = None if name is None else check_collection(name)
        self.type = check_type(type)
        self.description = description
        self.metadata: dict[str, Any] = check_document(metadata)
        self.incremental = bool(incremental)
        self.digest_algorithm = digest_algorithm.upper()
        wandb_algorithm(self.digest_algorithm)
        self.policy = Policy()
        self.tree = Tree()
        self.base: VersionRecord | None = None
        self.is_final = False
        self.is_spent = False
        self.local: dict[str, str] = {}
        """Entry path → the file it was added from."""
        self.media: dict[int, str] = {}
        """Identity of a medium → the name it was added under; `kept` keeps those identities from being given again."""
        self.kept: list[object] = []
        self._place = place
        self._store: Store | None = None
        self._trees = StatCache()
        self._session: Session | None = None

    @property
    def store(self) -> Store:
        """The store that takes the bytes."""
        if self._store is None:
            self._store, self._trees = self._place()
        return self._store

    @property
    def trees(self) -> StatCache:
        """What is remembered of directories that such a store took in."""
        return self._trees if self.store else StatCache()

    @property
    def session(self) -> Session:
        if self._session is None:
            self._session = self.store.session()
        return self._session

    def place_in(self, store: Store, trees: StatCache) -> None:
        """Take bytes into this very store, whatever run is active."""
        self._store, self._trees = store, trees

    def require_open(self) -> None:
        """Return while entries may still be added.

        Raises:
            ArtifactFinalizedError: they may not.
        """
        if self.is_final:
            raise ArtifactFinalizedError(f"artifact {self.name!r} is finalised: build another with new_draft() once it is logged")

    def path_for(self, given: object, *, overwrite: bool = False) -> str:
        """The entry path that `given` means: judged, and made canonical where nobody else has that name.

        Raises:
            InvalidPath: no manifest may hold it.
            UsageError: it is not canonical, and the canonical path is taken.
        """
        text: Any = os.fspath(given) if isinstance(given, os.PathLike) else given
        canonical = canonical_path(text) if isinstance(text, str) else text
        if isinstance(text, str) and canonical and canonical != text:
            check_path(canonical)
            if canonical in self.tree.entries and not overwrite:
                raise UsageError(f"entry path {text!r} means {canonical!r}, which is taken: write it out, or remove that entry first")
            termwarn(f"entry path {text!r} is kept as {canonical!r}")
        return check_path(canonical)

    def put(self, entries: Sequence[Entry], *, overwrite: bool = False) -> None:
        """Hold all of `entries`; what they replace is said.

        Raises:
            UsageError: listing those that cannot be; nothing was added.
        """
        replaced = self.tree.put(entries, overwrite=overwrite)
        if replaced:
            shown = ", ".join(printable(entry.path) for entry in replaced[:3])
            termwarn(f"replaced {shown}{' and others' if len(replaced) > 3 else ''} in artifact {self.name!r}")

    def take_bytes(self, files: Mapping[str, bytes], *, overwrite: bool = False) -> list[Entry]:
        """The entries of bytes that are in memory."""
        paths = {self.path_for(path, overwrite=overwrite): data for path, data in files.items()}
        entries = []
        for path, data in paths.items():
            blob = self.session.take_bytes(data)
            entries.append(Entry.file(path, blob.digest, blob.size))
        self.put(entries, overwrite=overwrite)
        return entries

    def take_file(self, source: Path, path: str, *, stable: bool, overwrite: bool) -> Entry:
        """The entry of a file, its bytes taken now."""
        taken = self.session.take_file(source, stable=stable)
        entry = Entry.file(path, taken.blob.digest, taken.blob.size, executable=taken.executable)
        self.put([entry], overwrite=overwrite)
        self.local[path] = str(source)
        return entry

    def adopt(self, entries: Iterable[Entry], source: Store) -> None:
        """Hold entries of a committed version, whose bytes are in `source`; nothing is copied within one domain."""
        kept = list(entries)
        if source.domain == self.store.domain:
            digests = [entry.digest for entry in kept if entry.digest is not None]
            self.session.keep(record.blob for record in source.locate(digests).values())
        else:
            _copy(kept, source.read, self.session)
        self.put(kept)

    def read(self, entry: Entry) -> Iterable[bytes]:
        """The bytes of one of the draft's own files."""
        if entry.digest is None:
            raise UsageError(f"entry {printable(entry.path)} is a {entry.kind}: it has no bytes here")
        self.session.settle([entry.digest])
        self.session.publish()
        return self.store.pieces(self.session.record(entry.digest))

    def settle(self, store: Store) -> Session:
        """The session with all bytes, on `store`; what another domain took is copied over.

        Raises:
            StoreFull, ReadOnlyStore: the store cannot take it; the draft is as it was.
        """
        if self._store is not None and self._store.domain != store.domain:
            moved = store.session()
            _copy(self.tree.entries.values(), lambda digest: b"".join(self.store.pieces(self.session.record(digest))), moved, self.session)
            self.session.close()
            self._session = moved
        self._store = store
        return self.session

    def spend(self) -> list[Entry]:
        """The entries, for the one commit that may have them: it ends the session, whatever comes of it.

        Raises:
            UsageError: there was one already, and it failed.
        """
        if self.is_spent:
            raise UsageError(f"logging artifact {self.name!r} failed before and its content was given up: build it again")
        self.is_spent = True
        return list(self.tree.entries.values())

    def close(self) -> None:
        """Drop what was taken and not committed."""
        if self._session is not None:
            self._session.close()
            self._session = None


def _copy(entries: Collection[Entry], read: Callable[[Any], bytes], into: Session, source: Session | None = None) -> None:
    if source is not None:
        source.settle(entry.digest for entry in entries if entry.digest is not None)
        source.publish()
    for entry in entries:
        if entry.kind is Kind.FILE and entry.digest is not None:
            into.take_bytes(read(entry.digest))
