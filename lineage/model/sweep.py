"""A sweep: a search over configurations. What it may say, and which configuration comes next; nothing here runs anything.

`grid` walks the product of all discrete values, the last parameter fastest, in the order of the sorted names. `random` draws each
parameter from its distribution. Both are functions of the sweep's seed and the number of runs handed out so far, so that several agents,
and an agent that died, agree on what is next. Parameters may be nested, and then the configuration is.
"""

import datetime as dt
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lineage.model.document import canonical, check_document
from lineage.model.errors import UnsupportedError, UsageError

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


Place = tuple[str, ...]
"""Where a parameter stands in the configuration: its name, below the names of the nests it is in."""


@dataclass(frozen=True, slots=True)
class Space:
    """A checked sweep configuration. `Space.of` is the only way in."""

    method: str
    parameters: Mapping[Place, Mapping[str, Any]]
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
            raise (UnsupportedError if method in ("bayes", "custom") else UsageError)(
                f"sweep method {method!r}: choose one of {', '.join(METHODS)}"
            )
        metric = checked.get("metric")
        if metric is not None and (not isinstance(metric, dict) or not isinstance(metric.get("name"), str)):
            raise UsageError(f"sweep metric {metric!r}: write {{'name': 'val_loss', 'goal': 'minimize'}}")
        if metric is not None and metric.get("goal", "minimize") not in GOALS:
            raise UsageError(f"sweep goal {metric.get('goal')!r}: choose one of {', '.join(GOALS)}")
        cap = checked.get("run_cap")
        if cap is not None and (not isinstance(cap, int) or isinstance(cap, bool) or cap < 1):
            raise UsageError(f"run_cap {cap!r} must be a positive whole number: leave it out to have no cap")
        parameters = {place: _parameter(".".join(place), stated) for place, stated in _leaves(checked)}
        space = cls(str(method), parameters, cap, checked)
        if method == "grid":
            for place, stated in space.parameters.items():
                _choices(place, stated)
        return space

    @property
    def size(self) -> int | None:
        """How many runs there will be, or `None` when there is no end."""
        if self.method != "grid":
            return self.run_cap
        product = math.prod(_choices(place, stated).count for place, stated in self.parameters.items())
        return min(product, self.run_cap or product)

    def configuration(self, number: int, seed: int) -> dict[str, Any] | None:
        """The configuration of the run with that number, counted from 0, or `None` when there is none any more."""
        if self.size is not None and number >= self.size:
            return None
        if self.method == "random":
            draw = random.Random(f"{seed}/{number}")  # noqa: S311  # a search, not a secret
            return _planted({place: _draw(stated, draw) for place, stated in sorted(self.parameters.items())})
        found: dict[Place, Any] = {}
        for place, stated in sorted(self.parameters.items(), reverse=True):
            choices = _choices(place, stated)
            number, position = divmod(number, choices.count)
            found[place] = choices.at(position)
        return _planted(found)


def _leaves(stated: Mapping[str, Any], above: Place = ()) -> Iterator[tuple[Place, object]]:
    parameters = stated.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        what = f"sweep parameter {'.'.join(above)!r}" if above else "a sweep"
        raise UsageError(f"{what} needs 'parameters', a dictionary of at least one")
    for name, inner in parameters.items():
        if isinstance(inner, dict) and "parameters" in inner:
            yield from _leaves(inner, (*above, name))
        else:
            yield (*above, name), inner


def _planted(values: Mapping[Place, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (*above, name), value in values.items():
        nest = found
        for each in above:
            nest = nest.setdefault(each, {})
        nest[name] = value
    return found


def _parameter(name: str, stated: object) -> Mapping[str, Any]:
    if not isinstance(stated, dict):
        return {"value": stated}
    if "value" in stated:
        return stated
    if "values" in stated:
        return _listed(name, stated)
    distribution = stated.get("distribution") or _implied(name, stated)
    if distribution not in _DRAWS:
        raise UsageError(f"sweep parameter {name!r}: distribution {distribution!r} is not one of {', '.join(_DRAWS)}")
    _check_bounds(name, distribution, stated)
    return {**stated, "distribution": distribution}


def _listed(name: str, stated: Mapping[str, Any]) -> Mapping[str, Any]:
    values, weights = stated["values"], stated.get("probabilities")
    if not isinstance(values, list) or not values:
        raise UsageError(f"sweep parameter {name!r}: 'values' must be a list of at least one")
    if weights is None:
        return stated
    if not isinstance(weights, list) or len(weights) != len(values):
        raise UsageError(f"sweep parameter {name!r}: {len(values)} values need as many probabilities, not {weights!r}")
    if not all(_is_number(weight) and weight >= 0 for weight in weights) or not sum(weights) > 0:
        raise UsageError(f"sweep parameter {name!r}: probabilities {weights!r} must be numbers, none negative and not all zero")
    return stated


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_bounds(name: str, distribution: str, stated: Mapping[str, Any]) -> None:
    """Whatever draws from these bounds can. A number that is not stated has the value `_DEFAULTS` gives it."""
    for bound in _BOUNDS[distribution]:
        value = stated.get(bound, _DEFAULTS.get(bound))
        if not _is_number(value) or (distribution == "int_uniform" and not isinstance(value, int)):
            hint = ": YAML takes 1e-5 for text and 1.0e-5 for a number" if isinstance(value, str) else ""
            whole = "whole " * (distribution == "int_uniform")
            raise UsageError(f"sweep parameter {name!r}: {distribution} needs a {whole}number for {bound!r}, not {value!r}{hint}")
    low, high, step = (stated[bound] if bound in _BOUNDS[distribution] and bound in stated else 1 for bound in ("min", "max", "q"))
    if low > high:
        raise UsageError(f"sweep parameter {name!r}: min {low} is above max {high}")
    if step <= 0 or not math.isfinite(high / step - low / step) or ("sigma" in _BOUNDS[distribution] and stated.get("sigma", 1) < 0):
        raise UsageError(f"sweep parameter {name!r}: 'sigma' may not be negative, and 'q' must be positive and not tiny")
    if distribution == "log_uniform_values" and low <= 0:
        raise UsageError(f"sweep parameter {name!r}: log_uniform_values needs a positive min")
    if distribution == "log_uniform" and high > _LARGEST_POWER:
        raise UsageError(
            f"sweep parameter {name!r}: log_uniform takes powers of e, at most {_LARGEST_POWER}; log_uniform_values takes values"
        )
    if distribution == "log_normal" and stated.get("mu", 0.0) + 40 * stated.get("sigma", 1.0) > _LARGEST_POWER:
        raise UsageError(f"sweep parameter {name!r}: log_normal with that mu and sigma gives numbers too large to write")
    if distribution == "q_uniform" and not _multiples(stated):
        raise UsageError(f"sweep parameter {name!r}: there is no multiple of {stated.get('q', 1)} from {low} to {high}")


def _implied(name: str, stated: Mapping[str, Any]) -> str:
    bounds = (stated.get("min"), stated.get("max"))
    if all(isinstance(bound, int) and not isinstance(bound, bool) for bound in bounds):
        return "int_uniform"
    if all(isinstance(bound, float) for bound in bounds):
        return "uniform"
    raise UsageError(
        f"sweep parameter {name!r}: give 'value', 'values', a 'distribution', or 'min' and 'max', both whole or both fractional"
    )


@dataclass(frozen=True, slots=True)
class _Choices:
    """The discrete values of a parameter, by position: never a list of them, there may be very many."""

    count: int
    at: Callable[[int], Any]


def _choices(place: Place, stated: Mapping[str, Any]) -> _Choices:
    if "value" in stated:
        return _Choices(1, lambda _position: stated["value"])
    if "values" in stated:
        different = list({canonical(value): value for value in stated["values"]}.values())
        return _Choices(len(different), different.__getitem__)
    if stated["distribution"] == "int_uniform":
        return _Choices(stated["max"] - stated["min"] + 1, lambda position: stated["min"] + position)
    if stated["distribution"] == "q_uniform":
        first = _multiples(stated).start
        return _Choices(_count(_multiples(stated)), lambda position: _times(first + position, stated.get("q", 1)))
    name = ".".join(place)
    raise UsageError(f"sweep parameter {name!r}: grid search needs discrete values, not {stated['distribution']}; use method 'random'")


def _multiples(stated: Mapping[str, Any]) -> range:
    """The whole numbers whose `q`-fold lies between `min` and `max`; a hair outside counts, for 0.7 / 0.1 is less than 7 in binary."""
    step = stated.get("q", 1)
    return range(math.ceil(stated["min"] / step - 1e-9), math.floor(stated["max"] / step + 1e-9) + 1)


def _count(numbers: range) -> int:
    """`len` of a range of step one, which Python refuses beyond 64 bits."""
    return max(0, numbers.stop - numbers.start)


def _times(number: int, step: float) -> float:
    """So many steps, without the dust of binary fractions."""
    return number * int(step) if float(step).is_integer() else float(f"{number * step:.12g}")


def _draw(stated: Mapping[str, Any], source: random.Random) -> Any:
    if "value" in stated:
        return stated["value"]
    if "values" in stated:
        return source.choices(stated["values"], stated.get("probabilities"))[0]
    return _DRAWS[stated["distribution"]](stated, source)


def _quantized(stated: Mapping[str, Any], source: random.Random) -> float:
    allowed = _multiples(stated)
    nearest = round(source.uniform(stated["min"], stated["max"]) / stated.get("q", 1))
    return _times(min(max(nearest, allowed.start), allowed.stop - 1), stated.get("q", 1))


def _gauss(stated: Mapping[str, Any], source: random.Random) -> float:
    return source.gauss(stated.get("mu", 0.0), stated.get("sigma", 1.0))


def _between(stated: Mapping[str, Any], value: float) -> float:
    """The value, which rounding may have carried a hair outside."""
    return float(min(max(value, stated["min"]), stated["max"]))


_LARGEST_POWER = 700
_DEFAULTS = {"mu": 0.0, "sigma": 1.0, "q": 1}
_RANGE, _CENTRE = ("min", "max"), ("mu", "sigma")
_BOUNDS: dict[str, tuple[str, ...]] = {
    "int_uniform": _RANGE,
    "uniform": _RANGE,
    "q_uniform": (*_RANGE, "q"),
    "log_uniform": _RANGE,
    "log_uniform_values": _RANGE,
    "normal": _CENTRE,
    "q_normal": (*_CENTRE, "q"),
    "log_normal": _CENTRE,
}
_DRAWS: dict[str, Callable[[Mapping[str, Any], random.Random], Any]] = {
    "int_uniform": lambda stated, source: source.randint(stated["min"], stated["max"]),
    "uniform": lambda stated, source: _between(stated, source.uniform(stated["min"], stated["max"])),
    "q_uniform": _quantized,
    "log_uniform": lambda stated, source: math.exp(source.uniform(stated["min"], stated["max"])),
    "log_uniform_values": lambda stated, source: _between(
        stated, math.exp(source.uniform(math.log(stated["min"]), math.log(stated["max"])))
    ),
    "normal": _gauss,
    "q_normal": lambda stated, source: _times(round(_gauss(stated, source) / stated.get("q", 1)), stated.get("q", 1)),
    "log_normal": lambda stated, source: math.exp(_gauss(stated, source)),
}
"""Parameter distributions under the names W&B's sweep configuration documents."""
