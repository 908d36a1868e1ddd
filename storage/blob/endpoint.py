"""The S3 service behind `s3://`: how it is reached, how it is asked, and what its refusals mean.

One file system per endpoint, credentials and process, without listing or instance cache: a cached listing would keep showing what others
have deleted. Nothing else builds an S3 client. Requests go through one of two doors:

    call    asks patiently, and says what a refusal means for a reference
    ask     asks once and raises `Refusal` as it came: for a store, which must look before it repeats, and repeats inside a budget of its own

s3fs would repeat every request five times around botocore's own retries (25 requests and 43 s for a service that is down), so its loop is
switched off; `call` leaves repeating to botocore's standard mode, `ask` to its caller. No redirect is followed to another host: credentials
go where they were meant for. TLS is always verified, and without TLS only this machine is spoken to, unless LINEAGE_ALLOW_HTTP says so.
"""

import functools
import os
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from storage.digest import CHUNK
from storage.errors import (
    InvalidReference,
    ReferenceChanged,
    ReferenceMissing,
    RemoteUnavailable,
    StorageError,
    Unreadable,
    VersionGone,
)

CONFIG: dict[str, Any] = {
    "retries": {"mode": "standard", "max_attempts": 3},
    "connect_timeout": 5,
    "read_timeout": 60,
    # Ours is the only judge of checksums: botocore's would fail in the middle of a body, in words of its own.
    "response_checksum_validation": "when_required",
    # Content-MD5 is what every service checks (of six tried, all but a fake one); the trailers botocore would add, some refuse.
    "request_checksum_calculation": "when_required",
    "max_pool_connections": 16,
}
"""What botocore is configured with."""
_ONCE = {"retries": {"mode": "standard", "total_max_attempts": 1}}

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_S3_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_CREDENTIALS = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

ALLOW_HTTP = "LINEAGE_ALLOW_HTTP"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_SYSTEMS: dict[tuple[object, ...], Any] = {}
"""File systems by process, patience, endpoint and credentials: a fork gets its own, because event loops and sockets do not survive one."""
_RETIRED: list[Any] = []
"""File systems whose credentials expired: other threads may be in the middle of a request, and connections close when they are idle."""
_CONNECTING = threading.Lock()

_PERMISSION = "permission was refused: check credentials and policy (s3:GetObject, s3:GetObjectVersion, s3:ListBucket)"
_MEANINGS: dict[str, tuple[type[StorageError], str]] = {
    "NoSuchBucket": (ReferenceMissing, "there is no such bucket: check its name"),
    "NoSuchKey": (ReferenceMissing, "there is no such object: check its name, or restore it"),
    "NoSuchVersion": (VersionGone, "that version is gone: the store that kept it deleted it"),
    "PreconditionFailed": (ReferenceChanged, "the object is no longer the pinned one: restore it, or reference it again"),
    "InvalidBucketName": (InvalidReference, "that is no bucket name: write s3://bucket/key"),
    "KeyTooLongError": (InvalidReference, "the key is too long for the service"),
    "InvalidObjectState": (RemoteUnavailable, "the object is archived: restore it at the provider, then call again"),
    "RequestTimeTooSkewed": (RemoteUnavailable, "the clocks of this machine and of the service differ too much: set the clock"),
    "PermanentRedirect": (RemoteUnavailable, "the bucket lives in another region: set AWS_REGION"),
    "ExpiredToken": (Unreadable, "the session token has expired: get a new one"),
    "InvalidToken": (Unreadable, "the session token is not valid: get a new one"),
    "301": (RemoteUnavailable, "the bucket lives in another region: set AWS_REGION"),
    "401": (Unreadable, _PERMISSION),
    "403": (Unreadable, _PERMISSION),
    "404": (ReferenceMissing, "there is no such object: check its name, or restore it"),
    "412": (ReferenceChanged, "the object is no longer the pinned one: restore it, or reference it again"),
}
"""What an error code or, where the code is not listed, a status means. Anything else is the service failing."""

_NO_SUCH_VERSION = frozenset({"NoSuchVersion", "NoSuchKey", "404", "InvalidRequest", "InvalidArgument"})
"""How services say that a version is not there; only when a version was asked for."""

PASSING = frozenset({
    "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "ConditionalRequestConflict", "OperationAborted", "BadDigest",
    "IncompleteBody", "XAmzContentSHA256Mismatch", "TooManyRequests", "Throttling", "ThrottlingException", "RequestLimitExceeded",
})  # fmt: skip
"""Codes that may be gone when asked again, whatever status they come with."""
_PROOFS: dict[str, tuple[str, ...]] = {
    "head_object": ("ETag", "ContentLength"),
    "get_object": ("ETag", "ContentLength"),
    "put_object": ("ETag",),
    "copy_object": ("CopyObjectResult",),
    "create_multipart_upload": ("UploadId",),
    "upload_part": ("ETag",),
    "complete_multipart_upload": ("ETag",),
    "list_objects_v2": ("IsTruncated",),
    "list_multipart_uploads": ("IsTruncated",),
}
"""What the answer to an operation always holds."""
_SILENT = frozenset({"delete_object", "abort_multipart_upload"})
"""Operations whose answer holds nothing, and says so: 204."""
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})


_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REGION = "x-amz-bucket-region"
"""Where this is stated, botocore asks again in that region; without it, it would ask for the region and be sent away, for ever."""


class Elsewhere(Exception):
    """The service names another host, where neither bytes nor credentials are sent."""


class Refusal(Exception):
    """Why a request has no answer: what the service said, or that nothing was heard (`status` 0). Never leaves this folder."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
        self.code, self.status, self.headers = _answer(error)

    @property
    def is_passing(self) -> bool:
        """May the same request succeed in a moment?"""
        return self.code in PASSING or self.status in {408, 409, 429} or (self.status >= 500 and self.status != 501) or self.is_unheard

    @property
    def is_unheard(self) -> bool:
        """No answer came: what was asked may have been done."""
        cause = getattr(self.error, "kwargs", {}).get("error")
        return self.status == 0 and not isinstance(self.error, _unsendable()) and not isinstance(cause, Elsewhere)

    @property
    def said(self) -> str:
        """For messages: the answer in a few words."""
        if not self.status:
            return f"no answer ({type(self.error).__name__}: {self.error})"
        return f"{self.status} {self.code}: {self.error}"

    @property
    def skew(self) -> float | None:
        """By how many seconds the service's clock is ahead of this machine's, as its answer says."""
        return skew_of(self.headers)


def skew_of(headers: Mapping[str, str]) -> float | None:
    """By how many seconds the clock of whoever sent these headers is ahead of this machine's; None where they do not say."""
    from email.utils import parsedate_to_datetime  # loads much that only this needs

    try:
        return (parsedate_to_datetime(headers["date"]) - datetime.now(UTC)).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None


def ask(method: str, **request: Any) -> dict[str, Any]:
    """The response of one S3 operation, asked for once.

    Raises:
        Refusal: it failed, in whatever way; or something answered that is not the service, and so nothing is known.
        Unreadable: the endpoint is reached without TLS, and that was not allowed.
    """
    system = _system(patient=False)
    try:
        response: dict[str, Any] = system.call_s3(method, **request)
    except _failures() as error:
        raise Refusal(error) from error
    if not _is_genuine(method, response):
        if "Body" in response:
            close(response)
        raise Refusal(ConnectionError("what answered is not the service: is there a proxy or a sign-in page on the way to it?"))
    return response


def _is_genuine(method: str, response: Mapping[str, Any]) -> bool:
    """Did the service answer, and not something on the way? Its word would be taken for bytes that are safe, or for nothing there."""
    if method in _SILENT:
        return bool(response["ResponseMetadata"]["HTTPStatusCode"] == 204)
    return all(part in response for part in _PROOFS.get(method, ()))


def read(response: Mapping[str, Any], size: int) -> bytes:
    """The next bytes of a `get_object` body, at most `size`; empty at its end.

    Raises:
        Refusal: it broke off.
    """
    from fsspec.asyn import sync  # loads slowly

    try:
        piece: bytes = sync(_system(patient=False).loop, response["Body"].read, size)
    except _failures() as error:
        raise Refusal(error) from error
    return piece


def renew() -> None:
    """Forget this process's sessions, so that the next request reads the credentials anew."""
    with _CONNECTING:
        _RETIRED.extend(_SYSTEMS.values())
        _SYSTEMS.clear()


def call(method: str, what: str, **request: Any) -> dict[str, Any]:
    """The response of one S3 operation; `what` names the object in messages.

    Raises:
        ReferenceMissing, VersionGone: the service says it is not there.
        ReferenceChanged: a condition of the request does not hold any more.
        Unreadable: permission refused, or no credentials.
        RemoteUnavailable: the service failed or could not be reached.
    """
    system = _system()
    try:
        response: dict[str, Any] = system.call_s3(method, **request)
    except _failures() as error:
        if method == "head_object" and _answer(error)[0] == "400":
            # The reply to HEAD has no body to say which 400 it is: a version that never was, or a token that expired.
            close(call("get_object", what, **request, Range="bytes=0-0"))
        raise _meaning(error, what, "VersionId" in request) from error
    return response


def pieces(response: dict[str, Any], what: str) -> Iterator[bytes]:
    """The body of a `get_object` response, piece by piece.

    Raises:
        RemoteUnavailable: it broke off.
    """
    from fsspec.asyn import sync  # loads slowly

    body = response["Body"]
    try:
        while True:
            try:
                piece: bytes = sync(_system().loop, body.read, CHUNK)
            except _failures() as error:
                raise RemoteUnavailable(f"{what}: the download broke off ({error}): try again") from error
            if not piece:
                return
            yield piece
    finally:
        close(response)


def close(response: dict[str, Any]) -> None:
    """Let go of a body that nobody will read to its end; may be called again."""
    _system().loop.call_soon_threadsafe(response["Body"].close)


def _system(*, patient: bool = True) -> Any:
    settings = tuple(os.environ.get(name) for name in (*_ENDPOINTS, *_REGIONS, *_CREDENTIALS))
    key = (os.getpid(), patient, *settings)
    with _CONNECTING:
        return _SYSTEMS.get(key) or _SYSTEMS.setdefault(key, _connect(CONFIG if patient else CONFIG | _ONCE))


def _connect(config: Mapping[str, Any]) -> Any:
    import s3fs  # loads slowly

    endpoint = _first(_ENDPOINTS)
    _check_transport(endpoint)
    system = s3fs.S3FileSystem(
        endpoint_url=endpoint,
        client_kwargs={"region_name": _first(_REGIONS)} if _first(_REGIONS) else {},
        config_kwargs={**config, "http_session_cls": _straight()},
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    system.retries = 1
    return system


def _check_transport(endpoint: str | None) -> None:
    parts = urlsplit(endpoint or "https:")
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK and not os.environ.get(ALLOW_HTTP):
        raise Unreadable(
            f"the endpoint {parts.scheme}://{parts.hostname} is without TLS: bytes and signatures could be read and changed on the way; "
            f"use https://, or set {ALLOW_HTTP}=1 where the network itself is trusted"
        )


@functools.cache
def _straight() -> type:
    """An HTTP session for aiobotocore without aiohttp's redirects: those would carry a session token, and the bytes, to any host named."""
    from aiobotocore.httpsession import AIOHTTPSession  # loads slowly

    class Direct:
        def __init__(self, session: Any) -> None:
            self.session = session

        async def request(self, *positional: Any, **named: Any) -> Any:
            response = await self.session.request(*positional, **named, allow_redirects=False)
            if response.status in _REDIRECTS and _REGION not in response.headers:
                response.close()
                place = urlsplit(response.headers.get("Location", "")).hostname or "it does not say where"
                raise Elsewhere(f"the service sends elsewhere ({place}), where nothing is sent: set AWS_REGION or AWS_ENDPOINT_URL_S3")
            return response

    class Straight(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore is untyped
        async def _get_session(self, proxy_url: str | None) -> Direct:
            return Direct(await super()._get_session(proxy_url))

    return Straight


def _first(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _failures() -> tuple[type[Exception], ...]:
    from aiohttp import ClientError  # loads slowly
    from botocore.exceptions import BotoCoreError
    from botocore.parsers import ResponseParserError

    return (OSError, BotoCoreError, ResponseParserError, ClientError)


def _unsendable() -> tuple[type[Exception], ...]:
    from botocore.exceptions import InvalidRegionError, NoCredentialsError, ParamValidationError, PartialCredentialsError  # loads slowly

    return (NoCredentialsError, PartialCredentialsError, ParamValidationError, InvalidRegionError)


def _answer(error: BaseException) -> tuple[str, int, dict[str, str]]:
    """Code, status and headers of the service's reply; s3fs hands it on as the cause of an exception of its own."""
    reply = getattr(error.__cause__, "response", None) or {}
    about = reply.get("ResponseMetadata", {})
    return str(reply.get("Error", {}).get("Code", "")), int(about.get("HTTPStatusCode", 0)), about.get("HTTPHeaders", {})


def _meaning(error: Exception, what: str, asked_version: bool) -> StorageError:
    from botocore.exceptions import NoCredentialsError, ParamValidationError, PartialCredentialsError

    code, status, headers = _answer(error)
    if headers.get("x-amz-delete-marker") == "true":
        return ReferenceMissing(f"{what}: it was deleted, a delete marker stands in its place: remove the marker, or name an older version")
    if asked_version and code in _NO_SUCH_VERSION:
        return VersionGone(f"{what}: {_MEANINGS['NoSuchVersion'][1]}")
    if isinstance(error, ParamValidationError):
        return InvalidReference(f"{what}: {error}")
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Unreadable(f"{what}: no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile")
    kind, reason = (
        _MEANINGS.get(code) or _MEANINGS.get(str(status)) or (RemoteUnavailable, f"the service failed ({error}): try again later")
    )
    return kind(f"{what}: {reason}")


os.register_at_fork(after_in_child=lambda: globals().__setitem__("_CONNECTING", threading.Lock()))
