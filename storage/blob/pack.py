"""A pack: many small blobs in one file, so that fifty thousand of them are a few writes and flushes.

    header     the tag
    members    their bytes, back to back, in the order they came
    footer     how many; of each the digest, the size, the checksum, where it starts
    trailer    the footer's length, its XXH3-128, the tag

The ledger says what rests where; a pack can say it too, from its end, should the ledger be lost. Numbers are 8 bytes, big-endian; texts
have their length before them, 4 bytes. A footer has one encoding: members follow each other without a gap, from the header to the footer. A
pack is named by the digest of the whole file, never by what is in it. It never changes, and it never mixes dedup domains. The format is
frozen in `tests/formats`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

import xxhash

from storage.blob.backend import Staged
from storage.digest import CHUNK, DEFAULT_ALGORITHM, Blob, Buffer, Digest, Hasher
from storage.errors import Corrupt, InvalidDigest

PACKED = 1 << 20
"""Blobs up to this size are packed: writing one takes less time than flushing a file of its own. So are nearly all segments."""
FULL = 64 << 20
"""A pack this large is finished and another begun: one that is checked, or lost, is not the whole store."""

TAG = b"lineage/pack/1\n"
_TRAILER = 8 + 16 + len(TAG)

ReadRange = Callable[[int, int], bytes]
"""The bytes of a pack from a start, so many of them."""


class Member(NamedTuple):
    """A blob in a pack, and where its bytes start: there are many of them, so they are tuples."""

    blob: Blob
    start: int


@dataclass(frozen=True, slots=True)
class Pack:
    """A finished pack: the file as a blob of its own, and what is in it."""

    blob: Blob
    members: tuple[Member, ...]


def packed_size(blobs: int, size: int, algorithm: str = DEFAULT_ALGORITHM) -> int:
    """Bytes of a pack that holds so many blobs of so many bytes together, its header, footer and trailer included."""
    return len(TAG) + size + 8 + blobs * (4 + len(str(Digest.of(b"", algorithm))) + 8 + 16 + 8) + _TRAILER


class PackWriter:
    """A pack on its way: blobs are added to something staged, then it is finished, once. What fails leaves nothing of the pack."""

    def __init__(self, staged: Staged, algorithm: str = DEFAULT_ALGORITHM) -> None:
        self.staged = staged
        self._hasher = Hasher(algorithm)
        self._members: list[Member] = []
        self._end = len(TAG)
        self._ahead: list[Buffer] = [TAG]
        """Not yet written: one large write is cheaper than many small ones."""

    def append(self, blob: Blob, data: Buffer) -> int:
        """Where the bytes of a blob start in the pack. The blob must be what the bytes are.

        Raises:
            StoreFull, Unavailable: the pack was dropped, with everything in it.
        """
        start = self._end
        self._members.append(Member(blob, start))
        self._ahead.append(data)
        self._end += len(data)
        if self._end - self._hasher.size >= CHUNK:
            self._write()
        return start

    def extend(self, blobs: Iterable[tuple[Blob, bytes]]) -> None:
        """Append all of them, and write what is there.

        Raises: as `append`.
        """
        for blob, data in blobs:
            self.append(blob, data)
        self._write()

    def finish(self) -> Pack:
        """The pack, whole and closed; it may be published now.

        Raises: as `append`.
        """
        footer = encode_footer(self._members)
        self._ahead += [footer, len(footer).to_bytes(8, "big"), xxhash.xxh3_128_digest(footer), TAG]
        self._write()
        self.staged.close()
        return Pack(self._hasher.blob(), tuple(self._members))

    def _write(self) -> None:
        ahead, self._ahead = b"".join(self._ahead), []
        try:
            self.staged.write(ahead)
            self._hasher.update(ahead)
        except BaseException:
            self.staged.drop()
            raise


@lru_cache(maxsize=16)
def _line(digest: int) -> Struct:
    """A member whose digest is a text of so many bytes: its length and itself, size, checksum, start."""
    return Struct(f">I{digest}sQ16sQ")


def encode_footer(members: Sequence[Member]) -> bytes:
    """The canonical bytes of a footer; `read_footer` reads them back."""
    out = [len(members).to_bytes(8, "big")]
    for blob, start in members:
        digest = str(blob.digest).encode()
        out.append(_line(len(digest)).pack(len(digest), digest, blob.size, bytes.fromhex(blob.checksum), start))
    return b"".join(out)


def read_footer(read_range: ReadRange, size: int) -> tuple[Member, ...]:
    """What is in a pack of `size` bytes, as it says itself.

    Raises:
        Corrupt: it is no pack, was cut off, or its footer is damaged.
    """
    trailer = read_range(max(0, size - _TRAILER), _TRAILER)
    length = int.from_bytes(trailer[:8], "big")
    end = size - _TRAILER
    if len(trailer) != _TRAILER or trailer[24:] != TAG or not 8 <= length <= end - len(TAG) or read_range(0, len(TAG)) != TAG:
        raise Corrupt(f"{size} bytes that should be a pack have no header and trailer of one: restore a backup of the pack")
    footer = read_range(end - length, length)
    if xxhash.xxh3_128_digest(footer) != trailer[8:24]:
        raise Corrupt("the footer of a pack is rotten: what is in the pack can be read, and not found without the ledger")
    members = _decode(footer)
    if encode_footer(members) != footer or not _follow(members, end - length):
        raise Corrupt("the footer of a pack is not one: its members do not follow each other from header to footer")
    return members


def _decode(footer: bytes) -> tuple[Member, ...]:
    members, at = [], 8
    for _ in range(int.from_bytes(footer[:8], "big")):
        length = int.from_bytes(footer[at : at + 4], "big")
        rest = footer[at + 4 : at + 4 + length + 32]
        if len(rest) != length + 32:
            raise Corrupt("the footer of a pack ends before its list does")
        try:
            digest = Digest.parse(rest[:length].decode("ascii", "replace"))
        except InvalidDigest as error:
            raise Corrupt(f"the footer of a pack lists what is no blob: {error}") from error
        size, checksum = int.from_bytes(rest[length : length + 8], "big"), rest[length + 8 : length + 24].hex()
        members.append(Member(Blob(digest, size, checksum), int.from_bytes(rest[length + 24 :], "big")))
        at += 4 + length + 32
    return tuple(members)


def _follow(members: tuple[Member, ...], end: int) -> bool:
    at = len(TAG)
    for member in members:
        if member.start != at:
            return False
        at += member.blob.size
    return at == end
