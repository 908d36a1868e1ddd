"""What some bytes are called: a digest (identity), a checksum (integrity) and a size, taken in one pass.

A **digest** is an identity: algorithm and value, always together, printed `blake3:<64 lower-case hex>`. Two blobs are the same blob when
digest *and* size agree. A **checksum** is XXH3-128: it notices change and rot, quickly, and can be made to collide on demand, so it never
answers "is this already stored?" and never names anything.

Digests and blobs are named tuples and no dataclasses: there is one for every file, and a tuple is made, compared and hashed in C.

Sources: BLAKE3 (O'Connor et al., 2020), FIPS 180-4 for SHA-256, xxHash's XXH3-128 in its canonical big-endian form.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from typing import NamedTuple, Protocol, Self

import blake3
import xxhash

from storage.errors import InvalidDigest

Buffer = bytes | bytearray | memoryview

DEFAULT_ALGORITHM = "blake3"
CHUNK = 1 << 20
"""Bytes handed to the hash functions at a time: both release the GIL on updates of this size."""


class _Hash(Protocol):
    def update(self, data: Buffer, /) -> object: ...
    def hexdigest(self) -> str: ...


ALGORITHMS: dict[str, Callable[..., _Hash]] = {"blake3": blake3.blake3, "sha256": hashlib.sha256}
"""Identity algorithms a store may be created with. Both give 256 bits."""

_DIGITS = b"0123456789abcdef"
_GRAMMAR = re.compile(r"([a-z0-9]+):([0-9a-f]{64})", re.ASCII)


class Digest(NamedTuple):
    """The identity of some bytes. `Digest.parse(str(d)) == d` for every digest, and nothing else parses."""

    algorithm: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The digest that `text` spells.

        Raises:
            InvalidDigest: wrong length, upper case, another encoding, white space or an unknown algorithm.
        """
        algorithm, _, value = text.partition(":") if isinstance(text, str) else ("", "", "")
        if algorithm in ALGORITHMS and len(value) == 64 and value.isascii() and not value.encode().translate(None, _DIGITS):
            return cls(algorithm, value)
        match = _GRAMMAR.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise InvalidDigest(f"{text!r} is not a digest: write algorithm:hex with 64 lower-case digits, as in blake3:9f86…")
        raise InvalidDigest(f"{text!r} names the unknown algorithm {match[1]!r}: known are {', '.join(ALGORITHMS)}")

    @classmethod
    def of(cls, data: Buffer, algorithm: str = DEFAULT_ALGORITHM) -> Self:
        """The digest of `data`."""
        return cls(algorithm, ALGORITHMS[algorithm](data).hexdigest())

    def __str__(self) -> str:
        return f"{self[0]}:{self[1]}"

    @property
    def short(self) -> str:
        """The first twelve digits, for people."""
        return self.value[:12]

    def __bytes__(self) -> bytes:
        return bytes.fromhex(self.value)


def digests_of(algorithm: str, values: Iterable[str]) -> list[Digest]:
    """The digests with these values, which were judged, made in C."""
    return list(map(_make, zip(repeat(algorithm), values, strict=False)))


def are_values(data: bytes) -> bool:
    """Are these the values of digests, back to back?"""
    return not len(data) % 64 and not data.translate(None, _DIGITS)


_make: Callable[[tuple[str, str]], Digest] = partial(tuple.__new__, Digest)


class Blob(NamedTuple):
    """What is known of some bytes once they were read to the end: digest and size are who they are, checksum guards them."""

    digest: Digest
    size: int
    checksum: str

    @classmethod
    def of(cls, data: Buffer, algorithm: str = DEFAULT_ALGORITHM) -> Self:
        """Digest, size and checksum of `data`."""
        size = len(data) if isinstance(data, bytes) else memoryview(data).nbytes
        return cls(Digest(algorithm, ALGORITHMS[algorithm](data).hexdigest()), size, xxhash.xxh3_128_hexdigest(data))


class Hasher:
    """Digest, size and checksum of a stream, in one pass.

    >>> hasher = Hasher()
    >>> hasher.update(b"hello")
    >>> hasher.blob().size
    5
    """

    __slots__ = ("_checksum", "_digest", "algorithm", "size")

    def __init__(self, algorithm: str = DEFAULT_ALGORITHM) -> None:
        self.algorithm = algorithm
        self.size = 0
        self._digest = ALGORITHMS[algorithm]()
        self._checksum = xxhash.xxh3_128()

    def update(self, data: Buffer) -> None:
        self._digest.update(data)
        self._checksum.update(data)
        self.size += memoryview(data).nbytes

    def result(self) -> tuple[Digest, int, str]:
        return Digest(self.algorithm, self._digest.hexdigest()), self.size, self._checksum.hexdigest()

    def blob(self) -> Blob:
        return Blob(*self.result())
