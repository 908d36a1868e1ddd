"""What may be said of an artifact after it is logged: description, metadata, aliases, tags, TTL, a hold. Edited here, pushed by `save`.

None of it is part of the content, so editing never makes a version. Each value is judged when it is assigned and again when it is pushed;
what was changed in place is found by comparing with what the catalogue gave.
"""

import datetime as dt
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from lineage.actions.update import UNSET, effective_ttl, move_aliases, preview_ttl, update_version
from lineage.model.artifact import VersionRecord
from lineage.model.document import check_document
from lineage.model.errors import ArtifactNotLoggedError, InvalidName, UsageError
from lineage.model.names import LATEST, check_alias, check_tag
from lineage.model.retention import TTL, ArtifactTTL, Policy
from lineage.sdk.lifetime import warn_due
from lineage.sdk.terminal import termwarn
from lineage.sdk.version import Version


class Label(Version):
    """See the top of this file."""

    _aliases: list[str]
    _tags: list[str]
    _metadata: dict[str, Any]
    _description: str | None
    _ttl: TTL
    _has_new_ttl: bool
    _is_held: bool

    def _settle(self, version: VersionRecord) -> None:
        """Show `version` from now on, without any edit of ours."""
        self._version = version
        self._aliases, self._tags = list(version.aliases), list(version.tags)
        self._metadata = deepcopy(dict(version.metadata))
        self._description = version.description
        self._ttl, self._has_new_ttl = None, False
        self._is_held = version.is_held

    @property
    def description(self) -> str | None:
        return self._draft.description if self._draft is not None else self._description

    @description.setter
    def description(self, value: str | None) -> None:
        if self._draft is not None:
            self._draft.description = value
        else:
            self._description = value

    @property
    def metadata(self) -> dict[str, Any]:
        """JSON values by key; change it in place or assign it, then `save`."""
        return self._draft.metadata if self._draft is not None else self._metadata

    @metadata.setter
    def metadata(self, value: object) -> None:
        checked = check_document(value)
        if self._draft is not None:
            self._draft.metadata = checked
        else:
            self._metadata = checked

    @property
    def aliases(self) -> list[str]:
        """The movable names on it; change the list or assign one, then `save`. `latest` is kept by the store."""
        self.require("aliases")
        return self._aliases

    @aliases.setter
    def aliases(self, value: Sequence[str]) -> None:
        self.require("aliases")
        self._aliases = [alias if alias == LATEST else check_alias(alias) for alias in listed(value)]

    @property
    def tags(self) -> list[str]:
        """Labels, which resolve nothing; change the list or assign one, then `save`."""
        self.require("tags")
        return self._tags

    @tags.setter
    def tags(self, value: Sequence[str]) -> None:
        self.require("tags")
        self._tags = [check_tag(tag) for tag in listed(value)]

    @property
    def ttl(self) -> dt.timedelta | None:
        """How long it is kept, counted from its creation; `None` is for ever. What is inherited is looked up."""
        if self._draft is not None:
            value = self._draft.policy.value
            if isinstance(value, ArtifactTTL):
                raise ArtifactNotLoggedError(f"{self!r} inherits its ttl, which is known once it is logged")
            return value
        host, version = self._committed("ttl")
        if self._has_new_ttl:
            return self._ttl if isinstance(self._ttl, dt.timedelta) else None
        value = effective_ttl(host.engine, version).value
        return value if isinstance(value, dt.timedelta) else None

    @ttl.setter
    def ttl(self, value: TTL) -> None:
        policy = Policy.of(value)
        if self._draft is not None:
            self._draft.policy = policy
            return
        if self._version is not None and self._version.source is not None:
            raise UsageError(f"{self!r} is a link: set the ttl on the version itself, artifact.source_artifact")
        self._ttl, self._has_new_ttl = value, True

    @property
    def is_held(self) -> bool:
        """Is it held, so that it neither expires nor can be deleted? Set it, then `save`; `False` releases it."""
        self.require("is_held")
        return self._is_held

    @is_held.setter
    def is_held(self, value: bool) -> None:
        self.require("is_held")
        if not isinstance(value, bool):
            raise UsageError(f"is_held {value!r}: say True to hold {self.name}, False to release it")
        self._is_held = value

    def _push(self) -> None:
        """Write what was edited through to the catalogue."""
        host, version = self._committed("version")
        metadata = check_document(self._metadata)
        added = [check_alias(alias) for alias in self._aliases if alias not in version.aliases and alias != LATEST]
        removed = [alias for alias in version.aliases if alias not in self._aliases and alias != LATEST]
        if LATEST in self._aliases and LATEST not in version.aliases:
            raise InvalidName(f"{version.name} cannot take 'latest', which stands on the version logged last: log {version.name} again")
        if LATEST in version.aliases and LATEST not in self._aliases:
            termwarn(f"{version.name} stays 'latest': the store gives that alias to the version logged last")
        if self._has_new_ttl and not self._is_held:
            warn_due(preview_ttl(host.engine, version, self._ttl))
        fresh = update_version(
            host.engine,
            version,
            description=self._description if self._description != version.description else UNSET,
            metadata=metadata if metadata != version.metadata else UNSET,
            tags=self._tags if set(self._tags) != set(version.tags) else UNSET,
            ttl=self._ttl if self._has_new_ttl else UNSET,
            held=self._is_held if self._is_held != version.is_held else UNSET,
        )
        if added or removed:
            fresh = move_aliases(host.engine, fresh, add=added, remove=removed)
        self._settle(fresh)

    def add_aliases(self, aliases: Sequence[str], tags: Sequence[str] = ()) -> None:
        """Move `aliases` here at once, and put `tags` on it."""
        self.aliases = [*self._aliases, *aliases]
        self.tags = [*self._tags, *tags]
        self._push()


def listed(value: Sequence[str] | str | None) -> list[str]:
    """The names a user gave, as a list without repetitions: none, one, or several."""
    return [] if value is None else [value] if isinstance(value, str) else list(dict.fromkeys(value))
