"""What must be true of every disk that a power loss may leave: checked on the model of `tests.faults.power`, for each of its disks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from storage.digest import Digest
from storage.errors import InvalidDigest
from storage.layout import FORMAT_FILE, JOURNALS, OBJECTS, PACKS, parse_blob_key, parse_pack_key
from storage.ledger import BlobRecord, BlobState
from tests.faults.power import Outage

_digest = lru_cache(maxsize=4096)(Digest.of)
"""Of bytes that stand in thousands of disks."""


@lru_cache(maxsize=4096)
def _named(key: str) -> tuple[tuple[Any, ...], int] | None:
    """Domain, digest and kind in the key of an object, and its generation."""
    is_pack = f"/{PACKS}/" in key
    try:
        domain, digest, generation = (parse_pack_key if is_pack else parse_blob_key)(key)
    except InvalidDigest:
        return None
    return (domain, digest, is_pack), generation


def broken(outage: Outage, home: Sequence[str]) -> Iterator[str]:
    """What is wrong, and should be in no outage; `home` is the store's path."""
    text, promises = outage.disk.read((*home, FORMAT_FILE)), outage.promises
    if "store" in promises and text != promises["store"]:
        yield f"{FORMAT_FILE} is lost or torn, and there is a catalogue"
    if text is not None and not text.endswith(b"}\n"):
        yield f"{FORMAT_FILE} is torn"

    objects = {f"{OBJECTS}/{name}": inode for name, inode in outage.disk.below((*home, OBJECTS))}
    found = {key: outage.disk.contents.get(inode, b"") for key, inode in objects.items() if _named(key)}
    rows, packs = promises.get("ledger", ((), ()))
    yield from _objects(found, (*rows, *packs))
    yield from _rows(found, (*rows, *packs))

    for kind, lines in promises.items():
        if kind.startswith("journal "):
            yield from _journal(outage, home, kind.removeprefix("journal "), lines, found)


def _objects(found: dict[str, bytes], rows: Iterable[BlobRecord]) -> Iterator[str]:
    """A key that can be read is complete (the first law of backends), and somebody knows of it (I-10)."""
    known: dict[tuple[Any, ...], int] = defaultdict(lambda: -1)
    for row in rows:
        known[row.domain, row.blob.digest, row.is_pack] = row.generation
    for key, data in found.items():
        name, generation = _named(key) or ((), 0)
        if _digest(data, name[1].algorithm) != name[1]:
            yield f"{key} can be read, and is not complete: it has {len(data)} bytes"
        if known[name] < generation:
            yield f"I-10: {key} has no row"


def _rows(found: dict[str, bytes], rows: Iterable[BlobRecord]) -> Iterator[str]:
    """I-01, I-02, I-03: what a commit made live is there and right."""
    for row in rows:
        if row.state is BlobState.LIVE:
            data = found.get(row.key)
            part = data if row.pack is None else (data or b"")[row.start : row.start + row.blob.size]
            if part is None or _digest(part, row.blob.digest.algorithm) != row.blob.digest:
                yield f"I-01: {row.blob.digest} is live, and its object {row.key} {'has other bytes' if data is not None else 'is lost'}"


def _journal(outage: Outage, home: Sequence[str], name: str, lines: bytes, found: dict[str, bytes]) -> Iterator[str]:
    """Rows that were flushed are in the journal, or in something sealed that is live."""
    there = outage.disk.read((*home, JOURNALS, name))
    if there is not None and there.startswith(lines):
        return
    live = {row.key: row for row in (*outage.promises["ledger"][0],) if row.state is BlobState.LIVE}
    sealed = (
        data[row.start : row.start + row.blob.size] if (row := live[key]).pack else data for key, data in found.items() if key in live
    )
    if not any(piece.startswith(lines) for piece in sealed):
        yield f"I-03: the flushed rows of journal {name} are {'torn' if there is not None else 'lost'}, and nowhere sealed"
