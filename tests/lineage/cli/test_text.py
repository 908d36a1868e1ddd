"""Sizes, times and spans."""

import datetime as dt

import pytest

from lineage.cli import text
from lineage.model.errors import InvalidPolicy
from lineage.model.retention import ArtifactTTL, Policy

NOW = dt.datetime(2026, 1, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize(("count", "shown"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")])
def test_a_size_has_a_unit(count: int, shown: str) -> None:
    """Binary units, one digit behind the point."""
    assert shown == text.size(count)


@pytest.mark.parametrize(("stated", "seconds"), [("30d", 2_592_000), ("12h", 43_200), ("1w2d", 777_600), ("1.5h", 5400), ("1s", 1)])
def test_a_span_is_read(stated: str, seconds: int) -> None:
    """Numbers with units, added up."""
    assert dt.timedelta(seconds=seconds) == text.parse_ttl(stated)


def test_never_and_inherit_are_words() -> None:
    """A lifetime without end, and one that type and project decide."""
    assert text.parse_ttl("never") is None
    assert ArtifactTTL.INHERIT is text.parse_ttl("inherit")


@pytest.mark.parametrize("stated", ["", "30", "d", "0s", "-1d", "1 day", "٣d", "999999999w999999999w"])
def test_nonsense_is_no_span(stated: str) -> None:
    """It is refused by name, nothing is guessed."""
    with pytest.raises(InvalidPolicy):
        text.parse_ttl(stated)


@pytest.mark.parametrize("stated", ["1w2d", "90s", "1h30m", "never", "inherit"])
def test_a_policy_prints_as_it_is_read(stated: str) -> None:
    """What is shown may be typed."""
    policy = Policy.of(text.parse_ttl(stated))
    assert policy == Policy.of(text.parse_ttl(text.ttl(policy)))


def test_times_are_told_from_now() -> None:
    """In the past, in the future, and never."""
    assert "3 d ago" == text.ago(NOW - dt.timedelta(days=3, hours=2), NOW)
    assert "in 5 min" == text.ago(NOW + dt.timedelta(minutes=5), NOW)
    assert "now" == text.ago(NOW, NOW)
    assert "–" == text.ago(None, NOW)
