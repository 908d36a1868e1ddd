"""Which values make which row of a run's history, and what a metric leaves in the summary. Pure: values come in, rows go out.

    log(values)                    a row of its own, the next step
    log(values, commit=False)      waits for more of the same row
    log(values, step=n)            row n, open until a larger step comes or `commit=True`
    log(values, step=less)         refused: rows are written once

A summary keeps the last value of every key unless `define` says to keep the least, the largest, the mean, the first, or none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lineage.model.errors import UsageError
from lineage.model.metric import number

Rows = list[tuple[int, dict[str, Any]]]


class Steps:
    """The open row of a run, and the number of the next one."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.waiting: dict[str, Any] = {}

    def add(self, values: Mapping[str, Any], step: int | None, commit: bool | None) -> Rows | None:
        """The rows that are complete now; `None` when the values came too late and were dropped."""
        rows: Rows = []
        if step is not None:
            if step < self.step:
                return None
            if step > self.step:
                rows += self.flush()
                self.step = step
        self.waiting.update(values)
        if commit if commit is not None else step is None:
            rows += self.flush() or self._skip()
        return rows

    def flush(self) -> Rows:
        """The open row, if anything waits in it."""
        if not self.waiting:
            return []
        row = (self.step, self.waiting)
        self.step, self.waiting = self.step + 1, {}
        return [row]

    def _skip(self) -> Rows:
        self.step += 1
        return []


@dataclass
class _Kept:
    value: Any
    count: int = 1


def _mean(kept: _Kept, value: Any) -> Any:
    kept.count += 1
    return kept.value + (value - kept.value) / kept.count


_KEEP: dict[str, Callable[[_Kept, Any], Any]] = {
    "min": lambda kept, value: min(kept.value, value),
    "max": lambda kept, value: max(kept.value, value),
    "mean": _mean,
    "first": lambda kept, value: kept.value,  # noqa: ARG005  # every way has the same shape
    "last": lambda kept, value: value,  # noqa: ARG005  # as above
}
WAYS = (*_KEEP, "copy", "none", "best")
_GOALS = {None: "min", "minimize": "min", "maximize": "max"}


@dataclass
class Metrics:
    """What `define_metric` has said, and what the summary keeps because of it."""

    defined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kept: dict[str, _Kept] = field(default_factory=dict)

    def define(self, name: str, summary: str | None, goal: str | None = None) -> None:
        """Have the metrics called `name` (`*` may end it) leave `summary` (a comma list) in the summary.

        Raises:
            UsageError: a name or way that is not offered.
        """
        if not isinstance(name, str) or not name or "*" in name[:-1]:
            raise UsageError(f"metric name {name!r}: give a name, or a beginning that ends in '*'")
        ways = [way.strip() for way in (summary or "").split(",") if way.strip()]
        unknown = sorted(set(ways) - set(WAYS))
        if unknown or goal not in _GOALS:
            raise UsageError(f"summary={summary!r}, goal={goal!r} of metric {name!r}: choose from {', '.join(WAYS)}; minimize or maximize")
        if ways:
            self.defined[name] = tuple(_GOALS[goal] if way == "best" else way for way in ways if way != "copy")

    def ways(self, key: str) -> tuple[str, ...] | None:
        """What is kept of `key`; `None` for the last value as it is."""
        found = self.defined.get(key)
        if found is not None:
            return found
        patterns = [name for name in self.defined if name.endswith("*") and key.startswith(name[:-1])]
        return self.defined[max(patterns, key=len)] if patterns else None

    def observe(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the summary holds for these values, under flat keys: `loss`, or `loss.min`, `loss.max`."""
        seen: dict[str, Any] = {}
        for key, value in values.items():
            ways = self.ways(key)
            if not ways:
                if ways is None:
                    seen[key] = value
                continue
            for way in ways:
                if way != "none" and (way in ("first", "last") or number(value) is not None):
                    seen[f"{key}.{way}"] = self._keep(f"{key}.{way}", way, value)
        return seen

    def _keep(self, name: str, way: str, value: Any) -> Any:
        kept = self.kept.get(name)
        if kept is None:
            self.kept[name] = _Kept(value)
            return value
        kept.value = _KEEP[way](kept, value)
        return kept.value
