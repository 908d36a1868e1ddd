"""The entries of an artifact while it is being built: by path, and never any that could not stand together.

One path holds one thing, nothing is file and directory at once, and no two names are one name in two Unicode spellings (NFC). Entries go in
all together or not at all. Where all of a set are surely fine, a few looks at them together say so; anything else is judged one by one,
which alone knows what is wrong. `storage.entry.check_tree` judges the whole again when it is logged.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from lineage.model.errors import UsageError
from storage.entry import Entry, printable
from storage.errors import Missing, listed


class Tree:
    """See the top of this file."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._spelled: dict[str, str] = {}
        """Composed spelling → path, of those that are spelled otherwise."""
        self._above: Counter[str] = Counter()
        """Directories that follow from the entries, with how many each stands above."""

    def put(self, entries: Sequence[Entry], *, overwrite: bool = False) -> list[Entry]:
        """Hold all of `entries`, and answer with those that replaced another.

        Raises:
            UsageError: listing every path that cannot be, or that is taken by other content; nothing was changed.
        """
        found = {entry.path: entry for entry in entries}
        directories = Counter(path.rpartition("/")[0] for path in found)
        if len(found) == len(entries) and self._are_fine(found, directories):
            self._take(found, directories)
            return []
        return self._put_one_by_one(entries, overwrite=overwrite)

    def _are_fine(self, found: dict[str, Entry], directories: Counter[str]) -> bool:
        """Are all of these surely new, apart from each other and from what is here, and spelled as nothing else is?"""
        above = {each for directory in directories for each in (directory, *_parents(directory))}
        return (
            not self._spelled
            and unicodedata.is_normalized("NFC", "\n".join(found))
            and self.entries.keys().isdisjoint(found)
            and self.entries.keys().isdisjoint(above)
            and found.keys().isdisjoint(above)
            and found.keys().isdisjoint(self._above)
        )

    def _take(self, found: dict[str, Entry], directories: Counter[str]) -> None:
        self.entries.update(found)
        for directory, count in directories.items():
            for each in (directory, *_parents(directory)):
                if each:
                    self._above[each] += count

    def _put_one_by_one(self, entries: Sequence[Entry], *, overwrite: bool) -> list[Entry]:
        problems = [problem for entry in entries if (problem := self._problem(entry, overwrite=overwrite))]
        if problems:
            raise UsageError(f"{len(problems)} of {len(entries)} entries cannot be added:{listed(problems)}")
        undo = [(entry, self.entries.get(entry.path)) for entry in entries]
        replaced = [entry for entry, old in undo if old is not None and old != entry]
        for position, entry in enumerate(entries):
            problem = self._problem(entry, overwrite=overwrite)  # against those just put, too
            if problem:
                for fresh, old in reversed(undo[:position]):
                    self._set(fresh.path, old)
                raise UsageError(f"entries cannot be added together: {problem}")
            self._set(entry.path, entry)
        return replaced

    def _problem(self, entry: Entry, *, overwrite: bool) -> str | None:
        path, old = entry.path, self.entries.get(entry.path)
        if old is not None:
            return (
                None
                if overwrite or old == entry
                else f"{printable(path)} holds other content already: pass overwrite=True (to add_dir, merge=True) to replace it"
            )
        other = self._spelling(path)
        if other is not None:
            return f"{printable(path)} and {printable(other)} are one name in two Unicode spellings (NFC): rename one"
        if path in self._above:
            return f"{printable(path)} is a directory already: it cannot be a {entry.kind} too"
        parent = next((above for above in _parents(path) if above in self.entries), None)
        return f"{printable(path)} lies below {printable(parent)}, which is a {self.entries[parent].kind}" if parent else None

    def _spelling(self, path: str) -> str | None:
        """What is here under the same name, spelled in whatever way."""
        normal = unicodedata.normalize("NFC", path)
        return self._spelled.get(normal) or (normal if normal in self.entries else None)

    def _set(self, path: str, entry: Entry | None) -> None:
        normal, is_here = unicodedata.normalize("NFC", path), path in self.entries
        if entry is not None:
            self.entries[path] = entry
            if normal != path:
                self._spelled[normal] = path
        elif is_here:
            del self.entries[path]
            self._spelled.pop(normal, None)
        if is_here == (entry is None):
            self._count(path, -1 if entry is None else 1)

    def _count(self, path: str, change: int) -> None:
        for above in _parents(path):
            self._above[above] += change
            if not self._above[above]:
                del self._above[above]

    def remove(self, path: str) -> list[str]:
        """Forget the entry at `path`, or all below it; answer with their paths.

        Raises:
            Missing: nothing is there.
        """
        under = path.rstrip("/") + "/"
        gone = [path] if path in self.entries else [held for held in self.entries if held.startswith(under)]
        if not gone:
            raise Missing(f"the artifact holds nothing at {printable(path)}: it has {len(self.entries)} entries")
        for held in gone:
            self._set(held, None)
        return gone


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
