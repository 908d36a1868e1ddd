"""A whole life in a bucket, from claiming the place to reclaiming it, with one fault at each request: the catalogue and the bytes agree.

What `test_s3_store.py` does to a store alone, with every mishap, is done here to the program its users call, with a few of them: versions
that were acknowledged are whole, commands that failed can be called again, and nobody has to repair anything.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import lineage
from lineage.cli.main import main
from lineage.sdk.active import ACTIVE
from lineage.sdk.session import disconnect
from storage.blob.retry import Budget
from storage.errors import StorageError
from tests.faults.mishap import MISHAPS, Mishap, World
from tests.faults.proxy import Proxy
from tests.faults.s3 import Service

SETS = 12
"""Each request meets every twelfth mishap, the next request the next ones; the other sets take their time."""


@pytest.fixture(scope="module")
def bucket(s3_server: Service) -> str:
    return s3_server.bucket()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fault is felt: nothing is tried again."""
    spend = Budget.spend

    def once(self: Budget, what: str, attempt: Callable[[int], Any]) -> Any:
        return spend(replace(self, attempts=1), what, attempt)

    monkeypatch.setattr(Budget, "spend", once)


@pytest.fixture
def enter(bucket: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Begin in a new home, with a new prefix of the bucket as its place; the prefix."""
    monkeypatch.setenv("LINEAGE_SILENT", "true")

    def begin() -> str:
        leave()
        name = secrets.token_hex(4)
        monkeypatch.setenv("LINEAGE_HOME", str(place / name))
        monkeypatch.setenv("LINEAGE_STORE", f"s3://{bucket}/{name}")
        return name

    yield begin
    leave()


def leave() -> None:
    """As when a process ends: what is open is left to whoever comes next."""
    ACTIVE.finish_all()
    ACTIVE.forget()
    disconnect()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three files that are packed, and one that is not."""
    root = tmp_path / "source"
    root.mkdir()
    for name in "abc":
        (root / f"{name}.txt").write_text(name * 300)
    (root / "alone.bin").write_bytes(b"one by itself " * 15_000)
    return root


def contents(root: str | Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(root).iterdir()}


def log(source: Path, name: str = "data") -> "lineage.Artifact":
    with lineage.init(project="far") as run:
        artifact = lineage.Artifact(name, type="dataset")
        artifact.add_dir(str(source))
        return run.log_artifact(artifact).wait()


def download(place: Path, name: str = "data:latest") -> dict[str, bytes]:
    return contents(lineage.Api().artifact(f"far/{name}").download(str(place / secrets.token_hex(4))))


def remove(name: str = "data:v0") -> None:
    """The version goes, and what nothing else needs with it."""
    version = lineage.Api().artifact(f"far/{name}")
    version.ttl = timedelta(seconds=1)
    version.save()
    version.delete(delete_aliases=True)


class CommandFailedError(Exception):
    """A command ended with an error; it said which."""


class WrongBytesError(Exception):
    """Never."""


def life(source: Path, place: Path, said: list[str]) -> None:
    """Log, download and reclaim; what came back is noted."""
    log(source)
    said.append("logged")
    disconnect()
    if contents(source) != download(place):
        raise WrongBytesError
    said.append("downloaded")
    remove()
    if main(["reclaim", "--yes", "--force"]):
        raise CommandFailedError
    said.append("reclaimed")


@pytest.mark.parametrize("part", [0, 1, 2, *(pytest.param(part, marks=pytest.mark.soak) for part in range(3, SETS))])
@pytest.mark.fault("R01", "R02", "R03", "R05", "R15", "R27", "I-01", "I-02", "I-03", "I-04", "I-05", "I-10")
def test_a_life_with_one_fault(
    part: int, source: Path, place: Path, bucket: str, enter: Callable[[], str], s3: Service, s3_proxy: Proxy, client: Callable[..., None]
) -> None:
    """Whatever request it meets: what was acknowledged is whole, every error is typed, and the next attempt does what was asked."""
    client(is_retrying=False, is_hasty=False)
    enter()
    s3_proxy.forget()
    life(source, place, [])
    lines = list(s3_proxy.requests)

    met = meetings(part, lines)
    assert 10 <= len(met)
    for number, mishap in met:
        name = enter()
        s3_proxy.forget()
        world = World(lambda target, name=name: target.replace(name, "nothing"))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        s3_proxy.plan(mishap.fault(number, world))
        said: list[str] = []
        problem = attempt(source, place, said)
        print(number, lines[number], mishap.name, said, repr(problem)[:300])
        assert isinstance(problem, StorageError | lineage.errors.Error | CommandFailedError | type(None))

        s3_proxy.forget()
        disconnect()
        if said == ["logged"]:
            assert contents(source) == download(place, "data:v0")
        log(source, "again")
        assert contents(source) == download(place, "again:latest")
        assert 0 == main(["reclaim", "--yes", "--force"])
        assert 0 == main(["verify", "--deep"])
        assert [] == s3.uploads(bucket)


def meetings(part: int, lines: list[str]) -> list[tuple[int, Mishap]]:
    kinds = [each for each in MISHAPS if not each.is_late and each.name != "swap"]
    return [
        (number, mishap)
        for number, line in enumerate(lines)
        for at, mishap in enumerate(kind for kind in kinds if kind.concerns(line))
        if (at + number) % SETS == part
    ]


def attempt(source: Path, place: Path, said: list[str]) -> Exception | None:
    try:
        life(source, place, said)
    except Exception as error:
        return error
    return None
