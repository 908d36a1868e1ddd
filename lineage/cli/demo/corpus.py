"""The demonstration's text: Python source that is already on this machine, chosen, cleaned and split.

Nothing here knows of artifacts. Which files are chosen, what cleaning leaves and which side of the split a file falls on are functions of
paths and content alone, so that a second look at an unchanged tree gives the same bytes.
"""

import io
import sysconfig
import tokenize
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("collections", "concurrent", "html", "http", "importlib", "json", "logging", "urllib")
"""Packages of the standard library that join its top-level modules."""
MOST_BYTES = 4_000_000
"""Where choosing stops: what two slow cores count through, eight times over, in well under a minute."""
LARGEST = 200_000
"""A file above this is left out: it is more likely a table than prose."""
VALIDATION = 8
"""One file in this many is kept for validation."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Files chosen under `root`, in path order, and a sentence for people on how they were chosen."""

    root: Path
    files: tuple[Path, ...]
    how: str

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.files)

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def standard_library() -> Selection:
    """The top-level modules of the running Python's standard library and a few of its packages."""
    root = Path(sysconfig.get_path("stdlib"))
    found = [*root.glob("*.py"), *(path for package in PACKAGES for path in (root / package).rglob("*.py"))]
    return _bounded(root, found, f"top-level modules and {len(PACKAGES)} packages of Python's own library")


def directory(root: Path) -> Selection:
    """The Python files anywhere under `root`."""
    return _bounded(root, root.rglob("*.py"), f"Python files under {root}")


def _bounded(root: Path, found: Iterable[Path], how: str) -> Selection:
    chosen, size = [], 0
    regular = sorted(path for path in found if path.is_file() and 0 < path.stat().st_size <= LARGEST)
    for path in regular:
        size += path.stat().st_size
        if size > MOST_BYTES:
            how += f", the first {MOST_BYTES // 1_000_000} MB of them"
            break
        chosen.append(path)
    return Selection(root, tuple(chosen), how)


def clean(source: bytes) -> str | None:
    """`source` without comments, blank lines and trailing spaces, or `None` where it is not Python this Python can read."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        text = source.decode(encoding)
        comments = _comments(text)
    except (SyntaxError, UnicodeDecodeError, tokenize.TokenError):
        return None
    lines = (line[: comments.get(number, len(line))].rstrip() for number, line in enumerate(text.splitlines(), 1))
    return "".join(f"{line}\n" for line in lines if line)


def _comments(text: str) -> dict[int, int]:
    """Line → the column where its comment begins. Only a tokenizer can tell a comment from a `#` inside a string."""
    if "#" not in text:
        return {}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.start[1] for token in tokens if token.type == tokenize.COMMENT}


def distinct(texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The (name, text) pairs whose text is not empty and was not there before."""
    seen: set[str] = set()
    for name, text in texts:
        if text and text not in seen:
            seen.add(text)
            yield name, text


def side(name: str) -> str:
    """`train` or `validation`, decided by the name so that a file never changes sides."""
    return "validation" if zlib.crc32(name.encode()) % VALIDATION == 0 else "train"


def prose() -> tuple[Path, ...]:
    """Files of this Python that are text and no program, wherever they are: its licence, the topics of its help."""
    root = Path(sysconfig.get_path("stdlib"))
    return tuple(path for path in (root / "pydoc_data" / "topics.py", root / "LICENSE.txt") if path.is_file())
