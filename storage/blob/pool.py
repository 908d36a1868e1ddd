"""A few threads for one piece of work; or none, where none may be started any more.

When the interpreter ends, what is registered to run then (a script's last run being finished) can start no threads: the same work is done
in the caller's own, and takes longer.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


class Inline(Executor):
    """Does what is submitted before `submit` returns."""

    def submit(self, fn: Callable[_Given, _Answer], /, *args: _Given.args, **kwargs: _Given.kwargs) -> "Future[_Answer]":
        future: Future[_Answer] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # the future carries it, as a thread's would
            future.set_exception(error)
        return future


def pool(threads: int) -> Executor:
    """An executor of so many threads, to be used in a `with` block."""
    return ThreadPoolExecutor(threads) if threading.main_thread().is_alive() else Inline()
