"""Writers on S3 who are interrupted, killed, refused or sent elsewhere: what they began is not left behind, and what they hold is not given away."""

import os
import random
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from storage.blob.retry import Budget
from storage.errors import RemoteUnavailable, StorageError
from storage.transfer import reference
from tests.faults.far import CONTENT, PATIENT, Far
from tests.faults.proxy import FOREVER, Fault, Proxy

STEPS = ("?uploads", "partNumber=1", "partNumber=2", "?uploadId")
"""The requests of an upload in parts: begin, two parts, complete."""


def right(far: Far) -> bool:
    """Can everything be logged and read?"""
    return list(CONTENT) == [far.copy().read(digest) for digest in far.log()]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.fault("R19")
def test_an_interrupt_leaves_no_upload(make: Callable[..., Far], s3_proxy: Proxy, step: str) -> None:
    """Ctrl-C at any request of an upload in parts: the upload is aborted, the session is gone, and the next attempt works."""
    far = make(budget=PATIENT)
    s3_proxy.plan(Fault(step, before=lambda _: signal.raise_signal(signal.SIGINT) or os.kill(os.getpid(), signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        far.log()

    assert [] == far.uploads()
    assert [] == far.backend.sessions()
    assert right(far)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.fault("R19", "I-04", "I-05")
def test_a_killed_writer_leaves_no_upload(make: Callable[..., Far], s3_proxy: Proxy, step: str, *, is_done: bool) -> None:
    """Killed as the service hears a request of the upload, or has done what it asked: whoever writes next aborts what was begun."""
    far = make(budget=PATIENT)
    killed: list[int] = []
    fault = Fault(step, drop=not is_done, lose=is_done)
    s3_proxy.plan(fault)
    child = os.fork()
    if not child:
        fault_seen = far.log()
        os._exit(1 if fault_seen else 2)
    while not killed:
        if s3_proxy.count(step):
            os.kill(child, signal.SIGKILL)
            killed.append(os.waitpid(child, 0)[1])

    assert [signal.SIGKILL] == killed
    assert right(far)
    assert [] == far.uploads()
    assert [] == far.backend.sessions()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.fault("R01")
def test_a_storm_is_sat_out(make: Callable[..., Far], s3_proxy: Proxy, seed: int) -> None:
    """While three of ten requests fail, everything is logged and read; it takes longer."""
    chance = random.Random(seed)
    far = make(budget=Budget(attempts=12, seconds=30, first=0.001, longest=0.01))
    kinds: list[Callable[[int], Fault]] = [
        lambda at: Fault(at=at, status=503, code="SlowDown"),
        lambda at: Fault(at=at, status=500),
        lambda at: Fault(at=at, drop=True),
        lambda at: Fault(at=at, lose=True),
    ]
    s3_proxy.plan(*(chance.choice(kinds)(at) for at in range(200) if chance.random() < 0.3))
    digests = far.log()

    assert list(CONTENT) == [far.store.read(digest) for digest in digests]
    assert [] == far.uploads()


@pytest.mark.fault("R03")
def test_a_body_is_cut_anywhere(make: Callable[..., Far], s3_proxy: Proxy) -> None:
    """Cut every 64 KiB, and at the bytes around: what comes is whole, from where it broke off."""
    far = make(budget=PATIENT)
    data = random.Random(3).randbytes(512 << 10)
    [digest] = far.log([data])
    for at in range(0, len(data), 64 << 10):
        for cut in {max(0, at - 1), at, at + 1}:
            s3_proxy.forget()
            s3_proxy.plan(Fault("GET", cut=cut))
            assert data == far.store.read(digest)
            assert 2 == len(s3_proxy.requests)


@pytest.mark.fault("R25")
def test_nothing_is_asked_about_a_key_before_it_is_written(make: Callable[..., Far], s3_proxy: Proxy) -> None:
    """Services that remember an absence for a while would go on reporting it: the first request for each key writes it."""
    far = make()
    s3_proxy.forget()
    far.log()
    first: dict[str, str] = {}
    for line in s3_proxy.requests:
        method, _, target = line.partition(" ")
        first.setdefault(target.partition("?")[0], method)

    assert 3 == len(first)
    assert {"PUT", "POST"} == set(first.values())


@pytest.mark.fault("R13")
def test_credentials_that_expire_are_read_anew_in_the_middle(
    make: Callable[..., Far], s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upload goes on under the same id, signed with what the environment says by then."""
    far = make(budget=PATIENT)
    fault = Fault("partNumber=2", status=400, code="ExpiredToken")
    s3_proxy.plan(fault)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "first")
    renewed = threading.Event()

    class Environment(dict[str, str]):
        """Headers of the answer: reading them is the moment the refusal is sent."""

        def items(self) -> "Environment":  # type: ignore[override]
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "second")
            renewed.set()
            return super().items()  # type: ignore[return-value]

    fault.headers = Environment()
    far.log()

    signed = [headers["Authorization"].partition("Credential=")[2].partition("/")[0] for headers in s3_proxy.headers]
    refused = next(number for number, line in enumerate(s3_proxy.requests) if "partNumber=2" in line)
    assert renewed.is_set()
    assert {"first"} == set(signed[: refused + 1])
    assert {"second"} == set(signed[refused + 1 :])
    assert 1 == s3_proxy.count("?uploads")


@pytest.mark.fault("R13", "R19")
def test_credentials_that_stay_expired_leave_an_upload_that_is_swept(make: Callable[..., Far], s3_proxy: Proxy) -> None:
    """What cannot be aborted, because nothing is allowed any more, stays noted, and goes when somebody may write again."""
    far = make(budget=PATIENT)
    s3_proxy.plan(*(Fault(match, status=400, code="ExpiredToken", times=FOREVER) for match in ("partNumber=2", "?uploadId", "HEAD")))
    with pytest.raises(StorageError):
        far.log()
    assert 1 == len(far.uploads())

    s3_proxy.forget()
    assert right(far)
    assert [] == far.uploads()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.fault("R12")
def test_a_reference_is_not_followed_to_another_host(
    make: Callable[..., Far], s3_proxy: Proxy, client: Callable[..., None], status: int
) -> None:
    """Where an answer names another host, nothing is sent there: no signature, no token, no question."""
    far = make()
    client(is_retrying=False, is_hasty=False)
    far.service.put(far.bucket, f"{far.prefix}/k", b"here")
    with Proxy(s3_proxy.url) as elsewhere:
        headers = {"Location": f"{elsewhere.url}/{far.bucket}/{far.prefix}/k"}
        s3_proxy.plan(Fault(status=status, code="TemporaryRedirect", headers=headers, times=FOREVER))
        with pytest.raises(StorageError):
            reference.pin(f"s3://{far.bucket}/{far.prefix}/k")

        assert [] == elsewhere.requests


@contextmanager
def self_signed(place: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A server on this machine whose certificate nobody vouches for; `heard` are the bytes that reached it all the same."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = place / "self-signed.pem"
    path.write_bytes(key.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    heard: list[bytes] = []

    class Listen(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), context.wrap_socket(self.request, server_side=True) as talk:
                heard.append(talk.recv(1))

    with ThreadingTCPServer(("127.0.0.1", 0), Listen) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}", heard
        server.shutdown()
        thread.join()


@pytest.mark.fault("R28")
def test_a_certificate_nobody_vouches_for_ends_it(
    make: Callable[..., Far], place: Path, client: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS is verified, always: a store, an `s3://` and an `https://` reference send nothing, and the error says why."""
    far = make()
    client(is_retrying=False, is_hasty=False)
    with self_signed(place) as (address, heard):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        for ask in (far.log, lambda: reference.pin("s3://bucket/key"), lambda: reference.pin(f"{address}/key")):
            with pytest.raises(StorageError, match=r"(?i)certificate"):
                ask()
        assert [] == [each for each in heard if each]


@pytest.mark.fault("R01", "R05")
def test_a_service_that_is_down_is_told_soon(make: Callable[..., Far], s3_proxy: Proxy) -> None:
    """The budget bounds how often is asked; nothing is called absent."""
    far = make(budget=PATIENT)
    digests = far.log()
    s3_proxy.forget()
    s3_proxy.plan(Fault(status=503, code="SlowDown", times=FOREVER))
    for ask in (lambda: far.store.read(digests[3]), lambda: far.log([b"other"]), lambda: far.store.has(digests[3])):
        s3_proxy.requests.clear()
        with pytest.raises(RemoteUnavailable):
            ask()
        assert 1 < len(s3_proxy.requests) <= 3 * PATIENT.attempts
