"""Checking references: what was found is kept with its times, what could not be found out changes nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lineage.actions import check, delete, log, use, walk
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.catalog import reference as references
from lineage.model.artifact import VersionRecord
from lineage.model.edge import Direction
from lineage.model.node import NodeId
from storage.entry import Entry, Pin
from storage.transfer import reference
from storage.transfer.reference import survey
from tests.faults.proxy import FOREVER, Fault, Proxy
from tests.faults.s3 import Service

Shop = Any
Pinned = Callable[..., VersionRecord]


@pytest.fixture
def pinned(shop: Shop) -> Pinned:
    """Logs a version of references."""

    def pinned(collection: str, /, *uris: str, run: Any = None, entries: list[Entry] | None = None, **how: Any) -> VersionRecord:
        found = [entry for uri in uris for entry in reference.pin(uri, **how)] if entries is None else entries
        session = shop.engine.store(shop.project.domain).session()
        draft = log.Draft(collection, "dataset")
        return log.log_version(shop.engine, shop.project, draft, found, session, run_id=None if run is None else run.id).version

    return pinned


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two files outside the store."""
    root = tmp_path / "outside"
    root.mkdir()
    (root / "a").write_text("one")
    (root / "b").write_text("two")
    return root


def made_from(shop: Shop, source: VersionRecord, name: str, number: int = 1) -> VersionRecord:
    run = shop.run(f"make-{name}-{number}")
    use.use_version(shop.engine, run.id, source)
    return shop.put(name, {"x": f"{name}{number}".encode()}, run).version


def states(report: check.CheckReport) -> dict[str, str]:
    return {each.path: each.state for each in report.findings}


def test_states_are_kept_with_their_times(shop: Shop, pinned: Pinned, files: Path) -> None:
    """First seen stays while a state lasts, last seen moves with every look, last ok is when it was last right."""
    version = pinned("raw", files.as_uri())
    first = shop.clock()
    report = check.check(shop.engine)
    assert (1, 2, {"ok": 2}, ()) == (report.versions, report.references, report.states, report.findings)
    assert report.is_good

    shop.clock.move(hours=1)
    (files / "a").write_text("ONE")
    drifted = shop.clock()
    assert {"a": "drifted"} == states(check.check(shop.engine))
    shop.clock.move(hours=1)
    (found,) = check.check(shop.engine).astray
    assert ("demo/raw:v0", "a", (files / "a").as_uri()) == (found.artifact.partition("/")[2], found.path, found.uri)
    assert (drifted, shop.clock(), first) == (found.first_seen, found.last_seen, found.last_ok)

    shop.clock.move(hours=1)
    (files / "a").unlink()
    (found,) = check.check(shop.engine, [version.id]).astray
    assert ("missing", shop.clock(), first) == (found.state, found.first_seen, found.last_ok)
    (files / "a").write_text("one")
    shop.clock.move(hours=1)
    assert check.check(shop.engine).is_good


def test_what_could_not_be_found_out_changes_no_state(shop: Shop, pinned: Pinned, s3: Service, s3_proxy: Proxy) -> None:
    """A service that fails is said beside the states; what was known stays known, with its times."""
    bucket = s3.bucket()
    s3.put(bucket, "k", b"x")
    version = pinned("raw", f"s3://{bucket}/k")
    assert [version.id] == check.never_checked(shop.engine, [version.id])
    s3_proxy.plan(Fault("HEAD", status=403, code="AccessDenied", times=FOREVER))
    report = check.check(shop.engine)
    assert ({}, (), 1) == (report.states, report.findings, len(report.unknown))
    assert [version.id] == check.never_checked(shop.engine, [version.id])
    assert not report.is_good

    s3_proxy.forget()
    s3.put(bucket, "k", b"other")
    before = check.check(shop.engine).findings
    s3_proxy.plan(Fault("HEAD", status=403, code="AccessDenied", times=FOREVER))
    shop.clock.move(hours=1)
    report = check.check(shop.engine)
    assert before == report.findings
    assert "permission" in report.unknown[0].reason
    assert [] == check.never_checked(shop.engine, [version.id])


def test_every_state_there_is(shop: Shop, pinned: Pinned, files: Path) -> None:
    """ok, drifted, missing, unpinned and unverifiable, each counted."""
    (files / "gone").write_text("x")
    pinned("raw", files.as_uri())
    pinned("loose", f"{files.as_uri()}/b", checksum=False)
    pinned("told", "vault://somewhere/x", name="x")
    (files / "a").write_text("longer")
    (files / "gone").unlink()

    report = check.check(shop.engine)

    assert {"ok": 1, "drifted": 1, "missing": 1, "unpinned": 1, "unverifiable": 1} == report.states
    assert {"a": "drifted", "gone": "missing", "b": "unpinned", "x": "unverifiable"} == states(report)
    assert ["a", "gone"] == sorted(each.path for each in report.astray)


def test_an_object_of_many_versions_is_asked_about_once(shop: Shop, pinned: Pinned, s3: Service, s3_proxy: Proxy) -> None:
    """Pins are shared: two versions and one of them twice are one question; the answer is told for every entry."""
    bucket = s3.bucket()
    s3.put(bucket, "k", b"x")
    (entry,) = reference.pin(f"s3://{bucket}/k")
    assert entry.pin is not None
    pinned("one", entries=[entry, Entry.reference("again", entry.pin, entry.size)])
    pinned("two", entries=[Entry.reference("other", entry.pin, entry.size)])
    s3.put(bucket, "k", b"y")
    s3_proxy.forget()

    report = check.check(shop.engine)

    assert (2, 1, 1) == (report.versions, report.references, len(s3_proxy.requests))
    assert [("one", "again"), ("one", "k"), ("two", "other")] == [
        (each.artifact.split("/")[2].partition(":")[0], each.path) for each in report.astray
    ]


@pytest.mark.parametrize("versioned", [False, True])
def test_requests_grow_with_pages(shop: Shop, pinned: Pinned, s3: Service, s3_proxy: Proxy, versioned: bool) -> None:
    """1,500 objects that are as they were are two pages; what a listing shows changed, or no more, is asked for by itself."""
    bucket = s3.bucket(versioned=versioned)
    s3.fill(bucket, [f"d/{number:04}" for number in range(1500)])
    pinned("raw", f"s3://{bucket}/d/")
    s3_proxy.forget()
    assert {"ok": 1500} == check.check(shop.engine).states
    assert 2 == len(s3_proxy.requests)

    s3.put(bucket, "d/0007", b"other")
    s3.client.delete_object(Bucket=bucket, Key="d/0009")
    s3_proxy.forget()
    expected = {"ok": 1500} if versioned else {"ok": 1498, "drifted": 1, "missing": 1}
    assert expected == check.check(shop.engine).states
    assert (0 if versioned else 2) == s3_proxy.count("HEAD")


def test_a_place_that_answers_nobody_is_not_asked_a_thousand_times(shop: Shop, pinned: Pinned, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one round of failures the others of that place are unknown too; another place is still asked."""
    asked: list[str] = []
    ask = survey.check
    monkeypatch.setattr(survey, "check", lambda pin, size: asked.append(pin.uri) or ask(pin, size))
    far = [Entry.reference(f"{number:03}", Pin(f"ftp://127.0.0.1:9/{number:03}", "e")) for number in range(100)]
    pinned("raw", entries=[*far, Entry.reference("x", Pin("vault://x"))])

    report = check.check(shop.engine)

    assert (100, {"unverifiable": 1}) == (len(report.unknown), report.states)
    assert survey.WORKERS == sum(uri.startswith("ftp:") for uri in asked)


def test_an_interrupted_check_keeps_what_it_learnt(shop: Shop, pinned: Pinned, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle: the answers that came before are written, the others are as they were."""
    monkeypatch.setattr(check, "BATCH", 1)
    version = pinned("raw", files.as_uri())
    (files / "a").write_text("ONE")
    (files / "b").write_text("TWO")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check.check(shop.engine, progress=interrupt)
    assert ["a"] == [each.path for each in check.findings(shop.engine, [version.id])]
    assert ["a", "b"] == [each.path for each in check.check(shop.engine).astray]


@pytest.mark.fault("I-31")
def test_a_manifest_that_cannot_be_read_keeps_nobody_else_from_being_checked(shop: Shop, pinned: Pinned, files: Path) -> None:
    """It is told by its digest, its version stays unchecked, the others are checked."""
    broken, whole = pinned("broken", f"{files.as_uri()}/a"), pinned("whole", f"{files.as_uri()}/b")
    with shop.engine.catalog.read() as c:
        ((_, domain, digest),) = references.unread(c, [broken.id])
    record = shop.engine.store(domain).locate([digest])[digest]
    path = shop.root / record.key
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data.replace(b"outside/a", b"outside/x"))

    report = check.check(shop.engine)

    assert ({"ok": 1}, [str(digest)]) == (report.states, [each.uri for each in report.unknown])
    assert [broken.id] == check.never_checked(shop.engine, [broken.id, whole.id])


def test_segments_are_looked_through_once(shop: Shop, pinned: Pinned, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second check reads no manifest; reclaimed content takes its references along, and only its own."""
    pinned("raw", files.as_uri())
    kept = pinned("kept", f"{files.as_uri()}/a")
    check.check(shop.engine)
    monkeypatch.setattr(check, "decode_segment", lambda _: pytest.fail("a segment was read again"))
    assert 2 == check.check(shop.engine).references
    delete.delete_version(shop.engine, shop.version("raw:v0"), delete_aliases=True)
    shop.clock.move(days=30)
    for _ in range(3):
        reclaim(shop.engine, plan_reclaim(shop.engine), empty_ok=True)
        shop.clock.move(days=3)
    assert (1, 1) == (check.check(shop.engine).versions, check.check(shop.engine, [kept.id]).references)
    with shop.engine.catalog.read() as c:
        assert ["a"] == [row[0] for row in c.execute("SELECT path FROM segment_reference")]
        assert 1 == c.execute("SELECT count(*) FROM reference").fetchone()[0]


def test_drift_is_told_of_every_descendant(shop: Shop, pinned: Pinned, files: Path) -> None:
    """However many steps away, and of nothing else; what is wrong itself and what was made from it are told apart."""
    raw = pinned("raw", files.as_uri())
    other = shop.put("other", {"x": b"x"}).version
    clean, beside = made_from(shop, raw, "clean"), made_from(shop, other, "beside")
    net = made_from(shop, clean, "net")
    assert set(check.drift(shop.engine, net.id).unchecked) >= {raw.id}
    check.check(shop.engine)
    assert ((), ()) == (check.drift(shop.engine, net.id).findings, check.drift(shop.engine, net.id).unchecked)
    (files / "a").write_text("ONE")
    check.check(shop.engine)

    for version, expected in ((raw, ["a"]), (clean, ["a"]), (net, ["a"]), (other, []), (beside, [])):
        assert expected == [each.path for each in check.drift(shop.engine, version.id).findings]
    assert [raw.id, clean.id, net.id] == [each.id for each in check.affected(shop.engine, [raw.id, other.id])]
    assert [] == check.affected(shop.engine, [clean.id, other.id])
    nodes = [NodeId.artifact(each.id) for each in (raw, clean, net, other)]
    faces = walk.faces(shop.engine, nodes)
    assert ["drifted", "made from drifted", "made from drifted", ""] == [faces[node].warning for node in nodes]


def test_a_drift_that_is_mended_is_told_no_more(shop: Shop, pinned: Pinned, files: Path) -> None:
    """The file is as it was: nobody is marked."""
    raw = pinned("raw", files.as_uri())
    (files / "a").write_text("ONE")
    check.check(shop.engine)
    (files / "a").write_text("one")
    check.check(shop.engine)
    assert () == check.drift(shop.engine, raw.id).findings
    assert "" == walk.faces(shop.engine, [NodeId.artifact(raw.id)])[NodeId.artifact(raw.id)].warning
    assert walk.walk(shop.engine, NodeId.artifact(raw.id), Direction.UP).complete


@pytest.fixture(autouse=True)
def _quiet(recwarn: pytest.WarningsRecorder) -> Iterator[None]:
    yield
    assert [] == [str(each.message) for each in recwarn]
