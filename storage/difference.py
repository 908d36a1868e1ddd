"""What differs between two manifests, told path by path, from the segments that are not in both.

    added      the path is in the later one only
    removed    the path is in the earlier one only
    changed    the path is in both and stands for something else; `aspects` says what of it
    renamed    the same content under another path, told once, at its new path

Segments are compared by digest first: one that both manifests have is neither read nor decoded, so what a comparison costs follows what
differs, never how much there is. What is left of both sides is merged in path order, byte by byte where it is the same: only entries that
differ are decoded. Which paths were renamed is known only when all of the difference was seen: a small one is kept while it is looked at, a
large one is gone through again, and of what came and went only numbers are remembered, and the old paths of what was renamed. Not for
bytes: that two files differ is told here, how they differ is nobody's business but theirs.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, islice
from typing import NamedTuple

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


class Change(NamedTuple):
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
        origins = _origins(look())
        if max(origins, default=_NONE) == _NONE:
            yield from look()
            return
        old = _Old(look(), origins)
        removals, additions = count(), count()
        for change in look():
            if change.after is None:
                if not old.has(next(removals)):
                    yield change
            elif change.before is None and (number := origins[next(additions)]) != _NONE:
                yield Change(change.path, old.entry(number, change.after), change.after)
            else:
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
    """The encoded entries of some segments of a manifest, one segment in memory: `entry` is the next, which begins at `at`."""

    def __init__(self, manifest: Manifest, wanted: Counter[Segment]) -> None:
        self._manifest = manifest
        self._waiting = iter([segment.digest for segment in manifest.segments if wanted[segment] > 0])
        self.data, self.at, self.entry = b"", 0, b""
        self.pass_over(0)

    def pass_over(self, size: int) -> None:
        """Go on behind so many bytes of whole entries; behind the last of all `entry` is empty."""
        self.at += size
        while self.at >= len(self.data):
            digest = next(self._waiting, None)
            if digest is None:
                self.entry = b""
                return
            self.data = self._manifest.read(digest)
            self.at = first_entry(self.data)
        self.entry = self.data[self.at : entry_end(self.data, self.at)]

    def take(self) -> bytes:
        """The next entry, passed over."""
        entry = self.entry
        self.pass_over(len(entry))
        return entry


def _merged(before: _Side, after: _Side) -> Iterator[tuple[bytes | None, bytes | None]]:
    """What differs between two runs of encoded entries, path by path; what they have in common is passed over, unseen."""
    while before.entry and after.entry:
        if before.entry == after.entry:
            shared = _shared(before, after)
            before.pass_over(shared)
            after.pass_over(shared)
            continue
        path, other = encoded_path(before.entry), encoded_path(after.entry)
        yield before.take() if path <= other else None, after.take() if other <= path else None
    while before.entry:
        yield before.take(), None
    while after.entry:
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


# ── what was renamed ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

_NONE = -1
"""The number of no removal."""


def _identity(entry: Entry) -> tuple[int, int]:
    """Two numbers that equal content shares; zeros for what is nothing but a path: links, directories, and files without a byte."""
    if entry.kind is Kind.REFERENCE:
        return hash((entry.pin, entry.size)), hash((entry.size, entry.pin))
    if entry.kind is Kind.FILE and entry.size:
        return hash((entry.digest, entry.size)), hash((entry.size, entry.digest))
    return 0, 0


class _Identities:
    """The identities of removals or of additions, numbered in path order: sixteen bytes each, whatever the entries take."""

    def __init__(self) -> None:
        self.first, self.second = array("q"), array("q")

    def add(self, entry: Entry) -> None:
        first, second = _identity(entry)
        self.first.append(first)
        self.second.append(second)

    def sorted(self) -> list[int]:
        """The numbers of those that have an identity, equal ones together and in path order."""
        return sorted((number for number, first in enumerate(self.first) if first), key=self.first.__getitem__)


def _origins(changes: Iterable[Change]) -> "array[int]":
    """For each addition the number of the removal it is a rename of, or none: of several with one content the first is the first's."""
    went, came = _Identities(), _Identities()
    for change in changes:
        if change.after is None and change.before is not None:
            went.add(change.before)
        elif change.before is None and change.after is not None:
            came.add(change.after)
    origins = array("q", [_NONE]) * len(came.first)
    olds, news = iter(went.sorted()), iter(came.sorted())
    old, new = next(olds, None), next(news, None)
    while old is not None and new is not None:
        one, other = went.first[old], came.first[new]
        if one == other and went.second[old] == came.second[new]:
            origins[new] = old
        old, new = next(olds, None) if one <= other else old, next(news, None) if other <= one else new
    return origins


class _Old:
    """Of the removals that are renames what the entries under their new paths do not say: where they were, and whether executable."""

    def __init__(self, changes: Iterable[Change], origins: "array[int]") -> None:
        wanted = bytearray(max(origins) + 1)
        for number in origins:
            if number != _NONE:
                wanted[number] = 1
        self._paths: list[str | None] = []
        self._executable = bytearray()
        for change in changes:
            if change.after is None and change.before is not None:
                is_wanted = len(self._paths) < len(wanted) and wanted[len(self._paths)]
                self._paths.append(change.before.path if is_wanted else None)
                self._executable.append(change.before.executable)

    def has(self, number: int) -> bool:
        return self._paths[number] is not None

    def entry(self, number: int, after: Entry) -> Entry:
        """The removed entry with that number, which had the content that `after` has."""
        return after._replace(path=self._paths[number] or "", executable=bool(self._executable[number]))
