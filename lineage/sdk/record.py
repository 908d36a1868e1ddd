"""History that happened elsewhere: runs recorded whole, with what they used and logged, one at a time or many in one transaction.

Nothing of a batch is there before its block ends, and nothing at all when the block raises.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from lineage.actions import find
from lineage.actions.record import Output, Recorded, Recording, record
from lineage.model.artifact import VersionRecord
from lineage.model.errors import UsageError
from lineage.model.project import ProjectRecord
from lineage.sdk.host import Host


class Receipt:
    """What a recorded run became: its id, and the artifacts it logged. Inside a batch it is empty until the block ends."""

    __slots__ = ("_host", "_recorded")

    def __init__(self, host: Host, recorded: Recorded | None = None) -> None:
        self._host = host
        self._recorded = recorded

    def fill(self, recorded: Recorded) -> None:
        self._recorded = recorded

    @property
    def recorded(self) -> Recorded:
        if self._recorded is None:
            raise UsageError("this run is recorded when the `with api.batch():` block ends: ask afterwards")
        return self._recorded

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.recorded.run

    @property
    def run(self) -> Any:
        """The run."""
        return self._host.run_of(find.run_by_id(self._host.engine, self.recorded.run_id))

    @property
    def versions(self) -> tuple[int, ...]:
        """The orders of what it logged, which other records may give as `used`."""
        return self.recorded.versions

    @property
    def artifacts(self) -> list[Any]:
        """What it logged."""
        return [self._host.artifact_of(version) for version in find.versions_by_id(self._host.engine, self.versions)]

    def __repr__(self) -> str:
        return (
            "<Receipt, waiting for its batch>"
            if self._recorded is None
            else f"<Receipt of run {self.run_id}, {len(self.versions)} artifacts>"
        )


_OUTPUT = tuple(each.name for each in fields(Output))
"""What a dictionary may say of a version."""


class Batch:
    """Records that wait for the end of their block; one durable transaction for each project they belong to."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiting: dict[int, tuple[ProjectRecord, list[tuple[Recording, Receipt]]]] = {}

    def add(self, project: ProjectRecord, recording: Recording) -> Receipt:
        receipt = Receipt(self._host)
        self._waiting.setdefault(project.id, (project, []))[1].append((recording, receipt))
        return receipt

    def commit(self) -> None:
        """Record everything that waits."""
        for project, waiting in self._waiting.values():
            done = record(self._host.engine, project, [recording for recording, _ in waiting])
            for (_, receipt), recorded in zip(waiting, done, strict=True):
                receipt.fill(recorded)
        self._waiting.clear()


def recording(run: str | None, used: Sequence[Any], logged: Sequence[Any], more: Mapping[str, Any]) -> Recording:
    """What `api.record` was given, as the engine takes it."""
    stated = {name: value for name, value in more.items() if value is not None}
    return Recording(run, tuple(map(_input, _several(used))), tuple(map(_output, _several(logged))), **stated)


def _several(given: Any) -> Sequence[Any]:
    if isinstance(given, str | Mapping):
        return (given,)
    if not isinstance(given, Iterable):
        raise UsageError(f"{given!r} is no list: give a list of artifacts, paths, names or dictionaries")
    return tuple(given)


def _input(given: Any) -> VersionRecord | int | str:
    if isinstance(given, int | str | VersionRecord):
        return given
    own = getattr(given, "require", None)
    if not callable(own):
        raise UsageError(f"used holds {given!r}: give an artifact, its path, or its order")
    found: VersionRecord = own("id")
    return found


def _output(given: Any) -> Output | str:
    if isinstance(given, Mapping):
        unknown = sorted(given.keys() - _OUTPUT)
        if unknown or "name" not in given:
            raise UsageError(f"logged holds {given!r}: give a name, and of {', '.join(_OUTPUT[1:])} what there is to say")
        return Output(**{str(name): value for name, value in given.items()})
    if isinstance(given, str | Output):
        return given
    raise UsageError(f"logged holds {given!r}: give a name, or a dictionary with name, type, digest, size, aliases, metadata")
