"""Threads for one piece of work, or none."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.blob.pool import Inline, ahead, pool

ROOT = Path(__file__).parents[2]


def test_inline_answers_and_raises_as_threads_do() -> None:
    """The future carries the answer or the error; `map` keeps the order."""
    with Inline() as inline:
        assert [1, 4, 9] == list(inline.map(lambda number: number**2, (1, 2, 3)))
        failed = inline.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            failed.result()


def test_threads_are_used_while_they_may_be_started() -> None:
    """A program that runs gets threads."""
    with pool(2) as threads:
        assert isinstance(threads, ThreadPoolExecutor)


def test_work_is_done_when_the_interpreter_ends() -> None:
    """What runs at exit may start no thread, and is done all the same."""
    code = "import atexit; from storage.blob.pool import pool\natexit.register(lambda: print(list(pool(2).map(abs, [-1, -2]))))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "[1, 2]\n" == done.stdout, done.stderr


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_ahead_keeps_order_and_stays_near(threads: int) -> None:
    """Answers come in the order of the items, no more of them are begun than may be, and an error comes in its place."""
    begun: list[int] = []

    def work(number: int) -> float:
        begun.append(number)
        return 6 / (number - 6)

    answers = ahead(work, range(10), threads)
    for number in range(6):
        assert (number, 6 / (number - 6)) == next(answers)
        assert max(1, threads) >= len(begun) - number
    with pytest.raises(ZeroDivisionError):
        next(answers)
