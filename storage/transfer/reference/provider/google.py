"""Google Cloud Storage through gcsfs: every object has a generation, which names these bytes for ever and conditions every range.

The JSON API is asked through gcsfs' own `call`, which brings credentials and retries. Its `info` and `find` are not used: the first asks
twice, the second hands a listing over only when it is complete, which is too late to notice that it goes over a limit.
"""

import base64
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

from storage.transfer.reference.provider.law import PIECE, Seen

PAGE = 1000
_NOWHERE = logging.NullHandler()
_CHECKSUMS = (("md5Hash", "md5"), ("crc32c", "crc32c"))


class Google:
    """`provider.law` for keys that begin with a bucket."""

    is_conditional = True

    def __init__(self, _uri: str) -> None:
        from gcsfs import GCSFileSystem  # loads slowly, and only who uses it has it

        # gcsfs logs the traceback of what it also raises; where nobody set logging up, Python would print that on standard error.
        logging.getLogger("gcsfs").addHandler(_NOWHERE)
        # An emulator knows no credentials, and looking for some would ask a metadata server that is not there.
        emulated = {"token": "anon"} if os.environ.get("STORAGE_EMULATOR_HOST") else {}
        self._system = GCSFileSystem(use_listings_cache=False, skip_instance_cache=True, **emulated)

    def key(self, uri: str) -> str:
        return uri.partition("://")[2]

    def look(self, key: str, version: str | None = None) -> Seen:
        bucket, _, name = key.partition("/")
        return _seen(bucket, self._system.call("GET", "b/{}/o/{}", bucket, name, generation=version, json_out=True))

    def below(self, key: str) -> Iterator[Seen]:
        bucket, _, prefix = key.partition("/")
        token: str | None = None
        while True:
            asked = {"prefix": prefix or None, "maxResults": PAGE, "pageToken": token}
            page = self._system.call("GET", "b/{}/o", bucket, json_out=True, **asked)
            yield from (_seen(bucket, each) for each in page.get("items", []))
            following = page.get("nextPageToken")
            if not following:
                return
            if following == token:
                raise OSError("the listing stops before its end without saying how to go on")
            token = following

    def read(self, seen: Seen, start: int) -> Iterator[bytes]:
        url = self._system.url(seen.key, generation=seen.version)
        while start < (seen.size or 0):
            end = min(start + PIECE, seen.size or 0)
            _, data = self._system.call("GET", url, headers={"Range": f"bytes={start}-{end - 1}"})
            if len(data) != end - start:
                raise OSError(f"{len(data)} bytes came, {end - start} were asked for")
            yield data
            start = end

    def close(self) -> None:
        """Nothing: gcsfs closes its session when it is let go."""


def _seen(bucket: str, stated: Mapping[str, Any]) -> Seen:
    generation, size = stated.get("generation"), stated.get("size")
    return Seen(
        f"{bucket}/{stated['name']}",
        None if size is None else int(size),
        str(stated.get("etag") or "").strip('"') or None,
        None if generation is None else str(generation),
        next((f"{ours}:{base64.b64decode(stated[theirs]).hex()}" for theirs, ours in _CHECKSUMS if stated.get(theirs)), None),
        stated.get("updated"),
    )
