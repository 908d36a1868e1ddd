"""An entity: who owns projects. A user or a team; in an embedded store the local user is the only one."""

from dataclasses import dataclass
from enum import StrEnum


class EntityKind(StrEnum):
    USER = "user"
    TEAM = "team"


@dataclass(frozen=True, slots=True)
class EntityRecord:
    """An entity as the catalogue keeps it. Its name is fixed for ever and stands in URLs."""

    id: int
    name: str
    kind: EntityKind
