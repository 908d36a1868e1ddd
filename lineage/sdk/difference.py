"""What `artifact.diff(other)` answers: every path that differs, why it may, and a face for terminals and notebooks.

The content is read when it is asked for, path by path, and only what differs; the handle itself keeps counts, not entries.
"""

from collections.abc import Iterator
from functools import cached_property
from html import escape
from itertools import islice
from typing import Any

from lineage.model.comparison import Comparison, Differing, Exchanged, told, told_change, told_content
from lineage.model.errors import Gone
from lineage.sdk.host import Host
from storage.difference import Change, Tally, What
from storage.entry import printable

SHOWN = 10
"""Paths that a drawing names before it says how many more there are."""


class Diff:
    """See the top of this file. True when the content differs; iterate it for the paths, in order."""

    def __init__(self, host: Host, comparison: Comparison) -> None:
        self._host = host
        self.comparison = comparison

    @property
    def before(self) -> Any:
        """The artifact that was asked."""
        return self._host.artifact_of(self.comparison.before.version)

    @property
    def after(self) -> Any:
        """The artifact it was compared with."""
        return self._host.artifact_of(self.comparison.after.version)

    def __iter__(self) -> Iterator[Change]:
        """Every path that differs, in path order; each has `what`, `path`, `before`, `after` and `aspects`.

        Raises:
            Gone: the content of one of the two is not here any more; everything else still compares.
        """
        if self.comparison.content is None:
            raise Gone(f"the paths cannot be compared: {self.comparison.reason}; the rest can, print the difference")
        return iter(self.comparison.content)

    def __bool__(self) -> bool:
        return bool(self.comparison)

    def _paths(self, what: What) -> list[str]:
        return [change.path for change in self if change.what is what]

    @property
    def added(self) -> list[str]:
        return self._paths(What.ADDED)

    @property
    def removed(self) -> list[str]:
        return self._paths(What.REMOVED)

    @property
    def changed(self) -> list[str]:
        return self._paths(What.CHANGED)

    @property
    def renamed(self) -> dict[str, str]:
        """Old path → new path."""
        return {change.before.path: change.path for change in self if change.what is What.RENAMED and change.before is not None}

    @property
    def tally(self) -> Tally | None:
        """How many paths differ in which way, and the bytes they stand for; `None` where there is no content to compare."""
        return self.comparison.tally

    @property
    def inputs(self) -> tuple[Exchanged, ...]:
        """The versions that only one of the two makers used, by collection and role."""
        return self.comparison.inputs

    @property
    def code(self) -> tuple[Exchanged, ...]:
        """The source that the makers logged, where it is not the same."""
        return self.comparison.code

    @property
    def config(self) -> tuple[Differing, ...]:
        """The keys of the makers' configurations that differ."""
        return self.comparison.config

    @property
    def metadata(self) -> tuple[Differing, ...]:
        return self.comparison.metadata

    @property
    def summary(self) -> tuple[Differing, ...]:
        """What the two makers measured differently."""
        return self.comparison.summary

    @property
    def facts(self) -> tuple[Differing, ...]:
        """Type, description and step of the versions, job type, group, sweep and state of their makers, where they differ."""
        return self.comparison.facts

    # ── as a value ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _title(self) -> str:
        return f"{self.comparison.before.version.path} → {self.comparison.after.version.path}"

    def _some(self) -> list[str]:
        """The first paths that differ, and how many more do."""
        tally = self.tally
        if not tally:
            return []
        more = [f"… and {tally.total - SHOWN:,} more"] * (tally.total > SHOWN)
        return [*(told_change(change) for change in islice(self, SHOWN)), *more]

    def text(self) -> str:
        """All of it in words, the first paths included."""
        parts = told(self.comparison)
        width = max(len(title) for title, _ in parts)
        lines = [self._title]
        for title, below in parts:
            lines += [f"{title if not number else '':{width}}  {line}" for number, line in enumerate(below)]
            lines += [f"{'':{width}}  {line}" for line in self._some()] if title == "content" else []
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Diff {self._title}: {printable(told_content(self.comparison))}>"

    def _repr_html_(self) -> str:
        rows = {title: lines + (self._some() if title == "content" else []) for title, lines in told(self.comparison)}
        cells = "".join(
            f"<tr><th align=left valign=top>{title}</th><td align=left>{'<br>'.join(map(escape, lines))}</td></tr>"
            for title, lines in rows.items()
        )
        return f"<table><caption>{escape(self._title)}</caption>{cells}</table>"
