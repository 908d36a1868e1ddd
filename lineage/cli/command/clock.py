"""`jobs`: what has to be done again and again, done now, listed, or written down for the clock of this machine."""

import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lineage.actions import jobs as standing
from lineage.actions.jobs import JobRecord
from lineage.cli import record, text
from lineage.cli.outcome import Exit
from lineage.cli.shell import Row, Shell, table
from lineage.jobs import runner, schedule
from lineage.model.errors import InvalidPolicy, UsageError


def run(
    shell: Shell,
    name: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which jobs. Else all.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Even those that are not due yet.")] = False,  # an option
) -> Exit:
    """Do the jobs that are due. Any number of runners may be started: a job is done by one of them.

    Examples:
      lineage jobs run
      lineage jobs run verify --force
    """
    with shell.engine() as engine:
        outcome = runner.run(engine, name or None, force=force)
        _answer(shell, outcome.jobs, engine.clock(), otherwise="nothing is due; 'lineage jobs list' says when, --force does it now")
    return Exit.OK if outcome.is_good else Exit.NO


def list_(shell: Shell) -> Exit:
    """List the jobs: how often, what came of them last, when they are due.

    Examples:
      lineage jobs list
    """
    with shell.engine() as engine:
        _answer(shell, standing.jobs(engine), engine.clock())
    return Exit.OK


def on(
    shell: Shell,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which job.")],
    every: Annotated[str | None, typer.Option("--every", metavar="SPAN", help="How often: 12h, 1d, 1w. Else as before.")] = None,
) -> Exit:
    """Have a job done from now on. 'check', which asks outside services, is off until you do.

    Examples:
      lineage jobs on check --every 12h
      lineage jobs on verify --every 4w
    """
    span = None if every is None else _length(every)
    with shell.engine() as engine:
        record_ = standing.switch_job(engine, name, on=True, every=span)
        _answer(shell, [record_], engine.clock())
    return Exit.OK


def _length(every: str) -> dt.timedelta:
    """A length of time as it is written for --every: 'never' and 'inherit' are none."""
    try:
        span = text.parse_ttl(every)
    except InvalidPolicy:
        span = None
    if not isinstance(span, dt.timedelta):
        raise UsageError(f"--every {every!r} is no length of time: write a number and a unit as in 12h or 1w")
    return span


def off(shell: Shell, name: Annotated[str, typer.Argument(metavar="NAME", help="Which job.")]) -> Exit:
    """Have a job not done any more, until it is switched on again; by name and with --force it still can be.

    Examples:
      lineage jobs off check
    """
    with shell.engine() as engine:
        _answer(shell, [standing.switch_job(engine, name, on=False)], engine.clock())
    return Exit.OK


def cron(shell: Shell) -> Exit:
    """Print the line that makes cron do the jobs every hour.

    Examples:
      (crontab -l; lineage jobs cron) | crontab -
    """
    line = schedule.crontab(_command(), shell.settings.place)
    shell.answer({"crontab": line}, line)
    return Exit.OK


def systemd(shell: Shell) -> Exit:
    """Print the units that make systemd do the jobs every hour.

    Examples:
      lineage jobs systemd
    """
    units = schedule.units(_command(), shell.settings.place)
    files = [f"# ~/.config/systemd/user/{name}\n{content}" for name, content in units.items()]
    shell.answer({"units": dict(units)}, *files, "# then: systemctl --user enable --now lineage.timer")
    return Exit.OK


def _command() -> list[str]:
    """How this program is called by somebody who has another PATH."""
    beside = Path(sys.executable).with_name("lineage")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "lineage"]


def _answer(shell: Shell, jobs: Sequence[JobRecord], now: dt.datetime, otherwise: str = "") -> None:
    rows: list[Row] = [
        (each.name, text.span(each.every), each.does, text.ago(each.last_finished, now), *_result(each, now)) for each in jobs
    ]
    shown = table("job", "every", "what", "last done", "result", "due", rows=rows)
    shell.answer({"jobs": [record.job(each) for each in jobs]}, shown if rows else otherwise)


def _result(job: JobRecord, now: dt.datetime) -> Row:
    result = ": ".join(filter(None, (job.last_result, job.last_reason)))
    if not job.is_on:
        return result, f"off: 'lineage jobs on {job.name}'"
    return result, "now" if job.next_due is None or job.next_due <= now else text.ago(job.next_due, now)
