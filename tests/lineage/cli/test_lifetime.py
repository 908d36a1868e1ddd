"""`ttl`, `hold`, `protect`, and `ls --history`."""

import datetime as dt
from pathlib import Path

import pytest

from lineage.actions import find
from lineage.actions.open import Engine
from lineage.model.names import ArtifactPath
from tests.lineage.cli.conftest import Caller

NEVER = ("never", "nobody")


@pytest.fixture
def old(lineage: Caller, data: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Caller:
    """A data set and a model, an hour old, that say nothing of their lifetime."""
    monkeypatch.setenv("LINEAGE_ENTITY", "me")
    lineage("put", data / "a.txt", "-n", "toys/rows")
    lineage("put", data / "sub", "-n", "toys/net", "-t", "model", "-a", "gold")
    born = engine.clock() - dt.timedelta(hours=1)
    with engine.catalog.tx() as c:
        c.execute("UPDATE version SET created_at = ?", (int(born.timestamp() * 1_000_000),))
    return lineage


def applies(lineage: Caller, name: str) -> tuple[str, str]:
    answer = lineage("ttl", name, "--json").json
    return answer["effective_ttl"], answer["stated_by"]


def test_ttl_says_what_applies_and_why(old: Caller) -> None:
    """Its own word, its type's, its project's, or nobody's; in words for people."""
    assert NEVER == applies(old, "toys/net")
    assert 0 == old("ttl", "toys", "1w").code
    assert ("1w", "project") == applies(old, "toys/net:v0")
    assert 0 == old("ttl", "toys", "2d", "--type", "model").code
    assert ("2d", "type") == applies(old, "toys/net:gold")
    assert ("1w", "project") == applies(old, "toys/rows")
    assert 0 == old("ttl", "toys/net", "never").code
    assert ("never", "version") == applies(old, "toys/net")
    assert "1w (the project's default), may go in 6 d" in old("ttl", "toys/rows").out
    assert [["model", "2d"], ["every", "other"]] == [line[:2] for line in old("ttl", "toys").words[1:]]


def test_what_becomes_due_is_shown_first(old: Caller) -> None:
    """With every version and its reason; without --yes nothing is stated, and the exit code says so."""
    ended = old("ttl", "toys", "1m")
    assert 4 == ended.code
    assert [["expire", "me/toys/rows:v0"], ["expire", "me/toys/net:v0"]] == [line[:2] for line in ended.words[1:]]
    assert "2 versions would be past the new time at once" in ended.err
    assert NEVER == applies(old, "toys/rows")
    refused = old("ttl", "toys", "1m", "--json")
    assert (4, False, 2) == (refused.code, refused.json["carried_out"], len(refused.json["plan"]["lines"]))


def test_yes_states_it_and_expires_nothing(old: Caller) -> None:
    """The versions are due from then on; to mark them is for `expire`."""
    assert 0 == old("ttl", "toys", "1m", "--yes").code
    assert "its time ended 59 min ago" in old("ttl", "toys/rows").out
    assert "live" == old("show", "toys/rows", "--json").json["state"]
    assert 2 == len(old("expire", "--plan", "--json").json["plan"]["lines"])


def test_a_person_is_asked(old: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal; yes states it, no does not."""
    asked: list[str] = []
    for answer, code, applied in ((False, 4, NEVER), (True, 0, ("1m", "version"))):

        def confirm(_: object, question: str, answer: bool = answer) -> bool:
            asked.append(question)
            return answer

        monkeypatch.setattr("lineage.cli.shell.Shell.confirm", confirm)
        assert code == old("ttl", "toys/rows:v0", "1m").code
        assert applied == applies(old, "toys/rows")
    assert 2 == len(asked)
    assert "1 version will be past the new time" in asked[0]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["ttl", "toys/rows", "1h", "--type", "model"], 2, "--type goes with a project"),
        (["ttl", "toys", "soon"], 2, "write a number and a unit"),
        (["ttl", "toys", "1d", "--type", ""], 2, "type"),
        (["ttl", "absent", "1d"], 1, "neither a project nor an artifact"),
        (["hold", "toys/absent"], 1, "absent"),
        (["protect", "absent", "gold"], 1, "there is no project"),
        (["protect", "toys", "latest"], 2, "latest"),
        (["protect", "toys", "prod", "--off"], 4, "protects in every project"),
        (["protect", "toys", "--off"], 2, "wants an alias"),
        (["ls", "toys", "--history"], 2, "is of an artifact"),
        (["ls", "toys/net:gold", "--history"], 2, "is of an artifact"),
    ],
)
def test_what_is_refused(old: Caller, arguments: list[str], code: int, told: str) -> None:
    """In two lines or one, and nothing changes."""
    before = old("ttl", "toys", "--json").json
    ended = old(*arguments)
    assert (code, "") == (ended.code, ended.out)
    assert told in ended.err
    assert before == old("ttl", "toys", "--json").json
    assert ["prod", "production", "protected"] == old("protect", "toys", "--json").json["protected"]


def test_hold_keeps_a_version_until_it_is_released(old: Caller, engine: Engine) -> None:
    """Expiry skips it, and its release says when its time has ended meanwhile."""
    assert old("hold", "toys/rows", "--json").json["version"]["is_held"]
    old("ttl", "toys/rows", "1m", "--yes")
    assert ["skip"] == [line["verdict"] for line in old("expire", "--plan", "--json").json["plan"]["lines"]]
    released = old("hold", "toys/rows", "--release")
    assert "is not held any more" in released.out
    assert "its time ended 59 min ago" in released.err
    assert not find.version(engine, ArtifactPath("rows", None, "toys", "me")).is_held
    assert "" == old("hold", "toys/net", "--release").err


def test_protect_keeps_what_an_alias_stands_on(old: Caller) -> None:
    """In that project, until it is switched off."""
    assert ["gold", "prod", "production", "protected"] == old("protect", "toys", "gold", "--json").json["protected"]
    assert ["alias gold"] == old("show", "toys/net", "--json").json["kept_by"]
    assert "gold" not in old("protect", "toys", "gold", "--off").out
    assert [] == old("show", "toys/net", "--json").json["kept_by"]


def test_ls_tells_where_aliases_stood(old: Caller, data: Path) -> None:
    """A line for each move, oldest first."""
    old("put", data, "-n", "toys/net", "-t", "model", "-a", "gold", "-a", "new")
    moves = old("ls", "toys/net", "--history", "--json").json["aliases"]
    assert [("gold", "v0"), ("gold", "v1"), ("new", "v1")] == [(each["alias"], each["version"]) for each in moves]
    assert [["gold", "v0"], ["gold", "v1"], ["new", "v1"]] == [line[2:] for line in old("ls", "toys/net", "--history").words[1:]]
    assert "no version of me/toys/rows was ever given an alias" in old("ls", "toys/rows", "--history").out
