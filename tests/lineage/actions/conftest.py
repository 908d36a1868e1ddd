"""A store with a clock of its own, and short ways to do what every test does."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lineage.actions import create, find, finish, history, log, read, start
from lineage.actions.open import Engine, open_engine
from lineage.model.artifact import VersionRecord
from lineage.model.metric import Row
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.model.project import ProjectRecord
from lineage.model.run import Resume, RunRecord
from storage.digest import Digest
from storage.entry import Entry, Kind

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DEMO = ProjectPath("demo")


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: dt.datetime = NOON

    def __call__(self) -> dt.datetime:
        return self.now

    def move(self, **length: float) -> None:
        self.now += dt.timedelta(**length)


@dataclass
class Shop:
    """An open store and its project `demo`."""

    root: Path
    clock: Clock = field(default_factory=Clock)
    engine: Engine = field(init=False)
    project: ProjectRecord = field(init=False)

    def __post_init__(self) -> None:
        self.engine = self.again()
        self.project = create.project(self.engine, DEMO)

    def again(self) -> Engine:
        """The same store, opened once more."""
        return open_engine(self.root, entity="ann", clock=self.clock)

    def run(self, run: str | None = None, **opening: Any) -> RunRecord:
        """A run that was just started."""
        return start.start_run(self.engine, start.Opening(DEMO, run=run, **opening)).run

    def resume(self, run: str) -> RunRecord:
        return self.run(run, resume=Resume.MUST)

    def done(
        self, run: str | None = None, rows: Sequence[Mapping[str, Any]] = (), *, summary: Mapping[str, Any] | None = None, **opening: Any
    ) -> RunRecord:
        """A run that logged these rows and finished."""
        begun = self.run(run, **opening)
        self.append(begun, *rows)
        return finish.finish_run(self.engine, begun.id, summary=summary)

    def append(self, run: RunRecord, *rows: Mapping[str, Any], engine: Engine | None = None) -> None:
        writer = history.open_history(engine or self.engine, run)
        for values in rows:
            writer.append(Row(writer.step, self.clock().timestamp() + writer.step, values))
        writer.close()

    def steps(self, run: RunRecord) -> list[int]:
        return [row.step for row in find.history(self.engine, run.id)]

    def values(self, run: RunRecord, key: str = "loss") -> list[Any]:
        return [row.values.get(key) for row in find.history(self.engine, run.id)]

    def put(
        self,
        name: str = "model",
        files: Mapping[str, bytes] | None = None,
        run: RunRecord | None = None,
        *,
        type: str = "model",  # noqa: A002  # the field's word
        project: ProjectRecord | None = None,
        **more: Any,
    ) -> log.Logged:
        """Log a version with these files."""
        place = project or self.project
        described = {key: more.pop(key) for key in ("description", "metadata", "policy", "history_step") if key in more}
        session = self.engine.store(place.domain).session()
        entries = [
            Entry.file(path, session.take_bytes(data).digest, len(data))
            for path, data in (files if files is not None else {"a": b"a"}).items()
        ]
        return log.log_version(
            self.engine, place, log.Draft(name, type, **described), entries, session, run_id=None if run is None else run.id, **more
        )

    def version(self, path: str) -> VersionRecord:
        found = ArtifactPath.parse(path)
        return find.version(self.engine, ArtifactPath(found.collection, found.selector, found.project or "demo"))

    def files(self, version: VersionRecord) -> dict[str, bytes]:
        """The content of a version, every byte read back."""
        found = {}
        for entry in read.manifest(self.engine, version):
            if entry.kind is Kind.FILE:
                found[entry.path] = b"".join(read.open_blob(self.engine, version, entry))
        return found

    def objects(self) -> int:
        """Blobs that rest in the store."""
        return sum(1 for path in (self.root / "objects").rglob("*") if path.is_file())

    def has(self, data: bytes) -> bool:
        return self.engine.store(self.project.domain).has(Digest.of(data))

    def idle(self) -> bool:
        """Is no transaction open, nothing pinned, and the catalogue consistent?"""
        with self.engine.catalog.read() as c:
            pins = c.execute("SELECT count(*) FROM pin").fetchone()[0]
        return not self.engine.catalog._connection().in_transaction and pins == 0 and not self.engine.catalog.problems()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """After every test, failed actions included, no transaction is open, no pin left, and every check passes (faults.md D08, I-26)."""
    opened = Shop(tmp_path / "home")
    yield opened
    assert opened.idle()
    opened.engine.close()


@pytest.fixture
def trace(shop: Shop) -> Callable[[], dict[str, int]]:
    """Rows per table, but for orders drawn; equal before and after means that nothing was left."""

    def look() -> dict[str, int]:
        with shop.engine.catalog.read() as c:
            names = [row[0] for row in c.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
            return {name: c.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}

    return look
