"""Which module speaks which scheme, and the four questions the rest of the program asks about references.

Everything that holds for every scheme is decided here, before a module is asked: secrets, names, limits, the kind of the entry.
"""

import os
from collections.abc import Iterable, Sequence
from typing import BinaryIO

from storage.entry import Entry, Kind, Pin, check_path, printable
from storage.errors import InvalidReference
from storage.transfer.reference import http, local, remote, s3, tracked
from storage.transfer.reference.provider.registry import is_known
from storage.transfer.reference.scheme import DEFAULT_MAX_OBJECTS, Scheme, Standing, Wish
from storage.uri import scheme_of, strip_secrets

HANDLERS: dict[str, Scheme] = {"s3": s3, "s3a": s3, "http": http, "https": http, "file": local, "local": local}
"""Any other scheme that fsspec knows is `remote`; what is left is `tracked`: kept on record, never read."""
OWN = frozenset({"lineage", "lineage-artifact", "wandb-artifact"})
"""Schemes of this engine's own: what is in the store already is not pinned from outside."""


def pin(
    uri: str,
    name: str | None = None,
    *,
    checksum: bool = True,
    max_objects: int | None = None,
    allow_empty: bool = False,
    own: Iterable[str | os.PathLike[str]] = (),
) -> list[Entry]:
    """The reference entries for what `uri` names now, in path order.

    One object gives one entry called `name`, by default its last path component. A prefix or directory gives one for each object below,
    under `name`, or at the root without one. Without `checksum` a remote is not contacted and a file not read: such pins are unverified.
    `own` is where the asking store is, directories and URIs: what lies there is no outside object.

    Raises:
        InvalidReference, InvalidPath: the URI, a name or the limit cannot be, or it is the store's own; nothing was contacted.
        TooManyObjects: more than `max_objects`, 10,000 unless given.
        ReferenceMissing: nothing is there, and `allow_empty` does not say that is meant.
        Unreadable, RemoteUnavailable: it could not be found out.
    """
    limit = DEFAULT_MAX_OBJECTS if max_objects is None else max_objects
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidReference(
            f"max_objects={max_objects!r} allows no object at all: pass a positive number, or None for {DEFAULT_MAX_OBJECTS:,}"
        )
    wish = Wish(strip_secrets(uri), None if name is None else check_path(name), checksum, limit, allow_empty)
    for place in own:
        _refuse_own(wish.uri, os.fspath(place))
    if scheme_of(wish.uri) in OWN:
        raise InvalidReference(f"{printable(wish.uri)} is kept by this engine already: pass the entry of that artifact, or log the file")
    return _handler(wish.uri).pin(wish)


def _refuse_own(uri: str, place: str) -> None:
    """Return when `uri` leads outside of this engine: what it keeps itself moves, is packed and reclaimed, and a pin would dangle."""
    if HANDLERS.get(scheme_of(uri)) is local and "://" not in place:
        path, store = os.path.realpath(local.path_of(uri)), os.path.realpath(place)
        is_own = os.path.commonpath((path, store)) in (path, store)
    else:
        is_own = "://" in place and (uri + "/").startswith(place.rstrip("/") + "/")
    if is_own:
        raise InvalidReference(f"{printable(uri)} lies in the store itself, or holds it: log the files instead of referencing them")


def unverified(entries: Sequence[Entry]) -> str | None:
    """What to tell whoever just pinned these, when the source vouches for some of them less than it could; `None` when it does not."""
    weak = [entry.pin for entry in entries if entry.pin is not None and not entry.pin.is_verified]
    if not weak:
        return None
    compared = "only its time of modification and size can be" if all(pin.is_verifiable for pin in weak) else "at most its size can be"
    return f"{len(weak)} of {len(entries)} unverified: without a version, strong ETag or checksum, {compared} compared later"


def fetch(entry: Entry, out: BinaryIO) -> None:
    """Write exactly the pinned bytes of `entry` to `out`; what was written counts only when this returned.

    An entry pinned without checksum gives whatever is there.

    Raises:
        ReferenceChanged: it is another object now. VersionGone: the pinned version is no longer kept. ReferenceMissing: it is gone.
        Corrupt, Unreadable, RemoteUnavailable: it could not be read as pinned.
        InvalidReference: not a reference, or of a scheme that is only tracked.
    """
    if entry.kind is not Kind.REFERENCE or entry.pin is None:
        raise InvalidReference(f"entry {printable(entry.path)!r} is a {entry.kind}, not a reference: read its bytes from the store")
    _handler(entry.pin.uri).fetch(entry.pin, entry.size, out)


def check(pin: Pin, size: int | None) -> Standing:
    """How the object stands against its pin and size.

    Raises:
        Unreadable, RemoteUnavailable: it could not be found out; that is never `missing`.
    """
    return _handler(pin.uri).check(pin, size)


def _handler(uri: str) -> Scheme:
    scheme = scheme_of(uri)
    return HANDLERS.get(scheme) or (remote if is_known(scheme) else tracked)
