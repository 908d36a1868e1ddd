"""What is done on S3, done on a service that is nobody's stand-in: OpenStack Swift checks signatures and checksums, lists late, lets several
conditional writers win, answers 400 where others answer 404, and keeps its bytes on a disk.
"""

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

import lineage
from lineage.cli.main import main
from lineage.sdk.active import ACTIVE
from lineage.sdk.session import disconnect
from storage.blob.bucket import Bucket
from storage.blob.local import LocalBackend
from storage.blob.s3 import S3Backend
from storage.digest import Digest
from storage.entry import Entry
from storage.errors import BlobMissing, RemoteUnavailable, StorageError, Unavailable, Unreadable, VersionGone
from storage.layout import blob_key
from storage.transfer import reference
from storage.transfer.reference import Standing
from tests.contracts.backend import BackendContract
from tests.faults.s3 import Service

PART = 5 << 20
BIG = os.urandom(PART + 1000)


@pytest.fixture(scope="module")
def bucket(swift_server: Service) -> str:
    return swift_server.bucket()


class TestSwift(BackendContract):
    """The laws of every backend."""

    @pytest.fixture
    def backend(self, swift: Service, bucket: str, place: Path) -> S3Backend:  # swift sets the environment
        return S3Backend(Bucket(bucket, place.name), LocalBackend(place), single=PART, part=PART)


def fetched(entry: Entry) -> bytes:
    out = io.BytesIO()
    reference.fetch(entry, out)
    return out.getvalue()


def backend_in(swift: Service, place: Path) -> S3Backend:
    return S3Backend(Bucket(swift.bucket(), "a store"), LocalBackend(place), single=PART, part=PART)


def put(backend: S3Backend, data: bytes) -> str:
    key = blob_key("d", Digest.of(data))
    with backend.stage("s") as staged:
        staged.write(data)
    backend.publish([(staged, key)])
    return key


@pytest.fixture
def store(swift: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The bucket that the settings name as the place of the store."""
    bucket = swift.bucket()
    monkeypatch.setenv("LINEAGE_STORE", f"s3://{bucket}/store")
    monkeypatch.setenv("LINEAGE_SILENT", "true")
    yield bucket
    ACTIVE.finish_all()
    ACTIVE.forget()
    disconnect()


def tree(root: Path, content: str) -> Path:
    root.mkdir()
    for number in range(12):
        (root / f"{number}.txt").write_text(f"{content} {number}\n" * 10)
    (root / "alone.bin").write_bytes(content.encode() * 50_000)
    return root


def contents(root: str | Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(root).iterdir()}


def log(root: Path) -> None:
    with lineage.init(project="far") as run:
        artifact = lineage.Artifact("data", type="dataset")
        artifact.add_dir(str(root))
        run.log_artifact(artifact).wait()


def test_a_life_of_a_store(swift: Service, store: str, tmp_path: Path) -> None:
    """Versions are logged, downloaded, verified to the last bit, deleted and reclaimed."""
    first, second = tree(tmp_path / "first", "first"), tree(tmp_path / "second", "second")
    log(first)
    log(second)
    disconnect()

    for number, source in enumerate((first, second)):
        assert contents(source) == contents(lineage.Api().artifact(f"far/data:v{number}").download(str(tmp_path / f"got{number}")))
    assert 0 == main(["verify", "--deep"])

    before = swift.contents(store, "store/objects/")
    old = lineage.Api().artifact("far/data:v0")
    old.ttl = timedelta(seconds=1)
    old.save()
    old.delete(delete_aliases=True)
    assert 0 == main(["reclaim", "--yes"])
    assert len(swift.contents(store, "store/objects/")) < len(before)
    assert 0 == main(["verify", "--deep"])
    assert contents(second) == contents(lineage.Api().artifact("far/data:v1").download(str(tmp_path / "again")))


@pytest.mark.fault("R19", "R20")
def test_a_large_object_goes_up_in_parts_and_comes_down_in_ranges(swift: Service, place: Path) -> None:
    """Parts of the least size a service allows and a last one that is smaller; nothing is left of the upload."""
    backend = backend_in(swift, place)
    key = put(backend, BIG)

    assert len(BIG) == backend.size(key)
    assert BIG == b"".join(backend.read(key))
    assert BIG[PART - 3 : PART + 3] == b"".join(backend.read(key, PART - 3, 6))
    assert [] == swift.uploads(backend.bucket.name)
    backend.remove(key)
    with pytest.raises(BlobMissing):
        backend.size(key)
    backend.remove(key)


@pytest.mark.fault("R11")
def test_writers_who_all_win_a_condition_write_the_same(swift: Service, place: Path) -> None:
    """`If-None-Match` lets several of eight writers through; whoever writes under a digest writes the same bytes, and every one succeeds."""
    data = b"the same bytes " * 1000
    backend = backend_in(swift, place)

    def write(number: int) -> str:
        with backend.stage(f"s{number}") as staged:
            staged.write(data)
        backend.publish([(staged, blob_key("d", Digest.of(data)))])
        return blob_key("d", Digest.of(data))

    with ThreadPoolExecutor(8) as pool:
        (key,) = set(pool.map(write, range(8)))
    assert data == b"".join(backend.read(key))


@pytest.mark.fault("R25")
def test_a_listing_may_lag_and_what_is_asked_for_is_there(swift: Service, place: Path) -> None:
    """What was just written is read and weighed at once, whether or not listings know of it; removed in bulk, it is gone."""
    backend = backend_in(swift, place)
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda number: put(backend, b"%d" % number), range(12)))
        assert set(range(12)) == {int(b"".join(backend.read(key))) for key in keys}
    assert {key for key, _ in backend.keys()} <= set(keys)  # noqa: SIM118  # a backend is no mapping

    backend.remove_many([*keys, blob_key("d", Digest.of(b"never there"))])
    assert {} == swift.contents(backend.bucket.name, "a store/objects/")


@pytest.mark.fault("R15")
def test_a_wrong_secret_is_a_refusal(swift: Service, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signatures are checked: with another secret nothing is written, nothing is read, and nothing is called absent."""
    backend = backend_in(swift, place)
    swift.put(backend.bucket.name, "a store/k", b"there")
    (entry,) = reference.pin(f"s3://{backend.bucket.name}/a store/k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another secret")

    with pytest.raises(Unavailable):
        put(backend, b"refused")
    with pytest.raises(RemoteUnavailable):
        backend.size(blob_key("d", Digest.of(b"refused")))
    with pytest.raises(RemoteUnavailable):
        list(backend.keys())
    with pytest.raises(Unreadable):
        fetched(entry)
    with pytest.raises(StorageError):
        reference.pin(f"s3://{backend.bucket.name}/never", allow_empty=True)
    assert ["k"] == list(swift.contents(backend.bucket.name, "a store/"))


@pytest.mark.fault("R17", "X05")
def test_references_to_versions(swift: Service) -> None:
    """Versions are pinned by a listing and fetched by their ids; an id that never was is gone, though the service calls it a bad request."""
    bucket = swift.bucket(versioned=True)
    for key in ("d/a", "d/b"):
        swift.put(bucket, key, f"old {key}".encode())
    entries = reference.pin(f"s3://{bucket}/d/")
    swift.put(bucket, "d/a", b"new")
    swift.client.delete_object(Bucket=bucket, Key="d/b")

    assert [b"old d/a", b"old d/b"] == [fetched(entry) for entry in entries]
    assert [Standing.OK] * 2 == [reference.check(entry.pin, entry.size) for entry in entries if entry.pin]
    assert ["a"] == [entry.path for entry in reference.pin(f"s3://{bucket}/d/")]
    for version in ("foreign", "1795239582.58914"):
        with pytest.raises(VersionGone):
            reference.pin(f"s3://{bucket}/d/a?versionId={version}")


@pytest.mark.fault("R24")
def test_a_presigned_address_is_worth_what_its_signature_is(swift: Service) -> None:
    """Tampered with or expired, it is refused, and that is no absence; its signature is never stored."""
    bucket = swift.bucket()
    swift.put(bucket, "k", b"signed for")
    url = swift.client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})

    with pytest.raises(lineage.errors.InvalidReference):
        reference.pin(url)
    with pytest.raises(StorageError) as caught:
        reference.pin(url.partition("?")[0])
    assert not isinstance(caught.value, FileNotFoundError)


ORPHAN = """
from tests.faults.swift import running
with running() as url:
    print(url, flush=True)
    input()
"""


@pytest.mark.usefixtures("swift_server")  # it can run here
def test_the_server_ends_with_the_tests(tmp_path: Path) -> None:
    """Tests that are killed leave no server behind, and nothing it stored."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", ORPHAN]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=Path(__file__).parents[2], env=environment) as child:
        assert child.stdout is not None
        port = child.stdout.readline().strip().rpartition(":")[2]
        assert [] != list(tmp_path.iterdir())
        child.kill()

    assert gone(lambda: any(tmp_path.iterdir()))
    assert gone(lambda: answers(int(port)))


def answers(port: int) -> bool:
    with socket.socket() as there:
        return there.connect_ex(("127.0.0.1", port)) == 0


def gone(is_there: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20
    while is_there() and time.monotonic() < until:
        time.sleep(0.05)
    return not is_there()
