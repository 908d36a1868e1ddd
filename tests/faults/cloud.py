"""Two small servers on the loopback interface that speak just those calls of Google Cloud Storage and of Azure Blob Storage that references
use. They are written by hand: no emulator that starts from the package registry alone honours generations and conditions. Where the
documentation of the services says so, they answer 404 for a generation that is gone and 412 for a condition that does not hold.

    google = Google()      `with google:` listens; `google.put("bucket", "key", b"…")`; STORAGE_EMULATOR_HOST=google.url
    azure = Azure()        the same; AZURE_STORAGE_CONNECTION_STRING=azure.connection

`requests` is every request line in order, `before_answer` is called before each answer of a download.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

Answer = tuple[int, dict[str, str], bytes]
_WHEN = "Wed, 04 Mar 2026 12:00:00 GMT"


@dataclass(frozen=True)
class Kept:
    """One state of an object."""

    data: bytes
    number: int

    @property
    def md5(self) -> str:
        return base64.b64encode(hashlib.md5(self.data).digest()).decode()


class Cloud:
    """What both have in common: buckets of objects with their history, and a thread that answers."""

    def __init__(self, page: int = 1000) -> None:
        self.objects: dict[tuple[str, str], list[Kept]] = {}
        self.requests: list[str] = []
        self.refuse: dict[str, int] = {}
        """Part of a request line → the status it is refused with, as long as it stands here."""
        self.cut: list[int] = []
        """The next downloads lose everything after so many bytes."""
        self.before_answer: Callable[[], object] = lambda: None
        self.page = page
        self._number = 1000
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cloud": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(self, bucket: str, key: str, data: bytes, *, keep: bool = False) -> int:
        """Store an object, or overwrite it; the number of its generation. With `keep` the older ones stay readable."""
        self._number += 1
        older = self.objects.get((bucket, key), []) if keep else []
        self.objects[bucket, key] = [*older, Kept(data, self._number)]
        return self._number

    def remove(self, bucket: str, key: str) -> None:
        self.objects.pop((bucket, key))

    def under(self, bucket: str, prefix: str) -> Iterator[tuple[str, Kept]]:
        for place, kept in sorted(self.objects.items()):
            if place[0] == bucket and place[1].startswith(prefix):
                yield place[1], kept[-1]

    def answer(self, method: str, path: str, query: dict[str, str], headers: dict[str, str]) -> Answer:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    cloud: Cloud

    def do_GET(self) -> None:
        self.respond()

    def do_HEAD(self) -> None:
        self.respond()

    def respond(self) -> None:
        line = f"{self.command} {self.path}"
        self.cloud.requests.append(line)
        refused = next((status for part, status in self.cloud.refuse.items() if part in line), None)
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, told, body = (refused, {}, b"") if refused else self.cloud.answer(self.command, split.path, query, headers)
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **told}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        if self.command != "HEAD":
            is_download = status == 206 or "Content-Range" in told
            self.wfile.write(body[: self.cloud.cut.pop(0)] if is_download and self.cloud.cut else body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at `requests`."""


def _part(data: bytes, asked: str | None) -> Answer:
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
    if found is None:
        return 200, {}, data
    start, end = int(found[1]), int(found[2] or len(data) - 1)
    end = min(end, len(data) - 1)
    if start >= len(data):
        return 416, {}, b""
    return 206, {"Content-Range": f"bytes {start}-{end}/{len(data)}"}, data[start : end + 1]


class Google(Cloud):
    """The JSON API: object, listing, media."""

    def answer(self, method: str, path: str, query: dict[str, str], headers: dict[str, str]) -> Answer:
        found = re.fullmatch(r"(/download)?/storage/v1/b/([^/]+)/o(?:/(.+))?", path)
        if found is None:
            return 404, {}, b"{}"
        bucket, key = unquote(found[2]), unquote(found[3] or "")
        if not key:
            return self._listing(bucket, query)
        wanted = query.get("generation")
        kept = next((each for each in reversed(self.objects.get((bucket, key), [])) if wanted in (None, str(each.number))), None)
        if kept is None:
            return 404, {}, b'{"error": {"message": "No such object"}}'
        if found[1]:
            self.before_answer()
            return _part(kept.data, headers.get("range"))
        return 200, {"Content-Type": "application/json"}, json.dumps(_resource(key, kept)).encode()

    def _listing(self, bucket: str, query: dict[str, str]) -> Answer:
        found = list(self.under(bucket, query.get("prefix", "")))
        start, size = int(query.get("pageToken", "0")), min(self.page, int(query.get("maxResults", "1000")))
        page = {"kind": "storage#objects", "items": [_resource(key, kept) for key, kept in found[start : start + size]]}
        if start + size < len(found):
            page["nextPageToken"] = str(start + size)
        return 200, {"Content-Type": "application/json"}, json.dumps(page).encode()


def _resource(key: str, kept: Kept) -> dict[str, str]:
    when = {"updated": "2026-03-04T12:00:00.000Z", "timeCreated": "2026-03-04T12:00:00.000Z"}
    return {
        "name": key,
        "size": str(len(kept.data)),
        "etag": f"E{kept.number}=",
        "generation": str(kept.number),
        "md5Hash": kept.md5,
    } | when


class Azure(Cloud):
    """The blob service: properties, listing, download under `If-Match`. `versioned` accounts state version ids."""

    def __init__(self, page: int = 1000, *, versioned: bool = False) -> None:
        super().__init__(page)
        self.versioned = versioned
        key = base64.b64encode(b"secret").decode()
        self.connection = f"DefaultEndpointsProtocol=http;AccountName=acc;AccountKey={key};BlobEndpoint={self.url}/acc;"

    def answer(self, method: str, path: str, query: dict[str, str], headers: dict[str, str]) -> Answer:
        _, _, bucket, *rest = unquote(path).split("/", 3)
        if query.get("comp") == "list":
            return self._listing(bucket, query)
        history = self.objects.get((bucket, rest[0] if rest else ""), [])
        wanted = query.get("versionid")
        kept = next((each for each in reversed(history) if wanted in (None, f"v{each.number}")), None)
        if kept is None:
            return 404, {"x-ms-error-code": "BlobNotFound"}, b""
        if headers.get("if-match") not in (None, f'"0x{kept.number}"'):
            return 412, {"x-ms-error-code": "ConditionNotMet"}, b""
        stated = {"ETag": f'"0x{kept.number}"', "Last-Modified": _WHEN, "x-ms-blob-type": "BlockBlob", "Content-Type": "text/plain"}
        stated |= {"x-ms-version-id": f"v{kept.number}"} if self.versioned else {}
        if method == "HEAD":
            return 200, {**stated, "Content-MD5": kept.md5, "Content-Length": str(len(kept.data))}, b""
        self.before_answer()
        status, more, data = _part(kept.data, headers.get("x-ms-range") or headers.get("range"))
        return status, {**stated, **more, "x-ms-blob-content-md5": kept.md5}, data

    def _listing(self, bucket: str, query: dict[str, str]) -> Answer:
        found = list(self.under(bucket, query.get("prefix", "")))
        start, size = int(query.get("marker", "0")), min(self.page, int(query.get("maxresults", "5000")))
        blobs = "".join(_blob(key, kept) for key, kept in found[start : start + size])
        onward = str(start + size) if start + size < len(found) else ""
        told = f"<Prefix>{escape(query.get('prefix', ''))}</Prefix><Blobs>{blobs}</Blobs><NextMarker>{onward}</NextMarker>"
        text = f"<?xml version='1.0' encoding='utf-8'?><EnumerationResults>{told}</EnumerationResults>"
        return 200, {"Content-Type": "application/xml"}, text.encode()


def _blob(key: str, kept: Kept) -> str:
    stated = f"<Last-Modified>{_WHEN}</Last-Modified><Etag>0x{kept.number}</Etag><Content-Length>{len(kept.data)}</Content-Length>"
    stated += f"<Content-MD5>{kept.md5}</Content-MD5><BlobType>BlockBlob</BlobType>"
    return f"<Blob><Name>{escape(key)}</Name><Properties>{stated}</Properties></Blob>"
