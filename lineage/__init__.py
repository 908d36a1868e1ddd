"""Who made what from what: runs, the artifacts they used and logged, and every question about them. `import lineage as wandb`.

A front door. Every name is imported from its room when it is first asked for, so that importing this package, or a noun of it, loads
neither a database nor a network. Three names are no constants: `run`, `config` and `summary` mean the run that is current *now*, so they
are looked up each time (`lineage.run` is `None` while there is none) and are never kept in this module. The verbs (`log`, `finish`, …) are
functions that look the current run up when they are called, so `from lineage import log` stays right.

`__all__` is the public interface; what is not in it may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import storage
from lineage.interop.protocol import announce

if "LocalBackend" not in getattr(storage, "__all__", ()):
    _where = getattr(storage, "__file__", None) or next(iter(getattr(storage, "__path__", ["an unknown place"])))
    raise ImportError(
        f"lineage needs its own package `storage`, and {_where} is another one that stands before it on sys.path:"
        " rename that file, or run the program from another directory"
    )

if TYPE_CHECKING:
    from lineage.model.errors import CommError as CommError
    from lineage.model.errors import Error as Error
    from lineage.model.errors import UsageError as UsageError
    from lineage.model.retention import ArtifactTTL as ArtifactTTL
    from lineage.sdk.active import config as config
    from lineage.sdk.active import run as run
    from lineage.sdk.active import summary as summary
    from lineage.sdk.agent import agent as agent
    from lineage.sdk.alert import AlertLevel as AlertLevel
    from lineage.sdk.api import Api as Api
    from lineage.sdk.api import Artifact as Artifact
    from lineage.sdk.current import alert as alert
    from lineage.sdk.current import attach as attach
    from lineage.sdk.current import controller as controller
    from lineage.sdk.current import define_metric as define_metric
    from lineage.sdk.current import finish as finish
    from lineage.sdk.current import join as join
    from lineage.sdk.current import link_artifact as link_artifact
    from lineage.sdk.current import link_model as link_model
    from lineage.sdk.current import log as log
    from lineage.sdk.current import log_artifact as log_artifact
    from lineage.sdk.current import log_code as log_code
    from lineage.sdk.current import log_model as log_model
    from lineage.sdk.current import login as login
    from lineage.sdk.current import mark_preempting as mark_preempting
    from lineage.sdk.current import plot_table as plot_table
    from lineage.sdk.current import restore as restore
    from lineage.sdk.current import save as save
    from lineage.sdk.current import setup as setup
    from lineage.sdk.current import teardown as teardown
    from lineage.sdk.current import unwatch as unwatch
    from lineage.sdk.current import use_artifact as use_artifact
    from lineage.sdk.current import use_model as use_model
    from lineage.sdk.current import watch as watch
    from lineage.sdk.init import init as init
    from lineage.sdk.media import Histogram as Histogram
    from lineage.sdk.media import Html as Html
    from lineage.sdk.media import Image as Image
    from lineage.sdk.media import Table as Table
    from lineage.sdk.run import Run as Run
    from lineage.sdk.settings import Settings as Settings
    from lineage.sdk.sweep import sweep as sweep
    from lineage.sdk.terminal import termerror as termerror
    from lineage.sdk.terminal import termlog as termlog
    from lineage.sdk.terminal import termwarn as termwarn

__version__ = "0.1.0"

announce()

_ROOMS: dict[str, tuple[str, ...]] = {
    "lineage.sdk.init": ("init",),
    "lineage.sdk.current": (
        "alert",
        "attach",
        "controller",
        "define_metric",
        "finish",
        "join",
        "link_artifact",
        "link_model",
        "log",
        "log_artifact",
        "log_code",
        "log_model",
        "login",
        "mark_preempting",
        "plot_table",
        "restore",
        "save",
        "setup",
        "teardown",
        "unwatch",
        "use_artifact",
        "use_model",
        "watch",
    ),
    "lineage.sdk.api": ("Api", "Artifact"),
    "lineage.sdk.run": ("Run",),
    "lineage.sdk.sweep": ("sweep",),
    "lineage.sdk.agent": ("agent",),
    "lineage.sdk.alert": ("AlertLevel",),
    "lineage.sdk.settings": ("Settings",),
    "lineage.sdk.media": ("Histogram", "Html", "Image", "Table"),
    "lineage.sdk.terminal": ("termerror", "termlog", "termwarn"),
    "lineage.model.retention": ("ArtifactTTL",),
    "lineage.model.errors": ("CommError", "Error", "UsageError"),
}
"""Room → the public names that come from it."""
_NEEDS = {"lineage.sdk.sweep": "lineage.sdk.api", "lineage.sdk.agent": "lineage.sdk.api"}
"""Rooms that ask for a default `Api`, which must be there to be asked."""
_DOORS = ("data_types", "errors", "plot", "util")
"""Modules people reach as attributes."""
_NOW = ("config", "run", "summary")
"""Names whose value is that of the current run."""
_MEDIUM = ": this medium is not offered, put its file into an artifact (artifact.add_file, run.log_artifact)"
_INSTEAD = dict.fromkeys(("Audio", "EvalTable", "Graph", "Molecule", "Object3D", "Plotly", "Video", "box3d"), _MEDIUM) | {
    "apis": ": the public API is lineage.Api",
    "env": ": the README lists the environment variables that are read",
    "require": ": there is nothing to be required, leave the call out",
}
"""Names of the W&B client that are not here → what to do instead."""
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted([*_ROOM_OF, *_NOW, *_DOORS, "__version__"])  # noqa: PLE0605  # the tables are the list


def __getattr__(name: str) -> Any:
    if name in _NOW:
        return getattr(import_module("lineage.sdk.active"), name)()
    if name in _DOORS:
        return import_module(f"lineage.{name}")
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module 'lineage' has no attribute {name!r}{_INSTEAD.get(name, '')}")
    if room in _NEEDS:
        import_module(_NEEDS[room])
    value = globals()[name] = getattr(import_module(room), name)
    return value


def __dir__() -> list[str]:
    return __all__
