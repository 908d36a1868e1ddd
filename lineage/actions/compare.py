"""Put two versions side by side: what differs in their content, and what differs in how they were made."""

from lineage.actions import read
from lineage.actions.open import Engine
from lineage.catalog import edge as edges
from lineage.catalog import metric as metrics
from lineage.catalog import run as runs
from lineage.catalog import version as versions
from lineage.model.artifact import VersionRecord
from lineage.model.comparison import CODE, Comparison, Input, Provenance
from lineage.model.edge import depends
from storage.difference import Difference


def compare(engine: Engine, before: VersionRecord, after: VersionRecord) -> Comparison:
    """What differs from `before` to `after`, and what could be why.

    Two manifests are read, and of what they list only what differs, while `content` is iterated. Tombstones, and versions of which only
    the lineage is kept, are compared by everything else that is known of them.

    Raises:
        Corrupt, BlobMissing: a manifest is not there as it was written.
    """
    both = _provenance(engine, before), _provenance(engine, after)
    reason = next((why for why in map(_hidden, (before, after)) if why), "")

    content = None if reason else Difference(read.manifest(engine, before), read.manifest(engine, after))
    return Comparison(*both, content, reason)


def _hidden(version: VersionRecord) -> str:
    """Why the content of the version cannot be looked at; nothing when it can."""
    if not version.is_live:
        return f"{version.name} was {version.state}: what its content was, is gone"
    return f"the content of {version.name} is kept elsewhere" if version.is_recorded else ""


def _provenance(engine: Engine, version: VersionRecord) -> Provenance:
    with engine.catalog.read() as c:
        maker = next((run for run, is_maker in edges.producers(c, version.id) if is_maker), None)
        if maker is None:
            return Provenance(version)
        used = [(order, role) for order, role in edges.inputs(c, maker) if depends(version.id, order)]
        found = {each.id: each for each in versions.several(c, {order for order, _ in used})}
        code = [each for each in versions.several(c, edges.logged(c, maker)) if each.type == CODE and each.id != version.id]
        inputs = tuple(Input(found[order], role) for order, role in used)
        return Provenance(version, runs.get(c, maker), inputs, tuple(code), metrics.read(c, maker))
