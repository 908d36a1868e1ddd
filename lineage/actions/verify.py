"""Is everything that should be there still there, and still what it was? Looks at every blob and at the catalogue; deletes nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from lineage.actions.open import Engine
from lineage.catalog import segment as segments
from lineage.catalog import version as versions
from lineage.model.artifact import VersionRecord
from lineage.model.errors import UsageError
from storage.upkeep.rebuild import Rebuilt, rebuild
from storage.upkeep.verify import Verification, verify_store


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, of the bytes and of the catalogue."""

    store: Verification
    catalog: tuple[str, ...]
    versions: tuple[VersionRecord, ...] = ()
    """Those that cannot be read whole any more, because of what was found of the bytes."""

    @property
    def ok(self) -> bool:
        return self.store.is_sound and not self.catalog


def verify(engine: Engine, *, quick: bool = False, deep: bool = False, progress: Callable[[int], None] | None = None) -> Checked:
    """Every blob's size and checksum, only its size when `quick`, its digest too when `deep`; the catalogue's own consistency.

    Raises:
        UsageError: `quick` and `deep` at once.
    """
    if quick and deep:
        raise UsageError("quick=True looks at sizes alone and deep=True at every byte: say one of them, or neither")
    problems = engine.catalog.problems()
    with engine.catalog.read() as c:
        problems += segments.missing_blobs(c)
    found = verify_store(engine.home.backend, engine.ledger, quick=quick, deep=deep, progress=progress)
    if found.is_sound:
        return Checked(found, tuple(problems))
    with engine.catalog.read() as c:
        harmed = versions.several(c, segments.needing(c, [*found.missing, *found.corrupt]))
    return Checked(found, tuple(problems), tuple(harmed))


def restore(engine: Engine, progress: Callable[[int], None] | None = None) -> Rebuilt:
    """Blobs the catalogue has lost, or lost the place of, put back from the packs that say themselves what is in them.

    Raises:
        StoreFull, ReadOnlyStore, Unavailable: what was put back before stays.
    """
    return rebuild(engine.home.backend, engine.store, progress)
