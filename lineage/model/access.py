"""Who may do what: one table, asked by actions and by nobody else.

In an embedded store there is one actor, the local user, who owns everything there is; the table says so too, so that no action has a
shortcut around it.
"""

from dataclasses import dataclass
from enum import StrEnum

from lineage.model.errors import Denied
from lineage.model.project import Visibility


class Role(StrEnum):
    VISITOR = "visitor"
    OUTSIDER = "outsider"
    SERVICE = "service"
    MEMBER = "member"
    ADMIN = "admin"


class Act(StrEnum):
    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    ADMINISTER = "administer"


_ALL = frozenset(Act)
_WORK = frozenset({Act.READ, Act.WRITE})
_LOOK = frozenset({Act.READ})
_NONE: frozenset[Act] = frozenset()

TABLE: dict[Role, dict[Visibility, frozenset[Act]]] = {
    Role.VISITOR: {Visibility.PRIVATE: _NONE, Visibility.PUBLIC: _LOOK, Visibility.OPEN: _LOOK},
    Role.OUTSIDER: {Visibility.PRIVATE: _NONE, Visibility.PUBLIC: _LOOK, Visibility.OPEN: _WORK},
    Role.SERVICE: {Visibility.PRIVATE: _WORK, Visibility.PUBLIC: _WORK, Visibility.OPEN: _WORK},
    Role.MEMBER: {Visibility.PRIVATE: _WORK, Visibility.PUBLIC: _WORK, Visibility.OPEN: _WORK},
    Role.ADMIN: {Visibility.PRIVATE: _ALL, Visibility.PUBLIC: _ALL, Visibility.OPEN: _ALL},
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking, and what he is where he owns or works."""

    name: str
    role: Role = Role.ADMIN


def authorize(actor: Actor, act: Act, visibility: Visibility, what: str) -> None:
    """Return when the actor may.

    Raises:
        Denied: he may not; the message names him, the act and the thing.
    """
    if act not in TABLE[actor.role][visibility]:
        raise Denied(f"{actor.name} ({actor.role}) may not {act} {what}: ask an administrator of the project")
