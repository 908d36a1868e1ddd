"""A prefix of an S3 bucket keeps the laws of places for bytes, and a few more that only a far place needs."""

from pathlib import Path

import pytest

from storage.blob.bucket import Bucket
from storage.blob.budget import Budget
from storage.blob.local import LocalBackend
from storage.blob.s3 import S3Backend
from tests.contracts.backend import BackendContract
from tests.faults.s3 import Service

QUICK = Budget(attempts=6, seconds=20, first=0.01, longest=0.05)


@pytest.fixture(scope="module")
def bucket(s3_server: Service) -> str:
    return s3_server.bucket()


@pytest.fixture
def backend(s3: Service, bucket: str, tmp_path: Path) -> S3Backend:  # noqa: ARG001  # s3 sets the environment
    return S3Backend(Bucket(bucket, f"pre fix/{tmp_path.name}", QUICK), LocalBackend(tmp_path), single=6 << 20, part=5 << 20)


class TestS3(BackendContract):
    pass
