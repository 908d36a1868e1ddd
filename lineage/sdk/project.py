"""A project as it can be looked at: its runs, collections, types, sweeps and graph."""

from lineage.actions import find
from lineage.actions.update import preview_default_ttl, protect_alias, set_default_ttl
from lineage.model.names import ProjectPath
from lineage.model.project import ProjectRecord
from lineage.model.retention import TTL
from lineage.sdk.collection import ArtifactCollection, ArtifactType
from lineage.sdk.host import Host
from lineage.sdk.lifetime import warn_due
from lineage.sdk.page import Page
from lineage.sdk.sweep import Sweep


class Project:
    """See the top of this file."""

    def __init__(self, record: ProjectRecord, host: Host) -> None:
        self._record = record
        self._host = host
        self._path = ProjectPath(record.name, record.entity)

    @property
    def id(self) -> str:
        return str(self._record.id)

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def entity(self) -> str:
        return self._record.entity

    @property
    def owner(self) -> str:
        return self._record.entity

    @property
    def path(self) -> list[str]:
        return [self._record.entity, self._record.name]

    @property
    def url(self) -> None:
        """`None`: an embedded store has no pages."""

    @property
    def created_at(self) -> str:
        return self._record.created_at.isoformat()

    def sweeps(self, per_page: int = 50) -> Page[Sweep]:
        """Its sweeps, newest first."""
        found = find.sweeps(self._host.engine, self._path)
        return Page.over(found, lambda each: Sweep(each, self._host), per_page)

    def artifacts_types(self, per_page: int = 50) -> Page[ArtifactType]:
        """The types of its artifacts."""
        found = find.types(self._host.engine, self._path)
        return Page.over(found, lambda each: ArtifactType(each, self._path, self._host), per_page)

    def collections(self, per_page: int = 50) -> Page[ArtifactCollection]:
        """Its collections by name."""
        found = find.collections(self._host.engine, self._path)
        return Page.over(found, lambda each: ArtifactCollection(each, self._host), per_page)

    def set_ttl(self, ttl: TTL, type: str | None = None) -> None:  # noqa: A002  # the field's word
        """How long versions that say nothing themselves are kept, all of them or those of one type: a timedelta, `None` for ever, or
        `ArtifactTTL.INHERIT` for what the project says (of the project: for ever). Which versions become due by that is said in one line.
        """
        warn_due(preview_default_ttl(self._host.engine, self._path, ttl, type))
        set_default_ttl(self._host.engine, self._path, ttl, type)

    def protect_alias(self, alias: str, protect: bool = True) -> None:
        """Keep whichever version carries this alias from expiring and from being deleted, or no longer.

        Raises:
            InvalidName: it is no alias.
            Conflict: every project protects it, so this one cannot give it up.
        """
        protect_alias(self._host.engine, self._path, alias, protect=protect)

    @property
    def protected_aliases(self) -> list[str]:
        """The aliases that keep a version, those of every project (`prod`, `production`, `protected`) included."""
        return find.protected_aliases(self._host.engine, self._path)

    def __repr__(self) -> str:
        return f"<Project {self._record.path}>"
