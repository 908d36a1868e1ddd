"""The engine's system calls, SQLite's own among them: killed before any of them, or told by the system that it failed.

How, and why not with strace or ptrace, says `tests.faults.syscall`. Beside what a test inside the process can do, this reaches calls that no
observer is told of: opening and closing, the catalogue's log and its shared memory, and what libraries do.
"""

import errno
from pathlib import Path
from typing import Any

import pytest

from lineage.model.errors import CatalogDamaged, Error
from storage.errors import Corrupt, StorageError
from tests.faults.kill import Scene, after_death, die_in_call, killed_everywhere, work
from tests.faults.scene import SCENES, Stage
from tests.faults.syscall import CHANGES, Call, Task, Watched, reason, supervised

pytestmark = pytest.mark.skipif(bool(reason()), reason=reason() or "possible here")

KILLED = ["identical", "reclaim", "shared"]
"""What is killed in every run; all the others when there is time."""

NUMBERS = [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EINTR, errno.ESTALE]
FALLIBLE = CHANGES | {"openat", "close", "fchmod"}


@pytest.fixture
def stage(place: Path) -> Stage:
    return Stage(place)


@pytest.mark.fault("S01", "D07", "I-01", "I-02", "I-03", "I-04", "I-05", "I-06", "I-09", "I-10", "I-11")
@pytest.mark.parametrize("name", KILLED)
def test_killed_before_every_call(name: str, stage: Stage) -> None:
    """Whatever system call a process did not live to make, nothing half can be seen, and the same command again needs no repair."""
    assert 30 < killed_everywhere(getattr(stage, name)(), stage.place / "home", die_in_call)


@pytest.mark.soak
@pytest.mark.fault("S01", "I-01", "I-02", "I-03", "I-04", "I-05", "I-06", "I-09", "I-10", "I-11")
@pytest.mark.parametrize("name", [name for name in SCENES if name not in KILLED])
def test_killed_before_every_call_at_length(name: str, stage: Stage) -> None:
    """The same for everything else that is done to a store."""
    killed_everywhere(getattr(stage, name)(), stage.place / "home", die_in_call)


@pytest.mark.fault("S01")
def test_how_many_calls_are_not_lived_to_see(stage: Stage) -> None:
    """A hundred and fifty at least in every run, most of them SQLite's."""
    found: list[Call] = []
    for name in KILLED:
        scene = getattr(Stage(stage.place / f"for {name}"), name)()
        root = scene.copy(stage.place / "home")
        found += watched(scene, root).calls

    assert 150 <= len(found)
    assert 50 <= sum("catalog.sqlite" in call.path for call in found) < len(found)


def watched(scene: Scene, root: Path, at: int = 0, number: int = 0, *, onwards: bool = False) -> Watched:
    """The scene's operation in a child, in which the `at`-th call fails with an errno, and, when asked, all after it but clean-up."""

    def decide(count: int, call: Call) -> int | None:
        is_meant = count == at or (onwards and count > at > 0 and not call.name.startswith(("unlink", "rmdir", "close")))
        return number if is_meant else None

    return supervised(_telling(lambda tell: work(scene, root, tell)), root, decide, FALLIBLE)


def _telling(task: Task) -> Task:
    """The task, of whose error the parent is told."""

    def tell_all(tell: Any) -> None:
        try:
            task(lambda _: None)
        except Exception as error:
            tell((isinstance(error, StorageError | Error), isinstance(error, Corrupt | CatalogDamaged), repr(error)))

    return tell_all


def endured(scene: Scene, root: Path, seen: Watched, possible: list[Any], end: Any) -> None:
    """After a failed call: the error was typed and no claim of damage, nothing is half, and the next try succeeds without repair (S07)."""
    for is_typed, is_damage, error in seen.told:
        assert (True, False) == (is_typed, is_damage), error
    engine = scene.open(root)
    try:
        after_death(scene, engine, possible, end)
    finally:
        engine.close()


PLACES = 2
"""Every so many calls one fails, each time with another errno."""


@pytest.mark.fault("S04", "S05", "S06", "S07", "S08", "F18", "I-04", "I-05", "I-09", "I-10")
@pytest.mark.parametrize("onwards", [False, True], ids=["once", "from then on"])
def test_a_call_that_fails(stage: Stage, *, onwards: bool) -> None:
    """Whichever call the system refuses, whatever it says, once or from then on: the error is typed and never called damage."""
    scene, root = stage.shared(), stage.place / "home"
    possible, end = scene.outcomes(root), scene.end(root)
    count = len(watched(scene, scene.copy(root)).calls)
    refused = []
    for at in range(1 + onwards, count + 1, PLACES * (1 + onwards)):
        number = NUMBERS[at // PLACES % len(NUMBERS)]
        seen = watched(scene, scene.copy(root), at, number, onwards=onwards)
        refused += seen.told
        try:
            endured(scene, root, seen, possible, end)
        except BaseException as problem:
            call = seen.calls[at - 1]
            problem.add_note(f"call {at}, {call}, failed with {errno.errorcode[number]}, and the operation said {seen.told}")
            raise

    assert count // 10 < len(refused)


@pytest.mark.fault("S03", "S09", "I-03", "I-04", "I-05")
@pytest.mark.parametrize("name", ["fsync", "close"])
def test_bytes_that_may_not_have_reached_the_disk(name: str, stage: Stage) -> None:
    """When a file of ours cannot be flushed, or closed after writing, the operation fails, that file is never flushed again, and goes."""
    scene, root = stage.new(), stage.place / "home"
    possible, end = scene.outcomes(root), scene.end(root)
    calls = watched(scene, scene.copy(root)).calls
    staged = [at for at, call in enumerate(calls, 1) if call.name == name and "/staging/" in call.path]
    for at in staged:
        seen = watched(scene, scene.copy(root), at, errno.EIO)
        path = seen.calls[at - 1].path
        assert ["fsync", path] not in [[call.name, call.path] for call in seen.calls[at:]]
        assert [] == [call for call in seen.calls[at:] if call.name == "linkat" and "/objects/" in call.path]
        assert [(True, False)] == [told[:2] for told in seen.told]
        assert not Path(path).exists()
        endured(scene, root, seen, possible, end)

    assert 2 <= len(staged)
