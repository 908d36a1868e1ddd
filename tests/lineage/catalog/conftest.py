"""Open stores, with and without things in them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lineage.actions import create
from lineage.actions.open import Engine, open_engine
from lineage.catalog.open import Catalog
from lineage.model.names import ProjectPath
from lineage.model.project import ProjectRecord


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory for a catalogue."""
    path = tmp_path / "store"
    path.mkdir()
    return path


@pytest.fixture
def catalog(root: Path) -> Iterator[Catalog]:
    """An open catalogue without a store around it."""
    opened = Catalog(root)
    yield opened
    opened.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An open store."""
    opened = open_engine(tmp_path / "home", entity="ann")
    yield opened
    opened.close()


@pytest.fixture
def demo(engine: Engine) -> ProjectRecord:
    return create.project(engine, ProjectPath("demo"))
