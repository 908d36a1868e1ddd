"""`Api`: the way in to what is there already, and the maker of every handle.

Paths are `[entity/][project/]name`; what is left out is the `Api`'s own entity and project, then the settings', then the local user and
`uncategorized`. What is not there is `NotFound`, a `CommError`. Nothing is cached: every call answers what is true now.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from lineage.actions import create, find
from lineage.actions.finish import end_crashed, finish_run
from lineage.actions.open import Engine
from lineage.actions.record import record
from lineage.actions.start import Opening, start_run
from lineage.actions.walk import graph
from lineage.model.artifact import CollectionRecord, VersionRecord
from lineage.model.errors import InvalidName, NotFound, UsageError
from lineage.model.names import ArtifactPath, ProjectPath, RunPath
from lineage.model.project import ProjectRecord, Visibility
from lineage.model.run import RunRecord, RunState
from lineage.sdk.artifact import Artifact
from lineage.sdk.collection import ArtifactCollection, ArtifactType
from lineage.sdk.graph import Graph
from lineage.sdk.host import offer, placed
from lineage.sdk.page import PER_PAGE, Page
from lineage.sdk.past import PastRun
from lineage.sdk.project import Project
from lineage.sdk.record import Batch, Receipt, recording
from lineage.sdk.session import connect
from lineage.sdk.settings import Settings, resolve
from lineage.sdk.sweep import Sweep

_ID = "_id/"
MOST_DIGITS = 19
"""Digits of the least number that the catalogue cannot hold."""


class Api:
    """See the top of this file. `overrides` may hold `entity` and `project`."""

    def __init__(
        self,
        overrides: Mapping[str, Any] | None = None,
        timeout: float | None = None,  # the W&B signature
        api_key: str | None = None,  # the W&B signature
        *,
        settings: Settings | Mapping[str, Any] | None = None,
    ) -> None:
        stated = {name: value for name, value in (overrides or {}).items() if name in ("entity", "project", "home")}
        self._begin(resolve(settings, stated))

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The `Api` that goes by settings which are resolved already."""
        api = cls.__new__(cls)
        api._begin(settings)  # noqa: SLF001  # the other way to make one of our own
        return api

    def _begin(self, settings: Settings) -> None:
        self.settings = settings
        self._projects: dict[ProjectPath, ProjectRecord] = {}
        self._batch: Batch | None = None

    @property
    def engine(self) -> Engine:
        """The open store."""
        return connect(self.settings)

    @property
    def entity(self) -> str:
        return self.settings.entity or self.engine.entity

    @property
    def project_name(self) -> str:
        return self.settings.default_project

    @property
    def default_entity(self) -> str:
        """The owner of what is named without one."""
        return self.entity

    @property
    def viewer(self) -> str:
        """The name of the local user."""
        return self.engine.entity

    def flush(self) -> None:
        """Nothing has to be forgotten: nothing is cached."""

    # ── handles ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def artifact_of(self, version: VersionRecord) -> Artifact:
        return Artifact.of(version, self)

    def new_artifact(self, name: str | None, type: str) -> Artifact:  # noqa: A002  # the W&B word
        return Artifact(name, type)

    def run_of(self, run: RunRecord) -> PastRun:
        return PastRun(run, self)

    def sweep_of(self, path: RunPath) -> Sweep:
        return Sweep(find.sweep(self.engine, placed(path, self)), self)

    def collection_of(self, collection: CollectionRecord) -> ArtifactCollection:
        return ArtifactCollection(collection, self)

    def _project(self, project: str | None, entity: str | None = None) -> ProjectPath:
        path = ProjectPath.parse(project)
        return placed(ProjectPath(path.project, path.entity or entity), self)

    # ── artifacts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def version_of(self, name: str) -> VersionRecord:
        """The version that `name` means."""
        text = str(name).removeprefix("wandb-artifact://").removeprefix("lineage-artifact://")
        if text.startswith(_ID):
            return find.version_by_id(self.engine, _order(text.removeprefix(_ID)))
        return find.version(self.engine, placed(ArtifactPath.parse(name), self))

    def artifact(self, name: str, type: str | None = None) -> Artifact:  # noqa: A002  # the W&B word
        """The version `[entity/][project/]name[:vN|:alias|:digest]`; without a selector the latest.

        Raises:
            NotFound: there is none.
            UsageError: it is of another type.
        """
        found = self.version_of(name)
        if type is not None and found.type != type:
            raise UsageError(f"{found.path} is of type {found.type!r}, not {type!r}")
        return self.artifact_of(found)

    def artifacts(
        self,
        type_name: str,
        name: str,
        order: str | None = None,
        per_page: int = PER_PAGE,
        tags: Sequence[str] | str | None = None,
        start: object = None,  # the W&B signature
    ) -> Page[Artifact]:
        """The versions of a collection, newest first (`order="+created_at"`: oldest first), those that carry all `tags`."""
        path = placed(ArtifactPath.parse(name), self)
        held = find.collection(self.engine, path)
        if held.type != type_name:
            raise NotFound(f"{held.path} is of type {held.type!r}, not {type_name!r}")
        found = find.versions(self.engine, path, tags=[tags] if isinstance(tags, str) else tags or ())
        ordered = found[::-1] if order is not None and not order.startswith("-") else found
        return Page.over(ordered, self.artifact_of, per_page)

    def artifact_versions(self, type_name: str, name: str, per_page: int = PER_PAGE) -> Page[Artifact]:
        """The old name of `artifacts`."""
        return self.artifacts(type_name, name, per_page=per_page)

    def artifact_exists(self, name: str, type: str | None = None) -> bool:  # noqa: A002  # the W&B word
        """Is there such a version that can be read?"""
        try:
            found = self.version_of(name)
        except NotFound:
            return False
        return found.is_live and type in (None, found.type)

    def artifact_collection(self, type_name: str, name: str) -> ArtifactCollection:
        """The collection `[entity/][project/]name`. Raises: NotFound, also when it is of another type."""
        held = find.collection(self.engine, placed(ArtifactPath.parse(name), self))
        if held.type != type_name:
            raise NotFound(f"{held.path} is of type {held.type!r}, not {type_name!r}")
        return self.collection_of(held)

    def artifact_collection_exists(self, name: str, type: str) -> bool:  # noqa: A002  # the W&B word
        """Is there a collection of that name and type?"""
        try:
            return find.collection(self.engine, placed(ArtifactPath.parse(name), self)).type == type
        except NotFound:
            return False

    def artifact_collections(self, project_name: str, type_name: str, per_page: int = PER_PAGE) -> Page[ArtifactCollection]:
        """The collections of one type in a project, by name."""
        return self.artifact_type(type_name, project_name).collections(per_page)

    def artifact_type(self, type_name: str, project: str | None = None) -> ArtifactType:
        """All of one type in a project."""
        return ArtifactType(type_name, self._project(project), self)

    def artifact_types(self, project: str | None = None) -> Page[ArtifactType]:
        """The types of the artifacts in a project."""
        path = self._project(project)
        return Page.of([ArtifactType(one, path, self) for one in find.types(self.engine, path)])

    # ── runs, projects, sweeps ────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, path: str) -> PastRun:
        """The run `[entity/][project/]id`; one whose process died is known as crashed from now on. Raises: RunNotFoundError."""
        end_crashed(self.engine)
        return self.run_of(find.run(self.engine, placed(RunPath.parse(path), self)))

    def runs(
        self,
        path: str | None = None,
        filters: Mapping[str, Any] | None = None,
        order: str | None = "+created_at",
        per_page: int = PER_PAGE,
        include_sweeps: bool = True,  # the W&B signature
        lazy: bool = True,  # the W&B signature
    ) -> Page[PastRun]:
        """The runs of a project that match `filters` (the Mongo dialect), ordered; `order` without a sign ascends.

        Raises:
            UsageError: a field or operator that is not in the grammar.
        """
        place = self._project(path)
        end_crashed(self.engine)

        def fetch(offset: int, limit: int) -> list[PastRun]:
            found = find.runs(self.engine, place, filters=filters, order=order, limit=limit, offset=offset)
            return [self.run_of(one) for one in found]

        page = Page(fetch, lambda: find.count_runs(self.engine, place, filters=filters), per_page)
        page[:1]  # a filter that cannot be is refused here, not at the first use
        return page

    def project(self, name: str, entity: str | None = None) -> Project:
        """The project of that name. Raises: NotFound."""
        return Project(find.project(self.engine, self._project(name, entity)), self)

    def projects(self, entity: str | None = None, per_page: int = 200) -> Page[Project]:
        """The projects of an entity, the default one unless given."""
        found = find.projects(self.engine, entity or self.entity)
        return Page.over(found, lambda each: Project(each, self), per_page)

    def create_project(self, name: str, entity: str | None = None, visibility: str = "private") -> Project:
        """The project of that name, made when it is not there."""
        if visibility not in list(Visibility):
            raise UsageError(f"visibility {visibility!r}: choose one of {', '.join(Visibility)}")
        return Project(create.project(self.engine, self._project(name, entity), visibility=Visibility(visibility)), self)

    def create_run(self, *, run_id: str | None = None, project: str | None = None, entity: str | None = None) -> PastRun:
        """A run that is pending: somebody else takes it up with `init(id=…, resume="allow")`."""
        started = start_run(self.engine, Opening(self._project(project, entity), run_id))
        return self.run_of(finish_run(self.engine, started.run.id, state=RunState.PENDING))

    def sweep(self, path: str) -> Sweep:
        """The sweep `[entity/][project/]id`. Raises: NotFound."""
        return self.sweep_of(RunPath.parse(path))

    def sweeps(self, path: str | None = None) -> Page[Sweep]:
        """The sweeps of a project, newest first."""
        return Page.of([Sweep(one, self) for one in find.sweeps(self.engine, self._project(path))])

    def from_path(self, path: str) -> PastRun | Sweep | Project | Artifact:
        """Whatever `path` leads to: an artifact where it has a colon, else a sweep, a run or a project."""
        if "/sweeps/" in path:
            return self.sweep(path)
        tries = (self.artifact, self.run, self.sweep, self.project) if ":" in path else (self.run, self.sweep, self.project)
        for ask in tries:
            try:
                return ask(path)
            except (NotFound, UsageError):
                continue
        raise NotFound(f"{path!r} is no run, sweep, project or artifact: write entity/project/name")

    # ── the whole graph ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def graph(self, project: str | None = None, *, everything: bool = False) -> Graph:
        """The graph of a project's artifacts and runs; with `everything` that of the whole store."""
        taken = graph(self.engine, None if everything else self._project(project))
        return Graph(self, lambda: taken)

    def record(
        self,
        run: str | None = None,
        *,
        used: Sequence[Any] = (),
        logged: Sequence[Any] = (),
        project: str | None = None,
        entity: str | None = None,
        job_type: str | None = None,
        group: str | None = None,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        summary: Mapping[str, Any] | None = None,
    ) -> Receipt:
        """Record a finished run whose bytes are kept elsewhere: what it used (artifacts, paths or orders), what it logged (names, or
        dictionaries with name, type, digest, …). One durable transaction, or part of `batch`'s.

        Raises:
            NotFound: something it used is not there; nothing was recorded.
            Conflict: a run of that id is.
        """
        place = self._ensured(self._project(project, entity))
        fields = {"job_type": job_type, "group": group, "name": name, "config": config, "summary": summary}
        stated = recording(run, used, logged, fields)
        if self._batch is not None:
            return self._batch.add(place, stated)
        return Receipt(self, record(self.engine, place, [stated])[0])

    def _ensured(self, path: ProjectPath) -> ProjectRecord:
        if path not in self._projects:
            self._projects[path] = create.project(self.engine, path)
        return self._projects[path]

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Have what is recorded inside the block committed when it ends, all at once; nothing of it when the block raises."""
        if self._batch is not None:
            raise UsageError("a batch is open already: end it before the next one")
        self._batch = batch = Batch(self)
        try:
            yield batch
        finally:
            self._batch = None
        batch.commit()

    def __repr__(self) -> str:
        return f"<Api of {self.settings.place}>"


def _order(text: str) -> int:
    if not (text.isdecimal() and len(text) < MOST_DIGITS):
        raise InvalidName(f"{text!r} is no artifact's id: an id is a whole number, as artifact.id gives it")
    return int(text)


offer(Api)

__all__ = ["Api", "Artifact"]
