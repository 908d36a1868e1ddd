"""The run of `mode="disabled"`: every call is accepted, nothing is checked, kept or written, and no disk is touched."""

import tempfile
from types import TracebackType
from typing import Any, Self

from lineage.sdk.active import ACTIVE
from lineage.sdk.config import parse_config
from lineage.sdk.settings import Settings
from storage.blob.memory import MemoryBackend
from storage.blob.store import Store
from storage.memory import MemoryLedger
from storage.transfer.statcache import StatCache

DUMMY = "dummy"


class Loose(dict[str, Any]):
    """A dictionary whose keys are also attributes."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def update(self, values: Any = None, allow_val_change: bool | None = None, **more: Any) -> None:  # type: ignore[override]  # the W&B signature
        """Take `values` up, whatever form they have."""
        super().update({**parse_config(values), **more})

    def setdefaults(self, values: Any) -> None:
        """Take up those of `values` that are not there yet."""
        super().update({name: value for name, value in parse_config(values).items() if name not in self})

    def as_dict(self) -> dict[str, Any]:
        return dict(self)


class Nothing:
    """Accepts every call and attribute, and answers with itself; it is false."""

    def __call__(self, *_: object, **__: object) -> "Nothing":
        return self

    def __getattr__(self, name: str) -> "Nothing":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "<nothing: this run is disabled>"


class DisabledRun:
    """See the top of this file."""

    disabled, offline, resumed = True, False, False
    url = project_url = sweep_url = sweep_id = sweep = group = job_type = notes = None
    entity = project = DUMMY
    mode = "disabled"
    step = starting_step = 0
    tags: tuple[str, ...] = ()

    def __init__(self, name: str | None = None, run_id: str | None = None, config: Any = None, settings: Settings | None = None) -> None:
        self.id = run_id or DUMMY
        self.name = name or f"{DUMMY}-run"
        self.config = Loose(parse_config(config))
        self.summary = Loose()
        self.path = f"{DUMMY}/{DUMMY}/{self.id}"
        self.settings = settings or Settings(mode="disabled")

        self.store = Store(MemoryBackend(), MemoryLedger(), DUMMY)
        """Where a draft's bytes go: nowhere, after the process."""
        self.trees = StatCache()

    def log_artifact(self, *_: object, **__: object) -> Nothing:
        """Nothing, which answers every call."""
        return Nothing()

    def _none(self, *_: object, **__: object) -> None:
        return None

    @property
    def dir(self) -> str:
        """A directory that is there in any case: scripts write into it."""
        return tempfile.gettempdir()

    @property
    def sync_dir(self) -> str:
        return self.dir

    @property
    def config_static(self) -> dict[str, Any]:
        """A copy of the configuration."""
        return self.config.as_dict()

    def status(self) -> dict[str, Any]:
        return {"state": "disabled", "step": self.step}

    def logged_artifacts(self, per_page: int = 100) -> list[Any]:  # the W&B signature
        """None."""
        return []

    used_artifacts = logged_artifacts

    def upstream(self, *_: object, **__: object) -> Nothing:
        """Nothing, which answers every call."""
        return Nothing()

    downstream = upstream

    def project_name(self) -> str:
        return DUMMY

    log = log_code = define_metric = alert = mark_preempting = watch = unwatch = save = restore = _none
    get_url = get_project_url = get_sweep_url = display = _none
    use_artifact = link_artifact = upsert_artifact = finish_artifact = use_model = link_model = plot_table = _none
    log_model = log_artifact

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:  # the W&B signature
        """It is not the active run any more."""
        ACTIVE.end(self)

    join = finish

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.finish()

    def __repr__(self) -> str:
        return "<Run, disabled>"
