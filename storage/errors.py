"""What can go wrong with bytes, grouped by what the catcher will do about it.

    StorageError                        everything below; never raised itself
    ├── Refused        (ValueError)     the request is wrong: change it and call again
    │   ├── InvalidDigest               text is not `algorithm:lowerhex`
    │   ├── InvalidPath                 an entry path the manifest will not hold
    │   ├── InvalidManifest             bytes or entries that are not a manifest
    │   ├── InvalidReference            a URI that cannot be pinned as asked
    │   ├── TooManyObjects              a reference would pin more objects than allowed
    │   ├── TooLarge                    more bytes than the place keeps in one object
    │   ├── InvalidStore                a URL that cannot be a store, or whose store is not this one
    │   ├── UnsupportedFile             FIFO, socket, device: not a regular file
    │   ├── UnsafeLink                  a link that dangles, loops or leaves the root
    │   └── DestinationRefused          checkout would overwrite, escape or collide
    ├── Missing        (FileNotFoundError)  it is not there: look elsewhere or give up
    │   ├── BlobMissing                 a digest the store does not hold
    │   └── ReferenceMissing            the external object is gone
    │       └── VersionGone             … or just the pinned version of it
    ├── Changed                         the world moved under us: look again, then decide
    │   ├── SourceChanged               a file changed while it was read
    │   ├── TreeChanged    (ValueError) a checked-out directory is no longer what the manifest says
    │   └── ReferenceChanged            the external object is no longer the pinned one
    ├── Corrupt                         bytes are wrong: quarantine, fetch again, restore
    ├── Unreadable     (PermissionError)  the operating system said no to a source
    ├── Unavailable    (OSError)        the place is not usable now: free space, wait, retry
    │   ├── StoreFull                   no space or quota left
    │   ├── ReadOnlyStore               reads work, writes do not
    │   ├── NotRemoved                  of many, some could not be removed; `left` says which, and why
    │   ├── RemoteUnavailable           the network or the service failed
    │   └── PackageMissing              what speaks to the place is not installed
    └── UnknownFormat                   written by another program or a newer release

Every class carries a stable `code` that programs may rely on. A message says what was given, what was wanted and what to do next.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class StorageError(Exception):
    """The root of this tree; `code` is stable across releases."""

    code: ClassVar[str] = "storage"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else self.code


class Refused(StorageError, ValueError):
    code = "refused"


class InvalidDigest(Refused):
    code = "invalid_digest"


class InvalidPath(Refused):
    code = "invalid_path"


class InvalidManifest(Refused):
    code = "invalid_manifest"


class InvalidReference(Refused):
    code = "invalid_reference"


class TooManyObjects(InvalidReference):
    code = "too_many_objects"


class TooLarge(Refused):
    code = "too_large"


class InvalidStore(Refused):
    code = "invalid_store"


class UnsupportedFile(Refused):
    code = "unsupported_file"


class UnsafeLink(Refused):
    code = "unsafe_link"


class DestinationRefused(Refused):
    code = "destination_refused"


class Missing(StorageError, FileNotFoundError):
    code = "missing"


class BlobMissing(Missing):
    code = "blob_missing"


class ReferenceMissing(Missing):
    code = "reference_missing"


class VersionGone(ReferenceMissing):
    code = "version_gone"


class Changed(StorageError):
    code = "changed"


class SourceChanged(Changed):
    code = "source_changed"


class TreeChanged(Changed, ValueError):
    code = "tree_changed"


class ReferenceChanged(Changed, ValueError):
    code = "reference_changed"


class Corrupt(StorageError):
    code = "corrupt"


class Unreadable(StorageError, PermissionError):
    code = "unreadable"


class Unavailable(StorageError, OSError):
    code = "unavailable"


class StoreFull(Unavailable):
    code = "store_full"


class ReadOnlyStore(Unavailable):
    code = "read_only_store"


class NotRemoved(Unavailable):
    """`left` holds each key that may still be there, and the reason; whatever else was to be removed is gone."""

    code = "not_removed"

    def __init__(self, left: Mapping[str, str]) -> None:
        super().__init__(
            f"{len(left)} objects could not be removed and stay: lift the lock or the refusal, then call again"
            + listed([f"{key}: {reason}" for key, reason in left.items()], 10)
        )
        self.left = dict(left)


class RemoteUnavailable(Unavailable):
    code = "remote_unavailable"


class PackageMissing(Unavailable):
    code = "package_missing"


class UnknownFormat(StorageError):
    code = "unknown_format"


def listed(names: Sequence[object], limit: int = 100) -> str:
    """Offenders, one a line, at most `limit` of them and then how many more there are."""
    shown = "".join(f"\n  {name}" for name in names[:limit])
    rest = len(names) - limit
    return shown + (f"\n  … and {rest} more" if rest > 0 else "")
