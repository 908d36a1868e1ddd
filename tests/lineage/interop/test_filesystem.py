"""`lineage://`: a version read in place."""

import datetime as dt
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

import lineage
from lineage.interop.filesystem import LineageFileSystem
from lineage.model.errors import Gone, ImmutableVersion, NotFound
from storage.errors import Corrupt, ReferenceChanged
from tests.lineage.interop.conftest import CONTENT, log


def used(run: Any) -> list[str]:
    return [artifact.name for artifact in lineage.Api().run(f"shop/{run.id}").used_artifacts()]


# ── what is where ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["shop/table:v0", "{entity}/shop/table:v0", "shop/table:latest", "shop/table:{digest}"])
def test_a_version_has_many_names(fs: LineageFileSystem, table: Any, name: str) -> None:
    """With and without its entity, by number, alias and digest; its paths keep the name that was given."""
    named = name.format(entity=table.entity, digest=table.digest)
    assert [f"{named}/{path}" for path in sorted(CONTENT)] == fs.find(f"lineage://{named}")
    assert CONTENT["a.csv"] == fs.read_text(f"lineage://{named}/a.csv")


@pytest.mark.usefixtures("table")
def test_the_default_project_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere: the settings say which it is, or the option does."""
    monkeypatch.setenv("LINEAGE_PROJECT", "shop")
    assert "b" == fsspec.open("lineage://table:v0/part-2/b", "r").open().read()
    monkeypatch.delenv("LINEAGE_PROJECT")
    assert "b" == fsspec.open("lineage://table:v0/part-2/b", "r", project="shop").open().read()


def test_directories_follow_from_paths(fs: LineageFileSystem) -> None:
    """Listed one level at a time; a file lists itself."""
    listed = {each["name"].removeprefix("shop/table:v0/"): each["type"] for each in fs.ls("shop/table:v0")}
    assert {"a.csv": "file", "part": "directory", "part-2": "directory"} == listed
    assert ["shop/table:v0/part/0.csv", "shop/table:v0/part/1.csv", "shop/table:v0/part/deep"] == fs.ls("shop/table:v0/part/", detail=False)
    assert ["shop/table:v0/a.csv"] == fs.ls("shop/table:v0/a.csv", detail=False)
    assert (True, True, False) == (fs.isdir("shop/table:v0"), fs.isdir("shop/table:v0/part/deep"), fs.isdir("shop/table:v0/par"))


def test_above_a_version_are_projects(fs: LineageFileSystem, table: Any) -> None:
    """A project lists its versions that can be read, under the name it was asked by; the root lists the projects."""
    log({"a": "2"})
    assert ["shop/table:v0", "shop/table:v1"] == fs.ls("lineage://shop", detail=False)
    assert [f"{table.entity}/shop/table:v0", f"{table.entity}/shop/table:v1"] == fs.ls(f"{table.entity}/shop", detail=False)
    assert [f"{table.entity}/shop"] == fs.ls("lineage://", detail=False)
    assert ["shop/table:v0/a.csv", "shop/table:v1/a"] == fs.glob("lineage://shop/table:*/a*")


def test_info_tells_who_it_is(fs: LineageFileSystem, table: Any) -> None:
    """Size, digest, the numbered version behind an alias, and when that was logged."""
    about = fs.info("lineage://shop/table:latest/part/deep/z.bin")
    assert (10, "file", table.qualified_name) == (about["size"], about["type"], about["version"])
    assert str(table.manifest["part/deep/z.bin"].digest) == about["digest"]
    assert dt.datetime.fromisoformat(table.created_at) == fs.modified("shop/table:v0/a.csv") == about["created"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.csv", ["a.csv"]),
        ("part/*.csv", ["part/0.csv", "part/1.csv"]),
        ("**/*.csv", ["a.csv", "part/0.csv", "part/1.csv"]),
        ("part*", ["part", "part-2"]),
        ("part/[1-9].csv", ["part/1.csv"]),
        ("*.nothing", []),
    ],
)
def test_glob(fs: LineageFileSystem, pattern: str, found: list[str]) -> None:
    """Finds what fsspec's patterns mean."""
    assert [f"shop/table:v0/{path}" for path in found] == fs.glob(f"lineage://shop/table:v0/{pattern}")


def test_find_and_walk_agree_with_the_base_class(fs: LineageFileSystem) -> None:
    """Our own `find` answers as fsspec's does over `walk`, at every depth, with directories and without."""
    for depth in (1, 2, 3, None):
        for dirs in (False, True):
            expected = super(LineageFileSystem, fs).find("shop/table:v0", depth, dirs)
            assert expected == fs.find("lineage://shop/table:v0", depth, dirs)
    assert fs.du("shop/table:v0") == sum(map(len, CONTENT.values()))


def test_what_is_not_there_is_file_not_found(fs: LineageFileSystem) -> None:
    """And `NotFound`: one error for those who catch either. A directory is no file."""
    for path in (
        "shop/table:v0/x",
        "shop/table:v7/a.csv",
        "shop/other:v0/a.csv",
        "nowhere/table:v0/a",
        "nowhere",
        "shop/table/a.csv",
        "a/b/c/d:v0",
    ):
        assert not fs.exists(path)
        for ask in (fs.info, fs.ls, fs.open):
            with pytest.raises((FileNotFoundError, ValueError)):
                ask(f"lineage://{path}")
    with pytest.raises(NotFound) as caught:
        fs.cat_file("shop/table:v0/x")
    assert isinstance(caught.value, FileNotFoundError)
    assert "lineage ls" in str(caught.value)
    with pytest.raises(IsADirectoryError):
        fs.open("shop/table:v0/part")


def test_a_tombstone_is_gone(fs: LineageFileSystem, table: Any) -> None:
    """It exists no more, its project does not list it, and opening says what became of it."""
    fs.cat_file("shop/table:v0/a.csv")
    table.delete(delete_aliases=True)
    assert not fs.exists("shop/table:v0/a.csv")
    assert [] == fs.ls("shop")
    with pytest.raises(Gone, match="was deleted"):
        fs.open("shop/table:v0/a.csv")


def test_a_store_that_cannot_be_asked_is_no_absence(fs: LineageFileSystem, lineage_home: Path) -> None:
    """`exists` raises rather than saying no."""
    (lineage_home / "format.json").chmod(0o644)
    (lineage_home / "format.json").write_text("{}")
    lineage.teardown()
    with pytest.raises(Exception, match="format"):
        fs.exists("shop/table:v0/a.csv")


def test_links_lead_where_they_point(tmp_path: Path) -> None:
    """A link to a file is that file; one to a directory is followed when it is named, and left out where everything is found."""
    tree = tmp_path / "tree"
    (tree / "real").mkdir(parents=True)
    (tree / "real" / "f").write_text("there")
    (tree / "to-file").symlink_to("real/f")
    (tree / "to-dir").symlink_to("real")
    with lineage.init(project="shop") as run:
        artifact = lineage.Artifact("linked", type="dataset")
        artifact.add_dir(str(tree))
        run.log_artifact(artifact)
    fs = fsspec.filesystem("lineage")
    assert b"there" == fs.cat_file("shop/linked:v0/to-file") == fs.cat_file("shop/linked:v0/to-dir/f")
    kinds = {each["name"].rpartition("/")[2]: (each["type"], each.get("islink", False)) for each in fs.ls("shop/linked:v0")}
    assert {"real": ("directory", False), "to-dir": ("link", True), "to-file": ("file", True)} == kinds
    assert ["shop/linked:v0/real/f", "shop/linked:v0/to-file"] == fs.find("shop/linked:v0")


# ── bytes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("start", "end"), [(None, None), (2, 5), (-3, None), (None, -8), (4, 400), (7, 3), (-4, -2)])
def test_ranges_are_those_of_the_bytes(fs: LineageFileSystem, start: int | None, end: int | None) -> None:
    """As slicing would cut them, one at a time and many at once."""
    path, whole = "shop/table:v0/part/deep/z.bin", b"0123456789"
    assert whole[start:end] == fs.cat_file(path, start, end)
    assert [whole[start:end], whole[:1]] == fs.cat_ranges([path, path], [start, 0], [end, 1])


def test_a_range_of_nothing_is_told_in_its_place(fs: LineageFileSystem) -> None:
    """Unless the caller wants it raised."""
    [found, error] = fs.cat_ranges(["shop/table:v0/a.csv", "shop/table:v0/none"], 0, 1)
    assert b"x" == found
    assert isinstance(error, FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges(["shop/table:v0/none"], 0, 1, on_error="raise")


def test_an_open_file_can_be_sought_in(fs: LineageFileSystem) -> None:
    """Any way a reader goes about it, and as text."""
    with fs.open("shop/table:v0/part/deep/z.bin") as file:
        assert (b"01", 8, b"89", b"") == (file.read(2), file.seek(-2, 2), file.read(), file.read())
        assert (0, b"0123456789", 10) == (file.seek(0), file.read(), file.size)
    assert (b"01", b"89") == (fs.head("shop/table:v0/part/deep/z.bin", 2), fs.tail("shop/table:v0/part/deep/z.bin", 2))
    with fs.open("shop/table:v0/a.csv", "r") as file:
        assert CONTENT["a.csv"].splitlines(keepends=True) == list(file)


def test_a_whole_version_comes_down(fs: LineageFileSystem, tmp_path: Path) -> None:
    """`get` writes the tree."""
    fs.get("lineage://shop/table:v0/", str(tmp_path / "out"), recursive=True)
    assert {path: (tmp_path / "out" / path).read_text() for path in CONTENT} == CONTENT


def test_a_reference_is_read_through(tmp_path: Path) -> None:
    """From where it lives, exactly as pinned; once it is something else it is not read."""
    source = tmp_path / "outside.csv"
    source.write_text("x\n1\n")
    with lineage.init(project="shop") as run:
        artifact = lineage.Artifact("pinned", type="dataset")
        artifact.add_reference(source.as_uri(), name="in/side.csv")
        run.log_artifact(artifact)
    fs = fsspec.filesystem("lineage")
    assert "x\n1\n" == fs.read_text("shop/pinned:v0/in/side.csv")
    about = fs.info("shop/pinned:v0/in/side.csv")
    assert (4, source.as_uri()) == (about["size"], about["uri"])
    source.write_text("x\n2\n")
    with pytest.raises(ReferenceChanged):
        fs.open("shop/pinned:v0/in/side.csv")


@pytest.mark.fault("I-31")
def test_rot_is_never_handed_out(fs: LineageFileSystem, lineage_home: Path) -> None:
    """Not one byte of a rotten file, and other files of the same version are read as ever."""
    [pack] = [path for path in (lineage_home / "objects").rglob("*") if path.is_file() and b"0123456789" in path.read_bytes()]
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes().replace(b"0123456789", b"0123456780"))
    with pytest.raises(Corrupt):
        fs.open("shop/table:v0/part/deep/z.bin")
    assert CONTENT["a.csv"] == fs.read_text("shop/table:v0/a.csv")


# ── what stays the same ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_changes_with_the_content(fs: LineageFileSystem) -> None:
    """Equal bytes have equal keys in any version; other bytes, other keys."""
    log({**CONTENT, "a.csv": "other"})
    keys = {version: fs.ukey(f"shop/table:{version}/a.csv") for version in ("v0", "v1", "latest")}
    assert keys["v0"] != keys["v1"] == keys["latest"]
    assert fs.ukey("shop/table:v0/part-2/b") == fs.ukey("shop/table:v1/part-2/b")
    assert fs.checksum("shop/table:v0/part-2/b") == fs.checksum("shop/table:v1/part-2/b") != fs.checksum("shop/table:v1/a.csv")
    assert fs.ukey("shop/table:v0/part") != fs.ukey("shop/table:v1/part")


def test_an_alias_is_one_version_for_the_whole_call(fs: LineageFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `get` that is under way when the alias moves, and a `walk`, end as they began; the next call sees the new one."""
    open_, moved = LineageFileSystem._open, []

    def moving(self: LineageFileSystem, path: str, *arguments: Any, **options: Any) -> Any:
        if not moved:
            moved.append(log(dict.fromkeys(CONTENT, "new")))
        return open_(self, path, *arguments, **options)

    monkeypatch.setattr(LineageFileSystem, "_open", moving)
    fs.get("lineage://shop/table:latest/", str(tmp_path / "out"), recursive=True)
    assert {path: (tmp_path / "out" / path).read_text() for path in CONTENT} == CONTENT
    assert "new" == fs.read_text("shop/table:latest/a.csv")

    steps = fs.walk("shop/table:latest")
    first = next(steps)
    log({"only": "this"})
    assert ("shop/table:latest", ["part", "part-2"], ["a.csv"]) == first
    assert ["part", "part/deep", "part-2"] == [path.removeprefix("shop/table:latest/") for path, _, _ in steps]
    assert ["shop/table:latest/only"] == fs.find("shop/table:latest")


def test_a_manifest_is_read_once(fs: LineageFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files of a version are asked for, by whatever name."""
    reads: list[object] = []
    whole = lineage.interop.filesystem.read.manifest  # type: ignore[attr-defined]  # imported by the file system
    monkeypatch.setattr("lineage.actions.read.manifest", lambda *given: reads.append(given) or whole(*given))
    for path in CONTENT:
        fs.cat_file(f"shop/table:v0/{path}")
        fs.info(f"shop/table:latest/{path}")
    assert 1 == len(reads)


WRITERS: dict[str, Callable[[Any, str], object]] = {
    "open": lambda fs, path: fs.open(path, "wb"),
    "append": lambda fs, path: fs.open(path, "a"),
    "pipe": lambda fs, path: fs.pipe(path, b""),
    "write_text": lambda fs, path: fs.write_text(path, ""),
    "put": lambda fs, path: fs.put(".", path),
    "rm": lambda fs, path: fs.rm(path),
    "rm_file": lambda fs, path: fs.rm_file(path),
    "mv": lambda fs, path: fs.mv(path, path + "2"),
    "cp": lambda fs, path: fs.cp(path, path + "2"),
    "touch": lambda fs, path: fs.touch(path),
    "mkdir": lambda fs, path: fs.mkdir(path),
    "makedirs": lambda fs, path: fs.makedirs(path),
    "rmdir": lambda fs, path: fs.rmdir(path),
}


@pytest.mark.parametrize("way", WRITERS)
def test_nothing_is_ever_written(fs: LineageFileSystem, way: str) -> None:
    """Whoever tries is told what to do instead; the error is an OSError, as of any read-only file system."""
    with pytest.raises(ImmutableVersion, match="log_artifact") as caught:
        WRITERS[way](fs, "lineage://shop/table:v0/a.csv")
    assert isinstance(caught.value, OSError)
    assert CONTENT["a.csv"] == fs.read_text("shop/table:v0/a.csv")


# ── who used it ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_reading_inside_a_run_records_the_use(fs: LineageFileSystem) -> None:
    """Once for a version, however often and by whatever name it is read; looking records nothing."""
    with lineage.init(project="shop") as run:
        fs.ls("shop/table:v0")
        fs.info("shop/table:v0/a.csv")
        fs.glob("shop/table:v0/**")
        assert [] == used(run)
        fs.cat_file("shop/table:v0/a.csv")
        fs.read_text("shop/table:latest/part/0.csv")
        assert (["table:v0"], 1) == (used(run), run._used)


def test_the_use_is_recorded_before_the_first_byte(fs: LineageFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that dies while it reads has used what it read."""
    monkeypatch.setattr("lineage.actions.read.open_entry", lambda *_: (_ for _ in ()).throw(OSError("the machine is gone")))
    with lineage.init(project="shop") as run:
        with pytest.raises(OSError, match="the machine is gone"):
            fs.open("shop/table:v0/a.csv")
        assert ["table:v0"] == used(run)


def test_reading_without_a_run_records_nothing(fs: LineageFileSystem, table: Any) -> None:
    """Nor does reading with use=False, nor in a disabled run; each run has a use of its own."""
    fs.cat_file("shop/table:v0/a.csv")
    with lineage.init(project="shop"):
        fsspec.open("lineage://shop/table:v0/a.csv", use=False).open().read()
    with lineage.init(project="shop", mode="disabled"):
        fs.cat_file("shop/table:v0/a.csv")
    assert [] == table.used_by()
    for _ in range(2):
        with lineage.init(project="shop"):
            fs.cat_file("shop/table:v0/a.csv")
    assert 2 == len(table.used_by())


@pytest.mark.usefixtures("table")
def test_another_store_is_read_and_not_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An edge cannot lead from one catalogue into another; it is said."""
    with lineage.init(project="shop", settings={"home": tmp_path / "elsewhere"}) as run:
        fs = fsspec.filesystem("lineage", home=os.environ["LINEAGE_HOME"])
        assert CONTENT["a.csv"] == fs.read_text("shop/table:v0/a.csv")
        assert 0 == run._used
    assert "not recorded" in capsys.readouterr().err


def test_threads_of_a_run_record_its_use(fs: LineageFileSystem) -> None:
    """Any thread reads, each at its own pace, and the run used the version once."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for path, text in CONTENT.items():
                assert text == fs.read_text(f"shop/table:latest/{path}")
        except BaseException as error:
            failures.append(error)

    with lineage.init(project="shop") as run:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ([], ["table:v0"]) == (failures, used(run))


def _read(fs: LineageFileSystem, path: str, answers: Any) -> None:
    answers.put((fs.read_text(path), lineage.run is None))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_process_reads_and_records_nothing(fs: LineageFileSystem, table: Any, method: str) -> None:
    """Neither a forked child, which has no run, nor a new process; both get the file system as it is."""
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    with lineage.init(project="shop"):
        fs.info("shop/table:v0/a.csv")
        worker = context.Process(target=_read, args=(fs, "shop/table:v0/a.csv", answers))
        worker.start()
        assert (CONTENT["a.csv"], True) == answers.get(timeout=60)
        worker.join()
    assert [] == table.used_by()


def test_it_is_a_value(fs: LineageFileSystem) -> None:
    """It can be pickled, and one with the same options is the same."""
    again = pickle.loads(pickle.dumps(fs))
    assert again == fs == fsspec.filesystem("lineage") != fsspec.filesystem("lineage", use=False)
    assert CONTENT["a.csv"] == again.read_text("shop/table:v0/a.csv")


@pytest.mark.parametrize("path", ["shop/table/a.csv", "shop/table", "a.csv"])
def test_a_path_without_a_version_says_how_to_name_one(fs: LineageFileSystem, table: Any, path: str) -> None:
    """Where the alias was forgotten nothing is guessed, and the error shows where it goes."""
    assert "v0" == table.version
    with pytest.raises(FileNotFoundError, match="name:alias/path"):
        fs.open(path)
