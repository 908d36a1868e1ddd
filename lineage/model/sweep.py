"""A sweep: a search over configurations. What it may say, and which configuration comes next; nothing here runs anything.

`grid` walks the product of all discrete values, the last parameter fastest, in the order of the sorted names. `random` draws each
parameter from its distribution. Both are functions of the sweep's seed and the number of runs handed out so far, so that several agents,
and an agent that died, agree on what is next.
"""

import datetime as dt
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lineage.model.document import check_document
from lineage.model.errors import UsageError, UnsupportedError

METHODS = ("grid", "random")
GOALS = ("minimize", "maximize")


class SweepState(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    FINISHED = "FINISHED"
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True)
class SweepRecord:
    """A sweep as the catalogue keeps it."""

    id: int
    project_id: int
    entity: str
    project: str
    name: str
    """The id users know."""
    config: Mapping[str, Any]
    state: SweepState
    handed_out: int = 0
    created_at: dt.datetime = dt.datetime.fromtimestamp(0, dt.UTC)

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.name}"

    @property
    def metric(self) -> str | None:
        return (self.config.get("metric") or {}).get("name")

    @property
    def goal(self) -> str:
        return str((self.config.get("metric") or {}).get("goal", "minimize"))

    @property
    def order(self) -> str | None:
        """How its runs are ordered, best first: `+summary_metrics.<metric>` ascending, `-` descending; `None` without a metric."""
        if self.metric is None:
            return None
        return f"{'-' if self.goal == 'maximize' else '+'}summary_metrics.{self.metric}"


@dataclass(frozen=True, slots=True)
class Space:
    """A checked sweep configuration. `Space.of` is the only way in."""

    method: str
    parameters: Mapping[str, Mapping[str, Any]]
    run_cap: int | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, config: object) -> "Space":
        """The search space `config` describes.

        Raises:
            UsageError: naming the parameter or key that is wrong.
        """
        checked = check_document(config, "sweep configuration")
        method = checked.get("method")
        if method not in METHODS:
            raise (UnsupportedError if method in ("bayes", "custom") else UsageError)(f"sweep method {method!r}: choose one of {', '.join(METHODS)}")
        metric = checked.get("metric")
        if metric is not None and (not isinstance(metric, dict) or not isinstance(metric.get("name"), str)):
            raise UsageError(f"sweep metric {metric!r}: write {{'name': 'val_loss', 'goal': 'minimize'}}")
        if metric is not None and metric.get("goal", "minimize") not in GOALS:
            raise UsageError(f"sweep goal {metric.get('goal')!r}: choose one of {', '.join(GOALS)}")
        cap = checked.get("run_cap")
        if cap is not None and (not isinstance(cap, int) or isinstance(cap, bool) or cap < 1):
            raise UsageError(f"run_cap {cap!r} must be a positive whole number")
        parameters = checked.get("parameters")
        if not isinstance(parameters, dict) or not parameters:
            raise UsageError("a sweep needs 'parameters', a dictionary of at least one")
        space = cls(str(method), {name: _parameter(name, stated) for name, stated in parameters.items()}, cap, checked)
        if method == "grid":
            for name, stated in space.parameters.items():
                _choices(name, stated)
        return space

    @property
    def size(self) -> int | None:
        """How many runs there will be, or `None` when there is no end."""
        if self.method != "grid":
            return self.run_cap
        product = math.prod(len(_choices(name, stated)) for name, stated in self.parameters.items())
        return min(product, self.run_cap or product)

    def configuration(self, number: int, seed: int) -> dict[str, Any] | None:
        """The configuration of the run with that number, counted from 0, or `None` when there is none any more."""
        if self.size is not None and number >= self.size:
            return None
        if self.method == "random":
            draw = random.Random(f"{seed}/{number}")  # noqa: S311  # a search, not a secret
            return {name: _draw(stated, draw) for name, stated in sorted(self.parameters.items())}
        found: dict[str, Any] = {}
        for name, stated in sorted(self.parameters.items(), reverse=True):
            choices = _choices(name, stated)
            number, position = divmod(number, len(choices))
            found[name] = choices[position]
        return found


def _parameter(name: str, stated: object) -> Mapping[str, Any]:
    if not isinstance(stated, dict):
        return {"value": stated}
    if "value" in stated:
        return stated
    if "values" in stated:
        if not isinstance(stated["values"], list) or not stated["values"]:
            raise UsageError(f"sweep parameter {name!r}: 'values' must be a list of at least one")
        weights = stated.get("probabilities")
        if weights is not None and len(weights) != len(stated["values"]):
            raise UsageError(f"sweep parameter {name!r}: {len(stated['values'])} values but {len(weights)} probabilities")
        return stated
    distribution = stated.get("distribution") or _implied(name, stated)
    if distribution not in _DRAWS:
        raise UsageError(f"sweep parameter {name!r}: distribution {distribution!r} is not one of {', '.join(_DRAWS)}")
    wanted = ("mu", "sigma") if "normal" in distribution else ("min", "max")
    for bound in wanted:
        value = stated.get(bound, {"mu": 0.0, "sigma": 1.0}.get(bound))
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise UsageError(f"sweep parameter {name!r}: {distribution} needs a number for {bound!r}")
    if "min" in wanted and not stated["min"] <= stated["max"]:
        raise UsageError(f"sweep parameter {name!r}: min {stated['min']} is above max {stated['max']}")
    if distribution == "log_uniform_values" and stated["min"] <= 0:
        raise UsageError(f"sweep parameter {name!r}: log_uniform_values needs a positive min")
    return {**stated, "distribution": distribution}


def _implied(name: str, stated: Mapping[str, Any]) -> str:
    bounds = (stated.get("min"), stated.get("max"))
    if all(isinstance(bound, int) and not isinstance(bound, bool) for bound in bounds):
        return "int_uniform"
    if all(isinstance(bound, float) for bound in bounds):
        return "uniform"
    raise UsageError(f"sweep parameter {name!r}: give 'value', 'values', a 'distribution', or 'min' and 'max', both whole or both fractional")


def _choices(name: str, stated: Mapping[str, Any]) -> Sequence[Any]:
    if "value" in stated:
        return [stated["value"]]
    if "values" in stated:
        return list(stated["values"])
    if stated["distribution"] == "int_uniform":
        return range(stated["min"], stated["max"] + 1)
    if stated["distribution"] == "q_uniform":
        step = stated.get("q", 1)
        return [_round(stated["min"] + step * i, step) for i in range(math.floor((stated["max"] - stated["min"]) / step + 1e-9) + 1)]
    raise UsageError(f"sweep parameter {name!r}: grid search needs discrete values, not {stated['distribution']}; use method 'random'")


def _draw(stated: Mapping[str, Any], source: random.Random) -> Any:
    if "value" in stated:
        return stated["value"]
    if "values" in stated:
        return source.choices(stated["values"], stated.get("probabilities"))[0]
    return _DRAWS[stated["distribution"]](stated, source)


def _round(value: float, step: float) -> float:
    rounded = round(value / step) * step
    return int(rounded) if float(step).is_integer() else rounded


_DRAWS: dict[str, Callable[[Mapping[str, Any], random.Random], Any]] = {
    "int_uniform": lambda stated, source: source.randint(stated["min"], stated["max"]),
    "uniform": lambda stated, source: source.uniform(stated["min"], stated["max"]),
    "q_uniform": lambda stated, source: _round(source.uniform(stated["min"], stated["max"]), stated.get("q", 1)),
    "log_uniform": lambda stated, source: math.exp(source.uniform(stated["min"], stated["max"])),
    "log_uniform_values": lambda stated, source: math.exp(source.uniform(math.log(stated["min"]), math.log(stated["max"]))),
    "normal": lambda stated, source: source.gauss(stated.get("mu", 0.0), stated.get("sigma", 1.0)),
    "q_normal": lambda stated, source: _round(source.gauss(stated.get("mu", 0.0), stated.get("sigma", 1.0)), stated.get("q", 1)),
    "log_normal": lambda stated, source: math.exp(source.gauss(stated.get("mu", 0.0), stated.get("sigma", 1.0))),
}
"""Parameter distributions under the names W&B's sweep configuration documents."""
