"""What a disk may hold after its power went: a model of a file system that promises only what was flushed.

A recorded log of operations (`tests.faults.recorder`) is cut off after each of them. Whatever no later completed flush of its file, or of the
directory its name is in, has pinned by then may have happened or not, in any combination; a write may be torn in the middle, and a write
that was lost before one that was not leaves zeros. A move within one directory is atomic, one between directories is a name that
comes and a name that goes. A directory whose own name is lost is lost with all there is in it. The catalogue is SQLite's, with
`synchronous=FULL`: what was committed is there.

The model is dictionaries, so that ten thousands of such disks can be looked at; `tests.faults.promise` says what must be true of each.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

TOP = 0
"""The directory that everything is in; it was there before."""


@dataclass(frozen=True, slots=True)
class Name:
    """A directory has a file or directory under a name from now on; with `None`, nothing any more."""

    directory: int
    name: str
    inode: int | None

    @property
    def pinned_by(self) -> int:
        return self.directory


@dataclass(frozen=True, slots=True)
class Move:
    """A new name in the same directory, in one step."""

    directory: int
    before: str
    name: str
    inode: int

    @property
    def pinned_by(self) -> int:
        return self.directory


@dataclass(frozen=True, slots=True)
class Bytes:
    inode: int
    at: int
    data: bytes

    @property
    def pinned_by(self) -> int:
        return self.inode


@dataclass(frozen=True, slots=True)
class Cut:
    inode: int
    size: int

    @property
    def pinned_by(self) -> int:
        return self.inode


Change = Name | Move | Bytes | Cut


@dataclass(frozen=True, slots=True)
class Sync:
    """A flush of a file, or of a directory's names, has returned."""

    inode: int
    what: str


@dataclass(frozen=True, slots=True)
class Promise:
    """From now on somebody relies on something."""

    kind: str
    value: Any


Step = Change | Sync | Promise


@dataclass
class Disk:
    """Names and contents; everything is found from `TOP`."""

    names: dict[tuple[int, str], int] = field(default_factory=dict)
    contents: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> "Disk":
        return Disk(dict(self.names), dict(self.contents))

    def apply(self, change: Change) -> None:
        match change:
            case Name(directory, name, None):
                self.names.pop((directory, name), None)
            case Name(directory, name, int(inode)):
                self.names[directory, name] = inode
            case Move(directory, before, name, inode):
                if self.names.get((directory, before)) == inode:
                    del self.names[directory, before]
                self.names[directory, name] = inode
            case Bytes(inode, at, data):
                old = self.contents.get(inode, b"").ljust(at, b"\0")
                self.contents[inode] = old[:at] + data + old[at + len(data) :]
            case Cut(inode, size):
                self.contents[inode] = self.contents.get(inode, b"")[:size].ljust(size, b"\0")

    def find(self, path: Sequence[str]) -> int | None:
        inode: int | None = TOP
        for name in path:
            inode = self.names.get((inode, name)) if inode is not None else None
        return inode

    def read(self, path: Sequence[str]) -> bytes | None:
        """What is in the file, `None` when there is none; one that was never written is empty."""
        inode = self.find(path)
        return None if inode is None else self.contents.get(inode, b"")

    def below(self, path: Sequence[str]) -> Iterator[tuple[str, int]]:
        """Everything that can be found below a directory."""
        inside: dict[int, list[tuple[str, int]]] = {}
        for (directory, name), inode in self.names.items():
            inside.setdefault(directory, []).append((name, inode))
        start = self.find(path)
        waiting = [] if start is None else [("", start)]
        while waiting:
            above, directory = waiting.pop()
            for name, inode in inside.get(directory, ()):
                yield f"{above}{name}", inode
                waiting.append((f"{above}{name}/", inode))


@dataclass(frozen=True)
class Outage:
    """A disk as it may be when the power goes after so many steps, and what was promised by then."""

    after: int
    disk: Disk
    promises: Mapping[str, Any]


def whole(log: Sequence[Step]) -> Disk:
    """The disk on which everything has happened."""
    disk = Disk()
    for step in log:
        if not isinstance(step, Sync | Promise):
            disk.apply(step)
    return disk


def outages(log: Sequence[Step], budget: int, seed: int = 0) -> Iterator[Outage]:
    """Every disk there may be after every step, `budget` of them for one step at most: then the extremes first and others by chance.

    A flush only makes disks impossible, so nothing new is to be seen after one.
    """
    chance = random.Random(seed)
    told = _told(log)
    base, waiting, promises = Disk(), list[Change](), dict[str, Any]()
    for after, step in enumerate(log, 1):
        match step:
            case Sync(inode):
                for change in waiting:
                    if change.pinned_by == inode:
                        base.apply(change)
                waiting = [change for change in waiting if change.pinned_by != inode]
            case Promise(kind, value):
                promises = {**promises, kind: value}
                yield from (Outage(after, disk, promises) for disk in _disks(base, waiting, told, budget, chance))
            case _:
                waiting.append(step)
                yield from (Outage(after, disk, promises) for disk in _disks(base, waiting, told, budget, chance))


def _told(log: Sequence[Step]) -> set[int]:
    """Files that ever had a name under which their bytes count; what the others hold is nobody's business."""
    return {step.inode for step in log if isinstance(step, Name | Move) and step.inode is not None and not is_draft(step.name)}


def is_draft(name: str) -> bool:
    return name.endswith(".partial") or len(name) == 16  # a staged file, by its random name


def _disks(base: Disk, waiting: Sequence[Change], told: set[int], budget: int, chance: random.Random) -> Iterator[Disk]:
    options = [_options(change, told) for change in waiting]
    for choice in _choices([len(each) for each in options], budget, chance):
        disk = base.copy()
        for each, chosen in zip(options, choice, strict=True):
            if (change := each[chosen]) is not None:
                disk.apply(change)
        yield disk


def _options(change: Change, told: set[int]) -> list[Change | None]:
    """What may have become of a change: all of it first, nothing last."""
    if not isinstance(change, Bytes | Cut):
        return [change, None]
    if change.inode not in told:
        return [change]
    if isinstance(change, Bytes) and len(change.data) > 1:
        return [change, replace(change, data=change.data[: len(change.data) // 2]), None]
    return [change, None]


def _choices(sizes: Sequence[int], budget: int, chance: random.Random) -> Iterator[tuple[int, ...]]:
    count = 1
    for size in sizes:
        count *= size
    if count <= budget:
        yield from (_digits(number, sizes) for number in range(count))
        return
    nothing = tuple(size - 1 for size in sizes)
    seen = {tuple(0 for _ in sizes), nothing}
    for place, size in enumerate(sizes):
        seen |= {tuple(chosen if at == place else 0 for at in range(len(sizes))) for chosen in range(size)}
        seen.add(tuple(0 if at == place else last for at, last in enumerate(nothing)))
    while len(seen) < budget:
        seen.add(tuple(chance.randrange(size) for size in sizes))
    yield from sorted(seen)


def _digits(number: int, sizes: Sequence[int]) -> tuple[int, ...]:
    digits = []
    for size in sizes:
        number, digit = divmod(number, size)
        digits.append(digit)
    return tuple(digits)


# ── what a mutation of the protocol would have logged ─────────────────────────────────────────────────────────────────────────────────


def syncs(log: Sequence[Step]) -> list[int]:
    return [place for place, step in enumerate(log) if isinstance(step, Sync)]


def without(log: Sequence[Step], place: int) -> list[Step]:
    """The log of a program that forgot this flush."""
    return [*log[:place], *log[place + 1 :]]


def belated(log: Sequence[Step], place: int) -> list[Step]:
    """The log of a program that flushed only after it had promised: what is flushed before it has its name is promised after it has."""
    flushed = log[place]
    named = [
        at
        for at in range(place, len(log))
        if isinstance(step := log[at], Name) and isinstance(flushed, Sync) and step.inode == flushed.inode
    ]
    behind = next((at for at in range(named[0] if named else place, len(log)) if isinstance(log[at], Promise)), len(log) - 1)
    return [*log[:place], *log[place + 1 : behind + 1], log[place], *log[behind + 1 :]]


def namings(log: Sequence[Step]) -> list[int]:
    """Where something that was written under one name gets the one that counts, by a link or a move."""
    named: set[int] = set()
    found = []
    for place, step in enumerate(log):
        if isinstance(step, Name | Move) and step.inode is not None:
            found += [place] if step.inode in named and not is_draft(step.name) else []
            named.add(step.inode)
    return found


def in_place(log: Sequence[Step], place: int) -> list[Step]:
    """The log of a program that wrote under the last name from the beginning."""
    step = log[place]
    assert isinstance(step, Name | Move)
    made = next(at for at, each in enumerate(log) if isinstance(each, Name) and each.inode == step.inode)
    above = [at for at in _above(log, step.directory) if at > made]  # the directories it is in have to be there
    rest = [each for at, each in enumerate(log) if at > made and at != place and at not in above]
    return [*log[:made], *(log[at] for at in sorted(above)), Name(step.directory, step.name, step.inode), *rest]


def _above(log: Sequence[Step], directory: int) -> Iterator[int]:
    while directory != TOP:
        at, made = next((at, each) for at, each in enumerate(log) if isinstance(each, Name) and each.inode == directory)
        yield at
        directory = made.directory
