"""An artifact: one immutable version of a collection. Its record, its states, and what a repeated log means."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lineage.model.errors import UsageError
from lineage.model.retention import Policy


class VersionState(StrEnum):
    """`LIVE` can be read. The others are tombstones: name, digest, times and edges remain, content does not.

    `DELETED` was removed by a person, `EXPIRED` by its TTL.
    """

    LIVE = "live"
    EXPIRED = "expired"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """A named series of versions of one type."""

    id: int
    entity: str
    project: str
    name: str
    type: str
    description: str | None = None
    versions: int = 0
    """Live versions in it."""
    created_at: dt.datetime = dt.datetime.fromtimestamp(0, dt.UTC)
    tags: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.name}"


@dataclass(frozen=True, slots=True)
class AliasEvent:
    """An alias moved to a version of a collection, or was taken off."""

    alias: str
    version: str | None
    """`vN` in the collection; the whole path of a version that is not linked into it any more; `None`: the alias was taken off."""
    at: dt.datetime


def require_type(collection: str, held: str, given: str) -> None:
    """Return when a version of type `given` may go into the collection, which holds type `held`.

    Raises:
        UsageError: it may not: a collection is of one type.
    """
    if given != held:
        raise UsageError(f"artifact {collection!r} already exists with type {held!r}, not {given!r}: use that type or another name")


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version as the catalogue keeps it, seen through one collection: its own, or one it is linked into."""

    id: int
    """Its order: drawn in commit order, over all collections."""
    entity: str
    project: str
    collection: str
    collection_id: int
    number: int
    type: str
    digest: str
    size: int
    entries: int
    domain: str
    """The dedup domain its blobs belong to."""
    state: VersionState
    created_at: dt.datetime
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    policy: Policy = Policy()
    expires_at: dt.datetime | None = None
    is_held: bool = False
    is_recorded: bool = False
    """Recorded by digest alone: lineage is kept here, content elsewhere."""
    history_step: int | None = None
    ended_at: dt.datetime | None = None
    reason: str | None = None
    """Why it is a tombstone."""
    source: tuple[str, str, str, int] | None = None
    """Entity, project, collection and number of the version itself, where it is seen through a link."""

    @property
    def name(self) -> str:
        """`collection:vN`."""
        return f"{self.collection}:v{self.number}"

    @property
    def path(self) -> str:
        """`entity/project/collection:vN`."""
        return f"{self.entity}/{self.project}/{self.name}"

    @property
    def is_live(self) -> bool:
        return self.state is VersionState.LIVE
