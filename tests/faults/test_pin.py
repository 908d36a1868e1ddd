"""What protects a writer's bytes while somebody frees everything that nobody needs: his pins, each of them.

A reclaim that does not wait for writers is let loose in the last moment, between publishing and commit. With all pins nothing is lost;
take the pins of any one call of the ledger away, and something is: so no pin is needless, and none is missing (I-07).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lineage.actions import create, delete, log
from lineage.actions.open import Engine
from lineage.catalog.blob import SqlLedger
from lineage.model.artifact import VersionRecord
from lineage.model.errors import Error
from storage.digest import Blob
from storage.entry import Entry
from storage.errors import StorageError
from tests.faults.invariants import Acknowledged, check
from tests.faults.kill import Scene
from tests.faults.scene import DEMO, FILES, Stage, put, tree

PINNING = ["pin", "place", "hold", "hold_segments"]
"""The calls of the ledger that pin."""


def new(engine: Engine, stage: Stage) -> None:
    """Nothing is known: large bytes are pinned, small ones in their pack."""


def forgotten(engine: Engine, stage: Stage) -> None:
    """All is known from a version that was deleted, and nothing else needs it: it is held."""
    delete.delete_version(engine, put(engine, stage.source), delete_aliases=True)


def assumed(engine: Engine, stage: Stage) -> None:
    """One file is known from a deleted version, and the stat cache says that it is that: it is held, in a segment that is new."""
    files = {"a": FILES["a"], "z": b"zeta"}
    delete.delete_version(engine, put(engine, tree(stage.place / "elsewhere", files)), delete_aliases=True)


STORIES = [new, forgotten, assumed]


def logged(engine: Engine, stage: Stage, *, assuming: bool) -> VersionRecord:
    project = create.project(engine, DEMO)
    session = engine.store(project.domain).session()
    entries = []
    for name, data in FILES.items():
        blob = Blob.of(data)
        if assuming and name == "a":
            session.assume(blob, str(stage.source / name))
        else:
            session.take_bytes(data)
        entries.append(Entry.file(name, blob.digest, blob.size))
    return log.log_version(engine, project, log.Draft("raw", "data"), entries, session).version


def let_loose(engine: Engine) -> None:
    """Free what nobody needs and nobody has pinned, whoever is at work."""
    for found in (engine.ledger.unreachable, engine.ledger.empty_packs):
        doomed = engine.ledger.doom(found())
        for record in doomed:
            if record.pack is None:
                engine.home.backend.remove(record.key)
        engine.ledger.forget(doomed)


def is_kept(place: Path, before: Callable[[Engine, Stage], None], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Does a version that is logged while all that is let loose stay whole?"""
    stage, root = Stage(place), place / "home"
    engine, other = Scene(root, ()).open(root), Scene(root, ()).open(root)
    commit = log._commit

    def late(*given: Any, **named: Any) -> Any:
        let_loose(other)
        return commit(*given, **named)

    try:
        before(engine, stage)
        monkeypatch.setattr(log, "_commit", late)
        check(engine, Acknowledged({logged(engine, stage, assuming=before is assumed).id: FILES}))
    except (StorageError, Error, AssertionError):
        return False
    finally:
        monkeypatch.setattr(log, "_commit", commit)
        engine.close()
        other.close()
    return True


def without_pins(method: Callable[..., Any]) -> Callable[..., Any]:
    """The call, and no pin that it made."""

    def forgetful(self: SqlLedger, session: str, *given: Any) -> Any:
        with self._catalog.tx() as c:
            before = {tuple(row) for row in c.execute("SELECT session_id, blob_id FROM pin")}
            answer = method(self, session, *given)
            for row in {tuple(row) for row in c.execute("SELECT session_id, blob_id FROM pin")} - before:
                c.execute("DELETE FROM pin WHERE session_id = ? AND blob_id = ?", row)
        return answer

    return forgetful


@pytest.mark.fault("I-06", "I-07", "G02", "G03")
@pytest.mark.parametrize("before", STORIES)
def test_pins_keep_what_a_writer_relies_on(before: Callable[[Engine, Stage], None], place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is freed in the last moment before a commit, nothing of the new version is."""
    assert is_kept(place, before, monkeypatch)


@pytest.mark.fault("I-07")
@pytest.mark.parametrize("method", PINNING)
def test_every_pin_is_needed(method: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pins of any one call, what somebody else frees is missed."""
    monkeypatch.setattr(SqlLedger, method, without_pins(getattr(SqlLedger, method)))

    assert False in [is_kept(place / before.__name__, before, monkeypatch) for before in STORIES]
