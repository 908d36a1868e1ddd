"""Which runs are live in this process, and which of them the module-level names mean.

The run that `init` started last is the *current* one until it finishes; runs of `reinit="create_new"` are live and never current. Runs
that nobody finished are finished when the process ends: with exit code 0, or 1 if an exception ended it. A forked child has no runs: what
its parent started is its parent's to finish.
"""

import atexit
import os
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NoReturn, Protocol

from lineage.model.errors import Error


class Live(Protocol):
    """What is asked of a live run here."""

    @property
    def config(self) -> Any: ...
    @property
    def summary(self) -> Any: ...
    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None: ...


class Active:
    """The live runs of this process. One per process: `ACTIVE`."""

    def __init__(self) -> None:
        self.current: Any = None
        self.runs: list[Any] = []
        self.assignment: tuple[str, Mapping[str, Any]] | None = None
        """Sweep path and configuration which an agent wants the next run to have."""
        self.exit_code = 0
        """How the process ends, as far as it is known: an exception that nobody caught, or `sys.exit`."""
        self._owner = os.getpid()
        self._is_watching = False

    def begin(self, run: Live, *, is_current: bool = True) -> None:
        """`run` is live now, and current if it says so."""
        self._watch()
        self.runs.append(run)
        if is_current:
            self.current = run

    def end(self, run: Live) -> None:
        """`run` is not live any more."""
        self.runs = [other for other in self.runs if other is not run]
        if self.current is run:
            self.current = None

    def require(self, wanted: str) -> Any:
        """The current run.

        Raises:
            Error: there is none.
        """
        if self.current is None:
            raise Error(f"no run is active: call lineage.init() before lineage.{wanted}")
        return self.current

    def finish_all(self) -> None:
        """Finish what is live, newest first."""
        for run in reversed(list(self.runs)):
            run.finish(exit_code=self.exit_code)

    def forget(self) -> None:
        """Drop every run without finishing it: they belong to another process."""
        self.current, self.runs, self.assignment = None, [], None
        self._owner = os.getpid()

    def _watch(self) -> None:
        if self._is_watching:
            return
        self._is_watching = True
        sys.excepthook = _noting(self, sys.excepthook)
        sys.exit = _leaving(self, sys.exit)
        atexit.register(self._at_exit)

    def _at_exit(self) -> None:
        if os.getpid() == self._owner:
            self.finish_all()


_Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


def _noting(active: Active, before: _Hook) -> _Hook:
    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        active.exit_code = 1
        before(kind, error, trace)

    return hook


def _leaving(active: Active, before: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
    """`sys.exit`, which also remembers the code: at exit nothing else tells it."""

    def leave(status: Any = None, /) -> NoReturn:
        active.exit_code = exit_code(SystemExit(status))
        before(status)

    return leave


def exit_code(error: BaseException | None) -> int:
    """The code of a block, or a process, that ended with `error`."""
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        return 1
    return error.code if isinstance(error.code, int) else int(error.code is not None)


ACTIVE = Active()
os.register_at_fork(after_in_child=ACTIVE.forget)


class Absent:
    """Stands for `lineage.config` and `lineage.summary` while no run is active: every use of it says what to do."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise Error(f"no run is active: call lineage.init() before using lineage.{object.__getattribute__(self, '_name')}")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()

    __setattr__ = __delattr__ = __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __len__ = _refuse

    def __repr__(self) -> str:
        return f"<lineage.{object.__getattribute__(self, '_name')}: no run is active>"


_ABSENT = {name: Absent(name) for name in ("config", "summary")}


def run() -> Any:
    """The current run, or `None`."""
    return ACTIVE.current


def config() -> Any:
    """The current run's configuration, or what refuses in its place."""
    return _ABSENT["config"] if ACTIVE.current is None else ACTIVE.current.config


def summary() -> Any:
    """The current run's summary, or what refuses in its place."""
    return _ABSENT["summary"] if ACTIVE.current is None else ACTIVE.current.summary
