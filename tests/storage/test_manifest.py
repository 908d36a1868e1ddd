"""A manifest's digest names exactly its content: equal bytes, equal entries, and nothing else is equal."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.digest import Blob, Digest
from storage.entry import Entry, Pin, check_path
from storage.errors import InvalidDigest, InvalidManifest, InvalidPath, Refused
from storage.manifest import LONGEST, SHORTEST, build, cut, decode_manifest, decode_segment, encode_segment
from storage.transfer.ingest import ingest_tree
from storage.transfer.scan import scan
from tests.storage.conftest import Shelf


def entry(path: str, data: bytes = b"x") -> Entry:
    return Entry.file(path, Digest.of(data), len(data))


def _is_path(text: str) -> bool:
    try:
        check_path(text)
    except InvalidPath:
        return False
    return True


TEXT = st.text("ab/:\\n\u00e9\u0001{}|=0123", max_size=6)
PATHS = st.text("ab/.\u00e9:-", min_size=1, max_size=5).filter(_is_path)
DIGESTS = st.integers(0, 3).map(lambda number: Digest.of(b"%d" % number))
PINS = st.builds(Pin, TEXT, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT)
ENTRIES = st.one_of(
    st.builds(Entry.file, PATHS, DIGESTS, st.integers(0, 300), executable=st.booleans()),
    st.builds(Entry.directory, PATHS),
    st.builds(Entry.link, PATHS, PATHS),
    st.builds(Entry.reference, PATHS, PINS, st.none() | st.integers(0, 300)),
)
RUNS = st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry.path).map(lambda run: sorted(run, key=lambda entry: entry.order))


class TestEncoding:
    @pytest.mark.fault("H05", "H09")
    @settings(max_examples=400, deadline=None)
    @given(RUNS, RUNS)
    def test_it_is_injective(self, one: list[Entry], other: list[Entry]) -> None:
        """Two runs of entries have the same bytes exactly when they are the same entries."""
        assert (one == other) == (encode_segment(one) == encode_segment(other))

    @pytest.mark.fault("H05")
    @settings(max_examples=200, deadline=None)
    @given(RUNS)
    def test_decoding_is_the_inverse(self, run: list[Entry]) -> None:
        """What is encoded decodes to itself, so no two runs can share their bytes."""
        assert run == decode_segment(encode_segment(run))

    @pytest.mark.fault("H05")
    @settings(max_examples=200, deadline=None)
    @given(RUNS, st.data())
    def test_damaged_bytes_are_refused_or_other_entries(self, run: list[Entry], data: st.DataObject) -> None:
        """Changed bytes never decode to the same entries, cut or extended ones never decode at all."""
        encoded = bytearray(encode_segment(run))
        at = data.draw(st.integers(0, len(encoded) - 1))
        encoded[at] ^= data.draw(st.integers(1, 255))
        with suppress(Refused):
            assert run != decode_segment(bytes(encoded))
        for wrong in (encode_segment(run)[:-1], encode_segment(run) + b"\0"):
            with pytest.raises(InvalidManifest):
                decode_segment(wrong)

    @pytest.mark.fault("H09")
    def test_a_segment_is_no_manifest(self) -> None:
        """The bytes of one kind of document do not decode as another."""
        built = build([entry("a")])
        with pytest.raises(InvalidManifest):
            decode_segment(built.manifest.encoded)
        with pytest.raises(InvalidManifest):
            decode_manifest(encode_segment([entry("a")]), lambda _: b"")

    def test_order_is_part_of_it(self) -> None:
        """Entries out of order, or one twice, do not decode: there is one encoding of a set of entries."""
        for run in ([entry("b"), entry("a")], [entry("a"), entry("a")]):
            with pytest.raises(InvalidManifest, match=r"out of order|there twice"):
                decode_segment(encode_segment(run))


class TestDigest:
    def test_order_of_adding_does_not_matter(self) -> None:
        """The same entries in any order make the same manifest."""
        entries = [entry(f"d{number % 7}/{number}", b"%d" % number) for number in range(500)]
        shuffled = random.Random(1).sample(entries, len(entries))

        assert build(entries).manifest.digest == build(shuffled).manifest.digest

    @pytest.mark.fault("H03")
    def test_every_byte_of_a_file_counts(self, shelf: Shelf, tree: Path) -> None:
        """Flip one byte anywhere in a large file, and the manifest's digest changes."""
        data = bytearray(5 << 20)
        seen = set()
        for at in [None, 0, 1, 1 << 20, (1 << 20) + 1, 2_500_000, (4 << 20) - 1, 4 << 20, len(data) - 1]:
            changed = bytearray(data)
            if at is not None:
                changed[at] ^= 1
            (tree / "file").write_bytes(changed)
            with shelf.store.session() as session:
                seen.add(build(ingest_tree(scan(tree), session)).manifest.digest)

        assert 9 == len(seen)

    @pytest.mark.fault("H04")
    def test_names_count(self) -> None:
        """Swapping the contents of two names changes the digest, for every permutation of three."""
        contents = [b"train", b"test", b"eval"]
        digests = {
            build([entry("a", contents[i]), entry("b", contents[j]), entry("c", contents[3 - i - j])]).manifest.digest
            for i in range(3)
            for j in range(3)
            if i != j
        }

        assert 6 == len(digests)

    @pytest.mark.fault("H06")
    @pytest.mark.parametrize(
        "change",
        [
            lambda entry: entry._replace(path="b"),
            lambda entry: entry._replace(size=8),
            lambda entry: entry._replace(size=None),
            *[
                lambda entry, field=field, value=value: entry._replace(pin=replace(entry.pin, **{field: value}))
                for field in ("uri", "etag", "version_id", "checksum")
                for value in ("other", "")
            ],
            lambda entry: entry._replace(pin=replace(entry.pin, etag=None)),
            lambda entry: entry._replace(pin=replace(entry.pin, etag="v1", version_id="e1")),
            lambda _: Entry.file("a", Digest.of(b"x"), 7),
            lambda _: Entry.link("a", "b"),
            lambda _: Entry.directory("a"),
        ],
    )
    def test_every_field_of_a_reference_counts(self, change: Callable[[Entry], Entry]) -> None:
        """Another uri, etag, version id, checksum, size, path or kind is another manifest."""
        pinned = Entry.reference("a", Pin("s3://b/k", "e1", "v1", "sha256:1"), 7)

        assert build([pinned]).manifest.digest != build([change(pinned)]).manifest.digest

    def test_every_field_of_a_file_counts(self) -> None:
        """Another path, digest, size or executable bit is another manifest."""
        file = entry("a")
        others = [file._replace(path="b"), file._replace(digest=Digest.of(b"y")), file._replace(size=2), file._replace(executable=True)]

        assert 5 == len({build([one]).manifest.digest for one in [file, *others]})

    @pytest.mark.fault("H10")
    def test_nothing_is_something(self) -> None:
        """An empty manifest, one with an empty file, and one with an empty directory are three."""
        digests = {build(entries).manifest.digest for entries in ([], [entry("a", b"")], [Entry.directory("a")])}

        assert 3 == len(digests)
        assert Blob.of(b"").size == 0


class TestSegments:
    def test_a_small_change_is_a_small_change(self) -> None:
        """Changing, adding or removing one entry of many leaves nearly all segments as they were."""
        entries = [entry(f"{number:06}") for number in range(20_000)]
        before = {segment.digest for segment in build(entries).manifest.segments}
        changes = [
            [*entries[:9999], entry("009999", b"new"), *entries[10_000:]],
            [*entries, entry("009999x")],
            entries[:777] + entries[778:],
        ]

        assert 10 < len(before)
        for changed in changes:
            after = {segment.digest for segment in build(changed).manifest.segments}
            assert 2 >= len(after - before)

    def test_segments_are_neither_tiny_nor_huge(self) -> None:
        """All but the last have between SHORTEST and LONGEST entries, and none is lost."""
        entries = [entry(f"{number:06}") for number in range(20_000)]
        runs = list(cut(entries))

        assert entries == [one for run in runs for one in run]
        assert all(SHORTEST <= len(run) <= LONGEST for run in runs[:-1])

    def test_it_is_read_back_by_its_blobs(self) -> None:
        """The manifest is found again from its digest alone, given a way to read blobs."""
        built = build([entry(f"{number}") for number in range(3000)])

        def read(digest: Digest) -> bytes:
            return built.blobs[digest][1]

        again = decode_manifest(read(built.manifest.digest), read)
        assert list(built.manifest) == list(again)
        assert (built.manifest.digest, 3000, 3000) == (again.digest, len(again), again.size)


@pytest.mark.fault("H07", "H08")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "blake3:",
        "9" * 64,
        "blake3:" + "9" * 63,
        "blake3:" + "9" * 65,
        "blake3:" + "A" * 64,
        "BLAKE3:" + "a" * 64,
        "blake3:0x" + "a" * 62,
        " blake3:" + "a" * 64,
        "blake3:" + "a" * 64 + "\n",
        "blake3: " + "a" * 64,
        "blake3-" + "a" * 64,
        "md5:" + "a" * 64,
        "b3:" + "a" * 64,
        "blake3:" + "٣" * 64,
        "blake3:LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
        None,
        b"blake3:" + b"a" * 64,
    ],
)
def test_digests_have_one_spelling(text: str) -> None:
    """Anything but `algorithm:lowerhex` of the right length is refused."""
    with pytest.raises(InvalidDigest):
        Digest.parse(text)


@pytest.mark.fault("H07")
def test_digests_print_as_they_parse() -> None:
    """Printing and parsing are inverses."""
    for algorithm in ("blake3", "sha256"):
        digest = Digest.of(b"x", algorithm)
        assert digest == Digest.parse(str(digest))


@pytest.mark.fault("F19")
def test_one_path_twice_is_refused() -> None:
    """A path given twice is refused, with equal content or not."""
    for second in (entry("a"), entry("a", b"y"), Entry.directory("a")):
        with pytest.raises(InvalidManifest, match="twice"):
            build([entry("a"), second])
