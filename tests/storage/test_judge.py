"""The quick judges let pass only what the slow ones let pass, and refuse nothing themselves."""

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from storage import entry
from storage.digest import Digest, are_values
from storage.entry import are_ordinary, check_path, check_paths, check_tree
from storage.errors import InvalidDigest, InvalidManifest, InvalidPath
from tests.faults.corpus import BAD, ODD, TOGETHER

PIECES = st.sampled_from(
    [
        "a",
        "b",
        "/",
        ".",
        "..",
        "//",
        ":",
        "\\",
        "\x00",
        "\n",
        "\x7f",
        "\u0301",
        "e",
        "\u00e9",
        "\u212a",
        "K",
        ".git",
        "\u200c",
        " ",
        "~",
        "\ud800",
        "x" * 120,
    ]
)
PATHS = st.lists(PIECES, max_size=7).map("".join) | st.text(max_size=8) | st.sampled_from([row[2] for row in [*BAD, *ODD]])
DEEP = "/".join("a" * 70)


def refusal(judge: Callable[[], object], kind: type[Exception]) -> str | None:
    """What the judge says when it refuses."""
    try:
        judge()
    except kind as error:
        return str(error)
    return None


@pytest.mark.fault("N01", "N02", "N03", "N04", "N05", "N07", "N08", "N09", "N15", "N16", "N20")
@settings(max_examples=400, deadline=None)
@given(st.lists(PATHS, max_size=4))
@example([DEEP])
@example(["a" * 127, "a" * 128, "a" * 255, "a" * 256])
@example(["a:/b", "/:/"])
def test_names(paths: list[str]) -> None:
    """Names that are ordinary together are each let pass by the one judge; judged together or one by one they get the same answer."""
    alone = next((said for path in paths if (said := refusal(lambda path=path: check_path(path), InvalidPath))), None)  # type: ignore[misc]

    assert alone == refusal(lambda: check_paths(paths), InvalidPath)
    if are_ordinary(paths):
        assert [None] * len(paths) == [entry._problem(path) for path in paths]


@pytest.mark.parametrize("path", [None, 3, b"a", ["a"]])
def test_what_is_no_text(path: object) -> None:
    """What is not text is refused, and nothing else is raised."""
    with pytest.raises(InvalidPath, match="not text"):
        check_paths([path])  # type: ignore[list-item]


@pytest.mark.fault("N10", "F19")
@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["a", "e\u0301", "\u00e9", "\u212a", "K", "b"]), min_size=1, max_size=4).map("/".join), max_size=6)
)
def test_trees(paths: list[str]) -> None:
    """Paths that may stand together by the quick judge may by the slow one, and the other way round, with the same words."""
    assert refusal(lambda: entry._judge_together(paths), InvalidManifest) == refusal(lambda: check_tree(paths), InvalidManifest)


@pytest.mark.parametrize("paths", [row[2] for row in TOGETHER if len(set(row[2])) > 1])
def test_names_that_exclude_each_other(paths: list[str]) -> None:
    """The corpus' names that cannot stand together are refused."""
    with pytest.raises(InvalidManifest):
        check_tree(paths)


@pytest.mark.fault("H07")
@settings(max_examples=300, deadline=None)
@given(
    st.text("0123456789abcdefABCDEFg: \u0661\ud800", min_size=60, max_size=70),
    st.sampled_from(["blake3:", "sha256:", "md5:", "", "BLAKE3:"]),
)
@example("0" * 64, "blake3:")
def test_digests(value: str, algorithm: str) -> None:
    """A digest is parsed exactly when its text is an algorithm that is known and 64 lower-case hexadecimal digits, and then prints as it."""
    is_right = algorithm in ("blake3:", "sha256:") and len(value) == 64 and set(value) <= set("0123456789abcdef")
    if is_right:
        assert algorithm + value == str(Digest.parse(algorithm + value))
        assert are_values(2 * value.encode())
    else:
        with pytest.raises(InvalidDigest):
            Digest.parse(algorithm + value)
