"""An operation, killed or failed at each of its side effects in turn, and what must be true afterwards.

    effects     of the disk (`storage.blob.disk.observe`) and of the catalogue (`lineage.catalog.open.observe`), counted together
    killed      a forked child works on a copy of the store and is gone at the k-th effect, or, from outside, before its k-th system call that
                changes anything in the store, SQLite's own included; this process opens what it left
    failed      the k-th effect raises once, in this process, and the operation goes on as it likes

An operation is cut into steps; what can be seen of the store after a kill is what could be seen after one of them, never anything in
between. Then the same operation is run again, without any repair, and ends as it would have ended at once; reclaim leaves nothing behind.
"""

import datetime as dt
import os
import pickle
import shutil
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from lineage.actions.open import Engine, open_engine
from lineage.catalog import open as catalogue
from storage.blob import disk
from tests.faults.invariants import Acknowledged, check, cleaned, listing, visible
from tests.faults.syscall import KILL, Task, supervised

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
PATIENCE = 60
"""Seconds a child may take before the test says it hangs."""

Step = Callable[[Engine], object]
Seen = dict[str, list[tuple[Any, ...]]]
Failure = Callable[[int, str], Exception | None]


@dataclass
class Scene:
    """A store as it was before the operation, and the operation: steps that may each be done again after a kill."""

    template: Path
    steps: Sequence[Step]
    again: Sequence[Step] = ()
    """What is done after a kill; the same steps when nothing else is said."""
    acknowledged: Acknowledged = field(default_factory=Acknowledged)
    clock: Callable[[], dt.datetime] = lambda: NOON

    def open(self, root: Path) -> Engine:
        return open_engine(root, entity="tester", clock=self.clock)

    def copy(self, root: Path) -> Path:
        if root.exists():
            shutil.rmtree(root)
        if self.template.exists():
            shutil.copytree(self.template, root)
        return root

    def run(self, engine: Engine) -> None:
        for step in self.again or self.steps:
            step(engine)

    def end(self, root: Path) -> Seen:
        """What can be seen in the end, when nothing went wrong."""
        engine = self.open(self.copy(root))
        for step in self.steps:
            step(engine)
        if self.again:
            self.run(engine)
        seen = visible(engine)
        engine.close()
        return seen

    def outcomes(self, root: Path) -> list[Seen]:
        """What can be seen before the operation and after each of its steps."""
        engine = self.open(self.copy(root))
        seen = [visible(engine)]
        for step in self.steps:
            step(engine)
            seen.append(visible(engine))
        engine.close()
        return seen


@contextmanager
def observed(act: Callable[[int, str], None]) -> Iterator[None]:
    """`act` is told of each effect: its number, from 1, and what it is."""
    lock, count = Lock(), 0

    def note(effect: str) -> None:
        nonlocal count
        with lock:
            count += 1
            number = count
        act(number, effect)

    before = disk.observe, catalogue.observe
    disk.observe, catalogue.observe = lambda effect, path: note(f"{effect} {path}"), lambda effect: note(f"sql {effect}")
    try:
        yield
    finally:
        disk.observe, catalogue.observe = before


def die_at(k: int, task: Task, _root: Path) -> tuple[bool, list[Any]]:
    """Do `task` in a child that dies at its k-th effect: whether it came to its end, and what it had told by then."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # another test's server may have a thread: the child does not need it
        child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(PATIENCE)
        code = 3
        try:
            with observed(lambda number, _: os._exit(9) if number == k else None):
                task(lambda told: _tell(writer, told))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        told = list(_unpickled(stream))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9), f"the child ended with {status} at effect {k}: see its traceback on standard error"
    return status == 0, told


def die_in_call(k: int, task: Task, root: Path) -> tuple[bool, list[Any]]:
    """As `die_at`, before the k-th system call that changes something below `root`."""
    watched = supervised(task, root, lambda number, _: KILL if number == k else None)
    return not watched.was_killed, watched.told


def _tell(descriptor: int, told: object) -> None:
    os.write(descriptor, pickle.dumps(told))


def _unpickled(stream: Any) -> Iterator[Any]:
    while True:
        try:
            yield pickle.load(stream)
        except EOFError:
            return


def killed_everywhere(scene: Scene, root: Path, die: Callable[[int, Task, Path], tuple[bool, list[Any]]] = die_at) -> int:
    """Kill the operation at every effect; the number of places there were."""
    seen, end = scene.outcomes(root), scene.end(root)
    k = 0
    is_done = False
    while not is_done:
        k += 1
        scene.copy(root)
        is_done, told = die(k, lambda tell: work(scene, root, tell), root)
        engine = scene.open(root)
        try:
            after_death(scene, engine, seen[len(told) :], end)
        except BaseException as error:
            error.add_note(f"killed at effect {k} of {scene.template.name}, {len(told)} steps acknowledged")
            raise
        finally:
            engine.close()
    return k - 1


def work(scene: Scene, root: Path, tell: Callable[[object], None]) -> None:
    """What a child does: open the store, do the operation, tell each step that was acknowledged."""
    engine = scene.open(root)
    for number, step in enumerate(scene.steps):
        step(engine)
        tell(number)


def after_death(scene: Scene, engine: Engine, possible: list[Seen], end: Seen) -> None:
    """Nothing is half (I-04), nothing acknowledged is lost (I-03), nothing needs repair (I-05), nothing leaks (I-09)."""
    check(engine, scene.acknowledged)
    assert visible(engine) in possible, "something in between can be seen"
    scene.run(engine)
    assert end == visible(engine), "done again, it ends otherwise"
    cleaned(engine)
    check(engine)
    assert end == visible(engine), "reclaim changed what can be seen"


def failed_everywhere(scene: Scene, root: Path, failure: Failure, typed: tuple[type[Exception], ...], places: slice = slice(None)) -> None:
    """Let the effects at `places` fail; the error is typed, the store sound, and the operation succeeds the second time."""
    seen, end = scene.outcomes(root), scene.end(root)
    for k in range(1, _count(scene, root) + 1)[places]:
        engine = scene.open(scene.copy(root))
        error = _fail(scene, engine, k, failure)
        try:
            assert error is None or isinstance(error, typed), f"not a typed error: {error!r}"
            check(engine, scene.acknowledged)
            assert visible(engine) in seen, "something in between can be seen"
            scene.run(engine)
            assert end == visible(engine), "done again, it ends otherwise"
            cleaned(engine)
            check(engine)
        except BaseException as problem:
            problem.add_note(f"effect {k} failed, and the operation said {error!r}; left are {listing(root)}")
            raise
        finally:
            engine.close()


def _count(scene: Scene, root: Path) -> int:
    """How many effects the operation has on an open store."""
    engine = scene.open(scene.copy(root))
    with counted() as effects:
        for step in scene.steps:
            step(engine)
    engine.close()
    return len(effects)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The effects of what is done meanwhile."""
    effects: list[str] = []
    with observed(lambda _, effect: effects.append(effect)):
        yield effects


def places(scene: Scene, root: Path) -> int:
    """How many places there are to kill the operation at."""
    scene.copy(root)
    with counted() as effects:
        work(scene, root, lambda _: None)
    return len(effects)


def _fail(scene: Scene, engine: Engine, k: int, failure: Failure) -> Exception | None:
    def act(number: int, effect: str) -> None:
        error = failure(number - k, effect)
        if error is not None:
            raise error

    with observed(act):
        try:
            for step in scene.steps:
                step(engine)
        except Exception as error:
            return error
    return None
