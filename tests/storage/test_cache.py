"""The cache serves what was put, verified, within its bound, and never takes from a living writer."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.blob.cache import Cache
from storage.digest import Blob
from storage.errors import StoreFull


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_serves_what_was_put(tmp_path: Path) -> None:
    """What was put under a key is found under it, and nothing under any other."""
    cache = Cache(tmp_path / "cache")
    path = cache.put("s3://b/k?versionId=1", [b"one", b"two"])

    assert b"onetwo" == path.read_bytes()
    assert path == cache.get("s3://b/k?versionId=1") == Cache(tmp_path / "cache").get("s3://b/k?versionId=1", Blob.of(b"onetwo"))
    assert cache.get("s3://b/k") is None
    assert cache.get("s3://b/k?versionId=1", Blob.of(b"other")) is None


def test_an_absent_cache_is_empty(tmp_path: Path) -> None:
    """Asking a cache that is not there makes nothing."""
    assert Cache(tmp_path / "cache").get("key") is None
    assert [] == list(tmp_path.iterdir())


@pytest.mark.fault("H14", "H17")
def test_rot_is_not_served(tmp_path: Path) -> None:
    """An entry whose bytes changed, at the same size, is dropped, and can be put again."""
    cache = Cache(tmp_path)
    path = cache.put("key", [b"right"])
    path.write_bytes(b"wrong")

    assert cache.get("key") is None
    assert [] == files(tmp_path)
    assert b"right" == cache.put("key", [b"right"]).read_bytes()


def test_the_latest_stands(tmp_path: Path) -> None:
    """Putting other bytes under a key replaces what was there."""
    cache = Cache(tmp_path)
    cache.put("key", [b"old"])
    cache.put("key", [b"new!"])

    assert b"new!" == cache.get("key").read_bytes()  # type: ignore[union-attr]
    assert 1 == len(files(tmp_path))


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    """Beyond the limit what was not used for longest is evicted; a hit counts as use."""
    cache = Cache(tmp_path, limit=10_000)
    for number in range(9):
        os.utime(cache.put(f"{number}", [bytes(1000)]), (number, number))
    assert cache.get("0") is not None
    for number in range(9, 13):
        os.utime(cache.put(f"{number}", [bytes(1000)]), (number, number))

    assert cache.get("0") is not None
    assert cache.get("1") is None
    assert cache.get("12") is not None
    assert 10_000 >= sum(path.stat().st_size for path in files(tmp_path))


def test_an_entry_larger_than_the_limit(tmp_path: Path) -> None:
    """The newest entry stays even when it alone is over the limit: somebody is about to read it."""
    cache = Cache(tmp_path, limit=100)
    cache.put("small", [bytes(50)])
    path = cache.put("huge", [bytes(1000)])

    assert [path] == files(tmp_path)


@pytest.mark.fault("S16")
def test_a_living_writer_is_never_evicted(tmp_path: Path) -> None:
    """While one writes slowly, others fill the cache over its limit; what he writes is there in the end."""
    slow, fast = Cache(tmp_path, limit=1000), Cache(tmp_path, limit=1000)

    def pieces() -> Iterator[bytes]:
        yield bytes(400)
        for number in range(20):
            fast.put(f"{number}", [bytes(300)])
        yield bytes(400)

    assert bytes(800) == slow.put("slow", pieces()).read_bytes()


def test_a_failed_source_leaves_nothing(tmp_path: Path) -> None:
    """When the bytes stop coming the entry is as it was, also on an interrupt."""
    cache = Cache(tmp_path)
    cache.put("key", [b"old"])

    def pieces() -> Iterator[bytes]:
        yield b"ne"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.put("key", pieces())
    assert b"old" == cache.get("key").read_bytes()  # type: ignore[union-attr]
    assert 1 == len(files(tmp_path))


@pytest.mark.fault("S04")
def test_a_full_disk(tmp_path: Path, failing: Callable[[int, int], None]) -> None:
    """A full disk is said to be one, and leaves no part."""
    failing(errno.ENOSPC, 4)
    with pytest.raises(StoreFull):
        Cache(tmp_path).put("key", [bytes(10)] * 10)

    assert [] == files(tmp_path)


@pytest.mark.fault("S11")
def test_it_is_private(tmp_path: Path) -> None:
    """Directories and files are for their owner alone, whatever the umask."""
    before = os.umask(0)
    try:
        path = Cache(tmp_path / "cache").put("key", [b"x"])
    finally:
        os.umask(before)

    assert [0o600, 0o700, 0o700] == [thing.stat().st_mode & 0o777 for thing in (path, path.parent, path.parent.parent)]
