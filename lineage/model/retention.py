"""How long a version is kept, decided without touching anything.

A version's TTL counts from its creation. It is given (a positive `timedelta`), switched off (`None`: never, whatever the defaults say) or
inherited: from the collection's type, then the project, then nobody, which means never. `due` is the moment it may go.

Expiry marks, and only marks: a version that is due becomes a tombstone, its name, digest, times and edges stay, and only reclaim frees
bytes. What is held, protected or in use is skipped, and each skip has its reason. Clocks are not trusted: one that stands behind the last
run, or has leapt far ahead of it, makes the plan ask before anything goes.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from lineage.model.errors import InvalidPolicy

LEAP = dt.timedelta(hours=48)
"""A clock this far ahead of the last run has leapt."""
BACKSLIDE = dt.timedelta(minutes=5)
"""A clock this far behind the last run went backward."""
MOST_WITHOUT_ASKING = 1000
"""Versions one run expires without confirmation, or a tenth of all there are if that is more."""
PROTECTED_ALIASES = frozenset({"prod", "production", "protected"})
"""Aliases that keep a version from expiring, besides those a project protects itself."""


class ArtifactTTL(Enum):
    """`ArtifactTTL.INHERIT`: whatever the collection's type or the project says."""

    INHERIT = 0


_SECOND = dt.timedelta(seconds=1)

TTL = dt.timedelta | None | ArtifactTTL


@dataclass(frozen=True, slots=True)
class Policy:
    """A TTL as it is kept: `inherit`, or `seconds`, where `None` means never."""

    inherit: bool = True
    seconds: int | None = None

    @classmethod
    def of(cls, value: object) -> "Policy":
        """The policy a user's value states; any positive length counts, rounded up to a second.

        Raises:
            InvalidPolicy: not a timedelta, `None` or `ArtifactTTL.INHERIT`, or not positive.
        """
        if value is None:
            return cls(False, None)
        if isinstance(value, ArtifactTTL):
            return cls()
        if not isinstance(value, dt.timedelta):
            raise InvalidPolicy(f"ttl {value!r} must be a datetime.timedelta, None (never) or ArtifactTTL.INHERIT")
        if value <= dt.timedelta(0):
            raise InvalidPolicy(f"ttl {value} must be positive; None means never")
        seconds, rest = divmod(value, _SECOND)
        return cls(False, min(seconds + bool(rest), dt.timedelta.max // _SECOND))

    def effective(self, *defaults: "Policy") -> "Policy":
        """The first policy, from this one through `defaults`, that does not inherit; never, if all do."""
        return next((policy for policy in (self, *defaults) if not policy.inherit), Policy(False, None))

    def due(self, created: dt.datetime) -> dt.datetime | None:
        """When a version created then may go, or `None` for never."""
        if self.inherit or self.seconds is None:
            return None
        try:
            return created + dt.timedelta(seconds=self.seconds)
        except OverflowError:
            return None

    @property
    def value(self) -> TTL:
        if self.inherit:
            return ArtifactTTL.INHERIT
        return None if self.seconds is None else dt.timedelta(seconds=self.seconds)


class Origin(StrEnum):
    """Who states the TTL that applies to a version; the first of them that does."""

    VERSION = "version"
    TYPE = "type"
    PROJECT = "project"
    NOBODY = "nobody"


class Verdict(StrEnum):
    EXPIRE = "expire"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version whose time has come, and what may hold it."""

    version: int
    name: str
    """`entity/project/collection:vN`"""
    size: int
    due: dt.datetime
    why_due: str
    is_held: bool = False
    protected_by: tuple[str, ...] = ()
    in_use_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One version of a plan: what will happen to it and why."""

    version: int
    name: str
    size: int
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What an expiry would do, at `now`. `doubts` are the reasons to ask a person first; without doubts it may run by itself."""

    now: dt.datetime
    lines: tuple[Line, ...]
    doubts: tuple[str, ...] = ()

    @property
    def expiring(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.verdict is Verdict.EXPIRE)

    @property
    def skipped(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.verdict is Verdict.SKIP)

    @property
    def size(self) -> int:
        """Bytes the expiring versions stand for; what reclaim can free may be less, where others share them."""
        return sum(line.size for line in self.expiring)


def moment(wall: dt.datetime, high_water: dt.datetime | None) -> tuple[dt.datetime, tuple[str, ...]]:
    """The time a plan goes by, which never runs backward, and the doubts that the clock raises."""
    if high_water is None:
        return wall, ()
    now = max(wall, high_water)
    if wall < high_water - BACKSLIDE:
        return now, (f"the clock says {wall:%Y-%m-%d %H:%M}, earlier than the last run at {high_water:%Y-%m-%d %H:%M}",)
    if wall > high_water + LEAP:
        return now, (f"the clock is {_days(wall - high_water)} ahead of the last run at {high_water:%Y-%m-%d %H:%M}",)
    return now, ()


def plan(candidates: Sequence[Candidate], now: dt.datetime, doubts: Sequence[str], versions: int) -> Plan:
    """What to do with each candidate, oldest due first. `versions` is how many live versions there are in all."""
    lines = tuple(_judge(candidate) for candidate in sorted(candidates, key=lambda found: (found.due, found.version)))
    expiring = sum(line.verdict is Verdict.EXPIRE for line in lines)
    most = max(MOST_WITHOUT_ASKING, versions // 10)
    many = (f"{expiring:,} versions would expire at once, more than {most:,}",) if expiring > most else ()
    return Plan(now, lines, (*doubts, *many))


def _judge(candidate: Candidate) -> Line:
    holds = (
        (candidate.is_held, "held"),
        (bool(candidate.protected_by), f"protected by alias {', '.join(candidate.protected_by)}"),
        (bool(candidate.in_use_by), f"in use by running {', '.join(candidate.in_use_by)}"),
    )
    reason = next((text for holds_it, text in holds if holds_it), None)
    if reason is not None:
        return Line(candidate.version, candidate.name, candidate.size, Verdict.SKIP, f"{candidate.why_due}, but {reason}")
    return Line(candidate.version, candidate.name, candidate.size, Verdict.EXPIRE, candidate.why_due)


def _days(span: dt.timedelta) -> str:
    return f"{span.days} days" if span.days >= 2 else f"{span.total_seconds() / 3600:.0f} hours"
