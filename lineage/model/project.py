"""A project: where runs and collections live together, under one visibility and one dedup domain."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from lineage.model.retention import Policy


class Visibility(StrEnum):
    PRIVATE = "private"
    PUBLIC = "public"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project as the catalogue keeps it."""

    id: int
    entity: str
    name: str
    visibility: Visibility
    domain: str
    """Its dedup domain: bytes are shared within it and with nobody else."""
    policy: Policy = Policy()
    created_at: dt.datetime = dt.datetime.fromtimestamp(0, dt.UTC)
    description: str | None = None

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.name}"
