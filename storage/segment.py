r"""A run of entries and its bytes: what a manifest is cut into.

    segment    = "lineage/segment/1\n"  · entry count · entries in path order
    entry      = path · kind · executable · size · digest · target · uri · etag · version id · checksum

Every field is length-prefixed and optional fields say whether they are there, so the encoding is injective: equal bytes mean equal entries,
and no name, tag or number can be read as something else. It is part of the format and never changes.

Nearly every entry of nearly every tree is a file, and there are millions. So a run of nothing but files is encoded and decoded column by
column, with little done for each entry but in C; anything else goes the plain way, field by field, which alone knows what is refused. Both
give the same bytes (`tests/formats`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise, repeat
from operator import lt
from struct import Struct
from typing import overload

from storage.digest import ALGORITHMS, Digest, are_values, digests_of
from storage.entry import Entry, Kind, Pin, check_paths, file_entries
from storage.errors import InvalidManifest

_TAG = b"lineage/segment/1\n"
_KINDS: tuple[Kind, ...] = (Kind.FILE, Kind.DIRECTORY, Kind.LINK, Kind.REFERENCE)
_TOGETHER = 1000
"""Entries made at a time."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of entries under their digest; `count` entries that stand for `size` bytes of content."""

    digest: Digest
    count: int
    size: int


class Writer:
    def __init__(self, tag: bytes) -> None:
        self.data = bytearray(tag)

    def number(self, value: int) -> None:
        self.data += value.to_bytes(8, "big")

    def text(self, value: str | None) -> None:
        if value is None:
            self.data += b"\0"
            return
        encoded = value.encode()
        self.data += b"\1" + len(encoded).to_bytes(4, "big") + encoded

    def optional(self, value: int | None) -> None:
        self.data += b"\0" if value is None else b"\1" + value.to_bytes(8, "big")

    def digest(self, value: Digest | None) -> None:
        self.text(None if value is None else str(value))


class Reader:
    def __init__(self, data: bytes, tag: bytes) -> None:
        if not data.startswith(tag):
            raise InvalidManifest(f"these bytes do not begin with {tag!r}: not written by this program, or damaged")
        self.data, self.at = data, len(tag)

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise InvalidManifest("the bytes end in the middle of a field")
        piece, self.at = self.data[self.at : end], end
        return piece

    def number(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def flag(self) -> bool:
        byte = self.take(1)
        if byte not in (b"\0", b"\1"):
            raise InvalidManifest(f"a flag is 0 or 1, not {byte[0]}")
        return byte == b"\1"

    def text(self) -> str | None:
        if not self.flag():
            return None
        try:
            return self.take(int.from_bytes(self.take(4), "big")).decode()
        except UnicodeDecodeError as error:
            raise InvalidManifest("a text field is not UTF-8") from error

    def optional(self) -> int | None:
        return self.number() if self.flag() else None

    def digest(self) -> Digest | None:
        text = self.text()
        return None if text is None else Digest.parse(text)

    def finish(self) -> None:
        if self.at != len(self.data):
            raise InvalidManifest(f"{len(self.data) - self.at} bytes follow the last field")


_HEAD = Struct(">BI")
"""A path that is there, and its length: what the entry begins with."""
_FILE = Struct(">BBBQBI7s64sBB")
"""The rest of a file: kind, executable, a size, a digest of so many letters (algorithm, value), neither target nor pin."""
_TEXT = 71


class Files(Sequence[Entry]):
    """Entries of files, in path order, kept as columns: an `Entry` is made when somebody asks for it.

    Names must have been judged. All digests are of one algorithm; `values` are their values.
    """

    def __init__(
        self, paths: Sequence[str], algorithm: str, values: Sequence[str], sizes: Sequence[int], executables: Sequence[bool]
    ) -> None:
        self.paths, self.algorithm, self.values, self.sizes, self.executables = paths, algorithm, values, sizes, executables

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> list[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | list[Entry]:
        if isinstance(at, slice):
            digests = digests_of(self.algorithm, self.values[at])
            return file_entries(self.paths[at], digests, self.sizes[at], self.executables[at])
        return Entry(self.paths[at], Kind.FILE, Digest(self.algorithm, self.values[at]), self.sizes[at], self.executables[at])

    def __iter__(self) -> Iterator[Entry]:
        for at in range(0, len(self), _TOGETHER):
            yield from self[at : at + _TOGETHER]

    def encoded(self, start: int, stop: int) -> bytes:
        """The segment of those from one place to another."""
        columns = self.values[start:stop], self.sizes[start:stop], self.executables[start:stop]
        return _encode_files(self.paths[start:stop], self.algorithm, *columns)


def encode_segment(entries: Sequence[Entry]) -> bytes:
    """The canonical bytes of a run of entries; `decode_segment` is the inverse."""
    columns = _columns(entries)
    if columns is not None:
        return _encode_files(*columns)
    out = Writer(_TAG)
    out.number(len(entries))
    for entry in entries:
        out.text(entry.path)
        out.data += _encode_rest(entry)
    return bytes(out.data)


def _columns(entries: Sequence[Entry]) -> tuple[Sequence[str], str, Sequence[str], Sequence[int], Sequence[bool]] | None:
    """Paths, algorithm, values, sizes and executable bits when all are files as nearly all are; else None."""
    if not entries:
        return None
    paths, kinds, digests, sizes, executables, targets, pins = zip(*entries, strict=True)
    if set(kinds) != {Kind.FILE} or None in digests or None in sizes or {*targets, *pins} != {None}:
        return None
    algorithms, values = zip(*digests, strict=True)
    if len(set(algorithms)) > 1 or {len(algorithms[0]) + 1 + size for size in set(map(len, values))} != {_TEXT}:
        return None
    return paths, algorithms[0], values, sizes, executables


def _encode_files(paths: Sequence[str], algorithm: str, values: Sequence[str], sizes: Sequence[int], executables: Sequence[bool]) -> bytes:
    names = [path.encode() for path in paths]
    heads = map(_HEAD.pack, repeat(1), map(len, names))
    zero, one, letters = repeat(0), repeat(1), map(str.encode, values)
    rests = map(_FILE.pack, zero, executables, one, sizes, one, repeat(_TEXT), repeat(f"{algorithm}:".encode()), letters, zero, zero)
    return b"".join([_TAG, len(paths).to_bytes(8, "big"), *chain.from_iterable(zip(heads, names, rests, strict=True))])


def _encode_rest(entry: Entry) -> bytes:
    out, pin = Writer(b""), entry.pin
    out.data += bytes((_KINDS.index(entry.kind), entry.executable))
    out.optional(entry.size)
    out.digest(entry.digest)
    out.text(entry.target)
    out.data.append(pin is not None)
    if pin is not None:
        for field in (pin.uri, pin.etag, pin.version_id, pin.checksum):
            out.text(field)
    return bytes(out.data)


def decode_segment(data: bytes) -> list[Entry]:
    """The entries these bytes encode.

    Raises:
        InvalidManifest: truncated, over-long, out of order, or not a segment.
        InvalidPath: a path no manifest may hold.
    """
    entries = _decode_files(data)
    if entries is None:
        source = Reader(data, _TAG)
        entries = [_decode_entry(source) for _ in range(source.number())]
        source.finish()
        check_paths([entry.target for entry in entries if entry.target is not None])
    paths = [entry.path for entry in entries]
    check_paths(paths)
    check_order(paths)
    return entries


def check_order(paths: Sequence[str]) -> None:
    """Return when each path comes after the one before it: text sorts as its UTF-8 bytes do.

    Raises:
        InvalidManifest: naming one that does not.
    """
    if not all(map(lt, paths, islice(paths, 1, None))):
        wrong = next((one, other) for one, other in pairwise(paths) if one >= other)
        problem = "there twice: leave one out" if wrong[0] == wrong[1] else "out of order"
        raise InvalidManifest(f"entry {wrong[1]!r} is {problem}")


def _decode_files(data: bytes) -> list[Entry] | None:
    """The entries when all are surely files, column by column; None says nothing."""
    at, names, rests = len(_TAG) + 8, [], []
    count = int.from_bytes(data[at - 8 : at], "big")
    if not data.startswith(_TAG) or not 0 < count <= len(data) // (_HEAD.size + _FILE.size):
        return None
    for _ in range(count):
        end = at + _HEAD.size + int.from_bytes(data[at + 1 : at + _HEAD.size], "big")
        names.append(data[at:end])
        rests.append(data[end : end + _FILE.size])
        at = end + _FILE.size
    rest = b"".join(rests)
    if at != len(data) or len(rest) != count * _FILE.size:
        return None
    kinds, executables, sized, sizes, known, lengths, algorithms, values, targets, pins = zip(*_FILE.iter_unpack(rest), strict=True)
    heads = {name[0] for name in names}
    if [heads, *map(set, (kinds, sized, known, lengths, targets, pins))] != [{1}, {0}, {1}, {1}, {_TEXT}, {0}, {0}] or max(executables) > 1:
        return None
    algorithm, text = algorithms[0][:-1].decode("ascii", "replace"), b"".join(values)
    if set(algorithms) != {f"{algorithm}:".encode()} or algorithm not in ALGORITHMS or not are_values(text):
        return None
    try:
        paths = [name[_HEAD.size :].decode() for name in names]
    except UnicodeDecodeError:
        return None
    return file_entries(paths, digests_of(algorithm, [value.decode() for value in values]), sizes, map(bool, executables))


_SIZED, _BARE = b"\1" + _TEXT.to_bytes(4, "big"), b"\0\0"
"""What stands in the encoding of a file before its digest and after it."""


def first_entry(data: bytes) -> int:
    """Where the first encoded entry of a segment begins. Raises: InvalidManifest, when the bytes are no segment's."""
    source = Reader(data, _TAG)
    source.number()
    return source.at


def entry_end(data: bytes, at: int) -> int:
    """Where the encoded entry ends that begins at `at`. Equal bytes are equal entries: what two segments share need not be decoded.

    Raises:
        InvalidManifest: the bytes end in the middle of it, or it is no entry.
    """
    rest = at + _HEAD.size + int.from_bytes(data[at + 1 : at + _HEAD.size], "big")
    end = rest + _FILE.size
    if end <= len(data) and data[rest] == 0 and data[rest + 11 : rest + 16] == _SIZED and data[end - 2 : end] == _BARE:
        return end
    source = Reader(data, _TAG)
    source.at = at
    _decode_entry(source)
    return source.at


def encoded_path(encoded: bytes) -> bytes:
    """The path of an encoded entry: these sort as the entries do."""
    return encoded[_HEAD.size : _HEAD.size + int.from_bytes(encoded[1 : _HEAD.size], "big")]


def decode_entries(encoded: Sequence[bytes]) -> list[Entry]:
    """The entries that some encoded ones are, in their order. Raises: as `decode_segment`."""
    return decode_segment(b"".join((_TAG, len(encoded).to_bytes(8, "big"), *encoded)))


def _decode_entry(source: Reader) -> Entry:
    path = source.text() or ""

    number = source.take(1)[0]
    if number >= len(_KINDS):
        raise InvalidManifest(f"entry {path!r} is of the unknown kind {number}")
    executable, size, digest, target = source.flag(), source.optional(), source.digest(), source.text()
    pin = None
    if source.flag():
        uri, etag, version_id, checksum = source.text(), source.text(), source.text(), source.text()
        pin = Pin(uri or "", etag, version_id, checksum)
    entry = Entry(path, _KINDS[number], digest, size, executable, target, pin)
    _check_shape(entry)
    return entry


_SHAPES: dict[Kind, tuple[bool, bool, bool]] = {
    Kind.FILE: (True, False, False),
    Kind.DIRECTORY: (False, False, False),
    Kind.LINK: (False, True, False),
    Kind.REFERENCE: (False, False, True),
}
"""Which of digest, target and pin an entry of each kind has."""


def _check_shape(entry: Entry) -> None:
    shape = (entry.digest is not None, entry.target is not None, entry.pin is not None)
    if shape != _SHAPES[entry.kind] or (entry.kind is Kind.FILE and entry.size is None):
        raise InvalidManifest(f"entry {entry.path!r} does not have the fields of a {entry.kind}")
