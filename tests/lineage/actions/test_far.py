"""A store whose bytes rest far away: what was downloaded once is here, and what lives only there is asked for in few requests."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lineage.actions import create, log, read
from lineage.actions.open import Engine, open_engine
from lineage.model.artifact import VersionRecord
from lineage.model.names import ProjectPath
from storage.blob.backend import Backend
from storage.entry import Entry
from storage.errors import RemoteUnavailable
from storage.transfer.checkout import Report


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(tmp_path / "home", store=f"memory://{uuid.uuid4().hex}/store")
    yield engine
    engine.close()


@pytest.fixture
def version(far: Engine) -> VersionRecord:
    project = create.project(far, ProjectPath("demo"))
    session = far.store(project.domain).session()
    entries = [Entry.file(f"d/{number:03}", session.take_bytes(b"%03d" % number).digest, 3) for number in range(300)]
    return log.log_version(far, project, log.Draft("raw", "data"), entries, session).version


def cut_off(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RemoteUnavailable("no network")

    for name in ("read", "size", "keys"):
        monkeypatch.setattr(type(engine.home.backend), name, refuse)


@pytest.fixture
def asked(far: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that are read from far away."""
    keys: list[str] = []
    real = type(far.home.backend).read

    def read_(self: Backend, key: str, *where: int) -> Iterator[bytes]:
        keys.append(key)
        return real(self, key, *where)

    monkeypatch.setattr(type(far.home.backend), "read", read_)
    return keys


def test_again_without_network(far: Engine, version: VersionRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a download the version is listed, opened and downloaded elsewhere with no network; `use_cache=False` means it."""
    assert not far.home.backend.is_near
    assert Report(written=300, bytes=900) == read.download(far, version, tmp_path / "one")
    cut_off(far, monkeypatch)

    assert Report(written=300, bytes=900) == read.download(far, version, tmp_path / "two")
    entry = read.find_entry(far, version, "nothing", "d/123")
    assert (entry and entry.path, b"123") == ("d/123", b"".join(read.open_blob(far, version, entry)) if entry else b"")
    with pytest.raises(RemoteUnavailable):
        read.download(far, version, tmp_path / "three", use_cache=False)


def test_few_requests(far: Engine, version: VersionRecord, asked: list[str], tmp_path: Path) -> None:
    """Three hundred files are the manifest, its segment and their pack; one of them alone is its own range besides the first two."""
    read.download(far, version, tmp_path / "one", only="d/123", use_cache=False)
    assert 3 == len(asked)
    asked.clear()
    read.download(far, version, tmp_path / "all", use_cache=False)
    assert 3 == len(asked)


def test_nothing_is_kept_when_the_cache_is_skipped(far: Engine, version: VersionRecord, tmp_path: Path) -> None:
    """What is fetched past the cache leaves nothing in it."""
    before = {path for path in far.cache.root.rglob("*") if "trees" not in path.parts}
    read.download(far, version, tmp_path / "out", use_cache=False)

    assert before == {path for path in far.cache.root.rglob("*") if "trees" not in path.parts}
