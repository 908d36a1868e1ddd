"""How long manifests take: a million entries written, read and compared."""

import gc
from collections.abc import Iterator
from pathlib import Path

import blake3
import pytest

from storage.blob.home import Home
from storage.blob.store import Store
from storage.difference import Difference
from storage.digest import Digest
from storage.entry import Entry, Kind
from storage.manifest import Manifest
from storage.memory import MemoryLedger
from storage.transfer.ingest import store_manifest

pytestmark = pytest.mark.benchmark
CHANGES = 100


def entries(count: int, changed: int = 0) -> Iterator[Entry]:
    """So many files in path order, of them so many, evenly spread, with other content."""
    every = count // max(changed, 1)
    for number in range(count):
        content = f"{number + (count if changed and number % every == every // 2 else 0):064x}"
        yield Entry(f"{number // 1000:04}/{number:07}.bin", Kind.FILE, Digest("blake3", content), number)


def log(store: Store, ledger: MemoryLedger, wanted: list[Entry]) -> Manifest:
    with store.session() as session:
        stored = store_manifest(wanted, session, is_ordered=True)
        session.publish()
        listed = [stored.manifest.digest, *(segment.digest for segment in stored.manifest.segments)]
        ledger.commit(session.id, listed, dict.fromkeys(stored.new, ()))
        return Manifest(stored.manifest.segments, store.read)


def hashed(pieces: list[bytes], target: Path) -> None:
    """The unavoidable of writing: the same bytes digested and put on the disk."""
    with target.open("wb") as out:
        for piece in pieces:
            blake3.blake3(piece).digest()
            out.write(piece)


def test_a_million_entries(place, table, scale, stopwatch) -> None:
    """Written, read, and compared with a million of which a hundred differ."""
    count = max(int(1_000_000 * scale), 10 * CHANGES)
    ledger = MemoryLedger()
    store = Store(Home.create_or_open(place / "store").backend, ledger, "d")
    given, other = list(entries(count)), list(entries(count, CHANGES))
    gc.freeze()  # what the benchmark holds is no part of what is measured
    with stopwatch() as written:
        one = log(store, ledger, given)
    with stopwatch() as again:
        two = log(store, ledger, other)
    pieces = [store.read(segment.digest) for segment in one.segments]
    with stopwatch() as limit:
        hashed(pieces, place / "bytes")
    with stopwatch() as read:
        assert count == sum(1 for _ in one)
    with stopwatch() as decoded:
        assert count == sum(1 for entry in given if Entry(entry.path, entry.kind, entry.digest, entry.size))
    with stopwatch() as compared:
        assert CHANGES == len(list(Difference(one, two)))
    apart = [
        (before.digest, after.digest) for before, after in zip(one.segments, two.segments, strict=True) if before.digest != after.digest
    ]
    with stopwatch() as needed:
        for pair in apart:
            for digest in pair:
                store.read(digest)

    table.add(f"write a manifest of {count:,} entries", written[0], "its bytes hashed and written", limit[0])
    table.add(f"write it with {CHANGES} changed", again[0], "its bytes hashed and written", limit[0])
    table.add(f"read {count:,} entries", read[0], "as many entries made from fields that are there", decoded[0])
    table.add(
        f"{CHANGES} differences among {count:,} entries", compared[0] * 1000, f"{2 * len(apart)} segments read", needed[0] * 1000, "ms"
    )
