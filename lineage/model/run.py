"""A run: one execution that used and logged versions. Its record, its states, and whether an id may be taken up again."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lineage.model.errors import Conflict, UsageError


class RunState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CRASHED = "crashed"
    KILLED = "killed"
    PREEMPTING = "preempting"
    PREEMPTED = "preempted"


ALIVE = frozenset({RunState.PENDING, RunState.RUNNING, RunState.PREEMPTING})


class Resume(StrEnum):
    """What to do when a run of the asked id is there, or is not."""

    ALLOW = "allow"
    MUST = "must"
    NEVER = "never"
    AUTO = "auto"

    @classmethod
    def of(cls, value: object) -> "Resume | None":
        """The mode a user's value states; booleans are the old spelling: true is `auto`, false is none."""
        if value is None or value is False or value == "":
            return None
        if value is True:
            return cls.AUTO
        try:
            return cls(str(value).lower())
        except ValueError:
            raise UsageError(f"resume={value!r}: choose one of {', '.join(cls)}, or leave it out") from None


class Start(StrEnum):
    CREATE = "create"
    RESUME = "resume"
    REPLACE = "replace"


_STARTS: dict[tuple[Resume | None, bool], Start | str] = {
    (None, False): Start.CREATE,
    (None, True): Start.REPLACE,
    (Resume.ALLOW, False): Start.CREATE,
    (Resume.ALLOW, True): Start.RESUME,
    (Resume.AUTO, False): Start.CREATE,
    (Resume.AUTO, True): Start.RESUME,
    (Resume.MUST, True): Start.RESUME,
    (Resume.MUST, False): "does not exist, and resume='must' wants it to: check the id, or say resume='allow'",
    (Resume.NEVER, False): Start.CREATE,
    (Resume.NEVER, True): "exists, and resume='never' wants it not to: choose another id, or say resume='allow'",
}


def decide_start(mode: Resume | None, run: str, *, exists: bool) -> Start:
    """What `init` does with an id. Without a mode an existing id is started over: its history begins anew, its edges stay.

    Raises:
        Conflict: the mode forbids what it found.
    """
    decision = _STARTS[mode, exists]
    if isinstance(decision, Start):
        return decision
    raise Conflict(f"run {run!r} {decision}")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the catalogue keeps it."""

    id: int
    project_id: int
    entity: str
    project: str
    name: str
    """The id users know: unique in its project and never given twice."""
    display_name: str
    state: RunState
    job_type: str | None = None
    group: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    sweep: str | None = None
    step: int = 0
    """The next step to be logged."""
    created_at: dt.datetime = dt.datetime.fromtimestamp(0, dt.UTC)
    heartbeat_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    exit_code: int | None = None
    deleted_at: dt.datetime | None = None
    history: tuple[str, ...] = ()
    """Digests of the sealed pieces of its history, oldest first."""

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.name}"
