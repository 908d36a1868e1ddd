"""How long things stay: `ttl` states it, `hold` keeps one version, `protect` whichever version carries an alias.

Nothing expires here. But a length that makes versions due at once shows them first, and is stated when it is told to be: by `--yes`, or by
a person who is asked.
"""

import datetime as dt
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from lineage.actions import find, update
from lineage.actions.open import Engine
from lineage.cli import record, target, text
from lineage.cli.command.keeping import show_plan
from lineage.cli.complete import artifact_names, project_names
from lineage.cli.option import Name
from lineage.cli.outcome import Exit
from lineage.cli.shell import Row, Shell, table
from lineage.model.artifact import VersionRecord
from lineage.model.errors import UsageError
from lineage.model.project import ProjectRecord
from lineage.model.retention import TTL, Origin, Plan, Policy

SAYS: dict[Origin, str] = {
    Origin.VERSION: "its own",
    Origin.TYPE: "the default for its type",
    Origin.PROJECT: "the project's default",
    Origin.NOBODY: "nobody says otherwise",
}
"""Who states a TTL, in words."""


def ttl(
    shell: Shell,
    name: Annotated[str, typer.Argument(metavar="NAME|PROJECT", help="A version, or a project.", autocompletion=artifact_names)],
    length: Annotated[str | None, typer.Argument(metavar="LENGTH", help="30d, 12h, never or inherit. Else what applies now.")] = None,
    type: Annotated[str | None, typer.Option("--type", "-t", help="Of a project: only artifacts of this type.")] = None,  # noqa: A002  # the word users know
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Even if versions become due at once, without asking.")] = False,  # an option
) -> Exit:
    """Show how long a version is kept and who says so, or what a project says; with a length, change that.

    A version's own word counts first, then the project's for its type, then the project's; a length counts from the creation of each
    version. A change that makes versions due at once shows which.

    Examples:
      lineage ttl vision/classifier:best
      lineage ttl vision/classifier:v3 never
      lineage ttl vision 90d --type checkpoint
    """
    wanted = update.UNSET if length is None else text.parse_ttl(length)
    with shell.engine() as engine:
        found: VersionRecord | ProjectRecord | None = _version_or_project(shell, engine, name)
        if type is not None and isinstance(found, VersionRecord):
            raise UsageError(f"{found.path} is a version, and --type goes with a project: name {found.project}, or leave --type out")
        if found is not None and wanted is not update.UNSET:
            found = _state(shell, engine, found, wanted, type, yes=yes)
        if found is None:
            return Exit.REFUSED
        shell.answer(*(_of_version(engine, found) if isinstance(found, VersionRecord) else _of_project(engine, found, type)))
    return Exit.OK


def _version_or_project(shell: Shell, engine: Engine, name: str) -> VersionRecord | ProjectRecord:
    found = None if ":" in name else target.container(shell, engine, name)
    return found if isinstance(found, ProjectRecord) else target.version(shell, engine, name)


def _of_version(engine: Engine, found: VersionRecord) -> tuple[dict[str, Any], str]:
    """What applies to it now: as a document, and for people."""
    policy, origin = update.ttl_origin(engine, found)
    due = policy.due(found.created_at) if found.is_live else None
    ends = _ends(due, engine.clock()) if found.is_live else f"; it was {found.state} {text.moment(found.ended_at)}"
    stated = {"ttl": text.ttl(found.policy), "effective_ttl": text.ttl(policy), "stated_by": str(origin), "due": text.stamp(due)}
    return {"path": found.path, **stated}, f"{found.path}: {_length(policy)} ({SAYS[origin]}){ends}"


def _of_project(engine: Engine, found: ProjectRecord, type_: str | None) -> tuple[dict[str, Any], RenderableType]:
    """What it says of all its versions, or of those of one type: as a document, and for people."""
    types, whole = find.type_ttls(engine, target.path(found)), found.policy.effective()
    stated = types if type_ is None else {type_: types.get(type_, Policy())}
    rows: list[Row] = [(name, _length(each.effective(whole)), SAYS[_origin(found, each)]) for name, each in stated.items()]
    if type_ is None:
        rows.append(("every other" if rows else "every", _length(whole), SAYS[_origin(found, Policy())]))
    document = {"path": found.path, "ttl": text.ttl(found.policy), "types": {name: text.ttl(each) for name, each in stated.items()}}
    return document, table("type", "kept", "says", rows=rows)


def _ends(due: dt.datetime | None, now: dt.datetime) -> str:
    if due is None:
        return ""
    return f", its time ended {text.ago(due, now)}" if due <= now else f", may go {text.ago(due, now)}"


def _origin(project: ProjectRecord, of_type: Policy) -> Origin:
    """Who speaks for versions that say nothing themselves."""
    return Origin.TYPE if not of_type.inherit else Origin.NOBODY if project.policy.inherit else Origin.PROJECT


def _length(policy: Policy) -> str:
    return "for ever" if policy.seconds is None else text.ttl(policy)


def _state(
    shell: Shell, engine: Engine, found: VersionRecord | ProjectRecord, wanted: TTL, type_: str | None, *, yes: bool
) -> VersionRecord | ProjectRecord | None:
    """What it is with the new TTL; `None`, when the versions it makes due were shown and nobody said yes."""
    if isinstance(found, VersionRecord):
        planned = update.preview_ttl(engine, found, wanted)
    else:
        planned = update.preview_default_ttl(engine, target.path(found), wanted, type_)
    if planned.lines and not _may(shell, planned, yes=yes):
        shell.answer({"path": found.path, "plan": record.plan(planned), "carried_out": False})
        return None
    if isinstance(found, VersionRecord):
        return update.update_version(engine, found, ttl=wanted)
    update.set_default_ttl(engine, target.path(found), wanted, type_)
    return find.project(engine, target.path(found))


def _may(shell: Shell, planned: Plan, *, yes: bool) -> bool:
    """Show what becomes due, and ask."""
    count = text.counted(len(planned.lines), "version")
    show_plan(shell, planned)
    if yes or shell.confirm(f"{count} will be past the new time at once, and the next expiry marks what nothing keeps; go on?"):
        return True
    shell.say(f"nothing was changed: {count} would be past the new time at once, --yes states it nevertheless")
    return False


def hold(
    shell: Shell,
    name: Name,
    release: Annotated[bool, typer.Option("--release", help="Let it go again.")] = False,  # an option
) -> Exit:
    """Hold a version: it neither expires nor can be deleted until it is released.

    Examples:
      lineage hold vision/classifier:v3
      lineage hold vision/classifier:v3 --release
    """
    with shell.engine() as engine:
        found = update.update_version(engine, target.version(shell, engine, name), held=not release)
        due, now = update.effective_ttl(engine, found).due(found.created_at), engine.clock()
    does = "is not held any more" if release else "is held: it neither expires nor can be deleted"
    shell.answer({"version": record.version(found)}, f"{found.path} {does}")
    if release and due is not None and due <= now:
        shell.warn(f"its time ended {text.ago(due, now)}: the next expiry marks it, unless an alias or a running run keeps it")
    return Exit.OK


def protect(
    shell: Shell,
    path: Annotated[str, typer.Argument(metavar="PROJECT", help=r"\[entity/]project", autocompletion=project_names)],
    alias: Annotated[str | None, typer.Argument(metavar="ALIAS", help="Which alias. Else those that protect are listed.")] = None,
    off: Annotated[bool, typer.Option("--off", help="It protects no more.")] = False,  # an option
) -> Exit:
    """Keep whichever version carries an alias from expiring and from being deleted; without one, list the aliases that protect.

    Examples:
      lineage protect vision
      lineage protect vision champion
      lineage protect vision champion --off
    """
    if off and alias is None:
        raise UsageError("--off wants an alias: name the one that shall protect no more")
    with shell.engine() as engine:
        project = find.project(engine, shell.project(path))
        if alias is not None:
            update.protect_alias(engine, target.path(project), alias, protect=not off)
        aliases = find.protected_aliases(engine, target.path(project))
    shell.answer({"project": project.path, "protected": aliases}, f"{project.path}: protected by alias {', '.join(aliases)}")
    return Exit.OK
