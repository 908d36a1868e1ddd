"""The same tree through other tools, in turn, in one run: what their users wait for, beside what ours wait for.

    LINEAGE_BENCHMARK_SCALE=0.1 pytest -m benchmark tests/benchmarks/test_peers.py

Python tools are installed from the package registry into environments of their own, kept between runs (`LINEAGE_PEERS` says where), and do
what `peer.py` says; commands (git, dvc, borg, restic) are run as a user types them, each with its own start. A tool that is not there, or
cannot do a thing without a server, leaves its place empty. `cp -r` and `xxhsum` are no peers: nobody who copies or hashes can be faster.
Every figure is the median of three, each in a fresh place, the page cache warm.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest

pytestmark = pytest.mark.benchmark

ROOT = Path(__file__).parents[2]
PEER = Path(__file__).with_name("peer.py")
ENVIRONMENTS = Path(os.environ.get("LINEAGE_PEERS") or platformdirs.user_cache_path("lineage-peers"))
PACKAGES = ("wandb", "mlflow", "dvc", "lamindb", "trackio")
TIMES = 3
WORKS = ("one file", "many files", "again", "50 changed", "down")
SECRET = {"RESTIC_PASSWORD": "benchmark", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}

Seconds = float | None


@dataclass(frozen=True)
class Place:
    """Where one tool works in one repetition."""

    base: Path
    home: Path

    @property
    def tree(self) -> Path:
        return self.base / "tree"

    @property
    def big(self) -> Path:
        return self.base / "big.bin"

    @property
    def out(self) -> Path:
        return self.base / "out"


Verb = Callable[[Place, Path], Seconds]


@dataclass(frozen=True)
class Tool:
    """How a tool logs a file or tree, and how it writes it out again; `first` is done before any clock runs."""

    name: str
    log: Verb
    down: Verb = lambda _place, _target: None
    first: Callable[[Place], object] = lambda _place: None


def command(*words: str | Path, cwd: Path | None = None) -> float:
    """Seconds a command takes."""
    started = time.perf_counter()
    environment = {**os.environ, **SECRET}
    ended = subprocess.run([str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - started
    assert ended.returncode == 0, f"{words}: {ended.stderr[-2000:]}"
    return taken


def python_tool(name: str, interpreter: Path) -> Tool:
    def ask(verb: str, path: Path, home: Path) -> Seconds:
        environment = {**os.environ, "PYTHONPATH": str(ROOT) if name == "lineage" else ""}
        words = [str(interpreter), str(PEER), name, verb, str(path), str(home)]
        ended = subprocess.run(words, env=environment, cwd=home.parent, capture_output=True, text=True, check=False)
        if ended.returncode:
            return None if "KeyError" in ended.stderr[-200:] else pytest.fail(f"{name} {verb}: {ended.stderr[-2000:]}")
        return float(ended.stdout.split()[-1])

    def first(place: Place) -> None:
        if name == "lineage":
            command(interpreter, "-m", "lineage", "init", "--home", place.home / "store", cwd=ROOT)

    return Tool(name, lambda place, path: ask("log", path, place.home), lambda place, target: ask("down", target, place.home), first)


def dvc(program: Path) -> Tool:
    """DVC keeps its notes beside the data, in a git repository; a check-out goes where the data was."""

    def first(place: Place) -> None:
        command("git", "init", "-q", place.base)
        command(program, "init", "-q", cwd=place.base)
        command(program, "config", "cache.type", "copy", cwd=place.base)
        command(program, "config", "core.analytics", "false", cwd=place.base)

    def down(place: Place, _target: Path) -> Seconds:
        shutil.rmtree(place.tree)
        return command(program, "checkout", "-q", "tree.dvc", cwd=place.base)

    return Tool("dvc", lambda place, path: command(program, "add", "-q", path.name, cwd=place.base), down, first)


def git() -> Tool:
    def first(place: Place) -> None:
        command("git", "init", "-q", "--separate-git-dir", place.home / "git", place.base)
        command("git", "config", "core.fsync", "all", cwd=place.base)
        command("git", "config", "gc.auto", "0", cwd=place.base)

    def log(place: Place, path: Path) -> Seconds:
        author = ("-c", "user.name=b", "-c", "user.email=b@localhost")
        return command("git", "add", "--", path.name, cwd=place.base) + command(
            "git", *author, "commit", "-q", "--allow-empty", "-m", "tree", cwd=place.base
        )

    def down(place: Place, target: Path) -> Seconds:
        return command("git", "--work-tree", _made(target), "checkout", "-q", "HEAD", "--", "tree", cwd=place.base)

    return Tool("git", log, down, first)


def borg() -> Tool:
    def log(place: Place, path: Path) -> Seconds:
        return command("borg", "create", f"{place.home / 'borg'}::{{now:%H%M%S.%f}}", path.name, cwd=place.base)

    def down(place: Place, target: Path) -> Seconds:
        listed = subprocess.run(
            ["borg", "list", "--short", place.home / "borg"], check=True, capture_output=True, text=True, env={**os.environ, **SECRET}
        )
        return command("borg", "extract", f"{place.home / 'borg'}::{listed.stdout.split()[-1]}", cwd=_made(target))

    return Tool("borg", log, down, lambda place: command("borg", "init", "-e", "none", place.home / "borg"))


def restic() -> Tool:
    repository = lambda place: ("restic", "-q", "-r", place.home / "restic")  # noqa: E731  # a name for three words
    return Tool(
        "restic",
        lambda place, path: command(*repository(place), "backup", path),
        lambda place, target: command(*repository(place), "restore", "latest", "--target", target),
        lambda place: command(*repository(place), "init"),
    )


def copying() -> Tool:
    def log(place: Place, path: Path) -> Seconds:
        shutil.rmtree(place.home / path.name, ignore_errors=True)
        return command("cp", "-r", path, place.home)

    return Tool("cp -r, nothing flushed", log, lambda place, target: command("cp", "-r", place.home / "tree", target))


def hashing() -> Tool:
    def log(_place: Place, path: Path) -> Seconds:
        return command("sh", "-c", 'find "$1" -type f -print0 | xargs -0 xxhsum -H2', "sh", path)

    return Tool("xxhsum -H2, reads only", log)


def _made(target: Path) -> Path:
    target.mkdir()
    return target


def tools() -> Iterator[Tool]:
    yield python_tool("lineage", Path(sys.executable))
    for name in PACKAGES:
        environment = installed(name)
        if environment is not None:
            yield dvc(environment / "bin" / "dvc") if name == "dvc" else python_tool(name, environment / "bin" / "python")
    for program, tool in (("git", git), ("borg", borg), ("restic", restic), ("cp", copying), ("xxhsum", hashing)):
        if shutil.which(program):
            yield tool()


def installed(name: str) -> Path | None:
    """The environment with a Python tool in it, made the first time; None when the registry does not give it."""
    environment = ENVIRONMENTS / name
    done = environment / "installed"
    if not done.exists():
        ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        if subprocess.run([environment / "bin" / "pip", "install", "-q", name], check=False).returncode:
            return None
        done.touch()
    return environment


def make_big(path: Path, size: int) -> None:
    block = random.Random(1).randbytes(1 << 20)
    with path.open("wb") as out:
        for number in range(size >> 20):
            out.write(number.to_bytes(8, "big") + block[8:])


def make_tree(tree: Path, files: int) -> None:
    draw = random.Random(7)
    for number in range(files):
        path = tree / f"{number % 97:02d}" / f"{number:06d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw.randbytes(draw.randint(4096, 12288)))


def measure(tool: Tool, base: Path, size: int, files: int) -> Iterator[Seconds]:
    """The seconds of each of `WORKS`, in a fresh place; what changes a tree between two of them is not timed."""
    place = Place(base, base / f"home-{tool.name.split()[0]}")
    place.home.mkdir(parents=True)
    make_big(place.big, size)
    make_tree(place.tree, files)
    tool.first(place)
    time.sleep(1.1)  # so that nothing in the tree is too young for anybody's stat cache
    os.sync()
    yield tool.log(place, place.big)
    for _ in range(2):
        os.sync()
        yield tool.log(place, place.tree)
    for path in sorted(place.tree.rglob("*.bin"))[:50]:
        path.write_bytes(b"changed " + str(path.name).encode())
    os.sync()
    yield tool.log(place, place.tree)
    os.sync()
    yield tool.down(place, place.out)


def middle(values: Sequence[Seconds]) -> Seconds:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


@pytest.mark.timeout(0)
def test_beside_peers(scale: float, capsys: pytest.CaptureFixture[str]) -> None:
    """One big file, many small ones, the same again, fifty changed, and down again: each tool, three times, in turn."""
    size, files = max(int(1024 * scale), 1) << 20, max(int(10_000 * scale), 100)
    taken: dict[str, list[list[Seconds]]] = {}
    for _ in range(TIMES):
        for tool in tools():
            base = Path(tempfile.mkdtemp(prefix="lineage-peers-", dir=os.environ.get("LINEAGE_BENCHMARK_DIR")))
            try:
                taken.setdefault(tool.name, []).append(list(measure(tool, base, size, files)))
            finally:
                shutil.rmtree(base)
    middles = {name: [middle(column) for column in zip(*rows, strict=True)] for name, rows in taken.items()}
    assert {len(WORKS)} == {len(row) for row in middles.values()}
    with capsys.disabled():
        print("\n" + "\n".join(lines(middles, size, files)))


def lines(middles: dict[str, list[Seconds]], size: int, files: int) -> Iterator[str]:
    """The table of README: seconds, and how many times ours that is."""
    ours = middles["lineage"]
    heads = (f"log one file of {size >> 20:,} MiB", f"log {files:,} files", "again, unchanged", "50 changed", "check out")
    yield f"| seconds (times ours) | {' | '.join(heads)} |"
    yield f"|---|{'---|' * len(heads)}"
    for name, row in middles.items():
        cells = [_cell(value, own) for value, own in zip(row, ours, strict=True)]
        yield f"| {name} | {' | '.join(cells)} |"


def _cell(value: Seconds, own: Seconds) -> str:
    return "–" if value is None or own is None else f"{value:.2f} ({value / own:.1f})"
