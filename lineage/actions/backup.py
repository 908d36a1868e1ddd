"""Copy the catalogue while it is in use. Bytes are immutable files: copy `objects/` after it with whatever you copy files with."""

import os
from pathlib import Path

from lineage.actions.open import Engine
from lineage.model.errors import Conflict


def backup(engine: Engine, destination: Path) -> Path:
    """The copy, complete and durable under its name. Raises: Conflict when something is there already."""
    if os.path.lexists(destination):
        raise Conflict(f"{destination} exists: name a new file for the backup")
    engine.catalog.backup(destination)
    return destination
