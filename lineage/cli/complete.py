"""What the Tab key offers: names that are in the store. It answers quickly or not at all, and never says that something went wrong."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from lineage.actions import find
from lineage.actions.open import Engine, open_engine
from lineage.model.errors import Error
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.sdk.settings import Settings, resolve
from storage.errors import StorageError

Names = Callable[[Engine, Settings], Iterator[str]]


def project_names(incomplete: str) -> list[str]:
    """Projects that begin with what was typed so far."""
    return _begun(incomplete, lambda engine, _: (project.name for project in find.projects(engine)))


def artifact_names(incomplete: str) -> list[str]:
    """Collections, as `project/name`; after the colon, aliases and versions."""
    return _begun(incomplete, _versions(incomplete.partition(":")[0]) if ":" in incomplete else _collections)


def _collections(engine: Engine, _: Settings) -> Iterator[str]:
    for project in find.projects(engine):
        for collection in find.collections(engine, ProjectPath(project.name, project.entity)):
            yield f"{project.name}/{collection.name}"


def _versions(place: str) -> Names:
    def names(engine: Engine, settings: Settings) -> Iterator[str]:
        path = ArtifactPath.parse(place)
        path = replace(path, project=path.project or settings.project, entity=path.entity or settings.entity)
        for version in find.versions(engine, path):
            yield from (f"{place}:{selector}" for selector in (*version.aliases, f"v{version.number}"))

    return names


def _begun(incomplete: str, names: Names) -> list[str]:
    try:
        settings = resolve()
        engine = open_engine(settings.place, create=False)
    except (Error, StorageError):
        return []
    try:
        return [name for name in names(engine, settings) if name.startswith(incomplete)]
    except (Error, StorageError):
        return []
    finally:
        engine.close()
