"""Other people's readers read artifacts in place: pandas, pyarrow, DuckDB."""

from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pandas as pd
import pyarrow.dataset
import pytest

import lineage
from lineage.interop.filesystem import LineageFileSystem


@pytest.fixture
def numbers(tmp_path: Path) -> Any:
    """`shop/numbers:v0`: the numbers to a thousand, as one CSV and in two Parquet files."""
    frame = pd.DataFrame({"n": range(1000), "name": [f"number {n}" for n in range(1000)]})
    with lineage.init(project="shop") as run:
        artifact = lineage.Artifact("numbers", type="dataset")
        frame.to_csv(tmp_path / "all.csv", index=False)
        artifact.add_file(str(tmp_path / "all.csv"))
        for half in range(2):
            frame[half::2].to_parquet(tmp_path / f"{half}.parquet")
            artifact.add_file(str(tmp_path / f"{half}.parquet"), name=f"halves/{half}.parquet")
        return run.log_artifact(artifact)


@pytest.mark.usefixtures("numbers")
def test_pandas() -> None:
    """CSV and Parquet, a file and a directory, and the use is recorded."""
    with lineage.init(project="shop") as run:
        assert 499_500 == pd.read_csv("lineage://shop/numbers:latest/all.csv")["n"].sum()
        assert ["numbers:v0"] == [artifact.name for artifact in run.used_artifacts()]
    assert 500 == len(pd.read_parquet("lineage://shop/numbers:v0/halves/1.parquet"))
    assert 1000 == len(pd.read_parquet("lineage://shop/numbers:v0/halves"))
    assert 3 == len(pd.read_csv("lineage://shop/numbers:v0/all.csv", nrows=3, storage_options={"use": False}))


@pytest.mark.usefixtures("numbers")
def test_pyarrow() -> None:
    """A data set of several files, filtered, some columns of it."""
    fs = fsspec.filesystem("lineage")
    found = pyarrow.dataset.dataset("shop/numbers:v0/halves", filesystem=fs, format="parquet")
    assert 1000 == found.count_rows()
    assert {"n": [998, 999]} == found.to_table(columns=["n"], filter=pyarrow.dataset.field("n") > 997).sort_by("n").to_pydict()


@pytest.mark.usefixtures("numbers")
def test_duckdb() -> None:
    """SQL over a pattern of files, once the file system is registered; the run used the version."""
    with lineage.init(project="shop") as run, duckdb.connect() as connection:
        connection.register_filesystem(fsspec.filesystem("lineage"))
        assert [(1000, 499_500)] == connection.sql("SELECT count(*), sum(n) FROM 'lineage://shop/numbers:v0/halves/*.parquet'").fetchall()
        assert [(499_500,)] == connection.sql("SELECT sum(n) FROM 'lineage://shop/numbers:latest/all.csv'").fetchall()
        assert ["numbers:v0"] == [artifact.name for artifact in run.used_artifacts()]


def test_fsspec(numbers: Any) -> None:
    """`open`, `open_files` over a pattern, and `url_to_fs`."""
    with fsspec.open("lineage://shop/numbers:v0/all.csv", "rt") as file:
        assert "n,name\n" == file.readline()
    assert 2 == len(fsspec.open_files("lineage://shop/numbers:v0/halves/*.parquet"))
    fs, path = fsspec.core.url_to_fs("lineage://shop/numbers:v0/all.csv")
    assert (LineageFileSystem, "shop/numbers:v0/all.csv") == (type(fs), path)
    assert numbers.manifest["all.csv"].size == fs.size(path)
