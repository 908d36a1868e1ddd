"""How long versions are kept: policies, inheritance, plans and the clocks they do not trust."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.model.errors import InvalidPolicy
from lineage.model.retention import BACKSLIDE, LEAP, MOST_WITHOUT_ASKING, TTL, ArtifactTTL, Candidate, Policy, Verdict, moment, plan

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [
        (dt.timedelta(microseconds=1), 1),
        (SECOND, 1),
        (dt.timedelta(seconds=1, microseconds=1), 2),
        (dt.timedelta(days=30), 2_592_000),
        (dt.timedelta(days=900_000, microseconds=1), 900_000 * 86_400 + 1),
    ],
)
def test_any_positive_length_rounded_up(ttl: dt.timedelta, seconds: int) -> None:
    """A length is kept in whole seconds, never fewer than asked for and never none."""
    assert Policy(False, seconds) == Policy.of(ttl)


@given(st.timedeltas(min_value=dt.timedelta(microseconds=1)))
def test_a_policy_says_what_was_asked(ttl: dt.timedelta) -> None:
    """What a policy gives back is the length asked for, or up to a second more."""
    value = Policy.of(ttl).value
    assert isinstance(value, dt.timedelta)
    assert value == ttl or (ttl < value < ttl + SECOND if ttl < dt.timedelta.max - SECOND else value > ttl - SECOND)


@pytest.mark.parametrize("ttl", [dt.timedelta(0), dt.timedelta(-1), 30, 1.5, "30d", True, False, dt.date(2026, 1, 1), [None]])
def test_what_is_no_ttl(ttl: object) -> None:
    """Zero, less, numbers and text are refused; nothing means "disabled" but None."""
    with pytest.raises(InvalidPolicy, match="ttl"):
        Policy.of(ttl)


NEVER, INHERIT, DAY, WEEK = Policy.of(None), Policy.of(ArtifactTTL.INHERIT), Policy.of(dt.timedelta(1)), Policy.of(dt.timedelta(7))


@pytest.mark.parametrize(
    ("own", "of_type", "of_project", "applied"),
    [
        (DAY, WEEK, NEVER, DAY),
        (NEVER, DAY, DAY, NEVER),
        (INHERIT, DAY, WEEK, DAY),
        (INHERIT, NEVER, DAY, NEVER),
        (INHERIT, INHERIT, WEEK, WEEK),
        (INHERIT, INHERIT, INHERIT, NEVER),
    ],
)
def test_inheritance(own: Policy, of_type: Policy, of_project: Policy, applied: Policy) -> None:
    """The version's own policy, else its type's, else the project's, else never."""
    assert applied == own.effective(of_type, of_project)


@pytest.mark.parametrize("ttl", [None, ArtifactTTL.INHERIT, dt.timedelta(days=3)])
def test_policies_print_what_they_were_made_of(ttl: TTL) -> None:
    """`value` is the inverse of `of`."""
    assert ttl == Policy.of(ttl).value


def test_due() -> None:
    """A TTL counts from creation; what lies beyond the calendar never comes."""
    assert NOON + dt.timedelta(1) == DAY.due(NOON)
    assert [None, None, None] == [policy.due(NOON) for policy in (NEVER, INHERIT, Policy.of(dt.timedelta.max))]


def candidate(version: int, due: dt.datetime = NOON, **holds: object) -> Candidate:
    return Candidate(version, f"e/p/a:v{version}", 10, due, "its own TTL ended", **holds)  # type: ignore[arg-type]  # a test's shorthand


@pytest.mark.fault("I-12")
@pytest.mark.parametrize(
    ("holds", "reason"),
    [
        ({"is_held": True}, "held"),
        ({"protected_by": ("prod", "gold")}, "protected by alias prod, gold"),
        ({"in_use_by": ("r1",)}, "in use by running r1"),
    ],
)
def test_what_is_held_is_skipped(holds: dict[str, object], reason: str) -> None:
    """Held, protected and used versions stay, and the plan says why."""
    found = plan([candidate(1, **holds), candidate(2)], NOON, (), 2)
    assert [(1, Verdict.SKIP), (2, Verdict.EXPIRE)] == [(line.version, line.verdict) for line in found.lines]
    assert f"its own TTL ended, but {reason}" == found.skipped[0].reason
    assert (10, (2,), ()) == (found.size, tuple(line.version for line in found.expiring), found.doubts)


def test_oldest_first() -> None:
    """A plan lists what was due first first, whatever order it was found in."""
    found = plan([candidate(3, NOON), candidate(2, NOON - SECOND), candidate(1, NOON)], NOON, (), 3)
    assert [2, 1, 3] == [line.version for line in found.lines]


@pytest.mark.fault("G19", "G23")
@pytest.mark.parametrize(
    ("expiring", "versions", "asks"), [(1_000, 1_000, False), (1_001, 1_001, True), (1_001, 10_010, False), (1_002, 10_010, True)]
)
def test_many_at_once_are_asked_about(expiring: int, versions: int, asks: bool) -> None:
    """More than a thousand versions, or a tenth of all if that is more, are not expired without a person."""
    found = plan([candidate(number) for number in range(expiring)], NOON, (), versions)
    assert asks == bool(found.doubts)
    assert MOST_WITHOUT_ASKING == 1_000


def test_what_is_skipped_does_not_count_as_many() -> None:
    """Held versions are no reason to ask."""
    assert () == plan([candidate(number, is_held=True) for number in range(2_000)], NOON, (), 2_000).doubts


@pytest.mark.fault("G19", "G20", "I-13")
@pytest.mark.parametrize(
    ("wall", "now", "doubt"),
    [
        (NOON, NOON, None),
        (NOON + LEAP, NOON + LEAP, None),
        (NOON + LEAP + SECOND, NOON + LEAP + SECOND, "2 days ahead"),
        (NOON + dt.timedelta(365), NOON + dt.timedelta(365), "365 days ahead"),
        (NOON - BACKSLIDE, NOON, None),
        (NOON - BACKSLIDE - SECOND, NOON, "earlier than the last run"),
        (NOON - dt.timedelta(365), NOON, "earlier than the last run"),
    ],
)
def test_clocks_that_leap(wall: dt.datetime, now: dt.datetime, doubt: str | None) -> None:
    """Time never runs backward; a clock far off either way is a doubt."""
    found, doubts = moment(wall, NOON)
    assert now == found
    assert (doubt is None and doubts == ()) or (doubt is not None and doubt in doubts[0])


def test_the_first_run_trusts_the_clock() -> None:
    """Without a last run there is nothing to compare with."""
    assert (NOON, ()) == moment(NOON, None)


@given(st.lists(st.integers(0, 10**10).map(lambda seconds: NOON + dt.timedelta(seconds=seconds)), min_size=1, max_size=8))
def test_time_is_monotone(walls: list[dt.datetime]) -> None:
    """However the clock jumps, the time plans go by never decreases."""
    last = None
    for wall in walls:
        now, _ = moment(wall, last)
        assert last is None or now >= last
        last = now
