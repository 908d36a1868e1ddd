"""Whatever dies or fails at whatever moment: what was acknowledged stays, the rest is all or nothing, and nobody has to repair anything."""

import datetime as dt
import errno
import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lineage.actions import create, delete, expire, find, finish, history, log, start, update, use
from lineage.actions.open import Engine
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.model.artifact import VersionRecord
from lineage.model.errors import Error, NotFound, UsageError
from lineage.model.metric import Row
from lineage.model.names import ArtifactPath, ProjectPath, RunPath
from lineage.model.run import Resume, RunState
from storage.blob.pack import PACKED
from storage.digest import Digest
from storage.entry import Entry
from storage.errors import StorageError, StoreFull
from storage.transfer.ingest import ingest_tree
from storage.transfer.scan import scan
from tests.faults.invariants import Acknowledged, check, cleaned
from tests.faults.kill import NOON, Scene, Step, die_at, failed_everywhere, killed_everywhere, observed, work

DEMO = ProjectPath("demo")
FILES = {"a": b"alpha", "d/b": b"beta" * PACKED}
MORE = {"a": b"alpha", "c": b"gamma"}
"""Some are packed, some too large for that."""


def tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def put(
    engine: Engine, source: Path, name: str = "raw", *, run: int | None = None, aliases: Sequence[str] = (), incremental: bool = False
) -> VersionRecord:
    project = create.project(engine, DEMO)
    session = engine.store(project.domain).session()
    try:
        entries = ingest_tree(scan(source), session)
    except BaseException:
        session.close()
        raise
    draft = log.Draft(name, "data")
    return log.log_version(engine, project, draft, entries, session, run_id=run, aliases=aliases, incremental=incremental).version


def named(engine: Engine, name: str) -> VersionRecord | None:
    try:
        return find.version(engine, ArtifactPath.parse(f"demo/{name}"))
    except NotFound:
        return None


def begin(engine: Engine) -> object:
    """Start run `train`, or go on with it."""
    return start.start_run(engine, start.Opening(DEMO, "train", resume=Resume.ALLOW))


def number(engine: Engine) -> int:
    return find.run(engine, RunPath("train", "demo")).id


def end(engine: Engine) -> object:
    return finish.finish_run(engine, number(engine))


def measure(step: int) -> Step:
    """Log one row of metrics, unless the run has it."""

    def append(engine: Engine) -> None:
        if step not in [row.step for row in find.history(engine, number(engine))]:
            lines = history.open_history(engine, find.run_by_id(engine, number(engine)))
            lines.append(Row(step, 0.0, {"loss": 1.0 / (step + 1)}))
            lines.close()

    return append


class Stage:
    """Scenes in a directory: each a template store with something in it, and an operation on it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.source = tree(place / "source", FILES)
        self.other = tree(place / "other", MORE)

    def scene(
        self,
        name: str,
        prepare: Callable[[Engine], Acknowledged],
        *steps: Step,
        again: Sequence[Step] = (),
        clock: Callable[[], dt.datetime] = lambda: NOON,
    ) -> Scene:
        found = Scene(self.place / name, steps, again, clock=clock)
        engine = Scene(found.template, ()).open(found.template)
        found.acknowledged = prepare(engine)
        engine.close()
        return found

    def one(self, engine: Engine) -> Acknowledged:
        """A store with one version, `raw:v0`, aliased `best`."""
        return Acknowledged({put(engine, self.source, aliases=["best"]).id: FILES})

    def two(self, engine: Engine) -> Acknowledged:
        """… and `raw:v1`, which shares a file with it."""
        first = self.one(engine)
        return Acknowledged({**first.live, put(engine, self.other).id: MORE})

    def nothing(self, engine: Engine) -> Acknowledged:
        create.project(engine, DEMO)
        return Acknowledged()

    # ── scenes ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def new(self) -> Scene:
        return self.scene("new", self.nothing, lambda e: put(e, self.source, aliases=["best"]))

    def identical(self) -> Scene:
        return self.scene("identical", self.two, lambda e: put(e, self.source))

    def shared(self) -> Scene:
        return self.scene("shared", self.one, lambda e: put(e, self.other))

    def incremental(self) -> Scene:
        extra = tree(self.place / "extra", {"e": b"epsilon"})
        return self.scene("incremental", self.one, lambda e: put(e, extra, incremental=True))

    def run(self) -> Scene:
        """A whole run: it uses a version, logs metrics, logs a version, ends."""

        def consume(engine: Engine) -> None:
            found = named(engine, "raw:v0")
            assert found is not None
            use.use_version(engine, number(engine), found)

        steps = [begin, consume, measure(0), measure(1), lambda e: put(e, self.other, "model", run=number(e)), end]
        return self.scene("run", self.one, *steps)

    def resumed(self) -> Scene:
        """A run that ends, is taken up again by somebody else, goes on and ends."""
        return self.scene(
            "resumed", self.nothing, begin, measure(0), measure(1), end, again=[begin, measure(0), measure(1), measure(2), end]
        )

    def relogged(self) -> Scene:
        """A reclaim, after which what it took is logged again."""
        found = self.reclaim()
        return Scene(found.template, found.steps, [lambda e: put(e, self.source)], found.acknowledged)

    def expiry(self) -> Scene:
        def prepare(engine: Engine) -> Acknowledged:
            self.two(engine)
            for name in ("raw:v0", "raw:v1"):
                found = named(engine, name)
                assert found is not None
                update.update_version(engine, found, ttl=dt.timedelta(hours=1))
            kept = put(engine, self.other, "kept")
            return Acknowledged({kept.id: MORE})

        return self.scene("expiry", prepare, lambda e: expire.expire(e, expire.plan_expiry(e)), clock=lambda: NOON + dt.timedelta(days=1))

    def reclaim(self) -> Scene:
        def prepare(engine: Engine) -> Acknowledged:
            first = self.two(engine)
            found = named(engine, "raw:v0")
            assert found is not None
            delete.delete_version(engine, found, delete_aliases=True)
            return Acknowledged({order: files for order, files in first.live.items() if order != found.id}, {found.id})

        return self.scene("reclaim", prepare, lambda e: reclaim(e, plan_reclaim(e)))

    def alias(self) -> Scene:
        def move(engine: Engine) -> None:
            found = named(engine, "raw:v1")
            assert found is not None
            update.move_aliases(engine, found, add=["best", "new"])

        return self.scene("alias", self.two, move)

    def delete(self) -> Scene:
        def remove(engine: Engine) -> None:
            found = named(engine, "raw:v0")
            assert found is not None
            if found.is_live:
                delete.delete_version(engine, found, delete_aliases=True)

        def prepare(engine: Engine) -> Acknowledged:
            self.one(engine)
            return Acknowledged({put(engine, self.other).id: MORE})

        return self.scene("delete", prepare, remove)

    def creation(self) -> Scene:
        """A store where there was none: its format file, its catalogue, its tables."""
        return Scene(self.place / "absent", [lambda e: create.project(e, DEMO)])


SCENES = ["new", "identical", "shared", "incremental", "run", "expiry", "reclaim", "alias", "delete", "creation", "resumed", "relogged"]
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
    for shift, number in enumerate(numbers):
        failed_everywhere(scene, stage.place / "home", refusing(number), TYPED, places=slice(shift, None, len(numbers)))

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
