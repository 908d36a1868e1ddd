"""The options that every command understands, and how a plain function with a `Shell` becomes a command that does.

A command is a function whose first parameter is the shell and whose others are its own arguments; it returns its exit code. `bound`
gives Typer the function it wants: the command's own parameters and the common ones, so that `--json` and `--home` may stand anywhere.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from lineage.cli.complete import artifact_names, project_names
from lineage.cli.outcome import Exit
from lineage.cli.shell import Shell

Command = Callable[..., Exit]

_PANEL = "Everywhere"
# Help is read as Rich markup: a bracket that is meant is written \[.
Home = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", help="The store's directory. Else LINEAGE_HOME, else this user's own.", rich_help_panel=_PANEL),
]
Entity = Annotated[
    str | None, typer.Option("--entity", "-e", metavar="NAME", help="Entity of paths that name none.", rich_help_panel=_PANEL)
]
Project = Annotated[
    str | None,
    typer.Option(
        "--project", "-p", metavar="NAME", help="Project of paths that name none.", rich_help_panel=_PANEL, autocompletion=project_names
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.", rich_help_panel=_PANEL)]

Name = Annotated[
    str, typer.Argument(metavar="NAME", help=r"\[entity/]\[project/]name\[:version|:alias|:digest]", autocompletion=artifact_names)
]
Node = Annotated[str, typer.Argument(metavar="NAME|RUN", help="An artifact version, or a run.", autocompletion=artifact_names)]
Where = Annotated[str | None, typer.Argument(metavar="PROJECT", help=r"\[entity/]project", autocompletion=project_names)]

_COMMON = [
    inspect.Parameter("home", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Home),
    inspect.Parameter("entity", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Entity),
    inspect.Parameter("project", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Project),
    inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json),
]


def bound(command: Command) -> Callable[..., None]:
    """What Typer calls for `command`: opens the shell, runs the command, ends with its exit code."""

    def invoke(context: typer.Context, **given: Any) -> None:
        outer = context.obj or {}
        home, entity, project, as_json = (given.pop(parameter.name) for parameter in _COMMON)
        shell = Shell.of(home or outer.get("home"), entity, project, as_json=as_json or outer.get("as_json", False))
        raise typer.Exit(command(shell, **given))

    own = [part.replace(kind=inspect.Parameter.KEYWORD_ONLY) for part in list(inspect.signature(command).parameters.values())[1:]]
    first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = [first, *own, *_COMMON]
    invoke.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # how a function states another signature
    invoke.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    invoke.__name__, invoke.__doc__ = command.__name__, command.__doc__
    return invoke
