"""What a tree of files was when somebody last read it: for each file how it looked from outside, and the blob its bytes were.

It is knowledge about this machine's disk (inodes, clocks), so it is a file of this machine beside the store's other caches and no table of
the ledger: a team shares a catalogue, nobody shares an inode; and a cache that may be lost at any time needs no transaction. It is never
asked what a store holds, only whether a file must be read again to know what it is.

    cache/trees/<32 digits>    one file for each (store, dedup domain, real root): tag · XXH3-128 of the rest · JSON header · columns

A file counts as unchanged when device, inode, size, mtime and ctime all agree: nobody can set ctime, so an edit that puts mtime back is
seen. An edit within the clock tick of the last look would not be, so what is that young is not remembered (git's rule for its index):
mtime and ctime of a file that was read must lie before the moment this memory was recalled, by the clock of the file system that the cache
is on and by more than its granularity; on any other file system, whose clock may be another's, by two seconds.

A clock that was set back shows times that were shown before, and where times have no fraction an edit may then look like the last one. So a
memory that was kept later than its clock says now is empty. (Where times have one, no two edits share it, whatever the clock did.)

Whatever is wrong with such a file (cut off, damaged, of another store, version or tree) makes it empty: everything is read again. It is
written whole under a temporary name and renamed; of several writers the last wins. Not being able to write one costs time and nothing else.
"""

import json
import os
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import TypeVar

import xxhash

from storage.blob import disk
from storage.digest import Blob, Digest

Stamp = tuple[int, int, int, int, int]
"""Device, inode, size, mtime and ctime in nanoseconds: how a file looks without reading it."""

TICK = 20_000_000
"""No clock of a local file system is coarser, in nanoseconds: kernels advance it 100 to 1000 times a second."""
COARSE = 2_000_000_000
"""Allowed for where a time has no fraction (FAT, old ext and HFS+), and where another machine's clock may have set it."""
_HARMLESS = 16
"""When no more than one in so many is of a file that went or changed, they stay until there is something to add: they match nothing."""
ROOTS = 200
"""Trees remembered in one directory; the longest unused are forgotten first."""

_TAG = b"lineage/tree memory/1\n"
_CHECK = 16
_LENGTH = struct.Struct("<Q")
STAMP = struct.Struct("<QQQqq")
"""How a stamp is kept and compared."""
_Column = TypeVar("_Column", bytes, list[str])
_WIDTHS = (STAMP.size, 32, 16)
"""Bytes a file takes in each column: stamp, digest, checksum."""


def stamp_of(about: os.stat_result) -> Stamp:
    """How a file looks from outside."""
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def packed(stamp: Stamp) -> bytes:
    """A stamp as it is kept and compared; empty, which nothing is equal to, for one of a time no clock shows before the year 2262."""
    try:
        return STAMP.pack(*stamp)
    except struct.error:
        return b""


class StatCache:
    """The memories of all trees, in `directory`, of the store called `store`; without a directory nothing is remembered."""

    def __init__(self, directory: Path | None = None, store: str = "") -> None:
        self.directory = directory
        self.store = store

    def recall(self, root: Path, domain: str) -> "Memory":
        """What is known of the tree at `root`: nothing, when it cannot be read. Ask before a file of it is read."""
        if self.directory is None:
            return Memory(None, {})
        name = {"store": self.store, "domain": domain, "root": os.fsencode(os.path.realpath(root)).hex()}
        path = self.directory / Digest.of(json.dumps(name).encode()).value[:32]
        kept, known, now = _kept(path), _read(path, name), _now(self.directory)
        return Memory(path, name, None if now and kept > now[1] + TICK else known, now)


@dataclass(frozen=True)
class _Known:
    """Files in path order, and of each a stamp, a digest of one algorithm and a checksum, each in a column of its own."""

    algorithm: str = ""
    paths: list[str] = field(default_factory=list)
    columns: tuple[bytes, bytes, bytes] = (b"", b"", b"")

    @cached_property
    def places(self) -> dict[str, int]:
        return {path: place for place, path in enumerate(self.paths)}

    def stamp(self, place: int) -> bytes:
        return self.columns[0][place * STAMP.size : (place + 1) * STAMP.size]

    def digest(self, place: int) -> Digest:
        return Digest(self.algorithm, self.columns[1][place * 32 : (place + 1) * 32].hex())

    def blob(self, place: int) -> Blob:
        size: int = STAMP.unpack_from(self.columns[0], place * STAMP.size)[2]
        return Blob(self.digest(place), size, self.columns[2][place * 16 : (place + 1) * 16].hex())


class Memory:
    """What is known of one tree. One thread at a time."""

    def __init__(
        self, path: Path | None, name: dict[str, str], known: _Known | None = None, recalled: "tuple[int, int] | None" = None
    ) -> None:
        self._path, self._name, self._known = path, name, known or _Known()
        self._met = bytearray(len(self._known.paths))
        self._noted: dict[str, tuple[bytes, Blob, bool]] = {}
        self._recalled = recalled

    @property
    def algorithm(self) -> str:
        """Of the digests that are known; empty when none are."""
        return self._known.algorithm

    def find(self, path: str, stamp: Stamp) -> Blob | None:
        """The blob that the file at `path`, seen from the root, still is; None unless everything about it is as it was."""
        place = self._known.places.get(path)
        if place is None or self._known.stamp(place) != packed(stamp):
            return None
        self._met[place] = 1
        return self._known.blob(place)

    def find_all(self, paths: Sequence[str], stamps: Sequence[bytes]) -> Sequence[int | None]:
        """As `find` for many, in path order and with packed stamps; the answers are places, for `values`, `sizes` and `blob`."""
        known = self._known
        if known.paths == paths and known.columns[0] == b"".join(stamps):
            self._met = bytearray(b"\1") * len(paths)
            return range(len(paths))
        found: list[int | None] = []
        place, end = 0, len(known.paths)
        for path, stamp in zip(paths, stamps, strict=True):
            while place < end and known.paths[place] < path:
                place += 1
            is_same = place < end and known.paths[place] == path and known.stamp(place) == stamp
            found.append(place if is_same else None)
            if is_same:
                self._met[place] = 1
        return found

    def values(self, places: Iterable[int | None]) -> list[str]:
        """The values of the digests of files that were found; empty for the others."""
        values = self._known.columns[1].hex()
        return ["" if at is None else values[at * 64 : at * 64 + 64] for at in places]

    def sizes(self, places: Iterable[int | None]) -> list[int]:
        """The sizes of files that were found; 0 for the others."""
        sizes = [stamp[2] for stamp in STAMP.iter_unpack(self._known.columns[0])]
        return [0 if at is None else sizes[at] for at in places]

    def blob(self, place: int) -> Blob:
        """The blob of a file that was found."""
        return self._known.blob(place)

    def note(self, path: str, stamp: Stamp, blob: Blob) -> None:
        """The file at `path` was read since this was recalled, looked like `stamp` before and after, and is `blob`."""
        self._noted[path] = (packed(stamp), blob, False)

    def note_made(self, path: str, stamp: Stamp, blob: Blob) -> None:
        """This process made the file, verified its bytes on their way, and put it at `path` from a name nobody knew, looking like `stamp`.

        Nobody edits such a file within the tick it appears in: it need only be older than `keep`, which is all that git asks.
        """
        self._noted[path] = (packed(stamp), blob, True)

    def keep(self, under: str = "") -> None:
        """Remember what was found or noted. What was not met below `under`, text a path begins with, is gone, and is forgotten.

        Never raises: a memory that cannot be kept costs time.
        """
        if self._path is None or self._recalled is None:
            return
        with suppress(OSError):
            noted, gone = self._trusted(), self._gone(under)
            if noted or len(gone) * _HARMLESS > len(self._known.paths):
                _write(self._path, self._name, _merged(self._known, gone, noted))
                _forget_longest_unused(self._path.parent)
            elif self._known.paths:
                disk.touch(self._path)

    def _gone(self, under: str) -> list[int]:
        """Places whose file is not there any more, or was read again."""
        met, noted = self._met, self._noted
        if not noted and all(met):
            return []
        return [place for place, path in enumerate(self._known.paths) if path in noted or (not met[place] and path.startswith(under))]

    def _trusted(self) -> dict[str, tuple[bytes, Blob]]:
        """Of what was noted, what is old enough."""
        recalled = self._recalled
        now = _now(self._path.parent) if self._path and any(made for _, _, made in self._noted.values()) else recalled
        return {path: (stamp, blob) for path, (stamp, blob, made) in self._noted.items() if _is_old(stamp, now if made else recalled)}


_Instant = tuple[int, int]
"""A device, and what its clock says, in nanoseconds."""


def _now(directory: Path) -> _Instant | None:
    """What the clock of the file system says that `directory` is on; None when it will not take a file to read it off."""
    try:
        disk.make_directories(directory, 0o700)
        probe = directory / disk.temporary_name("clock")
        fd = disk.create(probe)
        try:
            about = os.fstat(fd)
        finally:
            os.close(fd)
            disk.unlink(probe)
    except OSError:
        return None
    return about.st_dev, about.st_ctime_ns


def _is_old(stamp: bytes, now: _Instant | None) -> bool:
    """Would an edit made at `now`, or later, be seen?"""
    if not stamp or now is None:
        return False
    device, _, _, mtime, ctime = STAMP.unpack(stamp)
    newest: int = mtime if mtime > ctime else ctime  # noqa: FURB136  # there are many, and `max` takes twice as long
    is_fine = device == now[0] and newest % 1_000_000_000
    return newest + (TICK if is_fine else COARSE) < now[1]


def _merged(known: _Known, gone: Sequence[int], noted: dict[str, tuple[bytes, Blob]]) -> _Known:
    """`known` without what is gone and with what was noted; blobs of another algorithm are left out."""
    algorithm = next((blob.digest.algorithm for _, blob in noted.values()), known.algorithm)
    runs = list(_between(gone, len(known.paths))) if algorithm == known.algorithm else []
    stay = [
        b"".join(column[start * width : end * width] for start, end in runs) for width, column in zip(_WIDTHS, known.columns, strict=True)
    ]
    paths = [path for start, end in runs for path in known.paths[start:end]]
    fresh = sorted(path for path, (_, blob) in noted.items() if blob.digest.algorithm == algorithm)
    rows = [noted[path] for path in fresh]
    added = (
        b"".join([stamp for stamp, _ in rows]),
        bytes.fromhex("".join([blob.digest.value for _, blob in rows])),
        bytes.fromhex("".join([blob.checksum for _, blob in rows])),
    )
    seams = _seams([bisect_left(paths, path) for path in fresh])
    columns = [b"".join(_woven(old, new, seams, width)) for old, new, width in zip(stay, added, _WIDTHS, strict=True)]
    return _Known(algorithm, list(chain.from_iterable(_woven(paths, fresh, seams, 1))), (columns[0], columns[1], columns[2]))


def _seams(places: Sequence[int]) -> list[tuple[int, int, int]]:
    """Where something comes between what stays, each place once: before which of that, and what comes, from which to which."""
    first = [at for at, place in enumerate(places) if not at or place != places[at - 1]]
    return [(places[start], start, end) for start, end in pairwise((*first, len(places)))]


def _woven(old: _Column, new: _Column, seams: Iterable[tuple[int, int, int]], width: int) -> Iterator[_Column]:
    """What stays and what comes, in order, in as few pieces as there are."""
    at = 0
    for place, start, end in seams:
        yield old[at * width : place * width]
        yield new[start * width : end * width]
        at = place
    yield old[at * width :]


def _between(gone: Iterable[int], count: int) -> Iterator[tuple[int, int]]:
    """The runs of places, of so many, that stay."""
    start = 0
    for place in (*gone, count):
        if start < place:
            yield start, place
        start = place + 1


def _kept(path: Path) -> int:
    """When a file was last kept, or found to be as it was: it counts as used then."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _read(path: Path, name: dict[str, str]) -> _Known:
    """What a file remembers, when it is whole and about this very tree."""
    with suppress(OSError, ValueError, KeyError, TypeError, struct.error):
        data = path.read_bytes()
        rest = memoryview(data)[len(_TAG) + _CHECK :]
        if not data.startswith(_TAG) or xxhash.xxh3_128_digest(rest) != data[len(_TAG) : len(_TAG) + _CHECK]:
            return _Known()
        (length,) = _LENGTH.unpack_from(rest)
        header = json.loads(bytes(rest[_LENGTH.size : _LENGTH.size + length]))
        if header["name"] != name:
            return _Known()
        at, columns = _LENGTH.size + length, []
        for width in (header["text"], *(width * header["count"] for width in _WIDTHS)):
            columns.append(bytes(rest[at : at + width]))
            at += width
        paths = columns[0].decode().split("\0") if header["count"] else []
        return _Known(header["algorithm"], paths, (columns[1], columns[2], columns[3]))
    return _Known()


def _write(path: Path, name: dict[str, str], known: _Known) -> None:
    text = "\0".join(known.paths).encode()
    header = json.dumps({"name": name, "algorithm": known.algorithm, "count": len(known.paths), "text": len(text)}).encode()
    rest = b"".join((_LENGTH.pack(len(header)), header, text, *known.columns))
    temporary = path.with_name(disk.temporary_name(path.name))
    fd = disk.create(temporary)
    try:
        try:
            disk.write(fd, b"".join((_TAG, xxhash.xxh3_128_digest(rest), rest)), temporary)
        finally:
            os.close(fd)
        disk.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            disk.unlink(temporary)
        raise


def _forget_longest_unused(directory: Path) -> None:
    """Keep `ROOTS` files, and what a writer who died left behind no longer than those."""
    with os.scandir(directory) as found:
        files = list(found)
    if len(files) > ROOTS:
        for file in sorted(files, key=lambda each: each.stat(follow_symlinks=False).st_mtime_ns)[: len(files) - ROOTS]:
            disk.unlink(file.path)
