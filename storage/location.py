"""Where a store keeps its bytes when that is not its own directory: a URL, parsed once.

    s3://bucket/prefix    memory://name    file:///absolute/directory    gs://bucket/prefix    az://container/prefix    …

It names a place and nothing else: no credentials (those come the usual way, from the environment and the usual files), no options, no
view of another place. `parse` and `str` are inverses, and two texts that mean one place are one location.
"""

import re
from dataclasses import dataclass
from typing import Self

from storage.errors import InvalidReference, InvalidStore
from storage.uri import scheme_of, shown, strip_secrets

_SAME = {"s3a": "s3", "gcs": "gs", "local": "file", "abfs": "az", "abfss": "az"}
"""Names fsspec has for what another scheme says, too, wherever no host is named."""
_NOT_WRITTEN = frozenset(
    {"http", "https", "data", "github", "git", "zip", "tar", "reference", "simplecache", "filecache", "blockcache", "dir"}
)
"""Schemes that only read, or only look at another place."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]+")


@dataclass(frozen=True, slots=True)
class Location:
    """See the top of this file. `root` is the host or bucket, `path` what is below it, without slashes around it."""

    scheme: str
    root: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The location `text` names.

        Raises:
            InvalidStore: no URL, one that holds a secret, or one that cannot be a store.
        """
        try:
            scheme = scheme_of(text)
            strip_secrets(text)
        except InvalidReference as error:
            raise InvalidStore(f"{error}; a store is named like s3://bucket/prefix or file:///directory") from error
        _, slashes, tail = text.partition("://")
        if not slashes or "::" in text or re.search(r"[?#\\]", tail):
            raise InvalidStore(f"{shown(text)} is not the URL of a place and nothing else: write s3://bucket/prefix or file:///directory")
        if scheme in _NOT_WRITTEN:
            raise InvalidStore(f"{shown(text)}: {scheme}:// cannot be written to: name a bucket or a directory")
        root, _, path = tail.partition("/")
        scheme, path = scheme if "@" in root else _SAME.get(scheme, scheme), path.rstrip("/")
        if any(part in ("", ".", "..") for part in path.split("/") if path):
            raise InvalidStore(f"{shown(text)} goes round in its path: write it without '//', '.' and '..'")
        if scheme == "file" and (root or not path):
            raise InvalidStore(f"{shown(text)} is not a directory of this machine: write file:///absolute/directory")
        if scheme == "s3" and not _BUCKET.fullmatch(root):
            raise InvalidStore(f"{shown(text)} names no bucket: write s3://bucket/prefix")
        if not (root or path):
            raise InvalidStore(f"{shown(text)} names no place: write more than the scheme")
        return cls(scheme, root, path)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.root}" + (f"/{self.path}" if self.path else "")
