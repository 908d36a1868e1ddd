"""What a path of `lineage://` names: the store's projects, a project's versions, or what lies in one version; and what is told of it.

    [entity/][project/]collection:vN|alias|digest[/path in it]        the first part with a colon ends the name of the version
    [entity/]project                                                  no part has one: the versions in that project
    (nothing)                                                         the projects

What is told is a dictionary as fsspec wants it: `name` (the path as it was given, so that a glob finds it again), `size`, `type`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lineage.actions import find
from lineage.model.artifact import VersionRecord
from lineage.model.errors import InvalidName, NotFound, PathNotFound
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.sdk.api import Api
from lineage.sdk.host import placed
from storage.entry import Entry, printable
from storage.listing import Listing

Info = dict[str, Any]


@dataclass
class Call:
    """One call of the file system: where it asks, and which version each name meant when it was first asked for."""

    api: Api
    versions: dict[str, VersionRecord] = field(default_factory=dict)

    def version(self, name: str) -> VersionRecord:
        if name not in self.versions:
            try:
                self.versions[name] = find.require_live(self.api.version_of(name))
            except NotFound as error:
                raise PathNotFound(str(error)) from error
        return self.versions[name]


@dataclass(frozen=True)
class Found:
    """What a path of a version leads to: `where` in the version that is, links followed; no entry means a directory."""

    path: str
    version: VersionRecord
    listing: Listing
    inner: str
    where: str
    entry: Entry | None

    @property
    def info(self) -> Info:
        about = directory_info(self.path, self.version) if self.entry is None else file_info(self.path, self.version, self.entry)
        if self.where == self.inner:
            return about
        return about | {"islink": True, "destination": self.where} | ({"type": "link"} if self.entry is None else {})


def split(path: str) -> tuple[str, str]:
    """The name of the version and the path in it; no name where the path ends before one."""
    parts = path.split("/")
    at = next((number for number, part in enumerate(parts) if ":" in part), None)
    return ("", path) if at is None else ("/".join(parts[: at + 1]), "/".join(parts[at + 1 :]))


def named_projects(call: Call, path: str) -> list[ProjectPath]:
    """The project that the path names, or all of them where it names none. Raises: PathNotFound."""
    if not path:
        return [ProjectPath(each.name, each.entity) for each in find.projects(call.api.engine)]
    try:
        place = placed(ProjectPath.parse(path), call.api)
        find.project(call.api.engine, place)
    except (NotFound, InvalidName) as error:
        hint = f"write lineage://[entity/][project/]name:alias/path, as in {path.rstrip('/')}:latest" if "/" in path else str(error)
        raise PathNotFound(f"{printable(path)!r} is no project: {hint}") from error
    return [place]


def contained(call: Call, path: str) -> Iterator[Info]:
    """The projects of the store, or the versions of a project that can be read."""
    places = named_projects(call, path)
    if not path:
        yield from (directory_info(f"{place.entity}/{place.project}") for place in places)
        return
    for collection in find.collections(call.api.engine, places[0]):
        series = ArtifactPath(collection.name, None, collection.project, collection.entity)
        for version in reversed(find.versions(call.api.engine, series)):
            if not version.is_recorded:
                yield directory_info(f"{path}/{version.name}", version)


def directory_info(path: str, version: VersionRecord | None = None) -> Info:
    of = {} if version is None else {"version": version.path, "created": version.created_at}
    return {"name": path, "size": 0, "type": "directory", **of}


def file_info(path: str, version: VersionRecord, entry: Entry) -> Info:
    return {
        "name": path,
        "size": entry.size,
        "type": "file",
        "digest": None if entry.digest is None else str(entry.digest),
        "version": version.path,
        "created": version.created_at,
        "executable": entry.executable,
        **({} if entry.pin is None else {"uri": entry.pin.uri, **entry.extra}),
    }
