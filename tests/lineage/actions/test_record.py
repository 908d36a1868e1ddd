"""Recording runs in bulk, and walking what programs in any order have recorded."""

import datetime as dt
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lineage.actions import delete, find, log, walk
from lineage.actions.backup import backup
from lineage.actions.open import open_engine
from lineage.actions.record import Output, Recording, record
from lineage.actions.use import use_version
from lineage.actions.verify import verify
from lineage.graph import traverse
from lineage.graph.algebra import Dag
from lineage.model.edge import Direction, Edge, Relation
from lineage.model.errors import Conflict, Error, Gone, InvalidMetadata, InvalidName, NotFound, UsageError
from lineage.model.names import ArtifactPath, ProjectPath, RunPath
from lineage.model.node import NodeId
from lineage.model.run import RunState
from storage import layout
from storage.digest import Digest
from storage.errors import InvalidDigest
from tests.faults.child import together

Trace = Callable[[], dict[str, int]]
DEMO = ProjectPath("demo")
D1 = str(Digest.of(b"one"))


def test_recording(shop: Any) -> None:
    """A finished run with inputs by record, order and path, outputs with or without digest, and everything said of it."""
    one = shop.put("one").version
    first = record(shop.engine, shop.project, [Recording("r1", logged=["a", Output("b", "dataset", D1, 9, ("best", "latest"), {"k": 1})])])[
        0
    ]
    made = record(
        shop.engine,
        shop.project,
        [
            Recording(
                "r2",
                [one, first.versions[0], "b:best", "ann/demo/b"],
                ["a"],
                "train",
                "g",
                "second",
                {"lr": 1},
                {"loss": float("nan"), "x": {"y": 2}},
            )
        ],
    )[0]
    run = find.run(shop.engine, RunPath("r2", "demo"))
    assert (run.id, "r2", RunState.FINISHED, 0, "train", "g", "second", {"lr": 1}) == (
        made.run_id,
        made.run,
        run.state,
        run.exit_code,
        run.job_type,
        run.group,
        run.display_name,
        run.config,
    )
    assert ({"nan", "2"}, {one.id, *first.versions}) == (
        {str(v) for v in find.summary(shop.engine, run.id).values()},
        set(walk.used(shop.engine, run.id)),
    )
    b = shop.version("b")
    assert (D1, 9, "dataset", True, ("latest", "best"), {"k": 1}) == (b.digest, b.size, b.type, b.is_recorded, b.aliases, b.metadata)
    assert ["a:v1", "a:v0"] == [version.name for version in find.versions(shop.engine, ArtifactPath("a", None, "demo"))]


def test_what_is_logged_twice(shop: Any) -> None:
    """The same digest is the same version, reproduced; without a digest each run, and each repeat in one, makes its own."""
    one, two = record(
        shop.engine, shop.project, [Recording(logged=[Output("a", digest=D1)]), Recording(logged=["x", "x", "x", Output("a", digest=D1)])]
    )
    assert (one.versions[0], one.run_id, (one.run_id, two.run_id)) == (two.versions[3], *walk.makers(shop.engine, one.versions[0]))
    assert 3 == len({find.version_by_id(shop.engine, order).digest for order in two.versions[:3]})
    assert 3 == find.version_by_id(shop.engine, two.versions[2]).number + 1


BAD: dict[str, tuple[Recording, type[Exception]]] = {
    "run id": (Recording("a/b"), InvalidName),
    "run twice": (Recording("r0"), Conflict),
    "output": (Recording(logged=["a b"]), InvalidName),
    "type": (Recording(logged=[Output("a", "job")]), InvalidName),
    "type conflict": (Recording(logged=[Output("kept", "dataset")]), UsageError),
    "alias": (Recording(logged=[Output("a", aliases=("v1",))]), InvalidName),
    "digest": (Recording(logged=[Output("a", digest="md5:0")]), InvalidDigest),
    "size": (Recording(logged=[Output("a", size=-1)]), UsageError),
    "huge size": (Recording(logged=[Output("a", size=2**63)]), UsageError),
    "text size": (Recording(logged=[Output("a", size="9")]), UsageError),  # type: ignore[arg-type]  # what is tested
    "metadata": (Recording(logged=[Output("a", metadata={"x": float("inf")})]), InvalidMetadata),
    "config": (Recording(config={"x": object()}), InvalidMetadata),
    "summary": (Recording(summary={"x": object()}), InvalidMetadata),
    "words": (Recording(name="a\0"), InvalidMetadata),
    "unknown path": (Recording(used=["nothing"]), NotFound),
    "unknown number": (Recording(used=[99]), NotFound),
    "no number": (Recording(used=[0]), NotFound),
    "negative": (Recording(used=[-1]), NotFound),
    "huge number": (Recording(used=[2**70]), NotFound),
    "order of no version": (Recording(used=[2]), NotFound),
    "bad path": (Recording(used=["a/b/c/d"]), InvalidName),
}


@pytest.mark.fault("I-26", "I-04", "M09", "D13")
@pytest.mark.parametrize("what", BAD)
def test_one_bad_recording_records_nothing(shop: Any, trace: Trace, what: str) -> None:
    """A batch is one transaction: with one bad recording among good ones there is none of them."""
    for _ in range(2):
        record(shop.engine, shop.project, [Recording(logged=[Output("kept", digest=D1)])])
    shop.done("r0")
    before = trace()
    given, error = BAD[what]
    with pytest.raises(error) as refused:
        record(shop.engine, shop.project, [Recording("good", logged=["new"]), given, Recording("late", logged=["new"])])
    assert isinstance(refused.value, Error | InvalidDigest)
    assert before == trace()


@pytest.mark.fault("G27", "I-16", "I-19")
def test_processes_record_at_once(shop: Any) -> None:
    """Batches of four processes come one after the other: orders and numbers are given once, without a gap."""
    shop.engine.close()

    def work(number: int) -> list[int]:
        engine = shop.again()
        return [
            order
            for turn in range(5)
            for made in record(engine, shop.project, [Recording(f"r{number}-{turn}-{n}", logged=["a"]) for n in range(5)])
            for order in made.versions
        ]

    orders = [order for found in together(4, work) for order in found]
    assert list(range(1, 101)) == sorted(orders)
    assert list(range(99, -1, -1)) == [version.number for version in find.versions(shop.engine, ArtifactPath("a", None, "demo"))]


# Walks are compared with the traversal of a list of edges in memory, which knows no SQL.


def edges_of(shop: Any) -> list[Edge]:
    """Every edge there is, read with SQL of our own."""
    with shop.engine.catalog.read() as c:
        made = [Edge(row[0], row[1], Relation.LOGGED, bool(row[2])) for row in c.execute("SELECT run_id, version_id, is_maker FROM logged")]
        return made + [Edge(row[0], row[1], Relation.USED) for row in c.execute("SELECT DISTINCT run_id, version_id FROM used")]


def told(walked: traverse.Walk | traverse.Whole) -> tuple[object, ...]:
    """All that a walk tells, whichever way it was made."""
    return walked.start, walked.direction, walked.versions, walked.runs, walked.edges, walked.levels, walked.frontier, walked.complete


def assert_walks_agree(shop: Any) -> None:
    """From every run and version, up and down, whole and by depth: the same answer as over the list of edges."""
    edges = edges_of(shop)
    memory = Dag(edges)
    nodes = {NodeId.run(edge.run) for edge in edges} | {NodeId.artifact(edge.version) for edge in edges}
    for node in sorted(nodes):
        for direction in Direction:
            expected = traverse.walk(node, direction, memory)
            assert told(expected) == told(walk.walk(shop.engine, node, direction)), (node, direction)
            assert expected.complete
    for node in sorted(nodes)[::7]:
        for direction in Direction:
            for depth in (1, 2, 5):
                expected = traverse.walk(node, direction, memory, depth=depth)
                assert told(expected) == told(walk.walk(shop.engine, node, direction, depth=depth)), (node, direction, depth)


@pytest.mark.fault("I-21", "I-19", "M06", "M07")
@pytest.mark.parametrize("seed", [1, 2])
def test_closures_of_recorded_pipelines(shop: Any, seed: int) -> None:
    """Of a hundred random runs every closure equals the traversal in memory."""
    chance, orders = random.Random(seed), [0]
    for _ in range(110):
        inputs = {chance.choice(orders) for _ in range(chance.randint(0, 3))} - {0}
        outputs = [
            Output(f"a{chance.randint(0, 5)}", digest=str(Digest.of(b"%d" % chance.randint(0, 60)))) for _ in range(chance.randint(0, 3))
        ]
        orders += record(shop.engine, shop.project, [Recording(used=sorted(inputs), logged=outputs)])[0].versions
    assert_walks_agree(shop)
    dag = walk.graph(shop.engine, DEMO)
    assert 110 == sum(1 for _ in find.runs(shop.engine, DEMO))
    assert {NodeId.artifact(order) for order in orders if order} == set(dag.order()) - {node for node in dag.order() if node.is_run}


@pytest.mark.fault("I-21", "I-19", "I-20", "M06", "M07", "M08")
@pytest.mark.parametrize("seed", [3, 4])
def test_closures_of_programs_in_any_order(shop: Any, seed: int) -> None:
    """Runs side by side that use late, use what they made, log again what is there, and use each other's outputs crosswise."""
    chance = random.Random(seed)
    runs = [shop.run(f"r{number}") for number in range(100)]
    versions: list[Any] = []
    for _ in range(330):
        run = runs[min(99, int(chance.expovariate(0.04)))]
        if chance.random() < 0.5 and versions:
            use_version(
                shop.engine, run.id, chance.choice(versions[-12:] if chance.random() < 0.8 else versions), chance.choice([None, "train"])
            )
        else:
            session = shop.engine.store(shop.project.domain).session()
            content = b"%d" % chance.randint(0, 90)
            entry = log.Entry.file("a", session.take_bytes(content).digest, len(content))
            versions.append(
                log.log_version(
                    shop.engine, shop.project, log.Draft(f"a{chance.randint(0, 3)}", "model"), [entry], session, run_id=run.id
                ).version
            )
    assert_walks_agree(shop)


def test_a_walk_with_an_end(shop: Any) -> None:
    """Depth, a type and a condition end a walk; the answer says where to go on, and that is what lies beyond."""
    orders = [0]
    for number in range(6):
        orders.append(
            record(
                shop.engine,
                shop.project,
                [Recording(used=[o for o in orders[-1:] if o], logged=[Output(f"a{number}", "dataset" if number == 2 else "model")])],
            )[0].versions[0]
        )
    top = NodeId.artifact(orders[6])
    whole = walk.walk(shop.engine, top, Direction.UP)
    assert (tuple(orders[1:6]), True, ()) == (whole.versions, whole.complete, whole.frontier)

    for ended in (
        walk.walk(shop.engine, top, Direction.UP, until=["dataset"]),
        walk.walk(shop.engine, top, Direction.UP, stop=lambda version: version.name == "a2:v0"),
        walk.walk(shop.engine, top, Direction.UP, depth=3),
    ):
        assert (tuple(orders[3:6]), (orders[3],), False) == (ended.versions, ended.frontier, ended.complete)
        rest = walk.walk(shop.engine, NodeId.artifact(ended.frontier[0]), Direction.UP)
        assert whole.versions == (*rest.versions, *ended.versions)
    assert walk.walk(shop.engine, top, Direction.UP, until=["nothing"]).complete
    for depth in (0, -1):
        with pytest.raises(UsageError):
            walk.walk(shop.engine, top, Direction.UP, depth=depth)


def test_a_condition_that_writes_is_refused(shop: Any) -> None:
    """A condition of a walk that would write fails loudly: nothing it wrote could last."""
    first = record(shop.engine, shop.project, [Recording("r1", logged=["a"])])[0].versions[0]
    second = record(shop.engine, shop.project, [Recording(used=[first], logged=["b"])])[0].versions[0]

    def writes(version: Any) -> bool:
        delete.delete_version(shop.engine, version)
        return False

    with pytest.raises(UsageError, match="in the middle of a read"):
        walk.walk(shop.engine, NodeId.artifact(second), Direction.UP, stop=writes)
    assert find.version_by_id(shop.engine, first).is_live


def test_one_hop(shop: Any) -> None:
    """Makers, users, inputs and outputs, in the order things happened."""
    one, two = shop.run("one"), shop.run("two")
    a, b = shop.put("a", run=one).version, shop.put("b", run=one).version
    shop.clock.move(seconds=1)
    shop.put("a", run=two)
    use_version(shop.engine, two.id, b)
    use_version(shop.engine, two.id, a)
    assert ((one.id, (one.id, two.id)), (two.id,), (a.id, b.id), (a.id,), (a.id, b.id)) == (
        walk.makers(shop.engine, a.id),
        walk.users(shop.engine, a.id),
        walk.logged(shop.engine, one.id),
        walk.logged(shop.engine, two.id),
        tuple(sorted(walk.used(shop.engine, two.id))),
    )
    assert ((None, ()), (), (), ()) == (
        walk.makers(shop.engine, 99),
        walk.users(shop.engine, 99),
        walk.logged(shop.engine, 99),
        walk.used(shop.engine, 99),
    )
    with pytest.raises(Gone, match="not in the catalogue"):
        walk.faces(shop.engine, [NodeId.run(99)])


@pytest.mark.fault("D05", "I-22")
def test_a_backup_is_the_store(shop: Any, tmp_path: Path) -> None:
    """The copy of the catalogue, with the objects copied after it, is the same store; it replaces nothing."""
    run = shop.done("r1", [{"loss": 1.0}])
    version = shop.put(run=run, files={"a": b"1"}).version
    place = tmp_path / "copy" / layout.CATALOG
    place.parent.mkdir()
    assert place == backup(shop.engine, place)
    with pytest.raises(Conflict, match="exists"):
        backup(shop.engine, place)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    with pytest.raises(Conflict, match="exists"):
        backup(shop.engine, tmp_path / "dangling")
    for name in (layout.FORMAT_FILE, layout.OBJECTS):
        source = shop.root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, place.parent / name)
    shop.put(files={"a": b"later"})

    copy = open_engine(place.parent, entity="ann")
    assert ([version], [1.0], True) == (
        find.versions(copy, ArtifactPath("model", None, "demo")),
        [row.values["loss"] for row in find.history(copy, run.id)],
        verify(copy, deep=True).ok,
    )
    copy.close()


@pytest.mark.fault("D04", "D08")
def test_an_engine_over_a_fork(shop: Any) -> None:
    """An open engine may be used in a forked child as in its parent, threads or not."""
    mine = shop.run("mine")

    def there(number: int) -> int:
        shop.done(f"child{number}", [{"loss": 1.0}])
        shop.put(f"made{number}", run=mine)
        return os.getpid()

    assert 3 == len(set(together(3, there)))
    assert {"mine", "child0", "child1", "child2"} == {run.name for run in find.runs(shop.engine, DEMO)}
    assert 3 == len(walk.logged(shop.engine, mine.id))
    assert RunState.RUNNING is find.run_by_id(shop.engine, mine.id).state


def test_opening_what_is_not_there(tmp_path: Path) -> None:
    """A place without a store is an error unless one may be made; the entity is a legal name whatever the user is called."""
    with pytest.raises(NotFound, match="no store"):
        open_engine(tmp_path / "nothing", create=False)
    assert [] == list(tmp_path.iterdir())
    engine = open_engine(tmp_path / "home", clock=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert engine.entity == engine.actor.name
    engine.close()
    open_engine(tmp_path / "home", create=False).close()
