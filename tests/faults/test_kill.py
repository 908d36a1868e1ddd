"""Whatever dies or fails at whatever moment: what was acknowledged stays, the rest is all or nothing, and nobody has to repair anything."""

import errno
import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from lineage.actions import create, find, log
from lineage.model.errors import Error, UsageError
from lineage.model.run import RunState
from storage.blob.pack import PACKED
from storage.digest import Digest
from storage.entry import Entry
from storage.errors import StorageError, StoreFull
from tests.faults.invariants import Acknowledged, check, cleaned
from tests.faults.kill import Scene, die_at, failed_everywhere, killed_everywhere, observed, work
from tests.faults.scene import DEMO, SCENES, Stage, begin, end, measure, number, put, tree

scenes = pytest.mark.parametrize("name", SCENES)


@pytest.fixture
def stage(place: Path) -> Stage:
    return Stage(place)


@pytest.mark.fault("S01", "S10", "G09", "G14", "G22", "G29", "D11", "I-01", "I-02", "I-03", "I-04", "I-05", "I-06", "I-09", "I-10", "I-11")
@scenes
def test_killed_at_every_effect(name: str, stage: Stage) -> None:
    """A process that dies anywhere leaves a store that opens, holds what was acknowledged, shows nothing half, and takes the same command again."""
    assert 2 <= killed_everywhere(getattr(stage, name)(), stage.place / "home")


TYPED = (StorageError, Error)
SQL = {
    errno.ENOSPC: "database or disk is full",
    errno.EIO: "disk I/O error",
    errno.EMFILE: "unable to open database file",
}
"""What SQLite says when the system says that."""


def refusing(number: int, *, forever: bool = False) -> Callable[[int, str], Exception | None]:
    """A failure of effect 0, or of all from there on but clean-up."""

    def failure(distance: int, what: str) -> Exception | None:
        if distance < 0 or (distance > 0 and not forever) or what == "sql committed":
            return None
        if what.startswith("sql"):
            return sqlite3.OperationalError(SQL[number])
        return None if forever and what.startswith(("unlink", "rmdir")) else OSError(number, "injected", what)

    return failure


def seen_of(root: Path) -> dict[str, tuple[object, ...]]:
    """What can be seen of every file below a directory: equal before and after means that nobody touched it."""
    seen: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        about = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        seen[str(path)] = (about.st_ino, about.st_mode, about.st_nlink, about.st_size, about.st_mtime_ns, about.st_ctime_ns, content)
    return seen


@pytest.mark.fault("S03", "S04", "S05", "S07", "I-04", "I-05", "I-09", "I-10", "I-24")
@scenes
def test_failing_at_every_effect(name: str, stage: Stage) -> None:
    """Whatever effect fails once, the error is typed, the store is sound, the next try succeeds, and the user's files are as they were."""
    scene, numbers = getattr(stage, name)(), list(SQL)
    before = seen_of(stage.source), seen_of(stage.other)
    for shift, error in enumerate(numbers):
        failed_everywhere(scene, stage.place / "home", refusing(error), TYPED, places=slice(shift, None, len(numbers)))

    assert before == (seen_of(stage.source), seen_of(stage.other))


@pytest.mark.fault("S04", "S05", "I-04", "I-05", "I-24")
@pytest.mark.parametrize("name", ["shared", "run", "reclaim"])
def test_a_disk_that_stays_full(name: str, stage: Stage) -> None:
    """From whatever effect on the disk is full, nothing is half; once there is space the same process goes on as if nothing had been."""
    failed_everywhere(getattr(stage, name)(), stage.place / "home", refusing(errno.ENOSPC, forever=True), TYPED)


REFUSED = b"refused" * (PACKED // 5)
"""Too large to be packed: it is written when it is taken."""


@pytest.mark.fault("S04", "I-01", "I-04", "I-10")
def test_going_on_after_a_refused_file(stage: Stage) -> None:
    """A caller who gives up on one file and logs the others gets those; the one that was refused does not exist, and can be logged later."""
    engine = Scene(stage.place / "home", ()).open(stage.place / "home")
    project = create.project(engine, DEMO)
    with engine.store(project.domain).session() as session:
        with observed(lambda _, effect: _refuse(effect)), pytest.raises(StoreFull):
            session.take_bytes(REFUSED)
        assert {Digest.of(REFUSED)} == session.lost
        taken = Entry.file("a", session.take_bytes(b"taken").digest, 5)
        first = log.log_version(engine, project, log.Draft("raw", "data"), [taken], session).version
    check(engine, Acknowledged({first.id: {"a": b"taken"}}))

    with engine.store(project.domain).session() as session:
        with observed(lambda _, effect: _refuse(effect)), pytest.raises(StoreFull):
            session.take_bytes(REFUSED)
        claimed = Entry.file("b", Digest.of(REFUSED), len(REFUSED))
        with pytest.raises(UsageError, match="refused when they came"):
            log.log_version(engine, project, log.Draft("raw", "data"), [claimed], session)
    check(engine)

    second = put(engine, tree(stage.place / "later", {"b": REFUSED}))
    check(engine, Acknowledged({first.id: {"a": b"taken"}, second.id: {"b": REFUSED}}))
    cleaned(engine)
    engine.close()


def _refuse(effect: str) -> None:
    if effect.startswith("write"):
        raise OSError(errno.ENOSPC, "injected", effect)


@pytest.mark.fault("S10", "I-05")
def test_the_next_writer_sweeps(stage: Stage) -> None:
    """What a killed writer had staged is gone as soon as somebody else writes; nobody has to reclaim for it."""
    scene = stage.shared()
    root = scene.copy(stage.place / "home")
    staged = 0
    for k in range(3, 20):
        scene.copy(root)
        is_done, _ = die_at(k, lambda tell: work(scene, root, tell))
        engine = scene.open(root)
        staged += any(path.is_file() for path in (root / "staging").rglob("*"))
        put(engine, stage.source, "other")
        assert ([], False) == (list((root / "staging").rglob("*")), is_done)
        assert [] == engine.ledger.open_sessions() + engine.ledger.dead_sessions()
        engine.close()
    assert 3 < staged


@pytest.mark.fault("G14", "G29", "I-09")
def test_a_journal_that_would_not_go(stage: Stage) -> None:
    """When the journal of a sealed run cannot be removed the run has ended all the same, no row is there twice, and reclaim removes it."""
    engine = Scene(stage.place / "home", ()).open(stage.place / "home")
    for step in (begin, measure(0), measure(1)):
        step(engine)
    with observed(lambda _, effect: _keep(effect)):
        end(engine)
    journal = engine.journal(number(engine))

    assert (True, RunState.FINISHED) == (journal.exists(), find.run_by_id(engine, number(engine)).state)
    assert [0, 1] == [row.step for row in find.history(engine, number(engine))]
    cleaned(engine)
    assert not journal.exists()
    assert [0, 1] == [row.step for row in find.history(engine, number(engine))]
    engine.close()


def _keep(effect: str) -> None:
    if effect.startswith("unlink") and effect.endswith(".jsonl"):
        raise OSError(errno.EIO, "injected", effect)
