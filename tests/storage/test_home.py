"""A store's directory is made once, recognised always, and never mistaken."""

import json
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from storage.blob.home import Home
from storage.errors import InvalidDigest, ReadOnlyStore, Unavailable, UnknownFormat


def test_makes_and_opens(tmp_path: Path) -> None:
    """A store that is not there is made; opening it again finds the same one, with its algorithm."""
    made = Home.create_or_open(tmp_path / "deep/er/store", "sha256")
    again = Home.create_or_open(tmp_path / "deep/er/store")

    assert made.format == again.format
    assert ("sha256", 32) == (again.format.algorithm, len(again.format.store))
    assert tmp_path / "deep/er/store" == again.root == again.backend.root


def test_two_stores_differ(tmp_path: Path) -> None:
    """Every store has a name of its own."""
    assert Home.create_or_open(tmp_path / "a").format.store != Home.create_or_open(tmp_path / "b").format.store


def test_opening_makes_nothing(tmp_path: Path) -> None:
    """Asking for a store that is not there answers None and makes nothing."""
    assert Home.open(tmp_path / "store") is None
    assert [] == list(tmp_path.iterdir())


def test_many_processes_at_once_make_one_store(tmp_path: Path) -> None:
    """Processes that open an absent store at the same moment all end with the same one."""
    gate, opened = os.pipe(), os.pipe()
    children = []
    for _ in range(12):
        child = os.fork()
        if not child:
            try:
                os.close(gate[1])
                os.read(gate[0], 1)
                os.write(opened[1], Home.create_or_open(tmp_path / "store").format.store.encode())
            finally:
                os._exit(0)
        children.append(child)
    os.close(gate[1])
    for child in children:
        os.waitpid(child, 0)
    os.close(opened[1])
    answers = os.read(opened[0], 12 * 32 + 1)

    assert 12 * 32 == len(answers)
    assert 1 == len({answers[at : at + 32] for at in range(0, len(answers), 32)})
    assert ["format.json"] == [path.name for path in (tmp_path / "store").iterdir()]


def test_refuses_a_directory_with_something_else(tmp_path: Path) -> None:
    """A directory that holds anything is no place for a new store, and stays as it is."""
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UnknownFormat, match=r"thesis\.tex"):
        Home.create_or_open(tmp_path)

    assert ["thesis.tex"] == [path.name for path in tmp_path.iterdir()]


def test_refuses_a_file(tmp_path: Path) -> None:
    """A file is no directory, and neither is what lies below one."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnknownFormat):
        Home.create_or_open(tmp_path / "file")
    with pytest.raises(Unavailable):
        Home.create_or_open(tmp_path / "file/below")


@pytest.mark.fault("S17")
@pytest.mark.parametrize(
    "change",
    [{"major": 2}, {"major": 0}, {"format": "other"}, {"algorithm": "md5"}, {"major": "x"}],
    ids=["newer", "older", "foreign", "algorithm", "damaged"],
)
def test_refuses_formats_it_does_not_know(tmp_path: Path, change: dict[str, object]) -> None:
    """Another major version, another program's file and unknown algorithms are refused, and the file is left alone."""
    stated = json.loads(Home.create_or_open(tmp_path).format.print()) | change
    (tmp_path / "format.json").write_text(json.dumps(stated))
    with pytest.raises(UnknownFormat, match=r"format\.json"):
        Home.create_or_open(tmp_path)

    assert stated == json.loads((tmp_path / "format.json").read_text())


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", "\x00\xff"])
def test_refuses_damaged_format_files(tmp_path: Path, text: str) -> None:
    """A format file that is none is not overwritten with a new one."""
    (tmp_path / "format.json").write_text(text)
    with pytest.raises(UnknownFormat):
        Home.create_or_open(tmp_path)

    assert text == (tmp_path / "format.json").read_text()


@pytest.mark.fault("S17")
def test_a_newer_minor_version_is_read_only(tmp_path: Path) -> None:
    """A store of a newer minor version reads, and refuses to be written."""
    home = Home.create_or_open(tmp_path)
    (tmp_path / "format.json").write_text(replace(home.format, minor=7).print())
    newer = Home.create_or_open(tmp_path)

    assert [] == list(newer.backend.keys())
    with pytest.raises(ReadOnlyStore, match="newer"):
        newer.backend.stage("s")


def test_refuses_unknown_algorithms(tmp_path: Path) -> None:
    """A store is not made with an algorithm nobody knows."""
    with pytest.raises(InvalidDigest):
        Home.create_or_open(tmp_path / "store", "md5")

    assert not (tmp_path / "store").exists()


def test_may_be_moved(tmp_path: Path) -> None:
    """A store works wherever its directory is moved: nothing in it says where it was."""
    home = Home.create_or_open(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")

    assert home.format == Home.create_or_open(tmp_path / "there").format
    assert str(tmp_path) not in (tmp_path / "there/format.json").read_text()


def test_a_failed_creation_leaves_no_half_store(
    tmp_path: Path, effects: list[tuple[str, str]], failing: Callable[[int, int], None]
) -> None:
    """Whatever fails while a store is made, the next attempt makes or opens one."""
    Home.create_or_open(tmp_path / "rehearsal")
    total = len(effects)
    tolerated = []
    for at in range(total - 1):
        failing(5, at)
        root = tmp_path / f"store{at}"
        with suppress(Unavailable):
            Home.create_or_open(root)
            tolerated.append(effects[-1][0])
        failing(5, 10**9)
        home = Home.create_or_open(root)
        home.sweep()

        assert ["format.json"] == [path.name for path in root.iterdir()]
    assert len(tolerated) <= 2  # what the file system was tried with could not be removed: that is swept later


@pytest.mark.fault("S06")
def test_a_read_only_disk(tmp_path: Path) -> None:
    """On a disk that can only be read a store opens and reads; writing, and making one, is refused as such."""
    root = tmp_path / "disk"
    root.mkdir()
    home = Home.create_or_open(root / "store")
    piece = home.backend.stage("s")
    piece.write(b"data")
    key = "objects/d/blake3/" + "ab/" + "c" * 62
    home.backend.publish([(piece, key)])
    mount = ["mount", "--bind", "-o", "ro", str(root), str(root)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting needs a privilege")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(root)], check=False, capture_output=True)
        opened = Home.create_or_open(root / "store")
        assert b"data" == b"".join(opened.backend.read(key))
        for write in (lambda: opened.backend.stage("s"), lambda: opened.backend.remove(key), lambda: Home.create_or_open(root / "new")):
            with pytest.raises(ReadOnlyStore):
                write()
    finally:
        subprocess.run(["umount", str(root)], check=True)
