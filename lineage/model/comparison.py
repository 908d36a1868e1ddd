"""Why one version differs from another: what differs in the content, and beside it what differs in how the two were made.

Of how a version was made everything counts that was recorded: its maker, the versions that one had used and that were there already (the
rule of `edge.py`), the code it logged, its configuration, the metadata, and what it measured. What is equal on both sides explains nothing
and is left out; what only one side has stands beside `ABSENT`. Nothing here says which of the causes was the cause.

Pure: `lineage.actions.compare` gathers the two provenances, the content stays unread until somebody iterates it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from lineage.model.artifact import VersionRecord
from lineage.model.run import RunRecord
from storage.difference import Change, Difference, Tally, What
from storage.entry import printable

CODE = "code"
"""The type of the artifacts that hold source code."""


class Absent(Enum):
    ABSENT = "–"


ABSENT = Absent.ABSENT
"""There is no such key on that side, which is not the same as null."""


@dataclass(frozen=True, slots=True)
class Input:
    """A version that the maker used, and as what."""

    version: VersionRecord
    role: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """What it is compared with: whatever the other maker used of the same collection as the same."""
        return self.role, self.version.path.rpartition(":")[0]


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a version came about, as far as it was recorded."""

    version: VersionRecord
    maker: RunRecord | None = None
    inputs: tuple[Input, ...] = ()
    code: tuple[VersionRecord, ...] = ()
    """What the maker logged of its own source."""
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Differing:
    """A value that is not the same on both sides; either may be `ABSENT`."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Versions of one collection, used as the same, that only one side used."""

    collection: str
    role: str
    before: tuple[VersionRecord, ...]
    after: tuple[VersionRecord, ...]


_VERSION_FACTS: dict[str, Callable[[VersionRecord], Any]] = {
    "type": lambda version: version.type,
    "description": lambda version: version.description,
    "step": lambda version: version.history_step,
}
_RUN_FACTS: dict[str, Callable[[RunRecord], Any]] = {
    "job type": lambda run: run.job_type,
    "group": lambda run: run.group,
    "sweep": lambda run: run.sweep,
    "state": lambda run: str(run.state),
}


@dataclass(frozen=True)
class Comparison:
    """Two versions side by side. True when their content differs."""

    before: Provenance
    after: Provenance
    content: Difference | None
    """Every path that differs, found while it is iterated; `None` when the content of one of them is not here, as `reason` says."""
    reason: str = ""

    def __bool__(self) -> bool:
        return self.before.version.digest != self.after.version.digest

    @cached_property
    def tally(self) -> Tally | None:
        """How much differs; reads what differs, once. `None` where there is no content to compare."""
        return None if self.content is None else self.content.tally()

    @property
    def inputs(self) -> tuple[Exchanged, ...]:
        return exchanged(self.before.inputs, self.after.inputs)

    @property
    def code(self) -> tuple[Exchanged, ...]:
        return exchanged(*([Input(version, CODE) for version in side.code] for side in (self.before, self.after)))

    @property
    def facts(self) -> tuple[Differing, ...]:
        """What differs of versions and makers themselves."""
        sides = [
            {name: look(side.version) for name, look in _VERSION_FACTS.items()}
            | ({} if side.maker is None else {name: look(side.maker) for name, look in _RUN_FACTS.items()})
            for side in (self.before, self.after)
        ]
        return differing(*({name: value for name, value in side.items() if value is not None} for side in sides))

    @property
    def config(self) -> tuple[Differing, ...]:
        return differing(*({} if side.maker is None else side.maker.config for side in (self.before, self.after)))

    @property
    def metadata(self) -> tuple[Differing, ...]:
        return differing(self.before.version.metadata, self.after.version.metadata)

    @property
    def summary(self) -> tuple[Differing, ...]:
        return differing(self.before.summary, self.after.summary)


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Differing, ...]:
    """The keys whose values are not equal, nested ones joined with dots, in the order they are met."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    pairs = ((key, old.get(key, ABSENT), new.get(key, ABSENT)) for key in dict.fromkeys((*old, *new)))
    return tuple(Differing(".".join(key), one, other) for key, one, other in pairs if not _is_equal(one, other))


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    stack: list[tuple[tuple[str, ...], Any]] = [((key,), values[key]) for key in reversed(list(values))]
    while stack:
        key, value = stack.pop()
        if isinstance(value, Mapping) and value and "_type" not in value:
            stack += [((*key, inner), value[inner]) for inner in reversed(list(value))]
        else:
            yield key, value


def _is_equal(one: Any, other: Any) -> bool:
    """Not-a-number equals itself here, and true is not 1."""
    return repr(one) == repr(other) or (one == other and isinstance(one, bool) == isinstance(other, bool))


def exchanged(before: Iterable[Input], after: Iterable[Input]) -> tuple[Exchanged, ...]:
    """What was used on one side only, by collection and role, in the order it was used."""
    sides = [defaultdict[tuple[str, str], dict[int, VersionRecord]](dict) for _ in range(2)]
    for side, inputs in zip(sides, (before, after), strict=True):
        for each in inputs:
            side[each.place][each.version.id] = each.version
    found = []
    for place in dict.fromkeys((*sides[0], *sides[1])):
        old, new = (side.get(place, {}) for side in sides)
        went, came = (tuple(side[key] for key in side if key not in other) for side, other in ((old, new), (new, old)))
        if went or came:
            found.append(Exchanged(place[1], place[0], went, came))
    return tuple(found)


# ── in words ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

SIGNS: dict[What, str] = {What.ADDED: "+", What.REMOVED: "-", What.CHANGED: "~", What.RENAMED: ">"}


def told(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """The comparison as headings and the lines below each; what is equal has none."""
    makers = [side.maker for side in (comparison.before, comparison.after)]
    names = ["no run" if maker is None else maker.path for maker in makers]
    made = names[0] if names[0] == names[1] else " → ".join(names)
    parts = [
        ("content", [told_content(comparison)]),
        ("made by", [made] if any(makers) else []),
        ("inputs", [_told_exchange(each) for each in comparison.inputs]),
        ("code", [_told_exchange(each) for each in comparison.code]),
        *((title, [_told_value(each) for each in values]) for title, values in _values(comparison)),
    ]
    return [(title, [printable(line) for line in lines]) for title, lines in parts if lines]


def _values(comparison: Comparison) -> list[tuple[str, tuple[Differing, ...]]]:
    return [
        ("config", comparison.config),
        ("metadata", comparison.metadata),
        ("summary", comparison.summary),
        ("besides", comparison.facts),
    ]


def told_content(comparison: Comparison) -> str:
    """How much of the content differs, in one line."""
    tally = comparison.tally
    if not comparison:
        return "the same"
    if tally is None:
        return f"not the same, and {comparison.reason}"
    counts = {"added": tally.added, "removed": tally.removed, "changed": tally.changed, "renamed": tally.renamed}
    told_counts = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f"{told_counts}; {tally.bytes_added:,} B came, {tally.bytes_removed:,} B went"


def told_change(change: Change) -> str:
    """One path that differs, in one line."""
    before, after = change.before, change.after
    path = printable(change.path)
    if change.what is What.RENAMED and before is not None:
        path = f"{printable(before.path)} → {path}"
    aspects = f"  ({', '.join(change.aspects)})" if change.aspects else ""
    sizes = [f"{entry.size:,}" for entry in (before, after) if entry is not None and entry.size is not None]
    weight = f"  {' → '.join(dict.fromkeys(sizes))} B" if sizes else ""
    return f"{SIGNS[change.what]} {path}{aspects}{weight}"


def _told_exchange(each: Exchanged) -> str:
    role = f" as {each.role}" if each.role else ""
    sides = (", ".join(f"v{version.number}" for version in side) or ABSENT.value for side in (each.before, each.after))
    return f"{each.collection}{role}: {' → '.join(sides)}"


def _told_value(each: Differing) -> str:
    sides = (
        side.value if isinstance(side, Absent) else f"{side:.6g}" if isinstance(side, float) else str(side)
        for side in (each.before, each.after)
    )
    return f"{each.key}: {' → '.join(sides)}"
