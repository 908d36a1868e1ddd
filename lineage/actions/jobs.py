"""Do what is due: expire, reclaim, verify. One leased row per job, so that two runners never do the same; missed times are made up once."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lineage.actions.expire import expire, plan_expiry
from lineage.actions.open import Engine
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.actions.verify import verify
from lineage.catalog import job as rows
from lineage.catalog.column import Row, instant, moment
from lineage.catalog.process import is_alive, this_process
from lineage.model.errors import Error, UsageError
from storage.errors import Refused, StorageError, Unavailable

LEASE = dt.timedelta(hours=6)
"""A runner that is neither done nor known to be dead after this long has lost its job to the next."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is done, and how often."""

    name: str
    every: dt.timedelta
    does: str
    work: Callable[[Engine], tuple[str, str]]
    """Gives result (`ok`, `skipped`, `failed`) and reason."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job, how it went last, and when it is due again (`None`: it never ran, so now). One that started in the future is due too: the
    clock was wrong then.
    """

    name: str
    every: dt.timedelta
    does: str
    last_started: dt.datetime | None
    last_finished: dt.datetime | None
    last_result: str | None
    last_reason: str | None
    next_due: dt.datetime | None
    leased_by: str | None


def _expire(engine: Engine) -> tuple[str, str]:
    planned = plan_expiry(engine)
    if planned.doubts and not planned.expiring:
        return "ok", f"nothing to expire, {len(planned.skipped)} skipped"  # and the doubtful clock is not made the store's own
    if planned.doubts:
        return "skipped", f"needs a person: {'; '.join(planned.doubts)}; run `lineage expire`"
    done = expire(engine, planned)
    return "ok", f"{len(done.expired)} expired, {len(done.skipped)} skipped"


def _reclaim(engine: Engine) -> tuple[str, str]:
    try:
        done = reclaim(engine, plan_reclaim(engine))
    except Unavailable as error:
        return "skipped", str(error)
    except Refused as error:
        return "skipped", f"needs a person: {error}; run `lineage reclaim`"
    return "ok", f"{done.blobs} blobs, {done.bytes} bytes freed, {done.disk} bytes on disk"


def _verify(engine: Engine) -> tuple[str, str]:
    found = verify(engine)
    if found.ok:
        return "ok", f"{found.store.checked} blobs, {found.store.bytes} bytes are what they were"
    return (
        "failed",
        f"{len(found.store.missing)} missing, {len(found.store.corrupt)} corrupt, {len(found.catalog)} problems in the catalogue",
    )


JOBS: tuple[Job, ...] = (
    Job("expire", dt.timedelta(hours=1), "expires versions whose TTL has ended", _expire),
    Job("reclaim", dt.timedelta(days=1), "frees bytes that nothing reaches any more", _reclaim),
    Job("verify", dt.timedelta(days=7), "checks every blob against its checksum", _verify),
)


def jobs(engine: Engine) -> list[JobRecord]:
    """Every job, how it went last, and when it is due."""
    with engine.catalog.read() as c:
        found = rows.every(c)
    return [_record(job, found.get(job.name)) for job in JOBS]


def run_jobs(engine: Engine, names: Sequence[str] | None = None, *, force: bool = False) -> list[JobRecord]:
    """Do the jobs that are due, or those named; `force` does them due or not. Answers with those that were done here.

    Raises:
        UsageError: there is no job of that name.
    """
    unknown = set(names or ()) - {job.name for job in JOBS}
    if unknown:
        raise UsageError(f"there is no job {', '.join(sorted(unknown))}: there are {', '.join(job.name for job in JOBS)}")
    done = [job.name for job in JOBS if (names is None or job.name in names) and _run(engine, job, force=force)]
    return [record for record in jobs(engine) if record.name in done]


def _run(engine: Engine, job: Job, *, force: bool) -> bool:
    owner = this_process()
    with engine.catalog.tx() as c:
        row = rows.get(c, job.name)
        record = _record(job, row)
        is_leased = row["leased_by"] is not None and row["leased_until"] > engine.now and is_alive(row["leased_by"])
        is_due = record.next_due is None or not record.next_due - job.every <= engine.clock() < record.next_due
        if is_leased or not (is_due or force):
            return False
        rows.lease(c, job.name, owner, engine.now, instant(engine.clock() + LEASE) or 0)
    try:
        result, reason = job.work(engine)
    except Exception as error:
        # Whatever it was: it is written down, and the lease is given back, so that the job is done next time.
        result, reason = "failed", f"{error}" if isinstance(error, Error | StorageError) else f"{type(error).__name__}: {error}"
    with engine.catalog.tx() as c:
        rows.finish(c, job.name, owner, engine.now, result, reason)
    return True


def _record(job: Job, row: Row | None) -> JobRecord:
    if row is None:
        return JobRecord(job.name, job.every, job.does, None, None, None, None, None, None)
    started = moment(row["started_at"])
    return JobRecord(
        job.name,
        job.every,
        job.does,
        started,
        moment(row["finished_at"]),
        row["result"],
        row["reason"],
        None if started is None else started + job.every,
        row["leased_by"],
    )
