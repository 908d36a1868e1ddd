"""A user's regular expression, in RE2's syntax: matching takes time linear in the text, whatever the pattern and whoever wrote it.

Not for patterns of our own, which are constants and written to be linear.
"""

import functools
from typing import Protocol, cast

from lineage.model.errors import UsageError

_MEMORY = 1 << 20
"""Bytes a compiled pattern may take."""


class Pattern(Protocol):
    def search(self, text: str) -> object: ...


@functools.lru_cache(maxsize=64)
def compiled(pattern: str) -> Pattern:
    """The pattern, ready to search with.

    Raises:
        UsageError: it is none, or one that takes too much memory.
    """
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors = _MEMORY, False
    try:
        return cast("Pattern", re2.compile(pattern, options))
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error
        raise UsageError(f"$regex {pattern!r} is not a pattern of RE2: {said}") from None


def matches(pattern: str, text: object) -> bool:
    """SQL's `REGEXP`: is the pattern found in the text? What is no text matches nothing."""
    return isinstance(text, str) and compiled(pattern).search(text) is not None
