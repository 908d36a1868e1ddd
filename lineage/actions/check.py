"""Are the objects that references point to still the pinned ones? Asks where they live, and keeps what was found.

Asking takes its time and happens outside of any transaction; what was found is written batch by batch, so a check that ends early keeps
what it learnt. What could not be found out changes nothing: a network that is down makes no reference missing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lineage.actions.open import Engine
from lineage.actions.walk import walk
from lineage.catalog import reference as references
from lineage.catalog import version as versions_
from lineage.catalog.column import chunks
from lineage.model.artifact import VersionRecord
from lineage.model.edge import Direction
from lineage.model.node import NodeId
from lineage.model.standing import Finding, ReferenceRecord
from storage.errors import StorageError
from storage.manifest import decode_segment
from storage.transfer import reference

BATCH = 200
"""Answers that come in before they are written: who interrupts a check loses no more."""
SEGMENTS = 100
"""Segments looked through before their references are written."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An object, or by its digest a piece of a manifest, about which nothing could be found out, and why."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found. `states` counts pinned objects, `findings` are the entries that are not ok."""

    versions: int
    references: int
    states: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    unknown: tuple[Unknown, ...] = ()

    @property
    def astray(self) -> tuple[Finding, ...]:
        """The entries that no longer lead to what was pinned."""
        return tuple(each for each in self.findings if each.is_astray)

    @property
    def is_good(self) -> bool:
        """Was everything found out, and nothing found astray?"""
        return not self.astray and not self.unknown


def check(engine: Engine, versions: Iterable[int] | None = None, *, progress: Callable[[int], None] | None = None) -> CheckReport:
    """Look at every reference of these versions, or of all live ones. `progress` is told how many more are done.

    Requests grow with pages of listings where a listing shows that all is well, else with pinned objects; an object that several versions
    pin is asked about once.
    """
    wanted = _wanted(engine, versions)
    unknown = _read_segments(engine, wanted)
    with engine.catalog.read() as c:
        asked = references.of_versions(c, wanted)

    counts: Counter[str] = Counter()
    for answers in chunks(_answers(asked), BATCH):
        found = [(each.id, str(answer)) for each, answer in answers if not isinstance(answer, StorageError)]
        counts.update(state for _, state in found)
        unknown += [Unknown(each.pin.uri, str(answer)) for each, answer in answers if isinstance(answer, StorageError)]
        with engine.catalog.tx() as c:
            references.settle(c, found, engine.now)
        if progress is not None:
            progress(len(answers))

    with engine.catalog.tx() as c:
        references.forget(c)
    return CheckReport(len(wanted), len(asked), dict(counts), tuple(findings(engine, wanted)), tuple(unknown))


def _answers(asked: Sequence[ReferenceRecord]) -> Iterator[tuple[ReferenceRecord, reference.Standing | StorageError]]:
    named = {each.id: each for each in asked}
    for number, answer in reference.standings(reference.Asked(each.id, each.pin, each.size) for each in asked):
        yield named[number], answer


def _wanted(engine: Engine, versions: Iterable[int] | None) -> list[int]:
    if versions is not None:
        return list(dict.fromkeys(versions))
    with engine.catalog.read() as c:
        return references.live_versions(c)


def _read_segments(engine: Engine, versions: Sequence[int]) -> list[Unknown]:
    """Note the references of segments nobody has looked through yet; each is read once in its life. Answers with those that cannot be."""
    unknown: list[Unknown] = []
    with engine.catalog.read() as c:
        unread = list(references.unread(c, versions))
    for start in range(0, len(unread), SEGMENTS):
        part = unread[start : start + SEGMENTS]
        read = []
        for number, domain, digest in part:
            try:
                read.append((number, digest, decode_segment(engine.store(domain).read(digest))))
            except StorageError as error:  # the others are still checked; whose this is stays unchecked, and is said to be
                unknown.append(Unknown(str(digest), f"a piece of a manifest cannot be read: {error}"))
        with engine.catalog.tx() as c:
            for number, digest, entries in read:
                references.add_segment(c, number, digest, entries)
    return unknown


def findings(engine: Engine, versions: Iterable[int]) -> list[Finding]:
    """How the references of these versions stood that were not ok when somebody last looked."""
    with engine.catalog.read() as c:
        return list(references.findings(c, versions))


def never_checked(engine: Engine, versions: Iterable[int]) -> list[int]:
    """Those of these versions about whose references nothing is known yet."""
    with engine.catalog.read() as c:
        return references.never_checked(c, versions)


def affected(engine: Engine, versions: Iterable[int]) -> list[VersionRecord]:
    """Those of these versions with a drifted or missing reference, and everything that was made from them, oldest first."""
    with engine.catalog.read() as c:
        reached = references.affected(c, versions)
        return versions_.several(c, sorted(reached))


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What is known of the references of a version and of all it was made from.

    `findings` are those that were not ok when somebody last looked; `unchecked` are versions of whose references nothing is known yet.
    """

    findings: tuple[Finding, ...]
    unchecked: tuple[int, ...]


def drift(engine: Engine, version_id: int) -> DriftReport:
    """What the last looks found, without looking again: of the version itself, then of what it was made from, youngest first."""
    above = walk(engine, NodeId.artifact(version_id), Direction.UP).versions
    places = [version_id, *sorted(above, reverse=True)]
    order = {number: position for position, number in enumerate(places)}
    found = sorted(findings(engine, places), key=lambda each: (order[each.version_id], each.path))
    return DriftReport(tuple(found), tuple(never_checked(engine, places)))
