"""Write a live run's history: each row is with the operating system before the call returns, so a killed run keeps what it logged."""

from collections import deque

from lineage.actions.open import Engine
from lineage.catalog import run as runs
from lineage.model.document import MAX_INTEGER
from lineage.model.errors import UsageError
from lineage.model.metric import Row, read_row, write_row
from lineage.model.run import RunRecord
from storage.blob.journal import BeingWritten, Journal, texts, whole_lines


class History:
    """The open journal of one run. One thread at a time."""

    def __init__(self, engine: Engine, run: RunRecord) -> None:
        self.step = max(run.step, _unsealed(engine, run))
        """The next step, one more than the last that was appended."""
        self._engine = engine
        self._run_id = run.id
        self._journal: Journal | None = None

    def append(self, row: Row) -> None:
        """Keep one row.

        Raises:
            UsageError: its step is not a whole number from 0 on that fits into 64 bits.
            StoreFull, Unavailable: it is not kept.
        """
        if not isinstance(row.step, int) or not 0 <= row.step < MAX_INTEGER:
            raise UsageError("a step is a whole number from 0 on that fits into 64 bits: let it be counted, or give such a one")
        if self._journal is None:
            self._journal = self._open()
        try:
            self._journal.append(write_row(row))
        except BaseException:
            self._journal.close()  # opening it again cuts off what was written of the row
            self._journal = None
            raise
        self.step = max(self.step, row.step + 1)

    def _open(self) -> Journal:
        """The first journal of the run that nobody who lives is writing."""
        writer = 0
        while True:
            try:
                return Journal(self._engine.journal(self._run_id, writer))
            except BeingWritten:
                writer += 1

    def close(self) -> None:
        """Every row survives a power loss, and the run remembers its next step."""
        if self._journal is None:
            return
        journal, self._journal = self._journal, None
        with journal:
            journal.flush()
        with self._engine.catalog.tx() as c:
            runs.update(c, self._run_id, {"step": self.step})


def _unsealed(engine: Engine, run: RunRecord) -> int:
    """The step after the last that is in the journal and in no sealed piece yet; 0 without any."""
    last = [line for journal in engine.journals(run.id) for line in deque(whole_lines(journal), maxlen=1)]
    return max((read_row(text).step + 1 for text in texts(last)), default=0)


def open_history(engine: Engine, run: RunRecord) -> History:
    """The history of a run that was just started or resumed; no file is made until a row comes."""
    return History(engine, run)
