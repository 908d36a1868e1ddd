"""What every part of an artifact's handle stands on: a draft, or the version it became, and what names that version.

Before it is logged whatever the commit decides raises `ArtifactNotLoggedError`, an `AttributeError`.
"""

from typing import Any

from lineage.actions import find
from lineage.model.artifact import VersionRecord, VersionState
from lineage.model.errors import ArtifactNotLoggedError
from lineage.model.names import ArtifactPath
from lineage.sdk.draft import Draft
from lineage.sdk.host import Host

_STATES = {VersionState.LIVE: "COMMITTED", VersionState.EXPIRED: "EXPIRED", VersionState.DELETED: "DELETED"}
"""A version's state → the word the W&B client has for it."""


class Version:
    """Either `_draft` or `_version` is there; `_host` comes with the version."""

    _host: Host | None
    _draft: Draft | None
    _version: VersionRecord | None

    def _committed(self, wanted: str) -> tuple[Host, VersionRecord]:
        if self._version is None or self._host is None:
            raise ArtifactNotLoggedError(f"{self!r} has no {wanted} yet: log it first, with run.log_artifact(artifact) or artifact.save()")
        return self._host, self._version

    def require(self, wanted: str) -> VersionRecord:
        """The version, for `wanted` of it. Raises: ArtifactNotLoggedError while it is a draft."""
        return self._committed(wanted)[1]

    @property
    def id(self) -> str | None:
        return None if self._version is None else str(self._version.id)

    @property
    def entity(self) -> str:
        return self.require("entity").entity

    @property
    def project(self) -> str:
        return self.require("project").project

    @property
    def name(self) -> str | None:
        """`collection:vN`; of a draft the bare name."""
        return self._version.name if self._version is not None else self._draft.name if self._draft is not None else None

    @property
    def version(self) -> str:
        """`vN`."""
        return f"v{self.require('version').number}"

    @property
    def qualified_name(self) -> str:
        """`entity/project/collection:vN`."""
        return self.require("qualified_name").path

    @property
    def type(self) -> str:
        return self._version.type if self._version is not None else self._draft.type if self._draft is not None else ""

    @property
    def state(self) -> str:
        """`PENDING` while it is a draft, then `COMMITTED`, at last `DELETED` or `EXPIRED`."""
        return "PENDING" if self._version is None else _STATES[self._version.state]

    @property
    def collection(self) -> Any:
        """The collection it was fetched through."""
        host, version = self._committed("collection")
        return host.collection_of(find.collection(host.engine, ArtifactPath(version.collection, None, version.project, version.entity)))

    @property
    def url(self) -> None:
        """`None`: an embedded store has no pages."""
        self.require("url")

    @property
    def commit_hash(self) -> None:
        self.require("commit_hash")

    @property
    def created_at(self) -> str:
        """When it was logged first, ISO 8601, UTC."""
        return self.require("created_at").created_at.isoformat()

    @property
    def updated_at(self) -> str:
        version = self.require("updated_at")
        return (version.ended_at or version.created_at).isoformat()

    @property
    def history_step(self) -> int | None:
        """The step of its run at which it was logged."""
        return self.require("history_step").history_step

    @property
    def incremental(self) -> bool:
        return self._draft is not None and self._draft.incremental

    @property
    def digest_algorithm(self) -> str:
        """The algorithm of `wandb_digest`."""
        return self._draft.digest_algorithm if self._draft is not None else "MD5"
