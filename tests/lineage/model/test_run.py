"""Whether an id may be taken up again, and who may do what."""

import itertools

import pytest

from lineage.model.access import TABLE, Act, Actor, Role, authorize
from lineage.model.errors import Conflict, Denied, UsageError
from lineage.model.project import Visibility
from lineage.model.run import Resume, Start, decide_start

STARTS: dict[tuple[Resume | None, bool], Start | None] = {
    (None, False): Start.CREATE,
    (None, True): Start.REPLACE,
    (Resume.ALLOW, False): Start.CREATE,
    (Resume.ALLOW, True): Start.RESUME,
    (Resume.AUTO, False): Start.CREATE,
    (Resume.AUTO, True): Start.RESUME,
    (Resume.NEVER, False): Start.CREATE,
    (Resume.NEVER, True): None,
    (Resume.MUST, False): None,
    (Resume.MUST, True): Start.RESUME,
}


def test_the_resume_table() -> None:
    """Every mode with an id that is there and one that is not."""
    assert set(itertools.product((None, *Resume), (False, True))) == set(STARTS)
    for (mode, exists), expected in STARTS.items():
        if expected is not None:
            assert expected is decide_start(mode, "r1", exists=exists)
        else:
            with pytest.raises(Conflict, match=f"'r1'.*{mode}"):
                decide_start(mode, "r1", exists=exists)


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        (None, None),
        (False, None),
        ("", None),
        (True, Resume.AUTO),
        ("allow", Resume.ALLOW),
        ("MUST", Resume.MUST),
        (Resume.NEVER, Resume.NEVER),
    ],
)
def test_resume_modes(value: object, mode: Resume | None) -> None:
    """Text and the old booleans."""
    assert mode is Resume.of(value)


@pytest.mark.parametrize("value", ["yes", 3, "allow ", [], object()])
def test_no_such_mode(value: object) -> None:
    """Anything else is refused with the list of modes."""
    with pytest.raises(UsageError, match="allow, must, never, auto"):
        Resume.of(value)


LOOK, WORK, ALL = {Act.READ}, {Act.READ, Act.WRITE}, set(Act)
MATRIX: dict[Role, tuple[set[Act], set[Act], set[Act]]] = {
    Role.VISITOR: (set(), LOOK, LOOK),
    Role.OUTSIDER: (set(), LOOK, WORK),
    Role.SERVICE: (WORK, WORK, WORK),
    Role.MEMBER: (WORK, WORK, WORK),
    Role.ADMIN: (ALL, ALL, ALL),
}


def test_the_access_table() -> None:
    """Every role, visibility and act: allowed as the matrix says, else refused with actor, act and thing."""
    assert set(Role) == set(MATRIX) == set(TABLE)
    for role, visibility, act in itertools.product(Role, Visibility, Act):
        column = (Visibility.PRIVATE, Visibility.PUBLIC, Visibility.OPEN).index(visibility)
        if act in MATRIX[role][column]:
            authorize(Actor("ann", role), act, visibility, "project e/p")
        else:
            with pytest.raises(Denied, match=f"ann.*{role}.*{act}.*project e/p"):
                authorize(Actor("ann", role), act, visibility, "project e/p")
