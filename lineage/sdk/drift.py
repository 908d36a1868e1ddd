"""What the references of an artifact, and of all it was made from, looked like when somebody last looked. Nothing is asked for here.

`lineage check` looks; an answer that nobody has checked anything for says so (`unchecked`) and is not taken for good news.
"""

from collections.abc import Iterator
from html import escape
from typing import Any

from lineage.actions.check import DriftReport
from lineage.model.standing import Finding
from lineage.sdk.host import Host, artifacts
from lineage.sdk.page import Page
from storage.entry import printable

_COLUMNS = ("state", "since", "artifact", "entry", "reference")


class Drift:
    """True when a reference has drifted or is missing. Iterating gives those references, the artifact's own first."""

    def __init__(self, host: Host, name: str, report: DriftReport) -> None:
        self._host = host
        self._name = name
        self._unchecked = report.unchecked
        self.references = tuple(each for each in report.findings if each.is_astray)
        """References that no longer lead to what was pinned: `artifact`, `path`, `uri`, `state`, `first_seen`, `last_seen`, `last_ok`."""
        self.uncertain = tuple(each for each in report.findings if not each.is_astray)
        """References whose source offers nothing, or of which nothing was recorded, to tell by."""

    @property
    def artifacts(self) -> Page[Any]:
        """The artifacts these references belong to, oldest first."""
        return artifacts(self._host, sorted({each.version_id for each in self.references}))

    @property
    def unchecked(self) -> Page[Any]:
        """The artifacts nobody has checked the references of, oldest first."""
        return artifacts(self._host, self._unchecked)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.references)

    def __len__(self) -> int:
        return len(self.references)

    def __bool__(self) -> bool:
        return bool(self.references)

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for each in self.references:
            since = f"{each.first_seen.astimezone():%Y-%m-%d %H:%M}"
            yield each.state, since, printable(each.artifact), printable(each.path), printable(each.uri)

    @property
    def _verdict(self) -> str:
        found = f"{len(self.references)} references astray" if self else "no reference is known to have drifted"
        uncertain = f", {len(self.uncertain)} cannot be told" if self.uncertain else ""
        unchecked = f", {len(self._unchecked)} artifacts never checked (lineage check)" if self._unchecked else ""
        return f"{self._name}: {found}{uncertain}{unchecked}"

    def __str__(self) -> str:
        rows = [_COLUMNS, *self._rows()] if self else []
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))] if rows else []
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([self._verdict, *lines])

    def __repr__(self) -> str:
        return f"<Drift of {self._verdict}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th align=left>{name}</th>" for name in _COLUMNS)
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self._rows())
        return f"<table><caption>{escape(self._verdict)}</caption>" + (f"<tr>{head}</tr>{rows}" if self else "") + "</table>"
