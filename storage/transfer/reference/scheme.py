"""The law of every place a reference can point to. A scheme is a module with the three functions of `Scheme`; `handler` lists them.

1. Identity comes from one response per object, or one listing: nothing is asked twice and then glued together.
2. `fetch` writes exactly the pinned bytes or raises; what reached `out` counts only when it returned. It never settles for the newest.
3. Absence is a definite "it is not there". A refusal, a silence or a broken listing is an error and never absence.
4. A pin is complete or is not made: too many objects, a name that cannot be kept or an unreadable part refuse the whole.
5. No secret is stored: `strip_secrets` sees every URI first, and no message repeats what it refused.
6. Etags and version ids are somebody else's words: compared for equality, never parsed, never taken for a digest.

Not for servers: whoever holds the path and the credentials resolves a reference, so that no one can make a server read for him.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Protocol

from storage.entry import Entry, Pin, printable
from storage.errors import InvalidPath, InvalidReference, TooManyObjects, listed

DEFAULT_MAX_OBJECTS = 10_000
"""Objects one call may pin unless the caller says otherwise."""


class Standing(StrEnum):
    """What a later look at a reference finds."""

    OK = "ok"
    DRIFTED = "drifted"
    """There is something else now."""
    MISSING = "missing"
    """The object, or the pinned version of it, is definitely gone."""
    UNPINNED = "unpinned"
    """Nothing was recorded to compare with."""
    UNVERIFIABLE = "unverifiable"
    """The source offers nothing that would prove it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller of `pin` asked for, its URI free of secrets."""

    uri: str
    name: str | None = None
    checksum: bool = True
    limit: int = DEFAULT_MAX_OBJECTS
    allow_empty: bool = False

    def named(self, default: str) -> str:
        """The entry name of a single object."""
        if self.name is None and not default:
            raise InvalidReference(f"{printable(self.uri)} has no last path component to name the entry after: pass name=")
        return default if self.name is None else self.name

    def check_count(self, count: int) -> None:
        """Return when `count` objects may be pinned.

        Raises:
            TooManyObjects: they may not; nothing shorter is made instead.
        """
        if count > self.limit:
            raise TooManyObjects(
                f"{printable(self.uri)} holds more than {self.limit:,} objects: raise max_objects, or reference a narrower prefix"
            )


@dataclass(frozen=True, slots=True)
class Found:
    """One of many objects: its path below what was asked for, its pin, its size, and why it cannot be kept, if so."""

    path: str
    pin: Pin
    size: int | None
    problem: str | None = None


class Scheme(Protocol):
    """See the laws at the top of this file."""

    def pin(self, wish: Wish, /) -> list[Entry]:
        """One entry for an object, one per object for a prefix or directory, in path order."""

    def fetch(self, pin: Pin, size: int | None, out: BinaryIO, /) -> None:
        """Write the pinned bytes."""

    def check(self, pin: Pin, size: int | None, /) -> Standing:
        """How the object stands against its pin, without fetching it where the source can tell."""


def entries_below(wish: Wish, found: Iterable[Found]) -> list[Entry]:
    """The entries of many objects, under the wished name or at the root, in path order.

    Raises:
        InvalidReference: some cannot be entries; all of them are listed, each with its reason.
    """
    kept: list[Entry] = []
    problems: list[str] = []
    for each in found:
        path = each.path if wish.name is None else f"{wish.name}/{each.path}"
        problem = each.problem
        try:
            kept.append(Entry.reference(path, each.pin, each.size))
        except InvalidPath as error:
            problem = problem or str(error)
        if problem:
            problems.append(problem)
    if problems:
        raise InvalidReference(f"{printable(wish.uri)} cannot be referenced as a whole: rename these or leave them out{listed(problems)}")
    return sorted(kept, key=lambda entry: entry.order)
