"""The law of every place a reference can point to. A scheme is a module with the three functions of `Scheme`; `handler` lists them.

1. Identity comes from one response per object, or one listing: nothing is asked twice and then glued together.
2. `fetch` writes exactly the pinned bytes or raises; what reached `out` counts only when it returned. It never settles for the newest.
3. Absence is a definite "it is not there". A refusal, a silence or a broken listing is an error and never absence.
4. A pin is complete or is not made: too many objects, a name that cannot be kept or an unreadable part refuse the whole.
5. No secret is stored: `strip_secrets` sees every URI first, and no message repeats what it refused.
6. Etags and version ids are somebody else's words: compared for equality, never parsed, never taken for a digest.

Not for servers: whoever holds the path and the credentials resolves a reference, so that no one can make a server read for him.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Protocol
from urllib.parse import unquote

from storage.entry import Entry, Pin, printable
from storage.errors import InvalidPath, InvalidReference, TooManyObjects, listed

DEFAULT_MAX_OBJECTS = 10_000
"""Objects one call may pin unless the caller says otherwise."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SECRET = re.compile(
    r"x-(amz|goog|oss|cos|ms)-.*|awsaccesskeyid|googleaccessid|ossaccesskeyid|key-pair-id|signature|sig|jwt|auth|authorization|credentials?"
    r"|(.*[_-])?(token|password|passwd|pwd|secret|api[_-]?key|access[_-]?key|secret[_-]?key|client[_-]?secret)",
    re.IGNORECASE,
)
"""Query parameters that are, or come with, permission: AWS, Google, Azure, Alibaba and Tencent signatures, and what people call keys."""


_CONTAINERS = frozenset({"abfs", "abfss", "az"})
"""Schemes where what stands before the `@` is a container, not a person: `abfs://container@account.dfs.core.windows.net/path`."""


class Standing(StrEnum):
    """What a later look at a reference finds."""

    OK = "ok"
    DRIFTED = "drifted"
    """There is something else now."""
    MISSING = "missing"
    """The object, or the pinned version of it, is definitely gone."""
    UNPINNED = "unpinned"
    """Nothing was recorded to compare with."""
    UNVERIFIABLE = "unverifiable"
    """The source offers nothing that would prove it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller of `pin` asked for, its URI free of secrets."""

    uri: str
    name: str | None = None
    checksum: bool = True
    limit: int = DEFAULT_MAX_OBJECTS
    allow_empty: bool = False

    def named(self, default: str) -> str:
        """The entry name of a single object."""
        if self.name is None and not default:
            raise InvalidReference(f"{printable(self.uri)} has no last path component to name the entry after: pass name=")
        return default if self.name is None else self.name

    def check_count(self, count: int) -> None:
        """Return when `count` objects may be pinned.

        Raises:
            TooManyObjects: they may not; nothing shorter is made instead.
        """
        if count > self.limit:
            raise TooManyObjects(
                f"{printable(self.uri)} holds more than {self.limit:,} objects: raise max_objects, or reference a narrower prefix"
            )


@dataclass(frozen=True, slots=True)
class Found:
    """One of many objects: its path below what was asked for, its pin, its size, and why it cannot be kept, if so."""

    path: str
    pin: Pin
    size: int | None
    problem: str | None = None


class Scheme(Protocol):
    """See the laws at the top of this file."""

    def pin(self, wish: Wish, /) -> list[Entry]:
        """One entry for an object, one per object for a prefix or directory, in path order."""

    def fetch(self, pin: Pin, size: int | None, out: BinaryIO, /) -> None:
        """Write the pinned bytes."""

    def check(self, pin: Pin, size: int | None, /) -> Standing:
        """How the object stands against its pin, without fetching it where the source can tell."""


def scheme_of(uri: str) -> str:
    """The scheme of `uri`, lower-case.

    Raises:
        InvalidReference: not text, no scheme, control characters, or not valid UTF-8.
    """
    if not isinstance(uri, str) or _CONTROL.search(uri):
        raise InvalidReference(f"{_shown(str(uri))!r} is not a reference: write a URI without control characters")
    try:
        uri.encode()
    except UnicodeEncodeError as error:
        raise InvalidReference(f"{_shown(uri)} is not valid UTF-8: percent-encode it") from error
    match = _SCHEME.match(uri)
    if match is None:
        raise InvalidReference(f"{_shown(uri)} has no scheme: write s3://bucket/key, https://host/path or file:///absolute/path")
    return match[1].lower()


def strip_secrets(uri: str) -> str:
    """`uri` as it may be stored: a lone user name in front of the host is left out, the scheme is lower-case, all else stays.

    Raises:
        InvalidReference: a password, a signature or a token is part of it. The message names the parameter, never its value.
    """
    scheme = scheme_of(uri)
    uri = scheme + uri[len(scheme) :]
    names = sorted({name for name in map(_parameter, re.split(r"[?&;#]", uri)[1:]) if name and _SECRET.fullmatch(name)})
    plain = re.split(r"[?#]", uri, maxsplit=1)[0]
    head, slashes, tail = plain.partition("://")
    authority, slash, path = tail.partition("/")
    userinfo, _, host = authority.rpartition("@")
    if scheme in _CONTAINERS:
        userinfo, host = "", authority
    if ":" in unquote(userinfo):
        raise InvalidReference(f"{_shown(uri)} was given with a password, which would be stored: keep it in ~/.netrc or in the environment")
    if names:
        found = ", ".join(map(printable, names))
        raise InvalidReference(
            f"{_shown(uri)} carries {found}, which would be stored: reference the plain URI, keep credentials outside it"
        )
    return head + slashes + host + slash + path + uri[len(plain) :]


def _shown(uri: str) -> str:
    """As much of `uri` as a message may repeat before it is known to hold no secret."""
    return printable(re.split(r"[?;#]", re.sub(r"//[^/]*@", "//", uri), maxsplit=1)[0])


def _parameter(piece: str) -> str:
    name, equals, _ = piece.partition("=")
    return unquote(name).strip() if equals else ""


def entries_below(wish: Wish, found: Iterable[Found]) -> list[Entry]:
    """The entries of many objects, under the wished name or at the root, in path order.

    Raises:
        InvalidReference: some cannot be entries; all of them are listed, each with its reason.
    """
    kept: list[Entry] = []
    problems: list[str] = []
    for each in found:
        path = each.path if wish.name is None else f"{wish.name}/{each.path}"
        problem = each.problem
        try:
            kept.append(Entry.reference(path, each.pin, each.size))
        except InvalidPath as error:
            problem = problem or str(error)
        if problem:
            problems.append(problem)
    if problems:
        raise InvalidReference(f"{printable(wish.uri)} cannot be referenced as a whole: rename these or leave them out{listed(problems)}")
    return sorted(kept, key=lambda entry: entry.order)
