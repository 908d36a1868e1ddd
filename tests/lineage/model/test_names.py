"""What things may be called: refused names are refused by name, paths print and parse to each other."""

import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.model.errors import InvalidName
from lineage.model.names import (
    MAX_NAME,
    ArtifactPath,
    ProjectPath,
    RunPath,
    check_alias,
    check_collection,
    check_entity,
    check_project,
    check_run_id,
    check_run_tag,
    check_tag,
    check_type,
    is_digest,
    is_version,
    slug,
)

Check = Callable[[object], str]

ALL: dict[str, Check] = {
    "collection": check_collection,
    "type": check_type,
    "entity": check_entity,
    "project": check_project,
    "run": check_run_id,
    "alias": check_alias,
    "tag": check_tag,
    "run tag": check_run_tag,
}
FREE = {kind: ALL[kind] for kind in ("type", "project", "run", "alias", "run tag")}
DIGEST = "blake3:" + "0af3" * 16

NEVER = [
    ("N01", ".."),
    ("N01", "."),
    ("N07", "a\0b"),
    ("N08", "a\nb"),
    ("N08", "a\n"),
    ("N08", "a\rb"),
    ("N08", "a\x1b[31mb"),
    ("N08", "a\x7f"),
    ("N08", "a\x85"),
    ("N08", "a\u2028b"),
    ("N09", "\ud800"),
    ("N09", "a\udcff"),
    ("N15", "x" * (MAX_NAME + 1)),
    ("N16", ""),
    ("N16", "  "),
    ("N16", "\u00a0"),
    ("N18", "txt.\u202eexe"),
    ("N18", "a\u200bb"),
    ("N18", "a\u200d"),
    ("N18", "a\u2066b"),
    ("N18", "a\u061cb"),
    ("N18", "a\u00adb"),
    ("N18", "a\ufeff"),
    ("N18", "a\u034f"),
    ("N18", "a\ufe0f"),
    ("N18", "a\U000e0041"),
]
NOT_TEXT = [None, 3, b"a", ["a"], 1.5, object]
SLASHES = [("N02", "/etc/x"), ("N02", "//x"), ("N01", "../x"), ("N01", "a/../../x"), ("N20", ".git/config")]


@pytest.mark.fault("N01", "N07", "N08", "N09", "N15", "N16", "N18")
@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("name", [name for _, name in NEVER], ids=[f"{row}-{ascii(name)[:30]}" for row, name in NEVER])
def test_no_kind_of_name_may_be(kind: str, name: str) -> None:
    """Empty, hidden, steering, reordering, unencodable, dots alone, too long: no name of anything, and the message says which name."""
    with pytest.raises(InvalidName) as refused:
        ALL[kind](name)
    assert "is empty" in str(refused.value) or repr(name)[1:20] in str(refused.value)
    str(refused.value).encode()


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("name", NOT_TEXT, ids=repr)
def test_a_name_is_text(kind: str, name: object) -> None:
    """What is not text is refused with its type."""
    with pytest.raises(InvalidName, match=type(name).__name__):
        ALL[kind](name)


@pytest.mark.fault("N01", "N02", "N20")
@pytest.mark.parametrize("kind", ["collection", "entity", "project", "run", "alias", "tag"])
@pytest.mark.parametrize("name", [name for _, name in SLASHES], ids=[f"{row}-{name}" for row, name in SLASHES])
def test_what_stands_in_a_path_holds_no_slash(kind: str, name: str) -> None:
    """Names that become parts of paths and addresses cannot climb."""
    with pytest.raises(InvalidName):
        ALL[kind](name)


@pytest.mark.fault("N03", "N04", "N05", "N06", "N14", "N21")
@pytest.mark.parametrize(
    "name", ["C:\\x", "C:x", "\\\\srv\\s", "a\\..\\x", "m%6Fdel", "%2e%2e", "a#b", "a?b", "a:b", "file:stream", "x::$DATA"]
)
@pytest.mark.parametrize("kind", ["collection", "entity", "project", "run"])
def test_what_an_address_would_read_otherwise(kind: str, name: str) -> None:
    """Drives, streams, escapes, fragments and queries are in no name that stands in an address, so no two spellings name one thing."""
    with pytest.raises(InvalidName):
        ALL[kind](name)


@pytest.mark.fault("N19")
@pytest.mark.parametrize("name", ["$(x)", "`id`", "~", "-rf", "a;b", "'; DROP TABLE run; --"])
def test_shell_words_are_only_text(name: str) -> None:
    """Free names may look like commands: they are kept as they are, and ASCII names refuse all but the dash."""
    assert name == check_project(name) == check_run_id(name)
    for check in (check_entity,):
        with pytest.raises(InvalidName):
            check(name)


@pytest.mark.fault("N18", "N23")
@pytest.mark.parametrize("name", ["tе\u0430m", "équipe", "team name", "_team", "-team", "team.", "٣", "team!"], ids=ascii)
def test_entities_are_ascii(name: str) -> None:
    """A team's name stands in addresses for ever: no letter that looks like another."""
    with pytest.raises(InvalidName):
        check_entity(name)


@pytest.mark.parametrize("name", ["A", "a-b_c", "0", "x" * MAX_NAME])
def test_entities(name: str) -> None:
    """Letters, digits, dashes and underscores, at most 128."""
    assert name == check_entity(name)


@pytest.mark.parametrize("name", ["model", "a.b-c_d", "v0", "latest", "0", "...", "x" * MAX_NAME, "CON"])
def test_collections(name: str) -> None:
    """What W&B's clients accept, is."""
    assert name == check_collection(name)


@pytest.mark.parametrize("name", ["model v0", "model\n", "mödel", "a/b", "a:b", "a@b", "a+b", "\u0430"])
def test_collections_refuse(name: str) -> None:
    """Anything else is not; a trailing newline neither."""
    with pytest.raises(InvalidName):
        check_collection(name)


@pytest.mark.parametrize("name", ["job", "wandb-history", "wandb-", "wandb-x"])
def test_reserved_types(name: str) -> None:
    """Types W&B keeps for itself are refused; those that only resemble them are fine."""
    with pytest.raises(InvalidName, match="reserved"):
        check_type(name)
    assert (f"my-{name}", "jobs", "wandb") == (check_type(f"my-{name}"), check_type("jobs"), check_type("wandb"))


@pytest.mark.fault("N22")
@pytest.mark.parametrize("name", ["v0", "v3", "v007", "v" + "9" * 40, "v٣", "latest", DIGEST, "sha256:" + "0" * 64, "a:b", "a/b", ":", "/"])
def test_reserved_aliases(name: str) -> None:
    """What resolves by itself cannot be given away."""
    with pytest.raises(InvalidName):
        check_alias(name)


@pytest.mark.fault("N22")
@pytest.mark.parametrize("name", ["v", "V3", "v3.1", "v-1", "Latest", "best", "0af3" * 10, "a@b", "two words", "é", "release 2026"])
def test_aliases(name: str) -> None:
    """Everything else can: a commit's hash, spaces, letters of any script."""
    assert name == check_alias(name)


@pytest.mark.fault("N10", "N21")
@pytest.mark.parametrize("kind", FREE)
def test_one_spelling(kind: str) -> None:
    """Composed and decomposed letters are one name, the composed one."""
    assert "caf\u00e9" == FREE[kind]("cafe\u0301") == FREE[kind]("caf\u00e9")


@pytest.mark.parametrize(
    ("name", "right"), [("a", True), ("a b", True), ("a  b-c", True), ("é", True), (" a", False), ("a.b", False), ("a,b", False)]
)
def test_tags(name: str, right: bool) -> None:
    """Words of letters, digits, dashes and underscores, separated by spaces."""
    if right:
        assert name == check_tag(name)
    else:
        with pytest.raises(InvalidName):
            check_tag(name)


@pytest.mark.fault("M13")
def test_names_are_read_in_linear_time() -> None:
    """A text made to make a pattern backtrack is refused like any other."""
    for check in ALL.values():
        with pytest.raises(InvalidName):
            check(("a " * 40_000) + "!")
        with pytest.raises(InvalidName):
            check("a" + " " * 120 + "!\n")


def test_versions_aliases_and_digests_are_disjoint() -> None:
    """No text is two of them."""
    for text in ("v0", "v12", DIGEST, "latest", "best", "v" + "1" * 30):
        kinds = [is_version(text), is_digest(text), text == "latest"]
        try:
            kinds.append(bool(check_alias(text)))
        except InvalidName:
            kinds.append(False)
        assert sum(kinds) <= 1, text


SIGNS = st.characters(blacklist_categories=("Cs",))
COLLECTIONS = st.from_regex(r"[a-zA-Z0-9_\-.]{1,20}", fullmatch=True).filter(lambda name: name not in (".", ".."))
ENTITIES = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_\-]{0,20}", fullmatch=True)


def accepted(check: Check) -> st.SearchStrategy[str]:
    """Texts a check accepts."""

    def is_accepted(text: str) -> bool:
        try:
            return text == check(text)
        except InvalidName:
            return False

    return st.text(SIGNS, min_size=1, max_size=12).filter(is_accepted) | st.sampled_from(["runs", "sweeps"])


PROJECTS, RUNS, ALIASES = accepted(check_project), accepted(check_run_id), accepted(check_alias)
SELECTORS = st.none() | st.just("latest") | st.just(DIGEST) | st.integers(0, 10**17).map("v{}".format) | ALIASES


@pytest.mark.fault("N22")
@given(COLLECTIONS, SELECTORS, PROJECTS | st.none(), ENTITIES)
def test_artifact_paths_round_trip(collection: str, selector: str | None, project: str | None, entity: str) -> None:
    """Printing and parsing an artifact's path are inverses."""
    path = ArtifactPath(collection, selector, project, None if project is None else entity)
    assert path == ArtifactPath.parse(str(path))


@given(RUNS, PROJECTS | st.none(), ENTITIES, st.booleans())
def test_run_paths_round_trip(run: str, project: str | None, entity: str, owned: bool) -> None:
    """Printing and parsing a run's path are inverses, also where something is called `runs`."""
    path = RunPath(run, project, entity if owned and project is not None else None)
    assert path == RunPath.parse(str(path))


@given(st.text(max_size=40))
def test_parsing_anything(text: str) -> None:
    """Any text is a path, printed as it will be read again, or an InvalidName; nothing else happens."""
    for parse in (ArtifactPath.parse, RunPath.parse):
        try:
            path = parse(text)
        except InvalidName:
            continue
        assert path == parse(str(path))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("model", ArtifactPath("model")),
        ("model:v3", ArtifactPath("model", "v3")),
        ("p/model:latest", ArtifactPath("model", "latest", "p")),
        ("e/p/model:best", ArtifactPath("model", "best", "p", "e")),
        (f"e/p/model:{DIGEST}", ArtifactPath("model", DIGEST, "p", "e")),
        ("wandb-artifact://e/p/model:v0", ArtifactPath("model", "v0", "p", "e")),
        ("lineage://model", ArtifactPath("model")),
        ("my project/model:two words", ArtifactPath("model", "two words", "my project")),
    ],
)
def test_artifact_paths(text: str, path: ArtifactPath) -> None:
    """Entity and project may be left out, the selector too."""
    assert path == ArtifactPath.parse(text)


@pytest.mark.parametrize(
    "text", ["", "a/b/c/d", "model:", ":v0", "/model", "e//model", "e/p/", "model:a/b", "model:v01", "model:a:b", "../../x/y", 3, None]
)
def test_artifact_paths_refused(text: object) -> None:
    """More than three parts, empty ones and selectors that are none are refused."""
    with pytest.raises(InvalidName):
        ArtifactPath.parse(text)


@pytest.mark.parametrize("text", ["e/p/r", "e/p:r", "e/p/runs/r", "e/p/sweeps/r", "/e/p/runs/r/", "e/p/r/"])
def test_run_paths(text: str) -> None:
    """Every way a run's path is written in addresses and examples."""
    assert RunPath("r", "p", "e") == RunPath.parse(text)


@pytest.mark.parametrize("text", ["", "/", "a/b/c/d", "a//b", "a:", ":", None, 3])
def test_run_paths_refused(text: object) -> None:
    """Too many parts or empty ones are refused."""
    with pytest.raises(InvalidName):
        RunPath.parse(text)


def test_project_paths() -> None:
    """Entity and project, project, or nothing at all."""
    assert [ProjectPath("p", "e"), ProjectPath("p"), ProjectPath(), ProjectPath()] == [
        ProjectPath.parse(text) for text in ("e/p", "p", "", None)
    ]
    for text in ("a/b/c", "/", "é/p", "e/../p", "e//p"):
        with pytest.raises(InvalidName):
            ProjectPath.parse(text)


@given(st.text(max_size=400))
def test_slugs_are_names(text: str) -> None:
    """Any text bends into a legal artifact name, and a legal name stays what it is."""
    found = slug(text)
    assert found == check_collection(found) == slug(found)
    if re.fullmatch(r"[a-zA-Z0-9_\-.]{1,128}", text) and text not in (".", ".."):
        assert text == found


@given(st.text(max_size=130))
def test_what_is_accepted_is_visible(text: str) -> None:
    """An accepted name is composed, encodable, and has no character of the kinds that are drawn as nothing."""
    for check in ALL.values():
        try:
            name = check(text)
        except InvalidName:
            continue
        assert unicodedata.is_normalized("NFC", name)
        assert not {"Cc", "Cs", "Zl", "Zp"}.intersection(map(unicodedata.category, name))
        assert not {"RLE", "LRE", "RLO", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI"}.intersection(map(unicodedata.bidirectional, name))
