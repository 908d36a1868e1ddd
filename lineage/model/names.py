"""What things may be called, and how a path to one is read. Pure grammar: nothing is looked up here.

    artifact path   [entity/][project/]collection[:version | :alias | :digest]      vN · anything else · algorithm:hex
    run path        [entity/][project/]run     also with `:` before the run and with /runs/ or /sweeps/ in between

A version, an alias and a digest are disjoint by syntax: `vN`, `latest` and `algorithm:hex` cannot be given away as aliases, and `:` and `/`
cannot stand in one. Names people see (artifact, project, alias) hold no character that is invisible, reorders a line or steers a
terminal, and are kept in Unicode's composed form (NFC), so that two names that look alike letter by letter are one. Teams' names are plain
ASCII, for they stand in URLs for ever.
"""

import re
import unicodedata
from dataclasses import dataclass

from lineage.model.errors import InvalidName

LATEST = "latest"
DEFAULT_PROJECT = "uncategorized"
MAX_NAME = 128

_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Control characters, and what Unicode calls default ignorable: drawn as nothing, so that two names with and without look the same."""
_COLLECTION = re.compile(r"[a-zA-Z0-9_\-.]+", re.ASCII)
_ENTITY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_\-]*", re.ASCII)
_TAG = re.compile(r"[-\w]+( +[-\w]+)*")
_VERSION = re.compile(r"v(0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBERED = re.compile(r"v\d+")
_DIGEST = re.compile(r"(blake3|sha256):[0-9a-f]{64}", re.ASCII)
_SEGMENTS = frozenset({"runs", "sweeps"})
_PROJECT_FORBIDDEN = frozenset("/\\#?%:")
_INTERNAL_TYPES = re.compile(r"wandb-.*|job", re.ASCII)


def _check_text(name: object, what: str, limit: int = MAX_NAME) -> str:
    if not isinstance(name, str):
        raise InvalidName(f"{what} must be text, not {type(name).__name__} {name!r}")
    name = unicodedata.normalize("NFC", name)
    if not name.strip():
        raise InvalidName(f"{what} is empty: give it at least one visible character")
    if len(name) > limit:
        raise InvalidName(f"{what} {name[:40]!r}… has {len(name)} characters: at most {limit} are allowed")
    if _HIDDEN.search(name):
        raise InvalidName(f"{what} {name!r} holds an invisible, bidirectional or control character: leave it out")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidName(f"{what} {name!r} is not valid UTF-8: choose another") from None
    if name in (".", ".."):
        raise InvalidName(f"{what} may not be {name!r}: choose another")
    return name


def check_collection(name: object) -> str:
    """A collection's name: ASCII letters, digits, `_`, `-`, `.`; at most 128."""
    text = _check_text(name, "artifact name")
    if not _COLLECTION.fullmatch(text):
        raise InvalidName(f"artifact name {text!r} may hold only letters, digits, '_', '-' and '.'")
    return text


def check_type(name: object) -> str:
    """An artifact type: any visible text, except the types kept for internal use."""
    text = _check_text(name, "artifact type")
    if _INTERNAL_TYPES.fullmatch(text):
        raise InvalidName(f"artifact type {text!r} is reserved: choose another, such as 'dataset' or 'model'")
    return text


def check_entity(name: object) -> str:
    """A user's or team's name: ASCII letters, digits, `_` and `-`."""
    text = _check_text(name, "entity name")
    if not _ENTITY.fullmatch(text):
        raise InvalidName(f"entity name {text!r} may hold only letters, digits, '_' and '-', and begins with a letter or digit")
    return text


def check_project(name: object) -> str:
    r"""A project's name: visible text without any of `/ \ # ? % :`."""
    return _check_free(name, "project name")


def check_run_id(name: object) -> str:
    r"""A run's id: visible text without any of `/ \ # ? % :`."""
    return _check_free(name, "run id")


def _check_free(name: object, what: str) -> str:
    text = _check_text(name, what)
    bad = sorted(_PROJECT_FORBIDDEN.intersection(text))
    if bad:
        raise InvalidName(f"{what} {text!r} may not hold {' '.join(bad)}: leave it out")
    return text


def check_alias(name: object) -> str:
    """An alias a user may give: no `/` or `:`, not `latest`, not `vN`, not a digest."""
    text = _check_text(name, "alias")
    if _DIGEST.fullmatch(text):
        raise InvalidName(f"alias {text!r} is a digest: digests resolve by themselves")
    if "/" in text or ":" in text:
        raise InvalidName(f"alias {text!r} may not hold '/' or ':'")
    if text == LATEST:
        raise InvalidName("alias 'latest' is kept for the version logged last: choose another name")
    if _NUMBERED.fullmatch(text):
        raise InvalidName(f"alias {text!r} is how versions are numbered: choose another name")
    return text


def check_tag(name: object) -> str:
    """An artifact's label: words of letters, digits, `_`, `-`, separated by spaces."""
    text = _check_text(name, "tag")
    if not _TAG.fullmatch(text):
        raise InvalidName(f"tag {text!r} may hold only words of letters, digits, '_' and '-', separated by spaces")
    return text


def check_run_tag(name: object) -> str:
    """A run's label: any visible text, such as `lr=0.1` or `v1.0/baseline`. It stands in no path."""
    return _check_text(name, "run tag")


def is_version(text: str) -> bool:
    """Does `text` number a version, as `v12` does?"""
    return _VERSION.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class ArtifactPath:
    """Which version of which collection. `ArtifactPath.parse(str(p)) == p`."""

    collection: str
    selector: str | None = None
    project: str | None = None
    entity: str | None = None

    @classmethod
    def parse(cls, text: object) -> "ArtifactPath":
        """The path `text` spells; what is left out stays `None` for the caller's defaults.

        Raises:
            InvalidName: more than three parts, an empty one, or a name outside its grammar.
        """
        whole = _check_text(text, "artifact path", 4 * MAX_NAME).removeprefix("wandb-artifact://").removeprefix("lineage://")
        place, colon, selector = whole.partition(":")
        parts = place.split("/")
        if len(parts) > 3:
            raise InvalidName(f"artifact path {whole!r} has {len(parts)} parts: write [entity/][project/]name[:alias]")
        if colon and not selector:
            raise InvalidName(f"artifact path {whole!r} ends with ':': name a version, alias or digest, or leave the colon out")
        entity, project = [None, None, *parts[:-1]][-2:]
        return cls(
            check_collection(parts[-1]),
            None if not colon else _check_selector(selector),
            None if project is None else check_project(project),
            None if entity is None else check_entity(entity),
        )

    def __str__(self) -> str:
        place = "/".join(part for part in (self.entity, self.project, self.collection) if part is not None)
        return place if self.selector is None else f"{place}:{self.selector}"


def _check_selector(text: str) -> str:
    return text if text == LATEST or is_version(text) or is_digest(text) else check_alias(text)


@dataclass(frozen=True, slots=True)
class RunPath:
    """Which run (or sweep) of which project. `RunPath.parse(str(p)) == p`."""

    run: str
    project: str | None = None
    entity: str | None = None

    @classmethod
    def parse(cls, text: object) -> "RunPath":
        """The path `text` spells: `entity/project/run`, `project/run`, `run`, with `:` or `/runs/`, `/sweeps/` before the last part."""
        whole = _check_text(text, "run path", 4 * MAX_NAME)
        place, colon, name = whole.strip("/").rpartition(":")
        parts = [*place.split("/"), name] if colon else name.split("/")
        if not colon and len(parts) > 2 and parts[-2] in _SEGMENTS:
            del parts[-2]
        if not 1 <= len(parts) <= 3 or "" in parts:
            raise InvalidName(f"run path {whole!r}: write [entity/][project/]run")
        entity, project = [None, None, *parts[:-1]][-2:]
        return cls(
            check_run_id(parts[-1]), None if project is None else check_project(project), None if entity is None else check_entity(entity)
        )

    def __str__(self) -> str:
        place = "/".join(part for part in (self.entity, self.project) if part is not None)
        return f"{place}{':' if self.project in _SEGMENTS else '/'}{self.run}" if place else self.run


@dataclass(frozen=True, slots=True)
class ProjectPath:
    """Which project of which entity."""

    project: str | None = None
    entity: str | None = None

    @classmethod
    def parse(cls, text: object) -> "ProjectPath":
        """`entity/project` or `project`; `None` or empty text leaves both to the caller's defaults."""
        if text is None or text == "":
            return cls()
        whole = _check_text(text, "project path", 3 * MAX_NAME)
        parts = whole.strip("/").split("/")
        if len(parts) > 2:
            raise InvalidName(f"project path {whole!r}: write [entity/]project")
        return cls(check_project(parts[-1]), check_entity(parts[0]) if len(parts) == 2 else None)


def slug(text: str) -> str:
    """`text` bent into a legal artifact name: what is not allowed becomes `_`, what is too long loses its middle."""
    clean = re.sub(r"[^a-zA-Z0-9_\-.]", "_", text) or "_"
    if clean in (".", ".."):
        return "_" * len(clean)
    return clean if len(clean) <= MAX_NAME else f"{clean[:63]}..{clean[-63:]}"
