"""A bar where a person watches, and nothing anywhere else."""

import io
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lineage.sdk import progress as room
from lineage.sdk.progress import progress
from lineage.sdk.terminal import TERMINAL, Loudness, termerror, termlog, termwarn


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_nobody_watches_a_pipe() -> None:
    """Without a terminal there is no bar, and nothing to call."""
    with progress("work", 10) as advance:
        assert advance is None


def test_a_person_sees_long_work_and_no_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar appears once the work has taken a while."""
    monkeypatch.setattr(sys, "stderr", Screen())
    monkeypatch.setenv("TERM", "xterm")
    for patience, appears in ((3600.0, False), (0.0, True)):
        monkeypatch.setattr(room, "PATIENCE", patience)
        with progress("adding things", 10) as advance:
            assert advance is not None
            advance(5)
        assert appears is ("adding things" in sys.stderr.getvalue())  # type: ignore[attr-defined]
    monkeypatch.setattr(TERMINAL, "loudness", Loudness.QUIET)
    with progress("work", 10) as advance:
        assert advance is None


def test_a_download_moves_the_bar_to_its_end(wandb: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told adds up to the size of what was written."""
    (tmp_path / "tree").mkdir()
    for number in range(5):
        (tmp_path / "tree" / str(number)).write_bytes(bytes(1000))
    told: list[int] = []
    monkeypatch.setattr(room, "is_watched", lambda: True)
    monkeypatch.setattr(room._Bar, "advance", lambda _, amount: told.append(amount))
    with wandb.init(project="shop") as run:
        data = run.log_artifact(tmp_path / "tree", name="tree", type="dataset")
        assert 5000 == sum(told)
        told.clear()
        data.download()
    assert 5000 == sum(told)


def test_lines_have_a_loudness(capsys: pytest.CaptureFixture[str]) -> None:
    """Silent says nothing, quiet warnings and errors, once is once; what steers a terminal is shown escaped."""
    for loudness, expected in ((Loudness.SILENT, 0), (Loudness.QUIET, 2), (Loudness.NORMAL, 3)):
        TERMINAL.loudness = loudness
        termlog("log")
        termwarn("warn")
        termerror("error")
        assert expected == len(capsys.readouterr().err.splitlines())
    termlog("said once", repeat=False)
    termlog("said once", repeat=False)
    termlog("a\x1b[31mb\u202e")
    said = capsys.readouterr().err
    assert 1 == said.count("said once")
    assert "\x1b" not in said
    assert "\u202e" not in said
