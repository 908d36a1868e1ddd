"""Free the room that dead blobs take inside packs: what is needed moves into a new pack, then the old one goes as a whole.

    read what is needed, each verified ──▶ a new pack, durable ──▶ one transaction: all of it rests there ──▶ the old pack is doomed and removed

Only a pack of which at most half is needed is worth it: then every byte that is written again frees one at least. What is left of several
packs goes into one. Until the transaction nothing has changed, after it the old pack holds nothing, so a rewrite that is killed anywhere
leaves a pack that the next reclaim finds empty: the new one or the old one. It may run beside writers and readers: they pin blobs, not
places, and a reader who meets a pack that is gone asks once more where the blob is. Blobs that are found rotten are put aside as on any
read and stay behind; packs of different dedup domains are never mixed.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby

from storage.blob.backend import Backend, Staged
from storage.blob.pack import FULL, Pack, PackWriter, packed_size
from storage.blob.store import Store
from storage.digest import Digest
from storage.errors import NotRemoved, Unavailable
from storage.ledger import BlobRecord, BlobState, Ledger, PackUse

WORTH = 2
"""A pack is rewritten when what a new one would take is at most this part of it."""
REASON = "at most half of the pack is needed"


@dataclass(frozen=True, slots=True)
class Sparse:
    """A pack that is worth rewriting: of `size` bytes `needed` would do."""

    pack: BlobRecord
    blobs: int
    needed: int
    reason: str = REASON

    @property
    def frees(self) -> int:
        """Bytes on disk that rewriting it alone gains; a little more when it is rewritten with others."""
        return self.pack.blob.size - self.needed


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What became of sparse packs: how many went, the bytes that freed on disk, and the blobs that could not be read and stayed behind."""

    packs: int = 0
    freed: int = 0
    unread: tuple[Digest, ...] = ()
    left: dict[str, str] = field(default_factory=dict)
    """Old packs that could not be removed, and why; the next reclaim finds them empty."""


def without(uses: Iterable[PackUse], doomed: Iterable[BlobRecord]) -> list[PackUse]:
    """What the packs will hold when the `doomed` are gone."""
    going: dict[tuple[str, Digest | None], list[int]] = {}
    for record in doomed:
        if record.pack is not None and record.state is BlobState.LIVE:
            going.setdefault((record.domain, record.pack), []).append(record.blob.size)
    found = []
    for use in uses:
        sizes = going.get((use.pack.domain, use.pack.blob.digest), [])
        found.append(replace(use, blobs=use.blobs - len(sizes), bytes=use.bytes - sum(sizes)))
    return found


def sparse(uses: Iterable[PackUse]) -> list[Sparse]:
    """The packs among these that are worth rewriting; one that holds nothing goes without being rewritten."""
    weighed = (Sparse(use.pack, use.blobs, _size(use)) for use in uses if use.blobs)
    return [each for each in weighed if each.needed * WORTH <= each.pack.blob.size]


def dead_bytes(uses: Iterable[PackUse]) -> int:
    """Bytes on disk that packs take for nothing: what rewriting all of them would free, whether it is worth it or not."""
    return sum(use.pack.blob.size - (_size(use) if use.blobs else 0) for use in uses)


def _size(use: PackUse) -> int:
    return packed_size(use.blobs, use.bytes, use.pack.blob.digest.algorithm)


def rewrite(planned: Sequence[Sparse], backend: Backend, ledger: Ledger, progress: Callable[[int], None] | None = None) -> Rewritten:
    """Move what is needed out of the planned packs and remove them; each is weighed once more, and may turn out not to be worth it.

    `progress` is told the bytes on disk that have just been freed.

    Raises:
        StoreFull, Unavailable: it stopped there; what was moved by then is moved, the rest is as it was.
    """
    done = Rewritten()
    for packs in _shares(planned):
        freed = _rewrite(packs, backend, ledger)
        if progress is not None:
            progress(freed.freed)
        done = Rewritten(done.packs + freed.packs, done.freed + freed.freed, done.unread + freed.unread, done.left | freed.left)
    return done


def _shares(planned: Sequence[Sparse]) -> Iterator[list[BlobRecord]]:
    """Packs of one domain that fill one new pack together."""
    for _, packs in groupby(sorted(planned, key=lambda each: each.pack.domain), key=lambda each: each.pack.domain):
        share, size = list[BlobRecord](), 0
        for each in packs:
            if share and size + each.needed > FULL:
                yield share
                share, size = [], 0
            share.append(each.pack)
            size += each.needed
        yield share


def _rewrite(packs: Sequence[BlobRecord], backend: Backend, ledger: Ledger) -> Rewritten:
    held = {pack.key: (pack, ledger.members(pack)) for pack in packs}
    uses = [PackUse(pack, len(members), sum(member.blob.size for member in members)) for pack, members in held.values()]
    worth = [each.pack for each in sparse(uses)]
    unread: list[Digest] = []
    moved = _move([member for pack in worth for member in held[pack.key][1]], backend, ledger, unread) if worth else None

    gone = ledger.doom(worth)
    left: dict[str, str] = {}
    try:
        backend.remove_many([pack.key for pack in gone])
    except NotRemoved as refused:
        left.update(refused.left)
    finished = [pack for pack in gone if pack.key not in left]
    ledger.forget(finished)
    written = 0 if moved is None else moved.blob.size
    return Rewritten(len(finished), sum(pack.blob.size for pack in finished) - written, tuple(unread), left)


def _move(members: Sequence[BlobRecord], backend: Backend, ledger: Ledger, unread: list[Digest]) -> Pack | None:
    """The new pack in which those of `members` rest now that could be read; `None` when none could."""
    domain = members[0].domain
    session, process = ledger.open_session(), os.getpid()
    try:
        pack = _write(members, backend, ledger, session, unread)
        if pack is None:
            return None
        staged, whole = pack
        placed = ledger.place(session, domain, whole.blob, [(member.blob, member.start) for member in whole.members])
        backend.publish([(staged, placed.key)])
        if not ledger.relocate(session):
            raise Unavailable("the rewriting of packs was taken for dead and cannot go on: nothing moved, call again")
        return whole
    finally:
        if process == os.getpid():  # a child that was forked meanwhile has no part in it
            with suppress(Unavailable):  # the sweep tries again, and says what is wrong
                backend.sweep(session)
            ledger.close_session(session)


def _write(
    members: Sequence[BlobRecord], backend: Backend, ledger: Ledger, session: str, unread: list[Digest]
) -> tuple[Staged, Pack] | None:
    """A new pack with those of `members` that can be read, staged; `None` when there are none. The others are told in `unread`."""
    store = Store(backend, ledger, members[0].domain)
    staged = backend.stage(session)
    writer, is_empty = PackWriter(staged, members[0].blob.digest.algorithm), True
    try:
        for record, data in store.read_many(members, lambda record, _: unread.append(record.blob.digest)):
            writer.append(record.blob, data)
            is_empty = False
        if not is_empty:
            return staged, writer.finish()
    except BaseException:
        staged.drop()
        raise
    staged.drop()
    return None
