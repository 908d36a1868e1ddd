"""The checksum a provider stated, computed again over what came. Those nobody here can compute are kept and never compared."""

import hashlib
import zlib
from collections.abc import Callable
from typing import Protocol

from storage.entry import Pin, printable
from storage.errors import Corrupt


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> object: ...
    def hexdigest(self) -> str: ...


class _Crc32:
    def __init__(self) -> None:
        self.value = 0

    def update(self, data: bytes) -> None:
        self.value = zlib.crc32(data, self.value)

    def hexdigest(self) -> str:
        return f"{self.value:08x}"


def _md5() -> _Hasher:
    return hashlib.md5(usedforsecurity=False)


_COMPUTED: dict[str, Callable[[], _Hasher]] = {"sha256": hashlib.sha256, "sha1": hashlib.sha1, "md5": _md5, "crc32": _Crc32}


class Checksum:
    """What came so far, beside what the pin says. A checksum of parts' checksums carries a dash and is none of the content."""

    def __init__(self, pin: Pin) -> None:
        self.algorithm, _, self.expected = (pin.checksum or "").partition(":")
        known = self.algorithm in _COMPUTED and "-" not in self.expected
        self._hasher = _COMPUTED[self.algorithm]() if known else None
        self._uri = pin.uri

    def update(self, piece: bytes) -> None:
        if self._hasher is not None:
            self._hasher.update(piece)

    def confirm(self) -> None:
        """Return when the content has the checksum the provider stated.

        Raises:
            Corrupt: it has another one.
        """
        found = None if self._hasher is None else self._hasher.hexdigest()
        if found not in (None, self.expected):
            raise Corrupt(f"{printable(self._uri)}: these bytes have {self.algorithm} {found}, the provider stated {self.expected}")
