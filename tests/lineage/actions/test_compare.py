"""`compare`: what is gathered of two versions, and of those whose content is gone."""

from collections.abc import Callable

import pytest

from lineage.actions.compare import compare
from lineage.actions.delete import delete_version
from lineage.actions.finish import finish_run
from lineage.actions.link import link_version
from lineage.actions.use import use_version
from lineage.model.names import ArtifactPath
from storage.difference import What
from tests.lineage.actions.conftest import Shop


def test_content_inputs_and_settings_stand_side_by_side(shop: Shop) -> None:
    """Each of the two makers' own: what it used, how it was configured, what it measured, the code it logged."""
    versions = []
    for rate, loss in ((0.1, 0.5), (0.2, 0.25)):
        data = shop.put("data", {"x": str(rate).encode()}, type="dataset").version
        run = shop.run(config={"lr": rate}, job_type="train")
        use_version(shop.engine, run.id, data, "train set")
        shop.put("source", {"main.py": str(rate).encode()}, run, type="code")
        versions.append(shop.put("model", {"w": str(rate).encode(), "same": b"same"}, run, metadata={"rate": rate}).version)
        finish_run(shop.engine, run.id, summary={"loss": loss})

    found = compare(shop.engine, *versions)

    assert found
    assert [("w", What.CHANGED)] == [(change.path, change.what) for change in found.content or ()]
    assert [("ann/demo/data", "train set")] == [(each.collection, each.role) for each in found.inputs]
    assert [("source:v0", "source:v1")] == [(each.before[0].name, each.after[0].name) for each in found.code]
    for values in (found.config, found.metadata, found.summary):
        assert 1 == len(values)
    assert ("lr", 0.1, 0.2) == (found.config[0].key, found.config[0].before, found.config[0].after)


def test_only_what_could_be_an_ingredient_is_an_input(shop: Shop) -> None:
    """Of one run's two versions the earlier was not made from what did not exist yet."""
    run = shop.run()
    first = shop.put("model", {"w": b"1"}, run).version
    use_version(shop.engine, run.id, shop.put("data", type="dataset").version)
    second = shop.put("model", {"w": b"2"}, run).version
    found = compare(shop.engine, first, second)
    assert [((), ("data:v0",))] == [(each.before, tuple(one.name for one in each.after)) for each in found.inputs]


def test_a_version_that_is_gone_is_compared_by_the_rest(shop: Shop) -> None:
    """Its content is not; the answer says why."""
    first, second = (
        shop.put("model", {"w": text}, shop.run(config={"c": text.decode()}), metadata={"m": 1}).version for text in (b"1", b"2")
    )
    delete_version(shop.engine, first)
    found = compare(shop.engine, shop.version("model:v0"), second)
    assert found
    assert found.content is None
    assert "model:v0 was deleted" in found.reason
    assert ["c"] == [each.key for each in found.config]


def test_comparing_changes_nothing(shop: Shop, trace: Callable[[], dict[str, int]]) -> None:
    """No row anywhere is added."""
    versions = [shop.put("model", {"w": text}).version for text in (b"1", b"2")]
    before = trace()
    list(compare(shop.engine, *versions).content or ())
    assert before == trace()


@pytest.mark.parametrize("linked", [True, False])
def test_a_link_is_compared_as_what_it_leads_to(shop: Shop, *, linked: bool) -> None:
    """A version seen through another collection has the content and the maker it has."""
    version = shop.put("model", {"w": b"1"}, shop.run(config={"c": 1})).version
    seen = link_version(shop.engine, version, ArtifactPath("best-of", None, "demo", "ann"), ()) if linked else version
    found = compare(shop.engine, version, seen)
    assert (False, [], ()) == (bool(found), list(found.content or ()), found.config)
