"""What every command is given: the settings of this call, the engine, and the two streams.

Answers go to standard output, as tables and lines for people or as one JSON document; whatever is said on the way (plans, progress,
questions, errors) goes to standard error. So `lineage … --json | jq` works for every command, and so does `lineage … | head`.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from lineage.actions.open import Engine, open_engine
from lineage.cli.outcome import Failure
from lineage.model.names import ArtifactPath, ProjectPath, RunPath
from lineage.sdk.settings import Settings, resolve
from storage.digest import DEFAULT_ALGORITHM
from storage.entry import printable

Progress = Callable[[int], None]
Row = tuple[object, ...]
Found = TypeVar("Found")

WIDEST = 120
"""Columns of a drawing where nothing says how wide the page is."""
_UNWRAPPED = 100_000
"""Width of a line that no terminal shows: nothing is cut or folded for a file or a pipe."""


def console(stream: Any) -> Console:
    """A console that prints what it is given and nothing else: no markup, no highlighting, no folding in a pipe."""
    width = None if stream.isatty() else _UNWRAPPED
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


@dataclass
class Shell:
    """One call of one command."""

    settings: Settings
    as_json: bool = False
    out: Console = field(default_factory=lambda: console(sys.stdout))
    err: Console = field(default_factory=lambda: console(sys.stderr))

    @classmethod
    def of(cls, home: Path | None, entity: str | None, project: str | None, *, as_json: bool) -> "Shell":
        return cls(resolve(arguments={"home": home, "entity": entity, "project": project}), as_json)

    @property
    def width(self) -> int:
        """Columns there are to draw in."""
        return min(self.out.width, WIDEST)

    @contextmanager
    def engine(self, *, create: bool = False, algorithm: str = DEFAULT_ALGORITHM, adopt: str | None = None) -> Iterator[Engine]:
        """The store of this call, open for as long as the block lasts; made when it is absent and `create` says so."""
        engine = open_engine(self.settings.place, create=create, algorithm=algorithm, store=self.settings.store, adopt=adopt)
        try:
            yield engine
        finally:
            engine.close()

    def artifact(self, text: str) -> ArtifactPath:
        """The artifact path `text`, its missing parts filled in from --entity and --project."""
        path = ArtifactPath.parse(text)
        return replace(path, project=path.project or self.settings.project, entity=path.entity or self.settings.entity)

    def run(self, text: str) -> RunPath:
        """The run (or sweep) path `text`, its missing parts filled in."""
        path = RunPath.parse(text)
        return replace(path, project=path.project or self.settings.project, entity=path.entity or self.settings.entity)

    def project(self, text: str | None) -> ProjectPath:
        """The project path `text`, its missing parts filled in."""
        path = ProjectPath.parse(text)
        return replace(path, project=path.project or self.settings.project, entity=path.entity or self.settings.entity)

    def answer(self, document: Mapping[str, Any], *shown: RenderableType) -> None:
        """Print the answer, once: `document` for programs, or what is `shown` for people."""
        if self.as_json:
            self.out.print(json.dumps(_finite(document), ensure_ascii=False, indent=2), soft_wrap=True)
        else:
            self.show(*shown)

    def show(self, *parts: RenderableType) -> None:
        """Print what is part of the answer for people only."""
        if self.as_json:
            return
        for part in parts:
            self.out.print(line(part) if isinstance(part, str) else self._trimmed(part), soft_wrap=isinstance(part, str))

    def _trimmed(self, part: RenderableType) -> RenderableType:
        """A pipe gets lines that end where their text ends; on a terminal nobody sees the difference."""
        if self.out.is_terminal:
            return part
        with self.out.capture() as capture:
            self.out.print(part)
        return Text("\n".join(each.rstrip() for each in capture.get().rstrip("\n").split("\n")))

    def say(self, text: str) -> None:
        """Tell the person something on the way; with --json nobody is told."""
        if not self.as_json:
            self.err.print(line(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Tell the person something that is wrong beside the answer."""
        self.say(f"warning: {text}")

    def fail(self, failure: Failure) -> None:
        """Say on standard error what went wrong."""
        self.err.print(failure.document() if self.as_json else failure.lines(), soft_wrap=True)

    def confirm(self, question: str) -> bool:
        """Ask the person at the terminal; without one the answer is no."""
        if self.as_json or not (sys.stdin.isatty() and self.err.is_terminal):
            return False
        self.err.print(f"{question} [y/N] ", end="")
        return input().strip().lower() in ("y", "yes")

    def waiting(self, title: str, steps: Iterable[Found]) -> Iterator[Found]:
        """The same steps, with something moving on the terminal while each is waited for."""
        coming = iter(steps)
        while True:
            with self.err.status(title) if self.err.is_terminal and not self.as_json else nullcontext():
                step = next(coming, None)
            if step is None:
                return
            yield step

    @contextmanager
    def progress(self, title: str, total: int | None = None, *, counts: bool = False) -> Iterator[Progress | None]:
        """A function to tell bytes to (or, with `counts`, things) while they are worked through; `None` where nobody watches."""
        if self.as_json or not self.err.is_terminal:
            yield None
            return
        from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as Bars

        sizes: tuple[ProgressColumn, ...] = (DownloadColumn(binary_units=True), TransferSpeedColumn())
        columns = (TextColumn("{task.description}"), BarColumn(), *((MofNCompleteColumn(),) if counts else sizes))
        with Bars(*columns, console=self.err, transient=True) as bars:
            task = bars.add_task(title, total=total)
            yield lambda amount: bars.advance(task, amount)


def line(text: str) -> Text:
    """`text`, fit for a terminal, line by line."""
    return Text("\n".join(map(printable, text.split("\n"))))


def table(*columns: str, rows: Iterable[Row]) -> Table:
    """A plain table: columns whose name begins with `>` are set flush right; only the last one is folded where there is no room."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns, 1):
        justify: JustifyMethod = "right" if column.startswith(">") else "left"
        is_last = number == len(columns)
        made.add_column(Text(column.removeprefix(">")), justify=justify, no_wrap=not is_last, overflow="fold" if is_last else "ellipsis")
    for row in rows:
        made.add_row(*(Text(printable(str(cell))) for cell in row))
    return made


def facts(*pairs: tuple[str, object]) -> Table:
    """What is known of one thing, a line each; what is `None` or empty is left out."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, "", (), [], {}):
            made.add_row(Text(name), line(str(value)))
    return made


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinities: they are written as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
