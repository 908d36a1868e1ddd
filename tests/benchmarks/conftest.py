"""What every benchmark needs: a place of its own, a clock, and a table that sets each figure beside its limit.

    pytest -m benchmark                                   the sizes that each benchmark names
    LINEAGE_BENCHMARK_SCALE=0.01 pytest -m benchmark      a quick look

A limit is the unavoidable work in a few lines of Python, measured in the same run, on the same disk, right before. Nothing here passes or
fails on time.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCALE = float(os.environ.get("LINEAGE_BENCHMARK_SCALE", "1"))


@dataclass
class Table:
    """Rows of (work, ours, limit, unit); printed at the end of the run."""

    rows: list[tuple[str, float, str, float, str]] = field(default_factory=list)

    def add(self, work: str, ours: float, limit_name: str, limit: float, unit: str = "s") -> None:
        self.rows.append((work, ours, limit_name, limit, unit))

    def lines(self) -> Iterator[str]:
        yield f"| {'work':58} | {'ours':>12} | {'limit':>12} | ratio | the limit is |"
        yield f"| {'-' * 58} | {'-' * 12} | {'-' * 12} | ----- | ------------ |"
        for work, ours, limit_name, limit, unit in self.rows:
            ratio = limit / ours if unit.endswith("/s") else ours / limit
            yield f"| {work:58} | {ours:10.4g} {unit:1} | {limit:10.4g} {unit:1} | {ratio:5.2f} | {limit_name} |"


_TABLE = Table()


@pytest.fixture
def table() -> Table:
    return _TABLE


@pytest.fixture
def scale() -> float:
    return SCALE


@pytest.fixture
def place() -> Iterator[Path]:
    """A fresh directory tree; set LINEAGE_BENCHMARK_DIR to measure another disk."""
    path = Path(tempfile.mkdtemp(prefix="lineage-benchmark-", dir=os.environ.get("LINEAGE_BENCHMARK_DIR")))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def stopwatch():
    @contextmanager
    def run() -> Iterator[list[float]]:
        taken: list[float] = []
        os.sync()
        started = time.perf_counter()
        yield taken
        taken.append(time.perf_counter() - started)

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _TABLE.rows:
        terminalreporter.section(f"benchmarks, scale {SCALE:g}")
        for line in _TABLE.lines():
            terminalreporter.write_line(line)
