"""A store whose bytes rest in a bucket does what a store in a directory does: log, read, verify, expire, reclaim."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import lineage
from lineage.cli.main import main
from lineage.sdk.active import ACTIVE
from lineage.sdk.session import connect, disconnect
from lineage.sdk.settings import resolve
from tests.faults.proxy import Proxy
from tests.faults.s3 import Service

FILES = 2000


@pytest.fixture
def bucket(s3: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket that the settings name as the store."""
    name = s3.bucket()
    monkeypatch.setenv("LINEAGE_STORE", f"s3://{name}/team/store")
    monkeypatch.setenv("LINEAGE_SILENT", "true")
    yield name
    ACTIVE.finish_all()
    ACTIVE.forget()
    disconnect()


def tree(root: Path, count: int, content: str = "file") -> Path:
    """A directory of `count` small files, and a large one."""
    for number in range(count):
        path = root / f"{number // 100}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content} {number}\n")
    return root


def log(root: Path, name: str = "data") -> "lineage.Artifact":
    with lineage.init(project="far") as run:
        artifact = lineage.Artifact(name, type="dataset")
        artifact.add_dir(str(root))
        return run.log_artifact(artifact).wait()


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def objects(s3: Service, bucket: str) -> list[str]:
    pages = s3.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [each["Key"] for page in pages for each in page.get("Contents", [])]


def test_a_life_in_a_bucket(s3: Service, bucket: str, tmp_path: Path, lineage_home: Path) -> None:
    """Versions are logged, read by somebody who never saw the files, verified, expired and reclaimed; at the end their bytes are gone."""
    first = tree(tmp_path / "first", 20)
    (first / "large.bin").write_bytes(bytes(range(256)) * (9 << 12))
    log(first)
    second = tree(tmp_path / "second", 20, "other")
    log(second)
    disconnect()

    for number, source in enumerate((first, second)):
        got = lineage.Api().artifact(f"far/data:v{number}").download(str(tmp_path / f"got{number}"))
        assert contents(source) == contents(Path(got))
    assert all(key.startswith("team/store/") for key in objects(s3, bucket))
    assert not (lineage_home / "objects").exists()
    assert 0 == main(["verify", "--deep"])

    before = len(objects(s3, bucket))
    old = lineage.Api().artifact("far/data:v0")
    old.ttl = timedelta(seconds=1)
    old.save()
    old.delete(delete_aliases=True)
    assert 0 == main(["reclaim", "--yes"])
    assert len(objects(s3, bucket)) < before
    assert 0 == main(["verify", "--deep"])
    got = lineage.Api().artifact("far/data:v1").download(str(tmp_path / "again"))
    assert contents(second) == contents(Path(got))


def test_the_store_is_remembered(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the variable the bytes are found; with another URL the store is refused, by the program and by the command."""
    log(tree(tmp_path / "data", 3))
    disconnect()
    monkeypatch.delenv("LINEAGE_STORE")
    assert b"file 1\n" == (Path(lineage.Api().artifact("far/data:latest").download(str(tmp_path / "got"))) / "0/1.txt").read_bytes()

    monkeypatch.setenv("LINEAGE_STORE", "s3://elsewhere/x")
    with pytest.raises(lineage.errors.InvalidStore, match=f"{bucket}.*elsewhere"):
        connect(resolve())
    assert 2 == main(["ls"])
    assert "elsewhere" in capsys.readouterr().err


@pytest.mark.usefixtures("bucket")
def test_many_small_files_are_few_requests(s3_proxy: Proxy, tmp_path: Path) -> None:
    """Two thousand files go up in a handful of requests, and all of them are read again in a handful."""
    source = tree(tmp_path / "data", FILES)
    log(source)
    puts, others = s3_proxy.count("PUT"), len(s3_proxy.requests) - s3_proxy.count("PUT")
    s3_proxy.forget()
    disconnect()

    got = lineage.Api().artifact("far/data:latest").download(str(tmp_path / "got"))
    assert contents(source) == contents(Path(got))
    assert len(s3_proxy.requests) <= 12
    s3_proxy.forget()
    assert 0 == main(["verify"])
    assert FILES == len(lineage.Api().artifact("far/data:latest").manifest.entries)
    assert 0 < puts <= 8
    assert others <= 8
    assert len(s3_proxy.requests) <= 12


@pytest.mark.usefixtures("bucket")
def test_logging_the_same_again_sends_nothing(s3_proxy: Proxy, tmp_path: Path) -> None:
    """Bytes that are there are not sent a second time, under whatever name."""
    source = tree(tmp_path / "data", 50)
    log(source)
    s3_proxy.forget()
    (source / "0/0.txt").rename(source / "0/renamed.txt")
    log(source, "renamed")

    assert s3_proxy.count("PUT") <= 2  # the segment and the manifest


PROGRAM = """
import sys, lineage
from pathlib import Path
name = sys.argv[1]
root = Path(sys.argv[2]) / name
root.mkdir()
for number in range(30):
    (root / f"{number}.txt").write_text(f"{number % 20 if number % 2 else name + str(number)}")
for turn in range(2):
    with lineage.init(project="far") as run:
        artifact = lineage.Artifact("shared", type="dataset")
        (root / "turn.txt").write_text(f"{name} {turn}")
        artifact.add_dir(str(root))
        run.log_artifact(artifact).wait()
"""


@pytest.mark.usefixtures("bucket")
def test_two_processes_log_at_once(tmp_path: Path) -> None:
    """Into one store in one bucket, partly the same bytes: every version is whole afterwards."""
    command = [sys.executable, "-c", PROGRAM]
    running = [subprocess.Popen([*command, name, str(tmp_path)], stderr=subprocess.PIPE) for name in ("one", "two")]
    ended = [(process.communicate()[1], process.returncode) for process in running]

    assert [0, 0] == [code for _, code in ended], ended
    versions = list(lineage.Api().artifacts("dataset", "far/shared"))
    assert 4 == len(versions)
    for version in versions:
        assert 31 == len(contents(Path(version.download(str(tmp_path / f"got{version.version}")))))
    assert 0 == main(["verify", "--deep"])
