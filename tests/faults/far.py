"""A store in a prefix of a bucket of its own, small enough to be hurt hundreds of times: what is done in it, and what must hold afterwards.

    far = Far.made(service, place)      an empty store; `far.log()` and `far.reclaim()` work in it
    far.copy()                          what is in it, for a look that asks nothing

Everything a store asks of S3 is in it: three blobs in one pack, one blob alone, one sent in parts, a bulk removal and a listing.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from storage.blob.bucket import Bucket
from storage.blob.local import LocalBackend
from storage.blob.memory import MemoryBackend
from storage.blob.retry import Budget
from storage.blob.s3 import S3Backend
from storage.blob.store import Store
from storage.digest import Digest
from storage.memory import MemoryLedger
from storage.upkeep import reclaim
from tests.faults.mishap import World
from tests.faults.s3 import Service

PACKED = 1000
ALONE = 20_000
PART = 30_000
SMALL = tuple(bytes([letter]) * 300 for letter in b"abc")
CONTENT = (*SMALL, b"one by itself " * 1000, b"sent in parts " * 4000)
"""Three that are packed, one that is not, and one of 56,000 bytes, which is sent in two parts."""

ONCE = Budget(attempts=1)
PATIENT = Budget(attempts=4, seconds=20, first=0.001, longest=0.01)


@dataclass
class Far:
    """See the top of this file."""

    service: Service
    bucket: str
    prefix: str
    spool: Path
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    budget: Budget = ONCE

    @classmethod
    def made(cls, service: Service, bucket: str, place: Path, budget: Budget = ONCE) -> "Far":
        name = secrets.token_hex(4)
        spool = place / name
        spool.mkdir()
        return cls(service, bucket, f"stores/{name}", spool, budget=budget)

    @property
    def backend(self) -> S3Backend:
        return S3Backend(Bucket(self.bucket, self.prefix, self.budget), LocalBackend(self.spool), single=ALONE, part=PART)

    @property
    def store(self) -> Store:
        return Store(self.backend, self.ledger, "d", packed=PACKED)

    def log(self, contents: Sequence[bytes] = CONTENT) -> list[Digest]:
        """Take bytes in and commit them; acknowledged when it returns."""
        with self.store.session() as session:
            digests = [session.take_bytes(data).digest for data in contents]
            session.publish()
            self.ledger.commit(session.id, digests)
        return digests

    def release(self, digests: Iterable[Digest]) -> None:
        """Nobody needs these any more."""
        self.ledger.reachable -= {("d", digest) for digest in digests}

    def reclaim(self) -> reclaim.Reclaimed:
        return reclaim.carry_out(reclaim.plan(self.ledger), self.backend, self.ledger, empty_ok=True)

    @property
    def world(self) -> World:
        """What was here earlier is nothing; what is replaced keeps its size."""

        def replace(target: str) -> None:
            key = target.partition("?")[0].removeprefix(f"/{self.bucket}/")
            for there in self.service.contents(self.bucket, key).values():
                self.service.put(self.bucket, key, b"!" * len(there))

        return World(lambda target: target.replace(self.prefix, "stores/nothing"), replace)

    def copy(self) -> Store:
        """The same store with a copy of its objects in memory: for a look at what is there that costs no requests."""
        backend = MemoryBackend()
        kept = self.service.contents(self.bucket, f"{self.prefix}/")
        backend.objects.update({name: data for name, data in kept.items() if name.startswith("objects/")})
        return Store(backend, self.ledger, "d", packed=PACKED)

    def uploads(self) -> list[str]:
        """Keys of uploads in parts that were begun and neither completed nor aborted."""
        return [key for key in self.service.uploads(self.bucket) if key.startswith(self.prefix)]
