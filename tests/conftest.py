"""What tests of every house may ask for: an S3 service, and a proxy in front of it that misbehaves on demand."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.proxy import Proxy
from tests.faults.s3 import Service, service


@pytest.fixture(autouse=True)
def lineage_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the test's own, not there yet; no setting of the person who runs the tests reaches it."""
    for name in [name for name in os.environ if name.startswith(("LINEAGE_", "WANDB_")) and not name.startswith("LINEAGE_TEST_")]:
        monkeypatch.delenv(name)
    place = tmp_path_factory.mktemp("lineage")
    monkeypatch.setenv("LINEAGE_HOME", str(place / "home"))
    monkeypatch.setenv("LINEAGE_CONFIG_DIR", str(place / "config"))
    return place / "home"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Service]:
    """The S3 service of this session; `tests.faults.s3` says which there are."""
    with service(os.environ.get("LINEAGE_TEST_S3", "moto")) as running:
        yield running


@pytest.fixture
def s3(s3_server: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The same service, with the environment pointing to it."""
    s3_server.set_environment(monkeypatch)
    return s3_server


@pytest.fixture(scope="session")
def _front(s3_server: Service) -> Iterator[Proxy]:
    """One proxy for all tests: a new address would cost every one of them a new client, 0.3 s."""
    with Proxy(s3_server.url) as proxy:
        yield proxy


@pytest.fixture
def s3_proxy(s3: Service, _front: Proxy, monkeypatch: pytest.MonkeyPatch) -> Proxy:  # noqa: ARG001  # s3 sets the rest of the environment
    """A proxy in front of the service, with the environment pointing to the proxy; `s3.client` still goes straight to the service."""
    _front.forget()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", _front.url)
    return _front
