"""References to files on this machine, to schemes nobody speaks, and what may not be stored in any."""

import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from storage.digest import Digest
from storage.entry import Entry, Pin
from storage.errors import (
    InvalidPath,
    InvalidReference,
    ReferenceChanged,
    ReferenceMissing,
    TooManyObjects,
    UnsafeLink,
    UnsupportedFile,
)
from storage.transfer import reference
from storage.transfer.reference import Standing
from storage.uri import strip_secrets


def fetched(entry: Entry) -> bytes:
    out = io.BytesIO()
    reference.fetch(entry, out)
    return out.getvalue()


def standing(entry: Entry) -> Standing:
    assert entry.pin is not None
    return reference.check(entry.pin, entry.size)


def paths(entries: list[Entry]) -> list[str]:
    return [entry.path for entry in entries]


def test_a_file_is_pinned_by_its_content(tmp_path: Path) -> None:
    """Its digest stands where the etag of others is; what comes back is those bytes, and the file is left alone."""
    (tmp_path / "a.csv").write_bytes(b"hello")
    before = (tmp_path / "a.csv").stat()

    (entry,) = reference.pin(f"file://{tmp_path}/a.csv")

    assert Entry.reference("a.csv", Pin(f"file://{tmp_path}/a.csv", str(Digest.of(b"hello"))), 5) == entry
    assert b"hello" == fetched(entry)
    assert Standing.OK is standing(entry)
    assert (before.st_mtime_ns, before.st_ino) == ((tmp_path / "a.csv").stat().st_mtime_ns, (tmp_path / "a.csv").stat().st_ino)


@pytest.mark.fault("X05")
@pytest.mark.parametrize("other", [b"jello", b"longer"])
def test_a_changed_file_is_an_error(tmp_path: Path, other: bytes) -> None:
    """Of another size or of the same: other bytes are noticed, even with the time set back."""
    file = tmp_path / "a"
    file.write_bytes(b"hello")
    (entry,) = reference.pin(f"file://{file}")
    before = file.stat()
    file.write_bytes(other)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    out = io.BytesIO()
    with pytest.raises(ReferenceChanged):
        reference.fetch(entry, out)
    assert (b"" if len(other) != entry.size else other) == out.getvalue()
    assert Standing.DRIFTED is standing(entry)


def test_a_file_that_is_gone_is_missing(tmp_path: Path) -> None:
    """Whether it was pinned before or not."""
    (tmp_path / "a").write_bytes(b"")
    (entry,) = reference.pin(f"file://{tmp_path}/a")
    (tmp_path / "a").unlink()

    assert Standing.MISSING is standing(entry)
    for act in (lambda: fetched(entry), lambda: reference.pin(f"file://{tmp_path}/a"), lambda: reference.pin(f"file://{tmp_path}/a/b")):
        with pytest.raises(ReferenceMissing):
            act()


@pytest.mark.fault("H10")
def test_a_directory_is_one_entry_for_each_file_below(tmp_path: Path) -> None:
    """Empty files count, names are kept, order is that of the paths."""
    for name, data in {"b": b"1", "a/x": b"", "a b": b"2", "ä#?%20": b"3", "a.b": b"4"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)

    entries = reference.pin(f"file://{tmp_path}")

    assert ["a b", "a.b", "a/x", "b", "ä#?%20"] == paths(entries)
    assert [b"2", b"4", b"", b"1", b"3"] == [fetched(entry) for entry in entries]
    assert ["n/a b", "n/a.b", "n/a/x", "n/b", "n/ä#?%20"] == paths(reference.pin(f"file://{tmp_path}/", "n"))


def test_an_empty_directory_is_an_error_unless_it_is_meant(tmp_path: Path) -> None:
    """Nothing to pin is most often a mistake."""
    with pytest.raises(ReferenceMissing):
        reference.pin(f"file://{tmp_path}")
    assert [] == reference.pin(f"file://{tmp_path}", allow_empty=True)


@pytest.mark.fault("R23")
def test_more_files_than_allowed_are_an_error(tmp_path: Path) -> None:
    """The limit itself passes, one more does not."""
    for name in "abc":
        (tmp_path / name).write_bytes(b"x")

    assert ["a", "b", "c"] == paths(reference.pin(f"file://{tmp_path}", max_objects=3))
    with pytest.raises(TooManyObjects):
        reference.pin(f"file://{tmp_path}", max_objects=2)


def test_without_checksum_no_content_is_read(tmp_path: Path) -> None:
    """The pin has a size and no etag; whatever is there later is what comes."""
    (tmp_path / "a").write_bytes(b"hello")

    (entry,) = reference.pin(f"file://{tmp_path}", checksum=False)

    assert ({}, 5) == (entry.extra, entry.size)
    assert Standing.UNPINNED is standing(entry)
    (tmp_path / "a").write_bytes(b"other and longer")
    assert b"other and longer" == fetched(entry)


@pytest.mark.fault("F02", "F03", "F04")
def test_links_stay_inside_or_refuse_the_whole(tmp_path: Path) -> None:
    """A link to inside is followed; links to outside, to nowhere and in circles are all named together."""
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "d/file").write_bytes(b"in")
    (root / "link").symlink_to("d/file")
    (root / "dirlink").symlink_to("d")
    (tmp_path / "secret").write_bytes(b"out")
    (tmp_path / "root2").mkdir()

    assert ["d/file", "dirlink/file", "link"] == paths(reference.pin(f"file://{root}"))

    (root / "outside").symlink_to(tmp_path / "secret")
    (root / "sibling").symlink_to(tmp_path / "root2")
    (root / "nowhere").symlink_to("missing")
    (root / "self").symlink_to("self")
    (root / "d/up").symlink_to("..")
    with pytest.raises(UnsafeLink) as caught:
        reference.pin(f"file://{root}")
    assert [] == [name for name in ("outside", "sibling", "nowhere", "self", "d/up") if f"\n  {name}:" not in str(caught.value)]
    assert [] == [name for name in ("link", "dirlink") if f"\n  {name}:" in str(caught.value)]


@pytest.mark.fault("F01", "F05")
def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """FIFOs and sockets are never opened, alone or below a directory."""
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(UnsupportedFile) as caught:
            reference.pin(f"file://{tmp_path}")
    assert "fifo" in str(caught.value)
    assert "socket" in str(caught.value)
    for name in ("fifo", "socket"):
        with pytest.raises(UnsupportedFile):
            reference.pin(f"file://{tmp_path}/{name}")


def test_a_uri_is_decoded_exactly_once(tmp_path: Path) -> None:
    """`%2520` is the name `%20`, not a space; `localhost` is this machine."""
    (tmp_path / "a b").write_bytes(b"space")
    (tmp_path / "a%20b").write_bytes(b"percent")

    assert b"space" == fetched(reference.pin(f"file://{tmp_path}/a%20b")[0])
    assert b"percent" == fetched(reference.pin(f"file://localhost{tmp_path}/a%2520b")[0])
    assert b"space" == fetched(reference.pin(f"FILE:{tmp_path}/a b")[0])


@pytest.mark.parametrize(
    "uri", ["file://host/a", "file://a/b", "file:a", "file:///a/../b", "file:///a/%2e%2e/b", "file:///a%00b", "file://"]
)
def test_file_uris_that_are_not_one_absolute_path_are_refused(uri: str) -> None:
    """Another host, a relative path, a path that climbs, a NUL."""
    with pytest.raises(InvalidReference):
        reference.pin(uri)


@pytest.mark.fault("R21")
def test_names_a_manifest_cannot_hold_are_refused_with_a_list(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 or holds a control character is named, and nothing is pinned."""
    (tmp_path / "good").write_bytes(b"")
    for name in (b"not-\xff-utf8", b"line\nbreak"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"")

    with pytest.raises(InvalidReference) as caught:
        reference.pin(f"file://{tmp_path}")
    assert "not-" in str(caught.value)
    assert "line" in str(caught.value)
    assert "good" not in str(caught.value)


def test_an_unknown_scheme_is_tracked_and_cannot_be_downloaded() -> None:
    """It needs a name, is not verifiable, and says what could be downloaded instead."""
    (entry,) = reference.pin("vault://bucket/key#17", "data/key")

    assert Entry.reference("data/key", Pin("vault://bucket/key#17")) == entry
    assert Standing.UNVERIFIABLE is standing(entry)
    with pytest.raises(InvalidReference, match=r"vault://.*s3://"):
        fetched(entry)
    with pytest.raises(InvalidReference, match="name="):
        reference.pin("vault://bucket/key")


@pytest.mark.parametrize("uri", ["", "/data/file", "data.csv", "C:\\data", "://x", "s3 ://b/k", "s3://b/k\n", "https://h/\ud800"])
def test_what_is_no_uri_is_refused(uri: str) -> None:
    """No scheme, control characters, not UTF-8."""
    with pytest.raises(InvalidReference):
        reference.pin(uri, "name")


def test_a_name_is_checked_before_anything_else(tmp_path: Path) -> None:
    """A name the manifest cannot hold is refused although the target is not even there."""
    for name in ("../up", "", "a//b", "/root"):
        with pytest.raises(InvalidPath):
            reference.pin(f"file://{tmp_path}/missing", name)


def test_only_references_can_be_fetched() -> None:
    """The bytes of a file entry are in the store."""
    with pytest.raises(InvalidReference, match="file"):
        fetched(Entry.file("a", Digest.of(b""), 0))


@pytest.mark.parametrize(
    "uri",
    [
        "https://user:hidden@host/file",
        "https://user%3Ahidden@host/file",
        "ftp://user:hidden@host/file",
        "https://host/file?X-Amz-Credential=AKIA&X-Amz-Signature=hidden",
        "https://host/file?x-amz-security-token=hidden",
        "https://account.blob.core.windows.net/c/b?sv=2024&sig=hidden",
        "https://storage.googleapis.com/b/o?X-Goog-Signature=hidden",
        "https://host/file?a=1&access_token=hidden",
        "https://host/file?a=1;token=hidden",
        "https://host/file?%74oken=hidden",
        "https://host/file#access_token=hidden",
        "https://host/file?api_key=hidden",
        "https://host/file?client-secret=hidden",
        "https://host/file?Policy=p&Signature=hidden&Key-Pair-Id=k",
        "https://bucket.s3.amazonaws.com/k?AWSAccessKeyId=hidden&Expires=1",
        "s3://bucket/key?X-Amz-Signature=hidden",
        "gs://bucket/key?password=hidden",
        "file:///data/file?token=hidden",
        "gs:key?token=hidden",
        "doi:10?token=hidden&see=http://host/",
        "sftp://user;fingerprint=1:hidden@host/file",
        "jdbc:postgresql://user:hidden@host/db",
        "/file?token=hidden",
        "https://user:hidden@host/\n",
    ],
)
@pytest.mark.fault("X09", "I-26", "I-30")
def test_a_secret_in_a_uri_is_refused_and_not_repeated(uri: str) -> None:
    """Before anything is contacted or stored, and without showing it again in the message."""
    for act in (lambda: reference.pin(uri, "name", checksum=False), lambda: strip_secrets(uri)):
        with pytest.raises(InvalidReference) as caught:
            act()
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "stored"),
    [
        ("sftp://user@host/file", "sftp://host/file"),
        ("https://ghp_token@host/file?part=2", "https://host/file?part=2"),
        ("HTTPS://host/File@2", "https://host/File@2"),
        ("s3://bucket/a@b:c?versionId=v", "s3://bucket/a@b:c?versionId=v"),
        ("https://host/file?tokenizer=bpe&signed=no&X-Amz", "https://host/file?tokenizer=bpe&signed=no&X-Amz"),
        ("doi:10.1000/182", "doi:10.1000/182"),
    ],
)
@pytest.mark.fault("X09")
def test_what_is_no_secret_stays(uri: str, stored: str) -> None:
    """A lone user name is left out, since it may be a token; everything else is kept as it was."""
    assert stored == strip_secrets(uri)


def test_references_load_no_client_before_one_is_needed() -> None:
    """Importing the package, and recording a URI unchecked, loads no client of any service."""
    program = (
        "import sys; from storage.transfer import reference; reference.pin('gs://bucket/key', 'name', checksum=False);"
        "print(sorted({'s3fs', 'fsspec', 'gcsfs', 'adlfs', 'botocore', 'aiohttp', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def test_something_else_in_a_files_place_has_drifted(tmp_path: Path) -> None:
    """A directory or a pipe is not the file that was pinned, and opening it keeps nobody waiting."""
    (tmp_path / "f").write_text("x")
    (entry,) = reference.pin(f"file://{tmp_path}/f")
    (tmp_path / "f").unlink()
    os.mkfifo(tmp_path / "f")
    assert Standing.DRIFTED is standing(entry)
    (tmp_path / "f").unlink()
    (tmp_path / "f").mkdir()
    assert Standing.DRIFTED is standing(entry)
