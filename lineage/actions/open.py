"""The open house: catalogue, bytes, clock and actor in one value, which every action takes first."""

import datetime as dt
import getpass
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from lineage.catalog import project as projects
from lineage.catalog.blob import SqlLedger
from lineage.catalog.column import instant
from lineage.catalog.open import Catalog
from lineage.model.access import Act, Actor, authorize
from lineage.model.errors import CatalogError, NotFound
from lineage.model.names import DEFAULT_PROJECT, ProjectPath, check_entity, check_project
from lineage.model.project import ProjectRecord, Visibility
from storage.blob import reserve
from storage.blob.cache import Cache
from storage.blob.home import Home
from storage.blob.store import Store
from storage.digest import DEFAULT_ALGORITHM
from storage.errors import StoreFull
from storage.layout import CACHE, JOURNALS, TREES
from storage.transfer.statcache import StatCache

Clock = Callable[[], dt.datetime]
_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Engine:
    """An open store. Any thread may use it, and a forked child too."""

    home: Home
    catalog: Catalog
    actor: Actor
    entity: str
    """The default entity: the local user."""
    clock: Clock = utc_now
    cache_root: Path | None = None

    @property
    def now(self) -> int:
        """The clock as the catalogue keeps instants."""
        return instant(self.clock()) or 0

    @cached_property
    def ledger(self) -> SqlLedger:
        return SqlLedger(self.catalog, lambda: self.now)

    @cached_property
    def cache(self) -> Cache:
        """Where bytes of references, and of blobs that rest far away, are kept between downloads, bounded."""
        return Cache(self.cache_root or self.home.root / CACHE)

    @cached_property
    def trees(self) -> StatCache:
        """What trees of files held when they were last read or written."""
        return StatCache((self.cache_root or self.home.root / CACHE) / TREES, self.home.format.store)

    def store(self, domain: str) -> Store:
        """The blobs of one dedup domain."""
        paranoid = bool(os.environ.get("LINEAGE_PARANOID"))
        return Store(self.home.backend, self.ledger, domain, self.home.format.algorithm, cache=self.cache, paranoid=paranoid)

    def journal(self, run_id: int, writer: int = 0) -> Path:
        """Where a live run's metrics go before they are sealed; a file for each process that writes the same run at once."""
        return self.home.root / JOURNALS / (f"{run_id}.{writer}.jsonl" if writer else f"{run_id}.jsonl")

    def journals(self, run_id: int) -> list[Path]:
        """The run's journals that are there."""
        first = self.journal(run_id)
        return [path for path in (first, *sorted(first.parent.glob(f"{run_id}.*.jsonl"))) if path.exists()]

    def place(self, path: ProjectPath) -> tuple[str, str]:
        """Entity and project of a path, the defaults filled in."""
        return path.entity or self.entity, path.project or DEFAULT_PROJECT

    def close(self) -> None:
        self.catalog.close()


_opening = threading.Lock()


def open_engine(
    root: Path,
    *,
    entity: str | None = None,
    clock: Clock | None = None,
    create: bool = True,
    algorithm: str = DEFAULT_ALGORITHM,
    store: str | None = None,
    adopt: str | None = None,
) -> Engine:
    """The store in `root`, made there, with `algorithm`, when it is empty or absent and `create` says so.

    `store` is the URL its bytes rest at, when not in `root`; a store that is there remembers it. `adopt` names the former owner of that
    place.

    Raises:
        NotFound: there is none, and `create` is false.
        InvalidStore: the bytes cannot rest at `store`, or rest elsewhere.
        UnknownFormat, CatalogUnsupported, CatalogDamaged: what is there is not a store, or not one this release can use.
    """
    with _opening:
        home = Home.create_or_open(root, algorithm, store, adopt) if create else Home.open(root, store)
        if home is None:
            raise NotFound(f"there is no store in {root}: log something first, or point LINEAGE_HOME at one")
        name = entity or local_user()
        return Engine(home, _catalog(home), Actor(name), name, clock or utc_now)


def _catalog(home: Home) -> Catalog:
    """The store's catalogue; on a full disk it is opened with a part of what is set aside."""
    try:
        catalog = Catalog(home.root, read_only=home.format.is_newer)
    except (StoreFull, CatalogError):
        if not (reserve.is_short(home.root) and reserve.lend(home.root)):
            raise
        return Catalog(home.root)
    if not catalog.is_read_only:
        reserve.keep(home.root)
    return catalog


def frees(action: Callable[Concatenate[Engine, _Given], _Answer]) -> Callable[Concatenate[Engine, _Given], _Answer]:
    """An action that frees space, and may be repeated: where the disk is full it may use what the store has set aside."""

    @wraps(action)
    def freeing(engine: Engine, /, *given: _Given.args, **named: _Given.kwargs) -> _Answer:
        try:
            return action(engine, *given, **named)
        except StoreFull:
            if not reserve.release(engine.home.root):
                raise
        try:
            return action(engine, *given, **named)
        finally:
            reserve.keep(engine.home.root)

    return freeing


def local_user() -> str:
    """The name of whoever runs this process, bent into an entity's name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"user-{os.getuid()}"
    return re.sub(r"[^a-zA-Z0-9_\-]", "-", name).lstrip("-_") or "local"


def require_project(engine: Engine, path: ProjectPath, act: Act) -> ProjectRecord:
    """The project, when it is there and the actor may do that to it.

    Raises:
        NotFound, Denied.
    """
    entity, name = engine.place(path)
    with engine.catalog.read() as c:
        found = projects.find(c, entity, name)
    if found is None:
        cure = "check the name, or log to it once to make it"
        if name == DEFAULT_PROJECT:
            cure = "it is the one that is meant where none is named: write project/name, or set LINEAGE_PROJECT"
        raise NotFound(f"there is no project {entity}/{name}: {cure}")
    authorize(engine.actor, act, found.visibility, f"project {found.path}")
    return found


def ensure_project(engine: Engine, path: ProjectPath, visibility: Visibility = Visibility.PRIVATE) -> ProjectRecord:
    """The project, made (with its entity) when it is not there."""
    entity, name = engine.place(path)
    with engine.catalog.read() as c:
        found = projects.find(c, entity, name)
    if found is None:
        check_entity(entity)
        check_project(name)
        with engine.catalog.tx() as c:
            owner = projects.ensure_entity(c, entity, engine.now)
            found = projects.ensure(c, owner, name, visibility, engine.now)
    authorize(engine.actor, Act.WRITE, found.visibility, f"project {found.path}")
    return found
