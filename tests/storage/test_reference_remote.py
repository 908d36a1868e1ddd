"""References through fsspec: what a provider states is kept, conditions are kept to, and what is not strong says so.

Google and Azure are played by hand-written servers (`tests/faults/cloud.py`) that the real gcsfs and adlfs speak to; FTP is a real server.
"""

import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.entry import Entry, Pin
from storage.errors import (
    InvalidReference,
    PackageMissing,
    ReferenceChanged,
    ReferenceMissing,
    RemoteUnavailable,
    TooManyObjects,
    Unreadable,
    VersionGone,
)
from storage.transfer import reference
from storage.transfer.reference import Standing, survey
from storage.transfer.reference.provider import azure as azure_room
from storage.transfer.reference.provider import google as google_room
from tests.faults.cloud import Azure, Cloud, Google

BOTH = pytest.mark.parametrize("cloud", ["gs", "az"], indirect=True)


class Place:
    """One of the two services, and how its URIs begin."""

    def __init__(self, service: Cloud, scheme: str) -> None:
        self.service, self.scheme = service, scheme

    def uri(self, key: str = "") -> str:
        return f"{self.scheme}://bucket/{key}"

    def put(self, key: str, data: bytes, *, keep: bool = False) -> int:
        return self.service.put("bucket", key, data, keep=keep)


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, Cloud]]:
    """Both, for all tests of this file: a new address would cost every test a new client."""
    with Google() as google, Azure(versioned=True) as azure:
        yield {"gs": google, "az": azure}


@pytest.fixture
def cloud(services: dict[str, Cloud], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    service = services[request.param]
    service.objects.clear()
    service.requests.clear()
    service.refuse.clear()
    service.cut.clear()
    service.before_answer, service.page = (lambda: None), 1000
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", service.url)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", service.connection if isinstance(service, Azure) else "")
    return Place(service, request.param)


def fetched(entry: Entry) -> bytes:
    out = io.BytesIO()
    reference.fetch(entry, out)
    return out.getvalue()


def asked(entries: list[Entry]) -> dict[int, object]:
    """How many stand, asked together, by their place in the list."""
    return dict(reference.standings(reference.Asked(n, entry.pin, entry.size) for n, entry in enumerate(entries) if entry.pin))


def standing(entry: Entry) -> Standing:
    assert entry.pin is not None
    return reference.check(entry.pin, entry.size)


@BOTH
def test_identity_comes_from_one_response(cloud: Place) -> None:
    """Generation or version, etag, MD5 and size, all of one answer; fetched and found unchanged."""
    number = cloud.put("data/a.csv", b"hello")

    (entry,) = reference.pin(cloud.uri("data/a.csv"))

    assert 1 == len(cloud.service.requests)
    assert ("a.csv", 5, cloud.uri("data/a.csv")) == (entry.path, entry.size, entry.pin and entry.pin.uri)
    assert "md5:5d41402abc4b2a76b9719d911017c592" == entry.extra["checksum"]
    assert str(number) in entry.extra["versionID"]
    assert entry.extra["etag"]
    assert b"hello" == fetched(entry)
    assert Standing.OK is standing(entry)


@BOTH
@pytest.mark.fault("R22", "H10")
def test_a_prefix_is_a_path_prefix_and_keeps_empty_objects(cloud: Place) -> None:
    """Not its sibling, not directory markers, but every object below, page after page; keys are literal."""
    cloud.service.page = 2
    for key in ("dir/a b+c", "dir/sub/ä?#", "dir/empty", "dir/sub/", "dir2/x"):
        cloud.put(key, b"" if key.endswith(("/", "empty")) else key.encode())

    entries = reference.pin(cloud.uri("dir"))

    assert ["a b+c", "empty", "sub/ä?#"] == [entry.path for entry in entries]
    assert [b"dir/a b+c", b"", "dir/sub/ä?#".encode()] == [fetched(entry) for entry in entries]
    assert ["x/a b+c", "x/empty", "x/sub/ä?#"] == [entry.path for entry in reference.pin(cloud.uri("dir/"), "x")]
    assert 4 == len(reference.pin(cloud.uri()))


@BOTH
@pytest.mark.fault("R23")
def test_going_over_the_limit_is_found_out_page_by_page(cloud: Place) -> None:
    """An error after the first page that is too much, never a shorter artifact; nothing there is an error unless meant."""
    cloud.service.page = 2
    for number in range(9):
        cloud.put(f"d/{number}", b"x")

    with pytest.raises(TooManyObjects):
        reference.pin(cloud.uri("d/"), max_objects=3)
    assert 2 == len(cloud.service.requests)
    with pytest.raises(ReferenceMissing):
        reference.pin(cloud.uri("none/"))
    assert [] == reference.pin(cloud.uri("none/"), allow_empty=True)


@BOTH
@pytest.mark.fault("R21")
def test_keys_that_cannot_be_entries_are_all_listed(cloud: Place) -> None:
    """The whole is refused."""
    for key in ("d/ok", "d/../x", "d/a//b"):
        cloud.put(key, b"x")

    with pytest.raises(InvalidReference) as caught:
        reference.pin(cloud.uri("d/"))
    assert all(repr(key) in str(caught.value) for key in ("../x", "a//b"))


@BOTH
@pytest.mark.fault("X05")
def test_an_overwritten_object_has_changed_and_a_removed_one_is_missing(cloud: Place) -> None:
    """Not one byte of the other object is written."""
    cloud.put("k", b"first")
    (entry,) = reference.pin(cloud.uri("k"))
    cloud.put("k", b"other")
    out = io.BytesIO()

    with pytest.raises(ReferenceChanged):
        reference.fetch(entry, out)
    assert b"" == out.getvalue()
    assert Standing.DRIFTED is standing(entry)
    cloud.service.remove("bucket", "k")
    assert Standing.MISSING is standing(entry)
    with pytest.raises(VersionGone):
        fetched(entry)


@BOTH
@pytest.mark.fault("R17")
def test_a_version_that_is_kept_is_what_comes(cloud: Place) -> None:
    """Overwritten where versions are kept, the pinned one is still read and still right; named in the URI it is the one pinned."""
    number = cloud.put("k", b"first")
    (entry,) = reference.pin(cloud.uri("k"))
    cloud.put("k", b"the second", keep=True)
    mark = f"#{number}" if cloud.scheme == "gs" else f"?versionid=v{number}"

    assert b"first" == fetched(entry)
    assert Standing.OK is standing(entry)
    assert [entry] == reference.pin(cloud.uri("k") + mark)
    assert b"first" == fetched(reference.pin(cloud.uri("k") + mark, checksum=False)[0])
    cloud.put("k", b"and the third")
    with pytest.raises(VersionGone):
        reference.pin(cloud.uri("k") + mark)


@BOTH
@pytest.mark.fault("R06")
def test_an_object_swapped_between_two_ranges_never_mixes(cloud: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every range carries the version or etag: after a swap there is no second half to be had."""
    for room in (google_room, azure_room):
        monkeypatch.setattr(room, "PIECE", 4)
    cloud.put("k", b"aaaaaaaa")
    (entry,) = reference.pin(cloud.uri("k"))
    answers = iter(range(9))
    cloud.service.before_answer = lambda: cloud.put("k", b"bbbbbbbb") if next(answers) == 0 else None
    out = io.BytesIO()

    with pytest.raises((ReferenceChanged, ReferenceMissing)):
        reference.fetch(entry, out)
    assert b"aaaa" == out.getvalue()


@BOTH
@pytest.mark.fault("R06")
def test_an_etag_without_version_conditions_every_range(cloud: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pin out of an Azure listing has no version: the etag alone keeps two objects apart."""
    monkeypatch.setattr(azure_room, "PIECE", 4)
    monkeypatch.setattr(google_room, "PIECE", 4)
    monkeypatch.setattr(cloud.service, "versioned", False, raising=False)
    cloud.put("d/k", b"aaaaaaaa")
    (entry,) = reference.pin(cloud.uri("d/"))
    answers = iter(range(9))
    cloud.service.before_answer = lambda: cloud.put("d/k", b"bbbbbbbb", keep=True) if next(answers) == 0 else None

    if cloud.scheme == "gs":
        assert b"aaaaaaaa" == fetched(entry)
    else:
        assert "versionID" not in entry.extra
        with pytest.raises(ReferenceChanged):
            fetched(entry)


@BOTH
@pytest.mark.fault("R15", "R05")
def test_a_refusal_and_a_failure_are_never_absence(cloud: Place) -> None:
    """403 is a matter of permission, whatever else is no answer."""
    cloud.put("k", b"x")
    (entry,) = reference.pin(cloud.uri("k"))
    cloud.service.refuse["bucket"] = 403

    for act in (lambda: reference.pin(cloud.uri("k"), allow_empty=True), lambda: fetched(entry), lambda: standing(entry)):
        with pytest.raises(Unreadable):
            act()
    cloud.service.refuse["bucket"] = 418
    with pytest.raises(RemoteUnavailable):
        standing(entry)


@BOTH
def test_checking_is_one_request_and_unchecked_is_none(cloud: Place) -> None:
    """And an unchecked pin stands unpinned."""
    cloud.put("k", b"x")
    (unchecked,) = reference.pin(cloud.uri("k"), checksum=False)
    assert [] == cloud.service.requests
    assert not (unchecked.pin and unchecked.pin.is_verified)
    assert Standing.UNPINNED is standing(unchecked)
    assert b"x" == fetched(unchecked)
    (entry,) = reference.pin(cloud.uri("k"))
    cloud.service.requests.clear()
    standing(entry)
    assert 1 == len(cloud.service.requests)


@BOTH
@pytest.mark.fault("R03")
def test_a_body_cut_short_goes_on_under_the_same_condition(cloud: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What broke off is asked for again by the packages or by us; short bytes are never the answer."""
    for room in (google_room, azure_room):
        monkeypatch.setattr(room, "PIECE", 64)
    data = bytes(range(256))
    cloud.put("k", data)
    (entry,) = reference.pin(cloud.uri("k"))
    cloud.service.cut = [10, 64, 0]

    assert data == fetched(entry)


@BOTH
def test_many_are_checked_by_listing_and_what_it_does_not_show_by_itself(cloud: Place) -> None:
    """Forty objects as they were are the pages of one listing; a changed and a missing one cost what they cost alone."""
    cloud.service.page = 10
    for number in range(40):
        cloud.put(f"d/{number:02}", b"x")
    entries = reference.pin(cloud.uri("d/")) if cloud.scheme == "gs" else [reference.pin(cloud.uri(f"d/{n:02}"))[0] for n in range(40)]
    cloud.service.requests.clear()
    assert {Standing.OK} == set(asked(entries).values())
    assert 4 == len(cloud.service.requests)

    cloud.put("d/07", b"y")
    cloud.service.remove("bucket", "d/09")
    found = asked(entries)
    assert {7: Standing.DRIFTED, 9: Standing.MISSING} == {number: answer for number, answer in found.items() if answer != Standing.OK}
    cloud.service.refuse["prefix="] = 403
    assert found == asked(entries)


@BOTH
def test_a_listing_that_is_far_too_long_is_given_up(cloud: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten pins in a bucket of many objects are ten questions, not the whole bucket."""
    monkeypatch.setattr(survey, "PAGE", 5)
    cloud.service.page = 5
    for number in range(200):
        cloud.put(f"d/{number:03}", b"x")
    entries = [reference.pin(cloud.uri(f"d/{number:03}"))[0] for number in range(0, 200, 20)]
    cloud.service.requests.clear()

    assert {Standing.OK} == set(asked(entries).values())
    assert len(cloud.service.requests) < 10 + 5


def test_a_container_in_front_of_an_account_is_no_user_name() -> None:
    """`abfs://container@account.…` keeps its container, though a user name would have been left out."""
    uri = "abfs://data@acc.dfs.core.windows.net/k"
    (entry,) = reference.pin(uri, checksum=False)
    assert Pin(uri) == entry.pin


@pytest.mark.parametrize(("scheme", "package"), [("gs", "gcsfs"), ("abfs", "adlfs"), ("sftp", "paramiko"), ("smb", "smbprotocol")])
def test_a_missing_package_is_named(scheme: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it; recorded unchecked it is not needed."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, "fsspec.implementations.sftp", None)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a provider that was made before is not asked")

    with pytest.raises(PackageMissing, match=f"pip install {package}"):
        reference.pin(f"{scheme}://account@host/k")
    assert 1 == len(reference.pin(f"{scheme}://host/k", checksum=False))


@pytest.mark.parametrize("uri", ["zip://a.zip", "simplecache::s3://b/k", "filecache://x/y", "data://text", "dir://x"])
def test_a_view_of_another_place_is_refused(uri: str) -> None:
    """Such a URI does not say where the bytes are."""
    with pytest.raises(InvalidReference, match="place"):
        reference.pin(uri, "n")


@pytest.mark.fault("X07")
def test_what_the_engine_keeps_itself_is_no_outside_object(tmp_path: Path) -> None:
    """Neither by its scheme, nor by the directory or the bucket the store is in, nor a directory that holds it."""
    (tmp_path / "home" / "objects").mkdir(parents=True)
    (tmp_path / "home" / "objects" / "x").write_bytes(b"x")
    (tmp_path / "alias").symlink_to(tmp_path / "home")
    home = tmp_path / "home"

    for uri in ("lineage://me/vision/net:best/w", f"file://{home}/objects/x", f"file://{tmp_path}", f"file://{tmp_path}/alias/objects/x"):
        with pytest.raises(InvalidReference):
            reference.pin(uri, "n", own=[home])
    for uri in ("s3://bucket/store", "s3://bucket/store/objects/x"):
        with pytest.raises(InvalidReference, match="itself"):
            reference.pin(uri, "n", own=[home, "s3://bucket/store/"])
    assert 1 == len(reference.pin("s3://bucket/store2/x", checksum=False, own=["s3://bucket/store"]))


def test_an_emulator_others_wrote_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    """`gcp-storage-emulator` keeps no old generations and knows no conditions; what it does know comes out the same."""
    import httpx
    from gcp_storage_emulator.server import create_server

    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    server.start()
    try:
        url = "http://{}:{}".format(*server._api._httpd.server_address)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        for key, data in (("d/a", b"hello"), ("d/e/b", b"yy"), ("d2/c", b"x")):
            sent = httpx.post(f"{url}/upload/storage/v1/b/bucket/o", params={"uploadType": "media", "name": key}, content=data)
            sent.raise_for_status()

        entries = reference.pin("gs://bucket/d")

        assert [("a", 5, b"hello"), ("e/b", 2, b"yy")] == [(entry.path, entry.size, fetched(entry)) for entry in entries]
        assert {Standing.OK} == {standing(entry) for entry in entries}
        httpx.post(f"{url}/upload/storage/v1/b/bucket/o", params={"uploadType": "media", "name": "d/a"}, content=b"HELLO")
        httpx.delete(f"{url}/storage/v1/b/bucket/o/d%2Fe%2Fb")
        assert [Standing.DRIFTED, Standing.MISSING] == [standing(entry) for entry in entries]
        with pytest.raises(ReferenceChanged):
            fetched(entries[0])
    finally:
        server.stop()


# ── file systems without conditions ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def memory() -> Iterator[str]:
    """A directory of fsspec's memory, and nothing in it afterwards."""
    import fsspec

    system = fsspec.filesystem("memory")
    system.pipe({"/refs/a": b"hello", "/refs/b/c": b"x", "/refs/empty": b"", "/refs2/d": b"y"})
    yield "memory://refs"
    system.rm("/refs", recursive=True)
    system.rm("/refs2", recursive=True)


@pytest.mark.fault("X10")
def test_what_states_only_a_time_is_unverified_and_says_so(memory: str) -> None:
    """The time is kept apart from etags; equal time and size are unverifiable, not ok; another time or size has drifted."""
    import fsspec

    (entry,) = reference.pin(f"{memory}/a")
    assert entry.pin is not None
    assert (True, False) == (entry.pin.is_verifiable, entry.pin.is_verified)
    assert ["lastModified"] == list(entry.extra)
    assert Standing.UNVERIFIABLE is standing(entry)
    assert b"hello" == fetched(entry)
    fsspec.filesystem("memory").pipe("/refs/a", b"HELLO")
    assert Standing.DRIFTED is standing(entry)
    with pytest.raises(ReferenceChanged):
        fetched(entry)
    fsspec.filesystem("memory").rm("/refs/a")
    assert Standing.MISSING is standing(entry)
    with pytest.raises(ReferenceMissing):
        fetched(entry)


def test_any_file_system_lists_like_the_others(memory: str) -> None:
    """A directory is its files, empty ones too, identical to those looked at one by one."""
    entries = reference.pin(memory)
    assert ["a", "b/c", "empty"] == [entry.path for entry in entries]
    assert [b"hello", b"x", b""] == [fetched(entry) for entry in entries]
    assert entries[0].pin == reference.pin(f"{memory}/a")[0].pin
    assert {Standing.UNVERIFIABLE} == {standing(entry) for entry in entries}
    with pytest.raises(TooManyObjects):
        reference.pin(memory, max_objects=2)
    with pytest.raises(ReferenceMissing):
        reference.pin(f"{memory}/none")


@pytest.mark.fault("R06")
def test_without_conditions_a_swap_is_noticed_afterwards(memory: str) -> None:
    """What was read counts only when the object looks the same before and after."""
    import fsspec

    system = fsspec.filesystem("memory")
    (entry,) = reference.pin(f"{memory}/a")

    class Swapping(io.BytesIO):
        def write(self, data: object) -> int:
            system.pipe("/refs/a", b"HELLO")
            return super().write(data)  # type: ignore[arg-type]  # a buffer, as everything that is written here

    with pytest.raises(ReferenceChanged, match="while it was read"):
        reference.fetch(entry, Swapping())


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real FTP server of one directory, and that directory."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer

    logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)
    root = tmp_path / "ftp"
    (root / "d" / "sub").mkdir(parents=True)
    (root / "d" / "a").write_bytes(b"hello" * 100_000)
    (root / "d" / "sub" / "b").write_bytes(b"")
    authorizer = DummyAuthorizer()
    authorizer.add_anonymous(str(root))
    server = FTPServer(("127.0.0.1", 0), type("Handler", (FTPHandler,), {"authorizer": authorizer}))
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            server.serve_forever(timeout=0.02, blocking=False, handle_exit=False)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"ftp://127.0.0.1:{server.socket.getsockname()[1]}", root
    stop.set()
    thread.join()
    server.close_all()


@pytest.mark.filterwarnings("ignore:The asyn(core|chat) module:DeprecationWarning")  # pyftpdlib has a copy for later Pythons
@pytest.mark.fault("X10")
def test_a_real_ftp_server_is_as_good_as_its_times(ftp: tuple[str, Path]) -> None:
    """Pinned by time and size, read through a connection of each question's own, drifted when either differs."""
    base, root = ftp

    entries = reference.pin(f"{base}/d")

    assert [("a", 500_000), ("sub/b", 0)] == [(entry.path, entry.size) for entry in entries]
    assert [b"hello" * 100_000, b""] == [fetched(entry) for entry in entries]
    assert {Standing.UNVERIFIABLE} == {standing(entry) for entry in entries}
    os.utime(root / "d" / "a", (1, 1))
    assert [Standing.DRIFTED, Standing.UNVERIFIABLE] == [standing(entry) for entry in entries]
    (root / "d" / "a").unlink()
    assert Standing.MISSING is standing(entries[0])
    with pytest.raises(ReferenceMissing):
        reference.pin(f"{base}/d/none")


@pytest.mark.fault("R05")
def test_a_server_that_is_down_is_never_absence() -> None:
    """Nobody listens: unavailable."""
    with pytest.raises(RemoteUnavailable):
        reference.pin("ftp://127.0.0.1:9/file", allow_empty=True)
    with pytest.raises(RemoteUnavailable):
        reference.check(Pin("ftp://127.0.0.1:9/file", "e"), None)


def test_a_failing_google_is_told_once() -> None:
    """By the error; the tracebacks that gcsfs logs beside it reach nobody who has not set logging up."""
    script = """
import logging
from storage.transfer.reference.provider.google import Google
Google("gs://bucket/key")
logging.getLogger("gcsfs").error("out of retries")
"""
    environment = os.environ | {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1", "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (0, "") == (ended.returncode, ended.stderr)
