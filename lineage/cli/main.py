"""The `lineage` command: which commands there are, what stands in the help, and how the program ends.

The tables below are all there is. A command raises the errors of its house and knows nothing of exit codes for them; here they become
two lines on standard error and a code (`outcome`).
"""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import typer

from lineage import __version__
from lineage.cli.command import ancestry, clock, comparing, content, demo, keeping, lifetime, listing, ranking, showing, standing, store
from lineage.cli.option import Command, Home, Json, bound
from lineage.cli.outcome import EXPLAINED, Exit, Failure
from lineage.cli.shell import Shell
from lineage.sdk.settings import Settings

PANELS: dict[str, tuple[Command, ...]] = {
    "Begin": (demo.demo, store.init),
    "Content": (content.put, content.get, listing.ls, showing.show),
    "Lineage": (ancestry.graph, ancestry.up, ancestry.down, comparing.diff),
    "Runs": (ranking.runs, ranking.best),
    "Upkeep": (
        lifetime.ttl,
        lifetime.hold,
        lifetime.protect,
        keeping.expire,
        keeping.reclaim,
        keeping.verify,
        standing.check,
        store.backup,
        store.doctor,
    ),
}
"""Every command but `jobs`, under the heading it has in the help."""
JOBS: dict[str, Command] = {
    "run": clock.run,
    "list": clock.list_,
    "on": clock.on,
    "off": clock.off,
    "cron": clock.cron,
    "systemd": clock.systemd,
}

EPILOG = "Exit codes: " + "; ".join(f"{int(code)} {meaning}" for code, meaning in EXPLAINED.items()) + "."


def application() -> typer.Typer:
    """The command with all its commands."""
    app = typer.Typer(name="lineage", help=everything.__doc__, epilog=EPILOG, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(everything)
    for panel, commands in PANELS.items():
        for command in commands:
            app.command(command.__name__, rich_help_panel=panel)(bound(command))
    jobs = typer.Typer(help="What is done again and again: expire, reclaim, verify, check.", no_args_is_help=True)
    for name, command in JOBS.items():
        jobs.command(name)(bound(command))
    app.add_typer(jobs, name="jobs", rich_help_panel="Upkeep")
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lineage {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", help="Show which release this is and exit.", is_eager=True, callback=_version)]


def everything(context: typer.Context, home: Home = None, as_json: Json = False, version: Version = False) -> None:  # noqa: ARG001
    """What was this model made from, and what is affected if it must go? Lineage of machine-learning artifacts, kept in one directory."""
    context.obj = {"home": home, "as_json": as_json}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character gets its number, not a failure
    try:
        code = application()(given, prog_name="lineage", standalone_mode=False)
        if code == Exit.INTERRUPTED:  # Typer's answer to Ctrl-C
            raise KeyboardInterrupt
        return int(code or Exit.OK)
    except (KeyboardInterrupt, typer.Abort):
        return _end(Failure(Exit.INTERRUPTED, "interrupted", "interrupted"), given)
    except typer.TyperException as error:
        message = error.format_message()
        if not message:  # no command was given: the help has been shown
            return int(Exit.USAGE)
        return _end(Failure(Exit.USAGE, "usage", message, _way_on(getattr(error, "ctx", None))), given)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # the reader has what it wanted, as in `lineage … | head`
            return int(Exit.OK)
        raise
    except Exception as error:
        if os.environ.get("LINEAGE_DEBUG"):
            raise
        return _end(Failure.of(error), given)


def _way_on(context: typer.Context | None) -> str:
    """Where the help is that fits a call which could not be understood."""
    command = None if context is None or context.parent is None else context.command_path
    return f"'{command} --help' says what it takes" if command else "'lineage --help' and 'lineage COMMAND --help' say what there is"


def _end(failure: Failure, given: Sequence[str]) -> int:
    Shell(Settings(), as_json="--json" in given).fail(failure)
    return int(failure.exit)
