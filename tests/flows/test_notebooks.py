"""The notebooks run from top to bottom, as a reader would run them."""

import json
import os
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning:zmq.*", "ignore::ResourceWarning")
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs without an error in a store of its own, and the shell commands in it find this very package."""
    monkeypatch.setenv("LINEAGE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(path.parents[1]))
    notebook = nbformat.read(path, as_version=4)

    done = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()

    assert [] == [output for cell in done.cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert any(
        "image/svg+xml" in output.get("data", {}) or "text/html" in output.get("data", {})
        for cell in done.cells
        for output in cell.get("outputs", [])
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_small(path: Path) -> None:
    """What is committed is short and speaks of no machine: no file is above 200 kB, no output names a directory of whoever ran it."""
    text = path.read_text()
    assert len(text) < 200_000
    outputs = json.dumps([cell.get("outputs", []) for cell in json.loads(text)["cells"]])
    assert not any(place in outputs for place in ("/tmp/", "/home/", "/root/", "/Users/"))
