"""The laws of `storage.blob.backend`, as one suite for every backend.

Subclass `BackendContract` in a file pytest collects, and give it a fixture `backend` that yields an empty one:

    class TestMemory(BackendContract):
        @pytest.fixture
        def backend(self) -> MemoryBackend:
            return MemoryBackend()

Every key used here is one that `storage.layout.blob_key` gives for the bytes under it.
"""

import os
from collections.abc import Iterable

import pytest

from storage.blob.backend import Backend, Staged
from storage.digest import Digest
from storage.errors import BlobMissing, InvalidPath, Unavailable
from storage.layout import blob_key

SIZES = (0, 1, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20)


def key_of(data: bytes, domain: str = "d") -> str:
    return blob_key(domain, Digest.of(data))


def staged(backend: Backend, data: bytes, session: str = "s1", key: str | None = None) -> Staged:
    with backend.stage(session, key) as piece:
        piece.write(data)
    return piece


def put(backend: Backend, *contents: bytes, session: str = "s1") -> list[str]:
    keys = [key_of(data) for data in contents]
    backend.publish([(staged(backend, data, session), key) for data, key in zip(contents, keys, strict=True)])
    return keys


def content(pieces: Iterable[bytes]) -> bytes:
    return b"".join(pieces)


def use_in_a_fork(backend: Backend) -> None:
    """A child of a fork publishes and reads through the handle it inherited, and its parent reads what it published."""
    put(backend, b"before")
    child = os.fork()
    if not child:
        try:
            put(backend, b"child", session="child")
            os._exit(0 if b"before" == content(backend.read(key_of(b"before"))) else 1)
        finally:
            os._exit(2)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert b"child" == content(backend.read(key_of(b"child")))


class BackendContract:
    """See the top of this file."""

    @pytest.mark.parametrize("size", SIZES)
    def test_reads_back_what_was_published(self, backend: Backend, size: int) -> None:
        """Bytes of any size come back as they were, with their size."""
        data = bytes(range(256)) * (size // 256 + 1)
        [key] = put(backend, data[:size])

        assert data[:size] == content(backend.read(key))
        assert size == backend.size(key)

    def test_reads_ranges(self, backend: Backend) -> None:
        """A range is read from its start, for its length, cut at the end of the bytes."""
        [key] = put(backend, b"0123456789" * 300_000)

        assert b"345" == content(backend.read(key, 3, 3))
        assert b"789" == content(backend.read(key, 2_999_997))
        assert b"9" == content(backend.read(key, 2_999_999, 50))
        assert b"" == content(backend.read(key, 3_000_000))
        assert b"" == content(backend.read(key, 0, 0))

    def test_absence_is_told_by_the_call(self, backend: Backend) -> None:
        """A key that is not there raises BlobMissing at once, not at the first piece."""
        with pytest.raises(BlobMissing):
            backend.read(key_of(b"never"))
        with pytest.raises(BlobMissing):
            backend.size(key_of(b"never"))

    def test_staged_bytes_are_invisible(self, backend: Backend) -> None:
        """What is staged cannot be read or listed before it is published."""
        piece = staged(backend, b"soon")

        assert [] == list(backend.keys())
        assert ["s1"] == backend.sessions()
        piece.drop()

    def test_publishes_many_at_once(self, backend: Backend) -> None:
        """One call publishes many pieces, also with a key twice."""
        contents = [b"%d" % number for number in range(40)]
        keys = put(backend, *contents, contents[0])

        assert contents == [content(backend.read(key)) for key in keys[:-1]]
        assert {(key, len(data)) for key, data in zip(keys, contents, strict=False)} == set(backend.keys())
        assert [] == backend.sessions()

    def test_publishing_an_existing_key_keeps_it(self, backend: Backend) -> None:
        """A key that is there keeps its bytes, the staged ones are dropped, and that is no error."""
        [key] = put(backend, b"first")
        backend.publish([(staged(backend, b"other"), key)])

        assert b"first" == content(backend.read(key))
        assert [] == backend.sessions()

    def test_publishes_nothing(self, backend: Backend) -> None:
        """Publishing no pieces does nothing."""
        backend.publish([])

        assert [] == list(backend.keys())

    def test_an_error_while_staging_drops_the_piece(self, backend: Backend) -> None:
        """Leaving the block of a piece with any exception drops it, an interrupt included."""
        with pytest.raises(KeyboardInterrupt), backend.stage("s1") as piece:  # noqa: PT012  # the block is what is tested
            piece.write(b"half")
            raise KeyboardInterrupt
        backend.sweep("s1")

        assert [] == backend.sessions()

    def test_dropping_twice_is_allowed(self, backend: Backend) -> None:
        """A piece may be dropped again, and after it was published, which changes nothing."""
        piece = staged(backend, b"data")
        backend.publish([(piece, key_of(b"data"))])
        piece.drop()
        piece.drop()

        assert b"data" == content(backend.read(key_of(b"data")))

    def test_sweeping_takes_one_session(self, backend: Backend) -> None:
        """A sweep drops what its session staged, nothing of another's and nothing published; and may be repeated."""
        [key] = put(backend, b"there", session="s1")
        staged(backend, b"mine", "s1")
        other = staged(backend, b"yours", "s2")
        backend.sweep("s1")
        backend.sweep("s1")

        assert ["s2"] == backend.sessions()
        backend.publish([(other, key_of(b"yours"))])
        assert {key, key_of(b"yours")} == {name for name, _ in backend.keys()}  # noqa: SIM118  # no dictionary

    def test_removing_twice_is_allowed(self, backend: Backend) -> None:
        """Removing makes a key absent, whether or not it was there, and it can be published again."""
        [key] = put(backend, b"data")
        backend.remove(key)
        backend.remove(key)

        with pytest.raises(BlobMissing):
            backend.size(key)
        assert [key] == put(backend, b"data")
        assert b"data" == content(backend.read(key))

    @pytest.mark.parametrize("size", [0, 5, (9 << 20) + 1])
    def test_bytes_sent_ahead_are_seen_once_published(self, backend: Backend, size: int) -> None:
        """What is staged for a known key is as invisible as anything staged, and is what is read there once it is published."""
        data = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
        key = key_of(data)
        piece = backend.stage("s1", key)
        for at in range(0, size, 1 << 20):
            piece.write(data[at : at + (1 << 20)])
        piece.close()

        with pytest.raises(BlobMissing):
            backend.size(key)
        assert [] == list(backend.keys())
        backend.publish([(piece, key)])
        assert data == content(backend.read(key))
        assert [] == backend.sessions()

    def test_bytes_sent_ahead_may_be_dropped(self, backend: Backend) -> None:
        """Dropping what was staged for a known key, or sweeping its session, leaves nothing of it."""
        data = bytes(9 << 20)
        staged(backend, data, key=key_of(data)).drop()
        piece = staged(backend, data, session="s2", key=key_of(data))
        backend.sweep("s1")
        backend.sweep("s2")
        piece.drop()

        assert [] == backend.sessions()
        assert [] == list(backend.keys())

    def test_a_swept_piece_is_not_published(self, backend: Backend) -> None:
        """Publishing what a sweep took is an error, and makes nothing visible."""
        for key in (None, key_of(b"late")):
            piece = staged(backend, b"late", key=key)
            backend.sweep("s1")
            with pytest.raises(Unavailable):
                backend.publish([(piece, key_of(b"late"))])

        assert [] == list(backend.keys())

    @pytest.mark.fault("G12")
    def test_removes_many(self, backend: Backend) -> None:
        """Many keys go in one call, those that were not there included, and nothing else does; a second call changes nothing."""
        keys = put(backend, *[b"%d" % number for number in range(30)])
        gone = [*keys[:-3], key_of(b"never"), keys[0]]
        for _ in range(2):
            backend.remove_many(gone)

            assert set(keys[-3:]) == {key for key, _ in backend.keys()}  # noqa: SIM118  # no dictionary
        backend.remove_many([])

    @pytest.mark.fault("N01")
    def test_removing_many_refuses_before_it_begins(self, backend: Backend) -> None:
        """One bad key among many, and none of them is removed."""
        [key] = put(backend, b"stays")
        with pytest.raises(InvalidPath):
            backend.remove_many([key, "../objects/x"])

        assert b"stays" == content(backend.read(key))

    def test_lists_by_prefix(self, backend: Backend) -> None:
        """Listing gives every key that begins with the text, wherever that ends."""
        keys = put(backend, *[b"%d" % number for number in range(30)])

        for length in (0, 3, 8, 10, len("objects/d/blake3/"), len("objects/d/blake3/") + 1, len(keys[0]) - 1, len(keys[0])):
            prefix = keys[0][:length]
            assert {key for key in keys if key.startswith(prefix)} == {key for key, _ in backend.keys(prefix)}
        assert [] == list(backend.keys("objects/other"))

    @pytest.mark.fault("N01", "N02")
    @pytest.mark.parametrize(
        "key", ["", "/etc/passwd", "objects/../format.json", "../objects/x", "objects//x", "objects/./x", "format.json"]
    )
    def test_keys_stay_inside(self, backend: Backend, key: str) -> None:
        """A key that is not one of the layout is refused by whatever takes a key."""
        for call in (backend.read, backend.size, backend.remove):
            with pytest.raises(InvalidPath):
                call(key)

    def test_generations_rest_apart(self, backend: Backend) -> None:
        """Two generations of a blob are two keys: removing the older leaves the newer."""
        old, new = blob_key("d", Digest.of(b"x")), blob_key("d", Digest.of(b"x"), 1)
        backend.publish([(staged(backend, b"x"), old), (staged(backend, b"x"), new)])
        backend.remove(old)

        assert b"x" == content(backend.read(new))

    def test_a_part_is_put_aside(self, backend: Backend) -> None:
        """Where a part of an object can be kept aside, the object stays as it is; of what is not there nothing can."""
        key = key_of(b"0123456789")
        backend.publish([(staged(backend, b"0123456789"), key)])

        assert backend.copy_aside(key, 2, 3) in (True, False)
        assert not backend.copy_aside(key_of(b"never"), 0, 1)
        assert b"0123456789" == content(backend.read(key))
