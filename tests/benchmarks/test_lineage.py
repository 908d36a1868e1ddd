"""How long lineage takes: runs recorded in three ways, closures in a graph of 100,000 runs, the best of many runs."""

import random
import sqlite3
from pathlib import Path

import pytest

import lineage
from lineage.actions import create, record, search, walk
from lineage.actions.open import open_engine
from lineage.model.edge import Direction
from lineage.model.names import ProjectPath
from lineage.model.node import NodeId

pytestmark = pytest.mark.benchmark

TABLES = """
CREATE TABLE run (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE version (id INTEGER PRIMARY KEY, digest TEXT);
CREATE TABLE used (run INTEGER, version INTEGER, PRIMARY KEY (run, version)) WITHOUT ROWID;
CREATE TABLE logged (version INTEGER PRIMARY KEY, run INTEGER);
CREATE INDEX made ON logged (run, version);
CREATE INDEX used_by ON used (version, run);
"""


def raw(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(TABLES)
    return connection


def write_raw(connection: sqlite3.Connection, runs: int, together: int) -> None:
    for run in range(1, runs + 1):
        if run % together == 1 or together == 1:
            connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO run VALUES (?, ?)", (run, f"run-{run}"))
        connection.executemany("INSERT INTO used VALUES (?, ?)", [(run, version) for version in (1, 2, 3)])
        connection.execute("INSERT INTO version VALUES (?, ?)", (run + 3, f"blake3:{run:064x}"))
        connection.execute("INSERT INTO logged VALUES (?, ?)", (run + 3, run))
        if run % together == 0 or run == runs:
            connection.execute("COMMIT")


def test_recording_runs(place, table, scale, stopwatch, monkeypatch) -> None:
    """10,000 runs with three inputs and one output each: a transaction a run, batched, and as scripts write them."""
    runs = max(int(10_000 * scale), 50)
    with stopwatch() as single_limit:
        write_raw(raw(place / "single.sqlite"), runs, 1)
    with stopwatch() as batch_limit:
        write_raw(raw(place / "batch.sqlite"), runs, 1000)
    monkeypatch.setenv("LINEAGE_HOME", str(place / "home"))
    monkeypatch.setenv("LINEAGE_PROJECT", "benchmark")
    monkeypatch.setenv("LINEAGE_SILENT", "true")
    api = lineage.Api()
    inputs = api.record("seed", logged=["a", "b", "c"]).versions
    before = catalogue_size(api, place / "before.sqlite")
    with stopwatch() as single:
        for number in range(runs):
            api.record(used=inputs, logged=[f"single-{number % 50}"])
    with stopwatch() as batch:
        for at in range(0, runs, 1000):
            with api.batch():
                for number in range(at, min(at + 1000, runs)):
                    api.record(used=inputs, logged=[f"batch-{number % 50}"])
    after = catalogue_size(api, place / "after.sqlite")
    used = [_logged(f"input-{name}", name) for name in "abc"]
    with stopwatch() as scripted:
        for number in range(runs):
            with lineage.init() as run:
                for artifact in used:
                    run.use_artifact(artifact)
                _add(run, "scripted", str(number))
    durable = "raw SQLite, one durable transaction each"
    table.add("runs recorded, api.record", runs / single[0], durable, runs / single_limit[0], "/s")
    table.add(
        "runs recorded, with api.batch(), 1,000 each", runs / batch[0], "raw SQLite, 1,000 a transaction", runs / batch_limit[0], "/s"
    )
    table.add("runs scripted: init, 3 use, log, finish", runs / scripted[0], durable, runs / single_limit[0], "/s")
    table.add("bytes of catalogue a run", (after - before) / (2 * runs), "target", 600, "B")


def catalogue_size(api: lineage.Api, copy: Path) -> int:
    api.engine.catalog.backup(copy)
    return copy.stat().st_size


def _logged(name: str, content: str) -> lineage.Artifact:
    with lineage.init() as run:
        return _add(run, name, content)


def _add(run: lineage.Run, name: str, content: str) -> lineage.Artifact:
    artifact = lineage.Artifact(name, type="model")
    with artifact.new_file("content.txt") as file:
        file.write(content)
    return run.log_artifact(artifact)


def test_closures(place, table, scale, stopwatch) -> None:
    """Ancestors and descendants in a graph of 100,000 runs, three inputs each."""
    runs = max(int(100_000 * scale), 500)
    draw = random.Random(3)
    engine = open_engine(place / "home")
    project = create.project(engine, ProjectPath("benchmark"))
    made = list(record.record(engine, project, [record.Recording(logged=[f"source-{number}" for number in range(20)])])[0].versions)
    for at in range(0, runs, 1000):
        batch = []
        for number in range(at, min(at + 1000, runs)):
            low = max(0, len(made) - 2000)
            used = {made[draw.randrange(low, len(made))] for _ in range(3)}
            batch.append(record.Recording(used=sorted(used), logged=[f"stage-{number % 200}"]))
        made += [recorded.versions[0] for recorded in record.record(engine, project, batch)]
    limit = raw(place / "limit.sqlite")
    limit.execute("ATTACH ? AS ours", (str(engine.catalog.path),))
    limit.execute("INSERT INTO used SELECT DISTINCT run_id, version_id FROM ours.used")
    limit.execute("INSERT INTO logged SELECT version_id, run_id FROM ours.logged WHERE is_maker = 1")
    closure = (
        "WITH RECURSIVE reached (id) AS (SELECT ? UNION SELECT used.version FROM reached JOIN logged ON logged.version = reached.id "
        "JOIN used ON used.run = logged.run AND used.version < reached.id) SELECT count(*) FROM reached"
    )
    for name, version in (("small", made[min(1500, len(made) - 1)]), ("large", made[-1])):
        with stopwatch() as least:
            size = limit.execute(closure, (version,)).fetchone()[0] - 1
        with stopwatch() as ours:
            answer = walk.walk(engine, NodeId.artifact(version), Direction.UP)
        assert size == len(answer.versions)
        table.add(
            f"{name} closure: {size:,} ancestors of {runs:,} runs",
            ours[0] * 1000,
            "recursive query over bare tables",
            least[0] * 1000,
            "ms",
        )
    with stopwatch() as hop:
        for version in made[:1000]:
            walk.makers(engine, version)
    with stopwatch() as bare:
        for version in made[:1000]:
            limit.execute("SELECT run FROM logged WHERE version = ?", (version,)).fetchone()
    table.add("one hop", hop[0], "one indexed look-up", bare[0], "ms")


def test_best_run(place, table, scale, stopwatch) -> None:
    """The best of 10,000 runs by a metric."""
    runs = max(int(10_000 * scale), 100)
    engine = open_engine(place / "home")
    project = create.project(engine, ProjectPath("benchmark"))
    draw = random.Random(5)
    record.record(engine, project, [record.Recording(summary={"loss": draw.random(), "acc": draw.random()}) for _ in range(runs)])
    with engine.catalog.read() as connection, stopwatch() as least:
        connection.execute("SELECT run_id FROM summary WHERE key = 'loss' ORDER BY number LIMIT 1").fetchone()
    with stopwatch() as ours:
        assert search.best_of_runs(engine, ProjectPath("benchmark"), "loss", "minimize") is not None
    table.add(f"best of {runs:,} runs", ours[0] * 1000, "one look into an index", least[0] * 1000, "ms")
