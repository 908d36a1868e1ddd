"""Stores with something in them, and what is done to them: the scenes that are killed, failed, cut off from power and looked at afterwards."""

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from lineage.actions import create, delete, expire, find, finish, history, link, log, record, start, update, use
from lineage.actions.open import Engine
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.model.artifact import VersionRecord
from lineage.model.errors import Conflict, NotFound
from lineage.model.metric import Row
from lineage.model.names import ArtifactPath, ProjectPath, RunPath
from lineage.model.run import Resume
from storage.digest import Digest
from storage.transfer.ingest import ingest_tree
from storage.transfer.scan import scan
from tests.faults.invariants import Acknowledged
from tests.faults.kill import NOON, Scene, Step

DEMO = ProjectPath("demo")
PACKED = 1000
"""Larger files are not packed: `conftest` draws the border here, for every byte is read some ten times at each of a thousand places."""
LONG = 40
"""Files, or rows, where there are many: each costs a few effects."""

FILES = {"a": b"alpha", "d/b": b"beta" * (PACKED // 4 + 1)}
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
        self.large = FILES["d/b"]

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

    def wide(self) -> Scene:
        """Many files, each too large to be packed."""
        files = {f"{at % 4}/{at}": b"%d" % at + FILES["d/b"] for at in range(LONG // 3)}
        return self.scene("wide", self.nothing, lambda e: put(e, tree(self.place / "files", files)))

    def steps(self) -> Scene:
        """A long history, opened anew for each row, then sealed."""
        return self.scene("steps", self.nothing, begin, *map(measure, range(LONG // 2)), end)

    def linked(self) -> Scene:
        """A version is linked elsewhere, used through that link and by name, unlinked, and the run that used it deleted."""

        def join(engine: Engine) -> None:
            found = named(engine, "raw:v0")
            assert found is not None
            link.link_version(engine, found, ArtifactPath.parse("demo/other"), ["chosen"])

        def consume(engine: Engine) -> None:
            found = named(engine, "raw:v0")
            assert found is not None
            use.use_version(engine, number(engine), found, role="input")

        def part(engine: Engine) -> None:
            found = named(engine, "other:chosen")
            if found is not None:
                link.unlink_version(engine, found)

        again = [begin, join, consume, part, end]
        return self.scene("linked", self.one, begin, join, consume, part, end, again=again)

    def recorded(self) -> Scene:
        """Whole runs in one transaction."""

        def record_two(engine: Engine) -> None:
            project = create.project(engine, DEMO)
            outputs = [record.Output("model", digest=str(Digest.of(b"model")))]
            runs = [record.Recording(run=name, used=["raw:v0"], logged=outputs) for name in ("one", "two")]
            with suppress(Conflict):  # they are there
                record.record(engine, project, runs)

        return self.scene("recorded", self.one, record_two)

    def creation(self) -> Scene:
        """A store where there was none: its format file, its catalogue, its tables."""
        return Scene(self.place / "absent", [lambda e: create.project(e, DEMO)])


SCENES = ["new", "identical", "shared", "incremental", "run", "expiry", "reclaim", "alias", "delete", "creation", "resumed", "relogged"]
SCENES += ["linked", "recorded"]
LENGTHY = ["wide", "steps"]
"""Scenes with hundreds of effects that are much alike."""
