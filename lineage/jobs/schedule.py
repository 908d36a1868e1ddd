"""What to tell this machine's clock, as text: a line for crontab, or two units for systemd. Nothing here is installed or started.

Both call `lineage jobs run` once an hour; which job is on and due is decided there. A timer that was asleep catches up once. Paths are quoted
by each reader's own rules, `%` included, which means a newline to cron and a specifier to systemd.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

MINUTE = 17
"""Of the hour; not 0, when everybody else's jobs begin."""


def crontab(command: Sequence[str], home: Path) -> str:
    """The line for `crontab -e`: hourly, quiet unless something fails."""
    call = shlex.join([*command, "--home", str(home), "jobs", "run"])
    return f"{MINUTE} * * * * {call.replace('%', chr(92) + '%')} > /dev/null"


def units(command: Sequence[str], home: Path) -> Mapping[str, str]:
    """File name → content of a systemd service and its timer, for `~/.config/systemd/user`."""
    call = " ".join(_quoted(word) for word in [*command, "--home", str(home), "jobs", "run"])
    service = f"[Unit]\nDescription=Jobs of a lineage store: expire, reclaim, verify, check references\n\n[Service]\nType=oneshot\nExecStart={call}\n"
    timer = (
        "[Unit]\nDescription=Clock of a lineage store's jobs\n\n"
        f"[Timer]\nOnCalendar=*-*-* *:{MINUTE}:00\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )
    return {"lineage.service": service, "lineage.timer": timer}


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
