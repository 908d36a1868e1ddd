"""What can happen to one request to an object store: a table of mishaps, and which requests each can happen to.

    mishap.numbers(lines)               at which of these requests it can happen
    mishap.fault(number, world)         what to plan for the same work to meet it there

A mishap is one fault of `proxy.py` at one request. `Allowed` says what work may come to when it met it: whether it may be told that
something is not there, and whether the service told a lie that nobody could see through.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.faults.proxy import Fault

LATE = 0.3
"""Seconds an answer comes too late for a client that waits less than that."""
PATIENCE = 0.1
"""Seconds such a client waits."""


@dataclass(frozen=True)
class World:
    """What mishaps need to know of the place they happen in."""

    earlier: Callable[[str], str] = str
    """The target that gives the answer from before: another object's, another bucket's."""
    replace: Callable[[str], object] = str
    """Put other bytes under the key a target names."""


@dataclass(frozen=True)
class Mishap:
    """One way in which one request goes wrong."""

    name: str
    make: Callable[[World], Fault]
    concerns: Callable[[str], bool] = field(default=bool)
    is_absence: bool = False
    """The service itself says that something is not there: only then may anybody conclude it."""
    is_disguise: bool = False
    """Who asked is told of something else, or less, than was there when the work began, in a way that nobody could see through."""
    is_passing: bool = False
    """Nothing but time was lost: a client that tries again does not notice."""
    is_late: bool = False
    """The client must be one that does not wait for long."""

    def numbers(self, lines: Sequence[str]) -> list[int]:
        return [number for number, line in enumerate(lines) if self.concerns(line)]

    def fault(self, number: int, world: World) -> Fault:
        fault = self.make(world)
        fault.at, fault.concerns = number, self.concerns
        return fault


def is_read(line: str) -> bool:
    """Does the request ask for what is under one key?"""
    return re.match(r"(GET|HEAD) /[^/?]+/[^?]", line) is not None


def is_get(line: str) -> bool:
    return line.startswith("GET ") and is_read(line)


def is_listing(line: str) -> bool:
    return re.match(r"GET /[^/?]+/?\?(?!versioning|location|uploads)", line) is not None


def _is_asking(line: str) -> bool:
    return is_read(line) or is_listing(line)


def is_write(line: str) -> bool:
    return line.startswith(("PUT ", "POST ", "DELETE "))


def is_multi(line: str) -> bool:
    """Is it one request to remove many keys?"""
    return re.match(r"POST /[^/?]+/?\?delete", line) is not None


def has_body(line: str) -> bool:
    return line.startswith(("GET ", "POST "))


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 0x20]) + body[middle + 1 :] if body else body


_ROW = re.compile(rb"<(Contents|Version|Upload)>.*?</\1>", re.DOTALL)


def _emptied(page: bytes) -> bytes:
    return re.sub(rb"<(Key|Max)?Count>\d+", b"<KeyCount>0", _ROW.sub(b"", page))


def _unfinished(page: bytes) -> bytes:
    """A page that says there is more after it, and not where."""
    page = re.sub(rb"<(NextContinuationToken|NextKeyMarker|NextVersionIdMarker)>.*?</\1>", b"", page)
    return re.sub(rb"<IsTruncated>false", b"<IsTruncated>true", page)


def _halved(page: bytes) -> bytes:
    return page[: len(page) // 2]


HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please accept the terms of this network.</body></html>"

MISHAPS = (
    Mishap("500", lambda _: Fault(status=500), is_passing=True),
    Mishap("503", lambda _: Fault(status=503, code="SlowDown"), is_passing=True),
    Mishap("drop", lambda _: Fault(drop=True), is_passing=True),
    Mishap("lose", lambda _: Fault(lose=True), is_passing=True),
    Mishap("late", lambda _: Fault(late=LATE), is_late=True),
    Mishap("cut at the start", lambda _: Fault(cut=0), has_body),
    Mishap("cut", lambda _: Fault(cut=40), has_body),
    Mishap("wrong bytes", lambda _: Fault(change=_flipped), is_get),
    Mishap("stale", lambda world: Fault(instead=world.earlier, without="versionId"), _is_asking, is_absence=True, is_disguise=True),
    Mishap("swap", lambda world: Fault(before=world.replace), is_read, is_disguise=True),
    Mishap("412", lambda _: Fault(status=412, code="PreconditionFailed")),
    Mishap("409", lambda _: Fault(status=409, code="ConditionalRequestConflict"), is_write),
    Mishap("403", lambda _: Fault(status=403, code="AccessDenied")),
    Mishap("301", lambda _: Fault(status=301, code="PermanentRedirect", headers={"x-amz-bucket-region": "eu-north-1"})),
    Mishap("307", lambda _: Fault(status=307, code="TemporaryRedirect", headers={"Location": "http://127.0.0.1:9/elsewhere"})),
    Mishap("404", lambda _: Fault(status=404, code="NoSuchKey"), is_absence=True),
    Mishap("expired", lambda _: Fault(status=400, code="ExpiredToken")),
    Mishap("skewed", lambda _: Fault(status=403, code="RequestTimeTooSkewed")),
    Mishap("html", lambda _: Fault(status=200, content=HTML, headers={"Content-Type": "text/html"})),
    Mishap("nothing", lambda _: Fault(status=200, content=b""), has_body),
    Mishap("no etag", lambda _: Fault(hide="ETag"), lambda line: is_read(line) or is_write(line), is_disguise=True),
    Mishap("no length", lambda _: Fault(hide="Content-Length"), is_read, is_disguise=True),
    Mishap("no version", lambda _: Fault(hide="x-amz-version-id"), is_read, is_disguise=True),
    Mishap("empty listing", lambda _: Fault(change=_emptied), is_listing, is_absence=True),
    Mishap("unfinished listing", lambda _: Fault(change=_unfinished), is_listing),
    Mishap("half a listing", lambda _: Fault(change=_halved), is_listing),
)
