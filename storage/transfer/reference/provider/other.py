"""Any other file system that fsspec knows: what its `info` states is taken as it is, and nothing more is claimed.

An etag, a version or a checksum pins; where there is only a time of modification, that and the size are compared and the pin is
`unverified`. There are no conditions to read under.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

from storage.digest import CHUNK
from storage.transfer.reference.provider.law import Seen

_ETAGS = ("ETag", "etag", "e_tag", "eTag")
_VERSIONS = ("VersionId", "version_id", "versionId", "generation")
_TIMES = ("mtime", "modified", "LastModified", "last_modified", "last_commit", "modify", "updated", "created")
_DIGEST = re.compile(r"[0-9a-f]{32,128}")
_CHECKSUMS = ("sha256", "sha1", "md5")


class Other:
    """`provider.law` for whatever the scheme of the URI is."""

    is_conditional = False

    def __init__(self, uri: str) -> None:
        from fsspec.registry import get_filesystem_class  # loads slowly

        kind = get_filesystem_class(uri.partition(":")[0])
        # What fsspec.core.url_to_fs does, which would connect once more for every key.
        where = {name: value for name, value in kind._get_kwargs_from_urls(uri).items() if value is not None}  # noqa: SLF001
        self._strip = kind._strip_protocol  # noqa: SLF001
        self._system = kind(**where, use_listings_cache=False, skip_instance_cache=True)

    def key(self, uri: str) -> str:
        return str(self._strip(uri))

    def look(self, key: str, version: str | None = None) -> Seen:  # what has no conditions has no versions to ask for
        return _seen(self._system.info(key.rstrip("/") or "/"))

    def below(self, key: str) -> Iterator[Seen]:
        found = False
        for _, directories, files in self._system.walk(key.rstrip("/"), detail=True, on_error="raise"):
            found = found or bool(directories or files)
            yield from map(_seen, files.values())
        if not found:
            self._system.info(key.rstrip("/") or "/")  # an empty directory is one; what is not there says so

    def read(self, seen: Seen, start: int) -> Iterator[bytes]:
        with self._system.open(seen.key, "rb") as source:
            source.seek(start)
            while piece := source.read(CHUNK):
                yield bytes(piece)

    def close(self) -> None:
        for name in ("ftp", "client"):  # what ftp://, sftp:// and webdav:// call their connections
            end = getattr(getattr(self._system, name, None), "close", None)
            if callable(end):
                end()


def _seen(stated: Mapping[str, Any]) -> Seen:
    kind, size = stated.get("type"), stated.get("size")
    return Seen(
        str(stated["name"]),
        int(size) if isinstance(size, int) and kind == "file" else None,
        _etag(_first(stated, _ETAGS)),
        None if (version := _first(stated, _VERSIONS)) is None else str(version),
        next((f"{name}:{stated[name]}" for name in _CHECKSUMS if _DIGEST.fullmatch(str(stated.get(name, "")))), None),
        _time(_first(stated, _TIMES)),
        is_directory=kind == "directory",
        problem=None if kind in ("file", "directory") else f"{stated['name']!r} is a {kind}, not a file",
    )


def _first(stated: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((stated[name] for name in names if stated.get(name)), None)


def _etag(stated: object) -> str | None:
    text = str(stated or "").strip()
    return (text if text.startswith('W/"') else text.strip('"')) or None


def _time(stated: object) -> str | None:
    """The moment as text. Some file systems say it as a number in a listing and as a date elsewhere: both become the same text."""
    if isinstance(stated, int | float):
        stated = dt.datetime.fromtimestamp(stated, dt.UTC)
    if isinstance(stated, dt.datetime):
        return (stated if stated.tzinfo is None else stated.astimezone(dt.UTC)).isoformat()
    return None if stated is None else str(stated)
