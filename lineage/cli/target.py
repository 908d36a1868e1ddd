"""What a word on the command line means when it could be several things: a version or a run, a project or a collection.

A path is asked for as each thing it could be; exactly one may answer. `runs/` before the last part says that a run is meant, a colon and
what follows it that a version is. Nothing is guessed: two answers are an error that names both spellings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lineage.actions import find
from lineage.actions.open import Engine
from lineage.cli.shell import Shell
from lineage.model.artifact import CollectionRecord, VersionRecord
from lineage.model.errors import CommError, InvalidName, NotFound, UsageError
from lineage.model.names import ArtifactPath, ProjectPath, RunPath
from lineage.model.node import NodeId
from lineage.model.project import ProjectRecord
from lineage.model.run import RunRecord

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Target:
    """A node of the graph: a version or a run."""

    found: VersionRecord | RunRecord

    @property
    def node(self) -> NodeId:
        return NodeId.artifact(self.found.id) if isinstance(self.found, VersionRecord) else NodeId.run(self.found.id)

    @property
    def name(self) -> str:
        return self.found.path


def node(shell: Shell, engine: Engine, text: str) -> Target:
    """The version or run that `text` names.

    Raises:
        NotFound: neither is there.
        UsageError: both are.
    """
    is_run = text.startswith("runs/") or "/runs/" in text
    version = None if is_run else _asked(lambda: find.version(engine, shell.artifact(text)))
    run = None if version is not None and ":" in text else _asked(lambda: find.run(engine, shell.run(text)))
    if version is not None and run is not None:
        raise UsageError(f"{text!r} is an artifact and a run: write {version.path} or {run.entity}/{run.project}/runs/{run.name}")
    found = version or run
    if found is None:
        raise NotFound(f"there is neither an artifact nor a run {text!r}{_searched(engine, text)}")
    return Target(found)


def version(shell: Shell, engine: Engine, text: str) -> VersionRecord:
    """The version that `text` names.

    Raises:
        NotFound: it is not there; the message says where it was looked for.
    """
    try:
        return find.version(engine, shell.artifact(text))
    except NotFound as error:
        raise NotFound(f"{error}{_searched(engine, text)}") from error


def project(shell: Shell, engine: Engine, text: str) -> ProjectRecord | None:
    """The project that `text` names, if it names one."""
    return _asked(lambda: find.project(engine, shell.project(text)))


def path(project: ProjectRecord) -> ProjectPath:
    return ProjectPath(project.name, project.entity)


def container(shell: Shell, engine: Engine, text: str) -> ProjectRecord | CollectionRecord:
    """The project or collection that `text` names; a project wins, for a collection can be written with its project.

    Raises:
        NotFound: neither is there.
    """
    found = project(shell, engine, text)
    if found is not None:
        return found
    collection = _asked(lambda: find.collection(engine, shell.artifact(text)))
    if collection is None:
        raise NotFound(f"there is neither a project nor an artifact {text!r}{_searched(engine, text)}")
    return collection


def _asked(question: Callable[[], Found]) -> Found | None:
    """The answer, or `None` when there is no such thing or the text could not be its name."""
    try:
        return question()
    except (NotFound, InvalidName):
        return None


def _searched(engine: Engine, text: str) -> str:
    """Where else the last part of a path is, for a message that helps."""
    if "/" in text.removeprefix("runs/"):
        return ""
    try:
        wanted = ArtifactPath.parse(text.replace("/runs/", "/").removeprefix("runs/"))
        run = RunPath.parse(text).run
        near = [each for each in find.projects(engine) if _holds(engine, each, wanted.collection, run)]
    except (CommError, UsageError):
        return ""
    if not near:
        return ""
    return f"; there is one in {', '.join(each.name for each in near[:3])}: write {near[0].name}/{text.rpartition('/')[2]}"


def _holds(engine: Engine, project: ProjectRecord, collection: str, run: str) -> bool:
    place = (project.name, project.entity)
    named = _asked(lambda: find.collection(engine, ArtifactPath(collection, None, *place)))
    return named is not None or _asked(lambda: find.run(engine, RunPath(run, *place))) is not None
