"""Do what is due: expire, reclaim, verify, check. One leased row per job, so that two runners never do the same; missed times are made up once."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lineage.actions.check import check
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
SHORTEST = dt.timedelta(minutes=1)
"""Between two times a job is done."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is done, and how often."""

    name: str
    every: dt.timedelta
    does: str
    work: Callable[[Engine], tuple[str, str]]
    """Gives result (`ok`, `skipped`, `failed`) and reason."""
    is_on: bool = True
    """Is it done until somebody switches it off? What asks outside services waits until somebody switches it on."""


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
    is_on: bool = True


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


def _check(engine: Engine) -> tuple[str, str]:
    found = check(engine)
    told = ", ".join(f"{count} {state}" for state, count in sorted(found.states.items())) or "no references"
    unknown = f", {len(found.unknown)} could not be found out" if found.unknown else ""
    return "failed" if found.astray else "skipped" if found.unknown else "ok", told + unknown


JOBS: tuple[Job, ...] = (
    Job("expire", dt.timedelta(hours=1), "expires versions whose TTL has ended", _expire),
    Job("reclaim", dt.timedelta(days=1), "frees bytes that nothing reaches any more", _reclaim),
    Job("verify", dt.timedelta(days=7), "checks every blob against its checksum", _verify),
    Job("check", dt.timedelta(days=1), "asks whether references still lead to what was pinned", _check, is_on=False),
)


def jobs(engine: Engine) -> list[JobRecord]:
    """Every job, how it went last, and when it is due."""
    with engine.catalog.read() as c:
        found = rows.every(c)
    return [_record(job, found.get(job.name)) for job in JOBS]


def run_jobs(engine: Engine, names: Sequence[str] | None = None, *, force: bool = False) -> list[JobRecord]:
    """Do the jobs that are on and due, or those named; `force` does them due or not. Answers with those that were done here.

    Raises:
        UsageError: there is no job of that name.
    """
    _require_known(names or ())
    done = [job.name for job in JOBS if (names is None or job.name in names) and _run(engine, job, force=force)]
    return [record for record in jobs(engine) if record.name in done]


def switch_job(engine: Engine, name: str, *, on: bool, every: dt.timedelta | None = None) -> JobRecord:
    """Have a job done from now on, as often as `every` says (`None`: as it was), or not done any more.

    Raises:
        UsageError: there is no job of that name, or it would be done more than once a minute.
    """
    _require_known([name])
    if every is not None and every < SHORTEST:
        raise UsageError(f"{every} is too often for {name}: the shortest time between two is {SHORTEST}")
    with engine.catalog.tx() as c:
        rows.get(c, name)
        rows.switch(c, name, on, None if every is None else int(every.total_seconds()))
    return next(record for record in jobs(engine) if record.name == name)


def _require_known(names: Sequence[str]) -> None:
    unknown = set(names) - {job.name for job in JOBS}
    if unknown:
        raise UsageError(f"there is no job {', '.join(sorted(unknown))}: there are {', '.join(job.name for job in JOBS)}")


def _run(engine: Engine, job: Job, *, force: bool) -> bool:
    owner = this_process()
    with engine.catalog.tx() as c:
        row = rows.get(c, job.name)
        record = _record(job, row)
        is_leased = row["leased_by"] is not None and row["leased_until"] > engine.now and is_alive(row["leased_by"])
        is_early = record.next_due is not None and record.next_due - record.every <= engine.clock() < record.next_due
        is_due = record.is_on and not is_early
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
        return JobRecord(job.name, job.every, job.does, None, None, None, None, None, None, job.is_on)
    started = moment(row["started_at"])
    every = job.every if row["every_seconds"] is None else dt.timedelta(seconds=row["every_seconds"])
    is_on = job.is_on if row["is_on"] is None else bool(row["is_on"])
    return JobRecord(
        job.name,
        every,
        job.does,
        started,
        moment(row["finished_at"]),
        row["result"],
        row["reason"],
        None if started is None else started + every,
        row["leased_by"],
        is_on,
    )
