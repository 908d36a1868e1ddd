"""Record runs with their inputs and outputs in one transaction, for programs that keep the bytes elsewhere or bring history along.

Outputs are recorded by digest: their lineage is kept here, their content is not. A few hundred of them cost one durable commit.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lineage.actions.find import version
from lineage.actions.open import Engine
from lineage.actions.start import new_run_id
from lineage.catalog import collection as collections
from lineage.catalog import edge as edges
from lineage.catalog import metric as metrics
from lineage.catalog import run as runs
from lineage.catalog import version as versions
from lineage.catalog.open import Connection
from lineage.model.artifact import VersionRecord, require_type
from lineage.model.document import MAX_INTEGER, check_document, check_words
from lineage.model.errors import Conflict, NotFound, UsageError
from lineage.model.metric import flat
from lineage.model.names import LATEST, ArtifactPath, check_alias, check_collection, check_run_id, check_type
from lineage.model.project import ProjectRecord
from lineage.model.run import RunState
from storage.digest import Digest

_TAG = "lineage/recorded/1"


@dataclass(frozen=True, slots=True)
class Output:
    """A version that is recorded by its digest. Without one, it is whatever this run wrote under that name."""

    name: str
    type: str = "unspecified"
    digest: str | None = None
    size: int = 0
    aliases: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recording:
    """A finished run: what it used, by record, order or path, and what it logged."""

    run: str | None = None
    used: Sequence[VersionRecord | int | str] = ()
    logged: Sequence[Output | str] = ()
    job_type: str | None = None
    group: str | None = None
    name: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The run's number and id, and the orders of what it logged."""

    run_id: int
    run: str
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Checked:
    run: str
    used: tuple[int, ...]
    logged: tuple[Output, ...]
    fields: dict[str, Any]
    summary: dict[str, Any]


def record(engine: Engine, project: ProjectRecord, recordings: Sequence[Recording]) -> list[Recorded]:
    """What was recorded, run by run, in one durable transaction: all of it or nothing.

    Raises:
        InvalidName, InvalidMetadata, InvalidDigest, NotFound: nothing was recorded.
        Conflict: a run of that id is there already.
    """
    checked = [_check(engine, project, recording) for recording in recordings]
    known: dict[str, tuple[int, str]] = {}
    try:
        with engine.catalog.tx() as c:
            return [_apply(c, engine.now, project, each, known) for each in checked]
    except Conflict as error:
        raise _taken(engine, project, checked) or error from error


def _taken(engine: Engine, project: ProjectRecord, checked: Sequence[_Checked]) -> Conflict | None:
    """What says which ids are there already, or were given twice; nothing when it was not the ids."""
    counts = Counter(each.run for each in checked)
    with engine.catalog.read() as c:
        known = [run for run, count in counts.items() if count > 1 or runs.find(c, project.id, run) is not None]
    if not known:
        return None
    shown = ", ".join(map(repr, known[:5]))
    return Conflict(f"{len(known)} runs of {project.path} are there already, such as {shown}: nothing was recorded; give each its own id")


def _check(engine: Engine, project: ProjectRecord, recording: Recording) -> _Checked:
    outputs = tuple(_check_output(output if isinstance(output, Output) else Output(output)) for output in recording.logged)
    fields = {
        "job_type": check_words(recording.job_type, "job_type"),
        "group_name": check_words(recording.group, "group"),
        "display_name": check_words(recording.name, "name"),
        "config": check_document(recording.config, "config") if recording.config else {},
    }
    run = new_run_id() if recording.run is None else check_run_id(recording.run)
    used = tuple(_order(engine, project, item) for item in recording.used)
    return _Checked(run, used, _told_apart(project, run, outputs), fields, flat(recording.summary) if recording.summary else {})


def _derived(project: ProjectRecord, run: str, name: str, repeat: int = 0) -> str:
    """The digest of whatever the run wrote under the name, the first time or once more."""
    text = f"{_TAG}\n{project.domain}\n{run}\n{name}" + (f"\n{repeat}" if repeat else "")
    return str(Digest.of(text.encode()))


def _told_apart(project: ProjectRecord, run: str, outputs: tuple[Output, ...]) -> tuple[Output, ...]:
    """The outputs, with digests of their own for those that only repeat a name: they are versions one after the other."""
    seen: Counter[str] = Counter()
    found = []
    for output in outputs:
        repeat = seen[output.name]
        seen[output.name] += output.digest is None
        found.append(replace(output, digest=_derived(project, run, output.name, repeat)) if repeat and output.digest is None else output)
    return tuple(found)


def _check_output(output: Output) -> Output:
    check_collection(output.name)
    aliases = tuple(check_alias(alias) for alias in output.aliases if alias != LATEST)
    if output.digest is not None:
        Digest.parse(output.digest)
    if not isinstance(output.size, int) or output.size < 0:
        raise UsageError(f"artifact {output.name!r} has the size {output.size!r}: give its bytes as a whole number")
    metadata = check_document(output.metadata) if output.metadata else {}
    return Output(output.name, check_type(output.type), output.digest, output.size, aliases, metadata)


def _order(engine: Engine, project: ProjectRecord, item: VersionRecord | int | str) -> int:
    if isinstance(item, VersionRecord):
        return item.id
    if isinstance(item, int):
        return item
    path = ArtifactPath.parse(item)
    return version(engine, ArtifactPath(path.collection, path.selector, path.project or project.name, path.entity or project.entity)).id


def _apply(c: Connection, now: int, project: ProjectRecord, checked: _Checked, known: dict[str, tuple[int, str]]) -> Recorded:
    fields = checked.fields | {"display_name": checked.fields["display_name"] or checked.run}
    run_id = runs.insert(c, project.id, checked.run, now, {**fields, "state": RunState.FINISHED, "finished_at": now, "exit_code": 0})
    newest = versions.current_order(c)
    for order in checked.used:
        if not (0 < order <= newest and versions.is_there(c, order)):
            raise NotFound(
                f"run {checked.run!r} used a version by a number that no version has: {order if order <= MAX_INTEGER else 'too large'}"
            )
        edges.add_used(c, run_id, order, "", newest, now)
    made = tuple(_log(c, now, project, run_id, checked.run, output, known) for output in checked.logged)
    metrics.put(c, run_id, checked.summary)
    return Recorded(run_id, checked.run, made)


def _log(c: Connection, now: int, project: ProjectRecord, run_id: int, run: str, output: Output, known: dict[str, tuple[int, str]]) -> int:
    if output.name not in known:
        known[output.name] = collections.ensure(c, project.id, output.name, output.type, now)
    collection_id, type_ = known[output.name]
    require_type(output.name, type_, output.type)
    digest = output.digest or _derived(project, run, output.name)
    same = versions.live_of_digest(c, collection_id, digest) if output.digest else None
    order = versions.next_order(c)
    if same is not None:
        versions.touch(c, same, order)
        order = same
    else:
        number = collections.next_number(c, collection_id)
        versions.insert(c, order, collection_id, number, digest, now, size=output.size, metadata=output.metadata)
    edges.add_logged(c, run_id, order, now, is_maker=same is None)
    collections.set_aliases(c, collection_id, order, output.aliases, now)
    return order
