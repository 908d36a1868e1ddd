"""Collections of versions, and the types they are of."""

from typing import Any

from lineage.actions import find
from lineage.actions.delete import delete_collection
from lineage.actions.update import update_collection
from lineage.model.artifact import AliasEvent, CollectionRecord
from lineage.model.errors import NotFound
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.sdk.host import Host
from lineage.sdk.page import Page


class ArtifactCollection:
    """A named series of versions of one type. Name, description and tags may be edited; `save` pushes them."""

    def __init__(self, record: CollectionRecord, host: Host) -> None:
        self._host = host
        self._settle(record)

    def _settle(self, record: CollectionRecord) -> None:
        self._record = record
        self.name = record.name
        self.description = record.description
        self.tags = list(record.tags)

    @property
    def _path(self) -> ArtifactPath:
        return ArtifactPath(self._record.name, None, self._record.project, self._record.entity)

    @property
    def id(self) -> str:
        return str(self._record.id)

    @property
    def entity(self) -> str:
        return self._record.entity

    @property
    def project(self) -> str:
        return self._record.project

    @property
    def type(self) -> str:
        return self._record.type

    @property
    def created_at(self) -> str:
        return self._record.created_at.isoformat()

    @property
    def aliases(self) -> list[str]:
        """Every alias that stands on one of its versions."""
        found = find.versions(self._host.engine, self._path)
        return list(dict.fromkeys(alias for version in found for alias in version.aliases))

    def alias_history(self) -> list[AliasEvent]:
        """Where its aliases stood and since when, oldest first; `latest`, which the store moves itself, is not among them."""
        return find.alias_history(self._host.engine, self._path)

    def artifacts(self, per_page: int = 50) -> Page[Any]:
        """Its versions, newest first, those linked into it included."""
        found = find.versions(self._host.engine, self._path)
        return Page.over(found, self._host.artifact_of, per_page)

    versions = artifacts

    def is_sequence(self) -> bool:
        """Does it own a version, or has it none yet? A collection of links only is a portfolio."""
        found = find.versions(self._host.engine, self._path, with_tombstones=True)
        return not found or any(version.source is None for version in found)

    def save(self) -> None:
        """Push name, description and tags."""
        self._settle(update_collection(self._host.engine, self._path, name=self.name, description=self.description, tags=self.tags))

    def delete(self) -> None:
        """Make tombstones of its versions and take its links out."""
        delete_collection(self._host.engine, self._path)

    def __len__(self) -> int:
        return self._record.versions

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<ArtifactCollection {self._record.path} ({self.type}), {self._record.versions} versions>"


class ArtifactType:
    """All collections of one type in a project."""

    def __init__(self, name: str, path: ProjectPath, host: Host) -> None:
        self.name = name
        self._path = path
        self._host = host

    def collections(self, per_page: int = 50) -> Page[ArtifactCollection]:
        """Its collections by name."""
        found = find.collections(self._host.engine, self._path, self.name)
        return Page.over(found, self._host.collection_of, per_page)

    def collection(self, name: str) -> ArtifactCollection:
        """Its collection of that name. Raises: NotFound, also when it is of another type."""
        record = find.collection(self._host.engine, ArtifactPath(name, None, self._path.project, self._path.entity))
        if record.type != self.name:
            raise NotFound(f"{record.path} is of type {record.type!r}, not {self.name!r}")
        return ArtifactCollection(record, self._host)

    def __repr__(self) -> str:
        return f"<ArtifactType {self.name}>"
