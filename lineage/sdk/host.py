"""What a handle may ask of the `Api` that made it, and where a path without an owner leads.

Handles never import each other: an artifact that wants its maker asks its host for the handle of a run, and the other way round. So this
file knows neither, and their types cannot be named here.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from lineage.actions import find
from lineage.actions.open import Engine
from lineage.model.artifact import CollectionRecord, VersionRecord
from lineage.model.errors import Error
from lineage.model.names import ArtifactPath, ProjectPath, RunPath, check_entity, check_project
from lineage.model.run import RunRecord
from lineage.sdk.page import PER_PAGE, Page
from lineage.sdk.settings import Settings

AnyPath = TypeVar("AnyPath", ArtifactPath, RunPath, ProjectPath)


class Host(Protocol):
    """The maker of handles."""

    @property
    def engine(self) -> Engine: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def entity(self) -> str:
        """The owner of what is named without one."""

    @property
    def project_name(self) -> str:
        """The project of what is named without one."""

    def artifact_of(self, version: VersionRecord) -> Any:
        """The handle of a version."""

    def new_artifact(self, name: str | None, type: str) -> Any:  # noqa: A002  # the W&B word
        """A draft."""

    def version_of(self, name: str) -> VersionRecord:
        """The version that a path names."""

    def run_of(self, run: RunRecord) -> Any:
        """The handle of a run."""

    def sweep_of(self, path: RunPath) -> Any:
        """The handle of a sweep."""

    def collection_of(self, collection: CollectionRecord) -> Any:
        """The handle of a collection."""


def placed(path: AnyPath, host: Host) -> AnyPath:
    """`path` with its owner and project filled in.

    Raises:
        InvalidName: one of them, wherever it came from, is not a name.
    """
    return replace(path, entity=check_entity(path.entity or host.entity), project=check_project(path.project or host.project_name))


def artifacts(host: Host, orders: Sequence[int], per_page: int = PER_PAGE) -> Page[Any]:
    """The handles of the versions with these orders, looked up a page at a time."""

    def fetch(offset: int, limit: int) -> list[Any]:
        return [host.artifact_of(version) for version in find.versions_by_id(host.engine, orders[offset : offset + limit])]

    return Page(fetch, lambda: len(orders), per_page)


def runs(host: Host, numbers: Sequence[int], per_page: int = PER_PAGE) -> Page[Any]:
    """The handles of the runs with these numbers, looked up a page at a time."""

    def fetch(offset: int, limit: int) -> list[Any]:
        return [host.run_of(run) for run in find.runs_by_id(host.engine, numbers[offset : offset + limit])]

    return Page(fetch, lambda: len(numbers), per_page)


_OFFERS: list[Callable[[], Host]] = []


def offer(make: Callable[[], Host]) -> Callable[[], Host]:
    """Have `default_host` answer with what `make` makes."""
    _OFFERS.append(make)
    return make


def default_host() -> Host:
    """The host of whoever has none yet: an artifact that a script has built and nobody has logged.

    Raises:
        Error: nobody offered to be one.
    """
    if not _OFFERS:
        raise Error("this handle was imported from its room: take it from `lineage`, which knows where it belongs")
    return _OFFERS[-1]()
