"""Free the bytes that nothing reaches any more, and the room they took in packs. Planned first; refused while anybody writes."""

from collections.abc import Callable

from lineage.actions.finish import sweep_journals
from lineage.actions.open import Engine, frees
from storage.blob.session import sweep_dead
from storage.errors import NotRemoved
from storage.upkeep import reclaim as upkeep
from storage.upkeep.rewrite import dead_bytes, rewrite


def plan_reclaim(engine: Engine) -> upkeep.ReclaimPlan:
    """Which blobs would go, and why each."""
    if not engine.catalog.is_read_only:
        sweep_dead(engine.home.backend, engine.ledger)
    return upkeep.plan(engine.ledger)


@frees
def reclaim(
    engine: Engine, planned: upkeep.ReclaimPlan, progress: Callable[[int], None] | None = None, *, empty_ok: bool = False
) -> upkeep.Reclaimed:
    """Carry the plan out, each blob decided once more. Killed and done again, it ends the same.

    While blobs are removed nobody writes; then the packs that are worth it are rewritten, and others may write meanwhile.

    Raises:
        Unavailable: somebody is writing.
        NotRemoved: some objects stay; all the rest was done.
        Refused: nothing would be left of the store, and `empty_ok` does not say that this is meant.
    """
    backend = engine.home.backend
    with engine.catalog.lock.held():
        engine.home.sweep()
        sweep_journals(engine)
        done = upkeep.carry_out(planned, backend, engine.ledger, progress, empty_ok=empty_ok)

    moved = rewrite(planned.sparse, backend, engine.ledger)
    if moved.left:
        raise NotRemoved(moved.left)
    return done.plus(moved, dead_bytes(engine.ledger.pack_uses())) if planned.sparse else done
