"""Alerts: a line at the terminal, at most one per title within its waiting time."""

import datetime as dt
import time
from enum import Enum

from lineage.model.errors import UsageError
from lineage.sdk.terminal import termerror, termlog, termwarn


class AlertLevel(Enum):
    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


_SAY = {AlertLevel.INFO: termlog, AlertLevel.WARN: termwarn, AlertLevel.ERROR: termerror}
WAIT = 60.0
"""Seconds before the same title is said again."""


class Alerts:
    """The alerts of one run."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}

    def raise_(self, title: str, text: str, level: object, wait: object) -> bool:
        """Say it, unless the title was said within its waiting time; was it said?

        Raises:
            UsageError: no such level, or a waiting time that is none.
        """
        wanted = level.value if isinstance(level, AlertLevel) else str(level).upper()
        if wanted not in AlertLevel.__members__:
            raise UsageError(f"alert level {level!r}: choose one of {', '.join(AlertLevel.__members__)}")
        seconds = wait.total_seconds() if isinstance(wait, dt.timedelta) else WAIT if wait is None else wait
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise UsageError(f"wait_duration={wait!r}: give seconds or a timedelta")
        now = time.monotonic()
        if now < self._quiet_until.get(title, now):
            return False
        self._quiet_until[title] = now + seconds
        _SAY[AlertLevel(wanted)](f"{title}: {text}")
        return True
