"""The module-level verbs: each does to the current run what the method of that name does, and refuses while there is none.

They follow the current run by asking for it at every call, so `from lineage import log` keeps meaning the run that is active.
"""

from collections.abc import Callable
from typing import Any

from lineage.model.errors import UnsupportedError
from lineage.sdk.active import ACTIVE
from lineage.sdk.session import disconnect
from lineage.sdk.settings import Settings, resolve


def _verb(name: str) -> Callable[..., Any]:
    def verb(*arguments: Any, **named: Any) -> Any:
        return getattr(ACTIVE.require(name), name)(*arguments, **named)

    verb.__name__ = verb.__qualname__ = name
    verb.__doc__ = f"`{name}` of the current run."
    return verb


log = _verb("log")
log_artifact = _verb("log_artifact")
use_artifact = _verb("use_artifact")
link_artifact = _verb("link_artifact")
log_model = _verb("log_model")
use_model = _verb("use_model")
link_model = _verb("link_model")
log_code = _verb("log_code")
define_metric = _verb("define_metric")
alert = _verb("alert")
mark_preempting = _verb("mark_preempting")
watch = _verb("watch")
unwatch = _verb("unwatch")
save = _verb("save")
restore = _verb("restore")
plot_table = _verb("plot_table")


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """Finish the current run; nothing when there is none."""
    if ACTIVE.current is not None:
        ACTIVE.current.finish(exit_code=exit_code, quiet=quiet)


def join(exit_code: int | None = None) -> None:
    """The old name of `finish`."""
    finish(exit_code)


def setup(settings: Any = None) -> Settings:
    """The settings that `init` would go by."""
    return resolve(settings)


def teardown(exit_code: int | None = None) -> None:
    """Finish every run of this process and close its stores."""
    for run in reversed(list(ACTIVE.runs)):
        run.finish(exit_code=exit_code)
    disconnect()


def login(*_: object, **__: object) -> bool:
    """True: an embedded store belongs to the local user, there is nothing to log in to."""
    return True


def attach(*_: object, **__: object) -> Any:
    """Not offered: a run belongs to the process that started it."""
    raise UnsupportedError("attach is not offered: take a run up in another process with init(id=…, resume='allow')")


def controller(*_: object, **__: object) -> Any:
    """Not offered: sweeps need no controller."""
    raise UnsupportedError("controller is not offered: lineage.agent(sweep_id, function) asks the sweep for its next configuration itself")
