"""What a new TTL would do is known before it is stated; who states the one that applies; where aliases stood."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from lineage.actions import create, delete, expire, find, link, update
from lineage.model.artifact import AliasEvent
from lineage.model.errors import Conflict, Gone, InvalidName, InvalidPolicy, NotFound
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.model.retention import PROTECTED_ALIASES, TTL, ArtifactTTL, Origin, Policy, Verdict
from tests.lineage.actions.conftest import DEMO, NOON, Shop

HOUR = dt.timedelta(hours=1)


def names(found: Any) -> list[str]:
    return [line.name.removeprefix("ann/demo/") for line in found.lines]


@pytest.fixture
def aged(shop: Shop) -> Shop:
    """Two models and a data set, five hours old; the second model states a day itself."""
    shop.put("one", {"a": b"1"})
    shop.put("two", {"a": b"2"}, policy=Policy.of(dt.timedelta(days=1)))
    shop.put("rows", {"a": b"3"}, type="dataset")
    shop.clock.move(hours=5)
    return shop


def test_a_default_shows_what_it_makes_due(aged: Shop) -> None:
    """Versions that state nothing themselves and are older than it; of one type when it is the type's. Looking changes nothing."""
    assert ["one:v0", "rows:v0"] == names(update.preview_default_ttl(aged.engine, DEMO, HOUR))
    assert ["one:v0"] == names(update.preview_default_ttl(aged.engine, DEMO, HOUR, "model"))
    assert [] == names(update.preview_default_ttl(aged.engine, DEMO, HOUR, "picture"))
    assert [] == names(update.preview_default_ttl(aged.engine, DEMO, 6 * HOUR))
    assert () == expire.plan_expiry(aged.engine).lines


@pytest.mark.parametrize("ttl", [None, ArtifactTTL.INHERIT, dt.timedelta.max])
def test_for_ever_makes_nothing_due(aged: Shop, ttl: TTL) -> None:
    """Neither stated nor inherited from nobody."""
    assert () == update.preview_default_ttl(aged.engine, DEMO, ttl).lines


def test_what_speaks_first_is_asked_first(aged: Shop) -> None:
    """A type's word shields its versions from the project's, and to withdraw it may make them due."""
    update.set_default_ttl(aged.engine, DEMO, None, "model")
    assert ["rows:v0"] == names(update.preview_default_ttl(aged.engine, DEMO, HOUR))
    update.set_default_ttl(aged.engine, DEMO, HOUR)
    assert ["one:v0"] == names(update.preview_default_ttl(aged.engine, DEMO, ArtifactTTL.INHERIT, "model"))


def test_a_preview_is_what_expiry_then_finds(aged: Shop) -> None:
    """The same versions for the same reasons, with what keeps them; a version that is due already is no news."""
    update.update_version(aged.engine, aged.version("rows"), held=True)
    previewed = update.preview_default_ttl(aged.engine, DEMO, HOUR)
    assert [Verdict.EXPIRE, Verdict.SKIP] == [line.verdict for line in previewed.lines]
    update.set_default_ttl(aged.engine, DEMO, HOUR)
    assert previewed.lines == expire.plan_expiry(aged.engine).lines
    assert () == update.preview_default_ttl(aged.engine, DEMO, 2 * HOUR).lines


def test_a_versions_own_ttl_is_previewed(aged: Shop) -> None:
    """Counted from its creation, and for that version alone."""
    one, two = aged.version("one"), aged.version("two")
    assert ["one:v0"] == names(update.preview_ttl(aged.engine, one, 5 * HOUR))
    assert () == update.preview_ttl(aged.engine, one, 6 * HOUR).lines
    assert () == update.preview_ttl(aged.engine, two, None).lines
    update.set_default_ttl(aged.engine, DEMO, HOUR, "model")
    assert ["two:v0"] == names(update.preview_ttl(aged.engine, two, ArtifactTTL.INHERIT))


def test_other_projects_stay_out(aged: Shop) -> None:
    """A default of one project makes nothing due in another."""
    other = create.project(aged.engine, ProjectPath("other"))
    aged.put("far", project=other)
    aged.clock.move(hours=5)
    assert ["ann/other/far:v0"] == [line.name for line in update.preview_default_ttl(aged.engine, ProjectPath("other"), HOUR).lines]


def test_what_cannot_be_previewed(aged: Shop, trace: Callable[[], dict[str, int]]) -> None:
    """A tombstone, a link, a project that is not there, what is no TTL and no type; nothing is left, not even a project."""
    one = aged.version("one")
    linked = link.link_version(aged.engine, one, ArtifactPath("best", None, "demo"))
    delete.delete_version(aged.engine, aged.version("rows"))
    before, bad, nowhere = trace(), "\0", ProjectPath("nowhere")
    wrong: list[tuple[type[Exception], Callable[[], object]]] = [
        (Gone, lambda: update.preview_ttl(aged.engine, aged.version("rows:v0"), HOUR)),
        (InvalidPolicy, lambda: update.preview_ttl(aged.engine, linked, HOUR)),
        (InvalidPolicy, lambda: update.preview_ttl(aged.engine, one, -HOUR)),
        (NotFound, lambda: update.preview_default_ttl(aged.engine, nowhere, HOUR)),
        (InvalidName, lambda: update.preview_default_ttl(aged.engine, DEMO, HOUR, bad)),
        (InvalidName, lambda: update.set_default_ttl(aged.engine, nowhere, HOUR, bad)),
    ]
    for error, call in wrong:
        with pytest.raises(error):
            call()
    assert before == trace()


def test_who_states_the_ttl(aged: Shop) -> None:
    """The version itself, else its type, else its project, else nobody; through a link too."""
    one = aged.version("one")
    linked = link.link_version(aged.engine, one, ArtifactPath("best", None, "other"))
    assert (Policy(False, None), Origin.NOBODY) == update.ttl_origin(aged.engine, one)
    update.set_default_ttl(aged.engine, DEMO, HOUR)
    assert (Policy.of(HOUR), Origin.PROJECT) == update.ttl_origin(aged.engine, one)
    update.set_default_ttl(aged.engine, DEMO, None, "model")
    assert (Policy(False, None), Origin.TYPE) == update.ttl_origin(aged.engine, linked)
    assert (Policy.of(24 * HOUR), Origin.VERSION) == update.ttl_origin(aged.engine, aged.version("two"))
    assert {"model": Policy(False, None)} == find.type_ttls(aged.engine, DEMO)
    update.set_default_ttl(aged.engine, DEMO, ArtifactTTL.INHERIT, "model")
    assert {} == find.type_ttls(aged.engine, DEMO)


def test_protected_aliases_are_listed(shop: Shop) -> None:
    """A project's own beside those of every project, which it cannot give up."""
    update.protect_alias(shop.engine, DEMO, "gold")
    update.protect_alias(shop.engine, DEMO, "gold")
    assert sorted({"gold", *PROTECTED_ALIASES}) == find.protected_aliases(shop.engine, DEMO)
    with pytest.raises(Conflict, match="protects in every project"):
        update.protect_alias(shop.engine, DEMO, "prod", protect=False)
    update.protect_alias(shop.engine, DEMO, "gold", protect=False)
    assert sorted(PROTECTED_ALIASES) == find.protected_aliases(shop.engine, DEMO)


def test_the_past_of_aliases(shop: Shop) -> None:
    """Each move once, oldest first, with the version it led to, or none where the alias was taken off; staying is no move."""
    path = ArtifactPath("model", None, "demo")
    shop.put(files={"a": b"1"}, aliases=["best"])
    shop.clock.move(hours=1)
    second = shop.put(files={"a": b"2"}, aliases=["best", "new"]).version
    shop.put(files={"a": b"2"}, aliases=["best"])
    shop.clock.move(hours=1)
    update.move_aliases(shop.engine, second, remove=["best"])
    delete.delete_version(shop.engine, shop.version("model:v1"), delete_aliases=True)
    assert [
        AliasEvent("best", "v0", NOON),
        AliasEvent("best", "v1", NOON + HOUR),
        AliasEvent("new", "v1", NOON + HOUR),
        AliasEvent("best", None, NOON + 2 * HOUR),
        AliasEvent("new", None, NOON + 2 * HOUR),
    ] == find.alias_history(shop.engine, path)
    with pytest.raises(NotFound):
        find.alias_history(shop.engine, ArtifactPath("absent", None, "demo"))


def test_the_past_of_a_links_aliases(shop: Shop) -> None:
    """Numbers are those of the collection; what is linked there no more is called by its own whole name."""
    path = ArtifactPath("best", None, "demo")
    shop.put("first", {"a": b"1"})
    version = shop.put("second", {"a": b"2"}).version
    link.link_version(shop.engine, shop.version("first"), path, ["champion"])
    linked = link.link_version(shop.engine, version, path, ["champion"])
    assert [("champion", "v0"), ("champion", "v1")] == [(each.alias, each.version) for each in find.alias_history(shop.engine, path)]
    link.unlink_version(shop.engine, linked)
    assert ["v0", "ann/demo/second:v0", None] == [each.version for each in find.alias_history(shop.engine, path)]
    assert [] == find.alias_history(shop.engine, ArtifactPath("second", None, "demo"))
