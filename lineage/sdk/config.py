"""The configuration of a live run: a mapping whose keys are also attributes, kept in the catalogue as soon as it changes.

Values may change as scripts go on; with `allow_val_change=False` one that is there stays, and another is refused. A value that a sweep has
chosen is locked, and changing it is said and not done. A change that cannot be kept has not happened. A top-level value that is an artifact, or the text
`wandb-artifact://…`, is used by the run and kept as a reference to it; deeper down an artifact is refused. What JSON cannot hold becomes text.
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

from lineage.model.document import check_document
from lineage.model.errors import ConfigError, UsageError
from lineage.sdk.plain import plain as in_json
from lineage.sdk.terminal import termwarn

ARTIFACT_SCHEMES = ("wandb-artifact://", "lineage://")

Adopt = Callable[[str, Any], tuple[Any, Any]]
"""Key and artifact (or its path) → what the script reads, and what is kept."""


def is_artifact(value: object) -> bool:
    """Is `value` an artifact, or the text that names one?"""
    return hasattr(value, "json_encode") or (isinstance(value, str) and value.startswith(ARTIFACT_SCHEMES))


class Config:
    """See the top of this file."""

    _PRIVATE = ("_values", "_kept", "_locked", "_save", "_adopt")

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._locked: frozenset[str] = frozenset()
        self._save: Callable[[dict[str, Any]], object] | None = None
        self._adopt: Adopt | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any], kept: Mapping[str, Any]) -> Self:
        """A configuration of no run: what a copy is, here or in another process. Changing it changes nothing else."""
        config = cls()
        config._values, config._kept = dict(values), dict(kept)
        return config

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of, (self._values, self._kept)

    def connect(self, save: Callable[[dict[str, Any]], object], adopt: Adopt) -> None:
        """From now on a change is written with `save`, and an artifact used with `adopt`."""
        self._save, self._adopt = save, adopt

    def begin(self, kept: Mapping[str, Any], locked: Mapping[str, Any], given: Mapping[str, Any], *, allow_val_change: bool) -> None:
        """Take up what the run had, then the sweep's values, then what the script gives."""
        self._values = {name: deepcopy(value) for name, value in kept.items()}
        self._kept = dict(kept)
        self._take(locked, may_change=True)
        self._locked = frozenset(locked)
        self._take(given, may_change=allow_val_change)

    def _take(self, given: Mapping[str, Any], *, may_change: bool) -> bool:
        fresh = {name: value for name, value in given.items() if not self._is_locked(name, value)}
        plain = {name: value for name, value in fresh.items() if not is_artifact(value)}
        _refuse_nested(plain)
        checked = check_document(in_json(plain, _say_text), "config")
        if not may_change:
            self._refuse_changes(checked)
        adopted = {name: self._adopted(name, value) for name, value in fresh.items() if is_artifact(value)}
        for name in fresh:
            self._values[name], self._kept[name] = adopted[name] if name in adopted else (checked[name], checked[name])
        return bool(fresh)

    def _is_locked(self, name: str, value: object) -> bool:
        if name not in self._locked:
            return False
        if self._values.get(name) != value:
            termwarn(f"config {name!r} stays {self._values.get(name)!r}: the sweep has chosen it")
        return True

    def _refuse_changes(self, fresh: Mapping[str, Any]) -> None:
        for name, value in fresh.items():
            if name in self._kept and self._kept[name] != value:
                raise ConfigError(
                    f"config {name!r} is {self._kept[name]!r} and {value!r} was given: pass allow_val_change=True to change it"
                )

    def _adopted(self, name: str, value: object) -> tuple[Any, Any]:
        if self._adopt is None:
            raise UsageError(f"config {name!r} is an artifact, which this configuration cannot use")
        return self._adopt(name, value)

    def _change(self, given: Mapping[str, Any], *, may_change: bool = True) -> None:
        before = dict(self._values), dict(self._kept)
        try:
            if self._take(given, may_change=may_change) and self._save is not None:
                self._save(self.kept)
        except BaseException:
            self._values, self._kept = before
            raise

    @property
    def kept(self) -> dict[str, Any]:
        """What the catalogue keeps: plain JSON values, artifacts as references."""
        return deepcopy(self._kept)

    # ── the mapping ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def update(self, values: object, allow_val_change: bool | None = None) -> None:
        """Take `values` up: a dictionary, a YAML file's path, an argparse namespace or a dataclass.

        Raises:
            ConfigError: a key has another value already, and `allow_val_change` is false.
        """
        self._change(parse_config(values), may_change=allow_val_change is not False)

    def setdefaults(self, values: object) -> None:
        """Take up those of `values` whose keys are not there yet."""
        self._change({name: value for name, value in parse_config(values).items() if name not in self._values})

    def as_dict(self) -> dict[str, Any]:
        """A copy of all values."""
        return {name: value if is_artifact(value) else deepcopy(value) for name, value in self._values.items()}

    def get(self, name: str, default: Any = None) -> Any:
        return self._values.get(name, default)

    def keys(self) -> list[str]:
        return list(self._values)

    def values(self) -> list[Any]:
        return list(self._values.values())

    def items(self) -> list[tuple[str, Any]]:
        return list(self._values.items())

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._change({name: value})

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"config has no {name!r}: it has {', '.join(map(repr, self._values)) or 'nothing'}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._PRIVATE:
            object.__setattr__(self, name, value)
        else:
            self._change({name: value})

    def __repr__(self) -> str:
        return repr(self.as_dict())


def _say_text(where: str, text: str) -> None:
    termwarn(f"config {where!r} is nothing JSON can hold: kept as the text {text!r}")


def parse_config(
    stated: object, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None, what: str = "config"
) -> dict[str, Any]:
    """The dictionary that `stated` means, cut down to `include` or by `exclude`.

    Raises:
        UsageError: not a dictionary, YAML file, namespace or dataclass; or both filters at once.
    """
    if include and exclude:
        raise UsageError("config_include_keys and config_exclude_keys were both given: use one of them")
    values = _mapping(stated, what)
    wanted = set(include) if include else values.keys() - set(exclude or ())
    return {name: value for name, value in values.items() if name in wanted}


def _mapping(stated: object, what: str) -> dict[str, Any]:
    if stated is None:
        return {}
    if isinstance(stated, Mapping):
        return dict(stated)
    if isinstance(stated, Config):
        return stated.as_dict()
    if isinstance(stated, argparse.Namespace):
        return vars(stated)
    if dataclasses.is_dataclass(stated) and not isinstance(stated, type):
        return dataclasses.asdict(stated)
    if isinstance(stated, str | Path):
        return _from_yaml(Path(stated), what)
    raise UsageError(f"{what} must be a dictionary, a YAML file's path, an argparse namespace or a dataclass, not {type(stated).__name__}")


def _from_yaml(path: Path, what: str) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{what}={str(path)!r} cannot be read as a YAML file: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{what}={str(path)!r} holds {type(found).__name__}, not a mapping")
    stated = {str(name): value for name, value in found.items() if name != "wandb_version"}
    is_wrapped = all(isinstance(value, dict) and "value" in value and value.keys() <= {"value", "desc"} for value in stated.values())
    return {name: value["value"] for name, value in stated.items()} if is_wrapped else stated


def _refuse_nested(values: Mapping[str, Any]) -> None:
    stack: list[tuple[str, object]] = list(values.items())
    while stack:
        where, value = stack.pop()
        if is_artifact(value):
            raise UsageError(f"config {where} holds an artifact: artifacts may only be top-level values of a configuration")
        if isinstance(value, Mapping) and where.count("[") < 70:
            stack.extend((f"{where}[{name!r}]", inner) for name, inner in value.items())
        if isinstance(value, list | tuple) and where.count("[") < 70:
            stack.extend((f"{where}[{position}]", inner) for position, inner in enumerate(value))
