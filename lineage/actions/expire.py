"""Expire what is due, and nothing else: a plan with a reason per version first, then each version judged once more in its own transaction."""

from dataclasses import dataclass, replace

from lineage.actions.finish import end_crashed
from lineage.actions.open import Engine, frees, require_project
from lineage.catalog import retention as facts
from lineage.catalog import version as versions
from lineage.catalog.column import chunks, instant, moment
from lineage.model.access import Act
from lineage.model.artifact import VersionState
from lineage.model.errors import Conflict
from lineage.model.names import ProjectPath
from lineage.model.retention import Line, Plan, Verdict, plan
from lineage.model.retention import moment as trusted_moment

TOGETHER = 200
"""Versions one transaction expires: few enough that nobody waits long for the catalogue."""


@dataclass(frozen=True, slots=True)
class Expired:
    """What became a tombstone, and what did not after all and why."""

    expired: tuple[Line, ...]
    skipped: tuple[Line, ...]


def plan_expiry(engine: Engine, path: ProjectPath | None = None) -> Plan:
    """What an expiry would do now, in one project or in all of them."""
    place = None if path is None else require_project(engine, path, Act.READ)
    end_crashed(engine)
    with engine.catalog.read() as c:
        now, doubts = trusted_moment(engine.clock(), moment(facts.high_water(c) or None))
        candidates = facts.due(c, instant(now) or 0, project_id=None if place is None else place.id)
        return plan(candidates, now, doubts, versions.count_live(c))


def protections(engine: Engine, version_id: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What keeps a version from expiring though its time has come: aliases that protect it, and running runs that use it, by id."""
    with engine.catalog.read() as c:
        aliases, users = facts.protections(c, [version_id])
    return tuple(aliases[version_id]), tuple(users[version_id])


@frees
def expire(engine: Engine, planned: Plan, *, confirmed: bool = False) -> Expired:
    """Carry the plan out. Done twice, or killed and done again, it ends the same.

    Raises:
        Conflict: the plan has doubts and nobody confirmed it; nothing was expired.
    """
    if planned.doubts and not confirmed:
        raise Conflict(f"not expiring without confirmation: {'; '.join(planned.doubts)}; look at the plan, then confirm it")
    now = instant(planned.now) or 0
    expired: list[Line] = []
    skipped: list[Line] = list(planned.skipped)
    for chunk in chunks(planned.expiring, TOGETHER):
        with engine.catalog.tx() as c:
            for line in chunk:
                judged = plan(facts.due(c, now, version_id=line.version), planned.now, (), 0)
                if not judged.lines:
                    skipped.append(replace(line, verdict=Verdict.SKIP, reason="it is not due any more, or gone already"))
                for again in judged.expiring:
                    if versions.end(c, again.version, VersionState.EXPIRED, again.reason, now):
                        expired.append(again)
                skipped += judged.skipped
    with engine.catalog.tx() as c:
        facts.raise_high_water(c, now)
    return Expired(tuple(expired), tuple(skipped))
