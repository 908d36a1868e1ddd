"""The entries of a manifest that are asked for: all, those below a prefix, or one; only the segments that can hold them are read.

A segment does not say where it begins without being read; but segments are in path order, so the first that matters is found by halving.
A small selection that is gone through twice is remembered, a large one is read twice: memory does not grow with the manifest.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

from storage.entry import Entry
from storage.manifest import Manifest, decode_segment

_Read = Callable[[int], Sequence[Entry]]

KEPT = 100_000
"""Entries that are remembered for the second time."""


def find(manifest: Manifest, *paths: str) -> Entry | None:
    """The entry at the first of these paths that has one; None when none has."""
    segment = _reader(manifest)
    for path in paths:
        for entry in _below(manifest, segment, path):
            if entry.path == path:
                return entry
            break  # whatever else begins so comes behind it
    return None


def below(manifest: Manifest, prefix: str) -> Iterator[Entry]:
    """The entries whose path begins with the text `prefix`, in path order."""
    return _below(manifest, _reader(manifest), prefix) if prefix else iter(manifest)


def _reader(manifest: Manifest) -> _Read:
    """Reads a segment by its number; those on the way to a place are not read again."""

    @lru_cache(maxsize=32)
    def read(number: int) -> Sequence[Entry]:
        return decode_segment(manifest.read(manifest.segments[number].digest))

    return read


def _below(manifest: Manifest, segment: _Read, prefix: str) -> Iterator[Entry]:
    wanted = prefix.encode("utf-8", "surrogatepass")
    first, beyond = 0, len(manifest.segments)
    while beyond - first > 1:  # the last segment that does not begin behind the prefix
        middle = (first + beyond) // 2
        if segment(middle)[0].order <= wanted:
            first = middle
        else:
            beyond = middle
    for number in range(first, len(manifest.segments)):
        for entry in segment(number):
            start = entry.order[: len(wanted)]
            if start == wanted:
                yield entry
            elif start > wanted:
                return


class Selection:
    """The entries below a prefix, to be gone through as often as one likes."""

    def __init__(self, manifest: Manifest, prefix: str = "") -> None:
        self._manifest, self._prefix = manifest, prefix
        self._kept: list[Entry] | None = None

    def __iter__(self) -> Iterator[Entry]:
        if self._kept is None and (self._prefix or len(self._manifest) <= KEPT):
            found = list(islice(below(self._manifest, self._prefix), KEPT + 1))
            self._kept = found if len(found) <= KEPT else None
        return below(self._manifest, self._prefix) if self._kept is None else iter(self._kept)
