"""Delete versions, runs and collections. They become tombstones: names, digests, times and edges stay, so lineage can still be walked."""

from contextlib import suppress

from lineage.actions.find import collection, require_live, run_by_id
from lineage.actions.link import unlink_version
from lineage.actions.open import Engine, frees
from lineage.catalog import collection as collections
from lineage.catalog import retention as facts
from lineage.catalog import run as runs
from lineage.catalog import version as versions
from lineage.catalog.open import Connection
from lineage.catalog.process import is_alive
from lineage.model.artifact import VersionRecord, VersionState
from lineage.model.errors import Conflict
from lineage.model.names import LATEST, ArtifactPath
from storage.blob import disk


@frees
def delete_version(engine: Engine, version: VersionRecord, *, delete_aliases: bool = False) -> None:
    """Make the version a tombstone; on a link, only unlink it.

    Raises:
        Gone: it is one already.
        Conflict: it is held, carries a protected alias, or other aliases that `delete_aliases` does not give up.
    """
    if version.source is not None:
        unlink_version(engine, version)
        return
    require_live(version)
    with engine.catalog.tx() as c:
        _end(c, engine, version.id, delete_aliases=delete_aliases)


def _end(c: Connection, engine: Engine, version_id: int, *, delete_aliases: bool) -> None:
    found = versions.get(c, version_id)
    if found is None or not found.is_live:
        return
    carried = [alias for seen in (found, *versions.links(c, version_id)) for alias in seen.aliases if alias != LATEST]
    protected = facts.protections(c, [version_id])[0][version_id]
    if found.is_held:
        raise Conflict(f"{found.path} is held: release it first, then delete it")
    if protected:
        raise Conflict(f"{found.path} is protected by alias {', '.join(protected)}: move the alias to another version first")
    if carried and not delete_aliases:
        raise Conflict(f"{found.path} carries alias {', '.join(sorted(carried))}: move it, or say delete_aliases=True")
    versions.end(c, version_id, VersionState.DELETED, f"deleted by {engine.actor.name}", engine.now)


@frees
def delete_run(engine: Engine, run_id: int, *, delete_artifacts: bool = False) -> None:
    """Delete a run: its metrics go, its id is never given again, its edges and (unless asked for) its artifacts stay.

    Raises:
        Conflict: it is running here, or one of its artifacts is held or protected; nothing was deleted.
    """
    record = run_by_id(engine, run_id)
    with engine.catalog.tx() as c:
        owner = runs.owner(c, run_id)
        if owner is not None and is_alive(owner):
            raise Conflict(f"run {record.path} is running: finish it first, then delete it")
        for version_id in versions.made_by(c, run_id) if delete_artifacts else ():
            _end(c, engine, version_id, delete_aliases=True)
        runs.clear_history(c, run_id)
        if record.deleted_at is None:
            runs.update(c, run_id, {"deleted_at": engine.now, "owner": None})
    with suppress(OSError):  # it is deleted; `sweep_journals` tries again
        for journal in engine.journals(record.id):
            disk.unlink(journal)


@frees
def delete_collection(engine: Engine, path: ArtifactPath) -> None:
    """Delete a collection: its own versions become tombstones, links in it are taken out, its name is free for a new one.

    Raises:
        Conflict: one of its versions is held or protected; nothing was deleted.
    """
    series = collection(engine, path)
    with engine.catalog.tx() as c:
        for version in versions.within(c, series.id):
            if version.source is not None:
                collections.remove_aliases(c, series.id, version.id, None, engine.now)
                versions.unlink(c, series.id, version.id)
            else:
                _end(c, engine, version.id, delete_aliases=True)
        collections.set_tags(c, series.id, ())
        collections.update(c, series.id, {"deleted_at": engine.now, "description": None})
