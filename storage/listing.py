"""A manifest seen as a tree of directories: one path, what lies in a directory, everything below one.

A manifest is a sorted list and knows no directories but empty ones; the others follow from the paths below them. Segments are sorted too,
so a path is found by halving: of a manifest of a million entries about ten segments are looked at, and a listing jumps over what lies
deeper. Not for those who want every entry once, in order: they iterate the manifest.

Asked by several threads at once it answers each; a few decoded segments are kept between two questions.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache

from storage.entry import Entry, Kind
from storage.manifest import Manifest, decode_segment

KEPT = 32
"""Decoded segments that are kept."""
_LINKS = 40
"""Links that are followed one after the other before it is taken for a circle, as POSIX systems do."""
_AFTER_SLASH = chr(ord("/") + 1)

Child = tuple[str, Entry | None]
"""A path, and the entry there; no entry where it is a directory."""


class Listing:
    """See the top of this file."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._segments = [segment.digest for segment in manifest.segments if segment.count]
        self._decoded = lru_cache(KEPT)(lambda at: decode_segment(manifest.read(self._segments[at])))
        self._begins: dict[int, str] = {}

    def find(self, path: str) -> Entry | None:
        """The entry at `path`: a file, a link, a reference or an empty directory."""
        found = next(self._onward(path), None)
        return found if found is not None and found.path == path else None

    def is_directory(self, path: str) -> bool:
        """Is `path` the root, an empty directory, or something with an entry below it?"""
        if not path:
            return True
        found = next(self._onward(f"{path}/"), None)
        if found is not None and found.path.startswith(f"{path}/"):
            return True
        entry = self.find(path)
        return entry is not None and entry.kind is Kind.DIRECTORY

    def resolved(self, path: str) -> tuple[str, Entry | None]:
        """Where `path` leads when it, or a directory on the way to it, is a link, and the entry there.

        There is no entry where a directory is, where nothing is, and where links only lead to links.
        """
        for _ in range(_LINKS):
            entry = self.find(path)
            if entry is not None and entry.target is None:
                return path, entry
            onward = entry.target if entry is not None else None if self.is_directory(path) else self._through_link(path)
            if onward is None:
                return path, None
            path = onward
        return path, None

    def _through_link(self, path: str) -> str | None:
        """The same path, with the link that one of its directories is replaced by what it points to."""
        parts = path.split("/")
        for number in range(1, len(parts)):
            entry = self.find("/".join(parts[:number]))
            if entry is not None and entry.target is not None:
                return "/".join((entry.target, *parts[number:]))
        return None

    def children(self, directory: str = "") -> Iterator[Child]:
        """What lies directly in `directory`, in path order; nothing when there is no such directory."""
        prefix = f"{directory}/" if directory else ""
        at: str | None = prefix
        while at is not None:
            start, at = at, None
            for entry in self._onward(start):
                if not entry.path.startswith(prefix):
                    return
                name, slash, _ = entry.path[len(prefix) :].partition("/")
                if slash:
                    yield prefix + name, None
                    at = prefix + name + _AFTER_SLASH
                    break
                yield entry.path, None if entry.kind is Kind.DIRECTORY else entry

    def below(self, directory: str = "", depth: int | None = None) -> Iterator[Child]:
        """What lies in `directory` and in the directories in it, those included, at most `depth` levels down; parents come first."""
        waiting = [self.children(directory)]
        while waiting:
            child = next(waiting[-1], None)
            if child is None:
                waiting.pop()
                continue
            yield child
            if child[1] is None and (depth is None or len(waiting) < depth):
                waiting.append(self.children(child[0]))

    def _onward(self, path: str) -> Iterator[Entry]:
        """The entries from the first on that does not come before `path`."""
        at = bisect_right(range(len(self._segments)), path, key=self._begin) - 1
        start = bisect_left(self._decoded(at), path, key=lambda entry: entry.path) if at >= 0 else 0
        for number in range(max(at, 0), len(self._segments)):
            yield from self._decoded(number)[start:]
            start = 0

    def _begin(self, number: int) -> str:
        if number not in self._begins:
            self._begins[number] = self._decoded(number)[0].path
        return self._begins[number]
