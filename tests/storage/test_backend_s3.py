"""A prefix of an S3 bucket keeps the laws of places for bytes, and a few more that only a far place needs."""

import json
import os
from pathlib import Path

import pytest

import storage.blob.s3
from storage.blob.bucket import Bucket
from storage.blob.local import LocalBackend
from storage.blob.multipart import part_size
from storage.blob.owner import claim
from storage.blob.retry import Budget
from storage.blob.s3 import S3Backend
from storage.digest import Digest
from storage.errors import (
    BlobMissing,
    Corrupt,
    InvalidPath,
    NotRemoved,
    ReadOnlyStore,
    RemoteUnavailable,
    TooLarge,
    Unavailable,
    Unreadable,
)
from tests.contracts.backend import BackendContract, content, key_of, put, staged, use_in_a_fork
from tests.faults.proxy import FOREVER, Fault, Proxy
from tests.faults.s3 import Service

QUICK = Budget(attempts=6, seconds=20, first=0.01, longest=0.05)


@pytest.fixture(scope="module")
def bucket(s3_server: Service) -> str:
    return s3_server.bucket()


@pytest.fixture
def backend(s3: Service, bucket: str, tmp_path: Path) -> S3Backend:  # noqa: ARG001  # s3 sets the environment
    return S3Backend(Bucket(bucket, f"pre fix/{tmp_path.name}", QUICK), LocalBackend(tmp_path), single=6 << 20, part=5 << 20)


class TestS3(BackendContract):
    @pytest.mark.fault("S14")
    def test_a_forked_child_uses_the_same_handle(self, backend: S3Backend) -> None:
        """A child of a fork publishes and reads through the handle it inherited, and its parent goes on."""
        use_in_a_fork(backend)

        assert [key_of(b"after")] == put(backend, b"after")


def where(backend: S3Backend, key: str) -> dict[str, str]:
    """How a direct client names the object under `key`."""
    return {"Bucket": backend.bucket.name, "Key": backend.bucket.name_of(key)}


def uploads(s3: Service, backend: S3Backend) -> list[str]:
    """Multipart uploads that are neither completed nor aborted."""
    listed = s3.client.list_multipart_uploads(Bucket=backend.bucket.name, Prefix=backend.bucket.prefix)
    return [each["Key"] for each in listed.get("Uploads", [])]


class TestWriting:
    """What is sent, how often, and what comes of answers that are lost or refused."""

    @pytest.mark.fault("R25")
    def test_one_piece_is_one_request(self, backend: S3Backend, s3_proxy: Proxy) -> None:
        """A small object is one conditional PUT that carries its checksum and names our own digest; nothing is asked first."""
        [key] = put(backend, b"data")
        headers = {name.lower(): value for name, value in s3_proxy.headers[0].items()}

        assert ["PUT"] == [line.partition(" ")[0] for line in s3_proxy.requests]
        assert ("*", "jXd/OF09/siBXSD3SWAm3A==") == (headers["if-none-match"], headers["content-md5"])
        assert str(Digest.of(b"data")) == headers["x-amz-meta-lineage-digest"]
        assert [(key, 4)] == list(backend.keys())

    @pytest.mark.fault("R02", "R09")
    @pytest.mark.parametrize("size", [4, 6 << 20, (6 << 20) + 1, 21 << 20])
    def test_a_lost_answer_is_looked_for(self, backend: S3Backend, s3: Service, s3_proxy: Proxy, size: int) -> None:
        """When the service did what was asked and its answer was lost, the object is found, whole, and nothing is left over."""
        data = os.urandom(size)
        s3_proxy.plan(Fault("PUT", lose=True), Fault("POST", lose=True), Fault("POST", times=0))
        [key] = put(backend, data)

        assert data == content(backend.read(key))
        assert not [name for name in uploads(s3, backend) if size <= 6 << 20]
        assert [] == backend.sessions()

    @pytest.mark.fault("R09", "R10")
    @pytest.mark.parametrize("code", ["ConditionalRequestConflict", "SlowDown", "InternalError", "RequestTimeout", "BadDigest"])
    def test_what_passes_is_repeated(self, backend: S3Backend, s3_proxy: Proxy, code: str) -> None:
        """Refusals that may be gone in a moment are sat out, whatever their status."""
        status = {"ConditionalRequestConflict": 409, "SlowDown": 503, "InternalError": 500}.get(code, 400)
        s3_proxy.plan(Fault("PUT", times=3, status=status, code=code))
        [key] = put(backend, b"data")

        assert b"data" == content(backend.read(key))

    @pytest.mark.fault("R01")
    def test_a_service_that_stays_down_is_told(self, backend: S3Backend, s3_proxy: Proxy) -> None:
        """When the budget is spent, the error says on what, how often and for how long; trying again later works."""
        s3_proxy.plan(Fault("PUT", times=FOREVER, status=503, code="SlowDown"), Fault("HEAD", times=FOREVER, status=503, code="SlowDown"))
        piece = staged(backend, b"data")
        with pytest.raises(RemoteUnavailable, match=r"failed 6 times in \d+\.\d s, at last with 503"):
            backend.publish([(piece, key_of(b"data"))])
        s3_proxy.forget()
        backend.publish([(piece, key_of(b"data"))])

        assert b"data" == content(backend.read(key_of(b"data")))

    @pytest.mark.fault("R11")
    def test_conditions_a_service_has_not_heard_of_are_not_sent_again(self, backend: S3Backend, s3_proxy: Proxy) -> None:
        """After a 501 the condition is left out, and existing objects are found by looking."""
        s3_proxy.plan(Fault("PUT", status=501, code="NotImplemented"))
        [key, *_] = put(backend, b"a", b"b", b"c")
        s3_proxy.forget()
        backend.publish([(staged(backend, b"x"), key)])

        assert 0 == s3_proxy.count("PUT")
        assert b"a" == content(backend.read(key))

    @pytest.mark.fault("R11")
    def test_a_condition_that_is_ignored_is_found_out(self, backend: S3Backend, s3: Service, s3_proxy: Proxy) -> None:
        """A service that writes over what stands there in spite of the condition is noticed when the place is claimed."""
        if s3.name != "moto":
            pytest.skip("a service that checks signatures does not let a signed header be taken away on the way")
        s3_proxy.plan(Fault("PUT", times=FOREVER, without="If-None-Match"))
        claim(backend, "ab" * 16, "blake3", str(backend))
        [key] = put(backend, b"first")
        backend.publish([(staged(backend, b"other"), key)])

        assert not backend.bucket.is_conditional
        assert b"first" == content(backend.read(key))

    @pytest.mark.fault("R09")
    def test_what_stands_there_must_be_the_right_thing(self, backend: S3Backend, s3: Service) -> None:
        """An object of another size is rot; one without our metadata is read and believed for its bytes alone."""
        for data, wrong in ((b"data", b"dat"), (b"four", b"fo_r")):
            s3.client.put_object(**where(backend, key_of(data)), Body=wrong)
            with pytest.raises(Corrupt):
                put(backend, data)
        s3.client.put_object(**where(backend, key_of(b"copied")), Body=b"copied")

        assert [key_of(b"copied")] == put(backend, b"copied")

    @pytest.mark.fault("R20", "F16")
    def test_parts_are_planned_ahead(self) -> None:
        """Never more than 10,000 parts, never smaller than the service takes; what no object may hold is refused before it is sent."""
        for size in (1, 5 << 20, 160_000 << 20, (160_000 << 20) + 1, 5 << 40):
            step = part_size(size)
            assert 5 << 20 <= step <= 5 << 30
            assert -(-size // step) <= 10_000
        with pytest.raises(TooLarge, match="5497558138880"):
            part_size((5 << 40) + 1)

    @pytest.mark.fault("R20")
    def test_parts_of_unknown_size_fit_too(self) -> None:
        """Parts that double now and then hold the largest object before their number runs out."""
        assert sum((16 << 20) << number // 1000 for number in range(10_000)) > 5 << 40

    def test_large_bytes_are_sent_while_they_are_written(self, backend: S3Backend, s3: Service, s3_proxy: Proxy) -> None:
        """With a key that is known, parts leave before the piece is closed, and are no object before it is published."""
        data = os.urandom(23 << 20)
        piece = backend.stage("s1", key_of(data))
        for at in range(0, len(data), 1 << 20):
            piece.write(data[at : at + (1 << 20)])
        assert [backend.bucket.name_of(key_of(data))] == uploads(s3, backend)
        piece.close()
        assert 5 == s3_proxy.count("partNumber")
        assert [] == list(backend.keys())
        backend.publish([(piece, key_of(data))])

        assert data == content(backend.read(key_of(data)))
        assert [] == uploads(s3, backend)

    @pytest.mark.fault("R19")
    @pytest.mark.parametrize("ahead", [False, True])
    def test_a_failed_upload_is_aborted(self, backend: S3Backend, s3: Service, s3_proxy: Proxy, *, ahead: bool) -> None:
        """When a part cannot be sent, no upload is left that costs money."""
        data = os.urandom(17 << 20)
        s3_proxy.plan(Fault("partNumber=2", times=FOREVER, status=403, code="AccessDenied"))
        with pytest.raises(ReadOnlyStore):
            backend.publish([(staged(backend, data, key=key_of(data) if ahead else None), key_of(data))])

        assert [] == uploads(s3, backend)
        assert [] == list(backend.keys())

    @pytest.mark.fault("R19")
    def test_an_interrupt_aborts_too(self, backend: S3Backend, s3: Service) -> None:
        """Ctrl-C in the middle of a large piece leaves no upload."""
        with pytest.raises(KeyboardInterrupt), backend.stage("s1", key_of(b"x")) as piece:  # noqa: PT012  # the block is what is tested
            piece.write(bytes(12 << 20))
            raise KeyboardInterrupt

        assert [] == uploads(s3, backend)

    @pytest.mark.fault("R19")
    def test_what_a_killed_writer_sent_is_swept(self, backend: S3Backend, s3: Service) -> None:
        """A process that dies in the middle of an upload leaves a note, and sweeping its session aborts the upload."""
        child = os.fork()
        if not child:
            backend.stage("dead", key_of(b"x")).write(bytes(12 << 20))
            os._exit(0)
        os.waitpid(child, 0)
        assert [backend.bucket.name_of(key_of(b"x"))] == uploads(s3, backend)
        assert ["dead"] == backend.sessions()
        backend.sweep("dead")

        assert [] == uploads(s3, backend)
        assert [] == backend.sessions()

    @pytest.mark.fault("R19")
    def test_an_upload_that_was_begun_and_not_noted_is_swept(self, backend: S3Backend, s3: Service, tmp_path: Path) -> None:
        """A process that dies before it could note the upload's id leaves the key, which is enough, while nobody else is just there."""
        key = key_of(b"x")
        for session in ("dead", "alive"):
            (tmp_path / "staging" / session).mkdir(parents=True)
            (tmp_path / "staging" / session / "1.upload").write_text(json.dumps({"key": key}))
        s3.client.create_multipart_upload(**where(backend, key))
        backend.sweep("dead")
        assert 1 == len(uploads(s3, backend))
        (tmp_path / "staging/dead").mkdir()
        (tmp_path / "staging/dead/1.upload").write_text(json.dumps({"key": key}))
        (tmp_path / "staging/alive/1.upload").write_text(json.dumps({"key": key, "upload": "another"}))
        backend.sweep("dead")

        assert [] == uploads(s3, backend)

    def test_a_piece_goes_where_it_was_meant_to_go(self, backend: S3Backend) -> None:
        """What was staged for one key is not published under another."""
        with pytest.raises(InvalidPath):
            backend.publish([(staged(backend, b"x", key=key_of(b"x")), key_of(b"y"))])


class TestReading:
    """What absence is, and how bodies that break off are put together."""

    @pytest.mark.fault("R03")
    @pytest.mark.parametrize("cut", [0, 1, 1 << 16, (3 << 20) - 1])
    def test_a_body_that_is_cut_is_resumed(self, backend: S3Backend, s3_proxy: Proxy, cut: int) -> None:
        """From where it broke off, under the ETag of what was begun."""
        data = os.urandom(3 << 20)
        [key] = put(backend, data)
        s3_proxy.forget()
        s3_proxy.plan(Fault("GET", cut=cut))

        assert data == content(backend.read(key))
        assert 2 == s3_proxy.count("GET")
        assert "If-Match" in s3_proxy.headers[1]

    @pytest.mark.fault("R06")
    def test_two_objects_are_never_mixed(self, backend: S3Backend, s3: Service, s3_proxy: Proxy) -> None:
        """When another object stands there before the rest is asked for, that is an error and no answer."""
        data = os.urandom(3 << 20)
        [key] = put(backend, data)
        swap = Fault("GET", cut=1 << 20, meanwhile=lambda: s3.client.put_object(**where(backend, key), Body=bytes(3 << 20)))
        s3_proxy.plan(swap)
        with pytest.raises(RemoteUnavailable, match="anew"):
            content(backend.read(key))

    def test_a_range_is_one_request(self, backend: S3Backend, s3_proxy: Proxy) -> None:
        """Also one that is small, and one that goes to the end."""
        [key] = put(backend, os.urandom(5 << 20))
        for start, length in ((0, 10), (4 << 20, 1 << 20), (3, None), (0, None)):
            s3_proxy.forget()
            content(backend.read(key, start, length))
            assert 1 == len(s3_proxy.requests)

    @pytest.mark.fault("R05", "R15")
    @pytest.mark.parametrize(
        ("status", "code"),
        [(403, "AccessDenied"), (404, "NoSuchBucket"), (404, ""), (401, "Unauthorized"), (301, "PermanentRedirect"), (200, "")],
    )
    def test_only_a_definite_answer_is_absence(self, backend: S3Backend, s3_proxy: Proxy, status: int, code: str) -> None:
        """A refusal, a missing bucket and a page from something that is no S3 service say nothing about a key."""
        page = None if code else b"<html><body>welcome to the hotel</body></html>"
        for match in ("GET", "HEAD"):
            s3_proxy.plan(Fault(match, times=FOREVER, status=status, code=code, content=page))
        for call in (backend.read, backend.size):
            with pytest.raises(RemoteUnavailable):
                call(key_of(b"never"))
        with pytest.raises(Unavailable):
            list(backend.keys())

    @pytest.mark.fault("R05")
    def test_a_missing_bucket_is_not_a_missing_blob(self, s3: Service, tmp_path: Path) -> None:
        """A bucket that is not there is said to be that."""
        backend = S3Backend(Bucket("no-such-bucket-here", "x", QUICK), LocalBackend(tmp_path))
        for call in (backend.read, backend.size, lambda _: list(backend.keys())):
            with pytest.raises(RemoteUnavailable, match="no such bucket"):
                call(key_of(b"never"))

    @pytest.mark.fault("R05")
    def test_a_silent_endpoint_is_not_absence(self, backend: S3Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nobody answers, nothing is said about any key."""
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        for call in (backend.read, backend.size, lambda _: list(backend.keys())):
            with pytest.raises(RemoteUnavailable, match="no answer"):
                call(key_of(b"never"))

    @pytest.mark.fault("R04")
    def test_what_others_do_is_seen(self, backend: S3Backend, s3: Service) -> None:
        """An object that somebody else removes is gone at once, whatever was listed before."""
        [key] = put(backend, b"data")
        assert [(key, 4)] == list(backend.keys())
        s3.client.delete_object(**where(backend, key))

        assert [] == list(backend.keys())
        with pytest.raises(BlobMissing):
            backend.size(key)

    @pytest.mark.fault("H15", "R27")
    def test_quarantine_takes_what_is_wrong_and_leaves_what_is_right(self, backend: S3Backend, s3: Service) -> None:
        """Bytes that prove right when they are read again stay: the damage was on the way."""
        [right, wrong] = put(backend, b"right", b"wrong")
        s3.client.put_object(**where(backend, wrong), Body=b"wr_ng")

        assert (False, True) == (backend.quarantine(right), backend.quarantine(wrong))
        assert b"right" == content(backend.read(right))
        with pytest.raises(BlobMissing):
            backend.size(wrong)
        aside = s3.client.list_objects_v2(Bucket=backend.bucket.name, Prefix=backend.bucket.name_of("quarantine/"))["Contents"]
        assert [5] == [each["Size"] for each in aside]


class TestRemoving:
    """Many at once, and each accounted for."""

    @pytest.mark.fault("G12")
    def test_many_keys_are_few_requests(self, backend: S3Backend, s3: Service, s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each request names as many as one may, 1,000; 100 are enough to see the third one."""
        assert 1000 == storage.blob.s3.BULK
        monkeypatch.setattr(storage.blob.s3, "BULK", 100)
        keys = [key_of(b"%d" % number) for number in range(250)]
        s3.fill(backend.bucket.name, [backend.bucket.name_of(key) for key in keys])
        assert dict.fromkeys(keys) == dict.fromkeys(dict(backend.keys()))
        s3_proxy.forget()
        backend.remove_many(keys)

        assert 3 == len(s3_proxy.requests)
        assert [] == list(backend.keys())

    @pytest.mark.fault("G13", "R26")
    def test_locked_objects_are_told(self, backend: S3Backend, s3_proxy: Proxy) -> None:
        """What the service refuses to remove is named with its reason; what it does not mention is not taken to be gone."""
        keys = put(backend, b"gone", b"locked", b"forgotten")
        reply = (
            "<?xml version='1.0'?><DeleteResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
            f"<Deleted><Key>{backend.bucket.name_of(keys[0])}</Key></Deleted>"
            f"<Error><Key>{backend.bucket.name_of(keys[1])}</Key><Code>AccessDenied</Code><Message>object lock</Message></Error></DeleteResult>"
        )
        s3_proxy.plan(Fault("POST", times=FOREVER, status=200, content=reply.encode()))
        with pytest.raises(NotRemoved, match="object lock") as caught:
            backend.remove_many(keys)

        assert set(keys[1:]) == set(caught.value.left)

    def test_where_many_at_once_is_not_known_they_go_one_by_one(self, backend: S3Backend, s3_proxy: Proxy) -> None:
        """And it is not asked again."""
        keys = put(backend, *[b"%d" % number for number in range(5)])
        s3_proxy.forget()
        s3_proxy.plan(Fault("POST", times=FOREVER, status=501, code="NotImplemented"))
        backend.remove_many(keys[:3])
        backend.remove_many(keys[3:])

        assert (1, 5) == (s3_proxy.count("POST"), s3_proxy.count("DELETE"))
        assert [] == list(backend.keys())


class TestTrust:
    """Where credentials go, and what happens when they or the clock are wrong."""

    @pytest.mark.fault("R28")
    def test_plain_http_is_for_this_machine(self, backend: S3Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        """An endpoint without TLS elsewhere is refused before a byte is sent, unless that was allowed."""
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example.com:9000")
        with pytest.raises(Unreadable, match="LINEAGE_ALLOW_HTTP"):
            backend.size(key_of(b"x"))

    @pytest.mark.fault("R12")
    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirects_take_nothing_along(self, backend: S3Backend, s3_proxy: Proxy, status: int) -> None:
        """Another host that is named in an answer is never spoken to."""
        with Proxy(s3_proxy.url) as elsewhere:
            s3_proxy.plan(Fault("GET", times=FOREVER, status=status, code="TemporaryRedirect", headers={"Location": f"{elsewhere.url}/x"}))
            with pytest.raises(RemoteUnavailable):
                backend.read(key_of(b"x"))

            assert [] == elsewhere.requests

    @pytest.mark.fault("R14")
    def test_a_wrong_clock_is_told(self, backend: S3Backend, s3_proxy: Proxy) -> None:
        """The error names the clock."""
        s3_proxy.plan(
            Fault("PUT", times=FOREVER, status=403, code="RequestTimeTooSkewed", headers={"Date": "Thu, 01 Jan 2037 00:00:00 GMT"})
        )
        with pytest.raises(RemoteUnavailable, match=r"clock is \d+ s behind"):
            put(backend, b"data")

    @pytest.mark.fault("R13")
    def test_expired_credentials_are_read_anew(self, backend: S3Backend, s3_proxy: Proxy) -> None:
        """Once in the middle of an upload, which goes on under the same id."""
        s3_proxy.plan(Fault("partNumber=2", status=400, code="ExpiredToken"))
        data = os.urandom(17 << 20)
        [key] = put(backend, data)

        assert data == content(backend.read(key))
        assert 1 == s3_proxy.count("?uploads")
