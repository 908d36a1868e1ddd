"""Long random lives of a store, step by step beside the oracle: after each step the engine and a few dictionaries agree on everything."""

import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from lineage.actions import create, delete, expire, find, finish, link, log, read, record, start, update, use, walk
from lineage.actions.open import Engine, open_engine
from lineage.model.artifact import VersionRecord
from lineage.model.edge import Direction
from lineage.model.errors import Gone
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.model.node import NodeId
from lineage.model.project import ProjectRecord
from lineage.model.retention import ArtifactTTL
from storage.digest import Digest
from storage.entry import Entry
from storage.manifest import build
from tests.faults.invariants import Acknowledged, check, cleaned
from tests.faults.oracle import Oracle, Place, Ttl
from tests.faults.scene import PACKED

CONTENTS: list[dict[str, bytes]] = [{}, {"a": b"1"}, {"a": b"1", "b": b"2"}, {"c": b"1"}, {"a": b"2", "d": b"3" * (PACKED + 1)}]
"""Few and overlapping: the same bytes come again in other versions, other names and other collections; one is too large to be packed."""
DIGESTS = [str(build([Entry.file(name, Digest.of(data), len(data)) for name, data in files.items()]).manifest.digest) for files in CONTENTS]
PLACES: list[Place] = [("demo", "x"), ("demo", "y"), ("other", "x")]
SHELF: Place = ("other", "shelf")
TTLS: list[Ttl] = [dt.timedelta(hours=1), "inherit", dt.timedelta(days=3), None]
_FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

which = st.integers(0, 1000)
places, contents = st.sampled_from(PLACES), st.sampled_from(range(len(CONTENTS)))
aliases = st.lists(st.sampled_from(["best", "prod", "café"]), max_size=2, unique=True)


class Machine(RuleBasedStateMachine):
    """See the top of this file. Records are kept from when a version was made: what a caller holds is always old."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="lineage-machine-", dir=_FAST))
        self.oracle = Oracle(dt.datetime(2026, 3, 1, tzinfo=dt.UTC))
        self.records: dict[int, VersionRecord] = {}
        self.linked: dict[int, VersionRecord] = {}
        self.ids: dict[str, int] = {}
        self.engine = self._open()

    def teardown(self) -> None:
        self.engine.close()
        shutil.rmtree(self.place)

    def _open(self) -> Engine:
        return open_engine(self.place / "home", entity="me", clock=lambda: self.oracle.now)

    def project(self, name: str) -> ProjectRecord:
        return create.project(self.engine, ProjectPath(name))

    def version(self, number: int) -> int:
        return sorted(self.oracle.versions)[number % len(self.oracle.versions)]

    def run(self, number: int) -> str:
        return sorted(self.ids)[number % len(self.ids)]

    def agree(self, refusal: object, act: Callable[[], object]) -> None:
        """The engine does it, or refuses it as the oracle does."""
        if refusal is None:
            act()
            return
        assert isinstance(refusal, type)
        with pytest.raises(refusal):
            act()

    # ── rules ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    @initialize()
    def projects(self) -> None:
        for name in ("demo", "other"):
            self.project(name)

    @rule()
    def start_run(self) -> None:
        name = f"r{len(self.ids)}"
        self.ids[name] = start.start_run(self.engine, start.Opening(ProjectPath("demo"), name)).run.id
        self.oracle.runs[name] = "running"

    @precondition(lambda self: self.ids)
    @rule(number=which, code=st.sampled_from([0, 1]))
    def finish_run(self, number: int, code: int) -> None:
        name = self.run(number)
        if self.oracle.runs[name] != "gone":
            finish.finish_run(self.engine, self.ids[name], exit_code=code)
            self.oracle.runs[name] = "failed" if code else "finished"

    @rule(place=places, content=contents, number=which, names=aliases, by_run=st.booleans(), incremental=st.booleans())
    def log(self, place: Place, content: int, number: int, names: list[str], *, by_run: bool, incremental: bool) -> None:
        run = self.run(number) if by_run and self.ids else None
        project = self.project(place[0])
        base = self.oracle.latest(place) if incremental else None
        files = dict(CONTENTS[content])
        if base is not None:
            there = self.oracle.versions[base].files
            if there is None:  # recorded by its digest alone: nothing to add to
                return
            files = {**there, **files}
        session = self.engine.store(project.domain).session()
        taken = [Entry.file(name, session.take_bytes(data).digest, len(data)) for name, data in CONTENTS[content].items()]
        done = log.log_version(
            self.engine,
            project,
            log.Draft(place[1], "data"),
            taken,
            session,
            run_id=self.ids.get(run or ""),
            aliases=names,
            incremental=incremental,
        )
        order = self.oracle.log(place, _content(files), files, run, names)
        assert (order, order not in self.records) == (done.version.id, done.is_new)
        self.records[order] = done.version if done.is_new else self.records[order]

    @precondition(lambda self: self.oracle.versions)
    @rule(place=places, content=contents, inputs=st.lists(which, min_size=1, max_size=3), late=st.lists(which, max_size=2))
    def work(self, place: Place, content: int, inputs: list[int], late: list[int]) -> None:
        """A run that uses, logs, and uses more afterwards: what it made, for one."""
        self.start_run()
        newest = len(self.ids) - 1
        place_of_newest = sorted(self.ids).index(f"r{newest}")
        for number in inputs:
            self.use(place_of_newest, number)
        self.log(place, content, place_of_newest, [], by_run=True, incremental=False)
        for number in late:
            self.use(place_of_newest, number)

    @precondition(lambda self: self.oracle.versions)
    @rule(place=places, content=st.none() | contents, numbers=st.lists(which, max_size=3))
    def record(self, place: Place, content: int | None, numbers: list[int]) -> None:
        name = f"r{len(self.ids)}"
        used = [self.version(number) for number in numbers]
        output = record.Output(place[1], "data", None if content is None else DIGESTS[content])
        [done] = record.record(self.engine, self.project(place[0]), [record.Recording(name, used=used, logged=[output])])
        self.ids[name] = done.run_id
        self.oracle.runs[name] = "finished"
        self.oracle.used |= {(name, order) for order in used}
        order = self.oracle.log(place, -done.run_id if content is None else content, None, name)
        assert (order,) == done.versions
        self.records.setdefault(order, find.version_by_id(self.engine, order))

    @precondition(lambda self: self.ids and self.oracle.versions)
    @rule(run=which, version=which)
    def use(self, run: int, version: int) -> None:
        """Any run uses any version: its own outputs too, and long after it ended."""
        name, order = self.run(run), self.version(version)
        self.agree(self.oracle.use(name, order), lambda: use.use_version(self.engine, self.ids[name], self.records[order]))

    @precondition(lambda self: self.oracle.versions)
    @rule(version=which, place=st.sampled_from([SHELF, SHELF, SHELF, *PLACES]), names=aliases)
    def link(self, version: int, place: Place, names: list[str]) -> None:
        order = self.version(version)
        target = ArtifactPath(place[1], None, place[0])

        def act() -> None:
            found = link.link_version(self.engine, self.records[order], target, names)
            if place == SHELF:
                self.linked[order] = found

        self.agree(self.oracle.link(order, place, names), act)

    @precondition(lambda self: self.linked)
    @rule(number=which)
    def unlink(self, number: int) -> None:
        order = sorted(self.linked)[number % len(self.linked)]
        link.unlink_version(self.engine, self.linked.pop(order))
        self.oracle.unlink(order, SHELF)

    @precondition(lambda self: self.oracle.versions)
    @rule(version=which, add=aliases, remove=aliases, on_shelf=st.booleans())
    def move_aliases(self, version: int, add: list[str], remove: list[str], *, on_shelf: bool) -> None:
        order = self.version(version)
        seen = self.linked.get(order) if on_shelf else None
        place = SHELF if seen else self.oracle.versions[order].home
        refusal = self.oracle.move(order, place, add, remove)
        self.agree(refusal, lambda: update.move_aliases(self.engine, seen or self.records[order], add=add, remove=remove))

    @precondition(lambda self: self.oracle.versions)
    @rule(version=which, tags=st.lists(st.sampled_from(["gold", "old"]), unique=True), held=st.booleans(), ttl=st.sampled_from(TTLS))
    def describe(self, version: int, tags: list[str], ttl: Ttl, *, held: bool) -> None:
        order = self.version(version)
        found = self.oracle.versions[order]
        refusal = self.oracle.move(order, found.home, [], [])
        if refusal is None:
            found.tags, found.held, found.ttl = frozenset(tags), held, ttl
        self.agree(refusal, lambda: update.update_version(self.engine, self.records[order], tags=tags, held=held, ttl=_ttl(ttl)))

    @rule(project=st.sampled_from(["demo", "other"]), ttl=st.sampled_from(TTLS))
    def default_ttl(self, project: str, ttl: Ttl) -> None:
        update.set_default_ttl(self.engine, ProjectPath(project), _ttl(ttl))
        self.oracle.defaults[project] = ttl

    @rule(project=st.sampled_from(["demo", "other"]), protect=st.booleans())
    def protect(self, project: str, *, protect: bool) -> None:
        update.protect_alias(self.engine, ProjectPath(project), "best", protect=protect)
        (self.oracle.protected.add if protect else self.oracle.protected.discard)((project, "best"))

    @precondition(lambda self: self.oracle.versions)
    @rule(version=which, delete_aliases=st.booleans())
    def delete(self, version: int, *, delete_aliases: bool) -> None:
        order = self.version(version)
        if self.oracle.versions[order].state != "live":
            with suppress(Gone):  # somebody was faster: it is gone, and saying so or not comes to the same
                delete.delete_version(self.engine, self.records[order], delete_aliases=delete_aliases)
            return
        refusal = self.oracle.delete(order, delete_aliases=delete_aliases)
        self.agree(refusal, lambda: delete.delete_version(self.engine, self.records[order], delete_aliases=delete_aliases))

    @precondition(lambda self: self.ids)
    @rule(number=which, delete_artifacts=st.booleans())
    def delete_run(self, number: int, *, delete_artifacts: bool) -> None:
        name = self.run(number)
        if self.oracle.runs[name] in ("finished", "failed"):
            refusal = self.oracle.delete_run(name, delete_artifacts=delete_artifacts)
            self.agree(refusal, lambda: delete.delete_run(self.engine, self.ids[name], delete_artifacts=delete_artifacts))

    @rule(hours=st.sampled_from([1, 5, 30, -2, -100, 24 * 400]))
    def advance(self, hours: int) -> None:
        self.oracle.now += dt.timedelta(hours=hours)

    @rule(confirmed=st.booleans(), hours=st.sampled_from([0, 2, 2, 47]))
    def expire(self, hours: int, *, confirmed: bool) -> None:
        self.oracle.now += dt.timedelta(hours=hours)
        planned = expire.plan_expiry(self.engine)
        outcome = self.oracle.expire(confirmed=confirmed)
        if isinstance(outcome, set):
            assert outcome == {line.version for line in expire.expire(self.engine, planned, confirmed=confirmed).expired}
        else:
            self.agree(outcome, lambda: expire.expire(self.engine, planned, confirmed=confirmed))

    @rule()
    def reclaim(self) -> None:
        cleaned(self.engine)

    @rule()
    def reopen(self) -> None:
        self.engine.close()
        self.engine = self._open()

    # ── what must be true after each ──────────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def sound(self) -> None:
        live = {v.order: v.files for v in self.oracle.versions.values() if v.state == "live" and v.files is not None}
        check(self.engine, Acknowledged(live, {v.order for v in self.oracle.versions.values() if v.state != "live"}))

    @invariant()
    def same_versions(self) -> None:
        oracle = self.oracle
        for version, found in zip(oracle.versions.values(), find.versions_by_id(self.engine, list(oracle.versions)), strict=True):
            wanted = (version.number, version.state, version.tags, version.held, _ttl(version.ttl), version.files is None)
            recorded = found.is_recorded if found.is_live else version.files is None
            if not found.is_live:
                with pytest.raises(Gone):
                    read.manifest(self.engine, found)
            assert wanted == (found.number, found.state, frozenset(found.tags), found.is_held, found.policy.value, recorded)
            assert self._names(version.order, version.home) == set(found.aliases)
            seen = {(view.project, view.collection): view for view in find.links(self.engine, version.order)}
            assert {place for place, order in oracle.links if order == version.order} == seen.keys()
            for place, view in seen.items():
                assert (oracle.links[place, version.order].number, self._names(version.order, place)) == (view.number, set(view.aliases))

    def _names(self, order: int, place: Place) -> set[str]:
        return self.oracle.carried(order, place) | ({"latest"} if self.oracle.latest(place) == order else set())

    @invariant()
    def same_edges(self) -> None:
        for name, run_id in self.ids.items():
            assert {order for run, order in self.oracle.used if run == name} == set(walk.used(self.engine, run_id))
            assert {order for run, order in self.oracle.logged if run == name} == set(walk.logged(self.engine, run_id))
            found = find.run_by_id(self.engine, run_id)
            assert self.oracle.runs[name] == ("gone" if found.deleted_at else found.state)
        for order in self.oracle.versions:
            maker = self.oracle.makers.get(order)
            assert (None if maker is None else self.ids[maker]) == walk.makers(self.engine, order)[0]

    @invariant()
    def same_closures(self) -> None:
        oracle = self.oracle
        users = {order: {self.ids[run] for run, used in oracle.used if used == order} for order in oracle.versions}
        makers = {order: {self.ids[oracle.makers[order]]} if order in oracle.makers else set() for order in oracle.versions}
        for order in oracle.versions:
            for direction, reached, across in (
                (Direction.UP, oracle.upstream([order]), makers),
                (Direction.DOWN, oracle.downstream([order]), users),
            ):
                found = walk.walk(self.engine, NodeId.artifact(order), direction)
                assert (sorted(reached - {order}), set().union(*(across[each] for each in reached))) == (
                    list(found.versions),
                    set(found.runs),
                )
                assert found.complete
        for name, run_id in self.ids.items():
            inputs, outputs = (
                {used for run, used in oracle.used if run == name},
                {order for order, run in oracle.makers.items() if run == name},
            )
            for direction, reached in ((Direction.UP, oracle.upstream(inputs)), (Direction.DOWN, oracle.downstream(outputs))):
                assert sorted(reached) == list(walk.walk(self.engine, NodeId.run(run_id), direction).versions)


def _ttl(ttl: Ttl) -> dt.timedelta | None | ArtifactTTL:
    return ArtifactTTL.INHERIT if isinstance(ttl, str) else ttl


def _content(files: dict[str, bytes]) -> int:
    """A number for any content: the listed ones have their place in the list, merged ones one of their own."""
    if files not in CONTENTS:
        CONTENTS.append(files)
    return CONTENTS.index(files)


MACHINE = pytest.mark.fault(
    *("G17", "G18", "G19", "G20", "G25", "M06", "M07", "M08", "M09"),
    *(
        "I-01",
        "I-02",
        "I-03",
        "I-04",
        "I-05",
        "I-06",
        "I-09",
        "I-10",
        "I-12",
        "I-13",
        "I-14",
        "I-15",
        "I-16",
        "I-17",
        "I-18",
        "I-19",
        "I-20",
        "I-21",
    ),
)
_COMMON = settings(deadline=None, report_multiple_bugs=False, database=None, suppress_health_check=list(HealthCheck))


@MACHINE
def test_a_few_lives() -> None:
    """A few hundred steps, the same ones each time."""
    run_state_machine_as_test(Machine, settings=settings(_COMMON, max_examples=50, stateful_step_count=60, derandomize=True))


@pytest.mark.fault("G25", "I-01", "I-09")
def test_adding_to_a_link_of_another_project() -> None:
    """The latest of a collection may be a link whose bytes are another project's: what is added to it takes them along."""
    life = Machine()
    life.projects()
    life.log(place=("demo", "y"), content=0, number=0, names=[], by_run=False, incremental=False)
    life.log(place=("other", "x"), content=4, number=0, names=[], by_run=False, incremental=False)
    life.link(version=1, place=("demo", "y"), names=[])
    life.log(place=("demo", "y"), content=3, number=0, names=[], by_run=False, incremental=True)
    life.sound()
    life.same_versions()
    life.delete(version=1, delete_aliases=True)
    life.reclaim()
    life.sound()
    life.teardown()


@MACHINE
@pytest.mark.soak
def test_many_lives() -> None:
    """Many more, other ones each time; a failure is shrunk and printed as a program."""
    run_state_machine_as_test(Machine, settings=settings(_COMMON, max_examples=300, stateful_step_count=80, print_blob=True))
