"""Change what may be changed: names, notes, tags, configuration, summaries, aliases, TTLs. Content and edges never are."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

from lineage.actions.find import collection, live_version, require_live, run_by_id, version_by_id
from lineage.actions.open import Engine, ensure_project, require_project
from lineage.catalog import collection as collections
from lineage.catalog import metric as metrics
from lineage.catalog import project as projects
from lineage.catalog import retention as facts
from lineage.catalog import run as runs
from lineage.catalog import version as versions
from lineage.catalog.column import instant
from lineage.catalog.column import moment as kept_moment
from lineage.model.access import Act
from lineage.model.artifact import CollectionRecord, VersionRecord
from lineage.model.document import check_document, check_words
from lineage.model.errors import Conflict, InvalidPolicy, NotFound
from lineage.model.metric import flat
from lineage.model.names import LATEST, ArtifactPath, ProjectPath, check_alias, check_collection, check_run_tag, check_tag, check_type
from lineage.model.retention import PROTECTED_ALIASES, TTL, Origin, Plan, Policy, moment, plan
from lineage.model.run import RunRecord, RunState


class Unset(Enum):
    """Marks an argument that was left out, where `None` means something."""

    UNSET = 0


UNSET: Final = Unset.UNSET


def update_run(
    engine: Engine,
    run_id: int,
    *,
    name: str | Unset = UNSET,
    notes: str | None | Unset = UNSET,
    tags: Sequence[str] | Unset = UNSET,
    group: str | None | Unset = UNSET,
    job_type: str | None | Unset = UNSET,
    config: Mapping[str, Any] | Unset = UNSET,
    state: RunState | Unset = UNSET,
) -> RunRecord:
    """The run with these fields set; `name` is its display name.

    Raises:
        InvalidName, InvalidMetadata: nothing was changed.
    """
    given = {"display_name": name, "notes": notes, "group_name": group, "job_type": job_type}
    fields: dict[str, Any] = {key: check_words(value, key) for key, value in given.items() if value is not UNSET}
    if not isinstance(state, Unset):
        fields["state"] = state
    if not isinstance(config, Unset):
        fields["config"] = check_document(config, "config")
    checked = None if isinstance(tags, Unset) else [check_run_tag(tag) for tag in tags]
    with engine.catalog.tx() as c:
        runs.update(c, run_id, fields)
        if checked is not None:
            runs.set_tags(c, run_id, checked)
    return run_by_id(engine, run_id)


def update_summary(engine: Engine, run_id: int, values: Mapping[str, Any], remove: Sequence[str] = ()) -> None:
    """Set these keys of the run's summary and remove those."""
    checked = flat(values)
    with engine.catalog.tx() as c:
        metrics.remove(c, run_id, remove)
        metrics.put(c, run_id, checked)


def update_version(
    engine: Engine,
    version: VersionRecord,
    *,
    description: str | None | Unset = UNSET,
    metadata: Mapping[str, Any] | Unset = UNSET,
    tags: Sequence[str] | Unset = UNSET,
    ttl: TTL | Unset = UNSET,
    held: bool | Unset = UNSET,
) -> VersionRecord:
    """The version with these fields set. On a link they belong to the version itself.

    Raises:
        Gone: it is a tombstone.
        InvalidMetadata, InvalidName, InvalidPolicy: nothing was changed.
    """
    require_live(version)
    fields: dict[str, Any] = {}
    if not isinstance(description, Unset):
        fields["description"] = check_words(description, "description")
    if not isinstance(metadata, Unset):
        fields["metadata"] = check_document(metadata)
    if not isinstance(held, Unset):
        fields["is_held"] = bool(held)
    if not isinstance(ttl, Unset):
        fields["policy"] = _own_policy(version, ttl)
    checked = None if isinstance(tags, Unset) else [check_tag(tag) for tag in tags]
    with engine.catalog.tx() as c:
        live_version(c, version)
        versions.update(c, version.id, fields)
        if checked is not None:
            versions.set_tags(c, version.id, checked)
    return _again(engine, version)


def move_aliases(engine: Engine, version: VersionRecord, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> VersionRecord:
    """The version with these aliases, taken from wherever they were, and without those. `latest` is not moved by hand.

    Raises:
        Gone: it is a tombstone.
        InvalidName: an alias is not one.
        Conflict: `latest` cannot be removed.
    """
    require_live(version)
    given = [check_alias(alias) for alias in add if alias != LATEST]
    if LATEST in remove:
        raise Conflict(
            f"'latest' of {version.collection} is the version logged last and cannot be removed: log or delete a version instead"
        )
    with engine.catalog.tx() as c:
        live_version(c, version)
        collections.remove_aliases(c, version.collection_id, version.id, list(remove), engine.now)
        collections.set_aliases(c, version.collection_id, version.id, given, engine.now)
    return _again(engine, version)


def _again(engine: Engine, version: VersionRecord) -> VersionRecord:
    """The version as it is now, seen through the same collection."""
    with engine.catalog.read() as c:
        found = versions.get(c, version.id, version.collection_id)
    return found or version_by_id(engine, version.id)


def update_collection(
    engine: Engine,
    path: ArtifactPath,
    *,
    description: str | None | Unset = UNSET,
    tags: Sequence[str] | Unset = UNSET,
    name: str | Unset = UNSET,
) -> CollectionRecord:
    """The collection with these fields set. Raises: NotFound, InvalidName, Conflict (the new name is taken)."""
    series = collection(engine, path)
    fields: dict[str, Any] = {} if isinstance(description, Unset) else {"description": check_words(description, "description")}
    if not isinstance(name, Unset):
        fields["name"] = check_collection(name)
    checked = None if isinstance(tags, Unset) else [check_tag(tag) for tag in tags]
    with engine.catalog.tx() as c:
        if "name" in fields and collections.is_taken(c, series.id, fields["name"]):
            raise Conflict(f"{series.project} has, or had, another artifact named {fields['name']!r}: choose another name")
        collections.update(c, series.id, fields)
        if checked is not None:
            collections.set_tags(c, series.id, checked)
    return collection(engine, ArtifactPath(fields.get("name", series.name), None, series.project, series.entity))


def set_default_ttl(engine: Engine, path: ProjectPath, ttl: TTL, type: str | None = None) -> None:  # noqa: A002  # the field's word
    """The TTL of the project's versions that state none themselves; of one artifact type, when `type` is given."""
    kept, type_ = Policy.of(ttl), None if type is None else check_type(type)
    place = ensure_project(engine, path)
    with engine.catalog.tx() as c:
        if type_ is None:
            projects.set_policy(c, place.id, kept)
        else:
            projects.set_type_policy(c, place.id, type_, kept)


def preview_ttl(engine: Engine, version: VersionRecord, ttl: TTL) -> Plan:
    """Whether the version would be past its time at once, were this its TTL; empty when it is so already. Nothing is changed."""
    return _preview(engine, _own_policy(require_live(version), ttl), version_id=version.id)


def preview_default_ttl(engine: Engine, path: ProjectPath, ttl: TTL, type: str | None = None) -> Plan:  # noqa: A002  # the field's word
    """Which versions would be past their time at once, were this the default; not those that are so already. Nothing is changed."""
    kept, type_ = Policy.of(ttl), None if type is None else check_type(type)
    return _preview(engine, kept, project_id=require_project(engine, path, Act.READ).id, type_=type_)


def _preview(
    engine: Engine, kept: Policy, *, project_id: int | None = None, type_: str | None = None, version_id: int | None = None
) -> Plan:
    with engine.catalog.read() as c:
        now, doubts = moment(engine.clock(), kept_moment(facts.high_water(c) or None))
        candidates = facts.due_if(c, instant(now) or 0, kept, project_id=project_id, type_=type_, version_id=version_id)
        return plan(candidates, now, doubts, versions.count_live(c))


def _own_policy(version: VersionRecord, ttl: TTL) -> Policy:
    if version.source is not None:
        raise InvalidPolicy(f"{version.path} is a link: set the ttl on {'/'.join(version.source[:3])}:v{version.source[3]} itself")
    return Policy.of(ttl)


def protect_alias(engine: Engine, path: ProjectPath, alias: str, *, protect: bool = True) -> None:
    """Keep versions that carry this alias from expiring or being deleted, or no longer.

    Raises:
        InvalidName: it is no alias.
        Conflict: it is one that every project protects, and cannot be given up.
    """
    place = require_project(engine, path, Act.ADMINISTER)
    check_alias(alias)
    if alias in PROTECTED_ALIASES and not protect:
        raise Conflict(f"alias {alias!r} protects in every project: move it to another version instead")
    with engine.catalog.tx() as c:
        projects.protect_alias(c, place.id, alias, protect=protect)


def effective_ttl(engine: Engine, version: VersionRecord) -> Policy:
    """The policy that applies to the version: its own, its type's, its project's, or never. Raises: NotFound."""
    return ttl_origin(engine, version)[0]


def ttl_origin(engine: Engine, version: VersionRecord) -> tuple[Policy, Origin]:
    """The policy that applies to the version, and who states it. Raises: NotFound."""
    entity, project, *_ = version.source or (version.entity, version.project)
    with engine.catalog.read() as c:
        place = projects.find(c, entity, project)
        if place is None:
            raise NotFound(f"there is no project {entity}/{project}: list those there are with `lineage ls`")
        stated = (projects.type_policy(c, place.id, version.type), place.policy)
    origin = next((origin for origin, policy in zip(Origin, (version.policy, *stated), strict=False) if not policy.inherit), Origin.NOBODY)
    return version.policy.effective(*stated), origin
