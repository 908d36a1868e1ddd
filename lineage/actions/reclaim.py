"""Free the bytes that nothing reaches any more. Planned first; refused while anybody writes."""

from collections.abc import Callable

from lineage.actions.finish import sweep_journals
from lineage.actions.open import Engine
from storage.blob.session import sweep_dead
from storage.upkeep import reclaim as upkeep


def plan_reclaim(engine: Engine) -> upkeep.ReclaimPlan:
    """Which blobs would go, and why each."""
    if not engine.catalog.is_read_only:
        sweep_dead(engine.home.backend, engine.ledger)
    return upkeep.plan(engine.ledger)


def reclaim(
    engine: Engine, planned: upkeep.ReclaimPlan, progress: Callable[[int], None] | None = None, *, empty_ok: bool = False
) -> upkeep.Reclaimed:
    """Carry the plan out, each blob decided once more. Killed and done again, it ends the same.

    Raises:
        Unavailable: somebody is writing.
        Refused: nothing would be left of the store, and `empty_ok` does not say that this is meant.
    """
    with engine.catalog.lock.held():
        engine.home.sweep()
        sweep_journals(engine)
        return upkeep.carry_out(planned, engine.home.backend, engine.ledger, progress, empty_ok=empty_ok)
