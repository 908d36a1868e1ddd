"""An artifact's manifest, as scripts written for the W&B client read it, and the MD5 form of its digest.

`digest` is ours (BLAKE3 over paths, kinds, digests, sizes, executable bits and pins). `wandb_digest` is what `Artifact.digest` is in that
client, for those who compare: MD5 (or XXH3-128) over a header line and a line `path:digest` for each entry in path order, where the digest
of a file is the base64 of the same function over its bytes and that of a reference its ETag. It needs every byte and is taken only when
asked for.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import xxhash

from lineage.model.errors import UsageError
from lineage.sdk.entry import ManifestEntry
from storage.entry import Entry, Kind

HEADER = b"wandb-artifact-manifest-v1\n"


class _Hash(Protocol):
    def update(self, data: bytes, /) -> object: ...
    def digest(self) -> bytes: ...


def _md5() -> _Hash:
    return hashlib.md5(usedforsecurity=False)


WANDB_ALGORITHMS: dict[str, Callable[[], _Hash]] = {"MD5": _md5, "XXH128": xxhash.xxh3_128}
Read = Callable[[Entry], Iterable[bytes]]


class Manifest:
    """Path → entry, in path order."""

    def __init__(self, entries: Mapping[str, ManifestEntry], digest: Callable[[], str]) -> None:
        self.entries = dict(sorted(entries.items(), key=lambda pair: pair[0].encode()))
        self._digest = digest

    def get_entry_by_path(self, path: str) -> ManifestEntry | None:
        return self.entries.get(path)

    def get_entries_in_directory(self, directory: str) -> list[ManifestEntry]:
        """Those below `directory`, at any depth; none when there is no such directory."""
        under = directory.rstrip("/") + "/"
        return [entry for path, entry in self.entries.items() if path.startswith(under)]

    def digest(self) -> str:
        """The identity of the content, as `algorithm:hex`."""
        return self._digest()

    def size(self) -> int:
        """Bytes of all entries, references included where their size is known."""
        return sum(entry.size or 0 for entry in self.entries.values())

    def to_manifest_json(self) -> dict[str, Any]:
        """The manifest in the shape the W&B server keeps, digests as ours are."""
        contents = {path: entry.to_json() for path, entry in self.entries.items()}
        return {
            "version": 1,
            "storagePolicy": "wandb-storage-policy-v1",
            "storagePolicyConfig": {"storageLayout": "V2"},
            "contents": contents,
        }

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __contains__(self, path: object) -> bool:
        return path in self.entries

    def __getitem__(self, path: str) -> ManifestEntry:
        return self.entries[path]

    def __repr__(self) -> str:
        return f"<Manifest of {len(self)} entries, {self.size():,} bytes>"


def wandb_digest(entries: Iterable[Entry], read: Read, algorithm: str = "MD5") -> str:
    """What the W&B client calls the digest of these entries.

    Raises:
        UsageError: no such algorithm.
    """
    new = wandb_algorithm(algorithm)
    whole = new()
    whole.update(HEADER)
    for entry in sorted(entries, key=lambda entry: entry.path):
        if entry.kind in (Kind.FILE, Kind.REFERENCE):
            whole.update(f"{entry.path}:{_entry_digest(entry, read, new)}\n".encode())
    return whole.digest().hex()


def wandb_algorithm(name: str) -> Callable[[], _Hash]:
    """The hash function of that name."""
    if name not in WANDB_ALGORITHMS:
        raise UsageError(f"digest algorithm {name!r}: choose one of {', '.join(WANDB_ALGORITHMS)}")
    return WANDB_ALGORITHMS[name]


def _entry_digest(entry: Entry, read: Read, new: Callable[[], _Hash]) -> str:
    if entry.pin is not None:
        return entry.pin.etag or entry.pin.uri
    hasher = new()
    for piece in read(entry):
        hasher.update(piece)
    return base64.b64encode(hasher.digest()).decode()
