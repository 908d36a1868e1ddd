"""Places that are reached by URL, and one that is reached over HTTP, keep the laws of places for bytes."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.blob.backend import Backend
from storage.blob.home import Home
from tests.contracts.backend import BackendContract
from tests.contracts.http import HttpBackend, serving


class TestHttp(BackendContract):
    @pytest.fixture
    def backend(self) -> Iterator[HttpBackend]:
        with serving() as backend:
            yield backend


class TestMemoryUrl(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return Home.create_or_open(tmp_path / "home", store=f"memory://{uuid.uuid4()}/a").backend


class TestFileUrl(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return Home.create_or_open(tmp_path / "home", store=f"file://{tmp_path}/disk/a").backend
