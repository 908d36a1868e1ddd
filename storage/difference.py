"""What differs between two manifests, told path by path, from the segments that are not in both.

    added      the path is in the later one only
    removed    the path is in the earlier one only
    changed    the path is in both and stands for something else; `aspects` says what of it
    renamed    the same content under another path, told once, at its new path

Segments are compared by digest first: one that both manifests have is neither read nor decoded, so what a comparison costs follows what
differs, never how much there is. What is left of both sides is merged in path order, byte by byte where it is the same: only entries that
differ are decoded. Which paths were renamed is known only when all of
the difference was seen: a small one is kept while it is looked at, a large one is gone through again, and only what came and went under
one identity is remembered. Not for bytes: that two files differ is told here, how they differ is nobody's business but theirs.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from storage.entry import Entry, Kind
from storage.manifest import Manifest
from storage.segment import Segment, decode_entries, encoded_path, entry_end, first_entry

KEPT = 20_000
"""Changes that are kept between two looks at a difference; one with more of them is read again instead."""
_TOGETHER = 1000
"""Entries decoded at a time."""
_STEP = 64
"""Bytes compared first: about half an entry."""


class What(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"


ASPECTS: dict[str, Callable[[Entry], object]] = {
    "kind": lambda entry: entry.kind,
    "content": lambda entry: entry.digest,
    "size": lambda entry: entry.size,
    "executable": lambda entry: entry.executable,
    "target": lambda entry: entry.target,
    "uri": lambda entry: entry.pin and entry.pin.uri,
    "etag": lambda entry: entry.pin and entry.pin.etag,
    "version id": lambda entry: entry.pin and entry.pin.version_id,
    "checksum": lambda entry: entry.pin and entry.pin.checksum,
}
"""What of an entry can change while it stays the same entry → how to look at it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs: the entry as it was, as it is, or both. `path` is where it is now; of what was removed, where it was."""

    path: str
    before: Entry | None
    after: Entry | None

    @property
    def what(self) -> What:
        if self.before is None:
            return What.ADDED
        if self.after is None:
            return What.REMOVED
        return What.CHANGED if self.before.path == self.after.path else What.RENAMED

    @property
    def aspects(self) -> tuple[str, ...]:
        """What of the entry is not what it was; nothing for one that was added, removed, or only renamed."""
        if self.before is None or self.after is None:
            return ()
        return tuple(name for name, look in ASPECTS.items() if look(self.before) != look(self.after))


@dataclass(frozen=True, slots=True)
class Tally:
    """How many paths differ in which way, and the bytes they stand for. Of a changed path its old bytes went and its new ones came."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    renamed: int = 0
    bytes_added: int = 0
    bytes_removed: int = 0

    @classmethod
    def of(cls, changes: Iterable[Change]) -> "Tally":
        counts: Counter[What] = Counter()
        came = went = 0
        for change in changes:
            what = change.what
            counts[what] += 1
            came += 0 if what is What.RENAMED or change.after is None else change.after.size or 0
            went += 0 if what is What.RENAMED or change.before is None else change.before.size or 0
        return cls(counts[What.ADDED], counts[What.REMOVED], counts[What.CHANGED], counts[What.RENAMED], came, went)

    @property
    def total(self) -> int:
        """Paths that differ; a renamed one counts once."""
        return self.added + self.removed + self.changed + self.renamed

    def __bool__(self) -> bool:
        return self.total > 0


@dataclass(frozen=True)
class Difference:
    """Every `Change` from one manifest to another, in path order, found while it is iterated; as often as anybody asks.

    >>> from storage.manifest import build
    >>> from storage.digest import Digest
    >>> one, other = (build([Entry.file(name, Digest.of(b"x"), 1)]).manifest for name in ("a", "b"))
    >>> [f"{change.what} {change.before.path} → {change.path}" for change in Difference(one, other)]
    ['renamed a → b']
    """

    before: Manifest
    after: Manifest

    def __bool__(self) -> bool:
        """Do they differ at all? Nothing is read for it."""
        return self.before.segments != self.after.segments

    def __iter__(self) -> Iterator[Change]:
        look = self._repeatable()
        moved = _moved(look())
        if not moved:
            yield from look()
            return
        old_paths = _paired(look(), moved)
        gone = {before.path for before in old_paths.values()}
        for change in look():
            if change.path in old_paths and change.before is None:
                yield Change(change.path, old_paths[change.path], change.after)
            elif change.path not in gone or change.after is not None:
                yield change

    def _repeatable(self) -> Callable[[], Iterator[Change]]:
        """What gives the changes, renames as an addition and a removal each, every time it is called."""
        raw = self._raw()
        held = list(islice(raw, KEPT))
        return lambda: iter(held) if len(held) < KEPT else self._raw()

    def _raw(self) -> Iterator[Change]:
        before, after = Counter(self.before.segments), Counter(self.after.segments)
        return _decoded(_merged(_Side(self.before, before - after), _Side(self.after, after - before)))

    def tally(self) -> Tally:
        return Tally.of(self)


class _Side:
    """The encoded entries of some segments of a manifest, one segment in memory; `at` is where the next entry begins."""

    def __init__(self, manifest: Manifest, wanted: Counter[Segment]) -> None:
        self._manifest = manifest
        self._waiting = iter([segment.digest for segment in manifest.segments if wanted[segment] > 0])
        self.data, self.at = b"", 0

    def has_next(self) -> bool:
        while self.at >= len(self.data):
            digest = next(self._waiting, None)
            if digest is None:
                return False
            self.data = self._manifest.read(digest)
            self.at = first_entry(self.data)
        return True

    def look(self) -> bytes:
        return self.data[self.at : entry_end(self.data, self.at)]

    def take(self) -> bytes:
        entry = self.look()
        self.at += len(entry)
        return entry


def _merged(before: _Side, after: _Side) -> Iterator[tuple[bytes | None, bytes | None]]:
    """What differs between two runs of encoded entries, path by path; what they have in common is passed over, unseen."""
    while before.has_next() and after.has_next():
        shared = _shared(before, after)
        if shared:
            before.at += shared
            after.at += shared
            continue
        path, other = encoded_path(before.look()), encoded_path(after.look())
        yield before.take() if path <= other else None, after.take() if other <= path else None
    while before.has_next():
        yield before.take(), None
    while after.has_next():
        yield None, after.take()


def _shared(before: _Side, after: _Side) -> int:
    """Bytes of the whole entries with which both sides go on alike. An encoded entry says where it ends, so both end at the same place."""
    common = _common(before, after)
    stop = before.at + common
    if stop == len(before.data) or after.at + common == len(after.data):
        return common
    end = before.at
    while (ahead := entry_end(before.data, end)) <= stop:
        end = ahead
    return end - before.at


def _common(before: _Side, after: _Side) -> int:
    """Bytes with which both sides go on alike: found by comparing more and more of them at once, then less and less."""
    most = min(len(before.data) - before.at, len(after.data) - after.at)
    found, step = 0, _STEP
    while step:
        if found + step <= most and _are_equal(before, after, found, found + step):
            found += step
            step *= 2
        else:
            step //= 2
    return found


def _are_equal(before: _Side, after: _Side, start: int, stop: int) -> bool:
    return before.data[before.at + start : before.at + stop] == after.data[after.at + start : after.at + stop]


def _decoded(pairs: Iterator[tuple[bytes | None, bytes | None]]) -> Iterator[Change]:
    """The changes that pairs of encoded entries are, decoded many at a time."""
    while part := list(islice(pairs, _TOGETHER)):
        before, after = (iter(decode_entries([each for each in side if each is not None])) for side in zip(*part, strict=True))
        for old, new in part:
            was, now = None if old is None else next(before), None if new is None else next(after)
            there = now or was
            if there is not None:
                yield Change(there.path, was, now)


def _identity(entry: Entry) -> int | None:
    """A number that equal content shares; `None` for what is nothing but a path: links, directories, and files without a byte."""
    if entry.kind is Kind.FILE and entry.size:
        return hash((entry.digest, entry.size))
    return hash((entry.pin, entry.size)) if entry.kind is Kind.REFERENCE else None


def _is_same(one: Entry, other: Entry) -> bool:
    return (one.kind, one.digest, one.size, one.pin) == (other.kind, other.digest, other.size, other.pin)


def _moved(changes: Iterable[Change]) -> set[int]:
    """The identities that went from one path and came to another."""
    went, came = set[int | None](), set[int | None]()
    for change in changes:
        if change.after is None and change.before is not None:
            went.add(_identity(change.before))
        elif change.before is None and change.after is not None:
            came.add(_identity(change.after))
    return {each for each in went & came if each is not None}


def _paired(changes: Iterable[Change], moved: set[int]) -> dict[str, Entry]:
    """New path → the entry that was renamed to it: of several with one content the first goes with the first, in path order."""
    went: dict[int, deque[Entry]] = {}
    came: dict[int, deque[Entry]] = {}
    for change in changes:
        there, side = (change.before, went) if change.after is None else (change.after, came) if change.before is None else (None, came)
        identity = None if there is None else _identity(there)
        if there is not None and identity in moved:
            side.setdefault(identity, deque()).append(there)
    return {new.path: old for identity, olds in went.items() for old, new in zip(olds, came[identity], strict=False) if _is_same(old, new)}
