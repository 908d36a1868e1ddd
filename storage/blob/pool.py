"""A few threads for one piece of work; or none, where none may be started any more.

When the interpreter ends, what is registered to run then (a script's last run being finished) can start no threads: the same work is done
in the caller's own, and takes longer.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")
_Item = TypeVar("_Item")


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


class Worker:
    """One thread that does what it is given, in order, while its owner goes on. It begins with the first piece of work."""

    def __init__(self) -> None:
        self._executor: Executor | None = None

    def submit(self, fn: Callable[_Given, _Answer], /, *args: _Given.args, **kwargs: _Given.kwargs) -> "Future[_Answer]":
        if self._executor is None:
            self._executor = pool(1)
        try:
            return self._executor.submit(fn, *args, **kwargs)
        except RuntimeError:  # the interpreter is ending, and has waited for the thread already
            return Inline().submit(fn, *args, **kwargs)

    def close(self) -> None:
        """Return when everything is done; it may be given work again."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown()


def ahead(work: Callable[[_Item], _Answer], items: Iterable[_Item], threads: int) -> Iterator[tuple[_Item, _Answer]]:
    """Each item with what `work` made of it, in order; at most `threads` of them are worked on or waiting at a time, with 0 none ahead."""
    if threads < 1:
        yield from ((item, work(item)) for item in items)
        return
    waiting: deque[tuple[_Item, Future[_Answer]]] = deque()
    with pool(threads) as executor:
        try:
            for item in items:
                waiting.append((item, executor.submit(work, item)))
                if len(waiting) >= threads:
                    yield _done(waiting)
            while waiting:
                yield _done(waiting)
        finally:
            for _, future in waiting:
                future.cancel()


def each(work: Callable[[_Item], object], items: Sequence[_Item], threads: int) -> None:
    """Do `work` on every item, so many at a time. After the first error nothing new is begun; it is raised when what was begun has ended."""
    for _ in ahead(work, items, threads if len(items) > 1 else 0):
        pass


def _done(waiting: "deque[tuple[_Item, Future[_Answer]]]") -> tuple[_Item, _Answer]:
    item, future = waiting.popleft()
    return item, future.result()
