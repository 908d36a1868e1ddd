"""End a run: seal its journal into a blob, settle its summary, write down how it ended. Runs whose process died are ended for them."""

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from lineage.actions.find import run_by_id
from lineage.actions.open import Engine
from lineage.catalog import metric as metrics
from lineage.catalog import project as projects
from lineage.catalog import run as runs
from lineage.catalog import session as sessions
from lineage.catalog.open import Connection
from lineage.catalog.process import is_alive
from lineage.model.errors import Conflict, RunNotFoundError
from lineage.model.metric import flat, read_row, summarise
from lineage.model.run import RunRecord, RunState
from storage.blob import disk
from storage.blob.journal import BeingWritten, Journal, texts, whole_lines
from storage.digest import Digest
from storage.errors import Corrupt
from storage.layout import JOURNALS


def finish_run(
    engine: Engine, run_id: int, *, exit_code: int = 0, state: RunState | None = None, summary: Mapping[str, Any] | None = None
) -> RunRecord:
    """The run as it ended: finished, or failed when `exit_code` is not 0, unless `state` says otherwise. Again changes nothing but the state.

    Raises:
        RunNotFoundError: there is no such run, or it was deleted.
        InvalidMetadata: a value of the summary cannot be kept; the run goes on.
        Corrupt: its journal is damaged. The run has ended all the same; what it logged stays where it is.
    """
    settled = flat(summary or {})
    record = run_by_id(engine, run_id)
    if record.deleted_at is not None:
        raise RunNotFoundError(f"run {record.path} was deleted; its edges remain")
    ended = state or (RunState.FINISHED if exit_code == 0 else RunState.FAILED)
    fields = {"state": ended, "exit_code": exit_code, "finished_at": engine.now, "heartbeat_at": engine.now, "owner": None}
    try:
        _seal(engine, record, fields, settled)
    except Corrupt:
        with engine.catalog.tx() as c:
            _end(c, record.id, fields, settled)
        raise
    return run_by_id(engine, run_id)


def _end(c: Connection, run_id: int, fields: dict[str, Any], summary: dict[str, Any]) -> None:
    metrics.put(c, run_id, summary)
    runs.update(c, run_id, fields)


def _seal(engine: Engine, record: RunRecord, fields: dict[str, Any], summary: dict[str, Any]) -> None:
    """End the run with what its journals hold; one that another process still writes is left to that process."""
    with ExitStack() as stack:
        journals = [journal for path in engine.journals(record.id) if (journal := _held(path, stack)) is not None]
        pieces = [b"".join(whole_lines(journal.path)) for journal in journals]
        rows = [read_row(text) for piece in pieces for text in texts(piece.splitlines(keepends=True))]
        if rows:
            fields["step"] = max(record.step, *(row.step + 1 for row in rows))
            summary = summarise(rows) | summary
        with engine.catalog.read() as c:
            domain = projects.get(c, record.project_id).domain

        with engine.store(domain).session() as session:
            sealed = [session.take_bytes(piece) for piece in pieces if piece]
            session.publish()
            with engine.catalog.tx() as c:
                if sealed and not sessions.is_open(c, session.id):
                    raise Conflict("this writer was given up for dead while it was away: finish the run again, nothing was recorded")
                for blob in sealed:
                    runs.add_history(c, record.id, domain, str(blob.digest))
                if sealed:
                    sessions.commit(c, session.id)
                _end(c, record.id, fields, summary)

        for journal in journals:
            with suppress(OSError):  # the rows are sealed; `sweep_journals` tries again
                disk.unlink(journal.path)


def _held(path: Path, stack: ExitStack) -> Journal | None:
    """The journal, ours until the stack unwinds, so that nobody begins to write what is about to be removed."""
    try:
        return stack.enter_context(Journal(path))
    except BeingWritten:
        return None


def drop_sealed(engine: Engine, record: RunRecord) -> None:
    """Remove the run's journals whose rows are sealed already: whoever sealed them died, or was refused, before he removed them."""
    for path in engine.journals(record.id):
        with ExitStack() as stack:
            rows = b"".join(whole_lines(path))
            is_sealed = rows and str(Digest.of(rows, engine.home.format.algorithm)) in record.history
            if (is_sealed or record.deleted_at is not None) and _held(path, stack) is not None:
                with disk.refusals(path):
                    disk.unlink(path)


def sweep_journals(engine: Engine) -> None:
    """Remove every journal that nobody needs: of deleted runs, and those whose rows are sealed."""
    waiting = {path.name.partition(".")[0] for path in (engine.home.root / JOURNALS).glob("*.jsonl")}
    with engine.catalog.read() as c:
        found = runs.several(c, sorted(int(name) for name in waiting if name.isdecimal()))
    for record in found:
        with suppress(Corrupt):  # it stays for a person to look at; reading that run's history says what is wrong
            drop_sealed(engine, record)


def end_crashed(engine: Engine) -> list[int]:
    """Mark the runs whose process is gone as crashed, with everything they had logged; their numbers."""
    if engine.catalog.is_read_only:
        return []
    with engine.catalog.read() as c:
        gone = [run_id for run_id, owner in runs.alive(c) if owner is not None and not is_alive(owner)]
    return [run_id for run_id in gone if _end_crashed(engine, run_id)]


def _end_crashed(engine: Engine, run_id: int) -> bool:
    """End one run, unless somebody else did, or took it up again, since it was found. Nobody can while the lock is held."""
    with engine.catalog.lock.held():
        with engine.catalog.read() as c:
            owner = runs.owner(c, run_id)
        if owner is None or is_alive(owner):
            return False
        record = run_by_id(engine, run_id)
        state = RunState.PREEMPTED if record.state is RunState.PREEMPTING else RunState.CRASHED
        fields = {"state": state, "finished_at": record_end(record, engine), "owner": None}
        try:
            _seal(engine, record, fields, {})
        except Corrupt:  # one damaged journal must not keep every other run from starting; reading its history says what is wrong
            with engine.catalog.tx() as c:
                _end(c, run_id, fields, {})
        return True


def record_end(record: RunRecord, engine: Engine) -> int:
    """When a run that nobody ended was last heard of."""
    last = record.heartbeat_at or record.created_at
    return min(engine.now, int(last.timestamp() * 1_000_000))
