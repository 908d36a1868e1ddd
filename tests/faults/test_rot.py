"""One bit of a store turns over, anywhere: whoever needs it is told by name, nobody else notices, and nothing is ever deleted for it."""

import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lineage.actions import find, verify
from storage.blob.cache import Cache
from storage.blob.home import Home
from storage.blob.journal import Journal, texts, whole_lines
from storage.blob.pack import PACKED
from storage.blob.store import Store
from storage.digest import Digest
from storage.entry import Entry
from storage.errors import Corrupt, UnknownFormat
from storage.ledger import BlobRecord
from storage.manifest import Manifest
from storage.memory import MemoryLedger
from storage.transfer.ingest import store_manifest
from storage.upkeep.verify import verify_store
from tests.faults.kill import Scene
from tests.faults.scene import Stage, begin, measure, named, number, put

FLIPS = 4000


class Shelf:
    """A store with lone blobs, packs, segments and a manifest; after each flip it is made as it was."""

    def __init__(self, root: Path) -> None:
        self.home, self.ledger = Home.create_or_open(root / "home"), MemoryLedger()
        self.store = Store(self.home.backend, self.ledger, "d")
        contents = {f"{at}": random.Random(at).randbytes(1 + at * 37) for at in range(30)}
        contents |= {"large": random.Random("large").randbytes(PACKED + 1), "larger": random.Random("larger").randbytes(2 * PACKED)}
        with self.store.session() as session:
            entries = [Entry.file(name, session.take_bytes(data).digest, len(data)) for name, data in contents.items()]
            self.manifest: Manifest = store_manifest(entries, session).manifest
            session.publish()
            self.ledger.commit(session.id, [row.blob.digest for row in self.ledger.rows.values()])
        self.files = {path: path.read_bytes() for path in (root / "home/objects").rglob("*") if path.is_file()}
        self._rows, self._containers = dict(self.ledger.rows), dict(self.ledger.containers)

    def flipped(self, chance: random.Random) -> Iterator[tuple[Path, int]]:
        """One bit after another, in files chosen evenly, so that small ones are hit as often as large ones; each is mended again."""
        paths = sorted(self.files)
        for path in paths:
            path.chmod(0o644)
        for _ in range(FLIPS):
            path = chance.choice(paths)
            at = chance.randrange(len(self.files[path]))
            self.flip(path, at, 1 << chance.randrange(8))
            yield path, at
            path.write_bytes(self.files[path])
            shutil.rmtree(self.home.root / "quarantine", ignore_errors=True)
            self.ledger.rows, self.ledger.containers = dict(self._rows), dict(self._containers)

    def flip(self, path: Path, at: int, bit: int) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(bytes([self.files[path][at] ^ bit]))

    def needing(self, path: Path, at: int) -> list[BlobRecord]:
        """The blobs that have this byte."""
        key = path.relative_to(self.home.root).as_posix()
        return [row for row in self._rows.values() if row.key == key and row.start <= at < row.start + row.blob.size]


@pytest.fixture
def shelf(place: Path) -> Shelf:
    return Shelf(place)


@pytest.mark.fault("H14", "H15", "I-31")
def test_a_bit_of_a_store(shelf: Shelf) -> None:
    """Reading the blob that has it fails and names it, its bytes are put aside, and every other blob reads as before."""
    chance = random.Random(0)
    everything, missed = list(shelf.ledger.rows.values()), 0
    for path, at in shelf.flipped(chance):
        needing = shelf.needing(path, at)
        for row in needing:
            with pytest.raises(Corrupt, match=str(row.blob.digest)):
                shelf.store.read(row.blob.digest)
        assert bool(needing) == (shelf.home.root / "quarantine").exists()
        other = chance.choice([row for row in everything if row not in needing])
        assert other.blob.digest == Digest.of(shelf.store.read(other.blob.digest))
        missed += not needing
    assert 0 < missed < FLIPS // 2  # those of a pack's footer, which nobody reads but a verification


@pytest.mark.fault("H14", "I-31")
def test_a_bit_of_what_a_verification_looks_at(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names exactly the blobs that have the bit, or the pack in whose footer it is."""
    monkeypatch.setattr("tests.faults.test_rot.FLIPS", 150)
    for path, at in shelf.flipped(random.Random(1)):
        found = verify_store(shelf.home.backend, shelf.ledger)
        wrong = {row.blob.digest for row in found.corrupt}
        needing = {row.blob.digest for row in shelf.needing(path, at)}

        assert found.missing == ()
        assert wrong == (needing or {row.blob.digest for row in shelf.ledger.packs() if row.key.endswith(path.name)})


@pytest.mark.fault("H14", "S17")
def test_a_bit_of_the_format_file(place: Path) -> None:
    """Whichever bit it is, the store is not opened as something that it is not."""
    home = Home.create_or_open(place / "home")
    path = place / "home/format.json"
    text = path.read_bytes()
    path.chmod(0o644)
    for bit in range(8 * len(text)):
        path.write_bytes(bytes([*text[: bit // 8], text[bit // 8] ^ 1 << bit % 8, *text[bit // 8 + 1 :]]))
        try:
            opened = Home.create_or_open(place / "home").format
        except UnknownFormat:
            continue
        assert (home.format, b"\n"[0]) == (opened, text[bit // 8])  # white space at the end


@pytest.mark.fault("H14", "I-31")
def test_a_bit_of_a_journal(place: Path) -> None:
    """A row is never read as another one: the journal says which line is damaged; only a last line without its end counts as torn."""
    path, rows = place / "1.jsonl", [f'{{"step":{step}}}' for step in range(8)]
    with Journal(path) as journal:
        for row in rows:
            journal.append(row)
    data = path.read_bytes()
    torn = 0
    for bit in range(8 * len(data)):
        path.write_bytes(bytes([*data[: bit // 8], data[bit // 8] ^ 1 << bit % 8, *data[bit // 8 + 1 :]]))
        with suppress(Corrupt):
            assert rows[:-1] == list(texts(whole_lines(path)))
            torn += 1
    assert 9 == torn  # the bits of the byte that ends the last line, and the one that makes a zero of its blank, as a torn page has


@pytest.mark.fault("H14")
def test_a_bit_of_the_cache(place: Path) -> None:
    """What is rotten in the cache is not there: it is fetched again."""
    cache, data = Cache(place), random.Random(0).randbytes(300)
    for bit in range(0, 8 * len(data), 3):
        kept = cache.put("key", [data])
        kept.chmod(0o644)
        kept.write_bytes(bytes([*data[: bit // 8], data[bit // 8] ^ 1 << bit % 8, *data[bit // 8 + 1 :]]))

        assert cache.get("key") is None


@pytest.mark.fault("H14", "H15", "I-31")
def test_a_bit_of_a_store_in_use(place: Path) -> None:
    """Whatever object of a real store has rotted, a verification names it, and every version without it is downloaded as before."""
    stage = Stage(place)
    scene = Scene(place / "home", ())
    engine = scene.open(scene.template)
    for step in (begin, measure(0)):
        step(engine)
    put(engine, stage.source, run=number(engine))
    for path in [path for path in (place / "home/objects").rglob("*") if path.is_file()]:
        data = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(bytes([*data[: len(data) // 3], data[len(data) // 3] ^ 1, *data[len(data) // 3 + 1 :]]))
        checked = verify.verify(engine)
        assert (False, ()) == (checked.ok, checked.catalog)
        assert 1 <= len(checked.store.corrupt)
        assert any((place / "home/quarantine").iterdir())
    found = named(engine, "raw:v0")
    assert found is not None
    assert [0] == [row.step for row in find.history(engine, number(engine))]
    again = put(engine, stage.source)
    assert (again.number, True) == (found.number, verify.verify(engine).ok)
    engine.close()
