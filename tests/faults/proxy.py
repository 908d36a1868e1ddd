"""An HTTP proxy in front of one server: it counts what passes, and does to it what networks and services do.

    proxy.requests                       every request line that arrived, in order
    proxy.plan(Fault("GET", status=503)) the next matching request is answered with 503 and never reaches the server

A fault applies to requests whose line contains `match`, the next `times` of them, or with `at` to that one request, counted from zero since
the proxy last forgot. Several faults may be planned; the first that matches is used up first. It runs in a thread of the test, one
connection per request, so nothing waits for an idle connection at the end. `mishap.py` is the list of what faults there are.
"""

import http.client
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

FOREVER = 1 << 30
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "proxy-connection", "date", "server"})


@dataclass
class Fault:
    """What happens to matching requests. What is done before the server is asked, to the question, to the answer, or in place of both."""

    match: str = ""
    times: int = 1
    at: int | None = None
    """Only the request of this number."""
    concerns: Callable[[str], bool] = bool
    """Only requests whose line this says of."""
    status: int | None = None
    """Answered with this status; the server never hears of the request."""
    code: str = "InternalError"
    content: bytes | None = None
    """What is answered with `status`; by default an S3 error document with `code`."""
    headers: dict[str, str] = field(default_factory=dict)
    """What is answered with `status`, besides what belongs to `content`."""
    cut: int | None = None
    """The server's answer loses everything after this many bytes of its body."""
    drop: bool = False
    """The connection closes without an answer, before the server hears of the request."""
    lose: bool = False
    """The server does what was asked, its answer is lost."""
    without: str | None = None
    """A header or query parameter of the request that the server never sees, as if it did not know what it means."""
    hide: str | None = None
    """A header of the answer that never arrives."""
    before: Callable[[str], object] | None = None
    """Called with the request's target before the server is asked."""
    meanwhile: Callable[[], object] | None = None
    """Called when half of the answer's body is on its way."""
    instead: Callable[[str], str] | None = None
    """The target the server is asked for in place of the one that was meant."""
    change: Callable[[bytes], bytes] | None = None
    """What becomes of the answer's body; its length is stated as it then is."""
    late: float = 0
    """The server does what was asked at once; its answer takes this many seconds more."""

    def is_meant(self, line: str, number: int) -> bool:
        """Does it happen to this request?"""
        return self.times > 0 and self.match in line and self.at in (None, number) and self.concerns(line)


class Proxy:
    """Listens on a free port of the loopback interface while the `with` block runs."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def plan(self, *faults: Fault) -> None:
        with self._lock:
            self._faults.extend(faults)

    def forget(self) -> None:
        """No faults, nothing counted."""
        with self._lock:
            self._faults.clear()
            self.requests.clear()
            self.headers.clear()

    def count(self, match: str = "") -> int:
        return sum(match in line for line in self.requests)

    def arrived(self, line: str, headers: dict[str, str]) -> Fault:
        """The fault the request meets; an empty one when none was planned for it."""
        with self._lock:
            self.requests.append(line)
            self.headers.append(headers)
            number = len(self.requests) - 1
            fault = next((each for each in self._faults if each.is_meant(line, number)), Fault())
            fault.times -= 1
            return fault

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(1 << 16)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.close_connection = True
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.arrived(f"{self.command} {self.path}", dict(self.headers.items()))
        if fault.drop:
            return
        if fault.status is not None:
            headers = [("Content-Type", "application/xml"), *fault.headers.items()]
            self._answer(fault.status, headers, _refusal(fault.code) if fault.content is None else fault.content, fault)
            return
        if fault.before:
            fault.before(self.path)
        status, headers, content = self._ask(body, fault)
        if fault.late:
            self.proxy.stopping.wait(fault.late)
        if not fault.lose:
            with suppress(ConnectionError):  # whoever asked did not wait for the answer
                self._answer(status, headers, content, fault)

    def _ask(self, body: bytes, fault: Fault) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=30)
        try:
            unseen = _HOP | {(fault.without or "").lower()}
            target = fault.instead(self.path) if fault.instead else self.path
            target = re.sub(rf"(?<=[?&]){re.escape(fault.without or '&')}=[^&]*&?", "", target)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in unseen}
            connection.request(self.command, target, body, headers)
            response = connection.getresponse()
            content = response.read()
            hidden = _HOP | {(fault.hide or "").lower()}
            if fault.change:
                content = fault.change(content)
                hidden |= {"content-length"}
            return response.status, [(name, value) for name, value in response.getheaders() if name.lower() not in hidden], content
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, fault: Fault) -> None:
        stated = {name.lower() for name, _ in headers} | {(fault.hide or "").lower()}
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in stated:
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(content) // 2
        self.wfile.write(content[: half if fault.cut is None else fault.cut])
        self.wfile.flush()
        if fault.meanwhile:
            fault.meanwhile()
        if fault.cut is None:
            self.wfile.write(content[half:])

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at `requests`."""


def _refusal(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as planned</Message></Error>".encode()
