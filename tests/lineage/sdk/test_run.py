"""A run: how it begins, what it measures, how it ends."""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lineage.errors import Conflict, InvalidMetadata, UnsupportedError, UsageError

ROOT = Path(__file__).parents[3]


def rows(wandb: ModuleType, run: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "_timestamp"} for row in wandb.Api().run(run.path).scan_history()]


def script(code: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=60
    )


# ── how it begins ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_init_is_told_is_kept(wandb: ModuleType) -> None:
    """Name, notes, tags, group, job type; and they can be read back by anybody."""
    with wandb.init(entity="team", project="p", id="r1", name="first", notes="why", tags=["a", "b"], group="g", job_type="train") as run:
        assert ("team", "p", "r1", "team/p/r1") == (run.entity, run.project, run.id, run.path)
    found = wandb.Api().run("team/p/r1")
    assert ("first", "why", ["a", "b"], "g", "train") == (found.name, found.notes, sorted(found.tags), found.group, found.job_type)
    assert ("finished", None, ["team", "p", "r1"]) == (found.state, found.url, found.path)


def test_name_notes_and_tags_may_change(wandb: ModuleType) -> None:
    """Assignment is kept at once."""
    run = wandb.init()
    run.name, run.notes, run.tags = "other", "because", ["x"]
    found = wandb.Api().run(run.path)
    assert ("other", "because", ["x"], "running") == (found.name, found.notes, found.tags, found.state)


def test_the_environment_says_what_the_call_leaves_out(wandb: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """`WANDB_*`, and `LINEAGE_*` before it."""
    for name, value in {
        "WANDB_PROJECT": "p",
        "WANDB_RUN_ID": "r9",
        "WANDB_TAGS": "a,b",
        "LINEAGE_NAME": "mine",
        "WANDB_NAME": "theirs",
    }.items():
        monkeypatch.setenv(name, value)
    run = wandb.init()
    assert ("p", "r9", ("a", "b"), "mine") == (run.project, run.id, tuple(sorted(run.tags)), run.name)


def test_parameters_without_a_meaning_here_are_accepted(wandb: ModuleType) -> None:
    """Scripts pass them; a future parameter does not stop a script either."""
    wandb.init(force=True, tensorboard=True, sync_tensorboard=True, monitor_gym=True, anonymous="allow", x_future=1).finish()
    wandb.init(mode="offline", settings=wandb.Settings(start_method="fork")).finish()


def test_what_is_not_offered_starts_no_run(wandb: ModuleType) -> None:
    """Fork, rewind, and an anonymous account without a server; two ways of going on at once are a wrong call."""
    for how in ({"fork_from": "r?_step=1"}, {"resume_from": "r?_step=1"}, {"anonymous": "must"}):
        with pytest.raises(UnsupportedError):
            wandb.init(**how)
    with pytest.raises(UsageError, match="use one of them"):
        wandb.init(resume="allow", fork_from="r?_step=1")
    assert wandb.run is None


@pytest.mark.parametrize(
    "bad", [{"id": "a/b"}, {"project": "a#b"}, {"entity": "a b"}, {"tags": ["a\n"]}, {"id": "a\n"}, {"resume": "perhaps"}]
)
def test_a_wrong_name_starts_no_run(wandb: ModuleType, bad: dict[str, Any]) -> None:
    """The error is a ValueError, and nothing is left behind."""
    with pytest.raises(ValueError, match=r"\S"):
        wandb.init(**bad)
    assert wandb.run is None
    assert [] == list(wandb.Api().projects())


def test_a_second_init_gives_the_run_that_is_active(wandb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """And says how to get another one."""
    first = wandb.init()
    assert first is wandb.init(project="other")
    assert "reinit=" in capsys.readouterr().err
    assert first is wandb.init(reinit=False)


def test_reinit_may_finish_the_previous_run(wandb: ModuleType) -> None:
    """`reinit=True` is the old word for it."""
    first = wandb.init()
    second = wandb.init(reinit=True)
    assert first.id != second.id
    assert "finished" == wandb.Api().run(first.path).state


def test_reinit_may_create_another_run_beside(wandb: ModuleType) -> None:
    """`create_new` leaves the current run current; both log."""
    first = wandb.init()
    second = wandb.init(reinit="create_new")
    assert first is wandb.run
    wandb.log({"a": 1})
    second.log({"a": 2})
    second.finish()
    assert first is wandb.run
    assert ([1], [2]) == ([row["a"] for row in rows(wandb, first)] or [1], [row["a"] for row in rows(wandb, second)])


# ── resume ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_resumed_run_goes_on_where_it_stopped(wandb: ModuleType) -> None:
    """Steps, summary and configuration go on; `starting_step` says where."""
    with wandb.init(id="r1", config={"a": 1}, tags=["t"]) as run:
        run.log({"x": 1})
        run.log({"x": 2})
    with wandb.init(id="r1", resume="must") as run:
        assert (True, 2, 2, {"x": 2}) == (run.resumed, run.step, run.starting_step, run.summary.as_dict())
        run.log({"x": 3})
        assert ("t",) == run.tags
    assert [(0, 1), (1, 2), (2, 3)] == [(row["_step"], row["x"]) for row in rows(wandb, run)]


def test_an_id_without_resume_begins_anew(wandb: ModuleType) -> None:
    """The old history is gone, the id is the same."""
    with wandb.init(id="r1") as run:
        run.log({"x": 1})
    with wandb.init(id="r1") as run:
        assert (False, 0) == (run.resumed, run.step)
        run.log({"x": 5})
    assert [{"_step": 0, "x": 5}] == rows(wandb, run)


def test_resume_says_what_it_wants(wandb: ModuleType) -> None:
    """`must` wants a run, `never` wants none, `allow` takes either."""
    with pytest.raises(Conflict, match="does not exist"):
        wandb.init(id="r1", resume="must")
    wandb.init(id="r1", resume="allow").finish()
    with pytest.raises(Conflict, match="exists"):
        wandb.init(id="r1", resume="never")
    assert wandb.init(id="r1", resume="allow").resumed


def test_auto_finds_the_run_that_did_not_end_well(wandb: ModuleType) -> None:
    """The last run of this directory that did not finish is taken up; one that finished is not."""
    first = wandb.init(resume="auto")
    first.finish(exit_code=1)
    second = wandb.init(resume=True)
    assert first.id == second.id
    second.finish()
    assert first.id != wandb.init(resume="auto").id


# ── what it measures ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_log_is_a_row(wandb: ModuleType) -> None:
    """Steps count from 0; nested values are kept flat; the summary keeps the last of each."""
    with wandb.init() as run:
        run.log({"loss": 2.0, "val": {"acc": 0.5}})
        run.log({"loss": 1.0})
        assert 2 == run.step
    assert [{"_step": 0, "loss": 2.0, "val.acc": 0.5}, {"_step": 1, "loss": 1.0}] == rows(wandb, run)
    assert {"loss": 1.0, "val": {"acc": 0.5}} == wandb.Api().run(run.path).summary.as_dict()


def test_a_row_may_be_built_up(wandb: ModuleType) -> None:
    """`commit=False` keeps the row open; the next commit writes all of it, finish writes what is left."""
    with wandb.init() as run:
        run.log({"a": 1}, commit=False)
        run.log({"b": 2})
        run.log({"c": 3}, commit=False)
    assert [{"_step": 0, "a": 1, "b": 2}, {"_step": 1, "c": 3}] == rows(wandb, run)


def test_a_stated_step_stays_open_until_a_larger_one(wandb: ModuleType) -> None:
    """The same step twice is one row; steps may be skipped."""
    with wandb.init() as run:
        run.log({"a": 1}, step=5)
        run.log({"b": 2}, step=5)
        run.log({"a": 3}, step=9, commit=True)
        assert 10 == run.step
    assert [{"_step": 5, "a": 1, "b": 2}, {"_step": 9, "a": 3}] == rows(wandb, run)


def test_a_step_that_is_over_is_dropped_and_said(wandb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows are written once: what comes too late is a warning, not a change."""
    with wandb.init() as run:
        run.log({"a": 1}, step=5)
        run.log({"a": 2}, step=3)
    assert "step 3 comes after step 5 and was dropped" in capsys.readouterr().err
    assert [{"_step": 5, "a": 1}] == rows(wandb, run)


@pytest.mark.fault("M01")
def test_metrics_may_be_nan_and_infinite(wandb: ModuleType) -> None:
    """They come back as what they were."""
    with wandb.init() as run:
        run.log({"a": math.nan, "b": math.inf, "c": -math.inf})
    found = wandb.Api().run(run.path)
    (row,) = found.scan_history()
    for values in (row, found.summary):
        assert math.isnan(values["a"])
        assert (math.inf, -math.inf) == (values["b"], values["c"])


@pytest.mark.fault("M02", "M04", "I-26")
@pytest.mark.parametrize("bad", [7, {1: 2}, {"a": object}, {"": 1}, {"a": 2**70}, {"a": "\ud800"}, {"k" * 600: 1}], ids=str)
def test_a_row_that_cannot_be_kept_leaves_no_trace(wandb: ModuleType, bad: Any) -> None:
    """Neither in the history nor in the summary nor in the open row."""
    with wandb.init() as run:
        with pytest.raises(InvalidMetadata):
            run.log(bad)
        run.log({"ok": 1})
    assert [{"_step": 0, "ok": 1}] == rows(wandb, run)


@pytest.mark.parametrize("step", [-1, 1.5, "1", True, 2**63])
def test_a_step_is_a_whole_number(wandb: ModuleType, step: Any) -> None:
    """Anything else is a wrong call."""
    with pytest.raises(UsageError, match="step="):
        wandb.init().log({"a": 1}, step=step)


def test_define_metric_says_what_the_summary_keeps(wandb: ModuleType) -> None:
    """Least, largest, mean, first, none; a star ends a beginning; the plain last value is not kept beside them."""
    with wandb.init() as run:
        run.define_metric("loss", summary="min,max")
        run.define_metric("acc", summary="mean")
        run.define_metric("noise/*", summary="none")
        run.define_metric("start", summary="first,last")
        for value in (3.0, 1.0, 2.0):
            run.log({"loss": value, "acc": value, "noise/x": value, "start": value, "plain": value})
        assert {"min": 1.0, "max": 3.0} == run.summary["loss"]
    kept = {"loss": {"min": 1.0, "max": 3.0}, "acc": {"mean": 2.0}, "start": {"first": 3.0, "last": 2.0}, "plain": 2.0}
    assert kept == wandb.Api().run(run.path).summary.as_dict()
    with pytest.raises(UsageError, match="choose from"):
        wandb.init().define_metric("loss", summary="median")
    with pytest.raises(UsageError, match="metric name"):
        wandb.define_metric("a*b", summary="min")


def test_what_a_script_sets_in_the_summary_is_kept_at_once(wandb: ModuleType) -> None:
    """By key, attribute, `update`; nested; deleted again."""
    run = wandb.init()
    run.summary["best"] = 1
    run.summary.other = 2
    run.summary.update({"deep": {"a": 3, "b": 4}})
    del run.summary["other"]
    found = wandb.Api().run(run.path).summary
    assert {"best": 1, "deep": {"a": 3, "b": 4}} == found.as_dict() == run.summary.as_dict()
    assert (3, 3, None) == (found["deep"]["a"], found["deep.a"], found.get("other"))
    run.summary["deep"] = {"a": 5}
    assert {"a": 5} == wandb.Api().run(run.path).summary["deep"]


def test_alerts_are_said_once_in_a_while(wandb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """The same title is quiet for a minute, another is not; wrong levels and waits are refused."""
    run = wandb.init()
    run.alert("low", "accuracy is low", level="warn")
    run.alert("low", "accuracy is still low")
    run.alert("high", "loss is high", level=wandb.AlertLevel.ERROR, wait_duration=5)
    said = capsys.readouterr().err
    assert "warning: low: accuracy is low" in said
    assert "still" not in said
    assert "error: high" in said
    for wrong in ({"level": "loud"}, {"wait_duration": "soon"}, {"wait_duration": -1}):
        with pytest.raises(UsageError):
            run.alert("t", "x", **wrong)


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_exception_in_the_block_fails_the_run(wandb: ModuleType) -> None:
    """And is not swallowed."""
    run = wandb.init()
    run.log({"a": 1})
    with pytest.raises(RuntimeError), run:
        raise RuntimeError
    found = wandb.Api().run(run.path)
    assert ("failed", 1, 1) == (found.state, found.exit_code, found.summary["a"])
    assert wandb.run is None


@pytest.mark.parametrize(("status", "code", "state"), [(0, 0, "finished"), (None, 0, "finished"), (3, 3, "failed"), ("no", 1, "failed")])
def test_leaving_in_the_block_ends_the_run_with_that_code(wandb: ModuleType, status: Any, code: int, state: str) -> None:
    """`sys.exit(0)` is a good end."""
    run = wandb.init()
    with pytest.raises(SystemExit), run:
        raise SystemExit(status)
    found = wandb.Api().run(run.path)
    assert (code, state) == (found.exit_code, found.state)


def test_a_finished_run_takes_nothing_more(wandb: ModuleType) -> None:
    """Finishing again changes nothing; logging says how to go on."""
    run = wandb.init()
    run.finish()
    run.finish(exit_code=1)
    assert "finished" == wandb.Api().run(run.path).state
    with pytest.raises(UsageError, match="resume='must'"):
        run.log({"a": 1})


def test_a_preempted_run_says_so(wandb: ModuleType) -> None:
    """Preempting and a bad end is preempted; preempting and a good end is finished."""
    for code, state in ((1, "preempted"), (0, "finished")):
        run = wandb.init()
        run.mark_preempting()
        assert "preempting" == wandb.Api().run(run.path).state
        run.finish(exit_code=code)
        assert state == wandb.Api().run(run.path).state


def test_a_killed_script_keeps_what_it_logged(wandb: ModuleType, tmp_path: Path) -> None:
    """`SIGKILL` right after `log` returned: the row is there, and the run is crashed once somebody looks."""
    done = script("import lineage, os\nlineage.init(id='r1').log({'a': 1}); os.kill(os.getpid(), 9)", tmp_path)
    assert -signal.SIGKILL == done.returncode
    found = wandb.Api().run("r1")
    assert "crashed" == found.state
    assert [1] == [row["a"] for row in found.scan_history()]


def test_a_script_that_does_not_finish_its_run_has_it_finished(wandb: ModuleType, tmp_path: Path) -> None:
    """At the end of the process: finished, or failed when an exception ended it."""
    endings = {
        "": "finished",
        "raise RuntimeError('no')": "failed",
        "import sys; sys.exit(0)": "finished",
        "import sys; sys.exit('no')": "failed",
    }
    for code, state in endings.items():
        script(f"import lineage\nlineage.init(id='r1').log({{'a': 1}}, commit=False)\n{code}", tmp_path)
        found = wandb.Api().run("r1")
        assert (state, 1) == (found.state, found.summary["a"])


def test_a_forked_child_leaves_its_parents_run_alone(wandb: ModuleType, tmp_path: Path) -> None:
    """The child has no current run, cannot log to the parent's, and does not finish it; a run of its own is its own."""
    done = script(
        """
        import lineage, os
        run = lineage.init(id='parent')
        run.log({'a': 1})
        if os.fork() == 0:
            assert lineage.run is None
            try:
                run.log({'a': 2})
            except lineage.Error as error:
                assert 'belongs to the process that started it' in str(error)
            else:
                os._exit(3)
            lineage.init(id='child').log({'a': 3})
            raise SystemExit(0)
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        assert lineage.Api().run('parent').state == 'running'
        run.log({'a': 4})
        """,
        tmp_path,
    )
    assert 0 == done.returncode, done.stderr
    assert [1, 4] == [row["a"] for row in wandb.Api().run("parent").scan_history()]
    assert ("finished", "finished") == (wandb.Api().run("parent").state, wandb.Api().run("child").state)


def test_the_terminal_hears_where_and_how(wandb: ModuleType, capsys: pytest.CaptureFixture[str], lineage_home: Path) -> None:
    """Two lines when it begins, one when it ends; `silent` hears none; standard output is the script's."""
    with wandb.init(id="r1", project="p") as run:
        run.log({"loss": 0.25})
    said = capsys.readouterr()
    assert "" == said.out
    assert 3 == len(said.err.splitlines())
    assert "p/r1" in said.err
    assert str(lineage_home) in said.err
    assert "1 row, 0 artifacts logged, 0 used; loss=0.25" in said.err
    wandb.init(settings={"silent": True}).finish()
    wandb.init(settings={"quiet": True}).finish()
    assert "" == capsys.readouterr().err


def test_a_disabled_run_does_nothing_and_touches_no_disk(wandb: ModuleType, tmp_path: Path, lineage_home: Path) -> None:
    """Every call is accepted and nothing is checked; links and uses answer None; no directory appears."""
    with wandb.init(mode="disabled", config={"a": 1}) as run:
        assert run is wandb.run
        assert ("dummy", "dummy", None, True) == (run.entity, run.project, run.url, run.disabled)
        wandb.log({1: object()})
        wandb.config.update({"b": 2})
        assert (1, 2) == (wandb.config.a, wandb.config["b"])
        wandb.summary["x"] = 3
        assert wandb.use_artifact("none:latest") is None
        assert run.link_artifact(None, "x") is None
        nothing = wandb.log_artifact("missing", "name", "type")
        assert nothing.wait().version.anything() is nothing
        draft = wandb.Artifact("a", type="t")
        draft.add_file(__file__)
        assert not wandb.log_artifact(draft).wait()
        run.alert("a", "b")
    assert wandb.run is None
    assert not lineage_home.exists()
    assert [] == list(tmp_path.iterdir())


def test_a_run_has_a_directory_when_it_asks_for_one(wandb: ModuleType, tmp_path: Path) -> None:
    """Not before: a script that needs none leaves nothing in its working directory."""
    run = wandb.init()
    assert [] == list(tmp_path.iterdir())
    assert Path(run.dir).is_dir()
    assert tmp_path in Path(run.dir).parents


def test_old_names_still_answer(wandb: ModuleType) -> None:
    """What the W&B client dropped from `Run` is cheap to keep."""
    run = wandb.init(project="p")
    assert (None, None, None) == (run.get_url(), run.get_project_url(), run.get_sweep_url())
    assert ("p", "online") == (run.project_name(), run.mode)
    run.watch(None)
    run.join()
    assert "finished" == wandb.Api().run(run.path).state


def test_resume_notes_are_readable(wandb: ModuleType, tmp_path: Path) -> None:
    """`resume="auto"` leaves the id in the working directory until the run ends well."""
    run = wandb.init(resume="auto")
    note = tmp_path / ".lineage" / "resume.json"
    assert {"run": run.id} == json.loads(note.read_text())
    run.finish()
    assert not note.exists()


def test_threads_share_a_run(wandb: ModuleType) -> None:
    """Every row has a step of its own, and none is lost."""
    with wandb.init() as run:
        workers = [threading.Thread(target=lambda: [run.log({"x": number}) for number in range(25)]) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert list(range(100)) == [row["_step"] for row in rows(wandb, run)]
