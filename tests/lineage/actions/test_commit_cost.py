"""What a commit writes follows what changed: not how long the history is, nor how large the tree."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lineage.actions import log
from storage.manifest import LONGEST
from storage.transfer.ingest import ingest_tree
from storage.transfer.scan import scan
from tests.lineage.actions.conftest import Shop

Trace = Callable[[], dict[str, int]]


def put(shop: Shop, tree: Path) -> log.Logged:
    session = shop.engine.store(shop.project.domain).session()
    entries = ingest_tree(scan(tree), session, cache=shop.engine.trees)
    return log.log_version(shop.engine, shop.project, log.Draft("tree", "dataset"), entries, session)


def written(trace: Trace, work: Callable[[], object]) -> dict[str, int]:
    """The rows that `work` adds, by table."""
    before = trace()
    work()
    return {table: count - before[table] for table, count in trace().items() if count != before[table]}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(300):
        (root / f"{number:03}").write_text(f"content of {number}")
    return root


def test_a_long_history_costs_nothing(shop: Shop, tree: Path, trace: Trace) -> None:
    """The same change adds the same rows and bytes to a collection of two versions and of forty."""
    costs = []
    put(shop, tree)
    for number in range(40):
        (tree / "000").write_text(f"change {number:02}")
        seen: list[log.Logged] = []
        rows = written(trace, lambda seen=seen: seen.append(put(shop, tree)))  # type: ignore[misc]
        costs.append((rows, seen[0].stored))

    assert [costs[0]] * 40 == costs


def test_a_large_tree_costs_one_segment(shop: Shop, tree: Path, trace: Trace) -> None:
    """One changed file of thousands stores itself, one segment and the manifest; nothing is stored when none changed."""
    for number in range(300, 6000):
        (tree / f"{number:04}").write_text(f"content of {number}")
    first = put(shop, tree)
    (tree / "4321").write_text("changed")
    seen: list[log.Logged] = []
    rows = written(trace, lambda: seen.append(put(shop, tree)))

    assert 6000 == first.version.entries
    assert 3 == seen[0].stored.blobs
    assert (1, 1) == (rows["version"], rows["segment"])
    assert rows["segment_blob"] <= LONGEST
    assert {} == {table: count for table, count in written(trace, lambda: put(shop, tree)).items() if "segment" in table or "blob" in table}


def test_a_renamed_directory_stores_no_content(shop: Shop, tree: Path) -> None:
    """Files that moved bring new segments and a manifest; not one byte of them is stored again."""
    put(shop, tree)
    tree.rename(tree.parent / "whole")
    tree.mkdir()
    (tree.parent / "whole").rename(tree / "below")
    moved = put(shop, tree)

    assert (300, True) == (moved.version.entries, moved.is_new)
    assert 300 == moved.known.blobs
    assert moved.stored.blobs <= 5
