r"""Which entries an artifact version consists of: sorted, cut into segments, addressed by digest.

    manifest   = "lineage/manifest/1\n" · for each segment: digest, entry count, total bytes
    segment    = a run of entries (`storage.segment`)

Version metadata is not part of it. The digest of the encoded manifest *is* the artifact's digest, and the encoded manifest and its segments
are ordinary blobs.

Where a segment ends is a function of the paths only: after an entry whose path hashes (XXH3-64) to a multiple of `CUT`, but never before
`SHORTEST` entries and always at `LONGEST`. So a version that changes k of n entries shares all but O(k) segments with its predecessor,
and two manifests are compared segment digest by segment digest. These numbers are part of the format and never change.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from operator import itemgetter

import xxhash

from storage.digest import DEFAULT_ALGORITHM, Blob, Digest
from storage.entry import Entry, check_paths, check_tree
from storage.errors import InvalidManifest
from storage.segment import Files, Reader, Segment, Writer, check_order, decode_segment, encode_segment

__all__ = [
    "Built",
    "Manifest",
    "Sealed",
    "Segment",
    "build",
    "cut",
    "decode_manifest",
    "decode_segment",
    "encode_manifest",
    "encode_segment",
    "ends",
    "in_order",
    "seal",
]

CUT = 1024
SHORTEST = 128
LONGEST = 4096

_MANIFEST_TAG = b"lineage/manifest/1\n"

_PATH: Callable[[Entry], str] = itemgetter(0)

ReadBlob = Callable[[Digest], bytes]


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
    """A segment with the blob it is, its bytes, and the entries in them."""

    segment: Segment
    blob: Blob
    data: bytes
    entries: Callable[[], Sequence[Entry]]

    @property
    def digests(self) -> list[Digest]:
        """The digests of the files it lists."""
        return [entry.digest for entry in self.entries() if entry.digest is not None]


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


def in_order(entries: Iterable[Entry]) -> Sequence[Entry]:
    """`entries` as a manifest orders them."""
    if isinstance(entries, Files):
        return entries
    listed = list(entries)
    try:
        listed.sort(key=_PATH)
    except TypeError:
        check_paths([entry.path for entry in listed])
        raise
    return listed


def seal(ordered: Iterable[Entry], algorithm: str = DEFAULT_ALGORITHM) -> Iterator[Sealed]:
    """The segments of a manifest of entries that come in path order, each when it is asked for: nobody need hold more than one.

    A sequence is judged before the first segment. Of an iterator it is known only when it has ended whether its paths can stand in one
    tree together: then the last segment is followed by the error.

    Raises:
        InvalidManifest: a path twice or out of order, a path that is file and directory at once, or two spellings of one name.
        InvalidPath: a path no manifest may hold.
    """
    if isinstance(ordered, Sequence):
        paths = ordered.paths if isinstance(ordered, Files) else [entry.path for entry in ordered]
        _judge(paths, [] if isinstance(ordered, Files) else ordered)
        check_tree(paths)
        start = 0
        for stop in (*ends(paths), len(paths)):
            if start < stop:
                yield _sealed(ordered, start, stop, algorithm)
            start = stop
        return
    seen: list[str] = []
    for run in cut(_judged(ordered)):
        yield _sealed(run, 0, len(run), algorithm)
        seen += map(_PATH, run)
    check_tree(seen)


def _sealed(rows: Sequence[Entry], start: int, stop: int, algorithm: str) -> Sealed:
    if isinstance(rows, Files):
        data, size = rows.encoded(start, stop), sum(rows.sizes[start:stop])
    else:
        data, size = encode_segment(rows[start:stop]), sum([entry.size or 0 for entry in rows[start:stop]])
    blob = Blob.of(data, algorithm)
    return Sealed(Segment(blob.digest, stop - start, size), blob, data, lambda: rows[start:stop])


def _judged(ordered: Iterable[Entry]) -> Iterator[Entry]:
    """The same entries, once their names and their order were judged, a batch at a time."""
    source, last = iter(ordered), ""
    while batch := list(islice(source, LONGEST)):
        paths = [entry.path for entry in batch]
        _judge(paths, batch)
        check_order([last, paths[0]])
        yield from batch
        last = paths[-1]


def _judge(paths: Sequence[str], entries: Sequence[Entry]) -> None:
    check_paths(paths)
    check_paths([entry.target for entry in entries if entry.target is not None])
    check_order(paths)


def cut(ordered: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Runs of entries, one a segment. The entries must be in path order."""
    source, held = iter(ordered), list[Entry]()
    while batch := list(islice(source, LONGEST)):
        held += batch
        start = 0
        for stop in ends([entry.path for entry in held]):
            yield held[start:stop]
            start = stop
        held = held[start:]
    if held:
        yield held


def ends(paths: Sequence[str]) -> list[int]:
    """Where segments end in paths that begin one: after so many of them; what follows the last end is not yet a whole one."""
    found, start, hashed = [], 0, xxhash.xxh3_64_intdigest
    for at in range(len(paths)):
        count = at + 1 - start
        if count >= SHORTEST and (count >= LONGEST or hashed(paths[at].encode()) % CUT == 0):
            found.append(at + 1)
            start = at + 1
    return found


def encode_manifest(segments: Iterable[Segment]) -> bytes:
    """The canonical bytes of a manifest; `decode_manifest` is the inverse."""
    listed = list(segments)
    out = Writer(_MANIFEST_TAG)
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
    source = Reader(data, _MANIFEST_TAG)
    segments = []
    for _ in range(source.number()):
        digest = source.digest()
        if digest is None:
            raise InvalidManifest("a segment has no digest")
        segments.append(Segment(digest, source.number(), source.number()))
    source.finish()
    return Manifest(tuple(segments), read, algorithm)
