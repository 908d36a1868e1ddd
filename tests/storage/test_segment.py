"""Encoded entries: taken out of a segment without decoding it, compared as bytes, decoded when somebody wants them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.digest import Digest
from storage.entry import Entry, Pin
from storage.errors import InvalidManifest
from storage.segment import decode_entries, decode_segment, encode_segment, encoded_path, entry_end, first_entry

CONTENT = [Digest.of(b"%d" % number, algorithm) for number in range(3) for algorithm in ("blake3", "sha256")]
NAMES = st.sampled_from(["a", "b/c", "é", "\U0001f600", "z" * 200, "G", "\ufffd"])
ENTRIES = st.one_of(
    st.builds(Entry.file, NAMES, st.sampled_from(CONTENT), st.integers(0, 2**63), executable=st.booleans()),
    st.builds(Entry.directory, NAMES),
    st.builds(Entry.link, NAMES, NAMES),
    st.builds(Entry.reference, NAMES, st.builds(Pin, NAMES, st.none() | NAMES, st.none() | NAMES), st.none() | st.integers(0, 9)),
)
RUNS = st.lists(ENTRIES, max_size=7, unique_by=lambda entry: entry.path).map(lambda run: sorted(run, key=lambda entry: entry.order))


def taken_apart(data: bytes) -> list[bytes]:
    found, at = [], first_entry(data)
    while at < len(data):
        end = entry_end(data, at)
        found.append(data[at:end])
        at = end
    return found


@given(RUNS)
def test_a_segment_is_its_encoded_entries(run: list[Entry]) -> None:
    """Taken apart they are as many as it has, in its order, and any of them decode to what they are in it."""
    encoded = taken_apart(encode_segment(run))
    assert run == decode_segment(encode_segment(run)) == decode_entries(encoded)
    assert run[::2] == decode_entries(encoded[::2])
    assert [entry.order for entry in run] == [encoded_path(each) for each in encoded]


@given(ENTRIES, ENTRIES)
def test_equal_bytes_are_equal_entries(one: Entry, other: Entry) -> None:
    """And other bytes are other entries."""
    [left], [right] = (taken_apart(encode_segment([entry])) for entry in (one, other))
    assert (one == other) == (left == right)


@given(RUNS.filter(bool))
def test_what_was_cut_off_is_refused(run: list[Entry]) -> None:
    """An entry that the bytes do not hold to its end has no end."""
    data = encode_segment(run)
    [*_, last] = taken_apart(data)
    for short in range(1, min(len(last), 100)):
        with pytest.raises(InvalidManifest):
            entry_end(data[:-short], len(data) - len(last))


def test_other_bytes_are_no_segment() -> None:
    """They are refused before anything is looked for in them."""
    with pytest.raises(InvalidManifest):
        first_entry(b"something else")
