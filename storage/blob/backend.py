"""The law of every place where bytes can rest. Local disk, memory, S3 and HTTP are backends; behaviour is added by wrapping one.

A backend knows keys and bytes, nothing of digests, manifests or runs. Keys are the relative POSIX paths of `storage.layout`.

1. `publish` makes durable first and visible second: a key that can be read is complete, and survives a power loss once `publish` returned.
2. Keys are immutable. Publishing to a key that exists keeps what is there, drops what was staged and succeeds, durable either way.
3. Only a definite "it is not there" is `BlobMissing`; anything else that fails is an error, never absence.
4. `remove` of an absent key succeeds. `keys` is complete or raises.
5. What is staged and not published is invisible, private to its session, and gone after `sweep`. That holds of what was sent ahead, too:
   bytes staged for a key that is known may be on their way there already, and nobody sees them before `publish`.
6. Nothing here reads, moves or changes a user's file.

`tests/contracts/backend.py` holds every backend to this.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.errors import InvalidPath, NotRemoved, Unavailable
from storage.layout import OBJECTS

ZEROS = memoryview(bytes(1 << 20))
"""What a hole reads as."""


def check_key(key: str) -> str:
    """`key` itself, when it is the relative POSIX path of something that can rest in a backend.

    Raises:
        InvalidPath: anchored, climbing, not canonical or outside `objects/`.
    """
    parts = key.split("/")
    if parts[0] != OBJECTS or len(parts) < 2 or any(part in ("", ".", "..") for part in parts) or "\\" in key or "\0" in key:
        raise InvalidPath(f"{key!r} is not a key: write {OBJECTS}/… as storage.layout does")
    return key


class Staged(ABC):
    """Bytes on their way in: written by one session, published or dropped."""

    @abstractmethod
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`, all of it.

        Raises:
            StoreFull: no space or quota left; what was staged is dropped.
        """

    @abstractmethod
    def close(self) -> None:
        """No more bytes; release the handle but keep what was written."""

    def skip(self, length: int) -> None:
        """Append so many zero bytes, which need not take room.

        Raises: as `write`.
        """
        for at in range(0, length, len(ZEROS)):
            self.write(ZEROS[: length - at])

    def clone(self, source: int) -> Path | None:
        """Take all bytes of an open file without copying them, as they are at this moment; the answer is where they can be read again.

        `None`, and nothing taken, where this place cannot: then write them.
        """
        return None

    def hurry(self) -> None:
        """Let what was written begin its way to the disk, so that less is left for `flush`; it promises nothing."""

    def flush(self) -> None:
        """Close, and do now what of `publish` can be done before the key is known: then less is left to wait for.

        Raises:
            StoreFull, Unavailable: what was staged is dropped.
        """
        self.close()

    @abstractmethod
    def drop(self) -> None:
        """Forget what was written. May be called again, and after `publish`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self.drop()


class Backend(ABC):
    """See the laws at the top of this file."""

    largest: int | None = None
    """Bytes one object can have at most, where that is less than a file can have."""

    is_near: bool = False
    """Does asking for a size cost no round trip? Then it is asked before anything is believed to be stored already."""

    @abstractmethod
    def stage(self, session: str, key: str | None = None) -> Staged:
        """A new place to write bytes to, belonging to `session`.

        A writer who knows already under which key they will be published says so: a far place may then send them as they come, instead
        of keeping all of them near until they are published. Such a piece is published under that key, or dropped.
        """

    @abstractmethod
    def publish(self, staged: Sequence[tuple[Staged, str]]) -> None:
        """Make each staged piece durable and then visible under its key, in one call for many so that flushing is shared."""

    @abstractmethod
    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes under `key` from `start`, `length` of them or all that follow, in pieces.

        Raises:
            BlobMissing: there is no such key; raised by the call itself, not by the first piece.
        """

    @abstractmethod
    def size(self, key: str) -> int:
        """How many bytes are under `key`.

        Raises:
            BlobMissing: there is no such key.
        """

    @abstractmethod
    def remove(self, key: str) -> None:
        """The key is gone when this returns, whether or not it was there."""

    def remove_many(self, keys: Sequence[str]) -> None:
        """As `remove` for each of them, in as few requests as the place allows.

        Raises:
            InvalidPath: one of them is no key; nothing was removed.
            NotRemoved: naming those that are still there, or may be; all others are gone.
        """
        left: dict[str, str] = {}
        for key in [check_key(key) for key in keys]:
            try:
                self.remove(key)
            except Unavailable as error:
                left[key] = str(error)
        if left:
            raise NotRemoved(left)

    def quarantine(self, key: str) -> bool:
        """Move what is under `key` aside, where it is kept and never served; False where this place cannot, or nothing is there.

        The bytes are wrong, and may still be the only copy of something: they are never deleted for it.
        """
        return False

    def copy_aside(self, key: str, start: int, length: int) -> bool:
        """As `quarantine` for a part of what is under `key`, which stays: others need the rest."""
        return False

    @abstractmethod
    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Every key that begins with `prefix`, with its size, in no particular order."""

    @abstractmethod
    def sweep(self, session: str) -> None:
        """Drop whatever `session` staged and did not publish."""

    @abstractmethod
    def sessions(self) -> list[str]:
        """Sessions that have something staged."""
