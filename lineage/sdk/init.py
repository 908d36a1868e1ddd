"""`init`: settle what was asked for, start the run, make it the current one. All of it or nothing: a call that raises leaves no run."""

import builtins
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lineage.actions import create, find
from lineage.actions.finish import finish_run
from lineage.actions.start import Opening, Started, start_run
from lineage.model.errors import RunNotFoundError, UnsupportedError, UsageError
from lineage.model.names import ProjectPath, RunPath
from lineage.model.run import Resume
from lineage.sdk import code
from lineage.sdk.active import ACTIVE
from lineage.sdk.api import Api
from lineage.sdk.config import Config, is_artifact, parse_config
from lineage.sdk.disabled import DisabledRun
from lineage.sdk.host import placed
from lineage.sdk.run import CONTROL, RESUME_FILE, Run
from lineage.sdk.settings import Settings, resolve
from lineage.sdk.terminal import TERMINAL, termlog, termwarn

_ANONYMOUS = ("allow", "never", "must")


def init(
    entity: str | None = None,
    project: str | None = None,
    dir: str | Path | None = None,  # noqa: A002  # the W&B word
    id: str | None = None,  # noqa: A002  # as above
    name: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | str | None = None,
    config: Any = None,
    config_exclude_keys: Sequence[str] | None = None,
    config_include_keys: Sequence[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    force: bool | None = None,  # noqa: ARG001  # there is nothing to log in to
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    save_code: bool | None = None,
    tensorboard: bool | None = None,  # noqa: ARG001  # accepted for the sake of scripts
    sync_tensorboard: bool | None = None,  # noqa: ARG001  # as above
    monitor_gym: bool | None = None,  # noqa: ARG001  # as above
    settings: Settings | Mapping[str, Any] | None = None,
    anonymous: str | None = None,
    **unknown: object,
) -> Any:
    """The run that has just been started, and is the current one until it finishes.

    What is left out comes from `settings`, then the environment, then the settings file. `config` is a dictionary, a YAML file's path, an
    argparse namespace or a dataclass. `resume` says what an `id` that is there means: `allow`, `must`, `never`, `auto`; without it the run
    begins anew. `reinit` says what becomes of a run that is active: `finish_previous`, `return_previous`, or `create_new` beside it.

    Raises:
        UsageError, InvalidName, InvalidMetadata: the call is wrong; no run was started.
        Conflict: `resume` forbids what was found.
        UnsupportedError: `resume_from`, `fork_from`, `anonymous="must"`.
    """
    _refuse_beginnings(resume, resume_from, fork_from)
    arguments: dict[str, Any] = {
        "entity": entity,
        "project": project,
        "root_dir": dir,
        "run_id": id,
        "run_name": name,
        "run_notes": notes,
        "run_tags": tags,
    }
    arguments |= {"run_group": group, "run_job_type": job_type, "mode": mode, "reinit": reinit, "resume": resume}
    arguments |= {"save_code": save_code, "anonymous": anonymous}
    wanted = resolve(settings, arguments)
    TERMINAL.adjust(silent=wanted.silent, quiet=wanted.quiet)
    if unknown:
        termwarn(f"init has no argument {', '.join(sorted(unknown))}: check the spelling, it has no effect")

    previous = _previous(wanted)
    if previous is not None:
        return previous
    given = parse_config(config, config_include_keys, config_exclude_keys)
    if wanted.mode == "disabled":
        run: Any = DisabledRun(wanted.run_name, wanted.run_id, given, wanted)
    else:
        run = _start(wanted, given, allow_val_change=allow_val_change)
    ACTIVE.begin(run, is_current=wanted.reinit != "create_new")
    return run


def _refuse_beginnings(resume: object, resume_from: object, fork_from: object) -> None:
    asked = [name for name, value in (("resume", resume), ("resume_from", resume_from), ("fork_from", fork_from)) if value]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} were given: use one of them")
    if asked and asked != ["resume"]:
        raise UnsupportedError(f"{asked[0]} is not offered: start a new run and use_artifact the checkpoint it goes on from")


def _previous(wanted: Settings) -> Any:
    """The run that is active already, where that is what the caller wants; a run that is to be finished is."""
    if ACTIVE.current is None or wanted.reinit == "create_new":
        return None
    way = wanted.reinit
    if way == "default":
        way = "finish_previous" if hasattr(builtins, "__IPYTHON__") else "return_previous"
    if way == "finish_previous":
        ACTIVE.current.finish()
        return None
    if wanted.reinit == "default":
        termwarn("a run is active: init() returns it. Call finish() first, or say reinit='finish_previous' or 'create_new'")
    return ACTIVE.current


def _start(wanted: Settings, given: dict[str, Any], *, allow_val_change: bool | None) -> Run:
    host = Api.of(wanted)
    sweep, locked = _assignment(wanted, host)
    mode = Resume.of(wanted.resume)
    _refuse_who(wanted, mode)
    project = placed(ProjectPath(), host) if sweep is None else ProjectPath(sweep.project, sweep.entity)
    run_id = wanted.run_id or (_last_run(wanted) if mode is Resume.AUTO else None)

    config = Config()
    own = Api.of(wanted.model_copy(update={"entity": project.entity, "project": project.project}))
    artifacts = {key: _found(value, own) for key, value in given.items() if is_artifact(value)}
    plain = {key: value for key, value in given.items() if key not in artifacts}
    kept = _config_of(host, run_id, project) if mode is not None and run_id is not None else {}
    config.begin(kept, locked, plain, allow_val_change=allow_val_change is not False)
    opening = Opening(
        project,
        run_id,
        wanted.run_name,
        wanted.run_job_type,
        wanted.run_group,
        wanted.run_notes,
        wanted.run_tags,
        config.kept,
        mode,
        None if sweep is None else sweep.run,
    )
    started = start_run(host.engine, opening)
    run = Run(own, create.project(host.engine, project), started, config, wanted)
    _complete(run, started, artifacts, mode, wanted)
    return run


def _refuse_who(wanted: Settings, mode: Resume | None) -> None:
    if mode is Resume.MUST and wanted.run_id is None:
        raise UsageError("resume='must' takes up a run that is there, and none was named: pass id=…, or set LINEAGE_RUN_ID")
    if wanted.anonymous == "must":
        raise UnsupportedError("anonymous='must' needs a server with anonymous accounts: here you are the local user, leave it out")
    if wanted.anonymous and wanted.anonymous not in _ANONYMOUS:
        raise UsageError(f"anonymous={wanted.anonymous!r}: choose one of {', '.join(_ANONYMOUS)}, or leave it out")


def _found(value: Any, host: Api) -> Any:
    """The artifact that a value of the configuration names: a wrong name is refused while there is no run yet."""
    return host.artifact_of(find.require_live(host.version_of(value))) if isinstance(value, str) else value


def _complete(run: Run, started: Started, artifacts: dict[str, Any], mode: Resume | None, wanted: Settings) -> None:
    """What can only be done once the run is there; if it cannot, the run has failed."""
    engine = run.engine
    run.config.connect(run.keep_config, run.adopt)
    try:
        if artifacts:
            run.config.update(artifacts, allow_val_change=True)
        if mode is Resume.AUTO:
            run.remember_for_resume()
        if wanted.save_code and (program := code.program_path()) is not None:
            run.log_code(str(program.parent), include_fn=lambda path: Path(path) == program)
    except BaseException:
        finish_run(engine, started.run.id, exit_code=1)
        raise
    began = {"create": "started", "resume": f"resumed at step {started.run.step}", "replace": "started over"}[started.start]
    termlog(f"run {started.run.display_name} {began}: {started.run.path}")
    termlog(f"kept in {wanted.place}")


def _assignment(wanted: Settings, host: Api) -> tuple[RunPath | None, Mapping[str, Any]]:
    """The sweep that this run belongs to, and the values it has chosen."""
    if ACTIVE.assignment is not None:
        path, locked = ACTIVE.assignment
        return RunPath.parse(path), locked
    if wanted.sweep_id is None:
        return None, {}
    return placed(RunPath.parse(wanted.sweep_id), host), {}


def _config_of(host: Api, run_id: str, project: ProjectPath) -> Mapping[str, Any]:
    try:
        return find.run(host.engine, RunPath(run_id, project.project, project.entity)).config
    except (RunNotFoundError, LookupError):
        return {}


def _last_run(wanted: Settings) -> str | None:
    try:
        return str(json.loads((wanted.directory / CONTROL / RESUME_FILE).read_text(encoding="utf-8"))["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
