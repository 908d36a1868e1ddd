"""Look things up, by name or by number. Nothing is changed, and what is not there is an error that says what was looked for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lineage.actions.open import Engine, require_project
from lineage.catalog import collection as collections_
from lineage.catalog import filter as filters_
from lineage.catalog import metric as metrics
from lineage.catalog import project as projects_
from lineage.catalog import run as runs_
from lineage.catalog import sweep as sweeps_
from lineage.catalog import version as versions_
from lineage.catalog.open import Connection
from lineage.model.access import Act
from lineage.model.artifact import AliasEvent, CollectionRecord, VersionRecord
from lineage.model.errors import Gone, NotFound, RunNotFoundError
from lineage.model.metric import Row, read_row
from lineage.model.names import LATEST, ArtifactPath, ProjectPath, RunPath, is_digest, is_version
from lineage.model.project import ProjectRecord
from lineage.model.query import Order, parse_filter
from lineage.model.retention import PROTECTED_ALIASES, Policy
from lineage.model.run import RunRecord
from lineage.model.sweep import SweepRecord
from storage.blob.journal import is_whole, texts, whole_lines
from storage.digest import Digest


def project(engine: Engine, path: ProjectPath) -> ProjectRecord:
    """Raises: NotFound."""
    return require_project(engine, path, Act.READ)


def projects(engine: Engine, entity: str | None = None) -> list[ProjectRecord]:
    """All projects, of one entity or of all."""
    with engine.catalog.read() as c:
        return projects_.every(c, entity)


def run(engine: Engine, path: RunPath) -> RunRecord:
    """Raises: RunNotFoundError, also for a deleted run."""
    place = require_project(engine, ProjectPath(path.project, path.entity), Act.READ)
    with engine.catalog.read() as c:
        found = runs_.find(c, place.id, path.run)
    if found is None or found.deleted_at is not None:
        was = "was deleted; its edges remain" if found else "is not there: check its id, or list the runs of the project"
        raise RunNotFoundError(f"run {place.path}/{path.run} {was}")
    return found


def run_by_id(engine: Engine, run_id: int) -> RunRecord:
    """The run with that number, deleted ones included. Raises: RunNotFoundError."""
    with engine.catalog.read() as c:
        found = runs_.get(c, run_id)
    if found is None:
        raise RunNotFoundError(f"there is no run number {run_id}: find it by its id, or list the runs of its project")
    return found


def runs_by_id(engine: Engine, ids: Sequence[int]) -> list[RunRecord]:
    """The runs with these numbers, in that order, deleted ones included."""
    with engine.catalog.read() as c:
        return runs_.several(c, ids)


def runs(
    engine: Engine,
    path: ProjectPath,
    *,
    filters: Mapping[str, Any] | None = None,
    order: str | None = "+created_at",
    limit: int | None = None,
    offset: int = 0,
) -> list[RunRecord]:
    """The project's runs that match, ordered. Raises: UsageError for a filter or order outside the grammar."""
    term, ordering = parse_filter(filters), Order.parse(order)
    place = require_project(engine, path, Act.READ)
    with engine.catalog.read() as c:
        return runs_.select(c, filters_.clause(term, ordering, project_id=place.id), limit, offset)


def count_runs(engine: Engine, path: ProjectPath, *, filters: Mapping[str, Any] | None = None) -> int:
    """How many runs `runs` would give."""
    term = parse_filter(filters)
    place = require_project(engine, path, Act.READ)
    with engine.catalog.read() as c:
        return runs_.count(c, filters_.clause(term, Order.parse(None), project_id=place.id))


def summary(engine: Engine, run_id: int) -> dict[str, Any]:
    """The run's summary, by key."""
    with engine.catalog.read() as c:
        return metrics.read(c, run_id)


def history(engine: Engine, run_id: int) -> Iterator[Row]:
    """Every row the run logged, oldest first: the sealed pieces, then what is not sealed yet."""
    record = run_by_id(engine, run_id)
    with engine.catalog.read() as c:
        domain = projects_.get(c, record.project_id).domain
    store = engine.store(domain)
    for digest in record.history:
        for text in texts(line for line in store.read(Digest.parse(digest)).splitlines(keepends=True) if is_whole(line)):
            yield read_row(text)
    for journal in engine.journals(run_id):
        waiting = b"".join(whole_lines(journal))
        if waiting and str(Digest.of(waiting, store.algorithm)) not in record.history:
            yield from map(read_row, texts(waiting.splitlines(keepends=True)))


def version(engine: Engine, path: ArtifactPath) -> VersionRecord:
    """The version a path names; without a selector the latest. A tombstone is found by number and digest.

    Raises:
        NotFound: there is no such collection, version, alias or digest.
    """
    series = collection(engine, path)
    with engine.catalog.read() as c:
        found = _selected(c, series, path.selector or LATEST)
    if found is None:
        raise NotFound(f"{series.path} has no {path.selector or LATEST}: list its versions with `lineage ls {series.path}`")
    return found


def _selected(c: Connection, series: CollectionRecord, selector: str) -> VersionRecord | None:
    if selector == LATEST:
        return versions_.latest(c, series.id)
    if is_version(selector):
        return versions_.numbered(c, series.id, int(selector[1:]))
    if is_digest(selector):
        return versions_.of_digest(c, series.id, selector)
    target = collections_.alias_target(c, series.id, selector)
    return None if target is None else versions_.get(c, target, series.id)


def version_by_id(engine: Engine, version_id: int) -> VersionRecord:
    """The version with that order, tombstones included. Raises: NotFound."""
    with engine.catalog.read() as c:
        found = versions_.get(c, version_id)
    if found is None:
        raise NotFound(f"there is no artifact version number {version_id}: find it by its name, or list what there is with `lineage ls`")
    return found


def versions_by_id(engine: Engine, ids: Sequence[int]) -> list[VersionRecord]:
    """The versions with these orders, in that order, tombstones included."""
    with engine.catalog.read() as c:
        return versions_.several(c, ids)


def versions(engine: Engine, path: ArtifactPath, *, tags: Sequence[str] = (), with_tombstones: bool = False) -> list[VersionRecord]:
    """The collection's versions, newest first, those that carry all `tags`. Raises: NotFound."""
    series = collection(engine, path)
    with engine.catalog.read() as c:
        return versions_.within(c, series.id, tombstones=with_tombstones, tags=tags)


def collection(engine: Engine, path: ArtifactPath) -> CollectionRecord:
    """Raises: NotFound."""
    place = require_project(engine, ProjectPath(path.project, path.entity), Act.READ)
    with engine.catalog.read() as c:
        found = collections_.find(c, place.id, path.collection)
    if found is None:
        raise NotFound(f"there is no artifact {place.path}/{path.collection}: list those there are with `lineage ls {place.path}`")
    return found


def collections(engine: Engine, path: ProjectPath, type: str | None = None) -> list[CollectionRecord]:  # noqa: A002  # the field's word
    """The project's collections by name, of one type or of all."""
    place = require_project(engine, path, Act.READ)
    with engine.catalog.read() as c:
        return collections_.within(c, place.id, type)


def types(engine: Engine, path: ProjectPath) -> list[str]:
    """The artifact types in the project."""
    place = require_project(engine, path, Act.READ)
    with engine.catalog.read() as c:
        return collections_.types(c, place.id)


def alias_history(engine: Engine, path: ArtifactPath) -> list[AliasEvent]:
    """Where the collection's aliases stood, and since when, oldest first. `latest` is not among them: it follows from what was logged last.

    Raises:
        NotFound: there is no such collection.
    """
    series = collection(engine, path)
    with engine.catalog.read() as c:
        events = collections_.alias_events(c, series.id)
    stands: dict[str, str | None] = {}
    moved = []
    for event in events:
        if stands.get(event.alias) != event.version:
            moved.append(event)
        stands[event.alias] = event.version
    return moved


def protected_aliases(engine: Engine, path: ProjectPath) -> list[str]:
    """The aliases that keep a version of the project, those of every project included, by name."""
    place = require_project(engine, path, Act.READ)
    with engine.catalog.read() as c:
        return sorted({*PROTECTED_ALIASES, *projects_.protected_aliases(c, place.id)})


def type_ttls(engine: Engine, path: ProjectPath) -> dict[str, Policy]:
    """The types of the project whose versions have a default of their own, with that default."""
    place = require_project(engine, path, Act.READ)
    with engine.catalog.read() as c:
        return projects_.type_policies(c, place.id)


def links(engine: Engine, version_id: int) -> list[VersionRecord]:
    """The version through each collection it is linked into."""
    with engine.catalog.read() as c:
        return versions_.links(c, version_id)


def sweep(engine: Engine, path: RunPath) -> SweepRecord:
    """Raises: NotFound."""
    place = require_project(engine, ProjectPath(path.project, path.entity), Act.READ)
    with engine.catalog.read() as c:
        found = sweeps_.find(c, place.id, path.run)
    if found is None:
        raise NotFound(f"there is no sweep {place.path}/{path.run}: check the id that `sweep` gave")
    return found


def sweeps(engine: Engine, path: ProjectPath) -> list[SweepRecord]:
    """The project's sweeps, newest first."""
    place = require_project(engine, path, Act.READ)
    with engine.catalog.read() as c:
        return sweeps_.within(c, place.id)


def live_version(c: Connection, version: VersionRecord) -> VersionRecord:
    """The version as it stands in this transaction, seen through the same collection. Raises: Gone, when it is a tombstone by now."""
    found = versions_.get(c, version.id, version.collection_id)
    return require_live(found if found is not None else version)


def require_live(version: VersionRecord) -> VersionRecord:
    """The version itself, when its content can be read. Raises: Gone."""
    if not version.is_live:
        ended = f" on {version.ended_at:%Y-%m-%d}" if version.ended_at else ""
        raise Gone(f"{version.path} was {version.state}{ended} ({version.reason}): its lineage remains, its content does not")
    return version
