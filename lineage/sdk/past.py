"""A run as it can be looked at afterwards, by anybody: what it was, what it measured, what it used and logged.

Values are those of the moment it was asked for; `load` asks again. Name, notes, tags, group and configuration may be edited and are pushed
by `update`. The run of this very process is `run.Run`; both answer the same questions about lineage.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NoReturn

from lineage.actions import find
from lineage.actions.delete import delete_run
from lineage.actions.finish import end_crashed
from lineage.actions.update import update_run, update_summary
from lineage.actions.use import use_version
from lineage.actions.walk import logged, used
from lineage.model.errors import UnsupportedError, UsageError
from lineage.model.metric import Row
from lineage.model.names import RunPath
from lineage.model.node import NodeId
from lineage.model.run import ALIVE, RunRecord, RunState
from lineage.sdk.host import Host, artifacts
from lineage.sdk.kin import Kin
from lineage.sdk.page import Page
from lineage.sdk.summary import Summary

_SETTABLE = (RunState.PENDING, RunState.FAILED)


class PastRun(Kin):
    """See the top of this file."""

    def __init__(self, record: RunRecord, host: Host) -> None:
        self._host = host
        self._settle(record)

    def _settle(self, record: RunRecord) -> None:
        self._record = record
        self._summary: Summary | None = None
        self.name = record.display_name
        self.notes = record.notes
        self.tags = list(record.tags)
        self.group = record.group
        self.config: dict[str, Any] = dict(record.config)

    def load(self, force: bool = False) -> "PastRun":  # the W&B signature
        """The same handle, with what is true now; a run whose process died has crashed."""
        end_crashed(self._host.engine)
        self._settle(find.run_by_id(self._host.engine, self._record.id))
        return self

    # ── what it was ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def id(self) -> str:
        return self._record.name

    @property
    def entity(self) -> str:
        return self._record.entity

    @property
    def project(self) -> str:
        return self._record.project

    @property
    def path(self) -> list[str]:
        """Entity, project and id."""
        return [self._record.entity, self._record.project, self._record.name]

    @property
    def url(self) -> None:
        """`None`: an embedded store has no pages."""

    @property
    def state(self) -> str:
        return str(self._record.state)

    @property
    def job_type(self) -> str | None:
        return self._record.job_type

    @property
    def created_at(self) -> str:
        """When it was started, ISO 8601, UTC."""
        return self._record.created_at.isoformat()

    @property
    def finished_at(self) -> str | None:
        return None if self._record.finished_at is None else self._record.finished_at.isoformat()

    @property
    def exit_code(self) -> int | None:
        return self._record.exit_code

    @property
    def sweep_name(self) -> str | None:
        return self._record.sweep

    @property
    def sweep(self) -> Any:
        """The sweep it belongs to, or `None`."""
        return None if self._record.sweep is None else self._host.sweep_of(RunPath(self._record.sweep, self.project, self.entity))

    @property
    def user(self) -> str:
        return self._record.entity

    @property
    def rawconfig(self) -> dict[str, Any]:
        return dict(self._record.config)

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802  # the W&B word
        """The last step it logged; -1 before the first."""
        return self._record.step - 1

    # ── what it measured ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def summary(self) -> Summary:
        """The one value of every metric that speaks for the run; setting one keeps it."""
        if self._summary is None:
            engine, number = self._host.engine, self._record.id
            self._summary = Summary(find.summary(engine, number), lambda values, gone: update_summary(engine, number, values, gone))
        return self._summary

    @property
    def summary_metrics(self) -> dict[str, Any]:
        return self.summary.flat

    def scan_history(
        self, keys: Sequence[str] | None = None, page_size: int = 1000, min_step: int = 0, max_step: int | None = None, **_ignored: object
    ) -> Iterator[dict[str, Any]]:
        """Every row, oldest first, as a dictionary with `_step` and `_timestamp`; with `keys` only rows that hold all of them."""
        del page_size  # everything is here already
        for row in find.history(self._host.engine, self._record.id):
            if row.step < min_step or (max_step is not None and row.step >= max_step):
                continue
            found = _flat_row(row)
            if keys is None:
                yield found
            elif all(key in found for key in keys):
                yield {key: found[key] for key in keys}

    def history(
        self,
        samples: int = 500,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",  # the W&B signature
    ) -> Any:
        """At most `samples` rows, evenly spread, first and last included: a pandas frame, or a list of dictionaries."""
        if samples < 1:
            raise UsageError(f"samples={samples}: ask for at least one row")
        wanted = None if keys is None else list(dict.fromkeys([x_axis, *keys]))
        rows = _spread(list(self.scan_history(wanted)), samples)
        if not pandas:
            return rows
        import pandas as pd

        return pd.DataFrame(rows)

    # ── what it used and made ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _node(self) -> tuple[Host, NodeId]:
        return self._host, NodeId.run(self._record.id)

    def logged_artifacts(self, per_page: int = 100) -> Page[Any]:
        """The artifacts it logged, made and reproduced, in the order it did."""
        return artifacts(self._host, logged(self._host.engine, self._record.id), per_page)

    def used_artifacts(self, per_page: int = 100) -> Page[Any]:
        """The artifacts it used, in the order of first use."""
        return artifacts(self._host, used(self._host.engine, self._record.id), per_page)

    def use_artifact(self, artifact: Any, use_as: str | None = None) -> Any:
        """Record that the run used a logged artifact; answers with it."""
        use_version(self._host.engine, self._record.id, artifact.require("id"), use_as)
        return artifact

    def file(self, *_: object, **__: object) -> NoReturn:
        """Not offered: what a run keeps are artifacts."""
        raise UnsupportedError("runs keep no files here: what a run made is in run.logged_artifacts(), and each can be downloaded")

    files = upload_file = file

    # ── what may be edited ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def display_name(self) -> str:
        return self.name

    def update(self) -> None:
        """Push name, notes, tags, group and configuration as they are here now."""
        changed = {"name": self.name, "notes": self.notes, "tags": self.tags, "group": self.group, "config": self.config}
        self._settle(update_run(self._host.engine, self._record.id, **changed))  # type: ignore[arg-type]  # checked there, value by value

    def save(self) -> None:
        """The same as `update`."""
        self.update()

    def update_state(self, state: str) -> bool:
        """Mark a run that is not alive as `pending` or `failed`."""
        if state not in _SETTABLE:
            raise UsageError(f"state {state!r}: choose one of {', '.join(_SETTABLE)}")
        self._settle(update_run(self._host.engine, self._record.id, state=RunState(state)))
        return True

    def delete(self, delete_artifacts: bool = False) -> None:
        """Delete the run: its metrics go, its id is never given again; edges stay, and so do its artifacts unless asked for.

        Raises:
            UsageError: it is still running.
        """
        if find.run_by_id(self._host.engine, self._record.id).state in ALIVE:
            raise UsageError(f"run {self._record.path} is {self.state}: finish it before it is deleted")
        delete_run(self._host.engine, self._record.id, delete_artifacts=delete_artifacts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PastRun) and self._record.id == other._record.id

    def __hash__(self) -> int:
        return hash(self._record.id)

    def __repr__(self) -> str:
        return f"<Run {self._record.path} ({self.state})>"

    def _repr_html_(self) -> str:
        facts: Mapping[str, Any] = {
            "state": self.state,
            "created": self.created_at,
            "config": self.config,
            "summary": self.summary.as_dict(),
        }
        cells = "".join(f"<tr><th align=left>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in facts.items())
        return f"<table><caption>{escape(self._record.path)}</caption>{cells}</table>"


def _flat_row(row: Row) -> dict[str, Any]:
    return {"_step": row.step, "_timestamp": row.time, **row.values}  # noqa: PD011  # a row of ours, no frame's


def _spread(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    if len(rows) <= count:
        return rows
    if count == 1:
        return rows[-1:]
    return [rows[round(position * (len(rows) - 1) / (count - 1))] for position in range(count)]
