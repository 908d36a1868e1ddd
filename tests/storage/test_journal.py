"""A journal: one writer, whoever he is, and what he wrote is under the journal's name."""

from pathlib import Path

import pytest

from storage.blob import disk
from storage.blob.journal import BeingWritten, Journal, texts, whole_lines


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    """It is refused while somebody has it open, and free when he has closed it."""
    path = tmp_path / "1.jsonl"
    with Journal(path) as first:
        first.append("a")
        with pytest.raises(BeingWritten):
            Journal(path)
    with Journal(path) as second:
        second.append("b")
    assert ["a", "b"] == list(texts(whole_lines(path)))


@pytest.mark.fault("I-03")
def test_a_journal_removed_while_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens it just before it is sealed and removed writes to a new one, not to a file without a name."""
    path, opened = tmp_path / "1.jsonl", disk.open_end
    removals = [path]

    def open_end(place: Path) -> int:
        descriptor = opened(place)
        while removals:
            removals.pop().unlink()
        return descriptor

    monkeypatch.setattr(disk, "open_end", open_end)
    with Journal(path) as journal:
        journal.append("a")
    assert ["a"] == list(texts(whole_lines(path)))
