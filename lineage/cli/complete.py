"""What the Tab key offers: names that are in the store. It answers quickly or not at all, and never says that something went wrong."""

from collections.abc import Callable, Iterator

from lineage.actions import find
from lineage.actions.open import Engine, open_engine
from lineage.model.errors import Error
from lineage.model.names import ArtifactPath, ProjectPath
from lineage.sdk.settings import resolve
from storage.errors import StorageError


def project_names(incomplete: str) -> list[str]:
    """Projects that begin with what was typed so far."""
    return _begun(incomplete, lambda engine: iter([project.name for project in find.projects(engine)]))


def artifact_names(incomplete: str) -> list[str]:
    """Collections, as `project/name`; after the colon, versions and aliases."""
    return _begun(incomplete, _versions(incomplete) if ":" in incomplete else _collections)


def _collections(engine: Engine) -> Iterator[str]:
    for project in find.projects(engine):
        for collection in find.collections(engine, ProjectPath(project.name, project.entity)):
            yield f"{project.name}/{collection.name}"


def _versions(incomplete: str) -> Callable[[Engine], Iterator[str]]:
    place = incomplete.partition(":")[0]

    def names(engine: Engine) -> Iterator[str]:
        for version in find.versions(engine, ArtifactPath.parse(place)):
            yield from (f"{place}:{selector}" for selector in (*version.aliases, f"v{version.number}"))

    return names


def _begun(incomplete: str, names: Callable[[Engine], Iterator[str]]) -> list[str]:
    try:
        engine = open_engine(resolve().place, create=False)
    except (Error, StorageError):
        return []
    try:
        return [name for name in names(engine) if name.startswith(incomplete)]
    except (Error, StorageError):
        return []
    finally:
        engine.close()
