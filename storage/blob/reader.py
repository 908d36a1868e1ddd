"""A stored blob as a file to seek in, read range by range. It does not say whether the bytes are right: whoever makes one has verified."""

import io
import os
from typing import TYPE_CHECKING

from storage.blob.backend import Backend
from storage.ledger import BlobRecord

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class BlobReader(io.RawIOBase):
    """See the top of this file. Holds nothing open between reads; wrap it in `io.BufferedReader`."""

    def __init__(self, backend: Backend, record: BlobRecord) -> None:
        super().__init__()
        self._backend, self._record = backend, record
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._record.blob.size}[whence]
        if at < 0:
            raise ValueError(f"position {at} lies before the start of the blob: seek to 0 or later")
        self._at = at
        return at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._record.blob.size - self._at)
        if wanted <= 0:
            return 0
        data = b"".join(self._backend.read(self._record.key, self._record.start + self._at, wanted))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
