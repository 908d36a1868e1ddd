"""Work that is done in processes of its own: forked, so that nothing has to be imported again, and gone when it is done."""

import os
import pickle
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import Any

PATIENCE = 60
"""Seconds a child may take before the test says it hangs."""


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(0)` … `work(count - 1)` gave, each in a process of its own, all at once. A child that fails, fails the test."""
    children = [_child(work, number) for number in range(count)]
    answers = []
    for pid, reader in children:
        with os.fdopen(reader, "rb") as stream:
            data = stream.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status == 0, f"a child ended with {status}: see its traceback on standard error"
        answers.append(pickle.loads(data))
    return answers


def alone(work: Callable[[], Any]) -> Any:
    """What `work` gave in a process of its own."""
    return together(1, lambda _: work())[0]


def killed(work: Callable[[], object]) -> int:
    """Do `work` in a process that is killed with SIGKILL right after it; its number, which belongs to nobody any more."""

    def die() -> None:
        work()
        os.kill(os.getpid(), signal.SIGKILL)

    pid, reader = _child(lambda _: die(), 0)
    os.close(reader)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == -signal.SIGKILL, f"the child ended with {status} before it was killed: see its traceback on standard error"
    return pid


def _child(work: Callable[[int], Any], number: int) -> tuple[int, int]:
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Newer Pythons warn of forking beside threads: that is what some tests are about.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    os.close(reader)
    signal.alarm(PATIENCE)
    code = 3
    try:
        answer = pickle.dumps(work(number))
        with os.fdopen(writer, "wb") as stream:
            stream.write(answer)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
