"""A checkout makes a directory what the manifest says, refuses before it writes, and never leaves its directory."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from storage.blob import disk
from storage.digest import Blob, Digest
from storage.entry import Entry, Pin
from storage.errors import BlobMissing, Corrupt, DestinationRefused, ReferenceChanged, ReferenceMissing, TreeChanged, VersionGone
from storage.manifest import Manifest, build
from storage.transfer.checkout import Report, checkout
from storage.transfer.compare import verify
from tests.storage.conftest import Shelf


def content(root: Path) -> dict[str, bytes | str | None]:
    """Every path below a directory: bytes of files, targets of links, None for directories."""
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }


@pytest.fixture
def manifest(shelf: Shelf, tree: Path) -> Manifest:
    for name, data in {"a": b"one", "d/b": b"two", "d/e/c": b"", "some-prefix": b"4", "some-prefix-two.txt": b"5"}.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    (tree / "d/b").chmod(0o750)
    (tree / "d/e/link").symlink_to("../b")
    (tree / "d/dirlink").symlink_to("e")
    (tree / "void").mkdir()
    return shelf.log(tree)


class TestWriting:
    @pytest.mark.fault("F14", "I-24")
    def test_round_trip(self, shelf: Shelf, manifest: Manifest, tree: Path, tmp_path: Path, untouched: Callable[[Path], object]) -> None:
        """Files, executable bits, links and empty directories are what they were; the source and the store are not touched."""
        before = untouched(tree), untouched(shelf.backend.root)
        told: list[int] = []
        report = checkout(manifest, shelf.store, tmp_path / "new/out", progress=told.append)

        assert content(tree) == content(tmp_path / "new/out")
        assert Report(written=8, bytes=8) == report
        assert 8 == sum(told)
        assert [0o644, 0o755] == [(tmp_path / "new/out" / name).stat().st_mode & 0o777 for name in ("a", "d/b")]
        assert before == (untouched(tree), untouched(shelf.backend.root))
        verify(manifest, tmp_path / "new/out")

    @pytest.mark.fault("F07")
    @pytest.mark.parametrize("data", [[], [(40 << 20, b"middle")], [(0, b"begin"), ((48 << 20) - 3, b"end")]])
    def test_holes_come_back_as_holes(self, shelf: Shelf, tree: Path, tmp_path: Path, data: list[tuple[int, bytes]]) -> None:
        """A sparse file of 48 MiB comes back the same and takes no more room than where it came from, give or take a step of reading."""
        tree.mkdir(exist_ok=True)
        path, out = tree / "sparse", tmp_path / "out/sparse"
        with path.open("wb") as file:
            for at, piece in data:
                file.seek(at)
                file.write(piece)
            file.truncate(48 << 20)
        if path.stat().st_blocks * 512 > 24 << 20:
            pytest.skip("this file system keeps no holes")
        checkout(shelf.log(tree), shelf.store, out.parent)

        assert path.read_bytes() == out.read_bytes()
        assert out.stat().st_blocks * 512 <= path.stat().st_blocks * 512 + (2 << 20)

    @pytest.mark.fault("F11")
    def test_files_are_copies(self, shelf: Shelf, manifest: Manifest, tmp_path: Path) -> None:
        """Writing into a checked-out file in place does not reach the store."""
        checkout(manifest, shelf.store, tmp_path / "out")
        with (tmp_path / "out/a").open("r+b") as file:
            file.write(b"XXX")

        assert b"one" == shelf.store.read(Digest.of(b"one"))
        assert 1 == (tmp_path / "out/a").stat().st_nlink

    def test_again_keeps_everything(self, shelf: Shelf, manifest: Manifest, tmp_path: Path, effects: list[tuple[str, str]]) -> None:
        """What is right already is not written again."""
        checkout(manifest, shelf.store, tmp_path / "out")
        effects.clear()

        assert Report(kept=8) == checkout(manifest, shelf.store, tmp_path / "out")
        assert [] == effects

    @pytest.mark.fault("H17", "E04")
    def test_what_differs_is_replaced(self, shelf: Shelf, manifest: Manifest, tmp_path: Path) -> None:
        """A file of the same size and time with other bytes, one that is not executable, and a wrong link are replaced."""
        out = tmp_path / "out"
        checkout(manifest, shelf.store, out)
        about = (out / "a").stat()
        (out / "a").write_bytes(b"eno")
        os.utime(out / "a", ns=(about.st_atime_ns, about.st_mtime_ns))
        (out / "d/b").chmod(0o644)
        (out / "d/e/link").unlink()
        (out / "d/e/link").symlink_to("/etc/passwd")
        (out / "extra").write_bytes(b"mine")
        report = checkout(manifest, shelf.store, out)

        assert (3, 5) == (report.written, report.kept)
        assert (b"one", True, "../b", b"mine") == (
            (out / "a").read_bytes(),
            os.access(out / "d/b", os.X_OK),
            str((out / "d/e/link").readlink()),
            (out / "extra").read_bytes(),
        )

    def test_a_link_in_place_of_a_file_is_replaced_not_followed(self, shelf: Shelf, manifest: Manifest, tmp_path: Path) -> None:
        """Where a file must be and a link is, the link goes, and what it points to stays as it is."""
        (tmp_path / "precious").write_bytes(b"precious")
        (tmp_path / "out").mkdir()
        (tmp_path / "out/a").symlink_to(tmp_path / "precious")
        checkout(manifest, shelf.store, tmp_path / "out")

        assert (b"precious", b"one") == ((tmp_path / "precious").read_bytes(), (tmp_path / "out/a").read_bytes())
        assert not (tmp_path / "out/a").is_symlink()

    def test_exact_removes_what_is_extra(self, shelf: Shelf, manifest: Manifest, tree: Path, tmp_path: Path) -> None:
        """Exactly what the manifest says stands there afterwards; control directories and what links point to are left alone."""
        out = tmp_path / "out"
        for name in ("extra", "d/more/and/more", ".git/config", "d/e/x"):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(b"mine")
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious/file").write_bytes(b"precious")
        (out / "door").symlink_to(tmp_path / "precious")
        report = checkout(manifest, shelf.store, out, exact=True)

        assert content(tree) | {".git": None, ".git/config": b"mine"} == content(out)
        assert 4 == report.removed
        assert b"precious" == (tmp_path / "precious/file").read_bytes()

    def test_a_prefix_is_text(self, shelf: Shelf, manifest: Manifest, tmp_path: Path) -> None:
        """A prefix selects by text, across name boundaries, and an exact checkout removes only below it."""
        (tmp_path / "out/d").mkdir(parents=True)
        (tmp_path / "out/other").write_bytes(b"mine")
        (tmp_path / "out/some-prefix-old").write_bytes(b"old")
        checkout(manifest, shelf.store, tmp_path / "out", prefix="some-prefix", exact=True)

        assert {"d": None, "other": b"mine", "some-prefix": b"4", "some-prefix-two.txt": b"5"} == content(tmp_path / "out")

    def test_an_empty_manifest(self, shelf: Shelf, tmp_path: Path) -> None:
        """An empty manifest makes an empty directory, and exactly empties one."""
        (tmp_path / "out").mkdir()
        (tmp_path / "out/x").write_bytes(b"x")
        checkout(build([]).manifest, shelf.store, tmp_path / "new")
        checkout(build([]).manifest, shelf.store, tmp_path / "out", exact=True)

        assert {} == content(tmp_path / "new") == content(tmp_path / "out")


class TestRefusing:
    @pytest.mark.fault("E02", "I-25", "N01")
    @pytest.mark.parametrize("inside", [True, False])
    def test_a_directory_that_is_a_link(self, shelf: Shelf, manifest: Manifest, tmp_path: Path, inside: bool) -> None:
        """A link where a directory must be is refused, wherever it leads; nothing is written, here or there."""
        elsewhere = tmp_path / ("out/real" if inside else "elsewhere")
        elsewhere.mkdir(parents=True)
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out/d").symlink_to(elsewhere)
        before = content(tmp_path)
        for exact in (False, True):
            with pytest.raises(DestinationRefused, match="'d'"):
                checkout(manifest, shelf.store, tmp_path / "out", exact=exact)

        assert before == content(tmp_path)

    @pytest.mark.fault("E02", "I-25")
    def test_a_directory_swapped_for_a_link_meanwhile(
        self, shelf: Shelf, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A directory that becomes a link between the look and the first write is refused, and not written through."""
        out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
        (out / "d").mkdir(parents=True)
        elsewhere.mkdir()

        def swap(*_: object) -> None:
            if not (out / "d").is_symlink():
                (out / "d").rename(tmp_path / "moved")
                (out / "d").symlink_to(elsewhere)

        monkeypatch.setattr(disk, "observe", swap)
        with pytest.raises(DestinationRefused):
            checkout(manifest, shelf.store, out)
        assert {} == content(elsewhere)

    @pytest.mark.fault("E02", "I-25")
    def test_a_directory_swapped_at_any_moment(
        self, shelf: Shelf, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whenever a directory becomes a link, before whichever effect, nothing lands where the link leads."""
        for at in range(40):
            out, elsewhere = tmp_path / f"out{at}", tmp_path / f"elsewhere{at}"
            (out / "d").mkdir(parents=True)
            elsewhere.mkdir()
            left = [at]

            def swap(*_: object, out: Path = out, elsewhere: Path = elsewhere, left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] == -1:
                    (out / "d").rename(out.with_name(f"{out.name}.moved"))
                    (out / "d").symlink_to(elsewhere)

            monkeypatch.setattr(disk, "observe", swap)
            with suppress(DestinationRefused):
                checkout(manifest, shelf.store, out)
            assert {} == content(elsewhere)

    def test_everything_in_the_way_is_listed(self, shelf: Shelf, manifest: Manifest, tmp_path: Path) -> None:
        """A file for a directory, a directory for a file, and a pipe are all listed, and nothing is written."""
        out = tmp_path / "out"
        (out / "a").mkdir(parents=True)
        (out / "d").write_bytes(b"file")
        (out / "void").write_bytes(b"file")
        os.mkfifo(out / "some-prefix")
        with pytest.raises(DestinationRefused) as caught:
            checkout(manifest, shelf.store, out, exact=True)

        assert all(repr(name) in str(caught.value) for name in ("a", "d", "void", "some-prefix"))
        assert {"a", "d", "void", "some-prefix"} == {path.name for path in out.iterdir()}

    @pytest.mark.parametrize("where", ["file", "file/below"])
    def test_a_destination_that_is_a_file(self, shelf: Shelf, manifest: Manifest, tmp_path: Path, where: str) -> None:
        """A destination that is a file, or lies below one, is refused."""
        (tmp_path / "file").write_bytes(b"x")
        with pytest.raises(DestinationRefused):
            checkout(manifest, shelf.store, tmp_path / where)

        assert b"x" == (tmp_path / "file").read_bytes()


class TestVerifying:
    @pytest.mark.fault("H14", "R03", "I-31")
    def test_rot_never_lands(self, shelf: Shelf, manifest: Manifest, tree: Path, tmp_path: Path) -> None:
        """A rotten blob is refused by the name of its file, whose old content stays; every other file lands, and no part of this one."""
        shelf.rot(Digest.of(b"one"), 3)
        (tmp_path / "out").mkdir()
        (tmp_path / "out/a").write_bytes(b"old")
        with pytest.raises(Corrupt, match="'a'"):
            checkout(manifest, shelf.store, tmp_path / "out")

        assert content(tree) | {"a": b"old"} == content(tmp_path / "out")

    @pytest.mark.fault("H08")
    def test_the_digest_is_checked_not_only_the_checksum(self, shelf: Shelf, tmp_path: Path) -> None:
        """When store and ledger agree on wrong bytes, the digest still does not."""
        [digest] = shelf.put(b"right")
        record = shelf.ledger.rows["d", digest]
        wrong = shelf.object(digest)
        wrong.chmod(0o644)
        wrong.write_bytes(b"wrong")
        shelf.ledger.rows["d", digest] = replace(record, blob=Blob.of(b"wrong")._replace(digest=digest))
        with pytest.raises(Corrupt):
            checkout(build([Entry.file("x", digest, 5)]).manifest, shelf.store, tmp_path / "out")

        assert {} == content(tmp_path / "out")

    @pytest.mark.fault("H13")
    def test_the_size_is_checked(self, shelf: Shelf, tmp_path: Path) -> None:
        """An entry with the right digest and a wrong size does not land."""
        [digest] = shelf.put(b"right")
        with pytest.raises(Corrupt):
            checkout(build([Entry.file("x", digest, 6)]).manifest, shelf.store, tmp_path / "out")

    def test_missing_blobs_name_their_entry(self, shelf: Shelf, tmp_path: Path) -> None:
        """Bytes the store does not have are missing by the name of the entry."""
        with pytest.raises(BlobMissing, match="'x'"):
            checkout(build([Entry.file("x", Digest.of(b"never"), 5)]).manifest, shelf.store, tmp_path / "out")

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda out: (out / "extra").write_bytes(b""), "extra is not in the manifest"),
            (lambda out: (out / "a").unlink(), "a is missing"),
            (lambda out: (out / "a").write_bytes(b"eno"), "a differs"),
            (lambda out: (out / "void").rmdir(), "void is missing"),
            (lambda out: ((out / "d/e/link").unlink(), (out / "d/e/link").symlink_to("c")), "d/e/link differs"),
            (lambda out: ((out / "a").unlink(), (out / "a").symlink_to("d/b")), "a differs"),
            (lambda out: ((out / "d").rename(out / "x"), (out / "d").symlink_to("x")), "through a link"),
        ],
        ids=["extra", "missing", "differs", "directory", "link", "link-for-file", "through-link"],
    )
    def test_a_tree_that_differs(
        self, shelf: Shelf, manifest: Manifest, tmp_path: Path, change: Callable[[Path], object], problem: str
    ) -> None:
        """Verifying a tree names what is extra, missing or different, as a ValueError."""
        checkout(manifest, shelf.store, tmp_path / "out")
        change(tmp_path / "out")
        with pytest.raises(TreeChanged, match=problem) as caught:
            verify(manifest, tmp_path / "out")

        assert isinstance(caught.value, ValueError)


class TestReferences:
    @pytest.fixture
    def referring(self) -> Manifest:
        return build([Entry.reference("there", Pin("s3://b/k", "e1"), 4), Entry.reference("gone", Pin("s3://b/g", "e2"), 4)]).manifest

    def test_they_are_fetched(self, shelf: Shelf, referring: Manifest, tmp_path: Path) -> None:
        """A reference is fetched into its place by the caller's function; what is missing ends the checkout, unless it may be skipped."""

        def fetch(entry: Entry, file: BinaryIO) -> None:
            file.write(b"par")
            if entry.path == "gone":
                raise ReferenceMissing("gone")
            file.write(b"t")

        with pytest.raises(ReferenceMissing):
            checkout(referring, shelf.store, tmp_path / "out", fetch=fetch)
        report = checkout(referring, shelf.store, tmp_path / "out", fetch=fetch, allow_missing_references=True)

        assert Report(written=1, skipped=("gone",), bytes=4) == report
        assert {"there": b"part"} == content(tmp_path / "out")
        verify(referring, tmp_path / "out")

    def test_all_that_are_astray_are_named(self, shelf: Shelf, tmp_path: Path) -> None:
        """What no longer is what was pinned is named, all of it, and everything else lands."""
        pins = {"a": "drifted", "b": "gone", "c": "right"}
        manifest = build([Entry.reference(path, Pin(f"s3://b/{path}", "e"), 5) for path in pins]).manifest
        errors = {"drifted": ReferenceChanged("another etag"), "gone": VersionGone("not kept any more")}

        def fetch(entry: Entry, file: BinaryIO) -> None:
            if error := errors.get(pins[entry.path]):
                raise error
            file.write(b"bytes")

        with pytest.raises(ReferenceChanged, match=r"(?s)2 files.*'a': another etag.*'b': not kept"):
            checkout(manifest, shelf.store, tmp_path / "out", fetch=fetch)

        assert {"c": b"bytes"} == content(tmp_path / "out")
        with pytest.raises(VersionGone, match="'b': not kept"):
            checkout(build([manifest.entries["b"]]).manifest, shelf.store, tmp_path / "out", fetch=fetch)

    def test_nothing_to_fetch_with(self, shelf: Shelf, referring: Manifest, tmp_path: Path) -> None:
        """Without such a function references are missing."""
        with pytest.raises(ReferenceMissing, match="fetch"):
            checkout(referring, shelf.store, tmp_path / "out")

        skipped = checkout(referring, shelf.store, tmp_path / "out", allow_missing_references=True).skipped
        assert ("gone", "there") == skipped
