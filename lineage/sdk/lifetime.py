"""What a new lifetime does to versions that are older than it, said in one line before it is stated. Nothing expires by that: `expire` does it."""

from lineage.model.retention import Plan
from lineage.sdk.terminal import termwarn

NAMED = 3
"""Versions that the line names; it counts them all."""


def warn_due(planned: Plan) -> None:
    """Say how many versions become due, which, and how many of them something keeps; nothing, when none does."""
    if not planned.lines:
        return
    count, kept = len(planned.lines), len(planned.skipped)
    names = ", ".join(line.name for line in planned.lines[:NAMED]) + (", …" if count > NAMED else "")
    told = "1 version will be past its time" if count == 1 else f"{count:,} versions will be past their time"
    comes = {
        0: f"the next expiry marks {'it' if count == 1 else 'them'}",
        count: "what is held, protected or in use stays, and that is all of it",
    }
    some = f"{kept:,} of them held, protected or in use, the next expiry marks the others"
    termwarn(f"{told} at once: {names}; {comes.get(kept, some)}")
