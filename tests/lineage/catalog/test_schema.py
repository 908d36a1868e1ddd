"""The tables: as drawn, migrated whole or not at all, and asked through the indexes made for the question."""

import os
import re
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version as installed
from pathlib import Path

import pytest
from sqlite_utils import Database

from lineage.actions import create, find, record, walk
from lineage.actions.open import Engine, open_engine
from lineage.catalog import collection, edge, metric, schema, version
from lineage.catalog import open as room
from lineage.catalog.open import Catalog, Connection
from lineage.model.edge import Direction
from lineage.model.errors import CatalogUnsupported
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.model.node import NodeId
from lineage.model.project import ProjectRecord
from storage import layout
from tests.faults.child import together


def tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_%' ESCAPE '\\'"
    )
    return {row[0] for row in rows}


def test_the_drawing_is_the_schema(catalog: Catalog) -> None:
    """Every table is in the drawing of `schema.py`, and the drawing names nothing that is no table."""
    drawing = [line for line in (schema.__doc__ or "").splitlines() if line.startswith("    ")]
    drawn = set(re.findall(r"[a-z_]{2,}", re.sub(r"\(.*?\)", "", "\n".join(drawing))))
    with catalog.read() as c:
        assert tables(c) == drawn


def test_every_table_is_strict(catalog: Catalog) -> None:
    """No column takes a value of another type."""
    with catalog.read() as c:
        loose = [
            row["name"]
            for row in c.execute("PRAGMA table_list")
            if row["type"] == "table" and not row["strict"] and row["schema"] == "main"
        ]
    assert {"sqlite_schema", "_sqlite_migrations"} >= set(loose)


NEXT = 2


@pytest.fixture
def made(root: Path) -> Path:
    """A catalogue made by the release before."""
    catalog = Catalog(root)
    with catalog.tx() as c:
        c.execute("INSERT INTO entity (name, kind, created_at) VALUES ('ann', 'user', 1)")
    catalog.close()
    return root


@pytest.fixture
def old(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That catalogue, in the hands of a release with one more migration: a new table, a filled column, and a moment in the middle."""

    def m002_next(db: Database) -> None:
        db.conn.execute("CREATE TABLE invention (id INTEGER PRIMARY KEY) STRICT")
        room._tell("middle")
        db.conn.execute("ALTER TABLE entity ADD COLUMN shout TEXT")
        db.conn.execute("UPDATE entity SET shout = upper(name)")

    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, m002_next))
    monkeypatch.setattr(schema, "VERSION", NEXT)
    return made


def migrated(root: Path) -> tuple[int, str, bool]:
    catalog = Catalog(root)
    with catalog.read() as c:
        found = schema.version(c), c.execute("SELECT shout FROM entity").fetchone()[0], "invention" in tables(c)
    assert [] == catalog.problems()
    catalog.close()
    return found


DONE = (NEXT, "ANN", True)


@pytest.mark.fault("D11")
def test_a_migration_keeps_a_backup(old: Path) -> None:
    """The new release opens the old catalogue, migrated, beside a backup of it as it was; opened again nothing happens."""
    assert DONE == migrated(old) == migrated(old)
    backup = sqlite3.connect(old / f"catalog.before-{NEXT}.sqlite")
    assert (1, [("ann",)]) == (schema.version(backup), backup.execute("SELECT name FROM entity").fetchall())
    assert "invention" not in tables(backup)
    backup.close()
    assert {layout.CATALOG, layout.LOCK, f"catalog.before-{NEXT}.sqlite"} >= {path.name for path in old.iterdir()}


@pytest.mark.fault("D11")
@pytest.mark.parametrize("moment", ["begin", "middle", "commit", "committed"])
def test_a_migration_killed_anywhere(old: Path, moment: str) -> None:
    """Killed at any step, a migration happened whole or not at all, and the next opening finishes it."""
    pid = os.fork()
    if pid == 0:
        room.observe = lambda effect: os._exit(9) if effect == moment else None
        Catalog(old)
        os._exit(0)
    assert 9 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    between = sqlite3.connect(old / layout.CATALOG)
    assert (NEXT, True) if moment == "committed" else (1, False) == (schema.version(between), "invention" in tables(between))
    between.close()
    assert DONE == migrated(old)


@pytest.mark.fault("D11")
def test_a_migration_that_fails(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that raises leaves the catalogue as it was; done again it succeeds."""
    with monkeypatch.context() as patch:
        patch.setattr(room, "observe", lambda effect: (_ for _ in ()).throw(OSError("injected")) if effect == "middle" else None)
        with pytest.raises(OSError, match="injected"):
            Catalog(old)
    left = sqlite3.connect(old / layout.CATALOG)
    assert (1, False) == (schema.version(left), "invention" in tables(left))
    left.close()
    assert DONE == migrated(old)


@pytest.mark.fault("D11", "D10")
def test_four_processes_migrate_at_once(old: Path) -> None:
    """Of four processes that open the old catalogue together one migrates it and all can use it."""
    assert [DONE] * 4 == together(4, lambda _: migrated(old))


@pytest.mark.fault("D10")
def test_four_processes_make_one_catalogue(root: Path) -> None:
    """Of four processes that open an empty directory together one makes the tables and all can use them."""

    def open_and_count(_: int) -> int:
        catalog = Catalog(root)
        with catalog.read() as c:
            found = len(tables(c))
        catalog.close()
        return found

    assert 1 == len(set(together(4, open_and_count)))


@pytest.mark.fault("S17", "S06")
def test_an_old_catalogue_that_cannot_be_migrated(old: Path) -> None:
    """Where nothing can be written an old schema is refused, not half understood."""
    with pytest.raises(CatalogUnsupported, match=r"schema 1.*can be written"):
        Catalog(old, read_only=True)


MANY = 10_000


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, ProjectRecord]]:
    """Ten thousand runs in a chain, with a metric each, half of them logging into one collection."""
    engine = open_engine(tmp_path_factory.mktemp("full") / "home", entity="ann")
    demo = create.project(engine, ProjectPath("demo"))
    for start in range(0, MANY, 5_000):
        batch = []
        for number in range(start, start + 5_000):
            name = "one" if number % 2 else f"other{number % 100}"
            batch.append(
                record.Recording(f"r{number}", used=[number] if number > start else [], logged=[name], summary={"loss": number % 977})
            )
        record.record(engine, demo, batch)
    yield engine, demo
    engine.close()


def plan(c: Connection, text: str, values: tuple[object, ...]) -> list[str]:
    return [row["detail"] for row in c.execute(f"EXPLAIN QUERY PLAN {text}", values)]


_UP, _DOWN = edge._CLOSURES["artifact", Direction.UP], edge._CLOSURES["artifact", Direction.DOWN]
QUESTIONS: dict[str, tuple[str, tuple[object, ...], list[str]]] = {
    "best run": (metric._BEST.format(scope="run.project_id", way="DESC"), ("loss", 1), ["summary_number"]),
    "best run, least": (metric._BEST.format(scope="run.sweep_id", way="ASC"), ("loss", 1), ["summary_number"]),
    "closure up": (_UP, (9_000,), ["maker", "used"]),
    "closure down": (_DOWN, (10,), ["used_by", "run_id=?"]),
    "run's closure up": (edge._CLOSURES["run", Direction.UP], (9,), ["maker"]),
    "run's closure down": (edge._CLOSURES["run", Direction.DOWN], (9,), ["run_id=?", "used_by"]),
    "one hop, makers": (edge._MADE.format(column="version_id", marks="?, ?"), (1, 2), ["maker"]),
    "one hop, made": (edge._MADE.format(column="run_id", marks="?, ?"), (1, 2), ["run_id=?"]),
    "one hop, uses": (edge._USED.format(column="version_id", marks="?, ?"), (1, 2), ["used_by"]),
    "one hop, inputs": (edge._USED.format(column="run_id", marks="?, ?"), (1, 2), ["PRIMARY KEY"]),
    "version by order": (version._SELECT + "WHERE member.version_id = ? AND member.is_link = 0", (5,), ["PRIMARY KEY"]),
    "version by number": (
        version._SELECT + "WHERE member.collection_id = ? AND member.number = ?",
        (1, 3),
        ["collection_id=? AND number=?"],
    ),
    "latest": (f"SELECT {version._LATEST.format(collection='?')}", (1, 1), ["version_logged", "link_logged"]),
    "alias": ("SELECT version_id FROM alias WHERE collection_id = ? AND name = ?", (1, "x"), ["PRIMARY KEY"]),
    "same content": (
        "SELECT id FROM version WHERE collection_id = ? AND digest = ? AND state = 'live'",
        (1, "x"),
        ["version_digest"],
    ),
    "collection by name": (
        collection._SELECT + "WHERE collection.project_id = ? AND collection.name = ? AND deleted_at IS NULL",
        (1, "one"),
        ["project_id=? AND name=?", "version_logged"],
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_use_their_indexes(full: tuple[Engine, ProjectRecord], question: str) -> None:
    """With ten thousand rows, and no statistics, every hot question is answered through its index and no table is read through."""
    text, values, wanted = QUESTIONS[question]
    with full[0].catalog.read() as c:
        steps = plan(c, text, values)
    assert [] == [step for step in steps if re.match(r"SCAN (version|used|logged|summary|run|link|member|alias|collection)\b", step)], steps
    assert [] == [index for index in wanted if not any(index in step for step in steps)], steps
    assert [] == [step for step in steps if "AUTOMATIC" in step], steps


def steps_of(engine: Engine, work: object) -> int:
    """How many thousands of steps SQLite's machine takes for some work."""
    connection = engine.catalog._connection()
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    connection.set_progress_handler(tick, 1_000)
    try:
        work()  # type: ignore[operator]  # any callable
    finally:
        connection.set_progress_handler(None, 0)
    return count


def test_small_questions_stay_small(full: tuple[Engine, ProjectRecord]) -> None:
    """One hop, one version, the latest and the best run cost the same in a large store as in a small one; a list costs what it lists."""
    engine = full[0]
    demo = ProjectPath("demo")
    assert 20 >= steps_of(engine, lambda: walk.walk(engine, NodeId.artifact(9_000), Direction.UP, depth=1))
    assert 20 >= steps_of(engine, lambda: find.version_by_id(engine, 77))
    assert 150 >= steps_of(engine, lambda: find.version(engine, ArtifactPath("one", "v40", "demo")))
    assert 20 >= steps_of(engine, lambda: find.links(engine, 7))
    assert 20 >= steps_of(engine, lambda: find.runs(engine, demo, limit=10))
    assert 2_000 >= steps_of(engine, lambda: find.versions(engine, ArtifactPath("one", None, "demo")))
    assert MANY // 2 == len(find.versions(engine, ArtifactPath("one", None, "demo")))


@pytest.mark.fault("D08")
def test_sqlite_utils_is_new_enough() -> None:
    """The library is of a release that leaves no transaction open behind a failed write."""
    assert (4, 2, 1) <= tuple(int(part) for part in installed("sqlite-utils").split(".")[:3])
