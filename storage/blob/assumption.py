"""What a caller remembers of files and does not want to have read again: blobs that are only said to be somewhere, and where they were.

An assumption proves nothing: a session settles it before anything relies on it. Remembering a million files costs nothing for each of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from storage.digest import Blob, Digest


@dataclass(frozen=True, slots=True)
class Assumed:
    """Files that somebody remembers: the values of their digests, of the store's algorithm, their bytes together, and for each, by its
    place, blob and source when asked.
    """

    values: Sequence[str]
    size: int
    about: Callable[[int], tuple[Blob, str]]


class Assumptions:
    """See the top of this file."""

    def __init__(self) -> None:
        self._single: dict[Digest, tuple[Blob, str]] = {}
        self._many: list[Assumed] = []
        self._places: list[dict[str, int]] = []
        """Of each of those, once it was asked for."""

    def add(self, blob: Blob, source: str) -> None:
        self._single.setdefault(blob.digest, (blob, source))

    def add_all(self, files: Assumed) -> None:
        self._many.append(files)

    def __contains__(self, digest: Digest) -> bool:
        self._places += [{value: at for at, value in enumerate(files.values)} for files in self._many[len(self._places) :]]
        return digest in self._single or any(digest.value in places for places in self._places)

    def about(self, digest: Digest) -> tuple[Blob, str]:
        """The blob that was assumed, and its source."""
        if digest in self._single:
            return self._single[digest]
        value = digest.value
        return next(files.about(places[value]) for files, places in zip(self._many, self._places, strict=True) if value in places)
