"""How a reference of an artifact stands: what it pins, what the last look found, since when."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from storage.entry import Pin


class Astray(StrEnum):
    """What is wrong with a version, as pictures and lists show it."""

    ITSELF = "drifted"
    """One of its own references no longer leads to what was pinned."""
    ANCESTOR = "made from drifted"
    """It was made from one of which that is true."""


ASTRAY = frozenset({"drifted", "missing"})
"""States of a reference that no longer leads to what was pinned."""


@dataclass(frozen=True, slots=True)
class ReferenceRecord:
    """A pinned object and its size, by number."""

    id: int
    pin: Pin
    size: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """How one reference entry of one version stood when it was last looked at.

    `first_seen` is when a look first found this state, `last_seen` when the latest look was, `last_ok` when one last found it right
    (`None`: never). A look that could not find out is none.
    """

    version_id: int
    artifact: str
    path: str
    uri: str
    state: str
    first_seen: dt.datetime
    last_seen: dt.datetime
    last_ok: dt.datetime | None

    @property
    def is_astray(self) -> bool:
        """Does it no longer lead to what was pinned?"""
        return self.state in ASTRAY
