"""What a session has taken in and not yet published: large blobs staged alone, small ones held until there is a pack of them.

Small bytes wait in memory, at most `FULL` of them, so whatever fails while a pack is written takes nothing with it: the next attempt
writes the pack again. Nothing here asks the ledger or publishes.
"""

from collections.abc import Callable, Iterator

from storage.blob.backend import Staged
from storage.blob.pack import FULL, Pack, PackWriter
from storage.digest import Blob, Digest


class Batch:
    """See the top of this file."""

    def __init__(self, stage: Callable[[], Staged], algorithm: str) -> None:
        self.alone: dict[Digest, Staged] = {}
        self.packs: list[tuple[Staged, Pack]] = []
        self._stage, self._algorithm = stage, algorithm
        self._small: dict[Digest, tuple[Blob, bytes]] = {}
        self._held = 0

    def add(self, blob: Blob, data: bytes) -> None:
        """Hold small bytes; they are in the batch even when this raises.

        Raises:
            StoreFull, ReadOnlyStore, Unavailable: there was a pack's worth, and it could not be staged.
        """
        self._small[blob.digest] = (blob, data)
        self._held += blob.size
        if self._held >= FULL:
            self.close_pack()

    def close_pack(self) -> None:
        """Stage what is held as a pack.

        Raises: as `add`; everything is still held.
        """
        if not self._small:
            return
        writer = PackWriter(self._stage(), self._algorithm)
        for blob, data in self._small.values():
            writer.append(blob, data)
        self.packs.append((writer.staged, writer.finish()))
        self._small, self._held = {}, 0

    def staged(self) -> Iterator[Staged]:
        """Everything that was written."""
        yield from self.alone.values()
        yield from (staged for staged, _ in self.packs)

    def clear(self) -> None:
        """It was published, or will not be."""
        self.alone.clear()
        self.packs.clear()
        self._small, self._held = {}, 0
