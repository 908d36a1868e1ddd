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

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import xxhash

from storage.digest import DEFAULT_ALGORITHM, Blob, Digest
from storage.entry import Entry, Kind, Pin, check_path, check_tree
from storage.errors import InvalidManifest

CUT = 1024
SHORTEST = 128
LONGEST = 4096

_MANIFEST_TAG = b"lineage/manifest/1\n"
_SEGMENT_TAG = b"lineage/segment/1\n"
_KINDS: tuple[Kind, ...] = (Kind.FILE, Kind.DIRECTORY, Kind.LINK, Kind.REFERENCE)

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


@dataclass(frozen=True)
class Built:
    """A manifest with the bytes that must be stored for it: its own encoding and its segments', in any order."""

    manifest: Manifest
    blobs: Mapping[Digest, tuple[Blob, bytes]]


def build(entries: Iterable[Entry], algorithm: str = DEFAULT_ALGORITHM) -> Built:
    """The manifest of `entries`, sorted and cut, and the blobs it is made of.

    Raises:
        InvalidManifest: a path twice, a path that is file and directory at once, or two spellings of one name.
        InvalidPath: a path no manifest may hold.
    """
    listed = list(entries)
    for entry in listed:
        check_path(entry.path)
        if entry.target is not None:
            check_path(entry.target)
    ordered = sorted(listed, key=lambda entry: entry.order)
    for one, other in pairwise(ordered):
        if one.path == other.path:
            raise InvalidManifest(f"entry {one.path!r} is there twice: leave one out")
    check_tree(entry.path for entry in ordered)
    blobs: dict[Digest, tuple[Blob, bytes]] = {}
    segments = []
    for run in cut(ordered):
        encoded = encode_segment(run)
        blob = Blob.of(encoded, algorithm)
        blobs[blob.digest] = (blob, encoded)
        segments.append(Segment(blob.digest, len(run), sum(entry.size or 0 for entry in run)))
    manifest = Manifest(tuple(segments), lambda digest: blobs[digest][1], algorithm)
    blobs[manifest.digest] = (Blob.of(manifest.encoded, algorithm), manifest.encoded)
    return Built(manifest, blobs)


def cut(ordered: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Runs of entries, one a segment. The entries must be in path order."""
    run: list[Entry] = []
    for entry in ordered:
        run.append(entry)
        if len(run) >= LONGEST or (len(run) >= SHORTEST and xxhash.xxh3_64_intdigest(entry.order) % CUT == 0):
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


def encode_segment(entries: list[Entry]) -> bytes:
    """The canonical bytes of a run of entries; `decode_segment` is the inverse."""
    out = _Writer(_SEGMENT_TAG)
    out.number(len(entries))
    for entry in entries:
        pin = entry.pin
        out.text(entry.path)
        out.data.append(_KINDS.index(entry.kind))
        out.data.append(entry.executable)
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
    source = _Reader(data, _SEGMENT_TAG)
    entries: list[Entry] = []
    for _ in range(source.number()):
        entry = _decode_entry(source)
        if entries and entries[-1].order >= entry.order:
            raise InvalidManifest(f"entry {entry.path!r} is out of order")
        entries.append(entry)
    source.finish()
    return entries


def _decode_entry(source: _Reader) -> Entry:
    path = check_path(source.text() or "")
    number = source.take(1)[0]
    if number >= len(_KINDS):
        raise InvalidManifest(f"entry {path!r} is of the unknown kind {number}")
    executable, size, digest, target = source.flag(), source.optional(), source.digest(), source.text()
    pin = None
    if source.flag():
        uri, etag, version_id, checksum = source.text(), source.text(), source.text(), source.text()
        pin = Pin(uri or "", etag, version_id, checksum)
    entry = Entry(path, _KINDS[number], digest, size, executable, None if target is None else check_path(target), pin)
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
