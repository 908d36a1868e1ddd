"""What goes when its time has come, what frees its bytes, and the clock that does both."""

import datetime as dt
from typing import Any

import pytest

from lineage.actions import create, find, finish, jobs, link, update
from lineage.actions.expire import expire, plan_expiry
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.actions.record import Output, Recording, record
from lineage.actions.use import use_version
from lineage.actions.verify import verify
from lineage.catalog import job as rows
from lineage.catalog.process import this_process
from lineage.model.artifact import VersionState
from lineage.model.errors import Conflict, NotFound, UsageError
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.model.retention import MOST_WITHOUT_ASKING, Policy
from storage.blob import disk
from storage.errors import Refused, Unavailable
from storage.ledger import BlobState
from tests.faults.child import together

DEMO = ProjectPath("demo")
HOUR = Policy(False, 3600)


def due(shop: Any, *names: str, **more: Any) -> list[Any]:
    """Versions with an hour to live, an hour and a second later."""
    made = [shop.put(name, files={"a": name.encode()}, policy=HOUR, **more).version for name in names]
    shop.clock.move(hours=1, seconds=1)
    return made


def freed(shop: Any) -> int:
    return int(reclaim(shop.engine, plan_reclaim(shop.engine), empty_ok=True).blobs)


def test_what_is_due_expires_with_its_reason(shop: Any) -> None:
    """Exactly what is due by its own TTL, its type's or its project's is a tombstone afterwards, and says why."""
    now = shop.clock()
    update.set_default_ttl(shop.engine, DEMO, dt.timedelta(hours=3))
    update.set_default_ttl(shop.engine, DEMO, dt.timedelta(hours=2), "dataset")
    own, kept = shop.put("own", policy=HOUR).version, shop.put("kept", policy=Policy(False, None)).version
    of_type, of_project = shop.put("typed", type="dataset").version, shop.put("plain").version
    reasons = {
        own.id: f"its own TTL of 1:00:00 ended {now + dt.timedelta(hours=1):%F %T} UTC",
        of_type.id: f"the default for dataset of 2:00:00 ended {now + dt.timedelta(hours=2):%F %T} UTC",
        of_project.id: f"the project's default of 3:00:00 ended {now + dt.timedelta(hours=3):%F %T} UTC",
    }
    assert () == plan_expiry(shop.engine).lines
    shop.clock.move(hours=3)
    planned = plan_expiry(shop.engine, DEMO)
    assert (reasons, 3) == ({line.version: line.reason for line in planned.expiring}, planned.size)
    assert ["ann/demo/own:v0", "ann/demo/typed:v0", "ann/demo/plain:v0"] == [line.name for line in planned.lines]

    done = expire(shop.engine, planned)
    assert planned.expiring == done.expired
    for version in (own, of_type, of_project):
        found = find.version_by_id(shop.engine, version.id)
        assert (VersionState.EXPIRED, reasons[version.id], shop.clock(), ()) == (found.state, found.reason, found.ended_at, found.aliases)
    assert find.version_by_id(shop.engine, kept.id).is_live


def test_one_project_alone(shop: Any) -> None:
    """A plan for one project is about that one; an unknown one is an error."""
    due(shop, "a")
    update.set_default_ttl(shop.engine, ProjectPath("other"), dt.timedelta(1))
    assert (0, 1) == (len(plan_expiry(shop.engine, ProjectPath("other")).lines), len(plan_expiry(shop.engine, DEMO).lines))
    with pytest.raises(NotFound):
        plan_expiry(shop.engine, ProjectPath("nowhere"))


@pytest.mark.fault("I-12", "G18", "G21")
def test_what_holds_a_version(shop: Any) -> None:
    """Held, protected by an alias here or on a link, or used by a run that is running: skipped, each with its reason."""
    user = shop.run("user")
    free, held, prod, gold, linked, used = due(shop, "free", "held", "prod", "gold", "linked", "used")
    update.update_version(shop.engine, held, held=True)
    update.move_aliases(shop.engine, prod, add=["prod", "x"])
    update.move_aliases(shop.engine, gold, add=["gold"])
    update.protect_alias(shop.engine, DEMO, "gold")
    link.link_version(shop.engine, linked, ArtifactPath("registry", None, "other"), ["production"])
    use_version(shop.engine, user.id, used)

    done = expire(shop.engine, plan_expiry(shop.engine))
    assert [free.id] == [line.version for line in done.expired]
    assert {
        held.id: "held",
        prod.id: "protected by alias prod",
        gold.id: "protected by alias gold",
        linked.id: "protected by alias production",
        used.id: "in use by running user",
    } == {line.version: line.reason.partition(", but ")[2] for line in done.skipped}
    finish.finish_run(shop.engine, user.id)
    update.protect_alias(shop.engine, DEMO, "gold", protect=False)
    assert {used.id, gold.id} == {line.version for line in expire(shop.engine, plan_expiry(shop.engine)).expired}


@pytest.mark.fault("I-12", "I-05")
def test_a_dead_run_holds_nothing(shop: Any) -> None:
    """A version that only a crashed run used may go."""
    [version] = due(shop, "a")

    def there(_: int) -> None:
        shop.engine = shop.again()
        use_version(shop.engine, shop.run("dead").id, version)

    together(1, there)
    assert [version.id] == [line.version for line in plan_expiry(shop.engine).expiring]


@pytest.mark.fault("G21", "I-12", "I-04")
def test_every_version_is_judged_once_more(shop: Any) -> None:
    """What was held, named, given more time or deleted between plan and expiry stays what it is, and is in the answer."""
    first, held, named, later = due(shop, "first", "held", "named", "later")
    planned = plan_expiry(shop.engine)
    update.update_version(shop.engine, held, held=True)
    update.move_aliases(shop.engine, named, add=["prod"])
    update.update_version(shop.engine, later, ttl=None)
    done = expire(shop.engine, planned)
    assert ([first.id], {held.id, named.id, later.id}) == ([line.version for line in done.expired], {line.version for line in done.skipped})
    assert all(find.version_by_id(shop.engine, version.id).is_live for version in (held, named, later))
    assert {"it is not due any more, or gone already"} == {line.reason for line in done.skipped if line.version == later.id}


@pytest.mark.fault("G22", "I-11", "I-05")
def test_twice_is_once(shop: Any) -> None:
    """The same plan carried out again, or by four processes at once, ends the same."""
    due(shop, *"abcdef")
    planned = plan_expiry(shop.engine)

    def there(_: int) -> list[int]:
        return [line.version for line in expire(shop.again(), planned).expired]

    expired = [version for found in together(4, there) for version in found]
    assert [line.version for line in planned.expiring] == sorted(expired)
    assert () == expire(shop.engine, planned).expired
    assert () == plan_expiry(shop.engine).lines


@pytest.mark.fault("G20", "G08", "I-13", "I-34")
def test_a_clock_that_goes_backward(shop: Any) -> None:
    """After the clock went back nothing un-expires, time goes on from where it was, and a person is asked."""
    gone, waiting = due(shop, "gone")[0], shop.put("waiting", policy=HOUR).version
    expire(shop.engine, plan_expiry(shop.engine))
    shop.clock.move(days=-400)
    planned = plan_expiry(shop.engine)
    assert ((), 1) == (planned.lines, len(planned.doubts))
    with pytest.raises(Conflict, match=r"not expiring without confirmation.*earlier than the last run"):
        expire(shop.engine, planned)
    expire(shop.engine, planned, confirmed=True)
    assert [VersionState.EXPIRED, VersionState.LIVE] == [find.version_by_id(shop.engine, version.id).state for version in (gone, waiting)]
    assert planned.now == plan_expiry(shop.engine).now


@pytest.mark.fault("G19", "G08")
def test_a_clock_that_leaps(shop: Any) -> None:
    """A clock that is a year ahead makes the plan ask; unconfirmed, nothing goes, and the leap is not remembered."""
    expire(shop.engine, plan_expiry(shop.engine))
    version = shop.put("a", policy=HOUR).version
    shop.clock.move(days=365)
    planned = plan_expiry(shop.engine)
    assert (1, "365 days ahead" in planned.doubts[0]) == (len(planned.expiring), True)
    with pytest.raises(Conflict):
        expire(shop.engine, planned)
    shop.clock.move(days=-365)
    assert ((), (), True) == (
        plan_expiry(shop.engine).doubts,
        plan_expiry(shop.engine).lines,
        find.version_by_id(shop.engine, version.id).is_live,
    )


@pytest.mark.fault("G23")
def test_many_at_once(shop: Any) -> None:
    """A shorter default that ends more than a thousand versions is a plan that asks; confirmed, all of them go."""
    record(shop.engine, shop.project, [Recording(logged=[Output(f"a{number % 10}") for number in range(MOST_WITHOUT_ASKING + 1)])])
    shop.clock.move(hours=2)
    update.set_default_ttl(shop.engine, DEMO, dt.timedelta(hours=1))
    planned = plan_expiry(shop.engine)
    assert ("1,001 versions would expire at once, more than 1,000",) == planned.doubts
    with pytest.raises(Conflict):
        expire(shop.engine, planned)
    assert MOST_WITHOUT_ASKING + 1 == len(expire(shop.engine, planned, confirmed=True).expired)


def test_lengths_beyond_the_calendar(shop: Any) -> None:
    """The longest TTL there is never ends, and nothing overflows."""
    shop.put("a", policy=Policy.of(dt.timedelta.max))
    update.set_default_ttl(shop.engine, DEMO, dt.timedelta.max)
    shop.put("b")
    shop.clock.move(days=365 * 5_000)
    assert () == plan_expiry(shop.engine).lines


@pytest.mark.fault("I-06", "I-09", "I-10", "G12")
def test_reclaim_frees_what_nothing_reaches(shop: Any) -> None:
    """Only what no version, run or writer needs goes: rows, objects and nothing else; what is left reads back."""
    run = shop.done("r1", [{"loss": 1.0}])
    kept = shop.put("kept", files={"k": b"kept", "s": b"shared"}).version
    [gone] = [shop.put("gone", files={"g": b"gone", "s": b"shared"}, policy=HOUR).version]
    shop.clock.move(hours=2)
    expire(shop.engine, plan_expiry(shop.engine))
    before = shop.objects()
    with shop.engine.store(shop.project.domain).session() as session:
        session.take_bytes(b"being written")
        planned = plan_reclaim(shop.engine)
        assert (3, 0) == (len(planned.doomed), planned.packs)
        with pytest.raises(Unavailable, match="1 writers"):
            reclaim(shop.engine, planned)
    done = reclaim(shop.engine, planned)

    assert (3, 1, before - 1) == (done.blobs, done.packs, shop.objects())
    assert (True, True, False, {"k": b"kept", "s": b"shared"}) == (
        shop.has(b"kept"),
        shop.has(b"shared"),
        shop.has(b"gone"),
        shop.files(kept),
    )
    assert ([1.0], VersionState.EXPIRED) == (shop.values(run), find.version_by_id(shop.engine, gone.id).state)
    assert (0, True) == (freed(shop), verify(shop.engine, deep=True).ok)


@pytest.mark.fault("G24", "I-01", "I-17")
def test_the_same_content_after_it_expired(shop: Any) -> None:
    """Logged again before its bytes were freed, content is there again as a new version, and reclaim leaves it alone."""
    first = due(shop, "a")[0]
    expire(shop.engine, plan_expiry(shop.engine))
    planned = plan_reclaim(shop.engine)
    again = shop.put("a", files={"a": b"a"})
    assert (True, "a:v1", first.digest, 0) == (again.is_new, again.version.name, again.version.digest, again.stored.blobs)
    assert (0, {"a": b"a"}) == (reclaim(shop.engine, planned, empty_ok=True).blobs, shop.files(again.version))


@pytest.mark.fault("G24", "G02", "G14")
def test_the_same_content_after_it_was_freed(shop: Any) -> None:
    """Logged again after its bytes were freed, content is stored anew; the tombstone stays one."""
    first = due(shop, "a")[0]
    shop.put("other", files={"o": b"o"})
    expire(shop.engine, plan_expiry(shop.engine))
    assert 3 == freed(shop)
    again = shop.put("a", files={"a": b"a"})
    assert (3, {"a": b"a"}, False) == (again.stored.blobs, shop.files(again.version), find.version_by_id(shop.engine, first.id).is_live)
    assert (0, True) == (freed(shop), verify(shop.engine).ok)


@pytest.mark.fault("G29", "G14", "G09", "G15", "I-11")
def test_a_reclaim_that_is_killed(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between a blob's doom, its removal and its row's, the next reclaim finishes; content logged in between is stored anew."""
    due(shop, "a", "b")
    shop.put("kept", files={"k": b"k"})
    expire(shop.engine, plan_expiry(shop.engine))
    removed = 0

    def interrupt(effect: str, path: str) -> None:
        nonlocal removed
        removed += effect in ("rename", "unlink") and "/objects/" in path
        if removed > 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(disk, "observe", interrupt)
        with pytest.raises(KeyboardInterrupt):
            reclaim(shop.engine, plan_reclaim(shop.engine))
    assert BlobState.DELETING in [record.state for record in shop.engine.ledger.packs()]
    again = shop.put("a", files={"a": b"a"})
    assert {"a": b"a"} == shop.files(again.version)
    freed(shop)
    assert ({"a": b"a"}, 2, 6, True) == (
        shop.files(again.version),
        shop.objects(),
        len(list(shop.engine.ledger.records())),
        verify(shop.engine).ok,
    )


@pytest.mark.fault("G25", "G10")
def test_content_shared_with_what_expired(shop: Any) -> None:
    """Bytes that a live version shares with an expired one stay; those of another project are its own from the first."""
    [gone] = due(shop, "a")
    kept = shop.put("b", files={"a": b"a", "b": b"b"}).version
    other = shop.put("a", files={"a": b"a"}, project=_project(shop, "other"))
    assert other.stored.blobs > 0
    expire(shop.engine, plan_expiry(shop.engine))
    freed(shop)
    assert ({"a": b"a", "b": b"b"}, {"a": b"a"}, False) == (
        shop.files(kept),
        shop.files(other.version),
        find.version_by_id(shop.engine, gone.id).is_live,
    )


def _project(shop: Any, name: str) -> Any:
    return create.project(shop.engine, ProjectPath(name))


@pytest.mark.fault("D17")
def test_a_plan_that_takes_everything(shop: Any) -> None:
    """A reclaim that would leave no blob is refused until somebody says that this is meant."""
    due(shop, "a")
    expire(shop.engine, plan_expiry(shop.engine))
    with pytest.raises(Refused, match="right catalogue"):
        reclaim(shop.engine, plan_reclaim(shop.engine))
    assert 1 == shop.objects()
    assert (3, 0) == (freed(shop), shop.objects())


def states(shop: Any) -> dict[str, tuple[str | None, str | None]]:
    return {job.name: (job.last_result, job.last_reason) for job in jobs.jobs(shop.engine)}


def test_jobs_are_done_when_they_are_due(shop: Any) -> None:
    """All of them the first time, then each after its own interval; missed times are made up once."""
    assert ["expire", "reclaim", "verify"] == [job.name for job in jobs.run_jobs(shop.engine)]
    assert [] == jobs.run_jobs(shop.engine)
    for length, done in (
        ({"minutes": 59}, []),
        ({"minutes": 1}, ["expire"]),
        ({"hours": 23}, ["expire", "reclaim"]),
        ({"days": 30}, ["expire", "reclaim", "verify"]),
        ({}, []),
    ):
        shop.clock.move(**length)
        assert done == [job.name for job in jobs.run_jobs(shop.engine)]
    record = jobs.jobs(shop.engine)[0]
    assert (shop.clock(), shop.clock(), shop.clock() + record.every, None) == (
        record.last_started,
        record.last_finished,
        record.next_due,
        record.leased_by,
    )


def test_jobs_on_demand(shop: Any) -> None:
    """Those named, due or not when forced; an unknown name is refused."""
    assert ["verify"] == [job.name for job in jobs.run_jobs(shop.engine, ["verify"])]
    assert [] == jobs.run_jobs(shop.engine, ["verify"])
    assert ["verify"] == [job.name for job in jobs.run_jobs(shop.engine, ["verify"], force=True)]
    with pytest.raises(UsageError, match=r"no job nap: there are expire, reclaim, verify"):
        jobs.run_jobs(shop.engine, ["verify", "nap"])


@pytest.mark.fault("G08")
def test_a_job_done_in_the_future(shop: Any) -> None:
    """A job that ran while the clock was a year ahead is due again when the clock is right."""
    shop.clock.move(days=365)
    jobs.run_jobs(shop.engine)
    shop.clock.move(days=-365)
    assert ["expire", "reclaim", "verify"] == [job.name for job in jobs.run_jobs(shop.engine)]


def test_what_jobs_say(shop: Any) -> None:
    """Each keeps its last result and reason: how much was done, why it was not, what was wrong."""
    due(shop, "a")
    shop.put("b", files={"b": b"b"})
    jobs.run_jobs(shop.engine)
    found = states(shop)
    assert ("ok", "1 expired, 0 skipped") == found["expire"]
    assert ("ok", "3 blobs, ") == (found["reclaim"][0], str(found["reclaim"][1])[:9])
    assert "ok" == states(shop)["verify"][0]

    shop.clock.move(days=30)
    jobs.run_jobs(shop.engine, ["expire"])
    assert ("ok", "nothing to expire, 0 skipped") == states(shop)["expire"]

    due(shop, "c")
    next(path for path in (shop.root / "objects").rglob("*") if path.is_file()).unlink()
    with shop.engine.store(shop.project.domain).session() as session:
        session.take_bytes(b"writing")
        jobs.run_jobs(shop.engine, force=True)
    found = states(shop)
    assert ["skipped", "skipped", "failed"] == [found[name][0] for name in ("expire", "reclaim", "verify")]
    for name, part in (("expire", "ahead of the last run"), ("reclaim", "1 writers"), ("verify", "3 missing")):
        assert part in str(found[name][1])


def test_a_job_that_breaks(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a job raises is written down, its lease is given back, and the others are done."""

    def broken(_: object) -> tuple[str, str]:
        raise RuntimeError("oh")

    monkeypatch.setattr(jobs, "JOBS", (jobs.Job("broken", dt.timedelta(hours=1), "breaks", broken), *jobs.JOBS))
    assert 4 == len(jobs.run_jobs(shop.engine))
    record = jobs.jobs(shop.engine)[0]
    assert ("failed", "RuntimeError: oh", None) == (record.last_result, record.last_reason, record.leased_by)


@pytest.mark.fault("G11")
def test_two_runners_never_do_the_same(shop: Any) -> None:
    """Of four processes that look for work at once each due job is done by one."""
    done = together(4, lambda _: [job.name for job in jobs.run_jobs(shop.again())])
    assert ["expire", "reclaim", "verify"] == sorted(name for names in done for name in names)


@pytest.mark.fault("I-05", "G09")
@pytest.mark.parametrize(("owner", "hours", "taken"), [("mine", 5, False), ("mine", 7, True), ("dead", 1, True)])
def test_leases(shop: Any, owner: str, hours: int, taken: bool) -> None:
    """A living holder keeps its job for six hours, a dead one loses it at once."""
    name = this_process() if owner == "mine" else f"{this_process().partition('/')[0]}/999999999/1"
    with shop.engine.catalog.tx() as c:
        rows.get(c, "expire")
        rows.lease(c, "expire", name, shop.engine.now, shop.engine.now + 6 * 3_600 * 1_000_000)
    shop.clock.move(hours=hours)
    assert taken == ("expire" in [job.name for job in jobs.run_jobs(shop.engine)])


def test_a_runner_that_lost_its_lease(shop: Any) -> None:
    """Whoever comes back after another took the job over writes nothing over its result."""
    with shop.engine.catalog.tx() as c:
        rows.get(c, "expire")
        rows.lease(c, "expire", "somebody", 1, 2)
        rows.finish(c, "expire", this_process(), 3, "ok", "mine")
        assert ("somebody", None) == tuple(rows.get(c, "expire"))[1:6:4]
