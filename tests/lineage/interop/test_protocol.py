"""fsspec knows `lineage://`: from the entry point, or from whoever imported the package."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KNOWN = "fsspec.get_filesystem_class('lineage').__module__"


def python(code: str, *paths: Path) -> str:
    """What a fresh interpreter prints, with nothing on its path but these and what is installed."""
    start = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}; "
    return subprocess.run([sys.executable, "-Ic", start + code], capture_output=True, text=True, check=True, cwd="/").stdout.strip()


@pytest.mark.parametrize(
    "imports",
    [
        "import lineage, fsspec",
        "import fsspec, lineage",
        "import lineage, importlib.util; importlib.util.find_spec('fsspec'); import fsspec",
        "import lineage, pandas, fsspec.core",
        "import lineage, importlib; importlib.reload(lineage); import fsspec",
    ],
)
def test_importing_the_package_is_enough(imports: str) -> None:
    """In whatever order, and with nothing installed."""
    assert "lineage.interop.filesystem" == python(f"{imports}; import fsspec; print({KNOWN})", ROOT)


def test_importing_the_package_does_not_import_fsspec() -> None:
    """A program that never reads through it does not pay for it; nor is the file system itself loaded with fsspec."""
    loaded = "print([name for name in ('fsspec', 'lineage.interop.filesystem') if name in sys.modules])"
    assert "[]" == python(f"import lineage; {loaded}", ROOT)
    assert "['fsspec']" == python(f"import lineage, fsspec; {loaded}", ROOT)


def test_a_missing_fsspec_is_missing() -> None:
    """The ear that listens for it invents nothing."""
    code = "import lineage\nfrom importlib.machinery import PathFinder\nfrom lineage.interop.protocol import _Listener\n"
    code += "PathFinder.find_spec = lambda *_: None\nprint(_Listener().find_spec('fsspec'), _Listener().find_spec('json'))"
    assert "None None" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()


def test_the_installed_package_needs_no_import(tmp_path: Path) -> None:
    """The entry point that `pyproject.toml` states is found by fsspec itself, and is the same class."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"artifact_lineage-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    (info / "entry_points.txt").write_text(
        "".join(f"[{group}]\n{name} = {value}\n" for group, all_ in groups for name, value in all_.items())
    )
    assert "False lineage.interop.filesystem" == python(f"import fsspec; print('lineage' in sys.modules, {KNOWN})", tmp_path, ROOT)
