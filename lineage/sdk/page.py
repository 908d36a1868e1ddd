"""A long answer, fetched a page at a time: iterate it, index it, slice it, ask its length.

Nothing is fetched before it is asked for, what was fetched is kept, and pages come in order. Indexing from the end and `len` need the
count, which is asked for once.
"""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Generic, TypeVar, overload

T = TypeVar("T")
Record = TypeVar("Record")
PER_PAGE = 50


class Page(Sequence[T], Generic[T]):
    """The answer of `fetch(offset, limit)`; `count` says how long it is, or the answer is read to its end."""

    def __init__(self, fetch: Callable[[int, int], Sequence[T]], count: Callable[[], int] | None = None, per_page: int = PER_PAGE) -> None:
        self._fetch = fetch
        self._count = count
        self._per_page = max(1, per_page)
        self._loaded: list[T] = []
        self._is_complete = False
        self._length: int | None = None

    @classmethod
    def of(cls, found: Sequence[T]) -> "Page[T]":
        """An answer that is there already."""
        page = cls(lambda offset, limit: found[offset : offset + limit], lambda: len(found))
        page._loaded, page._is_complete = list(found), True
        return page

    @classmethod
    def over(cls, records: Sequence[Record], handle: Callable[[Record], T], per_page: int = PER_PAGE) -> "Page[T]":
        """An answer whose records are there already; the handle of each is made when it is asked for."""
        return cls(lambda offset, limit: [handle(each) for each in records[offset : offset + limit]], lambda: len(records), per_page)

    def _load(self, wanted: int | None) -> None:
        while not self._is_complete and (wanted is None or len(self._loaded) < wanted):
            fresh = self._fetch(len(self._loaded), self._per_page)
            self._loaded.extend(fresh)
            self._is_complete = len(fresh) < self._per_page

    def __iter__(self) -> Iterator[T]:
        position = 0
        while True:
            self._load(position + 1)
            if position >= len(self._loaded):
                return
            yield self._loaded[position]
            position += 1

    def __len__(self) -> int:
        if self._is_complete:
            return len(self._loaded)
        if self._count is None:
            self._load(None)
            return len(self._loaded)
        if self._length is None:
            self._length = self._count()
        return self._length

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            ends = (index.start, index.stop)
            needs_all = index.stop is None or any(end is not None and end < 0 for end in ends)
            self._load(None if needs_all else index.stop)
            return self._loaded[index]
        self._load(index + 1 if index >= 0 else None)
        if not -len(self._loaded) <= index < len(self._loaded):
            raise IndexError(f"there is no item {index}: the answer has {len(self._loaded)}")
        return self._loaded[index]

    def __repr__(self) -> str:
        shown = ", ".join(repr(found) for found in self[:3])
        rest = len(self) - 3
        return f"[{shown}{f', … {rest} more' if rest > 0 else ''}]"

    def _repr_html_(self) -> str:
        rows = "".join(f"<li><code>{escape(repr(found))}</code></li>" for found in self[:20])
        rest = len(self) - 20
        return f"<ol start=0>{rows}</ol>" + (f"<p>… {rest} more</p>" if rest > 0 else "")
