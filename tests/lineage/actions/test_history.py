"""A run from start to end: resumed, killed, damaged, sealed, and every row it logged there exactly once."""

import errno
import math
import os
from collections.abc import Callable
from typing import Any

import pytest

from lineage.actions import delete, find, finish, history, start, update, walk
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.actions.start import Opening
from lineage.catalog import open as room
from lineage.model.errors import Conflict, InvalidMetadata, InvalidName, NotFound, RunNotFoundError
from lineage.model.metric import Row
from lineage.model.names import ProjectPath, RunPath
from lineage.model.run import Resume, RunState, Start
from storage.blob import disk
from storage.errors import Corrupt, StoreFull
from tests.faults.child import killed, together

Trace = Callable[[], dict[str, int]]
DEMO = ProjectPath("demo")


def elsewhere(shop: Any, work: Callable[[], Any]) -> Any:
    """What some work gives in another process, with the store opened there."""

    def there(_: int) -> Any:
        shop.engine = shop.again()
        return work()

    return together(1, there)[0]


def dies(shop: Any, work: Callable[[], Any]) -> None:
    """Some work in another process, which is killed at its end."""

    def there() -> None:
        shop.engine = shop.again()
        work()

    killed(there)


def rows(*losses: float) -> list[dict[str, float]]:
    return [{"loss": loss} for loss in losses]


def test_a_run(shop: Any) -> None:
    """What was asked for is kept; finished, its history is sealed, its summary the last value of each key, and nothing else lies about."""
    run = shop.run("r1", name="first", job_type="train", group="g", notes="n", tags=("a", "a", "b c"), config={"lr": 0.1})
    assert ("r1", "first", "train", "g", "n", ("a", "b c"), {"lr": 0.1}, RunState.RUNNING, 0, shop.clock()) == (
        run.name,
        run.display_name,
        run.job_type,
        run.group,
        run.notes,
        run.tags,
        run.config,
        run.state,
        run.step,
        run.created_at,
    )
    shop.append(run, *rows(3.0, math.nan), {"acc": {"top1": 0.5}})
    assert ([0, 1, 2], 3) == (shop.steps(run), find.run_by_id(shop.engine, run.id).step)
    shop.clock.move(minutes=1)
    done = finish.finish_run(shop.engine, run.id, summary={"acc": 1, "deep": {"er": "x"}})

    assert (RunState.FINISHED, 0, shop.clock(), 3, 1) == (done.state, done.exit_code, done.finished_at, done.step, len(done.history))
    assert [0, 1, 2] == shop.steps(run)
    assert ("nan", 1, "x") == tuple(
        str(v) if isinstance(v, float) else v for v in map(find.summary(shop.engine, run.id).get, ("loss", "acc", "deep.er"))
    )
    assert not shop.engine.journal(run.id).exists()


@pytest.mark.parametrize(
    ("code", "state", "expected"), [(0, None, RunState.FINISHED), (1, None, RunState.FAILED), (255, RunState.KILLED, RunState.KILLED)]
)
def test_how_a_run_ends(shop: Any, code: int, state: RunState | None, expected: RunState) -> None:
    """The exit code decides, unless a state is given."""
    run = shop.run()
    done = finish.finish_run(shop.engine, run.id, exit_code=code, state=state)
    assert (expected, code) == (done.state, done.exit_code)


@pytest.mark.fault("I-05", "I-11")
def test_finishing_twice(shop: Any) -> None:
    """Finished again, nothing is doubled and nothing lost; only the state follows the last word."""
    run = shop.done("r1", rows(1.0, 2.0), summary={"best": 1})
    again = finish.finish_run(shop.engine, run.id, exit_code=1)
    assert (run.history, [1.0, 2.0], {"best": 1, "loss": 2.0}, RunState.FAILED) == (
        again.history,
        shop.values(run),
        find.summary(shop.engine, run.id),
        again.state,
    )
    with pytest.raises(RunNotFoundError):
        finish.finish_run(shop.engine, 99)


def test_a_summary_that_cannot_be_kept(shop: Any) -> None:
    """Nothing of a bad summary is kept, and the run can still be finished."""
    run = shop.run("r1")
    shop.append(run, *rows(1.0))
    with pytest.raises(InvalidMetadata, match="bad"):
        finish.finish_run(shop.engine, run.id, summary={"good": 1, "bad": object()})
    assert (RunState.RUNNING, {}) == (find.run_by_id(shop.engine, run.id).state, find.summary(shop.engine, run.id))
    finish.finish_run(shop.engine, run.id)
    assert [1.0] == shop.values(run)


@pytest.mark.parametrize(
    ("opening", "error"),
    [
        ({"run": "a/b"}, InvalidName),
        ({"run": ""}, InvalidName),
        ({"run": "a\u202e"}, InvalidName),
        ({"tags": ("a\n",)}, InvalidName),
        ({"config": {"a": math.nan}}, InvalidMetadata),
        ({"notes": "a\0"}, InvalidMetadata),
        ({"name": "\ud800"}, InvalidMetadata),
        ({"group": 3}, InvalidMetadata),
        ({"sweep": "nothing"}, NotFound),
        ({"run": "there", "resume": Resume.NEVER}, Conflict),
        ({"run": "nowhere", "resume": Resume.MUST}, Conflict),
    ],
    ids=ascii,
)
@pytest.mark.fault("I-26", "D12")
def test_what_cannot_be_started(shop: Any, trace: Trace, opening: dict[str, Any], error: type[Exception]) -> None:
    """A bad id, tag, word, configuration, sweep or mode starts nothing and changes nothing."""
    there = shop.done("there", rows(1.0), config={"kept": 1})
    before = trace()
    with pytest.raises(error):
        start.start_run(shop.engine, Opening(DEMO, **{"notes": "new"} | opening))
    assert (before, there) == (trace(), find.run_by_id(shop.engine, there.id))


@pytest.mark.parametrize("resume", [Resume.ALLOW, Resume.MUST, Resume.AUTO])
def test_taking_a_run_up_again(shop: Any, resume: Resume) -> None:
    """Steps go on, history, summary, tags and configuration are kept and added to; it is the same run."""
    first = shop.done("r1", rows(1.0, 2.0), summary={"best": 1}, tags=("t",), config={"a": 1, "b": 1}, notes="n")
    started = start.start_run(shop.engine, Opening(DEMO, run="r1", resume=resume, config={"b": 2}))
    run = started.run
    assert (Start.RESUME, first.id, 2, {"a": 1, "b": 2}, ("t",), "n", RunState.RUNNING, None, None) == (
        started.start,
        run.id,
        run.step,
        run.config,
        run.tags,
        run.notes,
        run.state,
        run.finished_at,
        run.exit_code,
    )
    assert {"best": 1, "loss": 2.0} == started.summary
    shop.append(run, *rows(3.0))
    assert ([0, 1, 2], [1.0, 2.0, 3.0]) == (shop.steps(run), shop.values(run))
    done = finish.finish_run(shop.engine, run.id)
    assert ([1.0, 2.0, 3.0], 2, 3) == (shop.values(run), len(done.history), done.step)


def test_beginning_a_run_anew(shop: Any) -> None:
    """Without a mode an existing id is started over: its history, summary, tags and configuration begin anew; edges stay."""
    first = shop.run("r1", tags=("t",), config={"a": 1})
    version = shop.put(run=first).version
    shop.append(first, *rows(1.0, 2.0))
    finish.finish_run(shop.engine, first.id)
    shop.clock.move(days=1)
    started = start.start_run(shop.engine, Opening(DEMO, run="r1"))
    run = started.run
    assert (Start.REPLACE, first.id, 0, {}, (), {}, ()) == (
        started.start,
        run.id,
        run.step,
        run.config,
        run.tags,
        started.summary,
        run.history,
    )
    shop.append(run, *rows(9.0))
    finish.finish_run(shop.engine, run.id)
    assert ([0], [9.0]) == (shop.steps(run), shop.values(run))
    assert (version.id,) == walk.logged(shop.engine, run.id)


def test_one_process_twice(shop: Any) -> None:
    """A run that this process takes up again while it still runs goes on after its last row."""
    run = shop.run("r1")
    writer = history.open_history(shop.engine, run)
    writer.append(Row(0, 0.0, {"loss": 1.0}))
    writer.append(Row(5, 0.0, {"loss": 2.0}))
    again = history.open_history(shop.engine, shop.resume("r1"))
    assert 6 == again.step
    again.append(Row(again.step, 0.0, {"loss": 3.0}))
    writer.close()
    again.close()
    finish.finish_run(shop.engine, run.id)
    assert [0, 5, 6] == shop.steps(run)


@pytest.mark.fault("S01", "I-03", "I-05")
def test_a_killed_run_is_crashed_with_all_it_logged(shop: Any) -> None:
    """Whoever starts a run next marks it crashed; its rows, step and summary are there, and its end is when it was last heard of."""
    began = shop.clock()

    def work() -> None:
        run = shop.run("dead")
        writer = history.open_history(shop.engine, run)
        for step in range(50):
            writer.append(Row(step, 0.0, {"loss": float(step)}))

    dies(shop, work)
    dead = find.run(shop.engine, RunPath("dead", "demo"))
    assert (RunState.RUNNING, 50) == (dead.state, len(shop.steps(dead)))
    shop.clock.move(hours=5)
    alive = shop.run("alive")

    dead = find.run(shop.engine, RunPath("dead", "demo"))
    assert (RunState.CRASHED, began, 50, {"loss": 49.0}, 50) == (
        dead.state,
        dead.finished_at,
        dead.step,
        find.summary(shop.engine, dead.id),
        len(shop.steps(dead)),
    )
    assert (RunState.RUNNING, []) == (find.run_by_id(shop.engine, alive.id).state, finish.end_crashed(shop.engine))
    again = shop.resume("dead")
    shop.append(again, *rows(50.0))
    finish.finish_run(shop.engine, again.id)
    assert list(range(51)) == shop.steps(again)


def test_a_preempted_run(shop: Any) -> None:
    """A run that said it would be preempted and then died was preempted, not crashed."""
    dies(shop, lambda: update.update_run(shop.engine, shop.run("r1").id, state=RunState.PREEMPTING))
    finish.end_crashed(shop.engine)
    assert RunState.PREEMPTED is find.run(shop.engine, RunPath("r1", "demo")).state


def test_living_runs_of_other_processes_are_left_alone(shop: Any) -> None:
    """Another process of ours that is alive keeps its runs."""
    run = shop.run("mine")
    assert [] == elsewhere(shop, lambda: finish.end_crashed(shop.engine))
    assert RunState.RUNNING is find.run_by_id(shop.engine, run.id).state


def test_many_notice_one_crash(shop: Any) -> None:
    """However many processes find a dead run at once, it is ended once."""
    dies(shop, lambda: shop.append(shop.run("dead"), *rows(1.0, 2.0)))

    def notice(_: int) -> list[int]:
        shop.engine = shop.again()
        return finish.end_crashed(shop.engine)

    dead = find.run(shop.engine, RunPath("dead", "demo"))
    assert [dead.id] == [run for found in together(6, notice) for run in found]
    assert ([1.0, 2.0], 1) == (shop.values(dead), len(find.run_by_id(shop.engine, dead.id).history))


@pytest.mark.fault("S01", "S08")
@pytest.mark.parametrize("cut", [1, 5, 17, 20, 60])
def test_a_torn_tail(shop: Any, cut: int) -> None:
    """What a kill left of a last row is passed over, and written over by the next."""
    run = shop.run("r1")
    shop.append(run, *rows(1.0, 2.0))
    with shop.engine.journal(run.id).open("r+b") as file:
        file.truncate(os.fstat(file.fileno()).st_size - cut)
    assert [1.0] == shop.values(run)
    again = shop.resume("r1")
    shop.append(again, *rows(3.0))
    assert [1.0, 3.0] == shop.values(run)
    finish.finish_run(shop.engine, run.id)
    assert [1.0, 3.0] == shop.values(run)


@pytest.mark.fault("H14", "I-31")
def test_a_damaged_journal(shop: Any) -> None:
    """Damage in the middle is said, by reading and by finishing; the run ends all the same, and no other run is kept from anything."""
    run = shop.run("r1")
    shop.append(run, *rows(1.0, 2.0, 3.0))
    journal = shop.engine.journal(run.id)
    journal.write_bytes(journal.read_bytes().replace(b"2.0", b"7.0"))
    for look in (lambda: shop.values(run), lambda: finish.finish_run(shop.engine, run.id, exit_code=3, summary={"x": 1})):
        with pytest.raises(Corrupt, match="damaged at line 2"):
            look()
    ended = find.run_by_id(shop.engine, run.id)
    assert (RunState.FAILED, 3, {"x": 1}, True) == (ended.state, ended.exit_code, find.summary(shop.engine, run.id), journal.exists())
    assert [9.0] == shop.values(shop.done("r2", rows(9.0)))
    reclaim(shop.engine, plan_reclaim(shop.engine))
    with pytest.raises(Corrupt):
        shop.resume("r1")
    begun = shop.run("r1")
    shop.append(begun, *rows(4.0))
    assert [4.0] == shop.values(begun)


@pytest.mark.fault("I-31")
def test_a_dead_runs_damaged_journal(shop: Any) -> None:
    """A dead run whose journal is damaged is crashed, and keeps nobody else from starting."""

    def work() -> None:
        shop.append(run := shop.run("dead"), *rows(1.0, 2.0, 3.0))
        journal = shop.engine.journal(run.id)
        journal.write_bytes(journal.read_bytes().replace(b"1.0", b"7.0"))

    dies(shop, work)
    assert RunState.RUNNING is shop.run("next").state
    dead = find.run(shop.engine, RunPath("dead", "demo"))
    assert RunState.CRASHED is dead.state
    with pytest.raises(Corrupt):
        shop.values(dead)


@pytest.mark.fault("S01", "I-04", "I-05")
@pytest.mark.parametrize("moment", ["publish", "commit", "committed", "unlink"])
@pytest.mark.parametrize("finished_again", [True, False])
def test_killed_while_it_ended(shop: Any, moment: str, finished_again: bool) -> None:
    """A process killed anywhere in the sealing of a run loses no row and doubles none: read, finished again, resumed, begun anew."""
    run = shop.run("r1")
    shop.append(run, *rows(1.0, 2.0))

    def there(_: int) -> None:
        shop.engine = shop.again()

        def on_disk(effect: str, path: str) -> None:
            if (moment == "publish" and effect == "link") or (moment == "unlink" and effect == "unlink" and path.endswith(".jsonl")):
                os._exit(0)

        def on_catalog(effect: str) -> None:
            if effect == moment and shop.engine.catalog._connection().execute("SELECT count(*) FROM run_history").fetchone()[0]:
                os._exit(0)

        disk.observe, room.observe = on_disk, on_catalog
        finish.finish_run(shop.engine, run.id)
        raise AssertionError("it was not killed")

    with pytest.raises(EOFError):
        together(1, there)
    assert [1.0, 2.0] == shop.values(run)
    if finished_again:
        assert 1 == len(finish.finish_run(shop.engine, run.id).history)
        assert [1.0, 2.0] == shop.values(run)
    again = shop.resume("r1")
    shop.append(again, *rows(3.0))
    assert ([1.0, 2.0, 3.0], [0, 1, 2]) == (shop.values(run), shop.steps(run))
    finish.finish_run(shop.engine, run.id)
    finish.finish_run(shop.engine, run.id)
    assert [1.0, 2.0, 3.0] == shop.values(run)
    shop.append(shop.run("r1"), *rows(9.0))
    assert [9.0] == shop.values(run)


@pytest.mark.fault("S04", "I-04")
def test_a_full_disk_while_it_ends(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store cannot take the history the run is not finished, its rows stay, and it can be finished later."""
    run = shop.run("r1")
    shop.append(run, *rows(1.0))

    def full(effect: str, path: str) -> None:
        if effect == "write":
            raise OSError(28, "No space left on device", path)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "observe", full)
        with pytest.raises(StoreFull):
            finish.finish_run(shop.engine, run.id, summary={"x": 1})
    assert (RunState.RUNNING, {}, [1.0]) == (find.run_by_id(shop.engine, run.id).state, find.summary(shop.engine, run.id), shop.values(run))
    assert RunState.FINISHED is finish.finish_run(shop.engine, run.id).state
    assert [1.0] == shop.values(run)


def test_a_deleted_run_is_not_finished(shop: Any) -> None:
    """A run that was deleted under its process does not come back when that process ends."""
    run = shop.done("r1", rows(1.0))
    delete.delete_run(shop.engine, run.id)
    with pytest.raises(RunNotFoundError, match="was deleted"):
        finish.finish_run(shop.engine, run.id, summary={"x": 1})
    assert ({}, []) == (find.summary(shop.engine, run.id), list(find.history(shop.engine, run.id)))


@pytest.mark.fault("D10")
def test_eight_processes_start_one_id(shop: Any) -> None:
    """Of eight that ask for one id and want it new, one gets it; of eight without an id each gets its own."""
    shop.engine.close()

    def work(_: int) -> tuple[bool, str]:
        shop.engine = shop.again()
        try:
            shop.run("one", resume=Resume.NEVER)
            first = True
        except Conflict:
            first = False
        return first, shop.run().name

    found = together(8, work)
    assert (1, 8) == (sum(first for first, _ in found), len({name for _, name in found}))


def test_heartbeats(shop: Any) -> None:
    """A run that says it is alive was last heard of then."""
    run = shop.run("r1")
    shop.clock.move(minutes=3)
    start.heartbeat(shop.engine, run.id)
    assert shop.clock() == find.run_by_id(shop.engine, run.id).heartbeat_at


@pytest.mark.fault("I-03")
def test_two_writers_of_one_run(shop: Any) -> None:
    """Each has a journal of its own: whoever finishes first takes nothing from the other, and what that one logs afterwards is kept too."""
    run = shop.run("r")
    first, second = (history.open_history(shop.engine, run) for _ in range(2))
    first.append(Row(0, 0.0, {"loss": 1.0}))
    second.append(Row(0, 0.0, {"loss": 2.0}))
    first.close()
    finish.finish_run(shop.engine, run.id)
    second.append(Row(1, 1.0, {"loss": 3.0}))
    assert [1.0, 2.0, 3.0] == shop.values(run)
    second.close()
    finish.finish_run(shop.engine, run.id)
    assert [1.0, 2.0, 3.0] == shop.values(run)
    assert [] == shop.engine.journals(run.id)


@pytest.mark.fault("S04", "S08")
def test_a_row_that_was_cut_short(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a full disk left of a row is cut off before the next one is written: nothing after it is lost."""
    run = shop.run("r")
    writer = history.open_history(shop.engine, run)
    writer.append(Row(0, 0.0, {"loss": 1.0}))
    write = disk.write

    def short(descriptor: int, data: bytes, path: Any) -> None:
        write(descriptor, data[: len(data) // 2], path)
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched:
        patched.setattr(disk, "write", short)
        with pytest.raises(StoreFull):
            writer.append(Row(1, 1.0, {"loss": 2.0}))
    writer.append(Row(1, 1.0, {"loss": 3.0}))
    writer.close()
    assert [1.0, 3.0] == shop.values(run)
