"""Logging versions: what is new, what is known, which names move, and what leaves no trace."""

from collections.abc import Callable
from typing import Any

import pytest

from lineage.actions import delete, find, link, log, read, record, walk
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.actions.use import use_version
from lineage.model.document import MAX_BYTES
from lineage.model.errors import Conflict, Gone, InvalidMetadata, InvalidName, NotFound, UsageError
from lineage.model.names import ArtifactPath
from storage.blob.session import Count, Session
from storage.digest import Digest
from storage.entry import Entry
from storage.errors import Corrupt, InvalidManifest, Refused
from tests.faults.child import together

Trace = Callable[[], dict[str, int]]


def names(shop: Any, collection: str = "model") -> list[tuple[str, ...]]:
    """Aliases of each version, oldest first."""
    return [version.aliases for version in reversed(find.versions(shop.engine, ArtifactPath(collection, None, "demo")))]


def test_a_first_version(shop: Any) -> None:
    """It is v0 and the latest, with what was said of it, and its content reads back."""
    run = shop.run("r1")
    files = {"a.txt": b"hello", "d/b.txt": b"world"}
    found = shop.put(
        "model", files, run, aliases=["best", "latest"], tags=["x y", "x y"], description="a model", metadata={"acc": 0.5}, history_step=7
    )

    version = found.version
    assert found.is_new
    assert ("model:v0", ("latest", "best"), ("x y",), "a model", {"acc": 0.5}, 7) == (
        version.name,
        version.aliases,
        version.tags,
        version.description,
        version.metadata,
        version.history_step,
    )
    assert (10, 2, shop.clock(), files) == (version.size, version.entries, version.created_at, shop.files(version))
    assert (run.id, (run.id,)) == walk.makers(shop.engine, version.id)
    assert (
        version
        == shop.version("model")
        == shop.version("model:best")
        == shop.version("model:v0")
        == shop.version(f"model:{version.digest}")
    )


@pytest.mark.fault("I-15", "I-16")
def test_identical_bytes_are_the_same_version(shop: Any) -> None:
    """Logging bytes that any version has gives that version back, stores nothing, and moves the aliases and `latest` to it."""
    one = shop.put(files={"a": b"1"}, aliases=["best"])
    two = shop.put(files={"a": b"2"}, aliases=["best"])
    later = shop.run("later")
    again = shop.put(files={"a": b"1"}, run=later, aliases=["prime"], metadata={"ignored": True})

    assert (False, one.version.id, Count()) == (again.is_new, again.version.id, again.stored)
    assert again.known.blobs > 0
    assert [("latest", "prime"), ("best",)] == names(shop)
    assert {} == again.version.metadata
    assert (None, (later.id,)) == walk.makers(shop.engine, one.version.id)
    assert ("model:v1", "model:v2") == (two.version.name, shop.put(files={"a": b"3"}).version.name)


def test_names_are_part_of_the_content(shop: Any) -> None:
    """The same bytes under another name are another version."""
    assert shop.put(files={"a": b"1"}).version.digest != shop.put(files={"b": b"1"}).version.digest


@pytest.mark.fault("H10")
def test_an_empty_version(shop: Any) -> None:
    """A version without files, and one with an empty file, are versions like any other, and not each other."""
    empty, hollow = shop.put(files={}), shop.put(files={"a": b""})
    assert ({}, {"a": b""}) == (shop.files(empty.version), shop.files(hollow.version))
    assert (0, 0, 0, 1) == (empty.version.size, empty.version.entries, hollow.version.size, hollow.version.entries)
    assert (False, True) == (shop.put(files={}).is_new, shop.put("other", files={}).is_new)


def test_ten_thousand_entries(shop: Any) -> None:
    """A version of many entries is logged whole, and a change of one stores only what changed."""
    files = {f"d{number % 100}/f{number}": b"%d" % (number % 500) for number in range(10_000)}
    first = shop.put(files=files).version
    assert (10_000, sum(map(len, files.values()))) == (first.entries, first.size)
    second = shop.put(files=files | {"d1/f1": b"changed"})
    assert (True, 10_000) == (second.is_new, second.version.entries)
    assert 3 == second.stored.blobs
    changed = read.manifest(shop.engine, second.version).entries["d1/f1"]
    assert b"changed" == b"".join(read.open_blob(shop.engine, second.version, changed))


BAD: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "name": ({"name": "a b"}, InvalidName),
    "dots": ({"name": ".."}, InvalidName),
    "type": ({"type": "wandb-x"}, InvalidName),
    "alias vN": ({"aliases": ["v3"]}, InvalidName),
    "alias colon": ({"aliases": ["best", "a:b"]}, InvalidName),
    "alias digest": ({"aliases": ["blake3:" + "0" * 64]}, InvalidName),
    "tag": ({"tags": ["a,b"]}, InvalidName),
    "nan": ({"metadata": {"x": float("nan")}}, InvalidMetadata),
    "large": ({"metadata": {"x": "y" * MAX_BYTES}}, InvalidMetadata),
    "nul": ({"description": "a\0b"}, InvalidMetadata),
    "type conflict": ({"type": "dataset"}, UsageError),
    "file and directory": ({"files": {"a": b"1", "a/b": b"2"}}, InvalidManifest),
    "no such run": ({"run": "nobody"}, Conflict),
}


@pytest.mark.fault("I-26", "I-04", "D08", "D12", "M01", "M03", "N17", "N22", "M09")
@pytest.mark.parametrize("what", BAD)
def test_what_is_refused_leaves_no_trace(shop: Any, trace: Trace, what: str) -> None:
    """A bad name, alias, tag, metadata, manifest or run is refused with its type: no version, no alias, no collection, nothing pinned."""
    shop.put(files={"a": b"0"})
    before = trace()
    given, error = BAD[what]
    if "run" in given:
        given = {"run": type("Nobody", (), {"id": 99})()}
    with pytest.raises(error):
        shop.put(**{"files": {"a": b"new"}} | given)

    after = trace()
    blobs, left = before.pop("blob"), after.pop("blob")
    assert before == after
    assert [("latest",)] == names(shop)
    assert left - blobs == len(shop.engine.ledger.unreachable())


def test_an_idempotency_key(shop: Any) -> None:
    """A commit that is repeated with its key answers with what the first one made, whatever it brings, and changes nothing."""
    first = shop.put(files={"a": b"1"}, key="k1", aliases=["best"])
    shop.put(files={"a": b"2"})
    again = shop.put(files={"a": b"other"}, key="k1", aliases=["wrong"])

    assert (False, first.version.id) == (again.is_new, again.version.id)
    assert [("best",), ("latest",)] == names(shop)
    delete.delete_version(shop.engine, first.version, delete_aliases=True)
    assert shop.put(files={"a": b"1"}, key="k1").is_new


def test_incremental(shop: Any) -> None:
    """What is added comes to what the latest version holds, over it where a path is the same; without one it is a plain version."""
    shop.put(files={"a": b"1", "b": b"1"}, incremental=True)
    more = shop.put(files={"b": b"2", "c": b"2"}, incremental=True)
    assert {"a": b"1", "b": b"2", "c": b"2"} == shop.files(more.version)
    assert not shop.put(files={}, incremental=True).is_new


@pytest.mark.fault("G27")
def test_incremental_overtaken(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that add to the same version at once both find their additions in the later one: who is overtaken adds to the new latest."""
    shop.put(files={"a": b"1"})
    publish = Session.publish
    others = [{"b": b"2"}]

    def overtaken(session: Session) -> None:
        publish(session)
        while others:
            shop.put(files=others.pop(), incremental=True)

    monkeypatch.setattr(Session, "publish", overtaken)
    mine = shop.put(files={"c": b"3"}, incremental=True)
    assert {"a": b"1", "b": b"2", "c": b"3"} == shop.files(mine.version)
    assert (2, ("latest",)) == (mine.version.number, mine.version.aliases)
    assert shop.idle()


@pytest.mark.fault("I-01")
def test_incremental_on_a_base_that_went(shop: Any) -> None:
    """Added to what was deleted and reclaimed, it adds to the latest that lives."""
    shop.put(files={"a": b"old"})
    gone = shop.put(files={"a": b"new"}).version
    delete.delete_version(shop.engine, gone)
    reclaim(shop.engine, plan_reclaim(shop.engine))
    assert {"a": b"old", "b": b"x"} == shop.files(shop.put(files={"b": b"x"}, incremental=True).version)


def test_a_recorded_version_gets_its_content(shop: Any) -> None:
    """Bytes that arrive for a version known by its digest alone become its content, and stay."""
    elsewhere = shop.put("elsewhere", files={"a": b"1", "b": b"22"}).version
    recorded = record.record(shop.engine, shop.project, [record.Recording(logged=[record.Output("model", "model", elsewhere.digest)])])[
        0
    ].versions[0]
    assert find.version_by_id(shop.engine, recorded).is_recorded

    found = shop.put("model", files={"a": b"1", "b": b"22"})
    assert (False, recorded, False, 3, 2) == (
        found.is_new,
        found.version.id,
        found.version.is_recorded,
        found.version.size,
        found.version.entries,
    )
    delete.delete_version(shop.engine, elsewhere)
    reclaim(shop.engine, plan_reclaim(shop.engine))
    assert {"a": b"1", "b": b"22"} == shop.files(shop.version("model"))


@pytest.mark.fault("I-08", "G07")
def test_a_writer_given_up_for_dead_cannot_commit(shop: Any) -> None:
    """A session that somebody closed meanwhile commits nothing."""
    session = shop.engine.store(shop.project.domain).session()
    entry = Entry.file("a", session.take_bytes(b"late").digest, 4)
    shop.engine.ledger.close_session(session.id)
    with pytest.raises((Conflict, Refused)):
        log.log_version(shop.engine, shop.project, log.Draft("model", "model"), [entry], session)
    with pytest.raises(NotFound):
        shop.version("model")


@pytest.mark.fault("I-01", "H12")
def test_bytes_that_were_never_taken(shop: Any, trace: Trace) -> None:
    """A manifest of bytes the session never saw, or another domain's, is refused and nothing is recorded."""
    before = trace()
    session = shop.engine.store(shop.project.domain).session()
    with pytest.raises(Corrupt, match="never pinned"):
        log.log_version(shop.engine, shop.project, log.Draft("model", "model"), [Entry.file("a", Digest.of(b"never"), 5)], session)
    session = shop.engine.store("elsewhere").session()
    entry = Entry.file("a", session.take_bytes(b"x").digest, 1)
    with pytest.raises(Corrupt):
        log.log_version(shop.engine, shop.project, log.Draft("model", "model"), [entry], session)
    after = trace()
    assert before | {"blob": 0} == after | {"blob": 0}


@pytest.mark.fault("G27", "I-16", "I-15", "D10")
def test_eight_processes_log_one_name(shop: Any) -> None:
    """Numbers are given without a gap in the order of commit, each once, and the last committed is the latest."""
    shop.engine.close()

    def work(number: int) -> list[tuple[int, int]]:
        shop.engine = shop.again()
        return [(found.id, found.number) for turn in range(6) for found in [shop.put(files={"a": b"%d/%d" % (number, turn)}).version]]

    made = sorted(pair for found in together(8, work) for pair in found)
    assert list(range(48)) == [number for _, number in made]
    latest = shop.version("model")
    assert made[-1] == (latest.id, latest.number)


@pytest.mark.fault("G28", "I-14")
def test_processes_move_one_alias(shop: Any) -> None:
    """However many move an alias, it is on exactly one version, and so is every name of a collection."""
    shop.engine.close()

    def work(number: int) -> None:
        shop.engine = shop.again()
        for turn in range(5):
            shop.put(files={"a": b"%d" % (number * turn % 7)}, aliases=["best"])

    together(4, work)
    carried = [alias for aliases in names(shop) for alias in aliases]
    assert ["best", "latest"] == sorted(carried)


def test_use(shop: Any) -> None:
    """A use is an edge, in the order of first use; saying it again changes nothing; roles are kept apart."""
    one, two = shop.put("one").version, shop.put("two").version
    run = shop.run()
    for version, role in ((two, None), (one, "train"), (two, None), (one, "test")):
        use_version(shop.engine, run.id, version, role)
        shop.clock.move(seconds=1)
    assert (two.id, one.id) == walk.used(shop.engine, run.id)
    assert (run.id,) == walk.users(shop.engine, one.id)
    with shop.engine.catalog.read() as c:
        assert 3 == c.execute("SELECT count(*) FROM used").fetchone()[0]


@pytest.mark.fault("M09")
def test_use_of_what_is_gone(shop: Any, trace: Trace) -> None:
    """A tombstone cannot be used, not even through a record from before; nor can an unknown run use anything."""
    version, run = shop.put().version, shop.run()
    before = trace()
    with pytest.raises(Conflict):
        use_version(shop.engine, 99, version)
    with pytest.raises(InvalidMetadata, match="role"):
        use_version(shop.engine, run.id, version, "a\0")
    delete.delete_version(shop.engine, version)
    with pytest.raises(Gone, match="deleted by ann"):
        use_version(shop.engine, run.id, version)
    assert before["used"] == trace()["used"]


def test_links(shop: Any) -> None:
    """A link has number and aliases of its own in its collection; content, tags and metadata are the version's."""
    one, two = shop.put("one", files={"a": b"1"}).version, shop.put("two", files={"a": b"2"}).version
    linked = [link.link_version(shop.engine, version, ArtifactPath("best", None, "demo"), ["prod", "latest"]) for version in (one, two)]

    assert [("best", 0), ("best", 1)] == [(version.collection, version.number) for version in linked]
    assert [(), ("latest", "prod")] == names(shop, "best")
    assert (one.id, ("ann", "demo", "one", 0)) == (linked[0].id, linked[0].source)
    assert ("latest",) == shop.version("one").aliases
    assert [linked[1].path] == [version.path for version in find.links(shop.engine, two.id)]
    assert linked[1] == link.link_version(shop.engine, two, ArtifactPath("best", None, "demo"))
    assert (2, {"a": b"2"}) == (find.collection(shop.engine, ArtifactPath("best", None, "demo")).versions, shop.files(shop.version("best")))
    assert linked[1] == shop.version(f"best:{two.digest}")


def test_what_cannot_be_linked(shop: Any, trace: Trace) -> None:
    """Not into its own collection, into another type, under a bad name; nor a tombstone. Nothing is left."""
    version, other = shop.put("one").version, shop.put("set", type="dataset").version
    before = trace()
    for target, error in (("one", UsageError), ("set", UsageError), ("a b", InvalidName)):
        with pytest.raises(error):
            link.link_version(shop.engine, version, ArtifactPath(target, None, "demo"))
    with pytest.raises(InvalidName):
        link.link_version(shop.engine, version, ArtifactPath("new", None, "demo"), ["v1"])
    with pytest.raises(UsageError, match="is no link"):
        link.unlink_version(shop.engine, version)
    assert before == trace()
    delete.delete_version(shop.engine, other)
    with pytest.raises(Gone):
        link.link_version(shop.engine, other, ArtifactPath("new", None, "demo"))


@pytest.mark.fault("I-16")
def test_unlinking(shop: Any) -> None:
    """Unlinking takes the membership and its aliases; the version stays, and the number is not given again."""
    version = shop.put("one").version
    linked = link.link_version(shop.engine, version, ArtifactPath("best", None, "demo"), ["prod"])
    link.unlink_version(shop.engine, linked)
    link.unlink_version(shop.engine, linked)
    with pytest.raises(NotFound):
        shop.version("best:prod")
    assert [] == find.links(shop.engine, version.id)
    assert shop.version("one").is_live
    assert "best:v1" == link.link_version(shop.engine, version, ArtifactPath("best", None, "demo")).name
