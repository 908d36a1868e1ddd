r"""Which entries an artifact version consists of: sorted, cut into segments, addressed by digest.

    manifest   = "lineage/manifest/1\n" · for each segment: digest, entry count, total bytes
    segment    = "lineage/segment/1\n"  · entry count · entries in path order
    entry      = path · kind · executable · size · digest · target · uri · etag · version id · checksum

Every field is length-prefixed and optional fields say whether they are there, so the encoding is injective: equal bytes mean equal
entries, and no name, tag or number can be read as something else. Version metadata is not part of it. The digest of the encoded manifest
*is* the artifact's digest, and the encoded manifest and its segments are ordinary blobs.

Where a segment ends is a function of the paths only: after an entry whose path hashes (XXH3-64) to a multiple of `CUT`, but never before
`SHORTEST` entries and always at `LONGEST`. So a version that changes k of n entries shares all but O(k) segments with its predecessor,
and two manifests are compared segment digest by segment digest. These numbers are part of the format and never change.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, pairwise, repeat
from operator import itemgetter, lt
from struct import Struct

import xxhash

from storage.digest import DEFAULT_ALGORITHM, Blob, Digest, parse_all
from storage.entry import Entry, Kind, Pin, check_paths, check_tree, file_entries
from storage.errors import InvalidManifest

CUT = 1024
SHORTEST = 128
LONGEST = 4096

_MANIFEST_TAG = b"lineage/manifest/1\n"
_SEGMENT_TAG = b"lineage/segment/1\n"
_KINDS: tuple[Kind, ...] = (Kind.FILE, Kind.DIRECTORY, Kind.LINK, Kind.REFERENCE)

_PATH: Callable[[Entry], str] = itemgetter(0)

ReadBlob = Callable[[Digest], bytes]


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of entries under their digest; `count` entries that stand for `size` bytes of content."""

    digest: Digest
    count: int
    size: int


@dataclass(frozen=True)
class Manifest:
    """The ordered segments of one version, and `read`, the way to their bytes. Entries are decoded on demand, one segment at a time."""

    segments: tuple[Segment, ...]
    read: ReadBlob
    algorithm: str = DEFAULT_ALGORITHM

    @cached_property
    def encoded(self) -> bytes:
        return encode_manifest(self.segments)

    @cached_property
    def digest(self) -> Digest:
        """The identity of the content: equal exactly when every path, kind, digest, size, executable bit and pin is equal."""
        return Digest.of(self.encoded, self.algorithm)

    @property
    def size(self) -> int:
        """Bytes the entries stand for, references included where their size is known."""
        return sum(segment.size for segment in self.segments)

    def __len__(self) -> int:
        return sum(segment.count for segment in self.segments)

    def __iter__(self) -> Iterator[Entry]:
        for segment in self.segments:
            yield from decode_segment(self.read(segment.digest))

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """Path → entry, in path order; decoded once and kept."""
        return {entry.path: entry for entry in self}


@dataclass(frozen=True, slots=True)
class Sealed:
    """A segment with the blob it is, its bytes, and the digests of the files it lists."""

    segment: Segment
    blob: Blob
    data: bytes
    digests: list[Digest]


@dataclass(frozen=True)
class Built:
    """A manifest with the bytes that must be stored for it: its own encoding and its segments', in any order."""

    manifest: Manifest
    blobs: Mapping[Digest, tuple[Blob, bytes]]


def build(entries: Iterable[Entry], algorithm: str = DEFAULT_ALGORITHM) -> Built:
    """The manifest of `entries`, sorted and cut, and the blobs it is made of: all of it in memory.

    Raises:
        InvalidManifest: a path twice, a path that is file and directory at once, or two spellings of one name.
        InvalidPath: a path no manifest may hold.
    """
    blobs: dict[Digest, tuple[Blob, bytes]] = {}
    segments = []
    for sealed in seal(in_order(entries), algorithm):
        blobs[sealed.blob.digest] = (sealed.blob, sealed.data)
        segments.append(sealed.segment)
    manifest = Manifest(tuple(segments), lambda digest: blobs[digest][1], algorithm)
    blobs[manifest.digest] = (Blob.of(manifest.encoded, algorithm), manifest.encoded)
    return Built(manifest, blobs)


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """`entries` as a manifest orders them, once their names have been judged.

    Raises:
        InvalidPath, InvalidManifest: they do not make one.
    """
    listed = list(entries)
    check_paths([entry.path for entry in listed])
    listed.sort(key=_PATH)  # text sorts as its UTF-8 bytes do
    return listed


def seal(ordered: Iterable[Entry], algorithm: str = DEFAULT_ALGORITHM) -> Iterator[Sealed]:
    """The segments of a manifest, each as soon as its last entry came: nobody need hold more than one.

    Whether the paths can stand in one tree together is known only when all of them were there, and is said at the end.

    Raises:
        InvalidManifest: a path twice or out of order, a path that is file and directory at once, or two spellings of one name.
        InvalidPath: a path no manifest may hold.
    """
    paths: list[str] = []
    for run in cut(_judged(ordered)):
        data = encode_segment(run)
        blob = Blob.of(data, algorithm)
        size = sum([entry.size or 0 for entry in run])
        yield Sealed(Segment(blob.digest, len(run), size), blob, data, [entry.digest for entry in run if entry.digest is not None])
        paths += map(_PATH, run)
    check_tree(paths)


def _judged(ordered: Iterable[Entry]) -> Iterator[Entry]:
    """The same entries, once their names and their order were judged, a batch at a time."""
    source, last = iter(ordered), ""
    while batch := list(islice(source, LONGEST)):
        paths = [last, *map(_PATH, batch)]
        check_paths(paths[1:])
        check_paths([entry.target for entry in batch if entry.target is not None])
        if not all(map(lt, paths, paths[1:])):
            _refuse_order(paths)
        yield from batch
        last = paths[-1]


def _refuse_order(paths: Sequence[str]) -> None:
    for one, other in pairwise(paths):
        if one >= other:
            raise InvalidManifest(f"entry {other!r} is {'there twice: leave one out' if one == other else 'out of order'}")


def cut(ordered: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Runs of entries, one a segment. The entries must be in path order."""
    run: list[Entry] = []
    for entry in ordered:
        run.append(entry)
        count = len(run)
        if count >= SHORTEST and (count >= LONGEST or xxhash.xxh3_64_intdigest(entry.path.encode()) % CUT == 0):
            yield run
            run = []
    if run:
        yield run


class _Writer:
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


class _Reader:
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
_FILE = Struct(">BBBQBI71sBB")
"""The rest of a file: kind, executable, a size, a digest of so many letters, neither target nor pin. Nearly every entry ends so."""


def encode_segment(entries: Sequence[Entry]) -> bytes:
    """The canonical bytes of a run of entries; `decode_segment` is the inverse."""
    start = _SEGMENT_TAG + len(entries).to_bytes(8, "big")
    names = [entry.path.encode() for entry in entries]
    heads = map(_HEAD.pack, repeat(1), map(len, names))
    rests = _encode_files(entries) or map(_encode_rest, entries)
    return b"".join([start, *chain.from_iterable(zip(heads, names, rests, strict=True))])


def _encode_files(entries: Sequence[Entry]) -> Iterator[bytes] | None:
    """What follows the path of each entry when all are files, column by column, so that nothing is done for each but in C; else None."""
    if not entries:
        return None
    _, kinds, digests, sizes, executables, targets, pins = zip(*entries, strict=True)
    if set(kinds) != {Kind.FILE} or None in digests or None in sizes or {*targets, *pins} != {None}:
        return None
    texts = [f"{digest[0]}:{digest[1]}".encode() for digest in digests]
    if set(map(len, texts)) != {71}:
        return None
    zero, one = repeat(0), repeat(1)
    return map(_FILE.pack, zero, executables, one, sizes, one, repeat(71), texts, zero, zero)


def _encode_rest(entry: Entry) -> bytes:
    out, pin = _Writer(b""), entry.pin
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
        source = _Reader(data, _SEGMENT_TAG)
        entries = [_decode_entry(source) for _ in range(source.number())]
        source.finish()
    paths = [entry.path for entry in entries]
    check_paths(paths)
    check_paths([entry.target for entry in entries if entry.target is not None])
    if not all(map(lt, paths, paths[1:])):
        _refuse_order(paths)
    return entries


def _decode_files(data: bytes) -> list[Entry] | None:
    """The entries when all are surely files, column by column, so that little is done for each but in C; None says nothing."""
    at, names, rests = len(_SEGMENT_TAG) + 8, [], []
    count = int.from_bytes(data[at - 8 : at], "big")
    if not data.startswith(_SEGMENT_TAG) or not 0 < count <= len(data) // (_HEAD.size + _FILE.size):
        return None
    for _ in range(count):
        end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
        names.append(data[at + 5 : end])
        rests.append(data[end : end + _FILE.size])
        is_there, at = data[at : at + 1] == b"\1", end + _FILE.size
        if not is_there or at > len(data):
            return None
    columns = list(zip(*_FILE.iter_unpack(b"".join(rests)), strict=True))
    if at != len(data) or [set(columns[place]) for place in (0, 2, 4, 5, 7, 8)] != [{0}, {1}, {1}, {71}, {0}, {0}] or max(columns[1]) > 1:
        return None
    try:
        paths = [name.decode() for name in names]
        digests = parse_all(b"".join(columns[6]).decode("ascii"))
    except UnicodeDecodeError:
        return None
    return None if digests is None else file_entries(paths, digests, columns[3], map(bool, columns[1]))


def _decode_entry(source: _Reader) -> Entry:
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


def encode_manifest(segments: Iterable[Segment]) -> bytes:
    """The canonical bytes of a manifest; `decode_manifest` is the inverse."""
    listed = list(segments)
    out = _Writer(_MANIFEST_TAG)
    out.number(len(listed))
    for segment in listed:
        out.digest(segment.digest)
        out.number(segment.count)
        out.number(segment.size)
    return bytes(out.data)


def decode_manifest(data: bytes, read: ReadBlob, algorithm: str = DEFAULT_ALGORITHM) -> Manifest:
    """The manifest these bytes encode.

    Raises:
        InvalidManifest: truncated, over-long or not a manifest.
    """
    source = _Reader(data, _MANIFEST_TAG)
    segments = []
    for _ in range(source.number()):
        digest = source.digest()
        if digest is None:
            raise InvalidManifest("a segment has no digest")
        segments.append(Segment(digest, source.number(), source.number()))
    source.finish()
    return Manifest(tuple(segments), read, algorithm)
