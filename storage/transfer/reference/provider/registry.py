"""Which provider speaks which scheme, made when it is first used and kept where keeping is safe.

Packages are imported when a scheme is first used; a missing one is named with the command that installs it. Providers with an event loop
of their own are kept, by process (a fork gets its own: loops and sockets do not survive one) and by what the environment says of
credentials. The others are made for each question: nobody knows whether their connections survive idling or a second thread.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from storage.entry import printable
from storage.errors import InvalidReference, PackageMissing
from storage.transfer.reference.provider.azure import Azure
from storage.transfer.reference.provider.google import Google
from storage.transfer.reference.provider.law import Provider, explained
from storage.transfer.reference.provider.other import Other
from storage.uri import scheme_of

PROVIDERS: dict[str, Callable[[str], Provider]] = {"gs": Google, "gcs": Google, "az": Azure, "abfs": Azure, "abfss": Azure}
"""`Other` speaks the rest of what fsspec knows."""
VERSIONED = {"gs": "#", "gcs": "#", "az": "?versionid=", "abfs": "?versionid=", "abfss": "?versionid="}
"""What stands between a key and a version in a URI."""
PACKAGES = {
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    **dict.fromkeys(("hdfs", "arrow_hdfs"), "pyarrow"),
    "smb": "smbprotocol",
}
"""What to install for a scheme; for one that is not here, the package its file system's class is in."""
VIEWS = frozenset(
    {"async_wrapper", "asynclocal", "asyncwrapper", "blockcache", "cached", "dask", "data", "dir", "filecache", "generic", "lazy"}
    | {"libarchive", "reference", "simplecache", "tar", "zip"}
)
"""What fsspec calls a file system and is only a way of looking at another one, or holds its bytes itself."""
_ENVIRONMENT = (
    *("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"),
    *(f"AZURE_STORAGE_{name}" for name in ("ACCOUNT_NAME", "ACCOUNT_KEY", "CONNECTION_STRING", "SAS_TOKEN", "ANON")),
)
_KEPT: dict[tuple[object, ...], Provider] = {}


def is_known(scheme: str) -> bool:
    """Does fsspec have a file system for it?"""
    if scheme in PROVIDERS:
        return True
    from fsspec.registry import known_implementations, registry  # loads slowly

    return scheme in known_implementations or scheme in registry


@contextmanager
def provider_of(uri: str) -> Iterator[Provider]:
    """Who answers for `uri`, for as long as the block lasts.

    Raises:
        InvalidReference: the scheme is a view of another place, or the URI a chain of several.
        PackageMissing: it is not installed.
    """
    scheme = scheme_of(uri)
    if scheme in VIEWS or "::" in uri:
        raise InvalidReference(f"{printable(uri)} is a way of looking at another place: reference that place itself")
    if scheme in PROVIDERS:
        yield _kept(scheme, uri)
        return
    provider = _made(scheme, uri)
    try:
        yield provider
    finally:
        provider.close()


def _kept(scheme: str, uri: str) -> Provider:
    account = uri.partition("://")[2].partition("/")[0].partition("@")[2]
    key = (os.getpid(), scheme, account, *(os.environ.get(name) for name in _ENVIRONMENT))
    return _KEPT.get(key) or _KEPT.setdefault(key, _made(scheme, uri))


def _made(scheme: str, uri: str) -> Provider:
    with explained(uri):
        try:
            return PROVIDERS.get(scheme, Other)(uri)
        except ImportError as error:
            name = _package(scheme)
            raise PackageMissing(
                f"{printable(uri)}: what speaks {scheme}:// is not installed: pip install {name}, or pass checksum=False to only record it"
            ) from error


def _package(scheme: str) -> str:
    from fsspec.registry import known_implementations  # loads slowly

    return PACKAGES.get(scheme) or str(known_implementations.get(scheme, {}).get("class", scheme)).partition(".")[0]
