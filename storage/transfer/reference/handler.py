"""Which module speaks which scheme, and the four questions the rest of the program asks about references.

Everything that holds for every scheme is decided here, before a module is asked: secrets, names, limits, the kind of the entry.
"""

from typing import BinaryIO

from storage.entry import Entry, Kind, Pin, check_path, printable
from storage.errors import InvalidReference
from storage.transfer.reference import http, local, s3, tracked
from storage.transfer.reference.scheme import DEFAULT_MAX_OBJECTS, Scheme, Standing, Wish, scheme_of, strip_secrets

HANDLERS: dict[str, Scheme] = {"s3": s3, "s3a": s3, "http": http, "https": http, "file": local}
"""Any other scheme is `tracked`: kept on record, never read."""


def pin(
    uri: str, name: str | None = None, *, checksum: bool = True, max_objects: int | None = None, allow_empty: bool = False
) -> list[Entry]:
    """The reference entries for what `uri` names now, in path order.

    One object gives one entry called `name`, by default its last path component. A prefix or directory gives one for each object below,
    under `name`, or at the root without one. Without `checksum` a remote is not contacted and a file not read: such pins are unverified.

    Raises:
        InvalidReference, InvalidPath: the URI, a name or the limit cannot be; nothing was contacted for the first two.
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
    return _handler(wish.uri).pin(wish)


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
    return HANDLERS.get(scheme_of(uri), tracked)
