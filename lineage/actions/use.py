"""Record that a run used a version."""

from lineage.actions.find import require_live
from lineage.actions.open import Engine
from lineage.catalog import edge as edges
from lineage.catalog import version as versions
from lineage.model.artifact import VersionRecord


def use_version(engine: Engine, run_id: int, version: VersionRecord, role: str | None = None) -> None:
    """The run used the version; saying it again changes nothing.

    Raises:
        Gone: the version is a tombstone.
    """
    require_live(version)
    with engine.catalog.tx() as c:
        edges.add_used(c, run_id, version.id, role or "", versions.current_order(c), engine.now)
