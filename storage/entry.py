"""What one path of a manifest holds, and which paths a manifest may hold at all.

    file        bytes in this store, under a digest
    directory   an empty directory (a directory with something in it follows from its entries)
    link        a symbolic link to somewhere inside the same tree
    reference   bytes that live elsewhere, pinned by etag, version id and size

A path is relative, POSIX, canonical and valid UTF-8: `check_path` is the only judge, asked when an entry is added, when a manifest is
parsed and when a file is about to be written. It never touches a disk. Names are opaque afterwards: nothing decodes, folds or expands
them. Portable they need not be: `unportable` says where a legal name would not survive on another system.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import repeat
from typing import NamedTuple

from storage.digest import Digest
from storage.errors import InvalidManifest, InvalidPath

MAX_COMPONENT = 255
"""Bytes of UTF-8 in one component of a path."""
MAX_PATH = 1024
"""Bytes of UTF-8 in a whole path."""
MAX_DEPTH = 64
"""Components in a path."""
CONTROL_NAMES = frozenset({".git", ".lineage"})
"""Directories whose content steers a program; a manifest never holds them and a checkout never writes them, whatever the case."""

_TIMED = 'W/"modified:'
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DRIVE = re.compile(r"[A-Za-z]:")
_HIDDEN = re.compile("[\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


class Kind(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    REFERENCE = "reference"


def is_weak(etag: str) -> bool:
    """Does this etag, as kept in a pin, promise equal meaning at most? A strong one cannot begin so: it holds no quotes."""
    return etag.startswith('W/"')


def weak_time(stated: str) -> str:
    """The weak etag that stands for a time of last modification; two changes within one tick of the source's clock share it."""
    return f'{_TIMED}{stated}"'


@dataclass(frozen=True, slots=True)
class Pin:
    """Where the bytes of a reference live and what they were when they were pinned.

    `etag` is the provider's opaque token with its quotes stripped; a weak one keeps its `W/` and its quotes, which no strong one can hold.
    Where a source states no etag but when the object was last modified, that is kept apart as a weak one of ours (`weak_time`).
    `version_id` is opaque text, `None` where there are no versions; `checksum` is whatever checksum the provider stated, as
    `algorithm:value`.
    """

    uri: str
    etag: str | None = None
    version_id: str | None = None
    checksum: str | None = None

    @property
    def is_verifiable(self) -> bool:
        """Is there anything a later look could compare?"""
        return self.etag is not None or self.version_id is not None or self.checksum is not None

    @property
    def is_verified(self) -> bool:
        """Does the pin hold the provider's word for exactly these bytes: a version, a strong etag or a checksum?"""
        return self.version_id not in (None, "null") or self.checksum is not None or (self.etag is not None and not is_weak(self.etag))

    @property
    def modified(self) -> str | None:
        """When the source said the object was last modified, in the source's words, where that is all it said."""
        return None if self.etag is None or not self.etag.startswith(_TIMED) else self.etag.removeprefix(_TIMED).removesuffix('"')


class Entry(NamedTuple):
    """One path of a manifest. Build it with `file`, `directory`, `link` or `reference`: they refuse what cannot be.

    A named tuple and no dataclass: there are millions, and a tuple is made in C.
    """

    path: str
    kind: Kind
    digest: Digest | None = None
    size: int | None = None
    executable: bool = False
    target: str | None = None
    pin: Pin | None = None

    @classmethod
    def file(cls, path: str, digest: Digest, size: int, *, executable: bool = False) -> "Entry":
        return cls(check_path(path), Kind.FILE, digest, size, executable)

    @classmethod
    def directory(cls, path: str) -> "Entry":
        return cls(check_path(path), Kind.DIRECTORY)

    @classmethod
    def link(cls, path: str, target: str) -> "Entry":
        """A link whose `target` is the path, from the root of the tree, of what it points to."""
        return cls(check_path(path), Kind.LINK, target=check_path(target))

    @classmethod
    def reference(cls, path: str, pin: Pin, size: int | None = None) -> "Entry":
        return cls(check_path(path), Kind.REFERENCE, size=size, pin=pin)

    @property
    def order(self) -> bytes:
        """What manifests sort by: the path's UTF-8 bytes."""
        return self.path.encode()

    @property
    def extra(self) -> dict[str, str]:
        """`etag` and `versionID` of a reference, under the names the W&B documentation uses; empty for anything else."""
        if self.pin is None:
            return {}
        modified = self.pin.modified
        etag = None if modified is not None else self.pin.etag
        named = {"etag": etag, "versionID": self.pin.version_id, "checksum": self.pin.checksum, "lastModified": modified}
        return {name: value for name, value in named.items() if value is not None}


_TOGETHER = 1000
"""Paths looked at together: one that is odd costs a closer look at so many."""

_make: Callable[[tuple[object, ...]], Entry] = partial(tuple.__new__, Entry)
"""An entry of what was judged, made in C."""


def file_entries(paths: Iterable[str], digests: Iterable[Digest], sizes: Iterable[int], executables: Iterable[bool]) -> list[Entry]:
    """Entries of files whose names were judged, from columns of equal length."""
    none = repeat(None)
    return list(map(_make, zip(paths, repeat(Kind.FILE), digests, sizes, executables, none, none, strict=False)))


def check_path(path: str) -> str:
    """`path` itself, when a manifest may hold it.

    Raises:
        InvalidPath: naming the path and the rule it breaks.
    """
    problem = None if are_ordinary((path,)) else _problem(path)
    if problem:
        raise InvalidPath(f"entry path {path!r} {problem}")
    return path


def check_paths(paths: Sequence[str]) -> None:
    """Return when a manifest may hold every one of these paths; as `check_path` for each, and quick where all of them are ordinary.

    Raises:
        InvalidPath: naming the first that may not stand there.
    """
    for at in range(0, len(paths), _TOGETHER):
        part = paths[at : at + _TOGETHER]
        if not are_ordinary(part):
            for path in part:
                check_path(path)


def are_ordinary(paths: Sequence[str]) -> bool:
    """Is every path so plain that `check_path` surely lets it pass? A few looks at all of them together; False says nothing.

    Plain is printable ASCII without backslash and colon, no component empty or beginning with a dot, and at most 127 characters, which are
    too few for a component or a depth that is not allowed.
    """
    try:
        whole = f"/{'/:/'.join(paths)}/"
    except TypeError:
        return False
    return (
        whole.isascii()
        and whole.isprintable()
        and "\\" not in whole
        and "//" not in whole
        and "/." not in whole
        and whole.count(":") == len(paths) - 1
        and len(max(paths, key=len)) <= 127
    )


def _problem(path: str) -> str | None:
    if not isinstance(path, str):
        return "is not text"
    if path in ("", "."):
        return "is empty: name the entry"
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "is not valid UTF-8: rename the file"
    if _FORBIDDEN.search(path):
        return "holds a control character or line separator: rename the file"
    if "\\" in path:
        return "holds a backslash: separate components with '/'"
    if path.startswith("/") or _DRIVE.match(path):
        return "is anchored: entry paths are relative to the artifact's root"
    parts = path.split("/")
    if ".." in parts:
        return "climbs out with '..': entry paths stay inside the artifact"
    if "" in parts or "." in parts:
        return f"is not canonical: write {canonical_path(path)!r}"
    if len(encoded) > MAX_PATH:
        return f"is {len(encoded)} bytes long: at most {MAX_PATH} are allowed"
    if len(parts) > MAX_DEPTH:
        return f"is {len(parts)} levels deep: at most {MAX_DEPTH} are allowed"
    longest = max(parts, key=lambda part: len(part.encode()))
    if len(longest.encode()) > MAX_COMPONENT:
        return f"has a component of {len(longest.encode())} bytes: at most {MAX_COMPONENT} are allowed"
    # Some file systems (HFS+) do not see invisible characters: a name that hides one is the same directory there.
    control = next((part for part in parts if _HIDDEN.sub("", part).casefold() in CONTROL_NAMES), None)
    return f"lies in the control directory {control!r}: leave it out" if control else None


def canonical_path(path: str) -> str:
    """`path` without `.` components, doubled and trailing slashes; nothing else is touched, and the result may still be refused."""
    anchor = "/" if path.startswith("/") else ""
    return anchor + "/".join(part for part in path.split("/") if part not in ("", "."))


def printable(text: str) -> str:
    """`text` fit for a person's eyes: what would be invisible, reorder the line or move the cursor is shown escaped."""
    visible = _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    visible = _FORBIDDEN.sub(lambda match: f"\\x{ord(match[0]):02x}" if ord(match[0]) < 256 else f"\\u{ord(match[0]):04x}", visible)
    return visible.encode("utf-8", "backslashreplace").decode()


def check_tree(paths: Iterable[str]) -> None:
    """Return when the paths can stand in one tree together.

    Raises:
        InvalidManifest: two spellings of one name under Unicode NFC, or a path that is both a file and a directory.
    """
    listed = paths if isinstance(paths, list) else list(paths)
    if not (_are_spelled_once(listed) and _are_apart(listed)):
        _judge_together(listed)


def _are_spelled_once(paths: Sequence[str]) -> bool:
    """Has every path surely one spelling only? What is composed (NFC) as a whole is so in each part."""
    return unicodedata.is_normalized("NFC", "\n".join(paths))


def _are_apart(paths: Sequence[str]) -> bool:
    """Is no path, as it is spelled, the directory of another?"""
    above = {path.rpartition("/")[0] for path in paths}
    waiting = list(above)
    while waiting:
        parent = waiting.pop().rpartition("/")[0]
        if parent not in above:
            above.add(parent)
            waiting.append(parent)
    return above.isdisjoint(paths)


def _judge_together(paths: Iterable[str]) -> None:
    spelled: dict[str, str] = {}
    for path in paths:
        normal = unicodedata.normalize("NFC", path)
        other = spelled.setdefault(normal, path)
        if other != path:
            raise InvalidManifest(f"entries {other!r} and {path!r} are one name in two Unicode spellings (NFC): rename one")
    for normal, path in spelled.items():
        parent = normal
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            if parent in spelled:
                raise InvalidManifest(f"entry {spelled[parent]!r} cannot be both a file and the directory of {path!r}: rename one")


def unportable(paths: Iterable[str]) -> list[str]:
    """Why some of these paths would not survive on Windows or on a case-insensitive disk, one sentence each; empty when all would."""
    reasons: list[str] = []
    folded: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folded[unicodedata.normalize("NFC", path).casefold()].append(path)
        for part in path.split("/"):
            if _RESERVED.fullmatch(part):
                reasons.append(f"{printable(path)}: {part!r} is a device name on Windows")
            elif part.endswith((".", " ")):
                reasons.append(f"{printable(path)}: Windows drops the end of {part!r}")
            elif re.search(r'[<>:"|?*]', part):
                reasons.append(f"{printable(path)}: {part!r} holds a character Windows refuses")
    for same in folded.values():
        if len(same) > 1:
            reasons.append(f"{', '.join(map(printable, same))}: differ only in case")
    return reasons
