"""References to HTTP servers: strong etags pin, weak ones are compared, without one nothing is claimed."""

import datetime as dt
import io
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from storage.entry import Entry, Pin
from storage.errors import InvalidReference, ReferenceChanged, ReferenceMissing, RemoteUnavailable, Unreadable
from storage.transfer import reference
from storage.transfer.reference import Standing, backoff, http


@dataclass
class Site:
    """A small web site: path to (etag as sent, body), and what to do differently."""

    url: str = ""
    pages: dict[str, tuple[str | None, bytes]] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    refuses: dict[str, int] = field(default_factory=dict)
    knows_head: bool = True
    honours_conditions: bool = True
    states_length: bool = True
    cut: int | None = None
    cuts: list[int] = field(default_factory=list)
    """As `cut`, for the next answers only, one each."""
    knows_ranges: bool = False
    modified: str | None = None
    busy: list[tuple[int, str | None]] = field(default_factory=list)
    """Status and Retry-After of the next answers."""
    meanwhile: Callable[[], object] = lambda: None
    """Called after each body that was cut."""
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        site, path = self.site, self.path.partition("?")[0]
        site.seen.append((self.command, self.path, dict(self.headers.items())))
        if site.busy:
            status, later = site.busy.pop(0)
            self.reply(status, {"Retry-After": later} if later else {})
        elif path in site.moved:
            self.reply(302, {"Location": site.moved[path]})
        elif path in site.refuses:
            self.reply(site.refuses[path], {})
        elif self.command == "HEAD" and not site.knows_head:
            self.reply(405, {})
        elif path not in site.pages:
            self.reply(404, {})
        else:
            self.page(*site.pages[path])

    def page(self, etag: str | None, body: bytes) -> None:
        condition = self.headers.get("If-Match")
        if self.site.honours_conditions and condition is not None and condition != etag:
            self.reply(412, {})
            return
        validators = ({"ETag": etag} if etag else {}) | ({"Last-Modified": self.site.modified} if self.site.modified else {})
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and self.site.knows_ranges else 0
        part = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        stated = {"Content-Length": str(len(body) - start)} if self.site.states_length else {}
        cut = self.site.cuts.pop(0) if self.site.cuts and self.command == "GET" else self.site.cut
        self.reply(206 if start else 200, stated | validators | part, body[start:][:cut])
        if cut is not None:
            self.site.meanwhile()

    def reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at `seen`."""


def _serve(site: Site) -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    """A site with a page of each kind; no credentials on this machine."""
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    pages = {"/d/strong.csv": ('"s1"', b"hello"), "/weak": ('W/"w1"', b"hello"), "/none": (None, b"hello")}
    yield from _serve(Site(pages=dict(pages)))


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited, one after the other."""
    waited: list[float] = []
    monkeypatch.setattr(backoff, "pause", waited.append)
    return waited


@pytest.fixture
def elsewhere() -> Iterator[Site]:
    """Another site, on another port and so of another origin."""
    yield from _serve(Site(pages={"/there": ('"t1"', b"there")}))


def fetched(entry: Entry) -> bytes:
    out = io.BytesIO()
    reference.fetch(entry, out)
    return out.getvalue()


def standing(entry: Entry) -> Standing:
    assert entry.pin is not None
    return reference.check(entry.pin, entry.size)


def test_a_strong_etag_pins_the_object(site: Site) -> None:
    """The etag is kept without its quotes, sent as a condition, and found unchanged."""
    (entry,) = reference.pin(f"{site.url}/d/strong.csv")

    assert ("strong.csv", 5, {"etag": "s1"}) == (entry.path, entry.size, entry.extra)
    assert b"hello" == fetched(entry)
    assert ("GET", '"s1"') == (site.seen[-1][0], site.seen[-1][2]["If-Match"])
    assert ["identity"] * 2 == [headers["Accept-Encoding"] for _, _, headers in site.seen]
    assert Standing.OK is standing(entry)


@pytest.mark.parametrize("honours", [True, False])
@pytest.mark.fault("X05")
def test_changed_content_is_an_error_before_any_byte(site: Site, honours: bool) -> None:
    """Whether the server honours the condition or the reply gives the change away, nothing is written."""
    (entry,) = reference.pin(f"{site.url}/d/strong.csv")
    site.pages["/d/strong.csv"] = ('"s2"', b"other")
    site.honours_conditions = honours
    out = io.BytesIO()

    with pytest.raises(ReferenceChanged):
        reference.fetch(entry, out)
    assert b"" == out.getvalue()
    assert Standing.DRIFTED is standing(entry)


@pytest.mark.fault("X10")
def test_a_weak_etag_is_compared_and_never_called_verified(site: Site) -> None:
    """It keeps its mark, is not sent as a condition, must be equal with the size, and stands as unverifiable."""
    (entry,) = reference.pin(f"{site.url}/weak")

    assert {"etag": 'W/"w1"'} == entry.extra
    assert b"hello" == fetched(entry)
    assert "If-Match" not in site.seen[-1][2]
    assert Standing.UNVERIFIABLE is standing(entry)
    site.pages["/weak"] = ('W/"w1"', b"longer than before")
    with pytest.raises(ReferenceChanged):
        fetched(entry)
    site.pages["/weak"] = ('W/"w2"', b"hello")
    with pytest.raises(ReferenceChanged):
        fetched(entry)
    assert Standing.DRIFTED is standing(entry)


@pytest.mark.fault("X10")
def test_without_an_etag_nothing_is_claimed(site: Site) -> None:
    """Such a pin says it is not verifiable; only the size is held against what comes."""
    (entry,) = reference.pin(f"{site.url}/none")

    assert entry.pin is not None
    assert not entry.pin.is_verifiable
    assert (5, {}) == (entry.size, entry.extra)
    assert Standing.UNVERIFIABLE is standing(entry)
    assert b"hello" == fetched(entry)
    site.pages["/none"] = (None, b"longer")
    assert Standing.DRIFTED is standing(entry)
    with pytest.raises(ReferenceChanged):
        fetched(entry)


def test_an_etag_that_is_no_longer_stated_proves_nothing(site: Site) -> None:
    """A server that stops stating etags cannot show that this is still the pinned object."""
    (entry,) = reference.pin(f"{site.url}/d/strong.csv")
    site.pages["/d/strong.csv"] = (None, b"hello")
    site.honours_conditions = False

    assert Standing.UNVERIFIABLE is standing(entry)
    with pytest.raises(ReferenceChanged):
        fetched(entry)


def test_without_checksum_the_server_is_never_asked(site: Site) -> None:
    """The pin is unverified and gives whatever is there."""
    (entry,) = reference.pin(f"{site.url}/d/strong.csv?part=1#top", checksum=False)

    assert [] == site.seen
    assert ("strong.csv", f"{site.url}/d/strong.csv?part=1") == (entry.path, entry.pin and entry.pin.uri)
    assert Standing.UNPINNED is standing(entry)
    assert b"hello" == fetched(entry)


def test_a_server_without_head_is_asked_by_get(site: Site) -> None:
    """405 to HEAD is no answer about the object."""
    site.knows_head = False

    (entry,) = reference.pin(f"{site.url}/d/strong.csv")

    assert {"etag": "s1"} == entry.extra
    assert ["HEAD", "GET"] == [method for method, _, _ in site.seen]


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unreadable), (403, Unreadable), (410, ReferenceMissing), (429, RemoteUnavailable), (500, RemoteUnavailable)]
)
def test_only_404_and_410_are_absence(site: Site, status: int, kind: type[Exception]) -> None:
    """Every other refusal is an error that is not absence."""
    (entry,) = reference.pin(f"{site.url}/d/strong.csv")
    site.refuses["/d/strong.csv"] = status

    for act in (lambda: reference.pin(f"{site.url}/d/strong.csv", allow_empty=True), lambda: fetched(entry)):
        with pytest.raises(kind) as caught:
            act()
        assert kind is type(caught.value)
    with pytest.raises(ReferenceMissing):
        reference.pin(f"{site.url}/nothing", "n")


@pytest.mark.fault("R05")
@pytest.mark.usefixtures("site")
def test_a_server_that_is_down_is_never_absence() -> None:
    """Nobody listens: unavailable."""
    with pytest.raises(RemoteUnavailable):
        reference.pin("http://127.0.0.1:9/file", allow_empty=True)
    with pytest.raises(RemoteUnavailable):
        reference.check(Pin("http://127.0.0.1:9/file", "e"), None)


@pytest.mark.parametrize("states_length", [True, False])
@pytest.mark.fault("R03")
def test_a_body_cut_short_is_an_error(site: Site, states_length: bool) -> None:
    """By the stated length or by the pinned size, short bytes are noticed."""
    (entry,) = reference.pin(f"{site.url}/d/strong.csv")
    site.cut, site.states_length = 3, states_length

    with pytest.raises((RemoteUnavailable, ReferenceChanged)):
        fetched(entry)


def test_redirects_are_followed_and_what_they_led_to_is_not_stored(site: Site, elsewhere: Site) -> None:
    """The pin keeps the URI that was given: where it led may be signed and will not be the same tomorrow."""
    site.moved["/link"] = f"{elsewhere.url}/there?X-Amz-Signature=s"

    (entry,) = reference.pin(f"{site.url}/link")

    assert Pin(f"{site.url}/link", "t1") == entry.pin
    assert b"there" == fetched(entry)


def test_redirects_in_a_circle_end(site: Site) -> None:
    """A few hops, then it is unavailable."""
    site.moved["/round"] = "/round"

    with pytest.raises(RemoteUnavailable):
        reference.pin(f"{site.url}/round")
    assert len(site.seen) <= 6


@pytest.mark.fault("R12")
def test_credentials_stay_with_the_host_they_are_for(site: Site, elsewhere: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What ~/.netrc holds for one host goes there and is dropped when a redirect leaves it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hidden\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    site.moved["/link"] = f"{elsewhere.url}/there"

    (entry,) = reference.pin(f"{site.url}/link")
    fetched(entry)

    assert {True} == {"Authorization" in headers for _, _, headers in site.seen}
    assert {False} == {"Authorization" in headers for _, _, headers in elsewhere.seen}


@pytest.mark.parametrize("uri", ["http://host.invalid", "https://host.invalid/", "https://host.invalid/dir/", "http://host.invalid?x=1"])
def test_a_uri_without_last_component_needs_a_name(uri: str) -> None:
    """Nothing is contacted before the entry has a name."""
    with pytest.raises(InvalidReference, match="name="):
        reference.pin(uri)


@pytest.mark.parametrize("uri", ["http:file", "https:/host/file", "https:///file"])
def test_a_uri_without_host_is_refused(uri: str) -> None:
    """Checked or not, it could never be read."""
    with pytest.raises(InvalidReference, match="host"):
        reference.pin(uri, "name", checksum=False)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.fault("R01")
def test_not_now_is_asked_again(site: Site, waits: list[float], status: int) -> None:
    """Three refusals cost three waits, each longer than the shortest before it can be; the answer then counts."""
    site.busy = [(status, None)] * 3

    (entry,) = reference.pin(f"{site.url}/d/strong.csv")

    assert "s1" == entry.extra["etag"]
    assert 3 == len(waits)
    assert all(backoff.FIRST * 2**turn / 2 <= wait <= backoff.FIRST * 2**turn for turn, wait in enumerate(waits))


@pytest.mark.fault("R01")
def test_retry_after_is_believed_within_the_budget(site: Site, waits: list[float]) -> None:
    """Seconds or a date; asked for more patience than there is, nobody waits at all."""
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=9)
    site.busy = [(503, "7"), (429, f"{later:%a, %d %b %Y %H:%M:%S} GMT"), (503, "no number, no date")]
    (entry,) = reference.pin(f"{site.url}/d/strong.csv")

    assert 7 == waits[0]
    assert 5 < waits[1] < 10
    assert waits[2] <= backoff.FIRST
    waits.clear()
    site.busy = [(503, "3600")]
    with pytest.raises(RemoteUnavailable, match="503"):
        fetched(entry)
    assert [] == waits


@pytest.mark.fault("R01")
def test_a_service_that_stays_busy_ends_with_the_budget(site: Site, waits: list[float]) -> None:
    """The waits together never exceed it, and then it is unavailable, not missing."""
    site.refuses["/d/strong.csv"] = 503

    with pytest.raises(RemoteUnavailable):
        reference.pin(f"{site.url}/d/strong.csv")
    assert 2 < len(waits)
    assert sum(waits) <= backoff.BUDGET


@pytest.mark.parametrize("knows_ranges", [True, False])
@pytest.mark.fault("R03", "X10")
def test_a_broken_body_goes_on_under_a_strong_etag(site: Site, knows_ranges: bool) -> None:
    """Only what is missing is asked for, under If-Match; from a server without ranges the beginning is passed over, not repeated."""
    site.knows_ranges, body = knows_ranges, bytes(range(256)) * 4
    site.pages["/big"] = ('"b1"', body)
    (entry,) = reference.pin(f"{site.url}/big")
    site.seen.clear()
    site.cuts = [100, 200]

    assert body == fetched(entry)
    assert [None, "bytes=100-"] == [headers.get("Range") for _, _, headers in site.seen][:2]
    assert {'"b1"'} == {headers["If-Match"] for _, _, headers in site.seen}


@pytest.mark.parametrize("honours", [True, False])
@pytest.mark.fault("R06", "X10")
def test_an_object_replaced_between_two_halves_never_mixes(site: Site, honours: bool) -> None:
    """Whether or not the server knows conditions, the second half of another object is refused."""
    site.knows_ranges, site.honours_conditions = True, honours
    site.pages["/big"] = ('"b1"', b"a" * 1000)
    (entry,) = reference.pin(f"{site.url}/big")
    site.cuts, site.meanwhile = [100], lambda: site.pages.update({"/big": ('"b2"', b"b" * 1000)})
    out = io.BytesIO()

    with pytest.raises(ReferenceChanged):
        reference.fetch(entry, out)
    assert b"a" * 100 == out.getvalue()


@pytest.mark.parametrize("path", ["/weak", "/none"])
@pytest.mark.fault("R06", "X10")
def test_without_a_strong_etag_nothing_is_gone_on_with(site: Site, path: str) -> None:
    """The rest could be of another object: the download ends instead."""
    site.knows_ranges = True
    (entry,) = reference.pin(f"{site.url}{path}")
    site.seen.clear()
    site.cuts = [2]

    with pytest.raises((RemoteUnavailable, ReferenceChanged)):
        fetched(entry)
    assert [None] == [headers.get("Range") for _, _, headers in site.seen]


@pytest.mark.fault("X10")
def test_a_time_of_modification_is_kept_apart_and_weak(site: Site) -> None:
    """Where there is no etag it is compared, never sent as a condition, never called ok; where there is one it is not looked at."""
    site.modified = "Wed, 04 Mar 2026 12:00:00 GMT"
    (entry,) = reference.pin(f"{site.url}/none")

    assert {"lastModified": site.modified} == entry.extra
    assert entry.pin is not None
    assert (True, False) == (entry.pin.is_verifiable, entry.pin.is_verified)
    assert Standing.UNVERIFIABLE is standing(entry)
    assert b"hello" == fetched(entry)
    assert not {"If-Match", "If-Unmodified-Since"} & set(site.seen[-1][2])
    site.modified = "Wed, 04 Mar 2026 12:00:01 GMT"
    assert Standing.DRIFTED is standing(entry)
    with pytest.raises(ReferenceChanged):
        fetched(entry)
    assert {"etag": "s1"} == reference.pin(f"{site.url}/d/strong.csv")[0].extra


@pytest.mark.fault("R27")
def test_a_page_from_something_in_between_is_not_the_object(site: Site) -> None:
    """A proxy that answers 200 with a page of its own shows neither the etag nor the size: nothing of it is written."""
    entries = [reference.pin(f"{site.url}{path}")[0] for path in ("/d/strong.csv", "/weak", "/none")]
    for path in list(site.pages):
        site.pages[path] = (None, b"<html>Sign in to continue</html>")
    site.honours_conditions = False

    for entry in entries:
        out = io.BytesIO()
        with pytest.raises(ReferenceChanged):
            reference.fetch(entry, out)
        assert b"" == out.getvalue()


@pytest.mark.fault("R24")
def test_a_signed_address_is_never_kept_so_none_can_expire(site: Site) -> None:
    """Refused when it is referenced; where a redirect leads to one, each download asks for a new one and goes on under the etag."""
    with pytest.raises(InvalidReference):
        reference.pin(f"{site.url}/d/strong.csv?X-Amz-Expires=60&X-Amz-Signature=s")
    site.pages["/signed"] = ('"b1"', b"a" * 1000)
    site.knows_ranges, site.moved["/link"] = True, "/signed?X-Amz-Signature=first"
    (entry,) = reference.pin(f"{site.url}/link")
    site.seen.clear()
    site.cuts, site.meanwhile = [100], lambda: site.moved.update({"/link": "/signed?X-Amz-Signature=second"})

    assert b"a" * 1000 == fetched(entry)
    assert ["first", "second"] == [path.rpartition("=")[2] for _, path, _ in site.seen if path.startswith("/signed")]


@pytest.mark.fault("R28")
def test_a_certificate_nobody_vouches_for_is_refused(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS is verified always; plain HTTP is only spoken where the URI itself says so."""
    certificate = self_signed(tmp_path / "own.pem")
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the handshake that fails is the test
    server.socket = secure.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        with pytest.raises(RemoteUnavailable, match=r"(?i)certificate"):
            reference.pin(f"https://127.0.0.1:{server.server_address[1]}/d/strong.csv")
        site.moved["/down"] = f"{site.url}/d/strong.csv"
        trusting = ssl.create_default_context(cafile=str(certificate))
        monkeypatch.setattr(http, "_trust", lambda: trusting)
        assert 1 == len(reference.pin(f"https://127.0.0.1:{server.server_address[1]}/d/strong.csv"))
        with pytest.raises(RemoteUnavailable, match="https to http"):
            reference.pin(f"https://127.0.0.1:{server.server_address[1]}/down")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def self_signed(path: Path) -> Path:
    """A certificate for this machine's loopback address and its key, in one file."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(days=1))
    signed = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path
