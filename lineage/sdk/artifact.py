"""An artifact: built, logged, and from then on one immutable version.

    Artifact(…) ── add_* ──▶ draft ── log_artifact / save ──▶ committed ──▶ deleted, expired

Before it is logged everything the commit decides (version, aliases, times, links) raises `ArtifactNotLoggedError`, which is an
`AttributeError`, so `hasattr(artifact, "version")` says whether it is logged. Afterwards the content never changes; description, metadata,
aliases, tags and TTL are edited here and pushed by `save`. What an artifact takes in is in `builder`, what it gives out in `content`.
"""

from collections.abc import Sequence
from copy import deepcopy
from html import escape
from typing import Any, NoReturn, Self

from lineage.actions import check, create, find
from lineage.actions.compare import compare
from lineage.actions.delete import delete_version
from lineage.actions.finish import finish_run
from lineage.actions.link import unlink_version
from lineage.actions.log import Draft as Wanted
from lineage.actions.log import log_version
from lineage.actions.start import Opening, start_run
from lineage.actions.walk import makers, users
from lineage.model.artifact import VersionRecord, require_type
from lineage.model.document import check_document
from lineage.model.errors import ArtifactStatusError, NotFound, UsageError
from lineage.model.names import LATEST, ArtifactPath, ProjectPath, check_alias, check_tag, slug
from lineage.model.node import NodeId
from lineage.model.project import ProjectRecord
from lineage.sdk.active import ACTIVE
from lineage.sdk.builder import Builder
from lineage.sdk.content import Content
from lineage.sdk.difference import Diff
from lineage.sdk.draft import Draft
from lineage.sdk.drift import Drift
from lineage.sdk.host import Host, default_host, placed
from lineage.sdk.kin import Kin
from lineage.sdk.label import Label, listed
from lineage.sdk.membership import Membership
from lineage.sdk.terminal import termlog
from storage.blob.store import Store
from storage.transfer.statcache import StatCache


class Artifact(Content, Builder, Label, Membership, Kin):
    """See the top of this file.

    >>> artifact = Artifact("mnist", type="dataset", metadata={"split": "train"})
    >>> artifact.state
    'PENDING'
    """

    def __init__(
        self,
        name: str | None = None,
        type: str | None = None,  # noqa: A002  # the W&B word
        description: str | None = None,
        metadata: dict[str, Any] | str | None = None,
        incremental: bool = False,
        use_as: str | None = None,
        storage_region: str | None = None,
        digest_algorithm: str = "MD5",
    ) -> None:
        if storage_region is not None and not storage_region.strip():
            raise UsageError("storage_region is empty: name one, or leave it out")
        self._host: Host | None = None
        self._version: VersionRecord | None = None
        self._draft: Draft | None = None
        self._draft = Draft(
            name, type, _staging, description=description, metadata=metadata, incremental=incremental, digest_algorithm=digest_algorithm
        )
        self.use_as = use_as
        self.storage_region = storage_region

    @classmethod
    def of(cls, version: VersionRecord, host: Host) -> Self:
        """The handle of a committed version."""
        handle = cls.__new__(cls)
        handle.become(version, host)
        return handle

    def become(self, version: VersionRecord, host: Host) -> None:
        """Stand for `version` from now on, without a draft and without any edit."""
        self._host, self._draft, self._faces = host, None, None
        self._settle(version)

    use_as: str | None = None
    storage_region: str | None = None
    distributed_id: str | None = None

    # ── from draft to version ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def save(self, project: str | None = None, settings: object = None) -> None:  # the W&B signature
        """Log a draft, to the active run or to a run made for it; of a logged artifact push what was edited.

        Raises:
            InvalidMetadata, InvalidName, InvalidPolicy: nothing was pushed.
            Gone: it was deleted or expired meanwhile.
        """
        if self._draft is None:
            self._push()
        elif ACTIVE.current is not None and project is None:
            ACTIVE.current.log_artifact(self)
        else:
            self._save_alone(project)

    def _save_alone(self, project: str | None) -> None:
        host = default_host()
        path = placed(ProjectPath.parse(project), host)
        started = start_run(host.engine, Opening(path, job_type="auto"))
        try:
            self.commit(host, create.project(host.engine, path), run=started.run.name, run_id=started.run.id)
        except BaseException:
            finish_run(host.engine, started.run.id, exit_code=1)
            raise
        finish_run(host.engine, started.run.id)

    def is_draft(self) -> bool:
        return self._version is None

    def commit(
        self,
        host: Host,
        project: ProjectRecord,
        *,
        run: str | None = None,
        run_id: int | None = None,
        aliases: Sequence[str] = (),
        tags: Sequence[str] = (),
        step: int | None = None,
    ) -> None:
        """Log the draft into `project`; when this returns it is a version that survives any crash. For runs; scripts call `log_artifact`.

        Raises:
            UsageError: the collection holds another type, or the draft is of another project.
        """
        draft = self._draft
        if draft is None:
            raise ArtifactStatusError(f"{self!r} is logged already")
        name = draft.name or self._named(draft, run)
        _check_place(draft, name, host, project)
        wanted = Wanted(name, draft.type, draft.description, check_document(draft.metadata), draft.policy, step)
        given = [check_alias(alias) for alias in listed(aliases) if alias != LATEST]
        labels = [check_tag(tag) for tag in listed(tags)]
        session = draft.settle(host.engine.store(project.domain))
        entries, draft.is_final = draft.spend(), True
        logged = log_version(
            host.engine, project, wanted, entries, session, run_id=run_id, aliases=given, tags=labels, incremental=draft.incremental
        )
        self.become(logged.version, host)
        if not logged.is_new:
            termlog(f"{name}: the same content is {logged.version.name} already; no new version was made, its aliases were moved")

    def _named(self, draft: Draft, run: str | None) -> str:
        name = slug(f"run-{run}-{draft.type}" if run is not None else draft.type)
        termlog(f"the artifact of type {draft.type!r} has no name: logged as {name!r}")
        return name

    def show(self, other: "Artifact") -> None:
        """Stand for the version that `other` stands for: the same content, logged again."""
        self.become(other.require("version"), self._host or default_host())

    def wait(self, timeout: float | None = None) -> Self:  # logging has happened when it returned
        """The artifact itself, committed.

        Raises:
            ArtifactNotLoggedError: nobody has logged it.
        """
        self.require("version")
        return self

    def new_draft(self) -> "Artifact":
        """A draft with the same content, name, type, description and metadata; without aliases, tags and TTL."""
        host, version = self._committed("content")
        source = version if version.source is None else self.source_artifact.require("content")
        copy = Artifact(source.collection, source.type, source.description, deepcopy(dict(source.metadata)))
        draft = copy._open_draft()
        draft.place_in(host.engine.store(source.domain), host.engine.trees)
        draft.base = source
        draft.adopt(self._entries().values(), host.engine.store(source.domain))
        return copy

    def delete(self, delete_aliases: bool = False) -> None:
        """Make a tombstone of it: its content goes, its name, digest and edges stay. A link is only unlinked.

        Raises:
            Conflict: it carries aliases, and `delete_aliases` is false.
        """
        host, version = self._committed("version")
        if version.source is not None:
            unlink_version(host.engine, version)
            return
        delete_version(host.engine, version, delete_aliases=delete_aliases)
        self._settle(find.version_by_id(host.engine, version.id))

    # ── lineage ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _node(self) -> tuple[Host, NodeId]:
        host, version = self._committed("lineage")
        return host, NodeId.artifact(version.id)

    def logged_by(self, all: bool = False) -> Any:  # noqa: A002  # it reads as a question
        """The run that made it, or `None`; with `all` every run that logged this content, the maker first."""
        host, version = self._committed("logged_by")
        maker, everyone = makers(host.engine, version.id)
        if not all:
            return None if maker is None else host.run_of(find.run_by_id(host.engine, maker))
        return [host.run_of(run) for run in find.runs_by_id(host.engine, everyone)]

    def used_by(self) -> list[Any]:
        """The runs that used it, in order of use."""
        host, version = self._committed("used_by")
        return [host.run_of(run) for run in find.runs_by_id(host.engine, users(host.engine, version.id))]

    def diff(self, other: "Artifact | str") -> Diff:
        """What differs from this version to `other`, and why it may: `v6.diff("classifier:v7")` says what v7 brought.

        Raises:
            NotFound: there is no such version.
            ArtifactNotLoggedError: one of them is a draft.
        """
        host, before = self._committed("diff")
        after = other.require("diff") if isinstance(other, Artifact) else host.version_of(other)
        return Diff(host, compare(host.engine, before, after))

    def drift(self) -> Drift:
        """Which references, its own and those of everything it was made from, no longer lead to what was pinned, as last checked."""
        host, version = self._committed("drift")
        return Drift(host, version.path, check.drift(host.engine, version.id))

    # ── as a value ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def json_encode(self) -> dict[str, Any]:
        """What stands in a run's configuration for it."""
        version = self.require("id")
        named = {"id": str(version.id), "version": f"v{version.number}", "sequenceName": version.collection, "usedAs": self.use_as}
        return {"_type": "artifactVersion", "_version": "v0", **named}

    def __len__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no length: ask len(artifact.manifest)")

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        if self._version is None:
            draft = self._draft
            return f"<Artifact {draft.name if draft else '?'} ({self.type}), draft of {len(draft.tree.entries) if draft else 0} entries>"
        aliases = f" [{', '.join(self._version.aliases)}]" if self._version.aliases else ""
        state = "" if self._version.is_live else f", {self.state.lower()}"
        return f"<Artifact {self._version.path} ({self.type}){aliases}{state}>"

    def _repr_html_(self) -> str:
        rows = {
            "type": self.type,
            "state": self.state,
            "digest": self.digest,
            "size": f"{self.size:,} bytes",
            "metadata": self.metadata or "",
        }
        cells = "".join(f"<tr><th align=left>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
        return f"<table><caption>{escape(self._version.path if self._version else self.name or 'draft')}</caption>{cells}</table>"


def _staging() -> tuple[Store, StatCache]:
    """Where a draft's bytes go before anybody said which run will log it: the active run's project, else the default one."""
    if ACTIVE.current is not None:
        return ACTIVE.current.store, ACTIVE.current.trees
    host = default_host()
    return host.engine.store(create.project(host.engine, placed(ProjectPath(), host)).domain), host.engine.trees


def _check_place(draft: Draft, name: str, host: Host, project: ProjectRecord) -> None:
    base = draft.base
    if base is not None and (base.entity, base.project) != (project.entity, project.name):
        raise UsageError(f"this draft comes from {base.path} and cannot be logged to {project.path}: log it to its own project and link it")
    try:
        held = find.collection(host.engine, ArtifactPath(name, None, project.name, project.entity))
    except NotFound:
        return
    require_type(held.path, held.type, draft.type)
