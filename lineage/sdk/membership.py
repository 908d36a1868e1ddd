"""An artifact seen through a collection it is linked into: a membership, never a copy.

Aliases belong to the membership; content, metadata, tags and lineage to the version itself, which the `source_…` names lead to.
"""

from collections.abc import Sequence
from typing import Any, Self

from lineage.actions import find
from lineage.actions.link import link_version, unlink_version
from lineage.model.artifact import VersionRecord
from lineage.model.errors import UsageError
from lineage.model.names import LATEST, ArtifactPath, check_alias
from lineage.sdk.host import Host, placed
from lineage.sdk.label import listed
from lineage.sdk.page import Page
from lineage.sdk.version import Version


class Membership(Version):
    """See the top of this file."""

    @classmethod
    def of(cls, version: VersionRecord, host: Host) -> Self:
        """The handle of a committed version."""
        raise NotImplementedError

    def save(self, project: str | None = None, settings: object = None) -> None:
        raise NotImplementedError

    def link(self, target_path: str, aliases: Sequence[str] | str | None = None) -> Self:
        """The same version, seen through the collection `[entity/][project/]collection`; drafts are logged first."""
        target = link_target(target_path)
        given = [check_alias(alias) for alias in listed(aliases) if alias != LATEST]
        if self._draft is not None:
            self.save()
        host, version = self._committed("version")
        return type(self).of(link_version(host.engine, version, placed(target, host), given), host)

    def unlink(self) -> None:
        """Take it out of the collection it is linked into.

        Raises:
            UsageError: this is the version itself, not a link.
        """
        host, version = self._committed("version")
        if version.source is None:
            raise UsageError(f"{version.path} is no link: delete() removes the version itself")
        unlink_version(host.engine, version)

    @property
    def is_link(self) -> bool:
        """Was it fetched through a collection it is linked into?"""
        return self._version is not None and self._version.source is not None

    @property
    def linked_artifacts(self) -> Page[Self]:
        """It, through every collection it is linked into."""
        host, version = self._committed("linked_artifacts")
        return Page.of([type(self).of(record, host) for record in find.links(host.engine, version.id)])

    def _source(self, wanted: str) -> tuple[str, str, str, int]:
        version = self.require(wanted)
        return version.source or (version.entity, version.project, version.collection, version.number)

    @property
    def source_artifact(self) -> Self:
        """The version in the collection it was logged to."""
        host, version = self._committed("source_artifact")
        return self if version.source is None else type(self).of(find.version_by_id(host.engine, version.id), host)

    @property
    def source_entity(self) -> str:
        return self._source("source_entity")[0]

    @property
    def source_project(self) -> str:
        return self._source("source_project")[1]

    @property
    def source_name(self) -> str | None:
        return self.name if self._version is None else "{0[2]}:v{0[3]}".format(self._source("source_name"))

    @property
    def source_version(self) -> str:
        return f"v{self._source('source_version')[3]}"

    @property
    def source_qualified_name(self) -> str:
        return "{0[0]}/{0[1]}/{0[2]}:v{0[3]}".format(self._source("source_qualified_name"))

    @property
    def source_collection(self) -> Any:
        return self.source_artifact.collection


def link_target(text: str) -> ArtifactPath:
    """The collection that a link leads into.

    Raises:
        InvalidName, UsageError: it is none; a version or an alias was named too.
    """
    path = ArtifactPath.parse(text)
    if path.selector is not None:
        raise UsageError(f"{text!r} names a version: a link leads into a collection, leave ':{path.selector}' out or give it as aliases=")
    return path
