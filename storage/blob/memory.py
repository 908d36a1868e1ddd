"""A dictionary as a place for bytes: for tests and throw-away stores. It keeps the laws of a backend, durability aside."""

import itertools
import threading
from collections.abc import Iterator, Sequence

from storage.blob.backend import Backend, Staged, check_key
from storage.digest import CHUNK
from storage.errors import BlobMissing, Corrupt, InvalidPath, Unavailable


class MemoryStaged(Staged):
    """Bytes in a buffer; `None` once dropped."""

    def __init__(self, home: "MemoryBackend", session: str, number: int) -> None:
        self._home, self._session, self._number = home, session, number
        self._is_open = True
        home.staging.setdefault(session, {})[number] = bytearray()

    @property
    def data(self) -> bytearray:
        try:
            return self._home.staging[self._session][self._number]
        except KeyError:
            raise Unavailable("what was staged is gone: dropped, or its session was swept; stage the bytes again") from None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_open:
            raise Unavailable("what was staged is closed: stage the bytes again")
        self.data.extend(data)

    def close(self) -> None:
        self._is_open = False

    def drop(self) -> None:
        self.close()
        pieces = self._home.staging.get(self._session, {})
        pieces.pop(self._number, None)
        if not pieces:
            self._home.staging.pop(self._session, None)


class MemoryBackend(Backend):
    """See the top of this file. `objects`, `staging` and `aside` are open for a test to look into."""

    is_near = True

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.staging: dict[str, dict[int, bytearray]] = {}
        self.aside: dict[str, bytes] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def stage(self, session: str, key: str | None = None) -> Staged:
        return MemoryStaged(self, session, next(self._numbers))

    def publish(self, staged: Sequence[tuple[Staged, str]]) -> None:
        pieces = [(_own(piece), check_key(key)) for piece, key in staged]
        with self._lock:
            for piece, key in pieces:
                there = self.objects.setdefault(key, bytes(piece.data))
                if len(there) != len(piece.data):
                    raise Corrupt(f"{key} holds {len(there)} bytes where {len(piece.data)} belong")
        for piece, _ in pieces:
            piece.drop()

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        data = self._at(key)[start : None if length is None else start + length]
        return (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))

    def size(self, key: str) -> int:
        return len(self._at(key))

    def _at(self, key: str) -> bytes:
        try:
            return self.objects[check_key(key)]
        except KeyError:
            raise BlobMissing(f"{key} is not here: log its content again") from None

    def remove(self, key: str) -> None:
        self.objects.pop(check_key(key), None)

    def quarantine(self, key: str) -> bool:
        data = self.objects.pop(check_key(key), None)
        if data is None:
            return False
        self.aside[key] = data
        return True

    def copy_aside(self, key: str, start: int, length: int) -> bool:
        if key not in self.objects:
            return False
        self.aside[f"{key}.{start}"] = self.objects[key][start : start + length]
        return True

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        return iter([(key, len(data)) for key, data in list(self.objects.items()) if key.startswith(prefix)])

    def sweep(self, session: str) -> None:
        self.staging.pop(session, None)

    def sessions(self) -> list[str]:
        return sorted(session for session, pieces in self.staging.items() if pieces)


def _own(piece: Staged) -> MemoryStaged:
    if not isinstance(piece, MemoryStaged):
        raise InvalidPath(f"{piece!r} was not staged in memory: publish it where it was staged")
    return piece
