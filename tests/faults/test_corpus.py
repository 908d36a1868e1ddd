"""Every bad name and value through every entrance of the actions: refused with a typed error, and nothing whatever is left of it.

An entrance is a way in, given something bad; `before` and `after` are every row of every table and every file of the store.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lineage.actions import create, delete, find, finish, history, link, log, read, record, search, start, update, use
from lineage.actions.open import Engine, open_engine
from lineage.model.artifact import VersionRecord
from lineage.model.errors import Error, UsageError
from lineage.model.metric import Row, flat
from lineage.model.names import ArtifactPath, ProjectPath, RunPath
from lineage.model.project import ProjectRecord
from lineage.model.retention import Policy
from lineage.model.run import Resume
from storage.blob.session import Session
from storage.digest import Digest
from storage.entry import Entry, Kind
from storage.errors import Refused, StorageError
from storage.manifest import build, encode_segment
from storage.transfer.ingest import ingest_file, ingest_tree
from storage.transfer.scan import scan
from tests.faults.corpus import BAD, DIGESTS, DOCUMENTS, FILTERS, METRICS, NAMES, ODD, ORDERS, TOGETHER
from tests.faults.invariants import check, dump, listing

DEMO = ProjectPath("demo")
DIGEST = Digest.of(b"x")
Entrance = Callable[["World", Any], object]


@dataclass
class World:
    """A store with one of everything, which stays as it is."""

    engine: Engine
    project: ProjectRecord
    version: VersionRecord
    linked: VersionRecord
    run: int
    good: Path

    def session(self) -> Session:
        return self.engine.store(self.project.domain).session()

    def log(
        self, entries: Sequence[Entry] | None = None, draft: log.Draft | None = None, data: bytes = b"other", **more: Any
    ) -> log.Logged:
        session = self.session()
        taken = [Entry.file("new", session.take_bytes(data).digest, len(data))] if entries is None else entries
        return log.log_version(self.engine, self.project, draft or log.Draft("raw", "data"), taken, session, **more)

    def record(self, **what: Any) -> object:
        return record.record(self.engine, self.project, [record.Recording("fine", logged=["fine"]), record.Recording(**what)])

    def start(self, **what: Any) -> object:
        return start.start_run(self.engine, start.Opening(**{"project": DEMO, **what}))

    def append(self, row: Row) -> None:
        lines = history.open_history(self.engine, find.run_by_id(self.engine, self.run))
        try:
            lines.append(row)
        finally:
            lines.close()

    def refuses(self, entrance: Entrance, rows: Sequence[tuple[str, str, object]]) -> None:
        """Every one of `rows` is refused, and the store is as it was; all that are not are listed."""
        before = self.state()
        wrong = []
        for row, what, bad in rows:
            try:
                entrance(self, bad)
            except (Error, StorageError) as error:
                str(error).encode()  # a message that cannot be printed helps nobody
            except BaseException as error:  # it is listed
                wrong.append(f"{row} {what}: {type(error).__name__}: {str(error)[:200]!r}")
            else:
                wrong.append(f"{row} {what}: let in")
            if before != self.state():
                wrong.append(f"{row} {what}: left a trace")
                before = self.state()
        assert [] == wrong

    def state(self) -> object:
        return dump(self.engine), listing(self.engine.home.root)


@pytest.fixture
def world(place: Path) -> Iterator[World]:
    (place / "good").write_bytes(b"good")
    engine = open_engine(place / "home", entity="me")
    project = create.project(engine, DEMO)
    run = start.start_run(engine, start.Opening(DEMO, "train")).run.id
    made = World(engine, project, None, None, run, place / "good")  # type: ignore[arg-type]  # the versions follow
    made.version = made.log(data=b"new", run_id=run, aliases=["best"]).version
    made.linked = link.link_version(engine, made.version, ArtifactPath("shelf", None, "demo"))
    yield made
    check(engine)
    engine.close()


def unsafe(name: Any, kind: Kind = Kind.FILE, target: str | None = None) -> Entry:
    """An entry nobody checked."""
    return Entry(name, kind, DIGEST if kind is Kind.FILE else None, 1 if kind is Kind.FILE else None, target=target)


def forge(_: World, name: str) -> object:
    """Read a version whose manifest holds the name: it was written by hand, digests and all."""
    entry = unsafe(name)
    segment = encode_segment([entry])
    manifest = build([Entry.file("a", DIGEST, 1)]).manifest
    forged = type(manifest)((type(manifest.segments[0])(Digest.of(segment), 1, 1),), lambda _: segment, manifest.algorithm)
    return list(forged)


PATHS: dict[str, Entrance] = {
    "log": lambda w, bad: w.log([unsafe(bad)]),
    "log a link": lambda w, bad: w.log([unsafe("a", Kind.LINK, bad)]),
    "log a directory": lambda w, bad: w.log([unsafe(bad, Kind.DIRECTORY)]),
    "log incrementally": lambda w, bad: w.log([unsafe(bad)], incremental=True),
    "log beside good ones": lambda w, bad: w.log([Entry.directory("good"), unsafe(bad)]),
    "take a file in": lambda w, bad: _closing(w, lambda session: ingest_file(w.good, bad, session)),
}


def _closing(world: World, work: Callable[[Session], object]) -> object:
    with world.session() as session:
        return work(session)


@pytest.mark.fault("N01", "N02", "N03", "N04", "N07", "N08", "N09", "N15", "N16", "N20", "I-26")
@pytest.mark.parametrize("entrance", PATHS)
def test_entry_paths(entrance: str, world: World) -> None:
    """No bad entry path gets into a version."""
    world.refuses(PATHS[entrance], BAD)


@pytest.mark.fault("N01", "N07", "I-26")
def test_entry_paths_in_bytes_made_by_hand(world: World) -> None:
    """Nor is one read out of a manifest that was written by hand."""
    encodable = [row for row in BAD if row[2].isprintable() or row[2].isascii()]
    world.refuses(forge, encodable)


@pytest.mark.fault("N10", "N17", "F19", "I-26")
def test_entry_paths_that_exclude_each_other(world: World) -> None:
    """Paths that cannot stand in one version are refused together."""
    world.refuses(lambda w, names: w.log([unsafe(name) for name in names]), TOGETHER)


@pytest.mark.fault("N05", "N11", "N12", "N13", "N14", "N18", "N19")
def test_odd_entry_paths(world: World, place: Path) -> None:
    """Paths that are only odd are kept byte for byte, and come back as they were."""
    names = [name for _, _, name in ODD if name != "con/x"]
    with world.session() as session:
        digest = session.take_bytes(b"odd").digest
        entries = [Entry.file(name, digest, 3) for name in names]
        version = log.log_version(world.engine, world.project, log.Draft("odd", "data"), entries, session).version
    read.download(world.engine, version, place / "out")

    assert sorted(names) == sorted(str(path.relative_to(place / "out")) for path in (place / "out").rglob("*") if path.is_file())


@pytest.mark.fault("F01", "F03", "F04", "F12", "N09", "I-24", "I-26")
def test_trees(world: World, place: Path) -> None:
    """A tree with something in it that cannot be stored is refused whole, and nothing of it was taken."""
    tree = place / "tree"
    tree.mkdir()
    (tree / "fine").write_bytes(b"fine")
    (tree / "away").symlink_to("/etc/passwd")
    (tree / "nowhere").symlink_to("gone")
    Path(str(tree / "bad\udcff")).write_bytes(b"x")
    world.refuses(lambda w, root: _closing(w, lambda session: w.log(ingest_tree(scan(root), session))), [("F03", "tree", tree)])


ENTRANCES: dict[str, dict[str, Entrance]] = {
    "collection": {
        "log": lambda w, bad: w.log(draft=log.Draft(bad, "data")),
        "record": lambda w, bad: w.record(logged=[record.Output(bad)]),
        "link": lambda w, bad: link.link_version(w.engine, w.version, ArtifactPath(bad, None, "demo")),
        "link elsewhere": lambda w, bad: link.link_version(w.engine, w.version, ArtifactPath(bad, None, "absent")),
        "rename": lambda w, bad: update.update_collection(w.engine, ArtifactPath("raw", None, "demo"), name=bad),
        "find": lambda w, bad: find.version(w.engine, ArtifactPath(bad, None, "demo")),
    },
    "entity": {
        "create": lambda w, bad: create.project(w.engine, ProjectPath("demo", bad or "\0")),
        "start": lambda w, bad: w.start(project=ProjectPath("demo", bad or "\0")),
        "default ttl": lambda w, bad: update.set_default_ttl(w.engine, ProjectPath("demo", bad or "\0"), None),
        "find": lambda w, bad: find.project(w.engine, ProjectPath("demo", bad or "\0")),
    },
    "project": {
        "create": lambda w, bad: create.project(w.engine, ProjectPath(bad or "\0")),
        "start": lambda w, bad: w.start(project=ProjectPath(bad or "\0")),
        "link": lambda w, bad: link.link_version(w.engine, w.version, ArtifactPath("x", None, bad or "\0")),
        "sweep": lambda w, bad: search.create_sweep(
            w.engine, ProjectPath(bad or "\0"), {"method": "grid", "parameters": {"a": {"values": [1]}}}
        ),
        "default ttl": lambda w, bad: update.set_default_ttl(w.engine, ProjectPath(bad or "\0"), None),
        "find": lambda w, bad: find.runs(w.engine, ProjectPath(bad or "\0")),
    },
    "run": {
        "start": lambda w, bad: w.start(run=bad),
        "start elsewhere": lambda w, bad: w.start(run=bad, project=ProjectPath("absent")),
        "record": lambda w, bad: w.record(run=bad),
        "find": lambda w, bad: find.run(w.engine, RunPath(bad, "demo")),
    },
    "alias": {
        "log": lambda w, bad: w.log(aliases=["good", bad]),
        "record": lambda w, bad: w.record(logged=[record.Output("fine", aliases=(bad,))]),
        "link": lambda w, bad: link.link_version(w.engine, w.version, ArtifactPath("shelf", None, "demo"), ["good", bad]),
        "move": lambda w, bad: update.move_aliases(w.engine, w.version, add=["good", bad], remove=["best"]),
        "move on a link": lambda w, bad: update.move_aliases(w.engine, w.linked, add=[bad]),
        "protect": lambda w, bad: update.protect_alias(w.engine, DEMO, bad),
    },
    "tag": {
        "log": lambda w, bad: w.log(tags=["good", bad]),
        "a version": lambda w, bad: update.update_version(w.engine, w.version, tags=["good", bad]),
        "a collection": lambda w, bad: update.update_collection(w.engine, ArtifactPath("raw", None, "demo"), tags=[bad]),
    },
    "run tag": {
        "start": lambda w, bad: w.start(tags=("good", bad)),
        "a run": lambda w, bad: update.update_run(w.engine, w.run, tags=["good", bad]),
    },
    "type": {
        "log": lambda w, bad: w.log(draft=log.Draft("new", bad)),
        "record": lambda w, bad: w.record(logged=[record.Output("new", bad)]),
        "default ttl": lambda w, bad: update.set_default_ttl(w.engine, DEMO, dt.timedelta(days=1), bad),
    },
    "words": {
        "log": lambda w, bad: w.log(draft=log.Draft("raw", "data", bad)),
        "a version": lambda w, bad: update.update_version(w.engine, w.version, description=bad),
        "a collection": lambda w, bad: update.update_collection(w.engine, ArtifactPath("raw", None, "demo"), description=bad),
        "start, name": lambda w, bad: w.start(name=bad),
        "start, notes": lambda w, bad: w.start(notes=bad),
        "start, group": lambda w, bad: w.start(group=bad),
        "start, job type": lambda w, bad: w.start(job_type=bad),
        "a run, name": lambda w, bad: update.update_run(w.engine, w.run, name=bad),
        "a run, notes": lambda w, bad: update.update_run(w.engine, w.run, notes=bad),
        "record, name": lambda w, bad: w.record(name=bad),
        "record, group": lambda w, bad: w.record(group=bad),
        "record, job type": lambda w, bad: w.record(job_type=bad),
        "use, role": lambda w, bad: use.use_version(w.engine, w.run, w.version, bad),
        "log, key": lambda w, bad: w.log(key=bad),
    },
}


@pytest.mark.fault(
    "N01", "N02", "N03", "N05", "N06", "N07", "N08", "N09", "N10", "N14", "N15", "N16", "N18", "N19", "N21", "N22", "D12", "I-26"
)
@pytest.mark.parametrize(("kind", "entrance"), [(kind, entrance) for kind, ways in ENTRANCES.items() for entrance in ways])
def test_names(kind: str, entrance: str, world: World) -> None:
    """No bad name of anything gets in anywhere."""
    world.refuses(ENTRANCES[kind][entrance], NAMES[kind])


WITH_A_DOCUMENT: dict[str, Entrance] = {
    "log": lambda w, bad: w.log(draft=log.Draft("raw", "data", metadata=bad)),
    "a version": lambda w, bad: update.update_version(w.engine, w.version, metadata=bad),
    "start": lambda w, bad: w.start(config=bad),
    "start elsewhere": lambda w, bad: w.start(config=bad, project=ProjectPath("absent")),
    "a run": lambda w, bad: update.update_run(w.engine, w.run, config=bad),
    "record, config": lambda w, bad: w.record(config=bad),
    "record, metadata": lambda w, bad: w.record(logged=[record.Output("new", metadata=bad)]),
}
WITH_METRICS: dict[str, Entrance] = {
    "summary": lambda w, bad: update.update_summary(w.engine, w.run, bad),
    "record": lambda w, bad: w.record(summary=bad),
    "finish": lambda w, bad: finish.finish_run(w.engine, w.run, summary=bad),
    "history": lambda w, bad: w.append(Row(0, 0.0, flat(bad))),
}


@pytest.mark.fault("M01", "M02", "M03", "M04", "D12", "D13", "I-26")
@pytest.mark.parametrize("entrance", WITH_A_DOCUMENT)
def test_documents(entrance: str, world: World) -> None:
    """No metadata or configuration that cannot be kept gets in."""
    world.refuses(WITH_A_DOCUMENT[entrance], DOCUMENTS)


@pytest.mark.fault("M01", "M02", "M03", "M04", "D13", "I-26")
@pytest.mark.parametrize("entrance", WITH_METRICS)
def test_metrics(entrance: str, world: World) -> None:
    """Nor any metric; NaN is one that can be kept."""
    world.refuses(WITH_METRICS[entrance], METRICS)
    assert flat({"a": float("nan")})["a"] != 0


@pytest.mark.fault("H07", "H08", "I-26")
def test_digests(world: World) -> None:
    """A digest is `algorithm:lowerhex`, and nothing that only resembles one."""
    world.refuses(lambda w, bad: w.record(logged=[record.Output("new", digest=bad)]), DIGESTS)


NUMBERS: dict[str, Entrance] = {
    "a step": lambda w, bad: w.append(Row(bad, 0.0, {})),
    "the step of a log": lambda w, bad: w.log(draft=log.Draft("raw", "data", history_step=bad)),
    "an exit code": lambda w, bad: finish.finish_run(w.engine, w.run, exit_code=bad),
    "an input": lambda w, bad: w.record(used=[bad]),
    "a run that uses": lambda w, bad: use.use_version(w.engine, bad, w.version),
    "a run that logs": lambda w, bad: w.log(run_id=bad),
    "a run": lambda w, bad: find.run_by_id(w.engine, bad),
    "a version": lambda w, bad: find.version_by_id(w.engine, bad),
    "a deletion": lambda w, bad: delete.delete_run(w.engine, bad),
    "an update": lambda w, bad: update.update_run(w.engine, bad, notes="x"),
    "a summary": lambda w, bad: update.update_summary(w.engine, bad, {"a": 1}),
    "a size": lambda w, bad: w.record(logged=[record.Output("new", size=bad)]),
    "a page": lambda w, bad: find.runs(w.engine, DEMO, limit=1, offset=bad),
}


@pytest.mark.fault("D13", "M09", "I-18", "I-26")
@pytest.mark.parametrize("entrance", NUMBERS)
def test_numbers(entrance: str, world: World) -> None:
    """Numbers beyond 64 bits and numbers of nothing are refused; no edge can point to what is not there."""
    nobody = [("M09", "nobody", -1)] if entrance not in ("an exit code", "the step of a log") else []
    world.refuses(NUMBERS[entrance], [("D13", "2 to the 63", 2**63), ("D13", "4,301 digits", 10**4300), *nobody])


@pytest.mark.fault("G23", "I-26")
@pytest.mark.parametrize("bad", [dt.timedelta(0), dt.timedelta(days=-1), 3, "1d", True], ids=repr)
def test_lengths_of_time(bad: object, world: World) -> None:
    """A TTL is a positive length, never or inherited."""
    world.refuses(lambda w, ttl: update.update_version(w.engine, w.version, ttl=ttl), [("G23", "a version", bad)])
    world.refuses(lambda w, ttl: update.set_default_ttl(w.engine, ProjectPath("absent"), ttl), [("G23", "a project", bad)])
    world.refuses(lambda w, ttl: w.log(draft=log.Draft("raw", "data", policy=Policy.of(ttl))), [("G23", "a log", bad)])


@pytest.mark.fault("D14", "M12")
def test_orders(world: World) -> None:
    """Nothing users write becomes an ORDER BY."""
    world.refuses(lambda w, bad: find.runs(w.engine, DEMO, order=bad), [row for row in ORDERS if row[2]])
    world.refuses(lambda w, bad: search.best_of_runs(w.engine, DEMO, "a", bad), [row for row in ORDERS if row[2]])


@pytest.mark.fault("D14", "D13", "M12")
def test_filters(world: World) -> None:
    """Nothing users write becomes a WHERE; a hostile value is compared and nothing else."""
    world.refuses(lambda w, bad: find.runs(w.engine, DEMO, filters=bad), FILTERS)
    world.refuses(lambda w, bad: find.count_runs(w.engine, DEMO, filters=bad), FILTERS)
    for _, _, hostile in NAMES["collection"]:
        if isinstance(hostile, str) and hostile.strip() and hostile.isprintable():
            assert [] == find.runs(world.engine, DEMO, filters={"display_name": hostile, f"config.{hostile}": hostile})
    assert 1 == find.count_runs(world.engine, DEMO)


@pytest.mark.fault("I-26")
def test_refusals_after_the_names(world: World) -> None:
    """What is refused for what it finds, not for how it looks, leaves nothing either: no project, no run, no collection."""
    absent = ProjectPath("absent")
    entrances: list[Callable[[], object]] = [
        lambda: world.start(project=absent, run="x", resume=Resume.MUST),
        lambda: world.start(project=absent, sweep="nobody"),
        lambda: world.start(run="train", resume=Resume.NEVER),
        lambda: world.log(draft=log.Draft("raw", "another type")),
        lambda: link.link_version(world.engine, world.version, ArtifactPath("raw", None, "demo")),
        lambda: world.record(used=["nothing:latest"]),
        lambda: world.record(run="train"),
        lambda: search.create_sweep(world.engine, absent, {"method": "magic"}),
        lambda: update.move_aliases(world.engine, world.version, remove=["latest"]),
        lambda: update.protect_alias(world.engine, absent, "best"),
    ]
    world.refuses(lambda _, act: act(), [("I-26", str(number), act) for number, act in enumerate(entrances)])


def test_the_corpus_is_bad_in_itself() -> None:
    """Each row says which fault it is; nothing is there twice."""
    for kind, rows in NAMES.items():
        assert len(rows) == len({(type(bad), bad) for _, _, bad in rows}), kind
    assert all(row[0][0] in "NDM" for rows in NAMES.values() for row in rows)
    assert issubclass(UsageError, ValueError)
    assert issubclass(Refused, ValueError)
