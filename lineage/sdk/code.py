"""Which files are a program's source, and what the artifact that keeps them is called."""

import inspect
import os
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from lineage.model.names import slug
from storage.entry import CONTROL_NAMES

Choose = Callable[..., Any]
"""Takes a path, or a path and the root."""

SOURCES = ("*.py", "requirements.txt", "Dockerfile*")
_NEVER = CONTROL_NAMES | {"__pycache__", "node_modules", ".venv", "wandb"}


def sources(root: Path, include: Choose | None = None, exclude: Choose | None = None) -> list[tuple[Path, str]]:
    """Files below `root` that `include` chooses and `exclude` does not, each with its path from there."""
    wanted = include or (lambda path: any(fnmatch(Path(path).name, pattern) for pattern in SOURCES))
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _NEVER)
        for name in sorted(files):
            path = str(Path(folder) / name)
            if _ask(wanted, path, root) and not (exclude is not None and _ask(exclude, path, root)):
                found.append((Path(path), Path(path).relative_to(root).as_posix()))
    return found


def _ask(choose: Choose, path: str, root: Path) -> bool:
    count = len(inspect.signature(choose).parameters)
    return bool(choose(path, str(root)) if count > 1 else choose(path))


def name_of(project: str, root: Path) -> str:
    """`source-<project>-<program>`."""
    program = program_path()
    return slug(f"source-{project}-{program.name if program else root.absolute().name}")


def program_path() -> Path | None:
    """The file of the program that runs, where there is one."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(main) if main else None
