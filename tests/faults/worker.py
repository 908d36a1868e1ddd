"""Real processes that work on one store at once; a test starts this program, reads what they say and ends some of them.

    python -m tests.faults.worker HOME ROLE:COUNT ROLE:COUNT …

This process imports everything, forks one process a role, and lets them all go at the same moment. Each says one JSON object a line:
first who it is, then whatever its role acknowledges, only after the engine did.
"""

import datetime as dt
import json
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage.actions import create, expire, find, log, start, update, use
from lineage.actions.open import Engine, open_engine
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.model.errors import Gone, NotFound
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.model.retention import Policy
from storage.blob.pack import PACKED
from storage.entry import Entry
from storage.errors import Unavailable

DEMO = ProjectPath("demo")
KEPT, TTL = Policy(), Policy.of(dt.timedelta(hours=1))


def put(
    engine: Engine, name: str, files: dict[str, bytes], *, run: int | None = None, policy: Policy = KEPT, aliases: tuple[str, ...] = ()
) -> log.Logged:
    """Log some bytes as a version."""
    project = create.project(engine, DEMO)
    session = engine.store(project.domain).session()
    entries = [Entry.file(path, session.take_bytes(data).digest, len(data)) for path, data in files.items()]
    return log.log_version(engine, project, log.Draft(name, "data", policy=policy), entries, session, run_id=run, aliases=aliases)


@dataclass(frozen=True)
class Task:
    """What one process is to do, how often, and who it is among the others."""

    engine: Engine
    me: int
    count: int

    def say(self, **what: Any) -> None:
        os.write(1, json.dumps({"me": self.me, **what}).encode() + b"\n")


def content(worker: int, turn: int) -> dict[str, bytes]:
    """Every version differs; one of its files is everybody's."""
    return {"own": f"{worker}/{turn}".encode(), "shared": str(turn % 3).encode()}


def logger(task: Task) -> None:
    """Log new versions to one name, and move one alias along."""
    for turn in range(task.count):
        done = put(task.engine, "x", content(task.me, turn), aliases=("best",))
        task.say(order=done.version.id, number=done.version.number, is_new=done.is_new, worker=task.me, turn=turn)


def aliaser(task: Task) -> None:
    """Move an alias to and fro between versions that are there."""
    for turn in range(task.count):
        try:
            found = find.version(task.engine, ArtifactPath("x", f"v{turn % 3}", "demo"))
        except NotFound:
            continue
        update.move_aliases(task.engine, found, add=["best", "mine"], remove=["old"])
        task.say(moved=found.number)


def relogger(task: Task) -> None:
    """Log the same bytes again and again, while somebody expires and reclaims them."""
    for turn in range(task.count):
        done = put(task.engine, "same", {"a": b"always the same", "b": str(turn % 2).encode()}, policy=TTL)
        task.say(order=done.version.id, is_new=done.is_new)


def expirer(task: Task) -> None:
    """Expire whatever is there, a day later, and free it when nobody writes."""
    later = open_engine(task.engine.home.root, entity=task.engine.entity, clock=lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    for _ in range(task.count):
        gone = expire.expire(later, expire.plan_expiry(later), confirmed=True)
        try:
            freed = reclaim(later, plan_reclaim(later), empty_ok=True).blobs
        except Unavailable:
            freed = None
        task.say(expired=len(gone.expired), freed=freed)
    later.close()


def crosser(task: Task) -> None:
    """Log what the other one uses and use what he logs, as one run: together the two would make a cycle."""
    mine, other = f"c{task.me % 2}", f"c{1 - task.me % 2}"
    run = start.start_run(task.engine, start.Opening(DEMO, f"run-{task.me}")).run.id
    for turn in range(task.count):
        with suppress(NotFound, Gone):
            use.use_version(task.engine, run, find.version(task.engine, ArtifactPath(other, None, "demo")))
        task.say(order=put(task.engine, mine, content(task.me, turn), run=run).version.id)


def holder(task: Task) -> None:
    """Begin to write, and be away until somebody ends us."""
    session = task.engine.store(create.project(task.engine, DEMO).domain).session()
    session.take_bytes(b"held" * PACKED)
    task.say(session=session.id)
    sys.stdin.read()


ROLES: dict[str, Callable[[Task], None]] = {role.__name__: role for role in (logger, aliaser, relogger, expirer, crosser, holder)}


def work(home: Path, role: str, me: int, count: int) -> None:
    engine = open_engine(home, entity="team")
    task = Task(engine, me, count)
    task.say(pid=os.getpid(), role=role, store=engine.home.format.store)
    ROLES[role](task)
    engine.close()
    task.say(done=True)


def main(home: str, *roles: str) -> int:
    gate, opener = os.pipe()
    children = []
    for me, stated in enumerate(roles):
        role, _, count = stated.partition(":")
        child = os.fork()
        if child == 0:
            os.close(opener)
            os.read(gate, 1)
            code = 1
            try:
                work(Path(home), role, me, int(count))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    os.close(opener)
    return sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) > 0 for child in children)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
