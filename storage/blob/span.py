"""Neighbours in a pack, read together: which ranges of which objects hold some blobs, in few reads of bounded size.

A blob that has an object of its own is a span of its own. What lies between two blobs that are wanted and is not wanted itself is read
along when it is small: it takes less time than asking twice. A span says where bytes are, never that they are right: that is checked blob
by blob.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from storage.digest import CHUNK
from storage.ledger import BlobRecord


@dataclass(frozen=True, slots=True)
class Reach:
    """How much is read at once, at most, unless a single blob is larger; and how much that nobody wants is read along."""

    largest: int
    gap: int


NEAR = Reach(CHUNK, 64 << 10)
"""Of a local disk: a read of more gets no cheaper, and its bytes would not stay in the processor's cache."""
FAR = Reach(16 << 20, 512 << 10)
"""Of a service: a request takes as long as about half a MiB."""


@dataclass(frozen=True, slots=True)
class Span:
    """So many bytes of one object, from a start, and the blobs in them, in the order they lie."""

    key: str
    start: int
    length: int
    records: tuple[BlobRecord, ...]


def spans(records: Iterable[BlobRecord], reach: Reach) -> Iterator[Span]:
    """The spans that hold these blobs, each given once, by object and place."""
    waiting: list[BlobRecord] = []
    for record in sorted(records, key=_place):
        if waiting and not _reaches(waiting, record, reach):
            yield _span(waiting)
            waiting = []
        waiting.append(record)
    if waiting:
        yield _span(waiting)


def _place(record: BlobRecord) -> tuple[str, str, int, int]:
    """Orders records as their keys and starts would, without spelling keys."""
    return record.domain, (record.pack or record.blob.digest).value, record.pack_generation, record.start


def _reaches(waiting: list[BlobRecord], record: BlobRecord, reach: Reach) -> bool:
    first, last = waiting[0], waiting[-1]
    if record.pack is None or record.pack != first.pack or record.pack_generation != first.pack_generation or record.domain != first.domain:
        return False
    gap = record.start - last.start - last.blob.size
    return gap <= reach.gap and record.start + record.blob.size - first.start <= reach.largest


def _span(records: list[BlobRecord]) -> Span:
    start = records[0].start
    return Span(records[0].key, start, max(each.start + each.blob.size for each in records) - start, tuple(records))
