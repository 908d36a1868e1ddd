"""Azure Blob Storage through adlfs: every range carries the etag, and the version where the account keeps versions.

adlfs brings the account, the credentials and the loop; the blob client it holds is asked itself, because adlfs hands conditions on to
nobody and its `find` hands a listing over only when it is complete.
"""

import re
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from storage.transfer.reference.provider.law import PIECE, Seen

_HOST = re.compile(r"[^@]+@([^.]+)\.(?:dfs|blob)\.core\.windows\.net")
"""Where a URI names the account; else the environment does."""
Result = TypeVar("Result")


class Azure:
    """`provider.law` for keys that begin with a container."""

    is_conditional = True

    def __init__(self, uri: str) -> None:
        from adlfs import AzureBlobFileSystem  # loads slowly, and only who uses it has it

        host = _HOST.match(uri.partition("://")[2].partition("/")[0])
        named = {"account_name": host[1]} if host else {}
        self._system = AzureBlobFileSystem(use_listings_cache=False, skip_instance_cache=True, **named)

    def key(self, uri: str) -> str:
        authority, slash, name = uri.partition("://")[2].partition("/")
        return authority.partition("@")[0] + slash + name

    def look(self, key: str, version: str | None = None) -> Seen:
        return self._sync(self._properties(key, version))

    async def _properties(self, key: str, version: str | None) -> Seen:
        container, _, name = key.partition("/")
        async with self._system.service_client.get_blob_client(container, name) as client:
            return _seen(container, await client.get_blob_properties(version_id=version))

    def below(self, key: str) -> Iterator[Seen]:
        container, _, prefix = key.partition("/")
        client = self._system.service_client.get_container_client(container)
        pages = client.list_blobs(name_starts_with=prefix or None, include=["metadata"]).by_page()
        while (page := self._sync(_next(pages))) is not None:
            yield from (_seen(container, each) for each in page)

    def read(self, seen: Seen, start: int) -> Iterator[bytes]:
        while start < (seen.size or 0):
            length = min(PIECE, (seen.size or 0) - start)
            data = self._sync(self._range(seen, start, length))
            if len(data) != length:
                raise OSError(f"{len(data)} bytes came, {length} were asked for")
            yield data
            start += length

    async def _range(self, seen: Seen, start: int, length: int) -> bytes:
        from azure.core import MatchConditions  # as adlfs

        container, _, name = seen.key.partition("/")
        condition = {"etag": f'"{seen.etag}"', "match_condition": MatchConditions.IfNotModified} if seen.etag else {}
        async with self._system.service_client.get_blob_client(container, name) as client:
            stream = await client.download_blob(offset=start, length=length, version_id=seen.version, **condition)
            data: bytes = await stream.readall()
            return data

    def _sync(self, work: Coroutine[Any, Any, Result]) -> Result:
        from fsspec.asyn import sync  # loads slowly

        found: Result = sync(self._system.loop, lambda: work)
        return found

    def close(self) -> None:
        """Nothing: adlfs closes its client when it is let go."""


async def _next(pages: Any) -> list[Any] | None:
    try:
        page = await anext(pages)
    except StopAsyncIteration:
        return None
    return [each async for each in page]


def _seen(container: str, stated: Any) -> Seen:
    md5 = stated.content_settings.content_md5 if stated.content_settings else None
    folder = {name.lower(): value for name, value in (stated.metadata or {}).items()}.get("hdi_isfolder") == "true"
    return Seen(
        f"{container}/{stated.name}",
        stated.size,
        str(stated.etag or "").strip('"') or None,
        stated.version_id,
        f"md5:{bytes(md5).hex()}" if md5 else None,
        None if stated.last_modified is None else stated.last_modified.isoformat(),
        is_directory=folder,
    )
