"""Where scripts look for `wandb.plot`: charts are not drawn here, and each name says what to log instead."""

from collections.abc import Callable
from typing import NoReturn

from lineage.model.errors import UnsupportedError

CHARTS = ("bar", "confusion_matrix", "histogram", "line", "line_series", "pr_curve", "roc_curve", "scatter")


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise UnsupportedError(f"plot.{name} is not offered: log the values as a Table or Histogram, or the drawn chart as an Image")

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


def __getattr__(name: str) -> Callable[..., NoReturn]:
    if name in CHARTS:
        return _refusing(name)
    raise AttributeError(f"module 'lineage.plot' has no attribute {name!r}")


__all__ = ["CHARTS"]
