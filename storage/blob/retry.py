"""How long something far away is asked again: exponential pauses with jitter, inside a budget of attempts and seconds.

What may be repeated, and what has to be looked at before it is, decides whoever repeats: an attempt is told its number.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from storage.blob import endpoint
from storage.blob.endpoint import Refusal
from storage.errors import RemoteUnavailable

_Answer = TypeVar("_Answer")
_JITTER = secrets.SystemRandom()


@dataclass(frozen=True, slots=True)
class Budget:
    """How often, and for how long in all, one thing is tried; pauses grow from `first` to `longest` seconds."""

    attempts: int = 8
    seconds: float = 120
    first: float = 0.1
    longest: float = 6

    def pause(self, attempt: int) -> float:
        """Seconds to wait after attempt number `attempt`, counted from 0: anywhere up to twice as long as after the one before."""
        return _JITTER.uniform(0, min(self.longest, self.first * 2**attempt))

    def spend(self, what: str, attempt: Callable[[int], _Answer]) -> _Answer:
        """What `attempt` returns, called with 0, 1, 2, … as long as its refusals may pass and the budget lasts.

        Raises:
            Refusal: one that asking again does not change.
            RemoteUnavailable: the budget is spent; it says on what.
        """
        begun = time.monotonic()
        was_renewed = False
        number = 0
        while True:
            try:
                return attempt(number)
            except Refusal as refusal:
                is_expired = refusal.code in endpoint.EXPIRED and not was_renewed
                if not (refusal.is_passing or is_expired):
                    raise
                pause = 0 if is_expired else self.pause(number)
                number += 1
                spent = time.monotonic() - begun
                if number >= self.attempts or spent + pause > self.seconds:
                    raise RemoteUnavailable(
                        f"{what}: the service failed {number} times in {spent:.1f} s, at last with {refusal.said}: "
                        "look whether it is well, then call again"
                    ) from refusal
            if is_expired:
                endpoint.renew()
                was_renewed = True
            time.sleep(pause)


BUDGET = Budget()
"""A burst of errors of a minute is sat out; a service that is down is told within seconds."""
