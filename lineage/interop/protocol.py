"""Says to fsspec that `lineage://` is ours, without importing fsspec for it.

Where the package is installed, fsspec finds the entry point in `pyproject.toml` by itself. A source checkout has none, and a program that
never touches fsspec shall not pay for it. So whoever imports this package leaves a word: fsspec hears it at once when it is there
already, and otherwise in the moment somebody imports it. Nothing of any other import is changed, and saying it twice is saying it once.
"""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

PROTOCOL = "lineage"
FILE_SYSTEM = "lineage.interop.filesystem.LineageFileSystem"
_FSSPEC = "fsspec"


class _Listener(MetaPathFinder):
    """Finds fsspec where it would be found anyway, and registers with it when it has been loaded."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        found = PathFinder.find_spec(name, path, target) if name == _FSSPEC else None
        if found is None or found.loader is None:
            return None
        load = found.loader.exec_module

        def load_and_register(module: ModuleType) -> None:
            load(module)
            register(module)

        found.loader.exec_module = load_and_register  # type: ignore[method-assign]  # of this one loader, made for this one import
        return found


def register(fsspec: ModuleType) -> None:
    """Let the loaded `fsspec` know the protocol; the file system itself is imported when it is first used."""
    fsspec.register_implementation(PROTOCOL, FILE_SYSTEM, clobber=True)


def announce() -> None:
    """Have fsspec know the protocol, now or as soon as it is imported."""
    if _FSSPEC in sys.modules:
        register(sys.modules[_FSSPEC])
    elif not any(isinstance(finder, _Listener) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Listener())
