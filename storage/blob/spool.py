"""This machine's directory as the antechamber of a far place: what is staged here waits to be sent, and is durable only once it is there.

So nothing is flushed: after a power loss the writer is gone too, and whatever he had staged is swept.
"""

from storage.blob.local import LocalBackend
from storage.blob.staged import LocalStaged


class Spooled(LocalStaged):
    """A piece that waits to be sent."""

    def hurry(self) -> None:
        """Nobody waits for this disk."""

    def flush(self) -> None:
        self.close()


class Spool(LocalBackend):
    """See the top of this file."""

    piece = Spooled
