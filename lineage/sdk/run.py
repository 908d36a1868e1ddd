"""The run of this process: what it is called, what it measures, how it ends. What it takes and gives is in `exchange`.

A committed row is with the operating system when `log` returns, so a killed program keeps its metrics; the next one to start finds the run
without its process and marks it crashed. A run is finished once: by `finish`, by the end of its `with` block, or when the process ends. A
forked child has no part in its parent's run.
"""

import datetime as dt
import json
import operator
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from lineage.actions import find
from lineage.actions.finish import finish_run
from lineage.actions.history import open_history
from lineage.actions.start import Started, heartbeat
from lineage.actions.update import update_run, update_summary
from lineage.model.document import MAX_INTEGER
from lineage.model.errors import Error, UnsupportedError, UsageError
from lineage.model.metric import Row, flat
from lineage.model.names import RunPath
from lineage.model.project import ProjectRecord
from lineage.model.run import RunState, Start
from lineage.sdk.active import ACTIVE, exit_code
from lineage.sdk.alert import Alerts
from lineage.sdk.config import Config
from lineage.sdk.exchange import Exchange
from lineage.sdk.host import Host
from lineage.sdk.media import Media
from lineage.sdk.settings import Settings
from lineage.sdk.step import Metrics, Rows, Steps
from lineage.sdk.summary import Summary
from lineage.sdk.terminal import termlog, termwarn

HEARTBEAT = 30.0
"""Seconds between two signs of life that logging gives; the summary that others read is that old at most."""
CONTROL = ".lineage"
RESUME_FILE = "resume.json"


class Run(Exchange):
    """See the top of this file."""

    def __init__(self, host: Host, place: ProjectRecord, started: Started, config: Config, settings: Settings) -> None:
        self._host, self._place, self._record = host, place, started.run
        self._settings = settings
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self._is_finished = False
        self._beat = time.monotonic()
        self._history = open_history(self.engine, started.run)
        self._steps = Steps(started.run.step)
        self._metrics = Metrics()
        self._alerts = Alerts()
        self._rows = 0
        self.config = config
        self.summary = Summary(started.summary, self._keep_summary)
        self.starting_step = started.run.step
        self.resumed = started.start is Start.RESUME
        self.start_time = started.run.created_at.timestamp()

    # ── who it is ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    id = property(lambda self: self._record.name, doc="The id, unique in the project.")
    entity = property(lambda self: self._record.entity, doc="Who owns the project.")
    project = property(lambda self: self._record.project, doc="The project's name.")
    path = property(lambda self: self._record.path, doc="`entity/project/id`.")
    group = property(lambda self: self._record.group)
    job_type = property(lambda self: self._record.job_type)
    settings = property(lambda self: self._settings)
    sweep_id = property(lambda self: self._record.sweep, doc="The sweep it belongs to, or `None`.")
    url = project_url = sweep_url = None  # an embedded store has no pages
    offline = property(lambda self: self._settings.mode == "offline", doc="Everything works either way.")
    disabled = False
    mode = property(lambda self: self._settings.mode)

    @property
    def name(self) -> str:
        """What people call it; assign to rename it."""
        return self._record.display_name

    @name.setter
    def name(self, value: str) -> None:
        self._record = update_run(self.engine, self._record.id, name=value)

    @property
    def notes(self) -> str | None:
        return self._record.notes

    @notes.setter
    def notes(self, value: str | None) -> None:
        self._record = update_run(self.engine, self._record.id, notes=value)

    @property
    def tags(self) -> tuple[str, ...]:
        return self._record.tags

    @tags.setter
    def tags(self, value: tuple[str, ...] | list[str]) -> None:
        self._record = update_run(self.engine, self._record.id, tags=list(value))

    @property
    def config_static(self) -> dict[str, Any]:
        """A copy of the configuration that changes nothing."""
        return self.config.as_dict()

    @property
    def step(self) -> int:
        """The step that `log` writes next."""
        return self._steps.step

    @property
    def dir(self) -> str:
        """A directory of the run's own, made when it is asked for."""
        path = self._settings.directory / CONTROL / f"run-{self._record.name}" / "files"
        path.mkdir(parents=True, exist_ok=True)
        return str(path)

    @property
    def sync_dir(self) -> str:
        return str(Path(self.dir).parent)

    # ── what it measures ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _require_alive(self) -> None:
        if os.getpid() != self._owner:
            raise Error(f"run {self._record.name} belongs to the process that started it: call init() here for a run of your own")
        if self._is_finished:
            raise UsageError(f"run {self._record.name} is finished: take it up again with init(id={self._record.name!r}, resume='must')")

    def log(
        self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, sync: object = None
    ) -> None:  # the W&B signature
        """Log metrics as a row of the history: kept when this returns, unless the row stays open (`commit=False`, or a `step`).

        Raises:
            InvalidMetadata: naming the key that cannot be kept; nothing was logged.
        """
        self._require_alive()
        step = None if step is None else _whole(step)
        with self._lock:
            values = flat(self._without_media(data, self.step if step is None else step))
            rows = self._steps.add(values, step, commit)
            if rows is None:
                termwarn(f"step {step} comes after step {self.step} and was dropped: rows are written once", repeat=False)
                return
            self._write(rows)

    def _without_media(self, data: object, step: int) -> object:
        if not isinstance(data, Mapping) or not any(map(_holds_media, data.values())):
            return data
        return {key: self.keep_media(str(key), value, step) if _holds_media(value) else value for key, value in data.items()}

    def _write(self, rows: Rows) -> None:
        for step, values in rows:
            now = self.engine.clock().timestamp()
            self._history.append(Row(step, now, values))
            self.summary.observe(self._metrics.observe(values))
            self._rows += 1
        if time.monotonic() - self._beat > HEARTBEAT:
            heartbeat(self.engine, self._record.id)
            update_summary(self.engine, self._record.id, self.summary.flat)
            self._beat = time.monotonic()

    def define_metric(
        self,
        name: str,
        step_metric: Any = None,  # how a chart is drawn has no meaning here
        step_sync: bool | None = None,  # as above
        hidden: bool | None = None,  # as above
        summary: str | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,  # the last word counts
    ) -> None:
        """What the summary keeps of a metric: `min`, `max`, `mean`, `first`, `last`, `none`, several with commas. `*` may end the name."""
        self._metrics.define(name, summary, goal)

    def keep_config(self, values: Mapping[str, Any]) -> None:
        """Write the configuration through; for `Config`."""
        self._require_alive()
        self._record = update_run(self.engine, self._record.id, config=values)

    def _keep_summary(self, values: Mapping[str, Any], gone: Any) -> None:
        self._require_alive()
        update_summary(self.engine, self._record.id, values, gone)

    def alert(self, title: str, text: str, level: Any = "INFO", wait_duration: float | dt.timedelta | None = None) -> None:
        """Say something at the terminal, the same title not again before `wait_duration` (a minute) is over."""
        self._alerts.raise_(title, text, level, wait_duration)

    def mark_preempting(self) -> None:
        """The machine may be taken away: if the run does not end well, it was preempted, not crashed."""
        self._require_alive()
        self._record = update_run(self.engine, self._record.id, state=RunState.PREEMPTING)

    # ── how it ends ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run: `finished`, or `failed` when `exit_code` is not 0. A second call, and one in a forked child, change nothing."""
        if self._is_finished or os.getpid() != self._owner:
            return
        code = exit_code or 0
        is_preempted = self._record.state is RunState.PREEMPTING and code != 0
        with self._lock:
            try:
                self._write(self._steps.flush())
                self._history.close()
                self._is_finished = True
                state = RunState.PREEMPTED if is_preempted else None
                self._record = finish_run(self.engine, self._record.id, exit_code=code, state=state, summary=self.summary.flat)
                self._hide_defined()
            finally:
                ACTIVE.end(self)
        if code == 0:
            (self._settings.directory / CONTROL / RESUME_FILE).unlink(missing_ok=True)
        if not quiet:
            termlog(self._farewell())

    join = finish

    def _hide_defined(self) -> None:
        """Take the plain last value of a metric out of the summary where `define_metric` wanted something else."""
        if not self._metrics.defined:
            return
        plain = [key for key in find.summary(self.engine, self._record.id) if self._metrics.ways(key) is not None]
        if plain:
            update_summary(self.engine, self._record.id, {}, plain)

    def _farewell(self) -> str:
        shown = [f"{key}={value:.6g}" for key, value in self.summary.flat.items() if isinstance(value, float)][:6]
        rows, things = "row" if self._rows == 1 else "rows", "artifact" if self._logged == 1 else "artifacts"
        counts = f"{self._rows} {rows}, {self._logged} {things} logged, {self._used} used"
        return f"run {self._record.display_name} {self._record.state}: {counts}" + (f"; {', '.join(shown)}" if shown else "")

    def remember_for_resume(self) -> None:
        """Leave a note in the working directory, so that `resume="auto"` finds this run if it does not end well."""
        path = self._settings.directory / CONTROL / RESUME_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"run": self._record.name}), encoding="utf-8")

    # ── what is not offered, and what old scripts call ────────────────────────────────────────────────────────────────────────────

    def save(self, *_: object, **__: object) -> NoReturn:
        """Not offered: files belong into artifacts."""
        raise UnsupportedError("run.save is not offered: put files into an artifact and log it, run.log_artifact(path, type='files')")

    def restore(self, *_: object, **__: object) -> NoReturn:
        """Not offered: files come out of artifacts."""
        raise UnsupportedError("run.restore is not offered: use run.use_artifact(name).download()")

    def plot_table(self, *_: object, **__: object) -> NoReturn:
        """Not offered: log the table."""
        raise UnsupportedError("plot_table is not offered: log the table itself, run.log({'name': lineage.Table(…)})")

    def watch(self, *_: object, **__: object) -> None:
        """Nothing, and it is said."""
        termlog("watch does nothing here: log what you want to see with run.log", repeat=False)

    def unwatch(self, *_: object, **__: object) -> None:
        """Nothing."""

    def display(self, *_: object, **__: object) -> bool:
        return False

    def status(self) -> Mapping[str, Any]:
        return {"state": str(self._record.state), "step": self.step}

    def get_url(self) -> None:
        return None

    get_project_url = get_sweep_url = get_url

    def project_name(self) -> str:
        return self._record.project

    @property
    def sweep(self) -> Any:
        """The sweep it belongs to, or `None`."""
        return None if self.sweep_id is None else self._host.sweep_of(RunPath(self._record.sweep or "", self.project, self.entity))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.finish(exit_code=exit_code(error))

    def __repr__(self) -> str:
        state = "finished" if self._is_finished else "live"
        return f"<Run {self._record.path} ({state}, step {self.step})>"


def _whole(step: Any) -> int:
    """A step as Python counts it: counters of NumPy and torch are whole numbers too."""
    try:
        number = -1 if isinstance(step, bool) else operator.index(step)
    except TypeError:
        number = -1
    if not 0 <= number < MAX_INTEGER:
        raise UsageError(f"step={step!r}: give a whole number from 0 that fits into 64 bits")
    return number


def _holds_media(value: object) -> bool:
    return isinstance(value, Media) or (isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(one, Media) for one in value))
