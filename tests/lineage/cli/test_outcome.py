"""How commands end."""

import inspect
import json
from types import ModuleType

import pytest

from lineage.cli.outcome import EXITS, EXPLAINED, Exit, Failure
from lineage.model import errors as meaning
from storage import errors as storage


def classes(module: ModuleType) -> list[type[Exception]]:
    return [found for _, found in inspect.getmembers(module, inspect.isclass) if issubclass(found, Exception)]


@pytest.mark.parametrize("kind", [*classes(meaning), *classes(storage)], ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_error_has_an_exit_code(kind: type[Exception]) -> None:
    """No error of the house ends in the code that is kept for defects."""
    given: object = {"a key": "why it stays"} if kind is storage.NotRemoved else "given, wanted, next"
    assert Failure.of(kind(given)).exit not in (Exit.OK, Exit.DEFECT)


def test_the_nearest_class_decides() -> None:
    """A conflict is a `CommError` and not a plain no; a lost bucket is a storage error and the network's fault."""
    assert Exit.REFUSED is Failure.of(meaning.Conflict("busy")).exit
    assert Exit.NO is Failure.of(meaning.RunNotFoundError("nobody")).exit
    assert Exit.UNAVAILABLE is Failure.of(storage.RemoteUnavailable("gone fishing")).exit
    assert Exit.DAMAGE is Failure.of(storage.Corrupt("rot")).exit


def test_an_error_nobody_foresaw_is_told_as_a_defect() -> None:
    """The person reads what happened and how to see more, not a traceback."""
    failure = Failure.of(ZeroDivisionError("division by zero"))
    assert Exit.DEFECT is failure.exit
    assert "error: ZeroDivisionError: division by zero\nhint: " in failure.lines()
    assert "LINEAGE_DEBUG=1" in failure.lines()


def test_an_error_cannot_steer_the_terminal() -> None:
    """Escape sequences and bidirectional marks in a message are shown, not obeyed."""
    assert r"\x1b[2J \u202e" in Failure.of(meaning.NotFound("\x1b[2J \u202e")).lines()


def test_an_error_for_a_program_is_one_document() -> None:
    """Code, exit, message and hint are there under stable keys."""
    document = json.loads(Failure.of(meaning.NotFound("no such thing")).document())
    assert {"code", "exit", "message", "hint"} == document["error"].keys()
    assert ("not_found", 1, "no such thing") == tuple(document["error"][key] for key in ("code", "exit", "message"))


def test_every_exit_code_is_explained() -> None:
    """The table in the help has every code, and every code of the error table is one of them."""
    assert set(Exit) == EXPLAINED.keys()
    assert set(EXITS.values()) <= EXPLAINED.keys()
