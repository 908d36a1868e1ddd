"""`check`: do references still lead to what was pinned, and what was made from those that do not?"""

from typing import Annotated, Any

import typer
from rich.console import RenderableType

from lineage.actions import check as checking
from lineage.actions import find
from lineage.actions.open import Engine
from lineage.cli import record, target, text
from lineage.cli.complete import artifact_names
from lineage.cli.outcome import Exit
from lineage.cli.shell import Row, Shell, table
from lineage.model.artifact import CollectionRecord, VersionRecord
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.model.standing import Finding
from storage.entry import printable

TOLD = 50
"""Findings that are shown one by one; --json has all of them."""


def check(
    shell: Shell,
    path: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Projects, artifacts or versions. Else everything.", autocompletion=artifact_names),
    ] = None,
    downstream: Annotated[bool, typer.Option("--downstream", help="Also what was made from what is wrong.")] = False,  # an option
) -> Exit:
    """Ask where references live whether the objects are still the pinned ones, and keep what was found.

    Ends with exit code 3 when one has drifted or is missing, with 5 when something could not be found out; that changes no state.

    Examples:
      lineage check
      lineage check vision/raw-images --downstream
      lineage check vision --json
    """
    with shell.engine() as engine:
        wanted = _wanted(shell, engine, path or [])
        with shell.progress("check", counts=True) as progress:
            found = checking.check(engine, None if wanted is None else [each.id for each in wanted], progress=progress)
        affected = checking.affected(engine, {each.version_id for each in found.astray}) if downstream else []
        document: dict[str, Any] = {
            "ok": found.is_good,
            "versions": found.versions,
            "references": found.references,
            "states": dict(found.states),
            "findings": [record.finding(each) for each in found.findings],
            "unknown": [{"uri": each.uri, "reason": each.reason} for each in found.unknown],
        }
        if downstream:
            document["downstream"] = [record.version(each) for each in affected]
        shell.answer(document, *_shown(found, affected, engine))
    for each in found.unknown[:TOLD]:
        shell.warn(f"could not be found out: {each.reason}")
    return Exit.DAMAGE if found.astray else Exit.UNAVAILABLE if found.unknown else Exit.OK


def _wanted(shell: Shell, engine: Engine, paths: list[str]) -> list[VersionRecord] | None:
    """The live versions that the paths name; `None` when that is all there are."""
    if not paths and shell.settings.project is None:
        return None
    found: list[VersionRecord] = []
    for path in paths or [""]:
        if ":" in path:
            found.append(find.require_live(target.version(shell, engine, path)))
            continue
        place = target.container(shell, engine, path) if path else find.project(engine, shell.project(None))
        here = [place] if isinstance(place, CollectionRecord) else find.collections(engine, ProjectPath(place.name, place.entity))
        for each in here:
            found += find.versions(engine, ArtifactPath(each.name, None, each.project, each.entity))
    return [each for each in found if not each.is_recorded]


def _shown(found: checking.CheckReport, affected: list[VersionRecord], engine: Engine) -> list[RenderableType]:
    now = engine.clock()

    def row(each: Finding) -> Row:
        ok = "never" if each.last_ok is None else text.ago(each.last_ok, now)
        return each.state, text.ago(each.first_seen, now), ok, f"{each.artifact} {printable(each.path)}", each.uri

    parts: list[RenderableType] = []
    if found.astray:
        parts.append(table("state", "since", "last ok", "entry", "reference", rows=[row(each) for each in found.astray[:TOLD]]))
    if len(found.astray) > TOLD:
        parts.append(f"… and {len(found.astray) - TOLD} more: --json tells all")
    if affected:
        rows: list[Row] = [(each.path, each.type, ", ".join(each.aliases)) for each in affected]
        parts += ["", table("affected", "type", "aliases", rows=rows)]
    counts = ", ".join(f"{count:,} {state}" for state, count in sorted(found.states.items())) or "nothing to compare"
    unknown = f", {len(found.unknown):,} could not be found out" if found.unknown else ""
    told = f"{text.counted(found.references, 'reference')} of {text.counted(found.versions, 'version')}: {counts}{unknown}"
    return [*parts, *([""] if parts else []), told]
