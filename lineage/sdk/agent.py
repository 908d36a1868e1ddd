"""An agent: takes configurations of a sweep, one after the other, and runs a function with each, in this process.

Configurations are handed out in one transaction, so any number of agents share a sweep and none gets what another has. A function that
raises has failed its run and nothing else; an agent whose first runs all fail gives up.
"""

import traceback
from collections.abc import Callable
from typing import Any

from lineage.actions import find
from lineage.actions.search import next_configuration
from lineage.model.errors import UnsupportedError, UsageError
from lineage.model.names import RunPath
from lineage.sdk.active import ACTIVE
from lineage.sdk.host import default_host, placed
from lineage.sdk.sweep import made_here
from lineage.sdk.terminal import termerror, termlog

FIRST_FAILURES = 3
"""An agent whose first so many runs all failed gives up: the function is wrong, not the configuration."""


def agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    entity: str | None = None,
    project: str | None = None,
    count: int | None = None,
    forward_signals: bool = False,  # noqa: ARG001  # the W&B signature
    term_timeout: float | None = None,  # noqa: ARG001  # the W&B signature
    max_consecutive_failed_runs: int | None = None,
) -> None:
    """Work the sweep off: call `function` once per configuration, `count` times at most. `init` inside it gets the configuration, locked.

    Raises:
        NotFound: there is no such sweep.
        UnsupportedError: no function was given.
    """
    if function is None or not callable(function):
        raise UnsupportedError(
            "this agent runs functions: call lineage.agent(sweep_id, function=train); a program is run by calling it from there"
        )
    if count is not None and count < 1:
        raise UsageError(f"count={count}: ask for at least one run, or leave it out")
    host = default_host()
    path = placed(_path(sweep_id, project, entity), host)
    record = find.sweep(host.engine, path)
    done = failed = streak = 0
    while count is None or done < count:
        configuration = next_configuration(host.engine, record)
        if configuration is None:
            break
        termlog(f"sweep {record.name}, run {done + 1}: {configuration}")
        is_good = _run(function, str(path), configuration)
        done, failed, streak = done + 1, failed + (not is_good), 0 if is_good else streak + 1
        if failed == done == FIRST_FAILURES or streak == max_consecutive_failed_runs:
            termerror(f"sweep {record.name}: {streak} runs failed in a row, the agent gives up; correct the function and start it again")
            break
    termlog(f"sweep {record.name}: {done} runs, {failed} failed")


def _path(sweep_id: str, project: str | None, entity: str | None) -> RunPath:
    path = RunPath.parse(sweep_id)
    if path.project or project:
        return RunPath(path.run, path.project or project, path.entity or entity)
    made = made_here(path.run)
    return RunPath(path.run, made.project, entity or made.entity)


def _run(function: Callable[[], Any], sweep: str, configuration: dict[str, Any]) -> bool:
    """Call the function once; did it return?"""
    before = list(ACTIVE.runs)
    ACTIVE.assignment = (sweep, configuration)
    is_good = False
    try:
        function()
        is_good = True
    except Exception:  # whatever a script raises ends its run, not the search
        termerror(traceback.format_exc())
    finally:
        ACTIVE.assignment = None
        for run in [run for run in ACTIVE.runs if run not in before]:
            run.finish(exit_code=0 if is_good else 1)
    return is_good
