"""A place for bytes behind a real HTTP server on the loopback interface: nothing in the law needs shared memory.

    PUT    /staging/<session>/<number>             a piece, whole, once it is closed
    POST   /publish                                [["<session>/<number>", key], …]
    GET    /objects/…      Range: bytes=a-b        200, 206, 404, 416
    HEAD   /objects/…                              the size
    DELETE /objects/…
    GET    /keys?prefix=…   /sessions              JSON
    DELETE /staging/<session>[/<number>]           a sweep, or one piece

The server keeps what it is given in a `MemoryBackend`; the client knows nothing but the address.
"""

import contextlib
import http.client
import itertools
import json
import os
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

from storage.blob.backend import Backend, Staged, check_key
from storage.blob.memory import MemoryBackend
from storage.errors import BlobMissing, Corrupt, InvalidPath, RemoteUnavailable, StorageError, Unavailable

_ERRORS: dict[str, type[StorageError]] = {each.code: each for each in (BlobMissing, Corrupt, InvalidPath, Unavailable)}


@contextlib.contextmanager
def serving() -> Iterator["HttpBackend"]:
    """A backend whose server runs while the block does."""
    handler = type("Handler", (_Handler,), {"kept": MemoryBackend(), "pieces": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield HttpBackend("127.0.0.1", server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _HttpStaged(Staged):
    def __init__(self, far: "HttpBackend", name: str) -> None:
        self.far, self.name = far, name
        self._data: bytearray | None = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._data is None:
            raise Unavailable("closed: stage the bytes again")
        self._data += data

    def close(self) -> None:
        data, self._data = self._data, None
        if data is not None:
            self.far.ask("PUT", f"/staging/{self.name}", bytes(data))

    def drop(self) -> None:
        self._data = None
        self.far.ask("DELETE", f"/staging/{self.name}")


class HttpBackend(Backend):
    """The client: one connection a request."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._numbers = itertools.count()

    def ask(self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes, str]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, quote(target, safe="/?=&"), body, headers or {})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise RemoteUnavailable(f"{target}: {error}") from error
        finally:
            connection.close()
        if response.status >= 400 and response.status != 416:
            raise _ERRORS.get(response.headers.get("X-Error", ""), RemoteUnavailable)(f"{target}: {response.status} {content.decode()}")
        return response.status, content, response.headers.get("X-Size", "")

    def stage(self, session: str, key: str | None = None) -> Staged:
        name = f"{session}/{os.getpid()}-{next(self._numbers)}"
        self.ask("PUT", f"/staging/{name}", b"")
        return _HttpStaged(self, name)

    def publish(self, staged: Sequence[tuple[Staged, str]]) -> None:
        pieces = [piece for piece, _ in staged]
        for piece in pieces:
            piece.close()
        named = [[piece.name, check_key(key)] for piece, key in staged if isinstance(piece, _HttpStaged)]
        self.ask("POST", "/publish", json.dumps(named).encode())

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length == 0:
            self.size(key)
            return iter(())
        end = "" if length is None else str(start + length - 1)
        status, content, _ = self.ask("GET", f"/{check_key(key)}", headers={"Range": f"bytes={start}-{end}"})
        return iter([] if status == 416 else [content])

    def size(self, key: str) -> int:
        return int(self.ask("HEAD", f"/{check_key(key)}")[2])

    def remove(self, key: str) -> None:
        self.ask("DELETE", f"/{check_key(key)}")

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        return ((key, size) for key, size in json.loads(self.ask("GET", f"/keys?prefix={prefix}")[1]))

    def sweep(self, session: str) -> None:
        self.ask("DELETE", f"/staging/{session}")

    def sessions(self) -> list[str]:
        return list(json.loads(self.ask("GET", "/sessions")[1]))


class _Handler(BaseHTTPRequestHandler):
    kept: MemoryBackend
    pieces: dict[str, Staged]
    protocol_version = "HTTP/1.1"

    def _answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, query = unquote(urlsplit(self.path).path)[1:], parse_qs(urlsplit(self.path).query)
        try:
            room = path.partition("/")[0]
            getattr(self, f"_{self.command.lower()}_{room}")(path, body, query)
        except StorageError as error:
            self._answer(404 if isinstance(error, BlobMissing) else 409, str(error).encode(), X_Error=error.code)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815  # http.server looks for these names

    def _put_staging(self, path: str, body: bytes, _: object) -> None:
        name = path.partition("/")[2]
        if name not in self.pieces:
            self.pieces[name] = self.kept.stage(name.partition("/")[0])
        self.pieces[name].write(body)
        self._answer(204)

    def _delete_staging(self, path: str, _: bytes, __: object) -> None:
        name = path.partition("/")[2]
        if "/" in name:
            piece = self.pieces.get(name)
            if piece is not None:
                piece.drop()
        else:
            self.kept.sweep(name)
        self._answer(204)

    def _post_publish(self, _: str, body: bytes, __: object) -> None:
        self.kept.publish([(self.pieces[name], key) for name, key in json.loads(body)])
        self._answer(204)

    def _get_objects(self, path: str, _: bytes, __: object) -> None:
        size = self.kept.size(path)
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        if int(first) >= size:
            self._answer(416)
            return
        self._answer(206, b"".join(self.kept.read(path, int(first), int(last) - int(first) + 1 if last else None)))

    def _head_objects(self, path: str, _: bytes, __: object) -> None:
        self._answer(200, X_Size=str(self.kept.size(path)))

    def _delete_objects(self, path: str, _: bytes, __: object) -> None:
        self.kept.remove(path)
        self._answer(204)

    def _get_keys(self, _: str, __: bytes, query: dict[str, list[str]]) -> None:
        self._answer(200, json.dumps(list(self.kept.keys((query.get("prefix") or [""])[0]))).encode())

    def _get_sessions(self, *_: object) -> None:
        self._answer(200, json.dumps(self.kept.sessions()).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""
