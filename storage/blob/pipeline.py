"""A large file on its way in: read, hashed twice and written at the same time, each in a thread of its own, through a few buffers.

    read ──▶ buffer ──▶ digest
                   ├──▶ checksum
                   └──▶ staged, and on its way to the disk

What is read is what is hashed and what is written: a buffer is free again when all three are done with it. Holes are neither read nor
written, and hashed as the zeros they read as. Memory is `BUFFERS` steps, whatever the size of the file.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Self

import xxhash

from storage.blob.backend import ZEROS, Staged
from storage.blob.pool import Inline, Worker
from storage.digest import ALGORITHMS, Blob, Digest

STEP = 4 << 20
"""Bytes read at a time."""
BUFFERS = 4
_THREADED = 2 * STEP
"""Below this starting threads takes longer than they save."""


class Pipeline:
    """See the top of this file; `staged` takes the bytes, or nobody does. What ends its block waits for its threads."""

    def __init__(self, algorithm: str, size: int, staged: Staged | None = None, *, is_near: bool = False) -> None:
        self.size = 0
        self._algorithm, self._staged, self._is_near = algorithm, staged, is_near
        self._digest, self._checksum = ALGORITHMS[algorithm](), xxhash.xxh3_128()
        self._workers: list[Worker | Inline] = [Worker() if size >= _THREADED else Inline() for _ in range(3)]
        self._free = [memoryview(bytearray(min(STEP, size or 1))) for _ in range(BUFFERS if size >= _THREADED else 1)]
        self._busy: deque[tuple[memoryview | None, list[Future[object]]]] = deque()

    def take(self, read_into: Callable[[memoryview], int], length: int) -> int:
        """Take the next `length` bytes, fewer when there are no more; the answer is how many."""
        left = length
        while left and (count := self._fill(read_into, left)):
            left -= count
        return length - left

    def _fill(self, read_into: Callable[[memoryview], int], most: int) -> int:
        while not self._free:
            self._wait()
        buffer = self._free.pop()
        count = read_into(buffer[:most])
        self._submit(buffer, buffer[:count])
        return count

    def skip(self, length: int) -> None:
        """Take a hole of `length` bytes."""
        for at in range(0, length, len(ZEROS)):
            zeros = ZEROS[: length - at]
            self._busy.append(
                (None, [self._workers[0].submit(self._digest.update, zeros), self._workers[1].submit(self._checksum.update, zeros)])
            )
            self.size += len(zeros)
            if len(self._busy) > BUFFERS:
                self._wait()
        if self._staged is not None:
            self._busy.append((None, [self._workers[2].submit(self._staged.skip, length)]))

    def blob(self) -> Blob:
        """What all that was taken is, once it is written.

        Raises:
            StoreFull, Unavailable: it could not be written.
        """
        while self._busy:
            self._wait()
        return Blob(Digest(self._algorithm, self._digest.hexdigest()), self.size, self._checksum.hexdigest())

    def _submit(self, buffer: memoryview, data: memoryview) -> None:
        work: list[Future[object]] = [
            self._workers[0].submit(self._digest.update, data),
            self._workers[1].submit(self._checksum.update, data),
        ]
        if self._staged is not None:
            work.append(self._workers[2].submit(self._write, self._staged, data))
        self._busy.append((buffer, work))
        self.size += len(data)

    def _write(self, staged: Staged, data: memoryview) -> None:
        staged.write(data)
        if self._is_near:
            staged.hurry()

    def _wait(self) -> None:
        buffer, work = self._busy.popleft()
        if buffer is not None:
            self._free.append(buffer)
        for future in work:
            future.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        wait([future for _, work in self._busy for future in work])
        for worker in self._workers:
            if isinstance(worker, Worker):
                worker.close()
