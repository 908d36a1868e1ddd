"""What a directory holds is found completely, or refused with everything that is wrong with it."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.errors import InvalidPath, Missing, Unreadable, UnsafeLink, UnsupportedFile
from storage.transfer.scan import FoundLink, scan
from storage.transfer.statcache import packed, stamp_of


def as_nobody(work: Callable[[], None]) -> int:
    """The exit code of a child that does `work` without any privilege: 0 when nothing was raised."""
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def within_reach(path: Path) -> None:
    """Let anybody pass through the directories above `path`: pytest keeps them for their owner."""
    for above in (path, *path.parents):
        if above.stat().st_uid == os.getuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o755)


def test_finds_what_is_there(tree: Path) -> None:
    """Files with their sizes, empty directories and links, in the order of their path bytes."""
    for name, data in {"b": b"12", "a/x": b"1", "a-b": b"", "ä": b"123"}.items():
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(data)
    (tree / "empty/deeper").mkdir(parents=True)
    (tree / "link").symlink_to("a/x")
    found = scan(tree)

    assert ["a-b", "a/x", "b", "ä"] == [file.path for file in found.files]
    assert [packed(stamp_of((tree / file.path).stat())) for file in found.files] == [file.stamp for file in found.files]
    assert all(found.source(file.path) == str(tree.resolve() / file.path) for file in found.files)
    assert ("empty/deeper",) == found.directories
    assert (FoundLink("link", "a/x"),) == found.links
    assert 6 == found.size


def test_an_empty_directory_holds_nothing(tree: Path) -> None:
    """The root itself is no entry."""
    assert ([], (), (), ()) == (scan(tree).files, scan(tree).links, scan(tree).directories, scan(tree).skipped)


@pytest.mark.fault("F01", "F05")
@pytest.mark.timeout(10)
def test_refuses_specials_all_at_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipes, sockets and devices are all listed, without opening one, however deep."""
    (tree / "sub").mkdir()
    os.mkfifo(tree / "sub/pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tree)  # a socket's path may not be long
        listening.bind("sock")
        (tree / "good").write_bytes(b"x")
        with pytest.raises(UnsupportedFile) as caught:
            scan(tree)

    assert "sub/pipe" in str(caught.value)
    assert "sock" in str(caught.value)
    assert "good" not in str(caught.value)


@pytest.mark.fault("F05")
def test_refuses_devices(tree: Path) -> None:
    """A device node is refused."""
    try:
        os.mknod(tree / "null", 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making a device needs a privilege")
    with pytest.raises(UnsupportedFile, match="null"):
        scan(tree)


@pytest.mark.fault("F02")
@pytest.mark.timeout(10)
@pytest.mark.parametrize("follow", ["inside", "all"])
def test_loops_end(tree: Path, follow: str) -> None:
    """Links to where they lie in, or to themselves, are refused with their names, whatever is followed."""
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/up").symlink_to("..")
    (tree / "a/here").symlink_to(".")
    (tree / "root").symlink_to(".")
    (tree / "self").symlink_to("self")
    with pytest.raises(UnsafeLink, match="4 things") as caught:
        scan(tree, follow=follow)  # type: ignore[arg-type]
    assert all(name in str(caught.value) for name in ("a/b/up", "a/here", "root", "self"))


@pytest.mark.fault("F02")
@pytest.mark.timeout(10)
def test_two_directories_that_link_to_each_other(tree: Path) -> None:
    """Links to directories inside are kept as links and not walked."""
    (tree / "a").mkdir()
    (tree / "b").mkdir()
    (tree / "a/to_b").symlink_to("../b")
    (tree / "b/to_a").symlink_to("../a")

    assert (FoundLink("a/to_b", "b"), FoundLink("b/to_a", "a")) == scan(tree).links


@pytest.mark.fault("F03", "F04")
def test_refuses_links_that_leave_or_dangle(tree: Path, tmp_path: Path) -> None:
    """Links to outside and to nothing are all listed; so is one that leaves by way of another."""
    (tree / "passwd").symlink_to("/etc/passwd")
    (tree / "via").symlink_to("passwd")
    (tree / "sibling").symlink_to("../store")
    (tree / "nothing").symlink_to("no/such")
    (tmp_path / "store").mkdir(exist_ok=True)
    with pytest.raises(UnsafeLink, match="4 things") as caught:
        scan(tree)
    assert all(name in str(caught.value) for name in ("passwd", "via", "sibling", "nothing"))


def test_a_link_may_be_absolute_when_it_stays_inside(tree: Path) -> None:
    """What counts is where a link leads, not how it is written; a link to a link keeps its middle."""
    (tree / "d").mkdir()
    (tree / "d/x").write_bytes(b"1")
    (tree / "absolute").symlink_to(tree / "d/x")
    (tree / "again").symlink_to("absolute")
    (tree / "d/out-and-in").symlink_to("../../tree/d/x")

    assert {("absolute", "d/x"), ("again", "absolute"), ("d/out-and-in", "d/x")} == {(link.path, link.target) for link in scan(tree).links}


def test_following_all(tree: Path, tmp_path: Path) -> None:
    """Asked to, links that leave the root are followed: files and directories outside become part of the tree."""
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep/file").write_bytes(b"123")
    (tree / "dir").symlink_to(outside)
    (tree / "file").symlink_to(outside / "deep/file")

    found = scan(tree, follow="all")
    assert {"dir/deep/file", "file"} == {file.path for file in found.files}
    assert 2 * [os.path.realpath(outside / "deep/file")] == [os.path.realpath(found.source(file.path)) for file in found.files]
    assert not any(Path(found.source(file.path)).is_symlink() for file in found.files)
    assert 6 == found.size


@pytest.mark.timeout(10)
def test_following_all_ends(tree: Path, tmp_path: Path) -> None:
    """Directories outside that link to each other, or back to the root, are walked once and then refused."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "self").symlink_to(outside)
    (tree / "out").symlink_to(outside)
    (tree / "above").symlink_to(tmp_path)
    with pytest.raises(UnsafeLink, match="2 things") as caught:
        scan(tree, follow="all")
    assert 2 == str(caught.value).count("walked already")


def test_never_following_says_so(tree: Path) -> None:
    """Asked to leave links out, every link is listed as left out, with the reason."""
    (tree / "a").symlink_to("/etc/passwd")
    (tree / "b").symlink_to("nowhere")
    found = scan(tree, follow="never")

    assert ((), ["a", "b"]) == (found.links, [skipped.path for skipped in found.skipped])
    assert all("as asked" in skipped.reason for skipped in found.skipped)


@pytest.mark.fault("N20")
def test_control_directories_are_left_out(tree: Path) -> None:
    """`.git` and `.lineage` are left out wherever they are, and said to be; links into them are refused."""
    for name in (".git/config", "sub/.Lineage/x", "kept"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(b"x")
    found = scan(tree)

    assert ["kept"] == [file.path for file in found.files]
    assert {".git", "sub/.Lineage"} == {skipped.path for skipped in found.skipped}
    (tree / "link").symlink_to(".git/config")
    with pytest.raises(UnsafeLink, match="control directory"):
        scan(tree)


@pytest.mark.fault("F12", "F13")
@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")
def test_unreadable_things_are_all_listed(tree: Path) -> None:
    """Files and directories that may not be read are listed together; neither is left out silently."""
    within_reach(tree)
    for number in range(3):
        (tree / f"closed{number}").write_bytes(b"x")
        (tree / f"closed{number}").chmod(0)
    (tree / "locked").mkdir()
    (tree / "locked/inside").write_bytes(b"x")
    (tree / "locked").chmod(0)

    def work() -> None:
        with pytest.raises(Unreadable, match="4 things") as caught:
            scan(tree)
        assert all(name in str(caught.value) for name in ("closed0", "closed1", "closed2", "locked"))

    assert 0 == as_nobody(work)


@pytest.mark.fault("F12")
def test_long_lists_are_cut(tree: Path) -> None:
    """A hundred offenders are named, and how many more there are."""
    for number in range(130):
        os.mkfifo(tree / f"pipe{number:03}")
    with pytest.raises(UnsupportedFile, match="130 things") as caught:
        scan(tree)

    assert 100 == str(caught.value).count("is a pipe")
    assert "and 30 more" in str(caught.value)


def test_the_root_must_be_a_directory(tree: Path) -> None:
    """A root that is absent is missing, one that is a file is refused; a root reached through a link is fine."""
    (tree / "file").write_bytes(b"x")
    (tree.parent / "door").symlink_to(tree)
    with pytest.raises(Missing):
        scan(tree / "absent")
    with pytest.raises(UnsupportedFile):
        scan(tree / "file")
    assert ["file"] == [file.path for file in scan(tree.parent / "door").files]


@pytest.mark.fault("N15")
@pytest.mark.timeout(20)
def test_very_deep_trees_are_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree deeper than a manifest may be is refused, not walked to its end, and without recursion."""
    for number in range(300):
        monkeypatch.chdir(tree if not number else "d")
        Path("d").mkdir()
    with pytest.raises(InvalidPath, match="levels deep"):
        scan(tree)
