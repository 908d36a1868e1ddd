"""How long bytes take: one big file, many small files, the same again, a few changed, and down again."""

import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import blake3
import pytest
import xxhash

from lineage.actions import create, log, read
from lineage.actions.open import Engine, open_engine
from lineage.model.names import ProjectPath
from storage.transfer.ingest import ingest_file, ingest_tree
from storage.transfer.scan import scan

pytestmark = pytest.mark.benchmark
CHUNK = 1 << 20


def open_store(place: Path) -> Engine:
    return open_engine(place / "home")


def log_tree(engine: Engine, tree: Path, name: str) -> log.Logged:
    project = create.project(engine, ProjectPath("benchmark"))
    session = engine.store(project.domain).session()
    return log.log_version(engine, project, log.Draft(name, "dataset"), ingest_tree(scan(tree), session, cache=engine.trees), session)


def hash_and_copy(source: Path, target: Path) -> None:
    """The unavoidable: read once, both digests and a copy beside each other, one fsync."""
    identity, checksum = blake3.blake3(), xxhash.xxh3_128()
    with source.open("rb", buffering=0) as data, target.open("wb", buffering=0) as out, ThreadPoolExecutor(2) as pool:
        waiting = []
        while chunk := data.read(4 * CHUNK):
            for done in waiting:
                done.result()
            waiting = [pool.submit(identity.update, chunk), pool.submit(checksum.update, chunk)]
            out.write(chunk)
        for done in waiting:
            done.result()
        os.fsync(out.fileno())


def pack(tree: Path, target: Path) -> None:
    """The unavoidable for many small files: read, both digests, one container, one fsync."""
    with target.open("wb", buffering=CHUNK) as out:
        for path in walk(tree):
            descriptor = os.open(path, os.O_RDONLY)
            data = os.read(descriptor, 1 << 22)
            os.close(descriptor)
            blake3.blake3(data).digest()
            xxhash.xxh3_128(data).digest()
            out.write(data)
        out.flush()
        os.fsync(out.fileno())


def walk(tree: Path) -> list[str]:
    """Every file below `tree`, each looked at once."""
    found, waiting = [], [str(tree)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    entry.stat(follow_symlinks=False)
                    found.append(entry.path)
    return found


def make_tree(place: Path, files: int, mean: int) -> Path:
    draw = random.Random(7)
    tree = place / "tree"
    for number in range(files):
        path = tree / f"{number % 97:02d}" / f"{number:06d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw.randbytes(draw.randint(mean // 2, mean * 3 // 2)))
    return tree


def test_one_big_file(place, table, scale, stopwatch) -> None:
    """One file of 4 GiB: hashed, copied, durable, recorded."""
    size = max(int(4096 * scale), 1) * CHUNK
    big = place / "big.bin"
    block = random.Random(1).randbytes(CHUNK)
    with big.open("wb") as out:
        for number in range(size // CHUNK):
            out.write(number.to_bytes(8, "big") + block[8:])
    limits = []
    for _ in range(2):  # the first large write to a fresh disk may cost several times what the next does
        with stopwatch() as limit:
            hash_and_copy(big, place / "copy.bin")
        (place / "copy.bin").unlink()
        limits.append(limit[0])
    engine = open_store(place)
    project = create.project(engine, ProjectPath("benchmark"))
    with stopwatch() as ours:
        session = engine.store(project.domain).session()
        entry = ingest_file(big, "big.bin", session)
        logged = log.log_version(engine, project, log.Draft("big", "dataset"), [entry], session)
    assert size == logged.version.size
    table.add(f"log one file of {size / (1 << 30):.2g} GiB", ours[0], "hash ∥ copy, fsync; the faster of two", min(limits))


def test_many_small_files(place, table, scale, stopwatch) -> None:
    """50,000 files of 8 KiB: logged, logged again unchanged, logged with 50 changed, checked out."""
    files = max(int(50_000 * scale), 100)
    tree = make_tree(place, files, 8192)
    with stopwatch() as packed:
        pack(tree, place / "pack")
    engine = open_store(place)
    with stopwatch() as first:
        log_tree(engine, tree, "small")
    with stopwatch() as looked:
        walk(tree)
    with stopwatch() as again:
        same = log_tree(engine, tree, "small")
    assert (False, 0) == (same.is_new, same.stored.bytes)
    for path in walk(tree)[:50]:
        Path(path).write_bytes(b"changed " + path.encode())
    with stopwatch() as changed:
        different = log_tree(engine, tree, "small")
    assert 1 == different.version.number
    with stopwatch() as down:
        read.download(engine, different.version, place / "out")
    table.add(f"log {files:,} files of 8 KiB", first[0], "pack: read, hash, append, one fsync", packed[0])
    table.add(f"log {files:,} files again, unchanged", again[0], "scan: one look per file", looked[0])
    table.add(f"log {files:,} files, 50 changed", changed[0], "scan: one look per file", looked[0])
    with stopwatch() as copied:
        subprocess.run(["cp", "-r", tree, place / "copied"], check=True)
    table.add(f"check out {files:,} files, verified", down[0], "pack: read, hash, append, one fsync", packed[0])
    table.add(f"check out {files:,} files, verified", down[0], "cp -r: as many files made, nothing verified", copied[0])
