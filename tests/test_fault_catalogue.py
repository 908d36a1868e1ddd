"""Which faults must be covered by now, and that each of them is: by a test that says so, or by a written reason why not.

A test says which rows of the fault catalogue and which invariants it covers with `@pytest.mark.fault("F01", "I-24")`.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

from tests.faults.not_here import PARTS, REASONS

TESTS = Path(__file__).parent


def rows(letter: str, *numbers: int | range) -> list[str]:
    """`rows("F", range(1, 6), 8)` are F01 to F05 and F08."""
    spelled = [number for each in numbers for number in (each if isinstance(each, range) else (each,))]
    return [f"{letter}{number:02}" for number in spelled]


REQUIRED = [
    *rows("N", range(1, 23)),
    *rows("F", range(1, 20)),
    *rows("H", range(1, 19)),
    *rows("S", range(1, 21)),
    *rows("D", range(1, 9), range(11, 15), 16),
    *rows("M", range(1, 5), range(6, 11)),
    *rows("G", range(1, 5), range(7, 26), range(27, 31)),
    *rows("R", range(1, 29)),
    *rows("E", 2, 4, 5, 11, 13),
    *rows("X", 1, range(4, 11)),
    *rows("I-", range(1, 7), range(9, 22), range(24, 27), 31),
]


def covered() -> dict[str, set[str]]:
    """Every id a test is marked with, and the files that do it."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fault":
                for argument in (constant for each in node.args for constant in ast.walk(each)):
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        found[argument.value].add(str(path.relative_to(TESTS)))
    return found


def test_every_required_fault_is_covered() -> None:
    """Each required id has a test, or a reason why it has none."""
    found = covered()

    assert [] == [row for row in REQUIRED if row not in found and row not in REASONS]


def test_reasons_are_needed_and_say_something() -> None:
    """No reason stands for a row that has a test, or that nobody requires; a part is missing only of what is covered."""
    found = covered()

    assert [] == [row for row in REASONS if row in found or row not in REQUIRED]
    assert [] == [row for row in PARTS if row not in found or row not in REQUIRED]
    assert all(len(reason.split()) > 5 for reason in (*REASONS.values(), *PARTS.values()))


def test_marks_name_rows_there_could_be() -> None:
    """An id is a letter and two digits, or an invariant: a misspelt one would cover nothing."""
    assert {} == {row: files for row, files in covered().items() if not re.fullmatch(r"[A-Z]\d\d|I-\d\d", row)}
