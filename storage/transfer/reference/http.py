"""`http://` and `https://` references: one object each, pinned by the validators its server states.

A strong etag pins: it is sent as a condition and compared with the reply that is read. A weak one (kept as received, with `W/` and its
quotes) promises only that the content means the same, so it is compared, with the size, and never called verified. Where there is no etag
the time of last modification is kept in its stead, apart from real ones and as weak as they come; without that, only the size is held
against what comes.

A server that says "not now" is asked again, inside a budget (`backoff`). A body that broke off is gone on with from where it broke, under
a strong etag only: without one, the rest could be of another object.

Redirects are followed, a few, never from https to http. Credentials come from `~/.netrc`, go to the host they are for and are dropped when
a redirect leaves it. Where a redirect led is not stored: such addresses tend to be signed.
"""

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from storage.entry import Entry, Pin, is_weak, printable, weak_time
from storage.errors import InvalidReference, ReferenceChanged, ReferenceMissing, RemoteUnavailable, StorageError, Unreadable
from storage.transfer.reference.backoff import TRANSIENT, Patience
from storage.transfer.reference.scheme import Standing, Wish

if TYPE_CHECKING:
    import httpx

REDIRECTS = 5
"""How many in a row are followed."""

_MEANINGS: dict[int, tuple[type[StorageError], str]] = {
    401: (Unreadable, "the server wants credentials: put them in ~/.netrc"),
    403: (Unreadable, "the server refused permission: put credentials in ~/.netrc, or ask its owner"),
    404: (ReferenceMissing, "it is not there: check the URI, or restore it"),
    407: (Unreadable, "the proxy wants credentials"),
    410: (ReferenceMissing, "it is gone for good"),
    412: (ReferenceChanged, "it is no longer the pinned one: restore it, or reference it again"),
}
"""What a status means; any other from 300 on is the service failing."""

_NO_HEAD = frozenset({405, 501})
_PARTIAL = frozenset({206})
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
RESUMES = 3
"""How often a body that broke off is gone on with."""


def pin(wish: Wish) -> list[Entry]:
    """The object with the etag and length of one response. `pin.is_verified` is false where the server states no strong etag.

    Raises:
        ReferenceMissing: 404 or 410. Unreadable: 401 or 403. RemoteUnavailable: anything else that is no answer.
    """
    uri = wish.uri.partition("#")[0]
    host, _, path = uri.partition("://")[2].partition("?")[0].partition("/")
    if not host:
        raise InvalidReference(f"{printable(uri)} names no host: write https://host/path")
    name = wish.named(path.rpartition("/")[2])
    if not wish.checksum:
        return [Entry.reference(name, Pin(uri))]
    etag, size = _identity(uri)
    return [Entry.reference(name, Pin(uri, etag), size)]


def fetch(pin: Pin, size: int | None, out: BinaryIO) -> None:
    """Write the body of responses that all show the pinned etag and size.

    Raises:
        ReferenceChanged: one shows others, or none any more.
        RemoteUnavailable: the body broke off and could not be gone on with.
    """
    done = 0
    for left in reversed(range(RESUMES + 1)):
        before = done
        try:
            for piece in _body(pin, size, done):
                done += len(piece)
                out.write(piece)
        except RemoteUnavailable:
            if not left or done == before or not _is_strong(pin):
                raise
        else:
            break
    if size not in (None, done):
        raise ReferenceChanged(f"{printable(pin.uri)} came with {done} bytes, {size} were pinned: try again, or reference it again")


def _is_strong(pin: Pin) -> bool:
    return pin.etag is not None and not is_weak(pin.etag)


def _body(pin: Pin, size: int | None, start: int) -> Iterator[bytes]:
    """The body from `start` on. A server that knows no ranges begins anew: what was had already is passed over, under the same etag."""
    condition = {"If-Match": f'"{pin.etag}"'} if _is_strong(pin) else {}
    onward = {"Range": f"bytes={start}-"} if start else {}
    with _reply("GET", pin.uri, condition | onward, also=_PARTIAL if start else frozenset()) as response:
        is_part = response.status_code in _PARTIAL
        begins, total = _place(response) if is_part else (0, _length(response))
        _require_same(pin, size, response, total)
        if begins not in (0, start):
            raise ReferenceChanged(f"{printable(pin.uri)}: the answer begins at byte {begins}, asked was {start}: try again")
        skip = start - begins
        came = begins
        for piece in response.iter_raw():
            came += len(piece)
            yield piece[skip:]
            skip = max(0, skip - len(piece))
    if total not in (None, came):
        raise RemoteUnavailable(f"{printable(pin.uri)}: the download ends after {came} of {total} bytes: try again")


def _require_same(pin: Pin, size: int | None, response: "httpx.Response", there: int | None) -> None:
    shown, etag = printable(pin.uri), _etag(response)
    if pin.etag is not None and etag != pin.etag:
        raise ReferenceChanged(f"{shown} has etag {etag}, pinned was {pin.etag}: restore it, or reference it again")
    if size is not None and there not in (None, size):
        raise ReferenceChanged(f"{shown} has {there} bytes, pinned were {size}: restore it, or reference it again")


def check(pin: Pin, size: int | None) -> Standing:
    """How the validators stand now; equal weak ones, or none, leave it unverifiable."""
    try:
        etag, there = _identity(pin.uri)
    except ReferenceMissing:
        return Standing.MISSING
    if size is not None and there not in (None, size):
        return Standing.DRIFTED
    if etag is None:
        return Standing.UNVERIFIABLE
    if pin.etag is None:
        return Standing.UNPINNED
    if etag != pin.etag:
        return Standing.DRIFTED
    return Standing.UNVERIFIABLE if is_weak(etag) else Standing.OK


def _identity(uri: str) -> tuple[str | None, int | None]:
    """Etag and size as one response states them: to HEAD, or to GET, unread, where the server knows no HEAD."""
    with _reply("HEAD", uri, {}, also=_NO_HEAD) as response:
        if response.status_code not in _NO_HEAD:
            return _etag(response), _length(response)
    with _reply("GET", uri, {}) as response:
        return _etag(response), _length(response)


def _etag(response: "httpx.Response") -> str | None:
    """The etag as a pin keeps it; where there is none, the weak one that stands for the time of last modification."""
    etag, modified = response.headers.get("ETag", "").strip(), response.headers.get("Last-Modified", "").strip()
    bare = etag if is_weak(etag) else etag.removeprefix('"').removesuffix('"')
    return bare or (weak_time(modified) if modified else None)


def _length(response: "httpx.Response") -> int | None:
    stated = response.headers.get("Content-Length", "")
    return int(stated) if stated.isascii() and stated.isdecimal() else None


def _place(response: "httpx.Response") -> tuple[int, int | None]:
    """Where a partial answer begins, and how long the whole is."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return (-1, None) if found is None else (int(found[1]), int(found[2]) if found[2].isdecimal() else None)


@contextmanager
def _reply(method: str, uri: str, headers: dict[str, str], also: frozenset[int] = frozenset()) -> Iterator["httpx.Response"]:
    """A response with status 200, or one of `also`, whose body is still to be read, as it is stored: no compression is offered.

    "Not now" is waited for here, before anything of an answer was handed on.
    """
    import httpx  # loads slowly

    shown, patience = printable(uri), Patience()
    try:
        with _client() as client:
            while True:
                with client.stream(method, uri, headers={"Accept-Encoding": "identity", **headers}) as response:
                    if response.status_code not in TRANSIENT or not patience.wait(response.headers.get("Retry-After")):
                        _require_welcome(response, uri, also)
                        yield response
                        return
    except httpx.InvalidURL as error:
        raise InvalidReference(f"{shown} is not a URL: {error}") from error
    except httpx.HTTPError as error:
        raise RemoteUnavailable(f"{shown}: {type(error).__name__}: {error}: try again later") from error


def _require_welcome(response: "httpx.Response", uri: str, also: frozenset[int]) -> None:
    """Return when the answer is one, and came all the way as safely as it was asked for."""
    shown, status = printable(uri), response.status_code
    if uri.startswith("https:") and any(hop.url.scheme != "https" for hop in (*response.history, response)):
        raise RemoteUnavailable(
            f"{shown} redirects from https to http, where anyone could change it: reference the http URI if that is meant"
        )
    if status != 200 and status not in also:
        kind, reason = _MEANINGS.get(status, (RemoteUnavailable, f"the server answered {status}: try again later"))
        raise kind(f"{shown}: {reason}")


def _client() -> "httpx.Client":
    import httpx  # loads slowly

    return httpx.Client(
        transport=httpx.HTTPTransport(verify=_trust(), retries=2),
        auth=_credentials(),
        follow_redirects=True,
        max_redirects=REDIRECTS,
        timeout=httpx.Timeout(60, connect=5),
    )


@cache
def _trust() -> ssl.SSLContext:
    """Made once: it parses every root certificate."""
    import httpx  # loads slowly

    return httpx.create_ssl_context()


def _credentials() -> "httpx.NetRCAuth | None":
    import httpx  # loads slowly

    path = os.path.expanduser(os.environ.get("NETRC") or "~/.netrc")
    return httpx.NetRCAuth(path) if os.path.isfile(path) else None
