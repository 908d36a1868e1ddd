"""One entry of an artifact's manifest, as scripts written for the W&B client read it.

A face: it decides nothing and keeps the real entry beside the artifact it belongs to. Two faces are equal when what they show is equal,
whatever artifact they came from.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from lineage.model.errors import UsageError
from storage.entry import Entry, Kind, printable

SCHEMES = ("lineage-artifact://", "wandb-artifact://")
"""How a URI of an entry begins; the version's id and the path follow."""


class Owner(Protocol):
    """What an entry asks its artifact."""

    @property
    def id(self) -> str | None: ...
    def fetch_entry(self, path: str, root: str | Path | None) -> str:
        """Where the entry's bytes are now, below `root`."""


class ManifestEntry:
    """Path, digest, size and, for a reference, where its bytes live and what pins them."""

    def __init__(self, entry: Entry, owner: Owner, local_path: str | None = None) -> None:
        self.entry = entry
        self._owner = owner
        self.local_path = local_path
        """The file that was added, while the artifact is a draft."""

    @property
    def path(self) -> str:
        return self.entry.path

    @property
    def name(self) -> str:
        return self.entry.path

    @property
    def kind(self) -> str:
        """`file`, `directory`, `link` or `reference`."""
        return str(self.entry.kind)

    @property
    def digest(self) -> str:
        """`algorithm:hex` of a file; of a reference its ETag, or its URI where it was not checked."""
        if self.entry.digest is not None:
            return str(self.entry.digest)
        if self.entry.pin is not None:
            return self.entry.pin.etag or self.entry.pin.uri
        return self.entry.target or ""

    @property
    def ref(self) -> str | None:
        return None if self.entry.pin is None else self.entry.pin.uri

    @property
    def size(self) -> int | None:
        return self.entry.size

    @property
    def extra(self) -> Mapping[str, str]:
        """`etag` and `versionID` of a reference, where its store gives them."""
        return self.entry.extra

    @property
    def birth_artifact_id(self) -> str | None:
        return self._owner.id

    @property
    def skip_cache(self) -> bool:
        return False

    def parent_artifact(self) -> Any:
        """The artifact it belongs to."""
        return self._owner

    def download(self, root: str | Path | None = None, skip_cache: bool | None = None, executor: object = None) -> str:  # the W&B signature
        """Where its bytes are now: a file below `root`, verified.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft still.
        """
        return self._owner.fetch_entry(self.path, root)

    def ref_target(self) -> str:
        """The URI its bytes live at.

        Raises:
            UsageError: it is no reference.
        """
        if self.entry.kind is not Kind.REFERENCE or self.ref is None:
            raise UsageError(f"entry {printable(self.path)} is a {self.kind}, not a reference: its bytes are in the store")
        return self.ref

    def ref_url(self) -> str:
        """The URI by which another artifact refers to it.

        Raises:
            UsageError: the artifact is a draft still.
        """
        if self._owner.id is None:
            raise UsageError(f"entry {printable(self.path)} belongs to a draft: log the artifact first")
        return f"{SCHEMES[0]}{self._owner.id}/{self.path}"

    def to_json(self) -> dict[str, Any]:
        """What the W&B manifest would say of it."""
        stated = {"digest": self.digest, "size": self.size, "ref": self.ref, "extra": dict(self.extra)}
        return {name: value for name, value in stated.items() if value or name == "digest"}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ManifestEntry) and self.entry == other.entry

    def __hash__(self) -> int:
        return hash(self.entry)

    def __repr__(self) -> str:
        size = "" if self.size is None else f", {self.size:,} bytes"
        return f"<{self.kind} {printable(self.path)}{size}, {printable(self.ref or self.digest)}>"
