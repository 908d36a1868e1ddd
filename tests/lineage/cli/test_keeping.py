"""`expire`, `reclaim` and `verify`."""

import datetime as dt
from pathlib import Path

import pytest

from lineage.actions import delete, find, update
from lineage.actions.open import Engine
from lineage.actions.verify import verify
from lineage.model.errors import UsageError
from lineage.model.names import ArtifactPath, ProjectPath
from storage.transfer import statcache
from tests.lineage.cli.conftest import Caller


@pytest.fixture
def due(lineage: Caller, data: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Caller:
    """Two versions whose second has passed, the second of them protected by an alias."""
    monkeypatch.setenv("LINEAGE_ENTITY", "me")
    lineage("put", data / "a.txt", "-n", "toys/old", "--ttl", "1s")
    lineage("put", data / "sub", "-n", "toys/dear", "--ttl", "1s", "-a", "prod")
    born = engine.clock() - dt.timedelta(hours=1)
    with engine.catalog.tx() as c:
        c.execute("UPDATE version SET created_at = ?", (int(born.timestamp() * 1_000_000),))
    return lineage


def test_what_the_project_protects_is_shown_as_kept(due: Caller, engine: Engine) -> None:
    """An alias that the project itself protects counts as one that every project protects."""
    update.move_aliases(engine, find.version(engine, ArtifactPath.parse("toys/old")), add=["golden"])
    assert [] == due("show", "toys/old:v0", "--json").json["kept_by"]
    update.protect_alias(engine, ProjectPath("toys"), "golden")
    assert ["alias golden"] == due("show", "toys/old:v0", "--json").json["kept_by"]


def test_expire_shows_its_plan_and_waits_for_leave(due: Caller) -> None:
    """A line and a reason for each version; without --yes nothing changes, and the exit code says so."""
    ended = due("expire")
    assert 4 == ended.code
    assert ["expire", "me/toys/old:v0"] in [line[:2] for line in ended.words]
    assert "protected by alias prod" in ended.out
    assert "--yes carries the plan out" in ended.err
    assert "live" == due("show", "toys/old:v0", "--json").json["state"]


def test_looking_at_the_plan_is_no_refusal(due: Caller) -> None:
    """--plan ends with 0 and changes nothing."""
    answer = due("expire", "--plan", "--json")
    assert (0, False) == (answer.code, answer.json["carried_out"])
    assert {"expire", "skip"} == {line["verdict"] for line in answer.json["plan"]["lines"]}


def test_expire_marks_and_reclaim_frees(due: Caller) -> None:
    """The version stays as a tombstone with its lineage, its bytes go, and what is protected keeps both."""
    assert ["me/toys/old:v0"] == [line["path"] for line in due("expire", "toys", "--yes", "--json").json["expired"]]
    shown = due("show", "toys/old:v0", "--json").json
    assert "expired" == shown["state"]
    assert shown["reason"]
    assert 1 == due("get", "toys/old:v0").code
    assert 4 == due("reclaim").code
    assert 0 < due("reclaim", "--yes", "--json").json["freed"]["bytes"]
    assert 0 == due("get", "toys/dear").code
    assert "nothing to free" in due("reclaim", "--yes").out


def test_what_is_free_and_what_stays_inside_packs_is_told_apart(lineage: Caller, tmp_path: Path, engine: Engine) -> None:
    """A pack that is still needed keeps its dead bytes, and says so; once half of it is dead it is rewritten, and the disk has them back."""
    parts = {name: tmp_path / name for name in ("some", "more")}
    for number, root in enumerate(parts.values()):
        root.mkdir()
        for part in range(4 * number + 2):
            (root / f"{number}-{part}").write_bytes(bytes([number, part]) * 5000)
    whole = tmp_path / "whole"
    whole.mkdir()
    for path in (path for root in parts.values() for path in root.iterdir()):
        (whole / path.name).write_bytes(path.read_bytes())

    def on_disk() -> int:
        return sum(path.stat().st_size for path in (lineage.home / "objects").rglob("*") if path.is_file())

    lineage("put", whole, "-n", "me/toys/whole")
    for name, root in parts.items():
        lineage("put", root, "-n", f"me/toys/{name}")
    delete.delete_version(engine, find.version(engine, ArtifactPath.parse("toys/whole")))
    lineage("reclaim", "--yes")
    delete.delete_version(engine, find.version(engine, ArtifactPath.parse("toys/some")))
    before = on_disk()
    freed = lineage("reclaim", "--yes", "--json").json["freed"]
    assert 20_000 <= freed["inside"] < 23_000
    assert before - on_disk() == freed["disk"] < 20_000 <= freed["bytes"]

    lineage("put", parts["more"] / "1-0", "-n", "me/toys/last")
    delete.delete_version(engine, find.version(engine, ArtifactPath.parse("toys/more")))
    before = on_disk()
    plan = lineage("reclaim", "--plan", "--json").json["plan"]
    ended = lineage("reclaim", "--yes", "--json").json["freed"]
    assert before - on_disk() == ended["disk"]
    assert ended["inside"] < 2_000
    assert ended["disk"] > 60_000
    assert (1 <= ended["rewritten"], plan["sparse"]) == (True, ended["rewritten"])
    assert 0 == lineage("verify", "--deep").code
    assert 0 == lineage("get", "me/toys/last").code


def test_freeing_everything_wants_force(lineage: Caller, data: Path, engine: Engine) -> None:
    """A plan that would leave nothing in the store is doubted: --yes alone, as scripts say it, frees nothing."""
    lineage("put", data / "a.txt", "-n", "me/toys/only")
    delete.delete_version(engine, find.version(engine, ArtifactPath.parse("toys/only")))
    ended = lineage("reclaim", "--yes")
    assert (4, True) == (ended.code, "nothing would be left" in ended.err)
    assert 0 < lineage("reclaim", "--yes", "--force", "--json").json["freed"]["blobs"]


def test_nothing_is_past_its_time(lineage: Caller, data: Path) -> None:
    """Then there is nothing to ask."""
    lineage("put", data, "-n", "toys/new", "--ttl", "1d")
    ended = lineage("expire")
    assert (0, "nothing is past its time\n") == (ended.code, ended.out)


def test_show_says_what_keeps_a_version(due: Caller) -> None:
    """Its own lifetime, when it would end, and what holds it nevertheless."""
    shown = due("show", "toys/dear:v0", "--json").json
    assert ("1s", "1s", ["alias prod"]) == (shown["ttl"], shown["effective_ttl"], shown["kept_by"])


def test_a_sound_store_is_verified(lineage: Caller, data: Path) -> None:
    """Everything is read, and the answer is yes."""
    lineage("put", data, "-n", "toys/cats")
    ended = lineage("verify", "--deep", "--json")
    assert (0, True) == (ended.code, ended.json["ok"])
    assert 0 < ended.json["checked"]


@pytest.mark.fault("I-24")
def test_damage_has_an_exit_code_of_its_own(lineage: Caller, data: Path) -> None:
    """A flipped byte is found, named, and ends with 3; nothing is deleted."""
    lineage("put", data / "a.txt", "-n", "toys/letter")
    blob = next(path for path in (lineage.home / "objects").rglob("*") if path.is_file() and b"one\n" in path.read_bytes())
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes().replace(b"one\n", b"onE\n"))
    ended = lineage("verify")
    assert 3 == ended.code
    assert "corrupt" in ended.out
    assert "there is damage" in ended.out


@pytest.mark.fault("I-24")
def test_a_quick_look_sees_sizes_alone(lineage: Caller, data: Path) -> None:
    """--quick reads no content, so it finds what is cut off or gone, and a byte that was flipped it does not."""
    lineage("put", data / "a.txt", "-n", "toys/letter")
    blob = next(path for path in (lineage.home / "objects").rglob("*") if path.is_file() and b"one\n" in path.read_bytes())
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes().replace(b"one\n", b"onE\n"))
    assert 0 == lineage("verify", "--quick").code
    blob.write_bytes(blob.read_bytes()[:-1])
    assert 3 == lineage("verify", "--quick").code


@pytest.mark.fault("H15")
def test_what_the_catalogue_lost_is_put_back(lineage: Caller, data: Path, engine: Engine) -> None:
    """A blob whose place was forgotten is missing until --rebuild finds it in its pack; then it is read and downloaded again."""
    lineage("put", data, "-n", "me/toys/cats")
    displaced = [row for row in engine.ledger.records() if row.pack is not None]
    engine.ledger.displace(displaced)
    assert 3 == lineage("verify").code
    ended = lineage("verify", "--rebuild", "--json")

    assert (0, True, len(displaced)) == (ended.code, ended.json["ok"], ended.json["put_back"])
    assert 0 == lineage("get", "me/toys/cats").code
    assert 0 == lineage("verify", "--rebuild", "--json").json["put_back"]


def test_quick_and_deep_exclude_each_other(lineage: Caller, engine: Engine) -> None:
    """One looks at less than usual, the other at more: both at once is a wrong call, here and in a program."""
    ended = lineage("verify", "--quick", "--deep")
    assert (2, "") == (ended.code, ended.out)
    assert "say one of them" in ended.err
    with pytest.raises(UsageError, match="say one of them"):
        verify(engine, quick=True, deep=True)


def test_a_held_version_is_skipped(due: Caller, engine: Engine) -> None:
    """And the plan says why."""
    version = find.version(engine, ArtifactPath("old", "v0", "toys", "me"))
    update.update_version(engine, version, held=True)
    ended = due("expire", "--yes", "--json")
    assert (0, False) == (ended.code, ended.json["carried_out"])
    assert any("but held" in line["reason"] for line in ended.json["plan"]["lines"])


def _lose(lineage: Caller) -> None:
    """Take the only large file out of the store."""
    for path in (lineage.home / "objects").rglob("*"):
        if path.is_file() and path.stat().st_size > 2_000_000:
            path.unlink()


@pytest.mark.fault("I-24")
@pytest.mark.parametrize("question", ["verify", "get"])
def test_what_was_lost_comes_back_when_it_is_logged_again(
    lineage: Caller, data: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    """As the error advises: whoever found it missing lets nothing be taken on trust, even where the directory looks as it did."""
    now = statcache._now
    monkeypatch.setattr(statcache, "_now", lambda directory: (old := now(directory)) and (old[0], old[1] + 7_200_000_000_000))
    (data / "large").write_bytes(b"x" * 3_000_000)
    lineage("put", data, "-n", "toys/cats")
    lineage("put", data / "a.txt", "-n", "toys/letter")
    assert "nothing was stored" in lineage("put", data, "-n", "toys/cats").out
    _lose(lineage)
    ended = lineage("verify") if question == "verify" else lineage("get", "toys/cats", "--root", "out")
    assert {"verify": 3, "get": 1}[question] == ended.code
    assert "is back: 1 blob of 2.9 MiB" in lineage("put", data, "-n", "toys/cats").out
    assert 0 == lineage("verify").code


@pytest.mark.fault("I-24")
def test_damage_names_the_versions_it_harms(lineage: Caller, data: Path) -> None:
    """And none that can still be read whole; on the screen and in JSON."""
    (data / "large").write_bytes(b"x" * 3_000_000)
    lineage("put", data, "-n", "toys/cats")
    lineage("put", data / "large", "-n", "toys/one")
    lineage("put", data / "a.txt", "-n", "toys/letter")
    assert [] == lineage("verify", "--json").json["versions"]
    _lose(lineage)
    ended, document = lineage("verify"), lineage("verify", "--json").json
    assert ["cats:v0", "one:v0"] == [path.rpartition("/")[2] for path in document["versions"]]
    assert document["versions"] == [words[2] for words in ended.words if words[:2] == ["not", "whole"]]
