"""What a live run takes and gives: artifacts used, logged, linked, and the edges that say so.

Logging is done when the call returns: nothing that was acknowledged can be lost. Using records an edge; downloading through `Api` does not.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lineage.actions import find
from lineage.actions.open import Engine
from lineage.actions.use import use_version
from lineage.actions.walk import logged, used
from lineage.model.errors import NotFound, UnsupportedError, UsageError
from lineage.model.names import ArtifactPath, ProjectPath, slug
from lineage.model.node import NodeId
from lineage.model.project import ProjectRecord
from lineage.model.run import RunRecord
from lineage.sdk import code
from lineage.sdk.host import Host, artifacts
from lineage.sdk.kin import Kin
from lineage.sdk.label import listed
from lineage.sdk.media import Histogram, Media
from lineage.sdk.membership import link_target
from lineage.sdk.page import Page
from lineage.sdk.terminal import termlog, termwarn
from storage.blob.store import Store
from storage.transfer.statcache import StatCache

MODEL_REGISTRY = "model-registry"
_NOT_HERE = "runs of several processes that write one version are not offered: log one artifact per process, or gather the files first"


class Exchange(Kin):
    """See the top of this file."""

    _host: Host
    _record: RunRecord
    _place: ProjectRecord

    def _require_alive(self) -> None:
        raise NotImplementedError

    @property
    def step(self) -> int:
        raise NotImplementedError

    @property
    def engine(self) -> Engine:
        return self._host.engine

    @property
    def store(self) -> Store:
        """The blobs of the run's project."""
        return self._host.engine.store(self._place.domain)

    @property
    def trees(self) -> StatCache:
        """What is remembered of directories on this machine."""
        return self._host.engine.trees

    def _node(self) -> tuple[Host, NodeId]:
        return self._host, NodeId.run(self._record.id)

    # ── log ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def log_artifact(
        self,
        artifact_or_path: Any,
        name: str | None = None,
        type: str | None = None,  # noqa: A002  # the W&B word
        aliases: Sequence[str] | str | None = None,
        tags: Sequence[str] | str | None = None,
    ) -> Any:
        """The artifact, committed: a version that survives any crash when this returns. A path becomes an artifact first.

        The same content as an earlier version of the collection is that version; `latest` and the given aliases move to it.

        Raises:
            UsageError: neither artifact nor path, another type than the collection holds, or content of another project.
            InvalidName, InvalidMetadata: nothing was logged.
        """
        self._require_alive()
        artifact = artifact_or_path if hasattr(artifact_or_path, "is_draft") else self._artifact_from(artifact_or_path, name, type)
        draft = artifact if artifact.is_draft() else self._again(artifact)
        step = None if self.step == 0 else self.step - 1
        draft.commit(
            self._host,
            self._place,
            run=self._record.name,
            run_id=self._record.id,
            aliases=listed(aliases),
            tags=listed(tags),
            step=step,
        )
        if draft is not artifact:
            artifact.show(draft)
        self._logged += 1
        return artifact

    _logged = 0

    def _artifact_from(self, path: object, name: str | None, type: str | None) -> Any:  # noqa: A002  # the W&B word
        if not isinstance(path, str | os.PathLike):
            raise UsageError(f"log_artifact takes an artifact or a path, not {path.__class__.__name__}")
        text = os.fspath(path)
        bare = text.rstrip("/").rpartition("/")[2]
        ways: tuple[tuple[Callable[[str], bool], str], ...] = (
            (os.path.isfile, "add_file"),
            (os.path.isdir, "add_dir"),
            (lambda given: "://" in given, "add_reference"),
        )
        add = next((way for is_it, way in ways if is_it(text)), None)
        if add is None:
            raise UsageError(f"{text!r} is no file, directory or URI: check the path, or build an Artifact")
        artifact = self._host.new_artifact(name or slug(f"run-{self._record.name}-{bare}"), type or "unspecified")
        getattr(artifact, add)(text)
        return artifact

    def _again(self, artifact: Any) -> Any:
        place = (artifact.source_entity, artifact.source_project)
        if place != (self._place.entity, self._place.name):
            raise UsageError(
                f"{artifact!r} belongs to another project: link it with run.link_artifact, or build an artifact from its content"
            )
        return artifact.new_draft()

    def log_model(self, path: str | Path, name: str | None = None, aliases: Sequence[str] | str | None = None) -> Any:
        """A file or directory, logged as an artifact of type `model`."""
        return self.log_artifact(path, name=name, type="model", aliases=aliases)

    def log_code(
        self,
        root: str | None = ".",
        name: str | None = None,
        include_fn: code.Choose | None = None,
        exclude_fn: code.Choose | None = None,
    ) -> Any:
        """The program's source files below `root`, logged as an artifact of type `code`; `None` when there are none."""
        found = code.sources(Path(root or "."), include_fn, exclude_fn)
        if not found:
            termwarn(f"no source files below {root}: nothing was logged")
            return None
        artifact = self._host.new_artifact(name or code.name_of(self._place.name, Path(root or ".")), "code")
        for path, entry in found:
            artifact.add_file(path, name=entry)
        return self.log_artifact(artifact)

    def keep_media(self, key: str, media: Media | Sequence[Media], step: int) -> dict[str, Any]:
        """What a history row holds for media: where they were logged."""
        if isinstance(media, Histogram):
            return {"_type": media.kind, **media.document()[0]}
        several = [media] if isinstance(media, Media) else list(media)
        artifact = self._host.new_artifact(slug(f"run-{self._record.name}-{key}"), several[0].artifact_type)
        paths = [artifact.add(one, slug(key) if len(several) == 1 else f"{slug(key)}_{at}").path for at, one in enumerate(several)]
        artifact.commit(self._host, self._place, run=self._record.name, run_id=self._record.id, step=step)
        return {"_type": several[0].kind, "artifact_path": artifact.qualified_name, "paths": paths, "count": len(paths)}

    def upsert_artifact(self, *_: object, **__: object) -> Any:
        raise UnsupportedError(_NOT_HERE)

    def finish_artifact(self, *_: object, **__: object) -> Any:
        raise UnsupportedError(_NOT_HERE)

    # ── use ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def use_artifact(
        self,
        artifact_or_name: Any,
        type: str | None = None,  # noqa: A002  # the W&B word
        aliases: Sequence[str] | str | None = None,
        use_as: str | None = None,
    ) -> Any:
        """The artifact, and the fact that this run used it. A draft is logged first, made by no run.

        Raises:
            NotFound: there is none of that name.
            UsageError: it is of another type.
            Gone: it was deleted or expired.
        """
        self._require_alive()
        artifact = artifact_or_name
        if isinstance(artifact_or_name, str):
            artifact = self._host.artifact_of(self._host.version_of(artifact_or_name))
        elif not hasattr(artifact_or_name, "is_draft"):
            raise UsageError(f"use_artifact takes an artifact or its name, not {artifact_or_name.__class__.__name__}")
        if type is not None and artifact.type != type:
            raise UsageError(f"{artifact!r} is of type {artifact.type!r}, not {type!r}")
        if artifact.is_draft():
            artifact.commit(self._host, self._place, aliases=listed(aliases))
        use_version(self._host.engine, self._record.id, artifact.require("id"), use_as)
        self._used += 1
        return artifact

    _used = 0

    def use_model(self, name: str) -> str:
        """Where a model's files are now; the file itself when it is a single one.

        Raises:
            UsageError: it is no model.
        """
        artifact = self.use_artifact(name)
        if "model" not in artifact.type:
            raise UsageError(f"{artifact!r} is no model: use_model wants a type with 'model' in it, use_artifact takes any")
        path = artifact.download()
        return str(Path(path) / next(iter(artifact.manifest))) if artifact.file_count == 1 else path

    # ── link ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def link_artifact(self, artifact: Any, target_path: str, aliases: Sequence[str] | str | None = None) -> Any:
        """The artifact as seen through the collection `[entity/][project/]collection`; a draft is logged first."""
        self._require_alive()
        target, place = link_target(target_path), self._place
        full = replace(target, project=target.project or place.name, entity=target.entity or place.entity)
        if artifact.is_draft():
            self.log_artifact(artifact)
        return artifact.link(str(full), aliases)

    def link_model(
        self, path: str | Path, registered_model_name: str, name: str | None = None, aliases: Sequence[str] | str | None = None
    ) -> Any:
        """A file or directory, logged as a model and linked into the model registry."""
        target = ArtifactPath(registered_model_name, None, MODEL_REGISTRY, self._place.entity)
        try:
            held = find.collection(self._host.engine, target)
        except NotFound:
            held = None
        if held is not None and "model" not in held.type:
            raise UsageError(f"{held.path} holds type {held.type!r}: a registered model is a collection of models")
        return self.link_artifact(self.log_model(path, name, aliases), str(target), aliases)

    # ── asked afterwards ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def logged_artifacts(self, per_page: int = 100) -> Page[Any]:
        """The artifacts it logged so far."""
        return artifacts(self._host, logged(self._host.engine, self._record.id), per_page)

    def used_artifacts(self, per_page: int = 100) -> Page[Any]:
        """The artifacts it used so far."""
        return artifacts(self._host, used(self._host.engine, self._record.id), per_page)

    def adopt(self, key: str, value: Any) -> tuple[Any, Any]:
        """A configuration value that is an artifact: used, and kept as a reference."""
        artifact = self.use_artifact(value)
        termlog(f"config {key!r} uses {artifact.qualified_name}")
        return artifact, artifact.json_encode()

    @property
    def project_path(self) -> ProjectPath:
        return ProjectPath(self._place.name, self._place.entity)
