"""The entries of a manifest that are asked for: all, those below a prefix, or one; only the segments that can hold them are read.

A segment does not say where it begins without being read; but segments are in path order, so the first that matters is found by halving.
A small selection that is gone through twice is remembered, a large one is read twice: memory does not grow with the manifest.
"""

from collections.abc import Iterator
from itertools import islice

from storage.entry import Entry
from storage.manifest import Manifest, decode_segment

KEPT = 100_000
"""Entries that are remembered for the second time."""


def find(manifest: Manifest, path: str) -> Entry | None:
    """The entry at `path`; None when there is none."""
    return next((entry for entry in below(manifest, path) if entry.path == path), None)


def below(manifest: Manifest, prefix: str) -> Iterator[Entry]:
    """The entries whose path begins with the text `prefix`, in path order."""
    if not prefix:
        yield from manifest
        return
    wanted = prefix.encode("utf-8", "surrogatepass")
    for entries in _from(manifest, wanted):
        for entry in entries:
            start = entry.order[: len(wanted)]
            if start == wanted:
                yield entry
            elif start > wanted:
                return


def _from(manifest: Manifest, wanted: bytes) -> Iterator[list[Entry]]:
    """The segments from the last one on that does not begin behind `wanted`."""
    read: dict[int, list[Entry]] = {}

    def segment(number: int) -> list[Entry]:
        if number not in read:
            read[number] = decode_segment(manifest.read(manifest.segments[number].digest))
        return read[number]

    first, beyond = 0, len(manifest.segments)
    while beyond - first > 1:
        middle = (first + beyond) // 2
        if segment(middle)[0].order <= wanted:
            first = middle
        else:
            beyond = middle
    for number in range(first, len(manifest.segments)):
        yield segment(number)
        read.clear()


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
