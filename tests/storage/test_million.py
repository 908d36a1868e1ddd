"""What a manifest of very many entries costs: bytes and memory follow what changed and what is looked at, never how much there is.

The default run takes a tenth of a million, the soak a whole one: the law is the same.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.blob.home import Home
from storage.blob.session import Count
from storage.blob.store import Store
from storage.digest import Digest
from storage.entry import Entry, Kind
from storage.manifest import Manifest
from storage.memory import MemoryLedger
from storage.transfer.ingest import Stored, store_manifest

MANY = pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
ROOT = Path(__file__).parent.parent.parent


def entries(count: int, changed: int = 0) -> Iterator[Entry]:
    """So many files in path order, one by one; of them so many, evenly spread, with other content."""
    every = count // max(changed, 1)
    for number in range(count):
        is_changed = changed and number % every == every // 2
        content = f"{number + (count if is_changed else 0):064x}"
        yield Entry(f"{number // 1000:04}/{number:07}.bin", Kind.FILE, Digest("blake3", content), number)


def log(store: Store, ledger: MemoryLedger, wanted: Iterator[Entry]) -> tuple[Stored, Count]:
    """The manifest, committed, and what had to be written for it. The content of its entries is nobody's business here."""
    with store.session() as session:
        stored = store_manifest(wanted, session, is_ordered=True)
        session.publish()
        listed = [stored.manifest.digest, *(segment.digest for segment in stored.manifest.segments)]
        ledger.commit(session.id, listed, dict.fromkeys(stored.new, ()))
        return stored, session.stored


def new_store(place: Path) -> tuple[Store, MemoryLedger]:
    ledger = MemoryLedger()
    return Store(Home.create_or_open(place / "store").backend, ledger, "d"), ledger


@MANY
def test_fifty_changes_write_few_segments(count: int, tmp_path: Path) -> None:
    """Fifty changed entries write at most sixty segments and the manifest, and these bytes are all that is written."""
    store, ledger = new_store(tmp_path)
    before, _ = log(store, ledger, entries(count))
    after, written = log(store, ledger, entries(count, changed=50))
    fresh = {segment.digest for segment in after.manifest.segments} - {segment.digest for segment in before.manifest.segments}

    assert count == len(after.manifest) == len(before.manifest)
    assert 30 <= len(fresh) <= 60
    assert set(after.new) == fresh
    assert Count(len(fresh) + 1, sum(len(store.read(digest)) for digest in fresh) + len(after.manifest.encoded)) == written
    assert Count() == log(store, ledger, entries(count, changed=50))[1]


def measure(place: Path, count: int) -> None:
    """Write, read and compare in this process, and print how much memory it took at most, in kilobytes.

    The kernel's high-water mark of this very address space: `getrusage` tells of a child at least what its parent had when it forked.
    """
    from storage.difference import Difference

    store, ledger = new_store(place)
    one, _ = log(store, ledger, entries(count))
    other, _ = log(store, ledger, entries(count, changed=100))
    read = sum(entry.size or 0 for entry in other.manifest)
    both = [Manifest(each.manifest.segments, store.read) for each in (one, other)]
    changes = len(list(Difference(*both)))
    most = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(most, read, changes)


@pytest.mark.fault("F17")
@pytest.mark.timeout(600)
@MANY
def test_memory_is_bounded(count: int, tmp_path: Path) -> None:
    """A manifest of a million entries is written, read and compared within 500 MB; of fewer, within less."""
    code = f"from pathlib import Path; from tests.storage.test_million import measure; measure(Path({str(tmp_path)!r}), {count})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    most, read, changes = map(int, done.stdout.split())

    assert (sum(range(count)), 100) == (read, changes)
    assert most < 100_000 + 400_000 * (count / 1_000_000)
