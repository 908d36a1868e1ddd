"""Whose prefix it is: two catalogues on one place would reclaim each other's bytes, so a mark in the place names its only owner.

The mark is written when the place is first used, only where nothing is, and read back: what stands there decides. Each process looks
once more before it first writes anything, and each time before it removes anything, which cannot be taken back; who only reads need not
ask. A store that finds another's mark is refused. Taking a place over, after its owner's catalogue was restored elsewhere, has to
be asked for, naming the owner that loses it.

The mark also remembers whether the service honours `If-None-Match: *`: it is written once as if it did, then again under that condition
saying that it does not, and stays as it was only where the condition was kept. Where it was not, two stores may each have found the place
empty, and the later mark stands. There, and by the process that wrote the first mark anywhere (conditions may race), it is looked at again
after each publishing: nothing is committed in a place that is another's by then.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from storage.blob import disk
from storage.blob.backend import Backend, Staged
from storage.errors import InvalidStore, ReadOnlyStore, RemoteUnavailable, UnknownFormat
from storage.layout import OWNER_FILE

_FORMAT = "lineage-store-owner"


@dataclass(frozen=True, slots=True)
class Mark:
    """What the mark says. `parse` and `print` are inverses."""

    store: str
    algorithm: str
    is_conditional: bool = True

    def print(self) -> bytes:
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def parse(cls, text: bytes, where: str) -> "Mark":
        """The mark stated by `text`, which was found at `where`.

        Raises:
            UnknownFormat: it is no such thing.
        """
        try:
            stated = json.loads(text)
            if stated["format"] != _FORMAT:
                raise ValueError(stated["format"])
            return cls(str(stated["store"]), str(stated["algorithm"]), bool(stated["is_conditional"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UnknownFormat(f"{where}/{OWNER_FILE} is no mark of a store ({error}): is this really the place of one?") from error


class Premises(Protocol):
    """What a place must offer beside its keys so that it can have an owner."""

    def read_mark(self) -> bytes | None:
        """What stands where the mark belongs; None only when definitely nothing does."""

    def write_mark(self, text: bytes, *, only_new: bool) -> None:
        """Put it there; with `only_new`, as far as the place can, only where nothing stands. What stands there then, reading tells."""

    def learn(self, *, is_conditional: bool) -> None:
        """What the mark says of the service."""


class Directory:
    """A directory of this machine, or of a disk mounted here."""

    def __init__(self, root: Path) -> None:
        self.path = root / OWNER_FILE

    def read_mark(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise disk.refusal(error, self.path) from error

    def write_mark(self, text: bytes, *, only_new: bool) -> None:
        with disk.refusals(self.path):
            disk.make_directories(self.path.parent)
        disk.write_durably(self.path, text, replace=not only_new)

    def learn(self, *, is_conditional: bool) -> None:
        """A link never replaces anything."""


def owner(premises: Premises, where: str) -> Mark | None:
    """Whose place it is; None when it is nobody's."""
    text = premises.read_mark()
    return None if text is None else Mark.parse(text, where)


def claim(premises: Premises, store: str, algorithm: str, where: str) -> bool:
    """The mark of `store` stands there now. May somebody who found the place empty, as `store` did, still write his over it?

    Raises:
        InvalidStore: the place is another store's.
    """
    found = owner(premises, where)
    is_new = found is None
    if found is None:
        premises.write_mark(Mark(store, algorithm).print(), only_new=True)
        premises.write_mark(Mark(store, algorithm, is_conditional=False).print(), only_new=True)
        found = owner(premises, where)
    if found is None:
        raise UnknownFormat(f"{where}: the mark of the store was written and is not there: does this place keep what it is given?")
    if found.store != store:
        raise foreign(where, found.store, store)
    premises.learn(is_conditional=found.is_conditional)
    return is_new or not found.is_conditional


def adopt(premises: Premises, former: str, store: str, algorithm: str, where: str) -> None:
    """The place is `store`'s from now on, and not that of `former`, who must be its owner now.

    Raises: as `admit`.
    """
    found = owner(premises, where)
    admit(found, former, store, algorithm, where)
    if found is not None:
        premises.write_mark(Mark(store, algorithm, found.is_conditional).print(), only_new=False)
    claim(premises, store, algorithm, where)


def admit(found: Mark | None, former: str | None, store: str, algorithm: str, where: str) -> None:
    """Return when `store` may move in where the mark `found` stands: nobody is there, or the `former` owner it names takes its leave.

    Raises:
        InvalidStore: the place is another's, or not `former`'s, or its digests are of another algorithm.
    """
    if former is not None and (found is None or found.store not in (former, store)):
        raise InvalidStore(f"{where} belongs to {found.store if found else 'nobody'}, not to {former}: nothing was adopted")
    if found is not None and found.store not in (former, store):
        raise foreign(where, found.store, store)
    if found is not None and found.algorithm != algorithm:
        raise InvalidStore(f"{where} holds {found.algorithm} digests: take it over with --digest {found.algorithm}")


def foreign(where: str, found: str, store: str) -> InvalidStore:
    return InvalidStore(
        f"{where} is the place of store {found}, and this is store {store}: two catalogues on one place would remove each other's bytes; "
        f"name another prefix, or, when the other one is gone for good and its catalogue was restored here, "
        f"take the place over with 'lineage init --store {where} --adopt {found}'"
    )


class Owned(Backend):
    """A place with an owner: the backend it wraps, once it is sure whose the place is. `sealed` is the reason to write nothing, if any."""

    def __init__(self, backend: Backend, premises: Premises, store: str, algorithm: str, sealed: str = "") -> None:
        self.backend, self.premises = backend, premises
        self.is_near, self.largest = backend.is_near, backend.largest
        self._store, self._algorithm, self._sealed = store, algorithm, sealed
        self._sure: int | None = None
        """The process that looked."""
        self._is_contested = False
        """May somebody who found the place empty, as this store did, still write his mark?"""

    def __str__(self) -> str:
        return str(self.backend)

    def claim(self) -> None:
        """Return when the place may be written to.

        Raises:
            InvalidStore: it is another store's.
            ReadOnlyStore: it is a newer release's.
        """
        if self._sealed:
            raise ReadOnlyStore(f"{self} is read only: {self._sealed}")
        if self._sure != os.getpid():
            self._is_contested = claim(self.premises, self._store, self._algorithm, str(self))
            self._sure = os.getpid()

    def _look_again(self) -> None:
        """As `claim`, however sure this process is; but a mark that was there and is gone is not written again."""
        if self._sure != os.getpid():
            self.claim()
            return
        found = owner(self.premises, str(self))
        if found is None:
            raise RemoteUnavailable(f"{self} has no {OWNER_FILE} any more: is the place still there, is it the right one?")
        if found.store != self._store:
            raise foreign(str(self), found.store, self._store)

    def stage(self, session: str, key: str | None = None) -> Staged:
        self.claim()
        return self.backend.stage(session, key)

    def publish(self, staged: Sequence[tuple[Staged, str]]) -> None:
        self.claim()
        self.backend.publish(staged)
        if self._is_contested:
            self._look_again()

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self.backend.read(key, start, length)

    def size(self, key: str) -> int:
        return self.backend.size(key)

    def remove(self, key: str) -> None:
        self._look_again()
        self.backend.remove(key)

    def remove_many(self, keys: Sequence[str]) -> None:
        self._look_again()
        self.backend.remove_many(keys)

    def quarantine(self, key: str) -> bool:
        self._look_again()
        return self.backend.quarantine(key)

    def copy_aside(self, key: str, start: int, length: int) -> bool:
        self.claim()
        return self.backend.copy_aside(key, start, length)

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        return self.backend.keys(prefix)

    def sweep(self, session: str) -> None:
        self.backend.sweep(session)

    def sessions(self) -> list[str]:
        return self.backend.sessions()
