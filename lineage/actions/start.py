"""Start a run, or take one up again."""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lineage.actions.find import run_by_id, summary
from lineage.actions.finish import drop_sealed, end_crashed
from lineage.actions.open import Engine, ensure_project
from lineage.catalog import run as runs
from lineage.catalog import sweep as sweeps
from lineage.catalog.open import Connection
from lineage.catalog.process import this_process
from lineage.model.document import check_document, check_words
from lineage.model.errors import Conflict, NotFound
from lineage.model.names import ProjectPath, check_run_id, check_run_tag
from lineage.model.run import Resume, RunRecord, RunState, Start, decide_start
from storage.blob import disk

_ALPHABET = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class Opening:
    """What `init` asks for. `run` is the id; without one a random one is drawn."""

    project: ProjectPath = ProjectPath()
    run: str | None = None
    name: str | None = None
    job_type: str | None = None
    group: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    resume: Resume | None = None
    sweep: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The run, how it began, and the summary it begins with."""

    run: RunRecord
    start: Start
    summary: dict[str, Any]


def new_run_id() -> str:
    """Eight random letters and digits, from the system's randomness alone."""
    number = secrets.randbits(64)
    return "".join(_ALPHABET[number // len(_ALPHABET) ** place % len(_ALPHABET)] for place in range(8))


def start_run(engine: Engine, opening: Opening) -> Started:
    """A new run, or the one of that id taken up again, or begun anew, as its resume mode says.

    Raises:
        InvalidName, InvalidMetadata: what was asked for cannot be.
        Conflict: the mode forbids what it found, or the id belonged to a deleted run.
    """
    name = check_run_id(opening.run) if opening.run is not None else new_run_id()
    tags = tuple(check_run_tag(tag) for tag in opening.tags)
    config = check_document(opening.config, "config")
    stated = {"job_type": opening.job_type, "group_name": opening.group, "notes": opening.notes, "display_name": opening.name}
    stated = {column: check_words(value, column) for column, value in stated.items()}
    end_crashed(engine)

    with engine.catalog.tx() as c:
        place = ensure_project(engine, opening.project)
        found = runs.find(c, place.id, name)
        if found is not None and found.deleted_at is not None:
            raise Conflict(f"run id {name!r} belonged to a run that was deleted: ids are never given twice, choose another")
        start = decide_start(opening.resume, name, exists=found is not None)
        sweep = sweeps.find(c, place.id, opening.sweep) if opening.sweep is not None else None
        if opening.sweep is not None and sweep is None:
            raise NotFound(f"there is no sweep {place.path}/{opening.sweep}: check the id that `sweep` gave")
        if found is None:
            fields = {**stated, "display_name": opening.name or name, "config": config, "sweep_id": sweep.id if sweep else None}
            run_id = runs.insert(c, place.id, name, engine.now, {**fields, "state": RunState.RUNNING, "owner": this_process()})
        else:
            run_id = found.id
            _take_up(c, engine, found, start, stated, config)
        if tags or start is not Start.RESUME:
            runs.set_tags(c, run_id, tags)
        if start is Start.REPLACE:
            # Before the commit: a kill in between must not leave the old rows to the new beginning.
            for journal in engine.journals(run_id):
                with disk.refusals(journal):
                    disk.unlink(journal)

    return Started(run_by_id(engine, run_id), start, summary(engine, run_id))


def _take_up(c: Connection, engine: Engine, found: RunRecord, start: Start, stated: Mapping[str, Any], config: dict[str, Any]) -> None:
    """Let a run that is there run again: resumed with what it had, or begun anew."""
    if start is Start.RESUME:
        drop_sealed(engine, found)
    kept = dict(found.config) if start is Start.RESUME else {}
    fields = {key: value for key, value in stated.items() if value is not None}
    fields |= {"config": kept | config, "state": RunState.RUNNING, "owner": this_process(), "heartbeat_at": engine.now}
    fields |= {"finished_at": None, "exit_code": None}
    if start is Start.REPLACE:
        runs.clear_history(c, found.id)
        fields |= {"step": 0, "created_at": engine.now}
    runs.update(c, found.id, fields)


def heartbeat(engine: Engine, run_id: int) -> None:
    """The run is alive."""
    with engine.catalog.tx() as c:
        runs.update(c, run_id, {"heartbeat_at": engine.now})
