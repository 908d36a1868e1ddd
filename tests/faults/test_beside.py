"""One process logs or reads, another frees bytes or rewrites packs: whenever that happens, what is acknowledged is whole.

One of the two is stopped before each thing it asks of the ledger or does with bytes, one such moment after the other, and there the other
does its work from beginning to end, in a process of its own.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lineage.actions import create, delete, log, read
from lineage.actions.open import Engine, open_engine
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.catalog.blob import SqlLedger
from lineage.model.artifact import VersionRecord
from lineage.model.errors import Gone
from storage.blob.local import LocalBackend
from storage.blob.s3 import S3Backend
from storage.errors import BlobMissing, Unavailable
from storage.transfer import statcache
from storage.transfer.ingest import ingest_tree
from storage.transfer.scan import scan
from tests.faults.child import alone
from tests.faults.invariants import Acknowledged, check, cleaned, files_of
from tests.faults.kill import NOON
from tests.faults.s3 import Service
from tests.faults.scene import DEMO, PACKED, named, tree

NEEDED = {"a": b"alpha", "b": b"beta", "large": b"large" * (PACKED // 4 + 1)}
"""What is logged again, and read: some in a pack, one by itself."""
OTHERS = {f"other/{number}": b"%d " % number * 300 for number in range(20)}
"""What fills most of the pack, so that it is worth rewriting once nobody needs this."""

LEDGER = ["open_session", "find", "pin", "place", "hold", "hold_segments", "members", "relocate", "doom", "forget", "close_session"]
BYTES = ["publish", "read", "size", "remove_many"]

Prepare = Callable[["Here", Engine], None]


def put(engine: Engine, source: Path, name: str) -> VersionRecord:
    """Log a tree, of which only what changed since it was last logged is read."""
    project = create.project(engine, DEMO)
    with engine.store(project.domain).session() as session:
        entries = ingest_tree(scan(source), session, cache=engine.trees)
        return log.log_version(engine, project, log.Draft(name, "data"), entries, session).version


def drop(engine: Engine, name: str) -> None:
    found = named(engine, name)
    assert found is not None
    delete.delete_version(engine, found, delete_aliases=True)


@dataclass
class Here:
    """One store after another, each in a home of its own, with its bytes there or, when there is a bucket, in that."""

    place: Path
    prepare: Prepare
    bucket: str = ""
    number: int = 0

    @property
    def root(self) -> Path:
        return self.place / f"{self.number}"

    @property
    def source(self) -> Path:
        return self.place / "source"

    def open(self) -> Engine:
        url = f"s3://{self.bucket}/{self.number}" if self.bucket else None
        return open_engine(self.root, entity="tester", clock=lambda: NOON, store=url)

    def new(self) -> Engine:
        self.number += 1
        engine = self.open()
        self.prepare(self, engine)
        return engine

    def free(self) -> bool:
        """Reclaim, packs rewritten; whether nobody was in the way."""
        engine = self.open()
        try:
            reclaim(engine, plan_reclaim(engine), empty_ok=True)
        except Unavailable:
            return False
        finally:
            engine.close()
        return True

    def relog(self) -> bool:
        """Log the unchanged tree as a version of its own."""
        engine = self.open()
        check(engine, Acknowledged({put(engine, self.source, "again").id: NEEDED}))
        engine.close()
        return True

    def forget(self) -> bool:
        """Delete the version that is being read, and reclaim."""
        engine = self.open()
        drop(engine, "kept:v0")
        engine.close()
        return self.free()


def forgotten(here: Here, engine: Engine) -> None:
    """The tree was logged, and the version deleted: nothing needs its bytes."""
    put(engine, here.source, "all")
    drop(engine, "all:v0")


def sparse(here: Here, engine: Engine) -> None:
    """A pack of which nobody needs more than the tree, which is a version."""
    put(engine, here.place / "both", "all")
    put(engine, here.source, "kept")
    drop(engine, "all:v0")


@pytest.fixture
def place(place: Path) -> Path:
    """With trees in it that are old enough to be remembered."""
    tree(place / "source", NEEDED)
    tree(place / "both", NEEDED | OTHERS)
    time.sleep(3 * statcache.TICK / 1e9)
    return place


@contextmanager
def stopped(act: Callable[[int], object], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`act` is told the number of each moment before a call to the ledger or for bytes."""
    moments = count(1)

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            act(next(moments))
            return method(*given, **named)

        return call

    with monkeypatch.context() as patch:
        for owner, names in ((SqlLedger, LEDGER), (LocalBackend, BYTES), (S3Backend, BYTES)):
            for name in names:
                patch.setattr(owner, name, watched(getattr(owner, name)))
        yield


def at_each_moment(
    here: Here, work: Callable[[Engine], Acknowledged], beside: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> list[bool]:
    """What `beside`, done in another process at one moment of `work` after the other, answered; while `work` holds the lock it is not done."""
    answers: list[bool] = []
    for at in count(1):
        engine, seen = here.new(), [0]

        def act(number: int, at: int = at, engine: Engine = engine, seen: list[int] = seen) -> None:
            seen[0] = number
            if number == at and not engine.catalog.lock._depth:
                answers.append(alone(beside))

        with stopped(act, monkeypatch):
            acknowledged = work(engine)
        if not here.bucket:  # every look at a bucket takes its time
            check(engine, acknowledged)
            cleaned(engine)
        engine.close()
        if seen[0] < at:
            return answers
    raise AssertionError


@pytest.mark.fault("G01", "G02", "G03", "G24", "I-01", "I-06", "I-07")
@pytest.mark.parametrize("prepare", [forgotten, sparse])
def test_an_unchanged_tree_is_logged_beside_a_reclaim(prepare: Prepare, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the other process reclaims, it finds a writer in its way, or he finds out what is gone: the version is whole."""
    here = Here(place, prepare)

    def relog(engine: Engine) -> Acknowledged:
        return Acknowledged({put(engine, here.source, "again").id: NEEDED})

    answers = at_each_moment(here, relog, here.free, monkeypatch)

    assert {True, False} == set(answers)
    assert 5 < len(answers)


@pytest.mark.fault("G01", "G03", "I-01", "I-06", "I-07")
def test_a_reclaim_beside_a_writer(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the other process logs the unchanged tree while packs are rewritten, its version is whole, and so is what was needed."""
    here, rewritten = Here(place, sparse), 0

    def tidy(engine: Engine) -> Acknowledged:
        nonlocal rewritten
        rewritten += reclaim(engine, plan_reclaim(engine), empty_ok=True).rewritten
        kept = named(engine, "kept:v0")
        return Acknowledged({kept.id: NEEDED} if kept else {})

    answers = at_each_moment(here, tidy, here.relog, monkeypatch)

    assert 5 < len(answers)
    assert 5 < rewritten


def look(_: Here, engine: Engine) -> dict[str, bytes]:
    """Each file by itself, after the list of segments was read."""
    version = named(engine, "kept:v0")
    assert version is not None
    return files_of(engine, version.id)


def land(here: Here, engine: Engine) -> dict[str, bytes]:
    """All of them together, in a directory."""
    version, out = named(engine, "kept:v0"), here.place / f"out{here.number}"
    assert version is not None
    try:
        read.download(engine, version, out)
    finally:
        there = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert {} == {name: data for name, data in there.items() if data != NEEDED.get(name) and not name.endswith(".partial")}
    return there


READERS = pytest.mark.parametrize("reader", [look, land])
Reader = Callable[[Here, Engine], dict[str, bytes]]


@pytest.mark.fault("G16", "I-01", "I-06")
@READERS
@pytest.mark.parametrize("is_far", [False, True], ids=["here", "far"])
def test_packs_are_rewritten_beside_a_reader(
    reader: Reader, is_far: bool, place: Path, s3: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever he thought that bytes are, and whatever he has of them near by: he gets all of them."""
    here = Here(place, sparse, s3.bucket() if is_far else "")

    def work(engine: Engine) -> Acknowledged:
        assert NEEDED == reader(here, engine)
        return Acknowledged()

    answers = at_each_moment(here, work, here.free, monkeypatch)

    assert 5 < len(answers)
    assert {True} == set(answers)


@pytest.mark.fault("G16", "I-01")
@READERS
@pytest.mark.parametrize("is_far", [False, True], ids=["here", "far"])
def test_a_version_goes_while_it_is_read(reader: Reader, is_far: bool, place: Path, s3: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds the list of its segments when it is deleted and reclaimed gets right bytes, or is told that they are gone."""
    here, outcomes = Here(place, sparse, s3.bucket() if is_far else ""), set()
    told: tuple[type[Exception], ...] = (
        (Gone,) if reader is land else (Gone, BlobMissing)
    )  # who asks for a blob by its digest is told of the blob

    def work(engine: Engine) -> Acknowledged:
        try:
            assert NEEDED == reader(here, engine)
            outcomes.add("read")
        except told:
            outcomes.add("gone")
        return Acknowledged()

    answers = at_each_moment(here, work, here.forget, monkeypatch)

    assert 3 < len(answers)
    assert {"read", "gone"} == outcomes
