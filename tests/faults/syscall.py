"""A child whose system calls are watched one by one, from outside: killed before the k-th, or told that it failed.

It reaches what no observer inside can: SQLite's own writes and flushes, and every call of a library. The kernel does it: the child installs a
seccomp filter that asks a supervisor, this process, before each call that changes a file, and the answer is to go on, an errno, or SIGKILL while
the call has not happened yet. That needs Linux 5.5 or later and nothing else, where strace and gdb would have to be installed, a preloaded library
compiled, and ptrace taught the registers of every processor. Where the kernel refuses, `reason` says so and the tests skip.

Only calls on something below one directory are counted, so that imports, pipes and terminals do not matter.
"""

import ctypes
import fcntl
import os
import pickle
import platform
import select
import signal
import socket
import struct
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

PATIENCE = 60
"""Seconds a child may take before the test says it hangs."""

KILL = -1
"""The answer of whoever decides that the child ends before this call."""

_NUMBERS = {
    "x86_64": {
        "write": 1, "close": 3, "pwrite64": 18, "writev": 20, "fsync": 74, "fdatasync": 75, "ftruncate": 77, "rename": 82, "mkdir": 83,
        "rmdir": 84, "link": 86, "unlink": 87, "fchmod": 91, "openat": 257, "mkdirat": 258, "unlinkat": 263, "renameat": 264, "linkat": 265,
        "symlinkat": 266, "fallocate": 285, "pwritev": 296, "renameat2": 316, "copy_file_range": 326, "seccomp": 317,
    },
    "aarch64": {
        "write": 64, "close": 57, "pwrite64": 68, "writev": 66, "fsync": 82, "fdatasync": 83, "ftruncate": 46, "fchmod": 52, "openat": 56,
        "mkdirat": 34, "unlinkat": 35, "renameat": 38, "linkat": 37, "symlinkat": 36, "fallocate": 47, "pwritev": 70, "renameat2": 276,
        "copy_file_range": 285, "seccomp": 277,
    },
}  # fmt: skip
_PATHS = {"rename": (None, 1), "mkdir": (None, 0), "rmdir": (None, 0), "link": (None, 1), "unlink": (None, 0), "openat": (0, 1)}
_PATHS |= {"mkdirat": (0, 1), "unlinkat": (0, 1), "renameat": (2, 3), "renameat2": (2, 3), "linkat": (2, 3), "symlinkat": (1, 2)}
"""Which arguments are the directory and the path that a call changes; of all others the first is a descriptor."""

CHANGES = frozenset({name for names in _NUMBERS.values() for name in names} - {"openat", "close", "seccomp", "fchmod"})
"""Calls that change what is on the disk, or say that it is safe there."""

_NO_NEW_PRIVILEGES, _FILTER, _NEW_LISTENER = 38, 1, 1 << 3
_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000
_NOTICE, _ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_RECEIVE = (3 << 30) | (_NOTICE.size << 16) | (ord("!") << 8)
_SEND = (3 << 30) | (_ANSWER.size << 16) | (ord("!") << 8) | 1
_GO_ON = 1


@dataclass(frozen=True)
class Call:
    name: str
    path: str

    def __str__(self) -> str:
        return f"{self.name} {self.path}"


Decide = Callable[[int, Call], int | None]
Task = Callable[[Callable[[object], None]], object]


@dataclass
class Watched:
    """How the child ended, what it had told by then, and its calls."""

    was_killed: bool
    told: list[Any]
    calls: list[Call] = field(default_factory=list)


def supervised(task: Task, below: Path, decide: Decide, names: frozenset[str] = CHANGES) -> Watched:
    """Do `task` in a child; `decide` is asked about each of its calls named in `names` below a directory, by number, from 1."""
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # another test's server may have a thread: the child does not need it
        child = os.fork()
    if child == 0:
        ours.close()
        os.close(reader)
        _child(task, writer, theirs, names)
    theirs.close()
    os.close(writer)
    with ours, os.fdopen(reader, "rb") as stream:
        _, [listener], *_ = socket.recv_fds(ours, 1, 1) if select.select([ours], [], [], PATIENCE)[0] else (b"", [-1])
        try:
            calls = _supervise(child, listener, below, decide)
        finally:
            os.close(listener)
        told = _told(stream)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), f"the child ended with {status} at call {len(calls)}: see its traceback on standard error"
    return Watched(status != 0, told, calls)


def _child(task: Task, writer: int, parent: socket.socket, names: frozenset[str]) -> None:
    signal.alarm(PATIENCE)
    code = 3
    try:
        listener = _install(names)
        socket.send_fds(parent, [b"!"], [listener])
        os.close(listener)
        task(lambda told: os.write(writer, pickle.dumps(told)) and None)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _install(names: frozenset[str]) -> int:
    """Let the kernel ask before each of these calls; the descriptor it asks through. There is no way back for this process."""
    known = _NUMBERS[platform.machine()]
    numbers = [known[name] for name in sorted(names) if name in known]
    program = [
        (0x20, 0, 0, 0),
        *((0x15, len(numbers) - at, 0, number) for at, number in enumerate(numbers)),
        (6, 0, 0, _ALLOW),
        (6, 0, 0, _ASK),
    ]
    text = b"".join(struct.pack("=HBBI", *line) for line in program)
    lines = ctypes.create_string_buffer(text, len(text))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(lines)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    listener: int = libc.syscall(known["seccomp"], _FILTER, _NEW_LISTENER, head)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "the kernel takes no filter with a listener")
    return listener


def _supervise(child: int, listener: int, below: Path, decide: Decide) -> list[Call]:
    calls: list[Call] = []
    names = {number: name for name, number in _NUMBERS[platform.machine()].items()}
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        [(_, event)] = poll.poll(PATIENCE * 1000) or [(listener, select.POLLHUP)]
        if not event & select.POLLIN:
            return calls
        notice = bytearray(_NOTICE.size)
        with suppress(FileNotFoundError):  # the caller was killed, or a signal came, while the question was on its way
            fcntl.ioctl(listener, _RECEIVE, notice)
            question, thread, _, number, _, _, *arguments = _NOTICE.unpack(notice)
            call = Call(names[number], _path(thread, names[number], arguments))
            answer = None
            if Path(call.path).is_relative_to(below):
                calls.append(call)
                answer = decide(len(calls), call)
            if answer == KILL:
                os.kill(child, signal.SIGKILL)
            else:
                fcntl.ioctl(listener, _SEND, _ANSWER.pack(question, 0, -(answer or 0), 0 if answer else _GO_ON))


def _path(thread: int, name: str, arguments: list[int]) -> str:
    """What a call is about. The caller waits for the answer, so nothing changes meanwhile."""
    about = f"/proc/{thread}"
    if name not in _PATHS:
        with suppress(OSError):
            return str(Path(f"{about}/fd/{ctypes.c_int(arguments[0]).value}").readlink()).removesuffix(" (deleted)")
        return ""
    directory, place = _PATHS[name]
    with Path(f"{about}/mem").open("rb", buffering=0) as memory:
        memory.seek(arguments[place])
        path = memory.read(_readable(arguments[place])).partition(b"\0")[0].decode(errors="replace")
    above = ctypes.c_int(arguments[directory]).value if directory is not None else -100
    return str(Path(f"{about}/fd/{above}" if above >= 0 else f"{about}/cwd").readlink() / path)


def _readable(address: int) -> int:
    """Bytes up to the end of the page after, at most what a path may have; the page after may not be there."""
    return min(4096, 4096 - address % 4096 + 4096)


def _told(stream: Any) -> list[Any]:
    told = []
    with suppress(EOFError):
        while True:
            told.append(pickle.load(stream))
    return told


@cache
def reason() -> str:
    """Why calls cannot be watched here; empty where they can."""
    if platform.system() != "Linux" or platform.machine() not in _NUMBERS:
        return f"system calls are watched on Linux on {' and '.join(_NUMBERS)}, this is {platform.system()} on {platform.machine()}"
    child = os.fork()
    if child == 0:
        code = 1
        with suppress(BaseException):
            code = 0 if _install(frozenset({"fallocate"})) >= 0 else 1
        os._exit(code)
    refused = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "the kernel, or what this machine runs in, takes no seccomp filter with a listener (Linux 5.5 or later does)" if refused else ""
