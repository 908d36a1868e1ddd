"""Free the bytes that nothing needs any more: first a plan, a value to print and to test, then its execution.

    plan        what the ledger calls unreachable, and why each
    carry out   doom (the ledger decides again) ──▶ remove the object ──▶ forget the row; then the same for packs that hold nothing more

A blob in a pack goes with its row; its bytes go with the pack, when no blob in it is left. Bytes go before rows, so a reclaim that is
killed anywhere leaves rows that the next one finds `deleting`, and nothing that exists ever misses its bytes. What is gone already counts
as done. It does not run while anybody is writing, and it does not empty a whole store unless told that this is meant: that is more likely
a restored or a wrong catalogue.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from storage.blob.backend import Backend
from storage.blob.session import sweep_dead
from storage.errors import BlobMissing, NotRemoved, Refused, Unavailable
from storage.ledger import BlobRecord, BlobState, Ledger

_BATCH = 500

REASONS: dict[BlobState, str] = {
    BlobState.LIVE: "no committed version and no writer needs it",
    BlobState.UPLOADING: "its writer ended without a commit",
    BlobState.DELETING: "an earlier reclaim was interrupted at it",
}
EMPTY = "a pack that holds nothing any more"


@dataclass(frozen=True, slots=True)
class Doomed:
    """A blob that is to go, and why."""

    record: BlobRecord
    reason: str


@dataclass(frozen=True, slots=True)
class ReclaimPlan:
    """What is to go, of how many blobs in all."""

    doomed: tuple[Doomed, ...]
    records: int
    live: int = 0
    """How many blobs there are that somebody once committed."""
    packs: int = 0
    """How many packs hold nothing already, before anything else goes."""

    @property
    def is_empty(self) -> bool:
        return not (self.doomed or self.packs)

    @property
    def bytes(self) -> int:
        return sum(line.record.blob.size for line in self.doomed)

    @property
    def counts(self) -> dict[str, int]:
        """How many for each reason."""
        return dict(Counter(line.reason for line in self.doomed)) | ({EMPTY: self.packs} if self.packs else {})

    @property
    def takes_everything(self) -> bool:
        """What cut-off writers left does not count: a store may hold nothing else."""
        return 0 < self.live <= sum(line.record.state is BlobState.LIVE for line in self.doomed)


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What went, and how many of the plan are needed again and stayed. `bytes` are the blobs'; packed ones go with the last of a pack."""

    blobs: int
    bytes: int
    spared: int
    packs: int = 0


def plan(ledger: Ledger) -> ReclaimPlan:
    """What could go now. Nothing is changed, and nothing is promised: carrying it out decides again."""
    doomed = tuple(Doomed(record, REASONS[record.state]) for record in ledger.unreachable())
    states = Counter(record.state for record in ledger.records())
    return ReclaimPlan(doomed, states.total(), states[BlobState.LIVE], len(ledger.empty_packs()))


def carry_out(
    planned: ReclaimPlan, backend: Backend, ledger: Ledger, progress: Callable[[int], None] | None = None, *, empty_ok: bool = False
) -> Reclaimed:
    """Remove what was planned and is still unreachable. May be repeated, and run again after any interruption.

    Raises:
        Unavailable: somebody is writing; or the backend fails, and what was doomed is finished by the next reclaim.
        NotRemoved: some objects stay, locked for instance, and so do their rows; all the rest of the plan was carried out.
        Refused: the plan would take every blob there is, and `empty_ok` was not given; nothing was removed.
    """
    sweep_dead(backend, ledger)
    writers = ledger.open_sessions()
    if writers:
        raise Unavailable(f"{len(writers)} writers are at work: wait until they are done, then reclaim")
    if planned.takes_everything and not empty_ok:
        raise Refused(f"the plan takes all {planned.live} live blobs of the store: is this the right catalogue? Confirm it when it is")
    _remove_superseded(backend, ledger)
    left: dict[str, str] = {}
    gone = _remove(backend, ledger, [line.record for line in planned.doomed], progress, left)
    packs = _remove(backend, ledger, ledger.empty_packs(), None, left)
    if left:
        raise NotRemoved(left)
    return Reclaimed(len(gone), sum(record.blob.size for record in gone), len(planned.doomed) - len(gone), len(packs))


def _remove(
    backend: Backend, ledger: Ledger, records: Sequence[BlobRecord], progress: Callable[[int], None] | None, left: dict[str, str]
) -> list[BlobRecord]:
    """Those of `records` that the ledger doomed, and that are gone now; a row goes only when its object is known to be gone."""
    gone: list[BlobRecord] = []
    for at in range(0, len(records), _BATCH):
        doomed = ledger.doom(records[at : at + _BATCH])
        try:
            backend.remove_many([record.key for record in doomed if record.pack is None])
        except NotRemoved as refused:
            left.update(refused.left)
        finished = [record for record in doomed if record.pack is not None or record.key not in left]
        ledger.forget(finished)
        gone += finished
        if progress is not None:
            progress(sum(record.blob.size for record in finished))
    return gone


def _remove_superseded(backend: Backend, ledger: Ledger) -> None:
    """Remove what a killed reclaim left of blobs that were uploaded anew since, under a newer generation. Such rows are few."""
    for record in (*ledger.records(), *ledger.packs()):
        for generation in range(record.generation):
            key = replace(record.resting(None), generation=generation).key
            with suppress(BlobMissing):
                backend.size(key)
                backend.remove(key)
