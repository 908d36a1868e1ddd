"""Importing the house costs nothing until something of it is used."""

import subprocess
import sys

import pytest

import storage


def test_every_name_opens() -> None:
    """Every name the front door lists is there; any other is not."""
    assert all(getattr(storage, name).__name__ == name for name in storage.__all__)
    assert storage.__all__ == dir(storage)
    with pytest.raises(AttributeError, match="nonsense"):
        storage.nonsense  # noqa: B018


def test_nothing_heavy_is_loaded() -> None:
    """Neither the front door nor a noun nor a local store loads a network library, a database or a server."""
    code = (
        "import sys, storage, storage.manifest, storage.blob.home, storage.transfer.checkout, storage.upkeep.verify\n"
        "heavy = {'fsspec', 's3fs', 'sqlite3', 'sqlite_utils', 'networkx', 'httpx', 'pandas', 'lineage', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert (0, "") == (done.returncode, done.stderr)
