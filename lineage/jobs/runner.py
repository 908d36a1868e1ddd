"""Do what is due, once, and say how it went. Whoever calls this is the clock: cron, a systemd timer, or a person.

There is no process of ours that waits. Calling it too often costs one look at the table, calling it from several machines or twice at
once does nothing twice: a job is leased before it is done (`lineage.actions.jobs`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lineage.actions.jobs import JobRecord, run_jobs
from lineage.actions.open import Engine


@dataclass(frozen=True, slots=True)
class Outcome:
    """How each job stands now."""

    jobs: tuple[JobRecord, ...]

    @property
    def failed(self) -> tuple[JobRecord, ...]:
        return tuple(job for job in self.jobs if job.last_result == "failed")

    @property
    def is_good(self) -> bool:
        return not self.failed


def run(engine: Engine, names: Sequence[str] | None = None, *, force: bool = False) -> Outcome:
    """Do those of `names` (all, if `None`) that are due, or all of them with `force`.

    Raises:
        UsageError: there is no job of that name; none was done.
    """
    return Outcome(tuple(run_jobs(engine, names, force=force)))
