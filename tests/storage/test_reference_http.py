"""References to HTTP servers: strong etags pin, weak ones are compared, without one nothing is claimed."""

import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from storage.entry import Entry, Pin
from storage.errors import InvalidReference, ReferenceChanged, ReferenceMissing, RemoteUnavailable, Unreadable
from storage.transfer import reference
from storage.transfer.reference import Standing


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
        if path in site.moved:
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
        stated = {"Content-Length": str(len(body))} if self.site.states_length else {}
        self.reply(200, stated | ({"ETag": etag} if etag else {}), body[: self.site.cut])

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
