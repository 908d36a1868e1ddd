"""`init` and `backup`."""

from pathlib import Path

import pytest

from lineage.actions.open import open_engine
from tests.lineage.cli.conftest import Caller


def test_init_makes_a_store_once(lineage: Caller) -> None:
    """A second call says that it is there, and changes nothing."""
    first, second = lineage("init", "--json").json, lineage("init", "--json").json
    assert (True, False) == (first.pop("is_new"), second.pop("is_new"))
    assert first == second
    assert (str(lineage.home), "blake3") == (first["home"], first["digest"])
    assert "the store is there" in lineage("init").out


def test_the_algorithm_is_chosen_once(lineage: Caller, data: Path) -> None:
    """What is logged is named by it; another one cannot be had afterwards, and asking for it changes nothing."""
    lineage("init", "--digest", "sha256")
    assert "sha256" == lineage("put", data, "-n", "toys/a", "--json").json["version"]["digest"].partition(":")[0]
    refused = lineage("init", "--digest", "blake3")
    assert 4 == refused.code
    assert "sha256" in refused.err
    assert "sha256" == lineage("init", "--json").json["digest"]


@pytest.mark.fault("D05")
def test_a_backup_takes_the_catalogues_place(lineage: Caller, data: Path, tmp_path: Path) -> None:
    """After the catalogue is lost, the copy answers as it did when it was made."""
    lineage("put", data, "-n", "toys/a")
    assert 0 == lineage("backup", tmp_path / "copy.sqlite").code
    for file in lineage.home.glob("catalog.sqlite*"):
        file.unlink()
    assert 0 != lineage("ls", "toys").code

    (tmp_path / "copy.sqlite").rename(lineage.home / "catalog.sqlite")
    assert 0 == lineage("get", "toys/a", "--root", tmp_path / "out").code
    assert "one\n" == (tmp_path / "out" / "a.txt").read_text()
    open_engine(lineage.home, create=False).close()


def test_a_backup_replaces_nothing(lineage: Caller, tmp_path: Path) -> None:
    """A file that is there stays what it is."""
    lineage("init")
    (tmp_path / "there").write_text("mine")
    assert 4 == lineage("backup", tmp_path / "there").code
    assert "mine" == (tmp_path / "there").read_text()


def test_a_backup_says_where_the_bytes_are_that_belong_to_it(lineage: Caller, tmp_path: Path) -> None:
    """In the directory, or at the place the store was made with."""
    lineage("init")
    assert "copy 'objects/' of the store" in lineage("backup", tmp_path / "here").out
    place, other = (tmp_path / "place").as_uri(), tmp_path / "other"
    lineage("init", "--home", other, "--store", place)
    assert f"copy what is at {place}" in lineage("backup", "--home", other, tmp_path / "there").out
