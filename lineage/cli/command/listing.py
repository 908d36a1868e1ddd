"""What is there. `ls` goes as deep as its path: projects, a project's artifacts, an artifact's versions, a version's entries."""

import datetime as dt
from typing import Annotated

import typer
from rich.console import RenderableType

from lineage.actions import find, read
from lineage.actions.open import Engine
from lineage.cli import record, target, text
from lineage.cli.complete import artifact_names
from lineage.cli.outcome import Exit
from lineage.cli.shell import Row, Shell, table
from lineage.model.artifact import CollectionRecord, VersionRecord
from lineage.model.errors import NotFound, UsageError
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.model.project import ProjectRecord
from storage.entry import Entry, Kind


def ls(
    shell: Shell,
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Nothing, a project, an artifact or a version.", autocompletion=artifact_names)
    ] = "",
    type: Annotated[str | None, typer.Option("--type", "-t", help="Only artifacts of this type.")] = None,  # noqa: A002  # the word users know
    all: Annotated[bool, typer.Option("--all", help="Expired and deleted versions too.")] = False,  # noqa: A002  # as in every other ls
    history: Annotated[
        bool, typer.Option("--history", help="Of an artifact: where its aliases stood, and since when.")
    ] = False,  # an option
) -> Exit:
    """List projects, a project's artifacts, an artifact's versions or a version's entries.

    Examples:
      lineage ls
      lineage ls vision --type model
      lineage ls vision/classifier --all
      lineage ls vision/classifier --history
      lineage ls vision/classifier:best
    """
    with shell.engine() as engine:
        if history:
            return _aliases(shell, engine, path)
        if not path and shell.settings.project is None:
            return _projects(shell, engine)
        if ":" in path:
            return _entries(shell, engine, target.version(shell, engine, path))
        found = target.container(shell, engine, path)
        if isinstance(found, ProjectRecord):
            return _collections(shell, engine, found, type)
        return _versions(shell, engine, found, with_tombstones=all)


def _projects(shell: Shell, engine: Engine) -> Exit:
    documents, rows, now = [], list[Row](), engine.clock()
    for each in find.projects(engine):
        place = ProjectPath(each.name, each.entity)
        artifacts, runs = len(find.collections(engine, place)), find.count_runs(engine, place)
        documents.append({**record.project(each), "artifacts": artifacts, "runs": runs})
        rows.append((each.path, artifacts, runs, text.ago(each.created_at, now)))
    shown = table("project", ">artifacts", ">runs", "created", rows=rows)
    shell.answer(
        {"projects": documents}, shown if rows else "no projects yet: 'lineage demo' makes one, and so does the first 'lineage put'"
    )
    return Exit.OK


def _collections(shell: Shell, engine: Engine, project: ProjectRecord, type: str | None) -> Exit:  # noqa: A002  # as above
    documents, rows, now = [], list[Row](), engine.clock()
    for each in find.collections(engine, ProjectPath(project.name, project.entity), type):
        latest = _latest(engine, each)
        documents.append({**record.collection(each), "latest": None if latest is None else record.version(latest)})
        rows.append((each.name, each.type, each.versions, *_glance(latest, now)))
    shown = table("artifact", "type", ">versions", "latest", ">size", "logged", "aliases", rows=rows)
    shell.answer({"project": record.project(project), "artifacts": documents}, shown if rows else f"no artifacts in {project.path}")
    return Exit.OK


def _latest(engine: Engine, collection: CollectionRecord) -> VersionRecord | None:
    try:
        return find.version(engine, ArtifactPath(collection.name, None, collection.project, collection.entity))
    except NotFound:
        return None


def _glance(version: VersionRecord | None, now: dt.datetime) -> Row:
    if version is None:
        return (text.NOTHING, text.NOTHING, text.NOTHING, "")
    return f"v{version.number}", text.size(version.size), text.ago(version.created_at, now), ", ".join(version.aliases)


def _versions(shell: Shell, engine: Engine, collection: CollectionRecord, *, with_tombstones: bool) -> Exit:
    path = ArtifactPath(collection.name, None, collection.project, collection.entity)
    found = find.versions(engine, path, with_tombstones=with_tombstones)
    rows = [_row(each, engine.clock()) for each in found]
    shown = table("version", "state", ">size", ">entries", "logged", "expires", "aliases", rows=rows)
    document = {"artifact": record.collection(collection), "versions": [record.version(each) for each in found]}
    shell.answer(document, shown if rows else f"no versions of {collection.path}; --all shows expired and deleted ones")
    return Exit.OK


def _row(version: VersionRecord, now: dt.datetime) -> Row:
    expires = text.ago(version.expires_at, now) if version.is_live and version.expires_at else ""
    logged = text.ago(version.created_at, now)
    return version.name, version.state, text.size(version.size), f"{version.entries:,}", logged, expires, ", ".join(version.aliases)


def _aliases(shell: Shell, engine: Engine, path: str) -> Exit:
    found = None if ":" in path or not path else target.container(shell, engine, path)
    if not isinstance(found, CollectionRecord):
        raise UsageError(f"--history is of an artifact, and {path!r} is none: write project/name, without a version or alias")
    moved = find.alias_history(engine, ArtifactPath(found.name, None, found.project, found.entity))
    rows: list[Row] = [(text.moment(each.at), each.alias, each.version or "taken off") for each in moved]
    shown = table("when", "alias", "version", rows=rows)
    document = {"artifact": record.collection(found), "aliases": [record.alias(each) for each in moved]}
    shell.answer(document, shown if rows else f"no version of {found.path} was ever given an alias")
    return Exit.OK


def _entries(shell: Shell, engine: Engine, version: VersionRecord) -> Exit:
    found = list(read.manifest(engine, version))
    shell.answer({"version": record.version(version), "entries": [record.entry(each) for each in found]}, entries(found))
    return Exit.OK


_MARKS = {Kind.DIRECTORY: "/", Kind.LINK: "@"}


def entries(found: list[Entry]) -> RenderableType:
    """A line for each entry: path, size, and the digest, the link's target or the pinned object."""
    rows: list[Row] = [(each.path + _MARKS.get(each.kind, "*" if each.executable else ""), *_content(each)) for each in found]
    return table("path", ">size", "digest or reference", rows=rows)


def _content(entry: Entry) -> Row:
    size = "" if entry.size is None else text.size(entry.size)
    if entry.pin is not None:
        return size, entry.pin.uri + ("" if entry.pin.is_verified else "  (unverified)")
    return size, entry.target or ("" if entry.digest is None else entry.digest.short)
