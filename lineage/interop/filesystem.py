"""`lineage://` for whatever reads through fsspec: a version is a directory of files that never change.

    lineage://[entity/][project/]collection:vN|alias|digest/path/in/it
    lineage://[entity/]project                    the versions in it that can be read

This is fsspec's interface to us, and nothing is read through fsspec here: bytes come from the store, verified before the first of them is
handed out, or from where a reference lives, exactly as pinned. Read-only, because versions are. An alias means one version for the whole
of a call, `get` and `glob` included; between two calls it may move, a version does not. What was read of a manifest is kept by its digest.

Reading bytes while a run is active records that the run used the version, once, before the first byte; looking (`ls`, `info`, `glob`) does
not, nor does any reading with `use=False`, in a run of `reinit="create_new"`, which is never *the* active one, or in a forked child, which
has no run.
"""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial, wraps
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, cast

from fsspec.spec import AbstractFileSystem

from lineage.actions import read
from lineage.interop.place import Call, Found, Info, contained, directory_info, file_info, named_projects, split
from lineage.model.artifact import VersionRecord
from lineage.model.errors import Gone, ImmutableVersion, InvalidName, NotFound, PathNotFound
from lineage.sdk.active import ACTIVE
from lineage.sdk.api import Api
from lineage.sdk.session import connect
from lineage.sdk.settings import Settings
from lineage.sdk.settings import resolve as settle
from lineage.sdk.terminal import termwarn
from storage.digest import CHUNK, Digest
from storage.entry import Entry, Kind, printable
from storage.listing import Listing

KEPT = 4
"""Manifests of which something is kept."""


def _as_one(name: str) -> Any:
    """The method of that name as fsspec has it, with every alias meaning one version from its beginning to its end."""
    inherited = getattr(AbstractFileSystem, name)

    @wraps(inherited)
    def whole(self: "LineageFileSystem", *arguments: Any, **options: Any) -> Any:
        with self._call():
            return inherited(self, *arguments, **options)

    return whole


class VersionFile(io.BufferedReader):
    """A file of a version, open for reading; it knows its `size`, as readers of fsspec's files expect."""

    def __init__(self, source: BinaryIO) -> None:
        self.size = source.seek(0, io.SEEK_END)
        source.seek(0)
        super().__init__(cast("io.RawIOBase", source), CHUNK)


class LineageFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec is not annotated
    """See the top of this file.

    Options: `home`, `entity` and `project` where those of the settings are not meant; `use=False` to record nothing.
    """

    protocol = "lineage"

    def __init__(
        self, home: str | Path | None = None, entity: str | None = None, project: str | None = None, *, use: bool = True, **options: Any
    ) -> None:
        super().__init__(home=home, entity=entity, project=project, use=use, **options)
        self._stated = {"home": home, "entity": entity, "project": project}
        self._use = use
        self._local = threading.local()
        self._listings: dict[tuple[Path, str, str], Listing] = {}
        self._noted: set[tuple[Path, str, int]] = set()

    @contextmanager
    def _call(self, call: Call | None = None) -> Iterator[Call]:
        """The call that is under way in this thread, `call` or a new one."""
        outer: Call | None = getattr(self._local, "call", None)
        if outer is not None:
            yield outer
            return
        self._local.call = call or Call(Api.of(settle(arguments=self._stated)))
        try:
            yield self._local.call
        finally:
            self._local.call = None

    # ── what is where ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _listing(self, call: Call, version: VersionRecord) -> Listing:
        key = (call.api.settings.place, version.domain, version.digest)
        found = self._listings.get(key)
        if found is None:
            manifest = replace(read.manifest(call.api.engine, version), read=partial(_segment, call.api.settings, version.domain))
            found = self._listings[key] = Listing(manifest)
            for old in list(self._listings)[:-KEPT]:
                self._listings.pop(old, None)
        return found

    def _find(self, call: Call, path: str) -> Found:
        """What lies at a path of a version. Raises: PathNotFound."""
        name, inner = split(path)
        if not name:
            raise PathNotFound(
                f"{printable(path)!r} names no version: write lineage://[entity/][project/]name:alias/path, as in data:latest/a.csv"
            )
        version = call.version(name)
        listing = self._listing(call, version)
        where, entry = listing.resolved(inner)
        if entry is None and not listing.is_directory(where):
            raise PathNotFound(f"{version.path} has no {printable(inner)!r}: list what it has with `lineage ls {version.path}`")
        has_bytes = entry is not None and entry.kind in (Kind.FILE, Kind.REFERENCE)
        return Found(path, version, listing, inner, where, entry if has_bytes else None)

    def info(self, path: str, **_: Any) -> Info:
        """`name`, `size` and `type` of a path, and beside them `version` (the whole name of the version it is in) and `digest`.

        Raises:
            PathNotFound: there is nothing of that name.
        """
        path = self._strip_protocol(path)
        with self._call() as call:
            if split(path)[0]:
                return self._find(call, path).info
            named_projects(call, path)
            return directory_info(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What lies directly in a directory; of a file the file itself.

        Raises:
            PathNotFound: there is nothing of that name.
        """
        path = self._strip_protocol(path)
        with self._call() as call:
            found = sorted(self._children(call, path) if split(path)[0] else contained(call, path), key=itemgetter("name"))
        return found if detail else [each["name"] for each in found]

    def _children(self, call: Call, path: str) -> Iterator[Info]:
        found = self._find(call, path)
        if found.entry is not None:
            yield found.info
            return
        for child, entry in found.listing.children(found.where):
            yield self._info(f"{path}/{child.rpartition('/')[2]}", found.version, entry)

    def _info(self, path: str, version: VersionRecord, entry: Entry | None) -> Info:
        if entry is None:
            return directory_info(path, version)
        return file_info(path, version, entry) if entry.target is None else self.info(path)

    def find(self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **options: Any) -> Any:
        """Every file below a path, by name; with `withdirs` the directories too, with `detail` name → info. Links to directories are left out."""
        path = self._strip_protocol(path)
        with self._call() as call:
            if not split(path)[0]:
                return super().find(path, maxdepth, withdirs, detail, **options)
            start = self._find(call, path)
            found = [start.info]
            if start.entry is None:
                below = start.listing.below(start.where, maxdepth)
                found += (self._info(f"{path}/{child[len(start.where) :].lstrip('/')}", start.version, entry) for child, entry in below)
        wanted = ("file", "directory") if withdirs else ("file",)
        named = {each["name"]: each for each in sorted(found, key=itemgetter("name")) if each["type"] in wanted}
        return named if detail else list(named)

    def walk(self, path: str, maxdepth: int | None = None, topdown: bool = True, on_error: Any = "omit", **options: Any) -> Iterator[Any]:
        """As `os.walk`, one version from its first step to its last."""
        with self._call() as call:
            steps = super().walk(path, maxdepth, topdown, on_error, **options)
        while True:
            with self._call(call):
                step = next(steps, None)
            if step is None:
                return
            yield step

    def exists(self, path: str, **options: Any) -> bool:
        """Is there such a path in a version that can be read? A store that cannot be asked is an error, not a no."""
        try:
            self.info(path, **options)
        except (NotFound, Gone, InvalidName):
            return False
        return True

    # ── what identifies it ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def ukey(self, path: str) -> str:
        """What changes when the content does, and never else: a file's digest, a reference's pin, a directory's version and path."""
        path = self._strip_protocol(path)
        with self._call() as call:
            found = self._find(call, path)
        if found.entry is None:
            return f"{found.version.digest}/{found.where}"
        return str(found.entry.digest or Digest.of(repr((found.entry.pin, found.entry.size)).encode()))

    def checksum(self, path: str) -> int:
        return int(Digest.of(self.ukey(path).encode()).value, 16)

    def created(self, path: str) -> Any:
        """When the version was logged first."""
        return self.info(path).get("created")

    modified = created

    # ── bytes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self, path: str, mode: str = "rb", **_: Any) -> "VersionFile":
        path = self._strip_protocol(path)
        if mode != "rb":
            self._refuse(path)
        with self._call() as call:
            found = self._find(call, path)
            if found.entry is None:
                raise IsADirectoryError(f"{path} is a directory of {found.version.path}: open a file in it, or get(…, recursive=True)")
            self._note(call, found.version)
            return VersionFile(read.open_entry(call.api.engine, found.version, found.entry))

    def _note(self, call: Call, version: VersionRecord) -> None:
        """Record that the active run used the version."""
        run = ACTIVE.current
        if not self._use or run is None or run.disabled:
            return
        home = call.api.engine.home.root
        if run.engine.home.root != home:
            termwarn(f"{version.path} is read from {home}, which is not the run's store: the use is not recorded", repeat=False)
        elif (home, run.path, version.id) not in self._noted:
            run.use_artifact(call.api.artifact_of(version))
            self._noted.add((home, run.path, version.id))

    def cat_ranges(
        self, paths: list[str], starts: Any, ends: Any, max_gap: int | None = None, on_error: str = "return", **_: Any
    ) -> list[Any]:
        """The bytes of each range, or the error that kept them; a file that several are of is opened, and verified, once."""
        ranges = list(zip(*(each if isinstance(each, list) else [each] * len(paths) for each in (starts, ends)), strict=True))
        found: list[Any] = [None] * len(paths)
        with self._call():
            for path in dict.fromkeys(paths):
                wanted = [at for at, other in enumerate(paths) if other == path]
                try:
                    with self._open(path) as file:
                        for at in wanted:
                            found[at] = _range(file, *ranges[at])
                except Exception as error:  # fsspec's contract: returned in its place unless `on_error` says otherwise
                    if on_error != "return":
                        raise
                    for at in wanted:
                        found[at] = error
        return found

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The bytes of a file, or of a part of it as slicing would cut it."""
        with self._call(), self._open(path) as file:
            return _range(file, start, end)

    cat, get, get_file = map(_as_one, ("cat", "get", "get_file"))
    glob, du, expand_path = map(_as_one, ("glob", "du", "expand_path"))

    # ── what a version does not allow ─────────────────────────────────────────────────────────────────────────────────────────────

    def _refuse(self, *paths: Any, **_: Any) -> Any:
        raise ImmutableVersion(
            f"{paths[0] if paths else 'lineage://'} cannot be written to: versions never change."
            " Log a new one, with run.log_artifact(…) or `lineage put`"
        )

    mkdir = makedirs = rmdir = rm = rm_file = _rm = cp_file = copy = mv = touch = pipe = pipe_file = put = put_file = _refuse


def _segment(settings: Settings, domain: str, digest: Digest) -> bytes:
    """A piece of a manifest, by the engine this process has now: a forked child has another than its parent."""
    return connect(settings).store(domain).read(digest)


def _range(file: VersionFile, start: int | None, end: int | None) -> bytes:
    """Bytes `start` to `end`, both counted from the end when they are negative."""
    begin, stop, _ = slice(start, end).indices(file.size)
    file.seek(begin)
    return file.read(max(stop - begin, 0))
