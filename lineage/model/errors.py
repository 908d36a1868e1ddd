"""What can go wrong with meaning, grouped by what the catcher will do about it.

    Error                                     everything this package raises on purpose, `storage.errors` aside
    ├── CommError                             the answer is no; also the name scripts written for the W&B client catch
    │   ├── NotFound            (LookupError) the run, artifact, project or sweep is not there
    │   │   ├── RunNotFoundError
    │   │   └── PathNotFound                  … nor a file or directory in it; a FileNotFoundError too
    │   ├── Gone                              it was there and was expired or deleted; its lineage remains
    │   ├── Conflict                          somebody else was faster, or the state forbids it: look again, then decide
    │   └── Denied        (PermissionError)   this actor may not
    ├── UsageError               (ValueError) the call itself is wrong: change it
    │   ├── InvalidName                       a name, alias, tag or type outside its grammar
    │   ├── InvalidMetadata                   metadata, configuration or a metric that cannot be kept as given
    │   ├── InvalidPolicy                     a TTL or retention rule that makes no sense
    │   ├── ConfigError                       a configuration value changed without leave
    │   └── UnsupportedError                  not offered here; the message names what is
    │       └── ImmutableVersion    (OSError) a version is never written to: log another one
    ├── ArtifactStatusError  (AttributeError) the artifact is in another state than the call needs
    │   ├── ArtifactNotLoggedError
    │   └── ArtifactFinalizedError
    ├── WaitTimeoutError     (TimeoutError)   still running: wait longer
    └── CatalogError                          the catalogue itself
        ├── CatalogBusy                       another program holds it: wait, then call again
        ├── CatalogDamaged                    it fails its own check: restore it, never repair in place
        └── CatalogUnsupported                a newer schema, a network disk, another program's file

Every class carries a stable `code`. A message says what was given, what was wanted and what to do next.
"""

from typing import ClassVar


class Error(Exception):
    """The root of this tree; `code` is stable across releases."""

    code: ClassVar[str] = "lineage"

    @property
    def message(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else self.code


class CommError(Error):
    code = "comm"


class NotFound(CommError, LookupError):
    code = "not_found"


class RunNotFoundError(NotFound):
    code = "run_not_found"


class PathNotFound(NotFound, FileNotFoundError):
    code = "path_not_found"


class Gone(CommError):
    code = "gone"


class Conflict(CommError):
    code = "conflict"


class Denied(CommError, PermissionError):
    code = "denied"


class UsageError(Error, ValueError):
    code = "usage"


class InvalidName(UsageError):
    code = "invalid_name"


class InvalidMetadata(UsageError):
    code = "invalid_metadata"


class InvalidPolicy(UsageError):
    code = "invalid_policy"


class ConfigError(UsageError):
    code = "config"


class UnsupportedError(UsageError):
    code = "unsupported"


class ImmutableVersion(UnsupportedError, OSError):
    code = "immutable_version"


class ArtifactStatusError(Error, AttributeError):
    code = "artifact_status"


class ArtifactNotLoggedError(ArtifactStatusError):
    code = "artifact_not_logged"


class ArtifactFinalizedError(ArtifactStatusError):
    code = "artifact_finalized"


class WaitTimeoutError(Error, TimeoutError):
    code = "wait_timeout"


class CatalogError(Error):
    code = "catalog"


class CatalogBusy(CatalogError):
    code = "catalog_busy"


class CatalogDamaged(CatalogError):
    code = "catalog_damaged"


class CatalogUnsupported(CatalogError):
    code = "catalog_unsupported"
