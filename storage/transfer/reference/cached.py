"""Pinned bytes, fetched once: kept in a bounded cache under the identity of their pin, verified on every hit.

Only what a provider vouches for is kept: a version, or a strong ETag. The same URI with the same pin is the same bytes for ever, so a hit
needs no network; whether the object has changed since is a question for `check`. Local files, weak validators, unverified pins and
objects that would fill a good part of the cache are fetched anew each time.
"""

import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from storage.blob.cache import Cache
from storage.digest import CHUNK
from storage.entry import Entry, Pin
from storage.errors import Unavailable
from storage.transfer.reference.handler import HANDLERS, fetch
from storage.transfer.reference.provider.registry import is_known
from storage.uri import scheme_of

SHARE = 4
"""An object larger than this part of the cache's limit is not kept: it would push out too much."""
_IN_MEMORY = 16 << 20
_NEAR = frozenset({"file", "local", "memory"})


def fetch_cached(entry: Entry, out: BinaryIO, cache: Cache) -> None:
    """Write exactly the pinned bytes of `entry` to `out`, from the cache or from where they live. Raises: as `fetch`."""
    if entry.pin is None or not is_keepable(entry.pin, entry.size, cache.limit):
        fetch(entry, out)
        return
    pin = entry.pin
    key = "\n".join(("reference", pin.uri, pin.version_id or "", pin.etag or "", pin.checksum or ""))
    kept = cache.get(key)
    if kept is None:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
            fetch(entry, cast("BinaryIO", spool))
            spool.seek(0)
            try:
                kept = cache.put(key, _pieces(spool))
            except Unavailable:  # a cache that takes nothing costs time, not the download
                spool.seek(0)
                shutil.copyfileobj(spool, out, CHUNK)
                return
    with kept.open("rb") as file:
        shutil.copyfileobj(file, out, CHUNK)


def is_keepable(pin: Pin, size: int | None, limit: int) -> bool:
    """Is the pin enough to know the bytes by, and are they worth keeping?"""
    scheme = scheme_of(pin.uri)
    is_far = scheme not in _NEAR and (scheme in HANDLERS or is_known(scheme))
    return is_far and pin.is_verified and size is not None and size <= limit // SHARE


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece
