"""`file://` references: files outside the store, on the machine of whoever asks. They are read, never moved or changed.

A file has no etag of its own, so its content is read when it is pinned and its digest stands in the etag's place: what comes back later
is those bytes or an error. Without checksum nothing is read and nothing can be told.

A URI is an absolute path, percent-decoded exactly once; `?` and `#` are ordinary characters of a name. A link that is named directly is
followed; links found while walking a directory are followed when they stay inside it and refused when they do not.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO
from urllib.parse import quote, unquote_to_bytes

from storage.digest import CHUNK, Digest, Hasher
from storage.entry import Entry, Pin, printable
from storage.errors import (
    InvalidReference,
    ReferenceChanged,
    ReferenceMissing,
    SourceChanged,
    Unreadable,
    UnsafeLink,
    UnsupportedFile,
    listed,
)
from storage.transfer.reference.scheme import Found, Standing, Wish, entries_below

_HOSTS = ("", "localhost")


def pin(wish: Wish) -> list[Entry]:
    """The file, or every file below the directory, with the digest of its content as etag.

    Raises:
        ReferenceMissing: nothing there, or an empty directory that was not allowed to be empty.
        UnsafeLink, UnsupportedFile, Unreadable: something below cannot be pinned; the first two list all of it.
        SourceChanged: a file changed while it was read.
    """
    path = path_of(wish.uri)
    with _explained(path):
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
    if not is_directory:
        return [Entry.reference(wish.named(os.path.basename(path)), *_identity(path, wish.checksum))]
    files = _walk(path, wish)
    if not files and not wish.allow_empty:
        raise ReferenceMissing(f"{printable(wish.uri)} is a directory without files: pass allow_empty=True if that is meant")
    return entries_below(wish, (Found(name, *_identity(os.path.join(path, name), wish.checksum)) for name in files))


def fetch(pin: Pin, size: int | None, out: BinaryIO) -> None:
    """Copy the file while its digest is checked.

    Raises:
        ReferenceMissing: it is gone.
        ReferenceChanged: it holds other bytes than were pinned.
    """
    expected = Digest.parse(pin.etag) if pin.etag else None
    hasher = Hasher(expected.algorithm) if expected else Hasher()
    with _opened(path_of(pin.uri)) as source:
        there = os.fstat(source.fileno()).st_size
        if expected is not None and size is not None and there != size:
            raise ReferenceChanged(f"{printable(pin.uri)} has {there} bytes, pinned were {size}: restore it, or reference it again")
        for piece in iter(lambda: source.read(CHUNK), b""):
            hasher.update(piece)
            out.write(piece)
    found, copied, _ = hasher.result()
    if copied != there or (expected is not None and found != expected):
        raise ReferenceChanged(
            f"{printable(pin.uri)} is {found} of {copied} bytes, pinned was {expected}: restore it, or reference it again"
        )


def check(pin: Pin, size: int | None) -> Standing:
    """How the file stands; its content is read when its size still agrees."""
    try:
        with _opened(path_of(pin.uri)) as source:
            if pin.etag is None:
                return Standing.UNPINNED
            if size is not None and os.fstat(source.fileno()).st_size != size:
                return Standing.DRIFTED
            expected = Digest.parse(pin.etag)
            return Standing.OK if _digest(source, expected.algorithm) == expected else Standing.DRIFTED
    except ReferenceMissing:
        return Standing.MISSING
    except UnsupportedFile:
        return Standing.DRIFTED  # a directory or a pipe stands where the file was


def path_of(uri: str) -> str:
    """The absolute path a `file:` URI names; `uri_of` is the inverse.

    Raises:
        InvalidReference: another host, a relative path, a path that climbs, or a NUL.
    """
    rest = uri.partition(":")[2]
    host, path = "", rest
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        path = slash + path
    decoded = os.fsdecode(unquote_to_bytes(path))
    if host.lower() not in _HOSTS:
        raise InvalidReference(
            f"{printable(uri)} names the host {host!r}: a file reference is on this machine, write file:///absolute/path"
        )
    if not decoded.startswith("/") or "\0" in decoded or ".." in decoded.split("/"):
        raise InvalidReference(f"{printable(uri)} is not an absolute path without '..': write file:///absolute/path")
    return os.path.normpath("/" + decoded.lstrip("/"))


def uri_of(path: str) -> str:
    """The `file:` URI of an absolute path, whatever bytes its name consists of."""
    return "file://" + quote(os.fsencode(path))


def _identity(path: str, checksum: bool) -> tuple[Pin, int]:
    with _opened(path) as source:
        before = os.fstat(source.fileno())
        if not checksum:
            return Pin(uri_of(path)), before.st_size
        digest = _digest(source)
        after = os.fstat(source.fileno())
    if (before.st_size, before.st_mtime_ns, before.st_ctime_ns) != (after.st_size, after.st_mtime_ns, after.st_ctime_ns):
        raise SourceChanged(f"{printable(path)} changed while it was read: reference it again when it is at rest")
    return Pin(uri_of(path), etag=str(digest)), after.st_size


def _digest(source: BinaryIO, algorithm: str | None = None) -> Digest:
    hasher = Hasher(algorithm) if algorithm else Hasher()
    for piece in iter(lambda: source.read(CHUNK), b""):
        hasher.update(piece)
    return hasher.result()[0]


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """The regular file at `path`. Opened without blocking: a FIFO would otherwise wait for a writer."""
    with _explained(path):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnsupportedFile(f"{printable(path)} is not a regular file: only those can be referenced")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as source:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnsupportedFile(f"{printable(path)} is not a regular file: only those can be referenced")
        yield source


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ReferenceMissing(f"{printable(path)} is not there: restore it, or correct the reference") from error
    except PermissionError as error:
        raise Unreadable(f"{printable(path)} may not be read: ask its owner for permission") from error


def _walk(root: str, wish: Wish) -> list[str]:
    """The files below `root` as relative paths, in no particular order; every offender is known before any content is read."""
    files: list[str] = []
    unsafe: list[str] = []
    special: list[str] = []
    waiting: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(root),))]
    while waiting:
        below, trail = waiting.pop()
        for each in _children(os.path.join(root, below)):
            inner = os.path.join(below, each.name)
            real = os.path.realpath(each.path) if each.is_symlink() else os.path.join(trail[-1], each.name)
            problem = _strays(each, real, trail)
            if problem:
                unsafe.append(f"{printable(inner)}: {problem}")
            elif each.is_dir():
                waiting.append((inner, (*trail, real)))
            elif each.is_file():
                files.append(inner)
                wish.check_count(len(files))
            else:
                special.append(printable(inner))
    if unsafe:
        raise UnsafeLink(
            f"{printable(wish.uri)} holds links that cannot be followed: remove them or reference their targets{listed(sorted(unsafe))}"
        )
    if special:
        raise UnsupportedFile(f"{printable(wish.uri)} holds what is no regular file: leave these out{listed(sorted(special))}")
    return files


def _children(directory: str) -> list[os.DirEntry[str]]:
    with _explained(directory), os.scandir(directory) as found:
        return list(found)


def _strays(each: os.DirEntry[str], real: str, trail: tuple[str, ...]) -> str | None:
    """Why a link may not be followed. `trail` is the real directories from the root down to the one `each` stands in."""
    if not each.is_symlink():
        return None
    if not os.path.exists(each.path):
        return "points nowhere, or to itself"
    if os.path.commonpath((trail[0], real)) != trail[0]:
        return "points outside"
    return "points to a directory it lies in" if real in trail else None
