"""Many processes at once on one store, some of them killed: what they were told stays true, and nobody has to clean up after them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lineage.actions import find, verify, walk
from lineage.actions.open import Engine, open_engine
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.model.edge import Direction
from lineage.model.names import ArtifactPath
from lineage.model.node import NodeId
from storage.errors import Unavailable
from storage.layout import STAGING
from tests.faults.invariants import Acknowledged, check, cleaned
from tests.faults.worker import content, put

ROOT = Path(__file__).parents[2]
Said = list[dict[str, Any]]
soak = pytest.mark.soak


@contextmanager
def crew(home: Path, *roles: str) -> Iterator[subprocess.Popen[bytes]]:
    """The processes of `tests.faults.worker`, at work; ended with the block at the latest."""
    command = [sys.executable, "-m", "tests.faults.worker", str(home), *roles]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            if process.stdin:
                process.stdin.close()
            process.wait(120)


def heard(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    assert process.stdout
    for line in process.stdout:
        yield json.loads(line)


def all_of(home: Path, *roles: str) -> Said:
    """Everything the processes said until they were done; none of them may fail."""
    with crew(home, *roles) as process:
        said = list(heard(process))
    assert 0 == process.returncode, "a worker failed: see its traceback on standard error"
    return said


@contextmanager
def opened(home: Path) -> Iterator[Engine]:
    engine = open_engine(home, entity="team")
    try:
        yield engine
    finally:
        engine.close()


def logged_at_once(home: Path, count: int) -> None:
    """Seven log and one moves aliases, in a store that was not there; the first is killed in the middle of his work."""
    said: Said = []
    with crew(home, *[f"logger:{count}"] * 7, f"aliaser:{count}") as process:
        victim: int | None = None
        for what in heard(process):
            said.append(what)
            victim = what["pid"] if what["me"] == 0 and "pid" in what else victim
            if what["me"] == 0 and what.get("turn") == count // 3 and victim:
                os.kill(victim, signal.SIGKILL)
    assert 0 == process.returncode
    acks = [what for what in said if "order" in what]

    with opened(home) as engine:
        assert {engine.home.format.store} == {what["store"] for what in said if "store" in what}
        assert 7 == sum("done" in what for what in said)
        check(engine, Acknowledged({ack["order"]: content(ack["worker"], ack["turn"]) for ack in acks}))
        found = find.versions(engine, ArtifactPath("x", None, "demo"))
        assert list(range(len(found))) == sorted(version.number for version in found)
        assert sorted(found, key=lambda version: version.id) == sorted(found, key=lambda version: version.number)
        assert {version.id for version in found} >= {ack["order"] for ack in acks}
        assert 6 * count + count // 3 < len(found) < 7 * count
        assert [max(version.id for version in found)] == [version.id for version in found if "latest" in version.aliases]
        assert 1 == sum("best" in version.aliases for version in found)

        assert verify.verify(engine, deep=True).ok
        put(engine, "y", {"a": b"the next one to write"})
        assert [] == list((home / STAGING).glob("*")), "the dead one's staging is still there"
        cleaned(engine)
        assert verify.verify(engine).ok


@pytest.mark.fault("G27", "G28", "D02", "D10", "S10", "G30", "I-03", "I-14", "I-15", "I-16")
def test_eight_processes_on_one_name(place: Path) -> None:
    """Versions come out without a gap or a double in commit order, one is latest, one is best, and a killed writer leaves no work."""
    logged_at_once(place / "home", 25)


@soak
@pytest.mark.fault("G27", "G28")
def test_eight_processes_for_long(place: Path) -> None:
    """The same, two hundred times each."""
    logged_at_once(place / "home", 200)


def expired_at_once(home: Path, count: int) -> None:
    said = all_of(home, *[f"relogger:{count}"] * 3, f"expirer:{2 * count}", f"expirer:{2 * count}")

    with opened(home) as engine:
        check(engine)
        assert any(what.get("expired") for what in said), "nothing ever expired: the test tests nothing"
        again = put(engine, "same", {"a": b"always the same", "b": b"0"})
        assert again.version.is_live
        cleaned(engine)
        check(engine, Acknowledged({again.version.id: {"a": b"always the same", "b": b"0"}}))


@pytest.mark.fault("G01", "G10", "G11", "G22", "G24", "G25", "I-06", "I-09")
def test_expiring_while_the_same_is_logged_again(place: Path) -> None:
    """While three log the same bytes and two expire and reclaim them, a live version always has its content."""
    expired_at_once(place / "home", 15)


@soak
@pytest.mark.fault("G24")
def test_expiring_for_long(place: Path) -> None:
    """The same, three hundred times."""
    expired_at_once(place / "home", 300)


@pytest.mark.fault("M06", "I-19", "I-21")
def test_two_that_use_what_the_other_logs(place: Path) -> None:
    """Two runs that use each other's outputs leave an acyclic graph in which every version is below those it was made from."""
    said = all_of(place / "home", "crosser:12", "crosser:12")

    with opened(place / "home") as engine:
        check(engine)
        orders = sorted(what["order"] for what in said if "order" in what)
        assert 24 == len(set(orders))
        for order in orders:
            above = walk.walk(engine, NodeId.artifact(order), Direction.UP).versions
            assert order not in above
            assert all(order in walk.walk(engine, NodeId.artifact(other), Direction.DOWN).versions for other in above)


@pytest.mark.fault("G01", "G30", "S10", "I-07")
def test_reclaim_waits_for_a_writer_and_not_for_a_dead_one(place: Path) -> None:
    """Reclaim is refused while another process is writing, and goes ahead, taking what that one left, once it was killed."""
    home = place / "home"
    with opened(home) as engine, crew(home, "holder:1") as process:
        voices = heard(process)
        pid, session = next(voices)["pid"], next(voices)["session"]
        planned = plan_reclaim(engine)
        assert 0 == len(planned.doomed)
        with pytest.raises(Unavailable, match="1 writers"):
            reclaim(engine, planned)
        assert (home / STAGING / session).is_dir()
        os.kill(pid, signal.SIGKILL)
        assert [] == list(voices)
        process.wait(60)

        assert 1 == len(plan_reclaim(engine).doomed)
        cleaned(engine)
