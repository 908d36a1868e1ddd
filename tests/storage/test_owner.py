"""A place for bytes has one owner, which is said there; the directory that owns it remembers where it is."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from storage.blob.home import Home, owned
from storage.blob.local import LocalBackend
from storage.blob.owner import Owned, Premises
from storage.errors import InvalidStore, PackageMissing, ReadOnlyStore, RemoteUnavailable, UnknownFormat
from storage.layout import StoreFormat
from storage.location import Location
from tests.contracts.backend import content, key_of, put, staged
from tests.faults.proxy import FOREVER, Fault, Proxy
from tests.faults.s3 import Service

Place = Callable[[], str]


@pytest.fixture(params=["memory", "file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place nobody owns yet."""
    if request.param == "s3":
        service: Service = request.getfixturevalue("s3")
        return f"s3://{service.bucket()}/some/prefix"
    return f"memory://{uuid.uuid4()}/a" if request.param == "memory" else f"file://{tmp_path}/disk"


def test_a_home_remembers_where_its_bytes_are(url: str, tmp_path: Path) -> None:
    """Opened later without saying so, it finds them; nothing of them is in its directory."""
    [key] = put(Home.create_or_open(tmp_path / "home", store=url).backend, b"data")
    again = Home.open(tmp_path / "home")

    assert again is not None
    assert url == again.place == str(again.format.location)
    assert b"data" == content(again.backend.read(key))
    assert not (tmp_path / "home/objects").exists()
    assert [] == list((tmp_path / "home/staging").glob("*") if (tmp_path / "home/staging").exists() else [])


def test_nothing_that_waits_to_be_sent_is_flushed(url: str, tmp_path: Path, effects: list[tuple[str, str]]) -> None:
    """A far place makes durable; a mounted disk is flushed like any other."""
    backend = Home.create_or_open(tmp_path / "home", store=url).backend
    staged(backend, b"first").drop()  # the place is claimed, which writes
    effects.clear()
    with backend.stage("s") as piece:
        piece.write(b"data")
    piece.hurry()
    piece.flush()
    backend.publish([(piece, key_of(b"data"))])

    assert url.startswith("file") == any(effect.startswith("fsync") for effect, _ in effects)


def test_the_largest_object_is_known(url: str, tmp_path: Path) -> None:
    """Whoever takes in a file can ask before he sends it."""
    assert (5 << 40 if url.startswith("s3") else None) == Home.create_or_open(tmp_path / "home", store=url).backend.largest


def test_another_url_is_refused(url: str, tmp_path: Path) -> None:
    """A home whose bytes are in one place is not opened as if they were in another; both are named."""
    Home.create_or_open(tmp_path / "home", store=url)
    for opening in (Home.open, lambda root, store: Home.create_or_open(root, store=store)):
        with pytest.raises(InvalidStore, match="elsewhere") as caught:
            opening(tmp_path / "home", "memory://elsewhere")
        assert url in str(caught.value)
    Home.create_or_open(tmp_path / "home", store=f"{url}/")


def test_a_local_home_does_not_move(tmp_path: Path) -> None:
    """A home with its bytes in its directory is refused where a URL is asked for."""
    Home.create_or_open(tmp_path / "home")
    with pytest.raises(InvalidStore, match="home"):
        Home.open(tmp_path / "home", "memory://elsewhere")


def test_a_second_home_on_one_place_is_refused(url: str, tmp_path: Path) -> None:
    """Naming the owner and the way out, and leaving no trace."""
    first = Home.create_or_open(tmp_path / "one", store=url)
    with pytest.raises(InvalidStore, match="adopt") as caught:
        Home.create_or_open(tmp_path / "two", store=url)

    assert first.format.store in str(caught.value)
    assert not (tmp_path / "two").exists()
    put(first.backend, b"still its own")


def test_adopting_is_asked_for(url: str, tmp_path: Path) -> None:
    """Whoever names the former owner takes the place over; the former owner then reads and writes nothing any more."""
    first = Home.create_or_open(tmp_path / "one", store=url)
    [key] = put(first.backend, b"data")
    with pytest.raises(InvalidStore, match="nothing was adopted"):
        Home.create_or_open(tmp_path / "two", store=url, adopt="0" * 32)
    assert not (tmp_path / "two").exists()
    second = Home.create_or_open(tmp_path / "two", store=url, adopt=first.format.store)

    assert b"data" == content(second.backend.read(key))
    put(second.backend, b"more")
    former = Home.open(tmp_path / "one")
    assert former is not None
    for write in (lambda: former.backend.stage("s"), lambda: former.backend.remove(key), lambda: former.backend.remove_many([key])):
        with pytest.raises(InvalidStore, match=second.format.store):
            write()
    assert b"data" == content(second.backend.read(key))


def test_the_former_owner_is_told_while_it_is_open(url: str, tmp_path: Path) -> None:
    """A process that was sure of the place before it was taken over removes nothing there any more."""
    first = Home.create_or_open(tmp_path / "one", store=url)
    [key] = put(first.backend, b"data")
    second = Home.create_or_open(tmp_path / "two", store=url, adopt=first.format.store)
    for remove in (first.backend.remove, first.backend.quarantine, lambda key: first.backend.remove_many([key])):
        with pytest.raises(InvalidStore, match=second.format.store):
            remove(key)

    assert b"data" == content(second.backend.read(key))


class Emptied:
    """A place where the first look finds nothing, because somebody else is just about to write his mark; then it is as it is."""

    def __init__(self, premises: Premises) -> None:
        self._premises, self._was_asked = premises, False

    def read_mark(self) -> bytes | None:
        is_first, self._was_asked = not self._was_asked, True
        return None if is_first else self._premises.read_mark()

    def write_mark(self, text: bytes, *, only_new: bool) -> None:
        self._premises.write_mark(text, only_new=only_new)

    def learn(self, *, is_conditional: bool) -> None:
        self._premises.learn(is_conditional=is_conditional)


@pytest.mark.fault("R11")
def test_two_homes_that_both_found_a_place_empty(s3_proxy: Proxy, s3: Service, tmp_path: Path) -> None:
    """Where a service ignores conditions both have marked it: the mark that stands decides, and the other publishes and removes nothing."""
    url = f"s3://{s3.bucket()}/raced"
    s3_proxy.plan(Fault("PUT", without="If-None-Match", times=FOREVER))
    first = Home.create_or_open(tmp_path / "one", store=url)
    [key] = put(first.backend, b"data")

    (tmp_path / "two").mkdir()
    second = owned(Location.parse(url), LocalBackend(tmp_path / "two"), StoreFormat("2" * 32))
    second.premises = Emptied(second.premises)
    second.claim()

    with pytest.raises(InvalidStore, match="2" * 32):
        put(first.backend, b"never acknowledged")
    with pytest.raises(InvalidStore, match="2" * 32):
        first.backend.remove(key)
    put(second, b"the place's owner")
    again = Home.open(tmp_path / "one")
    assert again is not None
    with pytest.raises(InvalidStore, match="2" * 32):
        put(again.backend, b"never acknowledged")
    assert b"data" == content(again.backend.read(key))


def test_a_place_that_lost_its_mark_is_not_marked_again(url: str, tmp_path: Path) -> None:
    """While the store is open: a disk that was unmounted, a bucket that was emptied. Nothing is called removed there."""
    backend = Home.create_or_open(tmp_path / "home", store=url).backend
    [key] = put(backend, b"data")
    assert isinstance(backend, Owned)
    backend.premises = Emptied(backend.premises)
    with pytest.raises(RemoteUnavailable, match="any more"):
        backend.remove(key)

    assert b"data" == content(backend.read(key))


def test_adopting_needs_the_same_digests(url: str, tmp_path: Path) -> None:
    """A store named by other digests cannot take a place over."""
    first = Home.create_or_open(tmp_path / "one", "sha256", store=url)
    with pytest.raises(InvalidStore, match="--digest sha256"):
        Home.create_or_open(tmp_path / "two", "blake3", store=url, adopt=first.format.store)

    assert not (tmp_path / "two").exists()


def test_nothing_is_adopted_where_nothing_is(url: str, tmp_path: Path) -> None:
    """A place without an owner cannot be taken over from one, and a directory is nobody else's."""
    with pytest.raises(InvalidStore, match="nobody"):
        Home.create_or_open(tmp_path / "one", store=url, adopt="0" * 32)
    assert not (tmp_path / "one").exists()
    with pytest.raises(InvalidStore, match="nothing to adopt"):
        Home.create_or_open(tmp_path / "local").adopt("0" * 32)


def test_a_foreign_mark_is_refused(tmp_path: Path) -> None:
    """What stands in the mark's place and is none is not overwritten."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/lineage-store.json").write_text("mine")
    with pytest.raises(UnknownFormat, match=r"lineage-store\.json"):
        Home.create_or_open(tmp_path / "home", store=f"file://{tmp_path}/disk")

    assert "mine" == (tmp_path / "disk/lineage-store.json").read_text()


@pytest.mark.fault("R05")
@pytest.mark.parametrize("scheme", ["memory"])
def test_a_place_that_lost_its_mark_is_not_empty(tmp_path: Path, scheme: str) -> None:
    """Where nothing is found, not even the mark, nothing is said about any key: it is the wrong place, or a disk is not mounted."""
    import fsspec

    name = f"{scheme}://{uuid.uuid4()}"
    backend = Home.create_or_open(tmp_path / "home", store=name).backend
    [key] = put(backend, b"data")
    fsspec.filesystem("memory").rm(name.partition("://")[2], recursive=True)

    for call in (backend.read, backend.size):
        with pytest.raises(RemoteUnavailable, match="is the place still there"):
            call(key)


@pytest.mark.fault("S17")
def test_a_newer_format_writes_nothing_far_away(url: str, tmp_path: Path) -> None:
    """A store of a newer minor version reads from its place, and refuses to write there."""
    home = Home.create_or_open(tmp_path / "home", store=url)
    [key] = put(home.backend, b"data")
    (tmp_path / "home/format.json").write_text(replace(home.format, minor=7).print())
    newer = Home.open(tmp_path / "home")

    assert newer is not None
    assert b"data" == content(newer.backend.read(key))
    for write in (lambda: staged(newer.backend, b"more"), lambda: newer.backend.remove(key)):
        with pytest.raises(ReadOnlyStore, match="newer"):
            write()


def test_opening_asks_nothing_of_the_network(tmp_path: Path) -> None:
    """A home opens, and its catalogue answers, while the place of its bytes is out of reach."""
    home = Home.create_or_open(tmp_path / "home")
    elsewhere = replace(home.format, location=Location.parse("gs://bucket/prefix"))
    (tmp_path / "home/format.json").write_text(elsewhere.print())
    opened = Home.open(tmp_path / "home")

    assert opened is not None
    assert "gs://bucket/prefix" == opened.place
    assert opened.format == Home.create_or_open(tmp_path / "home").format
    assert not isinstance(opened.backend, LocalBackend)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("s3://bucket/prefix/", "s3://bucket/prefix"),
        ("S3://bucket", "s3://bucket"),
        ("s3a://bucket/a/b", "s3://bucket/a/b"),
        ("gcs://bucket/a", "gs://bucket/a"),
        ("abfs://container@account.dfs.core.windows.net/a", "abfs://container@account.dfs.core.windows.net/a"),
        ("file:///mnt/disk/", "file:///mnt/disk"),
        ("memory://x", "memory://x"),
    ],
)
def test_texts_that_mean_one_place_are_one_location(text: str, wanted: str) -> None:
    """Printing and parsing are inverses."""
    found = Location.parse(text)

    assert wanted == str(found)
    assert found == Location.parse(str(found))


@pytest.mark.parametrize(
    "text",
    [
        "", "bucket/prefix", "/var/store", "s3:bucket", "s3://", "s3:///key", "s3://b!/x", "s3://bucket/../other", "s3://bucket//x",
        "s3://bucket/x?versionId=1", "s3://bucket/x#y", "s3://bucket/a\x00b", "file://host/x", "file:///", "http://host/x", "https://host/x",
        "simplecache::s3://bucket/x", "zip://x.zip", "s3://key:hunter2@bucket/x", "gs://bucket/x?token=hunter2", "nothing-speaks-this://x",
    ],
)  # fmt: skip
def test_what_cannot_be_a_store_is_refused(text: str, tmp_path: Path) -> None:
    """Before anything is made, and without repeating a secret."""
    with pytest.raises(InvalidStore) as caught:
        Home.create_or_open(tmp_path / "home", store=text)

    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "home").exists()


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    """With the command that installs it; nothing was made."""
    with pytest.raises(PackageMissing, match="pip install ossfs"):
        Home.create_or_open(tmp_path / "home", store="oss://bucket/prefix")

    assert not (tmp_path / "home").exists()
