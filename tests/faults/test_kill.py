"""Whatever dies or fails at whatever moment: what was acknowledged stays, the rest is all or nothing, and nobody has to repair anything."""

import errno
import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from lineage.actions import create, find, log, read, verify
from lineage.actions.open import Engine
from lineage.model.errors import Error, UsageError
from lineage.model.run import RunState
from storage.digest import Digest
from storage.entry import Entry
from storage.errors import StorageError, StoreFull
from tests.faults.invariants import Acknowledged, check, cleaned
from tests.faults.kill import Failure, Scene, counted, die_at, failed_everywhere, killed_everywhere, observed, places, work
from tests.faults.scene import DEMO, FILES, LENGTHY, LONG, PACKED, SCENES, Stage, begin, end, measure, named, number, put, tree

scenes = pytest.mark.parametrize("name", SCENES)


@pytest.fixture
def stage(place: Path) -> Stage:
    return Stage(place)


@pytest.mark.fault("S01", "S10", "G09", "G14", "G22", "G29", "D11", "I-01", "I-02", "I-03", "I-04", "I-05", "I-06", "I-09", "I-10", "I-11")
@pytest.mark.parametrize("name", SCENES + LENGTHY)
def test_killed_at_every_effect(name: str, stage: Stage) -> None:
    """A process that dies anywhere leaves a store that opens, holds what was acknowledged, shows nothing half, and takes the same command again."""
    assert 2 <= killed_everywhere(getattr(stage, name)(), stage.place / "home")


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


CHECKOUTS = ["fresh", "over another version", "exact"]


def landing(stage: Stage, how: str) -> tuple[Scene, Callable[[Engine, Path], object], dict[str, bytes]]:
    """A store with a version of many files, a checkout of it, and what stands there afterwards."""
    files = {f"{at % 5}/{at}": b"%d" % at + FILES["d/b"] * (at % 2) for at in range(LONG)}
    scene = stage.scene("landing", lambda e: Acknowledged({put(e, tree(stage.place / "files", files)).id: files}))
    before = {} if how == "fresh" else {"0/0": b"older", "1/extra": b"mine"}
    kept = {} if how == "exact" else {name: data for name, data in before.items() if name not in files}

    def land(engine: Engine, out: Path) -> None:
        found = named(engine, "raw:v0")
        assert found is not None
        read.download(engine, found, out, exact=how == "exact")

    tree(stage.place / "before", before).mkdir(exist_ok=True)
    return scene, land, files | kept


@pytest.mark.fault("S01", "E05", "I-05", "I-25")
@pytest.mark.parametrize("how", CHECKOUTS)
def test_a_checkout_killed_at_every_effect(how: str, stage: Stage) -> None:
    """What stands at a name is whole, old or new; the same command again makes the tree right, and leaves nothing of the dead one's."""
    scene, land, wanted = landing(stage, how)
    root, out = scene.copy(stage.place / "home"), stage.place / "out"
    older = contents(stage.place / "before")
    engine = scene.open(root)
    k, is_done = 0, False
    while not is_done:
        k += 1
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(stage.place / "before", out)
        is_done, _ = die_at(k, lambda _: land(scene.open(root), out), root)
        seen = contents(out)
        half = [name for name, data in seen.items() if not name.endswith(".partial") and data not in (wanted.get(name), older.get(name))]
        assert ([], k) == (half, k)
        land(engine, out)
        assert wanted == contents(out)
    check(engine, scene.acknowledged)
    engine.close()


@pytest.mark.fault("S01", "H15", "I-31")
def test_a_verification_killed_at_every_effect(stage: Stage) -> None:
    """While rot is put aside nothing that rots is ever deleted: it is where it was, or in quarantine, whole, and the next one finds it all."""
    scene = stage.scene("rotten", lambda e: Acknowledged({put(e, stage.source).id: FILES}))
    rotten = {path: path.read_bytes()[:-1] + b"?" for path in (scene.template / "objects").rglob("*") if path.is_file()}
    for path, data in rotten.items():
        path.chmod(0o644)
        path.write_bytes(data)
    k, is_done = 0, False
    while not is_done:
        k += 1
        root = scene.copy(stage.place / "home")
        is_done, _ = die_at(k, lambda _, root=root: verify.verify(scene.open(root)), root)  # type: ignore[misc]
        kept = {path.read_bytes() for path in root.rglob("*") if path.is_file()}
        assert set(rotten.values()) <= kept
        engine = scene.open(root)
        found = verify.verify(engine).store
        assert len(found.missing) + len(found.corrupt) > 0
        engine.close()
    assert 5 < k


@pytest.mark.fault("S01")
def test_what_is_killed_packs_some_files_and_not_others(stage: Stage) -> None:
    """The scenes' files are small, and yet of both kinds: what one place costs depends on it, what is tried there must not."""
    scene = stage.shared()
    engine = scene.open(scene.template)
    alone = {row.blob.digest for row in engine.ledger.records() if row.pack is None}
    engine.close()
    assert (True, False) == (Digest.of(FILES["d/b"]) in alone, Digest.of(FILES["a"]) in alone)


@pytest.mark.fault("S01")
def test_how_many_places_there_are_to_kill_at(stage: Stage) -> None:
    """A thousand at least are tried in this file: as many as its operations have effects."""
    found = 0
    for name in SCENES + LENGTHY:
        scene = getattr(Stage(stage.place / f"for {name}"), name)()
        found += places(scene, stage.place / "home")
    for how in CHECKOUTS:
        scene, land, _ = landing(Stage(stage.place / f"for {how}"), how)
        engine = scene.open(scene.copy(stage.place / "home"))
        with counted() as effects:
            land(engine, stage.place / "for" / how)
        engine.close()
        found += len(effects)

    assert 1000 <= found


TYPED = (StorageError, Error)
SQL = {
    errno.ENOSPC: "database or disk is full",
    errno.EIO: "disk I/O error",
    errno.EMFILE: "unable to open database file",
    errno.EDQUOT: "database or disk is full",
    errno.EROFS: "attempt to write a readonly database",
    errno.EACCES: "unable to open database file",
    errno.EINTR: "disk I/O error",
    errno.ESTALE: "disk I/O error",
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


@pytest.mark.fault("S03", "S04", "S05", "S06", "S07", "F18", "I-04", "I-05", "I-09", "I-10", "I-24")
@scenes
def test_failing_at_every_effect(name: str, stage: Stage) -> None:
    """Whatever effect fails once, the error is typed, the store is sound, the next try succeeds, and the user's files are as they were."""
    scene, numbers = getattr(stage, name)(), list(SQL)
    before = seen_of(stage.source), seen_of(stage.other)
    for shift, error in enumerate(numbers):
        failed_everywhere(scene, stage.place / "home", refusing(error), TYPED, places=slice(shift, None, len(numbers)))

    assert before == (seen_of(stage.source), seen_of(stage.other))


@pytest.mark.soak
@pytest.mark.fault("S03", "S04", "S05", "S06", "S07", "F18", "I-04", "I-05", "I-09", "I-10")
@scenes
@pytest.mark.parametrize("error", list(SQL), ids=[errno.errorcode[error] for error in SQL])
@pytest.mark.parametrize("forever", [False, True])
def test_failing_at_every_effect_with_every_error(name: str, error: int, *, forever: bool, stage: Stage) -> None:
    """The same with each error at each effect, once and from there on."""
    failed_everywhere(getattr(stage, name)(), stage.place / "home", refusing(error, forever=forever), TYPED)


@pytest.mark.fault("S04", "S06", "S07", "E05", "I-05", "I-24")
@pytest.mark.parametrize("forever", [False, True], ids=["once", "from then on"])
def test_a_checkout_that_fails_at_every_effect(stage: Stage, *, forever: bool) -> None:
    """Whatever effect of a download fails, the error is typed, no part of a file is seen, and the next try makes the tree right."""
    scene, land, wanted = landing(stage, "fresh")
    engine, out = scene.open(scene.copy(stage.place / "home")), stage.place / "out"
    with counted() as effects:
        land(engine, out)
    for k in range(1, len(effects) + 1):
        shutil.rmtree(out, ignore_errors=True)
        _land_failing(lambda: land(engine, out), k, refusing(list(SQL)[k % len(SQL)], forever=forever))
        there = contents(out)
        assert [] == [name for name, data in there.items() if data != wanted.get(name) and not name.endswith(".partial")]
        land(engine, out)
        assert wanted == contents(out)
    assert len(wanted) < len(effects)
    check(engine, scene.acknowledged)
    engine.close()


def _land_failing(land: Callable[[], object], k: int, failure: Failure) -> None:
    def act(number: int, effect: str) -> None:
        if (error := failure(number - k, effect)) is not None:
            raise error

    with suppress(*TYPED), observed(act):
        land()


@pytest.mark.fault("S04")
def test_how_many_effects_fail(stage: Stage) -> None:
    """Two hundred at least in every run."""
    assert 200 <= sum(places(getattr(Stage(stage.place / name), name)(), stage.place / "home") for name in SCENES)


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
        is_done, _ = die_at(k, lambda tell: work(scene, root, tell), root)
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
