"""Make a project."""

from lineage.actions.open import Engine, ensure_project
from lineage.model.names import ProjectPath
from lineage.model.project import ProjectRecord, Visibility


def project(engine: Engine, path: ProjectPath, *, visibility: Visibility = Visibility.PRIVATE) -> ProjectRecord:
    """The project, made when it is not there; one that is there keeps its visibility."""
    return ensure_project(engine, path, visibility)
