"""Deleting and changing: tombstones, what protects a version, names that are free again and numbers that never are."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from lineage.actions import delete, find, link, read, start, update, walk
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.actions.use import use_version
from lineage.model.artifact import VersionState
from lineage.model.edge import Direction
from lineage.model.errors import Conflict, Gone, InvalidMetadata, InvalidName, InvalidPolicy, NotFound, RunNotFoundError
from lineage.model.names import ArtifactPath, ProjectPath, RunPath
from lineage.model.node import NodeId
from lineage.model.retention import ArtifactTTL, Policy
from lineage.model.run import RunState
from tests.faults.child import together

Trace = Callable[[], dict[str, int]]
MODEL = ArtifactPath("model", None, "demo")


@pytest.mark.fault("G17", "M09", "I-18")
def test_a_deleted_version_is_a_tombstone(shop: Any) -> None:
    """Name, digest, times and edges stay, by number and by digest it is found; its content and its names are gone."""
    maker, user = shop.run("maker"), shop.run("user")
    version = shop.put(run=maker, aliases=["best"], tags=["t"]).version
    use_version(shop.engine, user.id, version)
    child = shop.put("child", run=user).version
    shop.clock.move(hours=1)
    delete.delete_version(shop.engine, version, delete_aliases=True)

    for path in ("model:v0", f"model:{version.digest}"):
        found = shop.version(path)
        assert (version.id, VersionState.DELETED, shop.clock(), "deleted by ann", ()) == (
            found.id,
            found.state,
            found.ended_at,
            found.reason,
            found.aliases,
        )
    for path in ("model", "model:latest", "model:best"):
        with pytest.raises(NotFound):
            shop.version(path)
    for look in (lambda: read.manifest(shop.engine, found), lambda: read.download(shop.engine, found, shop.root.parent / "out")):
        with pytest.raises(Gone, match=r"model:v0 was deleted on 2026-03-01 \(deleted by ann\): its lineage remains"):
            look()
    reclaim(shop.engine, plan_reclaim(shop.engine))
    above = walk.walk(shop.engine, NodeId.artifact(child.id), Direction.UP)
    assert ((version.id,), (maker.id, user.id)) == (above.versions, above.runs)
    assert [version.id] == [each.id for each in find.versions(shop.engine, MODEL, with_tombstones=True)]
    assert ([], 0) == (find.versions(shop.engine, MODEL), find.collection(shop.engine, MODEL).versions)
    assert "model:v0" in {face.label for face in walk.faces(shop.engine, [NodeId.artifact(version.id)]).values()}


@pytest.mark.fault("G18", "I-15")
def test_latest_is_recomputed(shop: Any) -> None:
    """Without the version logged last, the one logged before it is the latest; with none left there is none."""
    versions = [shop.put(files={"a": b"%d" % number}).version for number in range(3)]
    shop.put(files={"a": b"0"})
    for number, expected in ((0, "model:v2"), (2, "model:v1"), (1, None)):
        delete.delete_version(shop.engine, versions[number])
        if expected is not None:
            assert expected == shop.version("model").name
    with pytest.raises(NotFound, match="has no latest"):
        shop.version("model")
    assert "model:v3" == shop.put(files={"a": b"0"}).version.name


def test_aliases_keep_a_version(shop: Any) -> None:
    """A version with names of its own is not deleted until they are given up; `latest` alone does not count."""
    version = shop.put(aliases=["b", "a"]).version
    with pytest.raises(Conflict, match="alias a, b: move it, or say delete_aliases=True"):
        delete.delete_version(shop.engine, version)
    assert ("latest", "a", "b") == shop.version("model").aliases
    delete.delete_version(shop.engine, version, delete_aliases=True)
    with pytest.raises(Gone):
        delete.delete_version(shop.engine, shop.version("model:v0"))
    delete.delete_version(shop.engine, version, delete_aliases=True)


@pytest.mark.fault("G18")
@pytest.mark.parametrize("alias", ["prod", "production", "protected", "gold"])
def test_protected_aliases_keep_a_version(shop: Any, alias: str) -> None:
    """A protected alias, of every project or of this one, cannot be given up by deleting: alone, with its run, with its collection."""
    if alias == "gold":
        update.protect_alias(shop.engine, ProjectPath("demo"), "gold")
    run = shop.run("r1")
    version = shop.put(run=run, aliases=[alias, "best"]).version
    shop.done("r1")
    for refused in (
        lambda: delete.delete_version(shop.engine, version, delete_aliases=True),
        lambda: delete.delete_run(shop.engine, run.id, delete_artifacts=True),
        lambda: delete.delete_collection(shop.engine, MODEL),
    ):
        with pytest.raises(Conflict, match=f"protected by alias {alias}"):
            refused()
    assert ("latest", *sorted([alias, "best"])) == shop.version("model").aliases
    assert find.run(shop.engine, RunPath("r1", "demo")).deleted_at is None
    update.move_aliases(shop.engine, version, remove=[alias])
    delete.delete_version(shop.engine, version, delete_aliases=True)


def test_protection_may_end(shop: Any) -> None:
    """An alias that is no longer protected protects nothing."""
    version = shop.put(aliases=["gold"]).version
    update.protect_alias(shop.engine, ProjectPath("demo"), "gold")
    update.protect_alias(shop.engine, ProjectPath("demo"), "gold", protect=False)
    delete.delete_version(shop.engine, version, delete_aliases=True)


@pytest.mark.fault("G18")
def test_a_link_protects_its_source(shop: Any) -> None:
    """A protected alias on a link, protected in the link's project alone, keeps the version in the other one."""
    version = shop.put("one").version
    linked = link.link_version(shop.engine, version, ArtifactPath("registry", None, "other"), ["gold"])
    update.protect_alias(shop.engine, ProjectPath("other"), "gold")
    with pytest.raises(Conflict, match="protected by alias gold"):
        delete.delete_version(shop.engine, version, delete_aliases=True)
    delete.delete_version(shop.engine, linked)
    delete.delete_version(shop.engine, version)


@pytest.mark.fault("I-12")
def test_a_held_version(shop: Any) -> None:
    """A held version is not deleted until it is released."""
    version = update.update_version(shop.engine, shop.put().version, held=True)
    for refused in (lambda: delete.delete_version(shop.engine, version), lambda: delete.delete_collection(shop.engine, MODEL)):
        with pytest.raises(Conflict, match="held"):
            refused()
    delete.delete_version(shop.engine, update.update_version(shop.engine, version, held=False))


def test_deleting_a_link_only_unlinks(shop: Any) -> None:
    """The version behind a deleted link stays; behind a deleted version its links are tombstones."""
    version = shop.put("one").version
    linked = link.link_version(shop.engine, version, ArtifactPath("best", None, "demo"), ["x"])
    delete.delete_version(shop.engine, linked)
    assert shop.version("one").is_live
    again = link.link_version(shop.engine, version, ArtifactPath("best", None, "demo"))
    delete.delete_version(shop.engine, version)
    assert (again.name, VersionState.DELETED) == (shop.version("best:v1").name, shop.version("best:v1").state)
    with pytest.raises(NotFound):
        shop.version("best")


@pytest.mark.fault("I-16")
def test_a_deleted_collection(shop: Any) -> None:
    """Its versions are tombstones, its links are out, its name is free for another type; numbers go on, tags and words do not."""
    shop.put(files={"a": b"1"}, aliases=["best"])
    shop.put(files={"a": b"2"})
    other = shop.put("other").version
    link.link_version(shop.engine, other, MODEL, ["x"])
    update.update_collection(shop.engine, MODEL, description="old", tags=["old"])
    delete.delete_collection(shop.engine, MODEL)

    for look in (lambda: shop.version("model:v0"), lambda: find.collection(shop.engine, MODEL), lambda: find.versions(shop.engine, MODEL)):
        with pytest.raises(NotFound):
            look()
    assert ["other"] == [series.name for series in find.collections(shop.engine, ProjectPath("demo"))]
    assert shop.version("other").is_live
    with pytest.raises(NotFound):
        delete.delete_collection(shop.engine, MODEL)

    again = shop.put(files={"a": b"1"}, type="dataset")
    assert (True, "model:v3", "dataset", ("latest",)) == (again.is_new, again.version.name, again.version.type, again.version.aliases)
    series = find.collection(shop.engine, MODEL)
    assert (None, (), 1, "dataset") == (series.description, series.tags, series.versions, series.type)
    assert ["dataset", "model"] == find.types(shop.engine, ProjectPath("demo"))


def test_deleting_a_run(shop: Any) -> None:
    """Metrics go; id, edges and artifacts stay; the id is never given again."""
    run = shop.done("r1", [{"loss": 1.0}])
    version = shop.put(run=run).version
    delete.delete_run(shop.engine, run.id)

    with pytest.raises(RunNotFoundError, match="was deleted; its edges remain"):
        find.run(shop.engine, RunPath("r1", "demo"))
    assert ([], {}, []) == (
        list(find.history(shop.engine, run.id)),
        find.summary(shop.engine, run.id),
        find.runs(shop.engine, ProjectPath("demo")),
    )
    assert (shop.version("model").id, (run.id, (run.id,))) == (version.id, walk.makers(shop.engine, version.id))
    for resume in (None, "allow", "must", "never"):
        with pytest.raises(Conflict, match="never given twice"):
            shop.run("r1", resume=start.Resume.of(resume))
    deleted = find.run_by_id(shop.engine, run.id).deleted_at
    shop.clock.move(hours=1)
    delete.delete_run(shop.engine, run.id)
    assert deleted == find.run_by_id(shop.engine, run.id).deleted_at


def test_deleting_a_run_with_what_it_made(shop: Any) -> None:
    """Asked for, the versions it is the maker of go too, whatever their aliases; those it only reproduced stay."""
    run = shop.run("r1")
    kept = shop.put("kept").version
    shop.put("kept", run=run)
    made = shop.put("made", files={"a": b"m"}, run=run, aliases=["best"]).version
    shop.done("r1")
    delete.delete_run(shop.engine, run.id, delete_artifacts=True)
    assert [VersionState.LIVE, VersionState.DELETED] == [find.version_by_id(shop.engine, version.id).state for version in (kept, made)]


def test_a_running_run_is_not_deleted(shop: Any) -> None:
    """A run that a living process is running is finished first; one whose process died is not in the way."""
    run = shop.run("r1")
    with pytest.raises(Conflict, match="is running: finish it first"):
        delete.delete_run(shop.engine, run.id)
    together(1, lambda _: _start_elsewhere(shop))
    delete.delete_run(shop.engine, find.run(shop.engine, RunPath("gone", "demo")).id)
    with pytest.raises(RunNotFoundError):
        delete.delete_run(shop.engine, 99)


def _start_elsewhere(shop: Any) -> None:
    shop.engine = shop.again()
    shop.run("gone")


@pytest.mark.fault("G25", "I-06")
def test_shared_bytes_stay(shop: Any) -> None:
    """A blob that a live version has in common with a deleted one stays, and so does a segment."""
    shared, one = {"s": b"shared"}, shop.put("one", files={"s": b"shared", "x": b"only one"}).version
    two = shop.put("two", files=shared).version
    delete.delete_version(shop.engine, one)
    freed = reclaim(shop.engine, plan_reclaim(shop.engine))
    assert (3, shared, True, False) == (freed.blobs, shop.files(two), shop.has(b"shared"), shop.has(b"only one"))


@pytest.mark.fault("I-14", "G21")
def test_a_tombstone_takes_nothing_new(shop: Any, trace: Trace) -> None:
    """Aliases, tags, words, TTLs and links are refused on a tombstone, also through a record from before it was one."""
    version = shop.put().version
    delete.delete_version(shop.engine, version)
    before = trace()
    for change in (
        lambda: update.move_aliases(shop.engine, version, add=["best"]),
        lambda: update.update_version(shop.engine, version, tags=["t"]),
        lambda: update.update_version(shop.engine, version, ttl=dt.timedelta(1)),
        lambda: link.link_version(shop.engine, version, ArtifactPath("fresh", None, "demo")),
    ):
        with pytest.raises(Gone):
            change()
    assert before == trace()


def test_moving_aliases(shop: Any) -> None:
    """An alias leaves where it was; removing one the version does not carry takes it from nobody; `latest` cannot be removed."""
    one, two = (shop.put(files={"a": data}).version for data in (b"1", b"2"))
    assert ("a", "b") == update.move_aliases(shop.engine, one, add=["a", "b", "latest"]).aliases
    assert ("latest", "a") == update.move_aliases(shop.engine, two, add=["a"], remove=["b"]).aliases
    assert ("b",) == shop.version("model:v0").aliases
    with pytest.raises(Conflict, match="cannot be removed"):
        update.move_aliases(shop.engine, two, remove=["latest"])
    for alias in ("v1", "a:b", "", "a/b"):
        with pytest.raises(InvalidName):
            update.move_aliases(shop.engine, two, add=["fine", alias])
    assert ("latest", "a") == shop.version("model").aliases


def test_aliases_of_links_are_their_own(shop: Any) -> None:
    """Aliases moved on a link are the link's; tags and metadata set there are the version's."""
    version = shop.put("one", aliases=["mine"]).version
    linked = link.link_version(shop.engine, version, ArtifactPath("best", None, "demo"))
    assert ("latest", "yours") == update.move_aliases(shop.engine, linked, add=["yours"]).aliases
    update.update_version(shop.engine, linked, tags=["t"], metadata={"a": 1}, description="d")
    found = shop.version("one")
    assert (("latest", "mine"), ("t",), {"a": 1}, "d") == (found.aliases, found.tags, found.metadata, found.description)
    with pytest.raises(InvalidPolicy, match="is a link"):
        update.update_version(shop.engine, linked, ttl=None)


def test_updating_a_version(shop: Any) -> None:
    """Each field alone; what is left out stays; what is wrong changes nothing."""
    version = shop.put(description="d", metadata={"a": 1}, tags=["t"]).version
    assert version == update.update_version(shop.engine, version)
    found = update.update_version(shop.engine, version, ttl=dt.timedelta(hours=1))
    assert (Policy(False, 3600), shop.clock() + dt.timedelta(hours=1)) == (found.policy, found.expires_at)
    bare = update.update_version(shop.engine, version, description=None, metadata={}, tags=[])
    assert (None, {}, ()) == (bare.description, bare.metadata, bare.tags)
    for given, error in (
        ({"metadata": {"x": float("nan")}}, InvalidMetadata),
        ({"tags": ["a,b"]}, InvalidName),
        ({"ttl": 3}, InvalidPolicy),
        ({"description": "\0"}, InvalidMetadata),
    ):
        with pytest.raises(error):
            update.update_version(shop.engine, version, **{"held": True} | given)
    assert not shop.version("model").is_held


def test_ttl_defaults(shop: Any) -> None:
    """A version's own TTL, else its type's, else the project's; INHERIT gives it back to them."""
    version = shop.put().version
    assert Policy(False, None) == update.effective_ttl(shop.engine, version)
    update.set_default_ttl(shop.engine, ProjectPath("demo"), dt.timedelta(days=9))
    assert Policy(False, 9 * 86_400) == update.effective_ttl(shop.engine, version)
    update.set_default_ttl(shop.engine, ProjectPath("demo"), dt.timedelta(days=2), "model")
    assert Policy(False, 2 * 86_400) == update.effective_ttl(shop.engine, version)
    assert Policy(False, None) == update.effective_ttl(shop.engine, update.update_version(shop.engine, version, ttl=None))
    assert Policy(False, 2 * 86_400) == update.effective_ttl(
        shop.engine, update.update_version(shop.engine, version, ttl=ArtifactTTL.INHERIT)
    )
    with pytest.raises(InvalidPolicy):
        update.set_default_ttl(shop.engine, ProjectPath("demo"), dt.timedelta(0))


def test_renaming_a_collection(shop: Any) -> None:
    """Versions, numbers and aliases go with it; a name that is or was somebody else's is refused, as is a bad one."""
    shop.put(aliases=["best"])
    shop.put("other")
    delete.delete_collection(shop.engine, ArtifactPath("other", None, "demo"))
    shop.put("third")
    for name, error in (("third", Conflict), ("other", Conflict), ("a b", InvalidName), ("..", InvalidName)):
        with pytest.raises(error):
            update.update_collection(shop.engine, MODEL, name=name, description="changed")
    assert find.collection(shop.engine, MODEL).description is None
    renamed = update.update_collection(shop.engine, MODEL, name="better", tags=["t", "t"])
    assert ("better", ("t",), "better:v0") == (renamed.name, renamed.tags, shop.version("better:best").name)
    assert "better" == update.update_collection(shop.engine, ArtifactPath("better", None, "demo"), name="better").name
    assert ("model:v0", "better:v1") == (shop.put(files={"n": b"1"}).version.name, shop.put("better", files={"n": b"1"}).version.name)


def test_updating_a_run(shop: Any) -> None:
    """Each field alone; what is wrong changes nothing; an unknown run is no run."""
    run = shop.run("r1", config={"a": 1}, tags=("t",))
    found = update.update_run(
        shop.engine, run.id, name="n", notes="x", tags=["u", "u"], group="g", job_type="j", config={"b": 2}, state=RunState.PREEMPTING
    )
    assert ("n", "x", ("u",), "g", "j", {"b": 2}, RunState.PREEMPTING) == (
        found.display_name,
        found.notes,
        found.tags,
        found.group,
        found.job_type,
        found.config,
        found.state,
    )
    assert found == update.update_run(shop.engine, run.id)
    for given, error in (
        ({"tags": ["a\n"]}, InvalidName),
        ({"config": {"a": float("inf")}}, InvalidMetadata),
        ({"group": "\0"}, InvalidMetadata),
    ):
        with pytest.raises(error):
            update.update_run(shop.engine, run.id, **{"notes": "changed"} | given)
    assert "x" == find.run(shop.engine, RunPath("r1", "demo")).notes
    with pytest.raises(RunNotFoundError):
        update.update_run(shop.engine, 99, notes="x")
    with pytest.raises((Conflict, RunNotFoundError)):
        update.update_summary(shop.engine, 99, {"a": 1})


def test_summaries(shop: Any) -> None:
    """Keys are set and removed, nested ones flat; NaN is a value."""
    run = shop.run("r1")
    update.update_summary(shop.engine, run.id, {"a": {"b": 1}, "c": float("nan"), "d": "x"})
    update.update_summary(shop.engine, run.id, {"d": 2, "e": [1]}, remove=["a.b", "nothing"])
    found = find.summary(shop.engine, run.id)
    assert ("c", "d", "e") == tuple(found)
    assert ("nan", 2, [1]) == (str(found["c"]), found["d"], found["e"])
    with pytest.raises(InvalidMetadata):
        update.update_summary(shop.engine, run.id, {"f": object()}, remove=["d"])
    assert "d" in find.summary(shop.engine, run.id)


def test_projects_that_are_not_there(shop: Any) -> None:
    """Looking in a project that is not there says so and makes none; its bad name is refused where one would be made."""
    nowhere = ProjectPath("nowhere")
    for look in (
        lambda: find.runs(shop.engine, nowhere),
        lambda: find.collections(shop.engine, nowhere),
        lambda: find.types(shop.engine, nowhere),
        lambda: find.sweeps(shop.engine, nowhere),
        lambda: update.protect_alias(shop.engine, nowhere, "x"),
        lambda: walk.graph(shop.engine, nowhere),
    ):
        with pytest.raises(NotFound, match="no project ann/nowhere"):
            look()
    assert ["demo"] == [project.name for project in find.projects(shop.engine)]
    with pytest.raises(InvalidName):
        start.start_run(shop.engine, start.Opening(ProjectPath("a/b")))
    with pytest.raises(InvalidName):
        start.start_run(shop.engine, start.Opening(ProjectPath("fine", "né")))
    assert ["demo"] == [project.name for project in find.projects(shop.engine)]
    with pytest.raises(InvalidName):
        shop.run("a/b")
