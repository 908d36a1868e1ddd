"""Two files whose checksums collide on purpose are two contents, all the way through a run and back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

import lineage
from lineage.sdk.active import ACTIVE
from lineage.sdk.session import disconnect
from tests.faults.collision import pair

pytestmark = pytest.mark.fault("H01")


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory of the script's own."""
    monkeypatch.chdir(tmp_path)
    yield
    ACTIVE.finish_all()
    ACTIVE.forget()
    disconnect()


@pytest.fixture
def twins(tmp_path: Path) -> list[Path]:
    """Two files of one size with other bytes and one XXH3-128."""
    paths = [tmp_path / "one" / "data.bin", tmp_path / "two" / "data.bin"]
    for path, content in zip(paths, pair(5_000, seed=7), strict=True):
        path.parent.mkdir()
        path.write_bytes(content)
    assert 2 == len({path.read_bytes() for path in paths})
    assert 1 == len({xxhash.xxh3_128_hexdigest(path.read_bytes()) for path in paths})
    return paths


def test_twins_are_two_versions(twins: list[Path]) -> None:
    """Logged one after the other under one name, neither is taken for the other, and each comes back as it was."""
    for path in twins:
        with lineage.init(project="twins") as run:
            artifact = lineage.Artifact("data", type="dataset")
            artifact.add_file(str(path))
            run.log_artifact(artifact)
    found = [lineage.Api().artifact(f"twins/data:v{number}") for number in range(2)]
    assert 2 == len({artifact.digest for artifact in found})
    assert ["v1", "v0"] == [each.version for each in lineage.Api().artifact_collection("dataset", "twins/data").artifacts()]
    for path, artifact in zip(twins, found, strict=True):
        assert path.read_bytes() == (Path(artifact.download(f"back-{artifact.version}")) / "data.bin").read_bytes()


def test_twins_are_two_entries(twins: list[Path], tmp_path: Path) -> None:
    """Within one artifact each path has its own bytes, also when they are downloaded over the other's."""
    with lineage.init(project="twins") as run:
        artifact = lineage.Artifact("both", type="dataset")
        for path in twins:
            artifact.add_dir(str(path.parent), name=path.parent.name)
        run.log_artifact(artifact)
    logged = lineage.Api().artifact("twins/both:v0")
    assert 2 == len({logged.manifest[f"{path.parent.name}/data.bin"].digest for path in twins})
    back = tmp_path / "back"
    copies = [back / path.parent.name / path.name for path in twins]
    logged.download(str(back))
    assert [path.read_bytes() for path in twins] == [copy.read_bytes() for copy in copies]
    for copy, other in zip(copies, reversed(twins), strict=True):
        copy.write_bytes(other.read_bytes())
    logged.download(str(back))
    assert [path.read_bytes() for path in twins] == [copy.read_bytes() for copy in copies]
