"""References to whatever fsspec has a package for: `gs://`, `az://`, `abfs://` read under conditions, any other as well as it can be.

    gs://bucket/key      gs://bucket/key#generation               az://container/key      az://container/key?versionid=v
    abfs://container@account.dfs.core.windows.net/key             ftp://host/path   sftp://host/path   memory://path   …

The object, or every object below a prefix when the URI ends in a slash or only names one. Keys are literal. What a provider states is
kept as it is: its etag, generation or version, its checksum. Where it states none of these, the time of modification and the size are all
there is: such a pin is `unverified`, and so is said wherever it is shown.

A pin with a generation or version is read by it; with an etag, every range carries it as a condition. Where a package offers neither, the
object is looked at before and after, and what came counts only when both looks agree with the pin and with the bytes.
"""

from typing import BinaryIO

from storage.entry import Entry, Pin, printable
from storage.errors import InvalidReference, ReferenceChanged, ReferenceMissing, RemoteUnavailable, VersionGone
from storage.transfer.reference.checksum import Checksum
from storage.transfer.reference.provider.law import Provider, Seen, explained
from storage.transfer.reference.provider.registry import VERSIONED, provider_of
from storage.transfer.reference.scheme import Found, Standing, Wish, entries_below
from storage.uri import scheme_of

RESUMES = 3
"""How often a conditional read that broke off goes on from where it broke."""


def pin(wish: Wish) -> list[Entry]:
    """The object, or every object below the prefix.

    Raises:
        ReferenceMissing: neither is there; VersionGone when it was a version that is not.
        TooManyObjects: more than the limit; found out page by page, before the listing ends.
        InvalidReference: keys that cannot be kept, all of them listed.
        PackageMissing: what speaks this scheme is not installed; the message says how to.
    """
    uri, version = _parted(wish.uri)
    place = uri.partition("://")[2]
    is_prefix = place.endswith("/") or (scheme_of(uri) in VERSIONED and "/" not in place)
    if is_prefix and not wish.checksum:
        raise InvalidReference(f"{printable(uri)} is a prefix, and listing it is what checksum=False rules out: name one object")
    if not wish.checksum:
        return [Entry.reference(wish.named(place.rpartition("/")[2]), Pin(uri, version_id=version))]
    with provider_of(uri) as provider:
        seen = None if is_prefix else _look(provider, uri, version)
        if seen is not None and not seen.is_directory:
            if seen.problem:
                raise InvalidReference(f"{printable(uri)}: {printable(seen.problem)}")
            return [Entry.reference(wish.named(place.rpartition("/")[2]), seen.pin(uri), seen.size)]
        if version is not None:
            raise VersionGone(f"{printable(uri)}: version {printable(version)} is gone: the store that kept it deleted it")
        return _pin_below(provider, uri, wish)


def _pin_below(provider: Provider, uri: str, wish: Wish) -> list[Entry]:
    base = uri.rstrip("/") + "/"
    root = provider.key(base).rstrip("/") + "/"
    found: list[Found] = []
    with explained(uri):
        for seen in provider.below(root):
            name = seen.key.removeprefix(root)
            if not seen.key.startswith(root):
                raise RemoteUnavailable(
                    f"{printable(uri)}: the listing shows {printable(seen.key)}, which is not below it: try again later"
                )
            if seen.is_directory or (name.endswith("/") and not seen.size):
                continue  # a marker that stands for a directory
            problem = seen.problem or _name_problem(name)
            found.append(Found(name, seen.pin(base + name), seen.size, problem and printable(problem)))
            wish.check_count(len(found))
    if not found and not wish.allow_empty:
        raise ReferenceMissing(f"{printable(uri)} holds no object: check the URI, or pass allow_empty=True")
    return entries_below(wish, found)


def _name_problem(name: str) -> str | None:
    parts = name.split("/")
    return f"key {name!r} holds '//', '.' or '..' as a component" if {"", ".", ".."} & set(parts) else None


def fetch(pin: Pin, size: int | None, out: BinaryIO) -> None:
    """Write the pinned bytes.

    Raises:
        VersionGone, ReferenceMissing: that version, or the object, is gone.
        ReferenceChanged: it is another object now, or became one while it was read.
        Corrupt: bytes came that are not those the provider's checksum promised.
        RemoteUnavailable, PackageMissing: it could not be read.
    """
    uri, named = _parted(pin.uri)
    version = pin.version_id or named
    with provider_of(uri) as provider:
        seen = _look(provider, uri, version)
        if seen is None or seen.is_directory:
            raise _gone(provider, uri, version)
        _require_same(pin, size, seen, "pinned was")
        _copy(provider, pin, seen, out)
        if not provider.is_conditional:
            after = _look(provider, uri, version)
            if after is None:
                raise ReferenceChanged(f"{printable(uri)} went away while it was read: try again, or reference it again")
            _require_same(seen.pin(uri), seen.size, after, "while it was read; before it was")


def _gone(provider: Provider, uri: str, version: str | None) -> ReferenceMissing | ReferenceChanged:
    """What to say of an object that is not there: where another took its place, that it changed."""
    if version is None:
        return ReferenceMissing(f"{printable(uri)} is not there: check the URI, or restore it")
    if _look(provider, uri, None) is None:
        return VersionGone(f"{printable(uri)} is gone, and so is its version {printable(version)}")
    return ReferenceChanged(
        f"{printable(uri)} was overwritten and its version {printable(version)} was not kept: restore it, or reference it again"
    )


def _copy(provider: Provider, pin: Pin, seen: Seen, out: BinaryIO) -> None:
    checksum, done = Checksum(pin), 0
    for left in reversed(range(RESUMES + 1)):
        try:
            with explained(pin.uri):
                for piece in provider.read(seen, done):
                    done += len(piece)
                    checksum.update(piece)
                    out.write(piece)
            break
        except RemoteUnavailable:
            if not left or not provider.is_conditional:
                raise
    if seen.size is not None and done != seen.size:
        raise ReferenceChanged(f"{printable(pin.uri)} came with {done} bytes, {seen.size} were expected: try again, or reference it again")
    checksum.confirm()


def check(pin: Pin, size: int | None) -> Standing:
    """How the recorded version, or else the object, stands; no bytes are read."""
    uri, named = _parted(pin.uri)
    with provider_of(uri) as provider:
        return standing(provider, pin, size, _look(provider, uri, pin.version_id or named))


def standing(provider: Provider, pin: Pin, size: int | None, seen: Seen | None) -> Standing:
    """How what was `seen` (or not) stands against its pin."""
    if seen is None or seen.is_directory:
        is_replaced = pin.version_id is not None and _look(provider, _parted(pin.uri)[0], None) is not None
        return Standing.DRIFTED if is_replaced else Standing.MISSING
    stated = seen.pin(pin.uri)
    if pin.is_verifiable and _difference(pin, size, seen):
        return Standing.DRIFTED
    if not pin.is_verifiable:
        if size is not None and seen.size not in (None, size):
            return Standing.DRIFTED
        return Standing.UNPINNED if stated.is_verifiable else Standing.UNVERIFIABLE
    return Standing.OK if pin.is_verified and stated.is_verified else Standing.UNVERIFIABLE


def _require_same(pin: Pin, size: int | None, seen: Seen, was: str) -> None:
    difference = _difference(pin, size, seen)
    if difference:
        raise ReferenceChanged(f"{printable(pin.uri)} has {difference[0]}, {was} {difference[1]}: restore it, or reference it again")


def _difference(pin: Pin, size: int | None, seen: Seen) -> tuple[str, str] | None:
    """What is and what was, of the first thing that differs. A checksum is compared only with one of its own kind."""
    stated = seen.pin(pin.uri)
    kind = (pin.checksum or "").partition(":")[0]
    pairs = (
        ("version", pin.version_id, stated.version_id),
        ("etag", pin.etag, stated.etag),
        ("checksum", pin.checksum, stated.checksum if (stated.checksum or "").startswith(f"{kind}:") else pin.checksum),
        ("size", size, size if seen.size is None else seen.size),
    )
    found = next(((name, was, now) for name, was, now in pairs if was not in (None, now)), None)
    return None if found is None else (f"{found[0]} {printable(str(found[2]))}", printable(str(found[1])))


def _look(provider: Provider, uri: str, version: str | None) -> Seen | None:
    """The object as one response shows it, or `None` where it definitely is not."""
    try:
        with explained(uri):
            return provider.look(provider.key(uri), version)
    except ReferenceMissing:
        return None


def _parted(uri: str) -> tuple[str, str | None]:
    """A URI and the version it names, where its scheme knows how to: `#123` for Google, `?versionid=…` for Azure."""
    mark = VERSIONED.get(scheme_of(uri))
    head, found, version = uri.rpartition(mark) if mark else (uri, "", "")
    if not found or not version or (mark == "#" and not version.isdecimal()):
        return uri, None
    return head, version
