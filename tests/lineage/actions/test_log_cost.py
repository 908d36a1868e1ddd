"""What logging costs, counted: transactions, flushes, rows and opened files, which depend on no machine."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lineage.actions import log
from lineage.actions.read import manifest
from lineage.catalog import open as catalogue
from storage.blob import batch, disk
from storage.transfer.ingest import ingest_tree
from storage.transfer.scan import scan

Cost = Counter[str]


@contextmanager
def counted(shop: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cost]:
    """Effects by name, transactions that were committed, rows that were changed, files that were opened below the tree."""
    cost: Cost = Counter()
    with monkeypatch.context() as patch:
        patch.setattr(disk, "observe", lambda effect, _: cost.update([effect]))
        patch.setattr(catalogue, "observe", lambda effect: cost.update([effect]))
        real = os.open

        def opening(path: Any, *given: Any, **named: Any) -> int:
            cost["opened"] += "tree" in Path(path).parts
            return real(path, *given, **named)

        patch.setattr(os, "open", opening)
        with shop.engine.catalog.read() as c:
            before = c.total_changes
        yield cost
        with shop.engine.catalog.read() as c:
            cost["rows"] = c.total_changes - before


def make(root: Path, files: int) -> Path:
    (root / "tree").mkdir(parents=True)
    for number in range(files):
        (root / "tree" / f"{number:05d}").write_bytes(b"%d" % number * 9)
    return root / "tree"


def logged(shop: Any, tree: Path, name: str) -> log.Logged:
    session = shop.engine.store(shop.project.domain).session()
    return log.log_version(shop.engine, shop.project, log.Draft(name, "data"), ingest_tree(scan(tree), session), session)


@pytest.mark.fault("F17")
@pytest.mark.parametrize("files", [200, 3000])
def test_many_small_files_are_a_handful(shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    """However many small files: a handful of transactions and flushes, two rows and one opening a file, and one object in the store."""
    logged(shop, make(tmp_path / "first", 1), "first")  # directories of the store are made once
    with counted(shop, monkeypatch) as cost:
        done = logged(shop, make(tmp_path / "second", files), "second")

    assert (files, files) == (done.version.entries, cost["opened"])
    assert 5 >= cost["committed"]  # the session, what is known already, the pack, a large segment, the commit
    assert 9 >= sum(count for effect, count in cost.items() if effect.startswith("fsync"))
    assert 2 >= cost["link"]
    assert 3 * files + 60 > cost["rows"]  # inserted once, flipped to live once, listed by a segment once


def test_a_pack_more_is_a_transaction_more(shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree of many packs costs one transaction and one flush a pack more, and is written by another thread meanwhile."""
    monkeypatch.setattr(batch, "SLAB", 1000)
    monkeypatch.setattr(batch, "FULL", 5000)
    threads: set[int] = set()
    write: Callable[..., None] = disk.write

    def noting(*given: Any) -> None:
        threads.add(threading.get_ident())
        write(*given)

    monkeypatch.setattr(disk, "write", noting)
    logged(shop, make(tmp_path / "first", 1), "first")
    with counted(shop, monkeypatch) as cost:
        logged(shop, make(tmp_path / "second", 1000), "second")
    packs = cost["link"]

    assert (True, True) == (4 < packs, 2 == len(threads))
    assert packs + 5 >= cost["committed"]
    assert 3 * packs + 6 >= sum(count for effect, count in cost.items() if effect.startswith("fsync"))


def test_logging_again_changes_no_row_for_a_file(shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tree again is pins and their end, and nothing is written to the store."""
    tree = make(tmp_path, 500)
    logged(shop, tree, "same")
    with counted(shop, monkeypatch) as cost:
        done = logged(shop, tree, "same")

    assert (False, 0, 0) == (done.is_new, cost["write"], cost["link"])
    assert 5 >= cost["committed"]
    assert 2 * 500 + 40 > cost["rows"]


def test_adding_to_a_version_costs_the_addition(shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file more on top of thousands: what the version lists already is held by its segments, and only a new segment lists its blobs."""
    before = manifest(shop.engine, logged(shop, make(tmp_path, 6000), "grown").version)
    with counted(shop, monkeypatch) as cost:
        done = shop.put("grown", {"zz": b"more"}, type="data", incremental=True)
    after = manifest(shop.engine, done.version)
    new = sum(segment.count for segment in set(after.segments) - set(before.segments))

    assert (6001, True) == (len(after), new < 3000)
    assert new + 60 > cost["rows"]
