"""Where a program's wishes come from, and what they are once they were checked.

    arguments  >  LINEAGE_*  >  WANDB_*  >  lineage.toml here, else the user's own  >  defaults

The nearer source wins, value by value; an empty environment variable says nothing. Unknown settings of a script are kept and have no effect,
because scripts written for the W&B client pass many that have no meaning here; in a file, which is ours, they are refused. Reading settings
creates nothing.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from lineage.model.errors import UsageError
from lineage.model.names import DEFAULT_PROJECT

Mode = Literal["online", "offline", "disabled", "shared"]
Reinit = Literal["default", "return_previous", "finish_previous", "create_new"]

FILE = "lineage.toml"
PREFIXES = ("LINEAGE_", "WANDB_")

ENVIRONMENT = {
    "ENTITY": "entity",
    "PROJECT": "project",
    "MODE": "mode",
    "DIR": "root_dir",
    "RUN_ID": "run_id",
    "RESUME": "resume",
    "NAME": "run_name",
    "NOTES": "run_notes",
    "TAGS": "run_tags",
    "RUN_GROUP": "run_group",
    "JOB_TYPE": "run_job_type",
    "SWEEP_ID": "sweep_id",
    "ARTIFACT_DIR": "artifact_dir",
    "SILENT": "silent",
    "QUIET": "quiet",
}
"""Environment variable, without its prefix → setting."""

OWN = {"LINEAGE_HOME": "home", "LINEAGE_STORE": "store"}
"""Variables that mean nothing to the W&B client, and are read under this name alone."""

_OLD_MODES = {"dryrun": "offline", "run": "online"}
_REINIT: dict[object, str] = {None: "default", True: "finish_previous", False: "return_previous"}


class Settings(BaseModel):
    """What `init` and `Api` go by. Build it with the values you want to state; `resolve` fills in the rest."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)

    home: Path | None = None
    """The directory of the embedded store."""
    store: str | None = None
    """The URL the embedded store keeps its bytes at, when not in its directory; a store that was made remembers it."""
    entity: str | None = None
    project: str | None = None
    mode: Mode = "online"
    """`offline` and `shared` are the same as `online` where the store is embedded; `disabled` does nothing at all."""
    root_dir: Path | None = None
    run_id: str | None = None
    run_name: str | None = None
    run_notes: str | None = None
    run_tags: tuple[str, ...] = ()
    run_group: str | None = None
    run_job_type: str | None = None
    resume: bool | str | None = None
    reinit: Reinit = "default"
    sweep_id: str | None = None
    artifact_dir: Path | None = None
    silent: bool = False
    """Say nothing at all."""
    quiet: bool = False
    """Say warnings and errors only."""
    anonymous: str | None = None
    save_code: bool = False

    @field_validator("mode", mode="before")
    @classmethod
    def _current_mode(cls, value: object) -> object:
        return "online" if value is None else _OLD_MODES.get(str(value), value)

    @field_validator("reinit", mode="before")
    @classmethod
    def _named_reinit(cls, value: object) -> object:
        return _REINIT.get(value, value) if value is None or isinstance(value, bool) else value

    @field_validator("run_tags", mode="before")
    @classmethod
    def _tags(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(tag.strip() for tag in value.split(",") if tag.strip())
        return () if value is None else value

    @property
    def kept_at(self) -> tuple[str, ...]:
        """Where the store is: its directory, and the URL of its bytes when they are elsewhere."""
        return (str(self.place), *([self.store] if self.store else []))

    @property
    def place(self) -> Path:
        """The directory of the embedded store, made absolute."""
        return (self.home or Path(platformdirs.user_data_dir("lineage"))).expanduser().absolute()

    @property
    def directory(self) -> Path:
        """The directory the program works in."""
        return (self.root_dir or Path.cwd()).expanduser().absolute()

    @property
    def downloads(self) -> Path:
        """Where artifacts are downloaded to unless a call says otherwise."""
        return (self.artifact_dir or Path("artifacts")).expanduser().absolute()

    @property
    def default_project(self) -> str:
        return self.project or DEFAULT_PROJECT


def resolve(
    stated: "Settings | Mapping[str, object] | None" = None,
    arguments: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings of this program: `arguments` over `stated` over the environment over the settings file.

    Raises:
        UsageError: naming the source and the value that cannot be.
    """
    layers = (_from_file(environ), _from_environment(environ), _stated(stated), dict(arguments or {}))
    merged = {name: value for layer in layers for name, value in layer.items() if value is not None}
    return _build(merged)


def _build(values: Mapping[str, object]) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise UsageError(f"setting {name}={first['input']!r} cannot be: {first['msg']}") from error


def _stated(settings: object) -> dict[str, Any]:
    if settings is None:
        return {}
    if isinstance(settings, Settings):
        return settings.model_dump(exclude_unset=True)
    if isinstance(settings, Mapping):
        return {str(name): value for name, value in settings.items()}
    if is_dataclass(settings):
        return {field.name: getattr(settings, field.name) for field in fields(settings)}
    raise UsageError(f"settings must be lineage.Settings or a dictionary, not {type(settings).__name__}")


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {name: environ[variable] for variable, name in OWN.items() if environ.get(variable)}
    for variable, name in ENVIRONMENT.items():
        values = (environ.get(prefix + variable, "") for prefix in PREFIXES)
        value = next((value for value in values if value), None)
        if value is not None:
            found[name] = value
    return found


def _from_file(environ: Mapping[str, str]) -> dict[str, Any]:
    user = Path(environ.get("LINEAGE_CONFIG_DIR") or platformdirs.user_config_dir("lineage"))
    path = next((place / FILE for place in (Path.cwd(), user) if (place / FILE).is_file()), None)
    if path is None:
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a settings file: {error}") from error
    unknown = sorted(found.keys() - Settings.model_fields.keys())
    if unknown:
        raise UsageError(f"{path} has no setting to make of {', '.join(unknown)}: there are {', '.join(Settings.model_fields)}")
    return found
