"""Log a version: the one commit point of the engine.

Bytes first: files, segments and manifest are durable in the store before the catalogue hears of the version. Then one transaction makes
version, number, aliases and edges exist and the pinned blobs live. A crash before it leaves garbage that reclaim finds, a crash after it
leaves a complete version; there is nothing in between.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lineage.actions.find import version_by_id
from lineage.actions.open import Engine
from lineage.actions.read import manifest as read_manifest
from lineage.catalog import blob as blobs
from lineage.catalog import collection as collections
from lineage.catalog import edge as edges
from lineage.catalog import segment as segments
from lineage.catalog import session as sessions
from lineage.catalog import version as versions
from lineage.catalog.open import Connection
from lineage.model.artifact import VersionRecord, require_type
from lineage.model.document import check_document, check_words
from lineage.model.errors import Conflict, UsageError
from lineage.model.names import LATEST, check_alias, check_collection, check_tag, check_type
from lineage.model.project import ProjectRecord
from lineage.model.retention import Policy
from storage.blob.session import Count, Session
from storage.digest import Blob
from storage.entry import Entry, printable
from storage.errors import listed
from storage.transfer.ingest import Stored, store_manifest


@dataclass(frozen=True, slots=True)
class Draft:
    """What a version will be, besides its content."""

    name: str
    type: str
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    policy: Policy = Policy()
    history_step: int | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """The version, whether it is new, and how much of its content had to be stored and how much was there already."""

    version: VersionRecord
    is_new: bool
    stored: Count
    known: Count


def log_version(
    engine: Engine,
    project: ProjectRecord,
    draft: Draft,
    entries: Iterable[Entry],
    session: Session,
    *,
    run_id: int | None = None,
    aliases: Sequence[str] = (),
    tags: Sequence[str] = (),
    incremental: bool = False,
    key: str | None = None,
) -> Logged:
    """The version with this content: a new one, or the live one of the collection that has it already, which is then the latest again.

    `session` took the bytes of `entries` in the project's domain, and is closed here, whatever happens. `incremental` adds to the latest
    version instead of replacing it. `key` makes a repeated commit answer with what the first one made.

    Raises:
        InvalidName, InvalidMetadata, InvalidManifest: nothing was logged.
        UsageError: the collection holds another type.
        Conflict: the session was given up for dead meanwhile; log again.
    """
    try:
        checked = _check(draft, aliases, tags)
        check_words(key, "key")
        given, done = entries if isinstance(entries, Sequence) else list(entries), None
        while done is None:
            base = _latest(engine, project, draft.name) if incremental else None
            named = given if base is None else _merged(engine, project, base, given, session)
            _refuse_lost(named, session)
            stored = store_manifest(named, session)
            session.publish()
            done = _commit(engine, project, checked, stored, session, run_id, key, (base,) if incremental else ())
        version_id, is_new = done
        return Logged(version_by_id(engine, version_id), is_new, session.stored, session.known)
    finally:
        session.close()


def _refuse_lost(entries: Iterable[Entry], session: Session) -> None:
    lost = session.lost
    missing = [printable(entry.path) for entry in entries if entry.digest in lost] if lost else []
    if missing:
        raise UsageError(f"the bytes of {len(missing)} entries were refused when they came: take them in again{listed(missing)}")


@dataclass(frozen=True, slots=True)
class _Checked:
    draft: Draft
    metadata: dict[str, Any]
    aliases: tuple[str, ...]
    tags: tuple[str, ...]


def _check(draft: Draft, aliases: Sequence[str], tags: Sequence[str]) -> _Checked:
    check_collection(draft.name)
    check_words(draft.description, "description")
    check_type(draft.type)
    given = tuple(check_alias(alias) for alias in aliases if alias != LATEST)
    return _Checked(draft, check_document(draft.metadata), given, tuple(check_tag(tag) for tag in tags))


def _latest(engine: Engine, project: ProjectRecord, name: str) -> VersionRecord | None:
    with engine.catalog.read() as c:
        series = collections.find(c, project.id, name)
        return None if series is None else versions.latest(c, series.id)


def _merged(engine: Engine, project: ProjectRecord, base: VersionRecord, entries: Sequence[Entry], session: Session) -> list[Entry]:
    manifest = read_manifest(engine, base)
    merged = manifest.entries | {entry.path: entry for entry in entries}
    if base.domain == project.domain:
        segments = {segment.digest for segment in manifest.segments}
        if segments != session.hold_segments(list(segments)):  # what is held protects all it lists; else each blob must be looked at
            keep_blobs(engine, project.domain, merged.values(), session)
    else:
        copy_blobs(engine, base.domain, set(merged.values()).difference(entries), session)
    return list(merged.values())


def copy_blobs(engine: Engine, domain: str, entries: Iterable[Entry], session: Session) -> None:
    """Take in the bytes of entries of another domain, as those of a version that is only linked here: domains share nothing."""
    elsewhere = engine.store(domain)
    for digest in {entry.digest for entry in entries if entry.digest is not None}:
        session.take_bytes(elsewhere.read(digest))


def keep_blobs(engine: Engine, domain: str, entries: Iterable[Entry], session: Session) -> None:
    """Pin the blobs of entries that come from an earlier version of the same domain."""
    digests = {entry.digest for entry in entries if entry.digest is not None}
    found = engine.ledger.find(domain, digests)
    session.keep([Blob(record.blob.digest, record.blob.size, record.blob.checksum) for record in found.values()])


def _commit(
    engine: Engine,
    project: ProjectRecord,
    checked: _Checked,
    stored: Stored,
    session: Session,
    run_id: int | None,
    key: str | None,
    onto: tuple[VersionRecord | None, ...],
) -> tuple[int, bool] | None:
    """The version and whether it is new; `None`, and nothing done, when `onto`, the latest that was added to, is the latest no more."""
    draft, now = checked.draft, engine.now
    with engine.catalog.tx() as c:
        if key is not None and (made := versions.of_key(c, key)) is not None:
            return made, False
        if not sessions.is_open(c, session.id):
            raise Conflict("this writer was given up for dead while it was away: log again, nothing was recorded")
        collection_id, type_ = collections.ensure(c, project.id, draft.name, draft.type, now)
        require_type(draft.name, type_, draft.type)
        for base in onto:
            latest = versions.latest(c, collection_id)
            if (latest and latest.id) != (base and base.id):
                return None
        same = versions.live_of_digest(c, collection_id, str(stored.manifest.digest))
        sessions.commit(c, session.id, session.lost)
        if same is not None:
            if versions.is_recorded(c, same):
                manifest_id = _hold(c, project.domain, stored, same)
                versions.attach(c, same, manifest_id, stored.manifest.size, len(stored.manifest))
            else:
                _segments(c, project.domain, stored)
            versions.touch(c, same, versions.next_order(c))
            version_id = same
        else:
            version_id = _insert(c, project.domain, collection_id, checked, stored, now)
        if run_id is not None:
            edges.add_logged(c, run_id, version_id, now, is_maker=same is None)
        collections.set_aliases(c, collection_id, version_id, checked.aliases, now)
        if checked.tags:
            versions.add_tags(c, version_id, checked.tags)
        if key is not None:
            versions.remember_key(c, key, version_id, now)
        return version_id, same is None


def _insert(c: Connection, domain: str, collection_id: int, checked: _Checked, stored: Stored, now: int) -> int:
    manifest, draft = stored.manifest, checked.draft
    number = collections.next_number(c, collection_id)
    order = versions.next_order(c)
    versions.insert(
        c,
        order,
        collection_id,
        number,
        str(manifest.digest),
        now,
        size=manifest.size,
        entries=len(manifest),
        manifest_id=blobs.blob_id(c, domain, manifest.digest),
        description=draft.description,
        metadata=checked.metadata,
        policy=draft.policy,
        history_step=draft.history_step,
    )
    _hold(c, domain, stored, order)
    return order


def _hold(c: Connection, domain: str, stored: Stored, version_id: int) -> int:
    """Let the version hold its segments, and through them its blobs, all of which are live by now; the number of its manifest's blob."""
    segments.attach(c, version_id, _segments(c, domain, stored))
    return blobs.blob_id(c, domain, stored.manifest.digest)


def _segments(c: Connection, domain: str, stored: Stored) -> list[int]:
    """The numbers of the segments; only those the catalogue does not know are looked into."""
    return segments.ensure(c, domain, stored.manifest.segments, stored.inside)
