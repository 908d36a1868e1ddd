"""Where bytes rest: content-addressed, verified, immutable. Has never heard of a run.

A front door: each name is imported from its room when it is first asked for, so importing a noun loads neither a network nor a database.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.blob.backend import Backend as Backend
    from storage.blob.cache import Cache as Cache
    from storage.blob.home import Home as Home
    from storage.blob.local import LocalBackend as LocalBackend
    from storage.blob.memory import MemoryBackend as MemoryBackend
    from storage.blob.session import Session as Session
    from storage.blob.store import Store as Store
    from storage.digest import Blob as Blob
    from storage.digest import Digest as Digest
    from storage.entry import Entry as Entry
    from storage.entry import Kind as Kind
    from storage.entry import Pin as Pin
    from storage.errors import StorageError as StorageError
    from storage.ledger import Ledger as Ledger
    from storage.manifest import Manifest as Manifest
    from storage.memory import MemoryLedger as MemoryLedger

_ROOMS = {
    "Backend": "storage.blob.backend",
    "Blob": "storage.digest",
    "Cache": "storage.blob.cache",
    "Digest": "storage.digest",
    "Entry": "storage.entry",
    "Home": "storage.blob.home",
    "Kind": "storage.entry",
    "Ledger": "storage.ledger",
    "LocalBackend": "storage.blob.local",
    "Manifest": "storage.manifest",
    "MemoryBackend": "storage.blob.memory",
    "MemoryLedger": "storage.memory",
    "Pin": "storage.entry",
    "Session": "storage.blob.session",
    "StorageError": "storage.errors",
    "Store": "storage.blob.store",
}

__all__ = sorted(_ROOMS)  # noqa: PLE0605  # the table is the list


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module 'storage' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_ROOMS[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
