"""`http://` and `https://` references: one object each, pinned by the validators its server states.

A strong etag pins: it is sent as a condition and compared with the reply that is read. A weak one (kept as received, with `W/` and its
quotes) promises only that the content means the same, so it is compared, with the size, and never called verified. Where there is no etag
the pin says of itself that it is not verifiable, and only the size is held against what comes.

Redirects are followed, a few, never from https to http. Credentials come from `~/.netrc`, go to the host they are for and are dropped when
a redirect leaves it. Where a redirect led is not stored: such addresses tend to be signed.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from storage.entry import Entry, Pin, printable
from storage.errors import InvalidReference, ReferenceChanged, ReferenceMissing, RemoteUnavailable, StorageError, Unreadable
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


def pin(wish: Wish) -> list[Entry]:
    """The object with the etag and length of one response. `pin.is_verifiable` is false where the server states no etag.

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
    etag, size = _validators(uri)
    return [Entry.reference(name, Pin(uri, etag), size)]


def fetch(pin: Pin, size: int | None, out: BinaryIO) -> None:
    """Write the body of a response that shows the pinned etag and size.

    Raises:
        ReferenceChanged: it shows others, or none any more.
        RemoteUnavailable: the body broke off.
    """
    shown = printable(pin.uri)
    condition = {} if pin.etag is None or is_weak(pin.etag) else {"If-Match": f'"{pin.etag}"'}
    with _reply("GET", pin.uri, condition) as response:
        etag, there = _bare(response), _length(response)
        if pin.etag is not None and etag != pin.etag:
            raise ReferenceChanged(f"{shown} has etag {etag}, pinned was {pin.etag}: restore it, or reference it again")
        if size is not None and there not in (None, size):
            raise ReferenceChanged(f"{shown} has {there} bytes, pinned were {size}: restore it, or reference it again")
        done = 0
        for piece in response.iter_raw():
            done += len(piece)
            out.write(piece)
    expected = there if size is None else size
    if expected not in (None, done):
        raise ReferenceChanged(f"{shown} came with {done} bytes, {expected} were expected: try again, or reference it again")


def check(pin: Pin, size: int | None) -> Standing:
    """How the validators stand now; equal weak ones, or none, leave it unverifiable."""
    try:
        etag, there = _validators(pin.uri)
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


def is_weak(etag: str) -> bool:
    """Does this etag, as kept in a pin, promise equal meaning only? A strong one cannot begin so: it holds no quotes."""
    return etag.startswith('W/"')


def _validators(uri: str) -> tuple[str | None, int | None]:
    """Etag and size as one response states them: to HEAD, or to GET, unread, where the server knows no HEAD."""
    with _reply("HEAD", uri, {}, also=_NO_HEAD) as response:
        if response.status_code not in _NO_HEAD:
            return _bare(response), _length(response)
    with _reply("GET", uri, {}) as response:
        return _bare(response), _length(response)


def _bare(response: "httpx.Response") -> str | None:
    etag = response.headers.get("ETag", "").strip()
    return (etag if is_weak(etag) else etag.removeprefix('"').removesuffix('"')) or None


def _length(response: "httpx.Response") -> int | None:
    stated = response.headers.get("Content-Length", "")
    return int(stated) if stated.isascii() and stated.isdecimal() else None


@contextmanager
def _reply(method: str, uri: str, headers: dict[str, str], also: frozenset[int] = frozenset()) -> Iterator["httpx.Response"]:
    """A response with status 200, or one of `also`, whose body is still to be read, as it is stored: no compression is offered."""
    import httpx  # loads slowly

    shown = printable(uri)
    transport = httpx.HTTPTransport(verify=_trust(), retries=2)
    options = {"Accept-Encoding": "identity", **headers}
    limits = httpx.Timeout(60, connect=5)
    try:
        with (
            httpx.Client(
                transport=transport, auth=_credentials(), follow_redirects=True, max_redirects=REDIRECTS, timeout=limits
            ) as client,
            client.stream(method, uri, headers=options) as response,
        ):
            if uri.startswith("https:") and any(hop.url.scheme != "https" for hop in (*response.history, response)):
                raise RemoteUnavailable(
                    f"{shown} redirects from https to http, where anyone could change it: reference the http URI if that is meant"
                )
            if response.status_code != httpx.codes.OK and response.status_code not in also:
                kind, reason = _MEANINGS.get(
                    response.status_code, (RemoteUnavailable, f"the server answered {response.status_code}: try again later")
                )
                raise kind(f"{shown}: {reason}")
            yield response
    except httpx.InvalidURL as error:
        raise InvalidReference(f"{shown} is not a URL: {error}") from error
    except httpx.HTTPError as error:
        raise RemoteUnavailable(f"{shown}: {type(error).__name__}: {error}: try again later") from error


@cache
def _trust() -> ssl.SSLContext:
    """Made once: it parses every root certificate."""
    import httpx  # loads slowly

    return httpx.create_ssl_context()


def _credentials() -> "httpx.NetRCAuth | None":
    import httpx  # loads slowly

    path = os.path.expanduser(os.environ.get("NETRC") or "~/.netrc")
    return httpx.NetRCAuth(path) if os.path.isfile(path) else None
