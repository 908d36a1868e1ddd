"""References to objects that live elsewhere: pinned when added, fetched exactly as pinned, checked later. The law is in `scheme`.

A front door: each name is imported from its room when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage.transfer.reference.cached import fetch_cached as fetch_cached
    from storage.transfer.reference.handler import HANDLERS as HANDLERS
    from storage.transfer.reference.handler import check as check
    from storage.transfer.reference.handler import fetch as fetch
    from storage.transfer.reference.handler import pin as pin
    from storage.transfer.reference.handler import unverified as unverified
    from storage.transfer.reference.scheme import DEFAULT_MAX_OBJECTS as DEFAULT_MAX_OBJECTS
    from storage.transfer.reference.scheme import Standing as Standing
    from storage.transfer.reference.survey import Asked as Asked
    from storage.transfer.reference.survey import standings as standings

_ROOMS = {
    "fetch_cached": "cached",
    "HANDLERS": "handler",
    "check": "handler",
    "fetch": "handler",
    "pin": "handler",
    "unverified": "handler",
    "DEFAULT_MAX_OBJECTS": "scheme",
    "Standing": "scheme",
    "Asked": "survey",
    "standings": "survey",
}

__all__ = sorted(_ROOMS)  # noqa: PLE0605  # the table is the list


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    return value
