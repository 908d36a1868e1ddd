"""The power may go at any moment: what the catalogue acknowledged is on the disk, whole, whatever else the disk has forgotten.

Real logs are recorded and every disk that an outage may leave is looked at (S02). Then the protocol is mutated: each flush in turn is
forgotten, or comes after the promise that relies on it, each new name is the first one already, and the model must find that; so no flush
and no rename is needless, and the model is not blind.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest

from lineage.actions import delete
from lineage.actions.open import Engine
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.model.metric import Row, write_row
from storage.blob.journal import Journal
from tests.faults.invariants import check
from tests.faults.kill import Scene
from tests.faults.power import Step, Sync, belated, in_place, namings, outages, syncs, without
from tests.faults.promise import broken
from tests.faults.recorder import Dead, Recorder
from tests.faults.scene import Stage, begin, end, measure, named, number, put, tree

BUDGET = 400
"""Disks looked at for one step of a log; all there are, where there are fewer."""
HOME = ("deep", "home")


class Recording:
    """An engine at work in directories that did not exist before, and what it asked of the disk."""

    def __init__(self, place: Path) -> None:
        self.stage = Stage(place)
        self.top = place / "top"
        self.top.mkdir()
        self.root = self.top.joinpath(*HOME)
        self.recorder = Recorder(self.top, self.root)

    def open(self) -> Engine:
        return Scene(self.root, ()).open(self.root)


def logged(of: Recording) -> None:
    """A new store; files that are packed and one that is not; then another version that shares one of them."""
    engine = of.open()
    put(engine, of.stage.source)
    put(engine, of.stage.other)
    check(engine)
    engine.close()


def measured(of: Recording) -> None:
    """A run with metrics, its journal flushed, taken up again, and sealed."""
    engine = of.open()
    for step in (begin, measure(0), measure(1), end):
        step(engine)
    check(engine)
    engine.close()


def reclaimed(of: Recording) -> None:
    """A version deleted, its bytes reclaimed, and logged again."""
    engine = of.open()
    put(engine, of.stage.source)
    put(engine, tree(of.stage.place / "third", {"x": b"xi", "big": of.stage.large}), "kept")
    found = named(engine, "raw:v0")
    assert found is not None
    delete.delete_version(engine, found, delete_aliases=True)
    reclaim(engine, plan_reclaim(engine))
    put(engine, of.stage.source)
    check(engine)
    engine.close()


def interrupted(of: Recording) -> None:
    """One writer after another dies in the middle, each a few effects later, and the last one finds what they left."""
    for dies_at in range(4, 120, 9):
        of.recorder.effects, of.recorder.dies_at = 0, dies_at
        with suppress(Dead):
            put(of.open(), of.stage.source)
        of.recorder.dies_at = None
    engine = of.open()
    put(engine, of.stage.source)
    begin(engine)
    left = Journal(engine.journal(number(engine)))
    left.append(write_row(Row(0, 0.0, {"loss": 1.0})))
    os.close(left._descriptor)  # he dies before he flushes anything
    for step in (measure(1), end):
        step(engine)
    check(engine)
    engine.close()


STORIES = {story.__name__: story for story in (logged, measured, reclaimed, interrupted)}


CAUTIOUS = {"open.py directory", "journal.py directory"}
"""Who flushes names that whoever made them has flushed himself, unless he died first."""


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Step]]:
    """What each story asked of the disk."""
    recorded = {}
    for name, story in STORIES.items():
        of = Recording(tmp_path_factory.mktemp(name))
        with of.recorder.recording():
            story(of)
        assert [] == of.recorder.differences()
        recorded[name] = of.recorder.log
    return recorded


def problems(log: Sequence[Step], budget: int = BUDGET) -> Iterator[str]:
    for outage in outages(log, budget):
        yield from (f"after step {outage.after}, {log[outage.after - 1]}: {problem}" for problem in broken(outage, HOME))


def is_found(log: Sequence[Step]) -> bool:
    """Does the model see that something is wrong? The extremes show it."""
    return next(problems(log, budget=40), None) is not None


@pytest.mark.fault("S02", "D07", "I-01", "I-02", "I-03")
@pytest.mark.parametrize("name", STORIES)
def test_power_lost_after_every_step(name: str, stories: dict[str, list[Step]]) -> None:
    """Of all the disks an outage may leave, none has lost what was acknowledged, and none shows anything half."""
    assert [] == list(islice(problems(stories[name]), 5))


@pytest.mark.soak
@pytest.mark.fault("S02", "I-01", "I-02", "I-03")
@pytest.mark.parametrize("name", STORIES)
def test_power_lost_after_every_step_at_length(name: str, stories: dict[str, list[Step]]) -> None:
    """The same with every disk there may be, up to a hundred thousand for one step."""
    assert [] == list(islice(problems(stories[name], 100_000), 5))


@pytest.mark.fault("S02")
def test_how_many_disks_are_looked_at(stories: dict[str, list[Step]]) -> None:
    """Tens of thousands: a model that looks at few disks would find little."""
    assert 20_000 < sum(1 for log in stories.values() for _ in outages(log, BUDGET))


@pytest.mark.fault("S02")
@pytest.mark.parametrize("mutation", [without, belated])
@pytest.mark.parametrize("name", [story for story in STORIES if story != "interrupted"])
def test_every_flush_is_needed(name: str, mutation: Callable[[Sequence[Step], int], list[Step]], stories: dict[str, list[Step]]) -> None:
    """A program that forgets any one of its flushes, or makes it after what relies on it, loses something: none is there for nothing."""
    log = stories[name]
    needless = [log[place] for place in syncs(log) if not is_found(mutation(log, place))]

    assert [] == [sync for sync in needless if sync.what not in CAUTIOUS]


@pytest.mark.fault("S02", "I-02", "I-04")
@pytest.mark.parametrize("name", ["logged", "reclaimed"])
def test_every_new_name_is_needed(name: str, stories: dict[str, list[Step]]) -> None:
    """A program that writes anything under its last name from the beginning, and saves a link or a rename, shows something half."""
    log = stories[name]
    places = namings(log)

    assert 4 <= len(places)
    assert [] == [log[place] for place in places if not is_found(in_place(log, place))]


@pytest.mark.fault("S02")
def test_every_caution_is_needed(stories: dict[str, list[Step]]) -> None:
    """Where writers die early, no room can do without its flushes, also those that only make up for what the dead left unflushed."""
    log = stories["interrupted"]
    sites = {sync.what for sync in log if isinstance(sync, Sync)} - {"home.py directory"}  # the catalogue makes up for it

    assert sites >= CAUTIOUS
    assert set() == {site for site in sites if not is_found([step for step in log if not (isinstance(step, Sync) and step.what == site)])}
