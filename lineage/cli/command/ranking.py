"""Runs, filtered and ordered: `runs` lists them, `best` names the best one and what it made."""

from typing import Annotated, Literal

import typer

from lineage.actions import find, search, walk
from lineage.actions.finish import end_crashed
from lineage.actions.open import Engine
from lineage.cli import record, text
from lineage.cli.complete import project_names
from lineage.cli.option import Where
from lineage.cli.outcome import Exit
from lineage.cli.shell import Row, Shell, table
from lineage.model.document import parse_json
from lineage.model.errors import NotFound, UsageError
from lineage.model.run import RunRecord
from lineage.model.sweep import SweepRecord

MOST_METRICS = 4
"""Columns of metrics that a table has room for; --json has them all."""


def runs(
    shell: Shell,
    path: Where = None,
    filter: Annotated[  # noqa: A002  # the word users know
        str | None, typer.Option("--filter", metavar="JSON", help='As in \'{"state": "finished", "config.lr": {"$lt": 0.1}}\'.')
    ] = None,
    order: Annotated[str, typer.Option("--order", metavar="KEY", help="+key ascending, -key descending.")] = "-created_at",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
) -> Exit:
    """List the runs of a project, newest first.

    Examples:
      lineage runs vision
      lineage runs vision --filter '{"summary_metrics.loss": {"$lt": 0.2}}'
      lineage runs vision --order +summary_metrics.loss --limit 5
    """
    filters = None if filter is None else parse_json(filter, "--filter")
    with shell.engine() as engine:
        project = find.project(engine, shell.project(path))
        end_crashed(engine)  # those whose process died are shown as what they are
        found = find.runs(engine, shell.project(path), filters=filters, order=order, limit=limit)
        summaries = [find.summary(engine, run.id) for run in found]
        now = engine.clock()
    shown = _metrics(summaries)
    rows: list[Row] = [
        (run.name, run.display_name, run.state, run.job_type or "", text.ago(run.created_at, now), *(_value(summary, key) for key in shown))
        for run, summary in zip(found, summaries, strict=True)
    ]
    document = {"project": project.path, "runs": [record.run(run, summary) for run, summary in zip(found, summaries, strict=True)]}
    columns = ("run", "name", "state", "job type", "began", *(f">{key}" for key in shown))
    shell.answer(document, table(*columns, rows=rows) if rows else f"no such runs in {project.path}")
    return Exit.OK


def _metrics(summaries: list[dict[str, object]]) -> list[str]:
    """The numeric keys most runs have, in the order they were first met."""
    counts: dict[str, int] = {}
    for summary in summaries:
        for key, value in summary.items():
            if isinstance(value, int | float) and not key.startswith("_"):
                counts[key] = counts.get(key, 0) + 1
    chosen = sorted(counts, key=lambda key: -counts[key])[:MOST_METRICS]
    return [key for key in counts if key in chosen]


def _value(summary: dict[str, object], key: str) -> str:
    return text.number(summary[key]) if key in summary else ""


def best(
    shell: Shell,
    path: Annotated[str, typer.Argument(metavar="PROJECT|SWEEP", help="Where to look.", autocompletion=project_names)],
    metric: Annotated[str | None, typer.Option("--metric", "-m", help="Which summary value decides. Of a sweep: its own.")] = None,
    goal: Annotated[Literal["minimize", "maximize"] | None, typer.Option("--goal", "-g", help="Which end is good.")] = None,
) -> Exit:
    """Name the best run of a sweep or project, and what it logged. Runs without the metric are never best; the earliest wins a tie.

    Examples:
      lineage best vision --metric val_loss
      lineage best vision --metric accuracy --goal maximize
      lineage best vision/sweeps/x1y2z3a4
    """
    with shell.engine() as engine:
        sweep = _sweep(shell, engine, path)
        if sweep is not None:
            run, wanted = search.best_run(engine, sweep, metric=metric, goal=goal), metric or sweep.metric
        else:
            find.project(engine, shell.project(path))
            if metric is None:
                raise UsageError(f"{path!r} is a project, and a project has no metric of its own: say --metric NAME")
            run, wanted = search.best_of_runs(engine, shell.project(path), metric, goal or "minimize"), metric
        return _answer(shell, engine, path, run, wanted)


def _sweep(shell: Shell, engine: Engine, path: str) -> SweepRecord | None:
    try:
        return find.sweep(engine, shell.run(path))
    except NotFound:
        return None


def _answer(shell: Shell, engine: Engine, path: str, run: RunRecord | None, metric: str | None) -> Exit:
    if run is None:
        shell.answer({"run": None, "metric": metric, "value": None, "logged": []}, f"no run of {path} has the metric {metric!r}")
        return Exit.NO
    summary = find.summary(engine, run.id)
    logged = find.versions_by_id(engine, walk.logged(engine, run.id))
    value = summary.get(metric) if metric else None
    document = {"run": record.run(run, summary), "metric": metric, "value": value, "logged": [version.path for version in logged]}
    rows: list[Row] = [(version.path, version.type, text.size(version.size), ", ".join(version.aliases)) for version in logged]
    shell.answer(document, f"{run.path} ({run.display_name}): {metric} = {text.number(value)}")
    if rows:
        shell.show("", table("logged", "type", ">size", "aliases", rows=rows))
    return Exit.OK
