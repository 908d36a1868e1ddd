"""Reading back what was just published, for machines whose memory or disk is not believed: what was hashed must be what rests there.

A byte may turn over between being hashed and being written (restic#4529 tells of many such machines). Whoever publishes can ask here before
anything is committed; it costs reading everything once more.
"""

from collections.abc import Sequence

from storage.blob.backend import Backend
from storage.blob.pack import Member
from storage.digest import Blob, Hasher


def wrong_in(backend: Backend, key: str, members: Sequence[Member]) -> list[Blob]:
    """Those of a pack's members whose bytes under its key are not theirs."""
    data = memoryview(b"".join(backend.read(key)))
    return [blob for blob, start in members if Blob.of(data[start : start + blob.size], blob.digest.algorithm) != blob]


def is_wrong(backend: Backend, key: str, blob: Blob) -> bool:
    """Are the bytes under a key not those of the blob that has it for itself?"""
    hasher = Hasher(blob.digest.algorithm)
    for piece in backend.read(key):
        hasher.update(piece)
    return hasher.blob() != blob
