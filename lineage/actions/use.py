"""Record that a run used a version."""

from lineage.actions.find import live_version
from lineage.actions.open import Engine
from lineage.catalog import edge as edges
from lineage.catalog import version as versions
from lineage.model.artifact import VersionRecord
from lineage.model.document import check_words


def use_version(engine: Engine, run_id: int, version: VersionRecord, role: str | None = None) -> None:
    """The run used the version; saying it again changes nothing.

    Raises:
        Gone: the version is a tombstone.
    """
    kept = check_words(role, "role") or ""
    with engine.catalog.tx() as c:
        live_version(c, version)
        edges.add_used(c, run_id, version.id, kept, versions.current_order(c), engine.now)
