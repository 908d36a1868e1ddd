"""Where fault tests put their stores: on a memory disk where there is one, for they make thousands of files and no power is lost here."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_FAST = Path("/dev/shm")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty directory, gone after the test."""
    if not os.access(_FAST, os.W_OK):
        yield tmp_path
        return
    root = Path(tempfile.mkdtemp(prefix="lineage-faults-", dir=_FAST))
    yield root
    shutil.rmtree(root, ignore_errors=True)
