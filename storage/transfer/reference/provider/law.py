"""What a service behind an fsspec package is asked, and what its failures mean.

1. `look` and `below` state an identity as one response gave it. What the service does not state stays `None`; nothing is made up.
2. `below` comes page by page, is complete or raises, and is never answered from a remembered listing.
3. Where `is_conditional`, every range that `read` asks for carries the version or etag of what was seen, so bytes of two objects never
   mix. Elsewhere whoever reads looks before and after, which is what such a service can offer; the pin of one says `unverified`.
4. Absence is a definite "it is not there"; whatever else fails is an error and never absence.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from storage.entry import Pin, printable, weak_time
from storage.errors import PackageMissing, ReferenceChanged, ReferenceMissing, RemoteUnavailable, StorageError, Unreadable

PIECE = 8 << 20
"""Bytes one conditional range asks for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as one response shows it. `modified` is the source's words; `problem` says why it cannot be an entry."""

    key: str
    size: int | None = None
    etag: str | None = None
    version: str | None = None
    checksum: str | None = None
    modified: str | None = None
    is_directory: bool = False
    problem: str | None = None

    def pin(self, uri: str) -> Pin:
        """The pin of this very object; when it was modified counts only where nothing better is stated."""
        etag = self.etag or (weak_time(self.modified) if self.modified and not self.version and not self.checksum else None)
        return Pin(uri, etag, self.version, self.checksum)

    def completed(self, pin: Pin) -> "Seen":
        """The same, with the pinned version where this response states none and its etag is the pinned one: listings leave versions out."""
        return replace(self, version=pin.version_id) if self.version is None and self.etag and self.etag == pin.etag else self


class Provider(Protocol):
    """See the laws at the top of this file. A key is the path below the service, container or bucket first."""

    is_conditional: bool

    def key(self, uri: str) -> str:
        """The key a URI names, without any version; a slash at the end is kept where keys can end so."""

    def look(self, key: str, version: str | None = None) -> Seen:
        """The object, or that version of it. Raises: FileNotFoundError, or whatever the package raises."""

    def below(self, key: str) -> Iterator[Seen]:
        """Every object whose key begins with `key`, which is empty or ends with a slash."""

    def read(self, seen: Seen, start: int) -> Iterator[bytes]:
        """The bytes of what was seen, from `start` on."""

    def close(self) -> None:
        """Let go of connections; may be called again."""


_MEANINGS: dict[str, tuple[type[StorageError], str]] = {
    "FileNotFoundError": (ReferenceMissing, "it is not there: check the URI, or restore it"),
    "ResourceNotFoundError": (ReferenceMissing, "it is not there: check the URI, or restore it"),
    "NotADirectoryError": (ReferenceMissing, "it is not there: check the URI"),
    "FileExistsError": (ReferenceChanged, "it is no longer the pinned one: restore it, or reference it again"),  # gcsfs' word for 412
    "ResourceModifiedError": (ReferenceChanged, "it is no longer the pinned one: restore it, or reference it again"),
    "PermissionError": (Unreadable, "permission was refused: check the credentials"),
    "ClientAuthenticationError": (Unreadable, "the credentials were refused: check them"),
    "DefaultCredentialsError": (Unreadable, "no credentials were found: set them up as the provider's own tools want them"),
    "RefreshError": (Unreadable, "the credentials could not be renewed: log in again"),
    "error_perm": (Unreadable, "the server refused: check path and permission"),  # ftplib
}
"""What an exception means, by the name of its class or an ancestor's: those of optional packages cannot be imported to be compared."""
_STATUS: dict[int, tuple[type[StorageError], str]] = {
    401: _MEANINGS["ClientAuthenticationError"],
    403: _MEANINGS["PermissionError"],
    404: _MEANINGS["FileNotFoundError"],
    412: _MEANINGS["ResourceModifiedError"],
}


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Every failure inside becomes a typed error that names `uri`."""
    try:
        yield
    except StorageError:
        raise
    except ImportError as error:
        raise PackageMissing(f"{printable(uri)}: {error}") from error
    except Exception as error:  # whatever a package may raise: unless it says something definite, it could not be found out
        kind, reason = _meaning(error)
        raise kind(f"{printable(uri)}: {reason}") from error


def _meaning(error: Exception) -> tuple[type[StorageError], str]:
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    by_class = next((_MEANINGS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _MEANINGS), None)
    by_status = _STATUS.get(status) if isinstance(status, int) else None
    if str(error).startswith("Forbidden"):  # gcsfs' word for 403, in a plain OSError
        return _MEANINGS["PermissionError"]
    first = next(iter(str(error).splitlines()), "")
    return by_class or by_status or (RemoteUnavailable, f"the service failed ({type(error).__name__}: {first}): try again later")
