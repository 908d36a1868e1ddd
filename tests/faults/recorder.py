"""Write down what the engine asks of the file system: every side effect of `storage.blob.disk`, every commit, every flushed journal.

The functions of `disk` are wrapped, so that an effect is written down when it has happened, with all that it did, and one at a time. Nothing
can be overlooked: an effect that `disk` tells its observer of and that is not known here fails the recording, and in the end the disk that
the log makes must be the disk that is there.
"""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any
from unittest.mock import patch

from lineage.catalog import open as catalogue
from lineage.catalog.blob import SqlLedger
from lineage.catalog.open import Catalog
from storage.blob import disk
from storage.blob.journal import Journal
from storage.layout import CATALOG, FORMAT_FILE, LOCK, RESERVE
from tests.faults.power import TOP, Bytes, Cut, Move, Name, Promise, Step, Sync, whole

KNOWN = {"open", "open_end", "shorten", "write", "clone", "allocate", "fsync", "chmod", "fsync directory"}
KNOWN |= {"link", "rename", "unlink", "mkdir", "rmdir", "utime"}


class Dead(BaseException):
    """The process is gone: from here on nothing it asks for happens, its clean-up neither."""


class Recorder:
    """What happens below the directory `top`, of which `home` is the store."""

    def __init__(self, top: Path, home: Path) -> None:
        self.log: list[Step] = []
        self.dies_at: int | None = None
        """The number of the effect that the process does not live to see; it can be brought back by setting this to None."""
        self.effects = 0
        self._top, self._home = top, home
        self._inodes: dict[Path, int] = {top: TOP}
        self._count = TOP
        self._promised: dict[str, Any] = {}
        self._has_died = False
        self._lock = RLock()

    @contextmanager
    def recording(self) -> Iterator[None]:
        names = (
            "create",
            "open_end",
            "shorten",
            "write",
            "write_at",
            "clone",
            "flush",
            "flush_directory",
            "place_new",
            "rename",
            "unlink",
            "mkdir",
            "rmdir",
        )
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(patch.object(disk, name, partial(self._happen, getattr(self, f"_{name}"), getattr(disk, name))))
            stack.enter_context(patch.object(disk, "observe", self._note))
            stack.enter_context(patch.object(catalogue, "observe", self._commit))
            stack.enter_context(patch.object(Journal, "flush", self._flushing(Journal.flush)))
            stack.enter_context(patch.object(disk, "write_durably", self._durably(disk.write_durably)))
            yield

    def differences(self) -> list[str]:
        """Where the disk that the log makes is not the one that is there; the catalogue's own files aside."""
        made = whole(self.log)
        told = {name: made.contents.get(inode, b"") for name, inode in made.below(()) if not name.endswith(RESERVE)}
        there = {str(path.relative_to(self._top)): path for path in self._top.rglob("*")}
        there = {name: path for name, path in there.items() if not path.name.startswith((CATALOG, LOCK, RESERVE))}
        wrong = [name for name in told.keys() & there.keys() if there[name].is_file() and there[name].read_bytes() != told[name]]
        return sorted((told.keys() ^ there.keys()) | set(wrong))

    # ── effects ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _note(self, effect: str, path: str) -> None:
        assert effect in KNOWN, f"{effect} of {path} is new: say here what it does to a disk"
        self.effects += 1
        self._live()

    def _live(self) -> None:
        if self.dies_at is not None and self.effects >= self.dies_at:
            self._has_died = True
            raise Dead

    def _happen(self, wrapper: Callable[..., Any], effect: Callable[..., Any], *given: Any, **named: Any) -> Any:
        with self._lock:
            self._live()
            if named.get("dir_fd") is not None:
                return effect(*given, **named)
            return wrapper(effect, *given, **named)

    def _new(self, path: Path) -> None:
        self._count += 1
        self._inodes[path] = self._count
        self.log.append(Name(self._inodes[path.parent], path.name, self._count))

    def _gone(self, path: Path) -> None:
        if self._inodes.pop(path, None) is not None:
            self.log.append(Name(self._inodes[path.parent], path.name, None))

    def _create(self, effect: Callable[..., int], path: disk.Where, *given: Any, **named: Any) -> int:
        made = effect(path, *given, **named)
        self._new(Path(path))
        return made

    def _open_end(self, effect: Callable[..., int], path: disk.Where, *given: Any) -> int:
        opened = effect(path, *given)
        if Path(path) not in self._inodes:
            self._new(Path(path))
        return opened

    def _shorten(self, effect: Callable[..., None], fd: int, size: int, path: disk.Where) -> None:
        effect(fd, size, path)
        self.log.append(Cut(self._inodes[Path(path)], size))

    def _write(self, effect: Callable[..., None], fd: int, data: Any, path: disk.Where) -> None:
        appends = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND
        at = os.fstat(fd).st_size if appends else os.lseek(fd, 0, os.SEEK_CUR)
        effect(fd, data, path)
        self.log.append(Bytes(self._inodes[Path(path)], at, bytes(data)))

    def _write_at(self, effect: Callable[..., None], fd: int, data: Any, at: int, path: disk.Where) -> None:
        effect(fd, data, at, path)
        self.log.append(Bytes(self._inodes[Path(path)], at, bytes(data)))

    def _clone(self, effect: Callable[..., bool], source: int, fd: int, path: disk.Where) -> bool:
        is_done = effect(source, fd, path)
        if is_done:
            self.log.append(Bytes(self._inodes[Path(path)], 0, Path(path).read_bytes()))
        return is_done

    def _flush(self, effect: Callable[..., None], fd: int, path: disk.Where) -> None:
        effect(fd, path)
        where = Path(path).relative_to(self._home).parts[:-1] if Path(path).is_relative_to(self._home) else ()
        self.log.append(Sync(self._inodes[Path(path)], " ".join((_room(), "file", *where[:1]))))

    def _flush_directory(self, effect: Callable[..., None], path: disk.Where) -> None:
        effect(path)
        if Path(path) in self._inodes:
            self.log.append(Sync(self._inodes[Path(path)], f"{_room()} directory"))

    def _place_new(self, effect: Callable[..., bool], source: disk.Where, target: disk.Where) -> bool:
        is_ours = effect(source, target)
        if is_ours:
            inode = self._inodes[Path(target)] = self._inodes[Path(source)]
            self.log.append(Name(self._inodes[Path(target).parent], Path(target).name, inode))
        return is_ours

    def _rename(self, effect: Callable[..., None], source: disk.Where, target: disk.Where, **named: Any) -> None:
        before, after = Path(source), Path(target)
        effect(source, target, **named)
        inode = self._inodes[after] = self._inodes.pop(before)
        if before.parent == after.parent:
            self.log.append(Move(self._inodes[after.parent], before.name, after.name, inode))
        else:
            self.log += [Name(self._inodes[after.parent], after.name, inode), Name(self._inodes[before.parent], before.name, None)]

    def _unlink(self, effect: Callable[..., None], path: disk.Where, **named: Any) -> None:
        effect(path, **named)
        self._gone(Path(path))

    def _mkdir(self, effect: Callable[..., bool], path: disk.Where, *given: Any, **named: Any) -> bool:
        is_new = effect(path, *given, **named)
        if is_new:
            self._new(Path(path))
        return is_new

    def _rmdir(self, effect: Callable[..., None], path: disk.Where, **named: Any) -> None:
        effect(path, **named)
        self._gone(Path(path))

    # ── promises ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _commit(self, effect: str) -> None:
        with self._lock:
            self._live()
            if effect == "begin":
                self._promise("store", (self._home / FORMAT_FILE).read_bytes())
            elif effect == "committed":
                reader = Catalog(self._home, read_only=True)
                ledger = SqlLedger(reader, lambda: 0)
                self._promise("ledger", (tuple(ledger.records()), tuple(ledger.packs())))
                reader.close()

    def _flushing(self, effect: Callable[[Journal], None]) -> Callable[[Journal], None]:
        def flush(journal: Journal) -> None:
            effect(journal)
            self._promise(f"journal {journal.path.name}", journal.path.read_bytes())

        return flush

    def _durably(self, effect: Callable[..., bool]) -> Callable[..., bool]:
        def write_durably(path: Path, data: bytes, *given: Any, **named: Any) -> bool:
            is_ours = effect(path, data, *given, **named)
            # What a dead maker of directories left unflushed is made up for before the catalogue relies on it, and not before.
            if is_ours and path == self._home / FORMAT_FILE and not self._has_died:
                self._promise("store", data)
            return is_ours

        return write_durably

    def _promise(self, kind: str, value: Any) -> None:
        if self._promised.get(kind) != value:
            self._promised[kind] = value
            self.log.append(Promise(kind, value))


def _room() -> str:
    """Which file of ours asked for a flush: the first that is not `disk` itself."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename in (__file__, disk.__file__):
        frame = frame.f_back
    return Path(frame.f_code.co_filename).name
