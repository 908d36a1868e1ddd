"""The S3 service the tests speak to.

    LINEAGE_TEST_S3=moto       the default; in this process, fast, strict about conditions and versions, checks no signature or checksum
    LINEAGE_TEST_S3=swift      OpenStack Swift, installed and started by the tests: real storage, real signatures, conditions that race
    LINEAGE_TEST_S3=external   AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL), AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say where

Tests take fresh buckets and share nothing else.
"""

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults import swift

_DUMMY = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True)
class Service:
    """A running S3 service: where it is, what the environment must say, and a client that goes there directly."""

    url: str
    environment: Mapping[str, str]
    client: Any
    name: str

    def set_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Programs find this service, and no setting of the person who runs the tests."""
        for name in ("AWS_ENDPOINT_URL", "AWS_S3_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {**self.environment, "AWS_ENDPOINT_URL_S3": self.url}.items():
            monkeypatch.setenv(name, value)

    @property
    def states_checksums(self) -> bool:
        """Does it say, unasked for, which checksum an object has?"""
        return self.name not in ("swift", "ceph")

    @property
    def tells_markers(self) -> bool:
        """Does it say of an object that is gone that a delete marker stands in its place?"""
        return self.name != "swift"

    def bucket(self, *, versioned: bool = False) -> str:
        """The name of a new, empty bucket."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name)
        if versioned:
            self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def put(self, bucket: str, key: str, data: bytes = b"", **more: Any) -> dict[str, Any]:
        response: dict[str, Any] = self.client.put_object(Bucket=bucket, Key=key, Body=data, **more)
        return response

    def fill(self, bucket: str, keys: Iterable[str]) -> None:
        """An object of a few bytes under each key. moto is filled from inside: over HTTP it takes 5 ms for each."""
        if self.name == "moto":
            for key in keys:
                _inside_moto().put_object(bucket, key, key.encode())
            return
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: self.put(bucket, key, key.encode()), keys))

    def contents(self, bucket: str, prefix: str) -> dict[str, bytes]:
        """Every object below a prefix: what comes after the prefix in its name, and its bytes."""
        if self.name == "moto":
            kept = _inside_moto().buckets[bucket].keys
            return {key.removeprefix(prefix): kept[key].value for key in list(kept) if key.startswith(prefix)}
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return {key.removeprefix(prefix): self.client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in found}

    def uploads(self, bucket: str) -> list[str]:
        """The keys of uploads in parts that were begun and neither completed nor aborted."""
        if self.name == "moto":
            return [each.key_name for each in _inside_moto().buckets[bucket].multiparts.values()]
        return [each["Key"] for each in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def _inside_moto() -> Any:
    from moto.s3.models import s3_backends

    (backend,) = {id(each): each for each in (region["aws"] for region in s3_backends.values())}.values()
    return backend


@contextmanager
def service(asked: str) -> Iterator[Service]:
    """The service of that name, running while the block runs; a test that asks for one this machine cannot run is skipped."""
    with _SERVICES[asked]() as (url, environment):
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        try:
            yield Service(url, environment, client, asked)
        finally:
            client.close()


@contextmanager
def _moto() -> Iterator[tuple[str, dict[str, str]]]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}", dict(_DUMMY)
    finally:
        server.stop()
        if server._server:
            server._server.server_close()


@contextmanager
def _swift() -> Iterator[tuple[str, dict[str, str]]]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(swift.running())
        except swift.Unavailable as lacking:
            pytest.skip(str(lacking))
        yield url, dict(swift.KEYS)


@contextmanager
def _external() -> Iterator[tuple[str, dict[str, str]]]:
    environment = {name: os.environ.get(name, default) for name, default in _DUMMY.items()}
    yield os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ["AWS_ENDPOINT_URL"], environment


_SERVICES = {"moto": _moto, "swift": _swift, "external": _external}
