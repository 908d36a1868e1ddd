"""The store, the catalogue, the graph and its clock as a few dictionaries: what the engine must agree with, said as plainly as possible.

Every method does what the verb of the same name must do, or answers with the class of error it must raise. Nothing is fast, nothing is
shared with the engine but names of errors and states. `order` counts as the catalogue's does: one for each version made, logged again or
linked, and none for what was refused.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lineage.model.errors import Conflict, Error, Gone, UsageError

ALWAYS_PROTECTED = frozenset({"prod", "production", "protected"})
RUNNING = "running"
LEAP, BACKSLIDE = dt.timedelta(hours=48), dt.timedelta(minutes=5)

Place = tuple[str, str]
"""A collection: its project and its name."""
Ttl = dt.timedelta | None | str
"""A length, `None` for never, or "inherit"."""
Refusal = type[Error] | None


@dataclass
class Version:
    order: int
    home: Place
    number: int
    content: int
    files: Mapping[str, bytes] | None
    """`None` where only the digest was recorded."""
    created: dt.datetime
    logged: int
    state: str = "live"
    tags: frozenset[str] = frozenset()
    held: bool = False
    ttl: Ttl = "inherit"


@dataclass
class Link:
    number: int
    logged: int


@dataclass
class Oracle:
    """See the top of this file."""

    now: dt.datetime
    order: int = 0
    high_water: dt.datetime | None = None
    numbers: dict[Place, int] = field(default_factory=dict)
    versions: dict[int, Version] = field(default_factory=dict)
    links: dict[tuple[Place, int], Link] = field(default_factory=dict)
    aliases: dict[tuple[Place, str], int] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    used: set[tuple[str, int]] = field(default_factory=set)
    makers: dict[int, str] = field(default_factory=dict)
    logged: set[tuple[str, int]] = field(default_factory=set)
    protected: set[tuple[str, str]] = field(default_factory=set)
    defaults: dict[str, Ttl] = field(default_factory=dict)

    # ── logging ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def log(self, place: Place, content: int, files: Mapping[str, bytes] | None, run: str | None, aliases: Iterable[str] = ()) -> int:
        """The order of the version, and everything that follows from logging it."""
        same = next((v for v in self.versions.values() if v.home == place and v.content == content and v.state == "live"), None)
        self.order += 1
        if same is None:
            version = Version(self.order, place, self._next(place), content, files, self.now, self.order)
            self.versions[version.order] = version
            if run is not None:
                self.makers[version.order] = run
        else:
            version = same
            version.logged = self.order
            version.files = version.files if version.files is not None else files
        if run is not None:
            self.logged.add((run, version.order))
        for alias in aliases:
            self.aliases[place, alias] = version.order
        return version.order

    def _next(self, place: Place) -> int:
        self.numbers[place] = self.numbers.get(place, -1) + 1
        return self.numbers[place]

    def use(self, run: str, order: int) -> Refusal:
        if self.versions[order].state != "live":
            return Gone
        self.used.add((run, order))
        return None

    # ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def link(self, order: int, place: Place, aliases: Iterable[str]) -> Refusal:
        if self.versions[order].state != "live":
            return Gone
        if self.versions[order].home == place:
            return UsageError
        if (place, order) not in self.links:
            number = self._next(place)
            self.order += 1
            self.links[place, order] = Link(number, self.order)
        for alias in aliases:
            self.aliases[place, alias] = order
        return None

    def unlink(self, order: int, place: Place) -> None:
        self.links.pop((place, order), None)
        self._drop_aliases(order, place)

    def move(self, order: int, place: Place, add: Iterable[str], remove: Iterable[str]) -> Refusal:
        if self.versions[order].state != "live":
            return Gone
        for alias in remove:
            if self.aliases.get((place, alias)) == order:
                del self.aliases[place, alias]
        for alias in add:
            self.aliases[place, alias] = order
        return None

    def _drop_aliases(self, order: int, place: Place | None = None) -> None:
        for key in [key for key, target in self.aliases.items() if target == order and place in (None, key[0])]:
            del self.aliases[key]

    def carried(self, order: int, place: Place | None = None) -> set[str]:
        """The aliases of a version, in one collection or in all."""
        return {alias for (where, alias), target in self.aliases.items() if target == order and place in (None, where)}

    def latest(self, place: Place) -> int | None:
        """The live version that was logged, or linked, last."""
        shown = {order: self._shown(order, place) for order in self.versions if self.versions[order].state == "live"}
        there = {order: shown for order, shown in shown.items() if shown is not None}
        return max(there, key=lambda order: there[order]) if there else None

    def _shown(self, order: int, place: Place) -> int | None:
        if self.versions[order].home == place:
            return self.versions[order].logged
        link = self.links.get((place, order))
        return None if link is None else link.logged

    # ── endings ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def delete(self, order: int, *, delete_aliases: bool) -> Refusal:
        if self.versions[order].state != "live":
            return Gone
        if self.versions[order].held or self.is_protected(order) or (self.carried(order) and not delete_aliases):
            return Conflict
        self._end(order, "deleted")
        return None

    def delete_run(self, run: str, *, delete_artifacts: bool) -> Refusal:
        made = [order for order, maker in self.makers.items() if maker == run and self.versions[order].state == "live"]
        if delete_artifacts and any(self.versions[order].held or self.is_protected(order) for order in made):
            return Conflict
        for order in made if delete_artifacts else ():
            self._end(order, "deleted")
        self.runs[run] = "gone"
        return None

    def is_protected(self, order: int) -> bool:
        """Does an alias protect it, in its own collection or where it is linked?"""
        return any(
            target == order and (alias in ALWAYS_PROTECTED or (place[0], alias) in self.protected)
            for (place, alias), target in self.aliases.items()
        )

    def _end(self, order: int, state: str) -> None:
        self.versions[order].state = state
        self._drop_aliases(order)

    def expire(self, *, confirmed: bool) -> Refusal | set[int]:
        """The orders that went, or the refusal of a clock nobody trusts."""
        now = max(self.now, self.high_water or self.now)
        if self.high_water is not None and not confirmed and not self.high_water - BACKSLIDE <= self.now <= self.high_water + LEAP:
            return Conflict
        going = {version.order for version in self.versions.values() if self._is_due(version, now)}
        for order in going:
            self._end(order, "expired")
        self.high_water = now
        return going

    def _is_due(self, version: Version, now: dt.datetime) -> bool:
        ttl = version.ttl if version.ttl != "inherit" else self.defaults.get(version.home[0], "inherit")
        if version.state != "live" or not isinstance(ttl, dt.timedelta) or version.created + ttl > now:
            return False
        in_use = any(used == version.order and self.runs[run] == RUNNING for run, used in self.used)
        return not (version.held or self.is_protected(version.order) or in_use)

    # ── the graph ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def parents(self, order: int) -> set[int]:
        """What a version depends on: the inputs of its maker that were there before it."""
        maker = self.makers.get(order)
        return {used for run, used in self.used if run == maker and used < order}

    def children(self, order: int) -> set[int]:
        return {other for other in self.versions if order in self.parents(other)}

    def upstream(self, orders: Iterable[int]) -> set[int]:
        """`orders` and all they depend on."""
        return self._closure(orders, self.parents)

    def downstream(self, orders: Iterable[int]) -> set[int]:
        return self._closure(orders, self.children)

    def _closure(self, orders: Iterable[int], near: object) -> set[int]:
        reached, waiting = set(orders), list(orders)
        while waiting:
            for other in near(waiting.pop()) - reached:  # type: ignore[operator]
                reached.add(other)
                waiting.append(other)
        return reached
