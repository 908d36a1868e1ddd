"""Sizes, times and spans as people write and read them. Everything from outside passes `printable` before it reaches a terminal."""

import datetime as dt
import re

from lineage.model.errors import InvalidPolicy
from lineage.model.retention import TTL, ArtifactTTL, Policy

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(?:\d{1,9}(?:\.\d+)?[smhdw])+", re.ASCII)
_PART = re.compile(r"([\d.]+)([smhdw])", re.ASCII)
_STEPS = ((31_536_000, "y"), (86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
NOTHING = "–"


def size(count: int) -> str:
    """`count` bytes with a unit: `512 B`, `1.5 MiB`."""
    amount, unit = float(count), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"


def counted(number: int, thing: str, things: str | None = None) -> str:
    """`1 file`, `2 files`, `3 entries`."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def ago(moment: dt.datetime | None, now: dt.datetime) -> str:
    """How long before (or after) `now` that was, in its largest unit: `3 d ago`, `in 5 min`."""
    if moment is None:
        return NOTHING
    seconds = int((now - moment).total_seconds())
    for step, unit in _STEPS:
        if abs(seconds) >= step:
            return f"{seconds // step} {unit} ago" if seconds > 0 else f"in {-seconds // step} {unit}"
    return "now"


def moment(when: dt.datetime | None) -> str:
    """The moment on this machine's clock, to the second, for people."""
    return NOTHING if when is None else f"{when.astimezone():%Y-%m-%d %H:%M:%S}"


def stamp(moment: dt.datetime | None) -> str | None:
    """The moment in ISO 8601, UTC, for programs."""
    return None if moment is None else moment.astimezone(dt.UTC).isoformat()


def number(value: object) -> str:
    """A metric or configuration value in few characters."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def parse_ttl(text: str) -> TTL:
    """`30d`, `12h`, `1w2d`, `90s`; `never` for no end, `inherit` for whatever type and project say.

    Raises:
        InvalidPolicy: anything else.
    """
    if text in ("never", "none"):
        return None
    if text == "inherit":
        return ArtifactTTL.INHERIT
    if not _SPAN.fullmatch(text):
        raise InvalidPolicy(f"ttl {text!r}: write a number and a unit as in 30d, 12h or 1w2d, or 'never', or 'inherit'")
    try:
        span = dt.timedelta(seconds=sum(float(amount) * _SPANS[unit] for amount, unit in _PART.findall(text)))
    except OverflowError:
        raise InvalidPolicy(f"ttl {text!r} is longer than a calendar: write 'never'") from None
    Policy.of(span)
    return span


def ttl(policy: Policy) -> str:
    """A policy as `parse_ttl` would read it back."""
    if policy.inherit:
        return "inherit"
    if policy.seconds is None:
        return "never"
    return span(dt.timedelta(seconds=policy.seconds))


def span(length: dt.timedelta) -> str:
    """A length of time to the second, as `parse_ttl` would read it back: `1w2d`."""
    rest, parts = int(length.total_seconds()), list[str]()
    for unit in reversed(_SPANS):
        amount, rest = divmod(rest, _SPANS[unit])
        parts += [f"{amount}{unit}"] if amount else []
    return "".join(parts) or "0s"
