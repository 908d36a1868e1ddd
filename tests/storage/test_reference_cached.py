"""Pinned bytes are fetched once and then come from the bounded cache, as far as their pin allows."""

import io
from pathlib import Path

import pytest

from storage.blob.cache import Cache
from storage.entry import Entry, Pin
from storage.errors import ReferenceMissing
from storage.transfer import reference
from storage.transfer.reference.cached import is_keepable
from tests.faults.s3 import Service


def fetched(entry: Entry, cache: Cache) -> bytes:
    out = io.BytesIO()
    reference.fetch_cached(entry, out, cache)
    return out.getvalue()


def test_a_pinned_version_is_fetched_once(s3: Service, tmp_path: Path) -> None:
    """The second fetch is served from the cache, even when the bucket has lost the version meanwhile."""
    bucket = s3.bucket(versioned=True)
    version = s3.put(bucket, "a.bin", b"pinned bytes")["VersionId"]
    (entry,) = reference.pin(f"s3://{bucket}/a.bin")
    cache = Cache(tmp_path / "cache")
    assert b"pinned bytes" == fetched(entry, cache)

    s3.client.delete_object(Bucket=bucket, Key="a.bin", VersionId=version)

    assert b"pinned bytes" == fetched(entry, cache)
    with pytest.raises(ReferenceMissing):
        fetched(entry, Cache(tmp_path / "empty"))


@pytest.mark.fault("H14")
def test_a_rotten_cache_is_noticed_and_fetched_anew(s3: Service, tmp_path: Path) -> None:
    """A flipped bit in the cache never reaches a reader."""
    bucket = s3.bucket()
    s3.put(bucket, "a.bin", b"pinned bytes")
    (entry,) = reference.pin(f"s3://{bucket}/a.bin")
    cache = Cache(tmp_path / "cache")
    fetched(entry, cache)
    (kept,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    kept.write_bytes(b"Pinned bytes")

    assert b"pinned bytes" == fetched(entry, cache)


@pytest.mark.fault("S06")
def test_a_cache_that_cannot_be_written_costs_only_time(s3: Service, tmp_path: Path) -> None:
    """Without a usable cache the bytes come straight from where they live."""
    bucket = s3.bucket()
    s3.put(bucket, "a.bin", b"pinned bytes")
    (entry,) = reference.pin(f"s3://{bucket}/a.bin")
    (tmp_path / "proc").symlink_to("/proc/self")

    assert b"pinned bytes" == fetched(entry, Cache(tmp_path / "proc" / "cache"))


@pytest.mark.parametrize(
    ("pin", "size", "expected"),
    [
        (Pin("s3://b/k", "abc"), 1, True),
        (Pin("s3://b/k", None, "v1"), 1, True),
        (Pin("s3://b/k", None, "null"), 1, False),
        (Pin("https://h/k", 'W/"abc"'), 1, False),
        (Pin("https://h/k", None), 1, False),
        (Pin("file:///k", "blake3:abc"), 1, False),
        (Pin("s3://b/k", "abc"), None, False),
        (Pin("s3://b/k", "abc"), 26, False),
        (Pin("gopher://h/k", "abc"), 1, False),
    ],
)
def test_only_what_the_pin_identifies_is_kept(pin: Pin, size: int | None, expected: bool) -> None:
    """Weak or missing validators, local files and what would fill the cache are fetched anew each time."""
    assert expected is is_keepable(pin, size, limit=100)
