"""How a store is laid out, and the file that says so.

    format.json           which format, algorithm and store this is: the first file written, the first file read
    objects/<domain>/<algorithm>/<2 digits>/<62 digits>[.generation]         a blob, mode 0444; once here it never changes
    objects/<domain>/packs/<algorithm>/<2 digits>/<62 digits>[.generation]   many small blobs in one file, named by the whole of it
    staging/<session>/    what a writer has not published yet, mode 0700; swept when the session is dead
    quarantine/           bytes that turned out wrong: kept, never served
    catalog.sqlite        the catalogue, with its -wal and -shm
    journals/             metrics of runs that are not sealed yet, one append-only file a run
    cache/                bytes that were downloaded, and what trees of files looked like; may be deleted at any time
    lock                  whoever writes the catalogue holds it
    reserve               space set aside, for when the disk is full and something is to be removed

`objects/` and `quarantine/` may rest elsewhere, at a URL that format.json remembers. There, beside them:

    lineage-store.json    whose place it is: one store's and no other's

Nothing in here names an absolute path: a store works wherever its directory is moved. A reader refuses a format whose *major* version it
does not know; a newer *minor* version may be read.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import xxhash

from storage.digest import ALGORITHMS, DEFAULT_ALGORITHM, Digest
from storage.errors import InvalidDigest, UnknownFormat
from storage.location import Location

FORMAT = "lineage-store"
MAJOR, MINOR = 1, 0

FORMAT_FILE = "format.json"
OBJECTS = "objects"
STAGING = "staging"
QUARANTINE = "quarantine"
CATALOG = "catalog.sqlite"
JOURNALS = "journals"
CACHE = "cache"
TREES = "trees"
"""Below the cache: what trees of files looked like."""
LOCK = "lock"
RESERVE = "reserve"
OWNER_FILE = "lineage-store.json"

PACKS = "packs"
"""No algorithm is called that, so no blob's key is a pack's."""

_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_KEY = re.compile(
    rf"{OBJECTS}/(?P<domain>{_DOMAIN.pattern})/(?P<pack>{PACKS}/)?(?P<algorithm>[a-z0-9]+)/(?P<head>[0-9a-f]{{2}})/(?P<tail>[0-9a-f]{{62}})"
    r"(\.(?P<generation>[1-9][0-9]*))?",
    re.ASCII,
)


_CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True)
class StoreFormat:
    """What `format.json` says. `parse` and `print` are inverses."""

    store: str
    """Random hexadecimal name of this very store, so that nobody mistakes another for it."""
    algorithm: str = DEFAULT_ALGORITHM
    major: int = MAJOR
    minor: int = MINOR
    location: Location | None = None
    """Where the bytes are, when they are not in the directory itself."""

    @property
    def is_newer(self) -> bool:
        """Written by a release that knows more than we do: read it, do not write it."""
        return self.minor > MINOR

    def print(self) -> str:
        stated = {name: value for name, value in asdict(self).items() if name != "location"}
        place = {} if self.location is None else {"location": str(self.location)}
        fields = {"format": FORMAT, **stated, **place}
        return json.dumps({**fields, _CHECKSUM: _checksum(fields)}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def parse(cls, text: str, where: str) -> "StoreFormat":
        """The format stated by `text`, the content of `where`.

        Raises:
            UnknownFormat: not such a file, another program's, an unknown major version or algorithm.
        """
        try:
            stated = json.loads(text)
            checksum = stated.pop(_CHECKSUM)
            location = Location.parse(stated["location"]) if "location" in stated else None
            found = cls(str(stated["store"]), str(stated["algorithm"]), int(stated["major"]), int(stated["minor"]), location)
            name = stated["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise UnknownFormat(f"{where} is not a store's format file ({error}): is this directory really a lineage store?") from error
        if name != FORMAT:
            raise UnknownFormat(f"{where} says {name!r}, not {FORMAT!r}: this directory belongs to another program")
        if checksum != _checksum(stated):
            raise UnknownFormat(f"{where} is damaged: its checksum is not that of what it says; restore the file from a backup")
        if found.major != MAJOR:
            raise UnknownFormat(
                f"{where} says format {found.major}.{found.minor}; this release reads {MAJOR}.x: install a matching release"
            )
        if found.algorithm not in ALGORITHMS:
            raise UnknownFormat(f"{where} names the unknown digest algorithm {found.algorithm!r}: known are {', '.join(ALGORITHMS)}")
        return found


def _checksum(fields: Mapping[str, object]) -> str:
    """XXH3-64 of what a format file says; of fields that only a later release knows, too."""
    return xxhash.xxh3_64_hexdigest(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())


def blob_key(domain: str, digest: Digest, generation: int = 0) -> str:
    """Where a blob rests that has an object of its own: `objects/<domain>/<algorithm>/<2>/<62>[.generation]`; see `parse_blob_key`."""
    return _key(domain, "", digest, generation)


def pack_key(domain: str, digest: Digest, generation: int = 0) -> str:
    """Where a pack rests: `objects/<domain>/packs/<algorithm>/<2>/<62>[.generation]`; `parse_pack_key` is the inverse."""
    return _key(domain, f"{PACKS}/", digest, generation)


def _key(domain: str, kind: str, digest: Digest, generation: int) -> str:
    if not _DOMAIN.fullmatch(domain):
        raise InvalidDigest(f"{domain!r} is not a dedup domain: lower-case letters, digits and dashes")
    suffix = f".{generation}" if generation else ""
    return f"{OBJECTS}/{domain}/{kind}{digest.algorithm}/{digest.value[:2]}/{digest.value[2:]}{suffix}"


def parse_blob_key(key: str) -> tuple[str, Digest, int]:
    """Domain, digest and generation of a blob's key.

    Raises:
        InvalidDigest: the key is not one that `blob_key` gives.
    """
    return _parse(key, is_pack=False)


def parse_pack_key(key: str) -> tuple[str, Digest, int]:
    """Domain, digest and generation of a pack's key.

    Raises:
        InvalidDigest: the key is not one that `pack_key` gives.
    """
    return _parse(key, is_pack=True)


def _parse(key: str, *, is_pack: bool) -> tuple[str, Digest, int]:
    match = _KEY.fullmatch(key)
    if match is None or bool(match["pack"]) != is_pack:
        raise InvalidDigest(f"{key!r} is not the key of a {'pack' if is_pack else 'blob'}")
    return match["domain"], Digest.parse(f"{match['algorithm']}:{match['head']}{match['tail']}"), int(match["generation"] or 0)
