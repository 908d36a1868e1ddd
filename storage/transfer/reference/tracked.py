"""Schemes this program keeps on record without ever speaking to them: named, listed, compared, never read.

Not for anything that has a handler. Such a pin carries no etag and says of itself that it is not verifiable.
"""

from typing import BinaryIO, NoReturn

from storage.entry import Entry, Pin, printable
from storage.errors import InvalidReference
from storage.transfer.reference.scheme import Standing, Wish
from storage.uri import scheme_of


def pin(wish: Wish) -> list[Entry]:
    """One unverified entry under the name the caller gave.

    Raises:
        InvalidReference: no name was given; what the URI means is unknown here, so none can be derived.
    """
    if wish.name is None:
        raise InvalidReference(f"{printable(wish.uri)} is of a scheme that is only tracked: pass name= to say what its entry is called")
    return [Entry.reference(wish.name, Pin(wish.uri))]


def fetch(pin: Pin, _size: int | None, _out: BinaryIO) -> NoReturn:
    """Nothing.

    Raises:
        InvalidReference: always.
    """
    raise InvalidReference(
        f"{printable(pin.uri)} cannot be downloaded here: {scheme_of(pin.uri)}:// is only tracked."
        " s3://, http(s)://, file:// and what fsspec knows can; for this one use the tool it belongs to"
    )


def check(_pin: Pin, _size: int | None) -> Standing:
    """Always unverifiable."""
    return Standing.UNVERIFIABLE
