"""Sweeps: make one, hand out its configurations, find its best run."""

from typing import Any

from lineage.actions.find import history, run_by_id
from lineage.actions.open import Engine, ensure_project, require_project
from lineage.actions.start import new_run_id
from lineage.catalog import filter as filters
from lineage.catalog import metric as metrics
from lineage.catalog import run as runs
from lineage.catalog import sweep as sweeps
from lineage.model.access import Act
from lineage.model.errors import UsageError
from lineage.model.metric import number
from lineage.model.names import ProjectPath
from lineage.model.query import Order, parse_filter
from lineage.model.run import RunRecord
from lineage.model.sweep import GOALS, Space, SweepRecord, SweepState

_OPEN = frozenset({SweepState.PENDING, SweepState.RUNNING})


def create_sweep(engine: Engine, path: ProjectPath, config: object) -> SweepRecord:
    """A new sweep over the space `config` describes. Raises: UsageError, naming what is wrong with it."""
    space = Space.of(config)
    place = ensure_project(engine, path)
    with engine.catalog.tx() as c:
        return sweeps.insert(c, place.id, new_run_id(), space, engine.now)


def next_configuration(engine: Engine, sweep: SweepRecord) -> dict[str, Any] | None:
    """The next configuration, which nobody else gets, or `None` when the sweep is over, paused or cancelled."""
    space = Space.of(sweep.config)
    with engine.catalog.tx() as c:
        state = sweeps.get(c, sweep.id).state
        if state not in _OPEN:
            return None
        found = space.configuration(sweeps.hand_out(c, sweep.id), _seed(sweep))
        sweeps.set_state(c, sweep.id, SweepState.RUNNING if found is not None else SweepState.FINISHED)
        return found


def _seed(sweep: SweepRecord) -> int:
    stated = sweep.config.get("seed")
    return stated if isinstance(stated, int) else int.from_bytes(sweep.name.encode())


def set_sweep_state(engine: Engine, sweep: SweepRecord, state: SweepState) -> SweepRecord:
    """The sweep in that state; a finished or cancelled one stays what it is. Raises: UsageError."""
    with engine.catalog.tx() as c:
        now = sweeps.get(c, sweep.id).state
        if now not in (*_OPEN, SweepState.PAUSED) and state != now:
            raise UsageError(f"sweep {sweep.path} is {now}: it cannot become {state}; make a new one")
        sweeps.set_state(c, sweep.id, state)
        return sweeps.get(c, sweep.id)


def sweep_runs(
    engine: Engine, sweep: SweepRecord, *, order: str | None = None, limit: int | None = None, offset: int = 0
) -> list[RunRecord]:
    """The sweep's runs, best first where it has a metric, else the newest first."""
    ordering = Order.parse(order or sweep.order or "-created_at")
    with engine.catalog.read() as c:
        return runs.select(c, filters.clause(parse_filter(None), ordering, sweep_id=sweep.id), limit, offset)


def best_run(
    engine: Engine, sweep: SweepRecord, *, metric: str | None = None, goal: str | None = None, by: str = "last"
) -> RunRecord | None:
    """The sweep's best run by its summary (`by="last"`) or by the best value its history ever had (`"min"`, `"max"`, `"best"`).

    Runs without the metric, or with NaN, are nobody's best; ties go to the earliest run. Raises: UsageError without any metric.
    """
    key, way = metric or sweep.metric, _goal(goal or sweep.goal)
    if key is None:
        raise UsageError(f"sweep {sweep.path} names no metric: say which one decides, such as val_loss")
    if by == "last":
        with engine.catalog.read() as c:
            found = metrics.best(c, key, maximize=way == "maximize", sweep_id=sweep.id)
        return None if found is None else run_by_id(engine, found)
    if by not in ("min", "max", "best"):
        raise UsageError(f"by={by!r}: choose 'last', 'best', 'min' or 'max'")
    pick = {"min": min, "max": max}[by if by != "best" else way[:3]]
    scored = []
    for run in sweep_runs(engine, sweep, order="+created_at"):
        values = [value for row in history(engine, run.id) if (value := number(row.values.get(key))) is not None]
        if values:
            scored.append((pick(values), run))
    if not scored:
        return None
    best = (max if way == "maximize" else min)(score for score, _ in scored)
    return next(run for score, run in scored if score == best)


def best_of_runs(engine: Engine, path: ProjectPath, metric: str, goal: str) -> RunRecord | None:
    """The project's run with the best summary of `metric`; ties go to the earliest."""
    way = _goal(goal)
    place = require_project(engine, path, Act.READ)
    with engine.catalog.read() as c:
        found = metrics.best(c, metric, maximize=way == "maximize", project_id=place.id)
    return None if found is None else run_by_id(engine, found)


def _goal(goal: str) -> str:
    if goal not in GOALS:
        raise UsageError(f"goal {goal!r}: choose one of {', '.join(GOALS)}")
    return goal
