"""`show`: all that is known of one version or one run, its neighbours in the graph included."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from lineage.actions import check, find, read, walk
from lineage.actions.expire import protections
from lineage.actions.open import Engine
from lineage.actions.update import effective_ttl
from lineage.cli import record, target, text
from lineage.cli.command.listing import entries
from lineage.cli.option import Node
from lineage.cli.outcome import Exit
from lineage.cli.shell import Row, Shell, facts, table
from lineage.model.artifact import VersionRecord
from lineage.model.retention import Policy
from lineage.model.run import RunRecord
from lineage.model.standing import Finding

ASTRAY = 10
"""References that have drifted that are told one by one."""


def show(
    shell: Shell,
    name: Node,
    files: Annotated[bool, typer.Option("--files", help="The entries of a version too.")] = False,  # an option
) -> Exit:
    """Tell all about one version or run: content, aliases, lifetime and what holds it, who made it, who used it.

    Examples:
      lineage show vision/classifier:best
      lineage show vision/classifier:v3 --files
      lineage show vision/runs/3k9x2m1a
    """
    with shell.engine() as engine:
        found = target.node(shell, engine, name).found
        if isinstance(found, RunRecord):
            _run(shell, engine, found)
        else:
            _version(shell, engine, found, with_files=files)
    return Exit.OK


def _version(shell: Shell, engine: Engine, found: VersionRecord, *, with_files: bool) -> None:
    maker, producers = walk.makers(engine, found.id)
    made_by = find.runs_by_id(engine, producers)
    used_by = find.runs_by_id(engine, walk.users(engine, found.id))
    links = find.links(engine, found.id)
    policy = effective_ttl(engine, found)
    due = policy.due(found.created_at)
    holds = _holds(engine, found, used_by)
    held_entries = list(read.manifest(engine, found)) if with_files else None
    reproduced = [run.path for run in made_by if run.id != maker]
    drift = check.drift(engine, found.id)
    astray = [each for each in drift.findings if each.is_astray]
    document: dict[str, Any] = {
        "kind": "artifact",
        **record.version(found),
        "maker": next((run.path for run in made_by if run.id == maker), None),
        "reproduced_by": reproduced,
        "used_by": [run.path for run in used_by],
        "links": [link.path for link in links],
        "effective_ttl": text.ttl(policy),
        "due": text.stamp(due),
        "kept_by": holds,
        "drift": [record.finding(each) for each in drift.findings],
    }
    if held_entries is not None:
        document["files"] = [record.entry(each) for each in held_entries]
    seen = facts(
        ("artifact", found.path),
        ("type", found.type),
        ("state", _state(found)),
        ("digest", found.digest),
        ("content", f"{text.counted(found.entries, 'entry', 'entries')}, {text.size(found.size)}"),
        ("aliases", ", ".join(found.aliases)),
        ("tags", ", ".join(found.tags)),
        ("description", found.description),
        ("logged", f"{text.moment(found.created_at)} ({text.ago(found.created_at, engine.clock())})"),
        ("lifetime", _lifetime(found, policy, text.ago(due, engine.clock())) if found.is_live else None),
        ("kept by", ", ".join(holds)),
        ("made by", document["maker"]),
        ("reproduced by", "\n".join(reproduced)),
        ("used by", "\n".join(run.path for run in used_by)),
        ("linked as", "\n".join(link.path for link in links)),
        ("drift", "\n".join(_astray(found, astray, engine.clock()))),
        ("metadata", _values(found.metadata)),
    )
    shell.answer(document, seen, *([] if held_entries is None else ["", entries(held_entries)]))


def _astray(found: VersionRecord, astray: Sequence[Finding], now: dt.datetime) -> Iterator[str]:
    """A line for each reference that no longer leads to what was pinned, this version's or one's it was made from."""
    for each in astray[:ASTRAY]:
        whose = each.path if each.version_id == found.id else f"made from {each.artifact}: {each.path}"
        yield f"{each.state}, seen first {text.ago(each.first_seen, now)}: {whose} → {each.uri}"
    if len(astray) > ASTRAY:
        yield f"… and {len(astray) - ASTRAY} more: lineage check {found.path}, or --json"


def _state(found: VersionRecord) -> str:
    if found.is_live:
        return "live; its content is kept elsewhere" if found.is_recorded else "live"
    return f"{found.state} {text.moment(found.ended_at)}" + (f": {found.reason}" if found.reason else "")


def _lifetime(found: VersionRecord, policy: Policy, due: str) -> str:
    stated = "inherited" if found.policy.inherit else "its own"
    return f"for ever ({stated})" if policy.seconds is None else f"{text.ttl(policy)} ({stated}), may go {due}"


def _holds(engine: Engine, found: VersionRecord, used_by: list[RunRecord]) -> list[str]:
    """What keeps a version from expiring though its time has come."""
    aliases, busy = protections(engine, found.id)
    runs = [f"running {run.path}" for run in used_by if run.name in busy]
    return [*(["a hold"] if found.is_held else []), *(f"alias {alias}" for alias in aliases), *runs]


def _run(shell: Shell, engine: Engine, found: RunRecord) -> None:
    summary = find.summary(engine, found.id)
    used = find.versions_by_id(engine, walk.used(engine, found.id))
    logged = find.versions_by_id(engine, walk.logged(engine, found.id))
    document = {
        "kind": "run",
        **record.run(found, summary),
        "used": [version.path for version in used],
        "logged": [version.path for version in logged],
    }
    code = "" if found.exit_code in (None, 0) else f" with exit code {found.exit_code}"
    began = f"{text.moment(found.created_at)} ({text.ago(found.created_at, engine.clock())})"
    seen = facts(
        ("run", found.path),
        ("name", found.display_name),
        ("state", f"{found.state}{code}"),
        ("job type", found.job_type),
        ("group", found.group),
        ("sweep", found.sweep),
        ("tags", ", ".join(found.tags)),
        ("notes", found.notes),
        ("began", began),
        ("ended", text.moment(found.finished_at) if found.finished_at else None),
        ("steps", found.step or None),
        ("config", _values(found.config)),
        ("summary", _values(summary)),
    )
    shell.answer(document, seen, *_neighbours("used", used), *_neighbours("logged", logged))


def _neighbours(title: str, versions: list[VersionRecord]) -> list[RenderableType]:
    rows: list[Row] = [(version.path, version.type, text.size(version.size), ", ".join(version.aliases)) for version in versions]
    return ["", table(title, "type", ">size", "aliases", rows=rows)] if rows else []


def _values(values: object) -> str | None:
    if not isinstance(values, dict) and not hasattr(values, "items"):
        return None
    return "\n".join(f"{key} = {text.number(value)}" for key, value in values.items()) or None
