"""A writer may be killed before any of its side effects: nothing visible is incomplete, and the next writer needs no repair.

A child takes and publishes, and ends itself at the k-th effect without any clean-up; the parent knows only the disk.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.blob import disk
from storage.blob.cache import Cache
from storage.blob.home import Home
from storage.blob.intake import SMALL
from storage.blob.pack import PACKED
from storage.blob.store import Store
from storage.digest import Blob, Digest
from storage.layout import parse_blob_key, parse_pack_key
from storage.memory import MemoryLedger
from storage.transfer.checkout import checkout
from storage.upkeep import reclaim
from tests.storage.conftest import Shelf

CONTENTS = {"a": b"a", "dir/b": b"bb", "dir/empty": b"", "big": bytes(SMALL + 1)}
KILLED, DONE, FAILED = 17, 0, 1


def killed_at(at: int, work: Callable[[], None]) -> bool:
    """Do `work` in a child that dies at its `at`-th effect; was it killed before it was done?"""
    child = os.fork()
    if not child:
        code = FAILED
        try:
            left = at

            def observe(_effect: str, _path: str) -> None:
                nonlocal left
                if not left:
                    os._exit(KILLED)
                left -= 1

            disk.observe = observe
            work()
            code = DONE
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (KILLED, DONE)
    return code == KILLED


def write(root: Path, source: Path, packed: int) -> Store:
    ledger = MemoryLedger()
    store = Store(Home.create_or_open(root).backend, ledger, "d", packed=packed)
    with store.session() as session:
        taken = list(session.take_files([source / name for name in CONTENTS]))
        session.publish()
        ledger.commit(session.id, [one.blob.digest for one in taken])
    return store


def digest_of(key: str) -> Digest:
    """What an object must hold, by its name."""
    return (parse_pack_key if "/packs/" in key else parse_blob_key)(key)[1]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, data in CONTENTS.items():
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_bytes(data)
    return tmp_path / "source"


@pytest.mark.fault("S01", "S10", "I-05")
@pytest.mark.parametrize("packed", [-1, PACKED])
def test_a_writer_killed_anywhere(tmp_path: Path, source: Path, packed: int) -> None:
    """Every object that can be seen is whole; the store opens; the next writer sweeps, and stores everything."""
    at = 0
    while True:
        root = tmp_path / f"store{at}"
        was_killed = killed_at(at, lambda root=root: write(root, source, packed) and None)  # type: ignore[misc]
        backend = Home.create_or_open(root).backend
        for key, size in backend.keys():  # noqa: SIM118  # no dictionary
            assert (digest_of(key), size) == (Digest.of(data := b"".join(backend.read(key))), len(data))
        store = write(root, source, packed)
        left = {path for path in root.rglob("*") if path.is_file() and "objects" not in path.parts}

        assert list(CONTENTS.values()) == [store.read(Blob.of(data).digest) for data in CONTENTS.values()]
        assert (2 if packed > 0 else len(CONTENTS)) == len(list(backend.keys()))
        assert {True} == {path.name == "format.json" or path.name.startswith(".format.json.") for path in left}
        if not was_killed:
            break
        at += 1
    assert 25 < at


@pytest.mark.fault("S01", "E05")
def test_a_checkout_killed_anywhere(shelf: Shelf, source: Path, tmp_path: Path) -> None:
    """What stands at a name is whole, old or new; another checkout writes what is missing, leaves what is right, and tidies up."""
    manifest = shelf.log(source)
    at = 0
    while True:
        out = tmp_path / f"out{at}"
        (out / "dir").mkdir(parents=True)
        (out / "dir/b").write_bytes(b"old")
        was_killed = killed_at(at, lambda out=out: checkout(manifest, shelf.store, out) and None)  # type: ignore[misc]
        landed = {}
        for path in (path for path in out.rglob("*") if path.is_file() and not path.name.endswith(".partial")):
            assert path.read_bytes() in (CONTENTS[str(path.relative_to(out))], b"old")
            landed[path] = (path.stat().st_ino, path.stat().st_mtime_ns) if path.read_bytes() != b"old" else None
        report = checkout(manifest, shelf.store, out)

        right = {path: about for path, about in landed.items() if about is not None}
        assert right == {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in right}
        assert (len(right), len(CONTENTS) - len(right)) == (report.kept, report.written)
        assert CONTENTS == {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        if not was_killed:
            break
        at += 1
    assert 12 < at


@pytest.mark.fault("S01", "I-11")
def test_a_reclaim_killed_anywhere(shelf: Shelf) -> None:
    """Whatever was removed, what is needed is there, and the next reclaim finishes the work."""
    [needed] = shelf.put(b"needed")
    at = 0
    while True:
        gone = shelf.put(*[b"%d %d" % (at, number) for number in range(3)])
        for digest in gone:
            shelf.ledger.reachable.discard(("d", digest))
        planned = reclaim.plan(shelf.ledger)
        was_killed = killed_at(at, lambda planned=planned: reclaim.carry_out(planned, shelf.backend, shelf.ledger) and None)  # type: ignore[misc]
        assert b"needed" == shelf.store.read(needed)
        reclaim.carry_out(planned, shelf.backend, shelf.ledger)

        assert [shelf.object(needed)] == [shelf.backend.root / key for key, _ in shelf.backend.keys()]  # noqa: SIM118  # no dictionary
        if not was_killed:
            break
        at += 1
    assert 5 < at + 1


@pytest.mark.fault("S01", "S10")
def test_a_cache_writer_killed_anywhere(tmp_path: Path) -> None:
    """An entry is whole or absent, and what the dead writer left is dropped by the next one."""
    at = 0
    while True:
        root = tmp_path / f"cache{at}"
        was_killed = killed_at(at, lambda root=root: Cache(root).put("key", [b"one", b"two"]) and None)  # type: ignore[misc]
        found = Cache(root).get("key")
        assert found is None or b"onetwo" == found.read_bytes()
        Cache(root).put("other", [b"x"])

        assert [] == list((root / "incoming").iterdir())
        if not was_killed:
            break
        at += 1
    assert 5 < at
