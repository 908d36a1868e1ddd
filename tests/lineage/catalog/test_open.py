"""Opening, writing, reading, closing: many processes, forks, threads, other people's files and disks that cannot be written."""

import os
import re
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lineage.actions import create, find, record
from lineage.actions.open import open_engine
from lineage.catalog import open as room
from lineage.catalog.open import APPLICATION_ID, NETWORK_FILE_SYSTEMS, Catalog, file_system_of
from lineage.model.errors import CatalogBusy, CatalogDamaged, CatalogError, CatalogUnsupported, Conflict, UsageError
from lineage.model.names import ProjectPath
from storage import layout
from storage.errors import ReadOnlyStore, StoreFull
from tests.faults.child import alone, killed, together

PRAGMAS = {
    "synchronous": 2,
    "foreign_keys": 1,
    "mmap_size": 0,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "busy_timeout": 30_000,
    "journal_mode": "wal",
    "application_id": APPLICATION_ID,
}


def pragmas(catalog: Catalog) -> dict[str, object]:
    with catalog.read() as c:
        return {name: row[0] for name in PRAGMAS for row in [c.execute(f"PRAGMA {name}").fetchone()] if row is not None}


def bump(catalog: Catalog, times: int = 1) -> None:
    """Read a number, add one, write it back, each time in a transaction."""
    for _ in range(times):
        with catalog.tx() as c:
            value = c.execute("SELECT value FROM counter WHERE name = 'order'").fetchone()[0]
            c.execute("UPDATE counter SET value = ? WHERE name = 'order'", (value + 1,))


def count(catalog: Catalog) -> int:
    with catalog.read() as c:
        return int(c.execute("SELECT value FROM counter WHERE name = 'order'").fetchone()[0])


def write(catalog: Catalog, *statements: str, then: BaseException | None = None) -> None:
    """Execute the statements in one transaction, and raise what is given before it commits."""
    with catalog.tx() as c:
        for statement in statements:
            c.execute(statement)
        if then is not None:
            raise then


def raw(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path / layout.CATALOG, isolation_level=None)


@pytest.mark.fault("D07")
def test_every_connection_is_durable(root: Path) -> None:
    """FULL synchronous, foreign keys, no mapped memory and the rest hold in this thread, another one, a forked child and a second opening."""
    catalog = Catalog(root)
    seen = [pragmas(catalog), alone(lambda: pragmas(catalog)), alone(lambda: pragmas(Catalog(root)))]
    thread = threading.Thread(target=lambda: seen.append(pragmas(catalog)))
    thread.start()
    thread.join()
    catalog.close()
    seen.append(pragmas(catalog))
    catalog.close()

    assert [PRAGMAS] * 5 == seen


@pytest.mark.fault("D02", "G27")
def test_eight_processes_read_then_write(root: Path) -> None:
    """Of eight processes that count up together no update is lost and nobody is told the catalogue is locked."""
    Catalog(root).close()
    together(8, lambda _: bump(Catalog(root), 40))

    catalog = Catalog(root)
    assert 8 * 40 == count(catalog)
    catalog.close()


@pytest.mark.fault("D02")
def test_eight_threads_read_then_write(catalog: Catalog) -> None:
    """The same within one process."""
    threads = [threading.Thread(target=bump, args=(catalog, 25)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8 * 25 == count(catalog)


@pytest.mark.fault("D02")
def test_a_program_that_does_not_know_our_lock(root: Path) -> None:
    """From its first statement on, a transaction keeps every other writer out, one that goes past our lock file too."""
    catalog, other = Catalog(root), sqlite3.connect(root / layout.CATALOG, isolation_level=None, timeout=0)
    with catalog.tx(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    catalog.close()


@pytest.mark.fault("D01")
def test_checkpoints_beside_writers_and_readers(root: Path) -> None:
    """With a checkpoint after nearly every commit, processes coming and going, the file stays sound and complete."""
    Catalog(root).close()

    def work(number: int) -> list[str]:
        problems = []
        for _ in range(4):
            catalog = Catalog(root)
            with catalog.read() as c:
                c.execute("PRAGMA wal_autocheckpoint = 2")
            for _ in range(8):
                bump(catalog)
                with catalog.tx() as c:
                    c.execute(
                        "INSERT INTO entity (name, kind, created_at) VALUES (?, 'user', 1)", (f"{os.getpid()}-{os.urandom(200).hex()}",)
                    )
            problems += catalog.problems() if number == 0 else []
            catalog.close()
        return problems

    assert [[]] * 4 == together(4, work)
    catalog = Catalog(root)
    with catalog.read() as c:
        found = c.execute("SELECT count(*) FROM entity").fetchone()[0]
    assert (4 * 32, 4 * 32, []) == (count(catalog), found, catalog.problems())
    catalog.close()


@pytest.mark.fault("D03")
@pytest.mark.parametrize("kind", [*sorted(NETWORK_FILE_SYSTEMS), "fuse.sshfs", "fuse.rclone"])
def test_network_disks_are_refused(root: Path, kind: str) -> None:
    """A network disk is refused before anything is made there; the message says what to do."""
    with pytest.raises(CatalogUnsupported, match=rf"network file system \({kind}\).*local disk"):
        Catalog(root, file_system=lambda _: kind)
    assert [] == list(root.iterdir())


@pytest.mark.fault("D03")
def test_who_insists_on_a_network_disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for it gets a catalogue without shared memory, and a warning."""
    monkeypatch.setenv("LINEAGE_ALLOW_NETWORK_DISK", "1")
    with pytest.warns(UserWarning, match="network file system"):
        catalog = Catalog(root, file_system=lambda _: "nfs4")
    bump(catalog)
    assert "delete" == pragmas(catalog)["journal_mode"]
    catalog.close()


@pytest.mark.fault("D03")
def test_local_disks_are_told_apart(root: Path) -> None:
    """The kind of the disk is read from the machine, the innermost mount first."""
    assert file_system_of(root) not in NETWORK_FILE_SYSTEMS
    assert "proc" == file_system_of(Path("/proc/self"))
    for kind in ("ext4", "xfs", "btrfs", "tmpfs", "apfs", "overlay", "fuseblk", ""):
        Catalog(root, file_system=lambda _, kind=kind: kind).close()


@pytest.mark.fault("D04")
def test_a_fork_gets_connections_of_its_own(catalog: Catalog) -> None:
    """A child that was forked beside an open catalogue, even one in mid-transaction, writes through its own connection; nothing breaks."""
    bump(catalog)
    mine = id(catalog._connection())
    with catalog.tx() as c:
        c.execute("UPDATE counter SET value = value + 1000 WHERE name = 'high_water'")
        assert [(True, 1)] * 2 == together(2, lambda _: (id(catalog._connection()) != mine, count(catalog)))
    together(4, lambda _: bump(catalog, 10))
    bump(catalog)

    assert 42 == count(catalog)
    assert [] == catalog.problems()
    with catalog.read() as c:
        assert 1000 == c.execute("SELECT value FROM counter WHERE name = 'high_water'").fetchone()[0]


@pytest.mark.fault("D04")
def test_a_childs_end_does_not_end_the_parents_transaction(catalog: Catalog) -> None:
    """A child that closes the catalogue leaves its parent's lock and transaction alone."""
    with catalog.tx() as c:
        c.execute("UPDATE counter SET value = 7 WHERE name = 'order'")
        alone(catalog.close)
        with pytest.raises(CatalogBusy), room.FileLock(catalog.lock.path).held(patience=0.01):
            pass
    assert 7 == count(catalog)


@pytest.mark.fault("D06")
def test_a_second_name_is_refused(root: Path, tmp_path: Path) -> None:
    """A hard link or a symbolic link to the database file is refused: two names for one file are two logs."""
    Catalog(root).close()
    os.link(root / layout.CATALOG, tmp_path / "second")
    with pytest.raises(CatalogUnsupported, match="hard link"):
        Catalog(root)
    (tmp_path / "second").unlink()

    shutil.move(root / layout.CATALOG, tmp_path / "elsewhere.sqlite")
    (root / layout.CATALOG).symlink_to(tmp_path / "elsewhere.sqlite")
    with pytest.raises(CatalogUnsupported, match="symbolic link"):
        Catalog(root)


@pytest.mark.fault("D06")
def test_a_linked_directory_is_the_same_store(root: Path, tmp_path: Path) -> None:
    """A symbolic link to the whole directory is the directory: same lock, same log."""
    (tmp_path / "alias").symlink_to(root)
    one, two = Catalog(root), Catalog(tmp_path / "alias")
    bump(one)
    bump(two)
    assert (one.path, one.lock.path, 2) == (two.path, two.lock.path, count(one))
    one.close()
    two.close()


@pytest.mark.fault("D22")
def test_another_programs_file(root: Path) -> None:
    """A database of somebody else is refused and left as it is, whether it names its owner or not."""
    for statement in ("PRAGMA application_id = 7", "CREATE TABLE theirs (x)"):
        connection = raw(root)
        connection.execute(statement)
        connection.close()
        before = (root / layout.CATALOG).read_bytes()
        with pytest.raises(CatalogUnsupported, match="another program"):
            Catalog(root)
        assert before == (root / layout.CATALOG).read_bytes()
        (root / layout.CATALOG).unlink()


@pytest.mark.fault("S17")
def test_a_newer_schema(root: Path) -> None:
    """A catalogue written by a newer release is refused and left as it is."""
    Catalog(root).close()
    connection = raw(root)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (root / layout.CATALOG).read_bytes()
    with pytest.raises(CatalogUnsupported, match=r"schema 99.*newer release"):
        Catalog(root)
    assert before == (root / layout.CATALOG).read_bytes()


@pytest.mark.fault("S17")
def test_a_newer_minor_format_is_read_and_not_written(tmp_path: Path) -> None:
    """A store of a newer minor format is open for reading: the catalogue too."""
    engine = open_engine(tmp_path / "home", entity="ann")
    create.project(engine, ProjectPath("demo"))
    engine.close()
    file = tmp_path / "home" / layout.FORMAT_FILE
    file.chmod(0o644)
    file.write_text(replace(engine.home.format, minor=7).print())

    engine = open_engine(tmp_path / "home", entity="ann")
    assert ["demo"] == [project.name for project in find.projects(engine)]
    with pytest.raises(ReadOnlyStore):
        create.project(engine, ProjectPath("other"))
    engine.close()


@pytest.mark.fault("D08")
def test_a_failed_transaction_leaves_nothing(catalog: Catalog) -> None:
    """Whatever ends a transaction, nothing of it is there and none is left open."""
    for error in (KeyError("x"), KeyboardInterrupt(), SystemExit(), GeneratorExit()):
        with pytest.raises(type(error)):
            write(catalog, "UPDATE counter SET value = 99", then=error)
        assert not catalog._connection().in_transaction
        assert 0 == count(catalog)
    with pytest.raises(Conflict):
        write(catalog, "UPDATE counter SET value = 99", "INSERT INTO counter VALUES ('order', 1)")
    with pytest.raises(UsageError, match="64 bits"), catalog.tx() as c:
        c.execute("UPDATE counter SET value = ?", (2**63,))
    with pytest.raises(UsageError, match="UTF-8"), catalog.tx() as c:
        c.execute("UPDATE counter SET name = ? WHERE name = 'order'", ("\ud800",))
    with pytest.raises(CatalogError), catalog.tx() as c:
        c.execute("UPDATE counter SET value = ?", (object(),))
    assert 0 == count(catalog)


@pytest.mark.fault("D08")
def test_a_transaction_within_one_is_part_of_it(catalog: Catalog) -> None:
    """What is nested commits and fails with what is around it; a read in between sees it."""
    with catalog.tx():
        bump(catalog)
        assert 1 == count(catalog)
    with pytest.raises(KeyError), catalog.tx():
        write(catalog, "UPDATE counter SET value = 99", then=KeyError())
    assert 1 == count(catalog)


def test_a_write_within_a_read_is_refused(catalog: Catalog) -> None:
    """A write that would be lost with the read around it is refused, loudly."""
    with catalog.read(), pytest.raises(UsageError, match="in the middle of a read"):
        bump(catalog)
    bump(catalog)
    assert 1 == count(catalog)


def test_a_read_is_a_snapshot(catalog: Catalog) -> None:
    """Every statement of one read sees the same catalogue, whoever writes meanwhile."""
    with catalog.read():
        before = count(catalog)
        alone(lambda: bump(catalog, 3))
        assert before == count(catalog)
    assert before + 3 == count(catalog)


def test_threads_come_and_go(catalog: Catalog) -> None:
    """Connections of threads that ended are closed: a server's hundredth thread finds descriptors left."""
    for _ in range(60):
        thread = threading.Thread(target=count, args=(catalog,))
        thread.start()
        thread.join()
    count(catalog)
    assert 3 >= len(catalog._all)


@pytest.mark.fault("I-05")
def test_a_killed_writer_needs_no_repair(root: Path) -> None:
    """A writer killed in the middle of its transaction, holding the lock, is forgotten by the next one."""
    catalog = Catalog(root)

    def write() -> None:
        manager = catalog.tx()
        manager.__enter__().execute("UPDATE counter SET value = 50 WHERE name = 'order'")

    killed(write)
    bump(catalog)
    assert 1 == count(catalog)
    catalog.close()


def test_a_lock_that_stays_taken(catalog: Catalog) -> None:
    """Whoever waits in vain is told that somebody else holds the catalogue."""
    other = room.FileLock(catalog.lock.path)
    with other.held(), pytest.raises(CatalogBusy, match="another program"), catalog.lock.held(patience=0.02):
        pass


@pytest.mark.fault("D05", "I-03")
def test_a_backup_beside_writers(root: Path, tmp_path: Path) -> None:
    """Backups made while others write open, pass every check, and hold one moment's catalogue."""
    Catalog(root).close()

    def work(number: int) -> list[tuple[int, int]]:
        catalog, found = Catalog(root), []
        for turn in range(6):
            if number:
                with catalog.tx() as c:
                    c.execute("UPDATE counter SET value = value + 1 WHERE name = 'order'")
                    c.execute("INSERT INTO entity (name, kind, created_at) VALUES (?, 'user', 1)", (os.urandom(8).hex(),))
                continue
            place = tmp_path / f"restored{turn}"
            place.mkdir()
            catalog.backup(place / layout.CATALOG)
            copy = Catalog(place)
            with copy.read() as c:
                entities = c.execute("SELECT count(*) FROM entity").fetchone()[0]
            found.append((count(copy) - entities, len(copy.problems())))
            copy.close()
        catalog.close()
        return found

    assert [(0, 0)] * 6 == together(4, work)[0]
    restored = Catalog(tmp_path / "restored0")
    assert PRAGMAS == pragmas(restored)
    restored.close()


@pytest.mark.fault("D05")
def test_a_backup_that_cannot_be_made(catalog: Catalog, tmp_path: Path) -> None:
    """A place that cannot be written is said to be one, and nothing is left there."""
    with pytest.raises((CatalogError, OSError)):
        catalog.backup(tmp_path / "nowhere" / "copy.sqlite")
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match="directory"):
        catalog.backup(tmp_path / "directory")
    assert {"directory", "store"} == {path.name for path in tmp_path.iterdir()}


DAMAGE = {
    "no header": lambda data: b"\0" * 100 + data[100:],
    "text": lambda _: b"not a database at all, " * 400,
    "half a page": lambda data: data[:2000],
    "one page": lambda data: data[:4096],
    "first half": lambda data: data[: len(data) // 2 // 4096 * 4096],
    "ragged": lambda data: data[:-1000],
    "pages overwritten": lambda data: data[:4096] + b"\xa5" * (len(data) - 4096),
    "schema overwritten": lambda data: data[:100] + b"\xff" * 3996 + data[4096:],
    "file format": lambda data: data[:18] + b"\x09\x09" + data[20:],
    "empty": lambda _: b"",
}


@pytest.mark.fault("D16")
@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file(tmp_path: Path, how: str) -> None:
    """A damaged catalogue says that it is and how to restore it, and stays byte for byte what it was."""
    engine = open_engine(tmp_path / "home", entity="ann")
    demo = create.project(engine, ProjectPath("demo"))
    record.record(engine, demo, [record.Recording(run=f"r{n}", logged=["a"], summary={"x": n}) for n in range(200)])
    with engine.store(demo.domain).session() as session:
        session.take_bytes(b"content")
        session.publish()
    engine.close()
    path = tmp_path / "home" / layout.CATALOG
    damaged = DAMAGE[how](path.read_bytes())
    path.write_bytes(damaged)

    try:
        found = read_through(tmp_path / "home")
    except (CatalogDamaged, CatalogUnsupported) as error:
        found = re.findall(r"copy a backup|another program", str(error))
    assert found
    assert damaged == path.read_bytes()


def read_through(home: Path) -> list[str]:
    """What the check finds wrong with a store in which everything was read."""
    engine = open_engine(home, entity="ann")
    try:
        for run in find.runs(engine, ProjectPath("demo")):
            find.summary(engine, run.id)
        return engine.catalog.problems()
    finally:
        engine.close()


@pytest.mark.fault("D16", "D17")
def test_a_lost_catalogue_is_not_begun_anew(tmp_path: Path) -> None:
    """A store with blobs whose catalogue is gone is refused: a new one would know nothing of them. A backup put there opens."""
    engine = open_engine(tmp_path / "home", entity="ann")
    demo = create.project(engine, ProjectPath("demo"))
    with engine.store(demo.domain).session() as session:
        session.take_bytes(b"content")
        session.publish()
    engine.catalog.backup(tmp_path / "copy.sqlite")
    engine.close()
    for path in (tmp_path / "home").glob(f"{layout.CATALOG}*"):
        path.unlink()

    with pytest.raises(CatalogDamaged, match=r"empty or missing.*backup"):
        open_engine(tmp_path / "home", entity="ann")
    shutil.copy(tmp_path / "copy.sqlite", tmp_path / "home" / layout.CATALOG)
    engine = open_engine(tmp_path / "home", entity="ann")
    assert demo == find.project(engine, ProjectPath("demo"))
    engine.close()


@pytest.mark.fault("S05")
def test_a_full_disk(catalog: Catalog) -> None:
    """A transaction that finds no room changes nothing and says so; the next that fits succeeds."""
    connection = catalog._connection()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    large = [f"INSERT INTO entity (name, kind, created_at) VALUES ('{os.urandom(500).hex()}', 'user', 1)" for _ in range(200)]
    with pytest.raises(StoreFull, match="disk is full"):
        write(catalog, *large)
    bump(catalog)
    with catalog.read() as c:
        assert (1, 0) == (count(catalog), c.execute("SELECT count(*) FROM entity").fetchone()[0])


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Path]:
    """A store with one project, on a disk that can only be read."""
    home, shown = tmp_path / "home", tmp_path / "shown"
    engine = open_engine(home, entity="ann")
    create.project(engine, ProjectPath("demo"))
    engine.close()
    shown.mkdir()
    mounted = subprocess.run(["mount", "--bind", str(home), str(shown)], capture_output=True, check=False).returncode == 0
    if mounted and subprocess.run(["mount", "-o", "remount,ro,bind", str(shown)], capture_output=True, check=False).returncode:
        subprocess.run(["umount", str(shown)], check=True)
        mounted = False
    if not mounted:
        pytest.skip("this machine does not let us mount a directory read-only")
    yield shown
    subprocess.run(["umount", str(shown)], check=True)


def can_be_read_only(store: Path, home: Path, copy: Path) -> None:
    """Reading works, also what is written elsewhere meanwhile, backups too; writing is refused with its type."""
    engine = open_engine(store, entity="ann")
    assert ["demo"] == [project.name for project in find.projects(engine)]
    with pytest.raises(ReadOnlyStore, match="read-only"):
        create.project(engine, ProjectPath("other"))
    with pytest.raises(ReadOnlyStore), engine.catalog.tx():
        pass
    engine.catalog.backup(copy / layout.CATALOG)
    Catalog(copy).close()

    writer = open_engine(home, entity="ann")
    create.project(writer, ProjectPath("later"))
    assert ["demo", "later"] == [project.name for project in find.projects(engine)]
    writer.close()
    assert ["demo", "later"] == [project.name for project in find.projects(engine)]
    engine.close()


@pytest.mark.fault("S06")
def test_a_disk_that_can_only_be_read(frozen: Path, tmp_path: Path) -> None:
    """On a read-only mount reading works and writing is refused with its type."""
    (tmp_path / "copy").mkdir()
    can_be_read_only(frozen, tmp_path / "home", tmp_path / "copy")


@pytest.mark.fault("S06")
def test_a_store_opened_to_be_read(root: Path) -> None:
    """Without the right to write nothing is made or changed, and what is not there is an error."""
    with pytest.raises(CatalogError):
        Catalog(root, read_only=True)
    writer = Catalog(root)
    reader = Catalog(root, read_only=True)
    assert (False, True) == (writer.is_read_only, reader.is_read_only)
    bump(writer, 2)
    assert 2 == count(reader)
    with pytest.raises(ReadOnlyStore, match="reading works"), reader.tx():
        pass
    with pytest.raises(ReadOnlyStore), reader.read() as c:
        c.execute("UPDATE counter SET value = 0")
    writer.close()
    assert 2 == count(reader)
    assert not reader._connection().in_transaction
    assert 1 == len(reader._all)
    reader.close()
