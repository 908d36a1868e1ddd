"""A run's summary: for every key the one value that speaks for the run, usually the last that was logged.

Values are kept flat (`loss.min`) and read either way: `summary["loss.min"]` or `summary["loss"]["min"]`. What a script sets is kept at
once and wins over what is logged until that key is logged again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lineage.model.metric import flat

Keep = Callable[[Mapping[str, Any], Sequence[str]], None]
"""Values to set, keys to remove."""


class Summary:
    """See the top of this file. `keep` writes changes through; without it the summary is only read."""

    def __init__(self, values: Mapping[str, Any], keep: Keep | None = None) -> None:
        self._flat = dict(values)
        self._keep = keep

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, here or in another process, is a summary that is only read."""
        return Summary, (self._flat,)

    def observe(self, values: Mapping[str, Any]) -> None:
        """Take up values the history holds already: nothing is written for them."""
        self._flat.update(values)

    @property
    def flat(self) -> dict[str, Any]:
        """All values under their flat keys."""
        return dict(self._flat)

    def update(self, values: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Set several values at once."""
        fresh = flat({**(values or {}), **more})
        stale = [key for name in {**(values or {}), **more} for key in self._under(name) if key not in fresh]
        self._change(fresh, stale)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def as_dict(self) -> dict[str, Any]:
        """A copy, nested again where keys were nested."""
        return {name: self[name] for name in self}

    @property
    def _json_dict(self) -> dict[str, Any]:
        """The name under which the W&B documentation's export of runs reads it."""
        return self.as_dict()

    def keys(self) -> list[str]:
        return list(self)

    def values(self) -> list[Any]:
        return [self[name] for name in self]

    def items(self) -> list[tuple[str, Any]]:
        return [(name, self[name]) for name in self]

    def _change(self, fresh: Mapping[str, Any], gone: Sequence[str]) -> None:
        """Keep the change first: one that is refused has not happened here either."""
        if self._keep is not None:
            self._keep(fresh, gone)
        for key in gone:
            del self._flat[key]
        self._flat.update(fresh)

    def _under(self, name: str) -> list[str]:
        return [key for key in self._flat if key == name or key.startswith(f"{name}.")]

    def __getitem__(self, name: str) -> Any:
        if name in self._flat:
            return self._flat[name]
        nested = _nest({key[len(name) + 1 :]: self._flat[key] for key in self._under(name)})
        if not nested:
            raise KeyError(name)
        return nested

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __delitem__(self, name: str) -> None:
        gone = self._under(name)
        if not gone:
            raise KeyError(name)
        self._change({}, gone)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(name in self._flat or self._under(name))

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key if key in self._flat and "." not in key else key.partition(".")[0] or key for key in self._flat))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"summary has no {name!r}: it has {', '.join(map(repr, self)) or 'nothing'}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self.update({name: value})

    def __repr__(self) -> str:
        return repr(self.as_dict())


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        *path, last = key.split(".")
        level = nested
        for name in path:
            deeper = level.setdefault(name, {})
            if not isinstance(deeper, dict):
                break
            level = deeper
        else:
            level[last] = value
    return nested
