"""The machine around a store: small disks, file systems that pretend, directories that move, forks, exits, and whoever else is on it."""

import ast
import errno
import hashlib
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lineage.actions import delete, find, start
from lineage.actions.open import Engine
from lineage.actions.reclaim import plan_reclaim, reclaim
from lineage.model.errors import CatalogError, Error
from storage.blob import disk, filesystem, reserve
from storage.blob.home import Home
from storage.blob.source import Source
from storage.blob.store import Store
from storage.digest import Blob
from storage.errors import InvalidStore, SourceChanged, StorageError, StoreFull, Unavailable
from storage.layout import FORMAT_FILE, OBJECTS, RESERVE, STAGING
from storage.memory import MemoryLedger
from tests.faults.invariants import Acknowledged, check, cleaned, visible
from tests.faults.kill import Scene, counted, observed
from tests.faults.scene import DEMO, FILES, MORE, Stage, begin, end, measure, named, put, tree

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def stage(place: Path) -> Stage:
    return Stage(place)


@pytest.fixture
def home(place: Path) -> Path:
    return place / "home"


def opened(root: Path) -> Engine:
    return Scene(root, ()).open(root)


# ── space ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of six mebibytes."""
    root = tmp_path / "small"
    root.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(root)]
    if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs a privilege")
    yield root
    subprocess.run(["umount", "-l", str(root)], check=True)


def fill(root: Path) -> None:
    """Take every byte that is left."""
    with (root / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


@pytest.mark.fault("S05", "I-03", "I-04")
def test_cleaning_up_a_full_disk(small: Path, stage: Stage) -> None:
    """On a disk without a byte left nothing can be logged, but what is set aside lets versions be deleted and their bytes be freed."""
    engine = opened(small / "home")
    first = put(engine, tree(stage.place / "much", {f"{at}": random.Random(at).randbytes(200_000) for at in range(5)}), "much")
    kept = put(engine, stage.source)
    engine.close()
    fill(small)
    engine = opened(small / "home")

    with pytest.raises(StoreFull):
        put(engine, tree(stage.place / "more", {"more": random.Random("more").randbytes(600_000)}))
    delete.delete_version(engine, find.version_by_id(engine, first.id), delete_aliases=True)
    freed = reclaim(engine, plan_reclaim(engine))
    assert (True, True) == (freed.bytes >= 1_000_000, (small / "home" / RESERVE).exists() or reserve.is_short(small))
    check(engine, Acknowledged({kept.id: FILES}, {first.id}))
    put(engine, stage.other)
    engine.close()


@pytest.mark.fault("S05")
def test_space_is_set_aside(home: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store has it from the start, gets it again when somebody opens it, and does without where there is none to spare."""
    engine = opened(home)
    assert reserve.SIZE == (home / RESERVE).stat().st_size <= 512 * (home / RESERVE).stat().st_blocks
    put(engine, stage.source)
    engine.close()

    assert reserve.release(home)
    assert not reserve.release(home)
    monkeypatch.setattr(reserve, "is_short", lambda _: True)
    opened(home).close()
    assert not (home / RESERVE).exists()
    monkeypatch.undo()
    opened(home).close()
    assert (home / RESERVE).exists()


@pytest.mark.fault("S12", "I-04", "I-26")
def test_staging_is_on_the_disk_of_the_objects(home: Path, stage: Stage) -> None:
    """Staging lies beside the objects; should somebody put them on another disk, publishing says so, and leaves nothing."""
    engine = opened(home)
    put(engine, stage.source)
    assert (home / STAGING).stat().st_dev == (home / OBJECTS).stat().st_dev

    with observed(lambda _, effect: _elsewhere(effect)), pytest.raises(Unavailable):
        put(engine, stage.other)
    check(engine)
    cleaned(engine)
    engine.close()


def _elsewhere(effect: str) -> None:
    if effect.startswith("link") and f"/{OBJECTS}/" in effect:
        raise OSError(errno.EXDEV, "injected", effect)


# ── file systems that pretend ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _locks_nothing(_descriptor: int, _operation: int) -> None:
    """What some network file systems answer: yes, always."""


def _knows_no_locks(_descriptor: int, _operation: int) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


@pytest.mark.fault("S13", "I-26")
@pytest.mark.parametrize("flock", [_locks_nothing, _knows_no_locks])
def test_a_disk_without_locks_is_refused(home: Path, flock: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a lock does not keep a second one out no store is made, and nothing is left of the attempt."""
    monkeypatch.setattr(filesystem.fcntl, "flock", flock)

    with pytest.raises(InvalidStore, match="locks"):
        Home.create_or_open(home)
    assert [] == list(home.iterdir())


@pytest.mark.fault("S13", "I-26")
def test_a_disk_whose_renames_do_not_replace_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file of that name stays beside the renamed one, readers could see either."""
    monkeypatch.setattr(disk, "rename", lambda _source, _target: None)

    with pytest.raises(InvalidStore, match="renaming"):
        Home.create_or_open(home)
    assert [] == list(home.iterdir())


@pytest.mark.fault("S13")
def test_a_disk_without_hard_links_is_used(home: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said when the store is made, and everything works."""

    def link(*_given: object, **_named: object) -> None:
        raise OSError(errno.EPERM, "injected")

    monkeypatch.setattr(os, "link", link)
    with pytest.warns(UserWarning, match="no hard links"):
        engine = opened(home)
    check(engine, Acknowledged({put(engine, stage.source).id: FILES}))
    engine.close()


# ── stores that move ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.fault("S18", "I-04")
def test_a_store_that_moves_while_it_is_open(home: Path, stage: Stage) -> None:
    """Nothing is written any more, no directory is made where it was, and where it is now it opens as it was."""
    engine = opened(home)
    first = put(engine, stage.source)
    home.rename(home.with_name("elsewhere"))

    with pytest.raises((StorageError, Error)):
        put(engine, stage.other)
    with pytest.raises(CatalogError, match="moved or replaced"):
        begin(engine)
    assert not home.exists()
    moved = opened(home.with_name("elsewhere"))
    check(moved, Acknowledged({first.id: FILES}))
    moved.close()


@pytest.mark.fault("S18", "I-01", "I-04")
def test_a_store_that_is_replaced_while_it_is_open(home: Path, stage: Stage) -> None:
    """Neither this thread nor a new one writes rows to one store and bytes to the other: both stay as they were."""
    engine = opened(home)
    first = put(engine, stage.source)
    home.rename(home.with_name("older"))
    other = opened(home)
    second = put(other, stage.other)
    errors: list[BaseException] = []

    def try_it() -> None:
        for work in (lambda: put(engine, stage.other, "late"), lambda: begin(engine)):
            try:
                work()
            except (StorageError, Error) as error:
                errors.append(error)

    try_it()
    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()

    assert 4 == len(errors)
    older = opened(home.with_name("older"))
    for each, version, files in ((older, first, FILES), (other, second, MORE)):
        check(each, Acknowledged({version.id: files}))
        assert named(each, "late:v0") is None
        cleaned(each)
        each.close()


# ── forks, exits, clocks and names ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.fault("S14", "D04", "I-01", "I-09")
@pytest.mark.parametrize("name", ["shared", "run", "reclaim"])
def test_a_fork_in_the_middle_of_everything(name: str, stage: Stage) -> None:
    """A child that is forked at any effect of an operation, and cleans up and ends, disturbs nothing; the parent's operation succeeds."""
    scene: Scene = getattr(stage, name)()
    root, wanted = stage.place / "home", scene.end(stage.place / "home")
    engine = scene.open(scene.copy(root))
    with counted() as effects:
        scene.run(engine)
    engine.close()
    for k in range(1, len(effects) + 1, 1 + len(effects) // 25):
        engine, parent = scene.open(scene.copy(root)), os.getpid()
        children: list[int] = []

        def fork(number: int, _effect: str, k: int = k, children: list[int] = children) -> None:
            if number >= k and not children and threading.current_thread() is threading.main_thread():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    child = os.fork()
                if child == 0:
                    raise KeyboardInterrupt
                children.append(child)

        try:
            with observed(fork):
                scene.run(engine)
        except KeyboardInterrupt:
            if os.getpid() != parent:
                os._exit(0)
            raise
        finally:
            if os.getpid() != parent:
                os._exit(1)
        assert [0] == [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        check(engine, scene.acknowledged)
        assert wanted == visible(engine)
        cleaned(engine)
        engine.close()


@pytest.mark.fault("S15")
def test_a_seeded_generator_repeats_no_name(home: Path) -> None:
    """Programs that seed `random` alike get names of their own: of runs, sessions, stores and files on their way."""
    names: list[str] = []
    engine, ledger = opened(home), MemoryLedger()
    for _ in range(2):
        random.seed(1)
        names += [disk.temporary_name() for _ in range(50_000)]
        names += [ledger.open_session() for _ in range(1000)]
        names += [start.start_run(engine, start.Opening(DEMO)).run.name for _ in range(20)]
    engine.close()

    assert len(names) == len(set(names))


@pytest.mark.fault("S11")
def test_what_others_on_the_machine_may_do(home: Path, stage: Stage) -> None:
    """Under a umask that forbids nothing no file or directory can be written by others, and what is on its way cannot even be seen."""
    seen: set[tuple[str, int]] = set()

    def look(_number: int, _effect: str) -> None:
        seen.update((str(path), path.lstat().st_mode) for path in home.rglob("*"))

    before = os.umask(0)
    try:
        with observed(look):
            engine = opened(home)
            for step in (begin, measure(0), lambda e: put(e, stage.source), end):
                step(engine)
            look(0, "")
            engine.close()
    finally:
        os.umask(before)

    assert [] == [path for path, mode in seen if mode & stat.S_IWOTH]
    staged = {mode for path, mode in seen if f"/{STAGING}/" in path}
    assert {0o700} == {stat.S_IMODE(mode) for mode in staged if stat.S_ISDIR(mode)}
    assert {0o600, 0o444} == {stat.S_IMODE(mode) for mode in staged if stat.S_ISREG(mode)}


PROGRAM = """
    import atexit, os, signal, sys, threading, time
    sys.path.insert(0, {root!r})
    from pathlib import Path
    from tests.faults.scene import put
    from tests.faults.kill import Scene

    engine = Scene(Path({home!r}), ()).open(Path({home!r}))
    def work():
        for number in range(10_000):
            put(engine, Path({source!r}), f"v{{number}}")
            print(number, flush=True)
    thread = threading.Thread(target=work, daemon={daemon})
    thread.start()
    while not thread.is_alive() or not any((Path({home!r}) / "objects").glob("*")):
        time.sleep(0.001)
    {ending}
"""
ENDINGS = {
    "the main thread ends": (True, "sys.exit(0)"),
    "interrupted": (True, "os.kill(os.getpid(), signal.SIGINT); time.sleep(10)"),
    "terminated": (True, "os.kill(os.getpid(), signal.SIGTERM); time.sleep(10)"),
    "gone at once": (False, "os._exit(0)"),
}


@pytest.mark.fault("S20", "I-03", "I-05")
@pytest.mark.parametrize("how", ENDINGS)
def test_a_program_that_ends_while_it_logs(how: str, home: Path, stage: Stage) -> None:
    """However a program ends beside a thread that logs, it does end, and the store holds what was acknowledged and nothing half."""
    daemon, ending = ENDINGS[how]
    text = textwrap.dedent(PROGRAM).format(root=str(ROOT), home=str(home), source=str(stage.source), daemon=daemon, ending=ending)
    done = subprocess.run([sys.executable, "-c", text], check=False, capture_output=True, timeout=60, text=True)
    engine = opened(home)

    assert done.returncode in (0, 1, -signal.SIGINT, -signal.SIGTERM, 130), done.stderr
    check(engine)
    logged = [int(line) for line in done.stdout.split("\n")[:-1]]
    assert all(named(engine, f"v{number}:v0") is not None for number in logged)
    cleaned(engine)
    engine.close()


# ── what is never done ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.fault("F09")
def test_users_files_are_never_mapped() -> None:
    """A mapped file that is cut short kills its reader with a signal: nothing of ours maps any."""
    trees = {path: ast.parse(path.read_text()) for top in ("storage", "lineage") for path in (ROOT / top).rglob("*.py")}
    names = {
        (str(path), alias.name)
        for path, parsed in trees.items()
        for node in ast.walk(parsed)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in (*node.names, *([ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else []))
    }
    attributes = {node.attr for parsed in trees.values() for node in ast.walk(parsed) if isinstance(node, ast.Attribute)}

    assert set() == {name for name in names if name[1].split(".")[0] == "mmap"}
    assert not {"memmap", "update_mmap"} & attributes


@pytest.mark.fault("F09", "F08", "I-24")
def test_a_file_that_is_cut_short_while_it_is_read(tmp_path: Path) -> None:
    """It is a file that changed, whatever was read of it."""
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    with Source(path) as source:
        count = source.read_into(memoryview(bytearray(1 << 16)))
        os.truncate(path, 1 << 17)
        while got := source.read_into(memoryview(bytearray(1 << 16))):
            count += got
        with pytest.raises(SourceChanged):
            source.require_same(count)


@pytest.mark.fault("H02")
def test_two_files_of_one_md5(place: Path) -> None:
    """The oldest published pair with one MD5 (Wang and others, 2004) is two blobs, and each reads as itself."""
    first = bytes.fromhex(
        "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
        "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
    )
    second = bytearray(first)
    for at in (19, 45, 59, 83, 109, 123):
        second[at] ^= 0x80
    assert hashlib.md5(first).digest() == hashlib.md5(second).digest()

    store = Store(Home.create_or_open(place / "home").backend, MemoryLedger(), "d")
    with store.session() as session:
        digests = [session.take_bytes(bytes(data)).digest for data in (first, second)]
        session.publish()
        store.ledger.commit(session.id, digests)  # type: ignore[attr-defined]
    assert [first, bytes(second)] == [store.read(digest) for digest in digests]
    assert Blob.of(first) != Blob.of(bytes(second))


@pytest.mark.fault("S08")
def test_writes_that_write_little(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that takes three bytes at a time, and is interrupted in between, gets all of them in the end."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, memoryview(data)[:3]))
    small = tree(place / "little", {"a": b"alphabet", "b": bytes(range(256))})
    engine = opened(place / "home")
    for step in (begin, measure(0), end):
        step(engine)

    check(engine, Acknowledged({put(engine, small).id: {"a": b"alphabet", "b": bytes(range(256))}}))
    assert (place / "home" / FORMAT_FILE).read_text().endswith("}\n")
    engine.close()
