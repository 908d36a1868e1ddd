"""Link a version into another collection, where it gets a number and aliases of its own; content, tags and lineage stay shared."""

from collections.abc import Sequence

from lineage.actions.find import live_version, require_live
from lineage.actions.open import Engine, ensure_project
from lineage.catalog import collection as collections
from lineage.catalog import version as versions
from lineage.model.artifact import VersionRecord
from lineage.model.errors import Conflict, UsageError
from lineage.model.names import LATEST, ArtifactPath, ProjectPath, check_alias, check_collection


def link_version(engine: Engine, version: VersionRecord, target: ArtifactPath, aliases: Sequence[str] = ()) -> VersionRecord:
    """The version as seen through the target collection; a second link of it only moves the aliases.

    Raises:
        Gone: it is a tombstone.
        UsageError: the target holds another type, or is the version's own collection.
    """
    require_live(version)
    given = [check_alias(alias) for alias in aliases if alias != LATEST]
    check_collection(target.collection)
    place = ensure_project(engine, ProjectPath(target.project, target.entity))
    with engine.catalog.tx() as c:
        live_version(c, version)
        collection_id, type_ = collections.ensure(c, place.id, target.collection, version.type, engine.now)
        if type_ != version.type:
            raise UsageError(f"{place.path}/{target.collection} holds type {type_!r}, not {version.type!r}: link into another collection")
        found = versions.get(c, version.id, collection_id)
        if found is not None and found.source is None:
            raise UsageError(f"{version.path} is in {target.collection} already, as its own version")
        if found is None:
            number = collections.next_number(c, collection_id)
            versions.link(c, collection_id, number, version.id, versions.next_order(c), engine.now)
        collections.set_aliases(c, collection_id, version.id, given, engine.now)
        linked = versions.get(c, version.id, collection_id)
    if linked is None:
        raise Conflict(f"{version.path} was unlinked from {target} meanwhile: link it again")
    return linked


def unlink_version(engine: Engine, version: VersionRecord) -> None:
    """Take the version out of the collection it is seen through; the version itself stays.

    Raises:
        UsageError: this is its own collection.
    """
    if version.source is None:
        raise UsageError(f"{version.path} is no link: delete the version instead, if that is what you want")
    with engine.catalog.tx() as c:
        collections.remove_aliases(c, version.collection_id, version.id, None, engine.now)
        versions.unlink(c, version.collection_id, version.id)
