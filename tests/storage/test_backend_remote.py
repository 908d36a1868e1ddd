"""Places that are reached by URL, and one that is reached over HTTP, keep the laws of places for bytes."""

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlencode

import pytest

from storage.blob import remote
from storage.blob.backend import Backend
from storage.blob.home import Home
from storage.errors import BlobMissing, Corrupt, NotRemoved, ReadOnlyStore, RemoteUnavailable, Unavailable
from tests.contracts.backend import BackendContract, content, key_of, put, staged
from tests.contracts.http import HttpBackend, serving
from tests.faults.cloud import Answer, Google


class TestHttp(BackendContract):
    @pytest.fixture
    def backend(self) -> Iterator[HttpBackend]:
        with serving() as backend:
            yield backend


class TestMemoryUrl(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return Home.create_or_open(tmp_path / "home", store=f"memory://{uuid.uuid4()}/a").backend


class TestFileUrl(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return Home.create_or_open(tmp_path / "home", store=f"file://{tmp_path}/disk/a").backend


class WritableGoogle(Google):
    """Google's object store, as far as a store writes to it: uploads in one request and in parts, copies, deletes."""

    def __enter__(self) -> Self:
        cloud, read = self, self._server.RequestHandlerClass

        class Handler(read):  # type: ignore[misc,valid-type]  # made when the server is
            def do_POST(self) -> None:  # noqa: N802  # http.server looks for these names
                cloud.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.respond()

            do_PUT = do_DELETE = do_POST  # noqa: N815  # as above

        self._server.RequestHandlerClass = Handler
        self.body = b""
        super().__enter__()
        return self

    def answer(self, method: str, path: str, query: dict[str, str], headers: dict[str, str]) -> Answer:
        if method in ("GET", "HEAD"):
            return super().answer(method, path, query, headers)
        bucket, _, key = path.partition("/b/")[2].partition("/o")
        key = unquote(key[1:])
        if method == "DELETE":
            found = self.objects.pop((bucket, key), None)
            return (204, {}, b"") if found else (404, {}, b'{"error": {"message": "No such object"}}')
        if copied := re.fullmatch(r"(.+)/rewriteTo/b/([^/]+)/o/(.+)", key):
            self.put(copied[2], copied[3], self.objects[bucket, copied[1]][-1].data)
            return 200, {}, b'{"done": true}'
        if query.get("uploadType") == "resumable":
            return 200, {"Location": f"{self.url}{path}?{urlencode({'name': json.loads(self.body)['name']})}"}, b"{}"
        if "name" in query:
            self.put(bucket, query["name"], self.body)
        else:
            _, about, rest = self.body.split(b"\n\n", 2)
            self.put(bucket, json.loads(about.partition(b"\n--")[0])["name"], rest.removesuffix(b"\n--==0==--"))
        return 200, {"Content-Type": "application/json"}, b"{}"


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[WritableGoogle]:
    with WritableGoogle() as cloud:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
        monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        yield cloud


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # gcsfs's way
class TestGoogle(BackendContract):
    @pytest.fixture
    def backend(self, google: WritableGoogle, tmp_path: Path) -> Backend:  # the environment points to it
        return Home.create_or_open(tmp_path / "home", store=f"gs://{uuid.uuid4()}/some/prefix").backend


class TestPlaces:
    """What fsspec leaves open."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return Home.create_or_open(tmp_path / "home", store=f"memory://{uuid.uuid4()}/a").backend

    def system(self, backend: Backend) -> tuple[object, str]:
        inner = backend.backend  # type: ignore[attr-defined]  # an owned place
        return remote.connect(inner.location)

    def test_a_file_is_moved_when_it_is_whole(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        """A place that keeps less than it was given is told so, nothing is visible, and nothing is left of it."""
        piece = staged(backend, b"data")
        system, root = self.system(backend)
        with monkeypatch.context() as patched:
            patched.setattr(type(system), "put_file", lambda self, _, far: self.pipe_file(far, b"dat"))
            with pytest.raises(RemoteUnavailable, match="less than it was given"):
                backend.publish([(piece, key_of(b"data"))])
        assert [] == list(backend.keys())
        assert [] == system.find(f"{root}/staging")  # type: ignore[attr-defined]
        backend.publish([(piece, key_of(b"data"))])

        assert b"data" == content(backend.read(key_of(b"data")))

    @pytest.mark.parametrize(
        ("error", "kind"),
        [(PermissionError("no"), ReadOnlyStore), (OSError("torn"), RemoteUnavailable), (RuntimeError("x"), RemoteUnavailable)],
    )
    def test_every_failure_is_typed(
        self, backend: Backend, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Unavailable]
    ) -> None:
        """Whatever a file system raises, it is neither absence nor an error of its own kind."""
        [key] = put(backend, b"data")
        piece = staged(backend, b"more")
        system, _ = self.system(backend)

        def fail(*_: object, **__: object) -> None:
            raise error

        with monkeypatch.context() as patched:
            for name in ("put_file", "rm_file", "ls"):
                patched.setattr(type(system), name, fail)
            with pytest.raises(kind):
                backend.publish([(piece, key_of(b"more"))])
            with pytest.raises(kind):
                backend.remove(key)
            with pytest.raises(NotRemoved):
                backend.remove_many([key])
            with pytest.raises(RemoteUnavailable):
                list(backend.keys())
            patched.setattr(type(system), "cat_file", fail)
            with pytest.raises(RemoteUnavailable):
                backend.read(key)

        assert b"data" == content(backend.read(key))

    def test_what_stands_there_must_have_the_size(self, backend: Backend) -> None:
        """Another size under a key is rot, and stays as it is."""
        [key] = put(backend, b"data")
        system, root = self.system(backend)
        system.pipe_file(f"{root}/{key}", b"dat")  # type: ignore[attr-defined]
        with pytest.raises(Corrupt):
            put(backend, b"data")

        assert b"dat" == content(backend.read(key))

    @pytest.mark.fault("H15")
    def test_quarantine_keeps_the_bytes(self, backend: Backend) -> None:
        """What is moved aside is not served, and still there."""
        [key] = put(backend, b"rotten")
        assert backend.quarantine(key)
        assert not backend.quarantine(key)
        with pytest.raises(BlobMissing):
            backend.read(key)
        system, root = self.system(backend)
        assert [b"rotten"] == [system.cat_file(path) for path in system.find(f"{root}/quarantine")]  # type: ignore[attr-defined]
