"""Bytes in, bytes out: `put` logs files as a version, `get` writes a version's files into a directory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from lineage.actions import create, find, read
from lineage.actions.finish import finish_run
from lineage.actions.log import Draft, Logged, log_version
from lineage.actions.open import Engine
from lineage.actions.start import Opening, start_run
from lineage.cli import record, target, text
from lineage.cli.option import Name
from lineage.cli.outcome import Exit
from lineage.cli.shell import Progress, Shell
from lineage.model.document import check_document, check_words
from lineage.model.errors import PathNotFound, RunNotFoundError, UsageError
from lineage.model.names import ProjectPath, RunPath, check_alias, check_run_id, check_tag, check_type
from lineage.model.retention import Policy
from lineage.model.run import RunRecord
from storage.blob.session import Session
from storage.blob.source import Source
from storage.entry import Entry, check_path
from storage.errors import Missing
from storage.transfer.ingest import ingest_file, ingest_tree
from storage.transfer.reference import handler
from storage.transfer.scan import Follow, scan
from storage.transfer.statcache import StatCache


def put(
    shell: Shell,
    path: Annotated[
        str, typer.Argument(metavar="PATH|URI", help="A file or directory to store, or a URI to pin: s3://, https://, file://.")
    ],
    name: Annotated[str, typer.Option("--name", "-n", metavar="NAME", help=r"\[entity/]\[project/]name of the artifact.")],
    type: Annotated[str, typer.Option("--type", "-t", help="What kind of thing it is.")] = "dataset",  # noqa: A002  # the word users know
    description: Annotated[str | None, typer.Option("--description", "-d", help="What a reader should know.")] = None,
    alias: Annotated[list[str] | None, typer.Option("--alias", "-a", help="A movable name; may be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A label; may be repeated.")] = None,
    run: Annotated[str | None, typer.Option("--id", metavar="RUN", help="Log it as the output of this run, made if absent.")] = None,
    metadata: Annotated[str | None, typer.Option("--metadata", metavar="JSON", help="A JSON object.")] = None,
    ttl: Annotated[str, typer.Option("--ttl", metavar="SPAN", help="How long to keep it: 30d, 12h, never, inherit.")] = "inherit",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read every file, also those that look as they did last time.")] = False,
    follow: Annotated[
        Literal["inside", "all", "never"],
        typer.Option("--follow", help="Links of a directory: kept while they stay inside, all replaced by what they lead to, or left out."),
    ] = "inside",
    called: Annotated[str | None, typer.Option("--as", metavar="PATH", help="Name in the artifact. Else the name it has.")] = None,
    max_objects: Annotated[int | None, typer.Option("--max-objects", min=1, help="Of a URI: how many may be pinned. Else 10,000.")] = None,
    no_checksum: Annotated[bool, typer.Option("--no-checksum", help="Of a URI: only write it down, ask nobody about it.")] = False,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Of a URI: nothing may be there.")] = False,
) -> Exit:
    """Store a file or directory, or pin a URI, as a version of an artifact.

    Content that the artifact has already is not stored again: you get the version it is.

    Examples:
      lineage put data/ -n cats -t dataset
      lineage put model.pt -n vision/classifier -t model -a candidate --ttl 30d
      lineage put s3://bucket/images/ -n raw-images --max-objects 1000000
    """
    place = shell.artifact(name)
    if place.selector is not None:
        raise UsageError(f"--name {name!r}: a new version gets its number by itself; leave ':{place.selector}' out, or give it as --alias")
    words, document = check_words(description, "description"), check_document(metadata)
    draft = Draft(place.collection, check_type(type), words, document, Policy.of(text.parse_ttl(ttl)))
    aliases, tags = [check_alias(each) for each in alias or []], [check_tag(each) for each in tag or []]
    maker = None if run is None else check_run_id(run)
    if "://" in path:
        source = _pinned(shell, path, called, checksum=not no_checksum, max_objects=max_objects, allow_empty=allow_empty)
    else:
        source = _read(shell, Path(path), called, follow, is_trusted=not no_cache)

    with shell.engine(create=True) as engine:
        project = create.project(engine, ProjectPath(place.project, place.entity))
        with engine.store(project.domain).session() as session, shell.progress(f"put {place.collection}", source.size) as progress:
            entries = source.take(session, engine.trees, progress)
            with _maker(engine, target.path(project), maker) as run_id:
                logged = log_version(engine, project, draft, entries, session, run_id=run_id, aliases=aliases, tags=tags)

    answer = {"version": record.version(logged.version), "is_new": logged.is_new}
    counts = {name: {"blobs": count.blobs, "bytes": count.bytes} for name, count in (("stored", logged.stored), ("known", logged.known))}
    shell.answer({**answer, **counts}, _told(logged))
    return Exit.OK


@dataclass(frozen=True)
class Take:
    """What takes the bytes of a path or URI in, and how many they are, once it is known that it can be done: before that nothing is made."""

    take: Callable[[Session, StatCache, Progress | None], Sequence[Entry]]
    size: int = 0


def _pinned(shell: Shell, uri: str, called: str | None, *, checksum: bool, max_objects: int | None, allow_empty: bool) -> Take:
    pinned = handler.pin(uri, called, checksum=checksum, max_objects=max_objects, allow_empty=allow_empty, own=shell.settings.kept_at)
    unverified = handler.unverified(pinned) if checksum else None
    if unverified:
        shell.warn(f"{uri}: {unverified}")
    return Take(lambda session, trees, progress: pinned)  # noqa: ARG005  # it takes no bytes


def _read(shell: Shell, place: Path, called: str | None, follow: Follow, *, is_trusted: bool) -> Take:
    if not place.exists():
        raise Missing(f"there is no file or directory {str(place)!r}: check the path")
    under = "" if called is None else check_path(called)
    if place.is_dir():
        found = scan(place, follow=follow)
        for skipped in found.skipped:
            shell.say(f"left out {skipped.path}: {skipped.reason}")
        return Take(
            lambda session, trees, progress: ingest_tree(
                found, session, prefix=under, cache=trees, is_trusted=is_trusted, progress=progress
            ),
            found.size,
        )
    name = under or check_path(place.name)
    with Source(place.resolve()):
        return Take(lambda session, trees, progress: [ingest_file(place, name, session)], place.stat().st_size)  # noqa: ARG005  # always read


@contextmanager
def _maker(engine: Engine, project: ProjectPath, name: str | None) -> Iterator[int | None]:
    """The run of that name; made, and finished afterwards, when it is not there. Without a name nobody made it."""
    if name is None:
        yield None
        return
    found = _existing(engine, RunPath(name, project.project, project.entity))
    if found is not None:
        yield found.id
        return
    run = start_run(engine, Opening(project, name, job_type="put")).run
    try:
        yield run.id
    except BaseException:
        finish_run(engine, run.id, exit_code=1)
        raise
    finish_run(engine, run.id)


def _existing(engine: Engine, path: RunPath) -> RunRecord | None:
    try:
        return find.run(engine, path)
    except RunNotFoundError:
        return None


def _told(logged: Logged) -> str:
    found = logged.version
    if not logged.is_new and logged.stored.blobs:
        lost = f"{text.counted(logged.stored.blobs, 'blob')} of {text.size(logged.stored.bytes)}"
        return f"{found.path}: it has this content already; what had been lost of it is back: {lost}"
    if not logged.is_new:
        return f"{found.path}: it has this content already, nothing was stored"
    known = f", {text.counted(logged.known.blobs, 'blob')} there already" if logged.known.blobs else ""
    content = f"{text.counted(found.entries, 'entry', 'entries')}, {text.size(found.size)}"
    return f"{found.path}: {content}; {text.counted(logged.stored.blobs, 'blob')} of {text.size(logged.stored.bytes)} stored{known}"


def get(
    shell: Shell,
    name: Name,
    root: Annotated[Path | None, typer.Option("--root", metavar="DIR", help="Where to. Else ./artifacts/NAME:vN.")] = None,
    type: Annotated[str | None, typer.Option("--type", "-t", help="Refuse anything of another type.")] = None,  # noqa: A002  # as in put
    only: Annotated[str | None, typer.Option("--only", metavar="PREFIX", help="Only entries whose path begins so.")] = None,
    entry: Annotated[str | None, typer.Option("--entry", metavar="PATH", help="Only the entry at exactly this path.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Remove from the directory what the version does not hold.")] = False,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Skip references whose object is gone.")] = False,
) -> Exit:
    """Write a version's files into a directory, verified; without a version or alias, the latest.

    Files that are there and right are left alone. What broke off is finished by calling again.

    Examples:
      lineage get cats
      lineage get vision/classifier:best --root ./model
      lineage get cats:v3 --only train/ --exact
      lineage get vision/classifier:v1 --entry weights.pt
    """
    with shell.engine() as engine:
        found = target.version(shell, engine, name)
        if type is not None and found.type != type:
            raise UsageError(f"{found.path} is of type {found.type!r}, not {type!r}: name another artifact, or leave --type out")
        if entry is not None and (only is not None or exact):
            raise UsageError("--entry names one entry, --only and --exact a part of the tree: give one or the other")
        destination = root or shell.settings.downloads / found.name
        with shell.progress(f"get {found.name}", found.size) as progress:
            report = read.download(
                engine,
                found,
                destination,
                prefix=only,
                only=entry,
                exact=exact,
                allow_missing_references=allow_missing,
                progress=progress,
            )
    if only and not (report.written or report.kept or report.removed or report.skipped):
        raise PathNotFound(f"{found.path} has no entry that begins with {only!r}: list them with `lineage ls {found.path}`")
    document = {
        "version": record.version(found),
        "root": str(destination),
        "written": report.written,
        "kept": report.kept,
        "removed": report.removed,
        "skipped": list(report.skipped),
        "bytes": report.bytes,
    }
    kept = f", {report.kept:,} were right already" if report.kept else ""
    shell.answer(document, f"{found.path} → {destination}: {text.counted(report.written, 'entry', 'entries')} written{kept}")
    for path in report.skipped:
        shell.warn(f"skipped {path}: what it refers to is gone")
    return Exit.OK
