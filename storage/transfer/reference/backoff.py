"""How long a service that says "not now" is waited for: again and again, each time about twice as long, inside one budget.

`Retry-After` is believed as far as the budget goes; when it asks for more there is no point in waiting at all. Waits are spread at random,
so that many readers who were refused together do not come back together.
"""

import datetime as dt
import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

BUDGET = 30.0
"""Seconds one question may spend waiting, all its retries together."""
FIRST, LONGEST = 0.5, 8.0
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that say "not now" rather than "no"."""

pause: Callable[[float], None] = time.sleep
"""Waits; a test replaces it."""


class Patience:
    """The waits of one question."""

    def __init__(self, budget: float | None = None) -> None:
        self.left = BUDGET if budget is None else budget
        self._next = FIRST

    def wait(self, asked: str | None = None) -> bool:
        """Wait once, as long as `Retry-After` asked, else as long as it is our turn to. False, at once: the budget does not allow it."""
        seconds = _seconds(asked)
        if seconds is None:
            seconds = self._next * random.uniform(0.5, 1)  # noqa: S311  # spreads load, hides nothing
            self._next = min(self._next * 2, LONGEST)
        if seconds > self.left or self.left <= 0:
            return False
        self.left -= max(seconds, FIRST / 10)
        pause(seconds)
        return True


def _seconds(asked: str | None) -> float | None:
    """Seconds or a date, as RFC 9110 has it; anything else says nothing."""
    if asked is None:
        return None
    if asked.strip().isdecimal():
        return float(asked)
    try:
        when = parsedate_to_datetime(asked)
    except ValueError:
        return None
    return max(0.0, (when - dt.datetime.now(dt.UTC if when.tzinfo else None)).total_seconds())
