"""Sweeps: a search over configurations, made with `sweep`, worked off with `agent`, looked at through `Sweep`."""

from typing import Any

from lineage.actions import find
from lineage.actions.search import best_run, create_sweep, set_sweep_state, sweep_runs
from lineage.model.errors import UnsupportedError, UsageError
from lineage.model.names import ProjectPath, RunPath
from lineage.model.sweep import Space, SweepRecord, SweepState
from lineage.sdk.host import Host, default_host, placed
from lineage.sdk.page import Page
from lineage.sdk.terminal import termlog, termwarn

_DIRECTIONS = {"+": "minimize", "-": "maximize"}
_PLACES = ("summary_metrics.", "summary.")
_WITHOUT_EFFECT = ("early_terminate", "command", "program")
"""Keys of a W&B sweep that say how an agent of programs, or of bayes search, behaves."""
_MADE: dict[str, ProjectPath] = {}


def made_here(sweep_id: str) -> ProjectPath:
    """Where this process made that sweep: scripts say the project to `sweep` and leave it out of `agent`. Nowhere, if it did not."""
    return _MADE.get(sweep_id, ProjectPath())


class Sweep:
    """A sweep and its runs."""

    def __init__(self, record: SweepRecord, host: Host) -> None:
        self._record = record
        self._host = host

    @property
    def id(self) -> str:
        return self._record.name

    @property
    def name(self) -> str:
        return str(self._record.config.get("name") or self._record.name)

    @property
    def entity(self) -> str:
        return self._record.entity

    @property
    def project(self) -> str:
        return self._record.project

    @property
    def path(self) -> list[str]:
        return [self._record.entity, self._record.project, self._record.name]

    @property
    def url(self) -> None:
        """`None`: an embedded store has no pages."""

    @property
    def config(self) -> dict[str, Any]:
        return dict(self._record.config)

    @property
    def order(self) -> str | None:
        """How its runs are ordered, best first: `+` ascending, `-` descending; `None` without a metric."""
        return self._record.order

    @property
    def state(self) -> str:
        """`PENDING`, `RUNNING`, `PAUSED`, `FINISHED` or `CANCELED`, as it is now."""
        path = RunPath(self._record.name, self._record.project, self._record.entity)
        self._record = find.sweep(self._host.engine, path)
        return str(self._record.state)

    @property
    def expected_run_count(self) -> int | None:
        """How many runs there will be; `None` when there is no end."""
        return Space.of(self._record.config).size

    @property
    def runs(self) -> Page[Any]:
        """Its runs, best first where it has a metric, else the newest first."""
        host, record = self._host, self._record
        return Page(lambda offset, limit: [host.run_of(run) for run in sweep_runs(host.engine, record, limit=limit, offset=offset)])

    def best_run(self, order: str | None = None, by: str = "last") -> Any:
        """Its best run, or `None` when no run has the metric.

        `order` is `+metric` (the smallest is best), `-metric` (the largest) or a bare metric, which follows the sweep's goal. `by` compares
        the `last` value of the summary, or the `best`, `min` or `max` of the whole history.

        Raises:
            UsageError: neither the sweep nor `order` names a metric.
        """
        if order is None and self._record.metric is None:
            raise UsageError(f"sweep {self._record.path} names no metric: say which one decides, as in best_run(order='+val_loss')")
        metric, goal = (None, None) if order is None else self._ordered(order)
        found = best_run(self._host.engine, self._record, metric=metric, goal=goal, by=by)
        return None if found is None else self._host.run_of(found)

    def _ordered(self, order: str) -> tuple[str, str]:
        sign, name = (order[0], order[1:]) if order[:1] in _DIRECTIONS else ("", order)
        for place in _PLACES:
            name = name.removeprefix(place)
        if not name:
            raise UsageError(f"order {order!r} names no metric: write '+val_loss' or '-val_acc'")
        return name, _DIRECTIONS.get(sign, self._record.goal)

    def pause(self) -> None:
        """Hand out no more configurations until `resume`."""
        self._record = set_sweep_state(self._host.engine, self._record, SweepState.PAUSED)

    def resume(self) -> None:
        """Hand configurations out again."""
        self._record = set_sweep_state(self._host.engine, self._record, SweepState.RUNNING)

    def stop(self) -> None:
        """Hand out no more configurations; runs that are running finish."""
        self._record = set_sweep_state(self._host.engine, self._record, SweepState.FINISHED)

    def cancel(self) -> None:
        """End it."""
        self._record = set_sweep_state(self._host.engine, self._record, SweepState.CANCELED)

    def __len__(self) -> int:
        return len(self.runs)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<Sweep {self._record.path} ({self._record.state})>"


def sweep(sweep: Any, entity: str | None = None, project: str | None = None, prior_runs: list[str] | None = None) -> str:
    """The id of a new sweep over the space that `sweep`, a dictionary, describes: `method` (grid, random), `metric`, `parameters`.

    Raises:
        UsageError: naming what is wrong with it.
    """
    if prior_runs:
        raise UnsupportedError("prior_runs only matter to bayes search, which is not offered: methods are grid and random")
    config = sweep() if callable(sweep) else sweep
    if not isinstance(config, dict):
        raise UsageError(f"a sweep is a dictionary with 'method' and 'parameters', not {type(config).__name__}")
    host = default_host()
    path = placed(ProjectPath(project or config.get("project"), entity or config.get("entity")), host)
    record = create_sweep(host.engine, path, config)
    _MADE[record.name] = ProjectPath(record.project, record.entity)
    idle = [key for key in _WITHOUT_EFFECT if key in config]
    if idle:
        termwarn(f"sweep {record.name}: {', '.join(idle)} has no effect here: every run runs to its end, in the function that agent calls")
    termlog(f"sweep {record.path} created: run it with lineage.agent({record.name!r}, function)")
    return record.name
