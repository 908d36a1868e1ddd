"""How much memory logging and checking out take at most: it follows no file's size, nor that of all together."""

import subprocess
import sys
from pathlib import Path

import pytest

from lineage.actions import create, log, read
from lineage.actions.open import open_engine
from lineage.model.names import ProjectPath
from storage.transfer.ingest import ingest_tree
from storage.transfer.scan import scan

ROOT = Path(__file__).parents[3]


def most() -> int:
    """The most memory this process ever had, in KiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def measure(place: Path, files: int, size: int) -> None:
    """Log so many files of so many bytes, then one, and check them out; print what that took above what a single file does, in KiB."""
    engine = open_engine(place / "home")
    project = create.project(engine, ProjectPath("demo"))

    def work(count: int, length: int) -> None:
        tree, name = place / f"tree {count}", f"tree{count}"
        for number in range(count):
            path = tree / f"{number % 50}" / f"{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(b"%d of %d" % (number, count))
                file.truncate(max(length, 20))  # the rest is a hole: it costs no disk
        session = engine.store(project.domain).session()
        entries = ingest_tree(scan(tree), session, cache=engine.trees)
        version = log.log_version(engine, project, log.Draft(name, "data"), entries, session).version
        assert count == read.download(engine, version, place / f"out {count}").written
        assert (count, count * max(length, 20)) == (version.entries, version.size)

    work(1, 20)
    before = most()
    work(files, size)
    print(most() - before)


@pytest.mark.fault("F16", "F17")
@pytest.mark.parametrize(
    ("files", "size", "allowed"),
    [(8_000, 20, 40_000), (240, 1 << 20, 170_000), (2, 150 << 20, 60_000)],
    ids=["many", "medium", "large"],
)
def test_memory_is_bounded(files: int, size: int, allowed: int, tmp_path: Path) -> None:
    """A few KiB for each of many small files; of large ones as much as is under way at a time, however large they are together."""
    code = f"from pathlib import Path; from tests.lineage.actions.test_memory import measure; measure(Path({str(tmp_path)!r}), {files}, {size})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert "" == done.stderr
    assert allowed > int(done.stdout)
