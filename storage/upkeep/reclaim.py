"""Free the bytes that nothing needs any more: first a plan, a value to print and to test, then its execution.

    plan        what the ledger calls unreachable, and why each
    carry out   doom (the ledger decides again) ──▶ remove the object ──▶ forget the row; then the same for packs that hold nothing more

A blob in a pack goes with its row; its bytes go with the pack, when no blob in it is left, or when so little is that the plan has the pack
rewritten (`rewrite`). So the bytes of blobs that are freed, and the bytes that are free on disk afterwards, are told apart. Bytes go before rows, so a reclaim that is
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
from storage.digest import Digest
from storage.errors import BlobMissing, NotRemoved, Refused, Unavailable
from storage.ledger import BlobRecord, BlobState, Ledger
from storage.upkeep.rewrite import Rewritten, Sparse, dead_bytes, sparse, without

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
    sparse: tuple[Sparse, ...] = ()
    """Packs of which so little is left that they are worth rewriting."""
    disk: int = 0
    """Bytes on disk that go, packs that become empty and what rewriting gains included."""
    inside: int = 0
    """Bytes on disk that dead blobs go on taking in packs that are not worth rewriting yet."""

    @property
    def is_empty(self) -> bool:
        return not (self.doomed or self.packs or self.sparse)

    @property
    def bytes(self) -> int:
        """Bytes of the blobs that go, wherever they rest."""
        return sum(line.record.blob.size for line in self.doomed)

    @property
    def counts(self) -> dict[str, int]:
        """How many for each reason."""
        reasons = Counter([*(line.reason for line in self.doomed), *(each.reason for each in self.sparse)])
        return dict(reasons) | ({EMPTY: self.packs} if self.packs else {})

    @property
    def takes_everything(self) -> bool:
        """What cut-off writers left does not count: a store may hold nothing else."""
        return 0 < self.live <= sum(line.record.state is BlobState.LIVE for line in self.doomed)


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What went, and how many of the plan are needed again and stayed."""

    blobs: int
    bytes: int
    """Of the blobs, wherever they rested."""
    spared: int
    packs: int = 0
    """Packs that held nothing any more."""
    disk: int = 0
    """Bytes that are free on disk now; of a packed blob not before its pack went."""
    inside: int = 0
    """Bytes on disk that dead blobs take in the packs that are left."""
    rewritten: int = 0
    """Packs that went because what was needed of them was moved together."""
    unread: tuple[Digest, ...] = ()
    """Blobs that could not be moved with the others, because they are rotten or lost."""

    def plus(self, moved: Rewritten, inside: int) -> "Reclaimed":
        """The same, with packs that were rewritten afterwards."""
        return replace(self, disk=self.disk + moved.freed, inside=inside, rewritten=moved.packs, unread=moved.unread)


def plan(ledger: Ledger) -> ReclaimPlan:
    """What could go now. Nothing is changed, and nothing is promised: carrying it out decides again."""
    doomed = tuple(Doomed(record, REASONS[record.state]) for record in ledger.unreachable())
    states = Counter(record.state for record in ledger.records())
    empty = ledger.empty_packs()
    uses = without(ledger.pack_uses(), (line.record for line in doomed))
    worth = tuple(sparse(uses))
    disk = sum(line.record.blob.size for line in doomed if line.record.pack is None) + sum(each.frees for each in worth)
    names = {(pack.domain, pack.blob.digest) for pack in empty}
    emptied = [use.pack for use in uses if not use.blobs and (use.pack.domain, use.pack.blob.digest) not in names]
    disk += sum(pack.blob.size for pack in (*empty, *emptied))
    inside = dead_bytes(use for use in uses if use.blobs) - sum(each.frees for each in worth)
    return ReclaimPlan(doomed, states.total(), states[BlobState.LIVE], len(empty), worth, disk, inside)


def carry_out(
    planned: ReclaimPlan, backend: Backend, ledger: Ledger, progress: Callable[[int], None] | None = None, *, empty_ok: bool = False
) -> Reclaimed:
    """Remove what was planned and is still unreachable; packs are not rewritten here (`rewrite`), it may be done later. May be repeated, and run again after any interruption.

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
    gone, disk = _remove(backend, ledger, [line.record for line in planned.doomed], progress, left)
    packs, freed = _remove(backend, ledger, ledger.empty_packs(), None, left)
    if left:
        raise NotRemoved(left)
    size = sum(record.blob.size for record in gone)
    return Reclaimed(len(gone), size, len(planned.doomed) - len(gone), len(packs), disk + freed, dead_bytes(ledger.pack_uses()))


def _remove(
    backend: Backend, ledger: Ledger, records: Sequence[BlobRecord], progress: Callable[[int], None] | None, left: dict[str, str]
) -> tuple[list[BlobRecord], int]:
    """Those of `records` that the ledger doomed, and that are gone now, and the bytes on disk that went with them.

    A row goes only when its object is known to be gone.
    """
    gone: list[BlobRecord] = []
    disk = 0
    for at in range(0, len(records), _BATCH):
        part = records[at : at + _BATCH]
        doomed = ledger.doom(part)
        was_live = {record.key for record in part if record.state is BlobState.LIVE}
        alone = [record.key for record in doomed if record.pack is None]
        sizes = {record.key: _weigh(backend, record, is_there=record.key in was_live) for record in doomed if record.pack is None}
        try:
            backend.remove_many(alone)
        except NotRemoved as refused:
            left.update(refused.left)
        finished = [record for record in doomed if record.pack is not None or record.key not in left]
        ledger.forget(finished)
        gone += finished
        disk += sum(size for key, size in sizes.items() if key not in left)
        if progress is not None:
            progress(sum(record.blob.size for record in finished))
    return gone, disk


def _weigh(backend: Backend, record: BlobRecord, *, is_there: bool) -> int:
    """Bytes on disk of an object: of one that was live what is recorded; a writer who was cut off may have left none."""
    if is_there:
        return record.blob.size
    with suppress(BlobMissing):
        return backend.size(record.key)
    return 0


def _remove_superseded(backend: Backend, ledger: Ledger) -> None:
    """Remove what a killed reclaim left of blobs that were uploaded anew since, under a newer generation. Such rows are few."""
    for record in (*ledger.records(), *ledger.packs()):
        for generation in range(record.generation):
            key = replace(record.resting(None), generation=generation).key
            with suppress(BlobMissing):
                backend.size(key)
                backend.remove(key)
