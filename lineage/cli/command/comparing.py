"""`diff`: what differs between two versions, and what of their making could be why."""

from typing import Annotated

import typer
from rich.console import RenderableType

from lineage.actions.compare import compare
from lineage.cli import record, target
from lineage.cli.complete import artifact_names
from lineage.cli.outcome import Exit
from lineage.cli.shell import Shell, facts
from lineage.model.comparison import Comparison, told, told_change, told_content
from lineage.model.errors import Gone, UsageError

Before = Annotated[str, typer.Argument(metavar="BEFORE", help="The version to start from.", autocompletion=artifact_names)]
After = Annotated[str, typer.Argument(metavar="AFTER", help="The version to arrive at.", autocompletion=artifact_names)]


def diff(
    shell: Shell,
    before: Before,
    after: After,
    files: Annotated[bool, typer.Option("--files", help="Every path that differs too.")] = False,  # an option
    stat: Annotated[bool, typer.Option("--stat", help="Only how much of the content differs.")] = False,  # an option
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Ask whether the content is the same: 0 it is, 1 it is not.")
    ] = False,  # an option
) -> Exit:
    """Tell what differs between two versions and why it may: content, inputs, code, configuration, metadata, measurements.

    A path is marked + when it was added, - removed, ~ changed, > renamed. Nothing is read of what both versions share.

    Examples:
      lineage diff vision/classifier:v6 vision/classifier:v7
      lineage diff vision/digits:v0 vision/digits:latest --files
      lineage diff vision/digits:v0 vision/digits:latest --stat --exit-code
    """
    if files and stat:
        raise UsageError("--files lists every path and --stat none: leave one of them out")
    with shell.engine() as engine:
        found = compare(engine, *(target.version(shell, engine, name) for name in (before, after)))
        if files and found.content is None:
            raise Gone(f"the paths cannot be compared: {found.reason}; leave --files out to see the rest")
        document = record.comparison(found)
        if files and shell.as_json:
            document["changes"] = [record.change(each) for each in found.content or ()]
        shell.answer(document, *([told_content(found)] if stat else _shown(found)))
        if files:
            _list(shell, found)
    return Exit.NO if exit_code and found else Exit.OK


def _shown(found: Comparison) -> list[RenderableType]:
    title = f"{found.before.version.path} → {found.after.version.path}"
    return [title, facts(*((name, "\n".join(lines)) for name, lines in told(found)))]


def _list(shell: Shell, found: Comparison) -> None:
    """A line a path, each as soon as it is known."""
    for change in found.content or ():
        shell.show(told_change(change))
