"""Where fault tests put their stores: on a memory disk where there is one, for they make thousands of files and no power is lost here."""

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lineage.actions.open import Engine
from storage.blob import endpoint, intake, local
from storage.blob import s3 as room
from storage.transfer import landing
from tests.faults.far import Far
from tests.faults.mishap import PATIENCE
from tests.faults.proxy import Proxy
from tests.faults.s3 import Service, service
from tests.faults.scene import PACKED

_FAST = Path("/dev/shm")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty directory, gone after the test."""
    if not os.access(_FAST, os.W_OK):
        yield tmp_path
        return
    root = Path(tempfile.mkdtemp(prefix="lineage-faults-", dir=_FAST))
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _border() -> Iterator[None]:
    """In this process a file is large from `PACKED` bytes on: it rests alone, and is read and written in more than one piece."""
    usual = Engine.store
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Engine, "store", lambda engine, domain: replace(usual(engine, domain), packed=PACKED))
        patched.setattr(intake, "SMALL", PACKED)
        patched.setattr(landing, "PACKED", PACKED)
        patched.setattr(local, "CHUNK", PACKED)
        yield


@pytest.fixture(scope="session")
def swift_server() -> Iterator[Service]:
    """OpenStack Swift, whatever service the other tests speak to."""
    with service("swift") as running:
        yield running


@pytest.fixture
def swift(swift_server: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The same service, with the environment pointing to it."""
    swift_server.set_environment(monkeypatch)
    return swift_server


_CLIENTS: dict[tuple[bool, bool], dict[tuple[object, ...], Any]] = defaultdict(dict)
"""By how they are configured: a client takes 0.3 s to make, so tests share them."""


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Choose who speaks to S3 from here on: one who tries again, though without waiting in between, and one who does not wait for answers."""
    from botocore.retries import standard

    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda *_: 0.01)
    usual = endpoint.CONFIG

    def choose(*, is_retrying: bool, is_hasty: bool) -> None:
        attempts = {} if is_retrying else {"retries": {"mode": "standard", "total_max_attempts": 1}}
        monkeypatch.setattr(endpoint, "CONFIG", usual | attempts | ({"read_timeout": PATIENCE} if is_hasty else {}))
        monkeypatch.setattr(endpoint, "_SYSTEMS", _CLIENTS[is_retrying, is_hasty])

    return choose


@pytest.fixture(scope="session")
def _bucket(s3_server: Service) -> str:
    return s3_server.bucket()


@pytest.fixture
def make(s3: Service, s3_proxy: Proxy, _bucket: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Far]]:
    """Make an empty store behind the proxy. Its requests come one after the other, in the same order each time."""
    if s3.name != "moto":
        pytest.skip("only moto takes parts of a few bytes")
    from moto.s3 import models

    monkeypatch.setattr(models, "S3_UPLOAD_PART_MIN_SIZE", 1)
    monkeypatch.setattr(room, "THREADS", 1)
    yield lambda **more: Far.made(s3, _bucket, place, **more)
    s3_proxy.forget()
