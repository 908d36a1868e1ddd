"""What rests far away is fetched once, in few requests, verified, and kept: opening it again needs no network."""

import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from storage.blob.cache import Cache
from storage.blob.memory import MemoryBackend
from storage.blob.pack import PACKED
from storage.blob.store import WHOLE, Store
from storage.digest import Digest
from storage.errors import BlobMissing, Corrupt, RemoteUnavailable, StorageError
from storage.ledger import BlobRecord
from storage.memory import MemoryLedger
from storage.transfer.checkout import Report, checkout
from storage.transfer.ingest import ingest_tree, store_manifest
from storage.transfer.scan import scan
from tests.storage.test_kill import killed_at

REACH = 1 << 20


class Far(MemoryBackend):
    """A place far away that counts its requests, and does `on_read` before each."""

    is_near = False

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int, int | None]] = []
        self.on_read: Callable[[int], None] = lambda _: None
        self.bend: Callable[[bytes], bytes] = lambda data: data

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.asked.append((key, start, length))
        self.on_read(len(self.asked))
        return iter([self.bend(b"".join(super().read(key, start, length)))])

    def size(self, key: str) -> int:
        self.on_read(0)
        return super().size(key)

    def cut_off(self) -> None:
        """From here on it cannot be reached."""

        def refuse(_: int) -> None:
            raise RemoteUnavailable("no network")

        self.on_read = refuse


@dataclass
class Site:
    """A far store with a cache near by."""

    root: Path
    backend: Far = field(default_factory=Far)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)

    @property
    def cache(self) -> Cache:
        return Cache(self.root / "cache", reach=REACH)

    @property
    def store(self) -> Store:
        """Opened anew, as by another process."""
        return Store(self.backend, self.ledger, "d", cache=self.cache)

    def put(self, *contents: bytes) -> list[BlobRecord]:
        with self.store.session() as session:
            digests = [session.take_bytes(data).digest for data in contents]
            session.publish()
            self.ledger.commit(session.id, digests)
        self.backend.asked.clear()
        found = self.store.locate(digests)
        return [found[digest] for digest in digests]

    def kept(self) -> list[Path]:
        return [path for path in (self.root / "cache").rglob("*") if path.is_file()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


SMALL_ONES = [noise(2000, each) for each in range(500)]
LARGE = noise(WHOLE + 5 * REACH + 17)


class TestOnce:
    def test_a_pack(self, site: Site) -> None:
        """Many blobs of a pack are one copy of the pack, in requests of bounded size; afterwards nothing is asked for, whichever is read."""
        records = site.put(*SMALL_ONES)
        found = {record.blob.digest: data for record, data in site.store.read_many(records)}
        assert SMALL_ONES == [found[record.blob.digest] for record in records]
        assert {(0, REACH), (REACH, records[0].pack_size - REACH)} == {(start, length) for _, start, length in site.backend.asked}
        assert 1 == len(site.kept())

        site.backend.cut_off()
        assert 500 == len(list(site.store.read_many(records)))
        assert SMALL_ONES[3] == site.store.read(records[3].blob.digest)
        assert SMALL_ONES[4] == site.store.open_file(records[4]).read()
        assert [] == [path for path in site.kept() if "partial" in path.parts]

    def test_a_few_of_a_pack(self, site: Site) -> None:
        """A few blobs of a large pack are ranges of it, one request for neighbours, and are kept each by itself."""
        records = site.put(*SMALL_ONES)
        few = [records[7], records[8], records[9]]
        assert 3 == len(list(site.store.read_many(few)))
        assert [(records[7].start, 6000)] == [(start, length) for _, start, length in site.backend.asked]

        site.backend.cut_off()
        assert 3 == len(list(site.store.read_many(few)))
        assert SMALL_ONES[8] == site.store.read(records[8].blob.digest)

    @pytest.mark.parametrize("data", [b"", b"small", noise(PACKED + 1), LARGE], ids=len)
    def test_one(self, site: Site, data: bytes) -> None:
        """One blob of whatever size is fetched once, a small one by one request, and then opened, read and streamed without any."""
        [record] = site.put(data)
        assert data == site.store.read(record.blob.digest)
        assert -(-len(data) // REACH) >= len(site.backend.asked) or 1 == len(site.backend.asked)

        site.backend.cut_off()
        assert data == site.store.read(record.blob.digest)
        assert data == b"".join(site.store.pieces(record))
        with site.store.open_file(record) as file:
            assert (len(data), data[-5:]) == (file.seek(0, os.SEEK_END), file.seek(max(0, len(data) - 5)) * 0 or file.read())

    def test_a_version(self, site: Site, tree: Path, tmp_path: Path) -> None:
        """A version that was checked out once is checked out again elsewhere with no network at all, its manifest included."""
        for number in range(50):
            (tree / f"{number}").write_bytes(noise(100, number))
        (tree / "large").write_bytes(LARGE)
        with site.store.session() as session:
            entries = ingest_tree(scan(tree), session)
            stored = store_manifest(entries, session).manifest
            session.publish()
            inside = [segment.digest for segment in stored.segments] + [entry.digest for entry in entries if entry.digest]
            site.ledger.commit(session.id, [stored.digest, *inside])
        manifest = replace(stored, read=site.store.read)
        first = checkout(manifest, site.store, tmp_path / "one")
        site.backend.cut_off()

        assert Report(written=51, bytes=5000 + len(LARGE)) == first
        assert first == checkout(replace(manifest, read=site.store.read), site.store, tmp_path / "two")
        assert LARGE == (tmp_path / "two/large").read_bytes()

    def test_without_a_cache(self, site: Site) -> None:
        """A store without a cache keeps nothing."""
        records = site.put(*SMALL_ONES[:10])
        bare = replace(site.store, cache=None)

        assert 10 == len(list(bare.read_many(records))) == len(list(bare.read_many(records)))
        assert (2, []) == (len(site.backend.asked), site.kept())

    def test_two_at_once_fetch_once(self, site: Site) -> None:
        """Two that want the same large blob at the same time fetch it once: the second waits for the first."""
        [record] = site.put(LARGE)
        both = threading.Barrier(2)
        got: list[bytes] = []

        def read() -> None:
            both.wait()
            got.append(b"".join(site.store.pieces(record)))

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [LARGE, LARGE] == got
        assert -(-len(LARGE) // REACH) == len(site.backend.asked)


class TestCutOff:
    @pytest.mark.fault("E05", "R03")
    @pytest.mark.parametrize("at", [1, 2, 7, 14])
    def test_it_goes_on_from_there(self, site: Site, at: int) -> None:
        """A large blob whose fetch breaks off is not there, and the next fetch asks only for what had not come."""
        [record] = site.put(LARGE)

        def fail(number: int) -> None:
            if number >= at:
                raise RemoteUnavailable("broke off")

        site.backend.on_read = fail
        with pytest.raises(RemoteUnavailable):
            list(site.store.pieces(record))
        assert ["partial"] == [path.parent.name for path in site.kept()]
        come = at - 1
        site.backend.on_read = lambda _: None
        site.backend.asked.clear()

        assert LARGE == b"".join(site.store.pieces(record))
        assert -(-len(LARGE) // REACH) - come == len(site.backend.asked)

    @pytest.mark.fault("R03")
    @pytest.mark.parametrize("keep", [0, 1, 65536, REACH - 1])
    def test_a_short_body_leaves_no_zeros(self, site: Site, keep: int) -> None:
        """A range that comes short is an error at once; zeros never stand for what did not come."""
        [record] = site.put(LARGE)
        site.backend.bend = lambda data: data[:keep]
        with pytest.raises(RemoteUnavailable, match=f"{keep} of {REACH} bytes"):
            list(site.store.pieces(record))
        site.backend.bend = lambda data: data

        assert LARGE == b"".join(site.store.pieces(record))

    def test_a_long_body(self, site: Site) -> None:
        """A range that brings more than was asked for writes over no other."""
        [record] = site.put(LARGE)
        site.backend.bend = lambda data: data + b"x"
        with pytest.raises(RemoteUnavailable, match="more than"):
            list(site.store.pieces(record))

    @pytest.mark.fault("R03", "H17")
    def test_a_part_of_something_else(self, site: Site) -> None:
        """What stands in a part is believed only when the whole is verified: a part full of wrong bytes is fetched anew."""
        [record] = site.put(LARGE)
        site.backend.cut_off()
        with pytest.raises(RemoteUnavailable):
            list(site.store.pieces(record))
        [part] = site.kept()
        part.write_bytes(bytes(len(LARGE)) + b"\1" * 99)
        site.backend.on_read = lambda _: None

        assert LARGE == b"".join(site.store.pieces(record))
        assert [LARGE] == [path.read_bytes() for path in site.kept()]

    @pytest.mark.fault("S01", "E05")
    def test_killed_anywhere(self, site: Site, tmp_path: Path) -> None:
        """Killed before any effect of a fetch, the next one ends right, asks only for what is missing, and leaves no part."""
        [record] = site.put(LARGE)
        at, fewest = 0, len(LARGE)

        def fetch() -> None:
            list(replace(site, root=tmp_path / f"at{at}").store.pieces(record))

        while killed_at(at, fetch):
            site.backend.asked.clear()
            again = replace(site, root=tmp_path / f"at{at}")
            assert LARGE == b"".join(again.store.pieces(record))
            assert [LARGE] == [path.read_bytes() for path in again.kept()]
            fewest = min(fewest, len(site.backend.asked))
            at += 2
        assert (True, True) == (fewest < 3, at > 20)


class TestWrong:
    @pytest.mark.fault("R27", "H08")
    @pytest.mark.parametrize("data", [b"small", LARGE], ids=len)
    def test_what_a_proxy_says_instead(self, site: Site, data: bytes) -> None:
        """Bytes of the right length that are others, as a proxy sends them, never come out and are never kept; the right ones do later."""
        [record] = site.put(data)
        site.backend.bend = lambda found: b"<html>"[:1] * len(found)
        with pytest.raises(Corrupt, match=str(record.blob.digest)):
            b"".join(site.store.pieces(record))
        assert [] == [path for path in site.kept() if "partial" not in path.parts]
        site.ledger.rows["d", record.blob.digest] = record
        site.backend.objects.update({key.split(".")[0]: data for key, data in site.backend.aside.items() if "/packs/" not in key})
        site.backend.bend = lambda found: found

        assert data == b"".join(site.store.pieces(record))

    @pytest.mark.fault("H14", "I-31")
    def test_rot_in_the_cache(self, site: Site) -> None:
        """A flipped bit in a cached pack or blob is noticed, the copy dropped, and the bytes fetched again."""
        records = site.put(*SMALL_ONES, LARGE)
        list(site.store.read_many(records[:-1]))
        list(site.store.pieces(records[-1]))
        for path in site.kept():
            data = bytearray(path.read_bytes())
            data[20] ^= 1
            path.write_bytes(data)
        again = {record.blob.digest: data for record, data in site.store.read_many(records[:-1])}

        assert SMALL_ONES == [again[record.blob.digest] for record in records[:-1]]
        assert LARGE == b"".join(site.store.pieces(records[-1]))

    @pytest.mark.fault("I-31")
    def test_one_rotten_in_a_pack(self, site: Site) -> None:
        """A pack of which one blob is rotten gives all the others, and names the one."""
        records = site.put(*SMALL_ONES)
        [key] = site.backend.objects
        data = bytearray(site.backend.objects[key])
        data[records[44].start] ^= 1
        site.backend.objects[key] = bytes(data)
        wrong: list[tuple[Digest, type[StorageError]]] = []
        came = dict(site.store.read_many(records, lambda record, error: wrong.append((record.blob.digest, type(error)))))

        assert [(records[44].blob.digest, Corrupt)] == wrong
        assert 499 == len(came)

    def test_what_is_gone(self, site: Site) -> None:
        """A blob that is not there is missing, large or small, and nothing is kept of it."""
        records = site.put(b"small", LARGE)
        site.backend.objects.clear()
        for record in records:
            with pytest.raises(BlobMissing):
                list(site.store.pieces(record))
        assert [] == [path for path in site.kept() if "partial" not in path.parts]


class TestBounds:
    def test_what_is_too_large_to_keep(self, site: Site) -> None:
        """A blob that would fill a good part of the cache is read past it."""
        [record] = site.put(LARGE)
        store = replace(site.store, cache=Cache(site.root / "cache", limit=2 * len(LARGE)))

        assert LARGE == b"".join(store.pieces(record)) == store.open_file(record).read()
        assert [] == site.kept()

    def test_parts_count(self, tmp_path: Path) -> None:
        """A part that nobody goes on with is evicted like anything else; one that somebody fills is not."""
        cache = Cache(tmp_path, limit=1 << 20)

        def broken(_: int, length: int) -> Iterator[bytes]:
            yield bytes(length // 2)
            raise RemoteUnavailable("broke off")

        with pytest.raises(RemoteUnavailable):
            cache.fetch("old", Digest.of(b"old"), 500_000, broken)
        [part] = (tmp_path / "partial").iterdir()
        os.utime(part, (1, 1))
        for number in range(9):
            cache.put(f"{number}", [bytes(200_000)])
        assert not part.exists()

    def test_a_cache_that_takes_nothing(self, site: Site) -> None:
        """Where the cache cannot be written everything is read all the same."""
        records = site.put(b"small", LARGE, *SMALL_ONES[:20])
        (site.root / "cache").write_bytes(b"a file, not a directory")

        assert [b"small", LARGE] == [b"".join(site.store.pieces(record)) for record in records[:2]]
        assert LARGE == site.store.open_file(records[1]).read()
        assert 21 == len(list(site.store.read_many([records[0], *records[2:]])))
