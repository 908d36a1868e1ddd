"""Which process owns a session, a run or a lease, and whether it is still there: what died is cleaned up by whoever comes next.

A process number alone is not a name, because the system gives it out again: machine, boot and the instant the process started go with it.
"""

import functools
import os
from pathlib import Path


def this_process() -> str:
    """Who this process is: machine, boot, process number and the instant it started, so that a reused number is not taken for it."""
    return f"{_machine()}/{os.getpid()}/{_started(os.getpid())}"


def is_alive(owner: str) -> bool:
    """Is the process that called itself so still there? One of another machine counts as alive: nobody here can tell."""
    machine, _, rest = owner.partition("/")
    number, _, started = rest.partition("/")
    if machine.partition("@")[0] != _machine().partition("@")[0]:
        return True
    return machine == _machine() and started != "" and _started(int(number)) == started


@functools.cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{os.uname().nodename}@{boot}"


def _started(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
        return "" if fields[0] in (b"Z", b"X") else fields[19].decode()
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "running"
    return "running"
